//! What a student is told about a registration, at once over a WebSocket, and as a kept alert when it was not the
//! student's own doing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::alert::{AlertContent, Category, Priority};
use crate::domain::audience::Audience;
use crate::domain::ids::{Crn, UserName};
use crate::domain::outcome::RefusalCode;
use crate::domain::registration::Standing;
use crate::domain::section::Section;

/// Why a registration is what it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The student asked for it.
    Own,
    /// The waitlist gave the seat.
    Promoted,
    /// The seat went to the next in line; the place is kept.
    PassedOver(RefusalCode),
    /// The section was cancelled.
    Cancelled,
}

impl Reason {
    /// The reason's one name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Promoted => "promoted",
            Self::PassedOver(_) => "passed_over",
            Self::Cancelled => "cancelled",
        }
    }
    /// The refusal behind it, if any.
    #[must_use]
    pub const fn code(self) -> Option<RefusalCode> {
        if let Self::PassedOver(code) = self { Some(code) } else { None }
    }
}

/// One change of one registration, as its student should hear it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Whom it concerns.
    pub student: UserName,
    /// The section.
    pub crn: Crn,
    /// The standing now.
    pub standing: Standing,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
}

impl Notice {
    /// The alert that is kept for a student who may be offline; none for the student's own doing.
    #[must_use]
    pub fn alert(&self, section: &Section) -> Option<AlertContent> {
        let course = &section.course;
        let crn = section.id.crn.as_str();
        let (title, message, priority) = match self.reason {
            Reason::Own => return None,
            Reason::Promoted => (
                format!("You are enrolled in {course}"),
                format!("A seat became free in {course} (CRN {crn}), and it is yours: you were next on the waitlist."),
                Priority::High,
            ),
            Reason::PassedOver(code) => (
                format!("You were passed over for {course}"),
                format!(
                    "A seat became free in {course} (CRN {crn}), but {}. You keep your place on the waitlist.",
                    passed_over_because(code)
                ),
                Priority::High,
            ),
            Reason::Cancelled => (
                format!("{course} is cancelled"),
                format!("{course} (CRN {crn}) will not be taught. It no longer counts in your week or your credits."),
                Priority::High,
            ),
        };
        Some(AlertContent {
            title,
            message,
            priority,
            category: Category::Schedule,
            audience: Audience::for_user(self.student.clone()),
            starts_at: None,
            expires_at: None,
            requires_ack: false,
        })
    }
}

const fn passed_over_because(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::AlreadyInCourse => "you have another section of this course",
        RefusalCode::TimeConflict => "it meets at the same time as another of your sections",
        RefusalCode::CreditLimit => "it would take you over your credit limit",
        _ => "you could not take it",
    }
}
