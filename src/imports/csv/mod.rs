//! Colleges' CSV schedules, as they are in the world: see section 7 of the public contract.
//!
//! [`CsvSchedules`] answers [`ScheduleReader`]; only `app` names it.
//! - `encoding`, `dialect`, `guard`: bytes to records, each with its physical line, none larger than memory
//! - `columns`: which column is which; `text`, `days`, `times`, `dates`, `course`: one cell each
//! - `row`, `event`: one row; `merge`: rows of one CRN to one section; `conflicts`: rooms and persons wanted twice
//! - `scratch`: the database in which all of it waits; `reading`: the way through a file; `parsed`: what came out

mod columns;
mod conflicts;
mod course;
mod dates;
mod days;
mod dialect;
mod encoding;
mod event;
mod guard;
mod merge;
mod parsed;
mod reading;
mod row;
mod scratch;
#[cfg(test)]
mod tests;
mod text;
mod times;

use std::collections::BTreeMap;
use std::path::Path;

use columns::{Column, Extra};

use crate::imports::schedule::{Schedule, ScheduleError, ScheduleOptions, ScheduleReader, Watch};

/// The most sections of one term.
pub const SECTIONS_MAX: u64 = 500_000;
/// The most one-off events of one file: they become visible in one write, for which others wait.
pub const EVENTS_MAX: u64 = 10_000;
/// The most errors that are told of one file; reading ends there.
pub const ERRORS_MAX: u64 = 100_000;

/// Reads CSV schedules, with a college's own names of columns.
#[derive(Debug, Default)]
pub struct CsvSchedules {
    extra: Extra,
}

impl CsvSchedules {
    /// Takes `[import.columns]`: for each column further names. Errs, in words, on a column that does not exist or a
    /// name that means two.
    pub fn new<C: AsRef<str>, N: AsRef<[String]>>(further: impl IntoIterator<Item = (C, N)>) -> Result<Self, String> {
        let mut extra: Extra = BTreeMap::new();
        for (column, names) in further {
            let column = column.as_ref();
            let found = Column::parse(column).ok_or_else(|| format!("there is no column {column:?}"))?;
            for name in names.as_ref() {
                let known = Column::parse(name).filter(|other| *other != found);
                let before = extra.insert(columns::plain(name), found).filter(|other| *other != found);
                if known.or(before).is_some() {
                    return Err(format!("the name {name:?} of the column {column:?} means another column already"));
                }
            }
        }
        Ok(Self { extra })
    }

    fn columns_of(map: &[(String, String)]) -> Result<Vec<(String, Column)>, String> {
        let mut found_all: Vec<(String, Column)> = Vec::with_capacity(map.len());
        for (name, column) in map {
            let found = Column::parse(column).ok_or_else(|| format!("there is no column {column:?}"))?;
            if found_all.iter().any(|(n, c)| columns::plain(n) == columns::plain(name) || *c == found) {
                return Err(format!("{name:?} or {column:?} is mapped twice"));
            }
            found_all.push((name.clone(), found));
        }
        Ok(found_all)
    }
}

impl ScheduleReader for CsvSchedules {
    fn check_map(&self, map: &[(String, String)]) -> Result<(), String> {
        Self::columns_of(map).map(|_| ())
    }

    fn read(
        &self,
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Box<dyn Schedule>, ScheduleError> {
        let map = Self::columns_of(&options.map).map_err(ScheduleError::Scratch)?;
        Ok(Box::new(reading::read(file, scratch, options, &self.extra, &map, watch)?))
    }
}
