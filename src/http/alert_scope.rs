//! What an alert concerns, for staff who are limited to subjects.

use std::collections::BTreeSet;

use crate::domain::alert::Alert;
use crate::domain::audience::Audience;
use crate::domain::ids::UserName;
use crate::domain::rights::Scope;
use crate::domain::section::subject_of_course;
use crate::identity::Caller;
use crate::live::context::Live;
use crate::registration::readmodel::ReadModel;
use crate::store::alerts::{Entry, Page};

use crate::http::auth::within_limit;
use crate::http::error::Problem;

/// Decides whether staff may send an alert to an audience.
///
/// # Errors
/// 403 `forbidden` when the audience reaches anyone but the students of the subjects to which the caller is limited.
pub(super) fn may_send(caller: &Caller, audience: &Audience, model: &ReadModel) -> Result<(), Problem> {
    if caller.subjects.is_none() {
        return Ok(());
    }
    check_groups(caller, audience, model)?;
    for user in &audience.users {
        let scope = Scope::Student { name: user.0.as_str(), subjects: subjects_of(&user.0, model) };
        within_limit(caller, &scope)?;
    }
    Ok(())
}

/// Decides whether staff may see the recipients of an alert, or cancel it. Staff may always do so with their own alerts.
///
/// # Errors
/// 403 `forbidden` when someone else sent the alert, and its audience is more than sections and courses of the subjects
/// to which the caller is limited.
pub(super) fn may_manage(caller: &Caller, alert: &Alert, model: &ReadModel) -> Result<(), Problem> {
    let is_own = alert.source == STAFF && alert.sender == caller.user.as_str();
    if caller.subjects.is_none() || is_own {
        return Ok(());
    }
    let audience = &alert.content.audience;
    check_groups(caller, audience, model)?;
    // The hub notifies single students about their registrations, and other staff write to them.
    if audience.users.is_empty() { Ok(()) } else { within_limit(caller, &Scope::OfSomeoneElse) }
}

/// Value of [`Alert::source`] for an alert of staff.
pub(super) const STAFF: &str = "staff";

/// Checks all parts of an audience but its users.
fn check_groups(caller: &Caller, audience: &Audience, model: &ReadModel) -> Result<(), Problem> {
    if audience.all || !audience.roles.is_empty() {
        within_limit(caller, &Scope::AllSubjects)?;
    }
    for section in &audience.sections {
        match model.section(&section.0) {
            Some((row, _)) => within_limit(caller, &Scope::Subject(row.state.section.subject()))?,
            // The subject of a section that no longer exists is not known.
            None => within_limit(caller, &Scope::AllSubjects)?,
        }
    }
    audience.courses.iter().try_for_each(|course| within_limit(caller, &Scope::Subject(subject_of_course(course))))
}

/// Returns the subjects of the sections in which a student is enrolled or waitlisted.
fn subjects_of(student: &UserName, model: &ReadModel) -> BTreeSet<String> {
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

/// Returns the first `limit` alerts of a list for staff that the caller may manage.
pub(super) fn manageable(live: &Live, caller: &Caller, page: Page, limit: usize) -> Page {
    let may_see = |entry: &Entry| match entry {
        Entry::Alert(alert) => may_manage(caller, alert, &live.model).is_ok(),
        Entry::Cancelled(_) => true,
    };
    Page { items: page.items.into_iter().filter(|(_, entry)| may_see(entry)).take(limit).collect(), ..page }
}
