//! Parses the meetings of a row. A cell may hold several, such as `MW; F` beside `1000-1115; 1000-1050`, or days, time
//! and room together, such as `MW 9am-9:50am; F 8:30am-10:20am` and `TTH | 10:20 AM - 12:00 PM | 0008 NORTH`.

use jiff::ToSpan;
use jiff::civil::{Date, Time};

use crate::domain::meeting::{Days, END_OF_DAY};
use crate::imports::schedule::Severity;

use crate::imports::csv::columns::{Column, MeetingColumns};
use crate::imports::csv::dates::{self, DateRange, DayOrder};
use crate::imports::csv::merge::MEETINGS_MAX;
use crate::imports::csv::pieces::{moments, paired_pieces, pieces, time_pieces};
use crate::imports::csv::remarks::Remark;
use crate::imports::csv::rooms;
use crate::imports::csv::row::{Cells, MeetingRow};
use crate::imports::csv::status::LetterC;
use crate::imports::csv::times::{self, Clock, TimeRange, WarnedRange};
use crate::imports::csv::{component, days, text};

/// The maximum number of words of a time range, such as `10:20 AM - 12:00 PM`, in a cell with days and room.
const TIME_WORDS_MAX: usize = 6;

/// The maximum number of words of a range of dates, such as `Sep 07, 2022 - Dec 05, 2022`.
const DATE_WORDS_MAX: usize = 7;

/// The maximum number of characters of a cell that is parsed as meetings: 200 meetings of 20 characters. Each word is
/// tried as the start of dates and times, so that a cell of 240 KB would take seconds.
const CELL_CHARS_MAX: usize = 4_000;

/// How a file writes times, dates and statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Format {
    pub(super) clock: Clock,
    pub(super) order: DayOrder,
    pub(super) letter_c: LetterC,
    /// Whether some times have am or pm or an hour above 12, so that others are doubtful.
    pub(super) has_halves: bool,
}

/// Returns whether am or pm follows a digit.
pub(super) fn has_half(cell: &str) -> bool {
    let mark = |text: &str| text.trim_start().starts_with(['a', 'A', 'p', 'P']);
    cell.char_indices().any(|(at, c)| c.is_ascii_digit() && mark(&cell[at + 1..]))
}

/// Returns whether a time has neither am nor pm, and an hour that more likely is in the afternoon.
fn is_early(text: &str, range: TimeRange) -> bool {
    let is_early = range.start.is_some_and(|start| times::AFTERNOON_HOURS.contains(&start.hour()));
    is_early && !range.guessed && !has_half(text) && !text.trim_start().starts_with('0')
}

/// Days, time and room of one meeting.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    days: u8,
    time: TimeRange,
    location: Option<String>,
    /// Dates in the same cell.
    dates: DateRange,
    /// See [`is_early`].
    is_early: bool,
}

/// Parses the meetings in all columns of a row.
pub(super) fn read(cells: &mut Cells<'_>, format: Format) -> Vec<MeetingRow> {
    let header = cells.header();
    let mut meetings = Vec::new();
    let mut dates = (None, None);
    for (group, columns) in header.meeting_groups().iter().enumerate() {
        let own_dates = read_dates(cells, columns, format.order);
        if group == 0 || own_dates != (None, None) {
            dates = own_dates;
        }
        let mut parts = read_group(cells, columns, format);
        if group == 0 {
            let marked = cells.marked_days();
            parts.iter_mut().filter(|part| part.days == 0).for_each(|part| part.days = marked);
        }
        let has_dates = group == 0 && dates != (None, None);
        for part in parts.into_iter().filter(|part| *part != Part::default() || has_dates) {
            let own = part.dates;
            for meeting in part.into_meetings(if own == (None, None) { dates } else { own }) {
                if meetings.contains(&meeting) {
                    continue;
                }
                if meetings.len() == MEETINGS_MAX {
                    let message = format!("A section must have at most {MEETINGS_MAX} different meetings");
                    cells.add_finding(Severity::Error, None, message);
                    return meetings;
                }
                meetings.push(meeting);
            }
        }
    }
    meetings
}

impl Part {
    /// Returns the meeting; two if it ends after midnight, of which the second is on the next day.
    fn into_meetings(self, (starts_on, ends_on): DateRange) -> Vec<MeetingRow> {
        let TimeRange { start, end, past_midnight, .. } = self.time;
        let first = MeetingRow { days: self.days, start, end, starts_on, ends_on, location: self.location };
        if !past_midnight {
            return vec![first];
        }
        let next_day = |date: Option<Date>| date.and_then(|date| date.checked_add(1.day()).ok());
        let second = MeetingRow {
            days: Days::from_bits(first.days).next_day().bits(),
            start: Some(Time::midnight()),
            end,
            starts_on: next_day(starts_on),
            ends_on: next_day(ends_on),
            location: first.location.clone(),
        };
        vec![MeetingRow { end: Some(END_OF_DAY), ..first }, second]
    }
}

