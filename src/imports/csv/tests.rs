//! Tests that read whole files.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::CsvSchedules;
use crate::domain::event::Event;
use crate::domain::ids::{Crn, TermId};
use crate::domain::import::{Conflict, ConflictKind, Finding};
use crate::imports::schedule::{
    ClockOption, FileSection, ProfileOptions, Schedule, ScheduleError, ScheduleOptions, ScheduleReader, Severity,
};

/// A file that was read, with the folder of its scratch database.
struct Read {
    parsed: Box<dyn Schedule>,
    _scratch: tempfile::TempDir,
}

impl Read {
    fn findings(&self, severity: Severity) -> Vec<Finding> {
        let mut all = Vec::new();
        let take = &mut |f| {
            all.push(f);
            Ok(())
        };
        self.parsed.each_finding(severity, u64::MAX, take).unwrap();
        assert_eq!(all.len() as u64, self.parsed.findings_total(severity));
        all
    }
    fn errors(&self) -> Vec<Finding> {
        self.findings(Severity::Error)
    }
    /// Returns the warnings, without the one about a missing column of credits, which most of these files get.
    fn warnings(&self) -> Vec<Finding> {
        let mut all = self.findings(Severity::Warning);
        all.retain(|warning| !warning.message.contains("column `credits`"));
        all
    }
    fn error(&self) -> String {
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].message.clone()
    }
    fn sections(&self) -> Vec<FileSection> {
        let mut all = Vec::new();
        let take = &mut |s| {
            all.push(s);
            Ok(())
        };
        self.parsed.each_section(take).unwrap();
        assert_eq!(all.len() as u64, self.parsed.sections());
        all
    }
    fn events(&self) -> Vec<Event> {
        let mut all = Vec::new();
        let take = &mut |e| {
            all.push(e);
            Ok(())
        };
        self.parsed.each_event(take).unwrap();
        all
    }
    fn conflicts(&self) -> Vec<Conflict> {
        self.parsed.conflicts(u64::MAX).unwrap()
    }
}

fn options(term: Option<&str>, map: &[(&str, &str)]) -> ScheduleOptions {
    ScheduleOptions {
        term: term.map(|t| TermId::parse(t).unwrap()),
        map: map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        sheet: None,
        header_line: None,
        clock: None,
        profiles: ProfileOptions::default(),
        zone: TimeZone::get("America/Los_Angeles").unwrap(),
    }
}

fn read_with(bytes: &[u8], options: &ScheduleOptions) -> Read {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("upload.csv");
    std::fs::write(&file, bytes).unwrap();
    let parsed = CsvSchedules::default().read(&file, scratch.path(), options, &mut |_| true).unwrap();
    Read { parsed, _scratch: scratch }
}

fn read(text: &str) -> Read {
    read_with(text.as_bytes(), &options(Some("2026F"), &[]))
}

#[test]
fn rows_of_one_crn_become_one_section() {
    let file = read(
        "crn,course,section,title,credits,cap,days,time,room,campus\n\
         2,MATH 151,A01,Calculus,4,30,MWF,9:30 am - 10:20 am,R1,Main\n\
         1,PHYS 110,B01,Physics,3.5,24,T,08:00-08:50,R2,Main\n\
         2,MATH 151,A01,Calculus,4,30,R,1330-1420,R3,Main\n\
         2,MATH 151,A01,Calculus,4,30,MWF,9:30 am - 10:20 am,R1,North\n",
    );
    assert_eq!((file.parsed.rows(), file.parsed.sections(), file.parsed.rejected_rows()), (4, 2, 0));
    let sections = file.sections();
    let math = &sections[1].section;
    assert_eq!((math.id.to_string().as_str(), &*math.course, &*math.component), ("2026F-2", "MATH 151", "lecture"));
    assert_eq!((math.capacity, math.credits.as_f64(), math.meetings.len()), (30, 4.0, 2));
    assert_eq!(math.meetings[1].location.as_deref(), Some("R3"));
    assert_eq!(sections[1].totals, None, "the file has no totals");
    let warnings = file.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!((warnings[0].line, warnings[0].column.as_deref()), (5, Some("campus")));
    assert_eq!(warnings[0].value.as_deref(), Some("North"));
}

