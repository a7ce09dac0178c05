//! Reads items of Plone, a few at a time, and tells apart an item that is bad from a Plone that is not there.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};

use crate::ports::plone::{Hit, PloneError, PloneFuture};

use super::PullError;
use super::listing::Listing;
use super::status::Found;

/// Items that are read at once: half of Plone's pool of connections is left to people.
const READS_AT_ONCE: usize = 4;
/// Items on which Plone fails in one pull: after that many it is Plone that is broken, and not an item.
const FAILURES_MAX: usize = 20;

/// Sections that could not be taken in the state in which they were listed: they are not read again until that
/// changes.
#[derive(Default)]
pub(super) struct Unreadable(HashMap<String, (Hit, String)>);

impl Unreadable {
    /// Why an item cannot be taken, if it is as it was then.
    pub(super) fn reason(&self, hit: &Hit) -> Option<&str> {
        self.0.get(&hit.uid).filter(|(known, _)| known == hit).map(|(_, reason)| reason.as_str())
    }

    pub(super) fn put(&mut self, hit: &Hit, reason: String) {
        self.0.insert(hit.uid.clone(), (hit.clone(), reason));
    }

    pub(super) fn remove(&mut self, hit: &Hit) {
        self.0.remove(&hit.uid);
    }

    /// Forgets what visitors do not see any more.
    pub(super) fn retain_listed(&mut self, listing: &Listing) {
        self.0.retain(|uid, _| listing.shows(uid));
    }
}

/// Reads items, in the order of the hits. What was deleted since it was listed is left out, and an item on which Plone
/// fails is noted as a problem.
pub(super) async fn read_all<T>(
    hits: &[Hit],
    read: impl Fn(&Hit) -> PloneFuture<T>,
    found: &mut Found,
) -> Result<Vec<(Hit, T)>, PullError> {
    let mut all = stream::iter(hits).map(|hit| {
        let reading = read(hit);
        async move { (hit, reading.await) }
    });
    let mut all = all.by_ref().buffered(READS_AT_ONCE);
    let (mut items, mut failures) = (Vec::with_capacity(hits.len()), 0);
    while let Some((hit, item)) = all.next().await {
        found.counts.read += 1;
        match item {
            Ok(item) => items.push((hit.clone(), item)),
            Err(PloneError::NotFound) => {}
            Err(
                error @ (PloneError::Failed(_)
                | PloneError::Occupied(_)
                | PloneError::Refused(_)
                | PloneError::Forbidden),
            ) => {
                failures += 1;
                if failures > FAILURES_MAX {
                    return Err(error.into());
                }
                found.problem(&hit.path, error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(items)
}
