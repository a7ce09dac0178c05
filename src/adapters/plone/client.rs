//! The handle on Plone that everybody shares.

use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use secrecy::SecretString;

use super::options::{BadPloneUrl, PloneOptions};
use crate::domain::ids::UserName;
use crate::domain::plone::{Fields, PloneField};
use crate::ports::plone::{
    Catalogue, ContentKind, Directory, HitPage, NewsItem, PloneError, PloneFuture, PlonePerson, PloneSection, Viewer,
    Writer,
};
use crate::ports::schedule::Event;

/// Plone, over its REST API. Clones share one connection pool, one gate and one sign-in.
#[derive(Clone)]
pub struct PloneClient {
    options: Arc<PloneOptions>,
}

impl PloneClient {
    /// A client of the site that the options name. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(options: PloneOptions) -> Result<Self, BadPloneUrl> {
        Ok(Self { options: Arc::new(options) })
    }

    fn not_yet<T: Send + 'static>(&self) -> PloneFuture<T> {
        let error = PloneError::Unavailable(format!("{} is not connected", self.options.url));
        async move { Err(error) }.boxed()
    }
}

impl Directory for PloneClient {
    fn login(&self, _: &UserName, _: &SecretString) -> PloneFuture<SecretString> {
        self.not_yet()
    }
    fn person(&self, _: &UserName) -> PloneFuture<Option<PlonePerson>> {
        self.not_yet()
    }
}

impl Catalogue for PloneClient {
    fn search(&self, _: Viewer, _: ContentKind, _: Option<Timestamp>, _: u32) -> PloneFuture<HitPage> {
        self.not_yet()
    }
    fn section(&self, _: &str) -> PloneFuture<PloneSection> {
        self.not_yet()
    }
    fn event(&self, _: &str) -> PloneFuture<Event> {
        self.not_yet()
    }
    fn news(&self, _: Viewer, _: &str) -> PloneFuture<NewsItem> {
        self.not_yet()
    }
}

impl Writer for PloneClient {
    fn write_section(&self, _: &str, _: &Fields) -> PloneFuture<()> {
        self.not_yet()
    }
    fn create_section(&self, _: &str, _: &Fields) -> PloneFuture<PloneSection> {
        self.not_yet()
    }
    fn can_read(&self, _: Viewer, _: &str, _: PloneField) -> PloneFuture<bool> {
        self.not_yet()
    }
}
