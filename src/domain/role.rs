//! What somebody may do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A role; each may do what the one before may, except that only a student holds seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Registers for sections.
    Student,
    /// Imports schedules, changes sections, sends alerts.
    Staff,
    /// Sees sessions, the audit trail, the machine.
    Admin,
}

impl Role {
    /// All of them, lowest first.
    pub const ALL: [Self; 3] = [Self::Student, Self::Staff, Self::Admin];

    /// The role's one name in tables, tokens and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }

    /// Reads that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }

    /// This role's bit, for audiences that name several.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
