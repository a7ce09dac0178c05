//! Terms: loads them, runs batches, and lists what changed since a sequence.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::{join, try_join, try_join3};
use jiff::tz::TimeZone;
use tokio_postgres::Row;

use crate::domain::draft::Changes;
use crate::domain::ids::{TermId, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::{SectionCounts, SectionState};
use crate::domain::term::Term;
use crate::store::StoreFuture;
use crate::store::lease::Fence;
use crate::store::terms::{DecideBatch, Lineage, Position, TermChanges, TermRecord, TermRows, TermStore};

use crate::store::postgres::attempts::{ChainRow, NewerAttempts};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, maybe_number_at, number_at, term_id_at};
use crate::store::postgres::term_rows::{self, HISTORY, REGISTRATION_COLUMNS, SECTION_COLUMNS, TERM_COLUMNS, TermRow};
use crate::store::postgres::transaction::{self, Tx, Work};
use crate::store::postgres::values::Statement;
use crate::store::postgres::{
    Inner, PostgresStore, alerts, attempts, audit, imported, imports, lease, marks, students, term_writes,
};

/// Selects, for each section `s` of a term, the row that is visible at the generation `$2`.
const VISIBLE: &str = "s.generation = (SELECT max(v.generation) FROM sections AS v
    WHERE v.term = s.term AND v.crn = s.crn AND v.generation <= $2)";

/// Selects the sections of the term `$1` whose definition a commit after `$3` wrote, or whose row it made visible.
const CHANGED: &str = "s.crn IN (
    SELECT c.crn FROM sections AS c WHERE c.term = $1 AND c.seq > $3
    UNION SELECT c.crn FROM sections AS c JOIN term_generations AS g ON g.term = c.term AND g.generation = c.generation
        WHERE g.term = $1 AND g.seq > $3)";

/// Reads the sections of a term that are visible at `generation`: all, or those that changed after `since`.
async fn sections(tx: &Tx, id: &TermId, generation: u64, since: Option<u64>) -> Result<Vec<SectionState>, Failure> {
    let sql = format!(
        "SELECT {SECTION_COLUMNS} FROM sections AS s LEFT JOIN seats AS n ON n.term = s.term AND n.crn = s.crn
         WHERE s.term = $1 AND {VISIBLE} AND ($3::bigint IS NULL OR {CHANGED})"
    );
    let rows = tx.query(&sql, &[&id.as_str(), &integer(generation), &since.map(integer)]).await?;
    rows.iter().map(|row| term_rows::section_at(row, id)).collect()
}

/// Reads the registrations of a term that changed after `since`, or all, ordered by student.
async fn registrations(tx: &Tx, id: &TermId, since: Option<u64>) -> Result<Vec<(UserName, Registration)>, Failure> {
    let since = since.map(integer);
    let which = if since.is_some() { "r.seq > $2" } else { "$2::bigint IS NULL" };
    let sql = format!(
        "SELECT {REGISTRATION_COLUMNS} FROM registrations AS r WHERE r.term = $1 AND {which}
         ORDER BY r.username, r.at, r.crn"
    );
    tx.query(&sql, &[&id.as_str(), &since]).await?.iter().map(term_rows::registration_at).collect()
}

/// Reads the counts of a term that changed after `since`.
async fn counts(tx: &Tx, id: &TermId, since: u64) -> Result<Vec<SectionCounts>, Failure> {
    let sql = "SELECT crn, enrolled, offered, waitlisted, reserved FROM seats WHERE term = $1 AND seq > $2";
    tx.query(sql, &[&id.as_str(), &integer(since)]).await?.iter().map(term_rows::counts_at).collect()
}

/// The sequence of a term, and what the commits after an earlier one changed besides counts and registrations.
struct Head {
    seq: u64,
    /// The generation that is visible.
    visible: u64,
    /// Whether the term's own fields have changed.
    is_term_changed: bool,
    /// The newest generation that became visible.
    generation: Option<u64>,
    /// Whether definitions of sections were edited.
    is_edited: bool,
    has_facts: bool,
}

