//! Tests of calendars, with dates that are computed by hand.

use jiff::civil::{Date, date, time};
use jiff::tz::TimeZone;

use super::*;
use crate::domain::ids::{SectionId, TermId};
use crate::domain::meeting::{Days, END_OF_DAY, Meeting};
use crate::domain::section::{Credits, SectionStatus};

const ZONE: &str = "America/New_York";

fn term(holidays: &[Date]) -> Term {
    let mut term = Term::new(TermId::parse("2026F").unwrap());
    term.starts_on = Some(date(2026, 10, 19));
    term.ends_on = Some(date(2026, 12, 11));
    term.holidays = holidays.to_vec();
    term
}

fn section(meetings: Vec<Meeting>) -> Section {
    Section {
        id: SectionId::parse("2026F-10001").unwrap(),
        original_crn: None,
        course: "MATH 151".into(),
        component: "lecture".into(),
        section: None,
        title: Some("Calculus; limits, series".into()),
        credits: Credits(3_000),
        instructor: Some("Müller".into()),
        method: None,
        campus: None,
        meetings,
        capacity: 1,
        waitlist_capacity: 0,
        status: SectionStatus::Open,
        linked: Vec::new(),
        cross_listed: None,
        reserved: Vec::new(),
        restrictions: Vec::new(),
        repeat_limit: None,
        prerequisites: Vec::new(),
        withdrawn: false,
    }
}

/// A meeting on Mondays and Wednesdays.
fn meeting() -> Meeting {
    Meeting {
        days: Days::from_bits(0b101),
        start: Some(time(9, 30, 0, 0)),
        end: Some(time(10, 50, 0, 0)),
        starts_on: None,
        ends_on: None,
        location: Some("Hall 3".into()),
    }
}

fn written(zone: &str, term: &Term, section: &Section) -> String {
    written_in(Language::English, zone, term, section)
}

fn written_in(language: Language, zone: &str, term: &Term, section: &Section) -> String {
    let (student, zone_name) = (UserName::parse("ann").unwrap(), zone);
    let zone = TimeZone::get(zone).unwrap();
    let (now, classes) = ("2026-11-28T12:00:00Z".parse().unwrap(), [Class { term, section }]);
    write(&Schedule { student: &student, title: "Schedule", zone: &zone, zone_name, language, now, classes: &classes })
}

/// Returns the lines of the events, unfolded, without ids and times of writing.
fn events(text: &str) -> Vec<String> {
    let unfolded = text.replace("\r\n ", "");
    let lines = unfolded.split("\r\n").skip_while(|line| *line != "BEGIN:VEVENT");
    lines.filter(|line| !line.starts_with("UID") && !line.starts_with("DTSTAMP")).map(str::to_owned).collect()
}

fn line<'t>(events: &'t [String], name: &str) -> Option<&'t str> {
    events.iter().find(|line| line.starts_with(name)).map(String::as_str)
}

#[test]
fn a_meeting_recurs_across_holidays_and_daylight_saving_time() {
    // The holidays are the first Monday, the Wednesday before Thanksgiving, a Friday, and the last Wednesday.
    let term = term(&[date(2026, 10, 19), date(2026, 11, 25), date(2026, 11, 27), date(2026, 12, 9)]);
    let text = written(ZONE, &term, &section(vec![meeting()]));
    let expected = [
        "BEGIN:VEVENT",
        "DTSTART;TZID=America/New_York:20261021T093000",
        "DTEND;TZID=America/New_York:20261021T105000",
        "RRULE:FREQ=WEEKLY;UNTIL=20261207T143000Z;BYDAY=MO,WE",
        "EXDATE;TZID=America/New_York:20261125T093000",
        "SUMMARY:MATH 151 lecture: Calculus\\; limits\\, series",
        "LOCATION:Hall 3",
        "DESCRIPTION:CRN 10001\\nMüller",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ];
    assert_eq!(events(&text), expected);
    let zone = text.split("BEGIN:VTIMEZONE\r\n").nth(1).unwrap().split("END:VTIMEZONE").next().unwrap();
    let expected = "TZID:America/New_York\r\n\
        BEGIN:DAYLIGHT\r\nDTSTART:20260308T020000\r\nTZOFFSETFROM:-0500\r\nTZOFFSETTO:-0400\r\nTZNAME:EDT\r\nEND:DAYLIGHT\r\n\
        BEGIN:STANDARD\r\nDTSTART:20261101T020000\r\nTZOFFSETFROM:-0400\r\nTZOFFSETTO:-0500\r\nTZNAME:EST\r\nEND:STANDARD\r\n";
    assert_eq!(zone, expected);
}

