//! The outbox in the embedded store: marks that are written with the changes themselves, and what becomes of them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::registration::Registration;
use crate::domain::section::SectionState;
use crate::ports::StoreFuture;
use crate::ports::outbox::{
    ASIDE_LISTED_MAX, AsideEntry, OutboxEntry, OutboxStore, OutboxSummary, PloneItem, RosterLine, Written,
};

use super::rows::{self, time_at, unreadable};
use super::{SqliteStore, plone_items, rosters};

/// The note that says that every section of the store was marked once, and every change since then.
const MARKED_NOTE: &str = "outbox_marked";

/// Marks a section; `?` of what is marked already stays as it is, but for what Plone refused, which waits anew.
const MARK: &str = "INSERT INTO plone_outbox (term, crn, version, queued_at, next_at, is_new)
     VALUES (?1, ?2, 1, ?3, ?3, NOT EXISTS (SELECT 1 FROM plone_items AS i WHERE i.term = ?1 AND i.crn = ?2))
     ON CONFLICT (term, crn) DO UPDATE SET version = version + 1,
         attempts = iif(refused IS NULL, attempts, 0), next_at = iif(refused IS NULL, next_at, ?3),
         refused = NULL, refused_at = NULL";

/// Marks these sections of a term, in the transaction of their change.
pub(super) fn mark<'s>(
    tx: &Connection,
    term: &TermId,
    crns: impl IntoIterator<Item = &'s Crn>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut mark = tx.prepare_cached(MARK)?;
    for crn in crns {
        mark.execute(params![term.as_str(), crn.as_str(), at.as_millisecond()])?;
    }
    Ok(())
}

/// Marks every section that is visible.
pub(super) fn mark_all(tx: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    let mut all = tx.prepare(
        "SELECT DISTINCT s.term, s.crn FROM sections AS s JOIN terms AS t ON t.id = s.term AND s.generation <= t.generation",
    )?;
    let all: Vec<(String, String)> =
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let mut mark = tx.prepare_cached(MARK)?;
    for (term, crn) in all {
        mark.execute(params![term, crn, at.as_millisecond()])?;
    }
    Ok(())
}

/// What opening a store does: where changes are to reach Plone from now on and were not marked before, everything is
/// marked once. Where they are not marked any more, that is noted, so that the next time begins with everything again.
pub(super) fn begin(connection: &mut Connection, wanted: bool) -> rusqlite::Result<()> {
    let marked = note(connection, MARKED_NOTE)?.is_some();
    if wanted == marked {
        return Ok(());
    }
    let tx = connection.transaction()?;
    if wanted {
        mark_all(&tx, Timestamp::now())?;
        put_note(&tx, MARKED_NOTE, "true")?;
    } else {
        tx.execute("DELETE FROM plone_notes WHERE name = ?1", [MARKED_NOTE])?;
    }
    tx.commit()
}

fn note(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let mut found = connection.prepare_cached("SELECT value FROM plone_notes WHERE name = ?1")?;
    found.query_row([name], |row| row.get(0)).optional()
}

fn put_note(tx: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO plone_notes (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
    )?;
    put.execute([name, value]).map(drop)
}

/// An entry as its row has it, before what belongs to it is read.
struct Due {
    section: SectionId,
    version: u64,
    queued_at: Timestamp,
    attempts: u32,
}

pub(super) fn section_id_at(row: &Row<'_>, column: usize) -> rusqlite::Result<SectionId> {
    let (term, crn): (String, String) = (row.get(column)?, row.get(column + 1)?);
    Ok(SectionId {
        term: TermId::parse(&term).map_err(|e| unreadable(column, e))?,
        crn: Crn::parse(&crn).map_err(|e| unreadable(column + 1, e))?,
    })
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
                    mark(tx, &id.term, [&id.crn], at)?;
                }
            }
            Ok(())
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
        self.read(move |connection| note(connection, &name))
    }

    fn put_note(&self, name: &str, value: String) -> StoreFuture<()> {
        let name = name.to_owned();
        self.write(move |tx| put_note(tx, &name, &value))
    }
}
