//! What an alert concerns, for staff who are limited to subjects.

use std::collections::BTreeSet;

use crate::domain::alert::Alert;
use crate::domain::audience::Audience;
use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::domain::rights::{self, OutOfScope, Scope, Subjects};
use crate::domain::section::subject_of_course;
use crate::identity::Identity;
use crate::registration::readmodel::ReadModel;
use crate::store::StoreError;

/// Value of [`Alert::source`] for an alert of staff.
pub const STAFF: &str = "staff";

/// Checks that an audience has only students of the subjects to which staff are limited. `None` means no limit.
///
/// # Errors
/// When the audience reaches others.
pub fn check(limit: Option<&Subjects>, audience: &Audience, model: &ReadModel) -> Result<(), OutOfScope> {
    if limit.is_none() {
        return Ok(());
    }
    check_groups(limit, audience, model)?;
    audience.users.iter().try_for_each(|user| {
        rights::check(limit, &Scope::Student { name: user.0.as_str(), subjects: subjects_of(&user.0, model) })
    })
}

/// Checks all parts of an audience but its users.
///
/// # Errors
/// When a part reaches anyone other than students of the subjects.
pub fn check_groups(limit: Option<&Subjects>, audience: &Audience, model: &ReadModel) -> Result<(), OutOfScope> {
    if audience.all || !audience.roles.is_empty() {
        rights::check(limit, &Scope::AllSubjects)?;
    }
    for section in &audience.sections {
        match model.section(&section.0) {
            Some((row, _)) => rights::check(limit, &Scope::Subject(row.state.section.subject()))?,
            // The subject of a section that no longer exists is not known.
            None => rights::check(limit, &Scope::AllSubjects)?,
        }
    }
    audience.courses.iter().try_for_each(|course| rights::check(limit, &Scope::Subject(subject_of_course(course))))
}

/// Returns the subjects of the sections for which a student is registered.
#[must_use]
pub fn subjects_of(student: &UserName, model: &ReadModel) -> BTreeSet<String> {
    let mut subjects = BTreeSet::new();
    for term in model.terms().values() {
        let Some(registrations) = term.registrations(student) else { continue };
        let snapshot = term.snapshot();
        for registration in registrations.iter().filter(|registration| registration.is_registered()) {
            if let Some(row) = snapshot.row(&registration.crn) {
                subjects.insert(row.state.section.subject().to_owned());
            }
        }
    }
    subjects
}

/// Returns whether a scheduled alert that is due must not be sent, because its sender has since been limited to
/// subjects and its audience reaches others. In that case, adds an entry to the audit trail.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_withheld(alert: &Alert, identity: &Identity, model: &ReadModel) -> Result<bool, StoreError> {
    let Ok(sender) = UserName::stored(&alert.sender) else { return Ok(false) };
    if alert.source != STAFF {
        return Ok(false);
    }
    let limit = identity.limit_of(&sender).await?;
    let Err(refused) = check(limit.as_ref(), &alert.content.audience, model) else { return Ok(false) };
    log::warn!("the scheduled alert {} is not sent: {refused}", alert.id);
    let why = AuditDetail::Withheld { title: alert.content.title.to_string(), sender: sender.to_string() };
    identity.note("alert.withhold", &alert.id, why);
    Ok(true)
}
