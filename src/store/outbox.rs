//! Port for the outbox: what is still to be written to Plone, and what each item there contained when it was last
//! pulled or written.
//!
//! A section is marked in the same commit as its change, so a crash loses nothing. Each mark increments the version of
//! the entry, and an entry is deleted only in the version that was sent. Marks of an entry that was not sent yet are
//! coalesced: absolute values are read when they are sent.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::fields::Fields;
use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::Standing;
use crate::domain::section::SectionState;

use crate::store::StoreFuture;

/// Sections of an import that are marked in one commit: a millisecond or two, in which registrations wait.
pub const MARKED_AT_ONCE: usize = 200;
/// Most refused entries that are listed; all are counted.
pub const ASIDE_LISTED_MAX: u32 = 100;

/// An item in Plone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PloneItem {
    /// Section that the item belongs to.
    pub section: SectionId,
    /// UID in Plone.
    pub uid: String,
    /// Path from the site's root.
    pub path: String,
    /// When it was last modified, as Plone said.
    pub modified: Timestamp,
    /// Fields as they were last pulled or written.
    pub fields: Fields,
    /// True when it was deleted in Plone; nothing is written to it any more.
    pub deleted: bool,
}

/// A student in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterLine {
    /// Student.
    pub user: UserName,
    /// [`Standing::Enrolled`] or [`Standing::Waitlisted`].
    pub standing: Standing,
    /// Since when the student has this standing.
    pub since: Timestamp,
}

/// An entry of the outbox with the state to write, read as of one moment.
#[derive(Debug, Clone)]
pub struct OutboxEntry {
    /// Section.
    pub section: SectionId,
    /// Version, incremented by each mark.
    pub version: u64,
    /// When this was read.
    pub read_at: Timestamp,
    /// When the oldest change was committed that is not in Plone.
    pub queued_at: Timestamp,
    /// Number of failed attempts.
    pub attempts: u32,
    /// Item in Plone, if one is known.
    pub item: Option<PloneItem>,
    /// Section as committed.
    pub state: SectionState,
    /// Students in it: enrolled ones first, then the waitlist in its order.
    pub roster: Vec<RosterLine>,
}

/// A successful write of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Item as it was stored when the entry was read. When the stored item differs by now, it is not known whether the
    /// write or the pull was first: the entry stays as a failed attempt and is sent again.
    pub seen: PloneItem,
    /// Written fields.
    pub fields: Fields,
    /// Version that was sent: the entry is deleted only in this one.
    pub version: u64,
    /// When the entry was read. Later changes are not part of the write.
    pub read_at: Timestamp,
}

/// An entry that Plone refused permanently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideEntry {
    /// Section.
    pub section: SectionId,
    /// Plone's reason.
    pub reason: String,
    /// When it was refused.
    pub at: Timestamp,
}

/// Summary of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxSummary {
    /// Entries that wait to be sent.
    pub depth: u64,
    /// When the oldest of these changes was committed.
    pub oldest_at: Option<Timestamp>,
    /// Entries that Plone refused permanently.
    pub aside_total: u64,
    /// The newest [`ASIDE_LISTED_MAX`] of these.
    pub aside: Vec<AsideEntry>,
}

/// Store of the outbox and of known items.
pub trait OutboxStore: Send + Sync {
    /// Returns at most `limit` entries that are due, except those of `busy` sections: first sections with an item,
    /// then, with `new_ones`, sections without one; of each, the longest waiting first.
    fn due(&self, now: Timestamp, busy: Vec<SectionId>, limit: u32, new_ones: bool) -> StoreFuture<Vec<OutboxEntry>>;
    /// Records a successful write: updates the written fields of the stored item and deletes the entry. A newer version
    /// of the entry stays, due at `next_at`.
    fn sent(&self, written: Written, next_at: Timestamp) -> StoreFuture<()>;
    /// Records that a section is about to be created in Plone with these fields. Of several attempts the first is kept
    /// until the item is stored or Plone refuses it: the response may be lost, or arrive after a pull has found the
    /// item.
    fn creating(&self, section: &SectionId, fields: Fields) -> StoreFuture<()>;
    /// Returns the recorded creations of sections whose item is not known yet.
    fn creations(&self) -> StoreFuture<HashMap<SectionId, Fields>>;
    /// Deletes an entry in this version, since there is nothing to send.
    fn drop_entry(&self, section: &SectionId, version: u64) -> StoreFuture<()>;
    /// Records a failed attempt, to be retried at `next_at`.
    fn later(&self, section: &SectionId, next_at: Timestamp) -> StoreFuture<()>;
    /// Records that Plone refused an entry permanently. A later change of the section is sent again.
    fn put_aside(&self, section: &SectionId, version: u64, reason: String, at: Timestamp) -> StoreFuture<()>;
    /// Marks sections whose item differs from what the hub last wrote. Unknown sections are ignored.
    fn mark(&self, sections: Vec<SectionId>, at: Timestamp) -> StoreFuture<()>;
    /// Marks the next [`MARKED_AT_ONCE`] sections of imports that became visible. An import itself only records that
    /// its sections are to be marked, since a large one has a hundred thousand. With `known_only`, marks only sections
    /// with an item. Returns false when nothing was left to mark.
    fn mark_imported(&self, known_only: bool, at: Timestamp) -> StoreFuture<bool>;
    /// Queues refused entries again, of these sections or all. Returns their number.
    fn resend(&self, sections: Option<Vec<SectionId>>, at: Timestamp) -> StoreFuture<u64>;
    /// Returns a summary.
    fn summary(&self) -> StoreFuture<OutboxSummary>;

    /// Returns all known items, deleted ones included.
    fn items(&self) -> StoreFuture<Vec<PloneItem>>;
    /// Stores items, at most some hundreds at a time. The entry of a deleted item is deleted.
    fn put_items(&self, items: Vec<PloneItem>) -> StoreFuture<()>;
    /// Stores pulled items, each with what was stored of its section before it was read. When the stored item differs
    /// by now, it stays: what was written meanwhile is newer than what was read.
    fn put_pulled(&self, items: Vec<(Option<PloneItem>, PloneItem)>) -> StoreFuture<()>;
    /// Returns a note of the bridge, such as its findings about rosters.
    fn note(&self, name: &str) -> StoreFuture<Option<String>>;
    /// Stores a note.
    fn put_note(&self, name: &str, value: String) -> StoreFuture<()>;
}
