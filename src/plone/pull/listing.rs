//! Listing of the content of one kind that visitors of Plone can see. A partial refresh requests the recently modified
//! items and the total number. If that number does not match, a full refresh lists all items.
//!
//! A matching total does not prove that the listing is current: a workflow transition does not change an item's time of
//! modification, and a deleted item leaves no trace. So every pull makes a full refresh, unless that takes too much of
//! Plone's time (0.65 ms per item: 2.3 s for 3,465 items).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::plone::port::{ContentKind, Hit, HitPage, Plone, Viewer};
use crate::plone::problem::ItemProblem;

use crate::plone::pull::PullError;
use crate::plone::pull::status::PullFindings;

/// Maximum number of items for which every pull makes a full refresh. It takes a sixth of a second of Plone's time.
const ALWAYS_FULL_MAX: usize = 250;
/// Maximum fraction of the time that full refreshes of a larger catalogue may take. If they would take more, only every
/// second, third, … pull makes one.
const FULL_SHARE: f64 = 0.1;
/// Maximum number of items of one kind, which bounds memory.
pub(super) const ITEMS_MAX: usize = 100_000;
/// Overlap of partial refreshes: items are requested from this long before the newest known time of modification,
/// because a change becomes visible only when its transaction ends, later than its time of modification.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// Number of attempts to read a list that changes while it is read.
const ATTEMPTS: usize = 3;
/// Time after which another change to an item has another time of modification: Plone's times are in seconds.
const SECOND_IS_OVER: Duration = Duration::from_secs(2);

/// The listing of one kind of content.
pub(super) struct Listing {
    kind: ContentKind,
    /// Time between two pulls.
    every: Duration,
    /// The visible items by UID.
    visible: HashMap<String, Hit>,
    /// Number of broken entries of Plone's catalogue in the last full refresh.
    unreadable: usize,
    /// Number of partial refreshes before the next full one.
    partial_pulls_left: usize,
    /// Items that were read within the second of their last modification, with that time and the time of the read. They
    /// are read once more, because they may have changed again within that second.
    recently_modified: HashMap<String, (Timestamp, Instant)>,
}

impl Listing {
    /// Creates an empty listing. The first refresh is a full one.
    pub(super) fn new(kind: ContentKind, every: Duration) -> Self {
        Self {
            kind,
            every,
            visible: HashMap::new(),
            unreadable: 0,
            partial_pulls_left: 0,
            recently_modified: HashMap::new(),
        }
    }

    /// Refreshes the listing; with `full`, always by a full refresh. Returns true after a full refresh without broken
    /// entries. Only then does an item that is not in the listing count as invisible.
    pub(super) async fn refresh(
        &mut self,
        plone: &Arc<dyn Plone>,
        full: bool,
        found: &mut PullFindings,
    ) -> Result<bool, PullError> {
        if full || self.partial_pulls_left == 0 || !self.refresh_modified(plone).await? {
            let began = Instant::now();
            let all = list_all(plone, &Viewer::Visitor, self.kind).await?;
            self.unreadable = all.unreadable;
            self.visible = all.by_uid();
            self.partial_pulls_left = pulls_between_full(self.visible.len(), began.elapsed(), self.every);
            self.recently_modified.retain(|uid, _| self.visible.contains_key(uid));
            self.report_unreadable(found);
            return Ok(self.unreadable == 0);
        }
        self.partial_pulls_left -= 1;
        self.report_unreadable(found);
        Ok(false)
    }

    fn report_unreadable(&self, found: &mut PullFindings) {
        if self.unreadable > 0 {
            found.problem("/portal_catalog", ItemProblem::BrokenEntries { n: self.unreadable as u64 });
        }
    }

    /// Adds the recently modified items. Returns false if the total number does not match afterward.
    async fn refresh_modified(&mut self, plone: &Arc<dyn Plone>) -> Result<bool, PullError> {
        let newest = self.newest().and_then(|newest| newest.checked_sub(OVERLAP).ok());
        let Some(since) = newest else { return Ok(false) };
        for hit in search_all_pages(plone, &Viewer::Visitor, self.kind, Some(since)).await?.hits {
            self.visible.insert(hit.uid.clone(), hit);
        }
        // Every page contains the total, and the last one is the shortest.
        let known = self.visible.len();
        let last = u32::try_from(known.saturating_sub(1)).unwrap_or(u32::MAX);
        let page = plone.search(Viewer::Visitor, self.kind, None, last).await?;
        Ok(usize::try_from(page.total) == Ok(known + self.unreadable))
    }

    fn newest(&self) -> Option<Timestamp> {
        self.visible.values().map(|hit| hit.modified).max()
    }

