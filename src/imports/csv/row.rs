//! Parses a row of a schedule into typed values, and collects an error or warning for each problem in its cells.

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::import::Finding;
use crate::domain::meeting::{Days, Meeting};
use crate::imports::schedule::Severity;

use crate::imports::csv::columns::{Column, Header};
use crate::imports::csv::{course, dates, days, text, times};

/// The component of a row that does not name one.
const DEFAULT_COMPONENT: &str = "lecture";

/// A row as stored in the scratch database. Names are short and unknown values are omitted, since a file may have half
/// a million rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(rename = "n")]
    pub(super) line: u64,
    #[serde(rename = "c")]
    pub(super) course: String,
    #[serde(rename = "k")]
    pub(super) component: String,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(super) section: Option<String>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    /// Credits in thousandths.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(super) credits: Option<u32>,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(super) instructor: Option<String>,
    /// The names in `instructor`.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) instructors: Vec<String>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<String>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) campus: Option<String>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(super) capacity: Option<u32>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub(super) waitlist_capacity: Option<u32>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) enrolled: Option<u32>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub(super) waitlisted: Option<u32>,
    #[serde(rename = "y", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) linked: Vec<String>,
    #[serde(rename = "q", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) prerequisites: Vec<String>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub(super) meeting: Option<MeetingRow>,
}

/// A meeting as stored in the scratch database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct MeetingRow {
    #[serde(rename = "d")]
    pub(super) days: u8,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(super) start: Option<Time>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<Time>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(super) starts_on: Option<Date>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(super) ends_on: Option<Date>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
}

impl MeetingRow {
    pub(super) fn into_domain(self) -> Meeting {
        Meeting {
            days: Days::from_bits(self.days),
            start: self.start,
            end: self.end,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            location: self.location.map(Into::into),
        }
    }
}

/// The cells of a record, and the errors and warnings found in them.
pub(super) struct Cells<'r> {
    header: &'r Header,
    record: &'r csv::StringRecord,
    line: u64,
    /// Errors and warnings, in order of discovery.
    pub(super) findings: Vec<(Severity, Finding)>,
}

impl<'r> Cells<'r> {
    pub(super) fn new(header: &'r Header, record: &'r csv::StringRecord, line: u64) -> Self {
        Self { header, record, line, findings: Vec::new() }
    }

    /// Returns the trimmed cell; empty if the file has no such column.
    pub(super) fn get(&self, column: Column) -> &'r str {
        self.header.at(column).and_then(|i| self.record.get(i)).unwrap_or_default().trim()
    }

    /// Adds a finding about a cell, or about the row if `column` is `None`.
    pub(super) fn add_finding(&mut self, severity: Severity, column: Option<Column>, message: impl Into<String>) {
        let finding = Finding {
            line: self.line,
            column: column.map(|c| self.header.name(c).unwrap_or(c.names()[0]).into()),
            value: column.map(|c| self.get(c).into()),
            message: message.into(),
        };
        self.findings.push((severity, finding));
    }

    /// Adds an error about a cell whose column may be unknown to the importer.
    pub(super) fn add_error_at(&mut self, name: Option<&String>, value: &str, message: &str) {
        let finding = Finding {
            line: self.line,
            column: name.map(|n| n.as_str().into()),
            value: Some(value.replace(|c: char| c.is_control(), "\u{fffd}").into()),
            message: message.to_owned(),
        };
        self.findings.push((Severity::Error, finding));
    }

    /// Parses a cell. If that fails, adds the error and returns the default, so that all errors of the row are found.
    pub(super) fn read<T: Default>(&mut self, column: Column, read: impl FnOnce(&'r str) -> Result<T, String>) -> T {
        read(self.get(column)).unwrap_or_else(|message| {
            self.add_finding(Severity::Error, Some(column), message);
            T::default()
        })
    }

    /// Returns whether the row has an error.
    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|(severity, _)| *severity == Severity::Error)
    }
}

/// Parses the CRN.
pub(super) fn crn(cells: &mut Cells<'_>) -> Option<Crn> {
    cells.read(Column::Crn, |cell| match cell {
        "" => Err("CRN is missing".into()),
        _ => Crn::parse(cell).map(Some).map_err(|_| "CRN must be at most 24 letters, digits, `.` and `_`".into()),
    })
}

/// Parses the term.
pub(super) fn term(cells: &mut Cells<'_>) -> Option<TermId> {
    cells.read(Column::Term, |cell| match cell {
        "" => Err("Term is missing".into()),
        _ => TermId::parse(cell).map(Some).map_err(|_| {
            "Term must be at most 24 letters, digits, `.`, `_` and `-`; ?term= sets one for all rows".into()
        }),
    })
}

