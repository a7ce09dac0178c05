//! Parses times of day and time ranges: `9:30 am - 10:50 am`, `06:00 PM-07:50 PM`, `08:00-08:50`, `0930-1050`,
//! `0930am-1045am`. Whether 1:00 without am or pm is in the afternoon is decided for a whole file; see [`Clock`].

use std::borrow::Cow;

use jiff::civil::Time;

use crate::domain::meeting::END_OF_DAY;
use crate::imports::csv::dates::{self, DayOrder};
use crate::imports::csv::text::{is_unknown, is_unscheduled_phrase};
use crate::imports::finding_kind::FindingKind;

/// The hours that are in the afternoon if a file's times have neither am nor pm: no class starts before 7 in the morning.
pub(super) const AFTERNOON_HOURS: std::ops::RangeInclusive<i8> = 1..=6;
/// The earliest start of a class that ends after midnight.
const LATE_START: Time = jiff::civil::time(17, 0, 0, 0);
/// The warning about a start without an end, or an end without a start.
const HALF_GIVEN: FindingKind = FindingKind::HalfTime;
/// The warning about an end that is moved.
const END_MOVED: FindingKind = FindingKind::EndMoved;
/// The length below which an evening class is plausible, in minutes. Longer ones are more likely errors.
const EVENING_MINUTES_MAX: i32 = 6 * 60;
/// The latest end of a class that ends after midnight.
const EARLY_END: Time = jiff::civil::time(5, 0, 0, 0);

/// How times without am or pm are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Clock {
    /// As written, on a 24-hour clock.
    #[default]
    AsWritten,
    /// 1:00 to 6:59 are in the afternoon.
    Afternoon,
    /// 1:00 to 5:59 are in the afternoon, because other times in the file have am or pm, but none has an hour above 12.
    /// Such files leave out the marks where the time is obvious; 6:00 may be early in the morning there.
    Marked,
}

/// Start and end of a class; `None` if not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TimeRange {
    pub(super) start: Option<Time>,
    pub(super) end: Option<Time>,
    /// Whether the class ends on the next day.
    pub(super) past_midnight: bool,
    /// Whether a time without am or pm was taken to be in the afternoon.
    pub(super) guessed: bool,
}

/// A range with a warning about it, if any.
pub(super) type WarnedRange = (TimeRange, Option<FindingKind>);

/// What the times of a file show about its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ClockEvidence {
    /// Whether a time has am or pm.
    has_halves: bool,
    /// Whether a time without am or pm has an hour above 12.
    has_late_hours: bool,
}

impl ClockEvidence {
    /// Adds the times of a cell.
    pub(super) fn add(&mut self, cell: &str) {
        let lower = cell.to_ascii_lowercase();
        let ranges = lower.split([';', '\n', '|', ',']).filter_map(split_range);
        let times = ranges.flat_map(|(from, to)| [from, to]).chain([lower.as_str()]);
        // `noon` beside times without am or pm shows nothing about them.
        let times = times.filter(|text| !text.contains("noon") && !text.contains("midnight"));
        for part in times.filter_map(last_time) {
            self.has_halves |= part.pm.is_some();
            self.has_late_hours |= part.hour > 12 && part.pm.is_none();
        }
    }

    /// Returns whether nothing more can be learned.
    pub(super) const fn is_complete(self) -> bool {
        self.has_halves && self.has_late_hours
    }

    /// Returns the clock that the times show.
    pub(super) const fn clock(self) -> Clock {
        match (self.has_late_hours, self.has_halves) {
            (true, _) => Clock::AsWritten,
            (false, true) => Clock::Marked,
            (false, false) => Clock::Afternoon,
        }
    }
}

/// Parses the time at the end of a text that may contain days.
fn last_time(text: &str) -> Option<Part> {
    let at = text.trim().find(|c: char| c.is_ascii_digit())?;
    part(&text.trim()[at..])
}

/// Splits a range into the texts of its two times.
fn split_range(lower: &str) -> Option<(&str, &str)> {
    [" - ", " to ", "–", "—", "‐", "‑", "−", "-", "~"].iter().find_map(|separator| lower.split_once(separator))
}

