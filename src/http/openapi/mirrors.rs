//! Schemas of domain types that are served unchanged. Each type here describes one of them, as `described_by!` lists,
//! so that the domain does not depend on utoipa. The tests compare the schemas with the output of serde.

#![expect(dead_code, reason = "these types describe others and are never constructed")]

use std::borrow::Cow;

use jiff::Timestamp;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::alert::{Category, Priority};
use crate::domain::audience::Audience;
use crate::domain::cap::CapValues;
use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::notice::NoticeFacts;
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;
use crate::domain::section_changes::SectionChanges;
use crate::domain::{alert, import, restriction};

/// Implements `ToSchema` for domain types with the schemas of the types that describe them.
macro_rules! described_by {
    ($($type:ty => $mirror:ty;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                <$mirror>::schema()
            }
        }
        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                <$mirror>::name()
            }
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$mirror>::schemas(schemas);
            }
        }
    )+};
}

described_by! {
    alert::Alert => Alert;
    restriction::Restriction => Restriction;
    NoticeFacts => AlertNotice;
    CapValues => AlertCap;
    import::TaskReport => ImportTask;
    import::TaskState => ImportState;
    import::Phase => ImportPhase;
    import::Affected => ImportAffected;
    import::EnrollmentTally => ImportEnrollments;
    import::OverCapacity => SectionOverCapacity;
    import::Overlaps => SectionOverlaps;
    import::FileColumn => ImportColumn;
    import::FileRow => ImportRow;
    import::MissingField => ImportMissingField;
    import::Finding => Finding;
    import::Skipped => SkippedLine;
    import::Conflict => ImportConflict;
    import::ConflictKind => ImportConflictKind;
    import::Change => ImportChange;
    import::ChangeKind => ImportChangeKind;
}

/// A condition on the students of a section.
#[derive(ToSchema)]
struct Restriction {
    /// What is compared: `group`, `program` or `campus`.
    #[schema(pattern = "^(group|program|campus)$")]
    by: String,
    /// The groups, programs or campuses. Case does not matter.
    #[schema(max_items = 40)]
    values: Vec<String>,
    /// Whether students with one of the values are excluded; otherwise only they are admitted.
    #[schema(nullable = false)]
    exclude: Option<bool>,
}

/// An alert.
#[derive(ToSchema)]
struct Alert {
    #[schema(format = Uuid)]
    id: String,
    /// The position in the sequence of alerts; null until the alert is sent.
    #[schema(required)]
    seq: Option<u64>,
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    #[schema(min_length = 1, max_length = 2_000)]
    message: String,
    priority: Priority,
    category: Category,
    /// The recipients.
    audience: Audience,
    /// The scheduled time; null if the alert was sent immediately.
    #[schema(required)]
    starts_at: Option<Timestamp>,
    /// When the alert expires; null if it does not expire.
    #[schema(required)]
    expires_at: Option<Timestamp>,
    /// Whether recipients must acknowledge it.
    requires_ack: bool,
    /// For an alert about a registration: what it states, so that a client can show it in the reader's language.
    #[schema(nullable = false)]
    notice: Option<NoticeFacts>,
    /// For an alert that came as a message of the Common Alerting Protocol: what else the message states.
    #[schema(nullable = false)]
    cap: Option<CapValues>,
    /// The origin: `staff` or `registration`.
    source: String,
    /// For staff: the user who sent it, or `eduhub`. For other readers: the sender's display name, or the college's
    /// name.
    sender: String,
    /// The sender's display name, if there is one. Only for staff.
    #[schema(nullable = false)]
    sender_name: Option<String>,
    created_at: Timestamp,
}

/// What a message of the Common Alerting Protocol (CAP 1.2) states besides the other fields of an alert.
#[derive(ToSchema)]
struct AlertCap {
    #[schema(pattern = "^(Immediate|Expected|Future|Past|Unknown)$")]
    urgency: String,
    #[schema(pattern = "^(Observed|Likely|Possible|Unlikely|Unknown)$")]
    certainty: String,
}

/// What an alert about a registration states.
#[derive(ToSchema)]
struct AlertNotice {
    /// `promoted`, `offer`, `lapsed`, `passed_over`, `cancelled` or `staff`, as in the message `registration`; or
    /// `welcome`.
    reason: String,
    /// For `offer`: the time until which the seat can be accepted.
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
    /// For `offer`: whether this is a reminder of an earlier offer.
    #[schema(nullable = false)]
    reminder: Option<bool>,
    /// For `passed_over`: the refusal.
    #[schema(nullable = false)]
    code: Option<RefusalCode>,
    /// For `staff`: the student's new status, or absent if the section is no longer cancelled.
    #[schema(nullable = false)]
    status: Option<RegistrationStatus>,
    course: String,
    /// The CRN as the college writes it.
    crn: String,
    /// For `cancelled`: the CRNs of sections of the same course that had seats at that time.
    #[schema(required = false, max_items = 5)]
    alternatives: Vec<String>,
}

