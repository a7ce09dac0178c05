//! Faults of the disk and of the machine, on the built program: no acknowledged seat is lost, and damage is noticed.
//!
//! - [`store_files`]: interrupted restores, a store under several names, files that are missing or empty
//! - [`power_loss`]: what a disk can hold after the power failed, at points all over a run
//! - [`disk`]: the disk that fails
//! - [`slow_clients`]: clients that say nothing or send a byte at a time
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

mod disk;
mod power_loss;
mod slow_clients;
mod store_files;
