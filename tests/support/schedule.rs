//! Generated schedules, importing them, and opening their term.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::WAIT_MAX;
use super::http::Client;

/// The pause between two requests for the state of an import.
const PAUSE: Duration = Duration::from_millis(20);

/// The weekdays of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Days {
    /// Monday, Wednesday, Friday.
    Mwf,
    /// Tuesday, Thursday.
    Tr,
    /// Wednesday only.
    W,
}

impl Days {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mwf => "MWF",
            Self::Tr => "TR",
            Self::W => "W",
        }
    }

    fn meets(self, other: Self) -> bool {
        (self == Self::Tr) == (other == Self::Tr)
    }
}

/// One section of a generated schedule. It meets in one slot for the whole term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// CRN.
    pub crn: String,
    /// `SUBJECT NUMBER`.
    pub course: String,
    /// `lecture`, `lab`…
    pub component: String,
    /// Credits, as the file writes them.
    pub credits: &'static str,
    /// The weekdays.
    pub days: Days,
    /// Start of each meeting, in minutes since midnight.
    pub start: u32,
    /// End of each meeting, in minutes since midnight.
    pub end: u32,
    /// Seats.
    pub capacity: u32,
    /// Waitlist capacity.
    pub waitlist: u32,
}

impl Row {
    /// Returns a lecture on Monday, Wednesday and Friday at nine, with five seats and a waitlist of five.
    pub fn lecture(crn: &str, course: &str) -> Self {
        Self {
            crn: crn.into(),
            course: course.into(),
            component: "lecture".into(),
            credits: "3",
            days: Days::Mwf,
            start: 9 * 60,
            end: 9 * 60 + 50,
            capacity: 5,
            waitlist: 5,
        }
    }

    /// Returns whether no student may register for both. This is independent of the rules of the program.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        self.same_course(other) || self.overlaps(other)
    }

    /// Returns whether both have the same course and component.
    pub fn same_course(&self, other: &Self) -> bool {
        self.course == other.course && self.component == other.component
    }

    /// Returns whether both meet at the same time.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.days.meets(other.days) && self.start < other.end && other.start < self.end
    }
}

/// A schedule of one term.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Term id.
    pub term: String,
    /// Sections of the term.
    pub rows: Vec<Row>,
}

impl Schedule {
    /// Returns the id of a section.
    pub fn id(&self, row: &Row) -> String {
        format!("{}-{}", self.term, row.crn)
    }

    /// Returns the ids of all sections, in order.
    pub fn ids(&self) -> Vec<String> {
        self.rows.iter().map(|row| self.id(row)).collect()
    }

    /// Returns the section with this id.
    pub fn row(&self, id: &str) -> &Row {
        let crn = id.strip_prefix(&self.term).and_then(|rest| rest.strip_prefix('-'));
        self.rows.iter().find(|row| Some(row.crn.as_str()) == crn).unwrap_or_else(|| panic!("no section {id}"))
    }

    /// Returns the schedule as a CSV file.
    pub fn csv(&self) -> String {
        let mut text = "term,crn,subject,number,section,title,credits,schedule_type,days,time,date_range,\
                        capacity,waitlist_capacity,instructor,location\n"
            .to_owned();
        for (index, row) in self.rows.iter().enumerate() {
            let (subject, number) = row.course.split_once(' ').expect("SUBJECT NUMBER");
            writeln!(
                text,
                "{},{},{subject},{number},A{index:02},Studies in {},{},{},{},{}-{},2030-01-07..2030-05-03,{},{},\
                 Teacher {index},Room {index}",
                self.term,
                row.crn,
                row.course,
                row.credits,
                row.component,
                row.days.as_str(),
                clock(row.start),
                clock(row.end),
                row.capacity,
                row.waitlist,
            )
            .unwrap();
        }
        text
    }

    /// Imports the schedule, waits until it is applied, and opens the term.
    pub fn load(&self, staff: &mut Client) {
        let task = start_import(staff, &self.term, self.csv().as_bytes());
        let done = wait_for_import(staff, &task);
        assert_eq!(done["state"], "done", "{done:#}");
        assert_eq!(done["created"], json!(self.rows.len()), "{done:#}");
        open_term(staff, &self.term);
    }
}

/// Returns a time of day as `HH:MM`.
fn clock(minutes: u32) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Starts an import and returns its task id.
pub fn start_import(staff: &mut Client, term: &str, csv: &[u8]) -> String {
    let path = format!("/api/v1/imports?term={term}&dry_run=false");
    let response = staff.call("POST", &path, &[("Content-Type", "text/csv")], csv).expect("the hub accepts the upload");
    response.expect(202).json()["task"].as_str().expect("a task").to_owned()
}

/// Waits for the end of an import and returns its task. Imports have a low priority, so a large one takes minutes on a
/// busy machine. Therefore, the deadline starts again whenever the import progresses.
pub fn wait_for_import(staff: &mut Client, task: &str) -> Value {
    let mut deadline = Instant::now() + WAIT_MAX;
    let mut progress = Value::Null;
    while Instant::now() < deadline {
        let state = staff.get(&format!("/api/v1/imports/{task}")).expect(200).json();
        if state["state"] != "running" {
            return state;
        }
        let reached = json!([state["phase"], state["rows"], state["created"]]);
        if reached != progress {
            (progress, deadline) = (reached, Instant::now() + WAIT_MAX);
        }
        // A request without a pause would take the processor from the import.
        thread::sleep(PAUSE);
    }
    panic!("timed out waiting for the end of import {task}");
}

/// Opens registration for a term.
pub fn open_term(staff: &mut Client, term: &str) {
    staff.put_json(&format!("/api/v1/terms/{term}"), &json!({"opens_at": "2020-01-01T00:00:00Z"})).expect(200);
}
