//! Small schedules as colleges' systems export them, each with one kind of peculiarity, in `tests/schedules`. Names and
//! numbers are invented.

use jiff::tz::TimeZone;

use super::CsvSchedules;
use crate::domain::ids::TermId;
use crate::domain::import::Finding;
use crate::domain::meeting::{Meeting, hour_minute_text};
use crate::domain::pool::CrossListing;
use crate::domain::section::{Section, SectionStatus};
use crate::imports::schedule::{ClockOption, ProfileOptions, Schedule, ScheduleOptions, ScheduleReader, Severity};

/// A schedule that was read, with the folder of its scratch database.
struct Case {
    parsed: Box<dyn Schedule>,
    _scratch: tempfile::TempDir,
}

impl Case {
    fn sections(&self) -> Vec<std::sync::Arc<Section>> {
        let mut all = Vec::new();
        let take = &mut |file: crate::imports::schedule::FileSection| {
            all.push(file.section);
            Ok(())
        };
        self.parsed.each_section(take).unwrap();
        all
    }

    fn findings(&self, severity: Severity) -> Vec<Finding> {
        let mut all = Vec::new();
        let take = &mut |finding| {
            all.push(finding);
            Ok(())
        };
        self.parsed.each_finding(severity, u64::MAX, take).unwrap();
        all
    }

    /// Returns the warnings, without the one about a missing column of credits, which most of these files get.
    fn warnings(&self) -> Vec<Finding> {
        let mut all = self.findings(Severity::Warning);
        all.retain(|warning| !warning.message.contains("column `credits`"));
        all
    }

    /// Returns each section as `CRN: meeting; meeting`.
    fn weeks(&self) -> Vec<String> {
        let week = |section: &std::sync::Arc<Section>| {
            let meetings: Vec<String> = section.meetings.iter().map(shown).collect();
            format!("{}: {}", section.id.crn, meetings.join("; ")).trim_end().to_owned()
        };
        self.sections().iter().map(week).collect()
    }
}

