//! Items in Plone as they were last pulled or written.

use std::collections::HashMap;

use tokio_postgres::Row;

use crate::domain::fields::Fields;
use crate::domain::ids::SectionId;
use crate::store::outbox::PloneItem;

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{json, json_at, section_id_at, text_at, time_at};
use crate::store::postgres::transaction::Tx;

const COLUMNS: &str = "term, crn, uid, path, modified, fields, deleted";

fn item_at(row: &Row) -> Result<PloneItem, Failure> {
    Ok(PloneItem {
        section: section_id_at(row, 0)?,
        uid: text_at(row, 2)?.to_owned(),
        path: text_at(row, 3)?.to_owned(),
        modified: time_at(row, 4)?,
        fields: json_at(row, 5)?,
        deleted: row.try_get(6)?,
    })
}

/// Returns the item of a section.
pub(super) async fn item(tx: &Tx, id: &SectionId) -> Result<Option<PloneItem>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM plone_items WHERE term = $1 AND crn = $2");
    tx.query_opt(&sql, &[&id.term.as_str(), &id.crn.as_str()]).await?.as_ref().map(item_at).transpose()
}

/// Returns the item of a section, and locks it until the transaction ends, so that another hub cannot replace it
/// between a comparison and a write.
pub(super) async fn locked_item(tx: &Tx, id: &SectionId) -> Result<Option<PloneItem>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM plone_items WHERE term = $1 AND crn = $2 FOR UPDATE");
    tx.query_opt(&sql, &[&id.term.as_str(), &id.crn.as_str()]).await?.as_ref().map(item_at).transpose()
}

/// Returns all items.
pub(super) async fn all(tx: &Tx) -> Result<Vec<PloneItem>, Failure> {
    let rows = tx.query(&format!("SELECT {COLUMNS} FROM plone_items ORDER BY term, crn"), &[]).await?;
    rows.iter().map(item_at).collect()
}

/// Stores an item. Its section's outbox entry is no longer a creation; if the item is deleted, the entry is deleted. If
/// another section had the item with this UID, it no longer has it.
pub(super) async fn put(tx: &Tx, item: &PloneItem) -> Result<(), Failure> {
    let (term, crn) = (item.section.term.as_str(), item.section.crn.as_str());
    let moved = "DELETE FROM plone_items WHERE uid = $1 AND (term, crn) <> ($2, $3)";
    tx.execute(moved, &[&item.uid, &term, &crn]).await?;
    let sql = format!(
        "INSERT INTO plone_items ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (term, crn) DO UPDATE SET uid = excluded.uid, path = excluded.path, modified = excluded.modified,
             fields = excluded.fields, deleted = excluded.deleted"
    );
    let (modified, fields) = (item.modified.as_millisecond(), json(&item.fields)?);
    tx.execute(&sql, &[&term, &crn, &item.uid, &item.path, &modified, &fields, &item.deleted]).await?;
    let update_entry = if item.deleted {
        "DELETE FROM plone_outbox WHERE term = $1 AND crn = $2"
    } else {
        "UPDATE plone_outbox SET is_new = false WHERE term = $1 AND crn = $2 AND is_new"
    };
    tx.execute(update_entry, &[&term, &crn]).await?;
    drop_creation(tx, &item.section).await
}

/// Records the fields with which a section is about to be created, unless a creation is recorded already.
pub(super) async fn put_creation(tx: &Tx, id: &SectionId, fields: &Fields) -> Result<(), Failure> {
    let sql = "INSERT INTO plone_creations (term, crn, fields) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    tx.execute(sql, &[&id.term.as_str(), &id.crn.as_str(), &json(fields)?]).await.map(drop)
}

/// Removes the record of a creation.
pub(super) async fn drop_creation(tx: &Tx, id: &SectionId) -> Result<(), Failure> {
    let sql = "DELETE FROM plone_creations WHERE term = $1 AND crn = $2";
    tx.execute(sql, &[&id.term.as_str(), &id.crn.as_str()]).await.map(drop)
}

/// Returns all records of creations.
pub(super) async fn creations(tx: &Tx) -> Result<HashMap<SectionId, Fields>, Failure> {
    let rows = tx.query("SELECT term, crn, fields FROM plone_creations", &[]).await?;
    rows.iter().map(|row| Ok((section_id_at(row, 0)?, json_at(row, 2)?))).collect()
}
