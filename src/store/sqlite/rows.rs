//! Converts between rows and the domain's values.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::domain::meeting::Meeting;
use crate::domain::offer::Offer;
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::reservation::ReservedCounts;
use crate::domain::section::{Credits, Section, SectionState, SectionStatus};
use crate::domain::term::Term;
use crate::store::meeting_json;
use crate::store::sqlite::content::AddedRows;

/// Returns the error for a column whose value cannot be parsed.
pub(super) fn unreadable(column: usize, what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

/// Reads a time, in milliseconds since the epoch.
pub(super) fn time_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?).map_err(|e| unreadable(column, e))
}

/// Reads a time that may be null.
pub(super) fn maybe_time_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let ms: Option<i64> = row.get(column)?;
    ms.map(|ms| Timestamp::from_millisecond(ms).map_err(|e| unreadable(column, e))).transpose()
}

pub(super) fn json_at<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|e| unreadable(column, e))
}

pub(super) fn maybe_json_at<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|e| unreadable(column, e))).transpose()
}

pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

fn date_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Date>> {
    let text: Option<String> = row.get(column)?;
    text.map(|t| t.parse().map_err(|e: jiff::Error| unreadable(column, e))).transpose()
}

fn boxed_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Box<str>>> {
    Ok(row.get::<_, Option<String>>(column)?.map(Into::into))
}

fn meetings_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Meeting>> {
    let text: String = row.get(column)?;
    meeting_json::parse(&text).map_err(|e| unreadable(column, e))
}

/// The columns of `terms` that [`term_at`] reads.
pub(super) const TERM_COLUMNS: &str =
    "id, title, starts_on, ends_on, opens_at, closes_at, holidays, seats_seq, generation, windows, cutoffs, offers";

/// Reads a term with its sequence and its visible generation.
pub(super) fn term_at(row: &Row<'_>) -> rusqlite::Result<(Term, u64, u64)> {
    let id: String = row.get(0)?;
    let term = Term {
        id: TermId::stored(&id).map_err(|e| unreadable(0, e))?,
        title: row.get::<_, String>(1)?.into(),
        starts_on: date_at(row, 2)?,
        ends_on: date_at(row, 3)?,
        opens_at: maybe_time_at(row, 4)?,
        closes_at: maybe_time_at(row, 5)?,
        windows: json_at(row, 9)?,
        holidays: json_at(row, 6)?,
        cutoffs: json_at(row, 10)?,
        offers: json_at(row, 11)?,
    };
    Ok((term, row.get(7)?, row.get(8)?))
}

/// Returns the sequence of a term's last commit; `None` for a term that the store does not have.
pub(super) fn term_seq(tx: &Connection, id: &TermId) -> rusqlite::Result<Option<u64>> {
    let mut seq = tx.prepare_cached("SELECT seats_seq FROM terms WHERE id = ?1")?;
    seq.query_row([id.as_str()], |row| row.get(0)).optional()
}

/// Writes a term that is new or changed, in the commit `seq`.
pub(super) fn put_term(tx: &Connection, term: &Term, seq: u64, generation: u64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO terms
             (id, title, starts_on, ends_on, opens_at, closes_at, holidays, seats_seq, generation, changed_seq,
              windows, cutoffs, offers)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8, ?10, ?11, ?12)
         ON CONFLICT (id) DO UPDATE SET title = ?2, starts_on = ?3, ends_on = ?4, opens_at = ?5, closes_at = ?6,
             holidays = ?7, seats_seq = ?8, generation = ?9, changed_seq = ?8, windows = ?10, cutoffs = ?11,
             offers = ?12",
    )?
    .execute(params![
        term.id.as_str(),
        term.title,
        term.starts_on.map(|d| d.to_string()),
        term.ends_on.map(|d| d.to_string()),
        term.opens_at.map(Timestamp::as_millisecond),
        term.closes_at.map(Timestamp::as_millisecond),
        json(&term.holidays)?,
        seq,
        generation,
        json(&term.windows)?,
        json(&term.cutoffs)?,
        json(&term.offers)?,
    ])?;
    Ok(())
}

/// Raises the sequence of a term whose own fields do not change.
pub(super) fn advance_term(tx: &Connection, id: &TermId, seq: u64, generation: u64) -> rusqlite::Result<()> {
    let mut advance = tx.prepare_cached("UPDATE terms SET seats_seq = ?2, generation = ?3 WHERE id = ?1")?;
    advance.execute(params![id.as_str(), seq, generation]).map(drop)
}

