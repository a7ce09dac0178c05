//! Roles, and how roles of another system map to them.

use std::collections::BTreeMap;
use std::fmt;

use enum_map::Enum;
use serde::{Deserialize, Serialize};
use strum::EnumCount;

use crate::domain::rights::{Rights, Subjects};

/// The role of a signed-in user. Each role includes the permissions of the role before it, except that only students
/// register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Enum, EnumCount)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Registers for sections.
    Student,
    /// Reads the rosters of the sections that name the user as their instructor.
    Instructor,
    /// Staff who are limited to some subjects; see [`Rights`]. In tables, tokens and JSON, this is [`Role::Staff`] with
    /// a list of subjects. It is below [`Role::Staff`], so that a check of the role refuses every request that has no
    /// rule for subjects.
    #[serde(rename = "staff", skip_deserializing)]
    SubjectStaff,
    /// Imports schedules, changes sections, sends alerts.
    Staff,
    /// Manages users and live sessions, reads the audit trail and the metrics.
    Admin,
}

impl Role {
    /// The roles that have different names, lowest first.
    pub const NAMED: [Self; 4] = [Self::Student, Self::Instructor, Self::Staff, Self::Admin];

    /// Returns the name in tables, tokens and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Instructor => "instructor",
            Self::SubjectStaff | Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }

    /// Parses a name; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|role| role.as_str() == text)
    }

    /// Returns the role with the same name that has no limit.
    #[must_use]
    pub const fn named(self) -> Self {
        match self {
            Self::SubjectStaff => Self::Staff,
            Self::Student | Self::Instructor | Self::Staff | Self::Admin => self,
        }
    }

    /// Returns whether a reader with this role may see what only staff may see. `None` is a visitor. Staff who are
    /// limited to subjects see what others below staff see.
    #[must_use]
    pub fn is_staff(role: Option<Self>) -> bool {
        role >= Some(Self::Staff)
    }

    /// Returns the bit of this role in a set of roles. The store contains such sets, so the bits never change.
    #[must_use]
    pub const fn bit(self) -> u8 {
        match self {
            Self::Student => 1,
            Self::SubjectStaff | Self::Staff => 2,
            Self::Admin => 4,
            Self::Instructor => 8,
        }
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
    /// Roles and groups that map to [`Role::Instructor`].
    pub instructor: Vec<String>,
    /// Roles and groups that map to [`Role::Student`].
    pub student: Vec<String>,
    /// The subjects with which a role or group lets staff work. An entry gives no role. Without entries, staff work
    /// with all subjects. If there are entries, staff who match none of them cannot work with any subject.
    pub subjects: BTreeMap<String, StaffSubjects>,
}

/// The subjects with which an entry of [`RoleMap::subjects`] lets staff work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaffSubjects {
    /// All subjects: the entry removes the limit.
    All,
    /// These subjects.
    Only(Subjects),
}

impl RoleMap {
    /// Returns the rights of a user with `roles` and `groups` in the other system: the highest role, and for staff the
    /// subjects of all entries that match; `None` if no entry gives a role.
    ///
    /// The limit fails closed: if there are entries for subjects and none matches, staff are limited to nothing. A
    /// provider that omits the groups of a user must not lift the limit.
    #[must_use]
    pub fn rights(&self, roles: &[String], groups: &[String]) -> Option<Rights> {
        let has = |name: &str| match name.strip_prefix("group:") {
            Some(group) => groups.iter().any(|own| own == group),
            None => roles.iter().any(|own| own == name),
        };
        let by_role = [
            (&self.admin, Role::Admin),
            (&self.staff, Role::Staff),
            (&self.instructor, Role::Instructor),
            (&self.student, Role::Student),
        ];
        let (_, role) = by_role.into_iter().find(|(names, _)| names.iter().any(|name| has(name)))?;
        let limit = if self.subjects.is_empty() { None } else { self.limit(has) };
        Some(Rights::new(role, limit))
    }

