//! Ids of terms, sections, import tasks and users. `parse` checks the format, so every value is well-formed.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Maximum length of a term id or a CRN, in bytes.
pub const CODE_LEN_MAX: usize = 24;
/// Maximum length of the id of an import task, in bytes.
pub const TASK_ID_LEN_MAX: usize = 64;
/// Maximum length of a username, in bytes.
pub const USER_LEN_MAX: usize = 120;

/// The error for text that is not a well-formed id. Contains the kind of id, such as `CRN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed {0}")]
pub struct InvalidId(pub &'static str);

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

name_type! {
    /// A term's id, such as `202209` or `2026-fall`: 1 to 24 letters, digits, `.`, `_` and `-`. Does not begin or end
    /// with `-`.
    TermId
}
name_type! {
    /// A course reference number, unique within its term: 1 to 24 letters, digits, `.` and `_`.
    Crn
}
name_type! {
    /// The id of an import task: 1 to 64 bytes.
    TaskId
}
name_type! {
    /// A username: 1 to 120 bytes without white space or control characters.
    UserName
}

fn is_code(text: &str, extra: &[u8]) -> bool {
    (1..=CODE_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
}

impl TermId {
    /// Parses a term's id.
    ///
    /// # Errors
    /// If the text is not a well-formed term id.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if is_code(text, b"._-") && !text.starts_with('-') && !text.ends_with('-') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId("term id"))
        }
    }
}

/// Prefix of the ids of sandbox terms, which a demonstration creates and removes. No term of the college has it.
pub const SANDBOX_PREFIX: &str = "_sandbox-";

impl TermId {
    /// Returns whether the term is a sandbox: visible only to its demonstration, and removed after it.
    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        self.0.starts_with(SANDBOX_PREFIX)
    }
}

impl Crn {
    /// Parses a CRN. It contains no `-`, which separates the term from the CRN in a [`SectionId`].
    ///
    /// # Errors
    /// If the text is not a well-formed CRN.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if is_code(text, b"._") { Ok(Self(text.into())) } else { Err(InvalidId("CRN")) }
    }
}

impl TaskId {
    /// Parses the id of an import task.
    ///
    /// # Errors
    /// If the text is empty or too long.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if (1..=TASK_ID_LEN_MAX).contains(&text.len()) { Ok(Self(text.into())) } else { Err(InvalidId("task id")) }
    }
}

impl From<Uuid> for TaskId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl UserName {
    /// Parses a username. Usernames are case-sensitive, as in Plone.
    ///
    /// # Errors
    /// If the text is not a well-formed username.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let ok = (1..=USER_LEN_MAX).contains(&text.len()) && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if ok { Ok(Self(text.into())) } else { Err(InvalidId("username")) }
    }
}

/// A section's public id, written `TERM-CRN`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SectionId {
    /// The section's term.
    pub term: TermId,
    /// The section's number within the term.
    pub crn: Crn,
}

impl SectionId {
    /// Parses `TERM-CRN`. The last `-` is the separator.
    ///
    /// # Errors
    /// If the text is not a well-formed section id.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let (term, crn) = text.rsplit_once('-').ok_or(InvalidId("section id"))?;
        match (TermId::parse(term), Crn::parse(crn)) {
            (Ok(term), Ok(crn)) => Ok(Self { term, crn }),
            _ => Err(InvalidId("section id")),
        }
    }
}

impl fmt::Display for SectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.crn)
    }
}

impl Serialize for SectionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SectionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_id_splits_at_its_last_hyphen() {
        let id = SectionId::parse("2026-fall-10001").unwrap();
        assert_eq!((id.term.as_str(), id.crn.as_str()), ("2026-fall", "10001"));
        assert_eq!(id.to_string(), "2026-fall-10001");
    }

    #[test]
    fn malformed_ids_are_rejected() {
        for bad in ["", "-", "202209", "202209-", "-10001", "2022 09-1", "202209-1/2", "202209-é"] {
            assert!(SectionId::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a b", "a\tb", "a\u{0}", &"x".repeat(121)] {
            assert!(UserName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(UserName::parse("josé@college.edu").is_ok());
    }
}
