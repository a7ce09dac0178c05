//! What each section's item in Plone was when it was last pulled or written.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::ids::SectionId;
use crate::ports::outbox::PloneItem;

use super::rows::{section_id_at, time_at, unreadable};

const COLUMNS: &str = "term, crn, uid, path, modified, fields, deleted";

fn item_at(row: &Row<'_>) -> rusqlite::Result<PloneItem> {
    let fields: String = row.get(5)?;
    Ok(PloneItem {
        section: section_id_at(row, 0)?,
        uid: row.get(2)?,
        path: row.get(3)?,
        modified: time_at(row, 4)?,
        fields: serde_json::from_str(&fields).map_err(|e| unreadable(5, e))?,
        deleted: row.get(6)?,
    })
}

/// A section's item.
pub(super) fn item(connection: &Connection, id: &SectionId) -> rusqlite::Result<Option<PloneItem>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM plone_items WHERE term = ?1 AND crn = ?2"))?
        .query_row([id.term.as_str(), id.crn.as_str()], item_at)
        .optional()
}

/// All of them.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<PloneItem>> {
    let mut all = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM plone_items ORDER BY term, crn"))?;
    all.query_map([], item_at)?.collect()
}

/// Puts an item. What waits for a section that had none yet is no longer a creation; what waits for a deleted item
/// ends. An item of this UID that was another section's is that section's no longer.
pub(super) fn put(tx: &Connection, item: &PloneItem) -> rusqlite::Result<()> {
    let (term, crn) = (item.section.term.as_str(), item.section.crn.as_str());
    let fields = serde_json::to_string(&item.fields).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    tx.prepare_cached(&format!("INSERT OR REPLACE INTO plone_items ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"))?
        .execute(params![term, crn, item.uid, item.path, item.modified.as_millisecond(), fields, item.deleted])?;
    let waiting = if item.deleted {
        "DELETE FROM plone_outbox WHERE term = ?1 AND crn = ?2"
    } else {
        "UPDATE plone_outbox SET is_new = 0 WHERE term = ?1 AND crn = ?2 AND is_new = 1"
    };
    tx.prepare_cached(waiting)?.execute([term, crn]).map(drop)
}
