//! What the import of a OneRoster bundle finds about students, each with its English text and a code.

use serde::Serialize;
use thiserror::Error;

use crate::domain::coded_text::CodedText;
use crate::domain::import::Finding;
use crate::domain::refusal::RefusalCode;
use crate::imports::finding_parts::CitedRows;

/// What a finding states. It names no student, because tasks are stored.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum RosterFinding {
    // Errors of a file.
    #[error("{file} has no column {column}")]
    RosterNoColumn { file: &'static str, column: &'static str },
    #[error(
        "{file} has a column {column:?}, which OneRoster does not define. Correct its name, or make it start with \
         \"metadata.\""
    )]
    RosterUnknownColumn { file: &'static str, column: String },
    #[error("{file} has the column {column} twice")]
    RosterColumnTwice { file: &'static str, column: String },
    // Errors of a row.
    #[error("The cell must not be empty")]
    RosterCellEmpty,
    #[error("An earlier row of {file} has the same sourcedId")]
    RosterSameId { file: &'static str },
    #[error("An earlier user has the same username")]
    RosterSameUser,
    #[error("No row of {file} has this sourcedId")]
    RosterUnknownId { file: &'static str },
    #[error("A date must look like 2031-01-20")]
    RosterDate,
    #[error("The status must be active or tobedeleted, or blank")]
    RosterStatus,
    #[error("This user does not have the role student")]
    RosterNotStudent,
    // Warnings about rows that change nothing.
    #[error("{file} marks rows for deletion, but an import deletes nothing: {rows}")]
    RosterToBeDeleted { file: &'static str, rows: CitedRows },
    #[error("Enrollments that have ended are not imported: {rows}")]
    RosterEnded { rows: CitedRows },
    #[error("Results of classes whose term has not ended are not imported: {rows}")]
    RosterNotEnded { rows: CitedRows },
    #[error(
        "Results without a grade in textScore are not imported, because EduHub does not know which scores pass: {rows}"
    )]
    RosterNoGrade { rows: CitedRows },
    #[error(
        "Results are not imported if their class has several line items and none, or more than one, has the title Final \
         grade: {rows}"
    )]
    RosterNoFinalGrade { rows: CitedRows },
    #[error("An earlier result of the same student, course, and term has a different grade, which is imported: {rows}")]
    RosterGradesDiffer { rows: CitedRows },
    #[error("EduHub does not have the term {term}: its enrollments are not imported (rows: {n})")]
    RosterOtherTerm { term: String, n: u64 },
    #[error("The term {term} has no section for the class {class}: its enrollments are not imported (rows: {n})")]
    RosterNoSection { term: String, class: String, n: u64 },
    #[error(
        "The class {class} is {written} in the file, but the section {section} is {course}: its enrollments are not \
         imported (rows: {n})"
    )]
    RosterOtherCourse { class: String, written: String, section: String, course: String, n: u64 },
    // What happened to students.
    #[error(
        "The completed courses of {n} {} were not known before. From now on, prerequisites are checked for them: \
         import the results of earlier terms, too",
        if *n == 1 { "student" } else { "students" }
    )]
    RosterFirstCompleted { n: u64 },
    #[error("The student dropped this section in EduHub and is not registered again")]
    EnrollmentDropped,
    #[error("The student has a position on the waitlist for this section, and no seat")]
    EnrollmentWaiting,
    #[error("The student was not registered: {why}")]
    EnrollmentRefused { why: RefusalReason },
}

impl RosterFinding {
    /// Returns the finding about a cell of one of the files: the line, the file with the column, and the text.
    pub(in crate::imports) fn of_cell(&self, line: u64, column: Option<&str>, value: Option<&str>) -> Finding {
        let (column, value) = (column.map(Into::into), value.map(Into::into));
        Finding { line, column, value, message: self.to_string(), coded: CodedText::of(self) }
    }
}

/// Why a registration was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum RefusalReason {
    #[error("registration is closed")]
    RegistrationClosed,
    #[error("a hold blocks registration")]
    Hold,
    #[error("the section is cancelled")]
    SectionCancelled,
    #[error("the section is closed")]
    SectionClosed,
    #[error("the student is already in a section of this course")]
    AlreadyInCourse,
    #[error("the student has taken the course as many times as allowed")]
    RepeatLimit,
    #[error("a prerequisite is not met")]
    Prerequisite,
    #[error("a linked section is required")]
    LinkedSectionRequired,
    #[error("the section overlaps another one")]
    TimeConflict,
    #[error("the credit limit would be exceeded")]
    CreditLimit,
    #[error("the section is not for this student")]
    Restricted,
    #[error("the section is full")]
    SectionFull,
    #[error("the section no longer exists")]
    NoSuchSection,
}

impl From<RefusalCode> for RefusalReason {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::RegistrationClosed => Self::RegistrationClosed,
            RefusalCode::Hold => Self::Hold,
            RefusalCode::SectionCancelled => Self::SectionCancelled,
            RefusalCode::SectionClosed => Self::SectionClosed,
            RefusalCode::AlreadyInCourse => Self::AlreadyInCourse,
            RefusalCode::RepeatLimit => Self::RepeatLimit,
            RefusalCode::Prerequisite => Self::Prerequisite,
            RefusalCode::LinkedSectionRequired => Self::LinkedSectionRequired,
            RefusalCode::TimeConflict => Self::TimeConflict,
            RefusalCode::CreditLimit => Self::CreditLimit,
            RefusalCode::Restricted => Self::Restricted,
            // An import requests seats, not waitlist positions.
            RefusalCode::SectionFull | RefusalCode::WaitlistFull => Self::SectionFull,
        }
    }
}

/// The maximum number of lines that a finding about many rows cites.
const CITED_LINES_MAX: usize = 10;

/// Rows with the same finding.
#[derive(Debug, Clone, Default)]
pub(in crate::imports) struct Rows {
    n: u64,
    lines: Vec<u64>,
}

impl Rows {
    pub(in crate::imports) fn add(&mut self, line: u64) {
        self.n += 1;
        if self.lines.len() < CITED_LINES_MAX {
            self.lines.push(line);
        }
    }

    /// Returns the finding about the rows, at the first of them; `None` without rows.
    pub(in crate::imports) fn finding(
        self,
        file: &str,
        kind: impl FnOnce(CitedRows) -> RosterFinding,
    ) -> Option<Finding> {
        let Self { n, lines } = self;
        let first = *lines.first()?;
        let rows = match n {
            1 => CitedRows::OneLine { line: first },
            n if n > lines.len() as u64 => CitedRows::FirstLines { n, lines },
            n => CitedRows::Lines { n, lines },
        };
        Some(kind(rows).of_cell(first, Some(file), None))
    }
}
