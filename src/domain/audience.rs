//! The audience of an alert.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{InvalidId, SectionId, UserName};
use crate::domain::role::Role;

/// Maximum length of each list in an audience: users, sections and courses.
pub const AUDIENCE_LEN_MAX: usize = 1_000;

/// The recipients of an alert: everyone, including visitors, or the union of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Audience {
    /// Everyone, signed in or not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Users with one of these roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Students who are enrolled in one of these sections when the alert is sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<SectionRef>,
    /// Students who are enrolled in one of these courses when the alert is sent, in terms that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub courses: Vec<String>,
    /// Individual users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserRef>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A section id that is checked when it is deserialized.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SectionRef(pub SectionId);

/// A username that is checked when it is deserialized. It may be one that an earlier version stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserRef(pub UserName);

impl TryFrom<String> for SectionRef {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        SectionId::parse(&text).map(Self)
    }
}
impl From<SectionRef> for String {
    fn from(section: SectionRef) -> Self {
        section.0.to_string()
    }
}
impl TryFrom<String> for UserRef {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        UserName::stored(&text).map(Self)
    }
}
impl From<UserRef> for String {
    fn from(user: UserRef) -> Self {
        user.0.as_str().to_owned()
    }
}

impl Audience {
    /// Returns the audience that contains everyone, including visitors.
    #[must_use]
    pub fn everyone() -> Self {
        Self { all: true, ..Self::default() }
    }
    /// Returns whether two audiences have the same parts, in any order.
    #[must_use]
    pub fn has_same_parts(&self, other: &Self) -> bool {
        fn same<T: Eq + Hash>(own: &[T], others: &[T]) -> bool {
            own.iter().collect::<HashSet<_>>() == others.iter().collect::<HashSet<_>>()
        }
        self.all == other.all
            && self.role_bits() == other.role_bits()
            && same(&self.sections, &other.sections)
            && same(&self.courses, &other.courses)
            && same(&self.users, &other.users)
    }
    /// Returns the audience that contains only `user`.
    #[must_use]
    pub fn for_user(user: UserName) -> Self {
        Self { users: vec![UserRef(user)], ..Self::default() }
    }
    /// Returns whether the audience has no recipients: it is not for everyone, and all its lists are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all
            && self.roles.is_empty()
            && self.sections.is_empty()
            && self.courses.is_empty()
            && self.users.is_empty()
    }
    /// Returns the part of the audience that concerns a reader below staff; `None` is a visitor. The result is never
    /// empty for a signed-in reader: a recipient whom no known part concerns sees only their own name.
    #[must_use]
    pub fn for_reader(&self, reader: Option<(&UserName, Role)>, membership: &Membership) -> Self {
        if self.all {
            return Self::everyone();
        }
        let Some((user, role)) = reader else { return Self::default() };
        let mut seen = Self {
            all: false,
            roles: self.roles.iter().filter(|own| own.bit() == role.bit()).copied().take(1).collect(),
            sections: membership.sections.iter().filter_map(|at| self.sections.get(*at).cloned()).collect(),
            courses: membership.courses.iter().filter_map(|at| self.courses.get(*at).cloned()).collect(),
            users: Vec::new(),
        };
        if membership.is_named || seen.is_empty() {
            seen.users.push(UserRef(user.clone()));
        }
        seen
    }
    /// Returns the set of roles in the audience, with one bit for each role; see [`Role::bit`].
    #[must_use]
    pub fn role_bits(&self) -> u8 {
        self.roles.iter().fold(0, |bits, role| bits | role.bit())
    }
}

/// The parts of an audience to which a recipient belongs, resolved when the alert is sent. Visitors, and recipients who
/// are reached by role alone, have the default.
///
/// The text form lists the parts, separated by spaces: `u` for the list of users, `s` and `c` with an index for a
/// section and a course, such as `u s0 c2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Membership {
    /// Whether the audience names the recipient.
    pub is_named: bool,
    /// Indices of the recipient's sections in [`Audience::sections`], ascending.
    pub sections: Vec<usize>,
    /// Indices of the recipient's courses in [`Audience::courses`], ascending.
    pub courses: Vec<usize>,
}

impl Membership {
    /// Returns the membership of a recipient whom the audience names.
    #[must_use]
    pub fn named() -> Self {
        Self { is_named: true, ..Self::default() }
    }
    /// Parses the text form; `None` for other text. A part may occur more than once.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut membership = Self::default();
        for part in text.split(' ').filter(|part| !part.is_empty()) {
            match part.split_at_checked(1)? {
                ("u", "") => membership.is_named = true,
                ("s", index) => membership.sections.push(index.parse().ok()?),
                ("c", index) => membership.courses.push(index.parse().ok()?),
                _ => return None,
            }
        }
        for list in [&mut membership.sections, &mut membership.courses] {
            list.sort_unstable();
            list.dedup();
        }
        Some(membership)
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = self.sections.iter().map(|index| format!("s{index}"));
        let courses = self.courses.iter().map(|index| format!("c{index}"));
        let parts: Vec<String> =
            self.is_named.then(|| "u".to_owned()).into_iter().chain(sections).chain(courses).collect();
        f.write_str(&parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_of_a_membership_is_read_back() {
        for text in ["", "u", "s0", "c7", "u s0 s12 c3"] {
            assert_eq!(Membership::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Membership::parse("s3 u s1 s3").unwrap().to_string(), "u s1 s3");
        for text in ["x", "s", "s-1", "u1", "s1,2", "é"] {
            assert_eq!(Membership::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_reader_below_staff_sees_only_the_parts_that_concern_the_reader() {
        let audience: Audience = serde_json::from_str(
            r#"{"roles":["student","staff"],"sections":["F-1","F-2"],"courses":["MATH 1","ART 2"],"users":["ann","bob"]}"#,
        )
        .unwrap();
        let ann = UserName::parse("ann").unwrap();
        let table = [
            ("", r#"{"roles":["student"]}"#),
            ("u", r#"{"roles":["student"],"users":["ann"]}"#),
            ("s1", r#"{"roles":["student"],"sections":["F-2"]}"#),
            ("u c0 s0", r#"{"roles":["student"],"sections":["F-1"],"courses":["MATH 1"],"users":["ann"]}"#),
            ("s9", r#"{"roles":["student"]}"#),
        ];
        for (parts, expected) in table {
            let seen = audience.for_reader(Some((&ann, Role::Student)), &Membership::parse(parts).unwrap());
            assert_eq!(serde_json::to_string(&seen).unwrap(), expected, "{parts}");
        }
        let unknown = Audience { roles: Vec::new(), ..audience.clone() };
        let seen = unknown.for_reader(Some((&ann, Role::Student)), &Membership::default());
        assert_eq!(seen, Audience::for_user(ann.clone()), "an alert from before memberships were stored");
        assert_eq!(audience.for_reader(None, &Membership::default()), Audience::default());
        let everyone = Audience { all: true, ..audience };
        assert_eq!(everyone.for_reader(Some((&ann, Role::Student)), &Membership::named()), Audience::everyone());
    }
}
