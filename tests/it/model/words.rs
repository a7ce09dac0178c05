//! Real replies in the words of the naive model.

use eduhub::domain::outcome::{ChoiceProblem, Outcome, RequestOutcome};
use eduhub::domain::prerequisite::Requirement;
use eduhub::domain::refusal::Refusal;

/// Returns a real reply in the words of the naive model.
pub(crate) fn reply_in_words(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Request(outcome) => vec![outcome_in_words(outcome)],
        Outcome::Batch(results) => {
            results.iter().map(|(crn, outcome)| format!("{crn} {}", outcome_in_words(outcome))).collect()
        }
        Outcome::SectionChanged => vec!["section changed".to_owned()],
        Outcome::TermChanged => vec!["term changed".to_owned()],
        Outcome::Imported(tally) => vec![format!("imported {} {} {}", tally.created, tally.updated, tally.unchanged)],
        Outcome::ImportOutOfScope(refused) => vec![format!("import refused: {refused}")],
        Outcome::FactsChanged => vec!["facts changed".to_owned()],
        Outcome::NoSuchSection => vec!["no such section".to_owned()],
        Outcome::Settled => vec!["settled".to_owned()],
    }
}

/// Returns the courses of a requirement.
fn courses(requirement: &Requirement) -> Vec<String> {
    match requirement {
        Requirement::Course(required) => vec![required.course.to_string()],
        Requirement::All(parts) | Requirement::Any(parts) => parts.iter().flat_map(courses).collect(),
        Requirement::Remark(_) => Vec::new(),
    }
}

fn outcome_in_words(outcome: &RequestOutcome) -> String {
    match outcome {
        RequestOutcome::Done(r) => {
            let novelty = if r.is_new { "new" } else { "as before" };
            format!("{} {:?} {} {} {novelty}", r.status.as_str(), r.position, r.credits.0, r.at)
        }
        RequestOutcome::NotFound => "not found".to_owned(),
        RequestOutcome::InChoices { crn, problem } => match problem {
            ChoiceProblem::NotFound(field) => format!("in {crn} not found {}", field.as_str()),
            ChoiceProblem::Refused(refusal) => format!("in {crn} {}", refusal_in_words(refusal)),
        },
        RequestOutcome::SwapUndone { because_of } => format!("undone {because_of}"),
        RequestOutcome::Refused(refusal) => refusal_in_words(refusal),
    }
}

fn refusal_in_words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::RegistrationClosed { opens_at, closes_at, now, what } => {
            format!("registration_closed {opens_at:?} {closes_at:?} at {now} {what:?}")
        }
        Refusal::Hold { holds } => {
            let ids: Vec<&str> = holds.iter().map(|hold| &*hold.id).collect();
            format!("hold {}", ids.join(","))
        }
        Refusal::Prerequisite { unmet } => {
            format!("prerequisite {}", unmet.0.iter().flat_map(courses).collect::<Vec<_>>().join(","))
        }
        Refusal::SectionCancelled => "section_cancelled".to_owned(),
        Refusal::SectionClosed => "section_closed".to_owned(),
        Refusal::AlreadyInCourse { conflicts_with, .. } => format!("already_in_course {}", conflicts_with.crn),
        Refusal::TimeConflict { conflicts_with } => {
            let crns: Vec<&str> = conflicts_with.iter().map(|id| id.crn.as_str()).collect();
            format!("time_conflict {}", crns.join(","))
        }
        Refusal::CreditLimit { credits, total, limit } => {
            format!("credit_limit {} {} {}", credits.0, total.0, limit.0)
        }
        Refusal::RepeatLimit { taken, limit } => format!("repeat_limit {taken} {limit}"),
        Refusal::LinkedSectionRequired { choices } => {
            let crns: Vec<&str> = choices.iter().map(|id| id.crn.as_str()).collect();
            format!("linked_section_required {}", crns.join(","))
        }
        Refusal::Restricted { restrictions } => {
            let texts: Vec<String> = restrictions.iter().map(ToString::to_string).collect();
            format!("restricted {}", texts.join(";"))
        }
        Refusal::SectionFull { reserved, waitlist_open, waitlisted } => {
            format!("section_full {waitlist_open} {waitlisted} {reserved}")
        }
        Refusal::WaitlistFull { waitlisted } => format!("waitlist_full {waitlisted}"),
    }
}
