//! Parses times of day and time ranges: `9:30 am - 10:50 am`, `06:00 PM-07:50 PM`, `08:00-08:50`, `0930-1050`,
//! `0930am-1045am`.

use jiff::civil::Time;

use crate::imports::csv::text::is_unknown;

/// Start and end on one day; `None` if not known.
pub(super) type TimeRange = (Option<Time>, Option<Time>);

/// Parses a time range. Returns it with a warning, if any.
pub(super) fn range(cell: &str) -> Result<(TimeRange, Option<String>), String> {
    if is_unknown(cell) {
        return Ok(((None, None), None));
    }
    let not_a_range = || "Not a time range: use 9:30 am - 10:50 am, 09:30-10:50 or 0930-1050".to_owned();
    let lower = cell.to_ascii_lowercase();
    let Some((from, to)) = [" - ", " to ", "–", "-"].iter().find_map(|separator| lower.split_once(separator)) else {
        return Err(not_a_range());
    };
    match (part(from), part(to)) {
        (Some(from), Some(to)) => from_to(from, to),
        _ => Err(not_a_range()),
    }
}

/// Parses a start time and an end time from two cells. Returns them with a warning, if any.
pub(super) fn pair(start: &str, end: &str) -> Result<(TimeRange, Option<String>), String> {
    match (is_unknown(start), is_unknown(end)) {
        (true, true) => return Ok(((None, None), None)),
        (true, false) | (false, true) => return Err("Start and end time must both be given, or neither".into()),
        (false, false) => {}
    }
    let read = |cell: &str| {
        part(&cell.to_ascii_lowercase()).ok_or_else(|| format!("{cell:?} is not a time: use 9:30 am, 09:30 or 0930"))
    };
    from_to(read(start)?, read(end)?)
}

/// Parses one time.
pub(super) fn single(cell: &str) -> Result<Option<Time>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    part(&cell.to_ascii_lowercase())
        .and_then(|p| p.time(p.pm))
        .map(Some)
        .ok_or_else(|| "Not a time: use 9:30 am, 09:30 or 0930".into())
}

/// Hour and minute as written, and whether "pm" (true), "am" (false) or neither was written.
#[derive(Clone, Copy)]
struct Part {
    hour: i8,
    minute: i8,
    pm: Option<bool>,
}

impl Part {
    fn time(self, pm: Option<bool>) -> Option<Time> {
        let hour = match pm {
            None => self.hour,
            Some(_) if !(1..=12).contains(&self.hour) => return None,
            Some(pm) => self.hour % 12 + if pm { 12 } else { 0 },
        };
        Time::new(hour, self.minute, 0, 0).ok()
    }
}

fn part(text: &str) -> Option<Part> {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '.').collect();
    let digits = text.trim_end_matches(['a', 'p', 'm']);
    let pm = match &text[digits.len()..] {
        "" => None,
        "am" | "a" => Some(false),
        "pm" | "p" => Some(true),
        _ => return None,
    };
    let (hour, minute) = match digits.split_once(':') {
        // Zero seconds are accepted; others are an error.
        Some((hour, rest)) => (hour, rest.strip_suffix(":00").unwrap_or(rest)),
        None if digits.len() <= 2 && pm.is_some() => (digits, "00"),
        None if (3..=4).contains(&digits.len()) && digits.is_ascii() => digits.split_at(digits.len() - 2),
        None => return None,
    };
    let number = |s: &str, len: usize| {
        let ok = (1..=len).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        if ok { s.parse::<i8>().ok() } else { None }
    };
    let part = Part { hour: number(hour, 2)?, minute: number(minute, 2).filter(|_| minute.len() == 2)?, pm };
    part.time(pm).map(|_| part).or_else(|| (part.hour == 24 && part.minute == 0 && pm.is_none()).then_some(part))
}

