//! Writes one entry of the outbox to Plone and records the outcome.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};

use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::domain::ids::{Crn, SectionId};
use crate::plone::port::{BridgeError, PloneError};
use crate::plone::problem::ItemProblem;
use crate::store::StoreError;
use crate::store::outbox::{OutboxEntry, PloneItem, SuccessfulWrite};

use crate::plone::outbox::deps::{OutboxDeps, SECTION_PAUSE};
use crate::plone::outbox::desired_state::{DefinitionScope, Names, all_fields, difference};
use crate::plone::outbox::roster_guard::RosterGuard;
use crate::plone::outbox::status::OutboxGauge;

/// Maximum pause before the first retry of a section. It doubles with each further failure.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Upper bound on the pause before a retry of a section.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Number of retries if Plone does not find the item. They take a minute and a half on average, within which a pull
/// finds out whether the item was moved or deleted.
const NOT_FOUND_TRIES_MAX: u32 = 8;
/// Number of failures of one section, while writes of others succeed, after which the section is put aside.
const FAULTS_MAX: u32 = 8;
/// Maximum length of a stored reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// Outcome of sending an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendOutcome {
    /// The section's state was written.
    Written,
    /// There was nothing to write.
    Nothing,
    /// Plone refused the write permanently. The entry is put aside.
    Refused,
    /// The write failed and is retried.
    Failed,
}

/// Returns a random pause (exponential backoff with full jitter) between 0 and a bound. The bound is `min` after the
/// first failure, doubles with each further one, and is at most `max`. Because of the jitter, sections that failed
/// together are not retried together.
pub(super) fn backoff(min: Duration, max: Duration, failures: u32) -> Duration {
    let doubled = min.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(max).mul_f64(rand::random_range(0.0..=1.0))
}

/// A sender of entries to Plone.
pub(super) struct Sender {
    deps: OutboxDeps,
    scope: DefinitionScope,
    gauge: Arc<OutboxGauge>,
    guard: Arc<RosterGuard>,
    started_at: Timestamp,
    /// Missing fields of the college's type that were already logged.
    reported: Mutex<BTreeSet<SectionField>>,
    /// Consecutive failures by section.
    faults: Mutex<HashMap<SectionId, Faults>>,
}

/// Consecutive failures of one section.
#[derive(Debug, Clone, Copy)]
struct Faults {
    count: u32,
    /// Number of successful writes of all sections before the first of these failures.
    sent_before: u64,
}

impl Sender {
    pub(super) fn new(
        deps: OutboxDeps,
        scope: DefinitionScope,
        gauge: Arc<OutboxGauge>,
        guard: Arc<RosterGuard>,
    ) -> Self {
        let started_at = deps.clock.now();
        Self { deps, scope, gauge, guard, started_at, reported: Mutex::default(), faults: Mutex::default() }
    }

    /// Writes one entry to Plone and records the outcome in the store.
    pub(super) async fn send(&self, entry: OutboxEntry) -> SendOutcome {
        let outcome = self.attempt(&entry).await;
        if outcome != SendOutcome::Failed {
            self.faults().remove(&entry.section);
        }
        outcome
    }

