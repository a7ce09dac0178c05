//! Parses cells of text: unknown values, whole numbers, credits, names and lists.

use std::borrow::Cow;

use crate::domain::section::Credits;

/// The maximum length of a text cell, in characters. Real titles have up to 100.
pub(super) const TEXT_CHARS_MAX: usize = 1_000;
/// The maximum of a section's counts: seats, waitlist positions and students.
pub(super) const COUNT_MAX: u32 = 100_000;
/// The maximum number of items in a cell that is a list.
const LIST_LEN_MAX: usize = 50;

/// Cell contents that mean "not known yet".
const UNKNOWN: [&str; 8] = ["tba", "tbd", "arr", "arranged", "n/a", "na", "-", "--"];

/// Returns whether a trimmed cell means "not known yet".
pub(super) fn is_unknown(cell: &str) -> bool {
    cell.is_empty() || UNKNOWN.iter().any(|u| cell.eq_ignore_ascii_case(u))
}

/// Replaces each run of white space, line breaks included, with one space.
pub(super) fn one_line(cell: &str) -> Cow<'_, str> {
    let tidy = !cell.contains("  ") && !cell.chars().any(|c| c.is_whitespace() && c != ' ');
    if tidy { Cow::Borrowed(cell) } else { Cow::Owned(cell.split_whitespace().collect::<Vec<_>>().join(" ")) }
}

/// Parses text; `None` if not known yet.
pub(super) fn text(cell: &str) -> Result<Option<String>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    let text = one_line(cell);
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(format!("Text must be at most {TEXT_CHARS_MAX} characters"));
    }
    Ok(Some(text.into_owned()))
}

/// Parses a whole number; `25.0`, as spreadsheets write it, is 25. Errors are worded to follow the name of the column.
pub(super) fn count(cell: &str) -> Result<Option<u32>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    let (whole, part) = cell.split_once('.').unwrap_or((cell, ""));
    if cell.starts_with('-') {
        return Err("must not be negative".into());
    }
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) || !part.bytes().all(|b| b == b'0') {
        return Err("must be a whole number".into());
    }
    match whole.parse() {
        Ok(n) if n <= COUNT_MAX => Ok(Some(n)),
        _ => Err(format!("must be at most {COUNT_MAX}")),
    }
}

/// Parses credits. A range yields its lower bound and a warning.
pub(super) fn credits(cell: &str) -> Result<Option<(Credits, Option<String>)>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    if let Some(credits) = Credits::parse(cell) {
        return Ok(Some((credits, None)));
    }
    let upper = cell.to_ascii_uppercase();
    let range = [" TO ", " OR ", "-", "/", "–"].iter().find_map(|separator| {
        let (low, high) = upper.split_once(separator)?;
        Some((Credits::parse(low.trim())?, Credits::parse(high.trim())?))
    });
    match range {
        Some((a, b)) => {
            let low = a.min(b);
            Ok(Some((low, Some(format!("The lower bound of the range of credits is imported: {}", low.as_f64())))))
        }
        None => Err("Credits must be a number from 0 to 1,000, such as 3 or 1.5".into()),
    }
}

/// Parses a component, in lower case.
pub(super) fn component(cell: &str) -> Result<Option<String>, String> {
    Ok(text(cell)?.map(|t| t.to_lowercase()))
}

/// Parses the names of instructors. Removes ` ( P )`, with which Banner marks the primary instructor.
pub(super) fn instructor(cell: &str) -> Result<Option<String>, String> {
    let Some(mut name) = text(cell)? else { return Ok(None) };
    for mark in ["( P )", "(P)"] {
        name = name.replace(mark, "");
    }
    let name = one_line(name.trim()).replace(" ,", ",");
    Ok((!is_unknown(&name)).then_some(name))
}

/// Splits a cell of instructors. A comma separates names only if Banner's mark shows that the cell is a list; otherwise
/// it is part of a name (`Smith, Ann`).
pub(super) fn instructors(cell: &str) -> Vec<String> {
    let marked = cell.contains("( P )") || cell.contains("(P)");
    cell.split(|c| c == ';' || (marked && c == ','))
        .filter_map(|part| instructor(part.trim()).ok().flatten())
        .take(LIST_LEN_MAX)
        .collect()
}

/// Splits a cell that is a list.
pub(super) fn list<'c>(cell: &'c str, separators: &[char]) -> Result<Vec<&'c str>, String> {
    let items: Vec<_> = cell.split(separators).map(str::trim).filter(|i| !is_unknown(i)).collect();
    if items.len() > LIST_LEN_MAX { Err(format!("The list must have at most {LIST_LEN_MAX} items")) } else { Ok(items) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_cells_are_not_known_yet() {
        for cell in ["", "TBA", "tba", "TBD", "ARR"] {
            assert_eq!(text(cell), Ok(None), "{cell:?}");
            assert_eq!(count(cell), Ok(None), "{cell:?}");
        }
        assert_eq!(text("Tbar lifts"), Ok(Some("Tbar lifts".into())));
        assert_eq!(text("two\r\nlines  here"), Ok(Some("two lines here".into())));
        assert!(text(&"x".repeat(TEXT_CHARS_MAX + 1)).is_err());
    }

    #[test]
    fn counts_are_whole_and_bounded() {
        for (cell, n) in [("0", 0), ("25", 25), ("25.0", 25), ("100000", 100_000)] {
            assert_eq!(count(cell), Ok(Some(n)), "{cell}");
        }
        for bad in ["-1", "2.5", "x", "1e3", "100001", "99999999999999", ".0", "1,000"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credit_ranges_yield_the_lower_bound_and_a_warning() {
        for (cell, thousandths, warned) in [
            ("1.500", 1_500, false),
            ("10.500 TO 13.000", 10_500, true),
            ("3.750 OR 7.500", 3_750, true),
            ("1-4", 1_000, true),
            ("4 to 1", 1_000, true),
        ] {
            let (credits, warning) = credits(cell).unwrap().unwrap();
            assert_eq!((credits.0, warning.is_some()), (thousandths, warned), "{cell}");
        }
        for bad in ["three", "1.5 TO", "-1", "1 TO x"] {
            assert!(credits(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn banner_marks_are_removed_and_split_instructor_lists() {
        let both = "Ann Smith ( P ), Bo Lee";
        assert_eq!(instructor(both), Ok(Some("Ann Smith, Bo Lee".into())));
        assert_eq!(instructor("Ann Smith (P)"), Ok(Some("Ann Smith".into())));
        assert_eq!(instructor("TBA"), Ok(None));
        assert_eq!(instructors(both), ["Ann Smith", "Bo Lee"]);
        assert_eq!(instructors("Smith, Ann"), ["Smith, Ann"]);
        assert_eq!(instructors("Smith, Ann; Lee, Bo"), ["Smith, Ann", "Lee, Bo"]);
    }
}