    /// Returns the subjects of all entries that match; `None` if one of them is for all subjects.
    fn limit(&self, has: impl Fn(&str) -> bool) -> Option<Subjects> {
        let mut limits = Vec::new();
        for (_, subjects) in self.subjects.iter().filter(|(name, _)| has(name)) {
            match subjects {
                StaffSubjects::All => return None,
                StaffSubjects::Only(subjects) => limits.push(subjects),
            }
        }
        Some(Subjects::union(limits))
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
            instructor: names(&["Faculty"]),
            student: names(&["Member"]),
            ..RoleMap::default()
        };
        let table = [
            (vec!["Member", "Manager", "Editor"], vec![], Some(Role::Admin)),
            (vec!["Member", "Editor"], vec![], Some(Role::Staff)),
            (vec!["Member", "Faculty"], vec![], Some(Role::Instructor)),
            (vec!["Faculty", "Editor"], vec![], Some(Role::Staff)),
            (vec!["Member"], vec!["registrars"], Some(Role::Staff)),
            (vec!["Member", "registrars"], vec!["Manager"], Some(Role::Student)),
            (vec!["Authenticated"], vec![], None),
        ];
        for (roles, groups, expected) in table {
            let found = map.rights(&names(&roles), &names(&groups));
            assert_eq!(found, expected.map(Rights::from), "{roles:?} {groups:?}");
        }
    }

    #[test]
    fn staff_are_limited_to_the_subjects_of_all_their_groups() {
        let subjects = |names: &[&str]| Subjects::parse(names).unwrap();
        let map = RoleMap {
            admin: names(&["Manager"]),
            staff: names(&["Editor", "group:staff"]),
            instructor: Vec::new(),
            student: names(&["Member"]),
            subjects: [
                ("group:math".to_owned(), StaffSubjects::Only(subjects(&["MATH", "STAT"]))),
                ("Physicist".to_owned(), StaffSubjects::Only(subjects(&["PHYS"]))),
                ("group:registrars".to_owned(), StaffSubjects::All),
            ]
            .into(),
        };
        let table = [
            // The limit stays if the provider omits the groups of the user, or if the group is unknown.
            (vec!["Editor"], vec![], Some(Rights::from(Role::SubjectStaff))),
            (vec!["Editor"], vec!["art"], Some(Rights::from(Role::SubjectStaff))),
            (vec!["Editor"], vec!["registrars"], Some(Rights::from(Role::Staff))),
            (vec!["Editor"], vec!["math", "registrars"], Some(Rights::from(Role::Staff))),
            (vec!["Editor"], vec!["math"], Some(Rights::new(Role::Staff, Some(subjects(&["MATH", "STAT"]))))),
            (
                vec!["Physicist"],
                vec!["staff", "math"],
                Some(Rights::new(Role::Staff, Some(subjects(&["MATH", "PHYS", "STAT"])))),
            ),
            // A limit gives no role, and limits neither students nor administrators.
            (vec![], vec!["math"], None),
            (vec![], vec!["registrars"], None),
            (vec!["Member"], vec!["math"], Some(Rights::from(Role::Student))),
            (vec!["Manager"], vec!["math"], Some(Rights::from(Role::Admin))),
        ];
        for (roles, groups, expected) in table {
            assert_eq!(map.rights(&names(&roles), &names(&groups)), expected, "{roles:?} {groups:?}");
        }
        let without_limits = RoleMap { subjects: BTreeMap::new(), ..map };
        assert_eq!(without_limits.rights(&names(&["Editor"]), &[]), Some(Rights::from(Role::Staff)));
    }

    #[test]
    fn each_name_stands_for_one_role() {
        for role in Role::NAMED {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(serde_json::from_value::<Role>(serde_json::json!(role)).unwrap(), role);
        }
        assert_eq!(serde_json::json!(Role::SubjectStaff), "staff");
        assert_eq!(Role::SubjectStaff.named(), Role::Staff);
        assert_eq!(Role::parse("subjectstaff"), None);
        assert!(!Role::is_staff(Some(Role::SubjectStaff)));
    }
}
