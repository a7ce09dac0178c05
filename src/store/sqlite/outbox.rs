//! The outbox in the embedded store.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::fields::Fields;
use crate::domain::ids::SectionId;
use crate::domain::registration::Registration;
use crate::domain::section::SectionState;
use crate::store::StoreFuture;
use crate::store::outbox::{
    OutboxEntry, OutboxStore, OutboxSummary, PloneItem, REFUSED_LISTED_MAX, RefusedEntry, RosterLine, SuccessfulWrite,
};

use crate::store::sqlite::rows::{self, section_id_at, time_at, unreadable};
use crate::store::sqlite::{SqliteStore, imported, marks, plone_items, rosters};

/// The row of an entry, before its section and item are read.
struct Due {
    section: SectionId,
    version: u64,
    queued_at: Timestamp,
    attempts: u32,
}

/// Returns entries that are due and whose section is not busy: those of sections without an item if `is_new`, otherwise
/// those of sections with one.
fn due_rows(
    connection: &Connection,
    is_new: bool,
    now: Timestamp,
    busy: &[SectionId],
    limit: usize,
) -> rusqlite::Result<Vec<Due>> {
    let mut due = connection.prepare_cached(
        "SELECT term, crn, version, queued_at, attempts FROM plone_outbox
         WHERE refused IS NULL AND is_new = ?1 AND next_at <= ?2 ORDER BY next_at LIMIT ?3",
    )?;
    // Busy sections are few, so they are filtered here. The limit of the query allows for all of them to be due.
    let due = due.query_map(params![is_new, now.as_millisecond(), limit + busy.len()], |row| {
        Ok(Due {
            section: section_id_at(row, 0)?,
            version: row.get(2)?,
            queued_at: time_at(row, 3)?,
            attempts: row.get(4)?,
        })
    })?;
    let mut free = Vec::new();
    for due in due {
        let due = due?;
        if free.len() < limit && !busy.contains(&due.section) {
            free.push(due);
        }
    }
    Ok(free)
}

/// Returns the visible definition of a section with its counts.
fn section_state(connection: &Connection, id: &SectionId) -> rusqlite::Result<Option<SectionState>> {
    let sql = format!(
        "SELECT {} FROM sections AS s LEFT JOIN seats AS n ON n.term = s.term AND n.crn = s.crn
         WHERE s.term = ?1 AND s.crn = ?2
             AND s.generation <= (SELECT t.generation FROM terms AS t WHERE t.id = ?1)
         ORDER BY s.generation DESC LIMIT 1",
        rows::SECTION_COLUMNS
    );
    let mut found = connection.prepare_cached(&sql)?;
    found.query_row([id.term.as_str(), id.crn.as_str()], |row| rows::section_at(row, &id.term)).optional()
}

/// Returns the students in a section: first those enrolled, by the time at which they enrolled, then those who are
/// offered a seat, by the time of the offer, then the waitlist in order.
fn roster_lines(connection: &Connection, id: &SectionId) -> rusqlite::Result<Vec<RosterLine>> {
    let rows = rosters::roster_rows(connection, id)?.into_iter();
    let line = |row: rosters::RosterRow| {
        let Registration { status, at, .. } = row.registration;
        RosterLine { user: row.user, status, since: at }
    };
    Ok(rows.map(line).collect())
}

fn due(
    connection: &Connection,
    now: Timestamp,
    busy: &[SectionId],
    limit: usize,
    include_new: bool,
) -> rusqlite::Result<Vec<OutboxEntry>> {
    // One read transaction, so that the version and the values are of the same commit.
    let tx = connection.unchecked_transaction()?;
    let mut found = due_rows(&tx, false, now, busy, limit)?;
    if include_new && found.len() < limit {
        let more = due_rows(&tx, true, now, busy, limit - found.len())?;
        found.extend(more);
    }
    let mut entries = Vec::with_capacity(found.len());
    for due in found {
        // Only existing sections are marked, and sections are never removed.
        if let Some(state) = section_state(&tx, &due.section)? {
            entries.push(OutboxEntry {
                version: due.version,
                read_at: now,
                queued_at: due.queued_at,
                attempts: due.attempts,
                item: plone_items::item(&tx, &due.section)?,
                state,
                roster: roster_lines(&tx, &due.section)?,
                section: due.section,
            });
        }
    }
    tx.commit()?;
    Ok(entries)
}

