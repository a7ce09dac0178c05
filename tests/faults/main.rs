//! Faults of the disk and of the machine, on the built program: no acknowledged seat is lost, and damage is noticed.
//!
//! - [`store_files`]: interrupted restores, a store under several names, files that are missing or empty
//! - [`failing_disk`]: errors of the disk while students register
//! - [`power_loss`]: what a disk can hold after the power failed, at points all over a run
//! - [`disk`]: the disk that fails; [`clock`]: the clock that is set
//! - [`live`]: live sessions while the clock is set, the process is stopped, and clients do not read
//! - [`reconnects`]: thousands of clients that reconnect at once
//! - [`sign_in`]: limits on failed sign-ins while the clock is set
//! - [`websocket`]: the protocol of the WebSocket, byte by byte
//!
//! Each test has a negative control: a fault that must be noticed, so that the test is known to look.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a panic fails the test, which is the intent; a test prints its seed"
)]

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod disk;
mod failing_disk;
mod live;
mod power_loss;
mod reconnects;
mod sign_in;
mod store_files;
mod websocket;
