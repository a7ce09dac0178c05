//! Black-box tests of the built program without Plone: each starts its own server on its own store and port.
//!
//! - [`commands`]: the command line, beside a running server and without one
//! - [`imports`]: imports over HTTP
//! - [`live`]: seats, registrations and alerts over WebSockets
//! - [`sessions_and_alerts`]: admission to the live WebSocket, sessions, and sending alerts
//! - [`staff_views`]: metrics, activity, rosters, users and receipts
//! - [`dashboard`]: a student's dashboard
//! - [`demonstration`]: the performance demonstration and its sandbox
//! - [`crash`]: no acknowledged seat is lost by `kill -9`
//! - [`rush`]: 1,000 students at once
//!
//! No test reads or changes the environment, the working directory or the limits of this process, so all share it. What
//! a test measures, it measures in the server process that it started.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a panic fails the test, which is the intent; a test prints its seed and its measurements"
)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod crash;
mod dashboard;
mod demonstration;
mod imports;
mod live;
mod rush;
mod sessions_and_alerts;
mod staff_views;
