//! Assignment of Plone's items to sections.

use std::collections::HashMap;

use crate::domain::fields::Fields;
use crate::domain::ids::SectionId;
use crate::store::outbox::PloneItem;

use crate::plone::pull::listing::Listing;

/// The known items by UID and by section.
pub(super) struct KnownItems {
    by_uid: HashMap<String, PloneItem>,
    uid_of: HashMap<SectionId, String>,
    /// The items in the store when the pull started.
    stored: HashMap<SectionId, PloneItem>,
    /// The fields of sections that the outbox is creating in Plone. The outcomes of these creations are not known yet.
    pub(super) creations: HashMap<SectionId, Fields>,
}

impl KnownItems {
    pub(super) fn new(items: Vec<PloneItem>) -> Self {
        let uid_of = items.iter().map(|item| (item.section.clone(), item.uid.clone())).collect();
        let stored = items.iter().map(|item| (item.section.clone(), item.clone())).collect();
        let by_uid = items.into_iter().map(|item| (item.uid.clone(), item)).collect();
        Self { by_uid, uid_of, stored, creations: HashMap::new() }
    }

    pub(super) fn by_uid(&self, uid: &str) -> Option<&PloneItem> {
        self.by_uid.get(uid)
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &PloneItem> {
        self.by_uid.values()
    }

    /// Returns an item together with the item that the store had for its section when the pull started.
    pub(super) fn pulled(&self, item: PloneItem) -> (Option<PloneItem>, PloneItem) {
        (self.stored.get(&item.section).cloned(), item)
    }

    /// Returns the fields of the item with this UID when it was last pulled or written; `None` if it then belonged to
    /// another section. For an unknown item, returns the fields with which the outbox is creating the section, if any.
    pub(super) fn last(&self, uid: &str, section: &SectionId) -> Option<&Fields> {
        match self.by_uid.get(uid) {
            Some(item) => (item.section == *section).then_some(&item.fields),
            None => self.creations.get(section),
        }
    }

    /// Detaches an item from its former section if its term or CRN has changed. Returns the former state of the item.
    pub(super) fn detach(&mut self, uid: &str, section: &SectionId) -> Option<PloneItem> {
        let item = self.by_uid.get(uid).filter(|item| item.section != *section)?.clone();
        if self.uid_of.get(&item.section).is_some_and(|of| of == uid) {
            self.uid_of.remove(&item.section);
        }
        Some(item)
    }

    /// Attaches an item to a section.
    ///
    /// # Errors
    /// The path of another visible item that is already attached to this section.
    pub(super) fn attach(&mut self, uid: &str, section: &SectionId, listing: &Listing) -> Result<(), String> {
        if let Some(other) = self.uid_of.get(section).filter(|of| *of != uid) {
            if let Some(path) = listing.path(other) {
                return Err(path.to_owned());
            }
            // The other item is not visible. It loses its section, and the section must not be withdrawn because of it.
            self.by_uid.remove(other);
        }
        self.uid_of.insert(section.clone(), uid.to_owned());
        Ok(())
    }

    /// Returns true if an item is attached to this section.
    pub(super) fn has(&self, section: &SectionId) -> bool {
        self.uid_of.contains_key(section)
    }

    /// Adds or replaces an item.
    pub(super) fn put(&mut self, item: PloneItem) {
        self.uid_of.insert(item.section.clone(), item.uid.clone());
        self.by_uid.insert(item.uid.clone(), item);
    }
}

/// Returns a tombstone: a deleted item that represents, for the former section, an item that now belongs to another
/// section. Its UID is one that Plone never assigns, because the real UID belongs to the other section.
pub(super) fn tombstone(item: &PloneItem) -> PloneItem {
    PloneItem { uid: format!("{}@{}", item.uid, item.section), deleted: true, ..item.clone() }
}
