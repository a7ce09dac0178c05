//! The identity service, which issues, verifies and ends the hub's tokens. Sign-in is in [`crate::identity::sign_in`],
//! management of local accounts in [`crate::identity::accounts`].

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use dashmap::DashMap;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::bus::{Bus, Event};
use crate::clock::Clock;
use crate::domain::ids::{InvalidId, TermId, UserName};
use crate::domain::instructor::{StatedNames, Teacher};
use crate::domain::role::Role;
use crate::store::StoreError;
use crate::store::accounts::{AccountStore, UserFilter, UserPage};
use crate::store::members::MemberStore;
use crate::store::provider_sign_ins::ProviderSignInStore;
use crate::store::shared::SharedStore;

use crate::identity::attempts::SignInLimits;
use crate::identity::device::Devices;
use crate::identity::external::ExternalProvider;
use crate::identity::limits::RequestLimits;
use crate::identity::local::LocalAccounts;
use crate::identity::members::{Members, MembersDeps};
use crate::identity::name_locks::NameLocks;
use crate::identity::names::OlderNames;
use crate::identity::password::Hasher;
use crate::identity::people::People;
use crate::identity::provider::SignInProvider;
use crate::identity::sealed_id_tokens::SealedIdTokens;
use crate::identity::sealed_tickets::SealedTickets;
use crate::identity::sealed_tokens::SealedTokens;
use crate::identity::second_factor::SecondFactors;
use crate::identity::sign_in_list::SignInList;
use crate::identity::ticket::Tickets;
use crate::identity::token::{TokenError, Tokens};
use crate::identity::{Audit, Caller, Source};

/// Maximum number of individually revoked tokens. Past this, a sign-out ends all tokens of its user.
const REVOKED_TOKENS_MAX: usize = 500_000;
/// Time between two removals of expired entries.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Settings of the identity service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Lifetime of a sign-in (`[auth] session_ttl_s`).
    pub session_ttl: Duration,
    /// Maximum number of failed sign-ins a minute of one account from one network or device; 0 means no limit
    /// (`[limits] login_per_minute`).
    pub login_per_minute: u32,
    /// Maximum number of requests a second of one user; 0 means no limit (`[limits] requests_per_second`).
    pub requests_per_second: u32,
    /// Number of threads that hash passwords.
    pub hash_threads: usize,
    /// Name of the college (`[college] name`), which is refused as a password.
    pub college: String,
    /// The former secret (`[auth] previous_secret`), whose tokens are still accepted.
    pub previous_secret: Option<SecretString>,
    /// The names of instructors in schedules (`[roles.names]`).
    pub stated_names: StatedNames,
    /// The providers of single sign-on. The sign-ins of others are not valid.
    pub external: Vec<ExternalProvider>,
}

impl Default for Settings {
    /// Returns twelve hours, ten failures a minute, 500 requests a second, and one hashing thread for every two cores.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            session_ttl: Duration::from_secs(12 * 3_600),
            login_per_minute: 10,
            requests_per_second: 500,
            hash_threads: (cores / 2).max(1),
            college: String::new(),
            previous_secret: None,
            stated_names: StatedNames::default(),
            external: Vec::new(),
        }
    }
}

/// Dependencies of the identity service.
#[derive(Clone)]
pub struct IdentityDeps {
    /// Local accounts, known users, and revoked tokens.
    pub accounts: Arc<dyn AccountStore>,
    /// Members of the providers.
    pub members: Arc<dyn MemberStore>,
    /// Users and sign-ins of single sign-on.
    pub provider_sign_ins: Arc<dyn ProviderSignInStore>,
    /// Audit trail, for what the hub does itself, such as ending the sign-ins of a removed member.
    pub audit: Audit,
    /// Bus on which ended tokens are published.
    pub bus: Arc<dyn Bus>,
    /// Clock for the lifetime of tokens and for rechecks.
    pub clock: Arc<dyn Clock>,
}

/// The end of a user's tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// Tokens that were issued up to this time have ended, in milliseconds since the epoch.
    pub(super) up_to_ms: i64,
    /// The one token that has not ended.
    pub(super) spared: Option<Uuid>,
}

