//! Tests with a real Plone, which `make plone-template` installs.
//!
//! - [`site`]: the behavior of Plone that the hub relies on
//! - [`client`]: the hub's Plone client
//! - [`pull`]: the pull of Plone's catalogue
//! - [`outbox`]: writes of seats and rosters to Plone; [`cluster`]: by one of several hubs
//! - [`proxy`]: the proxy to Plone
//! - [`sign_in`]: members of Plone sign in to the hub; [`single_sign_on`]: users of single sign-on in Plone
//! - [`dashboard`]: announcements and dashboards
//! - [`outage`]: outages of Plone
//! - [`demonstration`]: the performance demonstration against Plone

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a panic fails the test, which is the intent; a test prints its seed and its measurements"
)]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod cluster;
mod dashboard;
mod demonstration;
mod outage;
mod outbox;
mod proxy;
mod pull;
mod sign_in;
mod single_sign_on;
mod site;
