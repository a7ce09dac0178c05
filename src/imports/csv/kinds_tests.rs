//! Notations of public schedules, each as a small table. Names and numbers are invented.

use jiff::tz::TimeZone;

use super::CsvSchedules;
use crate::domain::ids::TermId;
use crate::domain::import::Finding;
use crate::domain::meeting::hour_minute_text;
use crate::domain::section::{Section, SectionStatus};
use crate::imports::schedule::{FileSection, ProfileOptions, Schedule, ScheduleOptions, ScheduleReader, Severity};

/// Opens a schedule, and returns it with the folder of its scratch database.
fn open(text: &str) -> (Box<dyn Schedule>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedule.csv");
    std::fs::write(&file, text).unwrap();
    let term = Some(TermId::parse("T").unwrap());
    let options = ScheduleOptions {
        term,
        map: Vec::new(),
        sheet: None,
        header_line: None,
        clock: None,
        zone: TimeZone::UTC,
        profiles: ProfileOptions::default(),
    };
    let parsed = CsvSchedules::default().read(&file, folder.path(), &options, &mut |_| true).unwrap();
    (parsed, folder)
}

/// Returns each section as `CRN course/section seats credits: days times location; …`, after the errors.
fn read(text: &str) -> Vec<String> {
    let (parsed, _folder) = open(text);
    let mut all = Vec::new();
    let errors = &mut |error: Finding| {
        all.push(format!("line {}: {}", error.line, error.message));
        Ok(())
    };
    parsed.each_finding(Severity::Error, 5, errors).unwrap();
    let take = &mut |file: FileSection| {
        all.push(shown(&file.section, file.totals));
        Ok(())
    };
    parsed.each_section(take).unwrap();
    all
}

/// Returns the component of each section.
fn components(text: &str) -> Vec<String> {
    let (parsed, _folder) = open(text);
    let mut all = Vec::new();
    let take = &mut |file: FileSection| {
        all.push(file.section.component.to_string());
        Ok(())
    };
    parsed.each_section(take).unwrap();
    all
}

fn shown(section: &Section, totals: Option<(u32, u32)>) -> String {
    let meetings = section.meetings.iter().filter_map(|meeting| {
        let days: String = meeting.days.names().map(|day| day[..2].to_owned()).collect();
        let (start, end) = (meeting.start?, meeting.end?);
        let dates = meeting.starts_on.zip(meeting.ends_on).map_or(String::new(), |(a, b)| format!(" {a}..{b}"));
        let room = meeting.location.as_deref().map_or(String::new(), |room| format!(" {room}"));
        Some(format!("{days} {}-{}{dates}{room}", hour_minute_text(start), hour_minute_text(end)))
    });
    let meetings: Vec<String> = meetings.collect();
    let enrolled = totals.map_or(String::new(), |(enrolled, _)| format!("{enrolled}/"));
    let label = section.section.as_deref().unwrap_or("-");
    let cancelled = if section.status == SectionStatus::Cancelled { " cancelled" } else { "" };
    let (crn, course, seats, credits) = (&section.id.crn, &section.course, section.capacity, section.credits.as_f64());
    format!("{crn} {course}/{label} {enrolled}{seats} {credits}{cancelled}: {}", meetings.join("; "))
        .trim_end()
        .to_owned()
}

fn check(table: &[(&str, &[&str])]) {
    for (text, expected) in table {
        assert_eq!(read(text), *expected, "{text}");
    }
}