/// The identity service. A hub has one.
pub struct Identity {
    pub(super) settings: Settings,
    pub(super) tokens: Tokens,
    pub(super) store: Arc<dyn AccountStore>,
    pub(super) provider_sign_ins: Arc<dyn ProviderSignInStore>,
    pub(super) audit: Audit,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hasher: Arc<Hasher>,
    /// Sign-in providers in their order, local accounts first.
    pub(super) providers: Vec<Arc<dyn SignInProvider>>,
    /// Members of each provider that has members.
    pub(super) members: Vec<Arc<Members>>,
    older_names: OlderNames,
    pub(super) people: People,
    pub(super) tickets: Tickets,
    pub(super) sealed_tickets: SealedTickets,
    requests: RequestLimits,
    pub(super) sign_ins: SignInLimits,
    pub(super) devices: Devices,
    /// Revoked tokens and the times at which they expire.
    pub(super) revoked: DashMap<Uuid, Timestamp>,
    /// For each user, the time up to which tokens have ended.
    pub(super) ended: DashMap<UserName, Ended>,
    pub(super) second_factors: SecondFactors,
    pub(super) sign_in_list: SignInList,
    /// The store, if other hubs use it, too.
    pub(super) shared: OnceLock<Arc<dyn SharedStore>>,
    /// Held shared while a sign-in completes and exclusively while a local account changes, so that no token issued for
    /// an old password outlives the change.
    pub(super) accounts_lock: RwLock<()>,
    /// Held while a sign-in claims its username. Taken after `accounts_lock`.
    pub(super) name_locks: NameLocks,
    /// Whether there are local accounts.
    pub(super) has_accounts: AtomicBool,
}

impl Identity {
    /// Loads the revoked tokens from the store and starts the service on the current runtime. Sign-ins use local
    /// accounts first, then `providers` in their order.
    ///
    /// # Errors
    /// When the store cannot be read or written, a key cannot be derived, or a hashing thread cannot be started.
    pub async fn start(
        settings: Settings,
        secret: &SecretString,
        deps: IdentityDeps,
        providers: Vec<Arc<dyn SignInProvider>>,
    ) -> Result<Arc<Self>, StoreError> {
        let hasher = Hasher::start(settings.hash_threads)
            .map_err(|error| StoreError::Unavailable(format!("a hashing thread could not be started: {error}")))?;
        let hasher = Arc::new(hasher);
        let local: Arc<dyn SignInProvider> = Arc::new(LocalAccounts::new(deps.accounts.clone(), hasher.clone()));
        let providers: Vec<_> = [local].into_iter().chain(providers).collect();
        let sealed = SealedTokens::start(deps.members.clone(), secret, settings.previous_secret.as_ref()).await?;
        let previous = settings.previous_secret.as_ref();
        let sealed_ids = SealedIdTokens::start(deps.provider_sign_ins.clone(), secret, previous).await?;
        let deps = IdentityDeps { members: sealed, provider_sign_ins: sealed_ids, ..deps };
        let mut members = Vec::new();
        for (at, provider) in providers.iter().enumerate() {
            if let Some(rules) = provider.member_rules() {
                let earlier = providers[..at].to_vec();
                let deps = MembersDeps { identity: deps.clone(), hasher: hasher.clone(), earlier };
                members.push(Members::start(provider.clone(), rules, deps).await?);
            }
        }
        let IdentityDeps { accounts: store, provider_sign_ins, audit, bus, clock, .. } = deps;
        let has_accounts = AtomicBool::new(!store.accounts().await?.is_empty());
        let revoked = store.revoked_tokens(clock.now()).await?.into_iter().collect();
        let ended = store.ended_tokens().await?.into_iter();
        let ended = ended.map(|end| (end.user, Ended { up_to_ms: end.up_to.as_millisecond(), spared: end.spared }));
        let sign_in_list = SignInList::start(store.clone(), clock.now()).await?;
        let previous = settings.previous_secret.as_ref();
        let second_factors = SecondFactors::new(store.clone(), secret, previous, &settings.college)?;
        second_factors.renew().await?;
        let older_names = older_names(&*store).await?;
        let identity = Arc::new(Self {
            older_names,
            tokens: Tokens::new(secret).accepting(settings.previous_secret.as_ref()),
            people: People::start(store.clone()),
            tickets: Tickets::default(),
            sealed_tickets: SealedTickets::new(secret, settings.previous_secret.as_ref())?,
            requests: RequestLimits::new(settings.requests_per_second),
            sign_ins: SignInLimits::new(settings.login_per_minute),
            ended: ended.collect(),
            second_factors,
            sign_in_list,
            shared: OnceLock::new(),
            devices: Devices::new(secret),
            accounts_lock: RwLock::new(()),
            name_locks: NameLocks::default(),
            settings,
            has_accounts,
            store,
            provider_sign_ins,
            audit,
            bus,
            clock,
            hasher,
            providers,
            members,
            revoked,
        });
        identity.end_outdated_sign_ins().await?;
        tokio::spawn(run_housekeeping(Arc::downgrade(&identity)));
        Ok(identity)
    }

