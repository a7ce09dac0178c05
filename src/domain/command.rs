//! Commands to a term.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::choices::WaitlistChoices;
use crate::domain::ids::{Crn, SectionId, UserName};
use crate::domain::offer::WaitlistMode;
use crate::domain::plan::PlannedSection;
use crate::domain::pool::CrossListing;
use crate::domain::prerequisite::Requirement;
use crate::domain::reservation::Reservation;
use crate::domain::restriction::Restriction;
use crate::domain::rights::Subjects;
use crate::domain::rules::LiftedCodes;
use crate::domain::section::{Section, SectionState, SectionStatus};
use crate::domain::student::StudentFacts;
use crate::domain::term::GroupWindow;

/// Maximum number of sections in each list of a [`Batch`].
pub const BATCH_LEN_MAX: usize = 50;

/// One command to one term, decided as a unit.
#[derive(Debug, Clone)]
pub enum Command {
    /// A student registers for a section.
    Register {
        /// The student.
        student: UserName,
        /// The section.
        crn: Crn,
        /// Whether the student accepts a waitlist position if no seat is open.
        waitlist: bool,
    },
    /// A student registers for a section, or joins its waitlist with choices.
    RegisterWith {
        /// The student.
        student: UserName,
        /// The section.
        crn: Crn,
        /// The choices; see [`crate::domain::choices`].
        choices: WaitlistChoices,
    },
    /// A student drops a seat or a waitlist position.
    Drop {
        /// The student.
        student: UserName,
        /// The section.
        crn: Crn,
    },
    /// A student registers for several sections, and drops others.
    Batch(Batch),
    /// A student registers for the sections of a plan.
    RegisterPlan {
        /// The student.
        student: UserName,
        /// The planned sections, all of which belong to the term.
        plan: Vec<PlannedSection>,
    },
    /// Staff register, drop or move a student.
    ForStudent(StaffRequest),
    /// Staff move a student on a waitlist.
    MoveOnWaitlist(WaitlistMove),
    /// Staff change a section.
    PatchSection {
        /// The section.
        crn: Crn,
        /// The changes.
        patch: SectionPatch,
    },
    /// Staff create or change the term.
    PutTerm(TermPatch),
    /// A staged schedule is applied.
    ApplyImport(Arc<StagedImport>),
    /// Sections of the college's catalogue changed.
    PutSections(Arc<[SectionEdit]>),
    /// The college stated facts about students. They apply in all terms, so the same command is sent to each.
    PutFacts(Arc<[FactsOfStudent]>),
    /// Free seats of every section are given to its waitlist. The registrar issues this command after it has loaded the
    /// term, and when a deadline is due.
    Settle,
}

impl Command {
    /// Returns whether a student sent the command. Only such commands are shed under overload: staff and the hub itself
    /// send few, and do not repeat them automatically.
    #[must_use]
    pub const fn is_from_student(&self) -> bool {
        match self {
            Self::Register { .. }
            | Self::RegisterWith { .. }
            | Self::Drop { .. }
            | Self::Batch(_)
            | Self::RegisterPlan { .. } => true,
            Self::ForStudent(_)
            | Self::MoveOnWaitlist(_)
            | Self::PatchSection { .. }
            | Self::PutTerm(_)
            | Self::ApplyImport(_)
            | Self::PutSections(_)
            | Self::PutFacts(_)
            | Self::Settle => false,
        }
    }
}

/// A student and the facts about this student; `None` removes them.
pub type FactsOfStudent = (UserName, Option<Arc<StudentFacts>>);

/// Several adds and drops by one student in one term.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The student.
    pub student: UserName,
    /// Sections to register for, at most [`BATCH_LEN_MAX`].
    pub add: Vec<Crn>,
    /// Sections to drop, at most [`BATCH_LEN_MAX`]; none of them is in `add`.
    pub drop: Vec<Crn>,
    /// Whether the batch is all or nothing. The rules evaluate its adds as if its drops had happened.
    pub swap: bool,
    /// Whether the student accepts waitlist positions.
    pub waitlist: bool,
    /// The waitlist choices of sections in `add`; none of their sections is in another list.
    pub choices: BTreeMap<Crn, WaitlistChoices>,
}

/// A request by staff on a student's behalf.
#[derive(Debug, Clone)]
pub struct StaffRequest {
    /// The student.
    pub student: UserName,
    /// The section to drop, if any.
    pub drop: Option<Crn>,
    /// The section to add, if any. With both, either both changes are made or neither.
    pub add: Option<Crn>,
    /// Whether the student gets a waitlist position if no seat is open.
    pub waitlist: bool,
    /// The codes of the refusals that staff lift.
    pub lifted: LiftedCodes,
}

/// A move of a student to another position of a waitlist.
#[derive(Debug, Clone)]
pub struct WaitlistMove {
    /// The student.
    pub student: UserName,
    /// The section.
    pub crn: Crn,
    /// The new position: 1 is the head. People who wait outside the hub stay ahead, and a position after the end is the
    /// last one.
    pub position: u32,
}

