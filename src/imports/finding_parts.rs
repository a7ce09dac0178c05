//! Parts that several findings share, each with its English text and a code.

use serde::Serialize;
use thiserror::Error;

use crate::domain::coded_text::CodedText;
use crate::domain::import::{Conflict, ConflictKind, Skipped, TaskReport};

/// Which bound a workbook exceeds.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum ExceededBound {
    #[error("it contains more than {max} files")]
    TooManyFiles { max: usize },
    #[error("its part {part:?} is larger than {mib} MiB")]
    PartTooLarge { part: String, mib: u64 },
    #[error("unpacked, it is larger than {mib} MiB")]
    UnpackedTooLarge { mib: u64 },
    #[error("it has more than a million different texts")]
    TooManyTexts,
    #[error("it has too many different styles")]
    TooManyStyles,
    #[error("it has too many formulas")]
    TooManyFormulas,
    #[error("its sheets have more than {max} cells")]
    TooManyCells { max: u64 },
    #[error("its cells have more than {mib} MiB of text")]
    CellsTooLarge { mib: u64 },
    #[error("its sheet has more than {mib} MiB of text")]
    SheetTooLarge { mib: u64 },
    #[error("the file is larger than {mib} MiB")]
    FileTooLarge { mib: u64 },
}

/// Why a line is not a row of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum SkipReason {
    #[error("above the header")]
    AboveHeader,
    #[error("the header is repeated")]
    RepeatedHeader,
    #[error("a total")]
    Total,
    #[error("a header or footer of a printed page")]
    PageLine,
    #[error("a group heading")]
    GroupHeading,
}

impl SkipReason {
    /// Returns the line that is skipped.
    pub(in crate::imports) fn skipped(self, line: u64, text: String) -> Skipped {
        Skipped { line, why: self.to_string(), text, coded: CodedText::of(&self) }
    }
}

/// A column of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum CountField {
    #[error("Capacity")]
    Capacity,
    #[error("Waitlist capacity")]
    WaitlistCapacity,
    #[error("Enrolled")]
    Enrolled,
    #[error("Waitlisted")]
    Waitlisted,
    #[error("The capacity of cross-listed sections")]
    CrossListedCapacity,
}

/// Why a cell is not a count. The text follows the name of the column.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum CountProblem {
    #[error("must not be negative")]
    Negative,
    #[error("must be a whole number")]
    NotWhole,
    #[error("must be a whole number without a dot, since {cell} may be {whole} or {whole}000")]
    DoubtfulDot { cell: String, whole: String },
    #[error("must be at most {max}")]
    CountTooLarge { max: u32 },
}

/// The rows that a warning concerns.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum CitedRows {
    #[error("line {line}")]
    OneLine { line: u64 },
    #[error("{n} rows (lines {})", listed(lines))]
    Lines { n: u64, lines: Vec<u64> },
    #[error("{n} rows (lines {} …)", listed(lines))]
    FirstLines { n: u64, lines: Vec<u64> },
}

fn listed(lines: &[u64]) -> String {
    lines.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Why an import ended without a complete result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum EndReason {
    #[error("The import failed because of an error in its temporary files. Nothing was changed.")]
    TemporaryFiles,
    #[error("The import could not be stored. Nothing was changed.")]
    NotStored,
    #[error("The import failed because of an error in EduHub. Nothing was changed.")]
    HubError,
    #[error("This term code is reserved for demonstrations. Nothing was changed.")]
    ReservedTerm,
    #[error("EduHub was too busy to apply the import. Nothing was changed. Start the import again.")]
    HubBusy,
    #[error("EduHub was stopped before the import was applied. Nothing was changed.")]
    HubStopped,
    #[error(
        "The events could not be stored because the disk failed. Either all or none were imported. You can import the \
         file again."
    )]
    EventsUnknown,
    #[error(
        "The student records could not be stored in all terms because the disk failed or EduHub was too busy. Import the file \
         again."
    )]
    FactsInSomeTerms,
    #[error(
        "EduHub was stopped or became too busy before all enrollments were processed. Import the file again: \
         registrations already made are kept."
    )]
    EnrollmentsInPart,
    #[error("EduHub stopped during the import. Nothing was changed.")]
    Interrupted,
    #[error("The import was applied completely. EduHub stopped before it could report the result.")]
    AppliedThenInterrupted,
    #[error(
        "EduHub stopped while it was storing the events. Either all or none were imported. You can import the file \
         again."
    )]
    EventsUncertain,
    #[error(
        "EduHub stopped while it was storing the student records, so they may have been stored. Import the file again."
    )]
    FactsUncertain,
}

impl EndReason {
    /// Puts the reason into the report of the import.
    pub(in crate::imports) fn put_into(self, report: &mut TaskReport) {
        (report.message, report.reason) = (Some(self.to_string()), CodedText::of(&self));
    }
}

/// A conflict of two sections, or the number of conflicts of one room or instructor.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum ConflictText {
    #[error("{a} and {b} are both in {room} on {} {times}", days.join(", "))]
    SameRoom { a: Box<SectionInRoom>, b: Box<SectionInRoom>, room: String, days: Vec<&'static str>, times: String },
    #[error("{name} teaches both {a} and {b} on {} {times}", days.join(", "))]
    SameInstructor { a: String, b: String, name: String, days: Vec<&'static str>, times: String },
    #[error("{name}: {n} {}", if *n == 1 { "pair of classes overlaps" } else { "pairs of classes overlap" })]
    Overlapping { name: String, n: u64 },
    #[error("Room {name}: {n} {}", if *n == 1 { "pair of classes overlaps" } else { "pairs of classes overlap" })]
    OverlappingInRoom { name: String, n: u64 },
}

/// A section that uses a room, with the weekdays and the times of its meeting.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub(in crate::imports) enum SectionInRoom {
    #[error("{section} with {instructors} ({} {times})", days.join(", "))]
    RoomUse { section: String, instructors: String, days: Vec<&'static str>, times: String },
    #[error("{section} without an instructor ({} {times})", days.join(", "))]
    RoomUseUnassigned { section: String, days: Vec<&'static str>, times: String },
}

impl ConflictText {
    /// Returns the conflict of the sections in `lines`.
    pub(in crate::imports) fn conflict(&self, kind: ConflictKind, lines: Vec<u64>, pairs: u64) -> Conflict {
        Conflict { kind, lines, message: self.to_string(), coded: CodedText::of(self), pairs }
    }
}
