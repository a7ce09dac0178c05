//! Who came by Plone: when they were seen and checked, their tokens of Plone, and whose sign-ins are dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, Notify, Semaphore, watch};

use crate::bus::{Bus, Event};
use crate::clock::Clock;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::plone::format::token::PloneClaims;
use crate::store::StoreError;
use crate::store::accounts::{AccountStore, AuditEntry};
use crate::store::members::Member;

use crate::identity::Caller;
use crate::identity::hashes::Hashes;
use crate::identity::password::Hasher;
use crate::identity::plone::PloneSignIn;
use crate::identity::recheck;

/// How exactly it is known when somebody was seen: a part of the time between two checks.
const SEEN_PARTS: i64 = 8;

/// Sign-ins that may wait for their turn to ask Plone: more than it answers within any time that people wait.
const WAITING_MAX: usize = 1_000;

/// A token of Plone: whoever has it is that member there.
#[derive(Debug, Clone)]
pub(super) struct PloneToken {
    pub(super) text: Arc<SecretString>,
    expires_at: Timestamp,
}

impl PloneToken {
    /// Reads a token: with the id of its user. None when it is not one.
    pub(super) fn read(text: SecretString) -> Option<(String, Self)> {
        let claims = PloneClaims::of(text.expose_secret())?;
        Some((claims.subject, Self { expires_at: claims.expires_at?, text: Arc::new(text) }))
    }
}

/// Somebody who is here.
#[derive(Debug)]
pub(super) struct Here {
    /// The role of the sign-ins that are alive.
    pub(super) role: Role,
    /// When they were seen, see [`SEEN_PARTS`].
    pub(super) seen_ms: i64,
    /// When Plone was last asked about them; 0: not since the hub started.
    pub(super) checked_ms: i64,
    /// None: it was not read from the store yet. In it none: there is none.
    token: Option<Option<PloneToken>>,
}

/// A plain member of Plone: the name, and Plone's token. None so far: nobody has signed in.
pub type PlainMember = Option<(UserName, Arc<SecretString>)>;

/// What is counted.
#[derive(Debug, Default)]
pub struct MemberCounts {
    /// Members who are still there, as they were.
    pub same: AtomicU64,
    /// Members whose role had changed.
    pub changed: AtomicU64,
    /// Members who were gone.
    pub gone: AtomicU64,
    /// Questions that Plone did not answer.
    pub unanswered: AtomicU64,
}

/// Everybody who came by Plone.
pub(super) struct Members {
    pub(super) plone: PloneSignIn,
    pub(super) accounts: Arc<dyn AccountStore>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hashes: Hashes,
    pub(super) here: DashMap<UserName, Here>,
    /// There may be somebody who was not checked for long.
    pub(super) wake: Arc<Notify>,
    /// One look at a time, so that nobody is asked about twice.
    pub(super) checking: Mutex<()>,
    pub(super) counts: Arc<MemberCounts>,
    /// Sign-ins that may ask Plone, and that may wait for that.
    pub(super) turns: Semaphore,
    pub(super) queue: Semaphore,
    /// Sign-ins about which Plone has said something.
    pub(super) answers: AtomicU64,
    /// Sign-ins of this user up to this time are dead.
    ended_ms: DashMap<UserName, i64>,
    /// Whoever signed in last as a student, and Plone's token; none once that one is a student no more.
    plain: watch::Sender<PlainMember>,
}

impl Members {
    /// Starts hashing and checking on the current runtime, with what the store remembers of sign-ins that ended.
    pub(super) async fn start(
        plone: PloneSignIn,
        accounts: Arc<dyn AccountStore>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        hasher: Arc<Hasher>,
    ) -> Result<Arc<Self>, StoreError> {
        let ended = plone.members.ended_sign_ins().await?;
        let members = Arc::new(Self {
            hashes: Hashes::start(hasher, plone.members.clone()),
            here: DashMap::new(),
            wake: Arc::default(),
            checking: Mutex::default(),
            counts: Arc::default(),
            ended_ms: ended.into_iter().map(|(user, at)| (user, at.as_millisecond())).collect(),
            plain: watch::Sender::new(None),
            turns: Semaphore::new(plone.at_once.max(1)),
            queue: Semaphore::new(WAITING_MAX),
            answers: AtomicU64::new(0),
            plone,
            accounts,
            bus,
            clock,
        });
        tokio::spawn(recheck::keep_checking(Arc::downgrade(&members)));
        Ok(members)
    }

    /// Up to when sign-ins of this user are dead, in milliseconds since the epoch.
    pub(super) fn ended_ms(&self, user: &UserName) -> Option<i64> {
        self.ended_ms.get(user).map(|ended| *ended)
    }

    /// The time between two checks of one member, in milliseconds.
    pub(super) fn recheck_ms(&self) -> i64 {
        i64::try_from(self.plone.recheck.as_millis()).unwrap_or(i64::MAX / 4)
    }

