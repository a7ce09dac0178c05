//! One-off events of the college: orientations, workshops, visits.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A one-off event of the college, outside of any term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The same over imports of the same event.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// The programme that holds it.
    pub program: String,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When it ends; none when the file tells no duration.
    pub ends_at: Option<Timestamp>,
    /// Where.
    pub location: Option<String>,
    /// Who leads it.
    pub instructor: Option<String>,
    /// What it is about.
    pub description: Option<String>,
}