    /// Returns the username that `typed` stands for: the normalized name, or that of a user whose name an earlier
    /// version stored without normalization.
    ///
    /// # Errors
    /// When it is not a username.
    pub fn resolve(&self, typed: &str) -> Result<UserName, InvalidId> {
        self.older_names.resolve(typed)
    }

    /// Returns the lifetime of a sign-in.
    #[must_use]
    pub fn session_ttl(&self) -> Duration {
        self.settings.session_ttl
    }

    /// Returns true if a user could sign in with a password: at Plone, or with a local account.
    #[must_use]
    pub fn has_passwords(&self) -> bool {
        self.providers.len() > 1 || self.has_accounts.load(Ordering::Relaxed)
    }

    /// Returns true if the users of Plone sign in with their password.
    #[must_use]
    pub fn has_members(&self) -> bool {
        !self.members.is_empty()
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
        // Simulated students of a demonstration are not users of the college.
        if !caller.realm.is_sandbox() {
            self.record_seen(&caller, now);
        }
        Ok(caller)
    }

    pub(super) fn record_seen(&self, caller: &Caller, now: Timestamp) {
        self.sign_in_list.record_seen(caller, now);
        self.people.record(caller, now);
        if let Some(members) = self.members_of(&caller.source) {
            members.record_seen(caller);
        }
    }

    /// Returns true if the token of a caller has neither expired nor ended.
    #[must_use]
    pub fn is_alive(&self, caller: &Caller) -> bool {
        self.check_alive(caller, self.clock.now()).is_ok()
    }

    pub(super) fn check_alive(&self, caller: &Caller, now: Timestamp) -> Result<(), TokenError> {
        if caller.expires_at <= now {
            return Err(TokenError::Expired);
        }
        let is_revoked = self.revoked.contains_key(&caller.token_id);
        let is_old = self
            .ended
            .get(&caller.user)
            .is_some_and(|ended| caller.issued_ms <= ended.up_to_ms && ended.spared != Some(caller.token_id));
        if is_revoked || is_old || self.has_provider_ended(caller) { Err(TokenError::SignedOut) } else { Ok(()) }
    }

    /// Returns true if the provider of a caller has ended the sign-in or is no longer configured.
    fn has_provider_ended(&self, caller: &Caller) -> bool {
        if caller.source == Source::Hub {
            return false;
        }
        if caller.source.is_external() {
            return !self.settings.external.iter().any(|provider| provider.source == caller.source);
        }
        let Some(members) = self.members_of(&caller.source) else { return true };
        members.ended_ms(&caller.user).is_some_and(|ended| caller.issued_ms <= ended)
    }

    /// Signs a token that is valid only in one sandbox; `None` if it cannot be signed, which valid input never causes.
    #[must_use]
    pub fn mint_for_sandbox(&self, sandbox: &TermId, user: &UserName, role: Role, ttl: Duration) -> Option<String> {
        self.tokens.mint_for_sandbox(sandbox, user, role, ttl, self.clock.now()).map(|minted| minted.token)
    }