    async fn attempt(&self, entry: &OutboxEntry) -> SendOutcome {
        match self.deliver(entry).await {
            Ok(outcome) => outcome,
            Err(BridgeError::Store(error)) => {
                log::warn!("could not store the outcome of writing {} to Plone: {error}", entry.section);
                SendOutcome::Failed
            }
            Err(BridgeError::Plone(error)) => match self.failed(entry, error).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    log::warn!("could not store that writing {} to Plone failed: {error}", entry.section);
                    SendOutcome::Failed
                }
            },
        }
    }

    async fn deliver(&self, entry: &OutboxEntry) -> Result<SendOutcome, BridgeError> {
        let (item, is_new) = match &entry.item {
            Some(item) if item.deleted => return self.nothing(entry).await,
            Some(item) => (item.clone(), false),
            // A withdrawn section must not be created in Plone again.
            None if self.scope == DefinitionScope::StaffChanges || entry.state.section.withdrawn => {
                return self.nothing(entry).await;
            }
            None => (self.create(entry).await?, true),
        };
        let state = self.guard.state();
        // An earlier attempt, or a write under an earlier tenure, may or may not have taken effect.
        let is_uncertain = !is_new && (entry.attempts > 0 || entry.queued_at < self.started_at);
        let found = difference(entry, &item, state.names(), self.scope, is_uncertain);
        self.report_absent(&found.absent);
        if item.fields.contains_key(&SectionField::Roster) {
            self.guard.note_names(state.names()).await;
        }
        if found.fields.is_empty() {
            if is_new {
                return self.sent(entry, item, Fields::new()).await;
            }
            return self.nothing(entry).await;
        }
        if !self.deps.tenure.is_current() {
            // Another hub may write to Plone by now.
            return Ok(SendOutcome::Failed);
        }
        self.deps.plone.write_section(&item.path, &found.fields).await?;
        let outcome = self.sent(entry, item, found.fields).await?;
        if state.names() == Names::Written && self.guard.state().names() != Names::Written {
            // The guard found a reader during this write. It may have marked the sections with names before this write
            // was stored, and so have missed this section. Checking the state after storing the write closes this gap.
            self.deps.store.mark(vec![entry.section.clone()], self.deps.clock.now()).await?;
        }
        Ok(outcome)
    }

    /// Creates the section in Plone. If an item with its short name exists, returns that item unchanged, or an error if
    /// it is another section.
    async fn create(&self, entry: &OutboxEntry) -> Result<PloneItem, BridgeError> {
        let id = &entry.section;
        let short_name = format!("{}-{}", id.term, id.crn).to_lowercase();
        // Names are written later, if the item has a roster field.
        let fields = all_fields(entry, Names::Withheld);
        // Refused if another hub writes to Plone by now.
        self.deps.store.record_creation(id, fields.clone()).await?;
        let created = self.deps.plone.create_section(&short_name, &fields).await?;
        let text = |field| match created.fields.get(&field) {
            Some(FieldValue::Text(text)) => Some(text),
            _ => None,
        };
        let is_another_term = text(SectionField::Term).is_some_and(|term| term != id.term.as_str());
        let is_crn = |text: &String| Crn::from_written(text).is_ok_and(|(crn, _)| crn == id.crn);
        if is_another_term || !text(SectionField::Crn).is_none_or(is_crn) {
            let reason = ItemProblem::AnotherSection { path: created.path };
            return Err(PloneError::Refused(reason.to_string()).into());
        }
        self.gauge.created.fetch_add(1, Ordering::Relaxed);
        let item = PloneItem {
            section: id.clone(),
            uid: created.uid,
            path: created.path,
            modified: created.modified,
            fields: created.fields,
            deleted: false,
        };
        self.deps.store.put_items(vec![item.clone()]).await?;
        Ok(item)
    }

    async fn nothing(&self, entry: &OutboxEntry) -> Result<SendOutcome, BridgeError> {
        self.deps.store.delete_entry(&entry.section, entry.version).await?;
        Ok(SendOutcome::Nothing)
    }

    async fn sent(&self, entry: &OutboxEntry, item: PloneItem, fields: Fields) -> Result<SendOutcome, BridgeError> {
        let next_at = after(self.deps.clock.now(), SECTION_PAUSE);
        let written = SuccessfulWrite { seen: item, fields, version: entry.version, read_at: entry.read_at };
        self.deps.store.record_sent(written, next_at).await?;
        self.gauge.sent.fetch_add(1, Ordering::Relaxed);
        Ok(SendOutcome::Written)
    }

    async fn failed(&self, entry: &OutboxEntry, error: PloneError) -> Result<SendOutcome, StoreError> {
        let now = self.deps.clock.now();
        self.gauge.failed.fetch_add(1, Ordering::Relaxed);
        match error {
            // Nothing was sent, for a reason unrelated to this section.
            PloneError::Busy | PloneError::Open => Ok(SendOutcome::Failed),
            PloneError::NotFound if entry.attempts < NOT_FOUND_TRIES_MAX => self.later(entry, now).await,
            PloneError::NotFound => {
                let gone = |item: &PloneItem| ItemProblem::ItemGone { path: item.path.clone() };
                self.put_aside(entry, entry.item.as_ref().map_or(ItemProblem::FolderGone, gone), now).await
            }
            PloneError::Forbidden | PloneError::Refused(_) => self.put_aside(entry, error.into(), now).await,
            // The hub's own login failed, so the section is not the cause.
            PloneError::Unauthenticated | PloneError::Locked(_) => {
                log::error!("the hub cannot write to Plone: {error}");
                self.later(entry, now).await
            }
            PloneError::Failed(_) if self.is_section_at_fault(entry) => self.put_aside(entry, error.into(), now).await,
            PloneError::Unavailable(_) | PloneError::Failed(_) | PloneError::Occupied(_) => {
                log::debug!("writing {} to Plone is retried later: {error}", entry.section);
                self.later(entry, now).await
            }
        }
    }

    /// Counts a failure of this section. Returns true if the section is the cause: it failed repeatedly while writes of
    /// other sections succeeded.
    fn is_section_at_fault(&self, entry: &OutboxEntry) -> bool {
        let sent = self.gauge.sent.load(Ordering::Relaxed);
        let mut faults = self.faults();
        let own = faults.entry(entry.section.clone()).or_insert(Faults { count: 0, sent_before: sent });
        own.count = own.count.saturating_add(1);
        own.count >= FAULTS_MAX && sent > own.sent_before
    }

    fn faults(&self) -> MutexGuard<'_, HashMap<SectionId, Faults>> {
        self.faults.lock()
    }

    /// Records a failure and schedules a retry.
    async fn later(&self, entry: &OutboxEntry, now: Timestamp) -> Result<SendOutcome, StoreError> {
        let pause = backoff(RETRY_MIN, RETRY_MAX, entry.attempts + 1);
        self.deps.store.record_failure(&entry.section, after(now, pause)).await?;
        Ok(SendOutcome::Failed)
    }

    async fn put_aside(
        &self,
        entry: &OutboxEntry,
        reason: ItemProblem,
        now: Timestamp,
    ) -> Result<SendOutcome, StoreError> {
        let reason: String = reason.to_string().chars().take(REASON_CHARS_MAX).collect();
        log::error!("Plone refused {}; it is not written until an admin resends it: {reason}", entry.section);
        self.deps.store.record_refusal(&entry.section, entry.version, reason, now).await?;
        Ok(SendOutcome::Refused)
    }

    /// Logs each missing field of the college's type once.
    fn report_absent(&self, absent: &[SectionField]) {
        let mut reported = self.reported.lock();
        for field in absent {
            if reported.insert(*field) {
                log::warn!("`{}` is not written to Plone: sections there have no field for it", field.as_str());
            }
        }
    }
}

fn after(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    now.saturating_add(pause).unwrap_or(now)
}