#[test]
fn errors_have_the_physical_line_and_the_header_name() {
    let file = read(
        "CRN,Course,Title,Seats Cap,Days,Time\n\
         1,MATH 151,\"over\ntwo lines\",10,M,9:00-10:00\n\
         2,MATH 152,x,many,QQ,9:00-8:00\n\
         ,MATH 153,x,5,,\n\
         4,MATH 154\n\
         5,MATH 155,nul\0,5,,\n\
         6,MATH 156,fine,5,,,,\n",
    );
    let errors: Vec<_> =
        file.errors().into_iter().map(|f| (f.line, f.column.unwrap_or_default().into_string())).collect();
    let column = |line, name: &str| (line, name.to_owned());
    let expected = [
        column(4, "Seats Cap"),
        column(4, "Time"),
        column(4, "Days"),
        column(5, "CRN"),
        column(6, ""),
        column(7, "Title"),
    ];
    assert_eq!(errors, expected);
    assert_eq!((file.parsed.rows(), file.parsed.rejected_rows(), file.parsed.sections()), (6, 4, 2));
    assert_eq!(file.sections()[0].section.title.as_deref(), Some("over two lines"));
    assert!(file.parsed.contains_crn(&Crn::parse("2").unwrap()).unwrap(), "a rejected row is still in the file");
    assert!(!file.parsed.contains_crn(&Crn::parse("9").unwrap()).unwrap());
}

#[test]
fn a_section_with_a_rejected_row_is_not_imported() {
    let file = read("crn,course,cap,days\n1,A 1,5,M\n2,B 1,5,M\n1,A 1,5,ZZ\n");
    let crns: Vec<_> = file.sections().iter().map(|s| s.section.id.crn.to_string()).collect();
    assert_eq!(crns, ["2"]);
    let warnings = file.warnings();
    assert_eq!((warnings.len(), warnings[0].line), (1, 2), "{warnings:?}");
    assert!(warnings[0].message.contains("line 4"));
}

#[test]
fn rejected_files_have_an_error_that_says_why() {
    let term = options(Some("2026F"), &[]);
    let table: [(&[u8], &ScheduleOptions, &str); 9] = [
        (b"crn,course\n1,A 1\n", &term, "seats_cap"),
        (b"course,cap\nA 1,5\n", &term, "`crn`"),
        (b"crn,cap\n1,5\n", &term, "`subject` and `number`"),
        (b"crn,course,cap\n1,A 1,5\n", &options(None, &[]), "set one term"),
        (b"term,crn,course,cap\n1,1,A 1,5\n2,1,A 1,5\n", &options(None, &[]), "several terms (1, 2)"),
        (b"crn,course,cap\n", &term, "no rows"),
        (b"", &term, "empty"),
        (b"crn,course,cap\n1,\"A 1,5\n2,B 1,5\n", &term, "never closed"),
        (b"<html><table><tr><td>crn", &term, "web page"),
    ];
    for (bytes, options, word) in table {
        let file = read_with(bytes, options);
        assert!(file.parsed.is_rejected(), "{word}");
        assert!(file.error().contains(word), "{} / {word}", file.error());
    }
    let seats = options(Some("2026F"), &[("seats", "capacity")]);
    assert!(!read_with(b"crn,course,seats\n1,A 1,5\n", &seats).parsed.is_rejected());
    assert!(read_with(b"crn,course,cap\n1,A 1,5\n", &seats).error().contains("seats"));
}

#[test]
fn the_term_of_the_upload_takes_precedence_over_the_rows() {
    let text = b"term,crn,course,cap\nFall 20,1,A 1,5\nother,2,B 1,5\n";
    let file = read_with(text, &options(Some("2026F"), &[]));
    assert!(file.sections().iter().all(|s| s.section.id.term.as_str() == "2026F"));
    assert_eq!((file.errors().len(), file.warnings().len()), (0, 1));
    let per_row = read_with(b"term,crn,course,cap\n202601,1,A 1,5\n,2,B 1,5\n", &options(None, &[]));
    assert_eq!(per_row.parsed.term().map(TermId::as_str), Some("202601"));
    assert_eq!(per_row.errors()[0].line, 3, "a row without a term is rejected");
}

#[test]
fn windows_1252_files_with_semicolons_are_read() {
    let file = read_with(b"sep=;\r\ncrn;course;cap;title\r\n1;A 1;5;Caf\xE9\r\n2;B 1;x;\r\n", &options(Some("T"), &[]));
    assert_eq!(file.sections()[0].section.title.as_deref(), Some("Café"));
    assert_eq!(file.errors()[0].line, 4, "the `sep=;` line is counted");
}

