//! Port for alerts: one sequence of entries, each with its recipients.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{Timestamp, ZonedDateTime};

use crate::domain::alert::{Alert, AlertContent, CorrectionRefusal};
use crate::domain::audience::{Audience, Membership};
use crate::domain::cap::CapId;
use crate::domain::ids::UserName;
use crate::domain::role::Role;

use crate::store::StoreFuture;

/// The recipients of an entry, resolved when the alert was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipients {
    /// Whether everyone receives it, including visitors.
    pub everyone: bool,
    /// The roles that receive it, as bits ([`Role::bit`]).
    pub roles: u8,
    /// The users who receive it, sorted by name.
    pub users: Arc<[UserName]>,
    /// For each of [`Self::users`], the index of the user's membership in [`Self::memberships`]; may be empty where
    /// only the names matter.
    pub groups: Arc<[u32]>,
    /// The distinct memberships of the users.
    pub memberships: Arc<[Membership]>,
}

impl Recipients {
    /// Returns whether `caller` is a recipient; `None` is a visitor.
    #[must_use]
    pub fn includes(&self, caller: Option<(&UserName, Role)>) -> bool {
        self.everyone
            || caller.is_some_and(|(user, role)| self.roles & role.bit() != 0 || self.position(user).is_some())
    }

    /// Returns the index of a user in [`Self::users`].
    #[must_use]
    pub fn position(&self, user: &UserName) -> Option<usize> {
        self.users.binary_search_by(|own| own.as_str().cmp(user.as_str())).ok()
    }

    /// Returns whether everyone or a whole role receives it, not only named users.
    #[must_use]
    pub const fn is_broad(&self) -> bool {
        self.everyone || self.roles != 0
    }
}

/// The content of an entry of the sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An alert was sent. Its `seq` is the entry's position.
    Alert(Box<Alert>),
    /// The alert with this id was cancelled.
    Cancelled(String),
}

/// An entry of the sequence with its recipients.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// The position in the sequence.
    pub seq: u64,
    /// The content.
    pub entry: Entry,
    /// The recipients.
    pub recipients: Recipients,
}

/// A reader of alerts.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// The username; `None` for a visitor.
    pub user: Option<UserName>,
    /// The user's role; `None` for a visitor.
    pub role: Option<Role>,
    /// The name that a reader below staff sees in place of a sender without a display name, such as the college's.
    pub office: Arc<str>,
}

impl Reader {
    /// Creates a reader from a caller; `None` is a visitor.
    #[must_use]
    pub fn new(caller: Option<(&UserName, Role)>, office: Arc<str>) -> Self {
        Self { user: caller.map(|c| c.0.clone()), role: caller.map(|c| c.1), office }
    }

    /// Returns the role as a bit ([`Role::bit`]); 0 for a visitor.
    #[must_use]
    pub fn role_bits(&self) -> u8 {
        self.role.map_or(0, Role::bit)
    }

    /// Returns the username and the role; `None` for a visitor.
    #[must_use]
    pub fn identity(&self) -> Option<(&UserName, Role)> {
        self.user.as_ref().zip(self.role)
    }
}

/// A range of the sequence to read: (`since`, `until`].
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The range starts after this position.
    pub since: u64,
    /// The last position of the range; `None` for the end of the sequence.
    pub until: Option<u64>,
    /// Maximum number of entries.
    pub limit: usize,
}

/// The range of positions whose entries are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRange {
    /// The oldest stored position; one past `last` when no entry is stored.
    pub first: u64,
    /// The newest position that was ever assigned.
    pub last: u64,
}

/// Entries, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The entries with their positions.
    pub items: Vec<(u64, Entry)>,
    /// The position after which the next page starts: that of the last item when there may be more, otherwise the end
    /// of the range that was read.
    pub seq: u64,
}

/// An alert to everyone that was sent, as other systems see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicAlert {
    /// The alert as its author wrote it last. Its `seq` is that of the last message.
    pub alert: Alert,
    /// Its entries in the sequence, oldest first: at least one, and at most the newest [`PUBLIC_MESSAGES_MAX`].
    pub messages: Vec<PublicMessage>,
}

