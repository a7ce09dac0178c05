//! A section as the college defines it, and the numbers of people in it.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::ids::{SectionId, UserName};
use crate::domain::meeting::Meeting;

/// Credits in thousandths, so that 1.5 and 3.75 add up exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Credits(pub u32);

impl Credits {
    /// The most credits one section may have.
    pub const MAX: Self = Self(1_000_000);

    /// Reads a decimal such as `1.5`, `3.00` or `0`: up to three decimals, up to 1,000.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || whole.len() > 4 || !digits(whole) || !digits(part) {
            return None;
        }
        let part = part.trim_end_matches('0');
        if part.len() > 3 {
            return None;
        }
        let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let thousandths: u32 = format!("{part:0<3}").parse().ok()?;
        let all = Self(whole * 1000 + thousandths);
        (all <= Self::MAX).then_some(all)
    }

    /// As a number for people: 1.5 for 1,500 thousandths.
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
    /// Accepts no new students and keeps the present ones.
    Closed,
    /// Will not be taught: counts in no student's week or credits.
    Cancelled,
}

impl SectionStatus {
    /// Returns the name in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a name; `None` if there is no such status.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A section as the college defines it. It changes by import or by staff, never by a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its term and CRN.
    pub id: SectionId,
    /// `SUBJECT NUMBER`, such as `MATH 151`.
    pub course: Box<str>,
    /// The kind of class, lower case: `lecture`, `lab`, `tutorial`.
    pub component: Box<str>,
    /// The college's own label, such as `A01`.
    pub section: Option<Box<str>>,
    /// The course's title.
    pub title: Option<Box<str>>,
    /// What it counts towards the credit limit.
    pub credits: Credits,
    /// Who teaches it.
    pub instructor: Option<Box<str>>,
    /// How it is taught, such as `Face-to-Face`.
    pub method: Option<Box<str>>,
    /// Where, in the large.
    pub campus: Option<Box<str>>,
    /// When and where it meets.
    pub meetings: Vec<Meeting>,
    /// The most people that may be enrolled.
    pub capacity: u32,
    /// The most people that may wait.
    pub waitlist_capacity: u32,
    /// Whether it takes people.
    pub status: SectionStatus,
    /// Sections that must be taken with this one.
    pub linked: Vec<SectionId>,
    /// Courses that come first.
    pub prerequisites: Vec<Box<str>>,
    /// Whether the college's catalogue does not show it (any more). It keeps everyone, takes no newcomer, and is shown
    /// to nobody who looks for sections.
    pub withdrawn: bool,
}

impl Section {
    /// The subject part of the course: `MATH` of `MATH 151`.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.course.split(' ').next().unwrap_or(&self.course)
    }

    /// Whether any two meetings of both overlap. A cancelled section meets nobody.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.meetings.iter().any(|a| other.meetings.iter().any(|b| a.overlaps(b)))
    }

    /// Whether both are the same kind of class of the same course.
    #[must_use]
    pub fn same_course(&self, other: &Self) -> bool {
        self.course == other.course && self.component == other.component
    }
}

/// A section and its numbers of people, as a decision needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionState {
    /// The definition.
    pub section: Arc<Section>,
    /// Students who hold a seat by the hub's own registrations.
    pub enrolled: u32,
    /// Students who wait by the hub's own registrations.
    pub waiting: u32,
    /// Seats held outside the hub, as an import's totals told.
    pub outside_enrolled: u32,
    /// People waiting outside the hub; they come before the hub's own.
    pub outside_waitlisted: u32,
    /// The totals (enrolled, waitlisted) of the last import that told any.
    pub file_totals: Option<(u32, u32)>,
}

impl SectionState {
    /// A section that nobody has asked for yet.
    #[must_use]
    pub const fn new(section: Arc<Section>) -> Self {
        Self { section, enrolled: 0, waiting: 0, outside_enrolled: 0, outside_waitlisted: 0, file_totals: None }
    }
    /// Everyone who holds a seat.
    #[must_use]
    pub const fn enrolled_total(&self) -> u32 {
        self.enrolled + self.outside_enrolled
    }
    /// Everyone who waits.
    #[must_use]
    pub const fn waitlisted_total(&self) -> u32 {
        self.waiting + self.outside_waitlisted
    }
    /// Seats that the hub may give: what is neither held nor promised to those who wait outside. 0 when cancelled.
    #[must_use]
    pub fn seats_to_give(&self) -> u32 {
        if self.section.status == SectionStatus::Cancelled {
            return 0;
        }
        self.section.capacity.saturating_sub(self.enrolled_total()).saturating_sub(self.outside_waitlisted)
    }
    /// What a newcomer can take now. Once a section is settled, nobody of the hub's own waiting list who could take a
    /// seat is left, so what can be given is open.
    #[must_use]
    pub fn open(&self) -> u32 {
        let takes_newcomers = self.section.status == SectionStatus::Open && !self.section.withdrawn;
        if takes_newcomers { self.seats_to_give() } else { 0 }
    }
    /// What it counts in a student's credits: nothing once it is cancelled.
    #[must_use]
    pub fn counted_credits(&self) -> Credits {
        if self.section.status == SectionStatus::Cancelled { Credits(0) } else { self.section.credits }
    }
    /// Whether one more may wait.
    #[must_use]
    pub fn waitlist_has_room(&self) -> bool {
        self.waitlisted_total() < self.section.waitlist_capacity
    }
}

/// A place in line: its journal position (smaller is earlier) and who has it.
pub type Place = (u64, UserName);

#[cfg(test)]
mod tests {
    use super::Credits;

    #[test]
    fn credits_read_back_from_the_json_they_are_written_as() {
        for credits in [0, 1500, 3000, 3750, 1_000_000].map(Credits) {
            let text = serde_json::to_string(&credits).unwrap();
            assert_eq!(serde_json::from_str::<Credits>(&text).unwrap(), credits, "{text}");
        }
        assert!(serde_json::from_str::<Credits>("-1").is_err());
    }

    #[test]
    fn credits_read_decimals_exactly() {
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
