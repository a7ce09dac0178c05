//! Sections that are taken together: a lecture with one of its labs, and courses that require each other in the same
//! term.

use crate::domain::draft::Draft;
use crate::domain::ids::Crn;
use crate::domain::prerequisite::Requirement;
use crate::domain::section::{Section, SectionState};
use crate::domain::student::is_same_course;

/// Maximum number of sections that are evaluated as a set. The sections of a larger set are evaluated one after the
/// other, because each change to a set evaluates all of it again, which could delay other students.
pub const SET_LEN_MAX: usize = 8;

/// Returns the linked sections that a student still has to choose from, in the order of the list. `is_taken` states
/// which sections the student takes.
///
/// One section of each course and component in the list is required. Sections that do not exist or are cancelled do not
/// count.
pub fn missing<'d>(draft: &'d Draft<'_>, section: &Section, is_taken: impl Fn(&Crn) -> bool) -> Vec<&'d SectionState> {
    let exists = |state: &&SectionState| state.section.id != section.id && !state.is_cancelled();
    let of_term = section.linked.iter().filter(|id| id.term == section.id.term);
    let linked: Vec<&SectionState> = of_term.filter_map(|id| draft.section(&id.crn)).filter(exists).collect();
    let is_met = |one: &SectionState| {
        linked.iter().any(|other| other.section.same_course(&one.section) && is_taken(&other.section.id.crn))
    };
    linked.iter().copied().filter(|one| !is_met(one)).collect()
}

/// Returns whether a section may have to be taken together with another one.
#[must_use]
pub fn may_need_another(section: &Section) -> bool {
    !section.linked.is_empty() || section.prerequisites.iter().any(Requirement::allows_concurrent)
}

/// Returns whether one of two sections may have to be taken together with the other.
#[must_use]
pub fn belong_together(a: &Section, b: &Section) -> bool {
    let needs = |one: &Section, other: &Section| {
        one.linked.contains(&other.id) || one.prerequisites.iter().any(|part| allows(part, &other.course))
    };
    needs(a, b) || needs(b, a)
}

/// Returns whether a part of a requirement can be met by taking `course` in the same term.
fn allows(required: &Requirement, course: &str) -> bool {
    match required {
        Requirement::Course(one) => one.concurrent && is_same_course(&one.course, course),
        Requirement::All(parts) | Requirement::Any(parts) => parts.iter().any(|part| allows(part, course)),
        Requirement::Remark(_) => false,
    }
}

/// Divides the sections of a request into sets that belong together, in the order of their first sections. Returns the
/// indices of the sections in `crns`; `None` if there is only one section, or if none of them may have to be taken
/// together with another one.
pub(crate) fn sets(draft: &Draft<'_>, crns: &[&Crn]) -> Option<Vec<Vec<usize>>> {
    let sections: Vec<Option<&Section>> = crns.iter().map(|crn| draft.section(crn).map(|s| &*s.section)).collect();
    if crns.len() < 2 || !sections.iter().flatten().any(|section| may_need_another(section)) {
        return None;
    }
    let mut sets: Vec<Vec<usize>> = Vec::new();
    for (at, section) in sections.iter().enumerate() {
        let belongs = |set: &Vec<usize>| {
            set.iter().any(|other| section.zip(sections[*other]).is_some_and(|(a, b)| belong_together(a, b)))
        };
        let mut joined = vec![at];
        let mut first = None;
        for index in (0..sets.len()).rev().filter(|index| belongs(&sets[*index])).collect::<Vec<_>>() {
            joined.extend(sets.remove(index));
            first = Some(index);
        }
        joined.sort_unstable();
        sets.insert(first.unwrap_or(sets.len()), joined);
    }
    sets.sort_by_key(|set| set.first().copied());
    Some(sets)
}
