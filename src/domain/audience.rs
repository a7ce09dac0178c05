//! The audience of an alert.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{BadName, SectionId, UserName};
use crate::domain::role::Role;

/// Maximum number of users, of sections, and of courses that one audience may name.
pub const AUDIENCE_LEN_MAX: usize = 1_000;

/// Everyone (visitors too), or the union of what is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Audience {
    /// Everyone, signed in or not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Users with one of these roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Students who are enrolled in one of these sections when the alert goes out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<SectionRef>,
    /// Students who are enrolled in one of these courses, in a term that has not ended, when the alert goes out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub courses: Vec<String>,
    /// These users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserRef>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A section's id in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SectionRef(pub SectionId);

/// A user name in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserRef(pub UserName);

impl TryFrom<String> for SectionRef {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        SectionId::parse(&text).map(Self)
    }
}
impl From<SectionRef> for String {
    fn from(section: SectionRef) -> Self {
        section.0.to_string()
    }
}
impl TryFrom<String> for UserRef {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        UserName::parse(&text).map(Self)
    }
}
impl From<UserRef> for String {
    fn from(user: UserRef) -> Self {
        user.0.as_str().to_owned()
    }
}

impl Audience {
    /// Returns the audience of everyone, visitors included.
    #[must_use]
    pub fn everyone() -> Self {
        Self { all: true, ..Self::default() }
    }
    /// Returns the audience of one user.
    #[must_use]
    pub fn for_user(user: UserName) -> Self {
        Self { users: vec![UserRef(user)], ..Self::default() }
    }
    /// Returns whether the audience contains no one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all
            && self.roles.is_empty()
            && self.sections.is_empty()
            && self.courses.is_empty()
            && self.users.is_empty()
    }
    /// Returns the bits of the roles that the audience names, see [`Role::bit`].
    #[must_use]
    pub fn role_bits(&self) -> u8 {
        self.roles.iter().fold(0, |bits, role| bits | role.bit())
    }
}
