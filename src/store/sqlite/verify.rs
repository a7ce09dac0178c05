//! Verifies a store: finds damage, recomputes every seat count from the registrations and the chain of attempts from
//! its rows, and reports differences. The verification reads one consistent snapshot and changes nothing, so a hub may
//! be using the store. [`accept`] accepts a damaged store as it is.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::Connection;

use crate::domain::ids::TermId;
use crate::store::verification::{ChainEnds, Verification, check_term, statuses_of};

use crate::store::sqlite::attempt_check;
use crate::store::sqlite::attempts;
use crate::store::sqlite::content::{self, Position};
use crate::store::sqlite::lock::StoreLock;
use crate::store::sqlite::open::{OpenError, connect_plain, open_existing, require_one_name};
use crate::store::sqlite::rows::unreadable;
use crate::store::sqlite::terms::read_term;
use crate::store::sqlite::{damage, decode, last_commit, seal};

/// Verifies a store.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub fn verify(store: &Path) -> Result<Verification, OpenError> {
    let io = |error| OpenError::Io { path: store.to_owned(), error };
    require_one_name(store)?;
    if !store.is_file() {
        return Err(OpenError::Absent(store.to_owned()));
    }
    // The log and the note are beside the file, not beside a link to it.
    let store = &store.canonicalize().map_err(io)?;
    let at_rest = damage::at_rest(store).map_err(io)?;
    let connection = open_existing(store)?;
    let mut found = verify_all(&connection, at_rest.recorded.as_ref())
        .map_err(|error| OpenError::Sqlite { path: store.to_owned(), error })?;
    found.damage.splice(..0, at_rest.damage);
    Ok(found)
}

fn verify_all(connection: &Connection, recorded: Option<&Position>) -> rusqlite::Result<Verification> {
    // One read transaction, so that commits of a running hub are not mixed in.
    connection.execute_batch("BEGIN")?;
    let mut found = Verification { damage: whole_content(connection, recorded)?, ..Verification::default() };
    let verified = verify_terms(connection, &mut found);
    connection.execute_batch("COMMIT")?;
    match verified {
        // Some counts cannot be recomputed, which the damage explains.
        Err(error) if found.damage.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Returns the damage of the content, including rows that the hub cannot read.
pub(super) fn whole_content(connection: &Connection, recorded: Option<&Position>) -> rusqlite::Result<Vec<String>> {
    let mut found = match damage::of_content(connection, recorded) {
        Err(error) if damage::is_corrupt(&error) => vec![error.to_string()],
        found => found?,
    };
    found.extend(decode::unreadable_rows(connection));
    Ok(found)
}

/// Accepts the content of a damaged store as it is, when there is no backup: commits that cannot be read are lost.
/// Returns what was wrong.
///
/// # Errors
/// When another process has the store's lock, or when the store is too damaged to be used.
pub fn accept(store: &Path) -> Result<Vec<String>, OpenError> {
    let io = |error| OpenError::Io { path: store.to_owned(), error };
    let sqlite = |error| OpenError::Sqlite { path: store.to_owned(), error };
    let lock = StoreLock::take(store)?;
    let store = lock.store();
    let accepted = verify(store)?.damage;
    seal::remove(store).map_err(io)?;
    let connection = connect_plain(store)?;
    let mut unusable = damage::of_pages(&connection).map_err(sqlite)?;
    unusable.extend(decode::unreadable_rows(&connection));
    if !unusable.is_empty() {
        return Err(OpenError::Unusable { path: store.to_owned(), what: unusable.join("; ") });
    }
    content::initialize(&connection).map_err(sqlite)?;
    connection.close().map_err(|(_, error)| sqlite(error))?;
    last_commit::forget(store).map_err(io)?;
    seal::put(store).map_err(io)?;
    Ok(accepted)
}

fn verify_terms(connection: &Connection, found: &mut Verification) -> rusqlite::Result<()> {
    let sql = "SELECT id FROM terms UNION SELECT term FROM registrations UNION SELECT term FROM seats
         UNION SELECT term FROM attempt_chains UNION SELECT term FROM attempts ORDER BY 1";
    let ids: Vec<String> =
        connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut chains: HashMap<TermId, ChainEnds> =
        attempts::chains(connection)?.into_iter().map(|chain| (chain.term.clone(), chain)).collect();
    for id in ids {
        let id = TermId::stored(&id).map_err(|e| unreadable(0, e))?;
        verify_term(connection, &id, chains.remove(&id), found)?;
    }
    Ok(())
}

fn verify_term(
    connection: &Connection,
    id: &TermId,
    chain: Option<ChainEnds>,
    found: &mut Verification,
) -> rusqlite::Result<()> {
    let term = read_term(connection, id)?;
    check_term(&term, &counted(connection, id)?, found);
    let statuses = statuses_of(&term);
    let chain = chain.unwrap_or_else(|| ChainEnds::empty(id.clone()));
    found.attempts += attempt_check::verify_chain(connection, chain, &statuses, &mut found.differences)?;
    Ok(())
}

/// Returns the CRNs of counts above 0.
fn counted(connection: &Connection, id: &TermId) -> rusqlite::Result<Vec<String>> {
    let mut counts = connection
        .prepare("SELECT crn FROM seats WHERE term = ?1 AND enrolled + offered + waitlisted > 0 ORDER BY crn")?;
    counts.query_map([id.as_str()], |row| row.get(0))?.collect()
}
