//! What an import changes: which sections, and in each of them field by field, as `GET /api/v1/sections` names them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::command::{StagedImport, StagedSection};
use crate::domain::decide::imported;
use crate::domain::import::{Change, ChangeKind, TaskReport};
use crate::domain::section::SectionState;
use crate::imports::schedule::FileSection;
use crate::registration::readmodel::Snapshot;
use crate::registration::section_json::SectionJson;
use crate::store::imports::CHUNK_LEN;

use crate::imports::task::LIST_LEN_MAX;

/// Fields that say which section it is, or follow from others, or are not a file's to say.
const NOT_COMPARED: [&str; 6] = ["id", "term", "crn", "open", "reserved", "withdrawn"];

fn fields(state: &SectionState) -> Map<String, Value> {
    match serde_json::to_value(SectionJson(state)) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The change from `before` (none: it is new) to `after`.
fn change(before: Option<&SectionState>, after: &SectionState) -> Change {
    let old = before.map(fields).unwrap_or_default();
    let mut changed = Map::new();
    for (name, new) in fields(after) {
        let was = old.get(&name).cloned().unwrap_or(Value::Null);
        // A new section says what it has, not what it lacks.
        if before.is_none() && new == json!([]) {
            continue;
        }
        if was != new && !NOT_COMPARED.contains(&name.as_str()) {
            changed.insert(name, json!([was, new]));
        }
    }
    if changed.is_empty()
        && let Some(before) = before
    {
        // The last import's totals are kept to be compared with, and shown nowhere else.
        changed.insert("file_totals".to_owned(), json!([before.file_totals, after.file_totals]));
    }
    let kind = if before.is_some() { ChangeKind::Update } else { ChangeKind::Create };
    Change { section: after.section.id.clone(), change: kind, fields: changed }
}

/// The comparison of a file with a term: what an import stages, chunk by chunk.
pub(super) struct Comparing<'s> {
    snapshot: Option<&'s Snapshot>,
    totals_count: bool,
    keep: bool,
    chunk: Vec<SectionState>,
    /// What was staged so far.
    pub(super) staged: StagedImport,
}

impl<'s> Comparing<'s> {
    pub(super) fn new(
        snapshot: Option<&'s Snapshot>,
        now: Timestamp,
        generation: u64,
        totals: bool,
        keep: bool,
    ) -> Self {
        // The clock of the decision counts in the end; this only says what will most likely be.
        let open = snapshot.is_some_and(|s| s.term.is_open(now));
        let staged = StagedImport { generation, totals_count_while_open: totals, sections: Vec::new(), unchanged: 0 };
        Self { snapshot, totals_count: totals || !open, keep, chunk: Vec::new(), staged }
    }

    /// Compares one section, and counts it in the report. Answers a chunk when one is full.
    pub(super) fn add(&mut self, report: &mut TaskReport, file: FileSection) -> Option<Vec<SectionState>> {
        let before = self.snapshot.and_then(|s| s.row(&file.section.id.crn)).map(|row| &row.state);
        let unstaged = SectionState::new(file.section.clone());
        let mut new = StagedSection { section: file.section, totals: file.totals, staged_as: unstaged };
        let after = imported(before, &new, self.totals_count);
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
        if !self.keep {
            return None;
        }
        self.chunk.push(after.clone());
        new.section = after.section.clone();
        new.staged_as = after;
        self.staged.sections.push(new);
        (self.chunk.len() == CHUNK_LEN).then(|| std::mem::take(&mut self.chunk))
    }

    /// The last chunk, when there is anything to apply.
    pub(super) fn rest(&mut self) -> Option<Vec<SectionState>> {
        (!self.staged.sections.is_empty()).then(|| std::mem::take(&mut self.chunk))
    }
}