/// Records that the commit `seq` changed facts about students.
pub(super) fn note_facts(tx: &Connection, id: &TermId, seq: u64) -> rusqlite::Result<()> {
    let mut note = tx.prepare_cached("UPDATE terms SET facts_seq = ?2 WHERE id = ?1")?;
    note.execute(params![id.as_str(), seq]).map(drop)
}

/// Records that the commit `seq` makes a generation visible.
pub(super) fn put_generation(tx: &Connection, id: &TermId, generation: u64, seq: u64) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO term_generations (term, generation, seq) VALUES (?1, ?2, ?3)
         ON CONFLICT (term, generation) DO UPDATE SET seq = ?3",
    )?;
    put.execute(params![id.as_str(), generation, seq]).map(drop)
}

/// The columns that [`section_at`] reads, of `sections AS s` left joined with `seats AS n`.
pub(super) const SECTION_COLUMNS: &str = "s.crn, s.course, s.component, s.section, s.title, s.credits, s.instructor, \
     s.method, s.campus, s.meetings, s.capacity, s.waitlist_capacity, s.status, s.linked, s.prerequisites, \
     s.outside_enrolled, s.outside_waitlisted, s.file_enrolled, s.file_waitlisted, \
     coalesce(n.enrolled, 0), coalesce(n.waitlisted, 0), s.withdrawn, s.original_crn, \
     s.cancelled_from, s.cross_listed, s.reserved, s.restrictions, s.repeat_limit, n.reserved, coalesce(n.offered, 0)";

/// Reads a section with its counts.
pub(super) fn section_at(row: &Row<'_>, term: &TermId) -> rusqlite::Result<SectionState> {
    let crn: String = row.get(0)?;
    let status: String = row.get(12)?;
    let linked: Vec<String> = json_at(row, 13)?;
    let linked = linked
        .iter()
        .map(|id| SectionId::parse(id).map_err(|e| unreadable(13, e)))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let section = Section {
        id: SectionId { term: term.clone(), crn: Crn::parse(&crn).map_err(|e| unreadable(0, e))? },
        original_crn: boxed_at(row, 22)?,
        course: row.get::<_, String>(1)?.into(),
        component: row.get::<_, String>(2)?.into(),
        section: boxed_at(row, 3)?,
        title: boxed_at(row, 4)?,
        credits: Credits(row.get(5)?),
        instructor: boxed_at(row, 6)?,
        method: boxed_at(row, 7)?,
        campus: boxed_at(row, 8)?,
        meetings: meetings_at(row, 9)?,
        capacity: row.get(10)?,
        waitlist_capacity: row.get(11)?,
        status: SectionStatus::parse(&status).ok_or_else(|| unreadable(12, "unknown status"))?,
        linked,
        cross_listed: maybe_json_at(row, 24)?,
        reserved: json_at(row, 25)?,
        restrictions: json_at(row, 26)?,
        repeat_limit: row.get(27)?,
        prerequisites: json_at(row, 14)?,
        withdrawn: row.get(21)?,
    };
    let file_enrolled: Option<u32> = row.get(17)?;
    let file_waitlisted: Option<u32> = row.get(18)?;
    let cancelled_from: Option<String> = row.get(23)?;
    let cancelled_from = cancelled_from
        .map(|status| SectionStatus::parse(&status).ok_or_else(|| unreadable(23, "unknown status")))
        .transpose()?;
    Ok(SectionState {
        section: Arc::new(section),
        cancelled_from,
        outside_enrolled: row.get(15)?,
        outside_waitlisted: row.get(16)?,
        file_totals: file_enrolled.zip(file_waitlisted),
        enrolled: row.get(19)?,
        waitlisted: row.get(20)?,
        offered: row.get(29)?,
        reserved: maybe_json_at(row, 28)?.unwrap_or_default(),
        pool: None,
    })
}

/// The sequence of a staged row, which no commit of its term has written. `term_generations` has the sequence of the
/// commit that makes it visible.
pub(super) const STAGED_SEQ: u64 = 0;

