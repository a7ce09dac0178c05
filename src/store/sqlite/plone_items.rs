//! Items in Plone as they were last pulled or written, in the embedded store.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::fields::Fields;
use crate::domain::ids::SectionId;
use crate::store::outbox::PloneItem;

use crate::store::sqlite::rows::{section_id_at, time_at, unreadable};

const COLUMNS: &str = "term, crn, uid, path, modified, fields, deleted";

fn fields_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Fields> {
    let fields: String = row.get(column)?;
    serde_json::from_str(&fields).map_err(|e| unreadable(column, e))
}

fn to_json(fields: &Fields) -> rusqlite::Result<String> {
    serde_json::to_string(fields).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

pub(super) fn item_at(row: &Row<'_>) -> rusqlite::Result<PloneItem> {
    Ok(PloneItem {
        section: section_id_at(row, 0)?,
        uid: row.get(2)?,
        path: row.get(3)?,
        modified: time_at(row, 4)?,
        fields: fields_at(row, 5)?,
        deleted: row.get(6)?,
    })
}

/// Returns the item of a section.
pub(super) fn item(connection: &Connection, id: &SectionId) -> rusqlite::Result<Option<PloneItem>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM plone_items WHERE term = ?1 AND crn = ?2"))?
        .query_row([id.term.as_str(), id.crn.as_str()], item_at)
        .optional()
}

/// Returns all items.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<PloneItem>> {
    let mut all = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM plone_items ORDER BY term, crn"))?;
    all.query_map([], item_at)?.collect()
}

/// Stores an item. Its section's outbox entry is no longer a creation; if the item is deleted, the entry is deleted. If
/// another section had the item with this UID, it no longer has it.
pub(super) fn put(tx: &Connection, item: &PloneItem) -> rusqlite::Result<()> {
    let (term, crn) = (item.section.term.as_str(), item.section.crn.as_str());
    let fields = to_json(&item.fields)?;
    tx.prepare_cached(&format!("INSERT OR REPLACE INTO plone_items ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"))?
        .execute(params![term, crn, item.uid, item.path, item.modified.as_millisecond(), fields, item.deleted])?;
    let update_entry = if item.deleted {
        "DELETE FROM plone_outbox WHERE term = ?1 AND crn = ?2"
    } else {
        "UPDATE plone_outbox SET is_new = 0 WHERE term = ?1 AND crn = ?2 AND is_new = 1"
    };
    tx.prepare_cached(update_entry)?.execute([term, crn])?;
    drop_creation(tx, &item.section)
}

/// Records the fields with which a section is about to be created, unless a creation is recorded already.
pub(super) fn put_creation(tx: &Connection, id: &SectionId, fields: &Fields) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR IGNORE INTO plone_creations (term, crn, fields) VALUES (?1, ?2, ?3)")?
        .execute([id.term.as_str(), id.crn.as_str(), &to_json(fields)?])
        .map(drop)
}

/// Removes the record of a creation.
pub(super) fn drop_creation(tx: &Connection, id: &SectionId) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM plone_creations WHERE term = ?1 AND crn = ?2")?
        .execute([id.term.as_str(), id.crn.as_str()])
        .map(drop)
}

/// Returns all records of creations.
pub(super) fn creations(connection: &Connection) -> rusqlite::Result<HashMap<SectionId, Fields>> {
    let mut all = connection.prepare_cached("SELECT term, crn, fields FROM plone_creations")?;
    all.query_map([], |row| Ok((section_id_at(row, 0)?, fields_at(row, 2)?)))?.collect()
}
