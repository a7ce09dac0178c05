//! Registration: one registrar per term decides all of the term's commands, in order.
//!
//! - [`registrar`]: owns one term; orders its commands, one batch in flight at a time
//! - [`execution`]: decides a batch against the term in memory, and commits its changes
//! - [`pool`]: finds a term's registrar, and bounds how many commands are accepted
//! - [`submitted`]: a command with its origin and its audit entry
//! - [`student_facts`]: changes facts about students in all terms
//! - [`student_view`]: the published state of a term for the decisions about one student
//! - [`shedding`]: which commands a registrar rejects when it receives more than it can commit
//! - [`readmodel`]: published snapshots, which handlers read; [`section_json`]: a section as JSON;
//!   [`shown_counts`]: the counts of people that a reader sees
//! - `position_changes`: the waitlist positions that a commit changed
//! - [`demand`]: how many plans contain each section; [`rehearsals`]: trials of registration, as background tasks
//! - [`request_counts`]: counts requests by their outcome, and measures reply times; [`activity`]: the activity of the
//!   last minute and hour

pub mod activity;
pub mod demand;
pub mod execution;
pub mod pool;
mod position_changes;
pub mod readmodel;
pub mod registrar;
pub mod rehearsals;
pub mod request_counts;
pub mod section_json;
pub mod shedding;
pub mod shown_counts;
pub mod student_facts;
pub mod student_view;
pub mod submitted;
