//! Parses dates and date ranges as databases, spreadsheets and people write them: `2022-09-07`, `20220907`,
//! `2022-09-07T00:00:00`, `09/21/2020`, `20-JAN-31`, `20.01.2031`, `Sep 07, 2022`, `7 de septiembre de 2022`, the
//! serial number 44811; ranges with ` - ` or `..`.
//!
//! Whether the month or the day comes first in `3/4/2031` is decided for a whole file; see [`DayOrder`].

use jiff::civil::Date;
use jiff::{Span, ToSpan};

use crate::imports::csv::text::is_unknown;
use crate::imports::finding_kind::FindingKind;

/// The accepted formats, for error messages.
pub(in crate::imports) const FORMATS: &str = "2022-09-07, 09/21/2020, or Sep 07, 2022";
/// Names of the months in English and Spanish. An abbreviation has at least three letters.
const MONTHS: [[&str; 2]; 12] = [
    ["january", "enero"],
    ["february", "febrero"],
    ["march", "marzo"],
    ["april", "abril"],
    ["may", "mayo"],
    ["june", "junio"],
    ["july", "julio"],
    ["august", "agosto"],
    ["september", "septiembre"],
    ["october", "octubre"],
    ["november", "noviembre"],
    ["december", "diciembre"],
];
/// Names of weekdays, which may precede a date, by their first three letters.
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Serial numbers of dates in spreadsheets that are accepted: 1982 to 2064. Day 1 is 1900-01-01, and the spreadsheets
/// count February 29, 1900, which did not exist.
const SERIALS: std::ops::RangeInclusive<i32> = 30_000..=60_000;
/// Day 0 of serial numbers, for days after February 1900.
const SERIAL_EPOCH: Date = jiff::civil::date(1899, 12, 30);

/// First and last date; `None` if not known.
pub(super) type DateRange = (Option<Date>, Option<Date>);

/// Whether the month or the day comes first in a numeric date such as `3/4/2031`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum DayOrder {
    /// As in the United States.
    #[default]
    MonthFirst,
    /// As in most other countries.
    DayFirst,
}

/// What the numeric dates of a file show about the order of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OrderEvidence {
    /// The line of the first date that can only be read with the month first.
    pub(super) month_first: Option<u64>,
    /// The line of the first date that can only be read with the day first.
    pub(super) day_first: Option<u64>,
    /// The line of the first date that can be read in both orders, with different results.
    pub(super) ambiguous: Option<u64>,
}

impl OrderEvidence {
    /// Adds the dates of a cell, which may be a range.
    pub(super) fn add(&mut self, cell: &str, line: u64) {
        let parts = split_range(cell).map_or([cell, ""], |(from, to)| [from, to]);
        for part in parts {
            let words = words(without_weekday_and_time(part));
            let [a, b, _] = words[..] else { continue };
            let (Some(a), Some(b)) = (short_number(a), short_number(b)) else { continue };
            if part.contains('.') {
                continue;
            }
            let field = match (a <= 12, b <= 12) {
                (true, false) => &mut self.month_first,
                (false, true) => &mut self.day_first,
                (true, true) if a != b => &mut self.ambiguous,
                _ => continue,
            };
            field.get_or_insert(line);
        }
    }

    /// Adds the dates among the other words of a cell of meetings. Returns whether there are any.
    pub(super) fn add_inner(&mut self, cell: &str, line: u64) -> bool {
        // Almost all cells have only days and times. They are recognized quickly, because every row is surveyed.
        if !cell.contains('/') && cell.bytes().filter(|byte| *byte == b'-').count() < 2 {
            return false;
        }
        let words = cell.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '(' | ')'));
        let with_slashes = words.clone().filter(|word| word.contains('/')).flat_map(|word| word.split(['-', '–']));
        let with_hyphens = words.filter(|word| !word.contains(['/', ':']) && word.matches('-').count() == 2);
        let is_date = |word: &&str| word.contains('-') || word.matches('/').count() == 2;
        let mut has_dates = false;
        for word in with_slashes.chain(with_hyphens).filter(is_date) {
            has_dates |= word.contains(|c: char| c.is_ascii_digit());
            self.add(word, line);
        }
        has_dates
    }

    /// Returns the order: the month is first unless only dates with the day first were found.
    pub(super) fn order(self) -> DayOrder {
        if self.day_first.is_some() && self.month_first.is_none() { DayOrder::DayFirst } else { DayOrder::MonthFirst }
    }
}