/// Parses all cells but the CRN and the term.
pub(super) fn read(cells: &mut Cells<'_>) -> Row {
    let (course, section) = course_and_section(cells);
    let credits = cells.read(Column::Credits, text::credits);
    if let Some((_, Some(warning))) = &credits {
        cells.add_finding(Severity::Warning, Some(Column::Credits), warning);
    }
    Row {
        line: cells.line,
        course,
        component: cells.read(Column::Component, text::component).unwrap_or_else(|| DEFAULT_COMPONENT.into()),
        section,
        title: cells.read(Column::Title, text::text),
        credits: credits.map(|(c, _)| c.0),
        instructor: cells.read(Column::Instructor, text::instructor),
        instructors: text::instructors(cells.get(Column::Instructor)),
        method: cells.read(Column::Method, text::text),
        campus: cells.read(Column::Campus, text::text),
        capacity: count(cells, Column::Capacity, "Capacity"),
        waitlist_capacity: count(cells, Column::WaitlistCapacity, "Waitlist capacity"),
        enrolled: count(cells, Column::Enrolled, "Enrolled"),
        waitlisted: count(cells, Column::Waitlisted, "Waitlisted"),
        linked: cells.read(Column::Linked, linked),
        prerequisites: prerequisites(cells),
        meeting: meeting(cells),
    }
}

/// Parses a count; `name` begins its error messages.
fn count(cells: &mut Cells<'_>, column: Column, name: &str) -> Option<u32> {
    cells.read(column, |cell| text::count(cell).map_err(|problem| format!("{name} {problem}")))
}

fn course_and_section(cells: &mut Cells<'_>) -> (String, Option<String>) {
    let section = cells.read(Column::Section, text::text);
    let (subject, number) = (cells.get(Column::Subject), cells.get(Column::Number));
    if cells.header.has(Column::Subject)
        && cells.header.has(Column::Number)
        && !(subject.is_empty() && number.is_empty())
    {
        let column = if subject.is_empty() { Column::Subject } else { Column::Number };
        let course = cells.read(column, |_| match (subject, number) {
            ("", _) => Err("Subject is missing".into()),
            (_, "") => Err("Course number is missing".into()),
            _ => course::join(subject, number),
        });
        return (course, section);
    }
    let column = if cells.header.has(Column::Course) { Column::Course } else { Column::Subject };
    let read = cells.read(column, |cell| course::split(cell).map(|c| (c.name, c.section)));
    (read.0, section.or(read.1))
}

fn linked(cell: &str) -> Result<Vec<String>, String> {
    let mut linked = Vec::new();
    for item in text::list(cell, &[',', ';', '|', '/', ' '])? {
        // The term of a full id is ignored: links stay within a term.
        let crn = SectionId::parse(item).map(|id| id.crn).or_else(|_| Crn::parse(item));
        linked.push(crn.map_err(|_| format!("{item:?} is not a CRN"))?.to_string());
    }
    Ok(linked)
}

fn prerequisites(cells: &mut Cells<'_>) -> Vec<String> {
    let cell = cells.get(Column::Prerequisites);
    let Ok(items) = text::list(cell, &[',', ';', '|']) else {
        cells.add_finding(
            Severity::Warning,
            Some(Column::Prerequisites),
            "Too many courses: prerequisites are not imported",
        );
        return Vec::new();
    };
    let courses: Option<Vec<String>> = items
        .into_iter()
        .map(|item| course::split(item).ok().map(|c| c.name).filter(|name| course::is_course(name)))
        .collect();
    courses.unwrap_or_else(|| {
        let message = "Not a list of courses, such as MATH 100; MATH 101: prerequisites are not imported";
        cells.add_finding(Severity::Warning, Some(Column::Prerequisites), message);
        Vec::new()
    })
}

fn meeting(cells: &mut Cells<'_>) -> Option<MeetingRow> {
    let days = cells.read(Column::Days, days::days).bits();
    let separate_cells = cells.header.has(Column::StartTime) && text::is_unknown(cells.get(Column::Time));
    let ((start, end), warning) = if separate_cells {
        let end = cells.get(Column::EndTime);
        cells.read(Column::StartTime, |start| times::pair(start, end))
    } else {
        cells.read(Column::Time, times::range)
    };
    if let Some(warning) = warning {
        let column = if separate_cells { Column::EndTime } else { Column::Time };
        cells.add_finding(Severity::Warning, Some(column), warning);
    }
    let (starts_on, ends_on) = if cells.header.has(Column::DateRange) && !cells.get(Column::DateRange).is_empty() {
        cells.read(Column::DateRange, dates::range)
    } else {
        let starts_on = cells.read(Column::Start, dates::single);
        let ends_on = cells.read(Column::End, dates::single);
        if let (Some(first), Some(last)) = (starts_on, ends_on)
            && last < first
        {
            cells.add_finding(Severity::Error, Some(Column::End), "The end date is before the start date");
        }
        (starts_on, ends_on)
    };
    let location = cells.read(Column::Location, text::text);
    let meeting = MeetingRow { days, start, end, starts_on, ends_on, location };
    (meeting != MeetingRow::default()).then_some(meeting)
}
