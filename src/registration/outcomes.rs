//! How what was asked of the terms ended, counted by outcome; how long students waited; what is going on now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::domain::command::Command;
use crate::domain::ids::{Crn, TermId};
use crate::domain::outcome::{Outcome, RefusalCode, RequestOutcome};
use crate::domain::registration::Standing;
use crate::histogram::{Counts, Histogram};

use crate::registration::activity::{Activity, Recent, Refusals};
use crate::registration::registrar::{Reply, SubmitError};

/// Outcomes other than refusals, in the order of their counters.
const OTHERS: [&str; 9] = [
    "enrolled",
    "waitlisted",
    "dropped",
    "unchanged",
    "not_found",
    "swap_undone",
    "overloaded",
    "outcome_unknown",
    "failed",
];
const ENROLLED: usize = 0;
const WAITLISTED: usize = 1;
const UNCHANGED: usize = 3;
const NOT_FOUND: usize = 4;
const SWAP_UNDONE: usize = 5;

/// What of a command is remembered until its answer is counted.
#[derive(Debug)]
pub(super) struct Sent {
    at: Instant,
    term: TermId,
    /// The section of a single wish.
    wanted: Option<Crn>,
}

impl Sent {
    /// A command that is about to be sent to this term.
    pub(super) fn new(term: &TermId, command: &Command) -> Self {
        let wanted = match command {
            Command::Register { crn, .. } => Some(crn.clone()),
            _ => None,
        };
        Self { at: Instant::now(), term: term.clone(), wanted }
    }
}

/// Counters, one for each outcome of a wish. An atomic addition each: cheap enough for every answer.
#[derive(Debug)]
pub struct Outcomes {
    refused: [AtomicU64; RefusalCode::ALL.len()],
    others: [AtomicU64; OTHERS.len()],
    took: Histogram,
    activity: Activity,
}

impl Default for Outcomes {
    fn default() -> Self {
        let activity = Activity::new(Instant::now());
        Self { refused: Default::default(), others: Default::default(), took: Histogram::default(), activity }
    }
}

impl Outcomes {
    /// Every outcome's name, with how often it was answered so far.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let refused = RefusalCode::ALL.iter().map(|code| code.as_str()).zip(&self.refused);
        OTHERS.into_iter().zip(&self.others).chain(refused).map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    /// Seats and places that were given so far.
    #[must_use]
    pub fn given(&self) -> u64 {
        [ENROLLED, WAITLISTED].iter().map(|at| self.others[*at].load(Ordering::Relaxed)).sum()
    }

    /// How often each refusal was told so far.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.refused.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// How long students waited for their answers: from the acceptance of a wish to its durable answer.
    #[must_use]
    pub fn took(&self) -> Counts {
        self.took.counts()
    }

    /// The last minute and the last hour, each with its `most` hottest sections.
    #[must_use]
    pub fn recent(&self, most: usize) -> [Recent; 2] {
        self.activity.recent(&self.refusals(), most)
    }

    /// Moves those windows on. To be called every few seconds.
    pub fn turn(&self, now: Instant) {
        self.activity.turn(now, self.refusals());
    }

    /// Counts an answer. What staff and imports do is no wish.
    pub(super) fn count(&self, sent: &Sent, reply: &Reply) {
        self.count_reply(reply);
        if let Ok(answer @ (Outcome::Request(_) | Outcome::Batch(_))) = reply {
            self.took.record(sent.at.elapsed());
            self.activity.count(&sent.term, sent.wanted.as_ref(), answer);
        }
    }

    /// Each wish of a batch for itself.
    fn count_reply(&self, reply: &Reply) {
        match reply {
            Ok(Outcome::Request(outcome)) => self.count_wish(outcome),
            Ok(Outcome::Batch(results)) => results.iter().for_each(|(_, outcome)| self.count_wish(outcome)),
            Ok(_) => {}
            Err(SubmitError::Overloaded) => add(&self.others[6]),
            Err(SubmitError::OutcomeUnknown) => add(&self.others[7]),
            Err(SubmitError::Failed) => add(&self.others[8]),
        }
    }

    fn count_wish(&self, outcome: &RequestOutcome) {
        match outcome {
            RequestOutcome::Done(receipt) if !receipt.fresh => add(&self.others[UNCHANGED]),
            RequestOutcome::Done(receipt) => add(&self.others[match receipt.standing {
                Standing::Enrolled => ENROLLED,
                Standing::Waitlisted => WAITLISTED,
                Standing::Dropped => 2,
            }]),
            RequestOutcome::NotFound => add(&self.others[NOT_FOUND]),
            RequestOutcome::SwapUndone { .. } => add(&self.others[SWAP_UNDONE]),
            RequestOutcome::Refused(refusal) => {
                // Declared in the order of `ALL`.
                add(&self.refused[refusal.code() as usize]);
            }
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Refusal;

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
}
