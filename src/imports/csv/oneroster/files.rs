//! Reads the files about students in a bundle, and checks what all of them have in common.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::civil::Date;

use crate::domain::import::Finding;
use crate::imports::finding_kind::FindingKind;
use crate::imports::roster_finding::{RosterFinding, Rows};
use crate::imports::schedule::finding_value;
use crate::imports::spreadsheet::Tick;
use crate::imports::spreadsheet::stop::Stop;

use crate::imports::csv::ERRORS_MAX;
use crate::imports::csv::oneroster::columns::Table;
use crate::imports::csv::oneroster::reader::{
    Archive, LOOKUP_BYTES_MAX, Row, UNPACKED_MAX, check_version, each_row, header, refused,
};
use crate::imports::csv::oneroster::{CLASSES, COURSES, ENROLLMENTS, LINE_ITEMS, MANIFEST, RESULTS, SESSIONS, USERS};
use crate::imports::csv::students::{ROWS_MAX, STUDENTS_MAX};

/// Files, each with those to which it refers.
const REFERENCES: [(&str, &[&str]); 2] =
    [(ENROLLMENTS, &[SESSIONS, COURSES, CLASSES]), (RESULTS, &[SESSIONS, COURSES, CLASSES, LINE_ITEMS])];

/// A bundle that is being read.
pub(super) struct Files<'f, 't> {
    pub(super) archive: Archive,
    /// Fails if the import was cancelled.
    pub(super) tick: &'f mut Tick<'t>,
    /// The number of rows that were read.
    pub(super) rows: &'f Cell<u64>,
    pub(super) log: &'f mut Log,
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) errors: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

/// A row with an identifier.
pub(super) struct Entry<'e, 'r> {
    row: &'e Row<'r>,
    file: &'static str,
    /// The `sourcedId`.
    pub(super) id: &'r str,
    /// The line in the file.
    pub(super) line: u64,
    /// Whether the status is `tobedeleted`.
    pub(super) is_deleted: bool,
}

impl Files<'_, '_> {
    /// Returns whether the bundle has a file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// Checks the version of the bundle, and that it has the files that its manifest names and those that its other files
    /// refer to.
    pub(super) fn check_manifest(&mut self, tables: &[&Table]) -> Result<(), Stop> {
        let mut properties: HashMap<String, String> = HashMap::new();
        each_row(&mut self.archive, MANIFEST, LOOKUP_BYTES_MAX, &mut *self.tick, &mut |row| {
            properties.insert(row.get("propertyName").to_owned(), row.get("value").to_lowercase());
            Ok(())
        })?;
        check_version(properties.get("oneroster.version").map_or("", String::as_str))?;
        let is_listed = |name: &str| {
            let property = format!("file.{}", name.trim_end_matches(".csv"));
            properties.get(&property).is_some_and(|value| ["bulk", "delta"].contains(&value.as_str()))
        };
        let listed = tables.iter().map(|table| table.name).filter(|name| is_listed(name));
        let referred = REFERENCES.iter().filter(|(from, _)| self.has(from)).flat_map(|(_, to)| *to).copied();
        let mut missing: Vec<&str> =
            [USERS].into_iter().chain(listed).chain(referred).filter(|name| !self.has(name)).collect();
        missing.sort_unstable();
        missing.dedup();
        let error = |name: &str| FindingKind::RosterNoFile { file: name.to_owned() }.of_line(1);
        self.log.errors.extend(missing.into_iter().map(error));
        Ok(())
    }

    /// Checks the headers of these files. Returns whether the file of people has a column of roles.
    pub(super) fn check_headers(&mut self, tables: &[&Table]) -> Result<bool, Stop> {
        let mut has_role_column = false;
        for table in tables {
            if self.has(table.name) {
                let header = header(&mut self.archive, table.name, UNPACKED_MAX)?;
                self.log.errors.extend(table.problems(&header));
                has_role_column |= table.name == USERS && header.iter().any(|name| name.eq_ignore_ascii_case("role"));
            }
        }
        Ok(has_role_column)
    }

