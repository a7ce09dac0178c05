//! Decides commands: `decide(view, command, now)` returns an outcome and the changes to commit. It is a pure function.
//!
//! - `request`: requests by students, and by staff on their behalf; `set`: sections that are registered together;
//!   `offer`: offers that a student accepts; `choices`: waitlist choices
//! - `plan`: registration for a plan, and the check of a plan before registration opens
//! - `staff`: changes that staff make to a section, to the term or to the facts about students
//! - `catalogue`: imports of schedules and pulls of the college's catalogue

mod catalogue;
mod choices;
mod offer;
mod plan;
mod request;
mod set;
mod staff;

use jiff::Timestamp;

use crate::domain::attempt::Decided;
use crate::domain::command::Command;
use crate::domain::draft::{Changes, Draft};
use crate::domain::outcome::Outcome;
use crate::domain::view::TermView;
use crate::domain::waitlist;
use crate::domain::waitlist_order;

pub use catalogue::imported;
pub use plan::check_plan;
pub(super) use request::granted;

/// The outcome of a command and the changes that it makes.
#[derive(Debug)]
pub struct Decision {
    /// The outcome, for the caller once the changes are durable.
    pub outcome: Outcome,
    /// The changes to commit; empty if there is nothing to write.
    pub changes: Changes,
    /// The decided requests, promotions and lapses, in order. They are stored even if nothing was changed.
    pub attempts: Vec<Decided>,
}

/// Decides one command against a term. The same view, command and time give the same decision.
pub fn decide(view: &dyn TermView, command: &Command, now: Timestamp) -> Decision {
    let mut draft = Draft::new(view, now);
    let is_released = draft.release_reserved();
    if waitlist::handle_due_offers(&mut draft) || is_released {
        // The students on the waitlists take precedence over the command.
        waitlist::settle_queued(&mut draft);
    }
    let outcome = match command {
        Command::Register { student, crn, waitlist } => {
            Outcome::Request(request::register(&mut draft, student, crn, *waitlist))
        }
        Command::RegisterWith { student, crn, choices } => {
            Outcome::Request(choices::register(&mut draft, student, crn, choices).1)
        }
        Command::Drop { student, crn } => Outcome::Request(request::drop_section(&mut draft, student, crn)),
        Command::Batch(batch) if batch.swap => match request::swap(&mut draft, batch) {
            Ok(results) => Outcome::Batch(results),
            // All or nothing: the draft is discarded.
            Err(results) => {
                let (outcome, changes) = (Outcome::Batch(results), Changes::default());
                return Decision { outcome, changes, attempts: request::undone_attempts(&mut draft) };
            }
        },
        Command::Batch(batch) => Outcome::Batch(request::batch(&mut draft, batch)),
        Command::RegisterPlan { student, plan } => Outcome::Batch(plan::register(&mut draft, student, plan)),
        Command::ForStudent(request) => match request::for_student(&mut draft, request) {
            Ok(outcome) => Outcome::Request(outcome),
            Err(outcome) => {
                let (outcome, changes) = (Outcome::Request(outcome), Changes::default());
                return Decision { outcome, changes, attempts: request::undone_attempts(&mut draft) };
            }
        },
        Command::MoveOnWaitlist(request) => Outcome::Request(waitlist_order::move_student(&mut draft, request)),
        Command::PatchSection { crn, patch } => staff::patch_section(&mut draft, crn, patch),
        Command::PutTerm(patch) => staff::put_term(&mut draft, patch),
        Command::ApplyImport(staged) => catalogue::apply_import(&mut draft, staged),
        Command::PutSections(edits) => catalogue::put_sections(&mut draft, edits),
        Command::PutFacts(facts) => staff::put_facts(&mut draft, facts),
        Command::Settle => {
            waitlist::queue_all(&mut draft);
            Outcome::Settled
        }
    };
    draft.queue_changed_pools();
    waitlist::queue_linked(&mut draft);
    waitlist::settle_queued(&mut draft);
    let attempts = draft.take_attempts();
    Decision { outcome, changes: draft.into_changes(), attempts }
}