#[test]
fn totals_are_none_for_rows_without_them() {
    let file = read("crn,course,cap,act,wait_act\n1,A 1,5,7,2\n2,A 2,5,,\n3,A 3,,0,\n");
    let totals: Vec<_> = file.sections().iter().map(|s| s.totals).collect();
    assert_eq!(totals, [Some((7, 2)), None, Some((0, 0))]);
    let warnings = file.warnings();
    assert_eq!((warnings.len(), warnings[0].line), (1, 4), "the warning about the empty capacity");
}

#[test]
fn room_and_instructor_conflicts_exclude_cross_listed_classes() {
    let file = read(
        "crn,course,cap,days,time,room,instructor,start,end\n\
         1,A 1,5,MWF,9:00-10:00,R1,Ann,,\n\
         2,B 1,5,MW,9:30-10:30,r1,Bo,,\n\
         3,C 1,5,MWF,9:00-10:00,ONLINE,Ann,,\n\
         4,D 1,5,MWF,10:30-11:00,R1,Staff,,\n\
         5,E 1,5,F,14:00-15:00,R2,Cy,2026-09-01,2026-09-30\n\
         6,F 1,5,F,14:00-15:00,R2,Di,2026-10-01,2026-10-30\n\
         7,G 1,5,T,14:00-15:00,R3,Eve,,\n\
         8,G 2,5,T,14:00-15:00,R3,Eve,,\n\
         9,H 1,5,R,14:00-15:00,R3,Staff,,\n\
         10,H 2,5,R,14:00-15:00,R4,Staff,,\n\
         11,I 1,5,S,14:00-15:00,R5,,,\n\
         11,I 1,5,S,14:30-15:30,R5,,,\n",
    );
    let conflicts: Vec<_> = file.conflicts().into_iter().map(|c| (c.kind, c.lines, c.message)).collect();
    let expected = [
        (
            ConflictKind::Room,
            vec![2, 3],
            "A 1 (CRN 1) with Ann (mon, wed, fri 09:00-10:00) and B 1 (CRN 2) with Bo (mon, wed 09:30-10:30) are both in \
             R1 on mon, wed 09:30-10:00"
                .to_owned(),
        ),
        (
            ConflictKind::Instructor,
            vec![2, 4],
            "Ann teaches both A 1 (CRN 1) and C 1 (CRN 3) on mon, wed, fri 09:00-10:00".to_owned(),
        ),
    ];
    assert_eq!(conflicts, expected);
    assert_eq!(file.parsed.conflicts_total(), 2);
}

#[test]
fn unmarked_times_among_marked_ones_are_daytime_with_a_warning() {
    let file = read(
        "crn,course,cap,days,time\n\
         1,A 1,5,MW,9:00am-9:50am\n\
         2,B 1,5,MW,1:00-1:50\n\
         3,C 1,5,TR 2:30-3:45,\n\
         4,D 1,5,MW,10:00-10:50\n\
         5,E 1,5,MW,3:00-4:00 pm\n\
         6,F 1,5,MW,06:00-06:50\n\
         7,G 1,5,MW,6:00-6:50\n",
    );
    let starts: Vec<_> = file.sections().iter().map(|s| s.section.meetings[0].start.unwrap().hour()).collect();
    assert_eq!(starts, [9, 13, 14, 10, 15, 6, 6]);
    let warnings: Vec<_> = file.warnings().into_iter().map(|w| w.message).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("2 rows (lines 3, 4)") && warnings[0].contains("clock=24"), "{warnings:?}");
    assert!(warnings[1].contains("line 8") && warnings[1].contains("clock=12"), "{warnings:?}");
    let decided = ScheduleOptions { clock: Some(ClockOption::Hours24), ..options(Some("T"), &[]) };
    assert_eq!(
        read_with(b"crn,course,cap,days,time\n1,A 1,5,MW,9am-10am\n2,B 1,5,MW,1:00-1:50\n", &decided).warnings(),
        []
    );
}

#[test]
fn event_rows_become_events_with_stable_ids() {
    let header = "program,date,time,instructor,room,duration,description";
    let first =
        read(&format!("{header}\nWelding,2026-03-07,6:00 pm,Ann,Shop,90,Bring gloves\nYoga,03/09/2026,TBA,,,,\n"));
    assert!(first.parsed.contains_events());
    let events = first.events();
    let welding = events.iter().find(|e| e.program == "Welding").unwrap();
    assert_eq!(welding.starts_at.to_string(), "2026-03-08T02:00:00Z", "6 pm in Los Angeles");
    assert_eq!(welding.ends_at.unwrap().to_string(), "2026-03-08T03:30:00Z");
    let again = read(&format!("{header}\nWelding,2026-03-07,18:00,Bo,Shop,2 hours,\nX,never,18:00,,,,\n"));
    assert_eq!(again.events()[0].id, welding.id);
    assert_eq!((again.errors()[0].line, again.errors()[0].column.as_deref()), (3, Some("date")));
}

