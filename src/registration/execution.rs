//! Executes the batches of a term: decides them against the term in memory, and commits their changes to the store.
//!
//! A [`TermState`] is moved into each batch and returned after its commit. When the commit fails, the state is dropped,
//! because it contains changes that the store does not have. Then the term has to be loaded again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::domain::audit_detail::AuditDetail;
use crate::domain::batch::{DecidedBatch, Fresh, Receipts, Requested, decide_batch};
use crate::domain::book::TermBook;
use crate::domain::ids::TermId;
use crate::domain::offer::OfferSettings;
use crate::domain::outcome::{ChoiceProblem, Outcome, RequestOutcome};
use crate::domain::published::{PublishedTerm, TermUpdate};
use crate::domain::section::Credits;
use crate::domain::view::TermView;
use crate::registration::submitted::Submitted;
use crate::store::accounts::AuditEntry;
use crate::store::terms::{DecideBatch, Position, TermChanges, TermRecord, TermRows, TermStore};
use crate::store::{StoreError, StoreFuture};

/// The first order of joining (see [`crate::domain::waitlist_order`]) in a term without waitlisted students. Otherwise
/// new orders follow the greatest stored one.
const FIRST_QUEUE_NUMBER: u64 = 1;

/// A term in memory, as of the commit `seq`.
#[derive(Debug)]
pub struct TermState {
    book: TermBook,
    seq: u64,
    generation: u64,
    rewrites: u64,
}

/// A batch whose changes are durable.
#[derive(Debug)]
pub struct CommittedBatch {
    /// The term after the batch.
    pub state: Box<TermState>,
    /// The outcome of each command, in order; `None` for a command whose decision panicked, which changed nothing.
    pub outcomes: Vec<Option<Outcome>>,
    /// The receipts of each command, in order.
    pub receipts: Vec<Receipts>,
    /// What to publish, in order: what other hubs committed before the batch, then what the batch changed.
    pub updates: Vec<TermUpdate>,
}

/// Loads terms and executes batches on one store.
#[derive(Clone)]
pub struct BatchExecutor {
    store: Arc<dyn TermStore>,
    credit_limit: Credits,
    repeat_limit: u32,
    offers: OfferSettings,
}

impl BatchExecutor {
    /// Creates an executor. `credit_limit` is the maximum number of credits in which a student may enroll; 0 is no
    /// limit.
    #[must_use]
    pub fn new(store: Arc<dyn TermStore>, credit_limit: Credits) -> Self {
        Self { store, credit_limit, repeat_limit: 0, offers: OfferSettings::default() }
    }

    /// Sets how many times a student may take a course; 0 means no limit.
    #[must_use]
    pub fn with_repeat_limit(mut self, limit: u32) -> Self {
        self.repeat_limit = limit;
        self
    }

    /// Sets whether and how long seats are offered to students on waitlists.
    #[must_use]
    pub fn with_offers(mut self, settings: OfferSettings) -> Self {
        self.offers = settings;
        self
    }

    /// Loads a term, and returns it with its state to publish.
    ///
    /// # Errors
    /// When the store cannot be read; the call may be repeated.
    pub fn load(&self, term: &TermId) -> StoreFuture<(Box<TermState>, PublishedTerm)> {
        let Self { store, credit_limit, repeat_limit, offers } = self;
        let (rows, credit_limit, repeat_limit, offers) = (store.load(term), *credit_limit, *repeat_limit, *offers);
        async move {
            let mut state = TermState::from_rows(rows.await?, credit_limit);
            state.book = state.book.with_repeat_limit(repeat_limit).with_offers(offers);
            let published = state.book.published(state.seq);
            Ok((Box::new(state), published))
        }
        .boxed()
    }

    /// Returns a copy of a term. Changes to the copy are never committed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn copy(&self, term: &TermId) -> StoreFuture<TermBook> {
        let loading = self.load(term);
        async move { loading.await.map(|(state, _)| state.book) }.boxed()
    }

    /// Reads what other hubs committed to a term after `state`.
    ///
    /// # Errors
    /// When the store cannot be read; the call may be repeated.
    pub fn changes_after(&self, state: &TermState) -> StoreFuture<TermChanges> {
        self.store.changes_since(&state.book.term().id, state.seq)
    }

    /// Decides a batch and commits it. The store calls the decision: the embedded store before this function returns, a
    /// shared store inside its transaction.
    ///
    /// # Errors
    /// See [`TermStore::run_batch`]; [`StoreError::Refused`] when the batch could not be decided as a whole. The state
    /// is dropped, so the term has to be loaded again.
    pub fn run(
        &self,
        state: Box<TermState>,
        commands: impl IntoIterator<Item = impl Into<Submitted>>,
        now: Timestamp,
    ) -> StoreFuture<CommittedBatch> {
        let commands: Vec<Submitted> = commands.into_iter().map(Into::into).collect();
        let (term, since) = (state.book.term().id.clone(), state.position());
        // There is one job with a fence, so the lowest number is the oldest.
        let fence = commands.iter().filter_map(|one| one.fence).min_by_key(|fence| fence.number);
        let (decided, result) = oneshot::channel();
        let decide: DecideBatch = Box::new(move |others| {
            // A panic outside a single decision leaves the state partly changed. It is caught here, so that it does not
            // end the thread of the store or of the registrar; the state is dropped, and the term is loaded again.
            let (batch, record) = catch_unwind(AssertUnwindSafe(|| state.decide(others, commands, now))).ok()?;
            // If the caller was cancelled, the batch is still committed.
            let _ = decided.send(batch);
            record
        });
        let committed = match fence {
            None => self.store.run_batch(&term, since, decide),
            Some(fence) => self.store.run_batch_under(fence, &term, since, decide),
        };
        async move {
            committed.await?;
            result.await.map_err(|_| StoreError::Refused("the batch was not decided".to_owned()))
        }
        .boxed()
    }
}

