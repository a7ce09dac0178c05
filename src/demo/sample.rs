//! The demonstration college as a schedule for the importer: `docs/sample-schedule.csv`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::section::SectionState;

/// The day that the sample is made for, so that it is always the same.
pub const SAMPLE_MADE_AT: &str = "2026-05-04T12:00:00Z";

/// The columns of the sample, by the importer's own names.
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

/// The open term of the college at [`SAMPLE_MADE_AT`], as CSV.
///
/// # Errors
/// Only if memory could not be written.
pub fn sample_schedule() -> anyhow::Result<Vec<u8>> {
    let made_at: Timestamp = SAMPLE_MADE_AT.parse()?;
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(COLUMNS)?;
    for (_, sections) in crate::demo::college(made_at, &TimeZone::UTC)?.iter().take(1) {
        for state in sections {
            write_section(&mut out, state)?;
        }
    }
    Ok(out.into_inner()?)
}

fn write_section(out: &mut csv::Writer<Vec<u8>>, state: &SectionState) -> csv::Result<()> {
    let section = &state.section;
    let known = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    for meeting in &section.meetings {
        let time = |time: Option<jiff::civil::Time>| time.map_or_else(String::new, |t| t.strftime("%H:%M").to_string());
        let date = |date: Option<jiff::civil::Date>| date.map_or_else(String::new, |d| d.to_string());
        out.write_record([
            section.id.term.to_string(),
            section.id.crn.to_string(),
            section.course.to_string(),
            known(&section.section),
            known(&section.title),
            section.component.to_string(),
            section.credits.as_f64().to_string(),
            known(&section.instructor),
            known(&section.method),
            known(&section.campus),
            section.capacity.to_string(),
            state.enrolled_total().to_string(),
            section.waitlist_capacity.to_string(),
            state.waitlisted_total().to_string(),
            meeting.days.names().collect::<Vec<_>>().join(","),
            time(meeting.start),
            time(meeting.end),
            date(meeting.starts_on),
            date(meeting.ends_on),
            known(&meeting.location),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_in_the_documents_is_the_college_of_its_day() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sample-schedule.csv");
        let made = sample_schedule().unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        assert!(std::fs::read(path).unwrap() == made, "make it anew: BLESS=1 cargo test --lib sample");
    }
    #[test]
    fn the_importer_reads_the_sample_as_the_college_it_was_made_from() {
        use crate::imports::csv::CsvSchedules;
        use crate::imports::schedule::{ScheduleOptions, ScheduleReader, Severity};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sample.csv");
        std::fs::write(&file, sample_schedule().unwrap()).unwrap();
        let options = ScheduleOptions { term: None, map: Vec::new(), zone: TimeZone::UTC };
        let read = CsvSchedules::default().read(&file, folder.path(), &options, &mut |_| true).unwrap();
        assert_eq!((read.findings_total(Severity::Error), read.findings_total(Severity::Warning)), (0, 0));
        assert_eq!(read.conflicts_total(), 0);
        let mut sections = Vec::new();
        let mut take = |section| {
            sections.push(section);
            Ok(())
        };
        read.each_section(&mut take).unwrap();
        let (_, made) = crate::demo::college(SAMPLE_MADE_AT.parse().unwrap(), &TimeZone::UTC).unwrap().remove(0);
        assert_eq!(sections.len(), made.len());
        for (read, made) in sections.iter().zip(&made) {
            assert_eq!((&read.section, read.totals), (&made.section, made.file_totals));
        }
    }
}
