//! Converts between rows and terms, sections and registrations.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio_postgres::Row;

use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::offer::Offer;
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::section::{Credits, Section, SectionCounts, SectionState, SectionStatus};
use crate::domain::term::Term;
use crate::store::meeting_json;

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{
    crn_at, json, json_at, maybe_json_at, maybe_number_at, maybe_text_at, maybe_time_at, number_at, storable,
    term_id_at, text_at, time_at, user_at,
};
use crate::store::postgres::values::Statement;

/// The columns of `terms` that [`term_at`] reads.
pub(super) const TERM_COLUMNS: &str = "id, title, starts_on, ends_on, opens_at, closes_at, holidays, windows, cutoffs, \
     seats_seq, generation, rewrites, offers";

/// The history of the database, as the part of `rewrites` above
/// [`REWRITES_PER_HISTORY`](crate::store::shared::REWRITES_PER_HISTORY): its timeline, which rises when a standby is
/// promoted. A hub that followed a primary that had restarted may have read commits that the standby never got.
/// Sequences cannot show that once other hubs have committed again.
pub(super) const HISTORY: &str =
    "(('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint << 32)";

/// A term as it is stored.
pub(super) struct TermRow {
    pub(super) term: Term,
    /// The sequence of the last commit.
    pub(super) seq: u64,
    /// The generation that is visible.
    pub(super) generation: u64,
    /// How many times rows were changed without a commit of a registrar. Does not include the history.
    pub(super) rewrites: u64,
}

fn date_at(row: &Row, column: usize) -> Result<Option<Date>, Failure> {
    let text = maybe_text_at(row, column)?;
    text.map(|text| text.parse().map_err(|e: jiff::Error| Failure::unreadable(column, e))).transpose()
}

fn boxed_at(row: &Row, column: usize) -> Result<Option<Box<str>>, Failure> {
    Ok(maybe_text_at(row, column)?.map(Into::into))
}

/// Reads a term.
pub(super) fn term_at(row: &Row) -> Result<TermRow, Failure> {
    let term = Term {
        id: term_id_at(row, 0)?,
        title: text_at(row, 1)?.into(),
        starts_on: date_at(row, 2)?,
        ends_on: date_at(row, 3)?,
        opens_at: maybe_time_at(row, 4)?,
        closes_at: maybe_time_at(row, 5)?,
        holidays: json_at(row, 6)?,
        windows: json_at(row, 7)?,
        cutoffs: json_at(row, 8)?,
        offers: json_at(row, 12)?,
    };
    Ok(TermRow { term, seq: number_at(row, 9)?, generation: number_at(row, 10)?, rewrites: number_at(row, 11)? })
}

/// Returns the statement that writes a term that is new or changed, in the commit `seq`.
pub(super) fn putting_term(term: &Term, seq: i64, generation: i64) -> Result<Statement, Failure> {
    let sql = "INSERT INTO terms (id, title, starts_on, ends_on, opens_at, closes_at, holidays, windows, cutoffs,
                                  seats_seq, generation, changed_seq, offers)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $10, $12)
         ON CONFLICT (id) DO UPDATE SET title = $2, starts_on = $3, ends_on = $4, opens_at = $5, closes_at = $6,
             holidays = $7, windows = $8, cutoffs = $9, seats_seq = $10, generation = $11, changed_seq = $10,
             offers = $12";
    Statement::new(
        sql,
        &[
            &term.id.as_str(),
            &&*storable(&term.title),
            &term.starts_on.map(|date| date.to_string()),
            &term.ends_on.map(|date| date.to_string()),
            &term.opens_at.map(Timestamp::as_millisecond),
            &term.closes_at.map(Timestamp::as_millisecond),
            &json(&term.holidays)?,
            &json(&term.windows)?,
            &json(&term.cutoffs)?,
            &seq,
            &generation,
            &json(&term.offers)?,
        ],
    )
}

/// The columns that [`section_at`] reads, of `sections AS s` left joined with `seats AS n`.
pub(super) const SECTION_COLUMNS: &str = "s.crn, s.original_crn, s.course, s.component, s.section, s.title, s.credits, \
     s.instructor, s.method, s.campus, s.meetings, s.capacity, s.waitlist_capacity, s.status, s.linked, \
     s.cross_listed, s.reserved, s.restrictions, s.repeat_limit, s.prerequisites, s.withdrawn, s.cancelled_from, \
     s.outside_enrolled, s.outside_waitlisted, s.file_enrolled, s.file_waitlisted, \
     coalesce(n.enrolled, 0), coalesce(n.waitlisted, 0), n.reserved, \
     coalesce(n.offered, 0)";

