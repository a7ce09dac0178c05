//! Moving a whole store from SQLite to PostgreSQL: what the two sides exchange.
//!
//! The tables of both are the same up to the differences that `sqlite::transfer` and `postgres::transfer` name. The
//! source sends the rows in chunks, and the target stores them in one transaction, reads them back and compares them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::store::verification::Verification;

/// The tables that are moved. A table that refers to another comes after it.
pub const TABLES: [&str; 39] = [
    "terms",
    "term_generations",
    "sections",
    "seats",
    "registrations",
    "students",
    "attempts",
    "attempt_chains",
    "attempt_students",
    "attempt_heads",
    "plans",
    "events",
    "import_tasks",
    "import_profiles",
    "plone_items",
    "plone_outbox",
    "plone_notes",
    "plone_creations",
    "plone_members",
    "plone_sign_ins_ended",
    "accounts",
    "people",
    "dead_tokens",
    "tokens_valid_from",
    "sign_ins",
    "second_factors",
    "recovery_codes",
    "provider_users",
    "provider_sign_ins",
    "audit",
    "audit_people",
    "guardian_links",
    "schedule_feeds",
    "alerts",
    "alert_log",
    "alert_recipients",
    "alert_acks",
    "cap_messages",
    "demo_reports",
];
/// Number of rows that are sent and written together.
pub const CHUNK_ROWS: usize = 1_000;
/// Maximum number of chunks that the source has read and the target has not written yet.
pub const CHUNKS_AHEAD: usize = 4;
/// Time between two reports of progress within a table.
pub const REPORT_EVERY: Duration = Duration::from_secs(2);

/// A value of the source.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// A number, or a truth value.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// Rows of a table, or the reason why no more can be read.
pub type Chunk = Result<(&'static str, Vec<Vec<Cell>>), String>;

/// The columns of tables, in the order in which their values are sent.
pub type Columns = BTreeMap<&'static str, Vec<String>>;

/// The data that the target needs from the source.
pub struct Source {
    /// The columns of each table of the source.
    pub columns: Columns,
    /// The last position in the sequence of alerts.
    pub alert_log: i64,
    /// What the check of the source counted.
    pub verified: Verification,
    /// Starts to send the rows: table by table, in the order of [`TABLES`], with the values of these columns.
    pub send: Box<dyn FnOnce(Columns) -> Receiver<Chunk> + Send>,
}

/// A step of a move, for the person who runs the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Rows of a table were written, this many so far.
    Written(&'static str, u64),
    /// Rows of a table were read back, and are the rows of the source.
    Compared(&'static str, u64),
    /// The counts and the chain of attempts are recomputed.
    Verifying,
}

/// The result of a move.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transferred {
    /// The number of rows of all tables.
    pub rows: u64,
    /// The number of texts that contained the character U+0000, which PostgreSQL cannot store. They contain U+FFFD
    /// instead.
    pub replaced: u64,
    /// The number of attempts in the chains.
    pub attempts: u64,
}

/// Why a store was not moved. The target is as it was before. The messages are for the person who runs the command.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The target cannot be opened or written.
    #[error("{0}")]
    Target(String),
    /// A hub runs on the target.
    #[error("a hub runs on the target; stop it, and try again after half a minute")]
    HubRuns,
    /// The target has data.
    #[error("the target is not empty: its table {0} has rows. Use a new database")]
    NotEmpty(String),
    /// A table or column of one side has no counterpart.
    #[error("the tables of the two stores differ: {0}")]
    Schema(String),
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Source(String),
    /// The rows of the target differ from those of the source.
    #[error("the rows of {0} in the target are not those of the source; nothing was stored")]
    Differs(&'static str),
    /// The check of the target found differences, or counted something other than the check of the source did.
    #[error("the check of the target failed: {0}; nothing was stored")]
    Verification(String),
}
