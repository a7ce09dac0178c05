//! Reads the prerequisites of a section: a list of courses, or an expression.

use crate::domain::prerequisite::Requirement;
use crate::imports::csv::{course, text};
use crate::imports::finding_kind::FindingKind;

/// The prerequisites that a cell states.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Prerequisites {
    /// Courses and expressions, each of them required.
    pub(super) required: Vec<String>,
    /// The warning about what is not imported, if any.
    pub(super) warning: Option<FindingKind>,
}

/// Reads the prerequisites of a cell, such as `MATH 100; MATH 101` and `MATH 100 or MATH 101 with C`.
pub(super) fn read(cell: &str) -> Prerequisites {
    let refused = |warning| Prerequisites { required: Vec::new(), warning: Some(warning) };
    let Ok(items) = text::list(cell, &[',', ';', '|']) else {
        return refused(FindingKind::TooManyPrerequisites);
    };
    if let Some(items) = items.iter().map(|item| read_item(item)).collect::<Option<Vec<_>>>() {
        let shortened = items.iter().find_map(|item| item.shortened);
        return Prerequisites {
            warning: shortened.map(|item| FindingKind::PrerequisiteShortened { item: item.to_owned() }),
            required: items.into_iter().map(|item| item.required).collect(),
        };
    }
    match Requirement::parse_list(cell) {
        Some(required) => Prerequisites { required: required.iter().map(ToString::to_string).collect(), warning: None },
        None => refused(FindingKind::PrerequisitesForm),
    }
}

/// An item of a list.
struct Item<'a> {
    required: String,
    /// The text of the item, if only its course is imported.
    shortened: Option<&'a str>,
}

fn read_item(item: &str) -> Option<Item<'_>> {
    // An expression first: it also has the conditions of a course, such as `with C`.
    if let Some(requirement) = Requirement::parse_expression(item) {
        return Some(Item { required: requirement.to_string(), shortened: None });
    }
    let course = course::split(item).ok()?.name;
    let is_whole = letters_and_digits(&text::decoded(item)).eq(letters_and_digits(&course));
    course::is_course(&course).then(|| Item { required: course, shortened: (!is_whole).then_some(item) })
}

fn letters_and_digits(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courses_and_expressions_are_read_without_a_warning() {
        let cases: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("TBA", &[]),
            ("MATH 100; MATH-101", &["MATH 100", "MATH 101"]),
            ("MATH100|PHYS 2", &["MATH 100", "PHYS 2"]),
            ("MATH 150 with C", &["MATH 150 with C"]),
            ("MATH 100 or MATH 101 with C", &["MATH 100 or MATH 101 with C"]),
            ("MATH 100 and PHYS 2 concurrently", &["MATH 100 and PHYS 2 concurrently"]),
        ];
        for (cell, required) in cases {
            let read = read(cell);
            assert_eq!(
                (read.required, read.warning),
                (required.iter().map(ToString::to_string).collect(), None),
                "{cell}"
            );
        }
    }

    #[test]
    fn text_that_is_not_imported_is_named_in_a_warning() {
        let cases = [
            ("MATH 150 with a grade of 2.0", "MATH 150"),
            ("MATH 100; MATH 150 - Calculus II", "MATH 150"),
            ("MATH-150-A01", "MATH 150"),
        ];
        for (cell, last) in cases {
            let read = read(cell);
            assert_eq!(read.required.last().map(String::as_str), Some(last), "{cell}");
            let warning = read.warning.expect(cell).to_string();
            let item = cell.rsplit(';').next().unwrap().trim();
            assert!(warning.contains(&format!("`{item}`")), "{warning}");
        }
        let refused = read("Permission of the department");
        assert!(refused.required.is_empty() && refused.warning == Some(FindingKind::PrerequisitesForm));
    }
}
