//! A section as `GET /api/v1/sections` returns it, and its compact row of seats.

use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{SectionId, TermId};
use crate::domain::meeting::Meeting;
use crate::domain::pool::Pool;
use crate::domain::prerequisite::Expression;
use crate::domain::restriction::Restriction;
use crate::domain::section::{Credits, Section, SectionState, SectionStatus};
use crate::domain::student::StudentFacts;
use crate::registration::shown_counts::ShownCounts;

/// A section and its seats.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Section)]
pub struct SectionView<'a> {
    id: &'a SectionId,
    term: &'a TermId,
    /// The course reference number as the college writes it, such as `30001` or `AB 101-01`. The id contains it with
    /// `.` for each run of characters other than letters, digits, `.` and `_`.
    crn: &'a str,
    /// `SUBJECT NUMBER`, such as `MATH 151`.
    course: &'a str,
    /// The subject of the course; it may have several words.
    subject: &'a str,
    /// The number of the course; empty if it has none.
    number: &'a str,
    /// The kind of class in lower case: `lecture`, `lab`, `tutorial`…
    component: &'a str,
    /// The college's own label, such as `A01`.
    #[schema(required)]
    section: Option<&'a str>,
    #[schema(required)]
    title: Option<&'a str>,
    credits: Credits,
    #[schema(required)]
    instructor: Option<&'a str>,
    /// How it is taught, such as `Face-to-Face`.
    #[schema(required)]
    method: Option<&'a str>,
    #[schema(required)]
    campus: Option<&'a str>,
    meetings: &'a [Meeting],
    /// Maximum number of enrolled students.
    capacity: u32,
    /// Number of taken seats, including those taken outside the hub and those that are offered to students.
    enrolled: u32,
    /// Number of seats that are offered to students from the waitlist; absent if there are none, and for visitors from
    /// whom small numbers are hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    offered: Option<u32>,
    /// Number of seats that a new student can take now. Seats reserved for the waitlist are not open.
    open: u32,
    /// Maximum number of students on the waitlist.
    waitlist_capacity: u32,
    /// Number of people on the waitlist, including those who wait outside the hub.
    waitlisted: u32,
    /// Of `enrolled`, the number of people who enrolled outside the hub; absent if there are none, and for visitors
    /// from whom small numbers are hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    outside_enrolled: Option<u32>,
    /// Of `waitlisted`, the number of people who wait outside the hub; absent in the same cases as `outside_enrolled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    outside_waitlisted: Option<u32>,
    status: SectionStatus,
    /// Sections that must be taken with this one: one of each course and component in the list.
    linked: &'a [SectionId],
    /// The sections with which it shares seats; null if it is not cross-listed.
    #[schema(required)]
    cross_listed: Option<CrossListed<'a>>,
    /// Seats that only students of a group can take, until they are released.
    reserved: Vec<ReservedSeats<'a>>,
    /// Conditions on the students; all of them apply.
    restrictions: &'a [Restriction],
    /// How many times a student may take the course, if the section has its own limit; 0 means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    repeat_limit: Option<u32>,
    /// What a student must have completed before this one; null if nothing is required.
    #[schema(required)]
    prerequisites: Expression<'a>,
    /// Whether the section is not visible in the college's catalogue at present. Such a section is not listed; only
    /// staff and its own students can read it by its id.
    withdrawn: bool,
    /// The section as it applies to the caller. Only for signed-in students, for one section and in the dashboard.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    mine: Option<SectionMine>,
    /// Only for visitors, and only if a count of people is below this number: such a count is stated as this number
    /// minus 1 or, for enrolled people, as at most the capacity (`[privacy] small_counts`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fewer_than: Option<u32>,
}

/// The section as it applies to a student.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SectionMine {
    /// Number of seats that the student can take now, including those reserved for the student's groups.
    open: u32,
}

/// Sections that share a pool of seats.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CrossListed<'a> {
    /// The college's name of the group.
    group: &'a str,
    /// All sections of the group, including this one.
    sections: &'a [SectionId],
    /// The seats of all sections together.
    capacity: u32,
    /// The seats that a new student can take in one of them.
    open: u32,
}

impl<'a> CrossListed<'a> {
    fn new(pool: &'a Pool) -> Self {
        // `free` and `held` are for decisions.
        let Pool { group, sections, capacity, free: _, held: _, open } = pool;
        Self { group, sections, capacity: *capacity, open: *open }
    }
}

/// Seats reserved for a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReservedSeats<'a> {
    /// The group.
    group: &'a str,
    /// Number of seats that only its members can take.
    seats: u32,
    /// The seats that are left for them.
    open: u32,
    /// When those that are left are released to all students.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    until: Option<Timestamp>,
}

impl<'a> ReservedSeats<'a> {
    fn of(state: &'a SectionState) -> Vec<Self> {
        let reserved = state.section.reserved.iter().filter(|one| !state.reserved.has_ended(one));
        reserved
            .map(|one| Self {
                group: &one.group,
                seats: one.seats,
                open: state.reserved.left(one).min(state.assignable_seats()),
                until: one.until,
            })
            .collect()
    }
}

