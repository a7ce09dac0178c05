//! Who is in a section.

use jiff::Timestamp;

use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::Standing;

use crate::store::StoreFuture;

/// Somebody who is in a section, or waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// Who.
    pub user: UserName,
    /// The name that people read, if the hub has ever heard it.
    pub name: Option<String>,
    /// [`Standing::Enrolled`] or [`Standing::Waitlisted`].
    pub standing: Standing,
    /// The place in line, 1 for the head, counting those who wait outside the hub. Only while waitlisted.
    pub position: Option<u32>,
    /// Since when.
    pub since: Timestamp,
}

/// Reads rosters.
pub trait RosterStore: Send + Sync {
    /// Who is in a section, all of it as of one commit: enrolled by the time of their seat, then the line in its order.
    /// None when there is no such section.
    fn roster(&self, section: &SectionId) -> StoreFuture<Option<Vec<RosterEntry>>>;
}
