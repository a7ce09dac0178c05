//! What is committed, published for whoever reads: handlers and the broker read here and nowhere else. Registrars
//! publish after each commit. Nobody holds a lock while reading: a snapshot is an `Arc`.
//!
//! - [`snapshot`]: a term's sections and their numbers at one commit
//! - [`term_model`]: a term: its newest snapshot, and what each student holds

pub mod snapshot;
pub mod term_model;

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::published::PublishedTerm;
use crate::domain::realm::Realm;
use crate::domain::role::Role;

pub use snapshot::{Row, Snapshot};
pub use term_model::TermModel;

/// Every term as published.
#[derive(Default)]
pub struct ReadModel {
    terms: ArcSwap<BTreeMap<TermId, Arc<TermModel>>>,
    /// Terms of demonstrations, apart: nobody finds one who does not ask for it.
    sandboxes: ArcSwap<BTreeMap<TermId, Arc<TermModel>>>,
    /// Held while the map is exchanged, so that two new terms do not lose each other.
    exchange: Mutex<()>,
}

impl ReadModel {
    /// No term yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All terms, in order of id; sandboxes are none of them.
    #[must_use]
    pub fn terms(&self) -> Arc<BTreeMap<TermId, Arc<TermModel>>> {
        self.terms.load_full()
    }

    /// One term.
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

    /// Returns one term of `realm`; none when the realm does not contain it or it does not exist.
    #[must_use]
    pub fn term_in(&self, realm: &Realm, id: &TermId) -> Option<Arc<TermModel>> {
        match realm {
            Realm::College => self.term(id),
            Realm::Sandbox(own) if own == id => self.sandboxes.load().get(id).cloned(),
            Realm::Sandbox(_) => None,
        }
    }

    /// Whether a demonstration has a sandbox at present.
    #[must_use]
    pub fn has_sandbox(&self) -> bool {
        !self.sandboxes.load().is_empty()
    }

    /// Forgets a sandbox that was removed.
    pub fn forget_sandbox(&self, id: &TermId) {
        let _one_at_a_time = self.exchange.lock();
        let mut sandboxes = (**self.sandboxes.load()).clone();
        sandboxes.remove(id);
        self.sandboxes.store(Arc::new(sandboxes));
    }

    /// A section as published now, with the term's sequence at that commit.
    #[must_use]
    pub fn section(&self, id: &SectionId) -> Option<(Row, u64)> {
        let snapshot = self.term(&id.term)?.snapshot();
        snapshot.row(&id.crn).map(|row| (row.clone(), snapshot.seq))
    }

    /// A section as somebody (none: a visitor) finds it by its id. One that is withdrawn is there for staff and for
    /// whoever holds it.
    #[must_use]
    pub fn section_for(&self, id: &SectionId, who: Option<(&UserName, Role)>) -> Option<(Row, u64)> {
        let (row, seq) = self.section(id)?;
        let found = !row.state.section.withdrawn
            || who.is_some_and(|(user, role)| {
                role >= Role::Staff || self.term(&id.term).is_some_and(|term| term.holds(user, &id.crn))
            });
        found.then_some((row, seq))
    }

    /// Publishes a term as loaded, whatever was published of it before.
    pub fn publish_loaded(&self, loaded: PublishedTerm) -> Arc<TermModel> {
        let _one_at_a_time = self.exchange.lock();
        let id = loaded.term.id.clone();
        let world = if id.is_sandbox() { &self.sandboxes } else { &self.terms };
        if let Some(known) = world.load().get(&id).cloned() {
            known.reload(loaded);
            return known;
        }
        let model = Arc::new(TermModel::new(loaded));
        let mut terms = (**world.load()).clone();
        terms.insert(id, model.clone());
        world.store(Arc::new(terms));
        model
    }
}
