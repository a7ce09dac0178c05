//! The part of the naive model that covers facts about students: windows, holds and prerequisites.

use eduhub::domain::prerequisite::{RequiredCourse, Requirement};
use eduhub::domain::section::Section;
use eduhub::domain::student::{CompletedCourse, HeldAction, StudentFacts};
use eduhub::domain::term::GroupWindow;
use jiff::Timestamp;

/// An opening time and a closing time.
type Window = (Option<Timestamp>, Option<Timestamp>);

/// Returns the window of a student in a term with these times and group windows.
pub(super) fn window(
    opens: Option<Timestamp>,
    closes: Option<Timestamp>,
    groups: &[GroupWindow],
    facts: &StudentFacts,
) -> Window {
    if opens.is_none() {
        return (None, closes);
    }
    let in_group =
        |window: &&GroupWindow| facts.groups.iter().any(|group| group.to_lowercase() == window.group.to_lowercase());
    let mut own: Vec<&GroupWindow> = groups.iter().filter(in_group).collect();
    own.sort_by_key(|window| window.opens_at);
    let (opens, closes) = match own.first() {
        Some(first) => (Some(first.opens_at), first.closes_at.or(closes)),
        None => (opens, closes),
    };
    (facts.opens_at.or(opens), facts.closes_at.or(closes))
}

/// Returns the refusal that the holds of a student cause.
pub(super) fn held(facts: Option<&StudentFacts>, action: HeldAction) -> Option<String> {
    let mut ids = Vec::new();
    for hold in facts.map_or(&[][..], |facts| &facts.holds) {
        if hold.blocks.contains(&action) {
            ids.push(hold.id.to_string());
        }
    }
    (!ids.is_empty()).then(|| format!("hold {}", ids.join(",")))
}

/// Returns the refusal for the prerequisites that a student lacks. `taken` are the student's courses in this term.
pub(super) fn lacking(facts: Option<&StudentFacts>, required: &[Requirement], taken: &[&str]) -> Option<String> {
    let completed = facts?.completed.as_ref()?;
    let lacking: Vec<String> = required.iter().flat_map(|one| lacking_of(one, completed, taken)).collect();
    (!lacking.is_empty()).then(|| format!("prerequisite {}", lacking.join(",")))
}

/// Returns the refusal of a student who has taken the course of a section as many times as it allows.
pub(super) fn too_often(facts: Option<&StudentFacts>, section: &Section) -> Option<String> {
    // Every generated grade counts as an attempt, and the college has no limit of its own.
    let limit = section.repeat_limit.unwrap_or(0);
    let completed = facts?.completed.as_ref()?;
    let taken = completed.iter().filter(|one| one.course == section.course).count();
    (limit > 0 && taken >= limit as usize).then(|| format!("repeat_limit {taken} {limit}"))
}

fn lacking_of(required: &Requirement, completed: &[CompletedCourse], taken: &[&str]) -> Vec<String> {
    let parts = |parts: &[Requirement]| -> Vec<Vec<String>> {
        parts.iter().map(|part| lacking_of(part, completed, taken)).collect()
    };
    match required {
        Requirement::Remark(_) => Vec::new(),
        Requirement::Course(RequiredCourse { course, grade, concurrent }) => {
            let is_good = |one: &CompletedCourse| {
                one.course == *course
                    && is_sufficient(one.grade.as_deref().unwrap_or(""), grade.as_deref().unwrap_or(""))
            };
            let is_met = completed.iter().any(is_good) || (*concurrent && taken.contains(&&**course));
            if is_met { Vec::new() } else { vec![course.to_string()] }
        }
        Requirement::All(all) => parts(all).concat(),
        Requirement::Any(any) => {
            let parts = parts(any);
            if parts.iter().any(Vec::is_empty) { Vec::new() } else { parts.concat() }
        }
    }
}

/// Returns whether a grade of the generated histories is sufficient. An empty `grade` is not known, and an empty
/// `least` accepts every grade.
fn is_sufficient(grade: &str, least: &str) -> bool {
    let order = ["F", "D", "C", "P", "B-", "B", "A"];
    let rank = |grade: &str| order.iter().position(|one| *one == grade).unwrap();
    match (grade, least) {
        ("", _) => least.is_empty(),
        ("F", _) => false,
        (_, "") => true,
        ("P", "C") => true,
        _ => rank(grade) >= rank(least),
    }
}

/// Returns whether a course of the same term can be sufficient.
pub(super) fn has_concurrent(required: &Requirement) -> bool {
    match required {
        Requirement::Remark(_) => false,
        Requirement::Course(course) => course.concurrent,
        Requirement::All(parts) | Requirement::Any(parts) => parts.iter().any(has_concurrent),
    }
}
