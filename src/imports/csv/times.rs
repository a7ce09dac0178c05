//! Times of day and ranges of them: `9:30 am - 10:50 am`, `06:00 PM-07:50 PM`, `08:00-08:50`, `0930-1050`,
//! `0930am-1045am`.

use jiff::civil::Time;

use crate::imports::csv::text::is_unknown;

/// From and to, on one day; what is not known is none.
pub(super) type TimeRange = (Option<Time>, Option<Time>);

/// Reads a cell with a range of times.
pub(super) fn range(cell: &str) -> Result<(TimeRange, Option<String>), String> {
    if is_unknown(cell) {
        return Ok(((None, None), None));
    }
    let how = "times read as 9:30 am - 10:50 am, 09:30-10:50 or 0930-1050";
    let lower = cell.to_ascii_lowercase();
    let Some((from, to)) = [" - ", " to ", "–", "-"].iter().find_map(|between| lower.split_once(between)) else {
        return Err(format!("this is not a range of times: {how}"));
    };
    match (part(from), part(to)) {
        (Some(from), Some(to)) => from_to(from, to),
        _ => Err(format!("this is not a range of times: {how}")),
    }
}

/// Reads two cells, one time each.
pub(super) fn pair(start: &str, end: &str) -> Result<(TimeRange, Option<String>), String> {
    match (is_unknown(start), is_unknown(end)) {
        (true, true) => return Ok(((None, None), None)),
        (true, false) | (false, true) => return Err("a start needs an end, and an end a start".into()),
        (false, false) => {}
    }
    let read = |cell: &str| {
        part(&cell.to_ascii_lowercase())
            .ok_or_else(|| format!("{cell:?} is not a time: it reads as 9:30 am, 09:30 or 0930"))
    };
    from_to(read(start)?, read(end)?)
}

/// Reads one time.
pub(super) fn single(cell: &str) -> Result<Option<Time>, String> {
    if is_unknown(cell) {
        return Ok(None);
    }
    part(&cell.to_ascii_lowercase())
        .and_then(|p| p.time(p.pm))
        .map(Some)
        .ok_or_else(|| "this is not a time: it reads as 9:30 am, 09:30 or 0930".into())
}

/// Hour and minute as written, and which half of the day if it is told.
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
        // Seconds are passed over: nobody meets at 9:30:15.
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
    // `11:00-12:15 pm` names the half once: the later start that still comes before the end.
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
    let start = from.time(from_pm).ok_or("the start is not a time of day")?;
    let midnight = (to.hour == 24) || to.time(to.pm) == Some(Time::midnight());
    if midnight && start != Time::midnight() {
        let last = Time::constant(23, 59, 0, 0);
        return Ok((
            (Some(start), Some(last)),
            Some("a meeting that ends at midnight counts as ending at 23:59".into()),
        ));
    }
    let end = to.time(to.pm).ok_or("the end is not a time of day")?;
    if start == end {
        return Ok(((None, None), Some("a meeting that ends as it starts counts as not scheduled yet".into())));
    }
    if end < start {
        return Err("the meeting ends before it starts".into());
    }
    Ok(((Some(start), Some(end)), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    #[test]
    fn times_read_as_colleges_write_them() {
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
    fn two_cells_make_a_range_only_together() {
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
    fn midnight_and_meetings_of_no_length_are_taken_with_a_warning() {
        let ((start, end), warning) = range("7:00 pm - 12:00 am").unwrap();
        assert_eq!((start, end, warning.is_some()), (Some(time(19, 0, 0, 0)), Some(time(23, 59, 0, 0)), true));
        let ((start, end), warning) = range("12:00 am - 12:00 am").unwrap();
        assert_eq!((start, end, warning.is_some()), (None, None, true));
    }
}
