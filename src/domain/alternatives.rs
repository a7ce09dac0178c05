//! The sections that students of a cancelled section may take instead.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::book::TermBook;
use crate::domain::ids::{Crn, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::{Section, SectionState};
use crate::domain::view::TermView;

/// Maximum number of sections that a notice names.
pub const ALTERNATIVES_MAX: usize = 5;

/// The alternatives to cancelled sections, as of a decision. The candidates of each section are found once, because a
/// decision may cancel many sections with many students.
pub(super) struct Alternatives<'b> {
    book: &'b TermBook,
    /// The sections that the batch of the decision has changed so far.
    changed: &'b BTreeMap<Crn, SectionState>,
    candidates: HashMap<Crn, Vec<Arc<Section>>>,
}

impl<'b> Alternatives<'b> {
    pub(super) fn new(book: &'b TermBook, changed: &'b BTreeMap<Crn, SectionState>) -> Self {
        Self { book, changed, candidates: HashMap::new() }
    }

    /// Returns at most [`ALTERNATIVES_MAX`] other sections of the same course and component that have seats: first
    /// those that overlap none of the student's sections, then the rest, each in order of CRN.
    pub(super) fn to(&mut self, cancelled: &Section, student: &UserName) -> Vec<Arc<Section>> {
        let crn = &cancelled.id.crn;
        if !self.candidates.contains_key(crn) {
            self.candidates.insert(crn.clone(), self.with_seats(cancelled));
        }
        let candidates = self.candidates.get(crn).map_or(&[][..], Vec::as_slice);
        if candidates.is_empty() {
            return Vec::new();
        }
        let own = self.book.registrations(student).iter().filter(|one| one.is_registered() && one.crn != *crn);
        let own: Vec<&SectionState> = own.filter_map(|one: &Registration| self.state(&one.crn)).collect();
        let fits = |section: &Section| !own.iter().any(|held| !held.is_cancelled() && held.section.overlaps(section));
        let (fitting, other): (Vec<_>, Vec<_>) = candidates.iter().cloned().partition(|section| fits(section));
        fitting.into_iter().chain(other).take(ALTERNATIVES_MAX).collect()
    }

    fn state(&self, crn: &Crn) -> Option<&'b SectionState> {
        self.changed.get(crn).or_else(|| self.book.section(crn))
    }

    fn with_seats(&self, cancelled: &Section) -> Vec<Arc<Section>> {
        let unchanged = self.book.sections().filter(|state| !self.changed.contains_key(&state.section.id.crn));
        let all = unchanged.chain(self.changed.values());
        let same = all.filter(|state| state.section.id != cancelled.id && state.section.same_course(cancelled));
        let mut found: Vec<_> =
            same.filter(|state| state.open_seats() > 0).map(|state| state.section.clone()).collect();
        found.sort_by(|a, b| a.id.crn.cmp(&b.id.crn));
        found
    }
}
