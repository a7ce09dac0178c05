//! OneRoster 1.2 bundles (1EdTech, "OneRoster CSV Binding 1.2"): a ZIP archive of CSV files about a term, with which
//! learning management systems and other programs of a college exchange classes and enrollments.
//!
//! - [`export`]: writes the bundle of a term; [`ids`]: forms the identifiers and the texts of meetings in it
//! - `reader`: reads the files of a bundle; [`bundle`]: reads its classes as the table of a schedule
//! - [`roster`]: reads the students, grades and enrollments of a bundle; `files`, `columns`: check the files
//!
//! OneRoster has no seats, credits, weekdays or times. The hub writes them into columns of its own at the end of
//! `classes.csv`, as the binding allows: their names begin with [`OWN_PREFIX`].

pub(super) mod bundle;
mod columns;
pub mod export;
mod files;
mod ids;
mod reader;
pub(in crate::imports) mod roster;

/// The file that lists the other files. Every bundle has it.
const MANIFEST: &str = "manifest.csv";
/// The file of terms.
const SESSIONS: &str = "academicSessions.csv";
/// The file of courses.
const COURSES: &str = "courses.csv";
/// The file of sections.
const CLASSES: &str = "classes.csv";
/// The file of the students and teachers in sections.
const ENROLLMENTS: &str = "enrollments.csv";
/// The file of people.
const USERS: &str = "users.csv";
/// The file of the roles of people.
const ROLES: &str = "roles.csv";
/// The file of the line items of classes, which results grade.
const LINE_ITEMS: &str = "lineItems.csv";
/// The file of grades.
const RESULTS: &str = "results.csv";

/// The beginning of the names of the hub's own columns.
const OWN_PREFIX: &str = "metadata.eduhub.";
/// The hub's own column of meetings, after [`OWN_PREFIX`]; see [`ids::meeting_text`].
const MEETINGS: &str = "meetings";
/// The hub's other own columns, after [`OWN_PREFIX`]. They are the names of columns of a schedule file.
const OWN_COLUMNS: [&str; 8] =
    ["section", "component", "credits", "instructor", "method", "campus", "capacity", "waitlist_capacity"];

/// Returns a text on one line, so that a row keeps its line number.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