#[test]
fn times_statuses_and_weekdays_are_interpreted_per_file() {
    check(&[
        // No time has am or pm.
        (
            "CRN,Course,Cap,Days,Time\n30001,BIO 101,20,M,6:00-8:50\n30002,BIO 102,20,T,4:30-7:15\n",
            &["30001 BIO 101/- 20 0: mo 18:00-20:50", "30002 BIO 102/- 20 0: tu 16:30-19:15"],
        ),
        ("CRN,Course,Cap,M,T,W,T,F\n30001,BIO 101,20,x,,,x,\n", &["30001 BIO 101/- 20 0:"]),
        // The row with `O` is below the first time with am.
        (
            "CRN,Course,Cap,Status,Days,Time\n30001,BIO 101,20,A,M,9:00 am-9:50 am\n30002,BIO 102,20,O,M,9-9:50am\n\
             30003,BIO 103,20,C,M,9-9:50am\n",
            &[
                "30001 BIO 101/- 20 0: mo 09:00-09:50",
                "30002 BIO 102/- 20 0: mo 09:00-09:50",
                "30003 BIO 103/- 20 0: mo 09:00-09:50",
            ],
        ),
        (
            "CRN,Course,Enrolled,Open\n30001,BIO 101,12,8\n30002,BIO 102,20,0\n30003,BIO 103,20,Full\n30004,BIO 104,9,1\n",
            &[
                "30001 BIO 101/- 12/20 0:",
                "30002 BIO 102/- 20/20 0:",
                "30003 BIO 103/- 20/20 0:",
                "30004 BIO 104/- 9/10 0:",
            ],
        ),
        ("CRN,Course,Enrolled,Open\n30001,BIO 101,20,0\n", &["30001 BIO 101/- 20/20 0:"]),
    ]);
    for open in ["Yes", "Open", ""] {
        let read = read(&format!("CRN,Course,Enrolled,Open\n30001,BIO 101,12,{open}\n30002,BIO 102,9,No\n"));
        assert!(read.len() == 1 && read[0].contains("no capacity column"), "{read:?}");
    }
}

#[test]
fn ambiguous_times_beside_an_hour_above_12_are_reported() {
    let (parsed, _folder) =
        open("CRN,Course,Cap,Days,Time\n30001,BIO 101,20,M,13:00-13:50\n30002,BIO 102,20,M,1:00-1:50\n");
    let mut warnings = Vec::new();
    let take = &mut |warning: Finding| {
        warnings.push(warning.message);
        Ok(())
    };
    parsed.each_finding(Severity::Warning, 5, take).unwrap();
    assert!(warnings.iter().any(|warning| warning.contains("an hour above 12")), "{warnings:?}");
}

#[test]
fn columns_of_databases_are_recognized() {
    check(&[
        (
            "SEC_TERM,SEC_SYNONYM,SEC_STATUS,SEC_SUBJECT,SEC_COURSE_NO,SEC_NO,SEC_MIN_CRED,SEC_START_DATE,CSM_START_TIME,\
             CSM_END_TIME,CSM_MONDAY,CSM_TUESDAY,CSM_WEDNESDAY,CSM_BLDG,CSM_ROOM,SEC_CAPACITY,CSM_START_DATE,CSM_END_DATE,\
             SEC_MEETING_INFO\n\
             T,30001,A,BIO,101,A,3,Jan 20 2031,9:00AM,9:50AM,Y,-,Y,ELM,105,20,Jan 27 2031,May 9 2031,\"Elm, Room 105\"\n\
             T,30002,C,BIO,102,A,3,Jan 20 2031,,,-,-,-,,,15,,,To be announced\n",
            &[
                "30001 BIO 101/A 20 3: mowe 09:00-09:50 2031-01-27..2031-05-09 ELM 105",
                "30002 BIO 102/A 15 3 cancelled:",
            ],
        ),
        (
            "SSBSECT_CRN,SSBSECT_SUBJ_CODE,SSBSECT_CRSE_NUMB,SSBSECT_SEQ_NUMB,SSBSECT_MAX_ENRL,SSBSECT_ENRL,\
             SSRMEET_BEGIN_TIME,SSRMEET_END_TIME,SSRMEET_MON_DAY,SSRMEET_TUE_DAY,SSRMEET_WED_DAY\n\
             30001,BIO,101,01,20,3,0900,0950,M,,W\n",
            &["30001 BIO 101/01 3/20 0: mowe 09:00-09:50"],
        ),
        (
            "Subj,#,Title,Comp Numb,Sec,Max Enrollment,Current Enrollment,Start Time,End Time,Days,Credits,Bldg,Room\n\
             BIO,101,Shore Life,30001,A,20,3,13:15,14:30,  T  R    ,1 to 4,ELM,TBD\n\
             BIO,102,Thesis,30002,A,5,0,TBA,,       ,3,,\n",
            &["30001 BIO 101/A 3/20 1: tuth 13:15-14:30 ELM", "30002 BIO 102/A 0/5 3:"],
        ),
    ]);
}

