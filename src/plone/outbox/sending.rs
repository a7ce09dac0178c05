//! One entry of the outbox on its way to Plone, and what becomes of it.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::domain::ids::SectionId;
use crate::plone::port::{BridgeError, PloneError};
use crate::store::StoreError;
use crate::store::outbox::{OutboxEntry, PloneItem, Written};

use crate::plone::outbox::deps::{OutboxDeps, SECTION_PAUSE};
use crate::plone::outbox::roster_guard::RosterGuard;
use crate::plone::outbox::status::OutboxGauge;
use crate::plone::outbox::wanted::{Definition, Names, difference, whole};

/// The first and the longest pause before a section that did not work is tried again.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How often an item that Plone does not find is looked for: the pulls of about two minutes, which learn where it was
/// moved or that it was deleted.
const LOST_TRIES_MAX: u32 = 8;
/// How often Plone may fail at one section before it is put aside, while it takes what other sections write: some
/// minutes, in which a fault of Plone as a whole passes.
const FAULTS_MAX: u32 = 8;
/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 500;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Plone has it.
    Written,
    /// There was nothing to write.
    Nothing,
    /// Plone refuses it for good; it is put aside.
    Refused,
    /// It did not work; it is tried again.
    Failed,
}

/// A pause with full jitter: anything from nothing to `min` doubled with each failure, up to `max`. So a thousand
/// sections that failed together do not come back together.
pub(super) fn backoff(min: Duration, max: Duration, failures: u32) -> Duration {
    let doubled = min.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(max).mul_f64(rand::random_range(0.0..=1.0))
}

/// Sends entries.
pub(super) struct Sender {
    deps: OutboxDeps,
    definition: Definition,
    gauge: Arc<OutboxGauge>,
    guard: Arc<RosterGuard>,
    started_at: Timestamp,
    /// Fields that were told of as missing in the college's type.
    told: Mutex<BTreeSet<SectionField>>,
    /// Sections at which Plone fails, since the start.
    faults: Mutex<HashMap<SectionId, Faults>>,
}

/// How often in a row Plone failed at a section.
#[derive(Debug, Clone, Copy)]
struct Faults {
    count: u32,
    /// All writes that Plone took, before the first of them.
    sent_before: u64,
}

impl Sender {
    pub(super) fn new(
        deps: OutboxDeps,
        definition: Definition,
        gauge: Arc<OutboxGauge>,
        guard: Arc<RosterGuard>,
    ) -> Self {
        let started_at = deps.clock.now();
        Self { deps, definition, gauge, guard, started_at, told: Mutex::default(), faults: Mutex::default() }
    }

    /// Brings one entry to Plone.
    pub(super) async fn send(&self, entry: OutboxEntry) -> Ended {
        let ended = self.attempt(&entry).await;
        if ended != Ended::Failed {
            self.faults().remove(&entry.section);
        }
        ended
    }

    async fn attempt(&self, entry: &OutboxEntry) -> Ended {
        match self.deliver(entry).await {
            Ok(ended) => ended,
            Err(BridgeError::Store(error)) => {
                log::warn!("{}: what became of its write to Plone cannot be kept: {error}", entry.section);
                Ended::Failed
            }
            Err(BridgeError::Plone(error)) => match self.failed(entry, error).await {
                Ok(ended) => ended,
                Err(error) => {
                    log::warn!("{}: that its write to Plone failed cannot be kept: {error}", entry.section);
                    Ended::Failed
                }
            },
        }
    }

    async fn deliver(&self, entry: &OutboxEntry) -> Result<Ended, BridgeError> {
        let (item, is_new) = match &entry.item {
            Some(item) if item.deleted => return self.nothing(entry).await,
            Some(item) => (item.clone(), false),
            // What Plone does not show any more is not made there again.
            None if self.definition == Definition::StaffsOnly || entry.state.section.withdrawn => {
                return self.nothing(entry).await;
            }
            None => (self.create(entry).await?, true),
        };
        let state = self.guard.state();
        // What a run before this one was sending, and what failed, may have got there or not.
        let in_doubt = !is_new && (entry.attempts > 0 || entry.queued_at < self.started_at);
        let found = difference(entry, &item, state.names(), self.definition, in_doubt);
        self.tell_absent(&found.absent);
        if item.fields.contains_key(&SectionField::Roster) {
            self.guard.withheld(state.names()).await;
        }
        if found.fields.is_empty() {
            if is_new {
                return self.sent(entry, item, Fields::new()).await;
            }
            return self.nothing(entry).await;
        }
        self.deps.plone.write_section(&item.path, &found.fields).await?;
        let ended = self.sent(entry, item, found.fields).await?;
        if state.names() == Names::Written && self.guard.state().names() != Names::Written {
            // Who can read them was found out meanwhile, by whoever looked for sections with names when this one was
            // not among them yet. It is asked for after what was written is kept: so one of both sees the other.
            self.deps.store.mark(vec![entry.section.clone()], self.deps.clock.now()).await?;
        }
        Ok(ended)
    }

