//! Alerts: messages from the college to an audience.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::audience::{Audience, Membership};
use crate::domain::cap::CapValues;
use crate::domain::ids::UserName;
use crate::domain::notice::NoticeFacts;
use crate::domain::role::Role;

/// Maximum length of a title, in characters.
pub const TITLE_LEN_MAX: usize = 200;
/// Maximum length of a message, in characters.
pub const MESSAGE_LEN_MAX: usize = 2_000;

/// How prominently an alert is shown.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Priority {
    /// Below the usual priority. Shown in the list of alerts.
    Low,
    /// The usual priority. Shown in the list of alerts.
    #[default]
    Medium,
    /// Shown as a banner until it is read.
    High,
    /// Shown above everything else and announced by screen readers.
    Critical,
}

/// What an alert is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Category {
    /// The hub itself.
    #[default]
    System,
    /// Something that recipients have to do.
    Workflow,
    /// Sections, rooms and times.
    Schedule,
    /// The college's pages.
    Content,
    /// Accounts and data.
    Security,
    /// Danger to people.
    Emergency,
}

impl Priority {
    /// Parses `low` … `critical`; `None` if there is no such priority.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns `low` … `critical`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Category {
    /// Parses `system` … `emergency`; `None` if there is no such category.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns `system` … `emergency`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The parts of an alert that its author writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertContent {
    /// 1 to [`TITLE_LEN_MAX`] characters.
    pub title: String,
    /// 1 to [`MESSAGE_LEN_MAX`] characters.
    pub message: String,
    /// How prominently it is shown.
    pub priority: Priority,
    /// What it is about.
    pub category: Category,
    /// The recipients.
    pub audience: Audience,
    /// When it is sent; null to send it immediately.
    pub starts_at: Option<Timestamp>,
    /// When it stops being active; null for never.
    pub expires_at: Option<Timestamp>,
    /// Whether recipients are asked to acknowledge it.
    pub requires_ack: bool,
    /// For an alert that the hub wrote: what it states, so that a client can say it in the reader's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<NoticeFacts>,
    /// For an alert that came as a CAP message: what else the message states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<CapValues>,
}

/// Why an alert is not corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorrectionRefusal {
    /// It was sent to another audience. Those recipients could not be notified that the alert is no longer for them.
    OtherAudience,
    /// It was sent, so it cannot be scheduled.
    AlreadySent,
}

impl AlertContent {
    /// Returns the content of an alert after it was corrected to `new`. All parts of a scheduled alert can be changed.
    /// An alert that was sent (`is_sent`) keeps its audience and its start.
    ///
    /// # Errors
    /// When `new` would send a sent alert to another audience or later than `now`.
    pub fn corrected(&self, new: Self, is_sent: bool, now: Timestamp) -> Result<Self, CorrectionRefusal> {
        let cap = new.cap.or(self.cap);
        if !is_sent {
            return Ok(Self { cap, ..new });
        }
        if !self.audience.has_same_parts(&new.audience) {
            return Err(CorrectionRefusal::OtherAudience);
        }
        if new.starts_at.is_some_and(|start| start > now) {
            return Err(CorrectionRefusal::AlreadySent);
        }
        // The stored memberships of the recipients are indices into these lists, so their order must not change.
        Ok(Self { audience: self.audience.clone(), starts_at: self.starts_at, cap, ..new })
    }
}

/// An alert as the hub stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// A UUID version 7.
    pub id: String,
    /// Its number in the hub's single sequence of alerts; null until it is sent.
    pub seq: Option<u64>,
    /// The parts that the author wrote.
    #[serde(flatten)]
    pub content: AlertContent,
    /// The origin: `staff` or `registration`.
    pub source: String,
    /// The username of the sender, or `eduhub`. For a reader below staff, the sender's display name or an office.
    pub sender: String,
    /// The sender's display name, for staff; absent if the sender has none, and for other readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<String>,
    /// When the hub accepted it.
    pub created_at: Timestamp,
}

impl Alert {
    /// Returns the alert as `reader` may see it; `None` is a visitor. Staff see all of it. Other readers see only those
    /// parts of the audience that concern them, and `office` in place of a sender without a display name.
    #[must_use]
    pub fn for_reader(&self, reader: Option<(&UserName, Role)>, membership: &Membership, office: &str) -> Self {
        if Role::is_staff(reader.map(|(_, role)| role)) {
            return self.clone();
        }
        let AlertContent { title, message, priority, category, audience, starts_at, expires_at, .. } = &self.content;
        let AlertContent { requires_ack, notice, cap, .. } = &self.content;
        Self {
            id: self.id.clone(),
            seq: self.seq,
            content: AlertContent {
                title: title.clone(),
                message: message.clone(),
                priority: *priority,
                category: *category,
                audience: audience.for_reader(reader, membership),
                starts_at: *starts_at,
                expires_at: *expires_at,
                requires_ack: *requires_ack,
                notice: notice.clone(),
                cap: *cap,
            },
            source: self.source.clone(),
            sender: self.sender_name.clone().unwrap_or_else(|| office.to_owned()),
            sender_name: None,
            created_at: self.created_at,
        }
    }
}
