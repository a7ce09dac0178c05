//! One operation: a transaction on a connection of the pool, whose end is always known or reported as unknown.
//!
//! # A commit whose reply is lost
//! Every write inserts a unique id into `commits` as its last statement. If the connection is lost after `COMMIT` was
//! sent, the store connects again and inserts the same id, marked as *fenced*:
//!
//! - If the id is there, the write was committed.
//! - If not, it never will be: the transaction would have to insert an id that exists by then.
//! - While the old transaction is still open, the insertion waits for its end.
//!
//! An id that is there is written again. A server that has restarted shows commits that its synchronous standby does
//! not have yet; the commit of this write waits until the standby has both.
//!
//! # PgBouncer in transaction mode
//! Between two transactions a connection has no state: settings are `SET LOCAL`, locks are those of transactions, and
//! statements are unnamed ([`super::values`]). So each transaction may run on another connection of the server.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use futures_util::future::{join, maybe_done, poll_immediate, try_join_all};
use tokio::time::{Instant, timeout};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::postgres::connect::no_connection;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::values::{Statement, Value};

/// The longest time for the statements of one operation. A term of a million registrations loads in a few seconds.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time of a read that follows other hubs: a few statements that take milliseconds. A hub whose connections
/// carry nothing must notice this soon, because it counts as ready until then.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time for moving a store: as long as a weekend's maintenance window.
const LONG_TIMEOUT: Duration = Duration::from_secs(48 * 60 * 60);
/// How long the reply to `COMMIT` may take before the connection counts as lost.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the store tries to find out whether a write was committed. Callers of the registrar give up earlier and
/// learn that the outcome is unknown.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one attempt of the lookup may take.
const LOOKUP_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two attempts of the lookup.
const LOOKUP_PAUSE: Duration = Duration::from_millis(200);

/// How many times a write is repeated after a conflict with another transaction. PostgreSQL finds a deadlock after a
/// second, and callers of the registrar give up after ten.
const RETRIES_MAX: u32 = 4;
/// The longest pause before a write is repeated. The pause is random, so that two transactions that conflicted do not
/// conflict again.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(50);

/// Deletes the ids of old writes. An id is needed while its transaction may be open, and for the lookup after it: about
/// a minute.
const FORGET: &str = "DELETE FROM commits WHERE at < now() - interval '1 hour'";

/// Begins a write. Regardless of the database's default, each of its statements sees everything that was committed
/// before it, so that a statement after a lock sees the commits for which the lock waited. A hub that waits for a row
/// of another hub gives up after `lock_timeout`. A hub that dies, or whose connection is cut, frees its rows within
/// `idle_in_transaction_session_timeout`, which is longer than the decision of the largest batch: a transaction is idle
/// during the decision.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '15s'; SET LOCAL statement_timeout = '60s';
    SET LOCAL idle_in_transaction_session_timeout = '15s'";
/// Begins a write that moves a store. Between two statements it may wait for the source for minutes.
const BEGIN_LONG_WRITE: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '15s'; SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = '15min'";
/// Begins a read. All of its statements see the same commit.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '60s';
    SET LOCAL idle_in_transaction_session_timeout = '15s'";

/// An open transaction. Dropping it closes the connection, which undoes the transaction.
pub(super) struct Tx {
    client: Option<Object>,
}

/// The result of a write's `work`: its value, and whether there is something to commit.
pub(super) enum Work<T> {
    /// Commit.
    Commit(T),
    /// Send the last statements together with the commit, which saves a round trip while rows are locked. If one of
    /// them fails, the transaction is undone.
    CommitWith(Vec<Statement>, T),
    /// Roll back, because nothing has to be stored, and release the locks.
    Nothing(T),
}

impl Tx {
    async fn connect(pool: &Pool) -> Result<Self, Failure> {
        let client = pool.get().await.map_err(|error| no_connection(&error))?;
        Ok(Self { client: Some(client) })
    }

    fn client(&self) -> Result<&Object, Failure> {
        self.client.as_ref().ok_or_else(|| Failure::Unavailable("the transaction has ended".to_owned()))
    }

    /// Runs a statement and returns its rows. Statements whose futures are polled together are sent together.
    pub(super) async fn query(&self, sql: &str, values: &[&dyn Value]) -> Result<Vec<Row>, Failure> {
        let values: Vec<_> = values.iter().map(|value| (value.as_sql(), value.sql_type())).collect();
        Ok(self.client()?.query_typed(sql, &values).await?)
    }

    /// Runs a statement and returns its first row.
    pub(super) async fn query_opt(&self, sql: &str, values: &[&dyn Value]) -> Result<Option<Row>, Failure> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Runs a statement that returns a row.
    pub(super) async fn query_one(&self, sql: &str, values: &[&dyn Value]) -> Result<Row, Failure> {
        let row = self.query_opt(sql, values).await?;
        row.ok_or_else(|| Failure::Unreadable("a statement returned no row".to_owned()))
    }