fn read_dates(cells: &mut Cells<'_>, columns: &MeetingColumns, order: DayOrder) -> DateRange {
    if let Some(index) = columns.at(Column::DateRange)
        && !cells.cell(index).is_empty()
    {
        return read_date(cells, index, |cell| dates::range(cell, order));
    }
    let mut read =
        |column| columns.at(column).and_then(|index| read_date(cells, index, |cell| dates::single(cell, order)));
    let (first, last) = (read(Column::Start), read(Column::End));
    if let (Some(from), Some(to), Some(end)) = (first, last, columns.at(Column::End))
        && to < from
    {
        cells.add_finding_at(Severity::Error, end, "The end date is before the start date");
    }
    (first, last)
}

/// Parses dates. Dates without a year are not known: the year of a term's code may be that of the fiscal year.
fn read_date<T: Default>(cells: &mut Cells<'_>, index: usize, read: impl FnOnce(&str) -> Result<T, String>) -> T {
    if dates::lacks_year(cells.cell(index)) {
        cells.add_remark(Remark::NoYear, index);
        return T::default();
    }
    cells.read_at(index, read)
}

/// Parses the meetings of one group of columns. The result is never empty.
fn read_group(cells: &mut Cells<'_>, columns: &MeetingColumns, format: Format) -> Vec<Part> {
    let (days, time) = (text_at(cells, columns.at(Column::Days)), text_at(cells, columns.at(Column::Time)));
    let columns_of_times = [Column::Days, Column::Time, Column::StartTime, Column::EndTime];
    let mut indexes = columns_of_times.into_iter().filter_map(|column| columns.at(column));
    if let Some(index) = indexes.find(|index| is_too_long(cells.cell(*index))) {
        let message = format!("A cell of meetings must have at most {CELL_CHARS_MAX} characters");
        cells.add_finding_at(Severity::Error, index, message);
        return vec![Part::default()];
    }
    for column in columns_of_times {
        remark_unscheduled(cells, columns.at(column));
    }
    let has_days_only = !is_unset(days) && is_unset(time);
    let (combined_column, combined_text) = if has_days_only { (Column::Days, days) } else { (Column::Time, time) };
    let is_combined = is_unset(days) || is_unset(time) || times::range(time, format.clock).is_err();
    if is_combined
        && let Some(index) = columns.at(combined_column)
        && let Some(parts) = combined(combined_text, format)
    {
        let parts = remarked(cells, index, parts, format);
        return with_locations(cells, columns, parts);
    }
    let separate = columns.at(Column::StartTime).filter(|_| is_unset(time));
    let mut ranges = Vec::new();
    if let Some(index) = separate {
        let ends = text_at(cells, columns.at(Column::EndTime));
        let (starts, ends) = (moments(cells.cell(index)), moments(ends));
        for at in 0..starts.len().max(ends.len()) {
            let piece = |of: &[&str]| of.get(at).map_or(String::new(), |piece| (*piece).to_owned());
            let (start, end) = (piece(&starts), piece(&ends));
            let both = format!("{start}-{end}");
            ranges.push(read_range(cells, index, (&both, format), |_| times::pair(&start, &end, format.clock)));
        }
    } else if let Some(index) = columns.at(Column::Time) {
        for piece in time_pieces(time, format.clock) {
            ranges.push(read_range(cells, index, (piece, format), |_| times::range(piece, format.clock)));
        }
    }
    if ranges.is_empty() {
        ranges.push(TimeRange::default());
    }
    let day_sets = read_days(cells, columns.at(Column::Days), ranges.len());
    let parts = ranges.into_iter().zip(day_sets).map(|(time, days)| Part { days, time, ..Part::default() }).collect();
    with_locations(cells, columns, parts)
}

fn text_at<'r>(cells: &Cells<'r>, index: Option<usize>) -> &'r str {
    index.map_or("", |index| cells.cell(index))
}

