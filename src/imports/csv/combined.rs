//! Parses a cell with the days and the time of meetings, and perhaps their dates and rooms:
//! `MW 9am-9:50am; F 8:30am-10:20am` and `TTH | 10:20 AM - 12:00 PM | 0008 NORTH`.

use crate::domain::meeting::Days;

use crate::imports::csv::dates::{self, DateRange, DayOrder};
use crate::imports::csv::spanish_days::{self, DayLetters, LettersEvidence};
use crate::imports::csv::status::LetterC;
use crate::imports::csv::times::{self, Clock, TimeRange};
use crate::imports::csv::{component, days, rooms, text};
use crate::imports::finding_kind::FindingKind;

/// The maximum number of words of a time range, such as `10:20 AM - 12:00 PM`, in a cell with days and room.
const TIME_WORDS_MAX: usize = 6;

/// The maximum number of words of a range of dates, such as `Sep 07, 2022 - Dec 05, 2022`.
const DATE_WORDS_MAX: usize = 7;

/// The maximum number of characters of a cell that is parsed as meetings: 200 meetings of 20 characters. Each word is
/// tried as the start of dates and times, so a cell of 240 KB would take seconds.
pub(super) const CELL_CHARS_MAX: usize = 4_000;

/// How a file writes days, times, dates and statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Format {
    pub(super) clock: Clock,
    pub(super) order: DayOrder,
    pub(super) letter_c: LetterC,
    pub(super) letters: DayLetters,
    /// Whether some times have am or pm or an hour above 12, so that others are doubtful.
    pub(super) has_halves: bool,
}

/// The format of a file with days in Spanish letters.
const SPANISH: Format = Format {
    clock: Clock::AsWritten,
    order: DayOrder::MonthFirst,
    letter_c: LetterC::Unknown,
    letters: DayLetters::Spanish,
    has_halves: false,
};

/// Returns whether am or pm follows a digit.
fn has_half(cell: &str) -> bool {
    let mark = |text: &str| text.trim_start().starts_with(['a', 'A', 'p', 'P']);
    cell.char_indices().any(|(at, c)| c.is_ascii_digit() && mark(&cell[at + 1..]))
}

/// Returns whether a time that is read as written has neither am nor pm nor a leading zero, and an hour that is more
/// likely in the afternoon.
pub(super) fn is_early(text: &str, range: TimeRange) -> bool {
    let is_early = range.start.is_some_and(|start| times::AFTERNOON_HOURS.contains(&start.hour()));
    is_early && !range.guessed && !has_half(text) && !text.trim_start().starts_with('0')
}

/// Days, time and room of one meeting.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) days: u8,
    pub(super) time: TimeRange,
    pub(super) location: Option<String>,
    /// Dates in the same cell.
    pub(super) dates: DateRange,
    /// See [`is_early`].
    pub(super) is_early: bool,
}

/// A part with a warning about it, if any.
pub(super) type WarnedPart = (Part, Option<FindingKind>);

/// Returns whether a cell of days or times means that they are not known.
pub(super) fn is_unset(cell: &str) -> bool {
    text::is_unknown(cell) || text::is_unscheduled_phrase(cell)
}

/// Returns whether a cell is too long to be parsed as meetings.
pub(super) fn is_too_long(cell: &str) -> bool {
    cell.len() > CELL_CHARS_MAX && cell.chars().count() > CELL_CHARS_MAX
}

/// Returns whether a cell has the days and the time of at least one meeting.
pub(super) fn is_readable(cell: &str) -> bool {
    combined(cell, Format::default()).is_some()
        || (day_texts(cell).any(spanish_days::is_only_spanish) && combined(cell, SPANISH).is_some())
}

