//! The read model: the published state of all terms. Registrars publish after each commit; handlers and the broker read
//! terms only here. Readers hold no lock, because a snapshot is an `Arc`.
//!
//! - [`snapshot`]: a term's sections and their counts as of one commit
//! - [`term_model`]: a term's newest snapshot, and the registrations of each student

pub mod snapshot;
pub mod term_model;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::published::PublishedTerm;
use crate::domain::realm::Realm;
use crate::domain::rights::{self, Scope, Subjects};
use crate::domain::role::Role;

pub use snapshot::{Row, Snapshot};
pub use term_model::TermModel;

/// The published state of all terms.
#[derive(Default)]
pub struct ReadModel {
    terms: ArcSwap<BTreeMap<TermId, Arc<TermModel>>>,
    /// The terms of demonstrations, in a separate map, so that only callers of their realm find them.
    sandboxes: ArcSwap<BTreeMap<TermId, Arc<TermModel>>>,
    /// Held while a map is replaced, so that no concurrent change is lost.
    exchange: Mutex<()>,
}

impl ReadModel {
    /// Creates a read model without terms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the college's terms, in order of id, without sandboxes.
    #[must_use]
    pub fn terms(&self) -> Arc<BTreeMap<TermId, Arc<TermModel>>> {
        self.terms.load_full()
    }

    /// Returns one of the college's terms.
    #[must_use]
    pub fn term(&self, id: &TermId) -> Option<Arc<TermModel>> {
        self.terms.load().get(id).cloned()
    }

    /// Returns the terms of `realm`, in order of id.
    #[must_use]
    pub fn terms_in(&self, realm: &Realm) -> Arc<BTreeMap<TermId, Arc<TermModel>>> {
        match realm {
            Realm::College => self.terms(),
            Realm::Sandbox(own) => {
                Arc::new(self.term_in(realm, own).map(|term| (own.clone(), term)).into_iter().collect())
            }
        }
    }

    /// Returns one term of `realm`; `None` when the realm does not contain it or it does not exist.
    #[must_use]
    pub fn term_in(&self, realm: &Realm, id: &TermId) -> Option<Arc<TermModel>> {
        match realm {
            Realm::College => self.term(id),
            Realm::Sandbox(own) if own == id => self.sandboxes.load().get(id).cloned(),
            Realm::Sandbox(_) => None,
        }
    }

    /// Returns whether a sandbox exists at present.
    #[must_use]
    pub fn has_sandbox(&self) -> bool {
        !self.sandboxes.load().is_empty()
    }

    /// Removes a sandbox that was removed from the store.
    pub fn remove_sandbox(&self, id: &TermId) {
        let _guard = self.exchange.lock();
        let mut sandboxes = (**self.sandboxes.load()).clone();
        sandboxes.remove(id);
        self.sandboxes.store(Arc::new(sandboxes));
    }

    /// Returns a section of the newest snapshot, with the snapshot's sequence.
    #[must_use]
    pub fn section(&self, id: &SectionId) -> Option<(Row, u64)> {
        let snapshot = self.term(&id.term)?.snapshot();
        snapshot.row(&id.crn).map(|row| (row.clone(), snapshot.seq))
    }

    /// Returns a section if `caller` (`None`: a visitor) may see it. Only staff and its own students see a withdrawn
    /// section.
    #[must_use]
    pub fn section_for(&self, id: &SectionId, caller: Option<(&UserName, Role)>) -> Option<(Row, u64)> {
        let (row, seq) = self.section(id)?;
        let is_visible = !row.state.section.withdrawn
            || caller.is_some_and(|(user, role)| {
                role >= Role::Staff || self.term(&id.term).is_some_and(|term| term.is_registered(user, &id.crn))
            });
        is_visible.then_some((row, seq))
    }

    /// Returns a section of one of `subjects`, withdrawn or not: staff of these subjects see it.
    #[must_use]
    pub fn section_within(&self, id: &SectionId, subjects: &Subjects) -> Option<(Row, u64)> {
        self.section(id)
            .filter(|(row, _)| rights::check(Some(subjects), &Scope::Subject(row.state.section.subject())).is_ok())
    }

    /// Publishes a term that was loaded, replacing what was published of it before.
    pub fn publish_loaded(&self, loaded: PublishedTerm) -> Arc<TermModel> {
        let _guard = self.exchange.lock();
        let id = loaded.term.id.clone();
        let published = if id.is_sandbox() { &self.sandboxes } else { &self.terms };
        if let Some(known) = published.load().get(&id).cloned() {
            known.reload(loaded);
            return known;
        }
        let model = Arc::new(TermModel::new(loaded));
        let mut terms = (**published.load()).clone();
        terms.insert(id, model.clone());
        published.store(Arc::new(terms));
        model
    }
}