#[test]
fn cells_decide_the_meaning_of_ambiguous_names() {
    check(&[
        // `Start` and `End` are times; `W/L` is the workload.
        (
            "Class#,Course,Start,End,Days,W/L,Room,Units,Capacity\n\
             30001,BIO 101,19:00,21:50,Th,3.6,E 5,3,25\n30002,BIO 102,TBA,0,0,3,ONLINE,3,30\n",
            &["30001 BIO 101/- 25 3: th 19:00-21:50 E 5", "30002 BIO 102/- 30 3:"],
        ),
        // `Capacity` is that of the room, `Location` the campus, `Pat` the days.
        (
            "Class Nbr,Subject,Catalog,Section,Capacity,Facil ID,Cap Enrl,Tot Enrl,Pat,Mtg Start,Mtg End,Location,Last,First Name\n\
             30001,BIO, 101,002,99,ELM105,30,12,TR,15:30,18:00,MAIN,Reed,Ann\n",
            &["30001 BIO 101/002 12/30 0: tuth 15:30-18:00 ELM105"],
        ),
        // `Meeting Pattern` has the days only; the status of the class takes precedence over that of the enrollment.
        (
            "Class Nbr,Class Program Code,Catalog Nbr,Class Section,Class Type,Class Component,Enrollment Status,Class Status,Enrollment Max Cap,\
             Room Capacity,Facility ID,Meeting Time Start,Meeting Time End,Meeting Pattern,Minimum Units\n\
             30001,BIO,101,01,Enrollment,Lecture,Open,Active,28,40,ELM 105,15:00:00 P,16:30:00 P,MTUWTH,3\n\
             30002,BIO,102,01,Enrollment,Laboratory,Closed,Cancelled Section,28,40,ELM 105,09:00:00 A,09:50:00 A,TU,3\n",
            &[
                "30001 BIO 101/01 28 3: motuweth 15:00-16:30 ELM 105",
                "30002 BIO 102/01 28 3 cancelled: tu 09:00-09:50 ELM 105",
            ],
        ),
        // `Location` is the campus beside building and room; `Class` is the number.
        (
            "Class,Course,Section,Location,Bldg,Rm #,Days,Time,Max\n30001,BIO 101,01-LEC Regular,North,ELM,105,MW,9-9:50am,20\n",
            &["30001 BIO 101/01 20 0: mowe 09:00-09:50 ELM 105"],
        ),
        // `Course` is the subject beside a number, and the number beside a subject.
        ("CRN,Course,Course number,Cap\n30001,BIO,101,20\n", &["30001 BIO 101/- 20 0:"]),
        ("CRN,Subject,Course,Cap\n30001,BIO,101L,20\n", &["30001 BIO 101L/- 20 0:"]),
        ("CRN,Dept,Course Number,Cap\n30001,Biology,BIO-101,20\n", &["30001 BIO 101/- 20 0:"]),
    ]);
}

#[test]
fn seats_are_read_from_all_notations() {
    check(&[
        (
            "CRN,Course,Enrolled,Seats Available\n30001,BIO 101,12,8\n30002,BIO 102,22,-2\n",
            &["30001 BIO 101/- 12/20 0:", "30002 BIO 102/- 22/20 0:"],
        ),
        ("CRN,Course,Enrolled/Capacity\n30001,BIO 101,12/20\n", &["30001 BIO 101/- 12/20 0:"]),
        ("CRN,Course,Enrollment\n30001,BIO 101,12 of 20\n", &["30001 BIO 101/- 12/20 0:"]),
        ("CRN,Course,Available/Capacity\n30001,BIO 101,8 / 20\n", &["30001 BIO 101/- 12/20 0:"]),
        ("CRN,Course,Seats Remaining\n30001,BIO 101,8 / 20\n", &["30001 BIO 101/- 12/20 0:"]),
        ("CRN,Course,Cap\n30001,BIO 101,20*\n", &["30001 BIO 101/- 20 0:"]),
    ]);
}

