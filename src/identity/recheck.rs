//! Rechecks of members: verifies regularly that each active member still exists at the provider with the same role. The
//! member whose last check is oldest comes first.

use std::collections::HashSet;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::identity::members::Members;
use crate::identity::provider::{KnownUser, Profile, ProviderError};

/// A member is due after 3/4 of the configured time, so that a change takes effect within that time.
const DUE_NUMERATOR: i64 = 3;
const DUE_DENOMINATOR: i64 = 4;
/// Number of rounds within the configured time.
const ROUNDS: u32 = 8;
/// Shortest time between two rounds.
const ROUND_MIN: Duration = Duration::from_millis(50);
/// Longest time between two rounds.
const ROUND_MAX: Duration = Duration::from_secs(5);
/// Maximum number of concurrent checks: a quarter of the default connections to Plone, because users' requests have
/// priority.
const IN_FLIGHT_MAX: usize = 2;
/// Maximum number of members that are collected in one pass.
const BATCH_MAX: usize = 64;

/// Returns true if a member is due for a recheck.
pub(super) fn is_due(checked_ms: i64, now_ms: i64, recheck_ms: i64) -> bool {
    now_ms - checked_ms >= recheck_ms / DUE_DENOMINATOR * DUE_NUMERATOR
}

/// Rechecks until the members are dropped.
pub(super) async fn run(members: Weak<Members>) {
    let Some((wake, round)) = members.upgrade().map(|members| {
        let round = (members.rules.recheck / ROUNDS).clamp(ROUND_MIN, ROUND_MAX);
        (members.wake.clone(), round)
    }) else {
        return;
    };
    loop {
        let Some(strong) = members.upgrade() else { return };
        let has_responded = strong.recheck_due().await;
        drop(strong);
        if has_responded {
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(round) => {}
            }
        } else {
            // During an outage, wake-ups by arriving members are ignored until the next round. No member is signed out.
            tokio::time::sleep(round).await;
        }
    }
}

impl Members {
    /// Rechecks each active member who is due, once. Returns false if the provider does not respond at all; a failure
    /// for one member does not stop the rechecks of the others.
    pub(super) async fn recheck_due(&self) -> bool {
        let _exclusive = self.rechecking.lock().await;
        let mut checked = HashSet::new();
        loop {
            let due = self.due(&checked);
            let is_outage = AtomicBool::new(false);
            let recheck = async |user: &UserName| {
                if is_outage.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(error) = self.recheck(user).await {
                    is_outage.fetch_or(error.affects_all_users(), Ordering::Relaxed);
                    self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
                    log::debug!("a member could not be rechecked: {error}");
                }
            };
            futures_util::stream::iter(&due).for_each_concurrent(IN_FLIGHT_MAX, recheck).await;
            if is_outage.into_inner() {
                return false;
            }
            if due.len() < BATCH_MAX {
                return true;
            }
            checked.extend(due);
        }
    }

    /// Returns at most [`BATCH_MAX`] active members who are due, except those in `checked`. A member who sent a request
    /// within the configured time, or has a live session, is active. Removes members who are no longer active and were
    /// not checked within that time.
    fn due(&self, checked: &HashSet<UserName>) -> Vec<UserName> {
        let (now_ms, recheck_ms) = (self.clock.monotonic_ms(), self.recheck_ms());
        let mut due = Vec::new();
        let mut idle = Vec::new();
        for member in &self.active {
            let is_active = now_ms - member.seen_ms <= recheck_ms || self.bus.may_be_connected(member.key());
            if is_active && is_due(member.checked_ms, now_ms, recheck_ms) && !checked.contains(member.key()) {
                due.push((member.checked_ms, member.key().clone()));
            } else if !is_active && now_ms - member.checked_ms > recheck_ms {
                idle.push(member.key().clone());
            }
        }
        for user in idle {
            self.active.remove_if(&user, |_, member| now_ms - member.seen_ms > recheck_ms);
        }
        due.sort_unstable();
        due.truncate(BATCH_MAX);
        due.into_iter().map(|(_, user)| user).collect()
    }

    /// Checks one member and applies the changes.
    async fn recheck(&self, user: &UserName) -> Result<(), ProviderError> {
        let started_ms = self.clock.monotonic_ms();
        if self.is_taken(user).await? {
            return Ok(self.remove_if_member(user).await?);
        }
        let profile = self.provider.profile(user).await?;
        let Some(known) = self.active.get(user).map(|member| member.rights.clone()) else {
            // The sign-ins ended during the check.
            return Ok(());
        };
        let title = self.provider.title();
        match profile {
            Profile::Unknown => self.remove(user, &AuditDetail::UserGone { provider: title.to_owned() }).await?,
            Profile::NoRole => self.remove(user, &AuditDetail::RoleGone { provider: title.to_owned() }).await?,
            Profile::Known(KnownUser { rights, .. }) if rights != known => self.change_rights(user, rights).await?,
            Profile::Known(_) => {
                self.counts.same.fetch_add(1, Ordering::Relaxed);
                if let Some(mut member) = self.active.get_mut(user) {
                    member.checked_ms = member.checked_ms.max(started_ms);
                }
            }
        }
        Ok(())
    }
}