fn record_sent(tx: &Connection, written: &SuccessfulWrite, next_at: Timestamp) -> rusqlite::Result<()> {
    let id = &written.seen.section;
    let stored = plone_items::item(tx, id)?;
    let is_unchanged = stored.as_ref() == Some(&written.seen);
    // If the section has another item now, nothing was written to that item.
    if let Some(mut item) = stored.filter(|item| item.uid == written.seen.uid) {
        item.fields.extend(written.fields.clone());
        plone_items::put(tx, &item)?;
    }
    if is_unchanged && delete_entry(tx, id, written.version)? {
        return Ok(());
    }
    // The changes that still have to be written were made after the entry was read.
    tx.prepare_cached(
        "UPDATE plone_outbox SET attempts = ?3, next_at = ?4, queued_at = max(queued_at, ?5)
         WHERE term = ?1 AND crn = ?2 AND refused IS NULL",
    )?
    .execute(params![
        id.term.as_str(),
        id.crn.as_str(),
        u32::from(!is_unchanged),
        next_at.as_millisecond(),
        written.read_at.as_millisecond()
    ])?;
    Ok(())
}

/// Deletes an entry in this version. Returns false when there is no entry in this version.
fn delete_entry(tx: &Connection, id: &SectionId, version: u64) -> rusqlite::Result<bool> {
    let mut delete = tx.prepare_cached("DELETE FROM plone_outbox WHERE term = ?1 AND crn = ?2 AND version = ?3")?;
    Ok(delete.execute(params![id.term.as_str(), id.crn.as_str(), version])? > 0)
}

/// Queues all refused entries again, due at `?1`.
const RESEND: &str = "UPDATE plone_outbox SET refused = NULL, refused_at = NULL, attempts = 0, next_at = ?1,
     version = version + 1 WHERE refused IS NOT NULL";

fn queue_refused_again(tx: &Connection, sections: Option<&[SectionId]>, at: Timestamp) -> rusqlite::Result<usize> {
    let Some(sections) = sections else {
        return tx.prepare_cached(RESEND)?.execute([at.as_millisecond()]);
    };
    let mut resend_one = tx.prepare_cached(&format!("{RESEND} AND term = ?2 AND crn = ?3"))?;
    let mut count = 0;
    for id in sections {
        count += resend_one.execute(params![at.as_millisecond(), id.term.as_str(), id.crn.as_str()])?;
    }
    Ok(count)
}

