//! The rules of registration and of totals in imports.

mod batches;
mod catalogue;
mod changes;
mod choices;
mod drops;
mod facts;
mod imports;
mod names;
mod offers;
mod plans;
mod refusals;
mod rehearsals;
mod rules;
mod seat_rules;
mod waitlist;
mod waitlist_order;
