//! A student's schedule as iCalendar (RFC 5545), for calendar programs.
//!
//! - [`lines`]: content lines, with escaped text and folding
//! - [`zone`]: the `VTIMEZONE` of the college's time zone
//! - [`event`]: the weekly meetings of a section as recurring events
//!
//! The crate `icalendar` is not used: it has no `VTIMEZONE`, and depends on a second library for dates.

mod event;
mod lines;
#[cfg(test)]
mod tests;
mod zone;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::ids::UserName;
use crate::domain::language::Language;
use crate::domain::section::Section;
use crate::domain::term::Term;

use lines::Lines;

/// How often a calendar program should read a feed again.
const REFRESH: &str = "PT4H";

/// A section that the student takes, with its term.
#[derive(Debug, Clone, Copy)]
pub struct Class<'a> {
    /// The term.
    pub term: &'a Term,
    /// The section.
    pub section: &'a Section,
}

/// A schedule to write.
#[derive(Debug)]
pub struct Schedule<'a> {
    /// The student. The ids of events contain a hash of the name, so that the calendars of two students can be merged.
    pub student: &'a UserName,
    /// The title of the calendar.
    pub title: &'a str,
    /// The college's time zone.
    pub zone: &'a TimeZone,
    /// The IANA name of the time zone.
    pub zone_name: &'a str,
    /// The language of the calendar. Titles and names are as the college writes them.
    pub language: Language,
    /// When the calendar is written.
    pub now: Timestamp,
    /// The sections.
    pub classes: &'a [Class<'a>],
}

/// Returns the calendar. Each meeting with known days, times and dates is one event, which recurs unless it takes place
/// only once. Other meetings are left out, as are those that holidays cancel completely.
#[must_use]
pub fn write(schedule: &Schedule<'_>) -> String {
    let Schedule { student, title, zone, zone_name, language, now, classes } = schedule;
    let events: Vec<_> = classes.iter().flat_map(|class| event::of_class(class, student, *language, zone)).collect();
    let first = events.iter().map(|event| event.starts_at).min().unwrap_or(*now);
    let last = events.iter().map(|event| event.repeats_until).max().unwrap_or(*now);
    let mut lines = Lines::default();
    lines.raw("BEGIN:VCALENDAR");
    lines.raw("VERSION:2.0");
    lines.raw(&format!("PRODID:-//EduHub//Schedule//{}", language.pick("EN", "ES")));
    lines.raw("CALSCALE:GREGORIAN");
    for name in ["NAME", "X-WR-CALNAME"] {
        lines.text(name, title);
    }
    lines.raw(&format!("REFRESH-INTERVAL;VALUE=DURATION:{REFRESH}"));
    lines.raw(&format!("X-PUBLISHED-TTL:{REFRESH}"));
    zone::write(&mut lines, zone, zone_name, first, last);
    for event in &events {
        event.write(&mut lines, zone_name, *now);
    }
    lines.raw("END:VCALENDAR");
    lines.finish()
}
