//! Removes sandbox terms with everything that belongs to them, after a demonstration.
//!
//! Unlike the embedded store, this one does not remove all sandboxes when it is opened: another hub may be running
//! a demonstration in one of them.

use futures_util::FutureExt;

use crate::domain::ids::TermId;
use crate::store::terms::{SandboxStore, TermStore as _};
use crate::store::{StoreError, StoreFuture};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::rows::{integer, text_at};

/// Maximum number of rows that one write removes. Registrations are committed between two writes.
const CHUNK_LEN: u64 = 1_000;

/// The term of an import task, as SQL.
pub(super) const TERM_OF_TASK: &str = "(body::json ->> 'term')";

/// Tables with rows of a term. For each: the column or expression with the term's id.
const TABLES: [(&str, &str); 14] = [
    ("registrations", "term"),
    ("seats", "term"),
    ("sections", "term"),
    ("term_generations", "term"),
    ("term_staging", "term"),
    ("term_facts", "term"),
    ("attempts", "term"),
    ("attempt_heads", "term"),
    ("attempt_students", "term"),
    ("attempt_chains", "term"),
    ("plone_outbox", "term"),
    ("plone_items", "term"),
    ("import_tasks", TERM_OF_TASK),
    // The last one, so that an interrupted removal can be repeated.
    ("terms", "id"),
];

impl SandboxStore for PostgresStore {
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
            let imports = store.read(async move |tx| {
                let sql = format!("SELECT id FROM import_tasks WHERE {TERM_OF_TASK} = $1");
                let rows = tx.query(&sql, &[&id.as_str()]).await?;
                rows.iter().map(|row| text_at(row, 0).map(str::to_owned)).collect()
            });
            let imports: Vec<String> = imports.await?;
            for (table, column) in TABLES {
                let sql = format!(
                    "DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} WHERE {column} = $1 LIMIT $2)"
                );
                loop {
                    let (sql, id) = (sql.clone(), term.clone());
                    let remove =
                        store.write(async move |tx| tx.execute(&sql, &[&id.as_str(), &integer(CHUNK_LEN)]).await);
                    if remove.await? < CHUNK_LEN {
                        break;
                    }
                }
            }
            Ok(imports)
        }
        .boxed()
    }
}
