//! Plans: the sections that a student prepares before registration opens, with what to do if a section is full.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::ids::SectionId;
use crate::domain::refusal::Refusal;
use crate::domain::registration::RegistrationStatus;
use crate::domain::section::Credits;

/// Maximum number of sections in a plan, without alternates.
pub const PLAN_LEN_MAX: usize = 50;
/// Maximum number of alternates of a section: more than a course usually has at times that suit a student.
pub const ALTERNATES_MAX: usize = 5;
/// Maximum number of plans of a student: a few for each of two terms.
pub const PLANS_MAX: usize = 10;
/// The longest name of a plan, in characters.
pub const PLAN_NAME_CHARS_MAX: usize = 60;

/// The name of a plan, such as `Mornings only`: no control characters, and single spaces between words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanName(Box<str>);

impl PlanName {
    /// The name of the plan that `/api/v1/me/plan` reads and writes.
    pub const DEFAULT: &'static str = "default";

    /// Parses a name. Spaces at its ends and repeated spaces are removed. `None` for a name that is empty, too long,
    /// `.` or `..`, or that has control or invisible characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let is_visible = |c: char| !c.is_control() && !INVISIBLE.contains(&c) && (c == ' ' || !c.is_whitespace());
        let is_valid = !name.is_empty() && name.chars().count() <= PLAN_NAME_CHARS_MAX && name.chars().all(is_visible);
        (is_valid && name != "." && name != "..").then(|| Self(name.into()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it is [`Self::DEFAULT`].
    #[must_use]
    pub fn is_default(&self) -> bool {
        &*self.0 == Self::DEFAULT
    }
}

/// Characters without a glyph, with which two names could look the same.
const INVISIBLE: [char; 9] =
    ['\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{202e}', '\u{2060}', '\u{feff}', '\u{ad}'];

impl Default for PlanName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<PlanName> for String {
    fn from(name: PlanName) -> Self {
        name.0.into()
    }
}

impl TryFrom<String> for PlanName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not the name of a plan")
    }
}

/// A section of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSection {
    /// The section.
    pub section: SectionId,
    /// Whether the student joins its waitlist if neither it nor an alternate can be taken.
    pub waitlist: bool,
    /// Sections of the same term to take instead, the preferred one first; at most [`ALTERNATES_MAX`].
    pub alternates: Vec<SectionId>,
}

impl PlannedSection {
    /// Creates a planned section without alternates.
    #[must_use]
    pub const fn new(section: SectionId) -> Self {
        Self { section, waitlist: false, alternates: Vec::new() }
    }

    /// Returns whether nothing but the section is stated.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.waitlist && self.alternates.is_empty()
    }
}

/// A planned section with choices, as JSON.
#[derive(Serialize, Deserialize)]
struct WithChoices {
    section: SectionId,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    waitlist: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    alternates: Vec<SectionId>,
}

/// A planned section as JSON: the id alone, or an object if more is stated.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(SectionId),
    WithChoices(WithChoices),
}

impl Serialize for PlannedSection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { section, waitlist, alternates } = self.clone();
        let written = match self.is_plain() {
            true => Written::Plain(section),
            false => Written::WithChoices(WithChoices { section, waitlist, alternates }),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PlannedSection {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Plain(section) => Self::new(section),
            Written::WithChoices(WithChoices { section, waitlist, alternates }) => {
                Self { section, waitlist, alternates }
            }
        })
    }
}

/// What would happen if a student registered for a plan now, and registration were open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanCheck {
    /// The result for each planned section, in the order of the plan.
    pub results: Vec<CheckedSection>,
    /// What is wrong with the plan as a whole.
    pub problems: Vec<PlanProblem>,
}

/// What would happen to one planned section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedSection {
    /// The planned section.
    pub section: SectionId,
    /// The outcome.
    pub outcome: CheckOutcome,
}

/// The outcome for one planned section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The student would get a registration, or has it.
    Taken {
        /// The alternate that the student would get instead.
        alternate: Option<SectionId>,
        /// Enrolled or waitlisted.
        status: RegistrationStatus,
        /// The position on the waitlist.
        position: Option<u32>,
    },
    /// A rule would refuse the request.
    Refused {
        /// The refusal of the request.
        refusal: Refusal,
        /// The refusals by other rules, in the order of the rules.
        also: Vec<Refusal>,
    },
    /// There is no such section.
    NotFound,
}

/// What is wrong with a plan as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanProblem {
    /// Registration has ended for the student.
    Closed(Refusal),
    /// Planned sections exclude each other, or one requires another.
    Between {
        /// The planned sections, in the order of the plan.
        sections: Vec<SectionId>,
        /// The refusal by the rule.
        refusal: Refusal,
    },
    /// The plan has fewer credits than the student must take.
    CreditMin {
        /// The credits of the plan and of the sections in which the student is enrolled.
        credits: Credits,
        /// The minimum number of credits that the student must take.
        least: Credits,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_section_without_choices_is_its_id() {
        let id = |text: &str| SectionId::parse(text).unwrap();
        let plain = PlannedSection::new(id("2027-1"));
        let with_choices = PlannedSection { waitlist: true, alternates: vec![id("2027-2")], ..plain.clone() };
        let text = serde_json::to_string(&[plain.clone(), with_choices.clone()]).unwrap();
        assert_eq!(text, r#"["2027-1",{"section":"2027-1","waitlist":true,"alternates":["2027-2"]}]"#);
        assert_eq!(serde_json::from_str::<Vec<PlannedSection>>(&text).unwrap(), [plain, with_choices]);
    }

    #[test]
    fn names_of_plans_are_visible_text() {
        let long = "a".repeat(PLAN_NAME_CHARS_MAX + 1);
        let table = [
            ("default", Some("default")),
            ("  Plan   B ", Some("Plan B")),
            ("Mañanas", Some("Mañanas")),
            ("", None),
            (" ", None),
            ("..", None),
            ("a\u{200b}b", None),
            ("a\tb", None),
            (&long, None),
        ];
        for (text, expected) in table {
            assert_eq!(PlanName::parse(text).as_ref().map(PlanName::as_str), expected, "{text:?}");
        }
    }
}
