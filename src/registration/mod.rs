//! Registration: one registrar a term decides all of its commands, in order.
//!
//! - [`registrar`]: owns one term; orders its commands, one batch in flight at a time
//! - [`execution`]: decides a batch against the term in memory, and commits what it changes
//! - [`pool`]: finds a term's registrar, and bounds how many commands are accepted
//! - [`readmodel`]: published snapshots, for everyone who reads; [`section_json`]: a section as JSON
//! - [`outcomes`]: counts how commands ended, and how long they took; [`activity`]: the last minute and hour

pub mod activity;
pub mod execution;
pub mod outcomes;
pub mod pool;
pub mod readmodel;
pub mod registrar;
pub mod section_json;
