//! Plain cells: what is blank, whole numbers, credits, names, lists.

use std::borrow::Cow;

use crate::domain::section::Credits;

/// The most characters of a cell of a section's own; real titles have up to 100.
pub(super) const TEXT_CHARS_MAX: usize = 1_000;
/// The most seats or places of one section, and the most people in one.
pub(super) const PEOPLE_MAX: u32 = 100_000;
/// The most sections or courses that one cell lists.
const LIST_LEN_MAX: usize = 50;

/// What stands in a cell that says "not known yet".
const UNKNOWN: [&str; 8] = ["tba", "tbd", "arr", "arranged", "n/a", "na", "-", "--"];

/// Whether a trimmed cell says nothing yet.
pub(super) fn is_unknown(cell: &str) -> bool {
    cell.is_empty() || UNKNOWN.iter().any(|u| cell.eq_ignore_ascii_case(u))
}

/// The cell on one line: white space, the line breaks of a quoted cell too, as single blanks.
pub(super) fn one_line(cell: &str) -> Cow<'_, str> {
    let tidy = !cell.contains("  ") && !cell.chars().any(|c| c.is_whitespace() && c != ' ');
    if tidy { Cow::Borrowed(cell) } else { Cow::Owned(cell.split_whitespace().collect::<Vec<_>>().join(" ")) }
}

/// Text of a section's own: none while not known.
pub(super) fn text(cell: &str) -> Result<Option<String>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    let text = one_line(cell);
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(format!("the text is longer than {TEXT_CHARS_MAX} characters"));
    }
    Ok(Some(text.into_owned()))
}

/// A whole number of people; `25.0`, as spreadsheets write it, is 25.
pub(super) fn people(cell: &str) -> Result<Option<u32>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    let (whole, part) = cell.split_once('.').unwrap_or((cell, ""));
    if cell.starts_with('-') {
        return Err("the number must not be below 0".into());
    }
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) || !part.bytes().all(|b| b == b'0') {
        return Err("this is not a whole number".into());
    }
    match whole.parse() {
        Ok(n) if n <= PEOPLE_MAX => Ok(Some(n)),
        _ => Err(format!("the number must not be above {PEOPLE_MAX}")),
    }
}

/// Credits, and a warning when the cell has a range, which counts as its lower bound.
pub(super) fn credits(cell: &str) -> Result<Option<(Credits, Option<String>)>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    if let Some(credits) = Credits::parse(cell) {
        return Ok(Some((credits, None)));
    }
    let upper = cell.to_ascii_uppercase();
    let range = [" TO ", " OR ", "-", "/", "–"].iter().find_map(|between| {
        let (low, high) = upper.split_once(between)?;
        Some((Credits::parse(low.trim())?, Credits::parse(high.trim())?))
    });
    match range {
        Some((a, b)) => {
            let low = a.min(b);
            Ok(Some((low, Some(format!("a range of credits counts as its lower bound, {}", low.as_f64())))))
        }
        None => Err("credits read as a number such as 3 or 1.5, up to 1,000".into()),
    }
}

/// The kind of class, in lower case.
pub(super) fn component(cell: &str) -> Result<Option<String>, String> {
    Ok(text(cell)?.map(|t| t.to_lowercase()))
}

/// Names of instructors without Banner's ` ( P )` after the primary one.
pub(super) fn instructor(cell: &str) -> Result<Option<String>, String> {
    let Some(mut name) = text(cell)? else { return Ok(None) };
    for mark in ["( P )", "(P)"] {
        name = name.replace(mark, "");
    }
    let name = one_line(name.trim()).replace(" ,", ",");
    Ok((!is_unknown(&name)).then_some(name))
}

/// The single persons of an instructor's cell. A comma separates persons only where Banner's mark shows that the cell
/// is a list: elsewhere it stands within a name (`Smith, Ann`).
pub(super) fn persons(cell: &str) -> Vec<String> {
    let marked = cell.contains("( P )") || cell.contains("(P)");
    cell.split(|c| c == ';' || (marked && c == ','))
        .filter_map(|part| instructor(part.trim()).ok().flatten())
        .take(LIST_LEN_MAX)
        .collect()
}

/// The items of a cell that lists several.
pub(super) fn list<'c>(cell: &'c str, separators: &[char]) -> Result<Vec<&'c str>, String> {
    let items: Vec<_> = cell.split(separators).map(str::trim).filter(|i| !is_unknown(i)).collect();
    if items.len() > LIST_LEN_MAX { Err(format!("the cell lists more than {LIST_LEN_MAX}")) } else { Ok(items) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_says_nothing_is_not_known_yet() {
        for cell in ["", "TBA", "tba", "TBD", "ARR"] {
            assert_eq!(text(cell), Ok(None), "{cell:?}");
            assert_eq!(people(cell), Ok(None), "{cell:?}");
        }
        assert_eq!(text("Tbar lifts"), Ok(Some("Tbar lifts".into())));
        assert_eq!(text("two\r\nlines  here"), Ok(Some("two lines here".into())));
        assert!(text(&"x".repeat(TEXT_CHARS_MAX + 1)).is_err());
    }

    #[test]
    fn numbers_of_people_are_whole_and_bounded() {
        for (cell, n) in [("0", 0), ("25", 25), ("25.0", 25), ("100000", 100_000)] {
            assert_eq!(people(cell), Ok(Some(n)), "{cell}");
        }
        for bad in ["-1", "2.5", "x", "1e3", "100001", "99999999999999", ".0", "1,000"] {
            assert!(people(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_range_of_credits_counts_as_its_lower_bound_with_a_warning() {
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
    fn instructors_lose_banners_mark_and_lists_come_apart_only_where_they_are_lists() {
        let both = "Ann Smith ( P ), Bo Lee";
        assert_eq!(instructor(both), Ok(Some("Ann Smith, Bo Lee".into())));
        assert_eq!(instructor("Ann Smith (P)"), Ok(Some("Ann Smith".into())));
        assert_eq!(instructor("TBA"), Ok(None));
        assert_eq!(persons(both), ["Ann Smith", "Bo Lee"]);
        assert_eq!(persons("Smith, Ann"), ["Smith, Ann"]);
        assert_eq!(persons("Smith, Ann; Lee, Bo"), ["Smith, Ann", "Lee, Bo"]);
    }
}