/// An entry of an alert to everyone in the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicMessage {
    /// The position.
    pub seq: u64,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether it cancels the alert; otherwise it sends or corrects it.
    pub is_cancellation: bool,
}

/// Maximum number of entries of one alert that [`PublicAlert`] contains. Hardly any alert is corrected so often.
pub const PUBLIC_MESSAGES_MAX: usize = 50;

/// The outcome of cancelling an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// There is no such alert.
    NotFound,
    /// The alert was not sent yet, or was cancelled before, so no entry was added.
    Unannounced,
    /// An entry was added at this position, which notifies the recipients of the alert.
    Announced(u64),
}

/// The outcome of correcting an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorrectOutcome {
    /// There is no such alert, or it was cancelled.
    NotFound,
    /// The correction is not possible.
    Refused(CorrectionRefusal),
    /// The alert was corrected. It has a `seq` unless it is scheduled.
    Corrected {
        /// The alert after the correction.
        alert: Box<Alert>,
        /// The number of acknowledgements of the earlier text, which were deleted.
        acks_deleted: u64,
    },
}

/// A CAP message to carry out.
#[derive(Debug, Clone)]
pub struct CapCommand {
    /// The identification of the message. Each message is carried out once.
    pub id: CapId,
    /// The action of the message.
    pub action: CapAction,
    /// The alerts to which it refers. Unknown ones are ignored if at least one is known.
    pub references: Vec<CapReference>,
}

/// The action of a CAP message.
#[derive(Debug, Clone)]
pub enum CapAction {
    /// Sends an alert.
    Send(Box<Alert>),
    /// Corrects the alert to which it refers.
    Correct(Box<AlertContent>),
    /// Cancels the alerts to which it refers.
    Cancel,
}

/// A reference of a CAP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapReference {
    /// To a message that was carried out before.
    Message(CapId),
    /// To the alert with this id, which the hub published itself.
    Alert(String),
}

/// The outcome of a CAP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapOutcome {
    /// The message was carried out before, on the alert with this id. Nothing was changed.
    Repeated(String),
    /// The alert was sent or scheduled.
    Sent(Box<Alert>),
    /// The alert was corrected.
    Corrected {
        /// The alert after the correction.
        alert: Box<Alert>,
        /// The number of acknowledgements of the earlier text, which were deleted.
        acks_deleted: u64,
    },
    /// The alerts with these ids are cancelled.
    Cancelled {
        /// The ids, at least one.
        alerts: Vec<String>,
        /// The position of the last cancellation in the sequence; `None` if none of them had to be announced.
        seq: Option<u64>,
    },
    /// None of the references is known, or the alert to correct was cancelled.
    Unknown,
    /// A correction refers to several alerts.
    Several,
    /// The correction is not possible.
    Refused(CorrectionRefusal),
}

/// An acknowledgement of an alert by a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The alert's id.
    pub alert: String,
    /// The user.
    pub user: UserName,
    /// The user's role.
    pub role: Role,
    /// When the user acknowledged it.
    pub at: Timestamp,
}

/// A recipient of an alert, and whether the recipient has acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The user.
    pub user: UserName,
    /// The display name.
    pub name: String,
    /// When the user acknowledged the alert; `None` if the user has not.
    pub acknowledged_at: Option<Timestamp>,
}

/// The acknowledgements of an alert, and the recipients who have not acknowledged it: those that it names, and the
/// known users who receive it because it is for everyone or their role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipts {
    /// The recipients.
    pub recipients: Recipients,
    /// Acknowledgements, earliest first, at most the requested number.
    pub acknowledged: Vec<Receipt>,
    /// Number of all acknowledgements.
    pub acknowledged_total: u64,
    /// Recipients who have not acknowledged it, by username, at most the requested number.
    pub unacknowledged: Vec<Receipt>,
    /// Number of all recipients who have not acknowledged it.
    pub unacknowledged_total: u64,
}