#[test]
fn meetings_are_read_from_all_notations() {
    let table: [(&str, &str); 12] = [
        ("Days,Time\nM-Th,9-9:50am", "motuweth 09:00-09:50"),
        ("Days,Time\nTUTH,1:00p-2:15p", "tuth 13:00-14:15"),
        ("Days,Time\n\"MW, F\",\"9:00am-9:50am, 1:00pm-1:50pm\"", "mowe 09:00-09:50; fr 13:00-13:50"),
        (
            "Days,Start Time,End Time\n\"M,F, T,TH\",\"6:00 AM,  3:35 PM\",\"7:30 AM,  5:00 PM\"",
            "mofr 06:00-07:30; tuth 15:35-17:00",
        ),
        ("Days,Start Time,End Time\nMW,0.375,0.416666667", "mowe 09:00-10:00"),
        ("Days,Start Time,End Time\nMW,9:00 AM,", ""),
        ("Days,Start Time\nMW,9:00 AM - 9:50 AM", "mowe 09:00-09:50"),
        ("Days,Time\nMW,MW 9:00am-9:50am", "mowe 09:00-09:50"),
        (
            "Meeting Patterns\n2031-01-20 - 2031-05-15 | Mon Wed | 9:00 a.m. - 9:50 a.m. | ELM-Room 5",
            "mowe 09:00-09:50 2031-01-20..2031-05-15 ELM-Room 5",
        ),
        (
            "Meeting Information\n\"01/20/2031-05/15/2031 Lecture Monday, Wednesday 09:00AM - 09:50AM, Elm, Room 5 (more)...\"",
            "mowe 09:00-09:50 2031-01-20..2031-05-15 Elm, Room 5",
        ),
        ("Date (MM/DD),Days,Time\n08/31-12/08,M,03:00 pm-03:50 pm", "mo 15:00-15:50"),
        ("Days,Time\n-M-W-F-,0900-0950", "mowefr 09:00-09:50"),
    ];
    for (columns, expected) in table {
        let (names, cells) = columns.split_once('\n').unwrap();
        let found = read(&format!("CRN,Course,Cap,{names}\n30001,BIO 101,20,{cells}\n"));
        assert_eq!(found, [format!("30001 BIO 101/- 20 0: {expected}").trim_end()], "{columns}");
    }
}

#[test]
fn sections_without_crn_and_courses_with_titles_are_read() {
    check(&[
        // New sections do not have a CRN yet.
        (
            "CRN,Course,Section,Cap\n30001,BIO 101,01,20\n,BIO 101,02,15\nTBA,BIO 101,03,10\n",
            &["30001 BIO 101/01 20 0:", "BIO101.02 BIO 101/02 15 0:", "BIO101.03 BIO 101/03 10 0:"],
        ),
        ("Course Section,Max\nBIO 101-01 - Shore Life,20\n", &["BIO101.01 BIO 101/01 20 0:"]),
        ("Section Name and Title,Max\nBIO-101-01 (30001) Shore Life,20\n", &["BIO101.01 BIO 101/01 20 0:"]),
    ]);
}

#[test]
fn control_characters_and_lines_of_printed_pages_cause_no_errors() {
    check(&[
        // A control character in a column that is not imported; the lines of printed pages.
        (
            "CRN,Course,Sec,Title,Cap,Notes\n30001,BIO 101,01,A &amp; B,20,\u{1}\nPage 2 of 9,Run Date 1/2/2031,,,,\n",
            &["30001 BIO 101/01 20 0:"],
        ),
        ("CRN,Course,Cap,Title\n30001,BIO 101,20,Shore\u{92}s Life\n", &["30001 BIO 101/- 20 0:"]),
    ]);
}

#[test]
fn components_are_read_from_the_column_with_components() {
    let table = [
        "CRN,Course,Cap,Class Type,Class Component\n1,BIO 101,20,Enrollment,Lecture\n2,BIO 101,20,Non-Enrollment,Laboratory\n",
        "CRN,Course,Cap,CSM_INSTR_METHOD\n1,BIO 101,20,LEC\n2,BIO 101,20,LAB\n",
        "CRN,Course,Cap,Section\n1,BIO 101,20,01-LEC Regular\n2,BIO 101,20,01-LAB(2046)\n",
    ];
    for text in table {
        assert_eq!(components(text), ["lecture", "lab"], "{text}");
    }
}

