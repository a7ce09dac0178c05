//! Who is in a section, read from the embedded store in one piece.

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::{Registration, Standing};
use crate::store::StoreFuture;
use crate::store::rosters::{RosterEntry, RosterStore};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows;

/// Everyone in a section with the name of their account, or else the one that they came with.
const HELD: &str = "
    SELECT r.user, r.crn, r.standing, r.place, r.at, r.passed, coalesce(a.name, p.name)
    FROM registrations AS r
    LEFT JOIN accounts AS a ON a.username = r.user
    LEFT JOIN people AS p ON p.username = r.user
    WHERE r.term = ?1 AND r.crn = ?2 AND r.standing IN ('enrolled', 'waitlisted')";

/// Somebody who holds a seat or a place, with a name for people.
pub(super) struct Held {
    pub(super) user: UserName,
    pub(super) name: Option<String>,
    pub(super) registration: Registration,
}

/// Who is in a section: enrolled by the time of their seat, then the line in its order.
pub(super) fn held(connection: &Connection, id: &SectionId) -> rusqlite::Result<Vec<Held>> {
    let mut held = connection.prepare_cached(HELD)?;
    let mut held = held
        .query_map([id.term.as_str(), id.crn.as_str()], |row| {
            let (user, registration) = rows::registration_at(row)?;
            Ok(Held { user, name: row.get(6)?, registration })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    held.sort_by_cached_key(|held| match held.registration.standing {
        Standing::Enrolled => (0, held.registration.at.as_millisecond(), held.user.clone()),
        _ => (1, i64::try_from(held.registration.place).unwrap_or(i64::MAX), held.user.clone()),
    });
    Ok(held)
}

/// How many wait outside the hub for a section, who come before its own line; none when there is no such section.
fn outside_waitlisted(connection: &Connection, id: &SectionId) -> rusqlite::Result<Option<u32>> {
    connection
        .prepare_cached(
            "SELECT s.outside_waitlisted FROM sections AS s
             WHERE s.term = ?1 AND s.crn = ?2
                 AND s.generation <= (SELECT t.generation FROM terms AS t WHERE t.id = ?1)
             ORDER BY s.generation DESC LIMIT 1",
        )?
        .query_row(params![id.term.as_str(), id.crn.as_str()], |row| row.get(0))
        .optional()
}

fn roster(connection: &Connection, id: &SectionId) -> rusqlite::Result<Option<Vec<RosterEntry>>> {
    // One read transaction: a line and those who are before it belong together.
    let tx = connection.unchecked_transaction()?;
    let Some(mut position) = outside_waitlisted(&tx, id)? else { return Ok(None) };
    let entries = held(&tx, id)?.into_iter().map(|Held { user, name, registration }| {
        let waits = registration.standing == Standing::Waitlisted;
        position = position.saturating_add(u32::from(waits));
        let place = waits.then_some(position);
        RosterEntry { user, name, standing: registration.standing, position: place, since: registration.at }
    });
    let entries = entries.collect();
    tx.commit()?;
    Ok(Some(entries))
}

impl RosterStore for SqliteStore {
    fn roster(&self, section: &SectionId) -> StoreFuture<Option<Vec<RosterEntry>>> {
        let section = section.clone();
        self.read(move |connection| roster(connection, &section))
    }
}
