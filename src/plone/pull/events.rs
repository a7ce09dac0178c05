//! Events of Plone become the hub's one-off events. What is known of them is a note in the store: which there are, and
//! how new each is. It is written before events are put and after they are removed, so that whatever is there is known.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::plone::port::{ContentKind, Hit};

use crate::plone::pull::listing::Listing;
use crate::plone::pull::reading::read_all;
use crate::plone::pull::status::Found;
use crate::plone::pull::{PullDeps, PullError};

/// The name of the note.
const NOTE: &str = "pull_events";
/// Events that are read before they are put.
const CHUNK_LEN: usize = 100;

/// UIDs, with the second in which each was last modified; none while it is being put.
type Noted = BTreeMap<String, Option<i64>>;

/// What is known of events from one pull to the next.
pub(super) struct Events {
    listing: Listing,
}

/// The hub's id of an event of Plone.
fn id_of(uid: &str) -> String {
    format!("plone-{uid}")
}

fn second(at: Timestamp) -> Option<i64> {
    Some(at.as_second())
}

impl Events {
    pub(super) fn new(every: Duration) -> Self {
        Self { listing: Listing::new(ContentKind::Event, every) }
    }

    /// Pulls what changed.
    pub(super) async fn pull(&mut self, deps: &PullDeps, whole: bool, found: &mut Found) -> Result<(), PullError> {
        let note = deps.items.note(NOTE).await?;
        // A note that cannot be read is as good as none: everything is read again.
        let mut noted: Noted = note.and_then(|note| serde_json::from_str(&note).ok()).unwrap_or_default();
        let is_whole = self.listing.refresh(&deps.plone, whole, found).await?;
        // One on which Plone failed is not noted, and so is read again: nobody can tell a fault that stays from one
        // that passes.
        let mut to_read = self.listing.hits();
        to_read.retain(|hit| self.listing.is_fresh(hit) || noted.get(&hit.uid) != Some(&second(hit.modified)));
        for chunk in to_read.chunks(CHUNK_LEN) {
            self.take(chunk, &mut noted, deps, found).await?;
        }
        if is_whole {
            self.remove_what_is_gone(&mut noted, deps, found).await?;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        hits: &[Hit],
        noted: &mut Noted,
        deps: &PullDeps,
        found: &mut Found,
    ) -> Result<(), PullError> {
        let read = read_all(hits, |hit| deps.plone.event(&hit.path), found).await?;
        if read.is_empty() {
            return Ok(());
        }
        for (hit, _) in &read {
            self.listing.was_read(hit);
            noted.entry(hit.uid.clone()).or_insert(None);
        }
        put_note(noted, deps).await?;
        let events = read.iter().map(|(_, event)| event.clone()).collect();
        let tally = deps.events.put_events(events, false).await?;
        found.counts.events_changed += tally.created + tally.updated;
        for (hit, _) in read {
            noted.insert(hit.uid, second(hit.modified));
        }
        put_note(noted, deps).await
    }

    async fn remove_what_is_gone(
        &self,
        noted: &mut Noted,
        deps: &PullDeps,
        found: &mut Found,
    ) -> Result<(), PullError> {
        let gone: Vec<String> = noted.keys().filter(|uid| !self.listing.shows(uid)).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        deps.events.remove_events(gone.iter().map(|uid| id_of(uid)).collect()).await?;
        found.counts.events_removed += gone.len() as u64;
        noted.retain(|uid, _| self.listing.shows(uid));
        put_note(noted, deps).await
    }
}

async fn put_note(noted: &Noted, deps: &PullDeps) -> Result<(), PullError> {
    // A map of text and numbers has a JSON.
    let note = serde_json::to_string(noted).unwrap_or_default();
    Ok(deps.items.put_note(NOTE, note).await?)
}