/// Parses a range of dates. A single date is a range of one day. The first date may lack the year of the second.
pub(super) fn range(cell: &str, order: DayOrder) -> Result<DateRange, FindingKind> {
    if is_unknown(cell) {
        return Ok((None, None));
    }
    let split = split_range(cell);
    // A range is tried before a single date, because a time of day may follow each of the two dates.
    if let Some((from, to)) = split
        && let (Some(first), Some(last)) = (date(from, order), date(to, order))
    {
        return ordered(Some(first), Some(last));
    }
    if let Some(day) = date(cell, order) {
        return Ok((Some(day), Some(day)));
    }
    let (from, to) = split.ok_or(FindingKind::DateRangeForm)?;
    if let Some(last) = date(to, order)
        && date(from, order).is_none()
        && let Some(first) = date(&format!("{from}{}{}", separator_before_year(from), last.year()), order)
    {
        return ordered(Some(first), Some(last));
    }
    ordered(single(from, order)?, single(to, order)?)
}

/// Returns whether a cell is a date or a range of dates that lack the year, such as `08/31-12/08`.
pub(super) fn lacks_year(cell: &str) -> bool {
    let is_day = |text: &str| {
        let parts: Vec<&str> = text.split('/').map(str::trim).collect();
        parts.len() == 2 && parts.iter().all(|part| short_number(part).is_some_and(|number| (1..=31).contains(&number)))
    };
    split_range(cell).map_or_else(|| is_day(cell), |(from, to)| is_day(from) && is_day(to))
}

fn ordered(start: Option<Date>, end: Option<Date>) -> Result<DateRange, FindingKind> {
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        return Err(FindingKind::EndDateBeforeStart);
    }
    Ok((start, end))
}

/// Parses one date.
pub(super) fn single(cell: &str, order: DayOrder) -> Result<Option<Date>, FindingKind> {
    if is_unknown(cell) {
        return Ok(None);
    }
    date(cell, order).map(Some).ok_or_else(|| FindingKind::NotDate { cell: cell.to_owned() })
}

fn split_range(cell: &str) -> Option<(&str, &str)> {
    let split = [" - ", "..", " to ", " – ", "–", " thru ", " through "].iter().find_map(|s| cell.split_once(s));
    // A hyphen without spaces is a separator only if the dates have no hyphens.
    let split = split.or_else(|| cell.split_once('-').filter(|(from, to)| !to.contains('-') && !from.is_empty()));
    split.map(|(from, to)| (from.trim(), to.trim())).filter(|(from, to)| !from.is_empty() && !to.is_empty())
}

const fn separator_before_year(from: &str) -> &'static str {
    let bytes = from.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'/' {
            return "/";
        }
        at += 1;
    }
    " "
}

fn words(text: &str) -> Vec<&str> {
    text.split([' ', ',', '-', '/', '.']).filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("de")).collect()
}

/// Parses a number of one or two digits.
fn short_number(word: &str) -> Option<i16> {
    (word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit())).then(|| word.parse().ok()).flatten()
}

/// Removes a weekday before the date, and a time of day after it.
fn without_weekday_and_time(text: &str) -> &str {
    let text = text.trim();
    let start = text.find(|c: char| !c.is_alphabetic()).unwrap_or(0);
    let is_weekday = text
        .get(..start)
        .and_then(|word| word.get(..3))
        .is_some_and(|first| WEEKDAYS.iter().any(|day| first.eq_ignore_ascii_case(day)));
    let text = if is_weekday { text[start..].trim_start_matches([',', '.', ' ']) } else { text };
    let Some(colon) = text.find(':') else { return text };
    let date_end = text[..colon].rfind(['T', ' ']).unwrap_or(0);
    text[..date_end].trim_end()
}

