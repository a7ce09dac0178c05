//! Parses a row of a schedule into typed values, and collects an error or warning for each problem in its cells.

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::domain::command::StatedFields;
use crate::domain::ids::TermId;
use crate::domain::import::Finding;
use crate::domain::meeting::{Days, Meeting};
use crate::domain::reservation::Reservation;
use crate::domain::restriction::Restriction;
use crate::domain::section::SectionStatus;
use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::{CountField, CountProblem};
use crate::imports::schedule::Severity;

use crate::imports::csv::columns::{Column, Header, normalized};
use crate::imports::csv::component::DEFAULT_COMPONENT;
use crate::imports::csv::course::Course;
use crate::imports::csv::meetings::Format;
use crate::imports::csv::remarks::Remark;
use crate::imports::csv::status::FileStatus;
use crate::imports::csv::{component, conditions, course, crn, instructors, meetings, prerequisites, status, text};

/// The maximum length of an unknown status in a warning, in characters.
const STATUS_CHARS_MAX: usize = 40;

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
    /// The status, if the file states one that is known.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<SectionStatus>,
    /// The sections that share one class, as the file names them.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub(super) cross_listed: Option<String>,
    /// The seats of these sections together.
    #[serde(rename = "gc", default, skip_serializing_if = "Option::is_none")]
    pub(super) cross_listed_capacity: Option<u32>,
    #[serde(rename = "rs", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) reserved: Vec<Reservation>,
    #[serde(rename = "rr", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) restrictions: Vec<Restriction>,
    #[serde(rename = "rl", default, skip_serializing_if = "Option::is_none")]
    pub(super) repeat_limit: Option<u32>,
    /// The fields that the file has columns for.
    #[serde(rename = "j")]
    pub(super) stated: StatedFields,
    /// Whether the row continues the section above, to which its instructors are added.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_continuation: bool,
    /// Whether the hub exported the row.
    #[serde(rename = "v", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_exported: bool,
    /// The identifier in the file, if it is not the CRN under which the section is imported.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub(super) original_crn: Option<String>,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) meetings: Vec<MeetingRow>,
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

/// The cells of a record, and the errors, warnings and remarks about them.
pub(super) struct Cells<'r> {
    header: &'r Header,
    record: &'r csv::StringRecord,
    /// The derived cells of the record; see [`Header::derived_cells`].
    derived: &'r [String],
    line: u64,
    report: RowReport,
}

/// The findings and remarks about a row.
#[derive(Debug, Default)]
pub(super) struct RowReport {
    /// Errors and warnings, in order of discovery.
    pub(super) findings: Vec<(Severity, Finding)>,
    /// Remarks, each with the index of its column.
    pub(super) remarks: Vec<(Remark, Option<usize>)>,
}

impl<'r> Cells<'r> {
    pub(super) fn new(header: &'r Header, record: &'r csv::StringRecord, derived: &'r [String], line: u64) -> Self {
        Self { header, record, derived, line, report: RowReport::default() }
    }

    pub(super) fn header(&self) -> &'r Header {
        self.header
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns what was found.
    pub(super) fn into_report(self) -> RowReport {
        self.report
    }

