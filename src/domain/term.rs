//! A term and its registration windows.

use jiff::Timestamp;
use jiff::civil::Date;

use serde::{Deserialize, Serialize};

use crate::domain::ids::TermId;
use crate::domain::offer::TermOffers;
use crate::domain::student::StudentFacts;

/// Maximum number of windows of groups in a term.
pub const GROUP_WINDOWS_MAX: usize = 40;

/// A term. Only `opens_at`, `closes_at` and the windows decide whether registration is open.
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
    /// Windows of groups of students, which replace `opens_at` and `closes_at` for them.
    pub windows: Vec<GroupWindow>,
    /// Days without teaching.
    pub holidays: Vec<Date>,
    /// The deadlines to add, to drop and to be promoted.
    pub cutoffs: Cutoffs,
    /// Whether and how long seats are offered to students on waitlists, and which groups come first on them.
    pub offers: TermOffers,
}

/// The deadlines of a term, exclusive; `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutoffs {
    /// New registrations are accepted until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_until: Option<Timestamp>,
    /// Students can drop seats until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_until: Option<Timestamp>,
    /// Students join waitlists, and are promoted from them, until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waitlist_until: Option<Timestamp>,
}

/// Returns whether a deadline has passed.
#[must_use]
pub fn has_passed(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_some_and(|until| until <= now)
}

impl Term {
    /// Creates a term that is closed for registration and whose title is its id.
    #[must_use]
    pub fn new(id: TermId) -> Self {
        let title = id.as_str().into();
        Self {
            id,
            title,
            starts_on: None,
            ends_on: None,
            opens_at: None,
            closes_at: None,
            windows: Vec::new(),
            holidays: Vec::new(),
            cutoffs: Cutoffs::default(),
            offers: TermOffers::default(),
        }
    }

    /// Returns whether registration is open at `now` for the whole term.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        Window { opens_at: self.opens_at, closes_at: self.closes_at }.is_open(now)
    }

    /// Returns whether registration is open at `now` for the whole term or for one of its groups.
    #[must_use]
    pub fn is_open_for_anyone(&self, now: Timestamp) -> bool {
        let is_open = |group: &GroupWindow| self.opens_at.is_some() && self.window_of_group(group).is_open(now);
        self.is_open(now) || self.windows.iter().any(is_open)
    }

    /// Returns the window of a student: a personal time takes precedence over that of a group, which takes precedence
    /// over that of the term. Of several groups, the one whose window opens first counts. A term without `opens_at` is
    /// closed for everyone.
    #[must_use]
    pub fn window_of(&self, facts: Option<&StudentFacts>) -> Window {
        let own = Window { opens_at: self.opens_at, closes_at: self.closes_at };
        let (Some(_), Some(facts)) = (self.opens_at, facts) else { return own };
        let groups = self.windows.iter().filter(|window| facts.is_in_group(&window.group));
        let own = groups.min_by_key(|window| window.opens_at).map_or(own, |group| self.window_of_group(group));
        Window { opens_at: facts.opens_at.or(own.opens_at), closes_at: facts.closes_at.or(own.closes_at) }
    }

    fn window_of_group(&self, group: &GroupWindow) -> Window {
        Window { opens_at: Some(group.opens_at), closes_at: group.closes_at.or(self.closes_at) }
    }
}

/// When registration is open for a student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it opens; `None` if it is closed.
    pub opens_at: Option<Timestamp>,
    /// When it closes; `None` if it stays open.
    pub closes_at: Option<Timestamp>,
}

impl Window {
    /// Returns whether registration is open at `now`: from `opens_at` (included) to `closes_at` (excluded).
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opens_at.is_some_and(|opens| opens <= now) && self.closes_at.is_none_or(|closes| now < closes)
    }
}

/// When registration is open for a group of students.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupWindow {
    /// The group.
    pub group: Box<str>,
    /// When registration opens.
    pub opens_at: Timestamp,
    /// When it closes; `None` if it closes with the term.
    pub closes_at: Option<Timestamp>,
}