    /// Returns the visible items in order of path.
    pub(super) fn hits(&self) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self.visible.values().cloned().collect();
        hits.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        hits
    }

    pub(super) fn len(&self) -> usize {
        self.visible.len()
    }

    /// Returns true if the item with this UID is visible.
    pub(super) fn contains(&self, uid: &str) -> bool {
        self.visible.contains_key(uid)
    }

    /// Returns the path of the item with this UID, if it is visible.
    pub(super) fn path(&self, uid: &str) -> Option<&str> {
        self.visible.get(uid).map(|hit| hit.path.as_str())
    }

    /// Returns true if an item may have changed since it was read, within the second of its time of modification.
    pub(super) fn may_have_changed(&self, hit: &Hit) -> bool {
        self.recently_modified.get(&hit.uid).is_some_and(|(modified, _)| *modified == hit.modified)
    }

    /// Records that an item was read now; `hit` is its entry in the listing.
    pub(super) fn was_read(&mut self, hit: &Hit) {
        // Once another item has a later time of modification, no further change can have this item's time.
        let is_over = self.newest().is_some_and(|newest| newest > hit.modified);
        match self.recently_modified.entry(hit.uid.clone()) {
            Entry::Occupied(known) if known.get().0 == hit.modified => {
                if is_over || known.get().1.elapsed() > SECOND_IS_OVER {
                    known.remove();
                }
            }
            Entry::Occupied(mut known) => {
                known.insert((hit.modified, Instant::now()));
            }
            Entry::Vacant(_) if is_over => {}
            Entry::Vacant(new) => {
                new.insert((hit.modified, Instant::now()));
            }
        }
    }
}

/// Returns the number of partial refreshes between two full ones, if a full one lists `items` items in the time `took`.
fn pulls_between_full(items: usize, took: Duration, every: Duration) -> usize {
    if items <= ALWAYS_FULL_MAX {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded, and never negative")]
    let pulls = (took.as_secs_f64() / (every.as_secs_f64().max(0.001) * FULL_SHARE)) as usize;
    pulls
}

/// Result of a search over all its pages.
#[derive(Default)]
pub(super) struct SearchResult {
    hits: Vec<Hit>,
    /// Number of broken entries of Plone's catalogue.
    pub(super) unreadable: usize,
}

impl SearchResult {
    fn len(&self) -> usize {
        self.hits.len() + self.unreadable
    }

    pub(super) fn by_uid(self) -> HashMap<String, Hit> {
        self.hits.into_iter().map(|hit| (hit.uid.clone(), hit)).collect()
    }
}

/// Lists all content of a kind that `viewer` can see.
pub(super) async fn list_all(
    plone: &Arc<dyn Plone>,
    viewer: &Viewer,
    kind: ContentKind,
) -> Result<SearchResult, PullError> {
    search_all_pages(plone, viewer, kind, None).await
}

/// Reads all pages of a search. If the list changes during the read, items move between pages. Then all pages are read
/// again, so that no item is missed.
async fn search_all_pages(
    plone: &Arc<dyn Plone>,
    viewer: &Viewer,
    kind: ContentKind,
    since: Option<Timestamp>,
) -> Result<SearchResult, PullError> {
    for _ in 0..ATTEMPTS {
        let mut all = SearchResult::default();
        let total = loop {
            let start = u32::try_from(all.len()).map_err(|_| PullError::TooMany)?;
            let HitPage { items, unreadable, total } = plone.search(viewer.clone(), kind, since, start).await?;
            let is_last = items.is_empty() && unreadable == 0;
            all.hits.extend(items);
            all.unreadable += unreadable;
            if all.len() > ITEMS_MAX {
                return Err(PullError::TooMany);
            }
            if is_last || u64::try_from(all.len()).is_ok_and(|len| len >= total) {
                break total;
            }
        };
        let mut uids: Vec<&str> = all.hits.iter().map(|hit| hit.uid.as_str()).collect();
        uids.sort_unstable();
        uids.dedup();
        if uids.len() == all.hits.len() && u64::try_from(all.len()) == Ok(total) {
            return Ok(all);
        }
    }
    Err(PullError::ListUnstable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_refreshes_of_large_catalogues_are_less_frequent() {
        let every = Duration::from_secs(30);
        for (items, took_ms, partial) in
            [(250, 60_000, 0), (296, 200, 0), (3_465, 2_300, 0), (20_000, 13_000, 4), (100_000, 65_000, 21)]
        {
            let took = Duration::from_millis(took_ms);
            assert_eq!(pulls_between_full(items, took, every), partial, "{items} items in {took_ms} ms");
        }
    }
}
