//! The service that knows who is who: it signs people in and out, and reads every token that comes.

use std::net::IpAddr;
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
use crate::plone::port::PloneError;
use crate::store::StoreError;
use crate::store::accounts::{Account, AccountStore, UserFilter, UserPage};

use crate::identity::limits::{AddressKey, RequestLimits, SignInLimits};
use crate::identity::members::Members;
use crate::identity::password::{HashError, Hasher};
use crate::identity::people::People;
use crate::identity::ticket::Tickets;
use crate::identity::token::{TokenError, Tokens};
use crate::identity::{Caller, PloneSignIn, Source};

/// Tokens that were signed out one by one and are remembered each; past this, signing out ends all of the user's.
const DEAD_TOKENS_MAX: usize = 500_000;
/// How often a sign-in looks whether others of the same account, at the same moment, have ended; and how many times:
/// ten seconds in all.
const SAME_ACCOUNT_PAUSE: Duration = Duration::from_millis(25);
const SAME_ACCOUNT_PAUSES_MAX: u32 = 400;
/// How often what has ended is forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What identity is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a sign-in lasts (`[auth] session_ttl_s`).
    pub session_ttl: Duration,
    /// Failed sign-ins a minute of one account, 0 is no limit (`[limits] login_per_minute`).
    pub login_per_minute: u32,
    /// Requests a second of one user, 0 is no limit (`[limits] requests_per_second`).
    pub requests_per_second: u32,
    /// Threads that hash passwords.
    pub hash_threads: usize,
}

impl Default for Settings {
    /// Twelve hours, ten failures a minute, a hundred requests a second, and one hashing thread for each two cores.
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

/// Why somebody could not sign in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The name or the password is wrong; which one is not told.
    #[error("wrong user name or password")]
    BadCredentials,
    /// Too many failures, of this account or from this address.
    #[error("too many failed sign-ins")]
    RateLimited {
        /// When another attempt will be looked at.
        retry_after_s: u32,
    },
    /// Too many are signing in.
    #[error("too many people are signing in")]
    Overloaded,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password is right, and nobody can be signed in: why, in words for whoever tries.
    #[error("signed in to Plone, not here: {0}")]
    NotHere(&'static str),
    /// Plone has locked the account; in its own words.
    #[error("Plone has locked the account: {0}")]
    Locked(String),
    /// Plone does not say whether the password is right, and no other way is known.
    #[error(transparent)]
    Plone(PloneError),
    /// A token could not be made.
    #[error("no token could be made")]
    Failed,
}

/// By what somebody was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedInBy {
    /// A local account.
    LocalAccount,
    /// Plone.
    Plone,
    /// Plone did not answer; the password is the one that it accepted last.
    KnownPassword,
}

/// Somebody has signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The hub's token.
    pub token: String,
    /// Who it makes whoever holds it.
    pub caller: Caller,
    /// By what.
    pub by: SignedInBy,
}

impl From<HashError> for LoginError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Overloaded => Self::Overloaded,
            HashError::Failed => Self::Failed,
        }
    }
}

/// What an admin asks of a local account.
#[derive(Debug)]
pub struct AccountChange {
    /// Whose.
    pub username: UserName,
    /// What the account may do.
    pub role: Role,
    /// The name that people read; without it, the present one, or the user name for a new account.
    pub name: Option<String>,
    /// A new password; a new account needs one.
    pub password: Option<SecretString>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountOutcome {
    /// The account is new.
    Created(Account),
    /// The account was there.
    Changed(Account),
    /// A new account needs a password.
    PasswordNeeded,
}

/// A sign-in under way; it ends when this is dropped, be it because the client went away.
struct Attempt<'a> {
    limits: &'a SignInLimits,
    account: &'a str,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.limits.end(self.account);
    }
}

/// Who is who. One for the whole hub.
pub struct Identity {
    settings: Settings,
    tokens: Tokens,
    pub(super) store: Arc<dyn AccountStore>,
    bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hasher: Arc<Hasher>,
    /// Those who come by Plone, when there is one.
    pub(super) members: Option<Arc<Members>>,
    people: People,
    tickets: Tickets,
    requests: RequestLimits,
    sign_ins: SignInLimits,
    /// Tokens that were signed out, until they would have expired.
    dead: DashMap<Uuid, Timestamp>,
    /// Tokens of this user that were made up to this time are dead.
    pub(super) valid_from_ms: DashMap<UserName, i64>,
    /// A sign-in finishes, and an account changes, one after the other: so no token made with the old password
    /// outlives the change.
    pub(super) accounts: RwLock<()>,
}

