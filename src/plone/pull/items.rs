//! Which item of Plone belongs to which section.

use std::collections::HashMap;

use crate::domain::fields::Fields;
use crate::domain::ids::SectionId;
use crate::store::outbox::PloneItem;

use crate::plone::pull::listing::Listing;

/// Known items, by UID and by section.
pub(super) struct KnownItems {
    by_uid: HashMap<String, PloneItem>,
    uid_of: HashMap<SectionId, String>,
    /// Items as the store had them when the pull started.
    stored: HashMap<SectionId, PloneItem>,
    /// Fields with which sections without an item were about to be created in Plone.
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

    /// Returns an item with what the store had of its section when the pull started.
    pub(super) fn pulled(&self, item: PloneItem) -> (Option<PloneItem>, PloneItem) {
        (self.stored.get(&item.section).cloned(), item)
    }

    /// Returns the fields of the item of this UID, as this section, when it was last pulled or written. For an unknown
    /// item, returns the fields with which the hub was about to create the section.
    pub(super) fn last(&self, uid: &str, section: &SectionId) -> Option<&Fields> {
        match self.by_uid.get(uid) {
            Some(item) => (item.section == *section).then_some(&item.fields),
            None => self.creations.get(section),
        }
    }

    /// Detaches an item from its section when it identifies itself as another section now. Returns the item as it was.
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
    /// The path of another item that visitors see as this section already.
    pub(super) fn attach(&mut self, uid: &str, section: &SectionId, listing: &Listing) -> Result<(), String> {
        if let Some(other) = self.uid_of.get(section).filter(|of| *of != uid) {
            if let Some(path) = listing.path(other) {
                return Err(path.to_owned());
            }
            // The other item is not visible and belongs to no section any more; the section is not withdrawn for it.
            self.by_uid.remove(other);
        }
        self.uid_of.insert(section.clone(), uid.to_owned());
        Ok(())
    }

    /// Returns true when an item belongs to this section.
    pub(super) fn has(&self, section: &SectionId) -> bool {
        self.uid_of.contains_key(section)
    }

    /// Adds an item as it was stored.
    pub(super) fn put(&mut self, item: PloneItem) {
        self.uid_of.insert(item.section.clone(), item.uid.clone());
        self.by_uid.insert(item.uid.clone(), item);
    }
}

/// Returns the deleted item that stays at a section after its item became another section. It has a name that no UID
/// has, since the UID belongs to the other section now.
pub(super) fn tombstone(item: &PloneItem) -> PloneItem {
    PloneItem { uid: format!("{}@{}", item.uid, item.section), deleted: true, ..item.clone() }
}
