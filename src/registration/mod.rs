//! Registration: one registrar a term decides all of its commands, in order.
//!
//! - [`registrar`]: owns one term; orders its commands, one batch at the store at a time
//! - [`pool`]: finds a term's registrar, and bounds what is accepted
//! - [`readmodel`]: published snapshots, for everyone who reads; [`section_json`]: a section as JSON
//! - [`outcomes`]: counts how commands ended, and how long they took; [`activity`]: the last minute and hour

pub mod activity;
pub mod outcomes;
pub mod pool;
pub mod readmodel;
pub mod registrar;
pub mod section_json;
