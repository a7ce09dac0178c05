//! Parses the meetings of a row. A cell may hold several, such as `MW; F` beside `1000-1115; 1000-1050`, or days, time
//! and room together, such as `MW 9am-9:50am; F 8:30am-10:20am` and `TTH | 10:20 AM - 12:00 PM | 0008 NORTH`.

use jiff::ToSpan;
use jiff::civil::{Date, Time};

use crate::domain::meeting::{Days, END_OF_DAY};
use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::Severity;

use crate::imports::csv::columns::{Column, MeetingColumns};
pub(super) use crate::imports::csv::combined::Format;
use crate::imports::csv::combined::{CELL_CHARS_MAX, Part, WarnedPart, combined, is_early, is_too_long, is_unset};
use crate::imports::csv::dates::{self, DateRange, DayOrder};
use crate::imports::csv::merge::MEETINGS_MAX;
use crate::imports::csv::pieces::{moments, paired_pieces, pieces, slots, time_pieces};
use crate::imports::csv::remarks::Remark;
use crate::imports::csv::row::{Cells, MeetingRow};
use crate::imports::csv::spanish_days::DayLetters;
use crate::imports::csv::times::{self, Clock, TimeRange, WarnedRange};
use crate::imports::csv::{days, text};

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
                    cells.add_finding(Severity::Error, None, &FindingKind::TooManyMeetings { max: MEETINGS_MAX });
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
        cells.add_finding_at(Severity::Error, end, &FindingKind::EndDateBeforeStart);
    }
    (first, last)
}

/// Parses dates. Dates without a year are ignored: the year in the code of a term may be the fiscal year.
fn read_date<T: Default>(cells: &mut Cells<'_>, index: usize, read: impl FnOnce(&str) -> Result<T, FindingKind>) -> T {
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
        cells.add_finding_at(Severity::Error, index, &FindingKind::MeetingsCellTooLong { max: CELL_CHARS_MAX });
        return vec![Part::default()];
    }
    for column in columns_of_times {
        remark_unscheduled(cells, columns.at(column));
    }
    let has_days_only = !is_unset(days) && is_unset(time);
    let (combined_column, combined_text) = if has_days_only { (Column::Days, days) } else { (Column::Time, time) };
    let is_combined = is_unset(days) || is_unset(time) || times::range_or_hours(time, format.clock).is_err();
    if is_combined && let Some(index) = columns.at(combined_column) {
        let with = |letters| combined(combined_text, Format { letters, ..format });
        if let Some(parts) = with(format.letters) {
            if format.letters == DayLetters::Spanish && with(DayLetters::SpanishUnclear).is_none() {
                cells.add_remark(Remark::TuesdayLetter, index);
            }
            let parts = remarked(cells, index, parts, format);
            return with_locations(cells, columns, parts);
        }
        if format.letters == DayLetters::SpanishUnclear && with(DayLetters::Spanish).is_some() {
            let kind = FindingKind::DaysUnclear { days: combined_text.to_owned() };
            cells.add_finding_at(Severity::Error, index, &kind);
            return vec![Part::default()];
        }
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
            ranges.push(read_range(cells, index, (piece, format), |_| times::range_or_hours(piece, format.clock)));
        }
    }
    if ranges.is_empty() {
        ranges.push(TimeRange::default());
    }
    let day_sets = read_days(cells, columns.at(Column::Days), ranges.len(), format.letters);
    let parts = ranges.into_iter().zip(day_sets).map(|(time, days)| Part { days, time, ..Part::default() }).collect();
    with_locations(cells, columns, parts)
}

fn text_at<'r>(cells: &Cells<'r>, index: Option<usize>) -> &'r str {
    index.map_or("", |index| cells.cell(index))
}

/// Parses one set of weekdays for each of `times` times.
fn read_days(cells: &mut Cells<'_>, column: Option<usize>, times: usize, letters: DayLetters) -> Vec<u8> {
    let Some(index) = column.filter(|index| !is_unset(cells.cell(*index))) else { return vec![0; times] };
    let cell = cells.cell(index);
    let sets = paired_pieces(cell, times);
    if times == 1 || sets.len() == 1 {
        return vec![read_set(cells, index, cell, letters); times];
    }
    if sets.len() != times {
        cells.add_finding_at(Severity::Error, index, &FindingKind::DaysAndTimes { days: sets.len(), times });
        return vec![0; times];
    }
    sets.into_iter().map(|set| read_set(cells, index, set, letters)).collect()
}

/// Parses one set of weekdays.
fn read_set(cells: &mut Cells<'_>, index: usize, set: &str, letters: DayLetters) -> u8 {
    let unclear = || days::days(set, DayLetters::SpanishUnclear);
    if letters == DayLetters::Spanish && matches!(unclear(), Err(FindingKind::DaysUnclear { .. })) {
        cells.add_remark(Remark::TuesdayLetter, index);
    }
    cells.read_at(index, |_| days::days(set, letters)).bits()
}

/// Returns the remark about a time that is imported as afternoon.
fn afternoon(format: Format) -> Remark {
    if format.clock == Clock::Marked { Remark::AfternoonBesideMarked } else { Remark::Afternoon }
}

/// Parses a time range, and adds its warning and its remark.
fn read_range<'r>(
    cells: &mut Cells<'r>,
    index: usize,
    (text, format): (&str, Format),
    read: impl FnOnce(&'r str) -> Result<WarnedRange, FindingKind>,
) -> TimeRange {
    let (range, warning) = cells.read_at(index, read);
    if let Some(warning) = warning {
        cells.add_finding_at(Severity::Warning, index, &warning);
    } else if range.guessed {
        cells.add_remark(afternoon(format), index);
    } else if format.has_halves && is_early(text, range) {
        cells.add_remark(Remark::EarlyAsWritten, index);
    }
    range
}

fn remarked(cells: &mut Cells<'_>, index: usize, parts: Vec<WarnedPart>, format: Format) -> Vec<Part> {
    parts
        .into_iter()
        .map(|(part, warning)| {
            if let Some(warning) = warning {
                cells.add_finding_at(Severity::Warning, index, &warning);
            } else if part.time.guessed {
                cells.add_remark(afternoon(format), index);
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
    let is_paired = |rooms: &Vec<&str>| rooms.len() == parts.len() && rooms.len() > 1;
    let places = Some(slots(cells.cell(index))).filter(is_paired);
    let rooms = places.unwrap_or_else(|| pieces(cells.cell(index)));
    let is_paired = is_paired(&rooms);
    let only = if let [only] = rooms[..] { Some(only) } else { None };
    let whole = cells.read_at(index, |cell| text::text(only.unwrap_or(cell)));
    if rooms.len() > 1 && parts.len() > 1 && !is_paired {
        let kind = FindingKind::RoomsAndMeetings { rooms: rooms.len(), meetings: parts.len() };
        cells.add_finding_at(Severity::Warning, index, &kind);
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