impl Identity {
    /// Starts the service on the current runtime, with what the store remembers of tokens that ended. With `plone`, whoever
    /// has no local account is signed in by Plone.
    pub async fn start(
        settings: Settings,
        secret: &SecretString,
        store: Arc<dyn AccountStore>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        plone: Option<PloneSignIn>,
    ) -> Result<Arc<Self>, StoreError> {
        let hasher = Hasher::start(settings.hash_threads)
            .map_err(|error| StoreError::Unavailable(format!("no thread for passwords: {error}")))?;
        let hasher = Arc::new(hasher);
        let members = match plone {
            Some(plone) => {
                Some(Members::start(plone, store.clone(), bus.clone(), clock.clone(), hasher.clone()).await?)
            }
            None => None,
        };
        let dead = store.dead_tokens(clock.now()).await?.into_iter().collect();
        let valid_from = store.tokens_valid_from().await?;
        let identity = Arc::new(Self {
            tokens: Tokens::new(secret),
            people: People::start(store.clone()),
            tickets: Tickets::default(),
            requests: RequestLimits::new(settings.requests_per_second),
            sign_ins: SignInLimits::new(settings.login_per_minute),
            valid_from_ms: valid_from.into_iter().map(|(user, at)| (user, at.as_millisecond())).collect(),
            accounts: RwLock::new(()),
            settings,
            store,
            bus,
            clock,
            hasher,
            members,
            dead,
        });
        tokio::spawn(keep_house(Arc::downgrade(&identity)));
        Ok(identity)
    }

    /// How long a sign-in lasts.
    #[must_use]
    pub fn session_ttl(&self) -> Duration {
        self.settings.session_ttl
    }
    /// Requests a second, to be counted by whoever lets requests in.
    #[must_use]
    pub fn request_limits(&self) -> &RequestLimits {
        &self.requests
    }