impl<'a> SectionView<'a> {
    /// Returns the view of a section for users.
    #[must_use]
    pub fn new(state: &'a SectionState) -> Self {
        Self::with_counts(state, ShownCounts::EXACT)
    }

    /// Returns the view of a section with the counts that a reader sees.
    #[must_use]
    pub fn with_counts(state: &'a SectionState, shown: ShownCounts) -> Self {
        // Every field is named, so that a new field does not compile until it is added here or left out on purpose.
        let Section {
            id,
            original_crn: _, // In `crn_text`.
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
            cross_listed: _, // In the pool, which has its sections.
            reserved: _,     // With the seats that are left.
            restrictions,
            repeat_limit,
            prerequisites,
            withdrawn,
        } = &*state.section;
        let counts = shown.of(state);
        let exact = |count: u32| Some(count).filter(|count| *count > 0 && shown.bound().is_none());
        Self {
            id,
            term: &id.term,
            crn: state.section.crn_text(),
            course,
            subject: state.section.subject(),
            number: state.section.number(),
            component,
            section: section.as_deref(),
            title: title.as_deref(),
            credits: *credits,
            instructor: instructor.as_deref(),
            method: method.as_deref(),
            campus: campus.as_deref(),
            meetings,
            capacity: *capacity,
            enrolled: counts.enrolled,
            offered: exact(state.offered),
            open: counts.open,
            waitlist_capacity: *waitlist_capacity,
            waitlisted: counts.waitlisted,
            outside_enrolled: exact(state.outside_enrolled),
            outside_waitlisted: exact(state.outside_waitlisted),
            status: *status,
            linked,
            cross_listed: state.pool.as_deref().map(CrossListed::new),
            reserved: ReservedSeats::of(state),
            restrictions,
            repeat_limit: *repeat_limit,
            prerequisites: Expression(prerequisites),
            withdrawn: *withdrawn,
            mine: None,
            fewer_than: shown.bound().filter(|_| counts.is_hidden),
        }
    }

    /// Returns the view of a section for a student with these facts.
    #[must_use]
    pub fn for_student(state: &'a SectionState, facts: Option<&StudentFacts>) -> Self {
        let open = if state.accepts_new_students() { state.seats_for(facts) } else { 0 };
        Self { mine: Some(SectionMine { open }), ..Self::new(state) }
    }
}

/// A section's seats, `[id, capacity, enrolled, waitlisted, open]`. All numbers of a withdrawn section are 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeatRow<'a>(&'a SectionId, u32, u32, u32, u32);

impl<'a> SeatRow<'a> {
    /// Returns the seats of a section for users.
    #[must_use]
    pub fn new(state: &'a SectionState) -> Self {
        Self::with_counts(state, ShownCounts::EXACT)
    }

    /// Returns the seats of a section with the counts that a reader sees.
    #[must_use]
    pub fn with_counts(state: &'a SectionState, shown: ShownCounts) -> Self {
        let section = &*state.section;
        if section.withdrawn {
            return Self(&section.id, 0, 0, 0, 0);
        }
        let counts = shown.of(state);
        Self(&section.id, section.capacity, counts.enrolled, counts.waitlisted, counts.open)
    }
}

/// Appends a [`SeatRow`] as JSON. Written by hand, because the broker encodes a row for every change to a section. Ids
/// contain no characters that JSON would escape.
pub fn push_seat_row(out: &mut Vec<u8>, state: &SectionState, shown: ShownCounts) {
    let SeatRow(id, capacity, enrolled, waitlisted, open) = SeatRow::with_counts(state, shown);
    let (term, crn) = (&id.term, &id.crn);
    // Writing to a vector cannot fail.
    let _ = write!(out, "[\"{term}-{crn}\",{capacity},{enrolled},{waitlisted},{open}]");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::section::Section;

    #[test]
    fn hand_written_seat_rows_equal_serialized_ones() {
        let id = SectionId::parse("2026-fall-10001").unwrap();
        let section = Section {
            id,
            course: "MATH 151".into(),
            component: "lecture".into(),
            section: None,
            title: None,
            credits: Credits(4_000),
            instructor: None,
            method: None,
            campus: None,
            meetings: Vec::new(),
            capacity: 30,
            waitlist_capacity: 5,
            status: SectionStatus::Open,
            linked: Vec::new(),
            prerequisites: Vec::new(),
            cross_listed: None,
            reserved: Vec::new(),
            restrictions: Vec::new(),
            repeat_limit: None,
            original_crn: None,
            withdrawn: false,
        };
        let withdrawn = Section { withdrawn: true, ..section.clone() };
        for section in [section, withdrawn] {
            let state =
                SectionState { enrolled: 12, outside_enrolled: 3, waitlisted: 1, ..SectionState::new(section.into()) };
            let mut written = Vec::new();
            push_seat_row(&mut written, &state, ShownCounts::EXACT);
            assert_eq!(written, serde_json::to_vec(&SeatRow::new(&state)).unwrap());
        }
    }
}