fn status_of(text: &str, column: usize) -> Result<SectionStatus, Failure> {
    SectionStatus::parse(text).ok_or_else(|| Failure::unreadable(column, "unknown status"))
}

/// Reads a section with its counts.
pub(super) fn section_at(row: &Row, term: &TermId) -> Result<SectionState, Failure> {
    let linked: Vec<String> = json_at(row, 14)?;
    let linked = linked.iter().map(|id| SectionId::parse(id).map_err(|e| Failure::unreadable(14, e)));
    let section = Section {
        id: SectionId { term: term.clone(), crn: crn_at(row, 0)? },
        original_crn: boxed_at(row, 1)?,
        course: text_at(row, 2)?.into(),
        component: text_at(row, 3)?.into(),
        section: boxed_at(row, 4)?,
        title: boxed_at(row, 5)?,
        credits: Credits(number_at(row, 6)?),
        instructor: boxed_at(row, 7)?,
        method: boxed_at(row, 8)?,
        campus: boxed_at(row, 9)?,
        meetings: meeting_json::parse(text_at(row, 10)?).map_err(|e| Failure::unreadable(10, e))?,
        capacity: number_at(row, 11)?,
        waitlist_capacity: number_at(row, 12)?,
        status: status_of(text_at(row, 13)?, 13)?,
        linked: linked.collect::<Result<Vec<_>, _>>()?,
        cross_listed: maybe_json_at(row, 15)?,
        reserved: json_at(row, 16)?,
        restrictions: json_at(row, 17)?,
        repeat_limit: maybe_number_at(row, 18)?,
        prerequisites: json_at(row, 19)?,
        withdrawn: row.try_get(20)?,
    };
    Ok(SectionState {
        section: Arc::new(section),
        cancelled_from: maybe_text_at(row, 21)?.map(|text| status_of(text, 21)).transpose()?,
        outside_enrolled: number_at(row, 22)?,
        outside_waitlisted: number_at(row, 23)?,
        file_totals: maybe_number_at(row, 24)?.zip(maybe_number_at(row, 25)?),
        enrolled: number_at(row, 26)?,
        waitlisted: number_at(row, 27)?,
        offered: number_at(row, 29)?,
        reserved: maybe_json_at(row, 28)?.unwrap_or_default(),
        pool: None,
    })
}

/// Reads `crn, enrolled, offered, waitlisted, reserved` of a section.
pub(super) fn counts_at(row: &Row) -> Result<SectionCounts, Failure> {
    Ok(SectionCounts {
        crn: crn_at(row, 0)?,
        enrolled: number_at(row, 1)?,
        offered: number_at(row, 2)?,
        waitlisted: number_at(row, 3)?,
        reserved: maybe_json_at(row, 4)?.unwrap_or_default(),
    })
}

/// The columns of `registrations` that [`registration_at`] reads.
pub(super) const REGISTRATION_COLUMNS: &str = "r.username, r.crn, r.standing, r.place, r.at, r.passed, r.reserved_for, \
     r.offer_until, r.remind_at, r.choices";

/// Reads a registration with its student.
pub(super) fn registration_at(row: &Row) -> Result<(UserName, Registration), Failure> {
    let status = RegistrationStatus::parse(text_at(row, 2)?);
    let passed = maybe_text_at(row, 5)?;
    let (offer_until, remind_at) = (maybe_time_at(row, 7)?, maybe_time_at(row, 8)?);
    let registration = Registration {
        crn: crn_at(row, 1)?,
        status: status.ok_or_else(|| Failure::unreadable(2, "unknown status"))?,
        queue_number: number_at(row, 3)?,
        at: time_at(row, 4)?,
        passed_over_for: passed
            .map(|code| RefusalCode::parse(code).ok_or_else(|| Failure::unreadable(5, "unknown refusal code")))
            .transpose()?,
        reserved_for: boxed_at(row, 6)?,
        offer: offer_until.map(|expires_at| Offer { expires_at, remind_at }),
        choices: maybe_json_at(row, 9)?.map(Arc::new),
    };
    Ok((user_at(row, 0)?, registration))
}
