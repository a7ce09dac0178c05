//! Port for links with which a parent or guardian reads one student's schedule. The store holds a hash of the secret in
//! the link, never the secret.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::UserName;

use crate::store::StoreFuture;

/// A link to one student's schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardianLink {
    /// The id, with which the student removes the link. It does not open the schedule.
    pub id: Uuid,
    /// The student.
    pub student: UserName,
    /// The student's own note.
    pub label: String,
    /// When the student created it.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The SHA-256 hash of the secret in a link.
pub type LinkHash = [u8; 32];

/// Store of links to schedules.
pub trait GuardianLinkStore: Send + Sync {
    /// Returns the links of a student that have not expired at `now`, oldest first.
    fn guardian_links(&self, student: &UserName, now: Timestamp) -> StoreFuture<Vec<GuardianLink>>;
    /// Returns the link with this hash, unless it has expired at `now`.
    fn guardian_link(&self, hash: LinkHash, now: Timestamp) -> StoreFuture<Option<GuardianLink>>;
    /// Stores a link, and deletes the expired links of all students. Returns false, and stores nothing, when the
    /// student has `max` other links.
    fn put_guardian_link(&self, link: GuardianLink, hash: LinkHash, max: usize) -> StoreFuture<bool>;
    /// Deletes a link of a student. Returns false when the student has no such link.
    fn remove_guardian_link(&self, student: &UserName, id: Uuid) -> StoreFuture<bool>;
}
