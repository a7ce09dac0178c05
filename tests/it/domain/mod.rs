//! Tests of the domain: the rules of registration, changes by staff, imports and pulls, plans, rehearsals, and the
//! names in tables and JSON.

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