fn date(text: &str, order: DayOrder) -> Option<Date> {
    let text = without_weekday_and_time(text);
    let parts = words(text);
    match parts[..] {
        [digits] if digits.bytes().all(|b| b.is_ascii_digit()) => from_digits(digits),
        // A spreadsheet's serial number with a fraction: the time of day.
        [whole, fraction] if text.contains('.') && fraction.bytes().all(|b| b.is_ascii_digit()) => serial(whole),
        [a, b, c] => from_parts(text, a, b, c, order),
        _ => None,
    }
}

/// Parses `20220907` or a serial number.
fn from_digits(digits: &str) -> Option<Date> {
    match digits.len() {
        8 => Date::new(digits[..4].parse().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?).ok(),
        _ => serial(digits),
    }
}

fn serial(digits: &str) -> Option<Date> {
    let days = digits.parse::<i32>().ok().filter(|days| SERIALS.contains(days))?;
    let span: Span = days.days();
    SERIAL_EPOCH.checked_add(span).ok()
}

fn from_parts(text: &str, a: &str, b: &str, c: &str, order: DayOrder) -> Option<Date> {
    let (year, month, day) = if let Some(month) = month(a) {
        (c, month, ordinal(b)) // Sep 07, 2022
    } else if let Some(month) = month(b) {
        (c, month, ordinal(a)) // 07-SEP-2022
    } else if a.len() == 4 {
        (a, short_number(b)?, c) // 2022-09-07
    } else if text.contains('.') || (order == DayOrder::DayFirst && !text.contains(' ')) {
        (c, short_number(b)?, a) // 21.09.2020
    } else if text.contains('/') || text.contains('-') {
        (c, short_number(a)?, b) // 09/21/2020
    } else {
        return None;
    };
    Date::new(full_year(year)?, i8::try_from(month).ok()?, i8::try_from(short_number(day)?).ok()?).ok()
}

/// Parses a year of four digits, or of two digits in this century.
fn full_year(year: &str) -> Option<i16> {
    let digits = year.bytes().all(|b| b.is_ascii_digit());
    let number: i16 = year.parse().ok().filter(|_| digits)?;
    match year.len() {
        4 => Some(number),
        2 => Some(2000 + number),
        _ => None,
    }
}

/// Removes the ending of an ordinal such as `7th`.
fn ordinal(day: &str) -> &str {
    let digits = day.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if ["st", "nd", "rd", "th"].iter().any(|ending| day[digits.len()..].eq_ignore_ascii_case(ending)) {
        digits
    } else {
        day
    }
}

