//! Meetings as text, one per line: `MWF 09:30-10:50 2026-01-12..2026-05-08 Room`. An unknown part is omitted or written
//! as `TBA`. A room may contain spaces. The days are the letters `M T W R F S U` (`R` is Thursday, `U` is Sunday).
//!
//! Written meetings are read back unchanged. The reader also accepts lower-case letters, `TTh`, `Mon,Wed`,
//! `9:30am-10:50am`, and one date for a single day.

use jiff::civil::{Date, Time};

use crate::domain::meeting::{Days, END_OF_DAY, Meeting, hour_minute_text};

use crate::plone::format::text::{cut, is_unknown, one_line};
use crate::plone::problem::{FieldProblem, MeetingProblem};

/// Letters of the days, Monday first.
const LETTERS: [char; 7] = ['M', 'T', 'W', 'R', 'F', 'S', 'U'];
/// Placeholder of an unknown part.
const UNKNOWN: &str = "TBA";
/// Maximum number of meetings of a section.
const MEETINGS_MAX: usize = 1_000;
/// Maximum length of a room, in characters.
const ROOM_CHARS_MAX: usize = 1_000;

/// Formats meetings. Omits meetings without any known part.
pub(super) fn write(meetings: &[Meeting]) -> String {
    let lines = meetings.iter().filter(|m| **m != Meeting::default()).map(write_line);
    lines.collect::<Vec<_>>().join("\n")
}

fn write_line(meeting: &Meeting) -> String {
    let days = LETTERS.iter().enumerate().filter(|(at, _)| meeting.days.bits() & (1 << at) != 0);
    let days: String = days.map(|(_, letter)| letter).collect();
    let time = match (meeting.start, meeting.end) {
        (Some(start), Some(end)) => {
            format!("{}-{}", hour_minute_text(start), hour_minute_text(end))
        }
        _ => String::new(),
    };
    let date = |date: Option<Date>| date.map_or_else(String::new, |date| date.to_string());
    let dates = match (meeting.starts_on, meeting.ends_on) {
        (None, None) => String::new(),
        (first, last) => format!("{}..{}", date(first), date(last)),
    };
    let room = one_line(meeting.location.as_deref().unwrap_or_default());
    let parts = [days, time, dates, room];
    let known: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let short = known.join(" ");
    if read_line(&short).as_ref() == Ok(meeting) {
        return short;
    }
    // Without placeholders, the `M` of a room such as `M 101` would be read as Monday.
    let last = parts.iter().rposition(|part| !part.is_empty()).unwrap_or(0);
    let full = parts[..=last].iter().map(|part| if part.is_empty() { UNKNOWN } else { part });
    full.collect::<Vec<_>>().join(" ")
}

/// Parses meetings. Omits repeated meetings and meetings without any known part.
///
/// # Errors
/// What is wrong with the first unreadable line, for the editor of the item.
pub(super) fn read(text: &str) -> Result<Vec<Meeting>, FieldProblem> {
    let mut meetings: Vec<Meeting> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let meeting = read_line(line).map_err(|problem| FieldProblem::Meeting { problem, text: cut(line) })?;
        if meeting == Meeting::default() || meetings.contains(&meeting) {
            continue;
        }
        if meetings.len() == MEETINGS_MAX {
            return Err(FieldProblem::TooManyMeetings { max: MEETINGS_MAX });
        }
        meetings.push(meeting);
    }
    Ok(meetings)
}

fn read_line(line: &str) -> Result<Meeting, MeetingProblem> {
    let tokens: Vec<&str> = line.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    let mut meeting = Meeting::default();
    let (days, times, dates);
    (days, rest) = part(rest, read_days)?;
    (times, rest) = part(rest, read_times)?;
    (dates, rest) = part(rest, read_dates)?;
    if let Part::Known(days) = days {
        meeting.days = days;
    }
    match times {
        Part::Known((start, end)) => (meeting.start, meeting.end) = (Some(start), Some(end)),
        // The line has a time, so what precedes the time should have been the days.
        Part::Absent if rest.iter().any(|token| looks_like_times(token)) => {
            return Err(MeetingProblem::Days);
        }
        _ => {}
    }
    match dates {
        Part::Known((first, last)) => (meeting.starts_on, meeting.ends_on) = (first, last),
        Part::Absent if rest.iter().any(|token| looks_like_dates(token)) => {
            return Err(MeetingProblem::BeforeDates);
        }
        _ => {}
    }
    let room = rest.join(" ");
    if room.chars().count() > ROOM_CHARS_MAX {
        return Err(MeetingProblem::RoomTooLong { max: ROOM_CHARS_MAX });
    }
    meeting.location = (!is_unknown(&room)).then(|| room.into());
    Ok(meeting)
}