/// Reads the head of a term. Most commits change only counts and registrations, and then only indexes are read.
async fn head(tx: &Tx, id: &TermId, since: u64) -> Result<Option<Head>, Failure> {
    let sql = "SELECT seats_seq, generation, changed_seq > $2,
             (SELECT max(g.generation) FROM term_generations AS g WHERE g.term = $1 AND g.seq > $2),
             EXISTS (SELECT 1 FROM sections AS s WHERE s.term = $1 AND s.seq > $2),
             EXISTS (SELECT 1 FROM term_facts AS f WHERE f.term = $1 AND f.seq > $2)
         FROM terms WHERE id = $1";
    let Some(row) = tx.query_opt(sql, &[&id.as_str(), &integer(since)]).await? else { return Ok(None) };
    Ok(Some(Head {
        seq: number_at(&row, 0)?,
        visible: number_at(&row, 1)?,
        is_term_changed: row.try_get(2)?,
        generation: maybe_number_at(&row, 3)?,
        is_edited: row.try_get(4)?,
        has_facts: row.try_get(5)?,
    }))
}

/// Reads the row of a term; `None` for a term that the store does not have.
async fn term_row(tx: &Tx, id: &TermId) -> Result<Option<TermRow>, Failure> {
    let sql = format!("SELECT {TERM_COLUMNS} FROM terms WHERE id = $1");
    tx.query_opt(&sql, &[&id.as_str()]).await?.as_ref().map(term_rows::term_at).transpose()
}

/// Reads a term. Returns an empty, closed one when the store does not have it.
pub(super) async fn read_term(tx: &Tx, id: &TermId) -> Result<TermRows, Failure> {
    let sql = format!("SELECT {HISTORY}");
    let (found, history) = join(term_row(tx, id), tx.query_one(&sql, &[])).await;
    let (found, history): (_, u64) = (found?, number_at(&history?, 0)?);
    let new = || TermRow { term: Term::new(id.clone()), seq: 0, generation: 0, rewrites: 0 };
    let TermRow { term, seq, generation, rewrites } = found.unwrap_or_else(new);
    Ok(TermRows {
        term,
        seq,
        generation,
        sections: sections(tx, id, generation, None).await?,
        registrations: registrations(tx, id, None).await?,
        // The simulated students of a sandbox are not students of the college.
        facts: if id.is_sandbox() { Vec::new() } else { students::all_facts(tx).await? },
        attempts: attempts::read_chain(tx, id).await?,
        rewrites: rewrites + history,
    })
}

/// Reads what the commits after `since` changed, usually with statements that are sent together.
async fn read_changes(tx: &Tx, id: &TermId, since: u64) -> Result<TermChanges, Failure> {
    let read = try_join3(head(tx, id, since), counts(tx, id, since), registrations(tx, id, Some(since)));
    let (Some(head), counts, registrations) = read.await? else { return Ok(TermChanges::default()) };
    let Head { seq, visible, is_term_changed, generation, is_edited, has_facts } = head;
    if seq <= since {
        return Ok(TermChanges { seq, ..TermChanges::default() });
    }
    let term = if is_term_changed { term_row(tx, id).await?.map(|row| row.term) } else { None };
    let is_redefined = generation.is_some() || is_edited;
    let sections = if is_redefined { sections(tx, id, visible, Some(since)).await? } else { Vec::new() };
    let facts = if has_facts { students::facts_since(tx, id, since).await? } else { Vec::new() };
    let changes = Changes { term, sections, registrations, facts, notices: Vec::new(), generation };
    Ok(TermChanges { seq, changes, counts, attempts: None })
}

/// The locked row of a term, and the end of its chain of attempts.
struct LockedTerm {
    position: Position,
    /// `None` without attempts.
    chain: Option<ChainRow>,
    /// Whether this transaction inserted the row.
    is_new: bool,
}

impl LockedTerm {
    fn of(row: &Row, chain: Option<ChainRow>, is_new: bool) -> Result<Self, Failure> {
        let attempt = chain.as_ref().map_or(0, |chain| chain.n);
        let position = Position { seq: number_at(row, 0)?, attempt, rewrites: number_at(row, 1)? };
        Ok(Self { position, chain, is_new })
    }
}

