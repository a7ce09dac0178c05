//! Pulls Plone's events into the hub's one-off events. A note in the store lists the known events and their times of
//! modification. It is written before events are stored and after events are removed, so that it always lists all
//! stored events.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::plone::port::{ContentKind, Hit};

use crate::plone::pull::listing::Listing;
use crate::plone::pull::reading::read_all;
use crate::plone::pull::status::PullFindings;
use crate::plone::pull::{PullDeps, PullError};

/// Name of the note.
const NOTE: &str = "pull_events";
/// Number of events that are read and stored together.
const CHUNK_LEN: usize = 100;

/// The known events by UID, each with the second of its last modification; `None` while the event is being stored.
type KnownEvents = BTreeMap<String, Option<i64>>;

/// State of the pull of events.
pub(super) struct Events {
    listing: Listing,
}

/// Returns the hub's id of an event of Plone.
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

    /// Pulls changed events. With `full`, lists all events first.
    pub(super) async fn pull(
        &mut self,
        deps: &PullDeps,
        full: bool,
        found: &mut PullFindings,
    ) -> Result<(), PullError> {
        let note = deps.items.note(NOTE).await?;
        // Without a readable note, all events are read again.
        let mut known: KnownEvents = note.and_then(|note| serde_json::from_str(&note).ok()).unwrap_or_default();
        let is_complete = self.listing.refresh(&deps.plone, full, found).await?;
        // An event that Plone failed to return is not recorded, so the next pull reads it again: the failure may be
        // transient.
        let mut to_read = self.listing.hits();
        to_read.retain(|hit| self.listing.may_have_changed(hit) || known.get(&hit.uid) != Some(&second(hit.modified)));
        for chunk in to_read.chunks(CHUNK_LEN) {
            self.store(chunk, &mut known, deps, found).await?;
        }
        if is_complete {
            self.remove_missing(&mut known, deps, found).await?;
        }
        Ok(())
    }

    async fn store(
        &mut self,
        hits: &[Hit],
        known: &mut KnownEvents,
        deps: &PullDeps,
        found: &mut PullFindings,
    ) -> Result<(), PullError> {
        let read = read_all(hits, |hit| deps.plone.event(&hit.path), found).await?;
        if read.is_empty() {
            return Ok(());
        }
        for (hit, _) in &read {
            self.listing.was_read(hit);
            known.entry(hit.uid.clone()).or_insert(None);
        }
        put_note(known, deps).await?;
        let events = read.iter().map(|(_, event)| event.clone()).collect();
        let tally = deps.events.put_events(events, false).await?;
        found.counts.events_changed += tally.created + tally.updated;
        for (hit, _) in read {
            known.insert(hit.uid, second(hit.modified));
        }
        put_note(known, deps).await
    }

    async fn remove_missing(
        &self,
        known: &mut KnownEvents,
        deps: &PullDeps,
        found: &mut PullFindings,
    ) -> Result<(), PullError> {
        let gone: Vec<String> = known.keys().filter(|uid| !self.listing.contains(uid)).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        deps.events.remove_events(gone.iter().map(|uid| id_of(uid)).collect()).await?;
        found.counts.events_removed += gone.len() as u64;
        known.retain(|uid, _| self.listing.contains(uid));
        put_note(known, deps).await
    }
}

async fn put_note(known: &KnownEvents, deps: &PullDeps) -> Result<(), PullError> {
    // Serializing text and numbers never fails.
    let note = serde_json::to_string(known).unwrap_or_default();
    Ok(deps.items.put_note(NOTE, note).await?)
}
