//! The statements that write sections, counts and registrations: many rows with one statement for each table.

use std::borrow::Cow;

use crate::domain::ids::{TermId, UserName};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::Registration;
use crate::domain::reservation::ReservedCounts;
use crate::domain::section::{Section, SectionState, SectionStatus};
use crate::store::meeting_json;

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, json, storable};
use crate::store::postgres::values::{Statement, Value};

/// The generation of a row that a commit of the term writes: that of the visible row, or the term's for a section
/// without one. `$3` is the term's generation.
pub(super) const VISIBLE_GENERATION: &str = "coalesce((SELECT max(v.generation) FROM sections AS v
    WHERE v.term = $1 AND v.crn = u.crn AND v.generation <= $3), $3)";
/// The generation of a staged row: `$3`.
pub(super) const GIVEN_GENERATION: &str = "$3";

/// The end of the statement that writes sections: it replaces a row that exists.
const REPLACE: &str =
    "ON CONFLICT (term, crn, generation) DO UPDATE SET seq = excluded.seq, original_crn = excluded.original_crn,
    course = excluded.course, component = excluded.component, section = excluded.section,
    title = excluded.title, credits = excluded.credits, instructor = excluded.instructor,
    method = excluded.method, campus = excluded.campus, meetings = excluded.meetings,
    capacity = excluded.capacity, waitlist_capacity = excluded.waitlist_capacity, status = excluded.status,
    cancelled_from = excluded.cancelled_from, linked = excluded.linked, cross_listed = excluded.cross_listed,
    reserved = excluded.reserved, restrictions = excluded.restrictions, repeat_limit = excluded.repeat_limit,
    prerequisites = excluded.prerequisites, outside_enrolled = excluded.outside_enrolled,
    outside_waitlisted = excluded.outside_waitlisted, file_enrolled = excluded.file_enrolled,
    file_waitlisted = excluded.file_waitlisted, withdrawn = excluded.withdrawn";

/// Returns the statement that writes definitions of sections, in the commit `seq` (0 for staged ones), under the
/// generation that the SQL expression `generation_of` returns.
pub(super) fn put_sections(
    term: &TermId,
    sections: &[&SectionState],
    seq: i64,
    generation: i64,
    generation_of: &str,
) -> Result<Option<Statement>, Failure> {
    if sections.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "INSERT INTO sections (term, generation, seq, crn, original_crn, course, component, section, title, credits,
             instructor, method, campus, meetings, capacity, waitlist_capacity, status, cancelled_from, linked,
             cross_listed, reserved, restrictions, repeat_limit, prerequisites, outside_enrolled, outside_waitlisted,
             file_enrolled, file_waitlisted, withdrawn)
         SELECT $1, {generation_of}, $2, u.* FROM unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
             $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29) AS u (crn)
         {REPLACE}"
    );
    let rows = sections.iter().map(|state| Columns::of(state)).collect::<Result<Vec<_>, _>>()?;
    let texts = |at: usize| rows.iter().map(|row| row.texts[at].as_deref()).collect::<Vec<Option<&str>>>();
    let json = |at: usize| rows.iter().map(|row| row.json[at].as_deref()).collect::<Vec<Option<&str>>>();
    let numbers = |at: usize| rows.iter().map(|row| row.numbers[at]).collect::<Vec<Option<i64>>>();
    let withdrawn: Vec<bool> = rows.iter().map(|row| row.withdrawn).collect();
    let statement = Statement::new(
        sql,
        &[
            &term.as_str(),
            &seq,
            &generation,
            &texts(0),
            &texts(1),
            &texts(2),
            &texts(3),
            &texts(4),
            &texts(5),
            &numbers(0),
            &texts(6),
            &texts(7),
            &texts(8),
            &json(0),
            &numbers(1),
            &numbers(2),
            &texts(9),
            &texts(10),
            &json(1),
            &json(2),
            &json(3),
            &json(4),
            &numbers(3),
            &json(5),
            &numbers(4),
            &numbers(5),
            &numbers(6),
            &numbers(7),
            &withdrawn,
        ],
    );
    statement.map(Some)
}

/// The columns of one section, by type, in the order of the statement.
struct Columns<'s> {
    texts: [Option<Cow<'s, str>>; 11],
    json: [Option<String>; 6],
    numbers: [Option<i64>; 8],
    withdrawn: bool,
}

impl<'s> Columns<'s> {
    fn of(state: &'s SectionState) -> Result<Self, Failure> {
        // Every field is named, so that a new one does not compile until it is written here or by [`put_seats`].
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
            meetings: _, // By [`json_columns`].
            capacity,
            waitlist_capacity,
            status,
            linked: _,       // By [`json_columns`].
            cross_listed: _, // By [`json_columns`].
            reserved: _,     // By [`json_columns`].
            restrictions: _, // By [`json_columns`].
            repeat_limit,
            prerequisites: _, // By [`json_columns`].
            withdrawn,
        } = &**definition;
        Ok(Self {
            texts: [
                Some(id.crn.as_str()),
                original_crn.as_deref(),
                Some(course),
                Some(component),
                section.as_deref(),
                title.as_deref(),
                instructor.as_deref(),
                method.as_deref(),
                campus.as_deref(),
                Some(status.as_str()),
                cancelled_from.map(SectionStatus::as_str),
            ]
            .map(|text| text.map(storable)),
            json: json_columns(definition)?,
            numbers: [
                Some(credits.0.into()),
                Some((*capacity).into()),
                Some((*waitlist_capacity).into()),
                repeat_limit.map(i64::from),
                Some((*outside_enrolled).into()),
                Some((*outside_waitlisted).into()),
                file_totals.map(|totals| totals.0.into()),
                file_totals.map(|totals| totals.1.into()),
            ],
            withdrawn: *withdrawn,
        })
    }
}

