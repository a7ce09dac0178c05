//! Finds the sections of a file that staff may not import, because the staff are limited to other subjects.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::import::{Finding, TaskReport};
use crate::domain::rights::{self, OutOfScope, Scope, Subjects};
use crate::registration::readmodel::Snapshot;

use crate::imports::finding_kind::FindingKind;
use crate::imports::findings;
use crate::imports::schedule::{FileSection, Schedule, ScheduleError};
use crate::imports::task::LIST_LEN_MAX;

/// Returns an error for each subject outside of `limit` among the sections of the file and the sections of the term
/// with the same CRNs. Events and new terms concern all subjects.
pub(super) fn refused(
    schedule: &dyn Schedule,
    term: Option<&Snapshot>,
    limit: &Subjects,
) -> Result<Vec<Finding>, ScheduleError> {
    let refusal = |scope: &Scope<'_>| rights::check(Some(limit), scope).err().map(|refused| kind_of(&refused));
    if schedule.contains_events() {
        return Ok(refusal(&Scope::AllSubjects).into_iter().map(|kind| kind.of_line(1)).collect());
    }
    if term.is_none() {
        return Ok(refusal(&Scope::AllSubjects).map(|_| FindingKind::NoNewTerm.of_line(1)).into_iter().collect());
    }
    let mut refused: BTreeMap<String, Finding> = BTreeMap::new();
    schedule.each_section(&mut |FileSection { section, line, .. }| {
        let known = term.and_then(|term| term.row(&section.id.crn)).map(|row| &row.state.section);
        for concerned in [Some(&*section), known.map(|known| &**known)].into_iter().flatten() {
            let subject = concerned.subject();
            if !refused.contains_key(subject)
                && let Some(kind) = refusal(&Scope::Subject(subject))
            {
                refused.insert(subject.to_owned(), kind.of_cell(line, None, Some(&section.id.to_string())));
            }
        }
        Ok(())
    })?;
    Ok(refused.into_values().collect())
}

/// Returns the error of an import that the registrar refused: since the check of the file, the subject of a section has
/// changed, or another section now has a CRN of the file.
pub(super) fn finding_of(refused: &OutOfScope) -> Finding {
    kind_of(refused).of_line(1)
}

/// Adds errors to the report of a task, before those of the file, and to the file with all errors.
///
/// # Errors
/// When the file with all errors cannot be written.
pub(super) fn report(refused: Vec<Finding>, report: &mut TaskReport, errors_file: &Path) -> Result<(), ScheduleError> {
    findings::append(&refused, errors_file)?;
    report.errors_total += refused.len() as u64;
    report.errors = refused.into_iter().chain(std::mem::take(&mut report.errors)).take(LIST_LEN_MAX).collect();
    Ok(())
}

fn kind_of(refused: &OutOfScope) -> FindingKind {
    let (what, subjects) = refused.parts();
    FindingKind::OutOfScope { what: what.clone(), subjects: subjects.to_string() }
}
