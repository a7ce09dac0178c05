//! The outcome of a command. The caller receives it once the command's changes are durable.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::attempt::AttemptResult;
use crate::domain::choices::{ChoiceField, WaitlistChoices};
use crate::domain::ids::Crn;
use crate::domain::refusal::Refusal;
use crate::domain::registration::RegistrationStatus;
use crate::domain::rights::OutOfScope;
use crate::domain::section::Credits;

/// A student's registration in a section after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentRegistration {
    /// The section.
    pub crn: Crn,
    /// Whether the student is enrolled, is offered a seat, is waitlisted or has dropped.
    pub status: RegistrationStatus,
    /// The waitlist position: 1 is next, and people who wait outside the hub come first. `None` unless waitlisted.
    pub position: Option<u32>,
    /// When the offer lapses; `None` unless a seat is offered.
    pub expires_at: Option<Timestamp>,
    /// The section's credits.
    pub credits: Credits,
    /// When this status began.
    pub at: Timestamp,
    /// Whether this command caused the status; false if the student already had it.
    pub is_new: bool,
    /// What the student chose when joining the waitlist; `None` unless waitlisted or offered.
    pub choices: Option<Arc<WaitlistChoices>>,
}

/// The outcome of one registration or drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The request was granted, now or before.
    Done(CurrentRegistration),
    /// A rule refused the request.
    Refused(Refusal),
    /// The section does not exist, or the student never registered for the section to drop.
    NotFound,
    /// The request was allowed, but another request of the same swap was not, so nothing was changed.
    SwapUndone {
        /// The section of the first request that failed.
        because_of: Crn,
    },
    /// A section among the waitlist choices does not allow the request, so nothing was changed.
    InChoices {
        /// The section.
        crn: Crn,
        /// Why it does not.
        problem: ChoiceProblem,
    },
}

impl RequestOutcome {
    /// Returns the result of the attempt, whether the student had that status before, and the waitlist position.
    pub(super) fn of_attempt(&self) -> (AttemptResult, bool, Option<u32>) {
        let result = match self {
            Self::Done(current) => {
                return (AttemptResult::Granted(current.status), !current.is_new, current.position);
            }
            Self::Refused(refusal) | Self::InChoices { problem: ChoiceProblem::Refused(refusal), .. } => {
                AttemptResult::Refused(refusal.code())
            }
            Self::NotFound | Self::InChoices { problem: ChoiceProblem::NotFound(_), .. } => AttemptResult::NotFound,
            Self::SwapUndone { .. } => AttemptResult::SwapRefused,
        };
        (result, false, None)
    }
}

/// Why a section among the waitlist choices does not allow a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChoiceProblem {
    /// A rule refuses the section to the student, or does not allow dropping it.
    Refused(Refusal),
    /// There is no such section or, for [`ChoiceField::Drop`], the student is not enrolled in it.
    NotFound(ChoiceField),
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A single registration or drop was decided.
    Request(RequestOutcome),
    /// A batch was decided: one outcome for each request, in the order of the batch, adds before drops.
    Batch(Vec<(Crn, RequestOutcome)>),
    /// A section was changed.
    SectionChanged,
    /// The term was created or changed.
    TermChanged,
    /// The facts about students were changed.
    FactsChanged,
    /// An import, or a pull of the college's catalogue, was applied.
    Imported(ImportTally),
    /// An import concerns a subject outside the limit of the user who imports, so nothing was changed.
    ImportOutOfScope(OutOfScope),
    /// There is no such section.
    NoSuchSection,
    /// Every waitlist was settled.
    Settled,
}

/// How many sections an import or a pull created, updated and left unchanged when it was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportTally {
    /// Sections that are new.
    pub created: u64,
    /// Sections that changed.
    pub updated: u64,
    /// Sections that did not change.
    pub unchanged: u64,
}
