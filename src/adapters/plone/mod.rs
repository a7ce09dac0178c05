//! The college's Plone, over its REST API (plone.restapi): an implementation of [`crate::ports::plone`].
//!
//! - [`options`]: where it is, and what this college calls things
//! - [`client`]: [`PloneClient`], the handle that everybody shares

mod client;
mod options;

pub use client::PloneClient;
pub use options::{BadPloneUrl, PloneOptions};
