//! What imports find in files: one variant for each message, with its English text. The pages have the texts of all codes in
//! each language (`finding.CODE` in `static/js/words/findings`).

use serde::Serialize;
use thiserror::Error;

use crate::domain::coded_text::CodedText;
use crate::domain::import::Finding;
use crate::domain::rights::Concern;
use crate::imports::csv::DATE_FORMATS;
use crate::imports::finding_parts::{CitedRows, CountField, CountProblem, ExceededBound, SkipReason};
use crate::imports::spreadsheet::kind::Foreign;

/// What a finding states.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum FindingKind {
    // The file.
    #[error("The file is empty")]
    FileEmpty,
    #[error("The file contains NUL bytes: it is not a CSV file")]
    NulBytes,
    #[error("{file}")]
    ForeignFile { file: Foreign },
    #[error("The file is neither text nor a workbook. Export the schedule as CSV or as a spreadsheet (.xlsx)")]
    UnknownFile,
    #[error("This quotation mark is never closed: the rest of the file cannot be read")]
    OpenQuote,
    #[error("The row is longer than {kib} KiB: the rest of the file was not read")]
    RowTooLong { kib: u64 },
    #[error("The file has no row in line {line}, which should be the header")]
    NoHeaderRow { line: u64 },
    #[error("The mapping contains {name:?}, but the file has no such column")]
    NoMappedColumn { name: String },
    #[error("Columns {first:?} and {second:?} have the same meaning: the second is ignored")]
    SameMeaning { first: String, second: String },
    #[error("The file has no column `term`: set one term for all rows")]
    NoTermColumn,
    #[error("The file has no column `credits`: these sections do not count toward the credit limit")]
    NoCreditsColumn,
    #[error("The file has neither a column `crn` nor columns `course` and `section`, which identify a section")]
    NoSectionColumns,
    #[error("The file has no column `course` (or `catalog_id`, or `subject` and `number`)")]
    NoCourseColumn,
    #[error(
        "The file has no capacity column: rename a column to {names}, or map the column that has the seats, such as \
         seats:capacity"
    )]
    NoCapacityColumn { names: String },
    #[error(
        "The file has no column for the student's username. Its header must have one of these names: {names}; or map \
         another name, such as Login:user"
    )]
    NoUserColumn { names: String },
    #[error("The file has no rows below its header")]
    NoRows,
    #[error("The file has several terms ({terms}): upload one file per term, or set one term for all rows")]
    SeveralTerms { terms: String },
    #[error("The file has several terms ({terms} and more): upload one file per term, or set one term for all rows")]
    ManyTerms { terms: String },
    #[error("The file names another term: all rows are imported into {term}")]
    OtherTerm { term: String },
    #[error("The file has {max} errors up to this line: the rest was not read")]
    TooManyErrors { max: u64 },
    #[error("A file can have at most {max} events: split the file")]
    TooManyEvents { max: u64 },
    #[error("A term can have at most {max} sections; the file has {n}")]
    TooManySections { max: u64, n: u64 },
    #[error("A file can have at most {max} students and {rows} rows: split the file")]
    TooManyStudents { max: usize, rows: u64 },
    #[error("Dates such as 3/4/2031 are imported with the month first, because no date in the file shows the order")]
    MonthFirst,
    #[error("The line is skipped: {why}")]
    LineSkipped { why: SkipReason },
    // Workbooks.
    #[error(
        "The workbook is damaged and cannot be read. Open it in a spreadsheet program and save it again, or save the \
         sheet as CSV"
    )]
    WorkbookDamaged,
    #[error("The workbook is too large: {what}. Save only the sheet with the schedule, as CSV or as a new workbook")]
    WorkbookTooLarge { what: ExceededBound },
    #[error("The workbook has no sheet \"{sheet}\". Its sheets are {sheets}")]
    NoSheet { sheet: String, sheets: String },
    #[error("The workbook is empty: no sheet has a cell with text")]
    WorkbookEmpty,
    #[error("The row is longer than {kib} KiB")]
    SheetRowTooLong { kib: u64 },
    #[error(
        "Only the sheet \"{sheet}\" is imported. Other sheets may also contain a schedule: {sheets}. To import one of \
         them, choose it and check the file again"
    )]
    OtherSheets { sheet: String, sheets: String },
    // OneRoster.
    #[error("The file is a OneRoster file of version {version:?}. Versions 1.1 and 1.2 can be imported")]
    RosterVersion { version: String },
    #[error("The OneRoster file has only the classes that changed (delta). Export all classes (bulk)")]
    RosterDelta,
    #[error("{file} has more than {max} classes")]
    RosterTooManyClasses { file: &'static str, max: u64 },
    #[error("The OneRoster file has no classes: {file} has no rows")]
    RosterNoClasses { file: &'static str },
    #[error("The OneRoster file has no {file}")]
    RosterNoFile { file: String },
    #[error("{file} is not UTF-8 text (line {line}), which OneRoster requires")]
    RosterNotUtf8 { file: String, line: u64 },
    #[error("The OneRoster file is too large: {file} is larger than {mib} MiB")]
    RosterTooLarge { file: String, mib: u64 },
    #[error("In {file}, line {line}: {what}")]
    RosterUnreadable { file: String, line: u64, what: Box<FindingKind> },
    #[error("The ZIP archive is damaged and cannot be read. Export it again")]
    ArchiveDamaged,
    #[error(
        "The periods of {n} {} are not weekdays and times, such as MWF 09:00-09:50: their meetings are not known",
        if *n == 1 { "class" } else { "classes" }
    )]
    PeriodsUnread { n: u64 },
    #[error("Enrollments are not imported ({file}, rows: {n}): students register in EduHub")]
    EnrollmentsSkipped { file: &'static str, n: u64 },
    // Rows and sections.
    #[error("The row has a different number of cells ({cells}) than the header ({header})")]
    CellCount { cells: usize, header: usize },
    #[error("The cell contains a control character, such as NUL")]
    ControlCharacter,
    #[error("A section can have at most {max} different meetings")]
    TooManyMeetings { max: usize },
    #[error("Section {crn} is not imported because its row in line {line} has an error")]
    SectionRejected { crn: String, line: u64 },
    #[error("The empty capacity is imported as 0")]
    EmptyCapacity,
    #[error("The rows of this CRN differ: {value:?} from line {line} is imported")]
    RowsDiffer { value: String, line: u64 },
    #[error("This CRN and the one in line {line} would both become {crn}")]
    SameCrn { line: u64, crn: String },
    #[error("Line {line} has the same event with different details: line {line} is imported")]
    SameEvent { line: u64 },
    // Cells.
    #[error("{field} {problem}")]
    Count { field: CountField, problem: CountProblem },
    #[error("{what} (not imported)")]
    NotImported { what: Box<FindingKind> },
    #[error("Text must be at most {max} characters")]
    TextTooLong { max: usize },
    #[error("The list can have at most {max} items")]
    ListTooLong { max: usize },
    #[error("Credits must be a number from 0 to 1,000, such as 3 or 1.5")]
    CreditsForm,
    #[error("Variable credits are imported as 0 and do not count toward the credit limit")]
    CreditsVariable,
    #[error("A range of credits is imported as its lower bound: {low}")]
    CreditsRange { low: String },
    #[error("Term is missing")]
    TermMissing,
    #[error("Term must be at most 24 letters, digits, `.`, `_`, and `-`: correct it, or set one term for all rows")]
    TermForm,
    #[error("Subject is missing")]
    SubjectMissing,
    #[error("Course number is missing")]
    NumberMissing,
    #[error("Course is missing")]
    CourseMissing,
    #[error("Course must be at most {max} characters")]
    CourseTooLong { max: usize },
    #[error("Section is missing: a row without a CRN needs it")]
    SectionMissing,
    #[error("CRN is missing")]
    CrnMissing,
    #[error("A spreadsheet has rounded this number: format the column as text, so that all digits of {cell} remain")]
    CrnRounded { cell: String },
    #[error("CRN must have letters or digits and at most 100 characters")]
    CrnForm,
    #[error("{item:?} is not a CRN")]
    NotCrn { item: String },
    #[error("Status must be open, closed, or cancelled")]
    StatusForm,
    #[error("The end time is not after the start time")]
    EndTimeBeforeStart,
    #[error("The end date is before the start date")]
    EndDateBeforeStart,
    #[error("The meeting ends before it starts")]
    MeetingEndsBeforeStart,
    #[error("Not a time range: use 9:30 am - 10:50 am, 09:30-10:50, or 0930-1050")]
    TimeRangeForm,
    #[error("{cell:?} is not a time: use 9:30 am, 09:30, or 0930")]
    NotTime { cell: String },
    #[error("Not a time: use 9:30 am, 09:30, or 0930")]
    TimeForm,
    #[error("The start is not a valid time")]
    StartInvalid,
    #[error("The end is not a valid time")]
    EndInvalid,
    #[error("Start and end time are equal: the meeting is imported without a set time")]
    EqualTimes,
    #[error("Only the start or the end is given: the meeting is imported without a set time")]
    HalfTime,
    #[error("The end has neither am nor pm and is before the start: it is imported as an afternoon time")]
    EndMoved,
    #[error("Unrecognized days {days:?}: use MWF, TR, TTh, or mon,wed")]
    DaysForm { days: String },
    #[error("The M in {days:?} may be Tuesday (martes) or Wednesday (miércoles): write Ma or Mi, such as LMiV")]
    DaysUnclear { days: String },
    #[error("Not a date range: use {DATE_FORMATS}, with \" - \" or \"..\" between two dates")]
    DateRangeForm,
    #[error("{cell:?} is not a date: use {DATE_FORMATS}")]
    NotDate { cell: String },
    #[error("A cell of meetings can have at most {max} characters")]
    MeetingsCellTooLong { max: usize },
    #[error("The cell has {days} sets of days, but there are {times} times")]
    DaysAndTimes { days: usize, times: usize },
    #[error("The cell has {rooms} rooms, but there are {meetings} meetings")]
    RoomsAndMeetings { rooms: usize, meetings: usize },
    #[error("Reserved seats must look like honors: 5; veterans: 2 until 2026-08-01T08:00:00Z")]
    ReservedForm,
    #[error("The group {group} is listed twice")]
    GroupTwice { group: String },
    #[error("Seats can be reserved for at most {max} groups")]
    TooManyGroups { max: usize },
    #[error("Restrictions must look like group: honors, veterans; not campus: North")]
    RestrictionsForm,
    #[error("A section can have at most {max} restrictions")]
    TooManyRestrictions { max: usize },
    #[error("The repeat limit must be a number; 0 means no limit")]
    RepeatLimitForm,
    #[error("Too many courses: prerequisites are not imported")]
    TooManyPrerequisites,
    #[error("Only the course in `{item}` is imported, without the text after it")]
    PrerequisiteShortened { item: String },
    #[error(
        "Neither a list of courses, such as MATH 100; MATH 101, nor an expression, such as MATH 100 or MATH 101 with C: \
         prerequisites are not imported"
    )]
    PrerequisitesForm,
    // Events.
    #[error("Program is missing")]
    ProgramMissing,
    #[error("Date is missing")]
    DateMissing,
    #[error("The missing time is imported as midnight")]
    TimeMissing,
    #[error("This time does not exist in the college's time zone")]
    NoSuchTime,
    #[error("Description must be at most {max} characters")]
    DescriptionTooLong { max: usize },
    #[error("Duration must be minutes (90), 1:30, or 1.5 hours, and at most a week")]
    DurationForm,
    // Warnings about many rows.
    #[error("\"{phrase}\" is imported without a set time, in {rows}")]
    Unscheduled { phrase: String, rows: CitedRows },
    #[error(
        "The times have neither am nor pm: 1:00 to 6:59 are imported as afternoon times, in {rows}; the option clock=24 \
         imports them as written"
    )]
    Afternoon { rows: CitedRows },
    #[error(
        "Other times in the file have am or pm: 1:00 to 5:59 without am or pm are imported as afternoon times, in {rows}; the \
         option clock=24 imports them as written"
    )]
    AfternoonBesideMarked { rows: CitedRows },
    #[error(
        "Other times in the file have am or pm, or an hour above 12: 1:00 to 6:59 without am or pm are imported as \
         written, before noon, in {rows}; the option clock=12 imports them as afternoon times"
    )]
    EarlyAsWritten { rows: CitedRows },
    #[error(
        "M is imported as Tuesday (martes), because other cells have X, W, or Mi for Wednesday (miércoles), in {rows}"
    )]
    TuesdayLetter { rows: CitedRows },
    #[error("No component is given: it is imported as {component} because of the section's label or title, in {rows}")]
    ComponentInferred { component: &'static str, rows: CitedRows },
    #[error("Tentative sections are imported as open, in {rows}")]
    Tentative { rows: CitedRows },
    #[error(
        "The status \"{status}\" is unknown: a new section is open, and an existing one keeps its status, in {rows}"
    )]
    UnknownStatus { status: String, rows: CitedRows },
    #[error(
        "Cross-listed sections share their seats only if they have the same code or name each other, and the file states \
         their combined capacity: check the capacities of {rows}"
    )]
    CrossListed { rows: CitedRows },
    #[error("Other cells of this column are not imported either, for the same reason, in {rows}")]
    MoreNotImported { rows: CitedRows },
    #[error("Dates without a year are not imported, in {rows}")]
    NoYear { rows: CitedRows },
    #[error("Rows without a section are read as further meetings of the section above, in {rows}")]
    Continuation { rows: CitedRows },
    #[error("Blank cells of the course are imported as the course of the row above, in {rows}")]
    MergedCells { rows: CitedRows },
    #[error(
        "Rows without a CRN are imported as part of the section with the same course, component, and section, in {rows}"
    )]
    CrnOfSection { rows: CitedRows },
    // The comparison with the term.
    #[error(
        "Section {section} was cancelled by an earlier file and is not cancelled in this one: it is open again, and its \
         students are notified"
    )]
    Reopened { section: String },
    #[error(
        "Section {section} was cancelled by an earlier file and is not cancelled in this one: it is closed again, and \
         its students are notified"
    )]
    ReopenedClosed { section: String },
    #[error(
        "Section {section} stays cancelled because staff cancelled it in EduHub. To reopen it, change its status under \
         Sections"
    )]
    CancelledByStaff { section: String },
    #[error(
        "Section {section} stays cancelled because the file states no status. To reopen it, change its status under \
         Sections"
    )]
    CancelledUnstated { section: String },
    #[error("CRN {written} is imported as the existing section {crn}, because it seems to have lost its leading zeros")]
    ZerosRestored { written: String, crn: String },
    #[error("Linked CRN {written} is imported as {crn}, which differs in leading zeros")]
    LinkedZerosRestored { written: String, crn: String },
    #[error("{what}, and your account is limited to {subjects}")]
    OutOfScope { what: Concern, subjects: String },
    #[error("Your account is limited to subjects, so it cannot create a term")]
    NoNewTerm,
    // Facts about students.
    #[error("The cell has control characters")]
    FactControlCharacter,
    #[error("The text can have at most {max} characters")]
    FactTooLong { max: usize },
    #[error("The cell must be a number of credits, such as 18 or 4.5")]
    FactCredits,
    #[error("The cell must be a date and time, such as 2026-04-12 08:00")]
    FactTime,
    #[error("A hold needs the office that lifts it, in the column office")]
    HoldOffice,
    #[error("The address of a hold must begin with https:// or http://")]
    HoldAddress,
    #[error("The cell must be register, drop, both, or none")]
    HoldBlocks,
    #[error("A username has 1 to 120 characters, without spaces or invisible characters")]
    UsernameForm,
    #[error("Registration must close after it opens")]
    ClosesBeforeOpening,
    #[error("A student can have at most {max} of these")]
    TooManyFacts { max: usize },
    #[error("An earlier row for this student has a different value, which is used")]
    FactsDiffer,
}

