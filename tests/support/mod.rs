//! What every test and benchmark needs that drives the built program from outside: nothing here knows the inside.
//!
//! - [`server`]: a folder with a store of its own, the program's commands on it, and the running server
//! - [`http`]: a small blocking HTTP/1.1 client, cheap enough for thousands of connections
//! - [`socket`]: a WebSocket client that waits for a frame, with a deadline
//! - [`schedule`]: generated schedules, and the road from a file to an open term
//! - [`plone`]: a real Plone of a test's own; [`tcp_relay`]: what stands between it and the hub, and can fail
//! - [`bridge`]: the hub in front of that Plone
//! - [`audit`]: what must hold in a term whatever was sent: nobody lost, nothing oversold, no clash
//! - [`meeting`]: where threads wait for each other
//! - [`random`]: seeded random numbers, so that a failure can be repeated
//!
//! Whoever waits, waits for a line, a frame, an answer, an end or a condition; never for a time, and not for ever.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "each test file compiles this for itself and uses a part of it; a helper that fails ends the test, loudly"
)]

pub mod audit;
pub mod bridge;
pub mod http;
pub mod meeting;
pub mod plone;
pub mod random;
pub mod schedule;
pub mod server;
pub mod socket;
pub mod tcp_relay;

use std::time::Duration;

/// How long anything may take before a test gives up. Generous: it is for what never comes, not for what is slow.
pub const PATIENCE: Duration = Duration::from_secs(60);
