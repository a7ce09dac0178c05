//! Parses a course, `SUBJECT NUMBER`, and the section if the cell contains it.

use crate::imports::csv::{component, text};
use crate::imports::finding_kind::FindingKind;

/// The maximum length of a course, in characters.
pub(super) const COURSE_CHARS_MAX: usize = 40;

/// The minimum number of letters of a title after a course.
const TITLE_LETTERS_MIN: usize = 4;

/// A course, and the section if the cell contains it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Course {
    pub(super) name: String,
    pub(super) section: Option<String>,
    /// A title that follows course and section.
    pub(super) title: Option<String>,
}

/// Joins a course from its subject and number.
pub(super) fn join(subject: &str, number: &str) -> Result<String, FindingKind> {
    let number: String = number.split_whitespace().collect();
    let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    bounded(format!("{subject} {number}"))
}

/// Splits a cell into course and section: `MATH 151`, `MATH151`, `MATH-151-A01`, `MATH*151*01`, `MATH 151 A01`, and the
/// packed `ACTG F001A01W` of Californian colleges (the college's letter, four characters of the number, padded with a
/// dot, and the section). A title may follow, as in `MATH 151-01 - Algebra` and `MATH-151-01 (30001) Algebra`. Any
/// other cell is taken as the course.
pub(super) fn split(cell: &str) -> Result<Course, FindingKind> {
    let decoded = text::decoded(cell);
    if let Some((head, title)) = before_title(&decoded) {
        let course = split_untitled(head)?;
        let has_number = course.section.is_some() || course.name.split(' ').skip(1).any(is_number);
        if has_number {
            return Ok(Course { title: Some(title.to_owned()), ..course });
        }
    }
    split_untitled(&decoded)
}

/// Splits a cell before its title, which follows ` - `, a colon, or a number in parentheses.
fn before_title(cell: &str) -> Option<(&str, &str)> {
    let by_parentheses = || {
        let (head, rest) = cell.split_once(" (")?;
        let (number, title) = rest.split_once(')')?;
        number.bytes().all(|b| b.is_ascii_digit()).then_some((head, title))
    };
    let found = by_parentheses().or_else(|| cell.split_once(" - ")).or_else(|| cell.split_once(": "));
    let (head, title) = found.map(|(head, title)| (head.trim(), title.trim().trim_start_matches("- ")))?;
    let letters = title.chars().filter(|c| c.is_alphabetic()).count();
    (letters >= TITLE_LETTERS_MIN).then_some((head, title))
}

/// Splits a cell whose section may consist of capital letters alone, such as `AR-124-N` and `ACC 202 A`: nothing else
/// identifies the section of the row.
pub(super) fn split_with_letters(cell: &str) -> Result<Course, FindingKind> {
    let course = split(cell)?;
    if course.section.is_some() {
        return Ok(course);
    }
    let decoded = text::decoded(cell);
    let (head, title) = before_title(&decoded).map_or((&*decoded, None), |(head, title)| (head, Some(title)));
    let by_letters = head.trim().rsplit_once(['-', '*', '_', '.', ' ']).and_then(|(course, section)| {
        let is_letters = (1..=3).contains(&section.len()) && section.bytes().all(|b| b.is_ascii_uppercase());
        let named = split(course.trim_end()).ok().filter(|course| course.section.is_none() && is_letters)?;
        let has_number = named.name.split(' ').skip(1).any(is_number);
        has_number.then(|| Course { section: Some(section.to_owned()), title: title.map(str::to_owned), ..named })
    });
    Ok(by_letters.unwrap_or(course))
}

fn split_untitled(cell: &str) -> Result<Course, FindingKind> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, '-' | '*' | '_');
    let mut words: Vec<&str> = cell.split(is_separator).filter(|w| !w.is_empty()).collect();
    let without_section = |name: String| Ok(Course { name: bounded(name)?, section: None, title: None });
    if let Some((subject, number)) = words.first().and_then(|word| subject_and_number(word)) {
        words.splice(..1, [subject, number]);
    }
    match words[..] {
        [] => Err(FindingKind::CourseMissing),
        [word] => match dotted(word) {
            Some((name, section)) => Ok(Course { name: bounded(name)?, section, title: None }),
            None => without_section(word.to_owned()),
        },
        // `ACCT 201 Lec 1`: the section is `Lec 1`, beside `Rec 1`.
        [ref subject @ .., number, kind, section]
            if is_number(number) && !subject.is_empty() && is_section(section) && is_component(kind) =>
        {
            Ok(Course {
                name: bounded(format!("{} {number}", subject.join(" ")))?,
                section: Some(format!("{kind} {section}")),
                title: None,
            })
        }
        [ref subject @ .., number, section]
            if is_number_before_section(number) && !subject.is_empty() && is_section(section) =>
        {
            Ok(Course {
                name: bounded(format!("{} {number}", subject.join(" ")))?,
                section: Some(section.to_owned()),
                title: None,
            })
        }
        [ref subject @ .., last] => {
            let joined = subject.join(" ");
            match packed(last) {
                Some((number, section)) => Ok(Course {
                    name: bounded(format!("{joined} {number}"))?,
                    section: Some(section.to_owned()),
                    title: None,
                }),
                None => without_section(without_title(&words).unwrap_or_else(|| format!("{joined} {last}"))),
            }
        }
    }
}

