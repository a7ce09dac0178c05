//! Prerequisites of a section: courses that a student must have completed, or takes at the same time.
//!
//! Colleges write them as text such as `(MATH 151 or MATH 150 with C) and PHYS 101 concurrently`. A section has a list
//! of [`Requirement`]s, all of which must be met. A requirement is stored as its text and parsed when it is read.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::student::{CompletedCourse, is_same_course};

/// The longest text that is parsed, in bytes: several times the longest prerequisite of a real catalogue.
pub const TEXT_BYTES_MAX: usize = 1_000;
/// Maximum depth of parentheses, which bounds the recursion of the parser.
const DEPTH_MAX: usize = 8;
/// Words that may stand between `with` and a grade.
const BEFORE_GRADE: [&str; 8] = ["a", "an", "minimum", "min", "min.", "grade", "of", "least"];

/// A course that a student must have completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequiredCourse {
    /// The course, such as `MATH 151`.
    pub course: Box<str>,
    /// The lowest sufficient grade; `None` if every passing grade is sufficient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<Box<str>>,
    /// Whether it is also sufficient to take the course in the same term.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub concurrent: bool,
}

impl RequiredCourse {
    /// Returns whether one of these completed courses is this course with a sufficient grade.
    #[must_use]
    pub fn is_completed(&self, completed: &[CompletedCourse]) -> bool {
        completed.iter().any(|one| is_same_course(&one.course, &self.course) && one.has_grade(self.grade.as_deref()))
    }
}

/// One requirement of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// A course.
    Course(RequiredCourse),
    /// All of these; at least two.
    All(Vec<Self>),
    /// At least one of these; at least two.
    Any(Vec<Self>),
    /// Text that is not an expression, such as `Permission of the department`. It is shown to students, and not
    /// evaluated. It is never a part of another requirement.
    Remark(Box<str>),
}

impl Requirement {
    /// Parses a requirement. Text that is not an expression becomes a [`Self::Remark`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        // A `;` separates requirements in schedule files.
        Self::parse_expression(text).unwrap_or_else(|| Self::Remark(text.trim().replace(';', ",").into()))
    }

    /// Parses an expression; `None` for other text.
    ///
    /// `and` binds more tightly than `or`. Courses have an upper-case subject and a number. `with C`, `with a grade of
    /// C or better` and `(minimum grade C)` state the lowest grade, and `concurrently` allows the course in the same
    /// term.
    #[must_use]
    pub fn parse_expression(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut parser = Parser { words: spaced.split_whitespace().collect(), at: 0 };
        let parsed = parser.alternatives(0)?;
        (parser.at == parser.words.len()).then_some(parsed)
    }

    /// Parses the requirements of a section from one text: the parts of an `and` are separate requirements. `None` for
    /// text that is not an expression.
    #[must_use]
    pub fn parse_list(text: &str) -> Option<Vec<Self>> {
        match Self::parse_expression(text)? {
            Self::All(parts) => Some(parts),
            one => Some(vec![one]),
        }
    }

    /// Returns whether the requirement is met, if `is_met` states which courses are. A remark counts as met.
    pub fn is_met(&self, is_met: &impl Fn(&RequiredCourse) -> bool) -> bool {
        match self {
            Self::Course(course) => is_met(course),
            Self::All(parts) => parts.iter().all(|part| part.is_met(is_met)),
            Self::Any(parts) => parts.iter().any(|part| part.is_met(is_met)),
            Self::Remark(_) => true,
        }
    }

    /// Returns the part of the requirement that is not met; `None` if all of it is.
    pub fn unmet(&self, is_met: &impl Fn(&RequiredCourse) -> bool) -> Option<Self> {
        if self.is_met(is_met) {
            return None;
        }
        let unmet = |parts: &[Self]| parts.iter().filter_map(|part| part.unmet(is_met)).collect();
        Some(match self {
            Self::Course(_) | Self::Remark(_) => self.clone(),
            Self::All(parts) => joined(unmet(parts), Self::All),
            Self::Any(parts) => joined(unmet(parts), Self::Any),
        })
    }

    /// Returns whether a part of it can be met by a course of the same term.
    #[must_use]
    pub fn allows_concurrent(&self) -> bool {
        match self {
            Self::Course(course) => course.concurrent,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::allows_concurrent),
            Self::Remark(_) => false,
        }
    }
}

