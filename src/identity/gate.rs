//! The service that knows who is who: it signs people in and out, and reads every token that comes.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::ports::StoreError;
use crate::ports::accounts::{Account, AccountStore};
use crate::ports::bus::{Bus, Event};
use crate::ports::clock::Clock;

use super::Caller;
use super::limits::{AddressKey, RequestLimits, SignInLimits};
use super::password::{HashError, Hasher};
use super::people::People;
use super::ticket::Tickets;
use super::token::{Minted, TokenError, Tokens};

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
            requests_per_second: 100,
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
    /// A token could not be made.
    #[error("no token could be made")]
    Failed,
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
    username: &'a str,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.limits.end(self.username);
    }
}

/// Who is who. One for the whole hub.
pub struct Identity {
    settings: Settings,
    tokens: Tokens,
    store: Arc<dyn AccountStore>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    hasher: Hasher,
    people: People,
    tickets: Tickets,
    requests: RequestLimits,
    sign_ins: SignInLimits,
    /// Tokens that were signed out, until they would have expired.
    dead: DashMap<Uuid, Timestamp>,
    /// Tokens of this user that were made up to this time are dead.
    valid_from_ms: DashMap<UserName, i64>,
    /// A sign-in finishes, and an account changes, one after the other: so no token made with the old password
    /// outlives the change.
    accounts: RwLock<()>,
}

impl Identity {
    /// Starts the service on the current runtime, with what the store remembers of tokens that ended.
    pub async fn start(
        settings: Settings,
        secret: &SecretString,
        store: Arc<dyn AccountStore>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let hasher = Hasher::start(settings.hash_threads)
            .map_err(|error| StoreError::Unavailable(format!("no thread for passwords: {error}")))?;
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
        self.people.notice(&caller, now);
        Ok(caller)
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
        if ended || old { Err(TokenError::SignedOut) } else { Ok(()) }
    }

    /// Signs in with a local account.
    pub async fn login(&self, username: &str, password: SecretString, from: IpAddr) -> Result<Minted, LoginError> {
        let address = AddressKey::from(from);
        let now_ms = || self.clock.now().as_millisecond();
        let limited = |retry_after_s| LoginError::RateLimited { retry_after_s };
        let mut pauses_left = SAME_ACCOUNT_PAUSES_MAX;
        while let Err(retry_after_s) = self.sign_ins.begin(username, address, now_ms()) {
            // Attempts at the same moment count each other, but those that succeed give back what they took: nobody is
            // told "too many failures" before there were any.
            if pauses_left == 0 || !self.sign_ins.is_under_way(username) {
                return Err(limited(retry_after_s));
            }
            pauses_left -= 1;
            tokio::time::sleep(SAME_ACCOUNT_PAUSE).await;
        }
        let _attempt = Attempt { limits: &self.sign_ins, username };
        let outcome = self.check_password(username, password).await;
        match &outcome {
            Err(LoginError::BadCredentials) => self.sign_ins.failed(address, now_ms()),
            _ => self.sign_ins.give_back(username),
        }
        outcome
    }

    async fn check_password(&self, username: &str, password: SecretString) -> Result<Minted, LoginError> {
        let account = match UserName::parse(username) {
            Ok(username) => self.store.account(&username).await?,
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
        // Later than the end of all earlier tokens, even within the same millisecond.
        let not_before = self.valid_from_ms.get(&account.username).map_or(i64::MIN, |from| *from + 1);
        let now = self.clock.now();
        let issued = Timestamp::from_millisecond(now.as_millisecond().max(not_before)).unwrap_or(now);
        let ttl = self.settings.session_ttl;
        let minted = self.tokens.mint(&account.username, Some(&account.name), account.role, ttl, issued);
        let minted = minted.ok_or(LoginError::Failed)?;
        self.people.notice(&minted.caller, now);
        Ok(minted)
    }

    /// Ends a token: at once in this process, and for good once this returns.
    pub async fn logout(&self, caller: &Caller) -> Result<(), StoreError> {
        if self.dead.len() >= DEAD_TOKENS_MAX {
            let now = self.clock.now();
            self.end_all(&caller.user, now);
            return self.store.end_tokens(&caller.user, now).await;
        }
        self.dead.insert(caller.token_id, caller.expires_at);
        let token = Some(caller.token_id.to_string());
        self.bus.publish(Event::SignedOut { user: caller.user.clone(), token });
        self.store.bury_token(caller.token_id, caller.expires_at).await
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
        self.bus.publish(Event::SignedOut { user: user.clone(), token: None });
    }

    /// A ticket for a WebSocket of this caller; none when too many are about.
    #[must_use]
    pub fn issue_ticket(&self, caller: &Caller) -> Option<String> {
        self.tickets.issue(caller.clone(), Instant::now())
    }
    /// Whose ticket it is, once, if that caller is still one.
    #[must_use]
    pub fn redeem_ticket(&self, ticket: &str) -> Option<Caller> {
        self.tickets.redeem(ticket, Instant::now()).filter(|caller| self.is_alive(caller))
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
