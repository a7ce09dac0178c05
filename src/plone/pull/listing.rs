//! Listing of what visitors of Plone see of one kind of content. A cheap look asks for what was modified and for the
//! total, and everything is listed when that total does not match.
//!
//! A workflow transition does not change when an item was modified, and a deleted item leaves no trace, so a matching
//! total proves nothing. Catalogues are therefore listed whole at each pull, unless that occupies Plone for too long
//! (0.65 ms for each item: 2.3 s for 3,465).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::plone::port::{ContentKind, Hit, HitPage, Plone, Viewer};

use crate::plone::pull::PullError;
use crate::plone::pull::status::PullFindings;

/// Largest catalogue that every pull lists whole, at a sixth of a second of Plone's time.
const ALWAYS_FULL_MAX: usize = 250;
/// Fraction of the time that listing a larger catalogue may take. When it takes longer, only every second, third… pull
/// lists it whole.
const FULL_SHARE: f64 = 0.1;
/// Most items of one kind, a bound on memory.
pub(super) const ITEMS_MAX: usize = 100_000;
/// Overlap of two looks: what was modified is requested from this long before the newest known modification, since a
/// change becomes visible when its transaction ends and has an earlier time.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// Attempts to read a list that changes while it is read.
const ATTEMPTS: usize = 3;
/// Plone's times are in seconds: after this long, another change has another time.
const SECOND_IS_OVER: Duration = Duration::from_secs(2);

/// The listing of one kind of content.
pub(super) struct Listing {
    kind: ContentKind,
    /// Time between two pulls.
    every: Duration,
    visible: HashMap<String, Hit>,
    /// Broken entries of the index when everything was last listed.
    unreadable: usize,
    /// Pulls until everything is listed, whether or not the total matches.
    partial_pulls_left: usize,
    /// Items that were read in the second of their last modification, with the time of that read: they are read once
    /// more.
    recently_modified: HashMap<String, (Timestamp, Instant)>,
}

impl Listing {
    /// Creates an empty listing; the first refresh lists everything.
    pub(super) fn new(kind: ContentKind, every: Duration) -> Self {
        Self { kind, every, visible: HashMap::new(), unreadable: 0, partial_pulls_left: 0, recently_modified: HashMap::new() }
    }

    /// Refreshes the listing; with `whole`, lists everything. Returns true when everything was listed and was readable:
    /// only then an item that is missing is not visible.
    pub(super) async fn refresh(
        &mut self,
        plone: &Arc<dyn Plone>,
        whole: bool,
        found: &mut PullFindings,
    ) -> Result<bool, PullError> {
        if whole || self.partial_pulls_left == 0 || !self.refresh_modified(plone).await? {
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
            let reason = format!("{} entries have no UID, address or time: rebuild the index", self.unreadable);
            found.problem("/portal_catalog", reason);
        }
    }

    /// Adds what was modified. Returns false when the total does not match then.
    async fn refresh_modified(&mut self, plone: &Arc<dyn Plone>) -> Result<bool, PullError> {
        let newest = self.newest().and_then(|newest| newest.checked_sub(OVERLAP).ok());
        let Some(since) = newest else { return Ok(false) };
        for hit in search_all_pages(plone, &Viewer::Visitor, self.kind, Some(since)).await?.hits {
            self.visible.insert(hit.uid.clone(), hit);
        }
        // The last page is enough to learn the total.
        let known = self.visible.len();
        let last = u32::try_from(known.saturating_sub(1)).unwrap_or(u32::MAX);
        let page = plone.search(Viewer::Visitor, self.kind, None, last).await?;
        Ok(usize::try_from(page.total) == Ok(known + self.unreadable))
    }

    fn newest(&self) -> Option<Timestamp> {
        self.visible.values().map(|hit| hit.modified).max()
    }

    /// Returns what visitors see, in order of path.
    pub(super) fn hits(&self) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self.visible.values().cloned().collect();
        hits.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        hits
    }

    pub(super) fn len(&self) -> usize {
        self.visible.len()
    }

    /// Returns true when visitors see the item of this UID.
    pub(super) fn contains(&self, uid: &str) -> bool {
        self.visible.contains_key(uid)
    }

    /// Returns the path of the item of this UID, if visitors see it.
    pub(super) fn path(&self, uid: &str) -> Option<&str> {
        self.visible.get(uid).map(|hit| hit.path.as_str())
    }

    /// Returns true when an item in this state may have changed after it was read, within the same second.
    pub(super) fn may_have_changed(&self, hit: &Hit) -> bool {
        self.recently_modified.get(&hit.uid).is_some_and(|(modified, _)| *modified == hit.modified)
    }

    /// Records that an item was read now, after it was listed in this state.
    pub(super) fn was_read(&mut self, hit: &Hit) {
        // Once Plone's clock has reached a later second, no further change can have the time of this item.
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

/// Returns the number of pulls that do not list everything, after listing `items` took this long.
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
    /// Broken entries of the index.
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

/// Lists everything of a kind that `viewer` sees.
pub(super) async fn list_all(plone: &Arc<dyn Plone>, viewer: &Viewer, kind: ContentKind) -> Result<SearchResult, PullError> {
    search_all_pages(plone, viewer, kind, None).await
}

/// Reads all pages of a search. An item that is added or removed meanwhile moves others from page to page; then all
/// pages are read again, so that no item is missed.
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
    fn large_catalogues_are_listed_whole_less_often() {
        let half_a_minute = Duration::from_secs(30);
        for (items, took_ms, without) in
            [(250, 60_000, 0), (296, 200, 0), (3_465, 2_300, 0), (20_000, 13_000, 4), (100_000, 65_000, 21)]
        {
            let took = Duration::from_millis(took_ms);
            assert_eq!(pulls_between_full(items, took, half_a_minute), without, "{items} items in {took_ms} ms");
        }
    }
}
