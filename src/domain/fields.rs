//! A section as named fields, the form in which another system, such as the college's Plone, stores it.
//!
//! The settings map these names to those of the other system. The store holds the values that were last read from it.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// A field of a section. Its name is the one that the hub's own section type in Plone uses; a college's type may use
/// another.
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
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SectionField {
    /// Title.
    Title,
    /// Term id.
    Term,
    /// CRN.
    Crn,
    /// Course, `SUBJECT NUMBER`.
    Course,
    /// Component: the kind of class.
    Component,
    /// The college's own label for the section.
    Section,
    /// Credits.
    Credits,
    /// Instructor.
    Instructor,
    /// Capacity.
    Capacity,
    /// Maximum number of students on the waitlist.
    WaitlistCapacity,
    /// Meetings, one per line.
    Meetings,
    /// Number of enrolled students; written by the hub only.
    SeatsTaken,
    /// Number of students on the waitlist; written by the hub only.
    Waitlisted,
    /// Students and their status, one per line; written by the hub only.
    Roster,
}

impl SectionField {
    /// All fields, in order of declaration.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the name of the field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses the name of a field; `None` for other text.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::from_str(name).ok()
    }
}

/// The value of a field, in the normalized form in which values are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// Unknown or empty.
    Nothing,
    /// A whole number; credits are in thousandths.
    Number(i64),
    /// Trimmed text; meetings are separated by line feeds.
    Text(String),
    /// The lines of a roster.
    Lines(Vec<String>),
}

/// Fields with their values. Fields that the other system does not have are absent.
pub type Fields = BTreeMap<SectionField, FieldValue>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_one_name_in_settings_and_json() {
        assert_eq!(SectionField::ALL.len(), 14);
        for field in SectionField::ALL {
            assert_eq!(SectionField::parse(field.as_str()), Some(*field));
            assert_eq!(serde_json::to_value(field).unwrap(), field.as_str());
        }
        assert_eq!(SectionField::parse("seats"), None);
    }

    #[test]
    fn stored_values_read_back_unchanged() {
        let values = [
            FieldValue::Nothing,
            FieldValue::Number(1_500),
            FieldValue::Text("MWF 09:30-10:50".to_owned()),
            FieldValue::Lines(vec![]),
        ];
        for value in values {
            let stored = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<FieldValue>(&stored).unwrap(), value, "{stored}");
        }
    }
}