/// A store of alerts.
pub trait AlertStore: Send + Sync {
    /// Stores an alert, and sends it (assigns its `seq`) unless its `starts_at` is after `now`. The date of `now` in
    /// the college's time zone decides which terms have ended.
    fn post(&self, alert: Alert, now: ZonedDateTime) -> StoreFuture<Alert>;
    /// Returns an alert as its author wrote it, whether it was sent or not; its `seq` is `None`.
    fn alert(&self, id: &str) -> StoreFuture<Option<Alert>>;
    /// Cancels an alert.
    fn cancel(&self, id: &str, now: Timestamp) -> StoreFuture<CancelOutcome>;
    /// Corrects an alert ([`AlertContent::corrected`]). A sent alert is sent again with a new `seq` to its recipients
    /// and to those who belong to its audience now, and loses its acknowledgements, which belong to the earlier text.
    fn correct(&self, id: &str, new: AlertContent, now: ZonedDateTime) -> StoreFuture<CorrectOutcome>;
    /// Carries out a CAP message, and stores in the same commit that it was carried out.
    fn take_cap(&self, command: CapCommand, now: ZonedDateTime) -> StoreFuture<CapOutcome>;
    /// Returns when the next scheduled alert is due.
    fn next_due(&self) -> StoreFuture<Option<Timestamp>>;
    /// Sends at most `limit` scheduled alerts that are due, and returns their number. Cancels those that have expired.
    fn release_due(&self, now: ZonedDateTime, limit: usize) -> StoreFuture<usize>;
    /// Returns the range of positions whose entries are stored.
    fn stored_range(&self) -> StoreFuture<StoredRange>;
    /// Returns at most `limit` entries after `seq`, with their recipients.
    fn log_after(&self, seq: u64, limit: usize) -> StoreFuture<Vec<LogEntry>>;
    /// Returns the entries of a range that a reader may see, each alert as the reader may see it
    /// ([`Alert::for_reader`]). Leaves out entries that a later correction of the alert has replaced.
    fn visible_to(&self, reader: Reader, span: Span) -> StoreFuture<Page>;
    /// Returns the alerts of a range that a reader may see and that are active at `now`, neither cancelled nor expired,
    /// as the reader may see them.
    fn active(&self, reader: Reader, span: Span, now: Timestamp) -> StoreFuture<Page>;
    /// Returns at most `limit` scheduled alerts, soonest first.
    fn scheduled(&self, limit: usize) -> StoreFuture<Vec<Alert>>;
    /// Returns the newest `limit` alerts that staff sent to any audience and that are active at `now`, oldest first.
    fn sent_by_staff(&self, limit: usize, now: Timestamp) -> StoreFuture<Page>;
    /// Returns at most `limit` alerts to everyone that were sent, including cancelled and expired ones, in the order of
    /// their last entries, newest first.
    fn public(&self, limit: usize) -> StoreFuture<Vec<PublicAlert>>;
    /// Returns an alert to everyone that was sent; `None` if there is no such alert.
    fn public_alert(&self, id: &str) -> StoreFuture<Option<PublicAlert>>;
    /// Returns the known users who belong to an audience now, and every user that it names.
    fn people_in(&self, audience: Audience, now: ZonedDateTime) -> StoreFuture<HashSet<UserName>>;
    /// Stores acknowledgements; of several by one user for one alert, the first. Returns for each whether the alert was
    /// sent and the user is a recipient.
    fn ack(&self, acks: Vec<Ack>) -> StoreFuture<Vec<bool>>;
    /// Returns those of `alerts` that a user has acknowledged.
    fn acked_by(&self, user: UserName, alerts: Vec<String>) -> StoreFuture<HashSet<String>>;
    /// Returns the acknowledgements of an alert, with at most `limit` entries in each list; `None` when there is no
    /// such alert.
    fn receipts(&self, id: &str, limit: usize) -> StoreFuture<Option<Receipts>>;
    /// Deletes at most `limit` entries from before `cutoff`, oldest first. Returns their number.
    fn delete_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize>;
}