    /// Makes the section in Plone. One that is there by this name already is answered as it is.
    async fn create(&self, entry: &OutboxEntry) -> Result<PloneItem, BridgeError> {
        let id = &entry.section;
        let short_name = format!("{}-{}", id.term, id.crn).to_lowercase();
        // Names come when it is known that the item has a field for them.
        let fields = whole(entry, Names::Withheld);
        self.deps.store.creating(id, fields.clone()).await?;
        let made = self.deps.plone.create_section(&short_name, &fields).await?;
        let is_another = |field, ours: &str| match made.fields.get(&field) {
            Some(FieldValue::Text(theirs)) => theirs != ours,
            _ => false,
        };
        if is_another(SectionField::Term, id.term.as_str()) || is_another(SectionField::Crn, id.crn.as_str()) {
            let words = format!("{} is there already and says that it is another section", made.path);
            return Err(PloneError::Refused(words).into());
        }
        self.gauge.created.fetch_add(1, Ordering::Relaxed);
        let item = PloneItem {
            section: id.clone(),
            uid: made.uid,
            path: made.path,
            modified: made.modified,
            fields: made.fields,
            deleted: false,
        };
        self.deps.store.put_items(vec![item.clone()]).await?;
        Ok(item)
    }

    async fn nothing(&self, entry: &OutboxEntry) -> Result<Ended, BridgeError> {
        self.deps.store.drop_entry(&entry.section, entry.version).await?;
        Ok(Ended::Nothing)
    }

    async fn sent(&self, entry: &OutboxEntry, item: PloneItem, fields: Fields) -> Result<Ended, BridgeError> {
        let next_at = after(self.deps.clock.now(), SECTION_PAUSE);
        let written = Written { seen: item, fields, version: entry.version, read_at: entry.read_at };
        self.deps.store.sent(written, next_at).await?;
        self.gauge.sent.fetch_add(1, Ordering::Relaxed);
        Ok(Ended::Written)
    }

    async fn failed(&self, entry: &OutboxEntry, error: PloneError) -> Result<Ended, StoreError> {
        let (store, now) = (&self.deps.store, self.deps.clock.now());
        self.gauge.failed.fetch_add(1, Ordering::Relaxed);
        match error {
            // Nothing was sent, and it is not this section's fault.
            PloneError::Busy | PloneError::Open => Ok(Ended::Failed),
            PloneError::NotFound if entry.attempts < LOST_TRIES_MAX => self.later(entry, now).await,
            PloneError::NotFound => {
                let path = entry.item.as_ref().map_or("the folder of the sections", |item| &item.path);
                let words = format!("Plone has nothing at {path} any more, or does not show it to the hub.");
                self.put_aside(entry, words, now).await
            }
            PloneError::Forbidden | PloneError::Refused(_) => self.put_aside(entry, error.to_string(), now).await,
            // The hub's own sign-in: every section would be refused.
            PloneError::Unauthenticated | PloneError::Locked(_) => {
                log::error!("nothing can be written to Plone as the hub's user: {error}");
                store.later(&entry.section, after(now, backoff(RETRY_MIN, RETRY_MAX, entry.attempts + 1))).await?;
                Ok(Ended::Failed)
            }
            PloneError::Failed(_) if self.is_its_own_fault(entry) => {
                self.put_aside(entry, error.to_string(), now).await
            }
            PloneError::Unavailable(_) | PloneError::Failed(_) | PloneError::Occupied(_) => {
                log::debug!("{}: tried again later: {error}", entry.section);
                self.later(entry, now).await
            }
        }
    }

    /// Counts a fault of Plone at this section; true when it is the section's: Plone has taken others meanwhile, and
    /// failed at this one time and again.
    fn is_its_own_fault(&self, entry: &OutboxEntry) -> bool {
        let sent = self.gauge.sent.load(Ordering::Relaxed);
        let mut faults = self.faults();
        let of = faults.entry(entry.section.clone()).or_insert(Faults { count: 0, sent_before: sent });
        of.count = of.count.saturating_add(1);
        of.count >= FAULTS_MAX && sent > of.sent_before
    }

    fn faults(&self) -> MutexGuard<'_, HashMap<SectionId, Faults>> {
        self.faults.lock()
    }

    async fn later(&self, entry: &OutboxEntry, now: Timestamp) -> Result<Ended, StoreError> {
        let pause = backoff(RETRY_MIN, RETRY_MAX, entry.attempts + 1);
        self.deps.store.later(&entry.section, after(now, pause)).await?;
        Ok(Ended::Failed)
    }

    async fn put_aside(&self, entry: &OutboxEntry, reason: String, now: Timestamp) -> Result<Ended, StoreError> {
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        log::error!("{} is not written to Plone until staff send it again: {reason}", entry.section);
        self.deps.store.put_aside(&entry.section, entry.version, reason, now).await?;
        Ok(Ended::Refused)
    }

    /// Tells once of each field that the college's type does not have.
    fn tell_absent(&self, absent: &[SectionField]) {
        let mut told = self.told.lock();
        for field in absent {
            if told.insert(*field) {
                log::warn!("sections in Plone have no field for `{}`: it is not written", field.as_str());
            }
        }
    }
}

fn after(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    now.saturating_add(pause).unwrap_or(now)
}
