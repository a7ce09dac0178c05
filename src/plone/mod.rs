//! Everything about the college's Plone. No request waits for Plone where the hub has a cached value.
//!
//! - [`bridge`]: builds, starts and stops the parts; [`metrics`]: their metrics
//! - [`port`]: what the hub asks of Plone; [`rest`]: its implementation over Plone's REST API
//! - [`pull`]: reads Plone's catalogue into the hub; [`outbox`]: writes committed sections to Plone
//! - [`announcements`]: news items for visitors and members; [`cache`]: cached reads
//! - [`sign_in`]: Plone as a sign-in provider
//! - [`proxy`]: requests of browsers, forwarded to Plone
//! - [`format`]: sections, meetings and tokens in the form in which Plone keeps them

pub mod announcements;
pub mod bridge;
pub mod cache;
pub mod format;
pub mod metrics;
pub mod outbox;
pub mod port;
pub mod proxy;
pub mod pull;
pub mod rest;
pub mod sign_in;