    /// Runs a statement and returns the number of rows that it wrote.
    pub(super) async fn execute(&self, sql: &str, values: &[&dyn Value]) -> Result<u64, Failure> {
        let values: Vec<_> = values.iter().map(|value| (value.as_sql(), value.sql_type())).collect();
        Ok(self.client()?.execute_typed(sql, &values).await?)
    }

    /// Runs an encoded statement.
    async fn execute_encoded(&self, statement: &Statement) -> Result<u64, Failure> {
        Ok(self.client()?.execute_typed(&statement.sql, &statement.values()).await?)
    }

    /// Runs a statement that is encoded, and returns its rows.
    pub(super) async fn query_encoded(&self, statement: &Statement) -> Result<Vec<Row>, Failure> {
        Ok(self.client()?.query_typed(&statement.sql, &statement.values()).await?)
    }

    /// Sends statements together, and waits for the replies to all. The first poll sends all of them.
    pub(super) async fn execute_all(&self, statements: &[Statement]) -> Result<(), Failure> {
        try_join_all(statements.iter().map(|one| self.execute_encoded(one))).await.map(drop)
    }

    /// Runs statements without parameters or results.
    pub(super) async fn run(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client()?.batch_execute(sql).await?)
    }

    /// Returns the connection to the pool. Must be called after the transaction has ended.
    fn release(mut self) {
        drop(self.client.take());
    }

    /// Undoes the transaction, and returns the connection to the pool if that succeeded.
    async fn roll_back(self) {
        if let Ok(Ok(())) = timeout(COMMIT_TIMEOUT, self.run("ROLLBACK")).await {
            self.release();
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        // A connection in an unknown state must not return to the pool.
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

/// Runs `work` in a transaction that begins with `begin`, and takes at most `limit`.
async fn run<T>(
    pool: &Pool,
    (begin, limit): (&str, Duration),
    work: impl AsyncFnOnce(&Tx) -> Result<T, Failure>,
) -> Result<(Tx, T), Failure> {
    let tx = Tx::connect(pool).await?;
    // The first statement of `work` is sent with `begin`, without waiting for its reply. If `begin` fails, the
    // connection is lost, and `work` fails, too.
    let done = timeout(limit, join(tx.run(begin), work(&tx))).await;
    let failure = match done {
        Err(_) => Failure::Unavailable("PostgreSQL did not reply in time".to_owned()),
        Ok((Err(failure), _) | (Ok(()), Err(failure))) => failure,
        Ok((Ok(()), Ok(value))) => return Ok((tx, value)),
    };
    if !failure.is_lost() {
        tx.roll_back().await;
    }
    Err(failure)
}

/// Reads in one transaction, as of one commit.
pub(super) async fn read<T>(pool: &Pool, work: impl AsyncFnOnce(&Tx) -> Result<T, Failure>) -> Result<T, StoreError> {
    read_within(pool, OPERATION_TIMEOUT, work).await
}

/// Reads what other hubs have changed, like [`read`] but within [`FOLLOW_TIMEOUT`].
pub(super) async fn follow<T>(pool: &Pool, work: impl AsyncFnOnce(&Tx) -> Result<T, Failure>) -> Result<T, StoreError> {
    read_within(pool, FOLLOW_TIMEOUT, work).await
}

async fn read_within<T>(
    pool: &Pool,
    limit: Duration,
    work: impl AsyncFnOnce(&Tx) -> Result<T, Failure>,
) -> Result<T, StoreError> {
    let (tx, value) = run(pool, (BEGIN_READ, limit), work).await?;
    tx.roll_back().await;
    Ok(value)
}

/// Writes in one transaction. The result is `Ok` once the commit is durable.
///
/// # Errors
/// [`StoreError::CommitFailed`] if it is not known whether the write was committed. After every other error, nothing
/// was stored.
pub(super) async fn write<T>(
    pool: &Pool,
    work: impl AsyncFnOnce(&Tx) -> Result<Work<T>, Failure>,
) -> Result<T, StoreError> {
    Ok(write_once(pool, (BEGIN_WRITE, OPERATION_TIMEOUT), work).await?)
}

/// Writes like [`write()`], but may take hours.
pub(super) async fn write_long<T>(
    pool: &Pool,
    work: impl AsyncFnOnce(&Tx) -> Result<Work<T>, Failure>,
) -> Result<T, StoreError> {
    Ok(write_once(pool, (BEGIN_LONG_WRITE, LONG_TIMEOUT), work).await?)
}

/// Writes like [`write()`], and repeats the write, at most [`RETRIES_MAX`] times, after a conflict with another
/// transaction. Counts the conflicts in `conflicts`. Each call of `work` must write the same.
///
/// # Errors
/// Those of [`write()`].
pub(super) async fn write_retrying<T>(
    pool: &Pool,
    conflicts: &AtomicU64,
    mut work: impl AsyncFnMut(&Tx) -> Result<Work<T>, Failure>,
) -> Result<T, StoreError> {
    let mut retries = 0;
    loop {
        match write_once(pool, (BEGIN_WRITE, OPERATION_TIMEOUT), &mut work).await {
            Err(Failure::Conflict(words)) => {
                conflicts.fetch_add(1, Ordering::Relaxed);
                if retries == RETRIES_MAX {
                    return Err(Failure::Conflict(words).into());
                }
                retries += 1;
                log::debug!("a write is repeated: {words}");
                tokio::time::sleep(RETRY_PAUSE_MAX.mul_f64(rand::random_range(0.0..=1.0))).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

async fn write_once<T>(
    pool: &Pool,
    begin: (&str, Duration),
    work: impl AsyncFnOnce(&Tx) -> Result<Work<T>, Failure>,
) -> Result<T, Failure> {
    let (tx, work) = run(pool, begin, work).await?;
    let (last, value) = match work {
        Work::Nothing(value) => {
            tx.roll_back().await;
            return Ok(value);
        }
        Work::Commit(value) => (Vec::new(), value),
        Work::CommitWith(last, value) => (last, value),
    };
    let id = Uuid::now_v7();
    match commit(tx, &last, id).await {
        Ok(()) => return Ok(value),
        Err(Failure::Unavailable(words)) => {
            log::warn!("the connection to PostgreSQL was lost during a commit: {words}");
        }
        Err(failure) => return Err(failure),
    }
    if lookup(pool, id).await? {
        return Ok(value);
    }
    Err(Failure::Unavailable("the connection was lost before the commit".to_owned()))
}

/// Sends the `last` statements and the commit, and waits for all replies. A failure other than [`Failure::Unavailable`]
/// means that nothing was stored.
async fn commit(tx: Tx, last: &[Statement], id: Uuid) -> Result<(), Failure> {
    send_commit(&tx, last, id).await?;
    tx.release();
    Ok(())
}

async fn send_commit(tx: &Tx, last: &[Statement], id: Uuid) -> Result<(), Failure> {
    let lost = || Failure::Unavailable("no reply to the commit".to_owned());
    // In a transaction in which a statement has failed, `COMMIT` succeeds and undoes everything. The insertion before
    // it fails in such a transaction, so the result of the insertion is that of the transaction.
    let values: [&dyn Value; 1] = [&id];
    let insert = tx.execute("INSERT INTO commits (id, fenced) VALUES ($1, false)", &values);
    let mut written = pin!(maybe_done(tx.execute_all(last)));
    let mut ended = pin!(maybe_done(join(insert, tx.run("COMMIT"))));
    // The first polls send everything, in this order. A statement that cannot be sent ends the transaction before its
    // commit is sent.
    if poll_immediate(written.as_mut()).await.is_some() && !last.is_empty() {
        return Err(written.as_mut().take_output().and_then(Result::err).unwrap_or_else(lost));
    }
    poll_immediate(ended.as_mut()).await;
    timeout(OPERATION_TIMEOUT, written.as_mut()).await.map_err(|_| lost())?;
    timeout(COMMIT_TIMEOUT, ended.as_mut()).await.map_err(|_| lost())?;
    written.as_mut().take_output().unwrap_or_else(|| Err(lost()))?;
    let (inserted, committed) = ended.as_mut().take_output().ok_or_else(lost)?;
    inserted.and(committed)
}

/// Returns whether the write with this id was committed. If not, it will not be.
async fn lookup(pool: &Pool, id: Uuid) -> Result<bool, Failure> {
    let deadline = Instant::now() + LOOKUP_TIMEOUT;
    loop {
        let words = match timeout(LOOKUP_ATTEMPT_TIMEOUT, fence(pool, id)).await {
            Ok(Ok(committed)) => return Ok(committed),
            Ok(Err(failure)) => StoreError::from(failure).to_string(),
            Err(_) => "PostgreSQL did not reply in time".to_owned(),
        };
        if Instant::now() >= deadline {
            return Err(Failure::OutcomeUnknown(format!("its outcome is not known: {words}")));
        }
        tokio::time::sleep(LOOKUP_PAUSE).await;
    }
}

/// Makes sure that the id exists, and returns whether its write, and not this function, inserted it.
async fn fence(pool: &Pool, id: Uuid) -> Result<bool, Failure> {
    let tx = Tx::connect(pool).await?;
    // A transaction of one statement.
    let sql = "INSERT INTO commits (id, fenced) VALUES ($1, true)
         ON CONFLICT (id) DO UPDATE SET fenced = commits.fenced RETURNING fenced";
    let row = tx.query_one(sql, &[&id]).await?;
    tx.release();
    Ok(!row.try_get::<_, bool>(0)?)
}

/// Deletes the ids of old writes, which are no longer looked up.
pub(super) async fn forget_old_ids(pool: &Pool) {
    let deleted = async {
        let tx = Tx::connect(pool).await?;
        tx.execute(FORGET, &[]).await?;
        tx.release();
        Ok::<(), Failure>(())
    };
    match timeout(OPERATION_TIMEOUT, deleted).await {
        Ok(Ok(())) => {}
        // The next run deletes them.
        Ok(Err(failure)) => log::warn!("ids of old writes were not deleted: {}", StoreError::from(failure)),
        Err(_) => log::warn!("ids of old writes were not deleted: PostgreSQL did not reply in time"),
    }
}
