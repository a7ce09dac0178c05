//! Removes sandbox terms with everything that belongs to them: after a demonstration, and when the store is opened, in
//! case the last demonstration was interrupted.

use futures_util::FutureExt;
use rusqlite::{Connection, params};

use crate::domain::ids::{SANDBOX_PREFIX, TermId};
use crate::store::terms::{SandboxStore, TermStore as _};
use crate::store::{StoreError, StoreFuture};

use crate::store::sqlite::SqliteStore;

/// Maximum number of rows that one write removes. Registrations are committed between two writes.
const CHUNK_LEN: usize = 1_000;

/// Tables with rows of a term. For each: the column with the term's id, and the columns of the primary key.
const TABLES: [(&str, &str, &str); 12] = [
    ("registrations", "term", "term, user, crn"),
    ("seats", "term", "term, crn"),
    ("sections", "term", "term, crn, generation"),
    ("term_generations", "term", "term, generation"),
    ("attempts", "term", "term, n"),
    ("attempt_heads", "term", "term, student, crn"),
    ("attempt_students", "term", "term, id"),
    ("attempt_chains", "term", "term"),
    ("plone_outbox", "term", "term, crn"),
    ("plone_items", "term", "term, crn"),
    ("import_tasks", "json_extract(body, '$.term')", "id"),
    // The last one, so that an interrupted removal can be repeated.
    ("terms", "id", "id"),
];

/// Removes all sandbox terms. Must be called before any term is loaded or marked.
pub(super) fn remove_all(tx: &Connection) -> rusqlite::Result<()> {
    for (table, term, _) in TABLES {
        tx.execute(&format!("DELETE FROM {table} WHERE {term} GLOB ?1"), [format!("{SANDBOX_PREFIX}*")])?;
    }
    Ok(())
}

impl SandboxStore for SqliteStore {
    fn sandbox_ids(&self) -> StoreFuture<Vec<TermId>> {
        let terms = self.term_ids();
        async move { Ok(terms.await?.into_iter().filter(TermId::is_sandbox).collect()) }.boxed()
    }

    fn remove_sandbox(&self, term: &TermId) -> StoreFuture<Vec<String>> {
        if !term.is_sandbox() {
            let error = StoreError::Refused(format!("term {term} is not a sandbox"));
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