    /// Returns the trimmed cell at an index; empty if the record is shorter.
    pub(super) fn cell(&self, index: usize) -> &'r str {
        let derived = index.checked_sub(self.header.names().len()).and_then(|derived| self.derived.get(derived));
        derived.map(String::as_str).or_else(|| self.record.get(index)).unwrap_or_default().trim()
    }

    /// Returns the trimmed cell; empty if the file has no such column.
    pub(super) fn get(&self, column: Column) -> &'r str {
        self.header.at(column).map_or("", |index| self.cell(index))
    }

    /// Returns the weekdays that are marked in the columns for single weekdays.
    pub(super) fn marked_days(&self) -> u8 {
        let is_marked =
            |cell: &str| !text::is_unknown(cell) && !["n", "no", "0", "false"].contains(&&*cell.to_lowercase());
        let marked = self.header.weekdays().iter().filter(|(_, index)| is_marked(self.cell(*index)));
        marked.fold(0, |days, (day, _)| days | 1 << day)
    }

    /// Adds a finding about a cell, or about the row if `column` is `None`.
    pub(super) fn add_finding(&mut self, severity: Severity, column: Option<Column>, kind: &FindingKind) {
        match column.map(|column| (column, self.header.at(column))) {
            Some((_, Some(index))) => self.add_finding_at(severity, index, kind),
            // The name of the missing column shows what to add.
            Some((column, None)) => self.push(severity, Some(column.names()[0]), Some(""), kind),
            None => self.push(severity, None, None, kind),
        }
    }

    /// Adds a finding about the cell at an index.
    pub(super) fn add_finding_at(&mut self, severity: Severity, index: usize, kind: &FindingKind) {
        let value = self.cell(index);
        self.push(severity, Some(&self.header.name_at(index)), Some(value), kind);
    }

    fn push(&mut self, severity: Severity, column: Option<&str>, value: Option<&str>, kind: &FindingKind) {
        self.report.findings.push((severity, kind.of_cell(self.line, column, value)));
    }

    /// Adds a remark about the cell at an index.
    pub(super) fn add_remark(&mut self, remark: Remark, index: usize) {
        self.report.remarks.push((remark, Some(index)));
    }

    /// Adds a remark about the row.
    pub(super) fn add_row_remark(&mut self, remark: Remark) {
        self.report.remarks.push((remark, None));
    }

    /// Adds an error about a cell whose column may be unknown to the importer.
    pub(super) fn add_error_at(&mut self, name: Option<&String>, value: &str, kind: &FindingKind) {
        let value = value.replace(|c: char| c.is_control(), "\u{fffd}");
        self.push(Severity::Error, name.map(String::as_str), Some(&value), kind);
    }

    /// Parses a cell. If that fails, adds the error and returns the default, so that all errors of the row are found.
    pub(super) fn read<T: Default>(
        &mut self,
        column: Column,
        read: impl FnOnce(&'r str) -> Result<T, FindingKind>,
    ) -> T {
        read(self.get(column)).unwrap_or_else(|kind| {
            self.add_finding(Severity::Error, Some(column), &kind);
            T::default()
        })
    }

    /// Parses the cell at an index. If that fails, adds the error and returns the default.
    pub(super) fn read_at<T: Default>(
        &mut self,
        index: usize,
        read: impl FnOnce(&'r str) -> Result<T, FindingKind>,
    ) -> T {
        read(self.cell(index)).unwrap_or_else(|kind| {
            self.add_finding_at(Severity::Error, index, &kind);
            T::default()
        })
    }

    /// Returns whether the row has an error.
    pub(super) fn has_errors(&self) -> bool {
        self.report.findings.iter().any(|(severity, _)| *severity == Severity::Error)
    }
}

/// Parses the term.
pub(super) fn term(cells: &mut Cells<'_>) -> Option<TermId> {
    cells.read(Column::Term, |cell| match cell {
        "" => Err(FindingKind::TermMissing),
        // `Fall 2031` becomes `Fall-2031`.
        _ => TermId::parse(&cell.split_whitespace().collect::<Vec<_>>().join("-"))
            .map(Some)
            .map_err(|_| FindingKind::TermForm),
    })
}

/// Parses all cells but the CRN and the term.
pub(super) fn read(cells: &mut Cells<'_>, format: Format) -> Row {
    let Course { name: course, section, title: course_title } = course_and_section(cells);
    let title = cells.read(Column::Title, text::text).or(course_title);
    let component = component(cells, section.as_deref(), title.as_deref());
    let section =
        section.map(|label| component::split_label(&label).map_or(label.clone(), |(label, _)| label.to_owned()));
    let is_no = |group: &String| ["0", "n", "no"].contains(&&*group.to_lowercase());
    let cross_listed = cells.read(Column::CrossListed, text::text).filter(|group| !is_no(group));
    // 0 is written where there is no combined capacity.
    let pool = CountField::CrossListedCapacity;
    let cross_listed_capacity = lenient(cells, Column::CrossListedCapacity, |cell| named(pool, text::count(cell)));
    let cross_listed_capacity = cross_listed_capacity.filter(|capacity| *capacity > 0);
    // Text such as "Also CD 830-1" becomes a group once all rows are known.
    let is_code = |group: &String| !group.contains(char::is_whitespace);
    if cross_listed.as_ref().is_some_and(|group| cross_listed_capacity.is_none() && is_code(group)) {
        cells.add_row_remark(Remark::CrossListed);
    }
    let credits = cells.read(Column::Credits, text::credits);
    if let Some((_, Some(warning))) = &credits {
        cells.add_finding(Severity::Warning, Some(Column::Credits), warning);
    }
    let RowSeats { capacity, enrolled, waitlisted, waitlist_capacity } = seats(cells);
    Row {
        line: cells.line,
        course,
        component,
        section,
        title,
        credits: credits.map(|(c, _)| c.0),
        instructor: cells.read(Column::Instructor, instructors::instructor),
        instructors: instructors::instructors(cells.get(Column::Instructor)),
        method: cells.read(Column::Method, text::text),
        campus: cells.read(Column::Campus, text::text),
        capacity,
        waitlist_capacity,
        enrolled,
        waitlisted,
        linked: {
            let own = cells.get(Column::Crn);
            cells.read(Column::Linked, |cell| crn::linked(cell, own))
        },
        prerequisites: prerequisites(cells),
        status: status(cells, format),
        cross_listed,
        cross_listed_capacity,
        reserved: lenient(cells, Column::Reserved, conditions::reserved),
        restrictions: lenient(cells, Column::Restrictions, conditions::restrictions),
        repeat_limit: lenient(cells, Column::RepeatLimit, conditions::repeat_limit),
        stated: stated(cells.header),
        is_continuation: false,
        is_exported: false,
        original_crn: crn::original(cells),
        meetings: meetings::read(cells, format),
    }
}

/// Parses the component. If the cell is blank, takes it from the label or the method, or infers it from the label and
/// the title.
pub(super) fn component(cells: &mut Cells<'_>, section: Option<&str>, title: Option<&str>) -> String {
    if let Some(component) = cells.read(Column::Component, component::parse) {
        return component;
    }
    // Colleague has the kind of class in the column of the method.
    let stated = component::known(cells.get(Column::Method));
    let in_label = section.and_then(|label| {
        component::split_label(label).map(|(_, component)| component).or_else(|| component::of_label(label))
    });
    if let Some(stated) = in_label.or(stated) {
        return stated.to_owned();
    }
    let Some(inferred) = component::infer(section, title) else { return DEFAULT_COMPONENT.to_owned() };
    cells.add_row_remark(Remark::Inferred(inferred));
    inferred.to_owned()
}

/// Returns the status: cancelled or open; `None` if the file states none that is known. Statuses that do not say whether
/// the section is taught cause a remark.
fn status(cells: &mut Cells<'_>, format: Format) -> Option<SectionStatus> {
    let index = cells.header.at(Column::Status)?;
    match status::parse(cells.cell(index), format.letter_c) {
        Ok(Some(FileStatus::Cancelled)) => return Some(SectionStatus::Cancelled),
        Ok(Some(FileStatus::Tentative)) => cells.add_remark(Remark::Tentative, index),
        // A blank cell says nothing, so it reopens no section that an earlier file cancelled.
        Ok(None) => return None,
        Ok(Some(FileStatus::Active)) => {}
        // `12 of 30 seats remain`.
        Err(()) if text::remaining_seats(cells.cell(index)).is_some() => {}
        Err(()) => {
            let status = cells.cell(index).chars().take(STATUS_CHARS_MAX).collect();
            cells.add_remark(Remark::UnknownStatus(status), index);
            return None;
        }
    }
    Some(SectionStatus::Open)
}

/// The seats of a row.
#[derive(Debug, Default)]
struct RowSeats {
    capacity: Option<u32>,
    enrolled: Option<u32>,
    waitlisted: Option<u32>,
    waitlist_capacity: Option<u32>,
}

/// Parses capacity, enrolled, waitlisted and the waitlist's capacity, which may share a cell. If the capacity or the
/// enrolled number is missing, it is computed from the other one and the free seats.
fn seats(cells: &mut Cells<'_>) -> RowSeats {
    let mut read = |column, field| cells.read(column, |cell| named(field, text::seats(cell)));
    let (seats, enrolled) =
        (read(Column::Capacity, CountField::Capacity), read(Column::Enrolled, CountField::Enrolled));
    // `2/10` has the capacity of the waitlist, too.
    let waitlist = read(Column::Waitlisted, CountField::Waitlisted);
    let waitlisted = waitlist.map(|waitlist| waitlist.first.unwrap_or(waitlist.capacity));
    let waitlisted = waitlisted.or(seats.and_then(|seats| seats.waitlisted));
    let waitlist_capacity = count(cells, Column::WaitlistCapacity, CountField::WaitlistCapacity)
        .or(waitlist.and_then(|waitlist| waitlist.first.map(|_| waitlist.capacity)));
    let enrolled = enrolled.map(|enrolled| enrolled.first.unwrap_or(enrolled.capacity));
    let free = text::free_seats(cells.get(Column::Available));
    let bounded = |number: i64| u32::try_from(number).ok().filter(|number| *number <= text::COUNT_MAX);
    let Some(index) = cells.header.at(Column::Capacity) else {
        let sum = enrolled.zip(free).and_then(|(enrolled, free)| bounded(i64::from(enrolled) + free));
        return RowSeats { capacity: sum, enrolled, waitlisted, waitlist_capacity };
    };
    let name = normalized(&cells.header.name_at(index));
    let has_free = ["avail", "open", "remain", "left", "free"].iter().any(|word| name.contains(word))
        || ["rem", "seatsrem"].iter().any(|start| name.starts_with(start))
        || name == "seats";
    let capacity = seats.map(|seats| seats.capacity);
    let taken = seats.and_then(|seats| {
        let has_free = has_free || seats.is_free;
        seats.first.map(|first| if has_free { seats.capacity.saturating_sub(first) } else { first })
    });
    let rest = || capacity.zip(free).and_then(|(capacity, free)| bounded(i64::from(capacity) - free));
    RowSeats { capacity, enrolled: enrolled.or(taken).or_else(rest), waitlisted, waitlist_capacity }
}

/// Parses a count.
pub(super) fn count(cells: &mut Cells<'_>, column: Column, field: CountField) -> Option<u32> {
    cells.read(column, |cell| named(field, text::count(cell)))
}

/// Adds the name of the column to the error of a count.
fn named<T>(field: CountField, read: Result<T, CountProblem>) -> Result<T, FindingKind> {
    read.map_err(|problem| FindingKind::Count { field, problem })
}

/// Parses the course, and the section from its own column or from the course's.
pub(super) fn course_and_section(cells: &mut Cells<'_>) -> Course {
    // One column may contain both.
    let is_in_course = cells.header.at(Column::Section) == cells.header.at(Column::Course);
    let section = if is_in_course { None } else { cells.read(Column::Section, text::text) };
    let (subject, number) = (cells.get(Column::Subject), cells.get(Column::Number));
    let course = cells.get(Column::Course);
    let split =
        if cells.header.has(Column::Section) && !is_in_course { course::split } else { course::split_with_letters };
    let named = |course: Course| Course { section: section.clone().or(course.section), ..course };
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '&'));
    // `Course` is the number beside a subject, or the subject beside a number, in some systems.
    let parts = match (subject, number) {
        (_, "") if is_word(subject) && course::is_number_only(course) => Some((Column::Course, subject, course)),
        ("", _) if is_word(course) && !number.is_empty() => Some((Column::Number, course, number)),
        _ => None,
    };
    if let Some((column, subject, number)) = parts {
        let name = cells.read(column, |_| course::join(subject, number));
        return Course { name, section, title: None };
    }
    if course::is_whole(number) {
        return named(cells.read(Column::Number, split));
    }
    if cells.header.has(Column::Subject)
        && cells.header.has(Column::Number)
        && !(subject.is_empty() && number.is_empty())
    {
        let column = if subject.is_empty() { Column::Subject } else { Column::Number };
        return named(cells.read(column, |_| match (subject, number) {
            ("", _) => Err(FindingKind::SubjectMissing),
            (_, "") => Err(FindingKind::NumberMissing),
            _ if number.contains(['-', '*']) && section.is_none() => course::split(&format!("{subject} {number}")),
            _ => Ok(Course { name: course::join(subject, number)?, ..Course::default() }),
        }));
    }
    let column = if cells.header.has(Column::Course) { Column::Course } else { Column::Subject };
    named(cells.read(column, split))
}

/// Parses a cell. A cell in another form yields a warning and the default, because columns of other systems may have
/// the same name.
fn lenient<'r, T: Default>(
    cells: &mut Cells<'r>,
    column: Column,
    read: impl FnOnce(&'r str) -> Result<T, FindingKind>,
) -> T {
    read(cells.get(column)).unwrap_or_else(|kind| {
        cells.add_finding(Severity::Warning, Some(column), &FindingKind::NotImported { what: Box::new(kind) });
        T::default()
    })
}

/// Returns the fields for which the file has columns, among those that staff can also set in the hub.
pub(super) fn stated(header: &Header) -> StatedFields {
    StatedFields {
        linked: header.has(Column::Linked),
        cross_listed: header.has(Column::CrossListed),
        reserved: header.has(Column::Reserved),
        restrictions: header.has(Column::Restrictions),
        repeat_limit: header.has(Column::RepeatLimit),
        prerequisites: header.has(Column::Prerequisites),
    }
}

fn prerequisites(cells: &mut Cells<'_>) -> Vec<String> {
    let read = prerequisites::read(cells.get(Column::Prerequisites));
    if let Some(warning) = read.warning {
        cells.add_finding(Severity::Warning, Some(Column::Prerequisites), &warning);
    }
    read.required
}
