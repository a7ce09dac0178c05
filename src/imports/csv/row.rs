//! One row of a schedule: cells in, a typed row or what is wrong with each cell out.

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::import::Finding;
use crate::domain::meeting::{Days, Meeting};
use crate::imports::schedule::Severity;

use crate::imports::csv::columns::{Column, Header};
use crate::imports::csv::{course, dates, days, text, times};

/// The component of a file that has none.
const COMPONENT_UNTOLD: &str = "lecture";

/// A row as the scratch database keeps it: short names, nothing for what is not known, since there may be half a
/// million of them.
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
    /// Thousandths.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(super) credits: Option<u32>,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(super) instructor: Option<String>,
    /// The single persons of `instructor`.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) persons: Vec<String>,
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

/// A meeting as the scratch database keeps it.
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

/// The cells of one record, and what was found in them.
pub(super) struct Cells<'r> {
    header: &'r Header,
    record: &'r csv::StringRecord,
    line: u64,
    /// What was found, in the order of reading.
    pub(super) findings: Vec<(Severity, Finding)>,
}

impl<'r> Cells<'r> {
    pub(super) fn new(header: &'r Header, record: &'r csv::StringRecord, line: u64) -> Self {
        Self { header, record, line, findings: Vec::new() }
    }

    /// The trimmed cell; empty where the file has no such column.
    pub(super) fn get(&self, column: Column) -> &'r str {
        self.header.at(column).and_then(|i| self.record.get(i)).unwrap_or_default().trim()
    }

    /// Notes something about a cell, or about the row.
    pub(super) fn note(&mut self, severity: Severity, column: Option<Column>, message: impl Into<String>) {
        let finding = Finding {
            line: self.line,
            column: column.map(|c| self.header.name(c).unwrap_or(c.names()[0]).into()),
            value: column.map(|c| self.get(c).into()),
            message: message.into(),
        };
        self.findings.push((severity, finding));
    }

    /// Notes an error about a cell of any column, known or not.
    pub(super) fn note_at(&mut self, name: Option<&String>, value: &str, message: &str) {
        let finding = Finding {
            line: self.line,
            column: name.map(|n| n.as_str().into()),
            value: Some(value.replace(|c: char| c.is_control(), "\u{fffd}").into()),
            message: message.to_owned(),
        };
        self.findings.push((Severity::Error, finding));
    }

    /// Reads a cell; when that fails, notes why and goes on with the default, so that a row tells all its errors.
    pub(super) fn read<T: Default>(&mut self, column: Column, read: impl FnOnce(&'r str) -> Result<T, String>) -> T {
        read(self.get(column)).unwrap_or_else(|message| {
            self.note(Severity::Error, Some(column), message);
            T::default()
        })
    }

    /// Whether anything found keeps the row out.
    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|(severity, _)| *severity == Severity::Error)
    }
}

/// Reads the CRN, without which a row cannot be told from others.
pub(super) fn crn(cells: &mut Cells<'_>) -> Option<Crn> {
    cells.read(Column::Crn, |cell| match cell {
        "" => Err("the CRN is missing".into()),
        _ => Crn::parse(cell).map(Some).map_err(|_| "a CRN has up to 24 letters, digits, `.` and `_`".into()),
    })
}

/// Reads the term's cell.
pub(super) fn term(cells: &mut Cells<'_>) -> Option<TermId> {
    cells.read(Column::Term, |cell| match cell {
        "" => Err("the term is missing".into()),
        _ => TermId::parse(cell)
            .map(Some)
            .map_err(|_| "a term has up to 24 letters, digits, `.`, `_` and `-`; ?term= names one for all rows".into()),
    })
}

