//! What a student holds, or held.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::Crn;
use crate::domain::outcome::RefusalCode;

/// How a student stands to a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Has a seat.
    Enrolled,
    /// Has a place in line.
    Waitlisted,
    /// Had one of them, and gave it up.
    Dropped,
}

impl Standing {
    /// The standing's one name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Waitlisted => "waitlisted",
            Self::Dropped => "dropped",
        }
    }
    /// Reads that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Enrolled, Self::Waitlisted, Self::Dropped].into_iter().find(|s| s.as_str() == text)
    }
}

/// A student's registration in one section of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The section.
    pub crn: Crn,
    /// Enrolled, waitlisted or dropped.
    pub standing: Standing,
    /// The place in line while waitlisted: the journal position at which it was taken.
    pub place: u64,
    /// When this standing began.
    pub at: Timestamp,
    /// Why the head of the line was passed over, once told, so that it is told once.
    pub passed: Option<RefusalCode>,
}

impl Registration {
    /// Whether it is a seat or a place.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.standing != Standing::Dropped
    }

    /// Puts it among its student's others, in the place of what it replaces. They are ordered by the beginning of
    /// their standing, then by CRN: nothing that a store does not keep, so that a term decides alike before and after
    /// it was loaded anew.
    pub fn put_among(self, others: &mut Vec<Self>) {
        others.retain(|r| r.crn != self.crn);
        let at = others.partition_point(|r| (r.at, &r.crn) < (self.at, &self.crn));
        others.insert(at, self);
    }
}
