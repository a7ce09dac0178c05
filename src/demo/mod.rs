//! The demonstration college: generated data that is the same for the same date, with public passwords. Only
//! `eduhub serve --demo` loads it, and only on a loopback address.
//!
//! - `courses`: the courses; `calendar`: the terms; `timetable`: meeting times, rooms and instructors
//! - `accounts`: the accounts
//! - `sample`: the college's open term as a schedule file for the importer
//! - `random`: reproducible pseudorandom numbers

mod accounts;
mod calendar;
mod courses;
mod random;
mod sample;
mod timetable;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::domain::alert::{Alert, AlertContent, Category, Priority};
use crate::domain::audience::Audience;
use crate::domain::ids::{Crn, SectionId};
use crate::domain::notice::NoticeFacts;
use crate::domain::section::{Credits, Section, SectionState, SectionStatus};
use crate::domain::term::Term;
use crate::store::accounts::AccountStore;
use crate::store::seed::{Seed, SeedStore};

use courses::{COURSES, Course, Shape};
use timetable::Timetable;

pub use accounts::DemoAccount;
pub use sample::{SAMPLE_TIME, sample_schedule};

/// Writes the demonstration college to the store if the store is empty. Returns the demonstration accounts in the store
/// that still have their public password.
///
/// # Errors
/// If the store cannot be read or written, or if [`college`] fails.
pub async fn load_if_empty(
    seeds: &dyn SeedStore,
    accounts: &dyn AccountStore,
    now: Timestamp,
    zone: &TimeZone,
) -> anyhow::Result<Vec<DemoAccount>> {
    let seed = Seed { terms: college(now, zone)?, accounts: accounts::seed_accounts()?, alert: welcome_alert(now) };
    if seeds.seed(seed).await? {
        log::info!("loaded the demonstration college into the empty store");
    }
    unchanged_accounts(accounts).await
}

/// Returns the demonstration accounts in the store that still have their public password.
///
/// # Errors
/// If the store cannot be read.
pub async fn unchanged_accounts(accounts: &dyn AccountStore) -> anyhow::Result<Vec<DemoAccount>> {
    Ok(accounts::unchanged(&accounts.accounts().await?))
}

/// Returns two terms with their sections: one that is open for registration, and one that opens tomorrow.
///
/// # Errors
/// If `now` is too close to the end of the calendar to have later terms.
pub fn college(now: Timestamp, zone: &TimeZone) -> Result<Vec<(Term, Vec<SectionState>)>, jiff::Error> {
    let [this, next] = calendar::terms(now, zone)?;
    let (this_sections, next_sections) = (sections(&this, 1, 10_001, true), sections(&next, 2, 20_001, false));
    Ok(vec![(this, this_sections), (next, next_sections)])
}

/// Creates the sections of a term, with CRNs from `first_crn`. If registration `is_open`, some of their seats are
/// taken.
fn sections(term: &Term, seed: u64, first_crn: u32, is_open: bool) -> Vec<SectionState> {
    let (Some(starts_on), Some(ends_on)) = (term.starts_on, term.ends_on) else { return Vec::new() };
    let mut timetable = Timetable::new(seed, starts_on, ends_on);
    let mut sections = Vec::with_capacity(320);
    for course in &COURSES {
        for number in 1..=course.sections {
            for lab in [false, true] {
                if lab && course.shape != Shape::WithLab {
                    continue;
                }
                let crn = first_crn + u32::try_from(sections.len()).unwrap_or(0);
                if let Some(state) = section(term, &mut timetable, course, number, lab, crn, is_open) {
                    sections.push(state);
                }
            }
        }
    }
    sections
}

