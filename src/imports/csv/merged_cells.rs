//! Cells that belong to several rows: those that a spreadsheet merges with the cell above, and headings with the course of
//! the sections below.

use crate::imports::csv::columns::{Column, Header};
use crate::imports::csv::contents::heading_course;
use crate::imports::csv::course;

/// The columns whose cells are merged.
const MERGED: [Column; 5] = [Column::Subject, Column::Number, Column::Course, Column::Title, Column::Credits];
/// The columns among [`MERGED`] that name the course.
const OF_COURSE: [Column; 3] = [Column::Subject, Column::Number, Column::Course];

/// The cells of the last row that may be merged with those below.
#[derive(Debug, Default)]
pub(super) struct MergedCells {
    cells: Vec<(Column, usize, String)>,
    /// The columns that identify a section of the course.
    identifying: Vec<usize>,
}

impl MergedCells {
    /// Creates an empty state for the columns of a file.
    pub(super) fn new(header: &Header) -> Self {
        let index = |column| header.at(column).filter(|index| *index < header.names().len());
        let cells = MERGED.iter().filter_map(|column| Some((*column, index(*column)?, String::new()))).collect();
        let identifying = [Column::Crn, Column::Section].into_iter().filter_map(index).collect();
        Self { cells, identifying }
    }

    /// Returns the record of a section with the course of the row above, or only its subject, if the record's own cells
    /// for it are blank; `None` if it needs no change. A row with its own title is another course, whose name is
    /// missing.
    pub(super) fn filled(&mut self, record: &csv::StringRecord) -> Option<csv::StringRecord> {
        let cell = |index: usize| record.get(index).unwrap_or_default().trim();
        let is_blank = |columns: &[Column]| {
            self.cells
                .iter()
                .filter(|(column, ..)| columns.contains(column))
                .all(|(_, index, _)| cell(*index).is_empty())
        };
        let is_section = self.identifying.iter().any(|index| !cell(*index).is_empty());
        let number = || {
            let numbers = self.cells.iter().filter(|(column, ..)| OF_COURSE[1..].contains(column));
            numbers.map(|(_, index, _)| cell(*index)).find(|cell| !cell.is_empty()).unwrap_or_default()
        };
        let columns: &[Column] = if !is_section {
            &[]
        } else if is_blank(&OF_COURSE) && is_blank(&[Column::Title]) {
            &MERGED
        } else if is_blank(&[Column::Subject]) && course::is_number_only(number()) {
            &[Column::Subject]
        } else {
            &[]
        };
        let merged: Vec<(usize, &str)> = self
            .cells
            .iter()
            .filter(|(column, index, above)| columns.contains(column) && cell(*index).is_empty() && !above.is_empty())
            .map(|(_, index, above)| (*index, above.as_str()))
            .collect();
        let names_course =
            |index: usize| self.cells.iter().any(|(column, at, _)| *at == index && OF_COURSE.contains(column));
        let filled = merged.iter().any(|(index, _)| names_course(*index)).then(|| {
            let len = merged.iter().map(|(index, _)| index + 1).max().unwrap_or(0).max(record.len());
            let text = |at: usize| merged.iter().find(|(index, _)| *index == at).map(|(_, above)| *above);
            (0..len).map(|at| text(at).or_else(|| record.get(at)).unwrap_or_default()).collect::<csv::StringRecord>()
        });
        let last = filled.as_ref().unwrap_or(record);
        if !is_blank(&OF_COURSE) || filled.is_some() {
            for (_, index, above) in &mut self.cells {
                above.clear();
                above.push_str(last.get(*index).unwrap_or_default().trim());
            }
        }
        filled
    }
}

/// The course that the last heading names.
#[derive(Debug, Default)]
pub(super) struct Heading(String);

impl Heading {
    /// Adds the course of the last heading to a record, as the cell at an index. A record that is a heading changes the
    /// course, and stays as it is.
    pub(super) fn extend(&mut self, at: usize, record: &mut csv::StringRecord) {
        if let Some(text) = heading_course(record) {
            self.0.clear();
            self.0.push_str(text);
        } else if record.iter().skip(at).all(|cell| cell.trim().is_empty()) {
            record.truncate(at);
            (record.len()..at).for_each(|_| record.push_field(""));
            record.push_field(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::imports::csv::columns::ExtraNames;

    #[test]
    fn rows_below_a_merged_cell_have_its_course() {
        let names = ["Subject", "Number", "Title", "Credits", "Section", "Cap"];
        let (header, _) = Header::read(names, &ExtraNames::new(), &[]).unwrap();
        let mut merged = MergedCells::new(&header);
        for (row, expected) in [
            (["", "", "", "", "000", "5"], None),
            (["ACCT", "201", "Principles", "3", "001", "30"], None),
            (["", "", "", "", "002", "30"], Some("ACCT,201,Principles,3,002,30")),
            (["", "202", "Managerial", "4", "001", "30"], Some("ACCT,202,Managerial,4,001,30")),
            (["", "", "", "1", "002", "30"], Some("ACCT,202,Managerial,1,002,30")),
            (["", "", "Harbour Law", "3", "001", "30"], None),
            (["", "", "", "", "", "60"], None),
        ] {
            let filled = merged.filled(&csv::StringRecord::from(row.to_vec()));
            let shown = filled.map(|record| record.iter().collect::<Vec<_>>().join(","));
            assert_eq!(shown.as_deref(), expected, "{row:?}");
        }
    }
}
