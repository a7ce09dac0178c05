//! The identity service: issues, verifies and ends the hub's tokens. Signing in is in [`crate::identity::sign_in`],
//! local accounts are managed in [`crate::identity::accounts`].

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::bus::{Bus, Event};
use crate::clock::Clock;
use crate::domain::ids::{TermId, UserName};
use crate::domain::role::Role;
use crate::store::StoreError;
use crate::store::accounts::{AccountStore, UserFilter, UserPage};
use crate::store::members::MemberStore;

use crate::identity::limits::{RequestLimits, SignInLimits};
use crate::identity::local::LocalAccounts;
use crate::identity::members::{Members, MembersDeps};
use crate::identity::password::Hasher;
use crate::identity::people::People;
use crate::identity::provider::SignInProvider;
use crate::identity::ticket::Tickets;
use crate::identity::token::{TokenError, Tokens};
use crate::identity::{Audit, Caller, Source};

/// Most tokens signed out one by one that are remembered; past this, signing out ends all tokens of the user.
const DEAD_TOKENS_MAX: usize = 500_000;
/// Time between two removals of expired entries.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Settings of the identity service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Lifetime of a sign-in (`[auth] session_ttl_s`).
    pub session_ttl: Duration,
    /// Failed sign-ins a minute of one account; 0 is no limit (`[limits] login_per_minute`).
    pub login_per_minute: u32,
    /// Requests a second of one user; 0 is no limit (`[limits] requests_per_second`).
    pub requests_per_second: u32,
    /// Number of threads that hash passwords.
    pub hash_threads: usize,
}

impl Default for Settings {
    /// Twelve hours, ten failures a minute, 500 requests a second, and one hashing thread for every two cores.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            session_ttl: Duration::from_secs(12 * 3_600),
            login_per_minute: 10,
            requests_per_second: 500,
            hash_threads: (cores / 2).max(1),
        }
    }
}

/// What the identity service depends on.
#[derive(Clone)]
pub struct IdentityDeps {
    /// Local accounts, users who were seen, and tokens that ended.
    pub accounts: Arc<dyn AccountStore>,
    /// Members of the providers.
    pub members: Arc<dyn MemberStore>,
    /// Audit trail, for sign-ins that a provider ends.
    pub audit: Audit,
    /// Bus on which the end of tokens is published.
    pub bus: Arc<dyn Bus>,
    /// Clock used for the lifetime of tokens and for rechecks.
    pub clock: Arc<dyn Clock>,
}

/// The identity service. One for the whole hub.
pub struct Identity {
    pub(super) settings: Settings,
    pub(super) tokens: Tokens,
    pub(super) store: Arc<dyn AccountStore>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hasher: Arc<Hasher>,
    /// Sign-in providers in the order in which they are asked, local accounts first.
    pub(super) providers: Vec<Arc<dyn SignInProvider>>,
    /// Users of those providers whose users are followed after their sign-in.
    pub(super) members: Vec<Arc<Members>>,
    people: People,
    tickets: Tickets,
    requests: RequestLimits,
    pub(super) sign_ins: SignInLimits,
    /// Tokens that were signed out, with the time at which they expire.
    dead: DashMap<Uuid, Timestamp>,
    /// Tokens of a user that were issued up to this time are dead, in milliseconds since the epoch.
    pub(super) valid_from_ms: DashMap<UserName, i64>,
    /// Held shared while a sign-in completes and exclusively while a local account changes, so that no token made with
    /// an old password outlives the change.
    pub(super) accounts_lock: RwLock<()>,
}

impl Identity {
    /// Starts the service on the current runtime, with the ended tokens that the store remembers. Local accounts are
    /// asked first, then `providers` in their order.
    ///
    /// # Errors
    /// When the store cannot be read or a hashing thread cannot be started.
    pub async fn start(
        settings: Settings,
        secret: &SecretString,
        deps: IdentityDeps,
        providers: Vec<Arc<dyn SignInProvider>>,
    ) -> Result<Arc<Self>, StoreError> {
        let hasher = Hasher::start(settings.hash_threads)
            .map_err(|error| StoreError::Unavailable(format!("no thread for passwords: {error}")))?;
        let hasher = Arc::new(hasher);
        let local: Arc<dyn SignInProvider> = Arc::new(LocalAccounts::new(deps.accounts.clone(), hasher.clone()));
        let providers: Vec<_> = [local].into_iter().chain(providers).collect();
        let mut members = Vec::new();
        for (at, provider) in providers.iter().enumerate() {
            if let Some(rules) = provider.member_rules() {
                let earlier = providers[..at].to_vec();
                let deps = MembersDeps { identity: deps.clone(), hasher: hasher.clone(), earlier };
                members.push(Members::start(provider.clone(), rules, deps).await?);
            }
        }
        let IdentityDeps { accounts: store, bus, clock, .. } = deps;
        let dead = store.dead_tokens(clock.now()).await?.into_iter().collect();
        let valid_from = store.tokens_valid_from().await?;
        let identity = Arc::new(Self {
            tokens: Tokens::new(secret),
            people: People::start(store.clone()),
            tickets: Tickets::default(),
            requests: RequestLimits::new(settings.requests_per_second),
            sign_ins: SignInLimits::new(settings.login_per_minute),
            valid_from_ms: valid_from.into_iter().map(|(user, at)| (user, at.as_millisecond())).collect(),
            accounts_lock: RwLock::new(()),
            settings,
            store,
            bus,
            clock,
            hasher,
            providers,
            members,
            dead,
        });
        tokio::spawn(keep_house(Arc::downgrade(&identity)));
        Ok(identity)
    }

    /// Returns the lifetime of a sign-in.
    #[must_use]
    pub fn session_ttl(&self) -> Duration {
        self.settings.session_ttl
    }

