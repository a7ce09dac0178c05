//! A term as readers see it: the whole term after a load, and an update after each commit.

use std::sync::Arc;

use crate::domain::command::FactsOfStudent;
use crate::domain::ids::UserName;
use crate::domain::notice::Notice;
use crate::domain::registration::Registration;
use crate::domain::section::{SectionState, WaitlistEntry};
use crate::domain::student::StudentFacts;
use crate::domain::term::Term;

/// A section as readers see it.
#[derive(Debug, Clone)]
pub struct PublishedSection {
    /// Definition and counts.
    pub state: SectionState,
    /// The waitlist, first position first.
    pub waitlist: Arc<[WaitlistEntry]>,
}

/// A whole term as readers see it.
#[derive(Debug, Clone)]
pub struct PublishedTerm {
    /// The term.
    pub term: Term,
    /// The sequence of the last commit; 0 if the store does not have the term yet.
    pub seq: u64,
    /// All sections, in arbitrary order.
    pub sections: Vec<PublishedSection>,
    /// All students who ever registered in the term, each with all registrations.
    pub students: Vec<(UserName, Arc<[Registration]>)>,
    /// What the college states about students.
    pub facts: Vec<(UserName, Arc<StudentFacts>)>,
}

/// The changes of one commit for readers: the final value of each changed section and student.
#[derive(Debug, Clone, Default)]
pub struct TermUpdate {
    /// The sequence of the commit.
    pub seq: u64,
    /// The term, if it changed.
    pub term: Option<Term>,
    /// Sections that changed.
    pub sections: Vec<PublishedSection>,
    /// Students with a registration that changed, each with all registrations.
    pub students: Vec<(UserName, Arc<[Registration]>)>,
    /// Facts about students that changed.
    pub facts: Vec<FactsOfStudent>,
    /// Notices to students, in the order of the decisions.
    pub notices: Vec<Notice>,
    /// Whether the commit stored alerts.
    pub alerts_stored: bool,
}