/// Parses a time range.
pub(super) fn range(cell: &str, clock: Clock) -> Result<WarnedRange, FindingKind> {
    if is_unknown(cell) || is_unscheduled_phrase(cell) {
        return Ok(WarnedRange::default());
    }
    let lower = cell.to_ascii_lowercase();
    let (from, to) = split_range(&lower).ok_or(FindingKind::TimeRangeForm)?;
    if is_unknown(from.trim()) && is_unknown(to.trim()) {
        return Ok(WarnedRange::default());
    }
    // `9-9:50` and `6-9pm`: an hour beside a time.
    let hour = |text: &str| part(&format!("{}:00", text.trim())).filter(|part| part.hour > 0);
    match (part(from), part(to)) {
        (Some(from), Some(to)) => from_to(from, to, clock),
        (Some(from), None) => from_to(from, hour(to).ok_or(FindingKind::TimeRangeForm)?, clock),
        (None, Some(to)) => from_to(hour(from).ok_or(FindingKind::TimeRangeForm)?, to, clock),
        (None, None) => Err(FindingKind::TimeRangeForm),
    }
}

/// Parses a time range in a place where only times are expected, so that hours alone are one, too: `9 - 10`. Elsewhere these
/// may be rooms.
pub(super) fn range_or_hours(cell: &str, clock: Clock) -> Result<WarnedRange, FindingKind> {
    range(cell, clock).or_else(|error| {
        let lower = cell.to_ascii_lowercase();
        let hours = split_range(&lower).map(|(from, to)| (from.trim(), to.trim()));
        let is_hour = |text: &str| (1..=2).contains(&text.len()) && text.parse::<u8>().is_ok_and(|hour| hour > 0);
        let (from, to) = hours.filter(|(from, to)| is_hour(from) && is_hour(to)).ok_or(error)?;
        range(&format!("{from}:00-{to}:00"), clock)
    })
}

/// Parses a start time and an end time from two cells.
pub(super) fn pair(start: &str, end: &str, clock: Clock) -> Result<WarnedRange, FindingKind> {
    let unset = |cell| is_unknown(cell) || is_unscheduled_phrase(cell) || cell == "0";
    match (unset(start), unset(end)) {
        (true, true) => return Ok(WarnedRange::default()),
        (true, false) | (false, true) => return Ok((TimeRange::default(), Some(HALF_GIVEN))),
        (false, false) => {}
    }
    let read = |cell: &str| moment(cell).ok_or_else(|| FindingKind::NotTime { cell: cell.to_owned() });
    from_to(read(start)?, read(end)?, clock)
}

/// Parses one time, as written.
pub(super) fn single(cell: &str) -> Result<Option<Time>, FindingKind> {
    if is_unknown(cell) {
        return Ok(None);
    }
    moment(cell).and_then(|p| p.time(p.pm)).map(Some).ok_or(FindingKind::TimeForm)
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
            // `18:00 PM`.
            Some(true) if (13..=23).contains(&self.hour) => self.hour,
            Some(_) if !(1..=12).contains(&self.hour) => return None,
            Some(pm) => self.hour % 12 + if pm { 12 } else { 0 },
        };
        Time::new(hour, self.minute, 0, 0).ok()
    }

    /// Returns the part with "pm" if the clock puts it in the afternoon.
    fn on(self, clock: Clock) -> Self {
        let last = match clock {
            Clock::AsWritten => 0,
            Clock::Afternoon => *AFTERNOON_HOURS.end(),
            Clock::Marked => AFTERNOON_HOURS.end() - 1,
        };
        let is_afternoon = (*AFTERNOON_HOURS.start()..=last).contains(&self.hour) && self.pm.is_none();
        Self { pm: if is_afternoon { Some(true) } else { self.pm }, ..self }
    }
}

/// Parses one time, including those that spreadsheets write: after the date of day 0 (`12/30/1899 9:00`), or as the
/// fraction of a day (`0.375`).
fn moment(cell: &str) -> Option<Part> {
    let lower = cell.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0.") {
        let fraction: f64 = format!("0.{digits}").parse().ok()?;
        let minutes = (fraction * f64::from(24 * 60)).round();
        let minutes = (0..24 * 60).find(|minute| f64::from(*minute) >= minutes)?;
        return Some(Part {
            hour: i8::try_from(minutes / 60).ok()?,
            minute: i8::try_from(minutes % 60).ok()?,
            pm: None,
        });
    }
    let after_date = lower.split_once(['t', ' ']).filter(|(date, _)| dates::single(date, DayOrder::default()).is_ok());
    part(after_date.filter(|(date, _)| date.contains(['/', '-'])).map_or(lower.as_str(), |(_, time)| time))
}