    /// Returns the limits on requests, which the HTTP middleware counts.
    #[must_use]
    pub fn request_limits(&self) -> &RequestLimits {
        &self.requests
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// When it is not a token of this hub, has expired or was ended.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        let now = self.clock.now();
        let caller = self.tokens.verify(token, now)?;
        self.check_alive(&caller, now)?;
        // The students of a demonstration are no users of the college.
        if !caller.realm.is_sandbox() {
            self.note_seen(&caller, now);
        }
        Ok(caller)
    }

    pub(super) fn note_seen(&self, caller: &Caller, now: Timestamp) {
        self.people.note(caller, now);
        if let Some(members) = self.members_of(caller.source) {
            members.note_seen(caller, now);
        }
    }

    /// Returns true while the token of a caller is neither expired nor ended.
    #[must_use]
    pub fn is_alive(&self, caller: &Caller) -> bool {
        self.check_alive(caller, self.clock.now()).is_ok()
    }

    fn check_alive(&self, caller: &Caller, now: Timestamp) -> Result<(), TokenError> {
        if caller.expires_at <= now {
            return Err(TokenError::Expired);
        }
        let is_dead = self.dead.contains_key(&caller.token_id);
        let is_old = self.valid_from_ms.get(&caller.user).is_some_and(|from| caller.issued_ms <= *from);
        if is_dead || is_old || self.has_provider_ended(caller) { Err(TokenError::SignedOut) } else { Ok(()) }
    }

    /// Returns true when the provider of a caller has ended the sign-in, or is not configured any more.
    fn has_provider_ended(&self, caller: &Caller) -> bool {
        if caller.source == Source::Hub {
            return false;
        }
        let Some(members) = self.members_of(caller.source) else { return true };
        members.ended_ms(&caller.user).is_some_and(|ended| caller.issued_ms <= ended)
    }

    /// Signs a token that is valid in one sandbox only; none when it cannot be signed, which valid input never causes.
    #[must_use]
    pub fn mint_for_sandbox(&self, sandbox: &TermId, user: &UserName, role: Role, ttl: Duration) -> Option<String> {
        self.tokens.mint_for_sandbox(sandbox, user, role, ttl, self.clock.now()).map(|minted| minted.token)
    }

    /// Ends a token: in this process at once, durably once this returns. The provider's token of the user is discarded.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn logout(&self, caller: &Caller) -> Result<(), StoreError> {
        if let Some(members) = self.members_of(caller.source) {
            members.forget_token(&caller.user).await;
        }
        if self.dead.len() >= DEAD_TOKENS_MAX {
            let now = self.clock.now();
            self.valid_from_ms.insert(caller.user.clone(), now.as_millisecond());
            self.bus.publish(Event::SignedOut { user: caller.user.clone(), token: None });
            return self.store.end_tokens(&caller.user, now).await;
        }
        self.dead.insert(caller.token_id, caller.expires_at);
        self.bus.publish(Event::SignedOut { user: caller.user.clone(), token: Some(caller.token_id) });
        self.store.bury_token(caller.token_id, caller.expires_at).await
    }

    /// Returns the provider's own token of a caller who signed in by it, until the sign-out or its expiry. It must
    /// never leave the server.
    pub async fn member_token(&self, caller: &Caller) -> Option<Arc<SecretString>> {
        let members = self.members_of(caller.source).filter(|_| self.is_alive(caller))?;
        members.token_of(&caller.user).await
    }

    /// Returns a page of all users: local accounts and everyone who was seen.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn users(&self, filter: UserFilter) -> Result<UserPage, StoreError> {
        self.store.users(filter).await
    }

    /// Issues a ticket for a WebSocket of this caller; none when too many tickets are unused.
    #[must_use]
    pub fn issue_ticket(&self, caller: &Caller) -> Option<String> {
        self.tickets.issue(caller.clone(), Instant::now())
    }

    /// Redeems a ticket, once. Returns its caller while that caller's token is alive.
    #[must_use]
    pub fn redeem_ticket(&self, ticket: &str) -> Option<Caller> {
        let caller = self.tickets.redeem(ticket, Instant::now()).filter(|caller| self.is_alive(caller))?;
        self.note_seen(&caller, self.clock.now());
        Some(caller)
    }

    /// Returns the number of accepted passwords that wait to be hashed.
    #[must_use]
    pub fn hashes_waiting(&self) -> usize {
        self.members.iter().map(|members| members.passwords.waiting()).sum()
    }

    /// Returns the number of rechecks of members, by outcome.
    #[must_use]
    pub fn rechecks(&self) -> [(&'static str, u64); 4] {
        let mut sums = [("same", 0), ("changed", 0), ("gone", 0), ("unanswered", 0)];
        for members in &self.members {
            for (sum, count) in sums.iter_mut().zip(members.counts.read()) {
                sum.1 += count;
            }
        }
        sums
    }

    /// Rechecks every active member who is due, each once. Returns false when a provider does not answer. A background
    /// task does this regularly.
    pub async fn recheck_due(&self) -> bool {
        let mut all_answered = true;
        for members in &self.members {
            all_answered &= members.recheck_due().await;
        }
        all_answered
    }

    async fn remove_expired(&self) {
        let now = self.clock.now();
        self.requests.forget_idle();
        self.sign_ins.forget_recovered(now.as_millisecond());
        self.people.forget_idle(now);
        let before = self.dead.len();
        self.dead.retain(|_, expires_at| *expires_at > now);
        if self.dead.len() < before
            && let Err(error) = self.store.forget_expired(now).await
        {
            log::debug!("expired tokens stay in the store for now: {error}");
        }
    }
}

async fn keep_house(identity: Weak<Identity>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        let Some(identity) = identity.upgrade() else { return };
        identity.remove_expired().await;
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
