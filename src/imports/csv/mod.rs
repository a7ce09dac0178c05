//! Reads schedules from CSV files and spreadsheets as colleges' systems export them.
//!
//! [`CsvSchedules`] implements [`ScheduleReader`].
//! - `input`: opens a file of text or a workbook; `encoding`, `dialect`, `guard`, `source`: turn bytes into records of
//!   bounded size, each with its physical line number
//! - `survey`: finds the header, and decides how the file writes days, times, dates and statuses; `names`,
//!   `aliases`, `columns`, `meeting_columns`, `contents`: recognize the columns; `profile`: chooses the saved mapping
//!   of columns; `candidates`: which columns could be a missing field
//! - `text`, `days`, `spanish_days`, `times`, `dates`, `course`, `component`, `crn`, `instructors`, `status`,
//!   `prerequisites`, `conditions`: parse one cell; `pieces`, `combined`, `rooms`: parse a cell of meetings;
//!   `meetings`: parses those of a row
//! - `derived`: cells made from other cells; `merged_cells`: cells that belong to several rows
//! - `record`: checks a row before it is parsed; `row`, `event`: parse one row; [`export`]: writes files, and parses
//!   their rows; `cross_listed`: groups sections that name each other; `merge`: merges the rows of one CRN into a
//!   section; `conflicts`, `sweep`: find rooms and instructors that are double-booked; `remarks`: warnings about many
//!   rows
//! - `students`: reads files with facts about students
//! - [`oneroster`]: reads and writes OneRoster bundles
//! - `scratch`: the temporary database that holds everything read; `reading`: reads a file; `parsed`: the result

mod aliases;
mod candidates;
#[cfg(test)]
mod cases_tests;
mod columns;
mod combined;
mod component;
mod conditions;
mod conflicts;
#[cfg(test)]
mod conflicts_tests;
mod contents;
mod course;
mod crn;
mod cross_listed;
mod dates;
mod days;
mod derived;
mod dialect;
mod encoding;
mod event;
pub mod export;
mod guard;
mod input;
mod instructors;
#[cfg(test)]
mod kinds_tests;
mod meeting_columns;
mod meetings;
mod merge;
mod merged_cells;
mod names;
pub mod oneroster;
mod parsed;
mod pieces;
mod prerequisites;
mod profile;
mod reading;
mod record;
mod remarks;
mod rooms;
mod row;
mod scratch;
mod source;
mod spanish_days;
mod status;
pub(in crate::imports) mod students;
mod survey;
mod sweep;
#[cfg(test)]
mod systems_tests;
#[cfg(test)]
mod tests;
mod text;
mod times;

use std::collections::BTreeMap;
use std::path::Path;

use columns::{Column, ExtraNames};
pub(in crate::imports) use dates::FORMATS as DATE_FORMATS;

use crate::imports::schedule::{Schedule, ScheduleError, ScheduleOptions, ScheduleReader, Watch};

/// The maximum number of sections in a term.
pub const SECTIONS_MAX: u64 = 500_000;
/// The maximum number of one-off events in a file. They are stored by a single write, which blocks all other writes.
pub const EVENTS_MAX: u64 = 10_000;
/// The maximum number of errors reported for a file. Reading stops there.
pub const ERRORS_MAX: u64 = 100_000;

/// A reader of schedules in CSV files and spreadsheets. The college can configure additional column names.
#[derive(Debug, Default)]
pub struct CsvSchedules {
    extra: ExtraNames,
}

impl CsvSchedules {
    /// Creates a reader that also recognizes the column names in `extra_names`, from the setting `[import.columns]`.
    ///
    /// # Errors
    /// When a column does not exist, or a name refers to two columns. The error is text for an operator.
    pub fn new<C: AsRef<str>, N: AsRef<[String]>>(
        extra_names: impl IntoIterator<Item = (C, N)>,
    ) -> Result<Self, String> {
        let mut extra: ExtraNames = BTreeMap::new();
        for (column, names) in extra_names {
            let column = column.as_ref();
            let found = Column::parse(column).ok_or_else(|| unknown_field(column))?;
            for name in names.as_ref() {
                let known = Column::parse(name).filter(|other| *other != found);
                let before = extra.insert(columns::normalized(name), found).filter(|other| *other != found);
                if known.or(before).is_some() {
                    return Err(format!("the name {name:?} for field {column:?} already refers to another field"));
                }
            }
        }
        Ok(Self { extra })
    }

    fn parse_map(map: &[(String, String)]) -> Result<Vec<(String, Column)>, String> {
        let mut found_all: Vec<(String, Column)> = Vec::with_capacity(map.len());
        for (name, column) in map {
            let found = Column::parse(column).ok_or_else(|| unknown_field(column))?;
            let is_same = |name: &str, other: &str| columns::normalized(name) == columns::normalized(other);
            if found_all.iter().any(|(n, c)| is_same(n, name) || (*c == found && found != Column::Ignored)) {
                return Err(format!("{name:?} or {column:?} appears twice"));
            }
            found_all.push((name.clone(), found));
        }
        Ok(found_all)
    }
}

fn unknown_field(name: &str) -> String {
    format!("unknown field {name:?}")
}

impl ScheduleReader for CsvSchedules {
    fn check_map(&self, map: &[(String, String)]) -> Result<(), String> {
        Self::parse_map(map).map(|_| ())
    }

    fn read(
        &self,
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Box<dyn Schedule>, ScheduleError> {
        let map = Self::parse_map(&options.map).map_err(ScheduleError::Scratch)?;
        Ok(Box::new(reading::read(file, scratch, options, &self.extra, &map, watch)?))
    }
}
