//! What is still to be written to Plone, and what each item there was when it was last pulled or written.
//!
//! A section is marked in the same commit as the change itself, so nothing is lost by a crash; each mark counts up a
//! version, and an entry ends only in the version that was sent. Marking twice what has not been sent yet is one entry:
//! what goes to Plone are absolute values, read when they are sent.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::fields::Fields;
use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::Standing;
use crate::domain::section::SectionState;

use crate::store::StoreFuture;

/// Sections of an import that are marked in one commit: a millisecond or two, for which registrations wait.
pub const MARKED_AT_ONCE: usize = 200;
/// Entries that are listed as put aside; all are counted.
pub const ASIDE_LISTED_MAX: u32 = 100;

/// A section's item in Plone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PloneItem {
    /// The section.
    pub section: SectionId,
    /// Plone's UID.
    pub uid: String,
    /// From the site's root, with a slash before it.
    pub path: String,
    /// When Plone last said that it was modified.
    pub modified: Timestamp,
    /// Its fields as last pulled or written.
    pub fields: Fields,
    /// Whether it was deleted in Plone. Nothing is written to it any more.
    pub deleted: bool,
}

/// A line of a section's roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterLine {
    /// Who.
    pub user: UserName,
    /// [`Standing::Enrolled`] or [`Standing::Waitlisted`].
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
}

/// Something to be written: all of it read at one moment.
#[derive(Debug, Clone)]
pub struct OutboxEntry {
    /// The section.
    pub section: SectionId,
    /// Grows with each mark.
    pub version: u64,
    /// When all of this was read.
    pub read_at: Timestamp,
    /// When the oldest change was made that is not in Plone.
    pub queued_at: Timestamp,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Its item in Plone, as far as the hub knows of one.
    pub item: Option<PloneItem>,
    /// The section as committed.
    pub state: SectionState,
    /// Who is in it: enrolled first, then the line in its order.
    pub roster: Vec<RosterLine>,
}

/// What was written to Plone of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The item as it was kept when the entry was read. Where something else is kept of it by now, nobody knows which
    /// was first, the write or what was pulled: the entry stays, as one that was tried in vain, and is sent again.
    pub seen: PloneItem,
    /// The fields, with the values that Plone took.
    pub fields: Fields,
    /// The entry's version: it ends only in this one.
    pub version: u64,
    /// When the entry was read: what is newer was changed later.
    pub read_at: Timestamp,
}

/// An entry that Plone refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideEntry {
    /// The section.
    pub section: SectionId,
    /// Plone's reason.
    pub reason: String,
    /// When it was put aside.
    pub at: Timestamp,
}

/// How the outbox stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxSummary {
    /// Entries that wait to be sent.
    pub depth: u64,
    /// When the oldest change of these was made.
    pub oldest_at: Option<Timestamp>,
    /// Entries that Plone refused for good.
    pub aside_total: u64,
    /// The newest [`ASIDE_LISTED_MAX`] of them.
    pub aside: Vec<AsideEntry>,
}

/// Keeps the outbox and what is known of Plone's items.
pub trait OutboxStore: Send + Sync {
    /// At most `limit` entries that are due, except those of `busy` (they are being sent): first sections that have an
    /// item, then, with `new_ones`, those that have none yet; the longest waiting of each first.
    fn due(&self, now: Timestamp, busy: Vec<SectionId>, limit: u32, new_ones: bool) -> StoreFuture<Vec<OutboxEntry>>;
    /// Fields were written to an item: these, of all that is kept of it, are from now on as they were written. A newer
    /// version of the entry stays, due at `next_at`.
    fn sent(&self, written: Written, next_at: Timestamp) -> StoreFuture<()>;
    /// A section is about to be made in Plone, with these fields. Of several tries the first is kept, until the section's
    /// item is put or Plone refuses it: the answer may be lost, or come after a pull has found the item.
    fn creating(&self, section: &SectionId, fields: Fields) -> StoreFuture<()>;
    /// What sections were first about to be made with, of which no item is known yet.
    fn creations(&self) -> StoreFuture<HashMap<SectionId, Fields>>;
    /// There was nothing to send, or there will never be: the entry ends in this version.
    fn drop_entry(&self, section: &SectionId, version: u64) -> StoreFuture<()>;
    /// It did not work: tried again at `next_at`.
    fn later(&self, section: &SectionId, next_at: Timestamp) -> StoreFuture<()>;
    /// Plone refused it for good, in these words. A later change of the section tries again.
    fn put_aside(&self, section: &SectionId, version: u64, reason: String, at: Timestamp) -> StoreFuture<()>;
    /// Marks sections: what Plone has differs from what the hub last wrote. What the hub does not know is passed over.
    fn mark(&self, sections: Vec<SectionId>, at: Timestamp) -> StoreFuture<()>;
    /// Marks the next [`MARKED_AT_ONCE`] sections of what imports made visible: an import itself only notes that its
    /// sections are to be marked, since a large one has a hundred thousand. With `known_only`, only those that have an
    /// item. Answers false once there was nothing to mark.
    fn mark_imported(&self, known_only: bool, at: Timestamp) -> StoreFuture<bool>;
    /// Sends again what was put aside: these, or all. Answers how many.
    fn resend(&self, sections: Option<Vec<SectionId>>, at: Timestamp) -> StoreFuture<u64>;
    /// How it stands.
    fn summary(&self) -> StoreFuture<OutboxSummary>;

    /// All items that are known, those of deleted ones included.
    fn items(&self) -> StoreFuture<Vec<PloneItem>>;
    /// Puts items as pulled, at most some hundreds at once. What waits for an item that was deleted ends.
    fn put_items(&self, items: Vec<PloneItem>) -> StoreFuture<()>;
    /// Puts items as pulled, each beside what was kept of its section before it was read. One of which something else
    /// is kept by now is left: what was written meanwhile is newer than what was read.
    fn put_pulled(&self, items: Vec<(Option<PloneItem>, PloneItem)>) -> StoreFuture<()>;
    /// A note under a name, such as up to when was pulled: JSON.
    fn note(&self, name: &str) -> StoreFuture<Option<String>>;
    /// Keeps a note.
    fn put_note(&self, name: &str, value: String) -> StoreFuture<()>;
}
