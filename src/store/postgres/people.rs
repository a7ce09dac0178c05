//! Values of rows about people: free text, roles and rights.

use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::ids::{SectionId, UserName};
use crate::domain::rights::{Rights, Subjects};
use crate::domain::role::Role;

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{json, maybe_json_at, maybe_text_at, storable, text_at, user_at};

/// Returns a text that PostgreSQL can store, as an owned string; see [`storable`].
pub(super) fn text(text: &str) -> String {
    storable(text).into_owned()
}

/// Returns an optional text as [`text`] does.
pub(super) fn maybe_text(value: Option<&str>) -> Option<String> {
    value.map(text)
}

/// Reads a username that may be null.
pub(super) fn maybe_user_at(row: &Row, column: usize) -> Result<Option<UserName>, Failure> {
    maybe_text_at(row, column)?.map(|_| user_at(row, column)).transpose()
}

/// Reads an id.
pub(super) fn uuid_at(row: &Row, column: usize) -> Result<Uuid, Failure> {
    Ok(row.try_get(column)?)
}

/// Reads a role.
pub(super) fn role_at(row: &Row, column: usize) -> Result<Role, Failure> {
    Role::parse(text_at(row, column)?).ok_or_else(|| Failure::unreadable(column, "not a role"))
}

/// Reads a role that may be null.
pub(super) fn maybe_role_at(row: &Row, column: usize) -> Result<Option<Role>, Failure> {
    maybe_text_at(row, column)?.map(|_| role_at(row, column)).transpose()
}

/// Reads the id of a section that may be null.
pub(super) fn maybe_section_at(row: &Row, column: usize) -> Result<Option<SectionId>, Failure> {
    let id = maybe_text_at(row, column)?;
    id.map(|id| SectionId::parse(id).map_err(|e| Failure::unreadable(column, e))).transpose()
}

/// Reads rights from the columns of the role and of the subjects.
pub(super) fn rights_at(row: &Row, role: usize, subjects: usize) -> Result<Rights, Failure> {
    Ok(Rights::new(role_at(row, role)?, subjects_at(row, subjects)?))
}

/// Reads a list of subjects; `None` if there is none.
pub(super) fn subjects_at(row: &Row, column: usize) -> Result<Option<Subjects>, Failure> {
    maybe_json_at(row, column)
}

/// Returns the list of subjects as it is stored.
pub(super) fn subjects_text(rights: &Rights) -> Result<Option<String>, Failure> {
    rights.subjects().map(json).transpose()
}