    /// Reads a token: who came with it, as long as it has neither expired nor been signed out.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        let now = self.clock.now();
        let caller = self.tokens.verify(token, now)?;
        self.check_alive(&caller, now)?;
        // Whoever is made up for a demonstration was not seen.
        if !caller.realm.is_sandbox() {
            self.notice(&caller, now);
        }
        Ok(caller)
    }

    fn notice(&self, caller: &Caller, now: Timestamp) {
        self.people.notice(caller, now);
        if let Some(members) = self.members.as_ref().filter(|_| caller.source == Source::Plone) {
            members.notice(caller, now);
        }
    }

    /// Whether a caller from before is still one: neither expired nor signed out.
    #[must_use]
    pub fn is_alive(&self, caller: &Caller) -> bool {
        self.check_alive(caller, self.clock.now()).is_ok()
    }

    fn check_alive(&self, caller: &Caller, now: Timestamp) -> Result<(), TokenError> {
        if caller.expires_at <= now {
            return Err(TokenError::Expired);
        }
        let ended = self.dead.contains_key(&caller.token_id);
        let old = self.valid_from_ms.get(&caller.user).is_some_and(|from| caller.issued_ms <= *from);
        let ended = ended || caller.source == Source::Plone && self.has_ended_in_plone(caller);
        if ended || old { Err(TokenError::SignedOut) } else { Ok(()) }
    }

    /// Nobody vouches for those who came by a Plone that the hub does not have any more.
    fn has_ended_in_plone(&self, caller: &Caller) -> bool {
        let Some(members) = &self.members else { return true };
        members.ended_ms(&caller.user).is_some_and(|ended| caller.issued_ms <= ended)
    }

    /// A token that is good in this sandbox and nowhere else.
    #[must_use]
    pub fn mint_for_sandbox(&self, sandbox: &TermId, user: &UserName, role: Role, ttl: Duration) -> Option<String> {
        self.tokens.mint_for_sandbox(sandbox, user, role, ttl, self.clock.now()).map(|minted| minted.token)
    }

    /// Signs in with a local account; without one of this name, by Plone.
    pub async fn login(&self, username: &str, password: SecretString, from: IpAddr) -> Result<SignedIn, LoginError> {
        let address = AddressKey::from(from);
        // Plone may take a name in several spellings: they are one account's, when it comes to guessing.
        let account = &username.to_lowercase();
        let now_ms = || self.clock.now().as_millisecond();
        let limited = |retry_after_s| LoginError::RateLimited { retry_after_s };
        let mut pauses_left = SAME_ACCOUNT_PAUSES_MAX;
        while let Err(retry_after_s) = self.sign_ins.begin(account, address, now_ms()) {
            // Attempts at the same moment count each other, but those that succeed give back what they took: nobody is
            // told "too many failures" before there were any.
            if pauses_left == 0 || !self.sign_ins.is_under_way(account) {
                return Err(limited(retry_after_s));
            }
            pauses_left -= 1;
            tokio::time::sleep(SAME_ACCOUNT_PAUSE).await;
        }
        let _attempt = Attempt { limits: &self.sign_ins, account };
        let outcome = self.check_password(username, password).await;
        match &outcome {
            Err(LoginError::BadCredentials | LoginError::Locked(_)) => self.sign_ins.failed(address, now_ms()),
            _ => self.sign_ins.give_back(account),
        }
        outcome
    }

    async fn check_password(&self, username: &str, password: SecretString) -> Result<SignedIn, LoginError> {
        let account = match UserName::parse(username) {
            Ok(username) => match (self.store.account(&username).await?, &self.members) {
                (None, Some(members)) => return self.login_by_plone(members, username, password).await,
                (account, _) => account,
            },
            Err(_) => None,
        };
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let good = self.hasher.verify(password, hash).await?;
        let Some(account) = account.filter(|_| good) else { return Err(LoginError::BadCredentials) };

        let _no_change_meanwhile = self.accounts.read().await;
        if self.store.account(&account.username).await?.as_ref() != Some(&account) {
            // It was changed while the password was looked at: the new one decides, on the next attempt.
            return Err(LoginError::BadCredentials);
        }
        let ended_ms = self.valid_from_ms.get(&account.username).map(|from| *from);
        self.mint(Source::Hub, &account.username, &account.name, account.role, ended_ms, SignedInBy::LocalAccount)
    }

    /// A token that is later than the end of all earlier ones, even within the same millisecond.
    pub(super) fn mint(
        &self,
        source: Source,
        user: &UserName,
        name: &str,
        role: Role,
        ended_ms: Option<i64>,
        by: SignedInBy,
    ) -> Result<SignedIn, LoginError> {
        let now = self.clock.now();
        let not_before = ended_ms.map_or(i64::MIN, |ended| ended.saturating_add(1));
        let issued = Timestamp::from_millisecond(now.as_millisecond().max(not_before)).unwrap_or(now);
        let minted = self.tokens.mint_by(source, user, Some(name), role, self.settings.session_ttl, issued);
        let minted = minted.ok_or(LoginError::Failed)?;
        self.notice(&minted.caller, now);
        Ok(SignedIn { token: minted.token, caller: minted.caller, by })
    }

    /// Ends a token: at once in this process, and for good once this returns. A member's token of Plone is forgotten.
    pub async fn logout(&self, caller: &Caller) -> Result<(), StoreError> {
        self.forget_member_token(caller).await;
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

    /// Everyone with an account and everyone who was seen.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn users(&self, filter: UserFilter) -> Result<UserPage, StoreError> {
        self.store.users(filter).await
    }

    /// Makes or changes a local account. A new password or another role ends the user's tokens.
    pub async fn put_account(&self, change: AccountChange) -> Result<AccountOutcome, LoginError> {
        let hash = match change.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let _alone = self.accounts.write().await;
        let present = self.store.account(&change.username).await?;
        let Some(password_hash) = hash.clone().or_else(|| present.as_ref().map(|a| a.password_hash.clone())) else {
            return Ok(AccountOutcome::PasswordNeeded);
        };
        let name = change.name.or_else(|| present.as_ref().map(|a| a.name.clone()));
        let name = name.unwrap_or_else(|| change.username.as_str().to_owned());
        let account = Account { username: change.username, name, role: change.role, password_hash };
        let ends_tokens = present.as_ref().is_some_and(|old| hash.is_some() || old.role != account.role);
        let now = self.clock.now();
        self.store.put_account(account.clone(), ends_tokens.then_some(now)).await?;
        if ends_tokens {
            self.end_all(&account.username, now);
        }
        if let Some(members) = self.members.as_ref().filter(|_| present.is_none()) {
            members.give_way(&account.username).await?;
        }
        Ok(if present.is_some() { AccountOutcome::Changed(account) } else { AccountOutcome::Created(account) })
    }

    /// Removes a local account and ends its tokens; false when there is none.
    pub async fn remove_account(&self, username: &UserName) -> Result<bool, StoreError> {
        let _alone = self.accounts.write().await;
        let now = self.clock.now();
        let removed = self.store.remove_account(username, now).await?;
        if removed {
            self.end_all(username, now);
        }
        Ok(removed)
    }

    fn end_all(&self, user: &UserName, up_to: Timestamp) {
        self.valid_from_ms.insert(user.clone(), up_to.as_millisecond());
        self.bus.publish(Event::TokensEnded { user: user.clone() });
    }

    /// A ticket for a WebSocket of this caller; none when too many are about.
    #[must_use]
    pub fn issue_ticket(&self, caller: &Caller) -> Option<String> {
        self.tickets.issue(caller.clone(), Instant::now())
    }
    /// Whose ticket it is, once, if that caller is still one.
    #[must_use]
    pub fn redeem_ticket(&self, ticket: &str) -> Option<Caller> {
        let caller = self.tickets.redeem(ticket, Instant::now()).filter(|caller| self.is_alive(caller))?;
        self.notice(&caller, self.clock.now());
        Some(caller)
    }

    async fn forget_what_ended(&self) {
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
        identity.forget_what_ended().await;
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
