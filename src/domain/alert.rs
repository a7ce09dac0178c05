//! An announcement or a warning.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, VariantArray};

use crate::domain::audience::Audience;

/// The longest title, in characters.
pub const TITLE_LEN_MAX: usize = 200;
/// The longest message, in characters.
pub const MESSAGE_LEN_MAX: usize = 2_000;

/// How loudly an alert speaks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Priority {
    /// In the list.
    Low,
    /// In the list, counted.
    #[default]
    Medium,
    /// A banner until it is read.
    High,
    /// Above everything, read out.
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
    /// A step that somebody should take.
    Workflow,
    /// Sections, rooms, times.
    Schedule,
    /// The college's pages.
    Content,
    /// Accounts and safety of data.
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

/// What its author gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertContent {
    /// 1 to 200 characters.
    pub title: String,
    /// 1 to 2,000 characters.
    pub message: String,
    /// `medium` unless given.
    pub priority: Priority,
    /// `system` unless given.
    pub category: Category,
    /// Who gets it.
    pub audience: Audience,
    /// When it goes out; at once unless given and in the future.
    pub starts_at: Option<Timestamp>,
    /// When it is no longer in force.
    pub expires_at: Option<Timestamp>,
    /// Whether those who get it are asked to say that they have seen it.
    pub requires_ack: bool,
}

/// An alert as the hub keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id, a UUID version 7.
    pub id: String,
    /// Its place in the one sequence of alerts; none while it waits for `starts_at`.
    pub seq: Option<u64>,
    /// What its author gave.
    #[serde(flatten)]
    pub content: AlertContent,
    /// Where it comes from: `staff` or `registration`.
    pub source: String,
    /// The user who sent it, or `eduhub`.
    pub sender: String,
    /// When it was taken.
    pub created_at: Timestamp,
}

impl Alert {
    /// Whether it is still in force at `now`.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.seq.is_some() && self.content.expires_at.is_none_or(|end| now < end)
    }
}
