//! Which user a section names as its instructor. Schedules name instructors by free text, such as `Lee, Ann`.

use std::collections::BTreeMap;

use crate::domain::ids::UserName;
use crate::domain::precis;

/// A name as it is compared: the display name normalized by PRECIS, with `Lee, Ann` turned into `ann lee`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstructorName(String);

/// Words that schedules use for an instructor who is not known yet. A name that consists only of such words names no
/// one.
const PLACEHOLDERS: [&str; 15] = [
    "adjunct",
    "arr",
    "arranged",
    "faculty",
    "instructor",
    "na",
    "none",
    "staff",
    "tba",
    "tbd",
    "tbs",
    "teacher",
    "the",
    "unknown",
    "various",
];
/// The start of `To be announced`, `To be determined` and the like, which name no one.
const NOT_KNOWN_YET: &str = "to be ";

/// Returns whether a normalized name is a placeholder: it begins like `to be announced`, or each of its words is one,
/// ignoring punctuation and digits.
#[must_use]
pub fn is_placeholder(name: &str) -> bool {
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let is_one = |word: String| word.is_empty() || PLACEHOLDERS.contains(&word.as_str());
    name.starts_with(NOT_KNOWN_YET) || name.split(' ').all(|word| is_one(letters(word)))
}

impl InstructorName {
    /// Reads a name; `None` if it is empty, has control characters, or is a placeholder.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let first_name_first = match text.split(',').collect::<Vec<_>>().as_slice() {
            [last, first] if !first.trim().is_empty() => format!("{first} {last}"),
            _ => text.to_owned(),
        };
        precis::display_name(&first_name_first).filter(|name| !is_placeholder(name)).map(Self)
    }

    /// Returns whether `word` is one of the words of this name, or a part of one, such as `smith` of `smith-jones`.
    fn has_word(&self, word: &Self) -> bool {
        let trimmed = |part: &str| part.trim_matches(|c: char| !c.is_alphanumeric()) == word.0;
        self.0.split(' ').any(trimmed) || self.0.split(|c: char| !c.is_alphanumeric()).any(|part| part == word.0)
    }
}

/// Returns the names in the text of a section. Several are separated by `;`, `/`, `&` or a line break, and by commas if
/// each of them has several words: imports write `Ann Lee, Bob Ray`, but a part of `Lee, Ann` is not a name.
fn names_in(text: &str) -> impl Iterator<Item = InstructorName> {
    text.split([';', '/', '&', '\n']).flat_map(|part| {
        let pieces: Vec<&str> = part.split(',').collect();
        let are_names = pieces.len() > 1 && pieces.iter().all(|piece| piece.split_whitespace().count() > 1);
        let pieces = if are_names { pieces } else { Vec::new() };
        pieces.into_iter().chain([part]).filter_map(InstructorName::parse)
    })
}

/// The names under which schedules list instructors, as the administrator states them: they take precedence over
/// display names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatedNames(BTreeMap<InstructorName, UserName>);

impl StatedNames {
    /// Adds the names of a user.
    ///
    /// # Errors
    /// When a name is empty or a placeholder, or is stated for another user. The error continues a sentence about the
    /// setting.
    pub fn add(&mut self, user: &UserName, names: &[String]) -> Result<(), String> {
        for text in names {
            let name =
                InstructorName::parse(text).ok_or_else(|| format!("has the name {text:?}, which names no one"))?;
            let owner = self.0.entry(name).or_insert_with(|| user.clone());
            if owner != user {
                return Err(format!("has the name {text:?}, which also belongs to {owner}"));
            }
        }
        Ok(())
    }
}

/// A user and the names by which sections list that user as an instructor.
#[derive(Debug)]
pub struct Teacher<'a> {
    user: &'a UserName,
    stated: &'a StatedNames,
    /// The username and the display name, each if it is no one else's; empty if names are stated for the user.
    own: Vec<InstructorName>,
}

impl<'a> Teacher<'a> {
    /// Finds the names of a user. `name` is the display name, if the user cannot change it. `others` are the names of
    /// all known users who may be instructors; the user may be among them. A display name that another user has, as a
    /// display name or as a username, names no one. Nor does a name that is one word of another user's display name:
    /// schedules that write surnames alone mean Kay Smith by `Smith`, not the user `smith`.
    #[must_use]
    pub fn new(user: &'a UserName, name: Option<&str>, stated: &'a StatedNames, others: &[(UserName, String)]) -> Self {
        if stated.0.values().any(|owner| owner == user) {
            return Self { user, stated, own: Vec::new() };
        }
        let mut own: Vec<_> = InstructorName::parse(user.as_str()).into_iter().collect();
        let mut by_name = name.and_then(InstructorName::parse);
        for (other, name) in others.iter().filter(|(other, _)| other != user) {
            let (username, name) = (InstructorName::parse(other.as_str()), InstructorName::parse(name));
            let is_word = |own: &InstructorName| name.as_ref().is_some_and(|name| name.has_word(own));
            let is_whole = |own: &InstructorName| username.as_ref() == Some(own) || name.as_ref() == Some(own);
            own.retain(|own| !is_word(own));
            by_name = by_name.filter(|own| !is_word(own) && !is_whole(own));
        }
        own.extend(by_name);
        Self { user, stated, own }
    }

