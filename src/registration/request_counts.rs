//! Counts the outcomes of requests, and measures how long students wait for replies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use enum_map::{Enum, EnumMap};
use strum::IntoStaticStr;

use crate::domain::command::Command;
use crate::domain::ids::{Crn, TermId};
use crate::domain::outcome::{ChoiceProblem, Outcome, RequestOutcome};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;
use crate::histogram::{Counts, Histogram};

use crate::registration::activity::{Activity, RecentActivity, RefusalCounts};
use crate::registration::registrar::SubmitError;

/// How a request ended. The names in snake case are the values of the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Ending {
    /// The student got a seat.
    Enrolled,
    /// The student got a waitlist position.
    Waitlisted,
    /// The student gave up a seat or a position.
    Dropped,
    /// The student already had the requested status.
    Unchanged,
    /// There is no such section, or the student never registered for it.
    NotFound,
    /// Another part of the swap failed.
    SwapUndone,
    /// The command was rejected because too many were waiting, or because the store was unavailable.
    Overloaded,
    /// The commit failed.
    OutcomeUnknown,
    /// The decision failed.
    Failed,
    /// A rule refused the request.
    #[strum(transparent)]
    Refused(RefusalCode),
}

impl Ending {
    const fn of(outcome: &RequestOutcome) -> Self {
        match outcome {
            RequestOutcome::Done(current) if !current.is_new => Self::Unchanged,
            RequestOutcome::Done(current) => match current.status {
                RegistrationStatus::Enrolled => Self::Enrolled,
                // A request ends with an offer only if its own drop made the offer possible.
                RegistrationStatus::Offered | RegistrationStatus::Waitlisted => Self::Waitlisted,
                RegistrationStatus::Dropped => Self::Dropped,
            },
            RequestOutcome::NotFound | RequestOutcome::InChoices { problem: ChoiceProblem::NotFound(_), .. } => {
                Self::NotFound
            }
            RequestOutcome::SwapUndone { .. } => Self::SwapUndone,
            RequestOutcome::Refused(refusal)
            | RequestOutcome::InChoices { problem: ChoiceProblem::Refused(refusal), .. } => {
                Self::Refused(refusal.code())
            }
        }
    }
}

impl From<&SubmitError> for Ending {
    fn from(error: &SubmitError) -> Self {
        match error {
            SubmitError::Overloaded => Self::Overloaded,
            SubmitError::OutcomeUnknown => Self::OutcomeUnknown,
            SubmitError::Failed => Self::Failed,
        }
    }
}

/// What is known of a sent command when its reply is counted.
#[derive(Debug)]
pub(super) struct Sent {
    at: Instant,
    term: TermId,
    /// The section of a single registration.
    section: Option<Crn>,
}

impl Sent {
    /// Records a command that is about to be sent to `term`.
    pub(super) fn new(term: &TermId, command: &Command) -> Self {
        let section = match command {
            Command::Register { crn, .. } | Command::RegisterWith { crn, .. } => Some(crn.clone()),
            Command::Drop { .. }
            | Command::Batch(_)
            | Command::RegisterPlan { .. }
            | Command::ForStudent(_)
            | Command::MoveOnWaitlist(_)
            | Command::PatchSection { .. }
            | Command::PutTerm(_)
            | Command::ApplyImport(_)
            | Command::PutSections(_)
            | Command::PutFacts(_)
            | Command::Settle => None,
        };
        Self { at: Instant::now(), term: term.clone(), section }
    }
}

/// Counters over all terms. Counting a reply takes a few relaxed atomic additions.
#[derive(Debug)]
pub struct RequestCounts {
    endings: EnumMap<Ending, AtomicU64>,
    took: Histogram,
    activity: Activity,
}

impl Default for RequestCounts {
    fn default() -> Self {
        let activity = Activity::new(Instant::now());
        Self { endings: EnumMap::default(), took: Histogram::default(), activity }
    }
}