    /// Visits the rows of a file, which has at most `limit` bytes, and reports those that are marked for deletion.
    pub(super) fn each(
        &mut self,
        table: &Table,
        limit: u64,
        f: &mut dyn FnMut(&Entry<'_, '_>, &mut Log),
    ) -> Result<(), Stop> {
        let Self { archive, tick, rows, log } = self;
        let file = table.name;
        // 64 bits of a hash instead of a million texts: fewer than one in ten million such files have two equal hashes
        // by chance.
        let (mut ids, mut deleted, mut rows_of_file) = (HashSet::<u64>::new(), Rows::default(), 0_u64);
        each_row(archive, file, limit, &mut **tick, &mut |row| {
            rows_of_file += 1;
            rows.set(rows.get() + 1);
            if rows_of_file > ROWS_MAX {
                return Err(refused(FindingKind::TooManyStudents { max: STUDENTS_MAX, rows: ROWS_MAX }));
            }
            if log.errors.len() as u64 >= ERRORS_MAX {
                return Err(refused(FindingKind::TooManyErrors { max: ERRORS_MAX }));
            }
            if let Some((cells, header)) = row.wrong_width() {
                log.errors.push(FindingKind::CellCount { cells, header }.of_cell(row.line, Some(file), None));
                return Ok(());
            }
            let status = row.get("status").to_ascii_lowercase();
            let is_deleted = status == "tobedeleted";
            let entry = Entry { row, file, id: row.get("sourcedId"), line: row.line, is_deleted };
            let mut hash = DefaultHasher::new();
            entry.id.hash(&mut hash);
            if entry.id.is_empty() {
                log.error(&entry, "sourcedId", &RosterFinding::RosterCellEmpty);
            } else if !ids.insert(hash.finish()) {
                log.error(&entry, "sourcedId", &RosterFinding::RosterSameId { file });
                return Ok(());
            }
            if !["", "active", "tobedeleted"].contains(&status.as_str()) {
                log.error(&entry, "status", &RosterFinding::RosterStatus);
            }
            if is_deleted {
                deleted.add(row.line);
            }
            f(&entry, log);
            Ok(())
        })?;
        self.log.warnings.extend(deleted.finding(file, |rows| RosterFinding::RosterToBeDeleted { file, rows }));
        Ok(())
    }
}

impl<'r> Entry<'_, 'r> {
    /// Returns the trimmed cell in a column; empty if there is none.
    pub(super) fn get(&self, column: &str) -> &'r str {
        self.row.get(column)
    }

    /// Returns the date in a column; `None` if the cell is blank, or is not a date, which is an error.
    pub(super) fn date(&self, column: &'static str, log: &mut Log) -> Option<Date> {
        let text = self.get(column);
        let date = text.parse::<Date>().ok().filter(|_| text.len() == "2031-01-20".len());
        if date.is_none() && !text.is_empty() {
            log.error(self, column, &RosterFinding::RosterDate);
        }
        date
    }

    fn column(&self, column: &str) -> String {
        format!("{}: {column}", self.file)
    }
}

impl Log {
    /// Adds an error of a cell, without its text, which may be about a person.
    pub(super) fn error(&mut self, entry: &Entry<'_, '_>, column: &'static str, kind: &RosterFinding) {
        self.errors.push(kind.of_cell(entry.line, Some(&entry.column(column)), None));
    }

    /// Adds an error of a kind that any file with facts about students can have.
    pub(super) fn fault(&mut self, entry: &Entry<'_, '_>, column: &'static str, kind: &FindingKind) {
        self.errors.push(kind.of_cell(entry.line, Some(&entry.column(column)), None));
    }

    /// Adds the error that a cell refers to a row that `file` does not have. The error quotes the cell, which does not
    /// name a person.
    pub(super) fn unknown(&mut self, entry: &Entry<'_, '_>, column: &'static str, file: &'static str) {
        let value = finding_value(entry.get(column));
        let kind = RosterFinding::RosterUnknownId { file };
        self.errors.push(kind.of_cell(entry.line, Some(&entry.column(column)), Some(&value)));
    }
}
