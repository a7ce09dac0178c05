//! Reads spreadsheets (`.xlsx`, `.xls`, `.ods`) with calamine, and recognizes files that are neither text nor spreadsheets.
//!
//! The sheet with the schedule is copied to a temporary file, from which it is read as often as needed, like a CSV
//! file. Reading it from there takes the same memory for any number of rows.
//! - `kind`: recognizes a file by its content; `stop`: why reading ends early
//! - `archive`, `opendocument`, `compound`, `biff`: check a file before calamine reads it, because calamine trusts the
//!   sizes in it
//! - `book`: the rows of a sheet; `cell`: the text of a cell; `sheet`: chooses the sheet and copies it

mod archive;
mod biff;
mod book;
mod cell;
mod compound;
pub(in crate::imports) mod kind;
mod opendocument;
pub(in crate::imports) mod sheet;
pub(in crate::imports) mod stop;
#[cfg(test)]
mod tests;

use crate::imports::schedule::ScheduleError;

/// A function that is called regularly during long work. It fails if the import was cancelled.
pub(in crate::imports) type Tick<'a> = dyn FnMut() -> Result<(), ScheduleError> + 'a;

/// The maximum number of cells of all sheets of a workbook whose format calamine holds in memory (`.xls`, `.ods`): 50,000
/// rows of 40 columns. A cell needs up to 150 bytes.
const MEMORY_CELLS_MAX: u64 = 2_000_000;
/// The maximum size of the text of all sheets of a workbook whose format calamine holds in memory, in bytes.
const MEMORY_TEXT_MAX: u64 = 64 * 1024 * 1024;
