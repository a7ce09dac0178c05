//! Roles, and how roles of another system map to them.

use std::fmt;

use enum_map::Enum;
use serde::{Deserialize, Serialize};
use strum::{EnumCount, EnumString, IntoStaticStr, VariantArray};

/// The role of a signed-in user. Each role includes the permissions of the role before it, except that only students
/// register.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Enum,
    EnumCount,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// Registers for sections.
    Student,
    /// Imports schedules, changes sections, sends alerts.
    Staff,
    /// Manages users and live sessions, reads the audit trail and the metrics.
    Admin,
}

impl Role {
    /// Returns the name in tables, tokens and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a name; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns whether a reader with this role may see what only staff may see. `None` is a visitor.
    #[must_use]
    pub fn is_staff(role: Option<Self>) -> bool {
        role >= Some(Self::Staff)
    }

    /// Returns the bit of this role in a set of roles.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mapping from roles and groups of another system, such as the college's Plone, to roles of the hub. A group is
/// written `group:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleMap {
    /// Roles and groups that map to [`Role::Admin`].
    pub admin: Vec<String>,
    /// Roles and groups that map to [`Role::Staff`].
    pub staff: Vec<String>,
    /// Roles and groups that map to [`Role::Student`].
    pub student: Vec<String>,
}

impl RoleMap {
    /// Returns the highest role of a user with `roles` and `groups` in the other system; `None` if no entry matches.
    #[must_use]
    pub fn role(&self, roles: &[String], groups: &[String]) -> Option<Role> {
        let matches = |names: &[String]| {
            names.iter().any(|name| match name.strip_prefix("group:") {
                Some(group) => groups.iter().any(|own| own == group),
                None => roles.iter().any(|own| own == name),
            })
        };
        [(&self.admin, Role::Admin), (&self.staff, Role::Staff), (&self.student, Role::Student)]
            .into_iter()
            .find(|(names, _)| matches(names))
            .map(|(_, role)| role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn users_get_the_highest_of_their_mapped_roles() {
        let map = RoleMap {
            admin: names(&["Manager"]),
            staff: names(&["Editor", "group:registrars"]),
            student: names(&["Member"]),
        };
        let table = [
            (vec!["Member", "Manager", "Editor"], vec![], Some(Role::Admin)),
            (vec!["Member", "Editor"], vec![], Some(Role::Staff)),
            (vec!["Member"], vec!["registrars"], Some(Role::Staff)),
            (vec!["Member", "registrars"], vec!["Manager"], Some(Role::Student)),
            (vec!["Authenticated"], vec![], None),
        ];
        for (roles, groups, expected) in table {
            assert_eq!(map.role(&names(&roles), &names(&groups)), expected, "{roles:?} {groups:?}");
        }
    }
}
