//! Whether those who came by Plone are still there, in the same role: asked for whoever is here, a few at a time, oldest
//! answer first.

use std::collections::HashSet;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use crate::domain::ids::UserName;
use crate::plone::port::{BridgeError, PloneError};

use crate::identity::members::Members;

/// Somebody is asked about after this part of the configured time, so that the answer takes effect within all of it.
const DUE_NUMERATOR: i64 = 3;
const DUE_DENOMINATOR: i64 = 4;
/// Looks at who is due in the configured time, and the shortest and longest time between two of them.
const LOOKS: u32 = 8;
const LOOK_MIN: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Questions at once: a quarter of the connections that Plone has by default. Whoever waits for an answer comes first.
const AT_ONCE: usize = 2;
/// Members in one go.
const BATCH_MAX: usize = 64;

/// Whether it would be the same for everybody: Plone is not reached at all.
const fn is_nobodys(error: &BridgeError) -> bool {
    matches!(error, BridgeError::Plone(PloneError::Busy | PloneError::Open | PloneError::Unavailable(_)))
}

/// Whether somebody is to be asked about.
pub(super) fn is_due(checked_ms: i64, now_ms: i64, recheck_ms: i64) -> bool {
    now_ms - checked_ms >= recheck_ms / DUE_DENOMINATOR * DUE_NUMERATOR
}

/// Checks until the members are gone.
pub(super) async fn keep_checking(members: Weak<Members>) {
    let Some((wake, look)) = members.upgrade().map(|members| {
        let look = (members.plone.recheck / LOOKS).clamp(LOOK_MIN, LOOK_MAX);
        (members.wake.clone(), look)
    }) else {
        return;
    };
    loop {
        let Some(present) = members.upgrade() else { return };
        let all_answered = present.check_due().await;
        drop(present);
        if all_answered {
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(look) => {}
            }
        } else {
            // Plone does not answer: who is here stays here, and it is asked again at the next look.
            tokio::time::sleep(look).await;
        }
    }
}

impl Members {
    /// Checks everybody who is due, each once; false when Plone does not answer. About one member it may fail, time and
    /// again: the others are asked about all the same, and that one at the next look.
    pub(super) async fn check_due(&self) -> bool {
        let _alone = self.checking.lock().await;
        let mut asked = HashSet::new();
        loop {
            let due = self.due(&asked);
            let unanswered = AtomicBool::new(false);
            let check = async |user: &UserName| {
                if unanswered.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(why) = self.check(user).await {
                    unanswered.fetch_or(is_nobodys(&why), Ordering::Relaxed);
                    self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
                    log::debug!("whether a member is still there is not known: {why}");
                }
            };
            futures_util::stream::iter(&due).for_each_concurrent(AT_ONCE, check).await;
            if unanswered.into_inner() {
                return false;
            }
            if due.len() < BATCH_MAX {
                return true;
            }
            asked.extend(due);
        }
    }

    /// Who is here and due, `but` these. Who is not here any more is forgotten.
    fn due(&self, but: &HashSet<UserName>) -> Vec<UserName> {
        let (now_ms, recheck_ms) = (self.clock.now().as_millisecond(), self.recheck_ms());
        let mut due = Vec::new();
        let mut idle = Vec::new();
        for here in &self.here {
            let is_here = now_ms - here.seen_ms <= recheck_ms || self.bus.is_listening(here.key());
            if is_here && is_due(here.checked_ms, now_ms, recheck_ms) && !but.contains(here.key()) {
                due.push((here.checked_ms, here.key().clone()));
            } else if !is_here && now_ms - here.checked_ms > recheck_ms {
                idle.push(here.key().clone());
            }
        }
        for user in idle {
            self.here.remove_if(&user, |_, here| now_ms - here.seen_ms > recheck_ms);
        }
        due.sort_unstable();
        due.truncate(BATCH_MAX);
        due.into_iter().map(|(_, user)| user).collect()
    }

    /// Asks about one member, and draws the consequences.
    async fn check(&self, user: &UserName) -> Result<(), BridgeError> {
        let asked_at_ms = self.clock.now().as_millisecond();
        if self.accounts.account(user).await?.is_some() {
            return Ok(self.give_way(user).await?);
        }
        let person = self.plone.directory.person(user).await?;
        let role = match &person {
            Some(person) => self.plone.roles.role(&person.roles, &person.groups),
            None => {
                self.be_sure_that_plone_knows_people().await?;
                None
            }
        };
        let known = self.here.get(user).map(|here| here.role);
        let done = match (role, known) {
            // Signed in anew, or ended, meanwhile.
            (_, None) => Ok(()),
            (None, _) if person.is_none() => self.remove(user, "Plone does not know this user any more").await,
            (None, _) => self.remove(user, "Plone's user has no role here any more").await,
            (Some(role), Some(known)) if role != known => self.change_role(user, role).await,
            (Some(_), Some(_)) => {
                self.counts.same.fetch_add(1, Ordering::Relaxed);
                if let Some(mut here) = self.here.get_mut(user) {
                    here.checked_ms = here.checked_ms.max(asked_at_ms);
                }
                Ok(())
            }
        };
        Ok(done?)
    }

    /// "There is nobody of this name" is said, too, by a web server in front of Plone that is being worked on, and then
    /// of everybody. So it counts only when the hub's own user is known at the same time.
    async fn be_sure_that_plone_knows_people(&self) -> Result<(), PloneError> {
        match self.plone.directory.person(&self.plone.hub_user).await? {
            Some(_) => Ok(()),
            None => Err(PloneError::Unavailable("it does not know the hub's own user either".to_owned())),
        }
    }
}
