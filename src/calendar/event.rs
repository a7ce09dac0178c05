//! Weekly meetings as recurring events.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::calendar::Class;
use crate::calendar::lines::Lines;
use crate::domain::ids::UserName;
use crate::domain::language::Language;
use crate::domain::meeting::{Days, END_OF_DAY, Meeting};

/// Prefix of the text whose hash is the id of an event. It never changes, so that an event has the same id in all
/// versions.
const UID_DOMAIN: &[u8] = b"eduhub schedule 1";

/// A weekly meeting of a section, with all its dates.
#[derive(Debug)]
pub(super) struct Event {
    uid: Uuid,
    summary: String,
    description: String,
    location: Option<String>,
    days: Days,
    first: DateTime,
    first_end: DateTime,
    /// The start of the first meeting.
    pub(super) starts_at: Timestamp,
    /// The start of the last meeting.
    pub(super) repeats_until: Timestamp,
    /// The starts of meetings that holidays cancel, between the first and the last one.
    cancelled: Vec<DateTime>,
}

/// Returns the events of a section: one for each meeting whose days, times and dates are known and that takes place at
/// least once.
pub(super) fn of_class(class: &Class<'_>, student: &UserName, language: Language, zone: &TimeZone) -> Vec<Event> {
    let meetings = class.section.meetings.iter().enumerate();
    let component = component_name(&class.section.component, language);
    meetings.filter_map(|(number, meeting)| event(class, student, component, zone, number, meeting)).collect()
}

fn event(
    class: &Class<'_>,
    student: &UserName,
    component: &str,
    zone: &TimeZone,
    number: usize,
    meeting: &Meeting,
) -> Option<Event> {
    let Class { section, term } = class;
    let (start, end) = (meeting.start?, meeting.end?);
    let (from, to) = (meeting.starts_on.or(term.starts_on)?, meeting.ends_on.or(term.ends_on)?);
    let meets_on = |date: &Date| meeting.days.contains(date.weekday()) && !term.holidays.contains(date);
    // Both searches are short: after a week, they continue only across holidays, whose number is bounded.
    let first = (!meeting.days.is_empty()).then(|| days_from(from).take_while(|date| *date <= to).find(meets_on))??;
    let last = days_until(to).find(meets_on)?;
    let mut holidays: Vec<Date> = term.holidays.iter().copied().filter(|date| first < *date && *date < last).collect();
    holidays.sort_unstable();
    holidays.dedup();
    holidays.retain(|date| meeting.days.contains(date.weekday()));
    let at = |local: DateTime| zone.to_timestamp(local).ok();
    let title = section.title.as_deref().map(|title| format!(": {title}")).unwrap_or_default();
    let instructor = section.instructor.as_deref().map(|name| format!("\n{name}")).unwrap_or_default();
    Some(Event {
        uid: uid(student, section.id.to_string().as_bytes(), number),
        summary: format!("{} {component}{title}", section.course),
        description: format!("CRN {}{instructor}", section.crn_text()),
        location: meeting.location.as_deref().map(str::to_owned),
        days: meeting.days,
        first: first.to_datetime(start),
        first_end: end_of(first, end)?,
        starts_at: at(first.to_datetime(start))?,
        repeats_until: at(last.to_datetime(start))?,
        cancelled: holidays.into_iter().map(|date| date.to_datetime(start)).collect(),
    })
}

/// Returns the name of a component in a language, as the pages show it (`kind.…` in `static/js/words/`). A name that is
/// not among them is returned unchanged.
fn component_name(component: &str, language: Language) -> &str {
    let spanish = match component {
        "lecture" => "teoría",
        "lab" => "laboratorio",
        "tutorial" => "tutoría",
        "seminar" => "seminario",
        "discussion" => "grupo de discusión",
        "recitation" => "sesión de ejercicios",
        "studio" => "taller",
        "clinical" => "práctica clínica",
        "practicum" => "práctica",
        "internship" => "pasantía",
        "independent study" => "estudio independiente",
        "field work" => "trabajo de campo",
        "thesis" => "tesis",
        other => other,
    };
    language.pick(component, spanish)
}

fn days_from(from: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(from), |date| date.tomorrow().ok())
}

fn days_until(to: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(to), |date| date.yesterday().ok())
}

/// Returns the end of a meeting. Midnight belongs to the next day.
fn end_of(date: Date, end: Time) -> Option<DateTime> {
    if end == END_OF_DAY {
        Some(date.tomorrow().ok()?.to_datetime(Time::midnight()))
    } else {
        Some(date.to_datetime(end))
    }
}

/// Returns the id of an event: a UUID that reveals nothing about the student (RFC 7986, section 5.3). It depends on the
/// position of the meeting in its section, not on its time, so that a program that reads the calendar again moves the
/// event.
fn uid(student: &UserName, section: &[u8], meeting: usize) -> Uuid {
    let mut hash = Sha256::new();
    for part in [UID_DOMAIN, student.as_str().as_bytes(), section, &meeting.to_le_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl Event {
    /// Writes the event.
    pub(super) fn write(&self, lines: &mut Lines, zone: &str, now: Timestamp) {
        let local = |at: &DateTime| at.strftime("%Y%m%dT%H%M%S").to_string();
        let utc = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
        lines.raw("BEGIN:VEVENT");
        lines.raw(&format!("UID:{}", self.uid));
        lines.raw(&format!("DTSTAMP:{}", utc(now)));
        lines.raw(&format!("DTSTART;TZID={zone}:{}", local(&self.first)));
        lines.raw(&format!("DTEND;TZID={zone}:{}", local(&self.first_end)));
        if self.repeats_until > self.starts_at {
            let days: Vec<String> = self.days.names().map(|name| name[..2].to_ascii_uppercase()).collect();
            let until = utc(self.repeats_until);
            lines.raw(&format!("RRULE:FREQ=WEEKLY;UNTIL={until};BYDAY={}", days.join(",")));
        }
        for at in &self.cancelled {
            lines.raw(&format!("EXDATE;TZID={zone}:{}", local(at)));
        }
        lines.text("SUMMARY", &self.summary);
        if let Some(location) = &self.location {
            lines.text("LOCATION", location);
        }
        lines.text("DESCRIPTION", &self.description);
        lines.raw("END:VEVENT");
    }
}
