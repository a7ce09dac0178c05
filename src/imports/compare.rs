//! Compares a file to a term: which sections an import changes, and what it stages.

use jiff::Timestamp;

use crate::domain::command::{StagedImport, StagedSection};
use crate::domain::decide::imported;
use crate::domain::import::{Change, ChangeKind, TaskReport};
use crate::domain::section::SectionState;
use crate::domain::section_changes::SectionChanges;
use crate::imports::schedule::FileSection;
use crate::registration::readmodel::Snapshot;
use crate::store::imports::CHUNK_LEN;

use crate::imports::task::LIST_LEN_MAX;

fn change(before: Option<&SectionState>, after: &SectionState) -> Change {
    let kind = if before.is_some() { ChangeKind::Update } else { ChangeKind::Create };
    Change { section: after.section.id.clone(), change: kind, fields: SectionChanges::between(before, after) }
}

/// A comparison of a file to a term, which yields the sections to stage in chunks.
pub(super) struct Comparison<'s> {
    snapshot: Option<&'s Snapshot>,
    apply_totals: bool,
    /// Whether to stage sections; false for a dry run.
    stage: bool,
    chunk: Vec<SectionState>,
    /// The sections staged so far.
    pub(super) staged: StagedImport,
}

impl<'s> Comparison<'s> {
    pub(super) fn new(
        snapshot: Option<&'s Snapshot>,
        now: Timestamp,
        generation: u64,
        totals: bool,
        stage: bool,
    ) -> Self {
        // A prediction: the registrar decides by its own clock when it applies the import.
        let open = snapshot.is_some_and(|s| s.term.is_open(now));
        let staged = StagedImport { generation, apply_totals_while_open: totals, sections: Vec::new(), unchanged: 0 };
        Self { snapshot, apply_totals: totals || !open, stage, chunk: Vec::new(), staged }
    }

    /// Compares a section and counts it in the report. Returns a full chunk of [`CHUNK_LEN`] sections to stage, if any.
    pub(super) fn add(&mut self, report: &mut TaskReport, file: FileSection) -> Option<Vec<SectionState>> {
        let before = self.snapshot.and_then(|s| s.row(&file.section.id.crn)).map(|row| &row.state);
        let unstaged = SectionState::new(file.section.clone());
        let mut new = StagedSection { section: file.section, totals: file.totals, staged_as: unstaged };
        let after = imported(before, &new, self.apply_totals);
        match before {
            Some(before) if *before == after => {
                report.unchanged += 1;
                self.staged.unchanged += 1;
                return None;
            }
            Some(_) => report.updated += 1,
            None => report.created += 1,
        }
        report.changes_total += 1;
        if report.changes.len() < LIST_LEN_MAX {
            report.changes.push(change(before, &after));
        }
        if !self.stage {
            return None;
        }
        self.chunk.push(after.clone());
        new.section = after.section.clone();
        new.staged_as = after;
        self.staged.sections.push(new);
        (self.chunk.len() == CHUNK_LEN).then(|| std::mem::take(&mut self.chunk))
    }

    /// Returns the last chunk, which may be empty; `None` if there is nothing to apply.
    pub(super) fn finish(&mut self) -> Option<Vec<SectionState>> {
        (!self.staged.sections.is_empty()).then(|| std::mem::take(&mut self.chunk))
    }
}
