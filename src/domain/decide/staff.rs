//! What staff and imports change. None of it takes a seat away from anyone.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::command::{SectionEdit, SectionPatch, StagedImport, StagedSection, TermPatch};
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::{Notice, Reason};
use crate::domain::outcome::{ImportTally, Outcome};
use crate::domain::registration::Standing;
use crate::domain::section::{Section, SectionState, SectionStatus};
use crate::domain::view::TermView;

/// Changes a section's capacity, status or outside numbers. Raising capacity promotes the line.
pub(super) fn patch_section<V: TermView>(draft: &mut Draft<'_, V>, crn: &Crn, patch: &SectionPatch) -> Outcome {
    let Some(mut state) = draft.section(crn).cloned() else { return Outcome::NoSuchSection };
    let before = state.clone();
    let mut section = (*state.section).clone();
    section.capacity = patch.capacity.unwrap_or(section.capacity);
    section.waitlist_capacity = patch.waitlist_capacity.unwrap_or(section.waitlist_capacity);
    section.status = patch.status.unwrap_or(section.status);
    state.outside_enrolled = patch.outside_enrolled.unwrap_or(state.outside_enrolled);
    state.outside_waitlisted = patch.outside_waitlisted.unwrap_or(state.outside_waitlisted);
    if section != *before.section {
        state.section = Arc::new(section);
    }
    if state == before {
        return Outcome::SectionChanged;
    }
    let status_changed = state.section.status != before.section.status;
    let cancelled = status_changed && state.section.status == SectionStatus::Cancelled;
    draft.put_section(state);
    if status_changed {
        let members = students_of(draft, &HashSet::from([crn.clone()]));
        for (student, _, standing) in &members {
            if cancelled {
                draft.tell(Notice {
                    student: student.clone(),
                    crn: crn.clone(),
                    standing: *standing,
                    reason: Reason::Cancelled,
                    at: draft.now,
                });
            }
            draft.unsettle_lines_of(student);
        }
    }
    Outcome::SectionChanged
}

/// Makes or changes the term.
pub(super) fn put_term<V: TermView>(draft: &mut Draft<'_, V>, patch: &TermPatch) -> Outcome {
    let mut term = draft.term().clone();
    if let Some(title) = &patch.title {
        term.title.clone_from(title);
    }
    term.starts_on = patch.starts_on.unwrap_or(term.starts_on);
    term.ends_on = patch.ends_on.unwrap_or(term.ends_on);
    term.opens_at = patch.opens_at.unwrap_or(term.opens_at);
    term.closes_at = patch.closes_at.unwrap_or(term.closes_at);
    if let Some(holidays) = &patch.holidays {
        term.holidays.clone_from(holidays);
    }
    draft.term = Some(term);
    Outcome::TermChanged
}

/// Makes a staged schedule visible, comparing again what has moved since it was staged. It drops nobody, and removes
/// no section.
pub(super) fn apply_import<V: TermView>(draft: &mut Draft<'_, V>, staged: &StagedImport) -> Outcome {
    let totals_count = staged.totals_count_while_open || !draft.term().is_open(draft.now);
    draft.term = Some(draft.term().clone());
    draft.generation = Some(staged.generation);
    let sections = staged.sections.iter().map(|new| &new.section.id.crn).zip(&staged.sections);
    let mut tally = put_definitions(draft, sections, |before, new| imported(before, new, totals_count));
    tally.unchanged += staged.unchanged;
    Outcome::Imported(tally)
}

/// Takes over what has changed in the college's catalogue. It drops nobody, and removes no section.
pub(super) fn put_sections<V: TermView>(draft: &mut Draft<'_, V>, edits: &[SectionEdit]) -> Outcome {
    let sections = edits.iter().map(|edit| &edit.wanted.id.crn).zip(edits);
    Outcome::Imported(put_definitions(draft, sections, edited))
}

