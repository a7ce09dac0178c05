//! Parses the component of a section, the kind of class, from its own column, or infers it from the section's label and
//! title.

use crate::imports::csv::text;
use crate::imports::finding_kind::FindingKind;

/// The component of a row from which no other can be inferred.
pub(super) const DEFAULT_COMPONENT: &str = "lecture";

/// Abbreviations and spellings of components, with the name under which all of them are imported. Sections of one
/// course and component exclude each other, so two spellings of one component would let a student take two lectures.
const NAMES: [(&str, &[&str]); 13] = [
    ("lecture", &["lec", "lect", "lectures", "le", "lecture only"]),
    ("lab", &["laboratory", "labs", "lb", "laboratories", "lab only"]),
    ("discussion", &["dis", "disc", "discussion section"]),
    ("recitation", &["rec", "rct", "recit"]),
    ("seminar", &["sem", "semr", "sm"]),
    ("tutorial", &["tut", "tutorials"]),
    ("studio", &["stu", "std", "studios"]),
    ("clinical", &["cln", "clin", "clinic"]),
    ("practicum", &["pra", "prac", "practica"]),
    ("internship", &["int", "intern", "internships"]),
    ("independent study", &["ind", "independent", "is", "directed study"]),
    ("field work", &["fld", "field", "fieldwork", "field studies"]),
    ("thesis", &["ths", "thesis research"]),
];

/// Words of a title that show the component of a class other than the lecture.
const TITLE_WORDS: [(&str, &str); 6] = [
    ("laboratory", "lab"),
    ("lab", "lab"),
    ("discussion", "discussion"),
    ("recitation", "recitation"),
    ("tutorial", "tutorial"),
    ("clinical", "clinical"),
];

/// Parses a component, and returns its name in lower case; `None` if it is not known yet.
pub(super) fn parse(cell: &str) -> Result<Option<String>, FindingKind> {
    let Some(text) = text::text(cell)? else { return Ok(None) };
    let lower = text.to_lowercase();
    let short = lower.trim_end_matches('.');
    let known = NAMES.iter().find(|(name, others)| *name == short || others.contains(&short));
    Ok(Some(known.map_or(lower.clone(), |(name, _)| (*name).to_owned())))
}

/// Returns the component of which a text is a known name or abbreviation.
pub(super) fn known(text: &str) -> Option<&'static str> {
    let lower = text.trim_end_matches('.').to_lowercase();
    let known = NAMES.iter().find(|(name, others)| *name == lower || others.contains(&&*lower));
    known.map(|(name, _)| *name)
}

/// Splits the component from a label such as `01-LEC Regular` and `001-LAB(2046)`.
pub(super) fn split_label(label: &str) -> Option<(&str, &'static str)> {
    let (number, rest) = label.split_once('-')?;
    let word = rest.split(|c: char| !c.is_alphabetic()).next()?;
    let is_number = (1..=5).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_alphanumeric());
    known(word).filter(|_| is_number && word.len() >= 2).map(|component| (number, component))
}

/// Returns the component in a label that begins with it, such as `LEC 001` and `Rec 1`.
pub(super) fn of_label(label: &str) -> Option<&'static str> {
    let (word, number) = label.split_once([' ', '-'])?;
    known(word).filter(|_| word.len() >= 3 && number.bytes().any(|b| b.is_ascii_digit()))
}

/// Infers the component from a title such as `Shore Life Laboratory`, or a label such as `L01`. Returns `None` if
/// neither shows one; the section is then a lecture.
pub(super) fn infer(section: Option<&str>, title: Option<&str>) -> Option<&'static str> {
    let title = title.unwrap_or_default().to_lowercase();
    let words: Vec<&str> = title.split(|c: char| !c.is_alphanumeric()).collect();
    let by_title = TITLE_WORDS.iter().find(|(word, _)| words.contains(word)).map(|(_, component)| *component);
    by_title.or_else(|| {
        let label = section.unwrap_or_default().to_ascii_uppercase();
        let digits = label.strip_prefix("LAB").or_else(|| label.strip_prefix('L'))?;
        let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some("lab")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_component_become_one() {
        let table = [
            ("Lec", "lecture"),
            ("LECTURE ", "lecture"),
            ("Laboratory", "lab"),
            ("LAB", "lab"),
            ("Disc.", "discussion"),
            ("Private Lesson", "private lesson"),
        ];
        for (cell, expected) in table {
            assert_eq!(parse(cell.trim()), Ok(Some(expected.to_owned())), "{cell}");
        }
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn labels_may_begin_with_the_component() {
        let table =
            [("LEC 001", Some("lecture")), ("DIS 101", Some("discussion")), ("Lab-2", Some("lab")), ("A 1", None)];
        for (label, expected) in table {
            assert_eq!(of_label(label), expected, "{label}");
        }
    }

    #[test]
    fn labs_are_inferred_from_title_or_label() {
        let table = [
            (Some("001"), Some("Shore Life"), None),
            (Some("L01"), Some("Shore Life"), Some("lab")),
            (Some("001"), Some("Shore Life Laboratory"), Some("lab")),
            (Some("01"), Some("Labor Law"), None),
            (Some("LX1"), None, None),
            (None, None, None),
        ];
        for (section, title, expected) in table {
            assert_eq!(infer(section, title), expected, "{section:?} {title:?}");
        }
    }
}
