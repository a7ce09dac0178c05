//! Tests in this process, through the library: no process of the hub and no Plone.
//!
//! - [`domain`]: the rules of registration
//! - [`model`]: generated histories against an independent model of the guarantees
//! - [`registrar`]: ordering, commits and failures between callers and the store
//! - [`read_model`]: the snapshots that readers see
//! - [`store`]: the contract of all stores, tested with the embedded one and with PostgreSQL
//! - [`live`]: live sessions, relays and the broker over real sockets
//! - [`bus`]: events between hubs through NATS; [`bus_mistreated`]: events that are repeated, reordered or lost
//! - [`imports`]: import tasks on an embedded store; [`imports_again`]: the same schedule in another notation
//! - [`import_failures`]: imports whose results or events the store does not accept at once
//! - [`import_fuzz`]: the reader of files, with changed copies of schedules
//! - [`import_profiles`]: saved mappings of columns
//! - [`student_imports`]: imports of facts about students
//! - [`roster_imports`]: imports of OneRoster bundles of students
//! - [`import_memory`]: the memory needed to read a large file
//! - [`morning`]: the simulation of a registration morning
//! - [`access`]: who may do what: every operation with every kind of credential; parts of the API through the whole
//!   application
//! - [`openapi`]: the OpenAPI document against the routes
//!
//! [`college`], [`imports_hub`] and [`child_process`] are helpers. A test that measures or limits its own process runs
//! in a child process; see [`child_process`].

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic fails the test, which is the intent")]

mod access;
mod bus;
mod bus_mistreated;
mod child_process;
mod college;
#[path = "../support/mod.rs"]
mod support;

mod domain;
mod import_failures;
mod import_fuzz;
mod import_memory;
mod import_profiles;
mod imports;
mod imports_again;
mod imports_hub;
mod live;
mod model;
mod morning;
mod openapi;
mod read_model;
mod registrar;
mod roster_imports;
mod store;
mod student_imports;