/// Locks the row of a term until the transaction ends, so that no other hub commits for the term. Inserts the row of a
/// term that the store does not have.
async fn lock_term(tx: &Tx, id: &TermId) -> Result<LockedTerm, Failure> {
    let lock = format!("SELECT seats_seq, rewrites + {HISTORY} FROM terms WHERE id = $1 FOR UPDATE");
    let term = id.as_str();
    // The chain is read by a separate statement: one that waits for the lock sees the other tables as they were before
    // it waited.
    let (found, chain) = join(tx.query_opt(&lock, &[&term]), attempts::chain(tx, id)).await;
    if let Some(row) = found? {
        return LockedTerm::of(&row, chain?, false);
    }
    chain?;
    // Two hubs that create the same term wait here for each other.
    let new = Term::new(id.clone());
    let sql = "INSERT INTO terms (id, title, holidays, windows, cutoffs, seats_seq, generation, changed_seq)
         VALUES ($1, $2, '[]', '[]', '{}', 0, 0, 0) ON CONFLICT (id) DO NOTHING";
    let is_new = tx.execute(sql, &[&term, &&*new.title]).await? == 1;
    let row = tx.query_one(&lock, &[&term]).await?;
    LockedTerm::of(&row, attempts::chain(tx, id).await?, is_new)
}

/// Refuses a batch if the changes since `since` cannot bring the term in memory up to date: rows were changed without a
/// commit of a registrar, or a standby that may lack commits has taken over.
fn require_followable(id: &TermId, since: Position, stored: Position) -> Result<(), Failure> {
    if stored.rewrites == since.rewrites && stored.seq >= since.seq && stored.attempt >= since.attempt {
        return Ok(());
    }
    Err(Failure::Stale(format!("term {id} in memory is not a state that the database had; it is loaded again")))
}

/// A batch of a term.
struct Batch {
    store: Arc<Inner>,
    term: TermId,
    since: Position,
    step: Step,
}

/// The progress of a batch.
enum Step {
    /// It is not decided.
    Open(DecideBatch),
    /// It was decided at this position of the stored term, and the record has to be written.
    Decided(Position, Box<TermRecord>),
    /// It cannot be decided again.
    Spent,
}

impl Batch {
    /// Locks the term, catches up with other hubs, decides, and returns the statements that write the record. After a
    /// conflict, the same record is written if no other hub has committed to the term since the decision.
    ///
    /// While the row is locked, the other hubs wait, and each round trip adds the time in which the processes of the
    /// hub and of PostgreSQL wake up. So a batch usually has three round trips: begin and lock, catch up, write and
    /// commit. If the previous batch found commits of other hubs, the first two are combined.
    async fn run(&mut self, tx: &Tx) -> Result<Work<()>, Failure> {
        let (id, since) = (&self.term, self.since);
        let reads_early = matches!(self.step, Step::Open(_)) && self.store.has_busy_term(id);
        let early = async { if reads_early { self.others(tx).await.map(Some) } else { Ok(None) } };
        let (locked, early) = join(lock_term(tx, id), early).await;
        let (locked, early) = (locked?, early?);
        let stored = locked.position;
        if let Step::Open(_) = self.step {
            require_followable(id, since, stored)?;
            let others = match early {
                _ if stored == since => None,
                Some(early) => Some(early),
                None => Some(self.others(tx).await?),
            };
            self.store.note_busy_term(id, others.is_some());
            let others = others.map(|others| others.until(&locked, since));
            let Step::Open(decide) = std::mem::replace(&mut self.step, Step::Spent) else {
                return Ok(Work::Nothing(()));
            };
            // A decision of a large batch takes milliseconds, in which this thread serves other operations.
            let decided = tokio::task::spawn_blocking(move || decide(others)).await;
            let record = decided.map_err(|_| Failure::Refused("the decision of the batch panicked".to_owned()))?;
            let Some(record) = record else { return Ok(Work::Nothing(())) };
            self.step = Step::Decided(stored, Box::new(record));
        }
        let record = match &self.step {
            Step::Decided(at, record) if *at == stored => record,
            _ => return Err(Failure::Stale(format!("another hub committed to term {} during the batch", self.term))),
        };
        write(tx, record, &locked, self.store.outbox.is_some()).await
    }

