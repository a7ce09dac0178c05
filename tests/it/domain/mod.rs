//! The rules of registration (contract section 5) and of totals in imports (section 7).

mod batches;
mod catalogue;
mod changes;
mod drops;
mod imports;
mod names;
mod refusals;
mod rules;
mod waitlist;
