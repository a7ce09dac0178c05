//! Faults of the disk and of the machine, on the built program: no acknowledged seat is lost, and damage is detected.
//!
//! - [`store_files`]: interrupted restores, a store under several names, files that are missing or empty
//! - [`interrupted`]: imports, migrations, starts, stops and backups that are killed, fail, or lose power
//! - [`full_disk`]: commands that write to a disk that stays full
//! - [`failing_disk`]: errors of the disk while students register
//! - [`history`]: one order of all requests that explains every response, across kills and faults
//! - [`power_loss`]: what a disk can hold after a power failure, at random moments of a run
//! - [`damage`]: changed bits of stores, logs and backups, and a log that lost its end
//! - [`disk`]: the disk that fails; [`clock`]: the clock that is set
//! - [`live`]: live sessions while the clock is set, the process is stopped, and clients do not read
//! - [`openings`]: windows that open while students wait, when the clock is set
//! - [`overload`]: more requests than the disk can store, and clients that give up
//! - [`slow_clients`]: clients that send nothing, or a byte at a time; [`many_connections`]: thousands of them
//! - [`flood`]: registrations while a visitor requests lists that are not cached
//! - [`guessing`]: sign-ins while passwords are guessed
//! - [`sign_in`]: limits on failed sign-ins while the clock is set
//! - [`memory`]: floods that must not fill the memory; [`soak`]: minutes of mixed load
//! - [`deaf`]: many clients, some of which stop reading; [`crowd`]: thousands of clients in one thread
//! - [`reconnects`]: all clients of a college reconnect at once
//! - [`websocket`]: the protocol of the WebSocket, byte by byte
//!
//! Many tests have a negative control: a fault that they must detect, which shows that they can fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a panic fails the test, which is the intent; a test prints its seed"
)]

#[path = "../support/mod.rs"]
mod support;
use support::{clock, crowd};

mod damage;
mod deaf;
mod disk;
mod failing_disk;
mod flood;
mod full_disk;
mod guessing;
mod history;
mod interrupted;
mod live;
mod many_connections;
mod memory;
mod openings;
mod overload;
mod power_loss;
mod reconnects;
mod sign_in;
mod slow_clients;
mod soak;
mod store_files;
mod websocket;