/// The state, progress and findings of an import. Each list has at most the first 1,000 items; `…_total` counts all.
#[derive(ToSchema)]
struct ImportTask {
    task: String,
    state: import::TaskState,
    phase: import::Phase,
    /// Why it failed, if `errors` does not give the reason.
    #[schema(required)]
    message: Option<String>,
    /// The code of `message` and the values in it, as `code` and `args`.
    #[schema(nullable = false, value_type = Option<Object>)]
    reason: Option<String>,
    /// The term, once it is known.
    #[schema(required)]
    term: Option<TermId>,
    /// Whether it only reports what would change.
    dry_run: bool,
    /// Whether it imports the valid rows and skips the rest.
    partial: bool,
    /// Whether the file contains one-off events instead of sections; `sections` then counts events.
    events: bool,
    /// The columns of the file, once it has been read.
    columns: Vec<import::FileColumn>,
    /// The first rows of the file below its header.
    #[schema(max_items = 5)]
    first_rows: Vec<import::FileRow>,
    /// The fields that no column has.
    missing_fields: Vec<import::MissingField>,
    /// The name of the profile that was used.
    #[schema(required)]
    profile: Option<String>,
    /// The line of the file's header; 0 if the file has none.
    #[schema(required)]
    header_line: Option<u64>,
    /// The sheet that was read, if the file is a workbook.
    #[schema(required)]
    sheet: Option<String>,
    /// The names of the sheets of a workbook.
    sheets: Vec<String>,
    /// The character between cells of the file; null for a workbook.
    #[schema(required)]
    delimiter: Option<String>,
    /// The encoding of the file; null for a workbook.
    #[schema(required)]
    encoding: Option<String>,
    /// Lines that are not rows of the schedule, such as titles and totals.
    #[schema(max_items = 1_000)]
    skipped: Vec<import::Skipped>,
    skipped_total: u64,
    /// Rows read from the file.
    rows: u64,
    /// Sections without errors.
    sections: u64,
    /// Sections that are created.
    created: u64,
    /// Sections that are updated.
    updated: u64,
    /// Sections that do not change.
    unchanged: u64,
    /// Rows with errors.
    refused: u64,
    #[schema(max_items = 1_000)]
    errors: Vec<import::Finding>,
    errors_total: u64,
    #[schema(max_items = 1_000)]
    warnings: Vec<import::Finding>,
    warnings_total: u64,
    #[schema(max_items = 1_000)]
    conflicts: Vec<import::Conflict>,
    conflicts_total: u64,
    /// The sections that change.
    #[schema(max_items = 1_000)]
    changes: Vec<import::Change>,
    changes_total: u64,
    /// Sections of the term that are not in the file. They are not removed.
    #[schema(max_items = 1_000)]
    missing: Vec<SectionId>,
    missing_total: u64,
    /// What the import did to students; null until it is applied.
    #[schema(required)]
    affected: Option<import::Affected>,
    /// For facts about students, the number of students without errors; `created`, `updated` and `unchanged` count
    /// students then. Absent for schedules.
    #[schema(nullable = false)]
    students: Option<u64>,
    /// For a OneRoster bundle of students, what became of its enrollments. Absent for other files.
    #[schema(nullable = false)]
    enrollments: Option<import::EnrollmentTally>,
    /// Bytes of the file that were read.
    bytes: u64,
    /// The size of the file in bytes.
    bytes_total: u64,
    /// The user who started it.
    started_by: UserName,
    started_at: Timestamp,
    /// When it ended.
    #[schema(required)]
    finished_at: Option<Timestamp>,
}

/// Whether an import is running or how it ended. A failed or cancelled import changed nothing.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum ImportState {
    Running,
    Done,
    Failed,
    Cancelled,
}

/// The current step of an import.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum ImportPhase {
    Queued,
    Reading,
    Comparing,
    Applying,
    Finished,
}

/// An error or a warning about a row or a cell of the file.
#[derive(ToSchema)]
struct Finding {
    /// The line in the file, starting at 1; the first line of a record that spans several lines.
    #[schema(minimum = 1)]
    line: u64,
    /// The column's name in the file's header; null when the finding concerns the whole row or file.
    #[schema(required)]
    column: Option<String>,
    /// The cell's text, truncated.
    #[schema(required)]
    value: Option<String>,
    /// What is wrong and what is expected, in English.
    message: String,
    /// The stable code of the text; absent in the report of an earlier version.
    #[schema(nullable = false)]
    code: Option<String>,
    /// The values in the text: texts, numbers, lists, and parts with a `code` and `args`.
    #[schema(nullable = false, value_type = Option<Object>)]
    args: Option<String>,
}

