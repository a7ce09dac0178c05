//! The rules of registration as tables, one row a case: what contract section 5 promises, and section 7 of totals.

mod catalogue;
mod changes;
mod drops;
mod imports;
mod refusals;
mod several;
mod waitlist;
