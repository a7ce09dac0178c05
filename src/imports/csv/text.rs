//! Parses cells of text: unknown values, whole numbers, credits, names and lists.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;

use crate::domain::section::Credits;
use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::CountProblem;

/// The maximum length of a text cell, in characters. Real titles have up to 100.
pub(super) const TEXT_CHARS_MAX: usize = 1_000;
/// The maximum of a section's counts: seats, waitlist positions and students.
pub(super) const COUNT_MAX: u32 = 100_000;
/// The maximum number of items in a cell that is a list.
pub(super) const LIST_LEN_MAX: usize = 50;

/// Cell contents that mean "not known yet".
const UNKNOWN: [&str; 22] = [
    "tba", "tbd", "arr", "arranged", "n/a", "na", "-", "--", "---", "–", "—", ".", "tbs", "nan", "null", "#n/a",
    "&nbsp;", "*", "**", "***", "[]", "unknown",
];
/// Contents of a cell of text that mean "not known yet". In a cell of times, they are phrases to report.
const UNKNOWN_TEXTS: [&str; 4] = ["to be announced", "to be arranged", "to be assigned", "to be determined"];
/// Parts of phrases that mean that days or times are not set, such as `Hours Arranged`, `By Appointment`, `Does Not
/// Meet` and `Online`. A phrase has no digits.
const UNSCHEDULED: [&str; 36] = [
    "appt",
    "appoint",
    "announc",
    "arrang",
    "async",
    "arr ",
    "determin",
    "distance",
    "flexible",
    "independent",
    "internet",
    "no meet",
    "no set",
    "none",
    "not meet",
    "not schedul",
    "online",
    "on-line",
    "on line",
    "see ",
    "tba",
    "tbd",
    "unschedul",
    "vari",
    "web",
    "be schedul",
    "by arr",
    "blended",
    "correspond",
    "hybrid",
    "no day",
    "no time",
    "off campus",
    "paced",
    "remote",
    "virtual",
];
/// The maximum length of a phrase that means that days or times are not set, in characters. Longer text is a note.
const PHRASE_CHARS_MAX: usize = 60;

/// Returns whether a trimmed cell means "not known yet".
pub(super) fn is_unknown(cell: &str) -> bool {
    cell.is_empty() || UNKNOWN.iter().any(|u| cell.eq_ignore_ascii_case(u))
}

/// Returns whether a cell of days or times is a phrase that means that they are not set.
pub(super) fn is_unscheduled_phrase(cell: &str) -> bool {
    let lower = cell.to_lowercase();
    !cell.contains(|c: char| c.is_ascii_digit())
        && cell.chars().count() <= PHRASE_CHARS_MAX
        && UNSCHEDULED.iter().any(|part| lower.contains(part))
}

/// Replaces each run of white space, line breaks included, with one space.
pub(super) fn one_line(cell: &str) -> Cow<'_, str> {
    let tidy = !cell.contains("  ") && !cell.chars().any(|c| c.is_whitespace() && c != ' ');
    if tidy { Cow::Borrowed(cell) } else { Cow::Owned(cell.split_whitespace().collect::<Vec<_>>().join(" ")) }
}

/// HTML entities that may remain in text from web pages, each with its character.
const ENTITIES: [(&str, &str); 7] = [
    ("&nbsp;", " "),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#39;", "'"),
    ("&apos;", "'"),
    // Last, so that nothing is decoded twice.
    ("&amp;", "&"),
];

/// Replaces HTML entities, and control characters that are Windows-1252 in a file that is otherwise UTF-8.
pub(super) fn decoded(cell: &str) -> Cow<'_, str> {
    let is_c1 = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    let has_entity = cell.contains('&') && cell.contains(';');
    if !has_entity && !cell.contains(is_c1) {
        return Cow::Borrowed(cell);
    }
    let windows = |c: char| match u8::try_from(c) {
        Ok(byte) if is_c1(c) => WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next().unwrap_or(c),
        _ => c,
    };
    let text: String = cell.chars().map(windows).collect();
    Cow::Owned(ENTITIES.iter().fold(text, |text, (entity, character)| text.replace(entity, character)))
}

/// Parses text; `None` if not known yet.
pub(super) fn text(cell: &str) -> Result<Option<String>, FindingKind> {
    if is_unknown(cell) || UNKNOWN_TEXTS.iter().any(|unknown| cell.eq_ignore_ascii_case(unknown)) {
        return Ok(None);
    }
    let decoded = decoded(cell);
    let text = one_line(decoded.trim());
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(FindingKind::TextTooLong { max: TEXT_CHARS_MAX });
    }
    Ok(Some(text.into_owned()))
}