#[test]
fn components_are_named_in_the_language_of_the_calendar() {
    for (component, spanish) in [("lecture", "teoría"), ("lab", "laboratorio"), ("rehearsal", "rehearsal")] {
        let section = Section { component: component.into(), ..section(vec![meeting()]) };
        let text = written_in(Language::Spanish, ZONE, &term(&[]), &section);
        assert!(text.contains("PRODID:-//EduHub//Schedule//ES\r\n"), "{text}");
        let title = format!("SUMMARY:MATH 151 {spanish}: Calculus\\; limits\\, series");
        assert_eq!(line(&events(&text), "SUMMARY"), Some(&*title));
    }
}

#[test]
fn meetings_without_days_times_or_dates_are_left_out() {
    let all = [date(2026, 10, 19), date(2026, 10, 21)];
    let one_week = |end| Meeting { ends_on: Some(end), ..meeting() };
    let table = [
        (Meeting { days: Days::NONE, ..meeting() }, "no days"),
        (Meeting { start: None, ..meeting() }, "no time"),
        (one_week(date(2026, 10, 22)), "only holidays"),
        (one_week(date(2026, 10, 1)), "ends before it starts"),
    ];
    for (meeting, why) in table {
        let text = written(ZONE, &term(&all), &section(vec![meeting]));
        assert!(!text.contains("VEVENT") && text.contains("VTIMEZONE"), "{why}: {text}");
    }
    let open_ended = Term { ends_on: None, ..term(&[]) };
    assert!(!written(ZONE, &open_ended, &section(vec![meeting()])).contains("VEVENT"), "no last day");
}

#[test]
fn a_single_meeting_does_not_recur_and_midnight_is_the_next_day() {
    let once = Meeting { ends_on: Some(date(2026, 10, 20)), end: Some(END_OF_DAY), ..meeting() };
    let lines = events(&written(ZONE, &term(&[]), &section(vec![once])));
    assert_eq!(line(&lines, "DTEND"), Some("DTEND;TZID=America/New_York:20261020T000000"));
    assert_eq!(line(&lines, "RRULE"), None);
}

#[test]
fn the_time_zone_covers_the_dates_of_the_events() {
    let text = written("UTC", &term(&[]), &section(vec![meeting()]));
    let utc = "TZID:UTC\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0000\r\nTZOFFSETTO:+0000\r\nTZNAME:UTC\r\n";
    assert!(text.contains(utc), "{text}");
    // Daylight saving time ends between these meetings, so its onset and its end are needed, and no others.
    let short = Meeting { ends_on: Some(date(2026, 10, 31)), ..meeting() };
    let text = written("Europe/Dublin", &term(&[]), &section(vec![short]));
    assert_eq!(text.matches("TZOFFSETTO:").count(), 2, "{text}");
    assert!(text.contains("TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0000"), "{text}");
    let text = written("Asia/Kolkata", &term(&[]), &section(vec![meeting()]));
    assert!(text.contains("TZOFFSETTO:+0530"), "{text}");
}

#[test]
fn ids_are_unique_and_do_not_change_with_the_time() {
    let uids = |section: &Section| -> Vec<String> {
        let text = written(ZONE, &term(&[]), section);
        text.lines().filter_map(|line| line.strip_prefix("UID:")).map(str::to_owned).collect()
    };
    let two = section(vec![meeting(), meeting()]);
    let ids = uids(&two);
    assert_ne!(ids[0], ids[1]);
    let moved = section(vec![Meeting { start: Some(time(8, 0, 0, 0)), location: None, ..meeting() }, meeting()]);
    assert_eq!(uids(&moved), ids);
    let other = Section { id: SectionId::parse("2026F-10002").unwrap(), ..two };
    assert!(uids(&other).iter().all(|id| !ids.contains(id)));
}

#[test]
fn long_lines_are_folded_between_characters() {
    let mut long = section(vec![meeting()]);
    long.title = Some("Überblick ".repeat(30).into());
    let text = written(ZONE, &term(&[]), &long);
    assert!(text.split("\r\n").all(|line| line.len() <= 75), "{text}");
    assert!(text.replace("\r\n ", "").contains(&"Überblick ".repeat(30)), "{text}");
    let nasty = Section { title: Some("a\r\nEND:VEVENT\u{7}\\".into()), ..long };
    let text = written(ZONE, &term(&[]), &nasty);
    assert!(text.contains("a\\nEND:VEVENT\\\\"), "{text}");
}
