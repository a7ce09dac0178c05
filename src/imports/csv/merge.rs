//! Rows of one CRN become one section: its own fields from the first row, a meeting from each.

use std::sync::Arc;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::import::Finding;
use crate::domain::section::{Credits, Section, SectionStatus};
use crate::imports::schedule::{FileSection, ScheduleError, Severity};

use crate::imports::csv::columns::{Column, Header};
use crate::imports::csv::conflicts;
use crate::imports::csv::row::{MeetingRow, Row};
use crate::imports::csv::scratch::Scratch;

/// The most different meetings of one section: a lab on 40 single dates is real, a thousand are a broken file.
pub(super) const MEETINGS_MAX: usize = 200;

/// A merged section as the scratch database keeps it.
#[derive(Serialize, Deserialize)]
struct Merged {
    own: Row,
    meetings: Vec<MeetingRow>,
}

/// Merges every section whose rows were all taken, and notes the rooms and persons that it uses. Answers how many.
pub(super) fn merge(
    scratch: &Scratch,
    header: &Header,
    go_on: &mut dyn FnMut(u64) -> Result<(), ScheduleError>,
) -> Result<u64, ScheduleError> {
    let mut statement = scratch.db.prepare("SELECT crn, body FROM row INDEXED BY row_crn ORDER BY crn, line")?;
    let mut rows = statement.query([])?;
    let mut current: Option<(String, Merged, bool)> = None;
    let mut sections = 0;
    while let Some(found) = rows.next()? {
        let crn: String = found.get(0)?;
        let row: Row = serde_json::from_str(found.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
        match &mut current {
            Some((at, merged, whole)) if *at == crn => {
                join(scratch, header, merged, &row)?;
                *whole = *whole && add_meeting(scratch, at, merged, row)?;
            }
            _ => {
                sections += finish(scratch, current.take())?;
                go_on(sections)?;
                current = Some(begin(scratch, header, crn, row)?);
            }
        }
    }
    sections += finish(scratch, current)?;
    Ok(sections)
}

/// Starts a section with its first row. (The flag: whether all its rows are taken so far.)
fn begin(
    scratch: &Scratch,
    header: &Header,
    crn: String,
    mut row: Row,
) -> Result<(String, Merged, bool), ScheduleError> {
    let refused = scratch.refused_line(&crn)?;
    if let Some(line) = refused {
        let message = format!("CRN {crn} is left out as a whole, because its row in line {line} is refused");
        scratch.note(Severity::Warning, &finding(&row, None, None, message))?;
    } else {
        conflicts::note_uses(scratch, &crn, &row)?;
        if row.capacity.is_none() {
            let message = "an empty capacity counts as 0".to_owned();
            scratch.note(Severity::Warning, &finding(&row, header.name(Column::Capacity), None, message))?;
        }
    }
    let meetings = row.meeting.take().into_iter().collect();
    Ok((crn, Merged { own: row, meetings }, refused.is_none()))
}

/// Compares a later row's own fields with the first row's, which count.
fn join(scratch: &Scratch, header: &Header, merged: &Merged, row: &Row) -> Result<(), ScheduleError> {
    for (column, first, later) in differences(&merged.own, row) {
        let line = merged.own.line;
        let message = format!("the rows of one CRN differ here; the first of them, line {line}, counts with {first:?}");
        let name = header.name(column).unwrap_or(column.names()[0]);
        scratch.note(Severity::Warning, &finding(row, Some(name), Some(&later), message))?;
    }
    Ok(())
}

/// Adds a later row's meeting, unless it is there already. Answers whether the section can still be taken.
fn add_meeting(scratch: &Scratch, crn: &str, merged: &mut Merged, mut row: Row) -> Result<bool, ScheduleError> {
    if row.meeting.as_ref().is_none_or(|m| merged.meetings.contains(m)) {
        return Ok(true);
    }
    if merged.meetings.len() == MEETINGS_MAX {
        let message = format!("one section has more than {MEETINGS_MAX} different meetings");
        scratch.note(Severity::Error, &finding(&row, None, None, message))?;
        return Ok(false);
    }
    conflicts::note_uses(scratch, crn, &row)?;
    merged.meetings.extend(row.meeting.take());
    Ok(true)
}

fn finish(scratch: &Scratch, section: Option<(String, Merged, bool)>) -> Result<u64, ScheduleError> {
    let Some((crn, merged, true)) = section else { return Ok(0) };
    let body = serde_json::to_string(&merged)?;
    scratch.db.prepare_cached("INSERT INTO section VALUES(?,?)")?.execute(params![crn, body])?;
    Ok(1)
}

fn finding(row: &Row, column: Option<&str>, value: Option<&str>, message: String) -> Finding {
    Finding { line: row.line, column: column.map(Into::into), value: value.map(Into::into), message }
}

/// The own fields in which a later row says something else; a blank beside a first row's text is something else too.
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
    // Every field is named, so that a new one does not compile until it is decided whether rows may differ in it.
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
        line: _,
        persons: _,
        meeting: _,
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
    compare(Column::Linked, list(linked), list(&later.linked));
    compare(Column::Prerequisites, list(prerequisites), list(&later.prerequisites));
    found
}

/// Walks the merged sections in order of CRN.
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

fn staged(term: &TermId, crn: &str, merged: Merged) -> Result<FileSection, ScheduleError> {
    let id = |crn: &str| {
        let crn = Crn::parse(crn).map_err(|e| ScheduleError::Scratch(e.to_string()))?;
        Ok::<_, ScheduleError>(SectionId { term: term.clone(), crn })
    };
    let own = merged.own;
    // A file without either column tells no totals; one with a blank cell beside a number means none.
    let totals = (own.enrolled.is_some() || own.waitlisted.is_some())
        .then(|| (own.enrolled.unwrap_or(0), own.waitlisted.unwrap_or(0)));
    let section = Section {
        id: id(crn)?,
        course: own.course.into(),
        component: own.component.into(),
        section: own.section.map(Into::into),
        title: own.title.map(Into::into),
        credits: Credits(own.credits.unwrap_or(0)),
        instructor: own.instructor.map(Into::into),
        method: own.method.map(Into::into),
        campus: own.campus.map(Into::into),
        meetings: merged.meetings.into_iter().map(MeetingRow::into_domain).collect(),
        capacity: own.capacity.unwrap_or(0),
        waitlist_capacity: own.waitlist_capacity.unwrap_or(0),
        status: SectionStatus::Open,
        linked: own.linked.iter().map(|crn| id(crn)).collect::<Result<_, _>>()?,
        prerequisites: own.prerequisites.into_iter().map(Into::into).collect(),
        withdrawn: false,
    };
    Ok(FileSection { section: Arc::new(section), totals })
}
