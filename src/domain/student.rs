//! What the college states about a student: holds, credit limits, groups, opening times and completed courses. These
//! facts apply in all terms. The rules read them; see [`crate::domain::rules`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::ids::SectionId;
use crate::domain::refusal::RefusalCode;
use crate::domain::rules::LiftedCodes;
use crate::domain::section::{Credits, Section};

/// Maximum number of holds: several from each office of a college.
pub const HOLDS_MAX: usize = 20;
/// Maximum number of groups.
pub const GROUPS_MAX: usize = 40;
/// Maximum number of completed courses: several times those of a degree. A JSON body of 64 KiB has room for them.
pub const COMPLETED_MAX: usize = 400;

/// The longest id of a hold, name of a group, program, campus, course or term, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The longest reason for a hold, and the longest address, in characters.
pub const HOLD_TEXT_CHARS_MAX: usize = 500;
/// The longest grade, in characters.
pub const GRADE_CHARS_MAX: usize = 10;

/// Returns whether a page may link to an address. Another scheme, such as `javascript`, could run a script.
#[must_use]
pub fn is_web_address(url: &str) -> bool {
    let has_scheme = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme) && url.len() > scheme.len());
    has_scheme && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// What the college states about one student.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudentFacts {
    /// Holds, such as for an unpaid fee.
    pub holds: Vec<Hold>,
    /// The fewest credits that the student has to take. It is shown, and no rule enforces it.
    pub credit_min: Option<Credits>,
    /// The maximum number of credits that the student may take; `None` is the college's limit, 0 means no limit.
    pub credit_limit: Option<Credits>,
    /// Groups of the student, such as `veterans`.
    pub groups: Vec<Box<str>>,
    /// The program of study.
    pub program: Option<Box<str>>,
    /// The home campus.
    pub campus: Option<Box<str>>,
    /// When registration opens for the student, instead of the time of the term.
    pub opens_at: Option<Timestamp>,
    /// When registration closes for the student, instead of the time of the term.
    pub closes_at: Option<Timestamp>,
    /// Completed courses; `None` if the college did not state them. Prerequisites and repeat limits are then not
    /// evaluated.
    pub completed: Option<Vec<CompletedCourse>>,
    /// Overrides that staff gave beforehand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permits: Vec<Permit>,
}

/// Maximum number of permits of a student: one for each course of a few terms.
pub const PERMITS_MAX: usize = 50;

/// An override that staff gave before the registration: it lifts refusals in one section, or in all sections of a course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Where it applies.
    pub of: PermittedFor,
    /// The codes of the refusals that it lifts.
    pub codes: Vec<RefusalCode>,
    /// Why it was given.
    pub reason: Box<str>,
    /// When it ends; `None` if it does not.
    pub expires_at: Option<Timestamp>,
    /// The user who gave it.
    pub by: Box<str>,
    /// When it was given.
    pub at: Timestamp,
}

/// Where a permit applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermittedFor {
    /// In one section, such as `202209-10001`.
    Section(Box<str>),
    /// In all sections of a course, such as `MATH 151`.
    Course(Box<str>),
}

impl Permit {
    /// Returns whether the permit applies to a section at `now`.
    #[must_use]
    pub fn applies_to(&self, section: &Section, now: Timestamp) -> bool {
        let is_of_section = match &self.of {
            PermittedFor::Section(id) => SectionId::parse(id).is_ok_and(|id| id == section.id),
            PermittedFor::Course(course) => is_same_course(course, &section.course),
        };
        is_of_section && self.expires_at.is_none_or(|end| now < end)
    }
}

impl StudentFacts {
    /// Returns the holds that block an action.
    pub fn holds_on(&self, action: HeldAction) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(move |hold| hold.blocks.contains(&action))
    }

    /// Returns the codes that permits lift in a section.
    #[must_use]
    pub fn permitted(&self, section: &Section, now: Timestamp) -> LiftedCodes {
        let permits = self.permits.iter().filter(|permit| permit.applies_to(section, now));
        permits.flat_map(|permit| permit.codes.iter().copied()).collect()
    }

    /// Returns whether the student is in a group. Case does not matter.
    #[must_use]
    pub fn is_in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own.eq_ignore_ascii_case(group))
    }
}

/// A hold that an office of the college placed on a student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The college's id of the hold.
    pub id: Box<str>,
    /// The reason, for the student.
    pub text: Box<str>,
    /// The office that lifts it, such as `Library`.
    pub office: Box<str>,
    /// Where the student can settle it: an `https` or `http` address.
    pub url: Option<Box<str>>,
    /// What it blocks; a hold that blocks nothing is only shown.
    pub blocks: Vec<HeldAction>,
}

/// What a hold can block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum HeldAction {
    /// New seats and waitlist positions.
    Register,
    /// Drops of seats by the student. A waitlist position can always be dropped.
    Drop,
}