impl RequestCounts {
    /// Returns every outcome's name with its count so far.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.endings.iter().map(|(ending, count)| (ending.into(), count.load(Ordering::Relaxed)))
    }

    /// Returns the number of seats and waitlist positions that students got so far.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.count_of(Ending::Enrolled) + self.count_of(Ending::Waitlisted)
    }

    /// Returns the number of refusals so far, by code.
    #[must_use]
    pub fn refusals(&self) -> RefusalCounts {
        EnumMap::from_fn(|code| self.count_of(Ending::Refused(code)))
    }

    /// Returns how long registrations, drops and moves took, from the acceptance of the command to its reply, which is
    /// sent after the commit.
    #[must_use]
    pub fn took(&self) -> Counts {
        self.took.counts()
    }

    /// Returns the last minute and the last hour, each with at most `limit` of the most requested sections.
    #[must_use]
    pub fn recent(&self, limit: usize) -> [RecentActivity; 2] {
        self.activity.recent(&self.refusals(), limit)
    }

    /// Moves the two windows to `now`. Must be called every few seconds.
    pub fn roll_windows(&self, now: Instant) {
        self.activity.roll_windows(now, self.refusals());
    }

    /// Counts a reply. Of replies to commands other than registrations, drops and moves, only errors are counted.
    pub(super) fn count(&self, sent: &Sent, reply: Result<&Outcome, &SubmitError>) {
        self.count_reply(reply);
        if let Ok(outcome @ (Outcome::Request(_) | Outcome::Batch(_))) = reply {
            self.took.record(sent.at.elapsed());
            self.activity.count(&sent.term, sent.section.as_ref(), outcome);
        }
    }

    /// Counts the outcome of a reply. In a batch, each request is counted.
    fn count_reply(&self, reply: Result<&Outcome, &SubmitError>) {
        match reply {
            Ok(Outcome::Request(outcome)) => self.add(Ending::of(outcome)),
            Ok(Outcome::Batch(results)) => results.iter().for_each(|(_, outcome)| self.add(Ending::of(outcome))),
            Ok(
                Outcome::SectionChanged
                | Outcome::TermChanged
                | Outcome::FactsChanged
                | Outcome::Imported(_)
                | Outcome::ImportOutOfScope(_)
                | Outcome::NoSuchSection
                | Outcome::Settled,
            ) => {}
            Err(error) => self.add(error.into()),
        }
    }

    fn add(&self, ending: Ending) {
        self.endings[ending].fetch_add(1, Ordering::Relaxed);
    }

    fn count_of(&self, ending: Ending) -> u64 {
        self.endings[ending].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::VariantArray;

    use crate::domain::refusal::Refusal;

    #[test]
    fn each_outcome_is_counted_under_its_own_name() {
        let counts = RequestCounts::default();
        let refused = |refusal| Outcome::Request(RequestOutcome::Refused(refusal));
        counts.count_reply(Ok(&refused(Refusal::WaitlistFull { waitlisted: 3 })));
        counts.count_reply(Ok(&refused(Refusal::SectionCancelled)));
        counts.count_reply(Ok(&Outcome::Batch(Vec::new())));
        counts.count_reply(Ok(&Outcome::Request(RequestOutcome::NotFound)));
        counts.count_reply(Err(&SubmitError::OutcomeUnknown));
        let counted: Vec<_> = counts.counts().filter(|(_, count)| *count > 0).collect();
        let expected = [("not_found", 1), ("outcome_unknown", 1), ("section_cancelled", 1), ("waitlist_full", 1)];
        assert_eq!(counted, expected);
    }

    #[test]
    fn every_refusal_code_is_counted_by_its_name() {
        let counts = RequestCounts::default();
        for code in RefusalCode::VARIANTS {
            counts.add(Ending::Refused(*code));
            assert_eq!(counts.refusals()[*code], 1, "{code:?}");
            assert!(counts.counts().any(|counted| counted == (code.as_str(), 1)), "{code:?}");
        }
    }
}
