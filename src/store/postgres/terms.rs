//! Terms: loads them, runs batches, and lists what changed since a sequence.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join, try_join_all, try_join4};
use jiff::tz::TimeZone;
use tokio_postgres::Row;

use crate::domain::draft::Changes;
use crate::domain::ids::{TermId, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::{SectionCounts, SectionState};
use crate::domain::term::Term;
use crate::store::StoreFuture;
use crate::store::lease::Fence;
use crate::store::terms::{DecideBatch, Position, TermChanges, TermRecord, TermRows, TermStore};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, maybe_number_at, number_at, term_id_at};
use crate::store::postgres::term_rows::{self, HISTORY, REGISTRATION_COLUMNS, SECTION_COLUMNS, TERM_COLUMNS, TermRow};
use crate::store::postgres::transaction::{self, Tx, Work};
use crate::store::postgres::{
    PostgresStore, alerts, attempts, audit, imported, imports, lease, marks, students, term_writes,
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

/// The definitions of sections that changed in some commits.
struct ChangedDefinitions {
    /// The newest generation that became visible.
    generation: Option<u64>,
    sections: Vec<SectionState>,
}

/// Reads the sections of a term whose definition changed after `since`. Most commits change none, and then only an index
/// is read.
async fn changed_definitions(tx: &Tx, id: &TermId, visible: u64, since: u64) -> Result<ChangedDefinitions, Failure> {
    let sql = "SELECT (SELECT max(generation) FROM term_generations WHERE term = $1 AND seq > $2),
                      EXISTS (SELECT 1 FROM sections WHERE term = $1 AND seq > $2)";
    let row = tx.query_one(sql, &[&id.as_str(), &integer(since)]).await?;
    let (generation, is_edited): (Option<u64>, bool) = (maybe_number_at(&row, 0)?, row.try_get(1)?);
    let is_changed = generation.is_some() || is_edited;
    let sections = if is_changed { sections(tx, id, visible, Some(since)).await? } else { Vec::new() };
    Ok(ChangedDefinitions { generation, sections })
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
    let new = || TermRow { term: Term::new(id.clone()), seq: 0, generation: 0, changed_seq: 0, rewrites: 0 };
    let TermRow { term, seq, generation, changed_seq: _, rewrites } = found.unwrap_or_else(new);
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

/// Reads what the commits after `since` changed.
async fn read_changes(tx: &Tx, id: &TermId, since: u64) -> Result<TermChanges, Failure> {
    let Some(TermRow { term, seq, generation, changed_seq, .. }) = term_row(tx, id).await? else {
        return Ok(TermChanges::default());
    };
    if seq <= since {
        return Ok(TermChanges { seq, ..TermChanges::default() });
    }
    let (definitions, counts, registrations, facts) = try_join4(
        changed_definitions(tx, id, generation, since),
        counts(tx, id, since),
        registrations(tx, id, Some(since)),
        students::facts_since(tx, id, since),
    )
    .await?;
    let ChangedDefinitions { generation, sections } = definitions;
    let term = (changed_seq > since).then_some(term);
    let changes = Changes { term, sections, registrations, facts, notices: Vec::new(), generation };
    Ok(TermChanges { seq, changes, counts, attempts: None })
}

/// The locked row of a term, and the end of its chain of attempts.
struct LockedTerm {
    position: Position,
    /// Whether this transaction inserted the row.
    is_new: bool,
}

/// Locks the row of a term until the transaction ends, so that no other hub commits for the term. Inserts the row of a
/// term that the store does not have.
async fn lock_term(tx: &Tx, id: &TermId) -> Result<LockedTerm, Failure> {
    let lock = format!("SELECT seats_seq, rewrites + {HISTORY} FROM terms WHERE id = $1 FOR UPDATE");
    let term = id.as_str();
    // The chain is read by a statement of its own: one that waits for the lock sees the other tables as they were before
    // it waited.
    let (found, n) = join(tx.query_opt(&lock, &[&term]), attempts::last_attempt(tx, id)).await;
    let position = |row: &Row, attempt| {
        Ok::<_, Failure>(Position { seq: number_at(row, 0)?, attempt, rewrites: number_at(row, 1)? })
    };
    if let Some(row) = found? {
        return Ok(LockedTerm { position: position(&row, n?)?, is_new: false });
    }
    n?;
    // Two hubs that create the same term wait here for each other.
    let new = Term::new(id.clone());
    let sql = "INSERT INTO terms (id, title, holidays, windows, cutoffs, seats_seq, generation, changed_seq)
         VALUES ($1, $2, '[]', '[]', '{}', 0, 0, 0) ON CONFLICT (id) DO NOTHING";
    let is_new = tx.execute(sql, &[&term, &&*new.title]).await? == 1;
    let row = tx.query_one(&lock, &[&term]).await?;
    let position = position(&row, attempts::last_attempt(tx, id).await?)?;
    Ok(LockedTerm { position, is_new })
}

/// Refuses a batch on a term in memory that the changes since `since` do not bring up to date: rows were changed without a
/// commit of a registrar, or a standby has taken over, which may lack commits.
fn require_followable(id: &TermId, since: Position, stored: Position) -> Result<(), Failure> {
    if stored.rewrites == since.rewrites && stored.seq >= since.seq && stored.attempt >= since.attempt {
        return Ok(());
    }
    Err(Failure::Stale(format!("term {id} in memory is not a state that the database had; it is loaded again")))
}

/// A batch of a term.
struct Batch {
    term: TermId,
    since: Position,
    step: Step,
    has_outbox: bool,
}

/// How far a batch has come.
enum Step {
    /// It is not decided.
    Open(DecideBatch),
    /// It was decided at this position of the stored term, and the record has to be written.
    Decided(Position, Box<TermRecord>),
    /// It cannot be decided again.
    Spent,
}

impl Batch {
    /// Locks the term, catches up with other hubs, decides, and writes the record. After a conflict, the same record is
    /// written if no other hub has committed to the term in the meantime.
    async fn run(&mut self, tx: &Tx) -> Result<Work<()>, Failure> {
        let locked = lock_term(tx, &self.term).await?;
        let stored = locked.position;
        if let Step::Open(_) = self.step {
            require_followable(&self.term, self.since, stored)?;
            let others = changes_between(tx, &self.term, self.since, stored).await?;
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
        write(tx, record, stored, self.has_outbox).await?;
        if locked.is_new && !record.changes.changes_term() {
            // Attempts alone do not create a term.
            tx.execute("DELETE FROM terms WHERE id = $1", &[&self.term.as_str()]).await?;
        }
        Ok(Work::Commit(()))
    }
}

/// Reads what other hubs committed between two positions of a term; `None` if they are equal.
async fn changes_between(
    tx: &Tx,
    id: &TermId,
    since: Position,
    stored: Position,
) -> Result<Option<TermChanges>, Failure> {
    if stored == since {
        return Ok(None);
    }
    let mut others = read_changes(tx, id, since.seq).await?;
    others.seq = stored.seq;
    if stored.attempt > since.attempt {
        others.attempts = Some(attempts::chain_since(tx, id, since.attempt).await?);
    }
    Ok(Some(others))
}

/// Writes a record: with a few statements, which are sent together. With `has_outbox`, marks everything that has to be
/// written to Plone.
async fn write(tx: &Tx, record: &TermRecord, stored: Position, has_outbox: bool) -> Result<(), Failure> {
    let TermRecord { term: id, seq, generation, changes, audit } = record;
    if stored.seq + u64::from(changes.changes_term()) != *seq {
        let message = format!("record {seq} of term {id} does not follow the stored sequence {}", stored.seq);
        return Err(Failure::Refused(message));
    }
    if let Some(applied) = changes.generation {
        imports::require_newest(tx, id, applied).await?;
    }
    let (seq, generation) = (integer(*seq), integer(*generation));
    let sections_of = |crns: &std::collections::BTreeSet<_>| -> Vec<&SectionState> {
        crns.iter().filter_map(|crn| changes.sections.get(crn)).collect()
    };
    let (definitions, counts) = (sections_of(&changes.definitions_to_write), sections_of(&changes.counts_to_write));
    let registrations: Vec<_> =
        changes.registrations.iter().map(|((student, _), registration)| (student, registration)).collect();
    let statements: Vec<BoxFuture<'_, Result<(), Failure>>> = vec![
        write_term(tx, record).boxed(),
        term_writes::put_sections(tx, id, &definitions, seq, generation, term_writes::VISIBLE_GENERATION).boxed(),
        term_writes::put_seats(tx, id, &counts, seq).boxed(),
        term_writes::put_registrations(tx, id, &registrations, seq).boxed(),
        attempts::put(tx, id, &changes.attempts, stored.attempt).boxed(),
        students::put_of_term(tx, id, &changes.facts, seq).boxed(),
    ];
    try_join_all(statements).await?;
    audit::append(tx, audit).await?;
    if has_outbox {
        marks::mark(tx, id, changes.sections_for_plone().into_iter().map(|crn| crn.as_str()), changes.at).await?;
        if let Some(generation) = changes.generation_for_plone() {
            imported::note_generation(tx, id, generation).await?;
        }
    }
    // The last, because the alerts of all terms have one counter, whose row is locked until the commit. The audience of
    // each alert is one student, which does not depend on the date in the college's time zone.
    alerts::post(tx, &changes.alerts, &changes.at.to_zoned_datetime(TimeZone::UTC)).await.map(drop)
}

/// Raises the term's sequence, and writes the term when it has changed.
async fn write_term(tx: &Tx, record: &TermRecord) -> Result<(), Failure> {
    let TermRecord { term: id, seq, generation, changes, audit: _ } = record;
    if !changes.changes_term() {
        return Ok(());
    }
    let (term, seq, generation) = (id.as_str(), integer(*seq), integer(*generation));
    match &changes.term {
        Some(changed) => term_rows::put_term(tx, changed, seq, generation).await?,
        None => {
            let sql = "UPDATE terms SET seats_seq = $2, generation = $3 WHERE id = $1";
            tx.execute(sql, &[&term, &seq, &generation]).await?;
        }
    }
    if let Some(generation) = changes.generation {
        let sql = "INSERT INTO term_generations (term, generation, seq) VALUES ($1, $2, $3)
             ON CONFLICT (term, generation) DO UPDATE SET seq = excluded.seq";
        tx.execute(sql, &[&term, &integer(generation), &seq]).await?;
    }
    Ok(())
}

impl PostgresStore {
    fn batch(&self, term: &TermId, since: Position, decide: DecideBatch) -> Batch {
        Batch { term: term.clone(), since, step: Step::Open(decide), has_outbox: self.inner.outbox.is_some() }
    }
}

impl TermStore for PostgresStore {
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
