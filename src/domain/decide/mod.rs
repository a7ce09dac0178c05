//! `decide(view, command, now)`: the one function that answers a command. It changes nothing: it says what is to be
//! changed, and whoever called it commits that, or does not.
//!
//! - [`rules`]: what forbids a seat or a place, in order of precedence
//! - [`wish`]: a student's single registration, drop, and batch
//! - [`settle`]: free seats go to the head of the line
//! - [`staff`]: changes of a section, of the term, an import, and what the catalogue says

mod request;
mod rules;
mod settle;
mod staff;

use jiff::Timestamp;

use crate::domain::command::Command;
use crate::domain::draft::{Changes, Draft};
use crate::domain::outcome::Outcome;
use crate::domain::view::TermView;

pub use staff::imported;

/// What a command is answered, and what it changes.
#[derive(Debug)]
pub struct Decision {
    /// The answer, to be given once the changes are durable.
    pub answer: Outcome,
    /// The changes; none when nothing is to be written.
    pub changes: Changes,
}

/// Decides one command against a term as committed. The same view, command and time give the same decision.
pub fn decide<V: TermView>(view: &V, command: &Command, now: Timestamp) -> Decision {
    let mut draft = Draft::new(view, now);
    let answer = match command {
        Command::Register { student, crn, waitlist } => {
            Outcome::Request(request::register(&mut draft, student, crn, *waitlist))
        }
        Command::Drop { student, crn } => Outcome::Request(request::drop_section(&mut draft, student, crn)),
        Command::Batch(batch) if batch.swap => match request::swap(&mut draft, batch) {
            Ok(results) => Outcome::Batch(results),
            // All or nothing: what the draft holds by now is thrown away.
            Err(results) => return Decision { answer: Outcome::Batch(results), changes: Changes::default() },
        },
        Command::Batch(batch) => Outcome::Batch(request::batch(&mut draft, batch)),
        Command::PatchSection { crn, patch } => staff::patch_section(&mut draft, crn, patch),
        Command::PutTerm(patch) => staff::put_term(&mut draft, patch),
        Command::ApplyImport(staged) => staff::apply_import(&mut draft, staged),
        Command::PutSections(edits) => staff::put_sections(&mut draft, edits),
        Command::Settle => {
            settle::unsettle_every_line(&mut draft);
            Outcome::Settled
        }
    };
    settle::settle_all(&mut draft);
    Decision { answer, changes: draft.into_changes() }
}