/// Returns the texts of a cell of meetings that may be days: what is before the first digit of each part, or else the
/// first word after the time.
fn day_texts(cell: &str) -> impl Iterator<Item = &str> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | '@' | '(' | ')' | '/' | '-');
    cell.split([';', '\n', '\r', '|', '&']).filter_map(move |part| {
        let digit = part.find(|c: char| c.is_ascii_digit()).unwrap_or(part.len());
        let (before, rest) = part.split_at(digit);
        let before = before.trim_matches(is_separator);
        let is_word = |word: &&str| word.chars().all(char::is_alphabetic) && !["am", "pm", "a", "p"].contains(word);
        if before.is_empty() {
            rest.split(is_separator).filter(|word| !word.is_empty()).find(is_word)
        } else {
            Some(before)
        }
    })
}

/// Adds what a cell of days or meetings shows about the letters of days.
pub(super) fn add_letters(evidence: &mut LettersEvidence, cell: &str) {
    if evidence.is_complete() || is_too_long(cell) {
        return;
    }
    if !cell.contains(|c: char| c.is_ascii_digit()) {
        evidence.add(cell, || days::is_english(cell));
        return;
    }
    // Rooms are among the texts, so only those that are days in the language of the whole cell count.
    if combined(cell, Format::default()).is_some() {
        if let Some(text) = day_texts(cell).find(|text| days::is_english(text)) {
            evidence.add(text, || true);
        }
    } else if day_texts(cell).any(spanish_days::is_only_spanish) && combined(cell, SPANISH).is_some() {
        day_texts(cell).filter(|text| !days::is_english(text)).for_each(|text| evidence.add(text, || false));
    }
}

/// Parses a cell with days and time, and perhaps dates and the room; `None` if a part of it has another form.
pub(super) fn combined(cell: &str, format: Format) -> Option<Vec<WarnedPart>> {
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
        let others = [&['|'][..], &[','], &['&'], &['/', '+']];
        one.or_else(|| others.into_iter().find_map(|separators| split(part, separators)))
    };
    let found: Option<Vec<Vec<_>>> = parts.iter().map(read).collect();
    let found = found.or_else(|| with_rooms_apart(&parts, format.letters, read));
    // Days, time and room of one meeting may be on separate lines. A later line that begins with days is a meeting.
    let has_days =
        |part: &&str| days::days(part.split([' ', ',', '|']).next().unwrap_or_default(), format.letters).is_ok();
    let is_one = !parts.iter().skip(1).any(has_days);
    let whole = || combined_part(cell, format).filter(|_| is_one).map(|part| vec![part]);
    let found = found.map(|found| found.into_iter().flatten().collect()).or_else(whole)?;
    // A cell with times only is not combined: its days are in another column.
    let is_combined = |(part, _): &(Part, _)| part.days != 0 || part.dates != (None, None);
    found.iter().any(is_combined).then_some(found)
}

/// Parses parts, some of which are only the room of the part before: `MW 9:00-9:50 AM; Main Campus, Elm Hall, 105`.
/// Returns `None` if a part is neither a meeting nor such a room.
fn with_rooms_apart(
    parts: &[&str],
    letters: DayLetters,
    read: impl Fn(&&str) -> Option<Vec<WarnedPart>>,
) -> Option<Vec<Vec<WarnedPart>>> {
    let has_days = |part: &str| part.split([' ', ',']).next().is_some_and(|word| days::days(word, letters).is_ok());
    let mut found: Vec<Vec<WarnedPart>> = Vec::new();
    for part in parts {
        if let Some(meetings) = read(part) {
            found.push(meetings);
            continue;
        }
        let [(before, _)] = found.last_mut()?.as_mut_slice() else { return None };
        let is_room = before.location.is_none() && !has_days(part) && part.contains(|c: char| c.is_ascii_digit());
        before.location = Some(rooms::room(rooms::without_component(part)).ok().flatten().filter(|_| is_room)?);
    }
    Some(found)
}

