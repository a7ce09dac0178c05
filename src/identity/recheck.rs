//! Rechecks of members: whether a provider still knows each active member in the same role. A few members are asked
//! about at once, the oldest answer first.

use std::collections::HashSet;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use crate::domain::ids::UserName;
use crate::identity::members::Members;
use crate::identity::provider::{KnownUser, Profile, ProviderError};

/// A member is due after this fraction of the configured time, so that a change takes effect within all of it.
const DUE_NUMERATOR: i64 = 3;
const DUE_DENOMINATOR: i64 = 4;
/// Rounds in the configured time, and the bounds of the time between two of them.
const ROUNDS: u32 = 8;
const ROUND_MIN: Duration = Duration::from_millis(50);
const ROUND_MAX: Duration = Duration::from_secs(5);
/// Questions in flight: a quarter of the connections that Plone has by default, since users who wait come first.
const IN_FLIGHT_MAX: usize = 2;
/// Members that are collected at a time.
const BATCH_MAX: usize = 64;

/// Returns true when a member is due for a recheck.
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
        let Some(present) = members.upgrade() else { return };
        let all_answered = present.recheck_due().await;
        drop(present);
        if all_answered {
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(round) => {}
            }
        } else {
            // During an outage no member is signed out, and the wake-ups of members who arrive are ignored until the
            // next round.
            tokio::time::sleep(round).await;
        }
    }
}

impl Members {
    /// Rechecks every active member who is due, each once. Returns false when the provider does not answer at all; a
    /// failure about one member does not keep the others from being rechecked.
    pub(super) async fn recheck_due(&self) -> bool {
        let _exclusive = self.rechecking.lock().await;
        let mut asked = HashSet::new();
        loop {
            let due = self.due(&asked);
            let is_outage = AtomicBool::new(false);
            let recheck = async |user: &UserName| {
                if is_outage.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(error) = self.recheck(user).await {
                    is_outage.fetch_or(error.concerns_everyone(), Ordering::Relaxed);
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
            asked.extend(due);
        }
    }

    /// Returns active members who are due, except those already asked about, and forgets members who are not active any
    /// more. A member is active who was seen within the configured time or has a live session.
    fn due(&self, asked: &HashSet<UserName>) -> Vec<UserName> {
        let (now_ms, recheck_ms) = (self.clock.now().as_millisecond(), self.recheck_ms());
        let mut due = Vec::new();
        let mut idle = Vec::new();
        for member in &self.active {
            let is_active = now_ms - member.seen_ms <= recheck_ms || self.bus.is_listening(member.key());
            if is_active && is_due(member.checked_ms, now_ms, recheck_ms) && !asked.contains(member.key()) {
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

    /// Asks about one member and applies what changed.
    async fn recheck(&self, user: &UserName) -> Result<(), ProviderError> {
        let asked_at_ms = self.clock.now().as_millisecond();
        if self.is_taken(user).await? {
            return Ok(self.displace(user).await?);
        }
        let profile = self.provider.profile(user).await?;
        let Some(known_role) = self.active.get(user).map(|member| member.role) else {
            // The sign-ins ended while the provider was asked.
            return Ok(());
        };
        let title = self.provider.title();
        match profile {
            Profile::Unknown => self.remove(user, &format!("{title} does not know this user any more")).await?,
            Profile::NoRole => self.remove(user, &format!("{title}'s user has no role here any more")).await?,
            Profile::Known(KnownUser { role, .. }) if role != known_role => self.change_role(user, role).await?,
            Profile::Known(_) => {
                self.counts.same.fetch_add(1, Ordering::Relaxed);
                if let Some(mut member) = self.active.get_mut(user) {
                    member.checked_ms = member.checked_ms.max(asked_at_ms);
                }
            }
        }
        Ok(())
    }
}
