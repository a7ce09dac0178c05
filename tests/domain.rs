//! The rules of registration as tables, one row a case: what contract section 5 promises, and section 7 of totals.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "domain/catalogue.rs"]
mod catalogue;
#[path = "domain/changes.rs"]
mod changes;
mod college;
#[path = "domain/drops.rs"]
mod drops;
#[path = "domain/imports.rs"]
mod imports;
#[path = "domain/names.rs"]
mod names;
#[path = "domain/refusals.rs"]
mod refusals;
#[path = "domain/rules.rs"]
mod rules;
#[path = "domain/several.rs"]
mod several;
#[path = "domain/waitlist.rs"]
mod waitlist;
