//! Exporting any sections and importing the file again changes nothing, and creates the same sections in another hub.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, Time, date, time};
use jiff::tz::TimeZone;
use proptest::option;
use proptest::prelude::*;
use strum::VariantArray;

use super::ImportOptions;
use super::compare::Comparison;
use super::csv::{CsvSchedules, export};
use super::schedule::{FileSection, ProfileOptions, Schedule, ScheduleOptions, ScheduleReader, Severity};
use crate::domain::command::StagedSection;
use crate::domain::decide::imported;
use crate::domain::ids::{Crn, SectionId, TaskId, TermId};
use crate::domain::import::TaskReport;
use crate::domain::meeting::{Days, END_OF_DAY, Meeting};
use crate::domain::pool::CrossListing;
use crate::domain::published::PublishedSection;
use crate::domain::reservation::{Reservation, ReservedCounts};
use crate::domain::restriction::{RestrictedBy, Restriction};
use crate::domain::section::{Credits, Section, SectionState, SectionStatus};
use crate::domain::term::Term;
use crate::registration::readmodel::Snapshot;

fn term() -> TermId {
    TermId::parse("2031-fall").unwrap()
}

/// Returns texts as the store may hold them: one line, without control characters.
fn text() -> impl Strategy<Value = Box<str>> {
    let odd = prop::sample::select(vec![
        "TBA",
        "n/a",
        "-",
        "=1+1",
        "'=1",
        "''-1",
        "'Tis",
        "@x",
        "a,b;c \"d\"",
        "Smith, Ann; Lee, Bo",
        "Online",
        "Total",
        "Ωmega 数学",
        "1e5",
        "2031-01-20",
        "00076",
        "id",
        "MW 9:00-10:00",
        "(()) x",
        "course",
    ]);
    let any = r"\PC{1,12}".prop_map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    prop_oneof![odd.prop_map(Box::from), any.prop_filter("empty text", |text| !text.is_empty()).prop_map(Box::from)]
}

fn times() -> impl Strategy<Value = (Option<Time>, Option<Time>)> {
    let minute = |minutes: i16| time((minutes / 60) as i8, (minutes % 60) as i8, 0, 0);
    prop_oneof![
        Just((None, None)),
        Just((Some(time(0, 0, 0, 0)), Some(time(1, 0, 0, 0)))),
        (0_i16..1440).prop_map(move |start| (Some(minute(start)), Some(END_OF_DAY))),
        (0_i16..720, 720_i16..1440).prop_map(move |(start, end)| (Some(minute(start)), Some(minute(end)))),
        (0_i16..1440).prop_map(move |start| (Some(minute(start)), None)),
    ]
}

fn dates() -> impl Strategy<Value = (Option<Date>, Option<Date>)> {
    (option::of((2020_i16..2030, 1_i8..13, 1_i8..29)), option::of((2030_i16..2040, 1_i8..13, 1_i8..29)))
        .prop_map(|(first, last)| (first.map(|(y, m, d)| date(y, m, d)), last.map(|(y, m, d)| date(y, m, d))))
}

fn meeting() -> impl Strategy<Value = Meeting> {
    let known = (0_u8..128, times(), dates(), option::of(text())).prop_map(|(days, (start, end), dates, location)| {
        Meeting { days: Days::from_bits(days), start, end, starts_on: dates.0, ends_on: dates.1, location }
    });
    prop_oneof![1 => Just(Meeting::default()), 6 => known]
}

/// Returns a section whose CRN contains `number`, so that it is unique.
fn state(number: usize) -> impl Strategy<Value = SectionState> {
    let crn = prop::sample::select(vec![
        format!("{number:05}"),
        format!("AB 101-{number} SP"),
        format!("=A*{number}"),
        format!("DEPARTMENT OF MARINE BIOLOGY 101-{number}"),
        format!("Ñ{number}"),
    ]);
    let texts = (crn, text(), text(), [(); 5].map(|()| option::of(text())), prop::collection::vec(text(), 0..3));
    let week = (prop::collection::vec(meeting(), 0..5), 0_u32..=1_000_000, prop::collection::vec(0_usize..3, 0..3));
    let status = prop::sample::select(vec![SectionStatus::Open, SectionStatus::Closed, SectionStatus::Cancelled]);
    let counts = ([0_u32..2_000, 0..200, 0..300, 0..300, 0..50, 0..50], option::of((0_u32..300, 0_u32..50)));
    (texts, week, counts, status, any::<bool>(), conditions()).prop_map(
        move |(texts, week, (counts, file_totals), status, withdrawn, conditions)| {
            let (cross_listed, reserved, restrictions, repeat_limit) = conditions;
            let (written, course, component, [section, title, instructor, method, campus], prerequisites) = texts;
            let (meetings, credits, linked) = week;
            let (crn, original_crn) = Crn::from_written(&written).unwrap();
            let id = |crn| SectionId { term: term(), crn };
            let linked = linked.iter().map(|n| id(Crn::parse(&format!("L.{n}")).unwrap())).collect();
            let prerequisites =
                prerequisites.into_iter().filter(|course| !course.contains(';')).map(Into::into).collect();
            let component = component.to_lowercase().into();
            let [capacity, waitlist_capacity, enrolled, outside_enrolled, waitlisted, outside_waitlisted] = counts;
            let (id, credits) = (id(crn), Credits(credits));
            let section = Section {
                id,
                original_crn,
                course,
                component,
                section,
                title,
                credits,
                instructor,
                method,
                campus,
                meetings,
                capacity,
                waitlist_capacity,
                status,
                linked,
                cross_listed,
                reserved,
                restrictions,
                repeat_limit,
                prerequisites,
                withdrawn,
            };
            let section = Arc::new(section);
            let by_file = status == SectionStatus::Cancelled && number.is_multiple_of(2);
            let cancelled_from = by_file.then_some(SectionStatus::Closed);
            SectionState {
                section,
                enrolled,
                offered: u32::from(number.is_multiple_of(3)),
                waitlisted,
                outside_enrolled,
                outside_waitlisted,
                file_totals,
                cancelled_from,
                reserved: ReservedCounts::default(),
                pool: None,
            }
        },
    )
}

