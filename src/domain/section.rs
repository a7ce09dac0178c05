//! Sections: their definition, and their counts of enrolled and waitlisted students.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::ids::{Crn, SectionId, UserName};
use crate::domain::meeting::Meeting;
use crate::domain::pool::{CrossListing, Pool};
use crate::domain::prerequisite::Requirement;
use crate::domain::reservation::{self, Reservation, ReservedCounts};
use crate::domain::restriction::Restriction;
use crate::domain::student::StudentFacts;

/// Credits in thousandths, so that sums such as 1.5 + 3.75 are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Credits(pub u32);

impl Credits {
    /// Maximum credits of one section.
    pub const MAX: Self = Self(1_000_000);

    /// Parses a decimal number such as `1.5`, `3.00` or `0`, with up to three decimal places and at most
    /// [`Self::MAX`]. `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 4 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 3 {
            return None;
        }
        let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let thousandths: u32 = format!("{fraction:0<3}").parse().ok()?;
        let credits = Self(whole * 1000 + thousandths);
        (credits <= Self::MAX).then_some(credits)
    }

    /// Returns the number of credits, such as 1.5 for 1,500 thousandths.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) {
            serializer.serialize_u32(self.0 / 1000)
        } else {
            serializer.serialize_f64(self.as_f64())
        }
    }
}

impl<'de> Deserialize<'de> for Credits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let thousandths = (f64::deserialize(deserializer)? * 1000.0).round();
        if !(0.0..=f64::from(Self::MAX.0)).contains(&thousandths) {
            return Err(D::Error::custom("not a number of credits"));
        }
        Ok(Self(thousandths as u32))
    }
}

/// Whether a section accepts students.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumString, IntoStaticStr, VariantArray)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum SectionStatus {
    /// Accepts new students.
    Open,
    /// Accepts no new students and keeps the enrolled and waitlisted ones.
    Closed,
    /// Will not be taught. It does not count in a student's schedule or credits.
    Cancelled,
}

impl SectionStatus {
    /// Returns the name in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a name; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A section's definition. Imports, pulls and staff change it; registrations do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The term and CRN.
    pub id: SectionId,
    /// The CRN as the college writes it, such as `AB 101-01`; `None` if that is the CRN of the id.
    pub original_crn: Option<Box<str>>,
    /// `SUBJECT NUMBER`, such as `MATH 151`.
    pub course: Box<str>,
    /// The kind of class in lower case, such as `lecture`, `lab` or `tutorial`.
    pub component: Box<str>,
    /// The college's own label, such as `A01`.
    pub section: Option<Box<str>>,
    /// The course's title.
    pub title: Option<Box<str>>,
    /// The credits that count toward a student's credit limit.
    pub credits: Credits,
    /// The instructor.
    pub instructor: Option<Box<str>>,
    /// How it is taught, such as `Face-to-Face`.
    pub method: Option<Box<str>>,
    /// The campus.
    pub campus: Option<Box<str>>,
    /// When and where it meets.
    pub meetings: Vec<Meeting>,
    /// Maximum number of enrolled students.
    pub capacity: u32,
    /// Maximum number of students on the waitlist.
    pub waitlist_capacity: u32,
    /// Whether the section accepts students.
    pub status: SectionStatus,
    /// Sections that must be taken with this one: one of each course and component in the list; see
    /// [`crate::domain::linked`].
    pub linked: Vec<SectionId>,
    /// The group of cross-listed sections with which it shares seats.
    pub cross_listed: Option<CrossListing>,
    /// Seats reserved for groups of students; at most one entry for each group.
    pub reserved: Vec<Reservation>,
    /// Conditions on the students; all of them apply.
    pub restrictions: Vec<Restriction>,
    /// How many times a student may take the course; 0 means no limit, `None` the college's limit.
    pub repeat_limit: Option<u32>,
    /// What a student must have completed before this one; all of it is required.
    pub prerequisites: Vec<Requirement>,
    /// Whether the section is not visible in the college's catalogue. A withdrawn section keeps its students, accepts
    /// no new ones, and is omitted from lists.
    pub withdrawn: bool,
}

impl Section {
    /// Returns the CRN as the college writes it.
    #[must_use]
    pub fn crn_text(&self) -> &str {
        self.original_crn.as_deref().unwrap_or(self.id.crn.as_str())
    }

