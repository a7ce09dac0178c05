//! Restrictions of a section to students of some groups, programs or campuses.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::student::StudentFacts;

/// Maximum number of restrictions of a section.
pub const RESTRICTIONS_MAX: usize = 10;
/// Maximum number of values of a restriction.
pub const VALUES_MAX: usize = 40;

/// What a restriction compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RestrictedBy {
    /// The groups of the student.
    Group,
    /// The program of study.
    Program,
    /// The home campus.
    Campus,
}

impl RestrictedBy {
    /// Returns the name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a name; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A condition on the students of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// What is compared.
    pub by: RestrictedBy,
    /// The groups, programs or campuses. Case does not matter.
    pub values: Vec<Box<str>>,
    /// Whether students with one of the values are excluded; otherwise only they are admitted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclude: bool,
}

impl Restriction {
    /// Returns whether a student may register. A student about whom the college states nothing has no group, program or
    /// campus.
    #[must_use]
    pub fn admits(&self, facts: Option<&StudentFacts>) -> bool {
        let has_one = facts.is_some_and(|facts| {
            let is_own = |own: &Option<Box<str>>| {
                own.as_deref().is_some_and(|own| self.values.iter().any(|value| value.eq_ignore_ascii_case(own)))
            };
            match self.by {
                RestrictedBy::Group => self.values.iter().any(|group| facts.is_in_group(group)),
                RestrictedBy::Program => is_own(&facts.program),
                RestrictedBy::Campus => is_own(&facts.campus),
            }
        });
        has_one != self.exclude
    }

    /// Parses what [`fmt::Display`] writes: `group: honors, veterans` or `not campus: North`. `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (by, values) = text.split_once(':')?;
        let by = by.trim().to_lowercase();
        let (exclude, by) = by.strip_prefix("not ").map_or((false, &*by), |by| (true, by.trim()));
        let values: Vec<Box<str>> =
            values.split(',').map(str::trim).filter(|value| !value.is_empty()).map(Into::into).collect();
        let is_valid = !values.is_empty() && values.len() <= VALUES_MAX;
        RestrictedBy::parse(by).filter(|_| is_valid).map(|by| Self { by, values, exclude })
    }
}

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.exclude { "not " } else { "" };
        write!(f, "{not}{}: {}", self.by.as_str(), self.values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restrictions_are_parsed_as_they_are_written() {
        for text in ["group: honors, veterans", "not campus: North", "program: Nursing"] {
            assert_eq!(Restriction::parse(text).map(|one| one.to_string()).as_deref(), Some(text));
        }
        for text in ["honors", "grade: A", "group:", "not: x"] {
            assert_eq!(Restriction::parse(text), None, "{text}");
        }
    }

    #[test]
    fn students_are_admitted_by_group_program_and_campus() {
        let facts = StudentFacts {
            groups: vec!["Honors".into()],
            program: Some("Nursing".into()),
            campus: Some("North".into()),
            ..StudentFacts::default()
        };
        let table = [
            ("group: honors", true, false),
            ("group: veterans", false, false),
            ("not group: honors", false, true),
            ("program: nursing, welding", true, false),
            ("program: welding", false, false),
            ("campus: NORTH", true, false),
            ("not campus: south", true, true),
        ];
        for (text, expected, without_facts) in table {
            let restriction = Restriction::parse(text).unwrap();
            assert_eq!(restriction.admits(Some(&facts)), expected, "{text}");
            assert_eq!(restriction.admits(None), without_facts, "{text}, without facts");
        }
    }
}