/// What an applied import did to students. Each list has at most the first 1,000 items.
#[derive(ToSchema)]
struct ImportAffected {
    /// Changed sections with more students than seats.
    #[schema(max_items = 1_000)]
    over_capacity: Vec<import::OverCapacity>,
    over_capacity_total: u64,
    /// Moved sections with students whose classes overlap.
    #[schema(max_items = 1_000)]
    overlaps: Vec<import::Overlaps>,
    overlaps_total: u64,
}

/// What became of the enrollments of a file.
#[derive(ToSchema)]
struct ImportEnrollments {
    /// Registrations that were made; in a dry run, those that would be requested.
    created: u64,
    /// Enrollments that already existed.
    unchanged: u64,
    /// Registrations that a rule refused, which `errors` lists; not known in a dry run.
    refused: u64,
}

/// A section with more students than seats.
#[derive(ToSchema)]
struct SectionOverCapacity {
    section: SectionId,
    enrolled: u32,
    capacity: u32,
}

/// A section that was moved to a time at which some of its students have another class.
#[derive(ToSchema)]
struct SectionOverlaps {
    section: SectionId,
    /// Number of these students.
    students: u64,
}

/// A column of the file.
#[derive(ToSchema)]
struct ImportColumn {
    /// The number of the column, starting at 1.
    #[schema(minimum = 1)]
    index: u64,
    /// The name in the header.
    name: String,
    /// The field that it is imported as; null if it is ignored.
    #[schema(required)]
    field: Option<String>,
    /// Some texts of the column, truncated.
    samples: Vec<String>,
}

/// A row of the file.
#[derive(ToSchema)]
struct ImportRow {
    /// The line in the file, starting at 1.
    #[schema(minimum = 1)]
    line: u64,
    /// The texts of its cells, truncated.
    cells: Vec<String>,
}

/// A field that no column of the file has.
#[derive(ToSchema)]
struct ImportMissingField {
    field: String,
    /// Whether the file cannot be imported without it.
    required: bool,
    /// The numbers of the columns, starting at 1, whose texts look like it.
    candidates: Vec<u64>,
}

/// A line of the file that is not a row of the schedule.
#[derive(ToSchema)]
struct SkippedLine {
    /// The line in the file, starting at 1.
    #[schema(minimum = 1)]
    line: u64,
    /// Why it is not a row, in English.
    why: String,
    /// Its text, truncated.
    text: String,
    /// The stable code of the text; absent in the report of an earlier version.
    #[schema(nullable = false)]
    code: Option<String>,
    /// The values in the text: texts, numbers, lists, and parts with a `code` and `args`.
    #[schema(nullable = false, value_type = Option<Object>)]
    args: Option<String>,
}

/// Two sections of the file that use one room or one instructor at the same time. Conflicts are reported, not rejected.
/// If the file has more than 200 of a kind, those of each room or instructor are combined into one item.
#[derive(ToSchema)]
struct ImportConflict {
    kind: import::ConflictKind,
    /// The lines of the two sections; the first lines of several pairs.
    lines: Vec<u64>,
    /// A description of the conflict in English: the room or instructor and the time.
    message: String,
    /// The stable code of the text; absent in the report of an earlier version.
    #[schema(nullable = false)]
    code: Option<String>,
    /// The values in the text: texts, numbers, lists, and parts with a `code` and `args`.
    #[schema(nullable = false, value_type = Option<Object>)]
    args: Option<String>,
    /// The number of pairs of meetings that overlap. Their sum over all items is the total.
    #[schema(minimum = 1)]
    pairs: u64,
}

/// The resource that two sections use at the same time.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum ImportConflictKind {
    Room,
    Instructor,
}

/// A section that an import changes.
#[derive(ToSchema)]
struct ImportChange {
    section: SectionId,
    change: import::ChangeKind,
    fields: SectionChanges,
}

/// Whether an import creates a section or updates it.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum ImportChangeKind {
    Create,
    Update,
}

impl PartialSchema for SectionChanges {
    fn schema() -> RefOr<Schema> {
        let value = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let pair = ArrayBuilder::new().items(value).min_items(Some(2)).max_items(Some(2));
        let pair = pair.description(Some("`[before, after]`, each of the field's type in a section, or null.")).build();
        let fields = ObjectBuilder::new().description(Some("The fields of a section that differ."));
        let fields = Self::FIELDS.iter().fold(fields, |fields, name| fields.property(*name, pair.clone()));
        RefOr::T(fields.into())
    }
}

impl ToSchema for SectionChanges {}

#[cfg(test)]
mod tests;
