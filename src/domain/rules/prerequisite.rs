//! `prerequisite`: a student has completed the courses that a section requires, or takes them at the same time where
//! that is sufficient.
//!
//! The rule applies only to students whose completed courses the college has stated; see
//! [`StudentFacts::completed`](crate::domain::student::StudentFacts::completed).

use crate::domain::prerequisite::{RequiredCourse, Requirement, Unmet};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::student::is_same_course;

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::Prerequisite, goals: &[Goal::Seat, Goal::Position, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let required = &case.section().prerequisites;
    if required.is_empty() {
        return None;
    }
    let completed = case.facts()?.completed.as_deref()?;
    let is_met = |course: &RequiredCourse| {
        course.is_completed(completed)
            || (course.concurrent && case.takes(|other| is_same_course(&other.course, &course.course)))
    };
    let unmet: Vec<Requirement> = required.iter().filter_map(|part| part.unmet(&is_met)).collect();
    (!unmet.is_empty()).then_some(Refusal::Prerequisite { unmet: Unmet(unmet) })
}
