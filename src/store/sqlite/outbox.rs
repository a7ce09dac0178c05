//! The outbox in the embedded store: what is marked, and what becomes of it.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::fields::Fields;
use crate::domain::ids::SectionId;
use crate::domain::registration::Registration;
use crate::domain::section::SectionState;
use crate::store::StoreFuture;
use crate::store::outbox::{
    ASIDE_LISTED_MAX, AsideEntry, OutboxEntry, OutboxStore, OutboxSummary, PloneItem, RosterLine, Written,
};

use crate::store::sqlite::rows::{self, section_id_at, time_at, unreadable};
use crate::store::sqlite::{SqliteStore, imported, marks, plone_items, rosters};

/// An entry as its row has it, before what belongs to it is read.
struct Due {
    section: SectionId,
    version: u64,
    queued_at: Timestamp,
    attempts: u32,
}

/// Entries that are due and not busy, of those with an item or of those without.
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
    // The busy ones are among them at the worst, and are left out here: they are few.
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

/// The visible definition of a section, with its numbers.
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

/// Who is in a section: enrolled by the time of their seat, then the line in its order.
fn roster(connection: &Connection, id: &SectionId) -> rusqlite::Result<Vec<RosterLine>> {
    let held = rosters::held(connection, id)?.into_iter();
    let line = |held: rosters::Held| {
        let Registration { standing, at, .. } = held.registration;
        RosterLine { user: held.user, standing, since: at }
    };
    Ok(held.map(line).collect())
}

fn due(
    connection: &Connection,
    now: Timestamp,
    busy: &[SectionId],
    limit: usize,
    new_ones: bool,
) -> rusqlite::Result<Vec<OutboxEntry>> {
    // One read transaction: the version and the values belong together.
    let tx = connection.unchecked_transaction()?;
    let mut found = due_rows(&tx, false, now, busy, limit)?;
    if new_ones && found.len() < limit {
        let more = due_rows(&tx, true, now, busy, limit - found.len())?;
        found.extend(more);
    }
    let mut entries = Vec::with_capacity(found.len());
    for due in found {
        // Only sections that exist are marked, and none is ever removed.
        if let Some(state) = section_state(&tx, &due.section)? {
            entries.push(OutboxEntry {
                version: due.version,
                read_at: now,
                queued_at: due.queued_at,
                attempts: due.attempts,
                item: plone_items::item(&tx, &due.section)?,
                state,
                roster: roster(&tx, &due.section)?,
                section: due.section,
            });
        }
    }
    tx.commit()?;
    Ok(entries)
}

fn sent(tx: &Connection, written: &Written, next_at: Timestamp) -> rusqlite::Result<()> {
    let id = &written.seen.section;
    let kept = plone_items::item(tx, id)?;
    let is_as_seen = kept.as_ref() == Some(&written.seen);
    // Another item is the section's by now, and knows nothing of what was written to this one.
    if let Some(mut item) = kept.filter(|item| item.uid == written.seen.uid) {
        item.fields.extend(written.fields.clone());
        plone_items::put(tx, &item)?;
    }
    if is_as_seen && end(tx, id, written.version)? {
        return Ok(());
    }
    // What was changed since then was changed after it was read.
    tx.prepare_cached(
        "UPDATE plone_outbox SET attempts = ?3, next_at = ?4, queued_at = max(queued_at, ?5)
         WHERE term = ?1 AND crn = ?2 AND refused IS NULL",
    )?
    .execute(params![
        id.term.as_str(),
        id.crn.as_str(),
        u32::from(!is_as_seen),
        next_at.as_millisecond(),
        written.read_at.as_millisecond()
    ])?;
    Ok(())
}

/// Ends an entry in this version; false when there is a newer one.
fn end(tx: &Connection, id: &SectionId, version: u64) -> rusqlite::Result<bool> {
    let mut end = tx.prepare_cached("DELETE FROM plone_outbox WHERE term = ?1 AND crn = ?2 AND version = ?3")?;
    Ok(end.execute(params![id.term.as_str(), id.crn.as_str(), version])? > 0)
}

/// Sends again what was put aside: one section, or all.
const RESEND: &str = "UPDATE plone_outbox SET refused = NULL, refused_at = NULL, attempts = 0, next_at = ?1,
     version = version + 1 WHERE refused IS NOT NULL";

fn resend(tx: &Connection, sections: Option<&[SectionId]>, at: Timestamp) -> rusqlite::Result<usize> {
    let Some(sections) = sections else {
        return tx.prepare_cached(RESEND)?.execute([at.as_millisecond()]);
    };
    let mut one = tx.prepare_cached(&format!("{RESEND} AND term = ?2 AND crn = ?3"))?;
    let mut count = 0;
    for id in sections {
        count += one.execute(params![at.as_millisecond(), id.term.as_str(), id.crn.as_str()])?;
    }
    Ok(count)
}

fn summary(connection: &Connection) -> rusqlite::Result<OutboxSummary> {
    let tx = connection.unchecked_transaction()?;
    let (depth, oldest): (u64, Option<i64>) = tx
        .prepare_cached("SELECT count(*), min(queued_at) FROM plone_outbox WHERE refused IS NULL")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let aside_total = tx
        .prepare_cached("SELECT count(*) FROM plone_outbox WHERE refused IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    let aside = tx
        .prepare_cached(
            "SELECT term, crn, refused, refused_at FROM plone_outbox WHERE refused IS NOT NULL
             ORDER BY refused_at DESC, term, crn LIMIT ?1",
        )?
        .query_map([ASIDE_LISTED_MAX], |row| {
            Ok(AsideEntry { section: section_id_at(row, 0)?, reason: row.get(2)?, at: time_at(row, 3)? })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let oldest_at = oldest.map(|ms| Timestamp::from_millisecond(ms).map_err(|e| unreadable(1, e))).transpose()?;
    tx.commit()?;
    Ok(OutboxSummary { depth, oldest_at, aside_total, aside })
}

impl OutboxStore for SqliteStore {
    fn due(&self, now: Timestamp, busy: Vec<SectionId>, limit: u32, new_ones: bool) -> StoreFuture<Vec<OutboxEntry>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.read(move |connection| due(connection, now, &busy, limit, new_ones))
    }

    fn sent(&self, written: Written, next_at: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| sent(tx, &written, next_at))
    }

    fn creating(&self, section: &SectionId, fields: Fields) -> StoreFuture<()> {
        let section = section.clone();
        self.write(move |tx| plone_items::put_creation(tx, &section, &fields))
    }

    fn creations(&self) -> StoreFuture<HashMap<SectionId, Fields>> {
        self.read(plone_items::creations)
    }

    fn drop_entry(&self, section: &SectionId, version: u64) -> StoreFuture<()> {
        let section = section.clone();
        self.write(move |tx| end(tx, &section, version).map(drop))
    }

    fn later(&self, section: &SectionId, next_at: Timestamp) -> StoreFuture<()> {
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

    fn put_aside(&self, section: &SectionId, version: u64, reason: String, at: Timestamp) -> StoreFuture<()> {
        let section = section.clone();
        self.write(move |tx| {
            plone_items::drop_creation(tx, &section)?;
            // A newer version has not been refused: it is tried at its time.
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
        self.write(move |tx| resend(tx, sections.as_deref(), at).map(|count| u64::try_from(count).unwrap_or(u64::MAX)))
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
