//! How what was asked of the terms ended, counted by outcome.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::outcome::{Answer, RefusalCode, WishOutcome};
use crate::domain::registration::Standing;

use super::registrar::{AskError, Reply};

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
const UNCHANGED: usize = 3;
const NOT_FOUND: usize = 4;
const SWAP_UNDONE: usize = 5;

/// Counters, one for each outcome of a wish. An atomic addition each: cheap enough for every answer.
#[derive(Debug, Default)]
pub struct Outcomes {
    refused: [AtomicU64; RefusalCode::ALL.len()],
    others: [AtomicU64; OTHERS.len()],
}

impl Outcomes {
    /// Every outcome's name, with how often it was answered so far.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let refused = RefusalCode::ALL.iter().map(|code| code.as_str()).zip(&self.refused);
        OTHERS.into_iter().zip(&self.others).chain(refused).map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    /// Counts an answer: each wish of a batch for itself. What staff and imports do is no wish.
    pub(super) fn count(&self, reply: &Reply) {
        match reply {
            Ok(Answer::Wish(outcome)) => self.count_wish(outcome),
            Ok(Answer::Batch(results)) => results.iter().for_each(|(_, outcome)| self.count_wish(outcome)),
            Ok(_) => {}
            Err(AskError::Overloaded) => add(&self.others[6]),
            Err(AskError::OutcomeUnknown) => add(&self.others[7]),
            Err(AskError::Failed) => add(&self.others[8]),
        }
    }

    fn count_wish(&self, outcome: &WishOutcome) {
        match outcome {
            WishOutcome::Done(receipt) if !receipt.fresh => add(&self.others[UNCHANGED]),
            WishOutcome::Done(receipt) => add(&self.others[match receipt.standing {
                Standing::Enrolled => 0,
                Standing::Waitlisted => 1,
                Standing::Dropped => 2,
            }]),
            WishOutcome::NotFound => add(&self.others[NOT_FOUND]),
            WishOutcome::SwapUndone { .. } => add(&self.others[SWAP_UNDONE]),
            WishOutcome::Refused(refusal) => {
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
        let refused = |refusal| Ok(Answer::Wish(WishOutcome::Refused(refusal)));
        outcomes.count(&refused(Refusal::WaitlistFull { waitlisted: 3 }));
        outcomes.count(&refused(Refusal::SectionCancelled));
        outcomes.count(&Ok(Answer::Batch(Vec::new())));
        outcomes.count(&Ok(Answer::Wish(WishOutcome::NotFound)));
        outcomes.count(&Err(AskError::OutcomeUnknown));
        let counted: Vec<_> = outcomes.counts().filter(|(_, count)| *count > 0).collect();
        let expected = [("not_found", 1), ("outcome_unknown", 1), ("section_cancelled", 1), ("waitlist_full", 1)];
        assert_eq!(counted, expected);
    }
}