fn month(text: &str) -> Option<i16> {
    let text = text.to_lowercase();
    let named = |names: &[&str; 2]| names.iter().any(|name| text.len() >= 3 && name.starts_with(&text));
    let at = MONTHS.iter().position(named).or_else(|| (text == "sept").then_some(8))?;
    i16::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date as d;

    #[test]
    fn dates_are_parsed_as_colleges_write_them() {
        let day = d(2022, 9, 7);
        for cell in [
            "2022-09-07",
            "20220907",
            "2022-09-07 00:00:00",
            "2022-09-07T00:00:00.000Z",
            "44811",
            "44811.0",
            "09/07/2022",
            "9/7/2022",
            "9/7/22",
            "9/7/2022 12:00:00 AM",
            "09-07-2022",
            "07.09.2022",
            "Sep 07, 2022",
            "September 7, 2022",
            "Sept. 7, 2022",
            "Wed, Sep 7th, 2022",
            "07-SEP-2022",
            "07-SEP-22",
            "7 Sep 2022",
            "7 de septiembre de 2022",
            "2022/09/07",
        ] {
            assert_eq!(single(cell, DayOrder::MonthFirst), Ok(Some(day)), "{cell}");
        }
        for bad in
            ["2022-13-01", "21/09/2020", "Sep 31, 2022", "tomorrow", "2022-09", "1/2/3", "1234", "20221332", "T:"]
        {
            assert!(single(bad, DayOrder::MonthFirst).is_err(), "{bad}");
        }
        assert_eq!(single("TBA", DayOrder::MonthFirst), Ok(None));
        assert_eq!(single("7/9/2022", DayOrder::DayFirst), Ok(Some(day)));
        assert_eq!(single("2022-09-07", DayOrder::DayFirst), Ok(Some(day)));
    }

    #[test]
    fn ranges_are_parsed_with_each_separator() {
        let both = Ok((Some(d(2022, 9, 7)), Some(d(2022, 12, 5))));
        for cell in [
            "Sep 07, 2022 - Dec 05, 2022",
            "Sep 07 - Dec 05, 2022",
            "2022-09-07..2022-12-05",
            "2022-09-07 - 2022-12-05",
            "09/07/2022 - 12/05/2022",
            "09/07/2022-12/05/2022",
            "9/7 - 12/5/2022",
            "2022-09-07 00:00:00 - 2022-12-05 00:00:00",
            "2022-09-07 to 2022-12-05",
        ] {
            assert_eq!(range(cell, DayOrder::MonthFirst), both, "{cell}");
        }
        let one_day = Ok((Some(d(2022, 9, 29)), Some(d(2022, 9, 29))));
        assert_eq!(range("Sep 29, 2022", DayOrder::MonthFirst), one_day);
        assert_eq!(range("", DayOrder::MonthFirst), Ok((None, None)));
        for bad in ["2022-12-05 - 2022-09-07", "autumn", "2022-09-07 - soon", "2022-09-07 2022-12-05"] {
            assert!(range(bad, DayOrder::MonthFirst).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_in_cells_of_meetings_show_the_order() {
        for (cell, has_dates, lines) in [
            ("MW 9:00-9:50 3/2/2031 - 15/5/2031 ELM 105", true, [None, Some(1), Some(1)]),
            ("01/20/2031-05/15/2031 Lecture Monday, Wednesday 09:00AM", true, [Some(1), None, None]),
            ("20-01-2031 | Mon", true, [None, Some(1), None]),
            ("M/W/F 9-9:50 M-W-F", false, [None, None, None]),
        ] {
            let mut evidence = OrderEvidence::default();
            assert_eq!(evidence.add_inner(cell, 1), has_dates, "{cell}");
            assert_eq!([evidence.month_first, evidence.day_first, evidence.ambiguous], lines, "{cell}");
        }
    }

    #[test]
    fn the_order_of_day_and_month_is_that_of_the_unambiguous_dates() {
        let table = [
            (["3/4/2031", "20/1/2031"].as_slice(), DayOrder::DayFirst, [None, Some(2), Some(1)]),
            (&["3/4/2031", "1/20/2031 - 5/4/2031"], DayOrder::MonthFirst, [Some(2), None, Some(1)]),
            (&["3/3/2031", "3.4.2031", "2031-03-04"], DayOrder::MonthFirst, [None, None, None]),
            (&["3/4/2031 0:00", "Mon 20/1/2031 0:00"], DayOrder::DayFirst, [None, Some(2), Some(1)]),
            (&["20/1/2031", "1/20/2031"], DayOrder::MonthFirst, [Some(2), Some(1), None]),
        ];
        for (cells, order, lines) in table {
            let mut evidence = OrderEvidence::default();
            for (cell, line) in cells.iter().zip(1..) {
                evidence.add(cell, line);
            }
            let found = [evidence.month_first, evidence.day_first, evidence.ambiguous];
            assert_eq!((evidence.order(), found), (order, lines), "{cells:?}");
        }
    }
}