/// Changes that staff make to a section; `None` keeps the value, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct SectionPatch {
    /// Maximum number of enrolled students.
    pub capacity: Option<u32>,
    /// Maximum number of students on the waitlist.
    pub waitlist_capacity: Option<u32>,
    /// Whether the section accepts students.
    pub status: Option<SectionStatus>,
    /// Number of seats taken outside the hub.
    pub outside_enrolled: Option<u32>,
    /// Number of people on a waitlist outside the hub.
    pub outside_waitlisted: Option<u32>,
    /// Sections that must be taken with this one.
    pub linked: Option<Vec<SectionId>>,
    /// The group of cross-listed sections.
    pub cross_listed: Option<Option<CrossListing>>,
    /// Seats reserved for groups.
    pub reserved: Option<Vec<Reservation>>,
    /// Conditions on the students.
    pub restrictions: Option<Vec<Restriction>>,
    /// How many times a student may take the course.
    pub repeat_limit: Option<Option<u32>>,
    /// What a student must have completed before.
    pub prerequisites: Option<Vec<Requirement>>,
}

/// Changes that staff make to a term; `None` keeps the value, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct TermPatch {
    /// The name, such as `Fall 2026`.
    pub title: Option<Box<str>>,
    /// First day of teaching.
    pub starts_on: Option<Option<Date>>,
    /// Last day of teaching.
    pub ends_on: Option<Option<Date>>,
    /// When registration opens.
    pub opens_at: Option<Option<Timestamp>>,
    /// When registration closes.
    pub closes_at: Option<Option<Timestamp>>,
    /// Windows of groups of students.
    pub windows: Option<Vec<GroupWindow>>,
    /// Days without teaching.
    pub holidays: Option<Vec<Date>>,
    /// The deadline to add sections.
    pub add_until: Option<Option<Timestamp>>,
    /// The deadline to drop seats.
    pub drop_until: Option<Option<Timestamp>>,
    /// When the waitlists end.
    pub waitlist_until: Option<Option<Timestamp>>,
    /// Whether free seats are assigned or offered to students on waitlists.
    pub waitlist: Option<Option<WaitlistMode>>,
    /// How long a seat is offered, in seconds.
    pub offer_s: Option<Option<u32>>,
    /// How long a seat is offered at most on the first day of registration, in seconds.
    pub offer_first_day_s: Option<Option<u32>>,
    /// The groups whose students come first on waitlists, in order.
    pub waitlist_priority: Option<Vec<Box<str>>>,
}

/// Maximum number of sections in one [`Command::PutSections`], so that a large pull does not delay registrations.
pub const EDITS_MAX: usize = 200;

/// A change to one section in the college's catalogue, applied as a three-way merge by field: a field that differs
/// between `base` and `target` is set to its value in `target`, unless the hub has changed it since `base`.
#[derive(Debug, Clone)]
pub struct SectionEdit {
    /// The section in the hub to which the catalogue was compared. `None` if there was none; the edit then creates the
    /// section unless it already exists when the edit is applied.
    pub base: Option<Arc<Section>>,
    /// The section in the catalogue.
    pub target: Arc<Section>,
}

/// A schedule whose rows the store holds under `generation`, not yet visible.
#[derive(Debug)]
pub struct StagedImport {
    /// The generation of its rows.
    pub generation: u64,
    /// Whether the file's totals are applied even if registration is open.
    pub apply_totals_while_open: bool,
    /// The subjects to which the user who imports is limited; `None` without a limit.
    pub limit: Option<Subjects>,
    /// Sections that are new or differ from the snapshot to which the file was compared.
    pub sections: Vec<StagedSection>,
    /// Number of sections in the file that are equal to the snapshot.
    pub unchanged: u64,
}

/// The fields for which a file has columns, among those that staff can also set in the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
#[allow(missing_docs, reason = "each field has the name of the section's field")]
pub struct StatedFields {
    pub linked: bool,
    pub cross_listed: bool,
    pub reserved: bool,
    pub restrictions: bool,
    pub repeat_limit: bool,
    pub prerequisites: bool,
}

impl StatedFields {
    /// The file has a column for each field.
    pub const ALL: Self = Self {
        linked: true,
        cross_listed: true,
        reserved: true,
        restrictions: true,
        repeat_limit: true,
        prerequisites: true,
    };
}

impl From<StatedFields> for u8 {
    fn from(stated: StatedFields) -> Self {
        let StatedFields { linked, cross_listed, reserved, restrictions, repeat_limit, prerequisites } = stated;
        let fields = [linked, cross_listed, reserved, restrictions, repeat_limit, prerequisites];
        fields.into_iter().enumerate().fold(0, |bits, (at, stated)| bits | Self::from(stated) << at)
    }
}

impl From<u8> for StatedFields {
    fn from(bits: u8) -> Self {
        let [linked, cross_listed, reserved, restrictions, repeat_limit, prerequisites] =
            [0, 1, 2, 3, 4, 5].map(|at| bits >> at & 1 == 1);
        Self { linked, cross_listed, reserved, restrictions, repeat_limit, prerequisites }
    }
}

/// A section of a staged schedule.
#[derive(Debug, Clone)]
pub struct StagedSection {
    /// The definition in the file.
    pub section: Arc<Section>,
    /// The totals (enrolled, waitlisted) in the file, if it has them.
    pub totals: Option<(u32, u32)>,
    /// Which fields the file has columns for. The others keep their values.
    pub stated: StatedFields,
    /// Whether the file states the status, so that a section that an earlier import cancelled can become open again.
    pub states_status: bool,
    /// The staged row, made from the snapshot by [`crate::domain::decide::imported`]. It is written again only if the
    /// section has changed by the time the import is applied.
    pub staged_as: SectionState,
}