/// Splits `MATH151`, whose subject has at least two letters.
fn subject_and_number(word: &str) -> Option<(&str, &str)> {
    let at = word.find(|c: char| c.is_ascii_digit()).filter(|at| *at >= 2)?;
    let (subject, number) = word.split_at(at);
    let is_plain = subject.bytes().all(|b| b.is_ascii_alphabetic()) && !number.contains('.');
    is_plain.then_some((subject, number))
}

/// Returns whether a word between a number and a section is a component, such as `Lec`.
fn is_component(word: &str) -> bool {
    word.len() >= 3 && component::known(word).is_some()
}

/// Splits `ACC.101.01`, `ACC.101` and `ACC/101/01`.
fn dotted(word: &str) -> Option<(String, Option<String>)> {
    let separator = if word.matches('/').count() == 2 { '/' } else { '.' };
    let parts: Vec<&str> = word.split(separator).collect();
    let is_subject = |text: &str| text.len() >= 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    match parts[..] {
        [subject, number] if is_subject(subject) && is_number(number) => Some((format!("{subject} {number}"), None)),
        [subject, number, section]
            if is_subject(subject) && is_number_before_section(number) && is_section(section) =>
        {
            Some((format!("{subject} {number}"), Some(section.to_owned())))
        }
        _ => None,
    }
}

/// Returns the course before a title, as in `AB 101: Open Water Ecology`; `None` if no title follows the number.
fn without_title(words: &[&str]) -> Option<String> {
    let number = words.iter().position(|word| is_number(word.trim_end_matches(':'))).filter(|at| *at > 0)?;
    let title = words[number + 1..].join(" ");
    let is_title = title.chars().filter(|c| c.is_alphabetic()).count() >= TITLE_LETTERS_MIN;
    is_title.then(|| words[..=number].join(" ").trim_end_matches(':').to_owned())
}

/// Returns whether a cell is the number of a course without its subject, such as `101` and `101L`.
pub(super) fn is_number_only(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(char::is_whitespace)
}

/// Returns whether a cell of course numbers also has the subject, such as `MATH 151` and `MATH-151-01`.
pub(super) fn is_whole(cell: &str) -> bool {
    let letters = cell.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(0);
    let rest = cell[letters..].trim_start_matches([' ', '-', '*']);
    let mut words = rest.split([' ', '-', '*', '.']);
    let (number, section) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    letters >= 2 && (is_number(number) || (is_number_before_section(number) && is_section(section)))
}