/// Parses one set of weekdays for each of `times` times.
fn read_days(cells: &mut Cells<'_>, column: Option<usize>, times: usize) -> Vec<u8> {
    let Some(index) = column.filter(|index| !is_unset(cells.cell(*index))) else { return vec![0; times] };
    let sets = paired_pieces(cells.cell(index), times);
    if times == 1 || sets.len() == 1 {
        return vec![cells.read_at(index, days::days).bits(); times];
    }
    if sets.len() != times {
        let message = format!("The cell has {} sets of days, but there are {times} times", sets.len());
        cells.add_finding_at(Severity::Error, index, message);
        return vec![0; times];
    }
    sets.into_iter().map(|set| cells.read_at(index, |_| days::days(set)).bits()).collect()
}

/// Parses a time range, and adds its warning and its remark.
fn read_range<'r>(
    cells: &mut Cells<'r>,
    index: usize,
    (text, format): (&str, Format),
    read: impl FnOnce(&'r str) -> Result<WarnedRange, String>,
) -> TimeRange {
    let (range, warning) = cells.read_at(index, read);
    if let Some(warning) = warning {
        cells.add_finding_at(Severity::Warning, index, warning);
    } else if range.guessed {
        cells.add_remark(Remark::Afternoon, index);
    } else if format.has_halves && is_early(text, range) {
        cells.add_remark(Remark::EarlyAsWritten, index);
    }
    range
}

