//! Port to the college's Plone. An implementation bounds connections and waiting, applies deadlines, retries idempotent
//! calls once, and reports failures as [`PloneError`].

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::fields::{Fields, SectionField};
use crate::domain::ids::UserName;

use crate::domain::event::Event;
use crate::store::StoreError;

/// A result from Plone, within the configured time.
pub type PloneFuture<T> = BoxFuture<'static, Result<T, PloneError>>;

/// Why a call to Plone failed. The texts are for the log and for admins: a status and Plone's own short message, never
/// a traceback, a token or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PloneError {
    /// The hub's own bound is reached: too many calls wait for Plone. Nothing was sent.
    #[error("too much is waiting for Plone")]
    Busy,
    /// The circuit is open, since Plone did not answer lately. Nothing was sent.
    #[error("Plone does not answer at present")]
    Open,
    /// There was no connection, no response in time, or one that is incomplete or unreadable. A write may have had an
    /// effect.
    #[error("Plone did not answer: {0}")]
    Unavailable(String),
    /// Plone failed by a fault of its own. A retry may succeed.
    #[error("Plone failed: {0}")]
    Failed(String),
    /// The item is in use: a write conflict that exhausted its retries, or the lock of a user who edits it. It passes.
    #[error("the item is in use in Plone: {0}")]
    Occupied(String),
    /// The credentials or the token are not valid.
    #[error("Plone does not accept these credentials")]
    Unauthenticated,
    /// Plone has locked the account, for a reason in its own words.
    #[error("Plone has locked the account: {0}")]
    Locked(String),
    /// The viewer is known and not allowed. Plone answers 401 for this, too.
    #[error("Plone does not allow this")]
    Forbidden,
    /// There is no such item or user.
    #[error("Plone has no such item")]
    NotFound,
    /// Plone refuses the call permanently: a retry does not help.
    #[error("Plone refuses it: {0}")]
    Refused(String),
}

impl PloneError {
    /// Returns true when Plone is out of order, so that its answer is not known. [`Self::Busy`] is no outage: Plone
    /// answers others.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Open | Self::Unavailable(_) | Self::Failed(_))
    }

    /// Returns true when the same call may succeed later without a change in Plone.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Open | Self::Unavailable(_) | Self::Failed(_) | Self::Occupied(_))
    }
}

/// Why an operation failed that uses both Plone and the store.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The call to Plone failed.
    #[error(transparent)]
    Plone(#[from] PloneError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The user in whose name Plone is asked.
#[derive(Debug, Clone)]
pub enum Viewer {
    /// The hub's own user.
    Hub,
    /// A visitor, without any token.
    Visitor,
    /// A member, by a token of Plone's.
    Member(Arc<SecretString>),
}

/// A user of Plone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlonePerson {
    /// Full name; none when it is empty.
    pub name: Option<String>,
    /// Roles in Plone, those of groups included.
    pub roles: Vec<String>,
    /// Ids of groups.
    pub groups: Vec<String>,
}

/// Users of Plone.
pub trait Directory: Send + Sync {
    /// Checks a password (`@login`) and returns a token of Plone's. Fails with [`PloneError::Unauthenticated`] when the
    /// name or the password is wrong.
    fn login(&self, username: &UserName, password: &SecretString) -> PloneFuture<SecretString>;
    /// Returns a user by name (`@users/{name}`), read with the hub's own rights; none when there is no such user.
    fn person(&self, username: &UserName) -> PloneFuture<Option<PlonePerson>>;
}

/// Kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// Sections, below the configured folder.
    Section,
    /// One-off events, anywhere.
    Event,
    /// News items, anywhere.
    News,
}

/// A hit of a search, from the columns of Plone's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// UID in Plone, which survives renaming.
    pub uid: String,
    /// Path from the site's root, such as `/courses/202701-10001`.
    pub path: String,
    /// When it was last modified, with a resolution of one second.
    pub modified: Timestamp,
}

/// A page of hits, in a stable order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitPage {
    /// Readable hits.
    pub items: Vec<Hit>,
    /// Number of other hits on this page, whose entry in Plone's index is broken.
    pub unreadable: usize,
    /// Number of hits on all pages.
    pub total: u64,
}

/// A section as Plone keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PloneSection {
    /// UID in Plone.
    pub uid: String,
    /// Path from the site's root.
    pub path: String,
    /// When it was last modified.
    pub modified: Timestamp,
    /// Every mapped field that the type has and the viewer may read.
    pub fields: Fields,
}

/// A news item of Plone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewsItem {
    /// UID in Plone.
    pub id: String,
    /// Path from the site's root.
    pub path: String,
    /// When it was last modified, with a resolution of one second.
    pub modified: Timestamp,
    /// When it was published.
    pub published_at: Timestamp,
    /// Title.
    pub title: String,
    /// Summary, as plain text.
    pub description: String,
    /// Body as sanitised HTML: formatting, links and images only; links lead to the hub's `/plone/` or out, never to a
    /// script.
    pub html: String,
    /// Body as plain text.
    pub text: String,
}

/// Reads of the college's content.
pub trait Catalogue: Send + Sync {
    /// Searches as `viewer` for everything, or for what was modified at `since` or later. Returns at most [`PAGE_LEN`]
    /// hits from the hit `start` on: news items newest first, other content in order of path.
    fn search(&self, viewer: Viewer, kind: ContentKind, since: Option<Timestamp>, start: u32) -> PloneFuture<HitPage>;
    /// Reads a section with the hub's rights.
    fn section(&self, path: &str) -> PloneFuture<PloneSection>;
    /// Reads an event with the hub's rights. Its id is `plone-UID`, its program its first keyword or empty.
    fn event(&self, path: &str) -> PloneFuture<Event>;
    /// Reads a news item as `viewer` sees it.
    fn news(&self, viewer: Viewer, path: &str) -> PloneFuture<NewsItem>;
}

/// Most hits of one page of a search: 66 ms of Plone's time, measured.
pub const PAGE_LEN: u32 = 100;

/// Writes to the college's content, with the hub's rights.
pub trait Writer: Send + Sync {
    /// Writes absolute values of a section's fields. Fields that the type lacks must not be among them.
    fn write_section(&self, path: &str, fields: &Fields) -> PloneFuture<()>;
    /// Creates a section of this short name in the configured folder, and publishes it if that is configured. When
    /// there is a section of this name already, returns it unchanged, so that a creation of unknown outcome can be
    /// repeated.
    fn create_section(&self, short_name: &str, fields: &Fields) -> PloneFuture<PloneSection>;
    /// Returns true when `viewer` can read this field of a section, in Plone's API or at another known address. Returns
    /// false for a section that the viewer cannot see.
    fn can_read(&self, viewer: Viewer, path: &str, field: SectionField) -> PloneFuture<bool>;
}

/// The whole port.
pub trait Plone: Directory + Catalogue + Writer {}

impl<T: Directory + Catalogue + Writer> Plone for T {}
