//! Parses rows of one-off events, in the format of the earlier EduHub importer. Times are in the college's time zone.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, civil};

use crate::domain::event::Event;
use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::Severity;

use crate::imports::csv::columns::Column;
use crate::imports::csv::dates::DayOrder;
use crate::imports::csv::row::Cells;
use crate::imports::csv::{dates, instructors, text, times};

/// The maximum duration of an event, in minutes: a week.
const DURATION_MINUTES_MAX: i64 = 7 * 24 * 60;
/// The maximum length of a description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 10_000;

/// Parses a row. Returns `None`, and adds findings, if a cell has an error.
pub(super) fn read(cells: &mut Cells<'_>, zone: &TimeZone, order: DayOrder) -> Option<Event> {
    let program = cells.read(Column::Program, |cell| match text::text(cell)? {
        None => Err(FindingKind::ProgramMissing),
        some => Ok(some),
    });
    let date = cells.read(Column::Date, |cell| match dates::single(cell, order)? {
        None => Err(FindingKind::DateMissing),
        some => Ok(some),
    });
    let time = cells.read(Column::Time, times::single);
    let minutes = cells.read(Column::Duration, duration);
    let title = cells.read(Column::Title, text::text);
    let location = cells.read(Column::Location, text::text);
    let instructor = cells.read(Column::Instructor, instructors::instructor);
    let description = cells.read(Column::Description, description);
    if time.is_none() && !cells.has_errors() {
        cells.add_finding(Severity::Warning, Some(Column::Time), &FindingKind::TimeMissing);
    }
    let (program, date) = (program?, date?);
    if cells.has_errors() {
        return None;
    }
    let Some(starts_at) = instant(date, time.unwrap_or(Time::midnight()), zone) else {
        cells.add_finding(Severity::Error, Some(Column::Date), &FindingKind::NoSuchTime);
        return None;
    };
    let ends_at = minutes.and_then(|m| starts_at.checked_add(SignedDuration::from_mins(m)).ok());
    let id = id(&[
        &program,
        &date.to_string(),
        &time.map_or_else(String::new, |t| t.to_string()),
        location.as_deref().unwrap_or_default(),
    ]);
    Some(Event {
        id,
        title: title.unwrap_or_else(|| program.clone()),
        program,
        starts_at,
        ends_at,
        location,
        instructor,
        description,
    })
}

/// Returns the instant of a local time. A time that a clock change skips is moved forward by the length of the gap; for
/// an ambiguous time, the first instant is taken (RFC 5545, section 3.3.5).
fn instant(date: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let at = civil::DateTime::from_parts(date, time);
    zone.to_timestamp(at).ok()
}

fn description(cell: &str) -> Result<Option<String>, FindingKind> {
    if text::is_unknown(cell) {
        return Ok(None);
    }
    if cell.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(FindingKind::DescriptionTooLong { max: DESCRIPTION_CHARS_MAX });
    }
    Ok(Some(cell.replace("\r\n", "\n")))
}

/// Parses a duration into minutes: `90`, `90 min`, `1:30`, `2 hours`, `1.5 h`, `1h30`.
fn duration(cell: &str) -> Result<Option<i64>, FindingKind> {
    if text::is_unknown(cell) {
        return Ok(None);
    }
    minutes(&cell.to_ascii_lowercase())
        .filter(|m| (1..=DURATION_MINUTES_MAX).contains(m))
        .map(Some)
        .ok_or(FindingKind::DurationForm)
}

fn minutes(text: &str) -> Option<i64> {
    let number = |s: &str| if s.len() <= 5 { s.trim().parse::<i64>().ok().filter(|n| *n >= 0) } else { None };
    if let Some((hours, minutes)) = text.split_once(':') {
        return Some(number(hours)? * 60 + number(minutes).filter(|m| *m < 60)?);
    }
    let at = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let (amount, rest) = (text[..at].trim(), text[at..].trim());
    let unit_len = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = (&rest[..unit_len], rest[unit_len..].trim());
    match unit {
        "" | "m" | "min" | "mins" | "minute" | "minutes" if rest.is_empty() => number(amount),
        "h" | "hr" | "hrs" | "hour" | "hours" if rest.is_empty() => {
            let (hours, part) = amount.split_once('.').unwrap_or((amount, "0"));
            let tenths = match part {
                "0" | "00" => 0,
                "25" => 15,
                "5" | "50" => 30,
                "75" => 45,
                _ => return None,
            };
            Some(number(hours)? * 60 + tenths)
        }
        "h" | "hr" | "hrs" | "hour" | "hours" => {
            let minutes = rest.trim_end_matches(|c: char| c.is_alphabetic());
            Some(number(amount)? * 60 + number(minutes).filter(|m| *m < 60)?)
        }
        _ => None,
    }
}

/// Returns an event's id: the 128-bit FNV-1a hash (draft-eastlake-fnv) of its program, date, time and room, in
/// hexadecimal. A later file can thus change the other fields of the event.
fn id(parts: &[&str]) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash = OFFSET;
    for part in parts {
        for byte in part.to_lowercase().bytes().chain([0]) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(PRIME);
        }
    }
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_as_people_write_them() {
        for (cell, minutes) in [
            ("90", 90),
            ("90 min", 90),
            ("90 minutes", 90),
            ("1:30", 90),
            ("2 hours", 120),
            ("1.5 h", 90),
            ("1h30", 90),
            ("1h 30m", 90),
            ("2h", 120),
        ] {
            assert_eq!(duration(cell), Ok(Some(minutes)), "{cell}");
        }
        assert_eq!(duration(""), Ok(None));
        for bad in ["0", "-5", "long", "1:75", "99999", "1 fortnight", "é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn event_id_depends_on_program_date_time_and_room() {
        let one = id(&["Welding", "2026-01-12", "18:00:00", "Shop"]);
        assert_eq!(one, id(&["WELDING", "2026-01-12", "18:00:00", "shop"]));
        assert_ne!(one, id(&["Welding", "2026-01-12", "18:00:00", "Shop 2"]));
        assert_ne!(id(&["ab", "c"]), id(&["a", "bc"]));
        assert_eq!(one.len(), 32);
    }
}
