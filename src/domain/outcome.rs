//! The outcome of a command: what the caller is answered once the command's changes are durable.

use jiff::Timestamp;

use crate::domain::ids::Crn;
use crate::domain::refusal::Refusal;
use crate::domain::registration::Standing;
use crate::domain::section::Credits;

/// A student's standing in a section, as it is after the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The section.
    pub crn: Crn,
    /// The standing.
    pub standing: Standing,
    /// The position on the waitlist: 1 is next, and people who wait outside the hub come first. Only while waitlisted.
    pub position: Option<u32>,
    /// The section's credits.
    pub credits: Credits,
    /// When this standing began.
    pub at: Timestamp,
    /// Whether this command caused the standing (201), or the student had it before (200).
    pub fresh: bool,
}

/// The outcome of one registration or drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The request was granted, or had been granted before.
    Done(Receipt),
    /// A rule refuses the request.
    Refused(Refusal),
    /// There is no such section, or the student never held it.
    NotFound,
    /// The request could have been granted, but another part of its swap could not: nothing was changed.
    SwapUndone {
        /// The first part that failed.
        because_of: Crn,
    },
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of a single registration or drop.
    Request(RequestOutcome),
    /// Of a batch: one outcome for each request, in the order of the batch, adds before drops.
    Batch(Vec<(Crn, RequestOutcome)>),
    /// A section was changed.
    SectionChanged,
    /// The term was created or changed.
    TermChanged,
    /// An import, or a pull of the college's catalogue, was applied.
    Imported(ImportTally),
    /// There is no such section.
    NoSuchSection,
    /// Every waitlist was settled.
    Settled,
}

/// Numbers of sections that an import or a pull changed, counted when it was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportTally {
    /// Sections that are new.
    pub created: u64,
    /// Sections that changed.
    pub updated: u64,
    /// Sections that did not change.
    pub unchanged: u64,
}