/// Removes the commas, spaces or apostrophes between groups of three digits: `1,200` becomes `1200`.
fn without_separators(cell: &str) -> Cow<'_, str> {
    let separator = |c: char| matches!(c, ',' | ' ' | '\u{a0}' | '\u{202f}' | '\'');
    let (first, rest) = cell.split_at(cell.find(separator).unwrap_or(cell.len()));
    let whole = rest.split('.').next().unwrap_or_default();
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_grouped = (1..=3).contains(&first.len())
        && is_digits(first)
        && !rest.is_empty()
        && whole.split(separator).skip(1).all(|group| group.len() == 3 && is_digits(group));
    if is_grouped { Cow::Owned(cell.replace(separator, "")) } else { Cow::Borrowed(cell) }
}

/// Parses a whole number; `25.0` and `1,200`, as spreadsheets write them, are 25 and 1200. `1.000` has two meanings and
/// is an error.
pub(super) fn count(cell: &str) -> Result<Option<u32>, CountProblem> {
    if is_unknown(cell) {
        return Ok(None);
    }
    // `25*` has a footnote.
    let cell = cell.trim_end_matches('*').trim_end();
    let cell = [" seats", " students"].iter().find_map(|unit| cell.strip_suffix(unit)).unwrap_or(cell);
    let number = without_separators(cell);
    let (whole, part) = number.split_once('.').unwrap_or((&number, ""));
    if cell.starts_with('-') {
        return Err(CountProblem::Negative);
    }
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) || !part.bytes().all(|b| b == b'0') {
        return Err(CountProblem::NotWhole);
    }
    // `1.000` is 1 with decimals in one country and one thousand in another.
    let is_doubtful = part.len() == 3 && whole.len() <= 3 && number == cell && whole.bytes().any(|b| b != b'0');
    if is_doubtful {
        return Err(CountProblem::DoubtfulDot { cell: cell.to_owned(), whole: whole.to_owned() });
    }
    match whole.parse() {
        Ok(n) if n <= COUNT_MAX => Ok(Some(n)),
        _ => Err(CountProblem::CountTooLarge { max: COUNT_MAX }),
    }
}

/// The seats in a cell such as `25`, `10/25` or `18 / 30 / 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seats {
    /// The first of two numbers: the taken or the free seats.
    pub(super) first: Option<u32>,
    /// Whether the cell states that the first number is that of free seats.
    pub(super) is_free: bool,
    pub(super) capacity: u32,
    /// The third number.
    pub(super) waitlisted: Option<u32>,
}

/// Parses a capacity, which may follow the taken or the free seats: `25`, `10/25`, `10 of 25`, `10 of 25 seats remain`. A
/// third number is that of the waitlist.
pub(super) fn seats(cell: &str) -> Result<Option<Seats>, CountProblem> {
    if let Some((free, capacity)) = remaining_seats(cell) {
        return Ok(Some(Seats { first: Some(free), is_free: true, capacity, waitlisted: None }));
    }
    let lower = cell.to_lowercase();
    let split = [" out of ", " of ", "/"].iter().find_map(|separator| lower.split_once(separator));
    if let Some((first, rest)) = split {
        let (capacity, third) = rest.split_once('/').map_or((rest, ""), |(capacity, third)| (capacity, third));
        if let (Ok(first), Ok(Some(capacity)), Ok(waitlisted)) =
            (count(first.trim()), count(capacity.trim()), count(third.trim()))
        {
            return Ok(Some(Seats { first, capacity, waitlisted, is_free: false }));
        }
    }
    Ok(count(cell)?.map(|capacity| Seats { capacity, ..Seats::default() }))
}

/// Parses Banner's text about free seats, such as `FULL: 0 of 25 seats remain.`: the free seats and the capacity.
pub(super) fn remaining_seats(cell: &str) -> Option<(u32, u32)> {
    if !cell.contains(" of ") {
        return None;
    }
    let lower = cell.to_lowercase();
    let before = &lower[..lower.find(" seats remain")?];
    let (free, capacity) = before.rsplit_once(" of ")?;
    let free = free.rsplit([' ', ':']).next().unwrap_or_default();
    Some((count(free.trim()).ok()??, count(capacity.trim()).ok()??))
}

/// Words for no free seats among numbers of free seats.
const NO_FREE_SEATS: [&str; 2] = ["full", "closed"];

/// Parses a number of free seats, which is negative in a section with too many students; `Full` and `Closed` are 0.
/// Returns `None` for other text.
pub(super) fn free_seats(cell: &str) -> Option<i64> {
    if NO_FREE_SEATS.iter().any(|word| cell.eq_ignore_ascii_case(word)) {
        return Some(0);
    }
    match cell.strip_prefix('-') {
        Some(excess) => count(excess).ok()?.map(|n| -i64::from(n)),
        None => seats(cell).ok()?.map(|seats| i64::from(seats.first.unwrap_or(seats.capacity))),
    }
}

