//! Everything that can be asked of a term.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::ids::{Crn, UserName};
use crate::domain::section::{Section, SectionState, SectionStatus};

/// The most sections that one batch may add, and drop.
pub const BATCH_LEN_MAX: usize = 50;

/// One command to one term, decided as a whole.
#[derive(Debug, Clone)]
pub enum Command {
    /// A student presses "register".
    Register {
        /// Who.
        student: UserName,
        /// Which section.
        crn: Crn,
        /// Whether a place in line is welcome where no seat is open.
        waitlist: bool,
    },
    /// A student gives up a seat or a place.
    Drop {
        /// Who.
        student: UserName,
        /// Which section.
        crn: Crn,
    },
    /// Several at once.
    Batch(Batch),
    /// Staff change a section.
    PatchSection {
        /// Which section.
        crn: Crn,
        /// What changes.
        patch: SectionPatch,
    },
    /// Staff make or change the term.
    PutTerm(TermPatch),
    /// A parsed and staged schedule is applied.
    ApplyImport(Arc<StagedImport>),
    /// The college's own catalogue has changed.
    PutSections(Arc<[SectionEdit]>),
    /// Free seats go to whoever waits, in every section: what a start does, whatever happened before.
    Settle,
}

/// Several adds and drops of one student in one term.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Who.
    pub student: UserName,
    /// Sections to register in, at most [`BATCH_LEN_MAX`].
    pub add: Vec<Crn>,
    /// Sections to give up, at most [`BATCH_LEN_MAX`]; none of them in `add`.
    pub drop: Vec<Crn>,
    /// All of it or nothing, the adds judged as if the drops had happened.
    pub swap: bool,
    /// Whether places in line are welcome.
    pub waitlist: bool,
}

/// What staff may change in a section; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct SectionPatch {
    /// The most people that may be enrolled.
    pub capacity: Option<u32>,
    /// The most people that may wait.
    pub waitlist_capacity: Option<u32>,
    /// Whether it takes people.
    pub status: Option<SectionStatus>,
    /// Seats held outside the hub.
    pub outside_enrolled: Option<u32>,
    /// People who wait outside the hub.
    pub outside_waitlisted: Option<u32>,
}

/// What staff may change in a term; `None` leaves it, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct TermPatch {
    /// The name for people.
    pub title: Option<Box<str>>,
    /// First day of teaching.
    pub starts_on: Option<Option<Date>>,
    /// Last day of teaching.
    pub ends_on: Option<Option<Date>>,
    /// When registration opens.
    pub opens_at: Option<Option<Timestamp>>,
    /// When registration closes.
    pub closes_at: Option<Option<Timestamp>>,
    /// Days without teaching.
    pub holidays: Option<Vec<Date>>,
}

/// The most sections in one [`Command::PutSections`]: registrations pass between two of them.
pub const EDITS_MAX: usize = 200;

/// What becomes of one section as the college's catalogue has it now. It is a comparison by field: what differs between
/// `seen` and `wanted` is taken over where the section still is as it was seen. Whatever somebody changed meanwhile
/// stays.
#[derive(Debug, Clone)]
pub struct SectionEdit {
    /// The section as it was when this was worked out; none: there was none, and it is made unless there is one now.
    pub seen: Option<Arc<Section>>,
    /// The section as it is to be.
    pub wanted: Arc<Section>,
}

/// A schedule whose rows are in the store under `generation`, not yet visible.
#[derive(Debug)]
pub struct StagedImport {
    /// The generation under which its rows are staged.
    pub generation: u64,
    /// Whether the file's totals count although the term is open.
    pub totals_count_while_open: bool,
    /// Its sections that are new or differ from the snapshot they were compared with.
    pub sections: Vec<StagedSection>,
    /// Sections of the file that equalled the snapshot.
    pub unchanged: u64,
}

/// A section of a staged schedule.
#[derive(Debug, Clone)]
pub struct StagedSection {
    /// The definition, as the file has it.
    pub section: Arc<Section>,
    /// The file's totals, (enrolled, waitlisted), if it tells any.
    pub totals: Option<(u32, u32)>,
    /// What the staged row says, worked out from the snapshot with [`crate::domain::decide::imported`]: only what has moved
    /// since then has to be written again when the import is applied.
    pub staged_as: SectionState,
}
