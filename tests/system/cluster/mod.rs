//! Three hubs on one PostgreSQL database and one NATS server, and faults of each part while students register.
//!
//! - [`trio`]: the hubs, with a relay between each hub and each server
//! - [`students`]: students at all hubs, who all want the same sections, and the responses that they received
//! - [`auditor`]: reads the tables, and compares them with the responses
//! - [`faults`]: the tests of registration; [`alerts`]: clients that move between hubs; [`watchers`]: the time from a
//!   change at one hub to a watcher at another
//!
//! `make test` runs a short form and `make test-cluster` the long form. These variables set the lengths:
//! `CLUSTER_STUDENTS`, `CLUSTER_STOP_S`, `CLUSTER_CLIENTS`, `CLUSTER_ALERTS`, `CLUSTER_CHANGES`.

mod alerts;
mod auditor;
mod faults;
mod students;
mod trio;
mod watchers;

use crate::support::schedule::{Days, Row, Schedule};

const TERM: &str = "203001";
/// Number of sections, two of each course. All students want all of them.
const SECTIONS: u32 = 20;
/// Number of time slots. A section overlaps the others in its slot.
const SLOTS: u32 = 8;
/// Seats for each hundred students, in each section.
const SEATS_PER_HUNDRED: u32 = 25;

/// Returns the sections for this number of students. Every fourth section has a waitlist.
fn schedule(students: usize) -> Schedule {
    let capacity = u32::try_from(students).unwrap() * SEATS_PER_HUNDRED / 100;
    let row = |index: u32| Row {
        crn: (50_001 + index).to_string(),
        course: format!("HIST {}", 101 + index / 2),
        component: "lecture".into(),
        credits: "1",
        days: if index % SLOTS < SLOTS / 2 { Days::Mwf } else { Days::Tr },
        start: (8 + index % (SLOTS / 2)) * 60,
        end: (8 + index % (SLOTS / 2)) * 60 + 50,
        capacity,
        waitlist: if has_waitlist(index) { capacity } else { 0 },
    };
    Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() }
}

const fn has_waitlist(section: u32) -> bool {
    section.is_multiple_of(4)
}
