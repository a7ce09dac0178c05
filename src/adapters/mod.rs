//! Implementations of the ports, one folder or file for each thing outside the hub. Only `app` and the command line
//! choose between them.
//!
//! - [`schedule_csv`]: colleges' CSV schedules
//! - [`sqlite`]: the embedded store
//! - [`bus_local`]: the bus within one process
//! - [`plone`]: the college's Plone, over HTTP

pub mod bus_local;
pub mod plone;
pub mod schedule_csv;
pub mod sqlite;
