//! Members: users who signed in through a provider other than local accounts. For each provider, [`Members`] holds the
//! active members, their tokens from the provider, and the times up to which sign-ins have ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Mutex, Notify};

use crate::bus::{Bus, Event};
use crate::clock::Clock;
use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;
use crate::store::members::{Member, MemberStore};

use crate::identity::password::Hasher;
use crate::identity::password_queue::PasswordQueue;
use crate::identity::provider::{MemberRules, Profile, ProviderError, ProviderToken, SignInProvider};
use crate::identity::service::IdentityDeps;
use crate::identity::{Audit, Caller, recheck};

/// The resolution of `seen_ms` is the time between two rechecks, divided by this number.
const SEEN_FRACTION: i64 = 8;

/// An active member.
#[derive(Debug)]
pub(super) struct ActiveMember {
    /// Rights of the member's valid sign-ins.
    pub(super) rights: Rights,
    /// When the member last sent a request, in milliseconds of the monotonic clock; see [`SEEN_FRACTION`].
    pub(super) seen_ms: i64,
    /// When the provider last returned the member's profile, in milliseconds of the monotonic clock; 0 if it has not
    /// since the member became active, or since a sign-in with the stored profile.
    pub(super) checked_ms: i64,
    token: CachedToken,
}

/// The provider's token of a member.
#[derive(Debug, Clone)]
enum CachedToken {
    /// The token has not been read from the store yet.
    NotLoaded,
    /// The member has no token.
    None,
    Some(ProviderToken),
}

impl From<Option<ProviderToken>> for CachedToken {
    fn from(token: Option<ProviderToken>) -> Self {
        token.map_or(Self::None, Self::Some)
    }
}

/// The number of rechecks by outcome.
#[derive(Debug, Default)]
pub(super) struct RecheckCounts {
    /// The member was unchanged.
    pub(super) same: AtomicU64,
    /// The rights had changed.
    pub(super) changed: AtomicU64,
    /// The member was removed.
    pub(super) gone: AtomicU64,
    /// The provider did not respond.
    pub(super) unanswered: AtomicU64,
}

