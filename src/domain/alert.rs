//! Alerts: messages from the college to an audience.

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
    /// Shown in the list of alerts.
    Low,
    /// Shown in the list and counted as unread.
    #[default]
    Medium,
    /// Shown as a banner until it is read.
    High,
    /// Shown above everything else and announced by screen readers.
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
}

impl Category {
    /// Parses `system` … `emergency`; `None` if there is no such category.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
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
    /// The username of the sender, or `eduhub`.
    pub sender: String,
    /// When the hub accepted it.
    pub created_at: Timestamp,
}
