//! Notices to students about their registrations. The hub sends each notice to the student's live sessions, and also
//! stores it as an alert if the student did not request the change.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::domain::alert::{AlertContent, Category, Priority};
use crate::domain::audience::Audience;
use crate::domain::ids::{Crn, UserName};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::section::Section;

/// Why a student is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The student requested the change.
    #[serde(rename = "own")]
    #[strum(serialize = "self")]
    Requested,
    /// The student was promoted from the waitlist to a seat.
    Promoted,
    /// The student is offered a seat until this time.
    #[strum(serialize = "offer")]
    Offered(Timestamp),
    /// The student is reminded of an offer that lapses at this time.
    #[strum(serialize = "offer")]
    OfferEnds(Timestamp),
    /// The student chose to give this up for another seat, and got that seat.
    #[strum(serialize = "promoted")]
    Replaced,
    /// An offer lapsed, and the student left the waitlist.
    Lapsed,
    /// A seat became free, but a rule refused it to this student, who keeps the waitlist position.
    PassedOver(RefusalCode),
    /// The section was cancelled.
    Cancelled,
    /// The section is no longer cancelled.
    #[strum(serialize = "staff")]
    Reopened,
    /// Staff registered or dropped the student.
    #[strum(serialize = "staff")]
    ByStaff,
}

impl Reason {
    /// Returns the name in the frames of live sessions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the code of the refusal for which the student was passed over.
    #[must_use]
    pub const fn code(self) -> Option<RefusalCode> {
        match self {
            Self::PassedOver(code) => Some(code),
            Self::Requested
            | Self::Promoted
            | Self::Replaced
            | Self::Offered(_)
            | Self::OfferEnds(_)
            | Self::Lapsed
            | Self::Cancelled
            | Self::Reopened
            | Self::ByStaff => None,
        }
    }

    /// Returns when the offer in the notice lapses; `None` for a notice that concerns no offer.
    #[must_use]
    pub const fn expires_at(self) -> Option<Timestamp> {
        match self {
            Self::Offered(at) | Self::OfferEnds(at) => Some(at),
            Self::Requested
            | Self::Promoted
            | Self::Replaced
            | Self::Lapsed
            | Self::PassedOver(_)
            | Self::Cancelled
            | Self::Reopened
            | Self::ByStaff => None,
        }
    }
}

/// What a notice states, as part of its alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeFacts {
    /// Why the student is notified, as in the frames of live sessions: `promoted`, `offer`, `lapsed`, `passed_over`,
    /// `cancelled` or `staff`. The demonstration also sends `welcome`, to everyone and without a course.
    pub reason: String,
    /// For `offer`: when the offer lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// For `offer`: whether the student is reminded of an earlier offer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminder: bool,
    /// For `passed_over`: the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<RefusalCode>,
    /// For `staff`: the student's new status, or absent if the section is no longer cancelled. For `promoted`: `dropped`
    /// if the student gave the section up for another seat, as chosen when joining the waitlist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RegistrationStatus>,
    /// The course.
    pub course: String,
    /// The CRN as the college writes it.
    pub crn: String,
    /// For `cancelled`: the CRNs of sections of the same course that had seats at that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
}

/// A notice to a student that a registration changed, or why it did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The student to notify.
    pub student: UserName,
    /// The section.
    pub crn: Crn,
    /// The student's status after the decision.
    pub status: RegistrationStatus,
    /// Why the student is notified.
    pub reason: Reason,
    /// The time of the decision.
    pub at: Timestamp,
}

impl Notice {
    /// Returns the notice about a change that another hub committed, from the registration before and after; `None` if
    /// the student need not be notified. The reason for a change by staff is not known here: if it matters, the student
    /// also gets a stored alert, which states it.
    #[must_use]
    pub fn between(student: &UserName, before: Option<&Registration>, after: &Registration) -> Option<Self> {
        use RegistrationStatus::{Dropped, Enrolled, Offered, Waitlisted};
        let status = |registration: &Registration| registration.status;
        let remind_at = |registration: &Registration| registration.offer.and_then(|offer| offer.remind_at);
        let reason = match (before.map_or(Dropped, status), after.status) {
            (Waitlisted, Enrolled) => Reason::Promoted,
            (Waitlisted, Waitlisted) if before.and_then(|before| before.passed_over_for) != after.passed_over_for => {
                Reason::PassedOver(after.passed_over_for?)
            }
            (Waitlisted, Offered) => Reason::Offered(after.offer?.expires_at),
            // Once a reminder was sent, its time is removed.
            (Offered, Offered) if before.and_then(remind_at).is_some() && remind_at(after).is_none() => {
                Reason::OfferEnds(after.offer?.expires_at)
            }
            (Offered, Dropped)
                if before.and_then(|before| before.offer).is_some_and(|offer| offer.expires_at <= after.at) =>
            {
                Reason::Lapsed
            }
            (Dropped, Dropped) | (Enrolled, Enrolled) | (Offered, Offered) | (Waitlisted, Waitlisted) => return None,
            (Dropped, Enrolled | Offered | Waitlisted)
            | (Enrolled, Offered | Waitlisted | Dropped)
            | (Offered, Enrolled | Waitlisted | Dropped)
            | (Waitlisted, Dropped) => Reason::Requested,
        };
        Some(Self { student: student.clone(), crn: after.crn.clone(), status: after.status, reason, at: after.at })
    }

