//! Everything about the college's Plone. No request waits for Plone where the hub has a copy.
//!
//! - [`port`]: what the hub asks of Plone; [`rest`]: the same over Plone's REST API
//! - [`bridge`]: starts and stops all of it; [`metrics`]: what Prometheus reads of it
//! - [`announcements`]: news for visitors and members; [`reads`]: copies of what was read of Plone
//! - [`pull`]: the catalogue follows Plone; [`outbox`]: committed seats are written to Plone
//! - [`sign_in`]: Plone as a sign-in provider
//! - [`proxy`]: requests of browsers, forwarded to Plone
//! - [`format`]: how sections, meetings and tokens are written in Plone

pub mod announcements;
pub mod bridge;
pub mod format;
pub mod metrics;
pub mod outbox;
pub mod port;
pub mod proxy;
pub mod pull;
pub mod reads;
pub mod rest;
pub mod sign_in;
