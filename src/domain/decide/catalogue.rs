//! Section definitions from outside the hub: imports of schedules and pulls of the college's catalogue. Neither drops a
//! student or removes a section.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::command::{SectionEdit, StagedImport, StagedSection};
use crate::domain::decide::staff::{handle_status_changes, status_change};
use crate::domain::draft::Draft;
use crate::domain::ids::Crn;
use crate::domain::meeting::Meeting;
use crate::domain::notice::Reason;
use crate::domain::outcome::{ImportTally, Outcome};
use crate::domain::rights::{self, OutOfScope, Scope};
use crate::domain::section::{Section, SectionState, SectionStatus};

/// Makes a staged schedule visible. Compares it again, because sections may have changed since it was staged.
pub(super) fn apply_import(draft: &mut Draft<'_>, staged: &StagedImport) -> Outcome {
    if let Err(refused) = check_limit(draft, staged) {
        return Outcome::ImportOutOfScope(refused);
    }
    let apply_totals = staged.apply_totals_while_open || !draft.term().is_open_for_anyone(draft.now);
    draft.show_generation(staged.generation);
    let sections = staged.sections.iter().map(|new| &new.section.id.crn).zip(&staged.sections);
    let mut tally = put_definitions(draft, sections, |before, new| imported(before, new, apply_totals));
    tally.unchanged += staged.unchanged;
    Outcome::Imported(tally)
}

/// Checks that the sections of a staged schedule, and the sections that they replace now, are of the subjects to which
/// the user who imports is limited.
fn check_limit(draft: &Draft<'_>, staged: &StagedImport) -> Result<(), OutOfScope> {
    let Some(limit) = &staged.limit else { return Ok(()) };
    for StagedSection { section, .. } in &staged.sections {
        rights::check(Some(limit), &Scope::Subject(section.subject()))?;
        if let Some(before) = draft.section(&section.id.crn) {
            rights::check(Some(limit), &Scope::Subject(before.section.subject()))?;
        }
    }
    Ok(())
}

/// Applies changes in the college's catalogue.
pub(super) fn put_sections(draft: &mut Draft<'_>, edits: &[SectionEdit]) -> Outcome {
    let sections = edits.iter().map(|edit| &edit.target.id.crn).zip(edits);
    Outcome::Imported(put_definitions(draft, sections, edited))
}

/// Replaces the definitions of sections with those that `after` returns. If the course, component, credits or meetings
/// of a section change, queues the waitlists of the students who are registered for it, because the change may make
/// room for a promotion. Notifies the students of a section that becomes cancelled, or is no longer cancelled.
fn put_definitions<'n, N: 'n>(
    draft: &mut Draft<'_>,
    sections: impl Iterator<Item = (&'n Crn, &'n N)>,
    after: impl Fn(Option<&SectionState>, &N) -> SectionState,
) -> ImportTally {
    let mut tally = ImportTally::default();
    let mut rule_inputs_changed = HashSet::new();
    let (mut cancelled, mut reopened) = (HashSet::new(), HashSet::new());
    for (crn, new) in sections {
        let before = draft.section(crn);
        let after = after(before, new);
        match before {
            None => tally.created += 1,
            Some(before) if *before == after => {
                tally.unchanged += 1;
                continue;
            }
            Some(before) => {
                tally.updated += 1;
                if changes_rule_inputs(&before.section, &after.section) {
                    rule_inputs_changed.insert(crn.clone());
                }
                match status_change(before.section.status, after.section.status) {
                    Some(Reason::Cancelled) => _ = cancelled.insert(crn.clone()),
                    Some(Reason::Reopened) => _ = reopened.insert(crn.clone()),
                    _ => {}
                }
            }
        }
        draft.put_section(after);
    }
    if !rule_inputs_changed.is_empty() {
        for (student, _, _) in draft.students_in(&rule_inputs_changed) {
            draft.queue_waitlists_of(&student);
        }
    }
    if !cancelled.is_empty() {
        handle_status_changes(draft, &cancelled, Some(Reason::Cancelled));
    }
    if !reopened.is_empty() {
        handle_status_changes(draft, &reopened, Some(Reason::Reopened));
    }
    tally
}

/// Returns a section after an edit of the catalogue; see [`SectionEdit`].
fn edited(before: Option<&SectionState>, edit: &SectionEdit) -> SectionState {
    let target = &edit.target;
    let Some(before) = before else { return SectionState::new(target.clone()) };
    // The section was created since the comparison; the next pull compares the catalogue to it.
    let Some(base) = &edit.base else { return before.clone() };
    let mut section = (*before.section).clone();
    merge_edit(&mut section, base, target);
    let mut after = before.clone();
    if section != *before.section {
        after.section = Arc::new(section);
    }
    after
}

/// Sets each field of `section` that differs between `base` and `target` to its value in `target`, unless `section` no
/// longer has the value of `base`.
fn merge_edit(section: &mut Section, base: &Section, target: &Section) {
    macro_rules! merge_fields {
        ($($merged:ident)*; not $($ignored:ident)*) => {
            // Names every field, so that a new field fails to compile until it is on one of the two lists.
            let Section { $($merged,)* $($ignored: _,)* } = section;
            $(if base.$merged != target.$merged && *$merged == base.$merged {
                $merged.clone_from(&target.$merged);
            })*
        };
    }
    merge_fields!(
        original_crn course component section title credits instructor method campus meetings capacity
        waitlist_capacity linked cross_listed reserved restrictions repeat_limit prerequisites withdrawn;
        not id status // Staff set the status.
    );
}