    /// Returns the subject of the course, such as `MATH` for `MATH 151` and `CIV ENGR` for `CIV ENGR 310`.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.subject_and_number().0
    }

    /// Returns the number of the course, such as `151` for `MATH 151`; empty if it has none.
    #[must_use]
    pub fn number(&self) -> &str {
        self.subject_and_number().1
    }

    /// Splits the course at its last space, if a number follows.
    fn subject_and_number(&self) -> (&str, &str) {
        split_course(&self.course)
    }

    /// Returns whether a meeting of this section overlaps one of `other`. Ignores the status of both sections.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.meetings.iter().any(|a| other.meetings.iter().any(|b| a.overlaps(b)))
    }

    /// Returns whether both sections have the same course and component.
    #[must_use]
    pub fn same_course(&self, other: &Self) -> bool {
        self.course == other.course && self.component == other.component
    }
}

/// A section with its counts of people who are enrolled, offered a seat, or waitlisted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionState {
    /// The definition.
    pub section: Arc<Section>,
    /// Number of students who are enrolled through the hub.
    pub enrolled: u32,
    /// Number of students who are offered a seat. Each offer counts as a taken seat.
    pub offered: u32,
    /// Number of students who are on the hub's waitlist.
    pub waitlisted: u32,
    /// Number of seats taken outside the hub, from the totals of an import or from staff.
    pub outside_enrolled: u32,
    /// Number of people who wait outside the hub. They come before the hub's waitlist.
    pub outside_waitlisted: u32,
    /// The totals (enrolled, waitlisted) of the last import that contained them.
    pub file_totals: Option<(u32, u32)>,
    /// The status before an import cancelled the section; `None` if it is not cancelled, or if staff cancelled it.
    pub cancelled_from: Option<SectionStatus>,
    /// How many of the reserved seats are taken.
    pub reserved: ReservedCounts,
    /// The seats that the section shares with others; `None` if it shares none.
    pub pool: Option<Arc<Pool>>,
}

/// The hub's own counts of a section, without its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionCounts {
    /// The section.
    pub crn: Crn,
    /// [`SectionState::enrolled`].
    pub enrolled: u32,
    /// [`SectionState::offered`].
    pub offered: u32,
    /// [`SectionState::waitlisted`].
    pub waitlisted: u32,
    /// [`SectionState::reserved`].
    pub reserved: ReservedCounts,
}

