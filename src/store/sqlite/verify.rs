//! Verifies a store: finds damage, recomputes every seat count from the registrations and the chain of attempts from its
//! rows, and reports differences. Reads one consistent snapshot and changes nothing, so a hub may be using the store.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::Connection;

use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::reservation::ReservedCounts;
use crate::domain::section::{SectionState, SectionStatus};

use crate::store::sqlite::attempt_check::{self, Statuses};
use crate::store::sqlite::attempts::{self, ChainRow};
use crate::store::sqlite::content::{self, Position};
use crate::store::sqlite::lock::StoreLock;
use crate::store::sqlite::open::{OpenError, connect_plain, open_existing, require_one_name};
use crate::store::sqlite::rows::unreadable;
use crate::store::sqlite::terms::read_term;
use crate::store::sqlite::{damage, decode, last_commit, seal};

/// The result of verifying a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Number of terms.
    pub terms: usize,
    /// Number of sections.
    pub sections: usize,
    /// Number of seats and waitlist positions.
    pub registered: usize,
    /// Number of attempts.
    pub attempts: u64,
    /// What is not as the hub wrote it, one phrase each. Empty if the store is whole.
    pub damage: Vec<String>,
    /// Differences between the stored counts and the registrations, one sentence each. Empty if the store is correct.
    pub differences: Vec<String>,
    /// What is unusual but may be correct, because staff and imports may change a section that has students.
    pub notes: Vec<String>,
}

/// A term's sections by CRN.
type Sections<'t> = HashMap<Crn, &'t SectionState>;

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
    let mut chains: HashMap<TermId, ChainRow> =
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
    chain: Option<ChainRow>,
    found: &mut Verification,
) -> rusqlite::Result<()> {
    let term = read_term(connection, id)?;
    // Enrolled students, offers and waitlisted students of each section.
    let mut counted: BTreeMap<Crn, (u32, u32, u32)> = BTreeMap::new();
    let mut reserved: HashMap<Crn, ReservedCounts> = HashMap::new();
    for (_, registration) in term.registrations.iter().filter(|(_, r)| r.is_registered()) {
        let (enrolled, offered, waitlisted) = counted.entry(registration.crn.clone()).or_default();
        match registration.status {
            RegistrationStatus::Enrolled => *enrolled += 1,
            RegistrationStatus::Offered => *offered += 1,
            RegistrationStatus::Waitlisted => *waitlisted += 1,
            RegistrationStatus::Dropped => {}
        }
        if let Some(group) = &registration.reserved_for {
            reserved.entry(registration.crn.clone()).or_default().count(group, true);
        }
        found.registered += 1;
    }
    found.terms += 1;
    found.sections += term.sections.len();
    let sections: Sections<'_> = term.sections.iter().map(|s| (s.section.id.crn.clone(), s)).collect();

    let mut in_order: Vec<&SectionState> = sections.values().copied().collect();
    in_order.sort_by(|a, b| a.section.id.cmp(&b.section.id));
    for state in in_order {
        let (enrolled, offered, waitlisted) = counted.get(&state.section.id.crn).copied().unwrap_or_default();
        let section = &state.section.id;
        compare_count(found, section, "enrolled", state.enrolled, enrolled);
        compare_count(found, section, "offered", state.offered, offered);
        compare_count(found, section, "waitlisted", state.waitlisted, waitlisted);
        let reserved = reserved.remove(&section.crn).unwrap_or_default();
        if state.reserved.taken != reserved.taken {
            found.differences.push(format!(
                "{section}: reserved seats taken: {} by its count, {} by its registrations",
                sum_of(&state.reserved),
                sum_of(&reserved)
            ));
        }
        let (total, capacity) = (state.enrolled_total(), state.section.capacity);
        if total > capacity {
            found.notes.push(format!("{section}: {total} enrolled, capacity {capacity}"));
        }
    }
    for crn in counted.keys().filter(|crn| !sections.contains_key(*crn)) {
        found.differences.push(format!("{id}-{crn}: registrations in a section that does not exist"));
    }
    for crn in stray_counts(connection, id, &sections)? {
        found.differences.push(format!("{id}-{crn}: a seat count of a section that does not exist"));
    }
    let statuses: Statuses =
        term.registrations.iter().map(|(user, r)| ((user.clone(), r.crn.clone()), r.status)).collect();
    let chain = chain.unwrap_or_else(|| ChainRow::empty(id.clone()));
    found.attempts += attempt_check::verify_chain(connection, chain, &statuses, &mut found.differences)?;
    for registrations in term.registrations.chunk_by(|(a, _), (b, _)| a == b) {
        note_conflicts(found, id, &sections, registrations);
    }
    Ok(())
}

fn sum_of(counts: &ReservedCounts) -> u32 {
    counts.taken.iter().map(|(_, taken)| *taken).fold(0, u32::saturating_add)
}

fn compare_count(found: &mut Verification, section: &SectionId, what: &str, stored: u32, counted: u32) {
    if stored != counted {
        found.differences.push(format!("{section}: {stored} {what} by its count, {counted} by its registrations"));
    }
}

/// Returns the CRNs of counts above 0 that belong to no section.
fn stray_counts(connection: &Connection, id: &TermId, sections: &Sections<'_>) -> rusqlite::Result<Vec<String>> {
    let mut counts = connection
        .prepare("SELECT crn FROM seats WHERE term = ?1 AND enrolled + offered + waitlisted > 0 ORDER BY crn")?;
    let crns: Vec<String> = counts.query_map([id.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(crns.into_iter().filter(|crn| !sections.contains_key(crn.as_str())).collect())
}

/// Notes pairs of a student's sections that the rules do not allow together.
fn note_conflicts(
    found: &mut Verification,
    term: &TermId,
    sections: &Sections<'_>,
    registrations: &[(UserName, Registration)],
) {
    let held: Vec<_> = registrations
        .iter()
        .filter(|(_, r)| r.is_registered())
        .filter_map(|(student, r)| Some((student, &sections.get(&r.crn)?.section)))
        .filter(|(_, section)| section.status != SectionStatus::Cancelled)
        .collect();
    for (at, (student, one)) in held.iter().enumerate() {
        for (_, other) in &held[at + 1..] {
            let why = if one.same_course(other) {
                "two sections of one course and component"
            } else if one.overlaps(other) {
                "two sections that overlap"
            } else {
                continue;
            };
            let (one, other) = (&one.id.crn, &other.id.crn);
            found.notes.push(format!("{term}: {student} has {one} and {other}, {why}"));
        }
    }
}
