//! A term and its registration window.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::ids::TermId;

/// A term. Only `opens_at` and `closes_at` decide whether registration is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The id.
    pub id: TermId,
    /// The name, such as `Fall 2026`.
    pub title: Box<str>,
    /// First day of teaching.
    pub starts_on: Option<Date>,
    /// Last day of teaching.
    pub ends_on: Option<Date>,
    /// When registration opens; `None` if registration is closed.
    pub opens_at: Option<Timestamp>,
    /// When registration closes; `None` if it stays open.
    pub closes_at: Option<Timestamp>,
    /// Days without teaching.
    pub holidays: Vec<Date>,
}

impl Term {
    /// Creates a term that is closed for registration and whose title is its id.
    #[must_use]
    pub fn new(id: TermId) -> Self {
        let title = id.as_str().into();
        Self { id, title, starts_on: None, ends_on: None, opens_at: None, closes_at: None, holidays: Vec::new() }
    }

    /// Returns whether registration is open at `now`: from `opens_at` (included) to `closes_at` (excluded).
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opens_at.is_some_and(|opens| opens <= now) && self.closes_at.is_none_or(|closes| now < closes)
    }
}
