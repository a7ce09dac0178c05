//! Members: users who signed in by a provider and are followed from then on. Keeps who is active, the providers'
//! tokens, and up to when sign-ins are dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Mutex, Notify};

use crate::bus::{Bus, Event};
use crate::clock::Clock;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;
use crate::store::members::{Member, MemberStore};

use crate::identity::password::Hasher;
use crate::identity::password_queue::PasswordQueue;
use crate::identity::provider::{MemberRules, Profile, ProviderError, ProviderToken, SignInProvider};
use crate::identity::service::IdentityDeps;
use crate::identity::{Audit, Caller, recheck};

/// Resolution of "last seen", as a fraction of the time between two rechecks.
const SEEN_FRACTION: i64 = 8;

/// An active member.
#[derive(Debug)]
pub(super) struct Active {
    /// Role of the sign-ins that are alive.
    pub(super) role: Role,
    /// When the member was last seen, in milliseconds since the epoch, see [`SEEN_FRACTION`].
    pub(super) seen_ms: i64,
    /// When the provider was last asked about the member, in milliseconds since the epoch; 0 is not since the hub
    /// started.
    pub(super) checked_ms: i64,
    token: KnownToken,
}

/// What is known about the provider's token of a member.
#[derive(Debug, Clone)]
enum KnownToken {
    /// It was not read from the store yet.
    Unread,
    /// There is none.
    None,
    Some(ProviderToken),
}

impl From<Option<ProviderToken>> for KnownToken {
    fn from(token: Option<ProviderToken>) -> Self {
        token.map_or(Self::None, Self::Some)
    }
}

/// Counters of rechecks, by outcome.
#[derive(Debug, Default)]
pub(super) struct RecheckCounts {
    /// Members who are unchanged.
    pub(super) same: AtomicU64,
    /// Members whose role changed.
    pub(super) changed: AtomicU64,
    /// Members who are gone.
    pub(super) gone: AtomicU64,
    /// Questions that the provider did not answer.
    pub(super) unanswered: AtomicU64,
}

impl RecheckCounts {
    pub(super) fn read(&self) -> [u64; 4] {
        [&self.same, &self.changed, &self.gone, &self.unanswered].map(|count| count.load(Ordering::Relaxed))
    }
}

/// What the members of a provider depend on.
pub(super) struct MembersDeps {
    pub(super) identity: IdentityDeps,
    pub(super) hasher: Arc<Hasher>,
    /// Providers that are asked before this one: a user name of theirs is not available to members.
    pub(super) earlier: Vec<Arc<dyn SignInProvider>>,
}

/// The members of one provider.
pub(super) struct Members {
    pub(super) provider: Arc<dyn SignInProvider>,
    pub(super) rules: MemberRules,
    pub(super) store: Arc<dyn MemberStore>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) passwords: PasswordQueue,
    pub(super) active: DashMap<UserName, Active>,
    /// Notified when a member became active who was not rechecked for long.
    pub(super) wake: Arc<Notify>,
    /// Held during a round of rechecks, so that no member is asked about twice at once.
    pub(super) rechecking: Mutex<()>,
    pub(super) counts: RecheckCounts,
    earlier: Vec<Arc<dyn SignInProvider>>,
    audit: Audit,
    /// Sign-ins of a user up to this time are dead, in milliseconds since the epoch.
    ended_ms: DashMap<UserName, i64>,
}

impl Members {
    /// Starts hashing and rechecking on the current runtime, with the ended sign-ins that the store remembers.
    pub(super) async fn start(
        provider: Arc<dyn SignInProvider>,
        rules: MemberRules,
        deps: MembersDeps,
    ) -> Result<Arc<Self>, StoreError> {
        let MembersDeps { identity, hasher, earlier } = deps;
        let store = identity.members;
        let ended = store.ended_sign_ins().await?;
        let members = Arc::new(Self {
            provider,
            rules,
            passwords: PasswordQueue::start(hasher, store.clone()),
            store,
            bus: identity.bus,
            clock: identity.clock,
            active: DashMap::new(),
            wake: Arc::default(),
            rechecking: Mutex::default(),
            counts: RecheckCounts::default(),
            earlier,
            audit: identity.audit,
            ended_ms: ended.into_iter().map(|(user, at)| (user, at.as_millisecond())).collect(),
        });
        tokio::spawn(recheck::run(Arc::downgrade(&members)));
        Ok(members)
    }

    /// Returns up to when sign-ins of this user are dead, in milliseconds since the epoch.
    pub(super) fn ended_ms(&self, user: &UserName) -> Option<i64> {
        self.ended_ms.get(user).map(|ended| *ended)
    }

    /// Returns the time between two rechecks of one member, in milliseconds.
    pub(super) fn recheck_ms(&self) -> i64 {
        i64::try_from(self.rules.recheck.as_millis()).unwrap_or(i64::MAX / 4)
    }

