//! Every answer that a term can give, refusals in their order of precedence.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{Crn, SectionId};
use crate::domain::registration::Standing;
use crate::domain::section::Credits;

/// Why a seat is refused. Declared in order of precedence: of several that apply, the first is told.
///
/// (Holds, prerequisites, linked sections and restrictions will stand between these, at the places that the order of
/// the contract gives them.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The term's window is not open.
    RegistrationClosed,
    /// The section will not be taught.
    SectionCancelled,
    /// The section takes no newcomers.
    SectionClosed,
    /// The student has a section of this course and component.
    AlreadyInCourse,
    /// Two meetings overlap.
    TimeConflict,
    /// More credits than the student may take.
    CreditLimit,
    /// No seat is open.
    SectionFull,
    /// No place in line is left.
    WaitlistFull,
}

impl RefusalCode {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::RegistrationClosed,
        Self::SectionCancelled,
        Self::SectionClosed,
        Self::AlreadyInCourse,
        Self::TimeConflict,
        Self::CreditLimit,
        Self::SectionFull,
        Self::WaitlistFull,
    ];

    /// The code's one name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegistrationClosed => "registration_closed",
            Self::SectionCancelled => "section_cancelled",
            Self::SectionClosed => "section_closed",
            Self::AlreadyInCourse => "already_in_course",
            Self::TimeConflict => "time_conflict",
            Self::CreditLimit => "credit_limit",
            Self::SectionFull => "section_full",
            Self::WaitlistFull => "waitlist_full",
        }
    }
    /// Reads that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == text)
    }
}

/// A refusal with what its reader needs to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The window, so that a page can count down.
    RegistrationClosed {
        /// When it opens, if that is known.
        opens_at: Option<Timestamp>,
        /// When it closes, or closed.
        closes_at: Option<Timestamp>,
    },
    /// The section will not be taught.
    SectionCancelled,
    /// The section takes no newcomers.
    SectionClosed,
    /// The section of the same course and component that is held already.
    AlreadyInCourse {
        /// That section.
        conflicts_with: SectionId,
        /// Its course.
        course: Box<str>,
    },
    /// The sections, held or asked for, with which it overlaps.
    TimeConflict {
        /// Those sections, in the order in which they were taken.
        conflicts_with: Vec<SectionId>,
    },
    /// The numbers behind the limit.
    CreditLimit {
        /// What is enrolled now.
        credits: Credits,
        /// What it would have become.
        wanted: Credits,
        /// The most that is allowed.
        limit: Credits,
    },
    /// No seat; whether there is a place in line.
    SectionFull {
        /// Whether `waitlist=true` would be taken now.
        waitlist_open: bool,
        /// People in line now.
        waitlisted: u32,
    },
    /// No place in line.
    WaitlistFull {
        /// People in line now.
        waitlisted: u32,
    },
}

impl Refusal {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::RegistrationClosed { .. } => RefusalCode::RegistrationClosed,
            Self::SectionCancelled => RefusalCode::SectionCancelled,
            Self::SectionClosed => RefusalCode::SectionClosed,
            Self::AlreadyInCourse { .. } => RefusalCode::AlreadyInCourse,
            Self::TimeConflict { .. } => RefusalCode::TimeConflict,
            Self::CreditLimit { .. } => RefusalCode::CreditLimit,
            Self::SectionFull { .. } => RefusalCode::SectionFull,
            Self::WaitlistFull { .. } => RefusalCode::WaitlistFull,
        }
    }
}

/// A seat, a place or a drop, as it stands after the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The section.
    pub crn: Crn,
    /// The standing.
    pub standing: Standing,
    /// The place in line, 1 for the head, counting those who wait outside the hub. Only while waitlisted.
    pub position: Option<u32>,
    /// The section's credits.
    pub credits: Credits,
    /// When this standing began.
    pub at: Timestamp,
    /// Whether this command made it so (201), or it was so already (200).
    pub fresh: bool,
}

/// What became of one wish of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It was granted.
    Done(Receipt),
    /// The rules refuse it.
    Refused(Refusal),
    /// There is no such section, or it was never held.
    NotFound,
    /// It could have been granted, but another part of the swap could not: nothing was changed.
    SwapUndone {
        /// The first part that failed.
        because_of: Crn,
    },
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// To a single registration or drop.
    Request(RequestOutcome),
    /// To a batch: each wish in the order asked, adds before drops.
    Batch(Vec<(Crn, RequestOutcome)>),
    /// A section was changed.
    SectionChanged,
    /// The term was made or changed.
    TermChanged,
    /// An import, or what the college's catalogue says now, was applied.
    Imported(ImportTally),
    /// There is no such section.
    NoSuchSection,
    /// Every line was looked at.
    Settled,
}

/// What an import changed, counted at the moment it was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportTally {
    /// Sections that are new.
    pub created: u64,
    /// Sections that differ now.
    pub updated: u64,
    /// Sections that were so already.
    pub unchanged: u64,
}