impl SectionState {
    /// Creates a section without students.
    #[must_use]
    pub fn new(section: Arc<Section>) -> Self {
        Self {
            section,
            enrolled: 0,
            offered: 0,
            waitlisted: 0,
            outside_enrolled: 0,
            outside_waitlisted: 0,
            file_totals: None,
            cancelled_from: None,
            reserved: ReservedCounts::default(),
            pool: None,
        }
    }
    /// Returns whether the section is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.section.status == SectionStatus::Cancelled
    }
    /// Returns whether the section accepts new students.
    #[must_use]
    pub fn accepts_new_students(&self) -> bool {
        self.section.status == SectionStatus::Open && !self.section.withdrawn
    }
    /// Returns the number of seats that are taken, including those taken outside the hub.
    #[must_use]
    pub const fn enrolled_total(&self) -> u32 {
        self.enrolled + self.outside_enrolled
    }
    /// Returns the number of seats that new students cannot have: those that are taken, and those that are offered.
    #[must_use]
    pub const fn taken_total(&self) -> u32 {
        self.enrolled_total() + self.offered
    }
    /// Returns the number of people who wait, including those outside the hub.
    #[must_use]
    pub const fn waitlisted_total(&self) -> u32 {
        self.waitlisted + self.outside_waitlisted
    }
    /// Returns the number of the section's own seats that are neither taken nor offered, nor reserved for people who
    /// wait outside the hub. 0 if the section is cancelled.
    #[must_use]
    pub fn own_seats(&self) -> u32 {
        if self.is_cancelled() {
            return 0;
        }
        self.section.capacity.saturating_sub(self.taken_total()).saturating_sub(self.outside_waitlisted)
    }
    /// Returns the number of [`Self::own_seats`] that are reserved for groups of students.
    #[must_use]
    pub fn held_seats(&self) -> u32 {
        if self.section.reserved.is_empty() {
            return 0;
        }
        let left = self.section.reserved.iter().map(|one| self.reserved.left(one)).fold(0, u32::saturating_add);
        left.min(self.own_seats())
    }
    /// Returns the number of seats that the hub may assign to some student: those that are neither taken nor offered,
    /// in the section or in the pool that it shares, and are not reserved for people who wait outside the hub or for
    /// students of another section of the pool. 0 if the section is cancelled.
    #[must_use]
    pub fn assignable_seats(&self) -> u32 {
        self.assignable_beside(PoolSeats::default())
    }
    fn assignable_beside(&self, others: PoolSeats) -> u32 {
        let own = self.own_seats();
        let Some(pool) = self.pool.as_deref() else { return own };
        let held_by_others = pool.held.saturating_sub(self.held_seats()).saturating_sub(others.reserved);
        own.min(pool.free.saturating_sub(others.taken).saturating_sub(held_by_others))
    }
    /// Returns the number of seats that the hub may assign to a student with these facts: those that are reserved for
    /// no group, and those that are reserved for the student's groups.
    #[must_use]
    pub fn seats_for(&self, facts: Option<&StudentFacts>) -> u32 {
        self.seats_beside(facts, PoolSeats::default())
    }
    /// Like [`Self::seats_for`], after the student has taken `others` in other sections of the pool.
    #[must_use]
    pub fn seats_beside(&self, facts: Option<&StudentFacts>, others: PoolSeats) -> u32 {
        let all = self.assignable_beside(others);
        if self.section.reserved.is_empty() || all == 0 {
            return all;
        }
        let own = reservation::of_student(&self.section.reserved, facts).map(|one| self.reserved.left(one));
        let own = own.fold(0, u32::saturating_add);
        all.saturating_sub(self.held_seats()).saturating_add(own).min(all)
    }
    /// Returns the group whose reserved seat a student with these facts takes; `None` for a seat that is not reserved.
    #[must_use]
    pub fn reserved_group(&self, facts: Option<&StudentFacts>) -> Option<Box<str>> {
        let mut own = reservation::of_student(&self.section.reserved, facts);
        own.find(|one| self.reserved.left(one) > 0).map(|one| one.group.to_ascii_lowercase().into())
    }
    /// Returns the number of seats that a new student without a group can take now.
    ///
    /// The waitlist must be settled. Then no student on it can take a seat, so all assignable seats are open.
    #[must_use]
    pub fn open_seats(&self) -> u32 {
        if self.accepts_new_students() { self.seats_for(None) } else { 0 }
    }
    /// Returns the credits that count toward a student's limit: 0 if the section is cancelled.
    #[must_use]
    pub fn counted_credits(&self) -> Credits {
        if self.section.status == SectionStatus::Cancelled { Credits(0) } else { self.section.credits }
    }
    /// Returns whether the waitlist has an open position.
    #[must_use]
    pub fn has_open_waitlist_position(&self) -> bool {
        self.waitlisted_total() < self.section.waitlist_capacity
    }
}

/// Seats that a student takes in the other sections of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolSeats {
    /// All of them.
    pub taken: u32,
    /// Those of them that are reserved for a group of the student.
    pub reserved: u32,
}

/// A student on the waitlist of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitlistEntry {
    /// Unique within the term; a smaller number is ahead of a larger one (see [`crate::domain::waitlist_order`]).
    pub queue_number: u64,
    /// The student.
    pub student: UserName,
}

/// Splits a course such as `MATH 151` into its subject, which may have several words, and its number.
fn split_course(course: &str) -> (&str, &str) {
    let is_number = |(_, number): &(&str, &str)| number.contains(|c: char| c.is_ascii_digit());
    course.rsplit_once(' ').filter(is_number).unwrap_or((course, ""))
}

/// Returns the subject of a course, such as `MATH` of `MATH 151`.
#[must_use]
pub fn subject_of_course(course: &str) -> &str {
    split_course(course).0
}

#[cfg(test)]
mod tests {
    use super::Credits;

    #[test]
    fn credits_round_trip_through_json() {
        for credits in [0, 1500, 3000, 3750, 1_000_000].map(Credits) {
            let text = serde_json::to_string(&credits).unwrap();
            assert_eq!(serde_json::from_str::<Credits>(&text).unwrap(), credits, "{text}");
        }
        assert!(serde_json::from_str::<Credits>("-1").is_err());
    }

    #[test]
    fn credits_are_parsed_exactly_from_decimals() {
        for (text, thousandths) in
            [("3", 3000), ("1.5", 1500), ("3.750", 3750), ("0", 0), ("10.500", 10500), (".5", 500)]
        {
            assert_eq!(Credits::parse(text), Some(Credits(thousandths)), "{text}");
        }
        for bad in ["", ".", "-1", "1.2345", "1e3", "99999", "three"] {
            assert_eq!(Credits::parse(bad), None, "{bad}");
        }
    }
}