enum Part<T> {
    Known(T),
    /// The part is omitted: the next token is another part.
    Absent,
    /// The part is written as a placeholder.
    Unknown,
}

/// Parses one part from the front of the tokens. `read` returns `None` for a token that is another part.
fn part<'l, T>(
    tokens: &'l [&'l str],
    read: fn(&str) -> Option<Result<T, MeetingProblem>>,
) -> Result<(Part<T>, &'l [&'l str]), MeetingProblem> {
    let Some((first, rest)) = tokens.split_first() else { return Ok((Part::Absent, tokens)) };
    if first.eq_ignore_ascii_case(UNKNOWN) {
        return Ok((Part::Unknown, rest));
    }
    match read(first) {
        Some(value) => Ok((Part::Known(value?), rest)),
        None => Ok((Part::Absent, tokens)),
    }
}

fn read_days(token: &str) -> Option<Result<Days, MeetingProblem>> {
    let lower = token.to_ascii_lowercase();
    let names = lower.split(',').try_fold(0, |bits, name| Some(bits | Days::parse_one(name)?.bits()));
    let bits = names.or_else(|| {
        let mut bits = 0;
        // `Th` is Thursday.
        for letter in lower.replace("th", "r").chars() {
            bits |= 1 << LETTERS.iter().position(|day| day.eq_ignore_ascii_case(&letter))?;
        }
        Some(bits)
    })?;
    Some(Ok(Days::from_bits(bits)))
}

fn looks_like_times(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_digit()) && token.contains(':')
}

fn read_times(token: &str) -> Option<Result<(Time, Time), MeetingProblem>> {
    if !looks_like_times(token) {
        return None;
    }
    let times = token.split_once(['-', '–']).and_then(|(from, to)| Some((read_time(from)?, read_time(to)?)));
    Some(match times {
        None => Err(MeetingProblem::Time),
        Some((start, end)) if end <= start => Err(MeetingProblem::EndsBeforeStart),
        Some(times) => Ok(times),
    })
}

fn read_time(text: &str) -> Option<Time> {
    if text == "24:00" {
        return Some(END_OF_DAY);
    }
    let lower = text.to_ascii_lowercase();
    let (clock, afternoon) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(clock), _) => (clock, Some(false)),
        (_, Some(clock)) => (clock, Some(true)),
        _ => (lower.as_str(), None),
    };
    let (hour, minute) = clock.split_once(':')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i8>().ok()).flatten();
    let (hour, minute) = (number(hour)?, number(minute).filter(|_| minute.len() == 2)?);
    let hour = match afternoon {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
    };
    Time::new(hour, minute, 0, 0).ok()
}

fn looks_like_dates(token: &str) -> bool {
    token.contains("..") || token.parse::<Date>().is_ok_and(|_| token.len() == DATE_LEN)
}

/// Length of `2026-01-12`.
const DATE_LEN: usize = 10;

type DateRange = (Option<Date>, Option<Date>);