/// The group of cross-listed sections, the reserved seats, the restrictions and the repeat limit of a section.
type Conditions = (Option<CrossListing>, Vec<Reservation>, Vec<Restriction>, Option<u32>);

fn conditions() -> impl Strategy<Value = Conditions> {
    let name = || prop::sample::select(vec!["honors", "=second year", "N° 7"]);
    let cross_listed =
        (name(), option::of(1_u32..100)).prop_map(|(group, capacity)| CrossListing { group: group.into(), capacity });
    let reserved =
        (name(), 0_u32..50, option::of(0_i64..2_000_000_000)).prop_map(|(group, seats, until)| Reservation {
            group: group.into(),
            seats,
            until: until.map(|seconds| jiff::Timestamp::from_second(seconds).unwrap()),
        });
    let restriction = (prop::sample::select(RestrictedBy::VARIANTS), name(), any::<bool>())
        .prop_map(|(by, value, exclude)| Restriction { by, values: vec![value.into(), "other".into()], exclude });
    let lists = (prop::collection::vec(reserved, 0..2), prop::collection::vec(restriction, 0..3));
    (option::of(cross_listed), lists, option::of(0_u32..4))
        .prop_map(|(cross_listed, (reserved, restrictions), limit)| (cross_listed, reserved, restrictions, limit))
}

fn states() -> impl Strategy<Value = Vec<SectionState>> {
    (state(0), state(1), state(2), state(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

/// Exports sections and reads the file, which must have neither errors nor warnings.
fn exported_and_read(folder: &tempfile::TempDir, states: &[SectionState]) -> (Box<dyn Schedule>, Vec<FileSection>) {
    let path = folder.path().join("schedule.csv");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&export::header().unwrap()).unwrap();
    file.write_all(&export::rows(states.iter()).unwrap()).unwrap();
    let options = ScheduleOptions {
        term: None,
        map: Vec::new(),
        sheet: None,
        header_line: None,
        clock: None,
        zone: TimeZone::UTC,
        profiles: ProfileOptions::default(),
    };
    let schedule = CsvSchedules::default().read(&path, folder.path(), &options, &mut |_| true).unwrap();
    let mut findings = Vec::new();
    for severity in [Severity::Error, Severity::Warning] {
        let add = &mut |finding| {
            findings.push(finding);
            Ok(())
        };
        schedule.each_finding(severity, 10, add).unwrap();
    }
    assert_eq!(findings, [], "{}", std::fs::read_to_string(&path).unwrap());
    let mut sections = Vec::new();
    let add = &mut |section| {
        sections.push(section);
        Ok(())
    };
    schedule.each_section(add).unwrap();
    (schedule, sections)
}

/// Returns a definition without what a file cannot contain: repeated and unknown meetings, and whether it is withdrawn.
fn in_a_file(section: &Section) -> Section {
    let mut meetings: Vec<Meeting> = Vec::new();
    for meeting in section.meetings.iter().filter(|meeting| **meeting != Meeting::default()) {
        if !meetings.contains(meeting) {
            meetings.push(meeting.clone());
        }
    }
    Section { meetings, withdrawn: false, ..section.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn importing_an_exported_schedule_changes_nothing(states in states()) {
        let published = states.iter().map(|state| PublishedSection { state: state.clone(), waitlist: [].into() });
        let snapshot = Snapshot::new(Term::new(term()), 1, published.collect());
        let mut report = TaskReport::new(TaskId::parse("1").unwrap(), None, 0, String::new(), Timestamp::UNIX_EPOCH);
        let options = ImportOptions { totals: true, ..ImportOptions::default() };
        let mut comparison = Comparison::new(Some(&snapshot), Timestamp::UNIX_EPOCH, 1, &options, true);
        let folder = tempfile::tempdir().unwrap();
        let (schedule, sections) = exported_and_read(&folder, &states);
        for section in sections {
            comparison.add(&mut report, section, &*schedule).unwrap();
        }
        prop_assert_eq!(&report.changes, &[]);
        prop_assert_eq!((report.unchanged, report.warnings_total), (states.len() as u64, 0));
    }

    #[test]
    fn an_exported_schedule_creates_the_same_sections_elsewhere(states in states()) {
        let states: BTreeMap<_, _> = states.into_iter().map(|state| (state.section.id.crn.clone(), state)).collect();
        let all: Vec<SectionState> = states.values().cloned().collect();
        let folder = tempfile::tempdir().unwrap();
        for file in exported_and_read(&folder, &all).1 {
            let old = &states[&file.section.id.crn];
            let staged_as = SectionState::new(file.section.clone());
            let staged = StagedSection { section: file.section, totals: file.totals, stated: file.stated, states_status: true, staged_as };
            let new = imported(None, &staged, true);
            prop_assert_eq!(&*new.section, &in_a_file(&old.section));
            prop_assert_eq!(
                (new.enrolled_total(), new.waitlisted_total()),
                (old.enrolled_total(), old.waitlisted_total())
            );
        }
    }
}
