//! Reads columns of rows. Integers are `bigint` in every table, times are milliseconds since the epoch, structures are
//! JSON as text.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::store::postgres::failure::Failure;

/// Returns a number as PostgreSQL stores it. No number in the hub exceeds `bigint`.
pub(super) fn integer(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Reads a number.
pub(super) fn number_at<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T, Failure> {
    let number: i64 = row.try_get(column)?;
    T::try_from(number).map_err(|_| Failure::unreadable(column, format!("{number} is out of range")))
}

/// Reads a number that may be null.
pub(super) fn maybe_number_at<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<Option<T>, Failure> {
    let number: Option<i64> = row.try_get(column)?;
    number.map(|n| T::try_from(n).map_err(|_| Failure::unreadable(column, format!("{n} is out of range")))).transpose()
}

/// Returns a text that PostgreSQL can store: U+FFFD replaces the character U+0000. One such character in the title of
/// one section must not make the batch of many students fail.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Reads text.
pub(super) fn text_at(row: &Row, column: usize) -> Result<&str, Failure> {
    Ok(row.try_get(column)?)
}

/// Reads text that may be null.
pub(super) fn maybe_text_at(row: &Row, column: usize) -> Result<Option<&str>, Failure> {
    Ok(row.try_get(column)?)
}

/// Reads a time.
pub(super) fn time_at(row: &Row, column: usize) -> Result<Timestamp, Failure> {
    Timestamp::from_millisecond(row.try_get(column)?).map_err(|e| Failure::unreadable(column, e))
}

/// Reads a time that may be null.
pub(super) fn maybe_time_at(row: &Row, column: usize) -> Result<Option<Timestamp>, Failure> {
    let ms: Option<i64> = row.try_get(column)?;
    ms.map(|ms| Timestamp::from_millisecond(ms).map_err(|e| Failure::unreadable(column, e))).transpose()
}

/// Reads a structure.
pub(super) fn json_at<T: DeserializeOwned>(row: &Row, column: usize) -> Result<T, Failure> {
    serde_json::from_str(text_at(row, column)?).map_err(|e| Failure::unreadable(column, e))
}

/// Reads a structure that may be null.
pub(super) fn maybe_json_at<T: DeserializeOwned>(row: &Row, column: usize) -> Result<Option<T>, Failure> {
    let text = maybe_text_at(row, column)?;
    text.map(|text| serde_json::from_str(text).map_err(|e| Failure::unreadable(column, e))).transpose()
}

/// Returns a structure as it is stored.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Refused(error.to_string()))
}

/// Reads a username.
pub(super) fn user_at(row: &Row, column: usize) -> Result<UserName, Failure> {
    UserName::stored(text_at(row, column)?).map_err(|e| Failure::unreadable(column, e))
}

/// Reads the id of a term.
pub(super) fn term_id_at(row: &Row, column: usize) -> Result<TermId, Failure> {
    TermId::stored(text_at(row, column)?).map_err(|e| Failure::unreadable(column, e))
}

/// Reads a CRN.
pub(super) fn crn_at(row: &Row, column: usize) -> Result<Crn, Failure> {
    Crn::parse(text_at(row, column)?).map_err(|e| Failure::unreadable(column, e))
}

/// Reads a section's id: the term from `column`, the CRN from the next one.
pub(super) fn section_id_at(row: &Row, column: usize) -> Result<SectionId, Failure> {
    Ok(SectionId { term: term_id_at(row, column)?, crn: crn_at(row, column + 1)? })
}
