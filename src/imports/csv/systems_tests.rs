//! Exports in the notations of several systems and of department offices, in `tests/schedules/systems`, each beside its
//! expected reading. Names and numbers are invented.
//!
//! A reading has a line for each section: `CRN course/section component enrolled/capacity credits: meetings`, with
//! `wWAITLISTED/WAITLIST_CAPACITY` after the capacity, `X` before the colon of a cancelled section, and `| instructors` at
//! the end where they matter.

use std::path::Path;

use jiff::tz::TimeZone;

use super::CsvSchedules;
use crate::domain::ids::TermId;
use crate::domain::meeting::{Meeting, hour_minute_text};
use crate::domain::section::SectionStatus;
use crate::imports::profiles;
use crate::imports::schedule::{FileSection, ProfileOptions, ScheduleOptions, ScheduleReader, Severity};

fn shown(FileSection { section, totals, .. }: &FileSection, with_instructors: bool) -> String {
    let (enrolled, waitlisted) = totals.unwrap_or_default();
    let (label, waitlist) = (section.section.as_deref().unwrap_or("-"), section.waitlist_capacity);
    let (crn, course, component) = (&section.id.crn, &section.course, &section.component);
    let waitlist = if waitlisted + waitlist > 0 { format!(" w{waitlisted}/{waitlist}") } else { String::new() };
    let cancelled = if section.status == SectionStatus::Cancelled { " X" } else { "" };
    let (capacity, credits) = (section.capacity, section.credits.as_f64());
    let meetings: Vec<String> = section.meetings.iter().map(meeting).filter(|text| !text.is_empty()).collect();
    let text = format!("{crn} {course}/{label} {component} {enrolled}/{capacity}{waitlist} {credits}{cancelled}: ");
    let text = (text + &meetings.join("; ")).trim_end().to_owned();
    let instructor = section.instructor.as_deref().unwrap_or("none");
    if with_instructors { format!("{text} | {instructor}") } else { text }
}

fn meeting(meeting: &Meeting) -> String {
    let days: String = meeting.days.names().map(|day| &day[..2]).collect();
    let times = meeting.start.zip(meeting.end);
    let times = times.map(|(start, end)| format!("{}-{}", hour_minute_text(start), hour_minute_text(end)));
    let dates = meeting.starts_on.zip(meeting.ends_on).map(|(first, last)| format!("{first}..{last}"));
    let parts = [Some(days), times, dates, meeting.location.as_deref().map(str::to_owned)];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Returns the errors, or else the sections.
fn read(file: &Path, with_instructors: bool) -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let options = ScheduleOptions {
        term: Some(TermId::parse("T").unwrap()),
        map: Vec::new(),
        sheet: None,
        header_line: None,
        clock: None,
        profiles: ProfileOptions { named: None, automatic: profiles::built_in().into() },
        zone: TimeZone::UTC,
    };
    let parsed = CsvSchedules::default().read(file, scratch.path(), &options, &mut |_| true).unwrap();
    let mut all = Vec::new();
    let errors = &mut |error: crate::domain::import::Finding| {
        all.push(format!("line {}: {}", error.line, error.message));
        Ok(())
    };
    parsed.each_finding(Severity::Error, u64::MAX, errors).unwrap();
    let take = &mut |section: FileSection| {
        all.push(shown(&section, with_instructors));
        Ok(())
    };
    parsed.each_section(take).unwrap();
    all
}

#[test]
fn exports_of_each_system_are_read_without_editing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schedules/systems");
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv" || extension == "tsv"));
    paths.sort_unstable();
    assert!(paths.len() > 25, "{paths:?}");
    let mut wrong = Vec::new();
    for path in paths {
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let mut expected: Vec<&str> = expected.lines().collect();
        expected.sort_unstable();
        let mut found = read(&path, expected.iter().any(|line| line.contains(" | ")));
        found.sort_unstable();
        if found != expected {
            wrong.push(format!("{}: {found:#?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
