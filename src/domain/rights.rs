//! What a user may do: the role and, for staff, the subjects to which the user is limited.
//!
//! [`check`] decides every request of limited staff: HTTP handlers, imports and lists call it with what the
//! request concerns.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::role::Role;

/// Maximum number of subjects of a limit. A token carries them, and the cookie with the token must stay below 4,096
/// bytes. Staff with more subjects need no limit.
pub const SUBJECTS_MAX: usize = 40;
/// Longest subject of a limit, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 40;

/// Subjects of the catalogue, such as `MATH`: in upper case, sorted, without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Subjects(Arc<[Box<str>]>);

/// Why a list of subjects is not valid. The text continues a sentence that begins with the name of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must list 1 to {SUBJECTS_MAX} subjects such as MATH, each of at most {SUBJECT_BYTES_MAX} bytes without control \
     characters"
)]
pub struct InvalidSubjects;

impl Subjects {
    /// Parses the names of subjects. Case and repeated spaces do not matter.
    ///
    /// # Errors
    /// When there are none or too many, or one is empty, too long or has control characters.
    pub fn parse<T: AsRef<str>>(names: &[T]) -> Result<Self, InvalidSubjects> {
        let is_good =
            |name: &str| !name.is_empty() && name.len() <= SUBJECT_BYTES_MAX && !name.chars().any(char::is_control);
        let subjects: BTreeSet<String> = names.iter().map(|name| normal(name.as_ref())).collect();
        if subjects.is_empty() || subjects.len() > SUBJECTS_MAX || !subjects.iter().all(|name| is_good(name)) {
            return Err(InvalidSubjects);
        }
        Ok(Self(subjects.into_iter().map(String::into_boxed_str).collect()))
    }

    /// Returns the subjects of all limits: none if there are no limits. Subjects beyond [`SUBJECTS_MAX`] are left out, so
    /// that the user may do less, not more.
    #[must_use]
    pub fn union<'a>(limits: impl IntoIterator<Item = &'a Self>) -> Self {
        let all: BTreeSet<Box<str>> = limits.into_iter().flat_map(|limit| limit.0.iter().cloned()).collect();
        Self(all.into_iter().take(SUBJECTS_MAX).collect())
    }

    /// Returns whether a subject is one of these. Case and repeated spaces do not matter.
    #[must_use]
    pub fn contains(&self, subject: &str) -> bool {
        let subject = normal(subject);
        self.0.iter().any(|own| **own == *subject)
    }

    /// Returns the subjects, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|subject| &**subject)
    }
}

/// Returns the form in which subjects are compared.
fn normal(subject: &str) -> String {
    subject.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase()
}

impl From<Vec<String>> for Subjects {
    /// Reads a stored list. An empty one is a limit to nothing.
    fn from(names: Vec<String>) -> Self {
        let subjects: BTreeSet<Box<str>> = names.iter().map(|name| normal(name).into()).collect();
        Self(subjects.into_iter().collect())
    }
}

impl From<Subjects> for Vec<String> {
    fn from(subjects: Subjects) -> Self {
        subjects.iter().map(str::to_owned).collect()
    }
}

impl fmt::Display for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            [] => f.write_str("no subject"),
            [one] => f.write_str(one),
            [first @ .., last] => write!(f, "{} and {last}", first.join(", ")),
        }
    }
}

/// The rights of a user. Only staff have a limit: the role is [`Role::SubjectStaff`] if and only if there are subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    role: Role,
    subjects: Option<Subjects>,
}

impl Rights {
    /// Creates rights. The subjects of a role other than staff are ignored.
    #[must_use]
    pub fn new(role: Role, subjects: Option<Subjects>) -> Self {
        match (role.named(), subjects) {
            (Role::Staff, Some(subjects)) => Self { role: Role::SubjectStaff, subjects: Some(subjects) },
            // Limited staff without a list are limited to nothing.
            (Role::Staff, None) if role == Role::SubjectStaff => {
                Self { role, subjects: Some(Subjects::from(Vec::new())) }
            }
            (named, _) => Self { role: named, subjects: None },
        }
    }

    /// Returns the role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Returns the subjects to which staff are limited; `None` without a limit.
    #[must_use]
    pub const fn subjects(&self) -> Option<&Subjects> {
        self.subjects.as_ref()
    }
}

impl From<Role> for Rights {
    fn from(role: Role) -> Self {
        Self::new(role, None)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subjects {
            None => write!(f, "{}", self.role),
            Some(subjects) => write!(f, "{} for {subjects}", self.role),
        }
    }
}

/// What a request by staff concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope<'a> {
    /// A section or a course of this subject.
    Subject(&'a str),
    /// A student who is registered for sections of these subjects.
    Student {
        /// The username.
        name: &'a str,
        /// The subjects of the student's sections.
        subjects: BTreeSet<String>,
    },
    /// All subjects, such as a change to a term.
    AllSubjects,
    /// What someone else has started or sent, such as an import.
    OfSomeoneElse,
}