/// Units that may follow a number of credits.
const CREDIT_UNITS: [&str; 9] = ["credits", "credit", "cr.", "cr", "crs", "units", "unit", "hours", "hrs"];

/// Parses credits, with or without a unit. A range yields its lower bound and a warning; variable credits yield 0 and a
/// warning.
pub(super) fn credits(cell: &str) -> Result<Option<(Credits, Option<FindingKind>)>, FindingKind> {
    if is_unknown(cell) {
        return Ok(None);
    }
    let lower = cell.to_lowercase();
    if lower.starts_with("var") || lower == "v" {
        return Ok(Some((Credits(0), Some(FindingKind::CreditsVariable))));
    }
    let lower = lower.trim_start_matches('(').trim_end_matches(')');
    let cell = CREDIT_UNITS.iter().find_map(|unit| lower.strip_suffix(unit)).unwrap_or(lower).trim_end();
    if let Some(credits) = Credits::parse(cell) {
        return Ok(Some((credits, None)));
    }
    let upper = cell.to_ascii_uppercase();
    let range = [" TO ", " OR ", "-", "/", "–"].iter().find_map(|separator| {
        let (low, high) = upper.split_once(separator)?;
        Some((Credits::parse(low.trim())?, Credits::parse(high.trim())?))
    });
    match range {
        Some((a, b)) if a == b => Ok(Some((a, None))),
        Some((a, b)) => {
            let low = a.min(b);
            Ok(Some((low, Some(FindingKind::CreditsRange { low: low.as_f64().to_string() }))))
        }
        None => Err(FindingKind::CreditsForm),
    }
}

/// Splits a cell that is a list, and omits unknown items.
pub(super) fn list<'c>(cell: &'c str, separators: &[char]) -> Result<Vec<&'c str>, FindingKind> {
    let items: Vec<_> = cell.split(separators).map(str::trim).filter(|i| !is_unknown(i)).collect();
    if items.len() > LIST_LEN_MAX { Err(FindingKind::ListTooLong { max: LIST_LEN_MAX }) } else { Ok(items) }
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
        for (cell, n) in [
            ("0", 0),
            ("25", 25),
            ("25.0", 25),
            ("25 seats", 25),
            ("1,200", 1_200),
            ("1,200.000", 1_200),
            ("0.000", 0),
            ("100000", 100_000),
        ] {
            assert_eq!(count(cell), Ok(Some(n)), "{cell}");
        }
        for bad in [
            "-1",
            "1.000",
            "25.000",
            "1.200",
            "2.5",
            "x",
            "1e3",
            "100001",
            "99999999999999",
            ".0",
            "1,00",
            "1,2000",
            ",100",
            "33 (50)",
            "12 30",
        ] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_for_a_full_section_mean_no_free_seats() {
        for (cell, free) in [("Full", Some(0)), ("CLOSED", Some(0)), ("3", Some(3)), ("-2", Some(-2)), ("Yes", None)] {
            assert_eq!(free_seats(cell), free, "{cell}");
        }
    }

    #[test]
    fn credit_ranges_yield_the_lower_bound_and_a_warning() {
        for (cell, thousandths, warned) in [
            ("1.500", 1_500, false),
            ("10.500 TO 13.000", 10_500, true),
            ("3.750 OR 7.500", 3_750, true),
            ("1-4", 1_000, true),
            ("3 credits", 3_000, false),
            ("1 - 4 units", 1_000, true),
            ("4 to 1", 1_000, true),
        ] {
            let (credits, warning) = credits(cell).unwrap().unwrap();
            assert_eq!((credits.0, warning.is_some()), (thousandths, warned), "{cell}");
        }
        for bad in ["three", "1.5 TO", "-1", "1 TO x", "3-0-0-0(9)", "3,5"] {
            assert!(credits(bad).is_err(), "{bad}");
        }
        let (variable, warning) = credits("VAR").unwrap().unwrap();
        assert_eq!((variable, warning.is_some()), (Credits(0), true));
        assert_eq!(credits("TBA"), Ok(None));
    }

    #[test]
    fn phrases_for_unset_times_are_recognized() {
        for phrase in ["Hours Arranged", "By Appointment", "To Be Announced", "Does Not Meet", "Online", "Varies"] {
            assert!(is_unscheduled_phrase(phrase), "{phrase}");
        }
        for other in ["MWF", "9:00-10:00", "Monday", "Online 9:00", "Blue"] {
            assert!(!is_unscheduled_phrase(other), "{other}");
        }
    }
}
