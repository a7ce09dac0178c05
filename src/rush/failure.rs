//! Texts of demonstrations: why one failed, and where a recorded result was measured. One variant for each, with its
//! English text; the pages have the texts of all codes (`demo.text.CODE` in `static/js/words/demo`).

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a demonstration failed.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum RunFailure {
    /// The hub or the command was stopped.
    #[error("The test was stopped early.")]
    Stopped,
    /// The process that generates the load did not start, or ended early.
    #[error("The load generator failed. See the hub's log for the cause.")]
    NotRun,
    /// The address of a server does not begin with `http://`.
    #[error("{url} must begin with http://: the load generator does not support TLS.")]
    Tls {
        /// The address.
        url: String,
    },
    /// The name of a server has no address.
    #[error("The address of {server} was not found: {why}")]
    NoAddress {
        /// The server.
        server: String,
        /// The error that the operating system reported, or `no address`.
        why: String,
    },
    /// The hub does not respond.
    #[error("Cannot reach the hub at {url}: {why}")]
    HubSilent {
        /// The address.
        url: String,
        /// The error of the connection, such as a timeout.
        why: String,
    },
    /// The sandbox was not removed.
    #[error("The sandbox could not be removed. The hub will remove it later: {why}")]
    SandboxStays {
        /// The error of the connection, such as a timeout.
        why: String,
    },
    /// The hub refused a request.
    #[error("The hub refused a request: {detail}")]
    HubRefused {
        /// The detail of its problem document.
        detail: String,
    },
    /// The hub refused a request without a problem document.
    #[error("The hub returned status {status}.")]
    HubStatus {
        /// The status.
        status: u16,
    },
    /// A response is not as expected.
    #[error("A response from the hub is malformed.")]
    HubMalformed,
    /// The seats could not be counted.
    #[error("The hub did not return the students' seats.")]
    SeatsUnknown,
    /// A task of the load generator failed.
    #[error("A simulated student failed.")]
    StudentFailed,
    /// The task that imports failed.
    #[error("The concurrent import failed.")]
    ImportFailed,
    /// Plone does not respond.
    #[error("Plone did not respond: {why}")]
    PloneSilent {
        /// The error of the connection, such as a timeout.
        why: String,
    },
    /// Plone rejected the hub's user.
    #[error("Plone rejected the login of the hub's user.")]
    PloneLogin,
    /// Plone did not create the item.
    #[error("Plone did not create the demonstration item (status {status}).")]
    PloneItemMissing {
        /// The status.
        status: u16,
    },
    /// Plone did not delete the item.
    #[error("Plone did not delete {path}. The next demonstration will try again.")]
    PloneItemStays {
        /// The path of the item.
        path: String,
    },
    /// Plone's seats could not be counted.
    #[error("Plone did not return the number of seats taken.")]
    PloneSeatsUnknown,
}

/// Where and when a recorded result was measured.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum Measurement {
    /// On a real Plone.
    #[error(
        "measured on {date} with Plone {version} (waitress with {threads} threads, FileStorage) for {seconds} s; the load \
         generator ran on the same machine ({cores} {processor} cores, shared with other work)"
    )]
    Measured {
        /// The day.
        date: String,
        /// The version of Plone.
        version: String,
        /// The threads of Plone's server.
        threads: u64,
        /// The duration of the load.
        seconds: u64,
        /// The cores of the machine.
        cores: u64,
        /// Its processor.
        processor: String,
    },
}