/// Returns the same as [`read`], with ` + days location` for each meeting without a time.
fn read_with_untimed(text: &str) -> Vec<String> {
    let mut all = read(text);
    let (parsed, _folder) = open(text);
    let take = &mut |file: FileSection| {
        for meeting in file.section.meetings.iter().filter(|meeting| meeting.start.is_none()) {
            let days: String = meeting.days.names().map(|day| day[..2].to_owned()).collect();
            all.push(format!("{} + {days} {}", all.last().unwrap(), meeting.location.as_deref().unwrap_or_default()));
            all.remove(0);
        }
        Ok(())
    };
    parsed.each_section(take).unwrap();
    all
}

#[test]
fn several_meetings_in_one_cell_are_read_or_rejected() {
    let mut wrong = Vec::new();
    let table = [
        ("TR | 9:00 AM - 9:50 AM\nF | 10:00 AM - 10:50 AM", "tuth 09:00-09:50; fr 10:00-10:50"),
        ("MW | TBA | Elm 105\nF | 10:00-10:50 | Elm 106", "fr 10:00-10:50 Elm 106 + mowe Elm 105"),
        ("MW TBA ONLINE\nF 10:00am-10:50am Elm 106", "fr 10:00-10:50 Elm 106 + mowe ONLINE"),
        ("Mon | 9-9:50am | Elm 105\nSat, Sun | TBA | Elm 107", "mo 09:00-09:50 Elm 105 + sasu Elm 107"),
        ("MW\n9:00am-9:50am\nElm, Room 5", "mowe 09:00-09:50 Elm, Room 5"),
        (
            "01/20/2031-05/15/2031 Lecture Monday, Wednesday 09:00AM - 09:50AM, Room to be Announced",
            "mowe 09:00-09:50 2031-01-20..2031-05-15",
        ),
        (
            "01/20/2031-05/15/2031 Lecture Monday 09:00AM - 09:50AM, Room to be Announced\n01/20/2031-05/15/2031 Lab Friday 10:00AM - 10:50AM, Elm",
            "mo 09:00-09:50 2031-01-20..2031-05-15; fr 10:00-10:50 2031-01-20..2031-05-15 Elm",
        ),
        ("Lecture Monday, Wednesday 09:00AM - 09:50AM, Room to be Announced", "mowe 09:00-09:50"),
    ];
    for (cell, expected) in table {
        let found = read_with_untimed(&format!("CRN,Course,Cap,Meetings\n30001,BIO 101,20,\"{cell}\"\n"));
        if found != [format!("30001 BIO 101/- 20 0: {expected}")] {
            wrong.push(format!("{cell}: {found:?}"));
        }
    }
    let days: Vec<String> = (0..201).map(|at| format!("M 9:00-9:50 R{at}")).collect();
    let rejected = [
        "20/13/2031 - 15/05/2031 | Mon Wed | 9:00-9:50 | Elm 105".to_owned(),
        "Mon Wed | 9:00-9:50 | Elm 105 31/02/2031".to_owned(),
        "Mon 9:00am-9:50am Elm 105 20/13/2031-15/05/2031".to_owned(),
        "Mon 9:00-9:50 Elm 105\nSat Elm 107".to_owned(),
        days[..].join("; "),
        format!("M 9:00-9:50 {}", "x ".repeat(2_000)),
    ];
    for cell in rejected {
        let found = read(&format!("CRN,Course,Cap,Days,Time\n30001,BIO 101,20,,\"{cell}\"\n"));
        if found.is_empty() || !found.iter().all(|line| line.starts_with("line 2:")) {
            wrong.push(format!("{cell}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn spanish_letters_of_days_are_interpreted_per_file() {
    let clear = "NRC,Curso,Cupo,Días,Hora\n30001,BIO 101,20,MJ,8:00-8:50\n30002,BIO 102,20,LX,8:00-8:50\n\
                 30003,BIO 103,20,M,8:00-8:50\n30004,BIO 104,20,LMV,8:00-8:50\n30005,BIO 105,20,SD,13:00-13:50\n";
    check(&[
        (
            clear,
            &[
                "30001 BIO 101/- 20 0: tuth 08:00-08:50",
                "30002 BIO 102/- 20 0: mowe 08:00-08:50",
                "30003 BIO 103/- 20 0: tu 08:00-08:50",
                "30004 BIO 104/- 20 0: motufr 08:00-08:50",
                "30005 BIO 105/- 20 0: sasu 13:00-13:50",
            ],
        ),
        // Days, time and room in one cell.
        (
            "NRC,Curso,Cupo,Horario\n30001,BIO 101,20,MJ 8:00-8:50; LMi 10:00-10:50\n\
             30002,BIO 102,20,M 9:00-9:50; Edificio 7\n30003,BIO 103,20,LV | 9:00-9:50 | F 105\n",
            &[
                "30001 BIO 101/- 20 0: tuth 08:00-08:50; mowe 10:00-10:50",
                "30002 BIO 102/- 20 0: tu 09:00-09:50 Edificio 7",
                "30003 BIO 103/- 20 0: mofr 09:00-09:50 F 105",
            ],
        ),
        // In English, `M` is Monday.
        (
            "NRC,Curso,Cupo,Días,Hora\n30001,BIO 101,20,M,8:00-8:50\n30002,BIO 102,20,TR,8:00-8:50\n",
            &["30001 BIO 101/- 20 0: mo 08:00-08:50", "30002 BIO 102/- 20 0: tuth 08:00-08:50"],
        ),
    ]);
    let (parsed, _folder) = open(clear);
    let mut warnings = Vec::new();
    let add = &mut |warning: Finding| {
        warnings.push(warning.message);
        Ok(())
    };
    parsed.each_finding(Severity::Warning, 100, add).unwrap();
    let is_about_m = |text: &&String| text.contains("M is imported as Tuesday") && text.contains("2 rows (lines 4, 5)");
    assert_eq!(warnings.iter().filter(is_about_m).count(), 1, "{warnings:?}");
}

#[test]
fn an_m_that_may_mean_two_days_is_rejected() {
    for (file, days) in [
        ("NRC,Curso,Cupo,Días,Hora\n30001,BIO 101,20,LMV,8:00-8:50\n30002,BIO 102,20,MJ,8:00-8:50\n", "LMV"),
        ("NRC,Curso,Cupo,Días,Hora\n30001,BIO 101,20,M,8:00-8:50\n30002,BIO 102,20,MJ,8:00-8:50\n", "M"),
        ("NRC,Curso,Cupo,Horario\n30001,BIO 101,20,LM 8:00-8:50\n30002,BIO 102,20,MJ 8:00-8:50\n", "LM 8:00-8:50"),
    ] {
        let read = read(file);
        assert!(read[0].starts_with(&format!("line 2: The M in {days:?} may be Tuesday")), "{file}: {read:?}");
        assert_eq!(read[1..], ["30002 BIO 102/- 20 0: tuth 08:00-08:50"], "{file}");
    }
}

#[test]
fn a_subject_column_with_whole_courses_is_read_as_the_course() {
    check(&[
        (
            "NRC,Materia,Sección,Cupo\n30001,MAT 101,1,20\n30002,CIV ENGR 310,2,20\n",
            &["30001 MAT 101/1 20 0:", "30002 CIV ENGR 310/2 20 0:"],
        ),
        // `Curso` has the title.
        ("NRC,Materia,Curso,Cupo\n30001,MAT 101,Algebra I,20\n", &["30001 MAT 101/- 20 0:"]),
        // `Curso` has the number, or the course, too.
        ("NRC,Materia,Curso,Cupo\n30001,MAT,101,20\n", &["30001 MAT 101/- 20 0:"]),
        ("NRC,Materia,Curso,Cupo\n30001,MAT 101,MAT-101-02,20\n", &["30001 MAT 101/02 20 0:"]),
    ]);
    let some = read("NRC,Materia,Cupo\n30001,MAT 101,20\n30002,Algebra,20\n");
    assert!(some.len() == 1 && some[0].contains("no column `course`"), "{some:?}");
}
