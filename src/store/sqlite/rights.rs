//! Rights in the embedded store: a role, and a JSON list of the subjects to which staff are limited.

use rusqlite::Row;

use crate::domain::rights::{Rights, Subjects};
use crate::domain::role::Role;

use crate::store::sqlite::rows::unreadable;

/// Reads rights from the columns of the role and of the subjects.
pub(super) fn rights_at(row: &Row<'_>, role: usize, subjects: usize) -> rusqlite::Result<Rights> {
    let name: String = row.get(role)?;
    let named = Role::parse(&name).ok_or_else(|| unreadable(role, "not a role"))?;
    Ok(Rights::new(named, subjects_at(row, subjects)?))
}

/// Reads a list of subjects; `None` if there is none.
pub(super) fn subjects_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Subjects>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|e| unreadable(column, e))).transpose()
}

/// Returns the list of subjects as it is stored.
pub(super) fn subjects_text(rights: &Rights) -> rusqlite::Result<Option<String>> {
    let text = rights.subjects().map(serde_json::to_string).transpose();
    text.map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}