/// Joins parts. Parts of the same kind are merged, and a single part is returned as it is.
fn joined(parts: Vec<Requirement>, kind: fn(Vec<Requirement>) -> Requirement) -> Requirement {
    let is_all = matches!(kind(Vec::new()), Requirement::All(_));
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Requirement::All(inner) if is_all => flat.extend(inner),
            Requirement::Any(inner) if !is_all => flat.extend(inner),
            other => flat.push(other),
        }
    }
    match flat.len() {
        1 => flat.remove(0),
        _ => kind(flat),
    }
}

/// Returns whether text is a course: an upper-case subject of at most two words, and a number.
#[must_use]
pub fn is_course(name: &str) -> bool {
    name.rsplit_once(' ').is_some_and(|(subject, number)| is_subject(subject) && is_number(number))
}

fn is_subject(subject: &str) -> bool {
    let is_upper = subject.bytes().all(|b| b.is_ascii_uppercase() || b == b' ' || b == b'&');
    !subject.is_empty() && subject.split(' ').count() <= 2 && subject.len() <= 12 && is_upper
}

fn is_number(number: &str) -> bool {
    let is_plain = number.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'*' | b'/'));
    number.len() <= 8 && is_plain && number.bytes().any(|b| b.is_ascii_digit())
}

fn is_grade(word: &str) -> bool {
    match word.as_bytes() {
        [b'A'..=b'D'] | [b'A'..=b'D', b'+' | b'-'] => true,
        _ => matches!(word, "P" | "S" | "CR"),
    }
}

/// A parser by recursive descent over the words of a text. Parentheses are words.
struct Parser<'t> {
    words: Vec<&'t str>,
    at: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self, ahead: usize) -> &'t str {
        self.words.get(self.at + ahead).copied().unwrap_or_default()
    }

    /// Skips the next word if it is one of `words`, ignoring case. Returns whether it is.
    fn skip(&mut self, words: &[&str]) -> bool {
        let is_one = words.iter().any(|word| self.peek(0).eq_ignore_ascii_case(word));
        self.at += usize::from(is_one);
        is_one
    }

    fn alternatives(&mut self, depth: usize) -> Option<Requirement> {
        let mut parts = vec![self.conjunction(depth)?];
        while self.skip(&["or"]) {
            parts.push(self.conjunction(depth)?);
        }
        Some(joined(parts, Requirement::Any))
    }

    fn conjunction(&mut self, depth: usize) -> Option<Requirement> {
        let mut parts = vec![self.part(depth)?];
        while self.skip(&["and", "&"]) {
            parts.push(self.part(depth)?);
        }
        Some(joined(parts, Requirement::All))
    }

    fn part(&mut self, depth: usize) -> Option<Requirement> {
        if self.skip(&["("]) {
            let inner = if depth < DEPTH_MAX { self.alternatives(depth + 1)? } else { return None };
            return self.skip(&[")"]).then_some(inner);
        }
        let words = if is_number(self.peek(1)) { 2 } else { 3 };
        let name = self.words.get(self.at..self.at + words)?.join(" ");
        if !is_course(&name) {
            return None;
        }
        self.at += words;
        let mut course = RequiredCourse { course: name.into(), grade: None, concurrent: false };
        while self.condition(&mut course)? {}
        Some(Requirement::Course(course))
    }

    /// Reads a condition of a course, such as `with C`. Returns false if there is none, and `None` if it is malformed.
    fn condition(&mut self, course: &mut RequiredCourse) -> Option<bool> {
        const CONDITIONS: [&str; 9] =
            ["with", "w/", "grade", "minimum", "min", "min.", "may", "concurrently", "concurrent"];
        if self.peek(0) == "(" && CONDITIONS.iter().any(|word| self.peek(1).eq_ignore_ascii_case(word)) {
            self.at += 1;
            while self.condition(course)? {}
            return self.skip(&[")"]).then_some(true);
        }
        if self.skip(&["concurrently", "concurrent"]) {
            course.concurrent = true;
            return Some(true);
        }
        if self.skip(&["may"]) {
            let is_whole = self.skip(&["be"]) && self.skip(&["taken"]) && self.skip(&["concurrently"]);
            course.concurrent = is_whole;
            return is_whole.then_some(true);
        }
        let is_stated = self.skip(&["with", "w/", "grade", "minimum", "min", "min."]);
        // `C or better`
        let is_grade_alone = is_grade(self.peek(0)) && self.peek(1).eq_ignore_ascii_case("or");
        if !is_stated && !is_grade_alone {
            return Some(false);
        }
        while self.is_before_grade() {
            self.at += 1;
        }
        let grade = Some(self.peek(0)).filter(|word| is_grade(word))?;
        self.at += 1;
        course.grade = Some(grade.into());
        if self.peek(0).eq_ignore_ascii_case("or") && ["better", "higher", "above"].contains(&self.peek(1)) {
            self.at += 2;
        }
        Some(true)
    }

    /// Returns whether the next word only introduces a grade. `A` is a grade, too, unless another grade or such a word
    /// follows it.
    fn is_before_grade(&self) -> bool {
        let introduces = |ahead: usize| BEFORE_GRADE.iter().any(|word| self.peek(ahead).eq_ignore_ascii_case(word));
        let is_followed = introduces(1) || is_grade(self.peek(1));
        introduces(0) && (is_followed || !is_grade(self.peek(0)))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (at, part) in parts.iter().enumerate() {
                let separator = if at > 0 { word } else { "" };
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "{separator}({part})")?,
                    Self::Course(_) | Self::Remark(_) => write!(f, "{separator}{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Course(RequiredCourse { course, grade, concurrent }) => {
                f.write_str(course)?;
                grade.iter().try_for_each(|grade| write!(f, " with {grade}"))?;
                f.write_str(if *concurrent { " concurrently" } else { "" })
            }
            Self::All(parts) => list(f, parts, " and "),
            Self::Any(parts) => list(f, parts, " or "),
            Self::Remark(text) => f.write_str(text),
        }
    }
}

