//! Reads what a bundle states about students: who they are, the courses that they completed, and their enrollments. The
//! line numbers of findings are those of the file that the finding names.
//!
//! The files refer to each other, so a bundle with an error is not imported in part.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;

use jiff::civil::Date;

use crate::domain::ids::UserName;
use crate::domain::import::Finding;
use crate::domain::student::{COMPLETED_MAX, CompletedCourse, GRADE_CHARS_MAX, NAME_CHARS_MAX};
use crate::imports::finding_kind::FindingKind;
use crate::imports::roster_finding::{RosterFinding, Rows};
use crate::imports::schedule::{ScheduleError, ScheduleProgress, Watch};
use crate::imports::spreadsheet::stop::Stop;

use crate::imports::csv::oneroster::columns::{
    CLASSES_TABLE, COURSES_TABLE, ENROLLMENTS_TABLE, LINE_ITEMS_TABLE, RESULTS_TABLE, ROLES_TABLE, SESSIONS_TABLE,
    Table, USERS_TABLE,
};
use crate::imports::csv::oneroster::files::{Entry, Files, Log};
use crate::imports::csv::oneroster::reader::{LOOKUP_BYTES_MAX, UNPACKED_MAX, has_file, open, refused};
use crate::imports::csv::oneroster::{
    CLASSES, COURSES, ENROLLMENTS, LINE_ITEMS, MANIFEST, RESULTS, ROLES, SESSIONS, USERS, one_line,
};
use crate::imports::csv::students::{ROWS_MAX, STUDENTS_MAX};

/// The maximum size of the files of people and of their roles, in bytes: twice the largest number of students, with 600
/// bytes for each. Their identifiers are held in memory.
const PEOPLE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The titles of a line item that is the grade of the course, if its class has several.
const FINAL_TITLES: [&str; 6] =
    ["final grade", "course grade", "final course grade", "overall grade", "calificación final", "nota final"];
/// The files about students, in the order in which they are read.
const TABLES: [&Table; 8] = [
    &SESSIONS_TABLE,
    &COURSES_TABLE,
    &CLASSES_TABLE,
    &ROLES_TABLE,
    &USERS_TABLE,
    &ENROLLMENTS_TABLE,
    &LINE_ITEMS_TABLE,
    &RESULTS_TABLE,
];

/// What a bundle states about students.
#[derive(Debug, Default)]
pub(in crate::imports) struct Roster {
    /// The students, each with the completed courses in the bundle.
    pub(in crate::imports) students: BTreeMap<UserName, Vec<CompletedCourse>>,
    /// The terms.
    pub(in crate::imports) sessions: Vec<Session>,
    /// The classes.
    pub(in crate::imports) classes: Vec<Class>,
    /// The enrollments of students that have not ended, in the order of the file.
    pub(in crate::imports) enrollments: Vec<Enrollment>,
    /// The number of rows that were read.
    pub(in crate::imports) rows: u64,
    /// Why the bundle is rejected.
    pub(in crate::imports) errors: Vec<Finding>,
    /// What is not imported.
    pub(in crate::imports) warnings: Vec<Finding>,
}

/// A term of a bundle.
#[derive(Debug)]
pub(in crate::imports) struct Session {
    /// The `sourcedId`.
    pub(in crate::imports) id: Box<str>,
    /// The title, or otherwise the `sourcedId`.
    pub(in crate::imports) title: Box<str>,
    /// The day after the last day of the term; `None` if not known.
    end: Option<Date>,
}

/// A class of a bundle.
#[derive(Debug)]
pub(in crate::imports) struct Class {
    /// The `sourcedId`.
    pub(in crate::imports) id: Box<str>,
    /// The human-readable code, which may be blank.
    pub(in crate::imports) code: Box<str>,
    /// The code of the course, or otherwise its title.
    pub(in crate::imports) course: Box<str>,
    /// The index of the term.
    pub(in crate::imports) session: usize,
}

/// An enrollment of a student.
#[derive(Debug)]
pub(in crate::imports) struct Enrollment {
    /// The index of the class.
    pub(in crate::imports) class: usize,
    /// The student.
    pub(in crate::imports) student: UserName,
    /// The line in the file of enrollments.
    pub(in crate::imports) line: u64,
}

/// Returns whether a ZIP archive is a bundle. One without its manifest counts, so that the missing file is reported.
pub(in crate::imports::csv) fn is_roster(file: &File) -> io::Result<bool> {
    has_file(file, &[MANIFEST, USERS, ENROLLMENTS])
}

