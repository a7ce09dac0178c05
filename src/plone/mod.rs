//! The connection to the college's Plone. Registration never waits for Plone; a request for announcements waits for it
//! only if none are cached.
//!
//! - [`bridge`]: builds, starts and stops the parts; [`metrics`]: their metrics
//! - [`port`]: the operations that the hub needs from Plone; [`rest`]: their implementation over Plone's REST API
//! - [`problem`]: what administrators read about Plone, as texts with codes
//! - [`pull`]: reads Plone's catalogue into the hub; [`outbox`]: writes committed sections to Plone;
//!   [`pull_gate`], [`items_known`]: keep the two from interfering with each other
//! - [`announcements`]: news items for visitors and members; [`cache`]: cached reads
//! - [`sign_in`]: Plone as a sign-in provider
//! - [`proxy`]: forwards browser requests to Plone
//! - [`mod@format`]: formats in which Plone stores sections and meetings, and the format of its tokens

pub mod announcements;
pub mod bridge;
pub mod cache;
pub mod format;
pub mod items_known;
pub mod metrics;
pub mod outbox;
pub mod port;
pub mod problem;
pub mod proxy;
pub mod pull;
pub mod pull_gate;
pub mod rest;
pub mod sign_in;
