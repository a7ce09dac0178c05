//! Why a seat or a waitlist position is refused.

use enum_map::Enum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumCount, EnumString, IntoStaticStr, VariantArray};

use crate::domain::ids::SectionId;
use crate::domain::section::Credits;

/// The stable code of a refusal, in order of precedence: of several that apply, the first is reported.
///
/// The order is that of section 5 of the public contract. Each code is issued by one rule, see [`crate::domain::rules`].
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
    /// The term's registration window is closed.
    RegistrationClosed,
    /// The section will not be taught.
    SectionCancelled,
    /// The section accepts no new students.
    SectionClosed,
    /// The student already has a section of this course and component.
    AlreadyInCourse,
    /// The section meets at the same time as another of the student's sections.
    TimeConflict,
    /// The student would exceed the credit limit.
    CreditLimit,
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

    /// Parses a code; `None` if there is no such code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A refusal with the facts that its reader needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The term's registration window is closed.
    RegistrationClosed {
        /// When registration opens, if that is known.
        opens_at: Option<Timestamp>,
        /// When registration closes, or closed.
        closes_at: Option<Timestamp>,
        /// The time of the decision.
        now: Timestamp,
    },
    /// The section will not be taught.
    SectionCancelled,
    /// The section accepts no new students.
    SectionClosed,
    /// The student already has a section of this course and component.
    AlreadyInCourse {
        /// That section.
        conflicts_with: SectionId,
        /// Its course.
        course: Box<str>,
    },
    /// The section meets at the same time as others of the student's sections.
    TimeConflict {
        /// Those sections, in the order in which the student registered.
        conflicts_with: Vec<SectionId>,
    },
    /// The student would exceed the credit limit.
    CreditLimit {
        /// Credits of the sections in which the student is enrolled.
        credits: Credits,
        /// Credits with this section.
        wanted: Credits,
        /// The limit.
        limit: Credits,
    },
    /// The section has no open seat.
    SectionFull {
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
    /// Returns the code of this refusal.
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
