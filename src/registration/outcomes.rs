//! Counts how requests ended and how long students waited for the replies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use enum_map::{Enum, EnumMap};
use strum::IntoStaticStr;

use crate::domain::command::Command;
use crate::domain::ids::{Crn, TermId};
use crate::domain::outcome::{Outcome, RequestOutcome};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::Standing;
use crate::histogram::{Counts, Histogram};

use crate::registration::activity::{Activity, Recent, RefusalCounts};
use crate::registration::registrar::{Reply, SubmitError};

/// How a request ended. The names are those of the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Ending {
    /// A seat was given.
    Enrolled,
    /// A waitlist position was given.
    Waitlisted,
    /// A seat or a position was given up.
    Dropped,
    /// The student had it, or had dropped it, before.
    Unchanged,
    /// There is no such section, or the student never held it.
    NotFound,
    /// Another part of the swap failed.
    SwapUndone,
    /// The registrar had no room for the command.
    Overloaded,
    /// The commit failed.
    OutcomeUnknown,
    /// The decision failed.
    Failed,
    /// A rule refused it.
    #[strum(transparent)]
    Refused(RefusalCode),
}

impl Ending {
    const fn of(outcome: &RequestOutcome) -> Self {
        match outcome {
            RequestOutcome::Done(receipt) if !receipt.fresh => Self::Unchanged,
            RequestOutcome::Done(receipt) => match receipt.standing {
                Standing::Enrolled => Self::Enrolled,
                Standing::Waitlisted => Self::Waitlisted,
                Standing::Dropped => Self::Dropped,
            },
            RequestOutcome::NotFound => Self::NotFound,
            RequestOutcome::SwapUndone { .. } => Self::SwapUndone,
            RequestOutcome::Refused(refusal) => Self::Refused(refusal.code()),
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

/// The part of a command that is kept until its reply is counted.
#[derive(Debug)]
pub(super) struct Sent {
    at: Instant,
    term: TermId,
    /// The section of a single registration.
    section: Option<Crn>,
}

impl Sent {
    /// A command that is about to be sent to this term.
    pub(super) fn new(term: &TermId, command: &Command) -> Self {
        let section = match command {
            Command::Register { crn, .. } => Some(crn.clone()),
            Command::Drop { .. }
            | Command::Batch(_)
            | Command::PatchSection { .. }
            | Command::PutTerm(_)
            | Command::ApplyImport(_)
            | Command::PutSections(_)
            | Command::Settle => None,
        };
        Self { at: Instant::now(), term: term.clone(), section }
    }
}

/// Counters of all terms. Counting is one relaxed atomic addition.
#[derive(Debug)]
pub struct Outcomes {
    endings: EnumMap<Ending, AtomicU64>,
    took: Histogram,
    activity: Activity,
}

impl Default for Outcomes {
    fn default() -> Self {
        let activity = Activity::new(Instant::now());
        Self { endings: EnumMap::default(), took: Histogram::default(), activity }
    }
}

impl Outcomes {
    /// Returns every outcome's name with its count so far.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.endings.iter().map(|(ending, count)| (ending.into(), count.load(Ordering::Relaxed)))
    }

    /// Returns the number of seats and waitlist positions that were given so far.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.count_of(Ending::Enrolled) + self.count_of(Ending::Waitlisted)
    }

    /// Returns the number of refusals so far, by code.
    #[must_use]
    pub fn refusals(&self) -> RefusalCounts {
        EnumMap::from_fn(|code| self.count_of(Ending::Refused(code)))
    }

    /// Returns how long students waited, from the acceptance of a command to its durable reply.
    #[must_use]
    pub fn took(&self) -> Counts {
        self.took.counts()
    }

    /// Returns the last minute and the last hour, each with at most `most` of the most requested sections.
    #[must_use]
    pub fn recent(&self, most: usize) -> [Recent; 2] {
        self.activity.recent(&self.refusals(), most)
    }

    /// Moves these windows on. To be called every few seconds.
    pub fn turn(&self, now: Instant) {
        self.activity.turn(now, self.refusals());
    }

    /// Counts a reply to a student. Replies to staff and imports are not counted, except when they failed.
    pub(super) fn count(&self, sent: &Sent, reply: &Reply) {
        self.count_reply(reply);
        if let Ok(outcome @ (Outcome::Request(_) | Outcome::Batch(_))) = reply {
            self.took.record(sent.at.elapsed());
            self.activity.count(&sent.term, sent.section.as_ref(), outcome);
        }
    }

    /// Each request of a batch counts by itself.
    fn count_reply(&self, reply: &Reply) {
        match reply {
            Ok(Outcome::Request(outcome)) => self.add(Ending::of(outcome)),
            Ok(Outcome::Batch(results)) => results.iter().for_each(|(_, outcome)| self.add(Ending::of(outcome))),
            Ok(
                Outcome::SectionChanged
                | Outcome::TermChanged
                | Outcome::Imported(_)
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
        let outcomes = Outcomes::default();
        let refused = |refusal| Ok(Outcome::Request(RequestOutcome::Refused(refusal)));
        outcomes.count_reply(&refused(Refusal::WaitlistFull { waitlisted: 3 }));
        outcomes.count_reply(&refused(Refusal::SectionCancelled));
        outcomes.count_reply(&Ok(Outcome::Batch(Vec::new())));
        outcomes.count_reply(&Ok(Outcome::Request(RequestOutcome::NotFound)));
        outcomes.count_reply(&Err(SubmitError::OutcomeUnknown));
        let counted: Vec<_> = outcomes.counts().filter(|(_, count)| *count > 0).collect();
        let expected = [("not_found", 1), ("outcome_unknown", 1), ("section_cancelled", 1), ("waitlist_full", 1)];
        assert_eq!(counted, expected);
    }

    #[test]
    fn every_refusal_code_is_counted_by_its_name() {
        let outcomes = Outcomes::default();
        for code in RefusalCode::VARIANTS {
            outcomes.add(Ending::Refused(*code));
            assert_eq!(outcomes.refusals()[*code], 1, "{code:?}");
            assert!(outcomes.counts().any(|counted| counted == (code.as_str(), 1)), "{code:?}");
        }
    }
}
