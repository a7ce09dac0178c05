//! Ids of terms, sections, import tasks, import profiles and users. `parse` checks the format, so every value is
//! well-formed.
//!
//! `parse` also normalizes names of terms and users; it reads what people and files enter. `stored` also accepts names
//! that earlier versions accepted; it reads the store and tokens.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::domain::precis;

/// Maximum length of a term id or a CRN, in bytes.
pub const CODE_LEN_MAX: usize = 24;
/// Maximum length of the id of an import task, in bytes.
pub const TASK_ID_LEN_MAX: usize = 64;
/// Maximum length of the name of an import profile, in characters.
pub const PROFILE_NAME_CHARS_MAX: usize = 60;
/// Maximum length of a normalized username, in characters: several times the longest in use, which are email addresses.
pub const USER_CHARS_MAX: usize = 120;
/// Maximum length of a username in bytes, which follows from [`USER_CHARS_MAX`].
const USER_BYTES_MAX: usize = 4 * USER_CHARS_MAX;
/// Maximum length of a CRN as a college writes it, in characters: several times the longest in use, which contain term,
/// course and section.
pub const ORIGINAL_CRN_CHARS_MAX: usize = 100;

/// The error for text that is not a well-formed id. Contains the kind of id, such as `CRN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed {0}")]
pub struct InvalidId(pub &'static str);

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, deserialized by $read:ident) => {
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
                Self::$read(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

name_type! {
    /// A term's id, such as `202209` or `2026-fall`: 1 to 24 letters, digits, `.`, `_` and `-`. Does not begin or end
    /// with `-`, and is not `.` or `..`.
    TermId, deserialized by stored
}
name_type! {
    /// A course reference number, unique within its term: 1 to 24 letters, digits, `.` and `_`.
    Crn, deserialized by parse
}
name_type! {
    /// The id of an import task: 1 to 64 bytes.
    TaskId, deserialized by parse
}
name_type! {
    /// A username: 1 to 120 characters, normalized by PRECIS (RFC 8265), without spaces or invisible characters.
    UserName, deserialized by stored
}

name_type! {
    /// The name of an import profile: 1 to 60 characters, normalized by PRECIS (RFC 8265), without spaces or invisible
    /// characters.
    ProfileName, deserialized by parse
}

fn is_code(text: &str, extra: &[u8]) -> bool {
    (1..=CODE_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
}

impl TermId {
    /// Parses and normalizes a term's id: full-width digits and letters become ordinary ones.
    ///
    /// # Errors
    /// If the text is not a well-formed term id.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        // Longer text needs no normalization to be refused.
        let text = (text.len() <= 4 * CODE_LEN_MAX).then(|| precis::name(text)).flatten();
        text.ok_or(InvalidId("term id")).and_then(|text| Self::stored(&text))
    }

    /// Parses a term's id that may have been stored by an earlier version, which accepted `.` and `..`.
    ///
    /// # Errors
    /// If the text is not a term id.
    pub fn stored(text: &str) -> Result<Self, InvalidId> {
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

    /// Converts a CRN as a college writes it to one that can be part of an id, in which `.` replaces each run of
    /// characters other than letters, digits, `.` and `_`. A long CRN, or one with letters or digits beyond ASCII, ends
    /// with a hash of the text. Also returns what was written, if it differs.
    ///
    /// Ignores what spreadsheets add to numbers: `30001.0` and `'30001` are `30001`.
    ///
    /// # Errors
    /// If the text has none of the characters that an id may contain, or more than [`ORIGINAL_CRN_CHARS_MAX`]
    /// characters.
    pub fn from_written(text: &str) -> Result<(Self, Option<Box<str>>), InvalidId> {
        let text = text.trim().trim_start_matches(['\'', '#']).trim_start();
        if text.chars().nth(ORIGINAL_CRN_CHARS_MAX).is_some() {
            return Err(InvalidId("CRN"));
        }
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let whole = text.split_once('.').filter(|(whole, zeros)| is_number(whole) && zeros.bytes().all(|b| b == b'0'));
        let text = whole.map_or(text, |(whole, _)| whole);
        if let Ok(crn) = Self::parse(text) {
            return Ok((crn, None));
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        let mut safe = text.split(|c| !is_safe(c)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        let loses_letters = text.contains(|c: char| c.is_alphanumeric() && !c.is_ascii());
        if safe.is_empty() {
            return Err(InvalidId("CRN"));
        }
        if safe.len() > CODE_LEN_MAX || loses_letters {
            // FNV-1a: stable across versions, which the standard library's hash is not.
            let hash = text.bytes().fold(0x811c_9dc5_u32, |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193));
            safe = format!("{}.{hash:08x}", &safe[..safe.len().min(CODE_LEN_MAX - 9)]);
        }
        Ok((Self::parse(&safe)?, Some(text.into())))
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

impl ProfileName {
    /// Parses and normalizes the name of an import profile.
    ///
    /// # Errors
    /// If the text is not a name (see [`precis::name`]), or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        // Longer text needs no normalization to be refused.
        let name = (text.len() <= 8 * PROFILE_NAME_CHARS_MAX).then(|| precis::name(text)).flatten();
        match name {
            Some(name) if name.chars().count() <= PROFILE_NAME_CHARS_MAX => Ok(Self(name.into())),
            _ => Err(InvalidId("profile name")),
        }
    }
}

impl From<Uuid> for TaskId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl UserName {
    /// Parses and normalizes a username by PRECIS (RFC 8265, `UsernameCasePreserved`). Usernames are case-sensitive, as
    /// in Plone.
    ///
    /// # Errors
    /// If the text is not a username (see [`precis::name`]).
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        // Longer text needs no normalization to be refused.
        let name = (text.len() <= 2 * USER_BYTES_MAX).then(|| precis::name(text)).flatten();
        match name {
            Some(name) if name.chars().count() <= USER_CHARS_MAX => Ok(Self(name.into())),
            _ => Err(InvalidId("username")),
        }
    }

    /// Parses a username that may have been stored by an earlier version, which did not normalize names. New names come
    /// from [`Self::parse`].
    ///
    /// # Errors
    /// If the text is empty, too long, or has white space or control characters.
    pub fn stored(text: &str) -> Result<Self, InvalidId> {
        let ok =
            (1..=USER_BYTES_MAX).contains(&text.len()) && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if ok { Ok(Self(text.into())) } else { Err(InvalidId("username")) }
    }

    /// Returns whether [`Self::parse`] leaves this name as it is. Only names from earlier versions change.
    #[must_use]
    pub fn is_normalized(&self) -> bool {
        Self::parse(self.as_str()).is_ok_and(|normal| normal == *self)
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
    /// Parses `TERM-CRN`. The last `-` is the separator. The id may come from an earlier version; see
    /// [`TermId::stored`].
    ///
    /// # Errors
    /// If the text is not a well-formed section id.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let (term, crn) = text.rsplit_once('-').ok_or(InvalidId("section id"))?;
        match (TermId::parse(term).or_else(|_| TermId::stored(term)), Crn::parse(crn)) {
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
        for bad in ["", "a b", "a\tb", "a\u{0}", ".", "..", "a\u{202e}b", &"x".repeat(121)] {
            assert!(UserName::parse(bad).is_err(), "{bad:?}");
        }
        for bad in [".", "..", "2022\u{200b}09", "\u{ff0e}"] {
            assert!(TermId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn written_crns_become_parts_of_an_id() {
        let table = [
            ("30001", "30001", None),
            ("30001.0", "30001", None),
            ("'00076", "00076", None),
            ("A.1_x", "A.1_x", None),
            ("AB 101-01  SP2031", "AB.101.01.SP2031", Some("AB 101-01 SP2031")),
            ("ACC*101*01", "ACC.101.01", Some("ACC*101*01")),
            ("#12/3", "12.3", Some("12/3")),
            ("BIO Ñ1", "BIO.1.65bf0c36", Some("BIO Ñ1")),
        ];
        for (written, crn, original) in table {
            let expected = (Crn::parse(crn).unwrap(), original.map(Into::into));
            assert_eq!(Crn::from_written(written), Ok(expected), "{written}");
        }
        let long = |last| Crn::from_written(&format!("DEPARTMENT OF MARINE BIOLOGY 101-0{last}")).unwrap().0;
        assert_eq!((long(1).as_str().len(), long(1) == long(2)), (CODE_LEN_MAX, false));
        for bad in ["", "***", "é", &"1 ".repeat(60)] {
            assert!(Crn::from_written(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_normalized_and_bounded_in_characters() {
        assert_eq!(UserName::parse("jose\u{301}").unwrap().as_str(), "josé");
        assert_eq!(TermId::parse("\u{ff12}\u{ff10}22-fall").unwrap().as_str(), "2022-fall");
        let (longest, decomposed) = ("é".repeat(120), "e\u{301}".repeat(120));
        assert_eq!(UserName::parse(&decomposed).unwrap().as_str(), longest);
        assert!(UserName::parse(&"é".repeat(121)).is_err());
    }

    #[test]
    fn stored_names_of_earlier_versions_stay_as_they_are() {
        for older in ["jose\u{301}", "a\u{202e}b", "..", "\u{ff41}"] {
            let name = UserName::stored(older).unwrap();
            assert_eq!((name.as_str(), name.is_normalized()), (older, false));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<UserName>(&json).unwrap(), name);
        }
        assert!(UserName::stored("josé").unwrap().is_normalized());
        assert!(UserName::stored("a b").is_err());
        assert_eq!(TermId::stored("..").unwrap().as_str(), "..");
        assert_eq!(SectionId::parse("..-1").unwrap().term.as_str(), "..");
    }
}
