//! The demonstration college as a schedule file for the importer, `docs/sample-schedule.csv`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::section::SectionState;

/// The time for which the sample is generated, so that it is always the same.
pub const SAMPLE_TIME: &str = "2026-05-04T12:00:00Z";

/// The column names of the sample, which are the importer's standard names.
const COLUMNS: [&str; 20] = [
    "term",
    "crn",
    "course",
    "section",
    "title",
    "component",
    "credits",
    "instructor",
    "method",
    "campus",
    "capacity",
    "enrolled",
    "waitlist_capacity",
    "waitlisted",
    "days",
    "start_time",
    "end_time",
    "start",
    "end",
    "location",
];

/// Returns the term that is open at [`SAMPLE_TIME`], as CSV.
///
/// # Errors
/// In practice never: the time is valid, and the CSV is written to memory.
pub fn sample_schedule() -> anyhow::Result<Vec<u8>> {
    let time: Timestamp = SAMPLE_TIME.parse()?;
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(COLUMNS)?;
    for (_, sections) in crate::demo::college(time, &TimeZone::UTC)?.iter().take(1) {
        for state in sections {
            write_section(&mut out, state)?;
        }
    }
    Ok(out.into_inner()?)
}

/// Writes one row for each meeting of a section.
fn write_section(out: &mut csv::Writer<Vec<u8>>, state: &SectionState) -> csv::Result<()> {
    let section = &state.section;
    let optional = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    for meeting in &section.meetings {
        let time = |time: Option<jiff::civil::Time>| time.map_or_else(String::new, |t| t.strftime("%H:%M").to_string());
        let date = |date: Option<jiff::civil::Date>| date.map_or_else(String::new, |d| d.to_string());
        out.write_record([
            section.id.term.to_string(),
            section.id.crn.to_string(),
            section.course.to_string(),
            optional(&section.section),
            optional(&section.title),
            section.component.to_string(),
            section.credits.as_f64().to_string(),
            optional(&section.instructor),
            optional(&section.method),
            optional(&section.campus),
            section.capacity.to_string(),
            state.enrolled_total().to_string(),
            section.waitlist_capacity.to_string(),
            state.waitlisted_total().to_string(),
            meeting.days.names().collect::<Vec<_>>().join(","),
            time(meeting.start),
            time(meeting.end),
            date(meeting.starts_on),
            date(meeting.ends_on),
            optional(&meeting.location),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_file_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sample-schedule.csv");
        let expected = sample_schedule().unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        assert!(std::fs::read(path).unwrap() == expected, "regenerate the file: BLESS=1 cargo test --lib sample");
    }

    #[test]
    fn importing_the_sample_reproduces_the_sections() {
        use crate::imports::csv::CsvSchedules;
        use crate::imports::schedule::{ProfileOptions, ScheduleOptions, ScheduleReader, Severity};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sample.csv");
        std::fs::write(&file, sample_schedule().unwrap()).unwrap();
        let (sheet, header_line, clock) = (None, None, None);
        let (profiles, zone) = (ProfileOptions::default(), TimeZone::UTC);
        let options = ScheduleOptions { term: None, map: Vec::new(), sheet, header_line, clock, profiles, zone };
        let read = CsvSchedules::default().read(&file, folder.path(), &options, &mut |_| true).unwrap();
        assert_eq!((read.findings_total(Severity::Error), read.findings_total(Severity::Warning)), (0, 0));
        assert_eq!(read.conflicts_total(), 0);
        let mut sections = Vec::new();
        let mut collect = |section| {
            sections.push(section);
            Ok(())
        };
        read.each_section(&mut collect).unwrap();
        let (_, expected) = crate::demo::college(SAMPLE_TIME.parse().unwrap(), &TimeZone::UTC).unwrap().remove(0);
        assert_eq!(sections.len(), expected.len());
        for (read, expected) in sections.iter().zip(&expected) {
            assert_eq!((&read.section, read.totals), (&expected.section, expected.file_totals));
        }
    }
}
