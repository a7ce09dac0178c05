//! `decide(view, command, now)`: the one function that answers a command. It changes nothing: it says what is to be
//! changed, and whoever called it commits that, or does not.
//!
//! - [`rules`]: what forbids a seat or a place, in order of precedence
//! - [`wish`]: a student's single registration, drop, and batch
//! - [`settle`]: free seats go to the head of the line
//! - [`staff`]: changes of a section, of the term, an import, and what the catalogue says

mod rules;
mod settle;
mod staff;
mod wish;

use jiff::Timestamp;

use crate::domain::command::Command;
use crate::domain::draft::{Changes, Draft};
use crate::domain::outcome::Answer;
use crate::domain::view::TermView;

pub use staff::imported;

/// What a command is answered, and what it changes.
#[derive(Debug)]
pub struct Decision {
    /// The answer, to be given once the changes are durable.
    pub answer: Answer,
    /// The changes; none when nothing is to be written.
    pub changes: Changes,
}

/// Decides one command against a term as committed. The same view, command and time give the same decision.
pub fn decide<V: TermView>(view: &V, command: &Command, now: Timestamp) -> Decision {
    let mut draft = Draft::new(view, now);
    let answer = match command {
        Command::Register { student, crn, waitlist } => {
            Answer::Wish(wish::register(&mut draft, student, crn, *waitlist))
        }
        Command::Drop { student, crn } => Answer::Wish(wish::drop_section(&mut draft, student, crn)),
        Command::Batch(batch) if batch.swap => match wish::swap(&mut draft, batch) {
            Ok(results) => Answer::Batch(results),
            // All or nothing: what the draft holds by now is thrown away.
            Err(results) => return Decision { answer: Answer::Batch(results), changes: Changes::default() },
        },
        Command::Batch(batch) => Answer::Batch(wish::batch(&mut draft, batch)),
        Command::PatchSection { crn, patch } => staff::patch_section(&mut draft, crn, patch),
        Command::PutTerm(patch) => staff::put_term(&mut draft, patch),
        Command::ApplyImport(staged) => staff::apply_import(&mut draft, staged),
        Command::PutSections(edits) => staff::put_sections(&mut draft, edits),
        Command::Settle => {
            settle::unsettle_every_line(&mut draft);
            Answer::Settled
        }
    };
    settle::settle_all(&mut draft);
    Decision { answer, changes: draft.into_changes() }
}