impl RecheckCounts {
    pub(super) fn read(&self) -> [u64; 4] {
        [&self.same, &self.changed, &self.gone, &self.unanswered].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Dependencies of [`Members`].
pub(super) struct MembersDeps {
    pub(super) identity: IdentityDeps,
    pub(super) hasher: Arc<Hasher>,
    /// Providers that precede this one. Their usernames are not available to members.
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
    pub(super) active: DashMap<UserName, ActiveMember>,
    /// Notified when a member who is due for a recheck becomes active.
    pub(super) wake: Arc<Notify>,
    /// Held during a round of rechecks, so that no member is checked twice at the same time.
    pub(super) rechecking: Mutex<()>,
    pub(super) counts: RecheckCounts,
    earlier: Vec<Arc<dyn SignInProvider>>,
    audit: Audit,
    /// Time up to which the sign-ins of a user have ended, in milliseconds since the epoch.
    ended_ms: DashMap<UserName, i64>,
}

impl Members {
    /// Loads the ended sign-ins from the store, and starts hashing and rechecking on the current runtime.
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

    /// Returns the time up to which the sign-ins of a user have ended, in milliseconds since the epoch.
    pub(super) fn ended_ms(&self, user: &UserName) -> Option<i64> {
        self.ended_ms.get(user).map(|ended| *ended)
    }

    /// Returns the time between two rechecks of a member, in milliseconds.
    pub(super) fn recheck_ms(&self) -> i64 {
        i64::try_from(self.rules.recheck.as_millis()).unwrap_or(i64::MAX / 4)
    }

    /// Returns true if the stored password hash and role of a member may be used during an outage.
    pub(super) fn is_fresh(&self, member: &Member) -> bool {
        let days = i64::from(self.rules.offline_login_days);
        days > 0 && self.clock.now().as_second() - member.signed_in_at.as_second() <= days * 86_400
    }

    /// Returns true if an earlier provider has a user with this name.
    pub(super) async fn is_taken(&self, user: &UserName) -> Result<bool, ProviderError> {
        for provider in &self.earlier {
            if provider.profile(user).await? != Profile::Unknown {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Records a member's request. If the member is due, a recheck starts soon.
    pub(super) fn record_seen(&self, caller: &Caller) {
        let now_ms = self.clock.monotonic_ms();
        let resolution_ms = self.recheck_ms() / SEEN_FRACTION;
        if self.active.get(&caller.user).is_some_and(|active| now_ms - active.seen_ms <= resolution_ms) {
            return;
        }
        let mut active = self.active.entry(caller.user.clone()).or_insert(ActiveMember {
            rights: Rights::new(caller.role, caller.subjects.clone()),
            seen_ms: now_ms,
            checked_ms: 0,
            token: CachedToken::NotLoaded,
        });
        active.seen_ms = now_ms;
        if recheck::is_due(active.checked_ms, now_ms, self.recheck_ms()) {
            self.wake.notify_one();
        }
    }

    /// Records a sign-in. `is_checked` is true if the provider has just returned the profile, and false if the stored
    /// one was used.
    pub(super) fn record_sign_in(
        &self,
        user: &UserName,
        rights: Rights,
        token: Option<ProviderToken>,
        is_checked: bool,
    ) {
        let now_ms = self.clock.monotonic_ms();
        if let Some(token) = token.as_ref().filter(|_| is_checked) {
            self.provider.signed_in(user, rights.role(), token);
        }
        let checked_ms = if is_checked { now_ms } else { 0 };
        self.active.insert(user.clone(), ActiveMember { rights, seen_ms: now_ms, checked_ms, token: token.into() });
    }

    /// Returns the provider's token of a member, until it expires.
    pub(super) async fn token_of(&self, user: &UserName) -> Option<Arc<SecretString>> {
        let known = self.active.get(user).map_or(CachedToken::NotLoaded, |active| active.token.clone());
        let token = match known {
            CachedToken::Some(token) => token,
            CachedToken::None => return None,
            CachedToken::NotLoaded => self.load_token(user).await?,
        };
        if token.expires_at > self.clock.now() {
            return Some(token.secret);
        }
        self.discard_token(user).await;
        None
    }

    async fn load_token(&self, user: &UserName) -> Option<ProviderToken> {
        let member = match self.store.member(user).await {
            Ok(member) => member?,
            Err(error) => {
                log::debug!("the token of a member could not be read: {error}");
                return None;
            }
        };
        let stored = member.token.and_then(|token| self.provider.read_token(token));
        let Some(mut active) = self.active.get_mut(user) else { return stored };
        // A sign-in or sign-out while the store was read has set the token; it must not be overwritten.
        if matches!(active.token, CachedToken::NotLoaded) {
            active.token = stored.into();
        }
        match &active.token {
            CachedToken::Some(token) => Some(token.clone()),
            CachedToken::None | CachedToken::NotLoaded => None,
        }
    }

    /// Discards the provider's token of a member.
    pub(super) async fn discard_token(&self, user: &UserName) {
        if let Some(mut active) = self.active.get_mut(user) {
            active.token = CachedToken::None;
        }
        if let Err(error) = self.store.remove_token(user).await {
            log::warn!("the token of a member could not be deleted and stays until the next sign-in: {error}");
        }
    }

    /// Returns the stored token of a member, unless it has expired.
    pub(super) fn stored_token(&self, member: &Member) -> Option<ProviderToken> {
        let token = member.token.clone().and_then(|token| self.provider.read_token(token))?;
        (token.expires_at > self.clock.now()).then_some(token)
    }

    /// Changes the rights of a member and ends the earlier sign-ins.
    pub(super) async fn change_rights(&self, user: &UserName, rights: Rights) -> Result<(), StoreError> {
        let now = self.clock.now();
        let provider = self.provider.title().to_owned();
        let rights_part = Box::new(AuditDetail::of_rights(&rights));
        self.end_sign_ins(user, now, &AuditDetail::RoleChanged { provider, rights: rights_part });
        self.counts.changed.fetch_add(1, Ordering::Relaxed);
        self.store.change_rights(user, rights, now).await
    }

    /// Removes a member and ends the sign-ins.
    pub(super) async fn remove(&self, user: &UserName, why: &AuditDetail) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.end_sign_ins(user, now, why);
        self.counts.gone.fetch_add(1, Ordering::Relaxed);
        self.store.remove_member(user, now).await
    }

    /// Removes the member with this username, if there is one. The audit trail then states that a local account has
    /// the name.
    pub(super) async fn remove_if_member(&self, user: &UserName) -> Result<(), StoreError> {
        let is_member = self.active.contains_key(user) || self.store.member(user).await?.is_some();
        if is_member { self.remove(user, &AuditDetail::NameIsLocal).await } else { Ok(()) }
    }

    /// Ends the sign-ins of a user that another hub has ended. That hub has written the entry of the audit trail.
    pub(super) fn follow_end(&self, user: &UserName, up_to: Timestamp) {
        let up_to_ms = up_to.as_millisecond();
        if self.ended_ms(user).is_some_and(|known| known >= up_to_ms) {
            return;
        }
        self.ended_ms.insert(user.clone(), up_to_ms);
        self.active.remove(user);
        self.provider.sign_ins_ended(user);
        self.bus.publish(Event::TokensEnded { user: user.clone() });
    }

    fn end_sign_ins(&self, user: &UserName, now: Timestamp, why: &AuditDetail) {
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
            detail: why.clone().into(),
            request_id: None,
        });
    }
}