fn from_to(from: Part, to: Part) -> Result<(TimeRange, Option<String>), String> {
    // In `11:00-12:15 pm` only the end has a suffix. The start gets the same one if it is then before the end, else am.
    let from_pm = match (from.pm, to.pm) {
        (None, Some(pm)) => {
            let end = to.time(Some(pm));
            [pm, false]
                .into_iter()
                .find(|half| from.time(Some(*half)) < end && from.time(Some(*half)).is_some())
                .map_or(Some(pm), Some)
        }
        (pm, _) => pm,
    };
    let start = from.time(from_pm).ok_or("The start is not a valid time")?;
    let midnight = (to.hour == 24) || to.time(to.pm) == Some(Time::midnight());
    if midnight && start != Time::midnight() {
        let last = Time::constant(23, 59, 0, 0);
        return Ok(((Some(start), Some(last)), Some("The end at midnight is imported as 23:59".into())));
    }
    let end = to.time(to.pm).ok_or("The end is not a valid time")?;
    if start == end {
        return Ok(((None, None), Some("Start and end time are equal: the time is imported as not known yet".into())));
    }
    if end < start {
        return Err("The meeting ends before it starts".into());
    }
    Ok(((Some(start), Some(end)), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    #[test]
    fn times_are_parsed_as_colleges_write_them() {
        let t = |h, m| Some(time(h, m, 0, 0));
        let table = [
            ("9:30 am - 10:50 am", t(9, 30), t(10, 50)),
            ("06:00 PM-07:50 PM", t(18, 0), t(19, 50)),
            ("08:00-08:50", t(8, 0), t(8, 50)),
            ("0930-1050", t(9, 30), t(10, 50)),
            ("0930am-1045am", t(9, 30), t(10, 45)),
            ("930am-1045am", t(9, 30), t(10, 45)),
            ("9am-11am", t(9, 0), t(11, 0)),
            ("11:30 am - 12:50 pm", t(11, 30), t(12, 50)),
            ("11:00-12:15 pm", t(11, 0), t(12, 15)),
            ("1:00-2:15 pm", t(13, 0), t(14, 15)),
            ("12:10 PM-02:00 PM", t(12, 10), t(14, 0)),
            ("9:30 a.m. – 10:50 a.m.", t(9, 30), t(10, 50)),
            ("09:30:00 - 10:50:00", t(9, 30), t(10, 50)),
            ("9:30 to 10:50", t(9, 30), t(10, 50)),
            ("TBA", None, None),
            ("", None, None),
        ];
        for (cell, start, end) in table {
            assert_eq!(range(cell), Ok(((start, end), None)), "{cell:?}");
        }
        for bad in [
            "9:30",
            "25:00-26:00",
            "10:50-9:30",
            "9:60-10:50",
            "13:00 pm-14:00 pm",
            "soon",
            "0 am-1 am",
            "9:5-10:5",
            "é-ü",
        ] {
            assert!(range(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn start_and_end_cells_are_both_required() {
        let nine = Some(time(9, 0, 0, 0));
        let ten = Some(time(10, 0, 0, 0));
        assert_eq!(pair("9:00 am", "10:00"), Ok(((nine, ten), None)));
        assert_eq!(pair("", "TBA"), Ok(((None, None), None)));
        assert!(pair("9:00", "").is_err());
        assert!(pair("9:00", "8:00").is_err());
        assert_eq!(single("9 am"), Ok(nine));
        assert!(single("24:00").is_err());
    }

    #[test]
    fn end_at_midnight_and_empty_range_are_warnings() {
        let ((start, end), warning) = range("7:00 pm - 12:00 am").unwrap();
        assert_eq!((start, end, warning.is_some()), (Some(time(19, 0, 0, 0)), Some(time(23, 59, 0, 0)), true));
        let ((start, end), warning) = range("12:00 am - 12:00 am").unwrap();
        assert_eq!((start, end, warning.is_some()), (None, None, true));
    }
}