impl HeldAction {
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

/// A course that a student completed or attempted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedCourse {
    /// The course, such as `MATH 151`.
    pub course: Box<str>,
    /// The grade, such as `B+` or `P`, if the college states it.
    pub grade: Option<Box<str>>,
    /// When it was completed, as the college names the term.
    pub term: Option<Box<str>>,
}

/// Grades with which a course is not completed: failed, withdrawn, incomplete, in progress, audited.
const NOT_COMPLETED: [&str; 16] =
    ["F", "E", "U", "NP", "NC", "N", "W", "WF", "WP", "WU", "FW", "I", "IP", "INC", "AU", "NG"];
/// Passing grades without a letter. They count as a C.
const PASSED: [&str; 8] = ["P", "S", "CR", "T", "TR", "TC", "PASS", "CX"];

/// Grades that do not count as an attempt at a course of this college: in progress, incomplete, audited, transferred.
const NO_ATTEMPT: [&str; 8] = ["IP", "I", "INC", "AU", "NG", "T", "TR", "TC"];

impl CompletedCourse {
    /// Returns whether both are for the same course in the same term. Case does not matter.
    #[must_use]
    pub fn is_of_same_course_and_term(&self, other: &Self) -> bool {
        let (term, other_term) = (self.term.as_deref(), other.term.as_deref());
        is_same_course(&self.course, &other.course)
            && term.unwrap_or_default().eq_ignore_ascii_case(other_term.unwrap_or_default())
    }

    /// Returns whether this is an attempt at a course of this college, with any result.
    #[must_use]
    pub fn is_attempt(&self) -> bool {
        let grade = self.grade.as_deref().unwrap_or_default();
        !NO_ATTEMPT.iter().any(|not| grade.eq_ignore_ascii_case(not))
    }

    /// Returns whether the grade is sufficient. `least` is the lowest sufficient grade; `None` is every passing one.
    ///
    /// A course without a grade counts as passed, but has no grade that could be compared with `least`.
    #[must_use]
    pub fn has_grade(&self, least: Option<&str>) -> bool {
        let is_completed = |grade: &str| !NOT_COMPLETED.iter().any(|not| grade.eq_ignore_ascii_case(not));
        match (self.grade.as_deref(), least) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(grade), None) => is_completed(grade),
            (Some(grade), Some(least)) => {
                is_completed(grade)
                    && match (rank(grade), rank(least)) {
                        (Some(grade), Some(least)) => grade >= least,
                        _ => grade.eq_ignore_ascii_case(least),
                    }
            }
        }
    }
}

/// Returns the rank of a passing grade: higher is better. `None` for other grades, such as `F` or `85`.
fn rank(grade: &str) -> Option<u8> {
    if PASSED.iter().any(|passed| grade.eq_ignore_ascii_case(passed)) {
        return rank("C");
    }
    let (letter, sign) = match grade.as_bytes() {
        [letter] => (*letter, 1),
        [letter, b'+'] => (*letter, 2),
        [letter, b'-'] => (*letter, 0),
        _ => return None,
    };
    // `A` to `D` are the passing letters.
    let steps = b'D'.checked_sub(letter.to_ascii_uppercase()).filter(|steps| *steps <= 3)?;
    Some(3 * steps + sign)
}

/// Returns whether two names mean the same course. Case and spaces do not matter: `math151` is `MATH 151`.
#[must_use]
pub fn is_same_course(a: &str, b: &str) -> bool {
    // Compares without a copy, because a decision may compare a hundred names.
    fn letters(name: &str) -> impl Iterator<Item = char> {
        name.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase())
    }
    letters(a).eq(letters(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_are_compared_by_rank() {
        let table = [
            (Some("C"), Some("C"), true),
            (Some("C-"), Some("C"), false),
            (Some("C+"), Some("C"), true),
            (Some("b-"), Some("C+"), true),
            (Some("D"), Some("C"), false),
            (Some("A+"), Some("A"), true),
            (Some("F"), Some("D-"), false),
            (Some("P"), Some("C"), true),
            (Some("TR"), Some("C+"), false),
            (Some("W"), None, false),
            (Some("IP"), None, false),
            (Some("D-"), None, true),
            (Some("85"), None, true),
            (Some("85"), Some("C"), false),
            (None, None, true),
            (None, Some("C"), false),
        ];
        for (grade, least, expected) in table {
            let course = CompletedCourse { course: "MATH 151".into(), grade: grade.map(Into::into), term: None };
            assert_eq!(course.has_grade(least), expected, "{grade:?}, at least {least:?}");
        }
    }

    #[test]
    fn names_of_a_course_differ_in_case_and_spaces_only() {
        let table = [
            ("MATH 151", "math151", true),
            ("CIV ENGR 310", "CIVENGR  310", true),
            ("MATH 151", "MATH 15", false),
            ("MATH 151", "MATH 151L", false),
        ];
        for (a, b, expected) in table {
            assert_eq!(is_same_course(a, b), expected, "{a} and {b}");
        }
    }
}
