//! Which sections of a file staff may not import because they are limited to other subjects.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::import::{Finding, TaskReport};
use crate::domain::rights::{self, OutOfScope, Scope, Subjects};
use crate::registration::readmodel::Snapshot;

use crate::imports::findings;
use crate::imports::schedule::{FileSection, Schedule, ScheduleError};
use crate::imports::task::LIST_LEN_MAX;

/// Returns an error for each subject that is not within `limit`, of a section in the file or of the section in the term
/// with the same CRN. Events and new terms concern all subjects.
pub(super) fn refused(
    schedule: &dyn Schedule,
    term: Option<&Snapshot>,
    limit: &Subjects,
) -> Result<Vec<Finding>, ScheduleError> {
    let refusal = |scope: &Scope<'_>| rights::check(Some(limit), scope).err().map(|refused| refused.to_string());
    if schedule.contains_events() {
        return Ok(refusal(&Scope::AllSubjects).into_iter().map(|message| finding(message, 1, None)).collect());
    }
    if term.is_none() {
        let created =
            refusal(&Scope::AllSubjects).map(|_| "Your account is limited to subjects, so it cannot create a term");
        return Ok(created.into_iter().map(|message| finding(message.to_owned(), 1, None)).collect());
    }
    let mut refused: BTreeMap<String, Finding> = BTreeMap::new();
    schedule.each_section(&mut |FileSection { section, line, .. }| {
        let known = term.and_then(|term| term.row(&section.id.crn)).map(|row| &row.state.section);
        for concerned in [Some(&*section), known.map(|known| &**known)].into_iter().flatten() {
            let subject = concerned.subject();
            if !refused.contains_key(subject)
                && let Some(message) = refusal(&Scope::Subject(subject))
            {
                refused.insert(subject.to_owned(), finding(message, line, Some(section.id.to_string())));
            }
        }
        Ok(())
    })?;
    Ok(refused.into_values().collect())
}

/// Returns the error of an import that the registrar refused: since the check of the file, the subject of a section has
/// changed, or another section now has a CRN of the file.
pub(super) fn finding_of(refused: &OutOfScope) -> Finding {
    finding(refused.to_string(), 1, None)
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

/// Returns an error about a section of the file, or about the file as a whole.
fn finding(message: String, line: u64, section: Option<String>) -> Finding {
    Finding { line, column: None, value: section.map(String::into_boxed_str), message }
}
