//! Port for rosters: the students in a section.

use jiff::Timestamp;

use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::RegistrationStatus;

use crate::store::StoreFuture;

/// A student who is enrolled in a section, is offered a seat in it, or waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// The student.
    pub user: UserName,
    /// The display name, if the hub knows it.
    pub name: Option<String>,
    /// Any status but [`RegistrationStatus::Dropped`].
    pub status: RegistrationStatus,
    /// The waitlist position, 1 for the head, counting people who wait outside the hub; `None` unless waitlisted.
    pub position: Option<u32>,
    /// When this status began.
    pub since: Timestamp,
    /// When the offer lapses; `None` unless a seat is offered.
    pub expires_at: Option<Timestamp>,
}

/// A store that reads rosters.
pub trait RosterStore: Send + Sync {
    /// Returns the roster of a section as of one commit: first the enrolled students, by the time at which they
    /// enrolled, then those who are offered a seat, by the time of the offer, then the waitlist in order. `None` when
    /// there is no such section.
    fn roster(&self, section: &SectionId) -> StoreFuture<Option<Vec<RosterEntry>>>;
}