/// Returns a section after an import.
///
/// It has the file's definition, but keeps the hub's registrations, the fields for which the file has no column,
/// whether it is withdrawn, and the status except as in [`status_after`]. With `apply_totals`, its outside counts
/// become the part of the file's totals that the hub's own registrations do not explain.
#[must_use]
pub fn imported(before: Option<&SectionState>, new: &StagedSection, apply_totals: bool) -> SectionState {
    let mut after = before.cloned().unwrap_or_else(|| SectionState::new(new.section.clone()));
    let mut section =
        before.map_or_else(|| (*new.section).clone(), |before| with_definition_from_file(&before.section, new));
    (section.status, after.cancelled_from) = status_after(before, new);
    if before.is_none_or(|b| *b.section != section) {
        after.section = Arc::new(section);
    }
    // Totals equal to those of the last import are ignored, so that outside counts that staff cleared since then stay
    // cleared.
    if let Some((enrolled, waitlisted)) = new.totals
        && (before.is_none() || apply_totals)
        && after.file_totals != new.totals
    {
        after.outside_enrolled = enrolled.saturating_sub(after.enrolled);
        after.outside_waitlisted = waitlisted.saturating_sub(after.waitlisted);
        after.file_totals = new.totals;
    }
    after
}

/// Returns the status of a section after an import, and the status before an import cancelled it.
///
/// A file can cancel a section, and undo what an earlier file cancelled. It does not change what staff set.
fn status_after(before: Option<&SectionState>, new: &StagedSection) -> (SectionStatus, Option<SectionStatus>) {
    let file = new.section.status;
    let is_cancelled = file == SectionStatus::Cancelled;
    let Some(before) = before else { return (file, is_cancelled.then_some(SectionStatus::Open)) };
    match (before.section.status, before.cancelled_from) {
        (SectionStatus::Cancelled, Some(from)) if new.states_status && !is_cancelled => (from, None),
        (SectionStatus::Cancelled, from) => (SectionStatus::Cancelled, from),
        (status, _) if is_cancelled => (SectionStatus::Cancelled, Some(status)),
        (status, from) => (status, from),
    }
}

/// Returns the definition in the file, with the fields that a file does not define taken from `before`.
fn with_definition_from_file(before: &Section, new: &StagedSection) -> Section {
    let file = &*new.section;
    let mut section = file.clone();
    // The order of meetings has no meaning, so a different order is not a change.
    if has_same_meetings(before, file) {
        section.meetings.clone_from(&before.meetings);
    }
    // Names every field, so that a new field fails to compile until it is decided whether a file defines it.
    let Section {
        id: _,
        original_crn: _,
        course: _,
        component: _,
        section: _,
        title: _,
        credits: _,
        instructor: _,
        method: _,
        campus: _,
        meetings: _,
        capacity: _,
        waitlist_capacity: _,
        linked,
        cross_listed,
        reserved,
        restrictions,
        repeat_limit,
        prerequisites,
        status,
        withdrawn,
    } = &mut section;
    *status = before.status;
    *withdrawn = before.withdrawn;
    keep_unless_stated(linked, &before.linked, new.stated.linked);
    keep_unless_stated(cross_listed, &before.cross_listed, new.stated.cross_listed);
    keep_unless_stated(reserved, &before.reserved, new.stated.reserved);
    keep_unless_stated(restrictions, &before.restrictions, new.stated.restrictions);
    keep_unless_stated(repeat_limit, &before.repeat_limit, new.stated.repeat_limit);
    keep_unless_stated(prerequisites, &before.prerequisites, new.stated.prerequisites);
    section
}

/// Sets `field` to `before`, its value in the hub, if the file has no column for it.
fn keep_unless_stated<T: Clone>(field: &mut T, before: &T, is_stated: bool) {
    if !is_stated {
        field.clone_from(before);
    }
}

/// Returns whether both have the same set of meetings, ignoring meetings about which nothing is known.
fn has_same_meetings(before: &Section, file: &Section) -> bool {
    let (before, file) = (&before.meetings, &file.meetings);
    let is_part = |one: &[Meeting], other: &[Meeting]| {
        one.iter().all(|meeting| *meeting == Meeting::default() || other.contains(meeting))
    };
    is_part(before, file) && is_part(file, before)
}

/// Returns whether a change affects any of the fields that the rules read in a student's other sections.
fn changes_rule_inputs(before: &Section, after: &Section) -> bool {
    // Names every field, so that a new field fails to compile until it is decided whether a rule reads it.
    let Section {
        course,
        component,
        credits,
        meetings,
        id: _,
        original_crn: _,
        section: _,
        title: _,
        instructor: _,
        method: _,
        campus: _,
        capacity: _,
        waitlist_capacity: _,
        linked: _,
        cross_listed: _,
        reserved: _,
        restrictions: _,
        repeat_limit: _,
        prerequisites: _,
        status: _,
        withdrawn: _,
    } = before;
    *course != after.course || *component != after.component || *credits != after.credits || *meetings != after.meetings
}
