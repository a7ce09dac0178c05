//! Alerts, kept in one sequence: what went out, in order, and to whom.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{Timestamp, ZonedDateTime};

use crate::domain::alert::Alert;
use crate::domain::audience::Audience;
use crate::domain::ids::UserName;
use crate::domain::role::Role;

use crate::store::StoreFuture;

/// Who gets an entry, settled when the alert went out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Everyone, visitors too.
    pub everyone: bool,
    /// The bits of roles, see [`Role::bit`].
    pub roles: u8,
    /// These people, sorted.
    pub users: Arc<[UserName]>,
}

impl Reach {
    /// Whether it reaches this reader.
    #[must_use]
    pub fn includes(&self, caller: Option<(&UserName, Role)>) -> bool {
        self.everyone
            || caller.is_some_and(|(user, role)| {
                self.roles & role.bit() != 0 || self.users.binary_search_by(|u| u.as_str().cmp(user.as_str())).is_ok()
            })
    }

    /// Whether it reaches more than the people it names.
    #[must_use]
    pub const fn is_broad(&self) -> bool {
        self.everyone || self.roles != 0
    }
}

/// What an entry of the sequence says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An alert went out; its `seq` is the entry's.
    Alert(Box<Alert>),
    /// The alert with this id is to be taken down.
    Cancelled(String),
}

/// An entry, and who gets it.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// Its place in the sequence.
    pub seq: u64,
    /// What it says.
    pub entry: Entry,
    /// Who gets it.
    pub reach: Reach,
}

/// Somebody who reads alerts; a visitor has no name and no role.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// The user's name.
    pub user: Option<UserName>,
    /// The bit of the user's role, see [`Role::bit`]; 0 for a visitor.
    pub role_bits: u8,
}

impl Reader {
    /// A signed-in reader, or a visitor.
    #[must_use]
    pub fn new(caller: Option<(&UserName, Role)>) -> Self {
        Self { user: caller.map(|c| c.0.clone()), role_bits: caller.map_or(0, |c| c.1.bit()) }
    }
}

/// A part of the sequence to read.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// After this place.
    pub since: u64,
    /// Up to this place, included; none for the end.
    pub until: Option<u64>,
    /// The most entries.
    pub limit: usize,
}

/// What the sequence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The first place that is kept; one past `last` when none is.
    pub first: u64,
    /// The last place that was ever given.
    pub last: u64,
}

/// Entries, oldest first, and where to go on from.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The entries with their places.
    pub items: Vec<(u64, Entry)>,
    /// The place to go on from: of the last item when there may be more, else the end of what was read.
    pub seq: u64,
}

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// There is no such alert.
    NotFound,
    /// It had not gone out, or was cancelled before: there is nothing to tell.
    Quietly,
    /// Everyone who got it is told under this place in the sequence.
    Told(u64),
}

/// Somebody has seen an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The alert's id.
    pub alert: String,
    /// Who.
    pub user: UserName,
    /// In which role.
    pub role: Role,
    /// When.
    pub at: Timestamp,
}

/// Whether somebody has seen an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Who.
    pub user: UserName,
    /// The name that people read.
    pub name: String,
    /// When; none: not yet.
    pub seen_at: Option<Timestamp>,
}

/// Who has seen an alert and who has not, of all whom the hub knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipts {
    /// Whom it reached.
    pub reach: Reach,
    /// Who has, first the first; as many as were wanted.
    pub seen: Vec<Receipt>,
    /// All who have.
    pub seen_total: u64,
    /// Who has not, by user name; as many as were wanted.
    pub unseen: Vec<Receipt>,
    /// All who have not.
    pub unseen_total: u64,
}

/// Keeps alerts.
pub trait AlertStore: Send + Sync {
    /// Keeps an alert, and lets it go out (it gets its `seq`) unless its `starts_at` is after `now`. The college's date
    /// says which terms have ended.
    fn post(&self, alert: Alert, now: ZonedDateTime) -> StoreFuture<Alert>;
    /// Cancels an alert.
    fn cancel(&self, id: &str, now: Timestamp) -> StoreFuture<Cancelled>;
    /// When the next scheduled alert is to go out.
    fn next_due(&self) -> StoreFuture<Option<Timestamp>>;
    /// Lets scheduled alerts go out whose time has come, at most `limit`; how many did. What has expired by now goes out
    /// no more, and counts as cancelled.
    fn release_due(&self, now: ZonedDateTime, limit: usize) -> StoreFuture<usize>;
    /// What the sequence holds.
    fn kept(&self) -> StoreFuture<Kept>;
    /// The entries after `seq` with those who get them, for whoever hands them out.
    fn log_after(&self, seq: u64, limit: usize) -> StoreFuture<Vec<LogEntry>>;
    /// The entries that a reader may see.
    fn seen_by(&self, reader: Reader, span: Span) -> StoreFuture<Page>;
    /// The alerts that a reader may see and that are in force at `now`.
    fn in_force(&self, reader: Reader, span: Span, now: Timestamp) -> StoreFuture<Page>;
    /// Alerts that are still to go out, soonest first.
    fn scheduled(&self, limit: usize) -> StoreFuture<Vec<Alert>>;
    /// What staff sent and is in force at `now`, whoever it is for: the newest, oldest first.
    fn sent(&self, limit: usize, now: Timestamp) -> StoreFuture<Page>;
    /// Everyone known to the hub whom an audience would reach now, and whoever it names.
    fn people_in(&self, audience: Audience, now: ZonedDateTime) -> StoreFuture<HashSet<UserName>>;
    /// Keeps who has seen an alert, the first time only. Of each, whether an alert of this id went out to that reader.
    fn ack(&self, acks: Vec<Ack>) -> StoreFuture<Vec<bool>>;
    /// Of these alerts, those that a user has acknowledged.
    fn acked_by(&self, user: UserName, alerts: Vec<String>) -> StoreFuture<HashSet<String>>;
    /// Who has seen an alert and who has not, at most `limit` of each; none when there is no such alert.
    fn receipts(&self, id: &str, limit: usize) -> StoreFuture<Option<Receipts>>;
    /// Forgets entries from before `cutoff`, the oldest first and at most `limit`; how many.
    fn forget_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize>;
}