fn read_dates(token: &str) -> Option<Result<DateRange, MeetingProblem>> {
    if !looks_like_dates(token) {
        return None;
    }
    let (first, last) = token.split_once("..").unwrap_or((token, token));
    let date = |text: &str| match text {
        "" => Some(None),
        _ if text.len() == DATE_LEN => text.parse::<Date>().ok().map(Some),
        _ => None,
    };
    Some(match (date(first), date(last)) {
        (Some(Some(first)), Some(Some(last))) if last < first => Err(MeetingProblem::DatesReversed),
        (Some(None), Some(None)) | (None, _) | (_, None) => Err(MeetingProblem::Dates),
        (Some(first), Some(last)) => Ok((first, last)),
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    use super::*;

    fn summary(meeting: &Meeting) -> String {
        let time = |time: Option<Time>| time.map_or("-".to_owned(), |t| t.strftime("%H:%M").to_string());
        let date = |date: Option<Date>| date.map_or("-".to_owned(), |d| d.to_string());
        let days = meeting.days.names().collect::<Vec<_>>().join("+");
        let (start, end) = (time(meeting.start), time(meeting.end));
        let (first, last) = (date(meeting.starts_on), date(meeting.ends_on));
        format!("{days}|{start}|{end}|{first}|{last}|{}", meeting.location.as_deref().unwrap_or("-"))
    }

    #[test]
    fn common_spellings_of_meetings_are_read() {
        let table = [
            ("MWF 09:30-10:50 2026-01-12..2026-05-08 Room", "mon+wed+fri|09:30|10:50|2026-01-12|2026-05-08|Room"),
            ("mwf 9:30-10:50", "mon+wed+fri|09:30|10:50|-|-|-"),
            ("TTh 9:30am-1:50pm Science Hall 101", "tue+thu|09:30|13:50|-|-|Science Hall 101"),
            ("Mon,Wed 09:30–10:50 B 2", "mon+wed|09:30|10:50|-|-|B 2"),
            ("TBA TBA TBA M 101", "|-|-|-|-|M 101"),
            ("TBA TBA Online", "|-|-|-|-|Online"),
            ("Online", "|-|-|-|-|Online"),
            ("TR TBA 2026-01-12..", "tue+thu|-|-|2026-01-12|-|-"),
            ("S 08:00-12:00 2026-01-17 Field", "sat|08:00|12:00|2026-01-17|2026-01-17|Field"),
            ("U", "sun|-|-|-|-|-"),
        ];
        for (line, expected) in table {
            assert_eq!(read(line).unwrap().iter().map(summary).collect::<Vec<_>>(), [expected], "{line}");
        }
        assert_eq!(read("TBA\n\n  \ntba tba"), Ok(Vec::new()));
        assert_eq!(read("M 09:00-10:00\r\nM 09:00-10:00\r\nT 09:00-10:00").unwrap().len(), 2);
    }

    #[test]
    fn unreadable_lines_are_not_read_as_rooms() {
        for line in [
            "MXF 09:30-10:50",
            "MWF 25:00-26:00 Room",
            "MWF 10:50-09:30",
            "MWF 9:30",
            "MWF 09:30-10:50 2026-13-01..2026-05-08 Room",
            "MWF 09:30-10:50 2026-05-08..2026-01-12",
            "MWF soon 2026-01-12..2026-05-08",
            "MWF 09:30-10:50 ..",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    fn dates() -> impl Strategy<Value = (Option<Date>, Option<Date>)> {
        let day = || (1_990_i16..2_100, 1_i8..=12, 1_i8..=28).prop_map(|(y, m, d)| date(y, m, d));
        (proptest::option::of(day()), proptest::option::of(day())).prop_map(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
            other => other,
        })
    }

    fn room() -> impl Strategy<Value = Option<Box<str>>> {
        let token = prop_oneof![
            "[A-Za-z0-9.:-]{1,12}",
            Just("TBA".to_owned()),
            Just("MWF".to_owned()),
            Just("09:30-10:50".to_owned()),
            Just("2026-01-12..2026-05-08".to_owned()),
            "\\PC{1,6}",
        ];
        let rooms = proptest::collection::vec(token, 0..5).prop_map(|tokens| one_line(&tokens.join(" ")));
        rooms.prop_map(|room| (!is_unknown(&room)).then(|| room.into()))
    }

    fn meeting() -> impl Strategy<Value = Meeting> {
        let minute = || (0_i16..24 * 60).prop_map(|m| time((m / 60) as i8, (m % 60) as i8, 0, 0));
        let times = proptest::option::of((minute(), minute()).prop_filter("a duration above 0", |(a, b)| a != b));
        (0_u8..128, times, dates(), room()).prop_map(|(days, times, (starts_on, ends_on), location)| Meeting {
            days: Days::from_bits(days),
            start: times.map(|(a, b)| a.min(b)),
            end: times.map(|(a, b)| a.max(b)),
            starts_on,
            ends_on,
            location,
        })
    }

    proptest! {
        #[test]
        fn written_meetings_are_read_back_unchanged(meetings in proptest::collection::vec(meeting(), 0..4)) {
            let mut expected: Vec<Meeting> = Vec::new();
            for meeting in &meetings {
                if *meeting != Meeting::default() && !expected.contains(meeting) {
                    expected.push(meeting.clone());
                }
            }
            let text = write(&meetings);
            prop_assert_eq!(read(&text), Ok(expected.clone()), "{}", text);
            prop_assert_eq!(write(&expected), write(&read(&text).unwrap()));
        }
    }
}
