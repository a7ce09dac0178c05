//! Facts about a student that a provider states; see [`crate::domain::student`].

use crate::config::auth::FactClaims;
use crate::domain::section::Credits;
use crate::domain::student::{GROUPS_MAX, StudentFacts};

use super::claims::Claims;

/// Longest name of a group, a program or a campus, in characters; as in `PUT /api/v1/students/{user}`. Longer ones are
/// ignored.
const NAME_CHARS_MAX: usize = 100;

/// The facts about a student that a provider states. A fact is `None` if the settings name no claim for it; then it
/// stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatedFacts {
    groups: Option<Vec<Box<str>>>,
    program: Option<Option<Box<str>>>,
    campus: Option<Option<Box<str>>>,
    credit_limit: Option<Option<Credits>>,
}

impl StatedFacts {
    /// Reads the facts from the claims of a student. An absent claim empties its fact: a student who has left a group
    /// at the provider leaves it in the hub, too. A credit limit that is not a number changes nothing.
    pub(super) fn read(claims: &Claims, names: &FactClaims) -> Self {
        let FactClaims { groups, program, campus, credit_limit } = names;
        let texts = |name: &String| {
            (!name.is_empty()).then(|| claims.texts(name).iter().filter_map(|text| usable(text)).collect())
        };
        let texts = |name: &String| -> Option<Vec<Box<str>>> { texts(name) };
        let first = |name: &String| texts(name).map(|texts| texts.into_iter().next());
        let credit_limit = first(credit_limit).and_then(|limit| match limit {
            Some(text) => Credits::parse(&text).map(Some),
            None => Some(None),
        });
        Self { groups: texts(groups).map(distinct), program: first(program), campus: first(campus), credit_limit }
    }

    /// Returns `facts` after replacing those that the provider states.
    #[must_use]
    pub fn applied_to(&self, mut facts: StudentFacts) -> StudentFacts {
        let Self { groups, program, campus, credit_limit } = self;
        facts.groups = groups.clone().unwrap_or(facts.groups);
        facts.program = program.clone().unwrap_or(facts.program);
        facts.campus = campus.clone().unwrap_or(facts.campus);
        facts.credit_limit = credit_limit.unwrap_or(facts.credit_limit);
        facts
    }

    /// Returns whether the provider states nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Returns a name without the slash with which Keycloak begins a group; `None` if it cannot be a name.
fn usable(text: &str) -> Option<Box<str>> {
    let name = text.trim().trim_start_matches('/');
    let is_usable = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.contains(char::is_control);
    is_usable.then(|| name.into())
}

/// Returns the groups without repetitions, and not more than a student may have. Case does not matter.
fn distinct(groups: Vec<Box<str>>) -> Vec<Box<str>> {
    let mut distinct: Vec<Box<str>> = Vec::new();
    for group in groups {
        if distinct.len() < GROUPS_MAX && !distinct.iter().any(|known| known.eq_ignore_ascii_case(&group)) {
            distinct.push(group);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names() -> FactClaims {
        let [groups, program, campus, credit_limit] = ["groups", "study.program", "campus", "limit"].map(str::to_owned);
        FactClaims { groups, program, campus, credit_limit }
    }

    fn applied(claims: Value, names: &FactClaims, before: &StudentFacts) -> StudentFacts {
        let Value::Object(claims) = claims else { panic!("claims are an object: {claims}") };
        StatedFacts::read(&Claims::new(claims), names).applied_to(before.clone())
    }

    #[test]
    fn claims_replace_the_facts_that_they_state() {
        let before = StudentFacts {
            groups: vec!["honors".into()],
            program: Some("Nursing".into()),
            credit_limit: Some(Credits(12_000)),
            credit_min: Some(Credits(6_000)),
            completed: Some(Vec::new()),
            ..StudentFacts::default()
        };
        let claims = json!({
            "groups": ["/veterans", "Veterans", " athletes ", "", "x".repeat(101), "a\nb"],
            "study": {"program": "Welding"}, "campus": ["North", "South"], "limit": 21.5,
        });
        let expected = StudentFacts {
            groups: vec!["veterans".into(), "athletes".into()],
            program: Some("Welding".into()),
            campus: Some("North".into()),
            credit_limit: Some(Credits(21_500)),
            ..before.clone()
        };
        assert_eq!(applied(claims.clone(), &names(), &before), expected);
        assert_eq!(applied(claims, &FactClaims::default(), &before), before, "no claim is configured");
        let none = StudentFacts { groups: Vec::new(), program: None, credit_limit: None, ..before.clone() };
        assert_eq!(applied(json!({}), &names(), &before), none, "absent claims empty their facts");
        let unreadable = applied(json!({"limit": "many"}), &names(), &before);
        assert_eq!(unreadable.credit_limit, before.credit_limit, "an unreadable limit does not lift the limit");
    }

    #[test]
    fn groups_of_a_student_are_bounded() {
        let groups: Vec<String> = (0..100).map(|number| format!("group {number}")).collect();
        let facts = applied(json!({"groups": groups}), &names(), &StudentFacts::default());
        assert_eq!(facts.groups.len(), GROUPS_MAX);
    }
}