fn summary(connection: &Connection) -> rusqlite::Result<OutboxSummary> {
    let tx = connection.unchecked_transaction()?;
    let (depth, oldest): (u64, Option<i64>) = tx
        .prepare_cached("SELECT count(*), min(queued_at) FROM plone_outbox WHERE refused IS NULL")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let refused_total = tx
        .prepare_cached("SELECT count(*) FROM plone_outbox WHERE refused IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    let refused = tx
        .prepare_cached(
            "SELECT term, crn, refused, refused_at FROM plone_outbox WHERE refused IS NOT NULL
             ORDER BY refused_at DESC, term, crn LIMIT ?1",
        )?
        .query_map([REFUSED_LISTED_MAX], |row| {
            Ok(RefusedEntry { section: section_id_at(row, 0)?, reason: row.get(2)?, at: time_at(row, 3)? })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let oldest_at = oldest.map(|ms| Timestamp::from_millisecond(ms).map_err(|e| unreadable(1, e))).transpose()?;
    tx.commit()?;
    Ok(OutboxSummary { depth, oldest_at, refused_total, refused })
}

impl OutboxStore for SqliteStore {
    fn due(
        &self,
        now: Timestamp,
        busy: Vec<SectionId>,
        limit: u32,
        include_new: bool,
    ) -> StoreFuture<Vec<OutboxEntry>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.read(move |connection| due(connection, now, &busy, limit, include_new))
    }

    fn record_sent(&self, written: SuccessfulWrite, next_at: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| record_sent(tx, &written, next_at))
    }

    fn record_creation(&self, section: &SectionId, fields: Fields) -> StoreFuture<()> {
        let section = section.clone();
        self.write(move |tx| plone_items::put_creation(tx, &section, &fields))
    }

    fn creations(&self) -> StoreFuture<HashMap<SectionId, Fields>> {
        self.read(plone_items::creations)
    }

    fn delete_entry(&self, section: &SectionId, version: u64) -> StoreFuture<()> {
        let section = section.clone();
        self.write(move |tx| delete_entry(tx, &section, version).map(drop))
    }

    fn record_failure(&self, section: &SectionId, next_at: Timestamp) -> StoreFuture<()> {
        let section = section.clone();
        self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE plone_outbox SET attempts = attempts + 1, next_at = ?3
                 WHERE term = ?1 AND crn = ?2 AND refused IS NULL",
            )?
            .execute(params![section.term.as_str(), section.crn.as_str(), next_at.as_millisecond()])
            .map(drop)
        })
    }

    fn record_refusal(&self, section: &SectionId, version: u64, reason: String, at: Timestamp) -> StoreFuture<()> {
        let section = section.clone();
        self.write(move |tx| {
            plone_items::drop_creation(tx, &section)?;
            // A newer version was not refused and is sent when it is due.
            tx.prepare_cached(
                "UPDATE plone_outbox SET refused = ?4, refused_at = ?5 WHERE term = ?1 AND crn = ?2 AND version = ?3",
            )?
            .execute(params![section.term.as_str(), section.crn.as_str(), version, reason, at.as_millisecond()])
            .map(drop)
        })
    }

    fn mark(&self, sections: Vec<SectionId>, at: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| {
            for id in &sections {
                if section_state(tx, id)?.is_some() {
                    marks::mark(tx, &id.term, [&id.crn], at)?;
                }
            }
            Ok(())
        })
    }

    fn mark_imported(&self, known_only: bool, at: Timestamp) -> StoreFuture<bool> {
        let store = self.clone();
        let next = self.read(move |connection| imported::next(connection, known_only));
        Box::pin(async move {
            let Some(next) = next.await? else { return Ok(false) };
            store.write(move |tx| imported::mark(tx, &next, at)).await.map(|()| true)
        })
    }

    fn resend(&self, sections: Option<Vec<SectionId>>, at: Timestamp) -> StoreFuture<u64> {
        self.write(move |tx| {
            let count = queue_refused_again(tx, sections.as_deref(), at)?;
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        })
    }

    fn summary(&self) -> StoreFuture<OutboxSummary> {
        self.read(summary)
    }

    fn items(&self) -> StoreFuture<Vec<PloneItem>> {
        self.read(plone_items::all)
    }

    fn put_items(&self, items: Vec<PloneItem>) -> StoreFuture<()> {
        self.write(move |tx| items.iter().try_for_each(|item| plone_items::put(tx, item)))
    }

    fn put_pulled(&self, items: Vec<(Option<PloneItem>, PloneItem)>) -> StoreFuture<()> {
        self.write(move |tx| {
            for (seen, item) in &items {
                if plone_items::item(tx, &item.section)? == *seen {
                    plone_items::put(tx, item)?;
                }
            }
            Ok(())
        })
    }

    fn note(&self, name: &str) -> StoreFuture<Option<String>> {
        let name = name.to_owned();
        self.read(move |connection| marks::note(connection, &name))
    }

    fn put_note(&self, name: &str, value: String) -> StoreFuture<()> {
        let name = name.to_owned();
        self.write(move |tx| marks::put_note(tx, &name, &value))
    }
}