/// Reads a bundle. Terms and enrollments have ended if their end is not after `today`.
pub(in crate::imports::csv) fn read(file: &File, today: Date, watch: &mut Watch<'_>) -> Result<Roster, ScheduleError> {
    let (mut roster, mut log, rows) = (Roster::default(), Log::default(), Cell::new(0));
    let mut tick = || match watch(ScheduleProgress { rows: rows.get(), ..ScheduleProgress::default() }) {
        true => Ok(()),
        false => Err(ScheduleError::Cancelled),
    };
    let outcome = open(file).and_then(|archive| {
        let mut files = Files { archive, tick: &mut tick, rows: &rows, log: &mut log };
        read_files(&mut files, today, &mut roster)
    });
    match outcome {
        Ok(()) => {}
        Err(Stop::Refused(line, kind)) => log.errors.push(kind.of_line(line.max(1))),
        Err(Stop::Failed(error)) => return Err(error),
    }
    (roster.rows, roster.errors, roster.warnings) = (rows.get(), log.errors, log.warnings);
    Ok(roster)
}

/// The person in a row of the file of people.
enum Person {
    Student(UserName),
    /// A student whose row is marked for deletion or has an error.
    Skipped,
    Other,
}

/// The rows of the bundle by their identifiers. A class or line item that is marked for deletion has no index.
#[derive(Default)]
struct Known {
    sessions: HashMap<Box<str>, usize>,
    courses: HashMap<Box<str>, Box<str>>,
    classes: HashMap<Box<str>, Option<usize>>,
    people: HashMap<Box<str>, Person>,
    line_items: HashMap<Box<str>, LineItem>,
}

/// A line item: graded work of a class, such as an exam, or the grade of the course.
struct LineItem {
    class: Option<usize>,
    has_final_title: bool,
}

fn read_files(files: &mut Files<'_, '_>, today: Date, roster: &mut Roster) -> Result<(), Stop> {
    files.check_manifest(&TABLES)?;
    let has_role_column = files.check_headers(&TABLES)?;
    if !files.log.errors.is_empty() {
        return Ok(());
    }
    let (has_enrollments, has_results) = (files.has(ENROLLMENTS), files.has(RESULTS));
    let mut known = Known::default();
    if has_enrollments || has_results {
        sessions(files, roster, &mut known)?;
        courses(files, &mut known)?;
        classes(files, roster, &mut known)?;
    }
    people(files, has_role_column, roster, &mut known)?;
    if roster.students.len() > STUDENTS_MAX {
        return Err(refused(FindingKind::TooManyStudents { max: STUDENTS_MAX, rows: ROWS_MAX }));
    }
    if has_enrollments {
        enrollments(files, today, roster, &known)?;
    }
    if has_results {
        line_items(files, &mut known)?;
        results(files, today, roster, &known)?;
    }
    Ok(())
}

/// Returns a text on one line. Adds an error if it is too long for a fact about a student.
fn name(entry: &Entry<'_, '_>, column: &'static str, log: &mut Log) -> Box<str> {
    let text = one_line(entry.get(column));
    if text.chars().count() > NAME_CHARS_MAX {
        log.fault(entry, column, &FindingKind::FactTooLong { max: NAME_CHARS_MAX });
    }
    text.into()
}

fn sessions(files: &mut Files<'_, '_>, roster: &mut Roster, known: &mut Known) -> Result<(), Stop> {
    files.each(&SESSIONS_TABLE, LOOKUP_BYTES_MAX, &mut |entry, log| {
        let title = name(entry, "title", log);
        let title = if title.is_empty() { entry.id.into() } else { title };
        for column in ["startDate", "endDate"] {
            if entry.get(column).is_empty() {
                log.error(entry, column, &RosterFinding::RosterCellEmpty);
            }
        }
        entry.date("startDate", log);
        let end = entry.date("endDate", log);
        known.sessions.insert(entry.id.into(), roster.sessions.len());
        roster.sessions.push(Session { id: entry.id.into(), title, end });
    })
}

fn courses(files: &mut Files<'_, '_>, known: &mut Known) -> Result<(), Stop> {
    files.each(&COURSES_TABLE, LOOKUP_BYTES_MAX, &mut |entry, log| {
        let (code, title) = (name(entry, "courseCode", log), one_line(entry.get("title")));
        known.courses.insert(entry.id.into(), if code.is_empty() { title.into() } else { code });
    })
}