impl TermState {
    fn from_rows(rows: TermRows, credit_limit: Credits) -> Self {
        let TermRows { term, seq, generation, sections, registrations, facts, attempts, rewrites } = rows;
        let mut book = TermBook::new(term, credit_limit, sections, FIRST_QUEUE_NUMBER);
        for (student, registration) in registrations {
            book.restore(student, registration);
        }
        for (student, facts) in facts {
            book.restore_facts(student, facts);
        }
        book.restore_attempts(attempts);
        Self { book, seq, generation, rewrites }
    }

    /// Returns the next deadline: when reserved seats are released, an offer lapses, or a student is reminded of one.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.book.next_release().into_iter().chain(self.book.next_offer_deadline()).min()
    }

    /// Returns the sequence of the last commit that this state contains.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Applies what other hubs committed, without a batch. Also returns the update to publish, if there is one. `None`
    /// after a panic, which may have left the state partly changed: the term has to be loaded again.
    pub(super) fn caught_up(self: Box<Self>, others: TermChanges) -> Option<(Box<Self>, Option<TermUpdate>)> {
        let follow = move || {
            let mut state = self;
            let update = if others.seq > state.seq { state.follow(others) } else { None };
            (state, update)
        };
        catch_unwind(AssertUnwindSafe(follow)).ok()
    }

    /// Applies what other hubs committed, and decides a batch. Returns the batch, for its caller after the commit, and
    /// the record to write, if there are changes or audit entries.
    fn decide(
        mut self: Box<Self>,
        others: Option<TermChanges>,
        commands: Vec<Submitted>,
        now: Timestamp,
    ) -> (CommittedBatch, Option<TermRecord>) {
        let mut updates = Vec::with_capacity(1);
        updates.extend(others.and_then(|others| self.follow(others)));
        let requested: Vec<Requested<'_>> =
            commands.iter().map(|one| Requested { command: &one.command, origin: one.origin }).collect();
        let fresh = Fresh { alert_id: || Uuid::now_v7().to_string(), salt: rand::random };
        let DecidedBatch { outcomes, receipts, changes } = decide_batch(&mut self.book, &requested, now, fresh);
        drop(requested);
        let audit = audit_entries(commands, &outcomes);
        let panicked = outcomes.iter().filter(|outcome| outcome.is_none()).count();
        if panicked > 0 {
            log::error!("{panicked} decisions in term {} panicked; their commands were rejected", self.book.term().id);
        }
        if changes.is_empty() && audit.is_empty() {
            return (CommittedBatch { state: self, outcomes, receipts, updates }, None);
        }
        if changes.changes_term() {
            self.seq += 1;
            self.generation = changes.generation.unwrap_or(self.generation);
            updates.push(changes.term_update(&self.book, self.seq));
        }
        let term = self.book.term().id.clone();
        let record = TermRecord { term, seq: self.seq, generation: self.generation, changes, audit };
        (CommittedBatch { state: self, outcomes, receipts, updates }, Some(record))
    }

    fn position(&self) -> Position {
        Position { seq: self.seq, attempt: self.book.last_attempt(), rewrites: self.rewrites }
    }

    /// Applies what other hubs committed, and returns the update to publish; `None` if they committed only attempts.
    fn follow(&mut self, others: TermChanges) -> Option<TermUpdate> {
        let TermChanges { seq, changes, counts, attempts } = others;
        if let Some(attempts) = attempts {
            self.book.attempts_mut().1.follow(attempts);
        }
        if seq == self.seq {
            return None;
        }
        let changes = self.book.with_counts(changes, counts);
        let update = self.book.follow(seq, &changes);
        self.seq = seq;
        self.generation = changes.generation.unwrap_or(self.generation);
        Some(update)
    }
}

/// Returns the audit entries of the decided commands, including refused requests; not those of commands for sections
/// that do not exist.
fn audit_entries(commands: Vec<Submitted>, outcomes: &[Option<Outcome>]) -> Vec<AuditEntry> {
    let is_done = |outcome: &Option<Outcome>| outcome.as_ref().is_some_and(|one| *one != Outcome::NoSuchSection);
    let done = commands.into_iter().zip(outcomes).filter(|(_, outcome)| is_done(outcome));
    done.filter_map(|(command, outcome)| Some(with_outcome(*command.audit?, outcome.as_ref()))).collect()
}

/// Adds the reason for the refusal to the entry of a refused request.
fn with_outcome(mut entry: AuditEntry, outcome: Option<&Outcome>) -> AuditEntry {
    let because = match outcome {
        Some(Outcome::Request(
            RequestOutcome::Refused(refusal)
            | RequestOutcome::InChoices { problem: ChoiceProblem::Refused(refusal), .. },
        )) => refusal.code().as_str(),
        Some(Outcome::Request(RequestOutcome::NotFound)) => "not_found",
        _ => return entry,
    };
    entry.detail = AuditDetail::Refused { refusal: because.to_owned(), what: Box::new(entry.detail) }.into();
    entry
}

#[cfg(test)]
#[path = "execution_tests.rs"]
mod tests;
