//! A section as `GET /api/v1/sections` returns it, and its compact row of seats.

use std::io::Write;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ids::{SectionId, TermId};
use crate::domain::meeting::Meeting;
use crate::domain::prerequisite::Expression;
use crate::domain::section::{Credits, Section, SectionState, SectionStatus};
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
    /// Number of taken seats, including those taken outside the hub.
    enrolled: u32,
    /// Number of seats that a new student can take now. Seats reserved for the waitlist are not open.
    open: u32,
    /// Maximum number of students on the waitlist.
    waitlist_capacity: u32,
    /// Number of people on the waitlist, including those who wait outside the hub.
    waitlisted: u32,
    status: SectionStatus,
    /// Sections that must be taken with this one.
    linked: &'a [SectionId],
    /// Seats reserved for groups. Always empty at present.
    reserved: [ReservedSeats; 0],
    /// What a student must have completed before this one; null if nothing is required.
    #[schema(required)]
    prerequisites: Expression<'a>,
    /// Whether the section is not visible in the college's catalogue at present. Such a section is not listed; only
    /// staff and its own students can read it by its id.
    withdrawn: bool,
    /// Only for visitors: a number of people is smaller than this one, and is stated as the number before it
    /// (`[privacy] small_counts`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fewer_than: Option<u32>,
}

/// Seats reserved for a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReservedSeats {
    /// The group.
    pub group: String,
    /// Number of seats that only its members can take.
    pub seats: u32,
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
            prerequisites,
            withdrawn,
        } = &*state.section;
        let counts = shown.of(state);
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
            open: counts.open,
            waitlist_capacity: *waitlist_capacity,
            waitlisted: counts.waitlisted,
            status: *status,
            linked,
            reserved: [],
            prerequisites: Expression(prerequisites),
            withdrawn: *withdrawn,
            fewer_than: shown.bound().filter(|_| counts.is_hidden),
        }
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

/// Appends a [`SeatRow`] as JSON. Written by hand, because the broker encodes a row for every change of a section. Ids
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