fn classes(files: &mut Files<'_, '_>, roster: &mut Roster, known: &mut Known) -> Result<(), Stop> {
    let Known { sessions, courses, classes, .. } = known;
    files.each(&CLASSES_TABLE, UNPACKED_MAX, &mut |entry, log| {
        if entry.is_deleted {
            classes.insert(entry.id.into(), None);
            return;
        }
        let course = courses.get(entry.get("courseSourcedId"));
        if course.is_none() {
            log.unknown(entry, "courseSourcedId", COURSES);
        }
        let terms: Vec<_> = entry.get("termSourcedIds").split(',').map(str::trim).collect();
        let terms: Vec<_> = terms.into_iter().map(|term| sessions.get(term).copied()).collect();
        if terms.iter().any(Option::is_none) {
            log.unknown(entry, "termSourcedIds", SESSIONS);
        }
        classes.insert(entry.id.into(), Some(roster.classes.len()));
        roster.classes.push(Class {
            id: entry.id.into(),
            code: entry.get("classCode").into(),
            course: course.cloned().unwrap_or_default(),
            session: terms.into_iter().flatten().next().unwrap_or_default(),
        });
    })
}

/// Reads the people. The students are those with the role `student` in the file of roles or, without that file, in the
/// column `role` of version 1.1.
fn people(
    files: &mut Files<'_, '_>,
    has_role_column: bool,
    roster: &mut Roster,
    known: &mut Known,
) -> Result<(), Stop> {
    let has_roles = files.has(ROLES);
    if !has_roles && !has_role_column {
        return Err(refused(FindingKind::RosterNoFile { file: ROLES.to_owned() }));
    }
    let mut students: HashSet<Box<str>> = HashSet::new();
    if has_roles {
        files.each(&ROLES_TABLE, PEOPLE_BYTES_MAX, &mut |entry, log| {
            entry.date("beginDate", log);
            entry.date("endDate", log);
            if entry.get("role") == "student" && !entry.is_deleted {
                students.insert(entry.get("userSourcedId").into());
            }
        })?;
    }
    files.each(&USERS_TABLE, PEOPLE_BYTES_MAX, &mut |entry, log| {
        let is_student = if has_roles { students.contains(entry.id) } else { entry.get("role") == "student" };
        let person = if !is_student {
            Person::Other
        } else if entry.is_deleted {
            Person::Skipped
        } else {
            student(entry, roster, log)
        };
        known.people.insert(entry.id.into(), person);
    })
}

fn student(entry: &Entry<'_, '_>, roster: &mut Roster, log: &mut Log) -> Person {
    let Ok(user) = UserName::parse(entry.get("username")) else {
        log.fault(entry, "username", &FindingKind::UsernameForm);
        return Person::Skipped;
    };
    if roster.students.insert(user.clone(), Vec::new()).is_some() {
        log.error(entry, "username", &RosterFinding::RosterSameUser);
    }
    Person::Student(user)
}

impl Known {
    /// Returns the student whom a cell names; `None` if there is none, which is an error unless the student is skipped.
    fn student(&self, entry: &Entry<'_, '_>, column: &'static str, log: &mut Log) -> Option<&UserName> {
        match self.people.get(entry.get(column)) {
            Some(Person::Student(user)) => return Some(user),
            Some(Person::Skipped) => {}
            Some(Person::Other) => log.error(entry, column, &RosterFinding::RosterNotStudent),
            None => log.error(entry, column, &RosterFinding::RosterUnknownId { file: USERS }),
        }
        None
    }

    /// Returns the class that a cell names; `None` if there is none, which is an error unless the class is marked for
    /// deletion.
    fn class(&self, entry: &Entry<'_, '_>, log: &mut Log) -> Option<usize> {
        let class = self.classes.get(entry.get("classSourcedId")).copied();
        if class.is_none() {
            log.unknown(entry, "classSourcedId", CLASSES);
        }
        class.flatten()
    }
}

fn enrollments(files: &mut Files<'_, '_>, today: Date, roster: &mut Roster, known: &Known) -> Result<(), Stop> {
    let mut ended = Rows::default();
    files.each(&ENROLLMENTS_TABLE, UNPACKED_MAX, &mut |entry, log| {
        entry.date("beginDate", log);
        let end = entry.date("endDate", log);
        if entry.is_deleted || entry.get("role") != "student" {
            return;
        }
        let class = known.class(entry, log);
        let student = known.student(entry, "userSourcedId", log);
        let Some((class, student)) = class.zip(student) else { return };
        if end.is_some_and(|end| end <= today) {
            ended.add(entry.line);
            return;
        }
        roster.enrollments.push(Enrollment { class, student: student.clone(), line: entry.line });
    })?;
    files.log.warnings.extend(ended.finding(ENROLLMENTS, |rows| RosterFinding::RosterEnded { rows }));
    Ok(())
}