/// Replaces the dot between hour and minute with a colon. `10.3` is 10:30: a spreadsheet omits the zero at the end of a
/// number. Other numbers of digits after the dot are not minutes.
fn with_colon(text: &str) -> Option<Cow<'_, str>> {
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let Some((hour, rest)) = text.split_once('.').filter(|(hour, _)| is_digits(hour)) else {
        return Some(Cow::Borrowed(text));
    };
    let (minute, mark) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    match minute.len() {
        0 => Some(Cow::Borrowed(text)),
        1 => Some(Cow::Owned(format!("{hour}:{minute}0{mark}"))),
        2 => Some(Cow::Owned(format!("{hour}:{minute}{mark}"))),
        _ => None,
    }
}

/// Replaces the seconds and their fractions that databases write: `09.00.00.000000`, `09:00:00.000` and `9:00:00.0 am` are
/// 9:00.
fn without_fractions(text: &str) -> Cow<'_, str> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ':')).unwrap_or(text.len());
    let (time, half) = text.split_at(digits);
    let parts: Vec<&str> = time.split([':', '.']).collect();
    let is_zero = |part: &&str| !part.is_empty() && part.bytes().all(|b| b == b'0');
    match parts[..] {
        [hour, minute, ref seconds @ ..] if parts.len() == 4 && seconds.iter().all(is_zero) => {
            Cow::Owned(format!("{hour}:{minute}{half}"))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Parses one time, in lower case.
fn part(text: &str) -> Option<Part> {
    let text = match text.trim() {
        "noon" | "12 noon" | "12:00 noon" | "12n" | "12:00n" => "12:00pm",
        "midnight" | "12 midnight" | "12:00 midnight" => "12:00am",
        other => other,
    };
    let text = without_fractions(text.strip_suffix(".0").unwrap_or(text));
    let text = with_colon(&text)?;
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

/// Returns the half of the day of a start without am or pm, in a range whose end has one. In `11:00-12:15 pm` the start
/// gets the same half if it is then before the end, else am.
fn half_of_start(from: Part, to: Part) -> Option<bool> {
    let Some(pm) = to.pm.filter(|_| from.pm.is_none()) else { return from.pm };
    let end = to.time(Some(pm));
    let is_before_end = |half: &bool| from.time(Some(*half)).is_some_and(|start| Some(start) < end);
    Some([pm, false].into_iter().find(is_before_end).unwrap_or(pm))
}

/// Returns whether an end without am or pm makes a plausible class if it is pm, after a start that is pm.
fn ends_in_the_evening(from: Part, start: Time, to: Part) -> bool {
    let minutes = |time: Time| i32::from(time.hour()) * 60 + i32::from(time.minute());
    let length = to.time(Some(true)).map(|end| minutes(end) - minutes(start));
    from.pm == Some(true) && length.is_some_and(|length| (1..EVENING_MINUTES_MAX).contains(&length))
}

/// Returns whether an end of 12 without am or pm is midnight, as in `9:00pm-12:00`, or shortly after it.
fn ends_around_midnight(start: Time, to: Part) -> bool {
    let minutes = |hour: i8, minute: i8| i32::from(hour) * 60 + i32::from(minute);
    let length = minutes(24, to.minute) - minutes(start.hour(), start.minute());
    start >= LATE_START && (to.minute == 0 || length < EVENING_MINUTES_MAX)
}

fn from_to(from: Part, to: Part, clock: Clock) -> Result<WarnedRange, FindingKind> {
    let (written_from, written_to) = (from.pm, to.pm);
    // The clock counts only if neither has am or pm. Otherwise the one that has it determines both.
    let is_unmarked = from.pm.is_none() && to.pm.is_none();
    let (from, mut to) = if is_unmarked { (from.on(clock), to.on(clock)) } else { (from, to) };
    let mut guessed = from.pm != written_from || to.pm != written_to;
    let start = from.time(half_of_start(from, to)).ok_or(FindingKind::StartInvalid)?;
    if to.pm.is_none() && to.hour == 12 && ends_around_midnight(start, to) {
        to.pm = Some(false);
    }
    if to.hour == 24 || to.time(to.pm) == Some(Time::midnight()) {
        if start == Time::midnight() {
            return Ok((TimeRange::default(), Some(FindingKind::EqualTimes)));
        }
        return Ok((TimeRange { start: Some(start), end: Some(END_OF_DAY), past_midnight: false, guessed }, None));
    }
    let mut warning = None;
    let is_before_start = |to: Part| to.time(to.pm).is_some_and(|end| end < start);
    // `10:00-1:00` ends at 13:00.
    if to.pm.is_none() && AFTERNOON_HOURS.contains(&to.hour) && start < LATE_START && is_before_start(to) {
        to.pm = Some(true);
        guessed = true;
        warning = Some(END_MOVED);
    } else if to.pm.is_none() && is_before_start(to) && ends_in_the_evening(from, start, to) {
        // `6:00PM-9:00`, and `6:00-8:50` where the clock puts the start in the afternoon. The warning about the clock
        // then covers the end too.
        to.pm = Some(true);
        warning = (written_from == from.pm).then_some(END_MOVED);
        guessed = true;
    }
    let end = to.time(to.pm).ok_or(FindingKind::EndInvalid)?;
    if start == end {
        return Ok((TimeRange::default(), Some(FindingKind::EqualTimes)));
    }
    let past_midnight = end < start && start >= LATE_START && end <= EARLY_END;
    if end < start && !past_midnight {
        return Err(FindingKind::MeetingEndsBeforeStart);
    }
    Ok((TimeRange { start: Some(start), end: Some(end), past_midnight, guessed }, warning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    fn t(hour: i8, minute: i8) -> Option<Time> {
        Some(time(hour, minute, 0, 0))
    }

    #[test]
    fn times_are_parsed_as_colleges_write_them() {
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
            ("11 am - noon", t(11, 0), t(12, 0)),
            ("15:00:00 P - 16:30:00 P", t(15, 0), t(16, 30)),
            ("9-9:50am", t(9, 0), t(9, 50)),
            ("10-11:15", t(10, 0), t(11, 15)),
            ("6-9pm", t(18, 0), t(21, 0)),
            ("11a-12n", t(11, 0), t(12, 0)),
            ("7:00 pm - 12:00 am", t(19, 0), Some(END_OF_DAY)),
            ("9:00pm-12:00", t(21, 0), Some(END_OF_DAY)),
            ("6:00PM-12:00", t(18, 0), Some(END_OF_DAY)),
            ("10.3-12.3", t(10, 30), t(12, 30)),
            ("9.30-10.5", t(9, 30), t(10, 50)),
            ("6.3pm-7.45 p.m.", t(18, 30), t(19, 45)),
            ("TBA", None, None),
            ("TBA - TBA", None, None),
            ("Hours Arranged", None, None),
            ("", None, None),
        ];
        for (cell, start, end) in table {
            let expected = TimeRange { start, end, ..TimeRange::default() };
            assert_eq!(range(cell, Clock::AsWritten), Ok((expected, None)), "{cell:?}");
        }
        for bad in [
            "9:30",
            "25:00-26:00",
            "10:50-9:30",
            "9:60-10:50",
            "13:00 am-14:00 am",
            "soon",
            "0 am-1 am",
            "9:5-10:5",
            "1.123-2.123",
            "0.375-0.416",
            "6:00PM-12:50",
            "6:00PM-5:00PM",
            "1:00PM-8:00",
            "é-ü",
        ] {
            assert!(range(bad, Clock::AsWritten).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn early_hours_without_am_and_pm_are_in_the_afternoon() {
        let table = [
            ("9:00-9:50", Clock::Afternoon, t(9, 0), t(9, 50), false),
            ("1:00-1:50", Clock::Afternoon, t(13, 0), t(13, 50), true),
            ("11:30-1:15", Clock::Afternoon, t(11, 30), t(13, 15), true),
            ("1:00-1:50", Clock::AsWritten, t(1, 0), t(1, 50), false),
            ("10:00-1:00", Clock::AsWritten, t(10, 0), t(13, 0), true),
            ("6:00-8:50", Clock::Afternoon, t(18, 0), t(20, 50), true),
            ("4:30-7:15", Clock::Afternoon, t(16, 30), t(19, 15), true),
            ("6:00PM-9:00", Clock::AsWritten, t(18, 0), t(21, 0), true),
            ("5:30PM-6:45", Clock::AsWritten, t(17, 30), t(18, 45), true),
            ("2:00 pm - 7:30", Clock::AsWritten, t(14, 0), t(19, 30), true),
        ];
        for (cell, clock, start, end, guessed) in table {
            let (read, _) = range(cell, clock).unwrap();
            assert_eq!(read, TimeRange { start, end, past_midnight: false, guessed }, "{cell} {clock:?}");
        }
        for (cells, clock) in [
            (&["9:00-9:50", "1000-1115", "11-12 noon"][..], Clock::Afternoon),
            (&["9:00-9:50", "MW 9am-10am"], Clock::Marked),
            (&["14:00-15:00"], Clock::AsWritten),
            (&["9am-10am", "14:00-15:00"], Clock::AsWritten),
            (&["13:00 PM - 14:00 PM"], Clock::Marked),
        ] {
            let mut evidence = ClockEvidence::default();
            cells.iter().for_each(|cell| evidence.add(cell));
            assert_eq!(evidence.clock(), clock, "{cells:?}");
        }
        for (cell, start) in
            [("1:00-1:50", t(13, 0)), ("5:30-6:45", t(17, 30)), ("6:00-6:50", t(6, 0)), ("12-1:15", t(12, 0))]
        {
            assert_eq!(range(cell, Clock::Marked).unwrap().0.start, start, "{cell}");
        }
    }

    #[test]
    fn an_end_moved_to_the_evening_causes_one_warning() {
        // The clock of the file has its own remark.
        for (cell, clock, warning) in
            [("6:00PM-9:00", Clock::AsWritten, Some(END_MOVED)), ("6:00-8:50", Clock::Afternoon, None)]
        {
            assert_eq!(range(cell, clock).unwrap().1, warning, "{cell}");
        }
    }

    #[test]
    fn classes_may_end_after_midnight() {
        let (read, warning) = range("10:00pm-1:00am", Clock::AsWritten).unwrap();
        let expected = TimeRange { start: t(22, 0), end: t(1, 0), past_midnight: true, guessed: false };
        assert_eq!((read, warning), (expected, None));
        assert_eq!(range("10:00pm-1:00", Clock::AsWritten).unwrap(), (expected, None));
        let (read, _) = range("9:00pm-12:30", Clock::AsWritten).unwrap();
        assert_eq!((read.end, read.past_midnight), (t(0, 30), true));
        assert!(range("10:00 am - 1:00 am", Clock::AsWritten).is_err());
    }

    #[test]
    fn hours_alone_are_a_range_only_in_a_column_of_times() {
        for (cell, start, end) in
            [("9 - 10", t(9, 0), t(10, 0)), ("12-1", t(12, 0), t(13, 0)), ("1-2", t(13, 0), t(14, 0))]
        {
            assert!(range(cell, Clock::Afternoon).is_err(), "{cell}");
            let (found, _) = range_or_hours(cell, Clock::Afternoon).unwrap();
            assert_eq!((found.start, found.end), (start, end), "{cell}");
        }
        assert!(range_or_hours("0-1", Clock::Afternoon).is_err());
    }

    #[test]
    fn start_and_end_cells_are_both_required() {
        let read = |start, end| pair(start, end, Clock::AsWritten);
        let nine_to_ten = TimeRange { start: t(9, 0), end: t(10, 0), ..TimeRange::default() };
        assert_eq!(read("9:00 am", "10:00"), Ok((nine_to_ten, None)));
        assert_eq!(read("", "TBA"), Ok(WarnedRange::default()));
        assert_eq!(read("1899-12-30 09:00:00", "12/30/1899 10:00"), Ok((nine_to_ten, None)));
        assert_eq!(read("0.375", "0.416666667"), Ok((nine_to_ten, None)));
        assert_eq!(read("900.0", "1000.0"), Ok((nine_to_ten, None)));
        assert_eq!(read("09.00.00.000000", "10.00.00.000000"), Ok((nine_to_ten, None)));
        assert_eq!(read("1900-01-01 09:00:00.000", "1900-01-01 10:00:00.000"), Ok((nine_to_ten, None)));
        let half_hours = TimeRange { start: t(10, 30), end: t(12, 30), ..TimeRange::default() };
        assert_eq!(read("10.3", "12.3"), Ok((half_hours, None)));
        assert_eq!(read("TBA", "0"), Ok(WarnedRange::default()));
        assert_eq!(read("9:00", ""), Ok((TimeRange::default(), Some(HALF_GIVEN))));
        assert!(read("9:00", "8:00").is_err());
        assert_eq!(single("9 am"), Ok(t(9, 0)));
        assert!(single("24:00").is_err());
    }

    #[test]
    fn equal_start_and_end_are_not_a_time() {
        let (read, warning) = range("12:00 am - 12:00 am", Clock::AsWritten).unwrap();
        assert_eq!((read, warning.is_some()), (TimeRange::default(), true));
    }
}
