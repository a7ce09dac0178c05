//! Implementations of the ports, one folder or file for each thing outside the hub. Only `app` and the command line
//! choose between them.
//!
//! - [`sqlite`]: the embedded store

pub mod sqlite;