fn line_items(files: &mut Files<'_, '_>, known: &mut Known) -> Result<(), Stop> {
    let mut found = HashMap::new();
    files.each(&LINE_ITEMS_TABLE, UNPACKED_MAX, &mut |entry, log| {
        let class = if entry.is_deleted { None } else { known.class(entry, log) };
        let title = one_line(entry.get("title")).to_lowercase();
        let has_final_title = FINAL_TITLES.contains(&title.as_str());
        found.insert(entry.id.into(), LineItem { class, has_final_title });
    })?;
    known.line_items = found;
    Ok(())
}

/// Returns the numbers of line items of each class: of all, and of those with the title of a final grade.
fn line_item_counts(known: &Known) -> HashMap<usize, (u32, u32)> {
    let mut counts: HashMap<usize, (u32, u32)> = HashMap::new();
    for item in known.line_items.values() {
        let Some(class) = item.class else { continue };
        let (all, finals) = counts.entry(class).or_default();
        *all += 1;
        *finals += u32::from(item.has_final_title);
    }
    counts
}

/// The rows of results that are not imported.
#[derive(Default)]
struct NotImported {
    not_ended: Rows,
    no_grade: Rows,
    no_final: Rows,
    differing: Rows,
}

/// Reads completed courses: final grades of classes whose term has ended.
fn results(files: &mut Files<'_, '_>, today: Date, roster: &mut Roster, known: &Known) -> Result<(), Stop> {
    let counts = line_item_counts(known);
    let Roster { students, sessions, classes, .. } = roster;
    let mut not = NotImported::default();
    files.each(&RESULTS_TABLE, UNPACKED_MAX, &mut |entry, log| {
        entry.date("scoreDate", log);
        if entry.is_deleted {
            return;
        }
        let Some(item) = known.line_items.get(entry.get("lineItemSourcedId")) else {
            return log.unknown(entry, "lineItemSourcedId", LINE_ITEMS);
        };
        let Some(student) = known.student(entry, "studentSourcedId", log) else { return };
        let is_set = |column| entry.get(column).eq_ignore_ascii_case("true");
        let is_graded = entry.get("scoreStatus").eq_ignore_ascii_case("fully graded");
        let Some(class) = item.class else { return };
        if !is_graded || is_set("inProgress") || is_set("incomplete") {
            return;
        }
        let (all, finals) = counts.get(&class).copied().unwrap_or_default();
        if all != 1 && !(item.has_final_title && finals == 1) {
            return not.no_final.add(entry.line);
        }
        let session = &sessions[classes[class].session];
        if session.end.is_none_or(|end| end > today) {
            return not.not_ended.add(entry.line);
        }
        let grade = one_line(entry.get("textScore"));
        if grade.is_empty() {
            return not.no_grade.add(entry.line);
        }
        if grade.chars().count() > GRADE_CHARS_MAX || grade.chars().any(char::is_control) {
            return log.fault(entry, "textScore", &FindingKind::FactTooLong { max: GRADE_CHARS_MAX });
        }
        let (course, term) = (classes[class].course.clone(), Some(session.title.clone()));
        let completed = CompletedCourse { course, grade: Some(grade.into()), term };
        let all = students.entry(student.clone()).or_default();
        match all.iter().find(|one| one.is_of_same_course_and_term(&completed)) {
            Some(earlier) if earlier.grade == completed.grade => {}
            Some(_) => not.differing.add(entry.line),
            None if all.len() >= COMPLETED_MAX => {
                log.fault(entry, "studentSourcedId", &FindingKind::TooManyFacts { max: COMPLETED_MAX });
            }
            None => all.push(completed),
        }
    })?;
    files.log.warnings.extend(not.findings());
    Ok(())
}

impl NotImported {
    fn findings(self) -> impl Iterator<Item = Finding> {
        let Self { not_ended, no_grade, no_final, differing } = self;
        let found = [
            not_ended.finding(RESULTS, |rows| RosterFinding::RosterNotEnded { rows }),
            no_grade.finding(RESULTS, |rows| RosterFinding::RosterNoGrade { rows }),
            no_final.finding(RESULTS, |rows| RosterFinding::RosterNoFinalGrade { rows }),
            differing.finding(RESULTS, |rows| RosterFinding::RosterGradesDiffer { rows }),
        ];
        found.into_iter().flatten()
    }
}