impl<T: AsRef<str>> From<T> for Requirement {
    fn from(text: T) -> Self {
        Self::parse(text.as_ref())
    }
}

impl Serialize for Requirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Requirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

/// The requirements of a section as the API shows them: `{text, all}` or `{text, any}`, or null without requirements.
/// Each part is a course, `{course, grade?, concurrent?}`, a remark, `{text}`, or a nested expression.
#[derive(Debug, Clone, Copy)]
pub struct Expression<'r>(pub &'r [Requirement]);

impl Serialize for Expression<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_none();
        }
        let whole = joined(self.0.to_vec(), Requirement::All);
        match &whole {
            Requirement::All(_) | Requirement::Any(_) => Part(&whole).serialize(serializer),
            Requirement::Course(_) => group(serializer, &whole.to_string(), "all", std::slice::from_ref(&whole)),
            Requirement::Remark(text) => group(serializer, text, "all", &[]),
        }
    }
}

/// What a student lacks: parts of an [`Expression`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet(pub Vec<Requirement>);

impl Serialize for Unmet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Part))
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(self.0.clone(), Requirement::All).fmt(f)
    }
}

/// A part of an [`Expression`].
struct Part<'r>(&'r Requirement);

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Requirement::Course(course) => course.serialize(serializer),
            Requirement::All(parts) => group(serializer, &self.0.to_string(), "all", parts),
            Requirement::Any(parts) => group(serializer, &self.0.to_string(), "any", parts),
            Requirement::Remark(text) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("text", text)?;
                map.end()
            }
        }
    }
}

fn group<S: Serializer>(serializer: S, text: &str, kind: &str, parts: &[Requirement]) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry("text", text)?;
    map.serialize_entry(kind, &parts.iter().map(Part).collect::<Vec<_>>())?;
    map.end()
}

#[cfg(test)]
#[path = "prerequisite_tests.rs"]
mod tests;
