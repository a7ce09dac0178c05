//! What the hub asks of the college's Plone. Whoever stands behind these traits bounds connections and waiting, knows
//! deadlines, tries what may be tried twice once more, and says in one of few words why something did not work.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::fields::{Fields, SectionField};
use crate::domain::ids::UserName;

use crate::domain::event::Event;
use crate::store::StoreError;

/// What Plone answers, within the configured time.
pub type PloneFuture<T> = BoxFuture<'static, Result<T, PloneError>>;

/// Why Plone did not do what it was asked. The texts are for the log and for admins: a status and Plone's own short
/// message, never a traceback, a token or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PloneError {
    /// The hub's own bound: too many requests wait for Plone already. Nothing was sent.
    #[error("too much is waiting for Plone")]
    Busy,
    /// The circuit is open: Plone has not answered lately, and is left alone for a while. Nothing was sent.
    #[error("Plone does not answer at present")]
    Open,
    /// No connection, no answer in time, or one that breaks off or cannot be read. A write may have been done.
    #[error("Plone did not answer: {0}")]
    Unavailable(String),
    /// Plone failed: a fault of its own. Trying again later may help.
    #[error("Plone failed: {0}")]
    Failed(String),
    /// Somebody else is at it: a conflict that ran out of retries, or a lock of somebody who edits it. It passes.
    #[error("somebody else is at it in Plone: {0}")]
    Occupied(String),
    /// The credentials or the token are not good.
    #[error("Plone does not accept these credentials")]
    Unauthenticated,
    /// Plone has locked the account; in its own words.
    #[error("Plone has locked the account: {0}")]
    Locked(String),
    /// Known, and not allowed. (Plone says 401 for this, too.)
    #[error("Plone does not allow this")]
    Forbidden,
    /// There is no such thing.
    #[error("Plone has no such thing")]
    NotFound,
    /// Plone refuses it for good: trying the same again does not help.
    #[error("Plone refuses it: {0}")]
    Refused(String),
}

impl PloneError {
    /// Whether Plone could not be asked at all, or failed at whatever it was asked: what it would have said is not known.
    /// Not with [`Self::Busy`]: it answers others.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Open | Self::Unavailable(_) | Self::Failed(_))
    }

    /// Whether the same call may succeed later, without anybody changing anything.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Open | Self::Unavailable(_) | Self::Failed(_) | Self::Occupied(_))
    }
}

/// Why something that is both asked of Plone and kept in the store is not done, or not known.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// Plone did not do what it was asked.
    #[error(transparent)]
    Plone(#[from] PloneError),
    /// The store did not keep or tell it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// As whom Plone is asked.
#[derive(Debug, Clone)]
pub enum Viewer {
    /// The hub's own user.
    Hub,
    /// Nobody: what a visitor sees.
    Visitor,
    /// A member, by Plone's token.
    Member(Arc<SecretString>),
}

/// Somebody as Plone knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlonePerson {
    /// The full name; none when it is empty.
    pub name: Option<String>,
    /// Plone's roles, those of groups included.
    pub roles: Vec<String>,
    /// The ids of groups.
    pub groups: Vec<String>,
}

/// Who signs in.
pub trait Directory: Send + Sync {
    /// Checks a password (`@login`), and answers Plone's token. [`PloneError::Unauthenticated`] when it is wrong.
    fn login(&self, username: &UserName, password: &SecretString) -> PloneFuture<SecretString>;
    /// Somebody by name (`@users/{name}`), asked with the hub's own rights; none when there is nobody of this name (any
    /// more).
    fn person(&self, username: &UserName) -> PloneFuture<Option<PlonePerson>>;
}

/// Which content is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// Sections, under the configured folder.
    Section,
    /// One-off events, anywhere.
    Event,
    /// News items, anywhere.
    News,
}

/// One hit of a search: the catalogue's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Plone's UID, which survives renaming.
    pub uid: String,
    /// From the site's root, with a slash before it: `/courses/202701-10001`.
    pub path: String,
    /// When it was last modified, to the second.
    pub modified: Timestamp,
}

/// A page of hits, in a stable order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitPage {
    /// The hits that can be read.
    pub items: Vec<Hit>,
    /// How many others are on this page: what stands in Plone's index of them is no item's.
    pub unreadable: usize,
    /// How many there are on all pages.
    pub total: u64,
}

/// A section item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PloneSection {
    /// Plone's UID.
    pub uid: String,
    /// From the site's root, with a slash before it.
    pub path: String,
    /// When it was last modified.
    pub modified: Timestamp,
    /// Every mapped field that the type has (and that the asker may read). Absent: there is no such field.
    pub fields: Fields,
}

/// A news item.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewsItem {
    /// Plone's UID.
    pub id: String,
    /// From the site's root, with a slash before it.
    pub path: String,
    /// When it was last modified, to the second.
    pub modified: Timestamp,
    /// When it was published.
    pub published_at: Timestamp,
    /// The title.
    pub title: String,
    /// The summary, plain text.
    pub description: String,
    /// The text as HTML that is safe to show: only what formats text, links and images; links lead to the hub's
    /// `/plone/` or out, never to a script.
    pub html: String,
    /// The same as plain text.
    pub text: String,
}

/// What is read of the college's content.
pub trait Catalogue: Send + Sync {
    /// Searches as `viewer`: everything, or what was modified at `since` or later; from the hit `start` on, at most
    /// [`PAGE_LEN`]. News come newest first, other content in order of path.
    fn search(&self, viewer: Viewer, kind: ContentKind, since: Option<Timestamp>, start: u32) -> PloneFuture<HitPage>;
    /// A section, read with the hub's rights.
    fn section(&self, path: &str) -> PloneFuture<PloneSection>;
    /// An event; its id is `plone-UID`. Its program is its first keyword, or empty.
    fn event(&self, path: &str) -> PloneFuture<Event>;
    /// A news item as `viewer` sees it.
    fn news(&self, viewer: Viewer, path: &str) -> PloneFuture<NewsItem>;
}

/// Hits of one page of a search: half a second of Plone's time for 300 of them, measured.
pub const PAGE_LEN: u32 = 100;

/// What is written into the college's content, with the hub's rights.
pub trait Writer: Send + Sync {
    /// Writes fields of a section: absolute values. Fields that the type does not have must not be among them.
    fn write_section(&self, path: &str, fields: &Fields) -> PloneFuture<()>;
    /// Makes a section of this short name in the configured folder, and makes it visible if that is configured. When
    /// one of this name is there already, that one is answered, its fields untouched: so a creation whose outcome was
    /// not known can be asked for again.
    fn create_section(&self, short_name: &str, fields: &Fields) -> PloneFuture<PloneSection>;
    /// Whether `viewer` can read this field of the section: it is among what Plone shows of it, in its API or at any
    /// other address that is known. False for a section that the viewer cannot see at all.
    fn can_read(&self, viewer: Viewer, path: &str, field: SectionField) -> PloneFuture<bool>;
}

/// Everything that the hub asks of Plone.
pub trait Plone: Directory + Catalogue + Writer {}

impl<T: Directory + Catalogue + Writer> Plone for T {}