fn is_number(word: &str) -> bool {
    word.len() <= 6
        && word.bytes().filter(u8::is_ascii_digit).count() >= 2
        && word.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Returns whether a word before a section is a number, which then may have one digit, such as `1A`.
fn is_number_before_section(word: &str) -> bool {
    let starts_with_digit = word.starts_with(|c: char| c.is_ascii_digit());
    is_number(word) || (starts_with_digit && word.len() <= 6 && word.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_section(word: &str) -> bool {
    (1..=4).contains(&word.len())
        && word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Splits a packed number and section: `F001A01W` is `F001A` and `01W`, `F052.01W` is `F052` and `01W`.
fn packed(word: &str) -> Option<(&str, &str)> {
    let bytes = word.as_bytes();
    let alphanumeric = |b: &u8| b.is_ascii_alphanumeric();
    let shape = (7..=8).contains(&bytes.len())
        && bytes[0].is_ascii_alphabetic()
        && bytes[1].is_ascii_digit()
        && bytes[2].is_ascii_digit()
        && alphanumeric(&bytes[3])
        && (alphanumeric(&bytes[4]) || bytes[4] == b'.')
        && bytes[5..].iter().all(alphanumeric);
    shape.then(|| (word[..5].trim_end_matches('.'), &word[5..]))
}

fn bounded(name: String) -> Result<String, FindingKind> {
    if name.chars().count() > COURSE_CHARS_MAX {
        Err(FindingKind::CourseTooLong { max: COURSE_CHARS_MAX })
    } else {
        Ok(name)
    }
}

/// Returns whether a text is a course (an upper-case subject and a number) rather than prose.
pub(super) fn is_course(name: &str) -> bool {
    name.rsplit_once(' ').is_some_and(|(subject, number)| {
        number.bytes().any(|b| b.is_ascii_digit())
            && number.len() <= 8
            && subject.split(' ').count() <= 2
            && subject.len() <= 12
            && subject.bytes().all(|b| b.is_ascii_uppercase() || b == b' ' || b == b'&')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courses_are_split_from_sections() {
        let table = [
            ("MATH 151", "MATH 151", None),
            ("MATH  151A", "MATH 151A", None),
            ("MATH151", "MATH 151", None),
            ("MATH-151", "MATH 151", None),
            ("MATH 151 A01", "MATH 151", Some("A01")),
            ("MATH-151-01", "MATH 151", Some("01")),
            ("MATH*151*01", "MATH 151", Some("01")),
            ("MATH151 01", "MATH 151", Some("01")),
            ("MATH.151.01", "MATH 151", Some("01")),
            ("AB 101 - OPEN WATER ECOLOGY", "AB 101", None),
            ("AB 101: Open Water", "AB 101", None),
            ("AB 101-01 - Open Water", "AB 101", Some("01")),
            ("AB-101-01 (30001) Open Water", "AB 101", Some("01")),
            ("A&amp;B 101", "A&B 101", None),
            ("CIV ENGR 310", "CIV ENGR 310", None),
            ("ACTG F001A01W", "ACTG F001A", Some("01W")),
            ("ACTG F052.01W", "ACTG F052", Some("01W")),
            ("D H F304.01", "D H F304", Some("01")),
            ("CHEM F12AL01Z", "CHEM F12AL", Some("01Z")),
            ("NCBS F405.MPV", "NCBS F405", Some("MPV")),
            ("MATH F048AMVP", "MATH F048A", Some("MVP")),
            ("ANTH F001H1HW", "ANTH F001H", Some("1HW")),
            ("BIOL 101L", "BIOL 101L", None),
            ("YOGA", "YOGA", None),
            ("C S 1A", "C S 1A", None),
            ("MATH 1A-01", "MATH 1A", Some("01")),
            ("MATH1A-01", "MATH 1A", Some("01")),
            ("C S 1A 01", "C S 1A", Some("01")),
            ("MATH.1A.01", "MATH 1A", Some("01")),
            ("MATH 1A-01 - Calculus", "MATH 1A", Some("01")),
            ("MATH-1A", "MATH 1A", None),
            ("ACC/101/01", "ACC 101", Some("01")),
            ("ACCT 201 Lec 1", "ACCT 201", Some("Lec 1")),
            ("AR-124-N", "AR 124 N", None),
        ];
        for (cell, name, section) in table {
            let found = split(cell).unwrap();
            assert_eq!((&*found.name, found.section.as_deref()), (name, section), "{cell}");
        }
        assert!(split("").is_err());
        for (cell, whole) in [("MATH 1A-01", true), ("MATH 151", true), ("MATH 1A", false), ("1A", false)] {
            assert_eq!(is_whole(cell), whole, "{cell}");
        }
        assert!(split(&"X".repeat(COURSE_CHARS_MAX + 1)).is_err());
        assert_eq!(join("D H", "F 304"), Ok("D H F304".into()));
    }

    #[test]
    fn sections_may_be_letters_if_nothing_else_identifies_them() {
        for (cell, name, section) in [
            ("AR-124-N", "AR 124", Some("N")),
            ("AR*125*NE", "AR 125", Some("NE")),
            ("ACC  202  A", "ACC 202", Some("A")),
            ("AR 124-N - Drawing", "AR 124", Some("N")),
            ("AR-124-01", "AR 124", Some("01")),
            ("C S 1A", "C S 1A", None),
            ("BIO 101 Lab", "BIO 101 Lab", None),
        ] {
            let found = split_with_letters(cell).unwrap();
            assert_eq!((&*found.name, found.section.as_deref()), (name, section), "{cell}");
        }
    }

    #[test]
    fn prose_is_not_a_course() {
        for yes in ["MATH 151", "C S 1A", "ACTG F001A"] {
            assert!(is_course(yes), "{yes}");
        }
        for no in ["MATH", "complete one of MATH 151", "a grade of C", "minimum 2"] {
            assert!(!is_course(no), "{no}");
        }
    }
}