/// Returns the columns that are JSON, in the order of the statement.
fn json_columns(section: &Section) -> Result<[Option<String>; 6], Failure> {
    let linked: Vec<String> = section.linked.iter().map(ToString::to_string).collect();
    let meetings = meeting_json::text(&section.meetings).map_err(|error| Failure::Refused(error.to_string()))?;
    Ok([
        Some(meetings),
        Some(json(&linked)?),
        section.cross_listed.as_ref().map(json).transpose()?,
        Some(json(&section.reserved)?),
        Some(json(&section.restrictions)?),
        Some(json(&section.prerequisites)?),
    ])
}

/// Returns the statement that writes the counts of the hub's own registrations in sections, in the commit `seq`.
pub(super) fn put_seats(term: &TermId, sections: &[&SectionState], seq: i64) -> Result<Option<Statement>, Failure> {
    if sections.is_empty() {
        return Ok(None);
    }
    let sql = "INSERT INTO seats (term, seq, crn, enrolled, waitlisted, reserved, offered)
         SELECT $1, $2, u.* FROM unnest($3, $4, $5, $6, $7) AS u
         ON CONFLICT (term, crn) DO UPDATE SET enrolled = excluded.enrolled, waitlisted = excluded.waitlisted,
             reserved = excluded.reserved, offered = excluded.offered, seq = excluded.seq";
    let reserved = |state: &&SectionState| {
        let is_reserved = state.reserved != ReservedCounts::default();
        is_reserved.then(|| json(&state.reserved)).transpose()
    };
    let reserved = sections.iter().map(reserved).collect::<Result<Vec<Option<String>>, _>>()?;
    let crns: Vec<&str> = sections.iter().map(|state| state.section.id.crn.as_str()).collect();
    let enrolled: Vec<i64> = sections.iter().map(|state| state.enrolled.into()).collect();
    let waitlisted: Vec<i64> = sections.iter().map(|state| state.waitlisted.into()).collect();
    let offered: Vec<i64> = sections.iter().map(|state| state.offered.into()).collect();
    let values: &[&dyn Value] = &[&term.as_str(), &seq, &crns, &enrolled, &waitlisted, &reserved, &offered];
    Statement::new(sql, values).map(Some)
}

/// Returns the statement that writes registrations that are new or changed, in the commit `seq`.
pub(super) fn put_registrations(
    term: &TermId,
    registrations: &[(&UserName, &Registration)],
    seq: i64,
) -> Result<Option<Statement>, Failure> {
    if registrations.is_empty() {
        return Ok(None);
    }
    let sql = "INSERT INTO registrations (term, seq, username, crn, standing, place, at, passed, reserved_for,
             offer_until, remind_at, choices)
         SELECT $1, $2, u.* FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS u
         ON CONFLICT (term, username, crn) DO UPDATE SET standing = excluded.standing, place = excluded.place,
             at = excluded.at, passed = excluded.passed, reserved_for = excluded.reserved_for,
             offer_until = excluded.offer_until, remind_at = excluded.remind_at, choices = excluded.choices,
             seq = excluded.seq";
    let students: Vec<&str> = registrations.iter().map(|(student, _)| student.as_str()).collect();
    let crns: Vec<&str> = registrations.iter().map(|(_, one)| one.crn.as_str()).collect();
    let statuses: Vec<&str> = registrations.iter().map(|(_, one)| one.status.as_str()).collect();
    let places: Vec<i64> = registrations.iter().map(|(_, one)| integer(one.queue_number)).collect();
    let times: Vec<i64> = registrations.iter().map(|(_, one)| one.at.as_millisecond()).collect();
    let passed = |one: &Registration| one.passed_over_for.map(RefusalCode::as_str);
    let passed: Vec<Option<&str>> = registrations.iter().map(|(_, one)| passed(one)).collect();
    let reserved_for = |one: &Registration| one.reserved_for.as_deref().map(|group| storable(group).into_owned());
    let reserved_for: Vec<Option<String>> = registrations.iter().map(|(_, one)| reserved_for(one)).collect();
    let offers = || registrations.iter().map(|(_, one)| one.offer);
    let ends: Vec<Option<i64>> = offers().map(|offer| Some(offer?.expires_at.as_millisecond())).collect();
    let reminders: Vec<Option<i64>> = offers().map(|offer| Some(offer?.remind_at?.as_millisecond())).collect();
    let choices = registrations.iter().map(|(_, one)| one.choices.as_deref().map(json).transpose());
    let choices = choices.collect::<Result<Vec<Option<String>>, _>>()?;
    let term = term.as_str();
    let values: &[&dyn Value] = &[
        &term,
        &seq,
        &students,
        &crns,
        &statuses,
        &places,
        &times,
        &passed,
        &reserved_for,
        &ends,
        &reminders,
        &choices,
    ];
    Statement::new(sql, values).map(Some)
}