    /// Returns whether the instructors of a section include the user.
    #[must_use]
    pub fn is_named_in(&self, instructors: Option<&str>) -> bool {
        names_in(instructors.unwrap_or_default()).any(|name| match self.stated.0.get(&name) {
            Some(owner) => owner == self.user,
            None => self.own.contains(&name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    fn known(names: &[(&str, &str)]) -> Vec<(UserName, String)> {
        names.iter().map(|(name, display)| (user(name), (*display).to_owned())).collect()
    }

    #[test]
    fn sections_name_users_by_display_name_or_username() {
        let (ann, stated) = (user("alee"), StatedNames::default());
        let teacher = Teacher::new(&ann, Some("Ann Lee"), &stated, &known(&[("alee", "Ann Lee"), ("bob", "Bob Ray")]));
        for text in [
            "Ann Lee",
            "Lee, Ann",
            " ANN  LEE ",
            "alee",
            "Bob Ray; Lee, Ann",
            "Bob Ray/Ann Lee",
            "X & alee",
            "Bob Ray, Ann Lee",
        ] {
            assert!(teacher.is_named_in(Some(text)), "{text}");
        }
        for text in ["", "Ann", "Lee", "A. Lee", "Ann Lee Smith", "Staff", "Bob Ray", "Lee, Ann, Ray, Bob"] {
            assert!(!teacher.is_named_in(Some(text)), "{text}");
        }
        assert!(!teacher.is_named_in(None));
        for placeholder in [
            "Staff",
            "TBA",
            "The Staff",
            "Staff, Staff",
            "Staff, The",
            "T.B.A.",
            "Staff 2",
            "To be announced",
            "-",
            "TBA, Instructor",
        ] {
            let teacher = Teacher::new(&ann, Some(placeholder), &stated, &[]);
            assert!(!teacher.is_named_in(Some(placeholder)), "{placeholder}");
        }
    }

    #[test]
    fn a_name_that_two_users_share_names_neither() {
        let (ann, stated) = (user("alee"), StatedNames::default());
        for (name, others) in [("Ann Lee", [("alee2", "Lee, ann")]), ("bob", [("bob", "Robert Ray")])] {
            let teacher = Teacher::new(&ann, Some(name), &stated, &known(&others));
            assert!(!teacher.is_named_in(Some(name)), "{name}");
            assert!(teacher.is_named_in(Some("alee")), "the username is unique");
            assert!(
                Teacher::new(&ann, Some(name), &stated, &[]).is_named_in(Some(name)),
                "{name} without another user"
            );
        }
    }

    #[test]
    fn a_username_in_the_name_of_a_colleague_names_no_one() {
        let (smith, stated) = (user("smith"), StatedNames::default());
        for colleague in ["Kay Smith", "Smith, Kay", "SMITH", "Dr. Kay Smith-Jones", "Kay (Smith)"] {
            let known = known(&[("smith", "John Smith"), ("kay", colleague)]);
            let teacher = Teacher::new(&smith, Some("John Smith"), &stated, &known);
            assert!(!teacher.is_named_in(Some("Smith")), "{colleague}");
            assert!(teacher.is_named_in(Some("Smith, John")), "{colleague}");
            assert!(!Teacher::new(&smith, Some("Smith"), &stated, &known).is_named_in(Some("Smith")), "{colleague}");
        }
        let others = known(&[("smith", "John Smith"), ("kay", "Kay Smithers")]);
        assert!(Teacher::new(&smith, Some("John Smith"), &stated, &others).is_named_in(Some("smith")));
    }

    #[test]
    fn without_a_display_name_only_the_username_and_stated_names_count() {
        let (ann, stated) = (user("alee"), StatedNames::default());
        let teacher = Teacher::new(&ann, None, &stated, &[]);
        assert!(teacher.is_named_in(Some("alee")) && !teacher.is_named_in(Some("Ann Lee")));
    }

    #[test]
    fn stated_names_take_precedence() {
        let mut stated = StatedNames::default();
        stated.add(&user("alee"), &["Lee A".to_owned(), "Dr. Lee".to_owned()]).unwrap();
        assert!(stated.add(&user("bob"), &["dr. lee".to_owned()]).is_err(), "one name, two users");
        assert!(stated.add(&user("bob"), &[" ".to_owned()]).is_err());
        let (ann, kim) = (user("alee"), user("kim"));
        let stated_teacher = Teacher::new(&ann, Some("Ann Lee"), &stated, &[]);
        assert!(stated_teacher.is_named_in(Some("Dr. Lee")));
        assert!(!stated_teacher.is_named_in(Some("Ann Lee")), "the display name does not count");
        // Kim has chosen the name that is stated for Ann.
        let impostor = Teacher::new(&kim, Some("Dr. Lee"), &stated, &[]);
        assert!(!impostor.is_named_in(Some("Dr. Lee")));
    }
}