    /// Returns the alert to store for a student who may be offline; `None` if the student requested the change.
    /// `alternatives` are the sections with seats that the student of a cancelled section may take instead.
    #[must_use]
    pub fn alert(&self, section: &Section, alternatives: &[Arc<Section>]) -> Option<AlertContent> {
        let alternatives: Vec<String> = alternatives.iter().map(|section| section.crn_text().to_owned()).collect();
        let (title, message) = self.text(section, &alternatives)?;
        Some(AlertContent {
            title,
            message,
            priority: Priority::High,
            category: Category::Schedule,
            audience: Audience::for_user(self.student.clone()),
            starts_at: None,
            expires_at: self.reason.expires_at(),
            requires_ack: false,
            notice: Some(NoticeFacts {
                reason: self.reason.as_str().to_owned(),
                expires_at: self.reason.expires_at(),
                reminder: matches!(self.reason, Reason::OfferEnds(_)),
                code: self.reason.code(),
                status: matches!(self.reason, Reason::ByStaff | Reason::Replaced).then_some(self.status),
                course: section.course.to_string(),
                crn: section.crn_text().to_string(),
                alternatives,
            }),
            cap: None,
        })
    }

    /// Returns the title and the message of the alert; `None` if the student requested the change.
    fn text(&self, section: &Section, alternatives: &[String]) -> Option<(String, String)> {
        let (course, crn) = (&section.course, section.crn_text());
        Some(match self.reason {
            Reason::Requested => return None,
            Reason::Promoted => (
                format!("You are enrolled in {course}"),
                format!("A seat opened in {course} (CRN {crn}), and you were enrolled from the waitlist."),
            ),
            Reason::Replaced => (
                format!("You are no longer in {course}"),
                format!("You got the seat that you were waiting for, so you left {course} (CRN {crn}), as you chose."),
            ),
            Reason::Offered(_) => (
                format!("You've been offered a seat in {course}"),
                format!("A seat opened in {course} (CRN {crn}). {ACCEPT_IN_TIME}"),
            ),
            Reason::OfferEnds(_) => (
                format!("Your offer of a seat in {course} ends soon"),
                format!("A seat in {course} (CRN {crn}) is still kept for you. {ACCEPT_IN_TIME}"),
            ),
            Reason::Lapsed => (
                format!("Your offer of a seat in {course} has ended"),
                format!(
                    "You did not accept the seat in {course} (CRN {crn}) in time, so you are no longer on its waitlist."
                ),
            ),
            Reason::ByStaff => self.text_by_staff(course, crn),
            Reason::PassedOver(code) => (
                format!("A seat opened in {course}, but you couldn't take it"),
                format!(
                    "A seat opened in {course} (CRN {crn}), but {}. You keep your position on the waitlist.",
                    refusal_clause(code)
                ),
            ),
            Reason::Cancelled => (
                format!("{course} is cancelled"),
                format!(
                    "{course} (CRN {crn}) has been cancelled. It no longer counts toward your schedule or credits.{}",
                    instead_sentence(alternatives)
                ),
            ),
            Reason::Reopened => (
                format!("{course} is no longer cancelled"),
                format!(
                    "{course} (CRN {crn}) will be held after all. It counts toward your schedule and credits again."
                ),
            ),
        })
    }

    fn text_by_staff(&self, course: &str, crn: &str) -> (String, String) {
        match self.status {
            RegistrationStatus::Enrolled => {
                (format!("You are enrolled in {course}"), format!("The college enrolled you in {course} (CRN {crn})."))
            }
            RegistrationStatus::Offered => (
                format!("You've been offered a seat in {course}"),
                format!("The college offers you a seat in {course} (CRN {crn})."),
            ),
            RegistrationStatus::Waitlisted => (
                format!("You are on the waitlist for {course}"),
                format!("The college put you on the waitlist for {course} (CRN {crn})."),
            ),
            RegistrationStatus::Dropped => (
                format!("You are no longer in {course}"),
                format!("The college dropped you from {course} (CRN {crn})."),
            ),
        }
    }
}

/// How to take a seat that is offered.
const ACCEPT_IN_TIME: &str = "Accept it in time to be enrolled; otherwise it goes to the next student on the waitlist.";

/// Returns the sentence that names the sections with seats; empty if there are none.
fn instead_sentence(alternatives: &[String]) -> String {
    if alternatives.is_empty() {
        return String::new();
    }
    format!(" Sections with seats: CRN {}.", alternatives.join(", "))
}

/// Returns why the student could not take the seat, to follow "A seat opened, but".
const fn refusal_clause(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::RegistrationClosed => "registration is closed",
        RefusalCode::Hold => "there is a hold on your account",
        RefusalCode::SectionCancelled => "the section is cancelled",
        RefusalCode::SectionClosed => "the section is closed to new students",
        RefusalCode::AlreadyInCourse => "you have another section of this course",
        RefusalCode::RepeatLimit => "you have taken the course as many times as allowed",
        RefusalCode::LinkedSectionRequired => "you have no seat in a section that must be taken with it",
        RefusalCode::Restricted => "you are not eligible for the section",
        RefusalCode::Prerequisite => "you have not met a prerequisite",
        RefusalCode::TimeConflict => "it overlaps another of your sections",
        RefusalCode::CreditLimit => "it would put you over your credit limit",
        RefusalCode::SectionFull => "there is no seat yet in a section that you want together with it",
        RefusalCode::WaitlistFull => "the waitlist is full",
    }
}