/// Writes a section's definition.
const PUT_SECTION: &str = "INSERT OR REPLACE INTO sections
             (term, crn, generation, course, component, section, title, credits, instructor, method, campus, meetings,
              capacity, waitlist_capacity, status, linked, prerequisites, outside_enrolled, outside_waitlisted,
              file_enrolled, file_waitlisted, withdrawn, seq, original_crn, cancelled_from, cross_listed, reserved,
              restrictions, repeat_limit)
         VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
          ?24, ?25, ?26, ?27, ?28, ?29)";

/// Writes a section's definition under a generation, in the commit `seq`, or [`STAGED_SEQ`] when it is staged.
pub(super) fn put_section(tx: &Connection, state: &SectionState, generation: u64, seq: u64) -> rusqlite::Result<()> {
    // Every field is named, so that the code with a new field compiles only if it is written here or by [`put_seats`].
    let SectionState {
        section: definition,
        outside_enrolled,
        outside_waitlisted,
        file_totals,
        cancelled_from,
        enrolled: _,
        offered: _,
        waitlisted: _,
        reserved: _,
        pool: _, // It is computed from its sections.
    } = state;
    let Section {
        id,
        original_crn,
        course,
        component,
        section,
        title,
        credits,
        instructor,
        method,
        campus,
        meetings,
        capacity,
        waitlist_capacity,
        status,
        linked,
        cross_listed,
        reserved,
        restrictions,
        repeat_limit,
        prerequisites,
        withdrawn,
    } = &**definition;
    tx.prepare_cached(PUT_SECTION)?.execute(params![
        id.term.as_str(),
        id.crn.as_str(),
        generation,
        course,
        component,
        section,
        title,
        credits.0,
        instructor,
        method,
        campus,
        meeting_json::text(meetings).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?,
        capacity,
        waitlist_capacity,
        status.as_str(),
        json(&linked.iter().map(ToString::to_string).collect::<Vec<_>>())?,
        json(prerequisites)?,
        outside_enrolled,
        outside_waitlisted,
        file_totals.map(|t| t.0),
        file_totals.map(|t| t.1),
        withdrawn,
        seq,
        original_crn,
        cancelled_from.map(SectionStatus::as_str),
        cross_listed.as_ref().map(json).transpose()?,
        json(reserved)?,
        json(restrictions)?,
        repeat_limit,
    ])?;
    Ok(())
}

/// The columns of `registrations` that [`registration_at`] reads.
pub(super) const REGISTRATION_COLUMNS: &str =
    "user, crn, standing, place, at, passed, reserved_for, offer_until, remind_at, choices";

fn refusal_code(code: &str) -> rusqlite::Result<RefusalCode> {
    RefusalCode::parse(code).ok_or_else(|| unreadable(5, "unknown refusal code"))
}

/// Reads a registration with its student.
pub(super) fn registration_at(row: &Row<'_>) -> rusqlite::Result<(UserName, Registration)> {
    let (user, crn, status): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let passed: Option<String> = row.get(5)?;
    let (offer_until, remind_at) = (maybe_time_at(row, 7)?, maybe_time_at(row, 8)?);
    let registration = Registration {
        crn: Crn::parse(&crn).map_err(|e| unreadable(1, e))?,
        status: RegistrationStatus::parse(&status).ok_or_else(|| unreadable(2, "unknown status"))?,
        queue_number: row.get(3)?,
        at: time_at(row, 4)?,
        passed_over_for: passed.map(|code| refusal_code(&code)).transpose()?,
        reserved_for: boxed_at(row, 6)?,
        offer: offer_until.map(|expires_at| Offer { expires_at, remind_at }),
        choices: maybe_json_at(row, 9)?.map(Arc::new),
    };
    Ok((UserName::stored(&user).map_err(|e| unreadable(0, e))?, registration))
}

