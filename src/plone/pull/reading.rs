//! Reads single items, a few concurrently. An item that cannot be read is recorded and skipped. An outage of Plone ends
//! the pull.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};

use crate::plone::port::{Hit, PloneError, PloneFuture};

use crate::plone::problem::ItemProblem;
use crate::plone::pull::PullError;
use crate::plone::pull::listing::Listing;
use crate::plone::pull::status::PullFindings;

/// Maximum number of concurrent reads: half of the default pool, so that users' requests are not blocked.
const READS_IN_FLIGHT_MAX: usize = 4;
/// Maximum number of items that may fail in one call of [`read_all`]. If more fail, the cause is Plone and not the
/// items.
const FAILURES_MAX: usize = 20;

/// Items that could not be applied. They are not read again until their entry in the listing changes.
#[derive(Default)]
pub(super) struct Unreadable(HashMap<String, (Hit, ItemProblem)>);

impl Unreadable {
    /// Returns why an item cannot be applied; `None` if it has changed since, or if it can be applied.
    pub(super) fn reason(&self, hit: &Hit) -> Option<&ItemProblem> {
        self.0.get(&hit.uid).filter(|(known, _)| known == hit).map(|(_, reason)| reason)
    }

    pub(super) fn put(&mut self, hit: &Hit, reason: ItemProblem) {
        self.0.insert(hit.uid.clone(), (hit.clone(), reason));
    }

    pub(super) fn remove(&mut self, hit: &Hit) {
        self.0.remove(&hit.uid);
    }

    /// Removes items that are no longer listed.
    pub(super) fn retain_listed(&mut self, listing: &Listing) {
        self.0.retain(|uid, _| listing.contains(uid));
    }
}

/// Reads items and returns them in the order of their hits. Leaves out items that were deleted after they were listed.
/// Records items that Plone fails to return as problems.
///
/// # Errors
/// If Plone is down, or if more than [`FAILURES_MAX`] items fail.
pub(super) async fn read_all<T>(
    hits: &[Hit],
    read: impl Fn(&Hit) -> PloneFuture<T>,
    found: &mut PullFindings,
) -> Result<Vec<(Hit, T)>, PullError> {
    let mut all = stream::iter(hits).map(|hit| {
        let reading = read(hit);
        async move { (hit, reading.await) }
    });
    let mut all = all.by_ref().buffered(READS_IN_FLIGHT_MAX);
    let (mut items, mut failures) = (Vec::with_capacity(hits.len()), 0);
    while let Some((hit, item)) = all.next().await {
        found.counts.read += 1;
        match item {
            Ok(item) => items.push((hit.clone(), item)),
            Err(PloneError::NotFound) => {}
            // The response for a single item may be unreadable. If Plone is down, the circuit opens after a few calls
            // and ends the pull.
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
                found.problem(&hit.path, error.into());
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
    async fn unreadable_items_are_skipped_counted_and_reported() {
        let reason = || "a response that is not JSON".to_owned();
        for error in [PloneError::Unavailable(reason()), PloneError::Failed(reason()), PloneError::Forbidden] {
            let (read, found) = read(30, 1, error.clone()).await;
            assert_eq!(read.unwrap(), 29);
            assert_eq!((found.counts.skipped, found.problems.len()), (1, 1));
            assert_eq!(
                (&found.problems[0].path, &found.problems[0].reason),
                (&"/courses/0".to_owned(), &ItemProblem::from(error))
            );
        }
    }

    #[tokio::test]
    async fn an_outage_of_plone_ends_the_pull() {
        for error in [PloneError::Open, PloneError::Busy, PloneError::Unauthenticated] {
            assert!(read(30, 1, error).await.0.is_err());
        }
        assert!(read(30, FAILURES_MAX + 1, PloneError::Failed("500".to_owned())).await.0.is_err());
    }
}