/// Parses a part whose days, time, dates and room are separated by `|`, in any order.
fn part_of_fields(part: &str, format: Format) -> Option<WarnedPart> {
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
        } else if let Ok((time, warned)) = times::range_or_hours(field, format.clock) {
            let is_second = found.time.start.is_some();
            (found.time, warning) = (!is_second).then_some((time, warned))?;
        } else if let Some(days) = days::days(field, format.letters).ok().filter(|_| found.days == 0) {
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
fn days_after_component(text: &str, letters: DayLetters) -> Option<Days> {
    let found = days::days(text, letters).ok();
    found.or_else(|| {
        let (word, rest) = text.split_once([' ', ':'])?;
        component::known(word).and_then(|_| days::days(rest.trim(), letters).ok())
    })
}

fn combined_part(part: &str, format: Format) -> Option<WarnedPart> {
    let unset = || is_unset(part).then(|| (Part::default(), None));
    if part.contains('|') {
        return part_of_fields(part, format).or_else(unset);
    }
    // `MW TBA ONLINE` is unscheduled as a phrase, but has days.
    let has_days = part.split_once(' ').is_some_and(|(word, rest)| {
        days::days(word, format.letters).is_ok_and(|days| days != Days::NONE)
            && rest.split_whitespace().next().is_some_and(text::is_unknown)
    });
    if !has_days && let Some(unset) = unset() {
        return Some(unset);
    }
    let unlabelled = rooms::without_labels(part);
    let (part, dates) = without_dates(&unlabelled, format.order);
    let has_no_days = part.to_ascii_lowercase().contains("days to be announced");
    let (part, is_announced) = rooms::without_announcements(&part);
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | '@' | '(' | ')' | '/');
    // `F TBA ONLINE` has a day but no time.
    if let Some((word, rest)) = part.split_once(' ')
        && let Ok(days) = days::days(word, format.letters)
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
        let range = times::range_or_hours(text.trim_end_matches([',', ' ']), format.clock).ok()?;
        let is_early = is_early(&text, range.0);
        Some((used, range, is_early))
    });
    if is_announced && found.is_none() {
        // The time is to be announced, perhaps the days too.
        let words = before.trim_matches(is_separator);
        let words = words.split(", ,").next().unwrap_or_default();
        let days = days_after_component(words, format.letters).map_or(0, Days::bits);
        return (!rooms::holds_date(&part)).then_some((Part { days, dates, ..Part::default() }, None));
    }
    let (used, (time, warning), is_early) = found?;
    let (days, room) = if before.trim_matches(is_separator).is_empty() {
        // The days follow the time: `9:00-9:50 MWF Room`.
        let word = words.get(used)?.trim_matches(is_separator);
        let days = days::days(word, format.letters).ok()?;
        (days, words[used + 1..].join(" "))
    } else {
        (
            days_after_component(before.trim_matches(is_separator), format.letters)
                .or(has_no_days.then_some(Days::NONE))?,
            words[used..].join(" "),
        )
    };
    // Colleague's mark of further meetings.
    let room = room.trim_end_matches('.').trim_end_matches("(more)");
    // A second time or a date shows that the rest is not a room.
    if room.split_whitespace().any(|word| word.contains(':') || rooms::is_range(word)) {
        return None;
    }
    let room = room.trim_matches(is_separator);
    let room = ["in ", "at "].iter().find_map(|word| room.strip_prefix(word)).unwrap_or(room);
    let location = rooms::room(rooms::without_component(room)).ok()?;
    Some((Part { days: days.bits(), time, location, dates, is_early }, warning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Time;

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
            ("MW 9:00-9:50 & F 10:00-10:50", vec!["mon wed 09:00-09:50", "fri 10:00-10:50"]),
            ("MW 9:00-9:50/F 10:00-10:50", vec!["mon wed 09:00-09:50", "fri 10:00-10:50"]),
            ("MW 9:00am-9:50am in Elm 105", vec!["mon wed 09:00-09:50 Elm 105"]),
            ("MWF 9-10 Elm 105", vec!["mon wed fri 09:00-10:00 Elm 105"]),
            (
                "MW 9:00-9:50; Main Campus, Elm Hall, 105 (Lecture)",
                vec!["mon wed 09:00-09:50 Main Campus, Elm Hall, 105"],
            ),
            (
                "Monday,Wednesday 09:00 AM - 09:50 AM Type: Class Building: Elm Hall Room: 105 Start Date: 01/20/2031 End \
                 Date: 05/15/2031",
                vec!["mon wed 09:00-09:50 Elm Hall 105"],
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
