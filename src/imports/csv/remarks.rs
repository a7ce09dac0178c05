//! Warnings that concern many rows. Each is reported once, with the number of rows and the first lines.

use std::collections::{BTreeMap, HashMap};

use crate::domain::import::Finding;
use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::CitedRows;

/// The maximum number of different remarks about a file, so that a file of odd cells cannot fill memory.
const REMARKS_MAX: usize = 500;
/// The maximum number of lines that a remark cites.
const LINES_MAX: usize = 10;
/// The maximum number of cells of a column that are not imported and get a warning each.
const NOT_IMPORTED_MAX: usize = 10;
/// The codes of the warnings about cells that are not imported. Within a column, these warnings differ only in the
/// cell.
const NOT_IMPORTED_CODES: [&str; 2] = ["not_imported", "prerequisites_form"];

/// A warning about many rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Remark {
    /// A phrase that means that days or times are not set.
    Unscheduled(String),
    /// Times without am or pm were read as afternoon.
    Afternoon,
    /// Times without am or pm were read as afternoon, in a file in which other times have am or pm.
    AfternoonBesideMarked,
    /// Times without am or pm were read as written, in a file in which other times have am or pm, or an hour above 12.
    EarlyAsWritten,
    /// `M` was read as Tuesday, because the file has another sign for Wednesday.
    TuesdayLetter,
    /// The component was inferred from the section's label or title.
    Inferred(&'static str),
    /// The section is only planned.
    Tentative,
    /// The status is not known.
    UnknownStatus(String),
    /// The section is cross-listed, but perhaps does not share its seats with the others.
    CrossListed,
    /// Further cells of a column are not imported.
    MoreNotImported(String),
    /// The dates lack the year.
    NoYear,
    /// A row without its own section continues the section above it.
    Continuation,
    /// The cells of the course are merged with those above.
    MergedCells,
    /// A row without a CRN belongs to the section with the same course, component and label.
    CrnOfSection,
}

impl Remark {
    /// Returns the warning about `rows`.
    fn into_kind(self, rows: CitedRows) -> FindingKind {
        match self {
            Self::Unscheduled(phrase) => FindingKind::Unscheduled { phrase, rows },
            Self::Afternoon => FindingKind::Afternoon { rows },
            Self::AfternoonBesideMarked => FindingKind::AfternoonBesideMarked { rows },
            Self::EarlyAsWritten => FindingKind::EarlyAsWritten { rows },
            Self::TuesdayLetter => FindingKind::TuesdayLetter { rows },
            Self::Inferred(component) => FindingKind::ComponentInferred { component, rows },
            Self::Tentative => FindingKind::Tentative { rows },
            Self::UnknownStatus(status) => FindingKind::UnknownStatus { status, rows },
            Self::CrossListed => FindingKind::CrossListed { rows },
            Self::MoreNotImported(_) => FindingKind::MoreNotImported { rows },
            Self::NoYear => FindingKind::NoYear { rows },
            Self::Continuation => FindingKind::Continuation { rows },
            Self::MergedCells => FindingKind::MergedCells { rows },
            Self::CrnOfSection => FindingKind::CrnOfSection { rows },
        }
    }
}

#[derive(Debug)]
struct Cited {
    column: Option<String>,
    count: u64,
    lines: Vec<u64>,
    last_line: u64,
}

/// The remarks about a file.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    all: BTreeMap<Remark, Cited>,
    /// The number of cells that are not imported, by column.
    not_imported: HashMap<Box<str>, usize>,
}

impl Remarks {
    /// Adds a remark about a line and a column. Repetitions within a line count once.
    pub(super) fn add(&mut self, remark: Remark, column: Option<&str>, line: u64) {
        if self.all.len() >= REMARKS_MAX && !self.all.contains_key(&remark) {
            return;
        }
        let new = || Cited { column: column.map(str::to_owned), count: 0, lines: Vec::new(), last_line: 0 };
        let cited = self.all.entry(remark).or_insert_with(new);
        if cited.last_line == line {
            return;
        }
        cited.last_line = line;
        cited.count += 1;
        if cited.lines.len() < LINES_MAX {
            cited.lines.push(line);
        }
    }

    /// If a column has many cells that are not imported, replaces further warnings about them with one remark, because
    /// a column in an unknown form would hide the other warnings. Returns whether it replaced `finding`.
    pub(super) fn absorb(&mut self, finding: &Finding) -> bool {
        let Some(column) = &finding.column else { return false };
        if !finding.coded.as_ref().is_some_and(|coded| NOT_IMPORTED_CODES.contains(&&*coded.code)) {
            return false;
        }
        let count = self.not_imported.entry(column.clone()).or_default();
        *count += 1;
        if *count <= NOT_IMPORTED_MAX {
            return false;
        }
        self.add(Remark::MoreNotImported(column.to_string()), Some(column), finding.line);
        true
    }

    /// Returns a warning for each remark.
    pub(super) fn into_findings(self) -> impl Iterator<Item = Finding> {
        self.all.into_iter().map(|(remark, Cited { column, count, lines, .. })| {
            let line = lines.first().copied().unwrap_or(0);
            let rows = match count {
                1 => CitedRows::OneLine { line },
                n if n > lines.len() as u64 => CitedRows::FirstLines { n, lines },
                n => CitedRows::Lines { n, lines },
            };
            remark.into_kind(rows).of_cell(line, column.as_deref(), None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_reported_once_with_its_lines() {
        let mut remarks = Remarks::default();
        for line in 1..=12 {
            remarks.add(Remark::Afternoon, Some("time"), line);
            remarks.add(Remark::Afternoon, Some("time"), line);
        }
        remarks.add(Remark::Tentative, None, 7);

        let findings: Vec<Finding> = remarks.into_findings().collect();

        assert_eq!((findings.len(), findings[0].line, findings[1].line), (2, 1, 7));
        assert!(findings[0].message.contains("12 rows (lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 …)"), "{findings:?}");
        assert!(findings[1].message.contains("in line 7"), "{findings:?}");
    }

    #[test]
    fn many_cells_that_are_not_imported_become_one_remark() {
        let mut remarks = Remarks::default();
        let warning = |column, line| {
            FindingKind::NotImported { what: Box::new(FindingKind::RestrictionsForm) }.of_cell(
                line,
                Some(column),
                Some("x"),
            )
        };
        let absorbed: Vec<bool> = (1..=13).map(|line| remarks.absorb(&warning("restrictions", line))).collect();
        assert!(!remarks.absorb(&warning("reserved", 14)), "each column has its own count");
        assert!(!remarks.absorb(&FindingKind::EmptyCapacity.of_cell(15, Some("restrictions"), None)));

        let findings: Vec<Finding> = remarks.into_findings().collect();

        assert_eq!(absorbed, [[false; 10].as_slice(), &[true; 3]].concat());
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.line, finding.column.as_deref()), (11, Some("restrictions")));
        assert!(finding.message.contains("3 rows (lines 11, 12, 13)"), "{finding:?}");
    }
}