fn shown(meeting: &Meeting) -> String {
    let days: Vec<&str> = meeting.days.names().collect();
    let times = meeting
        .start
        .zip(meeting.end)
        .map(|(start, end)| format!("{}-{}", hour_minute_text(start), hour_minute_text(end)));
    let dates = meeting.starts_on.zip(meeting.ends_on).map(|(first, last)| format!("{first}..{last}"));
    let parts = [Some(days.join(" ")), times, dates, meeting.location.as_deref().map(str::to_owned)];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn read_with(name: &str, change: impl FnOnce(&mut ScheduleOptions)) -> Case {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schedules").join(name);
    let scratch = tempfile::tempdir().unwrap();
    let mut options = ScheduleOptions {
        term: Some(TermId::parse("T").unwrap()),
        map: Vec::new(),
        sheet: None,
        header_line: None,
        clock: None,
        profiles: ProfileOptions::default(),
        zone: TimeZone::UTC,
    };
    change(&mut options);
    let parsed = CsvSchedules::default().read(&file, scratch.path(), &options, &mut |_| true).unwrap();
    Case { parsed, _scratch: scratch }
}

/// Reads a schedule from its text.
fn read_text(text: &str) -> Case {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    read_with(file.path().to_str().unwrap(), |_| {})
}

/// Reads a schedule that has no errors.
fn read(name: &str) -> Case {
    let case = read_with(name, |_| {});
    assert_eq!(case.findings(Severity::Error), [], "{name}");
    case
}

#[test]
fn cancelled_sections_are_read_from_a_status_column() {
    let statuses: Vec<SectionStatus> = read("01-status-column.csv").sections().iter().map(|s| s.status).collect();
    assert_eq!(statuses, [SectionStatus::Open, SectionStatus::Cancelled, SectionStatus::Cancelled]);
}

#[test]
fn building_and_room_are_joined() {
    let case = read("02-building-and-room.csv");
    assert_eq!(case.weeks(), ["30001: mon wed 09:00-09:50 Elm Hall 105", "30002: mon wed 09:00-09:50 Quay House 105"]);
    assert_eq!(case.parsed.conflicts_total(), 0);
}

#[test]
fn title_lines_and_headings_of_groups_are_skipped() {
    let case = read("03-title-lines-and-group-rows.csv");
    let seats: u32 = case.sections().iter().map(|section| section.capacity).sum();
    assert_eq!((case.sections().len(), seats, case.parsed.rows()), (3, 55, 3));
    let lines: Vec<u64> = case.warnings().iter().map(|warning| warning.line).collect();
    assert_eq!(lines, [1, 2, 4, 7]);
    assert_eq!(case.parsed.table().unwrap().header_line, 3);
    let fields: Vec<_> = case.parsed.table().unwrap().columns.iter().map(|c| c.field.as_deref()).collect();
    let expected = [None, Some("crn"), Some("course"), Some("section"), Some("title"), Some("days"), Some("capacity")];
    assert_eq!(fields, expected);
}

#[test]
fn several_meetings_in_a_row_are_paired_by_position() {
    let expected = ["30001: mon wed 10:00-11:15 North 12; fri 10:00-10:50 North 14"];
    assert_eq!(read("04a-several-meetings-semicolons.csv").weeks(), expected);
}

#[test]
fn days_and_time_in_one_cell_are_read() {
    let expected = [
        "30001: mon wed 09:00-09:50; fri 08:30-10:20",
        "30002: mon wed fri 10:00-10:50",
        "30003: tue thu 10:20-12:00 0008 NORTH",
        "30004:",
    ];
    assert_eq!(read("04b-days-and-time-in-one-cell.csv").weeks(), expected);
}

#[test]
fn phrases_for_unset_times_cause_warnings() {
    let case = read("05a-hours-arranged.csv");
    assert_eq!(case.weeks(), ["30001: mon wed 12:10-13:00", "30002:", "30003:", "30004:"]);
    let messages: Vec<String> = case.warnings().into_iter().map(|warning| warning.message).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    for phrase in ["Hours Arranged", "By Appointment", "To Be Announced"] {
        assert!(messages.iter().any(|message| message.contains(phrase)), "{phrase}: {messages:?}");
    }
}

#[test]
fn times_without_am_and_pm_are_read_as_daytime() {
    let case = read("06-no-am-pm.csv");
    let expected = ["30001: mon wed fri 09:00-09:50", "30002: mon wed fri 13:00-13:50", "30003: tue thu 14:30-15:45"];
    assert_eq!(case.weeks(), expected);
    let warnings = case.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].message.contains("2 rows (lines 3, 4)"), "{warnings:?}");

    let as_written = read_with("06-no-am-pm.csv", |options| options.clock = Some(ClockOption::Hours24));
    let expected = ["30001: mon wed fri 09:00-09:50", "30002: mon wed fri 01:00-01:50", "30003: tue thu 02:30-03:45"];
    assert_eq!((as_written.weeks(), as_written.warnings()), (expected.map(str::to_owned).to_vec(), Vec::new()));

    let over_noon = read("06b-no-am-pm-over-noon.csv");
    assert_eq!(over_noon.weeks(), ["30001: fri 10:00-13:00"]);
    assert!(over_noon.warnings().iter().any(|warning| warning.message.contains("afternoon")));
}

#[test]
fn components_are_inferred_with_a_warning() {
    let case = read("07a-no-component-column.csv");
    let components: Vec<String> = case.sections().iter().map(|section| section.component.to_string()).collect();
    assert_eq!(components, ["lecture", "lab"]);
    assert_eq!(case.warnings().len(), 1, "{:?}", case.warnings());
}

#[test]
fn course_and_section_in_one_name_are_split() {
    let sections = read("08a-course-with-stars.csv").sections();
    let names: Vec<_> = sections.iter().map(|s| (&*s.course, s.section.as_deref().unwrap_or_default())).collect();
    assert_eq!(names, [("ACC 101", "01"), ("ACC 101", "02")]);
}

#[test]
fn sections_without_a_plain_crn_get_a_safe_id() {
    let crns = |name| -> Vec<String> { read(name).sections().iter().map(|s| s.id.crn.to_string()).collect() };
    assert_eq!(crns("09a-no-crn-column.csv"), ["AB101.001", "AB101.002"]);
    assert_eq!(crns("09b-ids-with-spaces.csv"), ["AB.101.01.SP2031", "AB.101.02.SP2031"]);
    let shown = |name| read(name).sections().iter().map(|s| s.crn_text().to_owned()).collect::<Vec<_>>();
    assert_eq!(shown("09a-no-crn-column.csv"), ["AB101.001", "AB101.002"]);
    assert_eq!(shown("09b-ids-with-spaces.csv"), ["AB 101-01 SP2031", "AB 101-02 SP2031"]);
}

