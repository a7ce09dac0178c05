//! Notices to students about their registrations: sent to live sessions at once, and stored as an alert when the change
//! was not the student's own request.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::domain::alert::{AlertContent, Category, Priority};
use crate::domain::audience::Audience;
use crate::domain::ids::{Crn, UserName};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::Standing;
use crate::domain::section::Section;

/// Why a student is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The student requested the change.
    #[strum(serialize = "self")]
    Own,
    /// The student got a seat from the waitlist.
    Promoted,
    /// A seat went to a later position of the waitlist, because a rule refuses it to this student. The position is kept.
    PassedOver(RefusalCode),
    /// The section was cancelled.
    Cancelled,
}

impl Reason {
    /// Returns the name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the code of the refusal behind it, if there is one.
    #[must_use]
    pub const fn code(self) -> Option<RefusalCode> {
        match self {
            Self::PassedOver(code) => Some(code),
            Self::Own | Self::Promoted | Self::Cancelled => None,
        }
    }
}

/// A change that concerns one registration, or a reason why it did not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The student to notify.
    pub student: UserName,
    /// The section.
    pub crn: Crn,
    /// The standing after the change.
    pub standing: Standing,
    /// Why the student is notified.
    pub reason: Reason,
    /// When the change was decided.
    pub at: Timestamp,
}

impl Notice {
    /// Returns the alert that is stored for a student who may be offline; `None` when the student requested the change.
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
                    "A seat became free in {course} (CRN {crn}), but {}. You keep your position on the waitlist.",
                    obstacle(code)
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

/// Returns what kept a student from taking a seat, as the second half of a sentence.
const fn obstacle(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::RegistrationClosed => "registration is closed",
        RefusalCode::SectionCancelled => "the section is cancelled",
        RefusalCode::SectionClosed => "the section accepts no new students",
        RefusalCode::AlreadyInCourse => "you have another section of this course",
        RefusalCode::TimeConflict => "it meets at the same time as another of your sections",
        RefusalCode::CreditLimit => "it would take you over your credit limit",
        RefusalCode::SectionFull => "the section is full",
        RefusalCode::WaitlistFull => "the waitlist is full",
    }
}
