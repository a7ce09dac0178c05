//! What visitors of Plone see of one kind of content, followed at little cost: what was modified, how many there are in
//! all, and everything as soon as that number is not the one that follows from what is known.
//!
//! A workflow transition does not change when an item was modified, and an item that was deleted leaves no trace. So a
//! number that fits is no proof, and catalogues are listed whole each time, unless that keeps Plone busy for too long
//! (0.65 ms for each item: 2.3 s for 3,465).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::plone::port::{ContentKind, Hit, HitPage, Plone, Viewer};

use crate::plone::pull::PullError;
use crate::plone::pull::status::Found;

/// Items that every pull lists whole, at a sixth of a second of Plone's time.
const WHOLE_EACH_PULL: usize = 250;
/// Listing larger catalogues whole may take this part of the time; where it takes longer, it is done in every second,
/// third… pull only.
const WHOLE_SHARE: f64 = 0.1;
/// Items of one kind at most, for the sake of memory.
pub(super) const ITEMS_MAX: usize = 100_000;
/// What was modified is asked for from this long before the newest that is known: a change becomes visible when its
/// transaction ends, not at the time that it bears.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// A list that changes while it is read is read again this often.
const TRIES: usize = 3;
/// Plone's times are in seconds: after this long, another change bears another time.
const SECOND_IS_OVER: Duration = Duration::from_secs(2);

/// One kind of content, as visitors see it.
pub(super) struct Listing {
    kind: ContentKind,
    /// The time between two pulls.
    every: Duration,
    visible: HashMap<String, Hit>,
    /// Entries that could not be read when everything was last listed.
    unreadable: usize,
    /// Pulls until everything is listed, whatever the numbers say.
    whole_in: usize,
    /// Items whose newest modification was read within the second that it bears: they are read once more.
    fresh: HashMap<String, (Timestamp, Instant)>,
}

impl Listing {
    /// Nothing is known yet: the first look lists everything.
    pub(super) fn new(kind: ContentKind, every: Duration) -> Self {
        Self { kind, every, visible: HashMap::new(), unreadable: 0, whole_in: 0, fresh: HashMap::new() }
    }

    /// Looks at Plone; with `whole` at everything. True when everything was listed and could be read: only then what is
    /// not visible is not there.
    pub(super) async fn refresh(
        &mut self,
        plone: &Arc<dyn Plone>,
        whole: bool,
        found: &mut Found,
    ) -> Result<bool, PullError> {
        if whole || self.whole_in == 0 || !self.follow(plone).await? {
            let began = Instant::now();
            let all = everything(plone, &Viewer::Visitor, self.kind).await?;
            self.unreadable = all.unreadable;
            self.visible = all.by_uid();
            self.whole_in = pulls_without(self.visible.len(), began.elapsed(), self.every);
            self.fresh.retain(|uid, _| self.visible.contains_key(uid));
            self.tell_unreadable(found);
            return Ok(self.unreadable == 0);
        }
        self.whole_in -= 1;
        self.tell_unreadable(found);
        Ok(false)
    }

    fn tell_unreadable(&self, found: &mut Found) {
        if self.unreadable > 0 {
            let reason = format!("{} entries have no UID, address or time: rebuild the index", self.unreadable);
            found.problem("/portal_catalog", reason);
        }
    }

    /// Takes in what was modified; false when there are not as many items then as there should be.
    async fn follow(&mut self, plone: &Arc<dyn Plone>) -> Result<bool, PullError> {
        let newest = self.newest().and_then(|newest| newest.checked_sub(OVERLAP).ok());
        let Some(since) = newest else { return Ok(false) };
        for hit in pages(plone, &Viewer::Visitor, self.kind, Some(since)).await?.hits {
            self.visible.insert(hit.uid.clone(), hit);
        }
        // The last page is enough to learn how many there are.
        let known = self.visible.len();
        let last = u32::try_from(known.saturating_sub(1)).unwrap_or(u32::MAX);
        let page = plone.search(Viewer::Visitor, self.kind, None, last).await?;
        Ok(usize::try_from(page.total) == Ok(known + self.unreadable))
    }

    fn newest(&self) -> Option<Timestamp> {
        self.visible.values().map(|hit| hit.modified).max()
    }

    /// What visitors see, in order of path.
    pub(super) fn hits(&self) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self.visible.values().cloned().collect();
        hits.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        hits
    }

    pub(super) fn len(&self) -> usize {
        self.visible.len()
    }

    /// Whether visitors see the item of this UID.
    pub(super) fn shows(&self, uid: &str) -> bool {
        self.visible.contains_key(uid)
    }

    /// Where visitors see the item of this UID, if they do.
    pub(super) fn path(&self, uid: &str) -> Option<&str> {
        self.visible.get(uid).map(|hit| hit.path.as_str())
    }

    /// Whether an item that was read in this state may have changed within the same second.
    pub(super) fn is_fresh(&self, hit: &Hit) -> bool {
        self.fresh.get(&hit.uid).is_some_and(|(modified, _)| *modified == hit.modified)
    }

    /// Notes that an item was read now, after it had been listed in this state.
    pub(super) fn was_read(&mut self, hit: &Hit) {
        // When Plone's clock has reached a later second, nothing more happens in the one of this item.
        let is_over = self.newest().is_some_and(|newest| newest > hit.modified);
        match self.fresh.entry(hit.uid.clone()) {
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

/// How many pulls do without listing everything, after listing so many items took so long.
fn pulls_without(items: usize, took: Duration, every: Duration) -> usize {
    if items <= WHOLE_EACH_PULL {
        return 0;
    }
    // Whole pulls: a conversion that saturates, of a number that is never negative.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded, and never negative")]
    let pulls = (took.as_secs_f64() / (every.as_secs_f64().max(0.001) * WHOLE_SHARE)) as usize;
    pulls
}

/// What a search found on all its pages.
#[derive(Default)]
pub(super) struct All {
    hits: Vec<Hit>,
    /// What else was found.
    pub(super) unreadable: usize,
}

impl All {
    fn len(&self) -> usize {
        self.hits.len() + self.unreadable
    }

    pub(super) fn by_uid(self) -> HashMap<String, Hit> {
        self.hits.into_iter().map(|hit| (hit.uid.clone(), hit)).collect()
    }
}

/// Everything of a kind that `viewer` sees.
pub(super) async fn everything(plone: &Arc<dyn Plone>, viewer: &Viewer, kind: ContentKind) -> Result<All, PullError> {
    pages(plone, viewer, kind, None).await
}

/// All pages of a search. An item that comes or goes meanwhile moves others from page to page: then it is read again, so
/// that none is missed.
async fn pages(
    plone: &Arc<dyn Plone>,
    viewer: &Viewer,
    kind: ContentKind,
    since: Option<Timestamp>,
) -> Result<All, PullError> {
    for _ in 0..TRIES {
        let mut all = All::default();
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
    Err(PullError::Restless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_listed_each_time_unless_that_takes_too_much_of_plones_time() {
        let half_a_minute = Duration::from_secs(30);
        for (items, took_ms, without) in
            [(250, 60_000, 0), (296, 200, 0), (3_465, 2_300, 0), (20_000, 13_000, 4), (100_000, 65_000, 21)]
        {
            let took = Duration::from_millis(took_ms);
            assert_eq!(pulls_without(items, took, half_a_minute), without, "{items} items in {took_ms} ms");
        }
    }
}