/// Why limited staff may not do something. The text is for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, and your account is limited to {limit}.")]
pub struct OutOfScope {
    what: Concern,
    limit: Subjects,
}

impl OutOfScope {
    /// Returns what the request concerns, and the subjects to which the user is limited.
    #[must_use]
    pub fn parts(&self) -> (&Concern, &Subjects) {
        (&self.what, &self.limit)
    }
}

/// What limited staff may not do, as the beginning of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum Concern {
    /// A subject that is not theirs.
    #[error("This concerns {subject}")]
    OtherSubject {
        /// The subject.
        subject: String,
    },
    /// A student of other sections.
    #[error("{student} is in none of your sections")]
    OtherStudent {
        /// The username.
        student: String,
    },
    /// All subjects.
    #[error("This concerns all subjects")]
    AllSubjects,
    /// What someone else has started or sent.
    #[error("This belongs to someone else")]
    OfSomeoneElse,
}

/// Decides whether staff with this limit may do what concerns `scope`. `None` means no limit.
///
/// # Errors
/// When the scope is not within the limit.
pub fn check(limit: Option<&Subjects>, scope: &Scope<'_>) -> Result<(), OutOfScope> {
    let Some(limit) = limit else { return Ok(()) };
    let what = match scope {
        Scope::Subject(subject) if limit.contains(subject) => return Ok(()),
        Scope::Student { subjects, .. } if subjects.iter().any(|subject| limit.contains(subject)) => return Ok(()),
        Scope::Subject(subject) => Concern::OtherSubject { subject: (*subject).to_owned() },
        Scope::Student { name, .. } => Concern::OtherStudent { student: (*name).to_owned() },
        Scope::AllSubjects => Concern::AllSubjects,
        Scope::OfSomeoneElse => Concern::OfSomeoneElse,
    };
    Err(OutOfScope { what, limit: limit.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(names: &[&str]) -> Subjects {
        Subjects::parse(names).unwrap()
    }

    #[test]
    fn subjects_are_compared_without_regard_to_case_and_spaces() {
        let limit = subjects(&["math", " Computer  Science ", "MATH"]);
        assert_eq!(limit.iter().collect::<Vec<_>>(), ["COMPUTER SCIENCE", "MATH"]);
        for own in ["MATH", "Math", "computer science"] {
            assert!(limit.contains(own), "{own}");
        }
        for other in ["MATHS", "MAT", "", "COMPUTER"] {
            assert!(!limit.contains(other), "{other:?}");
        }
        let long = "x".repeat(SUBJECT_BYTES_MAX + 1);
        for bad in [vec![], vec![""], vec!["A", " "], vec!["A\u{7}"], vec![long.as_str()]] {
            assert_eq!(Subjects::parse(&bad), Err(InvalidSubjects), "{bad:?}");
        }
        let many: Vec<String> = (0..=SUBJECTS_MAX).map(|n| format!("S{n}")).collect();
        assert_eq!(Subjects::parse(&many), Err(InvalidSubjects));
        assert!(Subjects::parse(&many[1..]).is_ok());
    }

    #[test]
    fn only_staff_are_limited() {
        let limit = || Some(subjects(&["MATH"]));
        for (role, expected) in [
            (Role::Student, Role::Student),
            (Role::Instructor, Role::Instructor),
            (Role::Staff, Role::SubjectStaff),
            (Role::Admin, Role::Admin),
        ] {
            let rights = Rights::new(role, limit());
            assert_eq!((rights.role(), rights.subjects().is_some()), (expected, expected == Role::SubjectStaff));
            assert_eq!(Rights::from(role).subjects(), None);
        }
        let nothing = Rights::from(Role::SubjectStaff);
        assert!(check(nothing.subjects(), &Scope::Subject("MATH")).is_err(), "a lost list allows nothing");
        assert_eq!(Rights::new(Role::Staff, limit()).to_string(), "staff for MATH");
    }

    #[test]
    fn staff_act_within_their_subjects_only() {
        let limit = subjects(&["MATH", "STAT"]);
        let student = |subjects: &[&str]| Scope::Student {
            name: "ann",
            subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
        };
        let table = [
            (Scope::Subject("Math"), None),
            (Scope::Subject("ART"), Some("This concerns ART, and your account is limited to MATH and STAT.")),
            (student(&["ART", "STAT"]), None),
            (student(&["ART"]), Some("ann is in none of your sections, and your account is limited to MATH and STAT.")),
            (student(&[]), Some("ann is in none of your sections, and your account is limited to MATH and STAT.")),
            (Scope::AllSubjects, Some("This concerns all subjects, and your account is limited to MATH and STAT.")),
            (Scope::OfSomeoneElse, Some("This belongs to someone else, and your account is limited to MATH and STAT.")),
        ];
        for (scope, refusal) in table {
            let found = check(Some(&limit), &scope).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), refusal, "{scope:?}");
            assert_eq!(check(None, &scope), Ok(()), "staff without a limit: {scope:?}");
        }
    }
}
