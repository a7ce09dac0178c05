//! The outbox.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::fields::Fields;
use crate::domain::ids::SectionId;
use crate::domain::section::SectionState;
use crate::store::StoreFuture;
use crate::store::outbox::{
    OutboxEntry, OutboxStore, OutboxSummary, PloneItem, REFUSED_LISTED_MAX, RefusedEntry, RosterLine, SuccessfulWrite,
};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, maybe_time_at, number_at, section_id_at, storable, text_at, time_at};
use crate::store::postgres::term_rows::{SECTION_COLUMNS, section_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::{PostgresStore, imported, marks, plone_items, rosters};

/// The row of an entry, before its section and item are read.
struct Due {
    section: SectionId,
    version: u64,
    queued_at: Timestamp,
    attempts: u32,
}

/// Returns entries that are due and whose section is not busy: of sections without an item if `is_new`, otherwise of
/// sections with one.
async fn due_rows(
    tx: &Tx,
    is_new: bool,
    now: Timestamp,
    busy: &[SectionId],
    limit: usize,
) -> Result<Vec<Due>, Failure> {
    let sql = "SELECT term, crn, version, queued_at, attempts FROM plone_outbox
         WHERE refused IS NULL AND is_new = $1 AND next_at <= $2 ORDER BY next_at LIMIT $3";
    // Busy sections are few, so they are filtered here. The limit of the query allows for all of them to be due.
    let rows = tx.query(sql, &[&is_new, &now.as_millisecond(), &integer(limit.saturating_add(busy.len()))]).await?;
    let mut free = Vec::new();
    for row in &rows {
        let section = section_id_at(row, 0)?;
        if free.len() < limit && !busy.contains(&section) {
            let (queued_at, attempts) = (time_at(row, 3)?, number_at(row, 4)?);
            free.push(Due { section, version: number_at(row, 2)?, queued_at, attempts });
        }
    }
    Ok(free)
}

/// Returns the visible definition of a section with its counts.
async fn section_state(tx: &Tx, id: &SectionId) -> Result<Option<SectionState>, Failure> {
    let sql = format!(
        "SELECT {SECTION_COLUMNS} FROM sections AS s LEFT JOIN seats AS n ON n.term = s.term AND n.crn = s.crn
         WHERE s.term = $1 AND s.crn = $2
             AND s.generation <= (SELECT t.generation FROM terms AS t WHERE t.id = $1)
         ORDER BY s.generation DESC LIMIT 1"
    );
    let row = tx.query_opt(&sql, &[&id.term.as_str(), &id.crn.as_str()]).await?;
    row.map(|row| section_at(&row, &id.term)).transpose()
}

async fn due(
    tx: &Tx,
    now: Timestamp,
    busy: &[SectionId],
    limit: usize,
    include_new: bool,
) -> Result<Vec<OutboxEntry>, Failure> {
    let mut found = due_rows(tx, false, now, busy, limit).await?;
    if include_new && found.len() < limit {
        found.extend(due_rows(tx, true, now, busy, limit - found.len()).await?);
    }
    let mut entries = Vec::with_capacity(found.len());
    for due in found {
        // Only existing sections are marked, and sections are never removed.
        let Some(state) = section_state(tx, &due.section).await? else { continue };
        let roster = rosters::roster_rows(tx, &due.section).await?.into_iter().map(|row| {
            let (status, since) = (row.registration.status, row.registration.at);
            RosterLine { user: row.user, status, since }
        });
        entries.push(OutboxEntry {
            version: due.version,
            read_at: now,
            queued_at: due.queued_at,
            attempts: due.attempts,
            item: plone_items::item(tx, &due.section).await?,
            state,
            roster: roster.collect(),
            section: due.section,
        });
    }
    Ok(entries)
}

async fn record_sent(tx: &Tx, written: &SuccessfulWrite, next_at: Timestamp) -> Result<(), Failure> {
    let id = &written.seen.section;
    let stored = plone_items::locked_item(tx, id).await?;
    let is_unchanged = stored.as_ref() == Some(&written.seen);
    // If the section has another item now, nothing was written to that item.
    if let Some(mut item) = stored.filter(|item| item.uid == written.seen.uid) {
        item.fields.extend(written.fields.clone());
        plone_items::put(tx, &item).await?;
    }
    if is_unchanged && delete_entry(tx, id, written.version).await? {
        return Ok(());
    }
    // The changes that still have to be written were made after the entry was read.
    let sql = "UPDATE plone_outbox SET attempts = $3, next_at = $4, queued_at = greatest(queued_at, $5)
         WHERE term = $1 AND crn = $2 AND refused IS NULL";
    let (attempts, next_at) = (i64::from(!is_unchanged), next_at.as_millisecond());
    let values: (&str, &str, i64) = (id.term.as_str(), id.crn.as_str(), written.read_at.as_millisecond());
    tx.execute(sql, &[&values.0, &values.1, &attempts, &next_at, &values.2]).await.map(drop)
}

/// Deletes an entry in this version. Returns false when there is no entry in this version.
async fn delete_entry(tx: &Tx, id: &SectionId, version: u64) -> Result<bool, Failure> {
    let sql = "DELETE FROM plone_outbox WHERE term = $1 AND crn = $2 AND version = $3";
    Ok(tx.execute(sql, &[&id.term.as_str(), &id.crn.as_str(), &integer(version)]).await? > 0)
}

/// Queues refused entries again: those of `sections`, or all. The rows are locked in the order in which batches mark
/// them.
async fn resend(tx: &Tx, sections: Option<&[SectionId]>, at: Timestamp) -> Result<u64, Failure> {
    let sql = "UPDATE plone_outbox AS o SET refused = NULL, refused_at = NULL, attempts = 0, next_at = $1,
             version = o.version + 1
         FROM (SELECT term, crn FROM plone_outbox WHERE refused IS NOT NULL
                 AND ($2 OR (term, crn) IN (SELECT * FROM unnest($3, $4))) ORDER BY term, crn FOR UPDATE) AS r
         WHERE o.term = r.term AND o.crn = r.crn";
    let listed = sections.unwrap_or_default();
    let terms: Vec<&str> = listed.iter().map(|id| id.term.as_str()).collect();
    let crns: Vec<&str> = listed.iter().map(|id| id.crn.as_str()).collect();
    tx.execute(sql, &[&at.as_millisecond(), &sections.is_none(), &terms, &crns]).await
}

async fn summary(tx: &Tx) -> Result<OutboxSummary, Failure> {
    let waiting = "SELECT count(*), min(queued_at) FROM plone_outbox WHERE refused IS NULL";
    let waiting = tx.query_one(waiting, &[]).await?;
    let refused_total = tx.query_one("SELECT count(*) FROM plone_outbox WHERE refused IS NOT NULL", &[]).await?;
    let sql = "SELECT term, crn, refused, refused_at FROM plone_outbox WHERE refused IS NOT NULL
         ORDER BY refused_at DESC, term, crn LIMIT $1";
    let refused = tx.query(sql, &[&integer(REFUSED_LISTED_MAX)]).await?;
    let refused = refused.iter().map(|row| {
        Ok(RefusedEntry { section: section_id_at(row, 0)?, reason: text_at(row, 2)?.to_owned(), at: time_at(row, 3)? })
    });
    Ok(OutboxSummary {
        depth: number_at(&waiting, 0)?,
        oldest_at: maybe_time_at(&waiting, 1)?,
        refused_total: number_at(&refused_total, 0)?,
        refused: refused.collect::<Result<_, Failure>>()?,
    })
}

async fn record_failure(tx: &Tx, id: &SectionId, next_at: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE plone_outbox SET attempts = attempts + 1, next_at = $3
         WHERE term = $1 AND crn = $2 AND refused IS NULL";
    tx.execute(sql, &[&id.term.as_str(), &id.crn.as_str(), &next_at.as_millisecond()]).await.map(drop)
}

async fn record_refusal(tx: &Tx, id: &SectionId, version: u64, reason: &str, at: Timestamp) -> Result<(), Failure> {
    plone_items::drop_creation(tx, id).await?;
    // A newer version was not refused and is sent when it is due.
    let sql = "UPDATE plone_outbox SET refused = $4, refused_at = $5 WHERE term = $1 AND crn = $2 AND version = $3";
    let (term, crn, at) = (id.term.as_str(), id.crn.as_str(), at.as_millisecond());
    tx.execute(sql, &[&term, &crn, &integer(version), &&*storable(reason), &at]).await.map(drop)
}

impl OutboxStore for PostgresStore {
    fn due(
        &self,
        now: Timestamp,
        busy: Vec<SectionId>,
        limit: u32,
        include_new: bool,
    ) -> StoreFuture<Vec<OutboxEntry>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.read(async move |tx| due(tx, now, &busy, limit, include_new).await)
    }

    fn record_sent(&self, written: SuccessfulWrite, next_at: Timestamp) -> StoreFuture<()> {
        self.write(async move |tx| record_sent(tx, &written, next_at).await)
    }

    fn record_creation(&self, section: &SectionId, fields: Fields) -> StoreFuture<()> {
        let section = section.clone();
        self.write(async move |tx| plone_items::put_creation(tx, &section, &fields).await)
    }

    fn creations(&self) -> StoreFuture<HashMap<SectionId, Fields>> {
        self.read(async move |tx| plone_items::creations(tx).await)
    }

    fn delete_entry(&self, section: &SectionId, version: u64) -> StoreFuture<()> {
        let section = section.clone();
        self.write(async move |tx| delete_entry(tx, &section, version).await.map(drop))
    }

    fn record_failure(&self, section: &SectionId, next_at: Timestamp) -> StoreFuture<()> {
        let section = section.clone();
        self.write(async move |tx| record_failure(tx, &section, next_at).await)
    }

    fn record_refusal(&self, section: &SectionId, version: u64, reason: String, at: Timestamp) -> StoreFuture<()> {
        let section = section.clone();
        self.write(async move |tx| record_refusal(tx, &section, version, &reason, at).await)
    }

    fn mark(&self, mut sections: Vec<SectionId>, at: Timestamp) -> StoreFuture<()> {
        self.write(async move |tx| {
            sections.sort_unstable_by(|a, b| (a.term.as_str(), a.crn.as_str()).cmp(&(b.term.as_str(), b.crn.as_str())));
            for id in &sections {
                if section_state(tx, id).await?.is_some() {
                    marks::mark(tx, &id.term, [id.crn.as_str()], at).await?;
                }
            }
            Ok(())
        })
    }

    fn mark_imported(&self, known_only: bool, at: Timestamp) -> StoreFuture<bool> {
        self.write_if(async move |tx| imported::mark_next(tx, known_only, at).await)
    }

    fn resend(&self, sections: Option<Vec<SectionId>>, at: Timestamp) -> StoreFuture<u64> {
        self.write(async move |tx| resend(tx, sections.as_deref(), at).await)
    }

    fn summary(&self) -> StoreFuture<OutboxSummary> {
        self.read(async move |tx| summary(tx).await)
    }

    fn items(&self) -> StoreFuture<Vec<PloneItem>> {
        self.read(async move |tx| plone_items::all(tx).await)
    }

    fn put_items(&self, items: Vec<PloneItem>) -> StoreFuture<()> {
        self.write(async move |tx| {
            for item in &items {
                plone_items::put(tx, item).await?;
            }
            Ok(())
        })
    }

    fn put_pulled(&self, items: Vec<(Option<PloneItem>, PloneItem)>) -> StoreFuture<()> {
        self.write(async move |tx| {
            for (seen, item) in &items {
                if plone_items::locked_item(tx, &item.section).await? == *seen {
                    plone_items::put(tx, item).await?;
                }
            }
            Ok(())
        })
    }

    fn note(&self, name: &str) -> StoreFuture<Option<String>> {
        let name = name.to_owned();
        self.read(async move |tx| marks::note(tx, &name).await)
    }

    fn put_note(&self, name: &str, value: String) -> StoreFuture<()> {
        let name = name.to_owned();
        self.write(async move |tx| marks::put_note(tx, &name, &value).await)
    }
}
