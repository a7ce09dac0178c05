//! Reads of single items, a few at a time. A bad item is recorded and skipped; a Plone that is out of order ends the
//! pull.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};

use crate::plone::port::{Hit, PloneError, PloneFuture};

use crate::plone::pull::PullError;
use crate::plone::pull::listing::Listing;
use crate::plone::pull::status::PullFindings;

/// Most reads in flight: half of the connections are left to users.
const READS_AT_ONCE: usize = 4;
/// Most items at which Plone may fail in one pull: past this, Plone is broken and not the items.
const FAILURES_MAX: usize = 20;

/// Items that could not be applied in the state in which they were listed. They are not read again until that state
/// changes.
#[derive(Default)]
pub(super) struct Unreadable(HashMap<String, (Hit, String)>);

impl Unreadable {
    /// Returns why an item cannot be applied, while it is unchanged.
    pub(super) fn reason(&self, hit: &Hit) -> Option<&str> {
        self.0.get(&hit.uid).filter(|(known, _)| known == hit).map(|(_, reason)| reason.as_str())
    }

    pub(super) fn put(&mut self, hit: &Hit, reason: String) {
        self.0.insert(hit.uid.clone(), (hit.clone(), reason));
    }

    pub(super) fn remove(&mut self, hit: &Hit) {
        self.0.remove(&hit.uid);
    }

    /// Removes items that visitors do not see any more.
    pub(super) fn retain_listed(&mut self, listing: &Listing) {
        self.0.retain(|uid, _| listing.contains(uid));
    }
}

/// Reads items in the order of their hits. An item that was deleted since it was listed is left out, and one at which
/// Plone fails is recorded as a problem.
///
/// # Errors
/// When Plone is out of order.
pub(super) async fn read_all<T>(
    hits: &[Hit],
    read: impl Fn(&Hit) -> PloneFuture<T>,
    found: &mut PullFindings,
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
            // A single item may have no readable response. When Plone is down, the circuit opens soon and ends the
            // pull.
            Err(
                error @ (PloneError::Unavailable(_)
                | PloneError::Failed(_)
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn hits(count: usize) -> Vec<Hit> {
        let hit = |number| Hit {
            uid: format!("u{number}"),
            path: format!("/courses/{number}"),
            modified: "2026-11-24T00:12:32Z".parse().unwrap(),
        };
        (0..count).map(hit).collect()
    }

    /// Reads `count` items, the first `bad` of which fail with `error`.
    async fn read(count: usize, bad: usize, error: PloneError) -> (Result<usize, PullError>, PullFindings) {
        let mut found = PullFindings::default();
        let bad: Vec<String> = (0..bad).map(|number| format!("u{number}")).collect();
        let one = |hit: &Hit| -> PloneFuture<()> {
            let outcome = if bad.contains(&hit.uid) { Err(error.clone()) } else { Ok(()) };
            futures_util::future::ready(outcome).boxed()
        };
        let read = read_all(&hits(count), one, &mut found).await.map(|items| items.len());
        (read, found)
    }

    #[tokio::test]
    async fn an_unreadable_item_is_skipped_counted_and_reported() {
        let words = || "an answer that is no JSON".to_owned();
        for error in [PloneError::Unavailable(words()), PloneError::Failed(words()), PloneError::Forbidden] {
            let (read, found) = read(30, 1, error.clone()).await;
            assert_eq!(read.unwrap(), 29);
            assert_eq!((found.counts.skipped, found.problems.len()), (1, 1));
            assert_eq!(
                (&found.problems[0].path, &found.problems[0].reason),
                (&"/courses/0".to_owned(), &error.to_string())
            );
        }
    }

    #[tokio::test]
    async fn a_plone_that_is_out_of_order_ends_the_pull() {
        for error in [PloneError::Open, PloneError::Busy, PloneError::Unauthenticated] {
            assert!(read(30, 1, error).await.0.is_err());
        }
        assert!(read(30, FAILURES_MAX + 1, PloneError::Failed("500".to_owned())).await.0.is_err());
    }
}
