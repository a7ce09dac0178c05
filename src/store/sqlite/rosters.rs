//! Rosters in the embedded store.

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::store::StoreFuture;
use crate::store::rosters::{RosterEntry, RosterStore};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows;

/// The students in a section, with the display name of their account, or otherwise of their last token.
const ROSTER: &str = "
    SELECT r.user, r.crn, r.standing, r.place, r.at, r.passed, r.reserved_for, r.offer_until, r.remind_at,
        r.choices, coalesce(a.name, p.name)
    FROM registrations AS r
    LEFT JOIN accounts AS a ON a.username = r.user
    LEFT JOIN people AS p ON p.username = r.user
    WHERE r.term = ?1 AND r.crn = ?2 AND r.standing IN ('enrolled', 'offered', 'waitlisted')";

/// A registration in a section, with its student.
pub(super) struct RosterRow {
    pub(super) user: UserName,
    pub(super) name: Option<String>,
    pub(super) registration: Registration,
}

/// Returns the students in a section: first those enrolled, by the time at which they enrolled, then those who are
/// offered a seat, by the time of the offer, then the waitlist in order.
pub(super) fn roster_rows(connection: &Connection, id: &SectionId) -> rusqlite::Result<Vec<RosterRow>> {
    let mut statement = connection.prepare_cached(ROSTER)?;
    let mut found = statement
        .query_map([id.term.as_str(), id.crn.as_str()], |row| {
            let (user, registration) = rows::registration_at(row)?;
            Ok(RosterRow { user, name: row.get(10)?, registration })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    found.sort_by_cached_key(|row| match row.registration.status {
        RegistrationStatus::Enrolled => (0, row.registration.at.as_millisecond(), row.user.clone()),
        RegistrationStatus::Offered => (1, row.registration.at.as_millisecond(), row.user.clone()),
        RegistrationStatus::Waitlisted | RegistrationStatus::Dropped => {
            (2, i64::try_from(row.registration.queue_number).unwrap_or(i64::MAX), row.user.clone())
        }
    });
    Ok(found)
}

/// Returns the number of people who wait for a section outside the hub. They come before those who wait in the hub.
/// `None` when there is no such section.
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
    // One read transaction, so that the waitlist and the number of people before it are of the same commit.
    let tx = connection.unchecked_transaction()?;
    let Some(mut last_position) = outside_waitlisted(&tx, id)? else { return Ok(None) };
    let entries = roster_rows(&tx, id)?.into_iter().map(|RosterRow { user, name, registration }| {
        let is_waitlisted = registration.status == RegistrationStatus::Waitlisted;
        last_position = last_position.saturating_add(u32::from(is_waitlisted));
        let position = is_waitlisted.then_some(last_position);
        let expires_at = registration.offer.map(|offer| offer.expires_at);
        RosterEntry { user, name, status: registration.status, position, since: registration.at, expires_at }
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
