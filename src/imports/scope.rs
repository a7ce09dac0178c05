//! Which sections of a file staff may not import because they are limited to other subjects.

use std::collections::BTreeMap;

use crate::domain::import::Finding;
use crate::domain::rights::{self, Scope, Subjects};
use crate::registration::readmodel::Snapshot;

use crate::imports::schedule::{FileSection, Schedule, ScheduleError};

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

/// Returns an error about a section of the file, or about the file as a whole.
fn finding(message: String, line: u64, section: Option<String>) -> Finding {
    Finding { line, column: None, value: section.map(String::into_boxed_str), message }
}
