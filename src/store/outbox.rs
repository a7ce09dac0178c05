//! Port for the outbox: what still has to be written to Plone, and what each item in Plone contained when it was last
//! pulled or written.
//!
//! A section is marked in the commit that changes it, so a crash loses nothing. Each mark increments the version of the
//! section's entry, and an entry is deleted only in the version that was sent. Marks of an entry that has not been sent
//! are coalesced: the values to write are read when the entry is sent.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::fields::Fields;
use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::RegistrationStatus;
use crate::domain::section::SectionState;

use crate::store::StoreFuture;

/// Maximum number of sections of an import that one commit marks. A commit of this size takes one or two milliseconds,
/// for which registrations wait.
pub const MARKS_PER_COMMIT_MAX: usize = 200;
/// Maximum number of refused entries that a summary lists. It counts all of them.
pub const REFUSED_LISTED_MAX: u32 = 100;

/// An item in Plone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PloneItem {
    /// Section that the item belongs to.
    pub section: SectionId,
    /// UID in Plone.
    pub uid: String,
    /// Path from the site's root.
    pub path: String,
    /// When it was last modified, according to Plone.
    pub modified: Timestamp,
    /// Fields as they were last pulled or written.
    pub fields: Fields,
    /// Whether it was deleted in Plone. The hub no longer writes to a deleted item.
    pub deleted: bool,
}

/// A student in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterLine {
    /// Student.
    pub user: UserName,
    /// Any status but [`RegistrationStatus::Dropped`].
    pub status: RegistrationStatus,
    /// When this status began.
    pub since: Timestamp,
}

/// An entry of the outbox with the state to write, all read in one transaction.
#[derive(Debug, Clone)]
pub struct OutboxEntry {
    /// Section.
    pub section: SectionId,
    /// Version, incremented by each mark.
    pub version: u64,
    /// When this was read.
    pub read_at: Timestamp,
    /// When the oldest change that is not in Plone was committed.
    pub queued_at: Timestamp,
    /// Number of failed attempts.
    pub attempts: u32,
    /// Item in Plone, if one is known.
    pub item: Option<PloneItem>,
    /// Section as committed.
    pub state: SectionState,
    /// Students in the section: first those enrolled, then those who are offered a seat, then the waitlist in order.
    pub roster: Vec<RosterLine>,
}

/// A successful write of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessfulWrite {
    /// Item as it was stored when the entry was read. If the stored item has changed since, it is not known whether the
    /// write or a pull was first: the write counts as a failed attempt, and the entry is sent again.
    pub seen: PloneItem,
    /// Written fields.
    pub fields: Fields,
    /// Version that was sent. The entry is deleted only in this version.
    pub version: u64,
    /// When the entry was read. Later changes are not part of the write.
    pub read_at: Timestamp,
}

/// An entry that Plone refused permanently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Section.
    pub section: SectionId,
    /// Plone's reason.
    pub reason: String,
    /// When it was refused.
    pub at: Timestamp,
}

/// A summary of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxSummary {
    /// Number of entries that wait to be sent.
    pub depth: u64,
    /// When the oldest change in these entries was committed.
    pub oldest_at: Option<Timestamp>,
    /// Number of entries that Plone refused permanently.
    pub refused_total: u64,
    /// The newest of the refused entries, at most [`REFUSED_LISTED_MAX`].
    pub refused: Vec<RefusedEntry>,
}

/// A store of the outbox and of known items.
pub trait OutboxStore: Send + Sync {
    /// Returns at most `limit` entries that are due, except those of `busy` sections: first those of sections with an
    /// item, then, with `include_new`, those of sections without one. In both groups the entry that has been due
    /// longest is first.
    fn due(&self, now: Timestamp, busy: Vec<SectionId>, limit: u32, include_new: bool)
    -> StoreFuture<Vec<OutboxEntry>>;
    /// Records a successful write: updates the written fields of the stored item, and deletes the entry unless it has a
    /// newer version, which is due at `next_at`.
    fn record_sent(&self, written: SuccessfulWrite, next_at: Timestamp) -> StoreFuture<()>;
    /// Records that a section is about to be created in Plone with these fields. The record of the first attempt stays
    /// until the item is stored or Plone refuses it, because the response may be lost, or arrive after a pull has found
    /// the item.
    fn record_creation(&self, section: &SectionId, fields: Fields) -> StoreFuture<()>;
    /// Returns the recorded creations of sections whose item is not known yet.
    fn creations(&self) -> StoreFuture<HashMap<SectionId, Fields>>;
    /// Deletes an entry in this version, because there is nothing to send.
    fn delete_entry(&self, section: &SectionId, version: u64) -> StoreFuture<()>;
    /// Records a failed attempt, to be retried at `next_at`.
    fn record_failure(&self, section: &SectionId, next_at: Timestamp) -> StoreFuture<()>;
    /// Records that Plone refused an entry in this version permanently. A later change to the section is sent again.
    fn record_refusal(&self, section: &SectionId, version: u64, reason: String, at: Timestamp) -> StoreFuture<()>;
    /// Marks sections to be sent. Sections that do not exist are ignored.
    fn mark(&self, sections: Vec<SectionId>, at: Timestamp) -> StoreFuture<()>;
    /// Marks the next [`MARKS_PER_COMMIT_MAX`] sections of imports that became visible. An import itself only records
    /// that its sections have to be marked, because a large import has a hundred thousand. With `known_only`, marks
    /// only sections with an item. Returns false when nothing was left to mark.
    fn mark_imported(&self, known_only: bool, at: Timestamp) -> StoreFuture<bool>;
    /// Queues refused entries again: those of `sections`, or all. Returns their number.
    fn resend(&self, sections: Option<Vec<SectionId>>, at: Timestamp) -> StoreFuture<u64>;
    /// Returns a summary of the outbox.
    fn summary(&self) -> StoreFuture<OutboxSummary>;

    /// Returns all known items, deleted ones included.
    fn items(&self) -> StoreFuture<Vec<PloneItem>>;
    /// Stores items, at most a few hundred in a call. If an item is deleted in Plone, its section's entry is deleted.
    fn put_items(&self, items: Vec<PloneItem>) -> StoreFuture<()>;
    /// Stores pulled items. The first of each pair is the item that was stored before Plone was read. If the stored
    /// item now differs from it, the pulled one is ignored, because a write since then is newer.
    fn put_pulled(&self, items: Vec<(Option<PloneItem>, PloneItem)>) -> StoreFuture<()>;
    /// Returns the note with this name. Notes are small values of the outbox and its workers.
    fn note(&self, name: &str) -> StoreFuture<Option<String>>;
    /// Stores a note, replacing an earlier one.
    fn put_note(&self, name: &str, value: String) -> StoreFuture<()>;
}
