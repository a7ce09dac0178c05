//! Sandbox terms are removed as if they had never been: after a demonstration, and at the next start when that was cut
//! off.

use futures_util::FutureExt;
use rusqlite::{Connection, params};

use crate::domain::ids::{SANDBOX_PREFIX, TermId};
use crate::store::terms::SandboxStore;
use crate::store::{StoreError, StoreFuture};

use crate::store::sqlite::SqliteStore;

/// Rows removed in one write: registrations pass between two of these.
const CHUNK_LEN: usize = 1_000;

/// Tables with rows of a term: the column that names it, and the columns that name a row.
const TABLES: [(&str, &str, &str); 8] = [
    ("registrations", "term", "term, user, crn"),
    ("seats", "term", "term, crn"),
    ("sections", "term", "term, crn, generation"),
    ("term_generations", "term", "term, generation"),
    ("plone_outbox", "term", "term, crn"),
    ("plone_items", "term", "term, crn"),
    ("import_tasks", "json_extract(body, '$.term')", "id"),
    // Last, so that what is cut off in between is found again.
    ("terms", "id", "id"),
];

/// Removes whatever demonstrations have left. For the start, before anything is loaded or marked.
pub(super) fn forget_all(connection: &mut Connection) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    for (table, term, _) in TABLES {
        tx.execute(&format!("DELETE FROM {table} WHERE {term} GLOB ?1"), [format!("{SANDBOX_PREFIX}*")])?;
    }
    tx.commit()
}

impl SandboxStore for SqliteStore {
    fn remove_sandbox(&self, term: &TermId) -> StoreFuture<Vec<String>> {
        if !term.is_sandbox() {
            let error = StoreError::Refused(format!("term {term} is no sandbox"));
            return futures_util::future::ready(Err(error)).boxed();
        }
        let (store, term) = (self.clone(), term.clone());
        async move {
            let id = term.clone();
            let imports = store.read(move |connection| {
                let mut ids =
                    connection.prepare("SELECT id FROM import_tasks WHERE json_extract(body, '$.term') = ?1")?;
                ids.query_map([id.as_str()], |row| row.get(0))?.collect()
            });
            let imports = imports.await?;
            for (table, column, key) in TABLES {
                let sql = format!(
                    "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {column} = ?1 LIMIT ?2)"
                );
                loop {
                    let (sql, id) = (sql.clone(), term.clone());
                    let removed = store.write(move |tx| tx.execute(&sql, params![id.as_str(), CHUNK_LEN])).await?;
                    if removed < CHUNK_LEN {
                        break;
                    }
                }
            }
            Ok(imports)
        }
        .boxed()
    }
}
