//! Parses dates and date ranges: `2022-09-07`, `09/21/2020`, `Sep 07, 2022`; ranges with ` - ` or `..`.

use jiff::civil::Date;

use crate::imports::csv::text::is_unknown;

/// The accepted formats, for error messages.
const FORMATS: &str = "2022-09-07, 09/21/2020 (month first) or Sep 07, 2022";
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// First and last date; `None` if not known.
pub(super) type DateRange = (Option<Date>, Option<Date>);

/// Parses a range of dates. A single date is a range of one day.
pub(super) fn range(cell: &str) -> Result<DateRange, String> {
    if is_unknown(cell) {
        return Ok((None, None));
    }
    if let Some(day) = date(cell) {
        return Ok((Some(day), Some(day)));
    }
    let split = [" - ", "..", " to ", " – ", "–"].iter().find_map(|separator| cell.split_once(separator));
    // A hyphen without spaces is a separator only if the dates have no hyphens.
    let split = split.or_else(|| cell.split_once('-').filter(|(_, to)| !to.contains('-')));
    let (from, to) =
        split.ok_or_else(|| format!("Not a date range: use {FORMATS}, with \" - \" or \"..\" between two dates"))?;
    pair(from.trim(), to.trim())
}

/// Parses a range from two dates, either of which may be unknown.
pub(super) fn pair(start: &str, end: &str) -> Result<DateRange, String> {
    let (start, end) = (single(start)?, single(end)?);
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        return Err("The end date is before the start date".into());
    }
    Ok((start, end))
}

/// Parses one date.
pub(super) fn single(cell: &str) -> Result<Option<Date>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    date(cell).map(Some).ok_or_else(|| format!("{cell:?} is not a date: use {FORMATS}"))
}

fn date(text: &str) -> Option<Date> {
    let parts: Vec<&str> = text.split([' ', ',', '-', '/']).filter(|p| !p.is_empty()).collect();
    let [a, b, c] = parts[..] else { return None };
    let number =
        |s: &str| if s.len() <= 4 && s.bytes().all(|b| b.is_ascii_digit()) { s.parse::<i16>().ok() } else { None };
    let (year, month, day) = if let Some(month) = month(a) {
        (c, month, b) // Sep 07, 2022
    } else if let Some(month) = month(b) {
        (c, month, a) // 07-SEP-2022
    } else if a.len() == 4 {
        (a, number(b)?, c) // 2022-09-07
    } else if text.contains('/') {
        (c, number(a)?, b) // 09/21/2020
    } else {
        return None;
    };
    // Two-digit years are rejected: they could be days.
    if year.len() != 4 || day.len() > 2 {
        return None;
    }
    Date::new(number(year)?, i8::try_from(month).ok()?, i8::try_from(number(day)?).ok()?).ok()
}

fn month(text: &str) -> Option<i16> {
    let text = text.trim_end_matches('.').to_ascii_lowercase();
    let at =
        MONTHS.iter().position(|m| text.len() >= 3 && (m.starts_with(&text) || text == "sept" && *m == "september"))?;
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
            "09/07/2022",
            "9/7/2022",
            "Sep 07, 2022",
            "September 7, 2022",
            "Sept. 7, 2022",
            "07-SEP-2022",
            "7 Sep 2022",
            "2022/09/07",
        ] {
            assert_eq!(single(cell), Ok(Some(day)), "{cell}");
        }
        for bad in
            ["2022-13-01", "21/09/2020", "Sep 31, 2022", "tomorrow", "2022-09", "1/2/3", "09/07/22", "2022-09-07T10:00"]
        {
            assert!(single(bad).is_err(), "{bad}");
        }
        assert_eq!(single("TBA"), Ok(None));
    }

    #[test]
    fn ranges_are_parsed_with_each_separator() {
        let both = Ok((Some(d(2022, 9, 7)), Some(d(2022, 12, 5))));
        for cell in [
            "Sep 07, 2022 - Dec 05, 2022",
            "2022-09-07..2022-12-05",
            "2022-09-07 - 2022-12-05",
            "09/07/2022 - 12/05/2022",
            "09/07/2022-12/05/2022",
            "2022-09-07 to 2022-12-05",
        ] {
            assert_eq!(range(cell), both, "{cell}");
        }
        assert_eq!(range("Sep 29, 2022"), Ok((Some(d(2022, 9, 29)), Some(d(2022, 9, 29)))));
        assert_eq!(range(""), Ok((None, None)));
        for bad in ["2022-12-05 - 2022-09-07", "autumn", "2022-09-07 - soon", "2022-09-07 2022-12-05"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}
