//! Definitions of sections from outside: imports of schedules, and pulls of the college's catalogue. Neither drops a
//! student or removes a section.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::command::{SectionEdit, StagedImport, StagedSection};
use crate::domain::draft::Draft;
use crate::domain::ids::Crn;
use crate::domain::outcome::{ImportTally, Outcome};
use crate::domain::section::{Section, SectionState};

/// Makes a staged schedule visible. It is compared again, because sections may have changed since it was staged.
pub(super) fn apply_import(draft: &mut Draft<'_>, staged: &StagedImport) -> Outcome {
    let totals_count = staged.totals_count_while_open || !draft.term().is_open(draft.now);
    draft.show_generation(staged.generation);
    let sections = staged.sections.iter().map(|new| &new.section.id.crn).zip(&staged.sections);
    let mut tally = put_definitions(draft, sections, |before, new| imported(before, new, totals_count));
    tally.unchanged += staged.unchanged;
    Outcome::Imported(tally)
}

/// Applies what changed in the college's catalogue.
pub(super) fn put_sections(draft: &mut Draft<'_>, edits: &[SectionEdit]) -> Outcome {
    let sections = edits.iter().map(|edit| &edit.wanted.id.crn).zip(edits);
    Outcome::Imported(put_definitions(draft, sections, edited))
}

/// Puts the definitions that `after` returns. Where the time, the course or the credits of a section change, the
/// waitlists of the students who hold it are settled: they may have room now.
fn put_definitions<'n, N: 'n>(
    draft: &mut Draft<'_>,
    sections: impl Iterator<Item = (&'n Crn, &'n N)>,
    after: impl Fn(Option<&SectionState>, &N) -> SectionState,
) -> ImportTally {
    let mut tally = ImportTally::default();
    let mut weeks_changed = HashSet::new();
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
                if counts_otherwise(&before.section, &after.section) {
                    weeks_changed.insert(crn.clone());
                }
            }
        }
        draft.put_section(after);
    }
    if !weeks_changed.is_empty() {
        for (student, _, _) in draft.holders_of(&weeks_changed) {
            draft.unsettle_waitlists_of(&student);
        }
    }
    tally
}

/// Returns a section after an edit of the catalogue: each field that the edit changes is taken over, unless the hub has
/// changed it since it was seen.
fn edited(before: Option<&SectionState>, edit: &SectionEdit) -> SectionState {
    let wanted = &edit.wanted;
    let Some(before) = before else { return SectionState::new(wanted.clone()) };
    // The hub got the section meanwhile: the next pull compares with it.
    let Some(seen) = &edit.seen else { return before.clone() };
    let mut section = (*before.section).clone();
    take_over(&mut section, seen, wanted);
    let mut after = before.clone();
    if section != *before.section {
        after.section = Arc::new(section);
    }
    after
}

/// Gives `section` each value in which `wanted` differs from `seen`, where `section` still has the value that was seen.
fn take_over(section: &mut Section, seen: &Section, wanted: &Section) {
    macro_rules! take_over {
        ($($taken:ident)*; not $($kept:ident)*) => {
            // Every field is named, so that a new one does not compile until it is on one of the two lists.
            let Section { $($taken,)* $($kept: _,)* } = section;
            $(if seen.$taken != wanted.$taken && *$taken == seen.$taken {
                $taken.clone_from(&wanted.$taken);
            })*
        };
    }
    take_over!(
        course component section title credits instructor method campus meetings capacity waitlist_capacity linked
        prerequisites withdrawn;
        not id status // staff decide the status
    );
}

/// Returns a section after an import: it has the definition of the file and the hub's own registrations, keeps the
/// status that staff gave it and whether the college's catalogue shows it, and has the outside numbers that explain the
/// file's totals.
#[must_use]
pub fn imported(before: Option<&SectionState>, new: &StagedSection, totals_count: bool) -> SectionState {
    let mut after = before.cloned().unwrap_or_else(|| SectionState::new(new.section.clone()));
    let section = before.map_or_else(|| (*new.section).clone(), |before| redefined(&before.section, &new.section));
    if before.is_none_or(|b| *b.section != section) {
        after.section = Arc::new(section);
    }
    // Totals that equal those of the last import are not new: outside numbers that staff cleared since stay cleared.
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

/// Returns the definition of a section that a file has, with what a file does not define as it was before.
fn redefined(before: &Section, file: &Section) -> Section {
    let mut section = file.clone();
    // Every field is named, so that a new one does not compile until it is decided whether a file defines it.
    let Section {
        id: _,
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
        linked: _,
        prerequisites: _,
        status,
        withdrawn,
    } = &mut section;
    *status = before.status;
    *withdrawn = before.withdrawn;
    section
}

/// Returns whether a section counts otherwise in a student's week or credits than before.
fn counts_otherwise(before: &Section, after: &Section) -> bool {
    // Every field is named, so that a new one does not compile until it is decided whether a rule reads it.
    let Section {
        course,
        component,
        credits,
        meetings,
        id: _,
        section: _,
        title: _,
        instructor: _,
        method: _,
        campus: _,
        capacity: _,
        waitlist_capacity: _,
        linked: _,
        prerequisites: _,
        status: _,
        withdrawn: _,
    } = before;
    *course != after.course || *component != after.component || *credits != after.credits || *meetings != after.meetings
}
