//! Which item of Plone is which section's.

use std::collections::HashMap;

use crate::domain::fields::Fields;
use crate::domain::ids::SectionId;
use crate::store::outbox::PloneItem;

use crate::plone::pull::listing::Listing;

/// The items that are known, found by UID and by section.
pub(super) struct Known {
    by_uid: HashMap<String, PloneItem>,
    uid_of: HashMap<SectionId, String>,
    /// As the store had them when the pull began.
    stored: HashMap<SectionId, PloneItem>,
    /// What sections without an item were to be made with in Plone.
    pub(super) creations: HashMap<SectionId, Fields>,
}

impl Known {
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

    /// An item beside what the store had of its section when the pull began.
    pub(super) fn pulled(&self, item: PloneItem) -> (Option<PloneItem>, PloneItem) {
        (self.stored.get(&item.section).cloned(), item)
    }

    /// What the item of this UID had as this section when it was last pulled or written: of one that is not known, what
    /// the hub was about to make the section with.
    pub(super) fn last(&self, uid: &str, section: &SectionId) -> Option<&Fields> {
        match self.by_uid.get(uid) {
            Some(item) => (item.section == *section).then_some(&item.fields),
            None => self.creations.get(section),
        }
    }

    /// Takes an item off its section, when it says of itself that it is another one now; answers what it was.
    pub(super) fn release(&mut self, uid: &str, section: &SectionId) -> Option<PloneItem> {
        let item = self.by_uid.get(uid).filter(|item| item.section != *section)?.clone();
        if self.uid_of.get(&item.section).is_some_and(|of| of == uid) {
            self.uid_of.remove(&item.section);
        }
        Some(item)
    }

    /// Gives a section to an item, unless another one that visitors see is that section already: its path.
    pub(super) fn claim(&mut self, uid: &str, section: &SectionId, listing: &Listing) -> Result<(), String> {
        if let Some(other) = self.uid_of.get(section).filter(|of| *of != uid) {
            if let Some(path) = listing.path(other) {
                return Err(path.to_owned());
            }
            // That one is no section's any more: that nobody sees it says nothing of this section.
            self.by_uid.remove(other);
        }
        self.uid_of.insert(section.clone(), uid.to_owned());
        Ok(())
    }

    /// Whether some item is this section.
    pub(super) fn has(&self, section: &SectionId) -> bool {
        self.uid_of.contains_key(section)
    }

    /// Keeps an item as it was put into the store.
    pub(super) fn put(&mut self, item: PloneItem) {
        self.uid_of.insert(item.section.clone(), item.uid.clone());
        self.by_uid.insert(item.uid.clone(), item);
    }
}

/// What is left of an item at a section that it no longer is: deleted, under a name that no UID has, since the UID goes
/// on as another section's.
pub(super) fn left_behind(item: &PloneItem) -> PloneItem {
    PloneItem { uid: format!("{}@{}", item.uid, item.section), deleted: true, ..item.clone() }
}
