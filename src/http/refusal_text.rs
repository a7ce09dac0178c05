//! What a problem document says about a refusal.

use std::borrow::Cow;

use crate::domain::refusal::{ClosedAction, Refusal};

/// Returns a text that explains a refusal to the student.
pub(super) fn of(refusal: &Refusal) -> Cow<'static, str> {
    match refusal {
        Refusal::RegistrationClosed { opens_at, closes_at, now, what } => match (what, opens_at, closes_at) {
            (ClosedAction::Add, ..) => "The deadline to add sections in this term has passed.",
            (ClosedAction::Wait, ..) => "The section is full, and the deadline to join its waitlist has passed.",
            (ClosedAction::Drop, ..) => {
                "The deadline to drop sections in this term has passed, so you keep your seat. To drop it anyway, contact \
                 the registrar's office."
            }
            (ClosedAction::Register, None, _) => "The registration dates for this term have not been announced yet.",
            (ClosedAction::Register, _, Some(closes_at)) if closes_at <= now => "Registration for this term has ended.",
            (ClosedAction::Register, ..) => "Registration for this term has not opened yet.",
        }
        .into(),
        Refusal::Hold { holds } => {
            let reasons: Vec<_> = holds.iter().map(|hold| format!("{} ({})", hold.text, hold.office)).collect();
            format!("There is a hold on your account: {}.", reasons.join("; ")).into()
        }
        Refusal::SectionCancelled => "This section is cancelled. Choose another section.".into(),
        Refusal::SectionClosed => "This section is closed to new students. Choose another section.".into(),
        Refusal::AlreadyInCourse { conflicts_with, course } => {
            format!("You already have {course}, in section {conflicts_with}. Swap to replace it.").into()
        }
        Refusal::RepeatLimit { taken, limit } => {
            let times = |n: u32| if n == 1 { "once".to_owned() } else { format!("{n} times") };
            format!("You have taken this course {}. It may be taken {}.", times(*taken), times(*limit)).into()
        }
        Refusal::LinkedSectionRequired { choices } if choices.is_empty() => {
            "This section must be taken with a linked one, and no linked section has a seat left for you.".into()
        }
        Refusal::LinkedSectionRequired { choices } => {
            let names: Vec<_> = choices.iter().map(ToString::to_string).collect();
            format!(
                "This section must be taken with a linked one: add both together. Seats are left in {}.",
                names.join(", ")
            )
            .into()
        }
        Refusal::Restricted { restrictions } => {
            let conditions: Vec<_> = restrictions.iter().map(ToString::to_string).collect();
            format!("You are not eligible for this section because of its restrictions: {}.", conditions.join("; "))
                .into()
        }
        Refusal::Prerequisite { unmet } => format!("You have not met a prerequisite: {unmet}.").into(),
        Refusal::TimeConflict { conflicts_with } => {
            let names: Vec<_> = conflicts_with.iter().map(ToString::to_string).collect();
            let those = if names.len() == 1 { "that section" } else { "those sections" };
            format!("This section overlaps {}. Drop or swap {those} first.", names.join(", ")).into()
        }
        Refusal::CreditLimit { total, limit, .. } => {
            format!("You would have {} credits, but your limit is {}.", total.as_f64(), limit.as_f64()).into()
        }
        Refusal::SectionFull { reserved: true, waitlist_open, .. } => {
            let next = if *waitlist_open { "You can join the waitlist." } else { "Choose another section." };
            format!("The seats that are left in this section are reserved for other students. {next}").into()
        }
        Refusal::SectionFull { waitlist_open: true, .. } => "This section is full. You can join its waitlist.".into(),
        Refusal::SectionFull { waitlist_open: false, .. } | Refusal::WaitlistFull { .. } => {
            "This section is full, and no waitlist position is available. Choose another section.".into()
        }
    }
}