    /// Notes that somebody is here. Who was not for a while is checked soon.
    pub(super) fn notice(&self, caller: &Caller, now: Timestamp) {
        let now_ms = now.as_millisecond();
        let part_ms = self.recheck_ms() / SEEN_PARTS;
        if self.here.get(&caller.user).is_some_and(|here| now_ms - here.seen_ms <= part_ms) {
            return;
        }
        let mut here = self.here.entry(caller.user.clone()).or_insert(Here {
            role: caller.role,
            seen_ms: now_ms,
            checked_ms: 0,
            token: None,
        });
        here.seen_ms = now_ms;
        if recheck::is_due(here.checked_ms, now_ms, self.recheck_ms()) {
            self.wake.notify_one();
        }
    }

    /// Somebody has signed in: as Plone said just now, or, with `checked` false, as it said the last time.
    pub(super) fn welcome(&self, user: &UserName, role: Role, token: Option<PloneToken>, checked: bool) {
        let now_ms = self.clock.now().as_millisecond();
        if role == Role::Student
            && checked
            && let Some(token) = &token
        {
            self.plain.send_replace(Some((user.clone(), token.text.clone())));
        }
        let checked_ms = if checked { now_ms } else { 0 };
        self.here.insert(user.clone(), Here { role, seen_ms: now_ms, checked_ms, token: Some(token) });
    }

    /// Whoever signed in last as a student, and Plone's token.
    pub(super) fn plain(&self) -> watch::Receiver<PlainMember> {
        self.plain.subscribe()
    }

    /// The member's token of Plone, while it is good.
    pub(super) async fn token_of(&self, user: &UserName) -> Option<Arc<SecretString>> {
        let known = self.here.get(user).and_then(|here| here.token.clone());
        let token = match known {
            Some(token) => token,
            None => self.read_token(user).await,
        }?;
        if token.expires_at > self.clock.now() {
            return Some(token.text);
        }
        self.forget_token(user).await;
        None
    }

    async fn read_token(&self, user: &UserName) -> Option<PloneToken> {
        let member = match self.plone.members.member(user).await {
            Ok(member) => member?,
            Err(error) => {
                log::debug!("a member's token cannot be read: {error}");
                return None;
            }
        };
        let stored = member.token.and_then(PloneToken::read).map(|(_, token)| token);
        let Some(mut here) = self.here.get_mut(user) else { return stored };
        // Meanwhile there may have been a sign-in, or a sign-out.
        here.token.get_or_insert(stored).clone()
    }

    /// Forgets the member's token of Plone.
    pub(super) async fn forget_token(&self, user: &UserName) {
        if let Some(mut here) = self.here.get_mut(user) {
            here.token = Some(None);
        }
        if let Err(error) = self.plone.members.forget_token(user).await {
            log::warn!("a member's token stays in the store until the next sign-in: {error}");
        }
    }

    /// A stored member's token.
    pub(super) fn stored_token(&self, member: &Member) -> Option<PloneToken> {
        let (_, token) = member.token.clone().and_then(PloneToken::read)?;
        (token.expires_at > self.clock.now()).then_some(token)
    }

    /// The member has another role: earlier sign-ins are dead.
    pub(super) async fn change_role(&self, user: &UserName, role: Role) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.end(user, now, &format!("Plone says another role now: {role}"));
        self.counts.changed.fetch_add(1, Ordering::Relaxed);
        self.plone.members.change_role(user, role, now).await
    }

    /// The member is nobody here any more.
    pub(super) async fn remove(&self, user: &UserName, why: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.end(user, now, why);
        self.counts.gone.fetch_add(1, Ordering::Relaxed);
        self.plone.members.remove_member(user, now).await
    }

    /// A local account has this name now: whoever had it by Plone is out.
    pub(super) async fn give_way(&self, user: &UserName) -> Result<(), StoreError> {
        let had_it = self.here.contains_key(user) || self.plone.members.member(user).await?.is_some();
        if had_it { self.remove(user, "a local account has this name now").await } else { Ok(()) }
    }

    /// Ends the user's sign-ins by Plone at once.
    fn end(&self, user: &UserName, now: Timestamp, why: &str) {
        self.ended_ms.insert(user.clone(), now.as_millisecond());
        self.here.remove(user);
        self.plain.send_if_modified(|plain| plain.take_if(|(name, _)| name == user).is_some());
        self.bus.publish(Event::TokensEnded { user: user.clone() });
        self.plone.audit.append(AuditEntry {
            at: now,
            user: None,
            role: None,
            ip: None,
            action: "login.ended".to_owned(),
            subject: Some(user.as_str().to_owned()),
            section: None,
            detail: why.to_owned(),
            request_id: None,
        });
    }
}
