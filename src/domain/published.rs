//! What readers see of a term: all of it after a load, and what changed after each commit.

use std::sync::Arc;

use crate::domain::ids::UserName;
use crate::domain::notice::Notice;
use crate::domain::registration::Registration;
use crate::domain::section::{Place, SectionState};
use crate::domain::term::Term;

/// A section as readers see it.
#[derive(Debug, Clone)]
pub struct PublishedSection {
    /// Definition and numbers.
    pub state: SectionState,
    /// The waitlist, head first.
    pub waitlist: Arc<[Place]>,
}

/// A whole term as readers see it.
#[derive(Debug, Clone)]
pub struct PublishedTerm {
    /// The term.
    pub term: Term,
    /// The sequence of the commit that it shows; 0 for a term that the store does not have yet.
    pub seq: u64,
    /// All sections, in no order.
    pub sections: Vec<PublishedSection>,
    /// All students who ever registered in the term, each with every registration.
    pub students: Vec<(UserName, Arc<[Registration]>)>,
}

/// What a commit changed for readers: final values, each section and each student once.
#[derive(Debug, Clone, Default)]
pub struct TermUpdate {
    /// The sequence of the commit.
    pub seq: u64,
    /// The term, when it changed.
    pub term: Option<Term>,
    /// Sections that changed.
    pub sections: Vec<PublishedSection>,
    /// Students of whom a registration changed, each with every registration.
    pub students: Vec<(UserName, Arc<[Registration]>)>,
    /// Notices to the students concerned, in the order of the decisions.
    pub notices: Vec<Notice>,
    /// Whether the commit stored alerts.
    pub alerts_stored: bool,
}