    /// Reads what other hubs have committed since this hub last read or wrote the term.
    async fn others(&self, tx: &Tx) -> Result<Others, Failure> {
        self.store.gauge.catch_ups.fetch_add(1, Ordering::Relaxed);
        Others::read(tx, &self.term, self.since).await
    }
}

/// The changes that other hubs committed after a position.
struct Others {
    changes: TermChanges,
    attempts: NewerAttempts,
}

impl Others {
    /// Reads what other hubs committed. If an earlier statement of the transaction, or one that was sent before, locks
    /// the row of the term, the result reaches up to the locked position: each statement sees what was committed before
    /// it began.
    async fn read(tx: &Tx, id: &TermId, since: Position) -> Result<Self, Failure> {
        let read = try_join(read_changes(tx, id, since.seq), attempts::newer_than(tx, id, since.attempt));
        let (changes, attempts) = read.await?;
        Ok(Self { changes, attempts })
    }

    /// Returns the changes from a position up to the locked one.
    fn until(self, locked: &LockedTerm, since: Position) -> TermChanges {
        let Self { mut changes, attempts } = self;
        changes.seq = locked.position.seq;
        let chain = locked.chain.as_ref().filter(|chain| chain.n > since.attempt);
        changes.attempts = chain.map(|chain| attempts.end_of(chain));
        changes
    }
}

impl Inner {
    /// Returns whether the last batch of a term found commits of other hubs.
    fn has_busy_term(&self, id: &TermId) -> bool {
        self.busy_terms.lock().contains(id)
    }

    fn note_busy_term(&self, id: &TermId, is_busy: bool) {
        let mut terms = self.busy_terms.lock();
        if !is_busy {
            terms.remove(id);
        } else if !terms.contains(id) {
            terms.insert(id.clone());
        }
    }
}

/// Writes a record with a few statements, which are sent together, usually with the commit. With `has_outbox`, marks
/// everything that has to be written to Plone.
async fn write(tx: &Tx, record: &TermRecord, locked: &LockedTerm, has_outbox: bool) -> Result<Work<()>, Failure> {
    let TermRecord { term: id, seq, generation: _, changes, audit: _ } = record;
    let stored = locked.position;
    if stored.seq + u64::from(changes.changes_term()) != *seq {
        let message = format!("record {seq} of term {id} does not follow the stored sequence {}", stored.seq);
        return Err(Failure::Refused(message));
    }
    if let Some(applied) = changes.generation {
        imports::require_newest(tx, id, applied).await?;
    }
    if locked.is_new {
        attempts::require_students(tx, id, &changes.attempts).await?;
    }
    let statements = statements(record, stored, has_outbox)?;
    let generation_for_plone = changes.generation_for_plone().filter(|_| has_outbox);
    // Attempts alone do not create a term.
    let creates_nothing = locked.is_new && !changes.changes_term();
    let is_all =
        changes.facts.is_empty() && changes.alerts.is_empty() && generation_for_plone.is_none() && !creates_nothing;
    if is_all {
        return Ok(Work::CommitWith(statements, ()));
    }
    tx.execute_all(&statements).await?;
    students::put_of_term(tx, id, &changes.facts, integer(*seq)).await?;
    if let Some(generation) = generation_for_plone {
        imported::note_generation(tx, id, generation).await?;
    }
    if creates_nothing {
        tx.execute("DELETE FROM terms WHERE id = $1", &[&id.as_str()]).await?;
    }
    // Last, because the alerts of all terms have one counter, whose row is locked until the commit. The audience of
    // each alert is one student, which does not depend on the date in the college's time zone.
    alerts::post(tx, &changes.alerts, &changes.at.to_zoned_datetime(TimeZone::UTC)).await?;
    Ok(Work::Commit(()))
}

