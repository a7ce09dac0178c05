//! Alerts: messages of the college to the users whom they concern.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, VariantArray};

use crate::domain::audience::Audience;

/// Maximum length of a title, in characters.
pub const TITLE_LEN_MAX: usize = 200;
/// Maximum length of a message, in characters.
pub const MESSAGE_LEN_MAX: usize = 2_000;

/// How prominently an alert is shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Priority {
    /// In the list of alerts.
    Low,
    /// In the list, and counted as unread.
    #[default]
    Medium,
    /// As a banner until it is read.
    High,
    /// Above everything else, and announced by screen readers.
    Critical,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, EnumString, VariantArray)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Category {
    /// The hub itself.
    #[default]
    System,
    /// A task for its readers.
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
}

impl Category {
    /// Parses `system` … `emergency`; `None` if there is no such category.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// What the author of an alert gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertContent {
    /// 1 to [`TITLE_LEN_MAX`] characters.
    pub title: String,
    /// 1 to [`MESSAGE_LEN_MAX`] characters.
    pub message: String,
    /// How urgent it is.
    pub priority: Priority,
    /// What it is about.
    pub category: Category,
    /// The users who get the alert.
    pub audience: Audience,
    /// When it goes out; null for at once.
    pub starts_at: Option<Timestamp>,
    /// When it stops being in force; null for never.
    pub expires_at: Option<Timestamp>,
    /// Whether the recipients are asked to acknowledge it.
    pub requires_ack: bool,
}

/// An alert as the hub stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// A UUID version 7.
    pub id: String,
    /// The position in the one sequence of alerts; null until it goes out.
    pub seq: Option<u64>,
    /// What the author wrote.
    #[serde(flatten)]
    pub content: AlertContent,
    /// The origin: `staff` or `registration`.
    pub source: String,
    /// The user who sent it, or `eduhub`.
    pub sender: String,
    /// When the hub accepted it.
    pub created_at: Timestamp,
}

impl Alert {
    /// Returns whether it is in force at `now`.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.seq.is_some() && self.content.expires_at.is_none_or(|end| now < end)
    }
}