#[test]
fn the_watch_can_cancel_reading() {
    let rows: String = (0..1000).map(|i| format!("{i},A {i},5\n")).collect();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("upload.csv");
    std::fs::write(&file, format!("crn,course,cap\n{rows}")).unwrap();
    let mut seen = 0;
    let stop = &mut |p: crate::imports::schedule::ScheduleProgress| {
        seen = p.rows;
        p.rows < 400
    };
    let read = CsvSchedules::default().read(&file, scratch.path(), &options(Some("T"), &[]), stop);
    assert!(matches!(read, Err(ScheduleError::Cancelled)));
    assert_eq!(seen, 400);
}

#[test]
fn the_watch_can_cancel_before_the_first_row_is_read() {
    // Every row is first scanned for the order of day and month.
    let rows: String = (0..1_000).map(|i| format!("{i},MATH {i},5,3/4/2031\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("crn,course,cap,start\n{rows}")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let read = CsvSchedules::default().read(file.path(), scratch.path(), &options(Some("T"), &[]), &mut |progress| {
        seen.push(progress.rows);
        false
    });
    assert!(matches!(read, Err(ScheduleError::Cancelled)));
    assert_eq!(seen, [0]);
}

#[test]
fn extra_names_and_maps_are_validated() {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert!(CsvSchedules::new([("capacity", names(&["Max Enrl"]).as_slice())]).is_ok());
    assert!(CsvSchedules::new([("nonsense", names(&["x"]).as_slice())]).is_err());
    assert!(CsvSchedules::new([("capacity", names(&["title"]).as_slice())]).is_err());
    let reader = CsvSchedules::default();
    assert!(reader.check_map(&[("seats".into(), "cap".into())]).is_ok());
    assert!(reader.check_map(&[("seats".into(), "chairs".into())]).is_err());
}

proptest::proptest! {
    #[test]
    fn no_cell_makes_a_parser_panic(cell in r"[\PC]{0,12}|[0-9:apm .\-–/TWRFSUMh,]{0,16}|[A-Z]{1,4}[ \-]?[A-Z]?[0-9é.]{0,9}") {
        let _ = super::days::is_readable(&cell);
        let _ = super::times::range(&cell, super::times::Clock::Afternoon);
        let _ = super::times::single(&cell);
        let _ = super::times::pair(&cell, &cell, super::times::Clock::AsWritten);
        let _ = super::dates::range(&cell, super::dates::DayOrder::DayFirst);
        let _ = super::text::credits(&cell);
        let _ = super::text::count(&cell);
        let _ = super::instructors::instructors(&cell);
        if let Ok(course) = super::course::split(&cell) {
            super::course::is_course(&course.name);
        }
    }

    #[test]
    fn every_row_is_imported_or_rejected_with_an_error(
        rows in proptest::collection::vec(r#"[1-4]?,(A 1|B)?,[0-9x]{0,2},(MW|T|Q)?,(9:00-10:00|8-7|TBA)?(,|")?"#, 0..12),
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..8),
    ) {
        let mut file = format!("crn,course,cap,days,time\n{}\n", rows.join("\n")).into_bytes();
        file.extend(bytes);
        let file = read_with(&file, &options(Some("T"), &[]));
        let lines: std::collections::BTreeSet<u64> = file.errors().iter().map(|e| e.line).collect();
        proptest::prop_assert!(file.parsed.rejected_rows() == 0 || !lines.is_empty());
        if !file.parsed.is_rejected() {
            proptest::prop_assert!(lines.len() as u64 == file.parsed.rejected_rows());
            let imported = file.sections().len() as u64;
            proptest::prop_assert!(imported <= file.parsed.rows() - file.parsed.rejected_rows());
        }
    }
}

/// Reads a real schedule; `None` if this machine does not have it.
fn real(name: &str, options: &ScheduleOptions) -> Option<Read> {
    let folder = std::env::var_os("EDUHUB_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    match std::fs::read(folder.join(name)) {
        Ok(bytes) => Some(read_with(&bytes, options)),
        Err(_) => {
            eprintln!("skipped: there is no {name} in {}", folder.display());
            None
        }
    }
}

