//! Merges the rows of one CRN into a section: its fields come from the first row, and each row adds its meetings.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::pool::CrossListing;
use crate::domain::reservation::Reservation;
use crate::domain::restriction::Restriction;
use crate::domain::section::{Credits, Section, SectionStatus};
use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::{FileSection, ScheduleError, Severity};

use crate::imports::csv::columns::{Column, Header};
use crate::imports::csv::conflicts::SectionUses;
use crate::imports::csv::row::{MeetingRow, Row};
use crate::imports::csv::scratch::Scratch;
use crate::imports::csv::{conditions, instructors};

/// The maximum number of different meetings of a section. Real labs have up to 40 single dates; a thousand are an error
/// in the file.
pub(super) const MEETINGS_MAX: usize = 200;

/// A merged section as stored in the scratch database.
#[derive(Serialize, Deserialize)]
struct Merged {
    /// The first row, whose fields are the section's.
    first: Row,
    meetings: Vec<MeetingRow>,
}

/// A section whose rows have not all been read yet.
struct Current {
    crn: String,
    merged: Merged,
    uses: SectionUses,
    is_importable: bool,
}

/// Merges the rows of each section that has no rejected row, and records the rooms and instructors that it uses.
/// Returns the number of sections.
pub(super) fn merge(
    scratch: &Scratch,
    header: &Header,
    check_cancelled: &mut dyn FnMut() -> Result<(), ScheduleError>,
) -> Result<u64, ScheduleError> {
    let mut statement = scratch.db.prepare("SELECT crn, body FROM row INDEXED BY row_crn ORDER BY crn, line")?;
    let mut rows = statement.query([])?;
    let mut current: Option<Current> = None;
    let mut sections = 0;
    while let Some(found) = rows.next()? {
        let crn: String = found.get(0)?;
        let row: Row = serde_json::from_str(found.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
        match &mut current {
            Some(current) if current.crn == crn => {
                // A row that continues the section has its fields from the row above.
                if !row.is_continuation {
                    warn_about_differences(scratch, header, &current.merged, &row)?;
                }
                current.is_importable = current.is_importable && add_meetings(scratch, current, row)?;
            }
            _ => {
                sections += finish(scratch, current.take(), sections)?;
                check_cancelled()?;
                current = Some(begin(scratch, header, crn, row)?);
            }
        }
    }
    sections += finish(scratch, current, sections)?;
    Ok(sections)
}

/// Starts a section with its first row. It cannot be imported if one of its rows is rejected.
fn begin(scratch: &Scratch, header: &Header, crn: String, mut row: Row) -> Result<Current, ScheduleError> {
    let mut uses = SectionUses::default();
    let rejected_line = scratch.first_rejected_line(&crn)?;
    if let Some(line) = rejected_line {
        let kind = FindingKind::SectionRejected { crn: crn.clone(), line };
        scratch.add_finding(Severity::Warning, &kind.of_line(row.line))?;
    } else {
        uses.add(&crn, &row);
        if row.capacity.is_none() {
            let name = header.name(Column::Capacity);
            let finding = FindingKind::EmptyCapacity.of_cell(row.line, name.as_deref(), None);
            scratch.add_finding(Severity::Warning, &finding)?;
        }
    }
    let meetings = std::mem::take(&mut row.meetings);
    Ok(Current { crn, merged: Merged { first: row, meetings }, uses, is_importable: rejected_line.is_none() })
}

/// Adds a warning for each field in which a later row differs from the first row.
fn warn_about_differences(scratch: &Scratch, header: &Header, merged: &Merged, row: &Row) -> Result<(), ScheduleError> {
    for (column, first, later) in differences(&merged.first, row) {
        let kind = FindingKind::RowsDiffer { value: first, line: merged.first.line };
        let name = header.name(column).unwrap_or_else(|| column.names()[0].to_owned());
        scratch.add_finding(Severity::Warning, &kind.of_cell(row.line, Some(&name), Some(&later)))?;
    }
    Ok(())
}

/// Adds a later row's meetings that the section does not have. Returns whether the section can still be imported.
fn add_meetings(scratch: &Scratch, current: &mut Current, mut row: Row) -> Result<bool, ScheduleError> {
    let Current { crn, merged, uses, .. } = current;
    row.meetings.retain(|meeting| !merged.meetings.contains(meeting));
    if merged.meetings.len() + row.meetings.len() > MEETINGS_MAX {
        let kind = FindingKind::TooManyMeetings { max: MEETINGS_MAX };
        scratch.add_finding(Severity::Error, &kind.of_line(row.line))?;
        return Ok(false);
    }
    if row.original_crn != merged.first.original_crn {
        let kind = FindingKind::SameCrn { line: merged.first.line, crn: crn.clone() };
        scratch.add_finding(Severity::Error, &kind.of_line(row.line))?;
        return Ok(false);
    }
    uses.add(crn, &row);
    if row.is_continuation {
        add_instructors(&mut merged.first, &row.instructors);
    }
    merged.meetings.append(&mut row.meetings);
    Ok(true)
}

/// Adds the instructors of a row that continues a section.
fn add_instructors(first: &mut Row, names: &[String]) {
    let new: Vec<&String> = names.iter().filter(|name| !first.instructors.contains(name)).collect();
    if !new.is_empty() {
        let all: Vec<String> = first.instructors.iter().chain(new).cloned().collect();
        first.instructor = instructors::joined_names(&all);
        first.instructors = all;
    }
}

/// Stores a section, and the rooms and instructors that it uses. Returns the number of stored sections: 0 or 1.
fn finish(scratch: &Scratch, section: Option<Current>, number: u64) -> Result<u64, ScheduleError> {
    let Some(Current { crn, merged, uses, is_importable: true }) = section else { return Ok(0) };
    uses.store(scratch, number)?;
    let body = serde_json::to_string(&merged)?;
    scratch.db.prepare_cached("INSERT INTO section VALUES(?,?)")?.execute(params![crn, body])?;
    Ok(1)
}

/// Returns the fields in which two rows differ, with both values. A blank differs from text.
fn differences(first: &Row, later: &Row) -> Vec<(Column, String, String)> {
    let mut found = Vec::new();
    let mut compare = |column, first: Option<String>, later: Option<String>| {
        if first != later {
            found.push((column, first.unwrap_or_default(), later.unwrap_or_default()));
        }
    };
    let list = |items: &[String]| (!items.is_empty()).then(|| items.join(", "));
    let people = |n: Option<u32>| n.map(|n| n.to_string());
    let number = |n: Option<u32>| n.map(|n| Credits(n).as_f64().to_string());
    // Names every field, so that the code does not compile until a new field is compared or ignored here.
    let Row {
        course,
        component,
        section,
        title,
        credits,
        instructor,
        method,
        campus,
        capacity,
        waitlist_capacity,
        enrolled,
        waitlisted,
        linked,
        prerequisites,
        status,
        // Partners of a class may each list the others.
        cross_listed: _,
        cross_listed_capacity: _,
        reserved,
        restrictions,
        repeat_limit,
        stated: _,
        is_continuation: _,
        is_exported: _,
        original_crn: _,
        line: _,
        instructors: _,
        meetings: _,
    } = first;
    compare(Column::Course, Some(course.clone()), Some(later.course.clone()));
    compare(Column::Component, Some(component.clone()), Some(later.component.clone()));
    compare(Column::Section, section.clone(), later.section.clone());
    compare(Column::Title, title.clone(), later.title.clone());
    compare(Column::Credits, number(*credits), number(later.credits));
    compare(Column::Instructor, instructor.clone(), later.instructor.clone());
    compare(Column::Method, method.clone(), later.method.clone());
    compare(Column::Campus, campus.clone(), later.campus.clone());
    compare(Column::Capacity, people(*capacity), people(later.capacity));
    compare(Column::WaitlistCapacity, people(*waitlist_capacity), people(later.waitlist_capacity));
    compare(Column::Enrolled, people(*enrolled), people(later.enrolled));
    compare(Column::Waitlisted, people(*waitlisted), people(later.waitlisted));
    let status_text = |status: Option<SectionStatus>| status.map(|status| status.as_str().to_owned());
    compare(Column::Status, status_text(*status), status_text(later.status));
    compare(Column::Linked, list(linked), list(&later.linked));
    compare(Column::Prerequisites, list(prerequisites), list(&later.prerequisites));
    let seats = |reserved: &[Reservation]| (!reserved.is_empty()).then(|| conditions::reserved_text(reserved));
    compare(Column::Reserved, seats(reserved), seats(&later.reserved));
    let texts = |all: &[Restriction]| list(&all.iter().map(ToString::to_string).collect::<Vec<_>>());
    compare(Column::Restrictions, texts(restrictions), texts(&later.restrictions));
    compare(Column::RepeatLimit, people(*repeat_limit), people(later.repeat_limit));
    found
}

/// Visits the merged sections in order of CRN.
pub(super) fn each_section(
    scratch: &Scratch,
    term: &TermId,
    f: &mut dyn FnMut(FileSection) -> Result<(), ScheduleError>,
) -> Result<(), ScheduleError> {
    let mut statement = scratch.db.prepare("SELECT crn, body FROM section ORDER BY crn")?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let crn: String = found.get(0)?;
        let merged: Merged = serde_json::from_str(found.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
        f(staged(term, &crn, merged)?)?;
    }
    Ok(())
}

/// Returns one section; `None` if the file has none with this CRN that can be imported.
pub(super) fn section(scratch: &Scratch, term: &TermId, crn: &Crn) -> Result<Option<FileSection>, ScheduleError> {
    let mut statement = scratch.db.prepare_cached("SELECT body FROM section WHERE crn = ?")?;
    let body: Option<String> = statement.query_row([crn.as_str()], |row| row.get(0)).optional()?;
    body.map(|body| staged(term, crn.as_str(), serde_json::from_str(&body)?)).transpose()
}

fn staged(term: &TermId, crn: &str, merged: Merged) -> Result<FileSection, ScheduleError> {
    let id = |crn: &str| {
        let crn = Crn::parse(crn).map_err(|e| ScheduleError::Scratch(e.to_string()))?;
        Ok::<_, ScheduleError>(SectionId { term: term.clone(), crn })
    };
    let first = merged.first;
    // A row with neither cell has no totals; a blank cell beside a number is 0.
    let totals = (first.enrolled.is_some() || first.waitlisted.is_some())
        .then(|| (first.enrolled.unwrap_or(0), first.waitlisted.unwrap_or(0)));
    let section = Section {
        id: id(crn)?,
        original_crn: first.original_crn.map(Into::into),
        course: first.course.into(),
        component: first.component.into(),
        section: first.section.map(Into::into),
        title: first.title.map(Into::into),
        credits: Credits(first.credits.unwrap_or(0)),
        instructor: first.instructor.map(Into::into),
        method: first.method.map(Into::into),
        campus: first.campus.map(Into::into),
        meetings: merged.meetings.into_iter().map(MeetingRow::into_domain).collect(),
        capacity: first.capacity.unwrap_or(0),
        waitlist_capacity: first.waitlist_capacity.unwrap_or(0),
        status: first.status.unwrap_or(SectionStatus::Open),
        linked: first.linked.iter().map(|crn| id(crn)).collect::<Result<_, _>>()?,
        cross_listed: cross_listing(first.cross_listed, first.cross_listed_capacity),
        reserved: first.reserved,
        restrictions: first.restrictions,
        repeat_limit: first.repeat_limit,
        prerequisites: first.prerequisites.into_iter().map(Into::into).collect(),
        withdrawn: false,
    };
    Ok(FileSection {
        section: Arc::new(section),
        totals,
        line: first.line,
        stated: first.stated,
        states_status: first.status.is_some(),
        is_exported: first.is_exported,
    })
}

/// Returns the group of cross-listed sections that a row names.
fn cross_listing(group: Option<String>, capacity: Option<u32>) -> Option<CrossListing> {
    group.map(|group| CrossListing { group: group.into(), capacity })
}
