//! Black-box tests of the built program without Plone. Each test starts its own server with its own store and port.
//!
//! - [`alert_feeds`]: public alerts for other systems; [`cap_messages`]: CAP messages that other systems post
//! - [`alert_readers`]: what each kind of reader sees of an alert
//! - [`attack`]: simultaneous requests against every rule; [`attempts`]: receipts and histories
//! - [`bus`]: hubs with their own stores on one NATS server; [`bus_access`]: TLS and credentials
//! - [`cluster`]: three hubs on one PostgreSQL database and one NATS server, whose parts fail while students register
//! - [`commands`]: the command line, with and without a running hub
//! - [`imports`]: imports over HTTP
//! - [`migrate`]: moves a store to PostgreSQL
//! - [`live`]: seats, registrations and alerts over WebSockets; [`stream`]: over Server-Sent Events
//! - [`sessions_and_alerts`]: admission to live sessions, their administration, and sending alerts
//! - [`own_account`]: users change their own password and second factor, and end their sign-ins
//! - [`staff_views`]: metrics, activity, rosters, users and receipts
//! - [`dashboard`]: a student's dashboard
//! - [`demonstration`]: the performance demonstration and its sandbox
//! - [`oneroster`]: terms as OneRoster bundles
//! - [`permissions`]: the modes of the files that the program writes
//! - [`privacy`]: audited reads, export and erasure of what is stored about a person
//! - [`small_counts`]: counts of few people, which visitors do not see
//! - [`crash`]: confirmed seats survive `kill -9`
//! - [`hubs`]: two hubs on one PostgreSQL database; [`hubs_on_nats`]: also on NATS, which loses and repeats messages
//! - [`shared_imports`]: imports of one hub as another hub shows them
//! - [`readiness`]: what `/readyz` reports
//! - [`refusals`]: every refusal of the contract
//! - [`rush`]: 1,000 students at once
//! - [`season`]: a whole registration season
//!
//! The tests share one process, because none of them changes its environment, working directory or limits.
//! Measurements are of the server process that a test started.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a panic fails the test, which is the intent; a test prints its seed and its measurements"
)]

#[path = "../support/mod.rs"]
mod support;

mod alert_feeds;
mod alert_readers;
mod attack;
mod attempts;
mod bus;
mod bus_access;
mod cap_messages;
mod cluster;
mod commands;
mod crash;
mod dashboard;
mod demonstration;
mod hubs;
mod hubs_on_nats;
mod imports;
mod live;
mod migrate;
mod oneroster;
mod own_account;
mod permissions;
mod privacy;
mod readiness;
mod refusals;
mod rush;
mod season;
mod sessions_and_alerts;
mod shared_imports;
mod small_counts;
mod staff_views;
mod stream;
