//! Channels that a live session can subscribe to.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::domain::ids::{SectionId, TaskId, TermId};
use crate::domain::role::Role;

/// A topic that a live session can subscribe to, written, for example, as `seats:202209` or `me`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The seats of all sections of a term.
    Seats(TermId),
    /// The seats of one section.
    Section(SectionId),
    /// The caller's own registrations.
    Me,
    /// The alerts that the caller may see.
    Alerts,
    /// The progress of one import.
    Import(TaskId),
    /// The hub's metrics, once a second.
    Admin,
}

impl Channel {
    /// Parses the name of a channel; `None` for other text.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name.split_once(':') {
            None if name == "me" => Some(Self::Me),
            None if name == "alerts" => Some(Self::Alerts),
            None if name == "admin" => Some(Self::Admin),
            Some(("seats", term)) => TermId::parse(term).ok().map(Self::Seats),
            Some(("section", id)) => SectionId::parse(id).ok().map(Self::Section),
            Some(("import", task)) => TaskId::parse(task).ok().map(Self::Import),
            _ => None,
        }
    }

    /// Returns whether a user with this role may subscribe. `None` is a visitor.
    #[must_use]
    pub fn is_open_to(&self, role: Option<Role>) -> bool {
        match self {
            Self::Seats(_) | Self::Section(_) | Self::Alerts => true,
            Self::Me => role.is_some(),
            Self::Import(_) => role >= Some(Role::Staff),
            Self::Admin => role >= Some(Role::Admin),
        }
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seats(term) => write!(f, "seats:{term}"),
            Self::Section(id) => write!(f, "section:{id}"),
            Self::Me => f.write_str("me"),
            Self::Alerts => f.write_str("alerts"),
            Self::Admin => f.write_str("admin"),
            Self::Import(task) => write!(f, "import:{task}"),
        }
    }
}
