//! Port to the college's Plone. An implementation bounds the number of connections and of waiting calls, applies
//! deadlines, retries idempotent calls once, and reports failures as [`PloneError`].

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::fields::{Fields, SectionField};
use crate::domain::ids::UserName;

use crate::domain::event::Event;
use crate::store::StoreError;

/// A result from Plone. An operation may send several requests, each of which ends within the configured timeout.
pub type PloneFuture<T> = BoxFuture<'static, Result<T, PloneError>>;

/// Why a call to Plone failed. The messages are for the log and for admins. They may contain a status and a shortened
/// message from Plone, never a traceback, a token or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PloneError {
    /// Too many calls are in flight or waiting. Nothing was sent.
    #[error("too many calls are waiting for Plone")]
    Busy,
    /// The circuit is open because Plone did not respond to recent calls. Nothing was sent.
    #[error("Plone is not responding")]
    Open,
    /// No connection, no response in time, or an incomplete or unreadable response. A write may have taken effect.
    #[error("Plone did not respond: {0}")]
    Unavailable(String),
    /// An internal error of Plone. A retry may succeed.
    #[error("Plone failed: {0}")]
    Failed(String),
    /// The item is temporarily in use: a write conflict that exhausted its retries, or the lock of a user who edits the
    /// item.
    #[error("the item is in use in Plone: {0}")]
    Occupied(String),
    /// The password or the token is not valid.
    #[error("Plone rejected the credentials")]
    Unauthenticated,
    /// Plone has locked the account. Contains Plone's message.
    #[error("Plone has locked the account: {0}")]
    Locked(String),
    /// The viewer lacks the permission. Plone's status for this is usually 401, as for an invalid token.
    #[error("Plone denied permission")]
    Forbidden,
    /// There is no such item or user.
    #[error("Plone has no such item")]
    NotFound,
    /// The call was refused permanently. A retry does not help.
    #[error("Plone refused the request: {0}")]
    Refused(String),
}

impl PloneError {
    /// Returns true for an outage of Plone. [`Self::Busy`] is not an outage: Plone responds to other calls.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Open | Self::Unavailable(_) | Self::Failed(_))
    }

    /// Returns true if the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Open | Self::Unavailable(_) | Self::Failed(_) | Self::Occupied(_))
    }
}

/// Why an operation on both Plone and the store failed.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The call to Plone failed.
    #[error(transparent)]
    Plone(#[from] PloneError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The identity with which the hub calls Plone.
#[derive(Debug, Clone)]
pub enum Viewer {
    /// The hub's own user.
    Hub,
    /// A visitor: the call carries no token.
    Visitor,
    /// A member, identified by a token that Plone issued or, for single sign-on, that the hub signed.
    Member(Arc<SecretString>),
}

/// A user of Plone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlonePerson {
    /// Full name; `None` if it is empty.
    pub name: Option<String>,
    /// Roles in Plone, including those of the user's groups.
    pub roles: Vec<String>,
    /// Ids of groups.
    pub groups: Vec<String>,
}

/// Plone's users.
pub trait Directory: Send + Sync {
    /// Checks a password (`@login`) and returns Plone's token for the user. Fails with [`PloneError::Unauthenticated`]
    /// if the name or the password is wrong.
    fn login(&self, username: &UserName, password: &SecretString) -> PloneFuture<SecretString>;
    /// Reads a user by name (`@users/{name}`) as the hub's user. Returns `None` if there is no such user.
    fn person(&self, username: &UserName) -> PloneFuture<Option<PlonePerson>>;
}

/// Kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// Sections below the configured folder.
    Section,
    /// One-off events anywhere on the site.
    Event,
    /// News items anywhere on the site.
    News,
}

/// A search hit, made from columns of Plone's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// UID in Plone, which does not change when the item is renamed or moved.
    pub uid: String,
    /// Path from the site's root, such as `/courses/202701-10001`.
    pub path: String,
    /// Time of the last modification, with a resolution of one second.
    pub modified: Timestamp,
}

/// A page of hits in a stable order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitPage {
    /// Readable hits.
    pub items: Vec<Hit>,
    /// Number of further hits on this page whose entry in Plone's catalogue is broken.
    pub unreadable: usize,
    /// Number of hits on all pages together.
    pub total: u64,
}

/// A section as stored in Plone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PloneSection {
    /// UID in Plone.
    pub uid: String,
    /// Path from the site's root.
    pub path: String,
    /// Time of the last modification.
    pub modified: Timestamp,
    /// Every mapped field that the type has and that the viewer may read.
    pub fields: Fields,
}

/// A news item from Plone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewsItem {
    /// UID in Plone.
    pub id: String,
    /// Path from the site's root.
    pub path: String,
    /// Time of the last modification, with a resolution of one second.
    pub modified: Timestamp,
    /// Effective date; the creation date if there is none.
    pub published_at: Timestamp,
    /// Title.
    pub title: String,
    /// Summary, as plain text.
    pub description: String,
    /// Body as sanitized HTML: only formatting, links and images. Links into the site lead to the hub's `/plone/`;
    /// links to scripts are removed.
    pub html: String,
    /// Body as plain text.
    pub text: String,
}

/// Reads of the college's content.
pub trait Catalogue: Send + Sync {
    /// Searches as `viewer` for content of one kind; with `since`, only for content modified at that time or later.
    /// Returns at most [`PAGE_LEN`] hits, beginning with the hit number `start` (from 0). News items are sorted newest
    /// first, other content by id.
    fn search(&self, viewer: Viewer, kind: ContentKind, since: Option<Timestamp>, start: u32) -> PloneFuture<HitPage>;
    /// Reads a section as the hub's user.
    fn section(&self, path: &str) -> PloneFuture<PloneSection>;
    /// Reads an event as the hub's user. Its id is `plone-UID`; its program is its first keyword, or empty.
    fn event(&self, path: &str) -> PloneFuture<Event>;
    /// Reads a news item as `viewer`.
    fn news(&self, viewer: Viewer, path: &str) -> PloneFuture<NewsItem>;
}

/// Maximum number of hits on one page of a search. Plone needs 66 ms for a page of this length (measured).
pub const PAGE_LEN: u32 = 100;

/// Writes to the college's content, as the hub's user.
pub trait Writer: Send + Sync {
    /// Writes absolute values of a section's fields. `fields` must contain only fields that the type has.
    fn write_section(&self, path: &str, fields: &Fields) -> PloneFuture<()>;
    /// Creates a section with this short name in the configured folder, and publishes it if that is configured. If a
    /// section with this name exists, its fields are returned unchanged, so that a creation whose outcome is unknown
    /// can be repeated.
    fn create_section(&self, short_name: &str, fields: &Fields) -> PloneFuture<PloneSection>;
    /// Returns true if `viewer` can read this field of a section, through Plone's API or at another known address.
    /// Returns false for a section that the viewer cannot see.
    fn can_read(&self, viewer: Viewer, path: &str, field: SectionField) -> PloneFuture<bool>;
}

/// All operations of Plone that the hub needs.
pub trait Plone: Directory + Catalogue + Writer {}

impl<T: Directory + Catalogue + Writer> Plone for T {}
