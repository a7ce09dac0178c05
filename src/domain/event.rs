//! One-off events of the college: orientations, workshops, visits.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A one-off event of the college, outside of any term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The id, which stays the same when the event is imported again.
    pub id: String,
    /// The title.
    pub title: String,
    /// The program that hosts it.
    pub program: String,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When it ends; `None` if that is not known.
    pub ends_at: Option<Timestamp>,
    /// The location.
    pub location: Option<String>,
    /// The instructor.
    pub instructor: Option<String>,
    /// The description.
    pub description: Option<String>,
}
