//! What forbids a seat or a place, in order of precedence.

use crate::domain::draft::Draft;
use crate::domain::ids::UserName;
use crate::domain::refusal::Refusal;
use crate::domain::registration::Standing;
use crate::domain::section::{Credits, Section, SectionStatus};
use crate::domain::view::TermView;

/// What a newcomer is refused before the student's own week is looked at.
pub(super) fn refused_to_newcomers<V: TermView>(draft: &Draft<'_, V>, section: &Section) -> Option<Refusal> {
    let term = draft.term();
    if !term.is_open(draft.now) {
        return Some(Refusal::RegistrationClosed {
            opens_at: term.opens_at,
            closes_at: term.closes_at,
            now: draft.now,
        });
    }
    match section.status {
        SectionStatus::Open if section.withdrawn => Some(Refusal::SectionClosed),
        SectionStatus::Open => None,
        SectionStatus::Closed => Some(Refusal::SectionClosed),
        SectionStatus::Cancelled => Some(Refusal::SectionCancelled),
    }
}

/// What the student's own week and credits forbid. A place in line (`for_seat` false) is not held to the credit limit;
/// it is judged again when it becomes a seat.
pub(super) fn refused_by_own_week<V: TermView>(
    draft: &Draft<'_, V>,
    student: &UserName,
    section: &Section,
    for_seat: bool,
) -> Option<Refusal> {
    let mut credits = Credits(0);
    let mut overlapping = Vec::new();
    for held in draft.registrations(student).iter().filter(|r| r.is_held() && r.crn != section.id.crn) {
        let Some(state) = draft.section(&held.crn) else { continue };
        let other = &state.section;
        if other.status == SectionStatus::Cancelled {
            continue;
        }
        if other.same_course(section) {
            return Some(Refusal::AlreadyInCourse { conflicts_with: other.id.clone(), course: section.course.clone() });
        }
        if other.overlaps(section) {
            overlapping.push(other.id.clone());
        }
        if held.standing == Standing::Enrolled {
            credits.0 = credits.0.saturating_add(other.credits.0);
        }
    }
    if !overlapping.is_empty() {
        return Some(Refusal::TimeConflict { conflicts_with: overlapping });
    }
    let limit = draft.view().credit_limit();
    let wanted = Credits(credits.0.saturating_add(section.credits.0));
    // A section without credits adds nothing, so it never takes anyone over a limit.
    if for_seat && limit.0 > 0 && section.credits.0 > 0 && wanted > limit {
        return Some(Refusal::CreditLimit { credits, wanted, limit });
    }
    None
}
