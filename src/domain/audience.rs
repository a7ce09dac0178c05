//! The audience of an alert.

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
    /// Returns the audience that contains only `user`.
    #[must_use]
    pub fn for_user(user: UserName) -> Self {
        Self { users: vec![UserRef(user)], ..Self::default() }
    }
    /// Returns whether the audience is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all
            && self.roles.is_empty()
            && self.sections.is_empty()
            && self.courses.is_empty()
            && self.users.is_empty()
    }
    /// Returns the set of roles in the audience, with one bit for each role; see [`Role::bit`].
    #[must_use]
    pub fn role_bits(&self) -> u8 {
        self.roles.iter().fold(0, |bits, role| bits | role.bit())
    }
}