    /// Returns true while the last accepted password and role of a member may be used during an outage.
    pub(super) fn is_fresh(&self, member: &Member) -> bool {
        let days = i64::from(self.rules.offline_login_days);
        days > 0 && self.clock.now().as_second() - member.signed_in_at.as_second() <= days * 86_400
    }

    /// Returns true when an earlier provider has this user name.
    pub(super) async fn is_taken(&self, user: &UserName) -> Result<bool, ProviderError> {
        for provider in &self.earlier {
            if provider.profile(user).await? != Profile::Unknown {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes that a member is active. One who was not for a while is rechecked soon.
    pub(super) fn note_seen(&self, caller: &Caller, now: Timestamp) {
        let now_ms = now.as_millisecond();
        let resolution_ms = self.recheck_ms() / SEEN_FRACTION;
        if self.active.get(&caller.user).is_some_and(|active| now_ms - active.seen_ms <= resolution_ms) {
            return;
        }
        let mut active = self.active.entry(caller.user.clone()).or_insert(Active {
            role: caller.role,
            seen_ms: now_ms,
            checked_ms: 0,
            token: KnownToken::Unread,
        });
        active.seen_ms = now_ms;
        if recheck::is_due(active.checked_ms, now_ms, self.recheck_ms()) {
            self.wake.notify_one();
        }
    }

    /// Notes a sign-in. `is_checked` is true when the provider has just returned the profile, and false when the last
    /// known one was used.
    pub(super) fn signed_in(&self, user: &UserName, role: Role, token: Option<ProviderToken>, is_checked: bool) {
        let now_ms = self.clock.now().as_millisecond();
        if let Some(token) = token.as_ref().filter(|_| is_checked) {
            self.provider.signed_in(user, role, token);
        }
        let checked_ms = if is_checked { now_ms } else { 0 };
        self.active.insert(user.clone(), Active { role, seen_ms: now_ms, checked_ms, token: token.into() });
    }

    /// Returns the provider's token of a member, until it expires.
    pub(super) async fn token_of(&self, user: &UserName) -> Option<Arc<SecretString>> {
        let known = self.active.get(user).map_or(KnownToken::Unread, |active| active.token.clone());
        let token = match known {
            KnownToken::Some(token) => token,
            KnownToken::None => return None,
            KnownToken::Unread => self.load_token(user).await?,
        };
        if token.expires_at > self.clock.now() {
            return Some(token.secret);
        }
        self.forget_token(user).await;
        None
    }

    async fn load_token(&self, user: &UserName) -> Option<ProviderToken> {
        let member = match self.store.member(user).await {
            Ok(member) => member?,
            Err(error) => {
                log::debug!("the token of a member cannot be read: {error}");
                return None;
            }
        };
        let stored = member.token.and_then(|token| self.provider.read_token(token));
        let Some(mut active) = self.active.get_mut(user) else { return stored };
        // Only if there was no sign-in or sign-out while the store was read.
        if matches!(active.token, KnownToken::Unread) {
            active.token = stored.into();
        }
        match &active.token {
            KnownToken::Some(token) => Some(token.clone()),
            KnownToken::None | KnownToken::Unread => None,
        }
    }

    /// Discards the provider's token of a member.
    pub(super) async fn forget_token(&self, user: &UserName) {
        if let Some(mut active) = self.active.get_mut(user) {
            active.token = KnownToken::None;
        }
        if let Err(error) = self.store.forget_token(user).await {
            log::warn!("the token of a member stays in the store until the next sign-in: {error}");
        }
    }

    /// Returns the stored token of a member, unless it has expired.
    pub(super) fn stored_token(&self, member: &Member) -> Option<ProviderToken> {
        let token = member.token.clone().and_then(|token| self.provider.read_token(token))?;
        (token.expires_at > self.clock.now()).then_some(token)
    }

    /// Gives a member another role and ends the earlier sign-ins.
    pub(super) async fn change_role(&self, user: &UserName, role: Role) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.end_sign_ins(user, now, &format!("{} says another role now: {role}", self.provider.title()));
        self.counts.changed.fetch_add(1, Ordering::Relaxed);
        self.store.change_role(user, role, now).await
    }

    /// Removes a member and ends the sign-ins.
    pub(super) async fn remove(&self, user: &UserName, why: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.end_sign_ins(user, now, why);
        self.counts.gone.fetch_add(1, Ordering::Relaxed);
        self.store.remove_member(user, now).await
    }

    /// Removes the member whose user name an earlier provider has now, if there is one.
    pub(super) async fn displace(&self, user: &UserName) -> Result<(), StoreError> {
        let is_member = self.active.contains_key(user) || self.store.member(user).await?.is_some();
        if is_member { self.remove(user, "a local account has this name now").await } else { Ok(()) }
    }

    fn end_sign_ins(&self, user: &UserName, now: Timestamp, why: &str) {
        self.ended_ms.insert(user.clone(), now.as_millisecond());
        self.active.remove(user);
        self.provider.sign_ins_ended(user);
        self.bus.publish(Event::TokensEnded { user: user.clone() });
        self.audit.append(AuditEntry {
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
