//! Reads items of Plone, a few at a time, and tells apart an item that is bad from a Plone that is not there.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};

use crate::plone::port::{Hit, PloneError, PloneFuture};

use crate::plone::pull::PullError;
use crate::plone::pull::listing::Listing;
use crate::plone::pull::status::Found;

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
            // Of one item alone there may be no answer that can be read. Where Plone is away, the circuit opens soon.
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

    /// Reads items, of which the first ones are answered so.
    async fn read(count: usize, bad: usize, error: PloneError) -> (Result<usize, PullError>, Found) {
        let mut found = Found::default();
        let bad: Vec<String> = (0..bad).map(|number| format!("u{number}")).collect();
        let one = |hit: &Hit| -> PloneFuture<()> {
            let answer = if bad.contains(&hit.uid) { Err(error.clone()) } else { Ok(()) };
            futures_util::future::ready(answer).boxed()
        };
        let read = read_all(&hits(count), one, &mut found).await.map(|items| items.len());
        (read, found)
    }

    #[tokio::test]
    async fn an_item_that_cannot_be_read_is_skipped_counted_and_told() {
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
    async fn a_plone_that_is_away_or_broken_ends_the_pull() {
        for error in [PloneError::Open, PloneError::Busy, PloneError::Unauthenticated] {
            assert!(read(30, 1, error).await.0.is_err());
        }
        assert!(read(30, FAILURES_MAX + 1, PloneError::Failed("500".to_owned())).await.0.is_err());
    }
}
