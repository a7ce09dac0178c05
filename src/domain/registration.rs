//! A student's registration in one section.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::choices::WaitlistChoices;
use crate::domain::ids::Crn;
use crate::domain::offer::Offer;
use crate::domain::refusal::RefusalCode;

/// The status of a student in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RegistrationStatus {
    /// The student has a seat.
    Enrolled,
    /// The student was on the waitlist and is offered a seat, which is kept free until the student decides.
    Offered,
    /// The student has a waitlist position.
    Waitlisted,
    /// The student dropped a seat or a waitlist position, declined an offer, or let it lapse.
    Dropped,
}

impl RegistrationStatus {
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

/// A student's registration in one section of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The section.
    pub crn: Crn,
    /// Enrolled, offered, waitlisted or dropped.
    pub status: RegistrationStatus,
    /// While waitlisted, the number by which the waitlist is ordered (see
    /// [`WaitlistEntry`](crate::domain::section::WaitlistEntry)); otherwise 0.
    pub queue_number: u64,
    /// When this status began.
    pub at: Timestamp,
    /// The refusal for which the student was last passed over and notified. It prevents repeated notices with the same
    /// reason.
    pub passed_over_for: Option<RefusalCode>,
    /// For a reserved seat or an offer of one, the group for which it was reserved, in lower case.
    pub reserved_for: Option<Box<str>>,
    /// While offered, the deadline of the offer and the time of its reminder.
    pub offer: Option<Offer>,
    /// While waitlisted or offered, what the student chose when joining the waitlist, if anything.
    pub choices: Option<Arc<WaitlistChoices>>,
}

impl Registration {
    /// Returns a registration that was dropped at `at`.
    #[must_use]
    pub const fn dropped(crn: Crn, at: Timestamp) -> Self {
        let status = RegistrationStatus::Dropped;
        Self { crn, status, queue_number: 0, at, passed_over_for: None, reserved_for: None, offer: None, choices: None }
    }

    /// Returns whether the student is enrolled or waitlisted, or is offered a seat.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.status != RegistrationStatus::Dropped
    }

    /// Returns the other sections of the bundle to which the registration belongs; empty if it belongs to none.
    #[must_use]
    pub fn bundle(&self) -> &[Crn] {
        self.choices.as_ref().map_or(&[], |choices| &choices.with)
    }

    /// Returns whether the student chose to leave the section `other` on getting a seat in this one. Two such sections
    /// are allowed to overlap.
    #[must_use]
    pub fn replaces(&self, other: &Crn) -> bool {
        self.choices.as_ref().is_some_and(|chosen| chosen.any_of.contains(other) || chosen.drop.as_ref() == Some(other))
    }

    /// Inserts the registration into the sorted list of its student, in place of an earlier one for the same section.
    ///
    /// The list is sorted by the time at which the status began, then by CRN. The store holds both, so the order, and
    /// with it every decision, is the same after a term is reloaded.
    pub fn insert_into(self, registrations: &mut Vec<Self>) {
        registrations.retain(|r| r.crn != self.crn);
        let index = registrations.partition_point(|r| (r.at, &r.crn) < (self.at, &self.crn));
        registrations.insert(index, self);
    }
}
