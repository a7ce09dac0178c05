//! What limited staff may do with alerts.

use crate::domain::alert::Alert;
use crate::domain::audience::Audience;
use crate::domain::rights::{OutOfScope, Scope};
use crate::identity::Caller;
use crate::live::alert_scope::{self, STAFF};
use crate::live::context::Live;
use crate::registration::readmodel::ReadModel;
use crate::store::alerts::{Entry, Page};

use crate::http::auth::within_limit;
use crate::http::error::Problem;

/// Checks that staff may send an alert to an audience.
///
/// # Errors
/// 403 `forbidden` when the audience reaches anyone but the students of the subjects to which the caller is limited.
pub(super) fn may_send(caller: &Caller, audience: &Audience, model: &ReadModel) -> Result<(), Problem> {
    alert_scope::check(caller.subjects.as_ref(), audience, model).map_err(|refused| forbidden(&refused))
}

/// Checks that staff may see the recipients of an alert, correct it, or cancel it. Staff may always do so with their
/// own alerts.
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
    alert_scope::check_groups(caller.subjects.as_ref(), audience, model).map_err(|refused| forbidden(&refused))?;
    // An alert to named users is a notice of the hub about a registration, or a message from other staff.
    if audience.users.is_empty() { Ok(()) } else { within_limit(caller, &Scope::OfSomeoneElse) }
}

fn forbidden(refused: &OutOfScope) -> Problem {
    Problem::forbidden(refused.to_string())
}

/// Returns the first `limit` alerts of a list for staff that the caller may manage.
pub(super) fn manageable(live: &Live, caller: &Caller, page: Page, limit: usize) -> Page {
    let may_see = |entry: &Entry| match entry {
        Entry::Alert(alert) => may_manage(caller, alert, &live.model).is_ok(),
        Entry::Cancelled(_) => true,
    };
    Page { items: page.items.into_iter().filter(|(_, entry)| may_see(entry)).take(limit).collect(), ..page }
}