#[test]
fn dates_of_databases_are_read() {
    for name in ["11a-dates-oracle.csv", "11b-dates-with-time.csv"] {
        for week in read(name).weeks() {
            assert!(week.ends_with("mon 09:00-09:50 2031-01-20..2031-05-15"), "{name}: {week}");
        }
    }
}

#[test]
fn subjects_may_have_several_words() {
    let sections = read("12a-subject-of-several-words.csv").sections();
    let courses: Vec<_> = sections.iter().map(|s| (s.subject(), s.number())).collect();
    assert_eq!(courses, [("CIV ENGR", "310"), ("CIV LAW", "311")]);
}

#[test]
fn numbers_are_read_exactly_or_rejected_by_line() {
    let case = read_with("13a-numbers-that-are-not-plain.csv", |_| {});
    let errors = case.findings(Severity::Error);
    let cells: Vec<_> = errors.iter().map(|e| (e.line, e.column.as_deref(), e.value.as_deref())).collect();
    let expected = [(3, Some("credits"), Some("3-0-0-0(9)")), (5, Some("capacity"), Some("33 (50)"))];
    assert_eq!(cells, expected);
    let sections = case.sections();
    assert_eq!((sections[0].credits.0, sections[1].capacity), (0, 1_200));
    assert_eq!(case.warnings().iter().map(|warning| warning.line).collect::<Vec<_>>(), [2]);
}

#[test]
fn missing_credits_cause_one_warning() {
    let warnings = read("14-no-credits-column.csv").findings(Severity::Warning);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].message.contains("credit limit"), "{warnings:?}");
}

#[test]
fn repeated_headers_and_totals_are_skipped() {
    let case = read("16-header-again-and-total.csv");
    let seats: u32 = case.sections().iter().map(|section| section.capacity).sum();
    let (skipped, total) = case.parsed.skipped();
    let lines: Vec<u64> = skipped.iter().map(|line| line.line).collect();
    assert_eq!((case.sections().len(), seats, lines, total), (2, 40, vec![3, 5], 2));
}

#[test]
fn a_class_past_midnight_becomes_two_meetings() {
    assert_eq!(read("22-past-midnight.csv").weeks(), ["30001: tue 22:00-24:00; wed 00:00-01:00"]);
}

#[test]
fn sections_that_name_each_other_share_a_pool() {
    let case = read("26-cross-listed-pool.csv");
    let pools: Vec<_> = case.sections().iter().map(|section| section.cross_listed.clone().unwrap()).collect();
    let pool = CrossListing { group: "AB 430-1".into(), capacity: Some(50) };
    assert_eq!(pools, [pool.clone(), pool]);
    assert_eq!(case.warnings(), [], "a pool needs no warning");
}

#[test]
fn references_to_unknown_sections_cause_a_warning() {
    const HEADER: &str = "crn,course,section,capacity,xlist,xlist cap\n";
    let cases = [
        ("1,AB 1,1,40,Also CD 2-1,50\n2,CD 2,1,20,,\n", "line 2"),
        ("1,AB 1,1,40,Also XY 2-1,50\n", "line 2"),
        ("1,AB 1,1,40,Also CD 2-1,\n2,CD 2,1,20,See AB 1-1,50\n", "line 2"),
        ("1,AB 1,1,40,\"Also CD 2-1, XY 3-1\",50\n2,CD 2,1,20,See AB 1-1,50\n", "line 2"),
        ("1,AB 1,1,40,X7,\n2,CD 2,1,20,X7,\n", "lines 2, 3"),
    ];
    for (rows, lines) in cases {
        let case = read_text(&format!("{HEADER}{rows}"));
        let warnings = case.warnings();
        let [warning] = &warnings[..] else { panic!("{rows}: {warnings:?}") };
        assert!(warning.message.starts_with("Cross-listed") && warning.message.contains(lines), "{rows}: {warnings:?}");
    }
}
