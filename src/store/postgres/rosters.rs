//! Rosters: the students in a section.

use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::store::StoreFuture;
use crate::store::rosters::{RosterEntry, RosterStore};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{maybe_text_at, number_at};
use crate::store::postgres::term_rows::{REGISTRATION_COLUMNS, registration_at};
use crate::store::postgres::transaction::Tx;

/// A registration in a section, with its student.
pub(super) struct RosterRow {
    pub(super) user: UserName,
    pub(super) name: Option<String>,
    pub(super) registration: Registration,
}

/// Returns the students in a section, with the display name of their account, or otherwise of their last token: first
/// those enrolled, by the time at which they enrolled, then those who are offered a seat, by the time of the offer,
/// then the waitlist in order.
pub(super) async fn roster_rows(tx: &Tx, id: &SectionId) -> Result<Vec<RosterRow>, Failure> {
    let sql = format!(
        "SELECT {REGISTRATION_COLUMNS}, coalesce(a.name, p.name) FROM registrations AS r
         LEFT JOIN accounts AS a ON a.username = r.username
         LEFT JOIN people AS p ON p.username = r.username
         WHERE r.term = $1 AND r.crn = $2 AND r.standing IN ('enrolled', 'offered', 'waitlisted')
         ORDER BY r.standing, CASE WHEN r.standing = 'waitlisted' THEN r.place ELSE r.at END, r.username"
    );
    let rows = tx.query(&sql, &[&id.term.as_str(), &id.crn.as_str()]).await?;
    let row = |row| {
        let (user, registration) = registration_at(row)?;
        Ok(RosterRow { user, name: maybe_text_at(row, 10)?.map(str::to_owned), registration })
    };
    rows.iter().map(row).collect()
}

impl RosterStore for PostgresStore {
    fn roster(&self, section: &SectionId) -> StoreFuture<Option<Vec<RosterEntry>>> {
        let id = section.clone();
        self.read(async move |tx| {
            // People who wait outside the hub come before the hub's waitlist.
            let sql = "SELECT s.outside_waitlisted FROM sections AS s WHERE s.term = $1 AND s.crn = $2
                     AND s.generation <= (SELECT t.generation FROM terms AS t WHERE t.id = $1)
                 ORDER BY s.generation DESC LIMIT 1";
            let found = tx.query_opt(sql, &[&id.term.as_str(), &id.crn.as_str()]).await?;
            let Some(found) = found else { return Ok(None) };
            let mut last_position: u32 = number_at(&found, 0)?;
            let entries = roster_rows(tx, &id).await?.into_iter().map(|RosterRow { user, name, registration }| {
                let is_waitlisted = registration.status == RegistrationStatus::Waitlisted;
                last_position = last_position.saturating_add(u32::from(is_waitlisted));
                let position = is_waitlisted.then_some(last_position);
                let expires_at = registration.offer.map(|offer| offer.expires_at);
                RosterEntry { user, name, status: registration.status, position, since: registration.at, expires_at }
            });
            Ok(Some(entries.collect()))
        })
    }
}
