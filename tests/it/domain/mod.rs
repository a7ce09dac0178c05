//! The rules of registration (contract section 5) and of totals in imports (section 7).

mod catalogue;
mod changes;
mod drops;
mod imports;
mod refusals;
mod several;
mod waitlist;