impl FindingKind {
    /// Returns the finding about a line, or about the file as a whole.
    pub(in crate::imports) fn of_line(&self, line: u64) -> Finding {
        self.of_cell(line, None, None)
    }

    /// Returns the finding about a cell: the name of its column, and its text.
    pub(in crate::imports) fn of_cell(&self, line: u64, column: Option<&str>, value: Option<&str>) -> Finding {
        let (column, value) = (column.map(Into::into), value.map(Into::into));
        Finding { line, column, value, message: self.to_string(), coded: CodedText::of(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_the_message_the_code_and_the_values_of_its_kind() {
        let kind = FindingKind::Count {
            field: CountField::Capacity,
            problem: CountProblem::DoubtfulDot { cell: "1.000".to_owned(), whole: "1".to_owned() },
        };

        let finding = FindingKind::NotImported { what: Box::new(kind) }.of_cell(3, Some("cap"), Some("1.000"));

        let message = "Capacity must be a whole number without a dot, since 1.000 may be 1 or 1000 (not imported)";
        let expected = serde_json::json!({
            "line": 3, "column": "cap", "value": "1.000", "message": message, "code": "not_imported",
            "args": {"what": {"code": "count", "args": {
                "field": {"code": "capacity"},
                "problem": {"code": "doubtful_dot", "args": {"cell": "1.000", "whole": "1"}},
            }}},
        });
        assert_eq!(serde_json::to_value(&finding).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Finding>(expected).unwrap(), finding);
    }

    #[test]
    fn a_finding_of_an_earlier_version_has_no_code() {
        let stored = r#"{"line": 3, "column": null, "value": null, "message": "No such day."}"#;
        let finding: Finding = serde_json::from_str(stored).unwrap();
        assert_eq!((finding.coded, finding.message.as_str()), (None, "No such day."));
    }
}
