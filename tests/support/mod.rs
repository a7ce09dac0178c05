//! Helpers of the tests and benchmarks, most of which drive the built program from outside. Only [`openapi`] uses the
//! library.
//!
//! Each test crate includes this module once, as `mod support` of its root; so does the benchmark.
//!
//! - [`server`]: a store in its own folder, commands of the program that use it, and the running server
//! - [`http`]: a small blocking HTTP/1.1 client, cheap enough for thousands of connections
//! - [`socket`]: a WebSocket client that waits for frames, with a deadline; [`crowd`]: thousands of them in one thread
//! - [`events`]: a client of Server-Sent Events that waits for events, with a deadline
//! - [`schedule`]: generated schedules, importing them and opening their term
//! - [`schedule_variants`]: changed copies of schedule files
//! - [`plone`]: a real Plone; [`tcp_relay`]: a switchable relay between the hub and Plone, or another server
//! - [`postgres`]: a PostgreSQL server for the tests of one process; [`standby`]: one with a synchronous standby
//! - [`nats`]: a NATS server for one test
//! - [`ports`]: ports for servers that are stopped and started again
//! - [`nats_joint`]: carries messages between two NATS servers, and loses, repeats or reorders them
//! - [`bridge`]: a hub in front of Plone
//! - [`barrier`]: a barrier for threads, with a deadline
//! - [`attempts`]: an auditor of exported chains of attempts
//! - [`audit`]: the invariants of a term: no section oversold, all counts correct, no student with conflicting
//!   registrations
//! - [`demonstration`]: the performance demonstration
//! - [`openapi`]: the OpenAPI document, and checks of responses against it
//! - [`oneroster`]: a reader and a writer of OneRoster bundles
//! - [`xml`]: XML documents as trees, and checks of CAP messages and Atom feeds
//! - [`clock`]: a clock of the server that tests can move
//! - [`wait`]: waiting for a condition, with a deadline
//! - [`morning`]: a model of a registration morning; [`simulation`]: a simulation of the hubs that serve it,
//!   with its [`processors`]
//! - [`random`]: seeded random numbers, so that a failure can be reproduced
//!
//! Tests wait for a line, a frame, a response, an exit or a condition, and give up after [`WAIT_MAX`]. They never sleep
//! for a fixed time.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "each crate uses only a part of the helpers; a panic in one fails the test, which is the intent"
)]

pub mod attempts;
pub mod audit;
pub mod barrier;
pub mod bridge;
pub mod clock;
pub mod crowd;
pub mod demonstration;
pub mod events;
pub mod http;
pub mod morning;
pub mod nats;
pub mod nats_joint;
pub mod oneroster;
pub mod openapi;
pub mod plone;
pub mod ports;
pub mod postgres;
pub mod processors;
pub mod random;
pub mod schedule;
pub mod schedule_variants;
pub mod server;
pub mod simulation;
pub mod socket;
pub mod standby;
pub mod tcp_relay;
pub mod wait;
pub mod xml;

use std::time::Duration;

/// The time after which a test gives up waiting. It is long, to detect what never happens, not what is slow.
pub const WAIT_MAX: Duration = Duration::from_secs(120);