fn remarked(
    cells: &mut Cells<'_>,
    index: usize,
    parts: Vec<(Part, Option<&'static str>)>,
    format: Format,
) -> Vec<Part> {
    parts
        .into_iter()
        .map(|(part, warning)| {
            if let Some(warning) = warning {
                cells.add_finding_at(Severity::Warning, index, warning);
            } else if part.time.guessed {
                cells.add_remark(Remark::Afternoon, index);
            } else if format.has_halves && part.is_early {
                cells.add_remark(Remark::EarlyAsWritten, index);
            }
            Part { is_early: false, ..part }
        })
        .collect()
}

/// Adds the rooms of the location's cell to meetings that have none: one each, or the same for all.
fn with_locations(cells: &mut Cells<'_>, columns: &MeetingColumns, mut parts: Vec<Part>) -> Vec<Part> {
    let Some(index) = columns.at(Column::Location) else { return parts };
    let whole = cells.read_at(index, text::text);
    let rooms = pieces(cells.cell(index));
    let is_paired = rooms.len() == parts.len() && rooms.len() > 1;
    if rooms.len() > 1 && parts.len() > 1 && !is_paired {
        let message = format!("The cell has {} rooms, but there are {} meetings", rooms.len(), parts.len());
        cells.add_finding_at(Severity::Warning, index, message);
    }
    for (at, part) in parts.iter_mut().enumerate().filter(|(_, part)| part.location.is_none()) {
        let own = if is_paired { text::text(rooms[at]).ok().flatten() } else { None };
        part.location = if is_paired { own } else { whole.clone() };
    }
    parts
}

fn remark_unscheduled(cells: &mut Cells<'_>, column: Option<usize>) {
    if let Some(index) = column {
        for piece in pieces(cells.cell(index)) {
            if text::is_unscheduled_phrase(piece) && !text::is_unknown(piece) && !is_unknown_range(piece) {
                cells.add_remark(Remark::Unscheduled(text::one_line(piece).into_owned()), index);
            }
        }
    }
}

/// Returns whether a cell is a range of placeholders such as `TBA - TBA`.
fn is_unknown_range(cell: &str) -> bool {
    cell.split([' ', '-', '–']).all(text::is_unknown)
}

fn is_unset(cell: &str) -> bool {
    text::is_unknown(cell) || text::is_unscheduled_phrase(cell)
}

fn is_too_long(cell: &str) -> bool {
    cell.len() > CELL_CHARS_MAX && cell.chars().count() > CELL_CHARS_MAX
}

/// Returns whether a cell has days and time, for several meetings at least of one.
pub(super) fn is_readable(cell: &str) -> bool {
    combined(cell, Format::default()).is_some()
}

/// Parses a cell with days and time, and perhaps dates and the room; `None` if a part of it has another form.
fn combined(cell: &str, format: Format) -> Option<Vec<(Part, Option<&'static str>)>> {
    if is_too_long(cell) {
        return None;
    }
    let read_all =
        |parts: Vec<&str>| -> Option<Vec<_>> { parts.into_iter().map(|p| combined_part(p, format)).collect() };
    let split = |part: &str, separators: &[char]| -> Option<Vec<_>> {
        read_all(part.split(separators).map(str::trim).filter(|piece| !piece.is_empty()).collect())
    };
    // A list of quoted meetings, as programs print it.
    let quoted = cell.strip_prefix("['").and_then(|rest| rest.strip_suffix("']"));
    let parts: Vec<&str> = match quoted {
        Some(list) => list.split("', '").collect(),
        None => cell.split([';', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect(),
    };
    // `MW 9:00-9:50 | F 10:00-10:50` has two meetings, `MW | 9:00-9:50 | Room` one.
    let read = |part: &&str| {
        let one = combined_part(part, format).map(|found| vec![found]);
        one.or_else(|| split(part, &['|'])).or_else(|| split(part, &[',']))
    };
    let found: Option<Vec<Vec<_>>> = parts.iter().map(read).collect();
    // Days, time and room of one meeting may be on separate lines. A later line that begins with days is a meeting.
    let has_days = |part: &&str| days::days(part.split([' ', ',', '|']).next().unwrap_or_default()).is_ok();
    let is_one = !parts.iter().skip(1).any(has_days);
    let whole = || combined_part(cell, format).filter(|_| is_one).map(|part| vec![part]);
    let found = found.map(|found| found.into_iter().flatten().collect()).or_else(whole)?;
    // A cell with times only is not combined: its days are in another column.
    let is_combined = |(part, _): &(Part, _)| part.days != 0 || part.dates != (None, None);
    found.iter().any(is_combined).then_some(found)
}

/// Parses a part whose days, time, dates and room are separated by `|`, in any order.
fn part_of_fields(part: &str, format: Format) -> Option<(Part, Option<&'static str>)> {
    let mut found = Part::default();
    let mut warning = None;
    let mut names = Vec::new();
    let mut has_placeholder = false;
    for field in part.split('|').map(str::trim) {
        if is_unset(field) {
            has_placeholder = has_placeholder || !field.is_empty();
        } else if field.contains('-') && dates::lacks_year(field) {
            // The dates are not known.
        } else if let Ok((Some(first), last)) = dates::range(field, format.order) {
            found.dates = (Some(first), last);
        } else if let Ok((time, warned)) = times::range(field, format.clock) {
            let is_second = found.time.start.is_some();
            (found.time, warning) = (!is_second).then_some((time, warned))?;
        } else if let Some(days) = days::days(field).ok().filter(|_| found.days == 0) {
            found.days = days.bits();
        } else {
            rooms::room(field).ok()?;
            names.push(field);
        }
    }
    found.location = text::text(&names.join(" ")).ok()?;
    (found.days != 0 && (found.time.start.is_some() || has_placeholder)).then_some((found, warning))
}

/// Splits the first range of dates from the other words.
fn without_dates(part: &str, order: DayOrder) -> (String, DateRange) {
    let words: Vec<&str> = part.split_whitespace().collect();
    for from in 0..words.len() {
        for to in (from + 1..=words.len().min(from + DATE_WORDS_MAX)).rev() {
            let text = words[from..to].join(" ");
            let text = text.trim_matches(|c: char| matches!(c, ',' | '(' | ')' | ':'));
            let range = dates::range(text, order).ok().filter(|(first, last)| first.is_some() && first != last);
            let undated = (text.contains('-') && dates::lacks_year(text)).then_some((None, None));
            if let Some(range) = range.or(undated) {
                return ([&words[..from], &words[to..]].concat().join(" "), range);
            }
        }
    }
    (part.to_owned(), (None, None))
}

/// Parses the days before a time, which may follow the component: `Lecture Monday, Wednesday`.
fn days_after_component(text: &str) -> Option<Days> {
    let found = days::days(text).ok();
    found.or_else(|| {
        let (word, rest) = text.split_once([' ', ':'])?;
        component::known(word).and_then(|_| days::days(rest.trim()).ok())
    })
}

fn combined_part(part: &str, format: Format) -> Option<(Part, Option<&'static str>)> {
    let unset = || is_unset(part).then(|| (Part::default(), None));
    if part.contains('|') {
        return part_of_fields(part, format).or_else(unset);
    }
    // `MW TBA ONLINE` is unscheduled as a phrase, but has days.
    let has_days = part.split_once(' ').is_some_and(|(word, rest)| {
        days::days(word).is_ok_and(|days| days != Days::NONE)
            && rest.split_whitespace().next().is_some_and(text::is_unknown)
    });
    if !has_days && let Some(unset) = unset() {
        return Some(unset);
    }
    let (part, dates) = without_dates(part, format.order);
    let has_no_days = part.to_ascii_lowercase().contains("days to be announced");
    let (part, is_announced) = rooms::without_announcements(&part);
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | '@' | '(' | ')' | '/');
    // `F TBA ONLINE` has a day but no time.
    if let Some((word, rest)) = part.split_once(' ')
        && let Ok(days) = days::days(word)
        && let (first, room) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""))
        && text::is_unknown(first)
    {
        return Some((Part { days: days.bits(), location: rooms::room(room).ok()?, dates, ..Part::default() }, None));
    }
    let digit = part.find(|c: char| c.is_ascii_digit());
    let (before, rest) = part.split_at(digit.unwrap_or(part.len()));
    let words: Vec<&str> = rest.split_whitespace().collect();
    let found = (1..=words.len().min(TIME_WORDS_MAX)).rev().find_map(|used| {
        let text = words[..used].join(" ");
        let range = times::range(text.trim_end_matches([',', ' ']), format.clock).ok()?;
        Some((used, range, is_early(&text, range.0)))
    });
    if is_announced && found.is_none() {
        // The time is to be announced, perhaps the days too.
        let words = before.trim_matches(is_separator);
        let days = days_after_component(words.split(", ,").next().unwrap_or_default()).map_or(0, Days::bits);
        return (!rooms::holds_date(&part)).then_some((Part { days, dates, ..Part::default() }, None));
    }
    let (used, (time, warning), is_early) = found?;
    let (days, room) = if before.trim_matches(is_separator).is_empty() {
        // The days follow the time: `9:00-9:50 MWF Room`.
        let days = words.get(used).and_then(|word| days::days(word.trim_matches(is_separator)).ok())?;
        (days, words[used + 1..].join(" "))
    } else {
        (
            days_after_component(before.trim_matches(is_separator)).or(has_no_days.then_some(Days::NONE))?,
            words[used..].join(" "),
        )
    };
    // Colleague's mark of further meetings.
    let room = room.trim_end_matches('.').trim_end_matches("(more)");
    // A second time or a date shows that the rest is not a room.
    if room.split_whitespace().any(|word| word.contains(':') || rooms::is_range(word)) {
        return None;
    }
    let location = rooms::room(room.trim_matches(is_separator)).ok()?;
    Some((Part { days: days.bits(), time, location, dates, is_early }, warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_time_in_one_cell_are_parsed() {
        let table = [
            ("MW 9am-9:50am; F 8:30am-10:20am", vec!["mon wed 09:00-09:50", "fri 08:30-10:20"]),
            ("MoWeFr 10:00AM - 10:50AM", vec!["mon wed fri 10:00-10:50"]),
            ("TTH | 10:20 AM - 12:00 PM | 0008 NORTH", vec!["tue thu 10:20-12:00 0008 NORTH"]),
            ("MW 9:00-9:50, North 12\nF 0900-0950", vec!["mon wed 09:00-09:50 North 12", "fri 09:00-09:50"]),
            ("9:00-9:50 MWF North 12", vec!["mon wed fri 09:00-09:50 North 12"]),
            ("MW 9:00-9:50, F 10:00-10:50", vec!["mon wed 09:00-09:50", "fri 10:00-10:50"]),
            (
                "2031-01-20 - 2031-05-15 | Mon Wed | 9:00 a.m. - 9:50 a.m. | North 12",
                vec!["mon wed 09:00-09:50 North 12"],
            ),
            (
                "01/20/2031-05/15/2031 Lecture Monday, Wednesday 09:00AM - 09:50AM, North Hall, Room 12 (more)...",
                vec!["mon wed 09:00-09:50 North Hall, Room 12"],
            ),
            (
                "['MR 0330pm-0445pm 01/20-05/15 N 12', 'F 0330pm-0445pm 01/20-05/15 N 12']",
                vec!["mon thu 15:30-16:45 N 12", "fri 15:30-16:45 N 12"],
            ),
            ("MW 9:00-9:50 | F 10:00-10:50", vec!["mon wed 09:00-09:50", "fri 10:00-10:50"]),
        ];
        for (cell, expected) in table {
            let parts = combined(cell, Format::default()).unwrap_or_default();
            let shown: Vec<String> = parts.iter().map(|(part, _)| shown(part)).collect();
            assert_eq!(shown, expected, "{cell}");
        }
        for other in ["9:00-9:50", "MWF", "soon", "North 12", "", "MW 9:00-9:50 F 10:00-10:50", "M 9am-10am 2031-01-20"]
        {
            assert!(combined(other, Format::default()).is_none(), "{other}");
        }
    }

    fn shown(part: &Part) -> String {
        let days: Vec<&str> = Days::from_bits(part.days).names().collect();
        let time = |time: Option<Time>| time.map_or_else(String::new, |t| format!("{:02}:{:02}", t.hour(), t.minute()));
        let range = format!("{}-{}", time(part.time.start), time(part.time.end));
        [&days.join(" "), &range, part.location.as_deref().unwrap_or_default()].join(" ").trim().to_owned()
    }
}