/// Gives sections the definitions that `after` works out. Whoever sits in one whose week or credits changed may have
/// room now for what they wait for.
fn put_definitions<'n, V: TermView, N: 'n>(
    draft: &mut Draft<'_, V>,
    sections: impl Iterator<Item = (&'n Crn, &'n N)>,
    after: impl Fn(Option<&SectionState>, &N) -> SectionState,
) -> ImportTally {
    let mut tally = ImportTally::default();
    let mut weeks_changed = HashSet::new();
    for (crn, new) in sections {
        let before = draft.section(crn).cloned();
        let after = after(before.as_ref(), new);
        match &before {
            None => tally.created += 1,
            Some(before) if *before == after => {
                tally.unchanged += 1;
                continue;
            }
            Some(before) => {
                tally.updated += 1;
                if weighs_otherwise(&before.section, &after.section) {
                    weeks_changed.insert(crn.clone());
                }
            }
        }
        draft.put_section(after);
    }
    if !weeks_changed.is_empty() {
        for (student, _, _) in students_of(draft, &weeks_changed) {
            draft.unsettle_lines_of(&student);
        }
    }
    tally
}

/// A section after an edit of the catalogue: each field that the edit changes, where nobody else has changed it since
/// it was seen.
fn edited(before: Option<&SectionState>, edit: &SectionEdit) -> SectionState {
    let wanted = &edit.wanted;
    let Some(before) = before else { return SectionState::new(wanted.clone()) };
    // Made by somebody else meanwhile: the next look at the catalogue compares with it.
    let Some(seen) = &edit.seen else { return before.clone() };
    let mut section = (*before.section).clone();
    macro_rules! take_over {
        ($($field:ident)*) => {
            $(if seen.$field != wanted.$field && section.$field == seen.$field {
                section.$field.clone_from(&wanted.$field);
            })*
        };
    }
    take_over!(course component section title credits instructor meetings capacity waitlist_capacity withdrawn);
    let mut after = before.clone();
    if section != *before.section {
        after.section = Arc::new(section);
    }
    after
}

/// A section as it will be after an import: the file's definition, the hub's own people, the status that staff gave it,
/// whether the college's catalogue shows it, and outside numbers that explain the file's totals.
#[must_use]
pub fn imported(before: Option<&SectionState>, new: &StagedSection, totals_count: bool) -> SectionState {
    let mut after = before.cloned().unwrap_or_else(|| SectionState::new(new.section.clone()));
    let mut section = (*new.section).clone();
    section.status = before.map_or(section.status, |b| b.section.status);
    section.withdrawn = before.map_or(section.withdrawn, |b| b.section.withdrawn);
    if before.is_none_or(|b| *b.section != section) {
        after.section = Arc::new(section);
    }
    // Totals that are those of the last import say nothing new: what staff cleared since then stays cleared.
    if let Some((enrolled, waitlisted)) = new.totals
        && (before.is_none() || totals_count)
        && after.file_totals != new.totals
    {
        after.outside_enrolled = enrolled.saturating_sub(after.enrolled);
        after.outside_waitlisted = waitlisted.saturating_sub(after.waiting);
        after.file_totals = new.totals;
    }
    after
}

/// Whether a section counts otherwise in somebody's week or credits.
fn weighs_otherwise(before: &Section, after: &Section) -> bool {
    before.meetings != after.meetings || before.credits != after.credits || !before.same_course(after)
}

/// Everyone who holds one of these sections, in order of name: in the order of a hash map, one decision could come out
/// in two ways.
fn students_of<V: TermView>(draft: &Draft<'_, V>, crns: &HashSet<Crn>) -> Vec<(UserName, Crn, Standing)> {
    let mut found: Vec<_> = draft
        .view()
        .students()
        .flat_map(|(student, held)| held.iter().map(move |r| (student, r)))
        .filter(|(_, r)| r.is_held() && crns.contains(&r.crn))
        .map(|(student, r)| (student.clone(), r.crn.clone(), r.standing))
        .collect();
    found.sort_unstable_by(|(a, x, _), (b, y, _)| (a, x).cmp(&(b, y)));
    found
}
