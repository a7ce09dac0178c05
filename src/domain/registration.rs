//! A student's registration in one section.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::ids::Crn;
use crate::domain::refusal::RefusalCode;

/// A student's relation to a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Standing {
    /// The student has a seat.
    Enrolled,
    /// The student has a position on the waitlist.
    Waitlisted,
    /// The student gave up a seat or a position.
    Dropped,
}

impl Standing {
    /// Returns the name in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a name; `None` if there is no such standing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A student's registration in one section of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The section.
    pub crn: Crn,
    /// Enrolled, waitlisted or dropped.
    pub standing: Standing,
    /// While waitlisted, the journal position at which the student joined the waitlist; otherwise 0. A smaller one is
    /// earlier.
    pub place: u64,
    /// When this standing began.
    pub at: Timestamp,
    /// The refusal for which the student was last passed over and notified, so that each reason is notified once.
    pub passed: Option<RefusalCode>,
}

impl Registration {
    /// Returns whether the student has a seat or a waitlist position.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.standing != Standing::Dropped
    }

    /// Inserts the registration among its student's `others`, and removes the one that it replaces.
    ///
    /// They are ordered by the time their standing began, then by CRN. Both are stored, so a term that was reloaded
    /// decides like the one before.
    pub fn put_among(self, others: &mut Vec<Self>) {
        others.retain(|r| r.crn != self.crn);
        let at = others.partition_point(|r| (r.at, &r.crn) < (self.at, &self.crn));
        others.insert(at, self);
    }
}