/// Creates one section of a course, or its lab section if `lab` is set. `number` counts the sections of the course.
fn section(
    term: &Term,
    timetable: &mut Timetable,
    course: &Course,
    number: usize,
    lab: bool,
    crn: u32,
    is_open: bool,
) -> Option<SectionState> {
    let placement = timetable.place_section(course, lab);
    let (component, letter) = match course.shape {
        _ if lab => ("lab", 'B'),
        Shape::Evening => ("studio", 'S'),
        Shape::Online => ("lecture", 'W'),
        Shape::ToBeArranged => ("practicum", 'P'),
        _ => ("lecture", 'A'),
    };
    let method = if course.shape == Shape::Online { "Online" } else { "Face-to-Face" };
    let campus = if course.shape == Shape::Online { "Online" } else { "Main" };
    let waitlist_capacity = if timetable.random().chance(70) { (course.seats / 4).max(3) } else { 0 };
    let section = Section {
        id: SectionId { term: term.id.clone(), crn: Crn::parse(&crn.to_string()).ok()? },
        course: course.code.into(),
        component: component.into(),
        section: Some(format!("{letter}{number:02}").into()),
        title: Some(course.title.into()),
        credits: Credits(if lab { 0 } else { course.credits }),
        instructor: placement.instructor.map(Into::into),
        method: Some(method.into()),
        campus: Some(campus.into()),
        meetings: placement.meetings,
        capacity: course.seats,
        waitlist_capacity,
        status: SectionStatus::Open,
        linked: Vec::new(),
        prerequisites: Vec::new(),
        cross_listed: None,
        reserved: Vec::new(),
        restrictions: Vec::new(),
        repeat_limit: None,
        original_crn: None,
        withdrawn: false,
    };
    let mut state = SectionState::new(Arc::new(section));
    if is_open {
        // Seats taken outside the hub, as if an import had reported them.
        state.outside_enrolled = seats_taken(timetable, course.seats);
        state.file_totals = Some((state.outside_enrolled, 0));
    }
    Some(state)
}

/// Returns a random number of seats taken: 12% of the sections are full, 23% have one to three seats left, and the
/// others have 15% to 84% of their seats left.
fn seats_taken(timetable: &mut Timetable, seats: u32) -> u32 {
    let random = timetable.random();
    let capacity = usize::try_from(seats).unwrap_or(0);
    let left = match random.below(100) {
        0..12 => 0,
        12..35 => 1 + random.below(3),
        _ => capacity * (15 + random.below(70)) / 100,
    };
    seats.saturating_sub(u32::try_from(left).unwrap_or(0))
}

/// Returns the alert that welcomes users to the demonstration.
fn welcome_alert(now: Timestamp) -> Alert {
    Alert {
        id: Uuid::now_v7().to_string(),
        seq: None,
        content: AlertContent {
            title: "Welcome to the demonstration college".to_owned(),
            message: "All courses, people, and seats here are made up. Sign in with a demonstration account, register \
                      for a section, and watch its seats change in a second window."
                .to_owned(),
            priority: Priority::Low,
            category: Category::System,
            audience: Audience::everyone(),
            starts_at: None,
            expires_at: None,
            requires_ack: false,
            notice: Some(welcome_notice()),
            cap: None,
        },
        source: "staff".to_owned(),
        sender: "eduhub".to_owned(),
        sender_name: None,
        created_at: now,
    }
}

/// Returns the notice with which pages show the welcome in the reader's language.
fn welcome_notice() -> NoticeFacts {
    NoticeFacts {
        reason: "welcome".to_owned(),
        expires_at: None,
        reminder: false,
        code: None,
        status: None,
        course: String::new(),
        crn: String::new(),
        alternatives: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_college_is_complete_and_the_same_for_the_same_time() {
        let now = at("2026-05-04T12:00:00Z");
        let first = college(now, &TimeZone::UTC).unwrap();
        assert_eq!(first, college(now, &TimeZone::UTC).unwrap());
        for (term, sections) in &first {
            assert!((290..=310).contains(&sections.len()), "{} has {} sections", term.id, sections.len());
            let seats: Vec<u32> = sections.iter().map(|s| s.section.capacity).collect();
            assert_eq!((seats.iter().min(), seats.iter().max()), (Some(&8), Some(&240)), "{}", term.id);
            assert!(sections.iter().all(|s| s.enrolled_total() <= s.section.capacity));
            let scheduled = sections.iter().filter(|s| !s.section.meetings[0].days.is_empty()).count();
            assert!(scheduled > 250, "only {scheduled} sections of {} have meeting times", term.id);
        }
    }

    #[test]
    fn no_room_or_instructor_is_double_booked() {
        for (term, sections) in college(at("2026-05-04T12:00:00Z"), &TimeZone::UTC).unwrap() {
            for (at, one) in sections.iter().enumerate() {
                for other in &sections[at + 1..] {
                    let (one, other) = (&one.section, &other.section);
                    if one.overlaps(other) {
                        assert_ne!(one.meetings[0].location, other.meetings[0].location, "{term:?} {one:?} {other:?}");
                        assert_ne!(one.instructor, other.instructor, "{} and {}", one.id, other.id);
                    }
                }
            }
        }
    }
}
