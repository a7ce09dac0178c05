//! What the hub and the college's Plone call things in common: the fields of a section, and who has which role.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::role::Role;

/// A field of a section as Plone has it. Its name is the one that the hub's own section type uses; a college's type may
/// call it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PloneField {
    /// The title, Plone's own.
    Title,
    /// The term's id.
    Term,
    /// The CRN.
    Crn,
    /// `SUBJECT NUMBER`.
    Course,
    /// The kind of class.
    Component,
    /// The college's own label.
    Section,
    /// What it counts towards the credit limit.
    Credits,
    /// Who teaches it.
    Instructor,
    /// The most people that may be enrolled.
    Capacity,
    /// The most people that may wait.
    WaitlistCapacity,
    /// When and where it meets, one meeting a line.
    Meetings,
    /// How many are enrolled; the hub's to write.
    SeatsTaken,
    /// How many wait; the hub's to write.
    Waitlisted,
    /// Who is enrolled and who waits, one a line; the hub's to write.
    Roster,
}

impl PloneField {
    /// Every field.
    pub const ALL: [Self; 14] = [
        Self::Title,
        Self::Term,
        Self::Crn,
        Self::Course,
        Self::Component,
        Self::Section,
        Self::Credits,
        Self::Instructor,
        Self::Capacity,
        Self::WaitlistCapacity,
        Self::Meetings,
        Self::SeatsTaken,
        Self::Waitlisted,
        Self::Roster,
    ];

    /// The field's one name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Term => "term",
            Self::Crn => "crn",
            Self::Course => "course",
            Self::Component => "component",
            Self::Section => "section",
            Self::Credits => "credits",
            Self::Instructor => "instructor",
            Self::Capacity => "capacity",
            Self::WaitlistCapacity => "waitlist_capacity",
            Self::Meetings => "meetings",
            Self::SeatsTaken => "seats_taken",
            Self::Waitlisted => "waitlisted",
            Self::Roster => "roster",
        }
    }

    /// Reads that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}

/// The value of a field, in the one form in which the hub compares values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// Not known.
    Nothing,
    /// A whole number; credits are in thousandths.
    Number(i64),
    /// Text, trimmed; meetings with one a line.
    Text(String),
    /// Lines, of a roster.
    Lines(Vec<String>),
}

/// Fields with their values. A field that Plone's type does not have is absent.
pub type Fields = BTreeMap<PloneField, FieldValue>;

/// What Plone's roles are in the hub; a group is written `group:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleMap {
    /// Who is an admin.
    pub admin: Vec<String>,
    /// Who is staff.
    pub staff: Vec<String>,
    /// Who is a student.
    pub student: Vec<String>,
}

impl Default for RoleMap {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            admin: names(&["Manager", "Site Administrator"]),
            staff: names(&["Editor", "Contributor", "Reviewer"]),
            student: names(&["Member"]),
        }
    }
}

impl RoleMap {
    /// The highest role that somebody with these roles and groups of Plone has in the hub; none: nobody here.
    #[must_use]
    pub fn role(&self, roles: &[String], groups: &[String]) -> Option<Role> {
        let is = |names: &[String]| {
            names.iter().any(|name| match name.strip_prefix("group:") {
                Some(group) => groups.iter().any(|one| one == group),
                None => roles.iter().any(|one| one == name),
            })
        };
        [(&self.admin, Role::Admin), (&self.staff, Role::Staff), (&self.student, Role::Student)]
            .into_iter()
            .find(|(names, _)| is(names))
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
    fn whoever_has_several_roles_has_the_highest() {
        let map = RoleMap { staff: names(&["Editor", "group:registrars"]), ..RoleMap::default() };
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

    #[test]
    fn each_field_has_one_name() {
        for field in PloneField::ALL {
            assert_eq!(PloneField::parse(field.as_str()), Some(field));
            assert_eq!(serde_json::to_value(field).unwrap(), field.as_str());
        }
    }

    #[test]
    fn values_come_back_as_they_were_kept() {
        let values = [
            FieldValue::Nothing,
            FieldValue::Number(1_500),
            FieldValue::Text("MWF 09:30-10:50".to_owned()),
            FieldValue::Lines(vec![]),
        ];
        for value in values {
            let kept = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<FieldValue>(&kept).unwrap(), value, "{kept}");
        }
    }
}