/// Writes registrations that are new or changed, in the commit `seq`, and adds their rows to `added`.
pub(super) fn put_registrations<'r>(
    tx: &Connection,
    term: &TermId,
    registrations: impl Iterator<Item = (&'r UserName, &'r Registration)>,
    seq: u64,
    added: &mut AddedRows,
) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO registrations
             (term, user, crn, standing, place, at, passed, seq, reserved_for, offer_until, remind_at, choices)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (term, user, crn) DO UPDATE
         SET standing = ?4, place = ?5, at = ?6, passed = ?7, reserved_for = ?9, offer_until = ?10, remind_at = ?11,
             choices = ?12, seq = ?8 + 0 * content_row_removed('registrations', term, user, crn, standing, place, at, passed, seq,
                 reserved_for, offer_until, remind_at, choices)",
    )?;
    for (student, registration) in registrations {
        let (term, student, crn) = (term.as_str(), student.as_str(), registration.crn.as_str());
        let (status, queue_number) = (registration.status.as_str(), registration.queue_number);
        let (at, passed) = (registration.at.as_millisecond(), registration.passed_over_for.map(RefusalCode::as_str));
        let reserved_for = registration.reserved_for.as_deref();
        let offer_until = registration.offer.map(|offer| offer.expires_at.as_millisecond());
        let remind_at = registration.offer.and_then(|offer| offer.remind_at).map(Timestamp::as_millisecond);
        let choices = registration.choices.as_deref().map(json).transpose()?;
        put.execute(params![
            term,
            student,
            crn,
            status,
            queue_number,
            at,
            passed,
            seq,
            reserved_for,
            offer_until,
            remind_at,
            choices
        ])?;
        let time = |time: Option<i64>| time.map_or(ValueRef::Null, ValueRef::Integer);
        added.add(
            "registrations",
            &[
                term.into(),
                student.into(),
                crn.into(),
                status.into(),
                integer(queue_number),
                ValueRef::Integer(at),
                passed.map_or(ValueRef::Null, ValueRef::from),
                integer(seq),
                reserved_for.map_or(ValueRef::Null, ValueRef::from),
                time(offer_until),
                time(remind_at),
                choices.as_deref().map_or(ValueRef::Null, ValueRef::from),
            ],
        );
    }
    Ok(())
}

/// Writes the counts of the hub's own registrations in sections, in the commit `seq`, and adds their rows to `added`.
pub(super) fn put_seats<'s>(
    tx: &Connection,
    sections: impl Iterator<Item = &'s SectionState>,
    seq: u64,
    added: &mut AddedRows,
) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO seats (term, crn, enrolled, waitlisted, seq, reserved, offered)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (term, crn) DO UPDATE SET enrolled = ?3, waitlisted = ?4, reserved = ?6, offered = ?7, seq = ?5
             + 0 * content_row_removed('seats', term, crn, enrolled, waitlisted, seq, reserved, offered)",
    )?;
    for state in sections {
        let id = &state.section.id;
        let is_reserved = state.reserved != ReservedCounts::default();
        let reserved = is_reserved.then(|| json(&state.reserved)).transpose()?;
        let SectionState { enrolled, waitlisted, offered, .. } = state;
        put.execute(params![id.term.as_str(), id.crn.as_str(), enrolled, waitlisted, seq, reserved, offered])?;
        let [enrolled, waitlisted, offered] = [enrolled, waitlisted, offered].map(|count| integer((*count).into()));
        let (term, crn) = (id.term.as_str().into(), id.crn.as_str().into());
        let reserved = reserved.as_deref().map_or(ValueRef::Null, ValueRef::from);
        added.add("seats", &[term, crn, enrolled, waitlisted, integer(seq), reserved, offered]);
    }
    Ok(())
}

/// Returns a number as SQLite stores it. No number in the hub exceeds [`i64::MAX`].
pub(super) fn integer(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(number.cast_signed())
}

/// Reads a term's id, which an earlier version may have stored.
pub(super) fn term_id_at(row: &Row<'_>, column: usize) -> rusqlite::Result<TermId> {
    TermId::stored(&row.get::<_, String>(column)?).map_err(|e| unreadable(column, e))
}

/// Reads a section's id: the term from `column`, the CRN from the next one.
pub(super) fn section_id_at(row: &Row<'_>, column: usize) -> rusqlite::Result<SectionId> {
    let crn: String = row.get(column + 1)?;
    Ok(SectionId { term: term_id_at(row, column)?, crn: Crn::parse(&crn).map_err(|e| unreadable(column + 1, e))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_refusal_code_is_unreadable() {
        let connection = Connection::open_in_memory().unwrap();
        let read = |passed: Option<&str>| {
            connection.query_row(
                "SELECT 'ann', '10001', 'waitlisted', 1, 0, ?1, NULL, NULL, NULL, NULL",
                [passed],
                registration_at,
            )
        };
        assert_eq!(read(None).unwrap().1.passed_over_for, None);
        let known = RefusalCode::TimeConflict;
        assert_eq!(read(Some(known.as_str())).unwrap().1.passed_over_for, Some(known));
        assert!(read(Some("no_such_rule")).is_err());
    }
}