/// Reads the rest of a row.
pub(super) fn read(cells: &mut Cells<'_>) -> Row {
    let (course, section) = course_and_section(cells);
    let credits = cells.read(Column::Credits, text::credits);
    if let Some((_, Some(warning))) = &credits {
        cells.note(Severity::Warning, Some(Column::Credits), warning);
    }
    Row {
        line: cells.line,
        course,
        component: cells.read(Column::Component, text::component).unwrap_or_else(|| COMPONENT_UNTOLD.into()),
        section,
        title: cells.read(Column::Title, text::text),
        credits: credits.map(|(c, _)| c.0),
        instructor: cells.read(Column::Instructor, text::instructor),
        persons: text::persons(cells.get(Column::Instructor)),
        method: cells.read(Column::Method, text::text),
        campus: cells.read(Column::Campus, text::text),
        capacity: cells.read(Column::Capacity, text::people),
        waitlist_capacity: cells.read(Column::WaitlistCapacity, text::people),
        enrolled: cells.read(Column::Enrolled, text::people),
        waitlisted: cells.read(Column::Waitlisted, text::people),
        linked: cells.read(Column::Linked, linked),
        prerequisites: prerequisites(cells),
        meeting: meeting(cells),
    }
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
            ("", _) => Err("the subject is missing".into()),
            (_, "") => Err("the course number is missing".into()),
            _ => course::joined(subject, number),
        });
        return (course, section);
    }
    let column = if cells.header.has(Column::Course) { Column::Course } else { Column::Subject };
    let read = cells.read(column, |cell| course::apart(cell).map(|c| (c.name, c.section)));
    (read.0, section.or(read.1))
}

fn linked(cell: &str) -> Result<Vec<String>, String> {
    let mut linked = Vec::new();
    for item in text::list(cell, &[',', ';', '|', '/', ' '])? {
        // A whole id names its term too; links stay within a term.
        let crn = SectionId::parse(item).map(|id| id.crn).or_else(|_| Crn::parse(item));
        linked.push(crn.map_err(|_| format!("{item:?} is not a CRN"))?.to_string());
    }
    Ok(linked)
}

fn prerequisites(cells: &mut Cells<'_>) -> Vec<String> {
    let cell = cells.get(Column::Prerequisites);
    let Ok(items) = text::list(cell, &[',', ';', '|']) else {
        cells.note(Severity::Warning, Some(Column::Prerequisites), "too many courses: the cell is not read");
        return Vec::new();
    };
    let courses: Option<Vec<String>> = items
        .into_iter()
        .map(|item| course::apart(item).ok().map(|c| c.name).filter(|name| course::is_course(name)))
        .collect();
    courses.unwrap_or_else(|| {
        let why = "this is prose, not a list of courses such as MATH 100; MATH 101: it is not read";
        cells.note(Severity::Warning, Some(Column::Prerequisites), why);
        Vec::new()
    })
}

fn meeting(cells: &mut Cells<'_>) -> Option<MeetingRow> {
    let days = cells.read(Column::Days, days::days).bits();
    let from_two = cells.header.has(Column::StartTime) && text::is_unknown(cells.get(Column::Time));
    let ((start, end), warning) = if from_two {
        let end = cells.get(Column::EndTime);
        cells.read(Column::StartTime, |start| times::pair(start, end))
    } else {
        cells.read(Column::Time, times::range)
    };
    if let Some(warning) = warning {
        let column = if from_two { Column::EndTime } else { Column::Time };
        cells.note(Severity::Warning, Some(column), warning);
    }
    let (starts_on, ends_on) = if cells.header.has(Column::DateRange) && !cells.get(Column::DateRange).is_empty() {
        cells.read(Column::DateRange, dates::range)
    } else {
        let starts_on = cells.read(Column::Start, dates::single);
        let ends_on = cells.read(Column::End, dates::single);
        if let (Some(first), Some(last)) = (starts_on, ends_on)
            && last < first
        {
            cells.note(Severity::Error, Some(Column::End), "the range of dates ends before it starts");
        }
        (starts_on, ends_on)
    };
    let location = cells.read(Column::Location, text::text);
    let meeting = MeetingRow { days, start, end, starts_on, ends_on, location };
    (meeting != MeetingRow::default()).then_some(meeting)
}
