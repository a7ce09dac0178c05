//! Changes that staff make to a section, to the term or to the facts about students. None of them takes a seat from a
//! student.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::command::{FactsOfStudent, SectionPatch, TermPatch};
use crate::domain::draft::Draft;
use crate::domain::ids::Crn;
use crate::domain::notice::{Notice, Reason};
use crate::domain::outcome::Outcome;
use crate::domain::section::SectionStatus;
use crate::domain::waitlist;
use crate::domain::waitlist_order;

/// Changes the fields of a section that the patch states. More capacity promotes students from the waitlist.
pub(super) fn patch_section(draft: &mut Draft<'_>, crn: &Crn, patch: &SectionPatch) -> Outcome {
    let Some(mut state) = draft.section(crn).cloned() else { return Outcome::NoSuchSection };
    let before = state.clone();
    let mut section = (*state.section).clone();
    let SectionPatch {
        capacity,
        waitlist_capacity,
        status,
        outside_enrolled,
        outside_waitlisted,
        linked,
        cross_listed,
        reserved,
        restrictions,
        repeat_limit,
        prerequisites,
    } = patch;
    set_if_given(&mut section.linked, linked);
    set_if_given(&mut section.cross_listed, cross_listed);
    set_if_given(&mut section.reserved, reserved);
    set_if_given(&mut section.restrictions, restrictions);
    set_if_given(&mut section.repeat_limit, repeat_limit);
    set_if_given(&mut section.prerequisites, prerequisites);
    set_if_given(&mut section.capacity, capacity);
    set_if_given(&mut section.waitlist_capacity, waitlist_capacity);
    set_if_given(&mut section.status, status);
    if status.is_some() {
        state.cancelled_from = None;
    }
    set_if_given(&mut state.outside_enrolled, outside_enrolled);
    set_if_given(&mut state.outside_waitlisted, outside_waitlisted);
    if section != *before.section {
        state.section = Arc::new(section);
    }
    if state == before {
        return Outcome::SectionChanged;
    }
    let status = state.section.status;
    draft.put_section(state);
    if status != before.section.status {
        let reason = status_change(before.section.status, status);
        handle_status_changes(draft, &HashSet::from([crn.clone()]), reason);
    }
    Outcome::SectionChanged
}

fn set_if_given<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

/// Returns why the students of a section are notified when its status changes; `None` if they are not.
pub(super) fn status_change(before: SectionStatus, after: SectionStatus) -> Option<Reason> {
    match (before == SectionStatus::Cancelled, after == SectionStatus::Cancelled) {
        (false, true) => Some(Reason::Cancelled),
        (true, false) => Some(Reason::Reopened),
        (true, true) | (false, false) => None,
    }
}

/// Queues all waitlists of the students who are registered for `sections`, because a cancelled section does not count
/// in a student's schedule or credits. Notifies these students of `reason`, if there is one.
pub(super) fn handle_status_changes(draft: &mut Draft<'_>, sections: &HashSet<Crn>, reason: Option<Reason>) {
    for (student, crn, registration_status) in draft.students_in(sections) {
        if let Some(reason) = reason {
            let (student, at) = (student.clone(), draft.now);
            draft.notify(Notice { student, crn, status: registration_status, reason, at });
        }
        draft.queue_waitlists_of(&student);
    }
}

/// Creates or changes the term.
pub(super) fn put_term(draft: &mut Draft<'_>, patch: &TermPatch) -> Outcome {
    let mut term = draft.term().clone();
    let TermPatch {
        title,
        starts_on,
        ends_on,
        opens_at,
        closes_at,
        windows,
        holidays,
        add_until,
        drop_until,
        waitlist_until,
        waitlist,
        offer_s,
        offer_first_day_s,
        waitlist_priority,
    } = patch;
    set_if_given(&mut term.title, title);
    set_if_given(&mut term.starts_on, starts_on);
    set_if_given(&mut term.ends_on, ends_on);
    set_if_given(&mut term.opens_at, opens_at);
    set_if_given(&mut term.closes_at, closes_at);
    set_if_given(&mut term.windows, windows);
    set_if_given(&mut term.holidays, holidays);
    let cutoffs = &mut term.cutoffs;
    set_if_given(&mut cutoffs.add_until, add_until);
    set_if_given(&mut cutoffs.drop_until, drop_until);
    set_if_given(&mut cutoffs.waitlist_until, waitlist_until);
    let offers = &mut term.offers;
    set_if_given(&mut offers.mode, waitlist);
    set_if_given(&mut offers.offer_s, offer_s);
    set_if_given(&mut offers.first_day_s, offer_first_day_s);
    set_if_given(&mut offers.priority, waitlist_priority);
    let is_reordered = offers.priority != draft.term().offers.priority;
    let is_extended = *cutoffs != draft.term().cutoffs;
    draft.put_term(term);
    if is_reordered {
        waitlist_order::follow_priority(draft);
        waitlist::queue_all(draft);
    }
    if is_extended {
        // Waitlists that had ended may continue.
        waitlist::queue_all(draft);
    }
    Outcome::TermChanged
}

/// Replaces the facts about students. A rule may then allow what it refused before, so the waitlists of these students
/// are settled.
pub(super) fn put_facts(draft: &mut Draft<'_>, facts: &[FactsOfStudent]) -> Outcome {
    for (student, facts) in facts {
        let band = draft.natural_band(student);
        if draft.put_facts(student, facts.clone()) {
            waitlist_order::follow_facts(draft, student, band);
            draft.queue_waitlists_of(student);
        }
    }
    Outcome::FactsChanged
}