/// Returns the statements that write a record, without facts, alerts, and the generation for Plone.
fn statements(record: &TermRecord, stored: Position, has_outbox: bool) -> Result<Vec<Statement>, Failure> {
    let TermRecord { term: id, seq, generation, changes, audit } = record;
    let (seq, generation) = (integer(*seq), integer(*generation));
    let sections_of = |crns: &std::collections::BTreeSet<_>| -> Vec<&SectionState> {
        crns.iter().filter_map(|crn| changes.sections.get(crn)).collect()
    };
    let (definitions, counts) = (sections_of(&changes.definitions_to_write), sections_of(&changes.counts_to_write));
    let registrations: Vec<_> =
        changes.registrations.iter().map(|((student, _), registration)| (student, registration)).collect();
    let mut statements = term_statements(record)?;
    statements.extend(term_writes::put_sections(id, &definitions, seq, generation, term_writes::VISIBLE_GENERATION)?);
    statements.extend(term_writes::put_seats(id, &counts, seq)?);
    statements.extend(term_writes::put_registrations(id, &registrations, seq)?);
    attempts::put(&mut statements, id, &changes.attempts, stored.attempt)?;
    statements.extend(audit::appending(audit)?);
    if has_outbox {
        let crns = changes.sections_for_plone().into_iter().map(|crn| crn.as_str());
        statements.extend(marks::marking_of(id, crns, changes.at)?);
    }
    Ok(statements)
}

/// Returns the statements that raise the term's sequence, and write the term when it has changed.
fn term_statements(record: &TermRecord) -> Result<Vec<Statement>, Failure> {
    let TermRecord { term: id, seq, generation, changes, audit: _ } = record;
    if !changes.changes_term() {
        return Ok(Vec::new());
    }
    let (term, seq, generation) = (id.as_str(), integer(*seq), integer(*generation));
    let mut statements = vec![match &changes.term {
        Some(changed) => term_rows::putting_term(changed, seq, generation)?,
        None => {
            let sql = "UPDATE terms SET seats_seq = $2, generation = $3 WHERE id = $1";
            Statement::new(sql, &[&term, &seq, &generation])?
        }
    }];
    if let Some(generation) = changes.generation {
        let sql = "INSERT INTO term_generations (term, generation, seq) VALUES ($1, $2, $3)
             ON CONFLICT (term, generation) DO UPDATE SET seq = excluded.seq";
        statements.push(Statement::new(sql, &[&term, &integer(generation), &seq])?);
    }
    Ok(statements)
}

impl PostgresStore {
    fn batch(&self, term: &TermId, since: Position, decide: DecideBatch) -> Batch {
        Batch { store: self.inner.clone(), term: term.clone(), since, step: Step::Open(decide) }
    }
}

impl TermStore for PostgresStore {
    fn lineage(&self) -> Lineage {
        self.inner.lineage
    }

    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        self.read(async move |tx| {
            tx.query("SELECT id FROM terms ORDER BY id", &[]).await?.iter().map(|row| term_id_at(row, 0)).collect()
        })
    }

    fn load(&self, term: &TermId) -> StoreFuture<TermRows> {
        let (id, shared) = (term.clone(), self.inner.shared_facts.clone());
        self.submit(async move |pool| {
            // Waits for a commit of the term whose outcome is still open, such as one whose connection was lost.
            let wait = async |tx: &Tx| {
                tx.query("SELECT 1 FROM terms WHERE id = $1 FOR SHARE", &[&id.as_str()]).await?;
                Ok(Work::Nothing(()))
            };
            transaction::write(pool, wait).await?;
            let mut rows = transaction::read(pool, async |tx| read_term(tx, &id).await).await?;
            shared.share(&mut rows.facts);
            Ok(rows)
        })
    }

    fn run_batch(&self, term: &TermId, since: Position, decide: DecideBatch) -> StoreFuture<()> {
        let mut batch = self.batch(term, since, decide);
        self.write_if(async move |tx| batch.run(tx).await)
    }

    fn run_batch_under(&self, fence: Fence, term: &TermId, since: Position, decide: DecideBatch) -> StoreFuture<()> {
        let (mut batch, hub) = (self.batch(term, since, decide), self.inner.hub);
        self.write_if(async move |tx| {
            lease::require(tx, fence, hub).await?;
            batch.run(tx).await
        })
    }

    fn changes_since(&self, term: &TermId, since: u64) -> StoreFuture<TermChanges> {
        let id = term.clone();
        self.read(async move |tx| read_changes(tx, &id, since).await)
    }
}