#[test]
fn a_real_university_schedule_has_no_errors() {
    let Some(file) = real("university-202209.csv", &options(None, &[])) else { return };
    assert_eq!(file.errors(), []);
    assert_eq!((file.parsed.rows(), file.parsed.sections()), (3_816, 3_465));
    assert_eq!(file.parsed.term().map(TermId::as_str), Some("202209"));
    let seats: u32 = file.sections().iter().map(|s| s.section.capacity).sum();
    assert_eq!(seats, 141_709);
    let warnings = file.warnings();
    let ranges =
        warnings.iter().filter(|w| w.column.as_deref() == Some("credits") && w.message.contains("range")).count();
    assert_eq!(ranges, 73);
    let empty = warnings.iter().filter(|w| w.message.contains("empty capacity")).count();
    assert_eq!(empty, 2);
    let lectures = file.sections().iter().filter(|s| &*s.section.component == "lecture").count();
    assert!(lectures > 1_700, "trailing spaces of components are removed: {lectures}");
}

#[test]
fn a_real_college_schedule_needs_a_mapped_capacity() {
    let term = Some("2020F");
    let Some(file) = real("community-college-fall2020.csv", &options(term, &[])) else { return };
    assert!(file.parsed.is_rejected());
    assert!(file.error().contains("such as seats:capacity"), "{}", file.error());
    let mapped = options(term, &[("seats", "capacity")]);
    let Some(file) = real("community-college-fall2020.csv", &mapped) else { return };
    assert_eq!(file.errors(), []);
    assert_eq!((file.parsed.rows(), file.parsed.sections()), (1_447, 1_099));
    let sections = file.sections();
    let first = sections.iter().find(|s| s.section.id.crn.as_str() == "20238").unwrap();
    assert_eq!((&*first.section.course, first.section.section.as_deref()), ("ACTG F001A", Some("01W")));
    assert!(sections.iter().all(|s| s.section.section.is_some()), "every course is split from its section");
    let campus: std::collections::BTreeSet<_> =
        file.warnings().iter().filter(|w| w.column.as_deref() == Some("campus")).map(|w| w.message.clone()).collect();
    assert_eq!(campus.len(), 9, "nine CRNs have rows that differ in campus");
}

/// Earlier versions misread each of these files without a warning.
#[test]
fn rows_and_headers_are_not_mistaken_for_each_other() {
    let crns = |text: &str| -> Vec<String> {
        read(text).sections().iter().map(|file| file.section.id.crn.to_string()).collect()
    };
    // A row of data with a known name is not part of the header.
    assert_eq!(crns("crn,course,title,cap,Session\n30001,AB 101,X,20,Semester\n"), ["30001"]);
    // A section whose title sounds like a total, and a single cell that is a further meeting.
    assert_eq!(crns("crn,title,course,cap,days,time\n30001,Total Fitness,,20,,\n30002,X,AB 1,20,,\n"), ["30002"]);
    let continued =
        read("crn,course,cap,meetings,start,end\n1,AB 1,5,M 9:00-9:50,2031-01-20,2031-05-15\n,,,F 10:00-10:50,,\n");
    let meetings = &continued.sections()[0].section.meetings;
    assert_eq!((meetings.len(), meetings[1].starts_on), (2, meetings[0].starts_on));
    // Building and room whose texts contain each other.
    let rooms = read("crn,course,cap,days,time,building,room\n1,AB 1,5,M,9am-10am,Building 10,1\n");
    assert_eq!(rooms.sections()[0].section.meetings[0].location.as_deref(), Some("Building 10 1"));
}

#[test]
fn two_mapped_columns_form_the_location_alone() {
    let map = options(Some("T"), &[("Hall+Nr", "location")]);
    let file = read_with(b"crn,course,cap,days,time,Hall,Nr,Room\n1,AB 1,5,M,9am-10am,Elm,105,R9\n", &map);
    assert_eq!(file.sections()[0].section.meetings[0].location.as_deref(), Some("Elm 105"));
}

#[test]
fn lines_that_are_not_rows_do_not_fill_the_report() {
    let file = read(&format!("crn,course,cap,title\n1,AB 1,5,X\n{}", "a\n".repeat(5_000)));
    assert_eq!((file.parsed.skipped().1, file.findings(Severity::Warning).len()), (5_000, 1_001));
}