    /// Revokes the caller's token, in this process immediately and durably when this returns. The provider's token of
    /// the user is discarded.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn logout(&self, caller: &Caller) -> Result<(), StoreError> {
        if let Some(members) = self.members_of(&caller.source) {
            members.discard_token(&caller.user).await;
        }
        self.revoke(caller).await
    }

    /// Revokes one token.
    pub(super) async fn revoke(&self, caller: &Caller) -> Result<(), StoreError> {
        if self.revoked.len() >= REVOKED_TOKENS_MAX {
            return self.revoke_all(&caller.user).await;
        }
        self.revoked.insert(caller.token_id, caller.expires_at);
        self.bus.publish(Event::SignedOut {
            user: caller.user.clone(),
            token: Some(caller.token_id),
            issued_until: None,
        });
        self.store.revoke_token(caller.token_id, caller.expires_at).await?;
        self.sign_in_list.remove(&caller.user, caller.token_id).await
    }

    /// Revokes all tokens of a user that were issued until now, in this process immediately and durably when this
    /// returns, and closes the user's live sessions. The provider's token of the user is discarded.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn sign_out_everywhere(&self, user: &UserName) -> Result<(), StoreError> {
        // A sign-in that has verified an old password must not complete while the tokens are revoked.
        let _exclusive = self.accounts_lock.write().await;
        for members in &self.members {
            members.discard_token(user).await;
        }
        self.revoke_all(user).await
    }

    async fn revoke_all(&self, user: &UserName) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.ended.insert(user.clone(), Ended { up_to_ms: now.as_millisecond(), spared: None });
        self.bus.publish(Event::SignedOut { user: user.clone(), token: None, issued_until: Some(now) });
        self.store.revoke_tokens(user, now).await
    }

    /// Returns the provider's own token for a caller who signed in through it, or a token of Plone for the user there
    /// whom single sign-on states; `None` if there is none, such as after the sign-out or the expiry of the token. The
    /// token must be sent only to the provider.
    pub async fn member_token(&self, caller: &Caller) -> Option<Arc<SecretString>> {
        if !self.is_alive(caller) {
            return None;
        }
        if caller.source.is_external() {
            return self.plone_token_of(caller).await;
        }
        self.members_of(&caller.source)?.token_of(&caller.user).await
    }

    /// Returns a page of all users: local accounts, and users who have used the hub.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn users(&self, filter: UserFilter) -> Result<UserPage, StoreError> {
        self.store.users(filter).await
    }

    /// Calls `f` with the names by which sections list a caller as an instructor.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn as_teacher<T>(&self, caller: &Caller, f: impl FnOnce(&Teacher<'_>) -> T) -> Result<T, StoreError> {
        let known = self.store.names_above_students().await?;
        // Members of Plone can change their full name there, even to that of a colleague.
        let name = Some(&*caller.name).filter(|_| caller.source != Source::Plone);
        Ok(f(&Teacher::new(&caller.user, name, &self.settings.stated_names, &known)))
    }

    /// Returns the number of accepted passwords that are queued for hashing.
    #[must_use]
    pub fn hashes_waiting(&self) -> usize {
        self.members.iter().map(|members| members.passwords.waiting()).sum()
    }

    /// Returns the number of entries of the tables in memory that the metrics show.
    #[must_use]
    pub fn table_sizes(&self) -> Vec<(&'static str, usize)> {
        let mut sizes = vec![
            ("tickets", self.tickets.count()),
            ("revoked_tokens", self.revoked.len()),
            ("recent_users", self.people.count()),
            ("sign_ins", self.sign_in_list.count()),
            ("visitor_addresses", self.requests.addresses()),
        ];
        sizes.extend(self.sign_ins.table_sizes());
        sizes
    }

    /// Returns the number of requests that exceeded the limit on responses that must be built.
    #[must_use]
    pub fn builds_refused(&self) -> u64 {
        self.requests.builds_refused()
    }

    /// Returns the number of sign-ins that were not attempted because of a limit, by reason.
    #[must_use]
    pub fn sign_ins_refused(&self) -> [(&'static str, u64); 2] {
        self.sign_ins.refused()
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

    /// Rechecks each active member who is due, once. Returns false if a provider does not respond. A background task
    /// also does this regularly.
    pub async fn recheck_due(&self) -> bool {
        let mut all_responded = true;
        for members in &self.members {
            all_responded &= members.recheck_due().await;
        }
        all_responded
    }

    async fn remove_expired(&self) {
        let now = self.clock.now();
        self.requests.remove_idle();
        self.sign_ins.remove_recovered(self.clock.monotonic_ms());
        self.people.remove_idle(now);
        self.sign_in_list.remove_expired(now).await;
        if !self.settings.external.is_empty()
            && let Err(error) = self.provider_sign_ins.delete_expired_sign_ins(now).await
        {
            log::debug!("expired sign-ins could not be deleted from the store: {error}");
        }
        let before = self.revoked.len();
        self.revoked.retain(|_, expires_at| *expires_at > now);
        if self.revoked.len() < before
            && let Err(error) = self.store.delete_expired_revocations(now).await
        {
            log::debug!("expired revocations could not be deleted from the store: {error}");
        }
    }
}

/// Loads the names that normalization would change.
async fn older_names(store: &dyn AccountStore) -> Result<OlderNames, StoreError> {
    let unusual = store.unusual_names().await?;
    let mut taken: HashSet<UserName> = unusual.iter().filter(|name| name.is_normalized()).cloned().collect();
    // Other normal forms are plain ASCII, such as that of a full-width name.
    for name in unusual.iter().filter(|name| !name.is_normalized()) {
        let Ok(normal) = UserName::parse(name.as_str()) else { continue };
        let filter = UserFilter { text: Some(normal.to_string()), after: None, limit: usize::MAX };
        let found = store.users(filter).await?.items;
        taken.extend(found.into_iter().map(|user| user.username).filter(|found| *found == normal));
    }
    Ok(OlderNames::of(unusual, |name| taken.contains(name)))
}

async fn run_housekeeping(identity: Weak<Identity>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        let Some(identity) = identity.upgrade() else { return };
        identity.remove_expired().await;
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
pub(super) mod tests;
