//! Refusals: why a student does not get a seat or a waitlist position, or cannot drop a seat.

use enum_map::Enum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumCount, EnumString, IntoStaticStr, VariantArray};

use crate::domain::ids::SectionId;
use crate::domain::prerequisite::Unmet;
use crate::domain::restriction::Restriction;
use crate::domain::section::Credits;
use crate::domain::student::{HeldAction, Hold, StudentFacts};

/// The stable code of a refusal, in order of precedence: if several apply, the hub reports the first.
///
/// The order is part of the public API. Each code belongs to one rule; see [`crate::domain::rules`].
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Enum,
    EnumCount,
    EnumString,
    IntoStaticStr,
    VariantArray,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RefusalCode {
    /// The registration window of the student is closed, or a deadline of the term has passed.
    RegistrationClosed,
    /// A hold on the student blocks the request.
    Hold,
    /// The section is cancelled.
    SectionCancelled,
    /// The section is closed to new students.
    SectionClosed,
    /// The student is already registered for a section of this course and component.
    AlreadyInCourse,
    /// The student has taken the course as many times as it may be taken.
    RepeatLimit,
    /// The student has not met a prerequisite.
    Prerequisite,
    /// The section must be taken with a linked one.
    LinkedSectionRequired,
    /// The section overlaps another section of the student.
    TimeConflict,
    /// The student would exceed the credit limit.
    CreditLimit,
    /// The section is not for this student.
    Restricted,
    /// The section has no open seat.
    SectionFull,
    /// The section's waitlist has no open position.
    WaitlistFull,
}

impl RefusalCode {
    /// Returns the code as it is written in problem documents, metrics and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a code; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// What a term does not allow at the time of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedAction {
    /// Any new registration: the registration window of the student is closed.
    Register,
    /// New registrations: the deadline to add sections has passed.
    Add,
    /// New waitlist positions: the waitlists have ended.
    Wait,
    /// Drops of seats: the deadline to drop sections has passed.
    Drop,
}

/// A refusal with the details that a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The registration window of the student is closed, or a deadline of the term has passed.
    RegistrationClosed {
        /// When registration opens, or opened, if known.
        opens_at: Option<Timestamp>,
        /// When registration closes, or closed, if known; the deadline if one has passed.
        closes_at: Option<Timestamp>,
        /// The time of the decision.
        now: Timestamp,
        /// What is closed.
        what: ClosedAction,
    },
    /// A hold on the student blocks the request.
    Hold {
        /// The holds that block the request; at least one.
        holds: Vec<Hold>,
    },
    /// The section is cancelled.
    SectionCancelled,
    /// The section is closed to new students.
    SectionClosed,
    /// The student is already registered for a section of this course and component.
    AlreadyInCourse {
        /// The section for which the student is registered.
        conflicts_with: SectionId,
        /// The course of both sections.
        course: Box<str>,
    },
    /// The student has taken the course as many times as it may be taken.
    RepeatLimit {
        /// How many times the student took the course.
        taken: u32,
        /// How many times it may be taken.
        limit: u32,
    },
    /// The student has not met a prerequisite.
    Prerequisite {
        /// What the student lacks.
        unmet: Unmet,
    },
    /// The section must be taken with a linked one.
    LinkedSectionRequired {
        /// The linked sections in which the student can get a seat now, in the order of the section's list.
        choices: Vec<SectionId>,
    },
    /// The section overlaps other sections of the student.
    TimeConflict {
        /// The other sections, in the order in which the student registered.
        conflicts_with: Vec<SectionId>,
    },
    /// The student would exceed the credit limit.
    CreditLimit {
        /// The credits of the sections in which the student is enrolled, or gets a seat earlier in the same decision.
        credits: Credits,
        /// Those credits plus the credits of this section.
        total: Credits,
        /// The credit limit.
        limit: Credits,
    },
    /// The section is not for this student.
    Restricted {
        /// The conditions that the student does not meet.
        restrictions: Vec<Restriction>,
    },
    /// The section has no open seat.
    SectionFull {
        /// Whether seats are left that are reserved for groups of which the student is not a member.
        reserved: bool,
        /// Whether the waitlist has an open position.
        waitlist_open: bool,
        /// Number of people on the waitlist.
        waitlisted: u32,
    },
    /// The section's waitlist has no open position.
    WaitlistFull {
        /// Number of people on the waitlist.
        waitlisted: u32,
    },
}

impl Refusal {
    /// Returns the refusal of an action by the holds of a student; `None` if no hold blocks it.
    #[must_use]
    pub fn of_holds(facts: &StudentFacts, action: HeldAction) -> Option<Self> {
        let holds: Vec<Hold> = facts.holds_on(action).cloned().collect();
        (!holds.is_empty()).then_some(Self::Hold { holds })
    }

    /// Returns the sections of the student that exclude the requested one.
    #[must_use]
    pub fn conflicting(&self) -> &[SectionId] {
        match self {
            Self::AlreadyInCourse { conflicts_with, .. } => std::slice::from_ref(conflicts_with),
            Self::TimeConflict { conflicts_with } => conflicts_with,
            Self::RegistrationClosed { .. }
            | Self::Hold { .. }
            | Self::SectionCancelled
            | Self::SectionClosed
            | Self::RepeatLimit { .. }
            | Self::Prerequisite { .. }
            | Self::LinkedSectionRequired { .. }
            | Self::CreditLimit { .. }
            | Self::Restricted { .. }
            | Self::SectionFull { .. }
            | Self::WaitlistFull { .. } => &[],
        }
    }

    /// Returns the code of this refusal.
    #[must_use]
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::RegistrationClosed { .. } => RefusalCode::RegistrationClosed,
            Self::Hold { .. } => RefusalCode::Hold,
            Self::SectionCancelled => RefusalCode::SectionCancelled,
            Self::SectionClosed => RefusalCode::SectionClosed,
            Self::AlreadyInCourse { .. } => RefusalCode::AlreadyInCourse,
            Self::RepeatLimit { .. } => RefusalCode::RepeatLimit,
            Self::LinkedSectionRequired { .. } => RefusalCode::LinkedSectionRequired,
            Self::Restricted { .. } => RefusalCode::Restricted,
            Self::Prerequisite { .. } => RefusalCode::Prerequisite,
            Self::TimeConflict { .. } => RefusalCode::TimeConflict,
            Self::CreditLimit { .. } => RefusalCode::CreditLimit,
            Self::SectionFull { .. } => RefusalCode::SectionFull,
            Self::WaitlistFull { .. } => RefusalCode::WaitlistFull,
        }
    }
}
