//! Sign-in through Plone: checks passwords with `@login`, and reads roles and groups from `@users/{name}`.
//! `user_tokens` signs tokens of Plone for users of single sign-on, for whom no password is checked.

mod user_tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock::Clock;
use crate::domain::ids::UserName;
use crate::domain::role::{Role, RoleMap};
use crate::identity::Source;
use crate::identity::provider::{
    KnownUser, MemberRules, Profile, ProviderError, ProviderToken, SignInProvider, Verified,
};
use crate::identity::sign_in::SignInError;
use crate::plone::cache::CacheCounts;
use crate::plone::format::token::PloneClaims;
use crate::plone::port::{Directory, PloneError, PlonePerson};
use crate::plone::sign_in::user_tokens::UserTokens;

/// Name of the provider in audit entries and messages.
const TITLE: &str = "Plone";
/// Maximum length of a message from Plone that is passed on to the user, in characters.
const REASON_CHARS_MAX: usize = 200;
/// Maximum number of waiting sign-ins: more than Plone can handle within the time that a sign-in waits.
const WAITING_MAX: usize = 1_000;

/// A plain member of Plone (a student) with the member's token; `None` before the first sign-in of a student, and after
/// the member's sign-ins have ended.
pub type PlainMember = Option<(UserName, Arc<SecretString>)>;

/// Options of sign-in through Plone.
#[derive(Debug, Clone)]
pub struct PloneSignInOptions {
    /// Maps Plone's roles and groups to the hub's roles.
    pub roles: RoleMap,
    /// Name of the hub's user in Plone.
    pub hub_user: UserName,
    /// Maximum total time that a sign-in waits for Plone (`[plone] timeout_ms`).
    pub timeout: Duration,
    /// Maximum number of concurrent sign-ins. It is smaller than the number of connections, so that many sign-ins at
    /// the same time do not block other calls.
    pub in_flight_max: usize,
    /// Rules for members who signed in.
    pub members: MemberRules,
}

/// The sign-in provider for Plone's users.
pub struct PloneSignIn {
    directory: Arc<dyn Directory>,
    options: PloneSignInOptions,
    /// Permits for concurrent sign-ins.
    permits: Semaphore,
    /// Slots for sign-ins that wait for a permit.
    queue_slots: Semaphore,
    /// Number of sign-ins to which Plone has responded.
    responses: AtomicU64,
    /// The student who signed in most recently.
    plain_member: watch::Sender<PlainMember>,
    /// Signs tokens for users of single sign-on; `None` without a key.
    user_tokens: Option<UserTokens>,
}

impl PloneSignIn {
    /// Creates the provider. Nothing is sent yet.
    #[must_use]
    pub fn new(directory: Arc<dyn Directory>, options: PloneSignInOptions) -> Self {
        Self {
            directory,
            permits: Semaphore::new(options.in_flight_max.max(1)),
            queue_slots: Semaphore::new(WAITING_MAX),
            responses: AtomicU64::new(0),
            plain_member: watch::Sender::new(None),
            user_tokens: None,
            options,
        }
    }

    /// Adds the key with which the hub signs tokens of Plone for users of single sign-on.
    #[must_use]
    pub fn with_user_key(mut self, key: &SecretString, clock: Arc<dyn Clock>) -> Self {
        self.user_tokens = Some(UserTokens::new(key, self.directory.clone(), &self.options, clock));
        self
    }

    /// Returns the student who signed in most recently. The outbox uses this member's token to find out what plain
    /// members can read. The value becomes `None` when the member's sign-ins end, such as after a change of role.
    pub fn plain_member(&self) -> watch::Receiver<PlainMember> {
        self.plain_member.subscribe()
    }

    /// Returns the counters of the checks of whether users of single sign-on exist in Plone; all are 0 without a key.
    #[must_use]
    pub fn user_checks(&self) -> CacheCounts {
        self.user_tokens.as_ref().map_or_else(CacheCounts::default, UserTokens::counts)
    }

    /// Returns how long a sign-in waits for a permit: half of its timeout. The other half is left for Plone's response.
    fn permit_wait(&self) -> Duration {
        self.options.timeout / 2
    }

    /// Waits for a permit.
    async fn acquire_permit(&self) -> Result<SemaphorePermit<'_>, PloneError> {
        let _slot = self.queue_slots.try_acquire().map_err(|_| PloneError::Busy)?;
        let permit = timeout(self.permit_wait(), self.permits.acquire()).await;
        permit.ok().and_then(Result::ok).ok_or(PloneError::Busy)
    }

    /// Checks a password and reads the profile, both within the configured timeout.
    async fn authenticate(&self, login: &UserName, password: &SecretString) -> Result<Accepted, PloneError> {
        let deadline = Instant::now() + self.options.timeout;
        let _permit = self.acquire_permit().await?;
        let late = || PloneError::Unavailable("not in time".to_owned());
        let token = timeout_at(deadline, self.directory.login(login, password)).await.unwrap_or_else(|_| Err(late()));
        if !token.as_ref().is_err_and(|error| error.is_outage() || *error == PloneError::Busy) {
            self.responses.fetch_add(1, Ordering::Relaxed);
        }
        let Some((user, token)) = read_token(token?) else {
            return Err(PloneError::Failed("the token of a sign-in is unreadable".to_owned()));
        };
        // Identity decides about ids that it would normalize: two of them must not become one user.
        let Ok(user) = UserName::stored(&user) else { return Ok(Accepted::UnusableName) };
        let person = timeout_at(deadline, self.directory.person(&user)).await.unwrap_or_else(|_| Err(late()));
        let profile = person.map(|person| self.profile_of(&user, person)).map_err(provider_error);
        Ok(Accepted::User(Verified { user, profile, token: Some(token) }))
    }

    fn profile_of(&self, user: &UserName, person: Option<PlonePerson>) -> Profile {
        let Some(person) = person else { return Profile::Unknown };
        match self.options.roles.rights(&person.roles, &person.groups) {
            Some(rights) => {
                let name = person.name.unwrap_or_else(|| user.to_string());
                Profile::Known(KnownUser { name, rights, credential: None })
            }
            None => Profile::NoRole,
        }
    }

    /// Reads a profile. A web server in front of a Plone under maintenance may respond with "not found" for every user,
    /// so a missing user counts only if Plone finds the hub's own user.
    async fn read_profile(&self, user: &UserName) -> Result<Profile, PloneError> {
        if let Some(person) = self.directory.person(user).await? {
            return Ok(self.profile_of(user, Some(person)));
        }
        match self.directory.person(&self.options.hub_user).await? {
            Some(_) => Ok(Profile::Unknown),
            None => Err(PloneError::Unavailable("it does not find the hub's own user either".to_owned())),
        }
    }
}

/// The outcome of a sign-in whose password Plone accepted.
enum Accepted {
    User(Verified),
    /// The user's id in Plone is not a valid username in the hub.
    UnusableName,
}

impl SignInProvider for PloneSignIn {
    fn source(&self) -> Source {
        Source::Plone
    }

    fn title(&self) -> &'static str {
        TITLE
    }

    fn member_rules(&self) -> Option<MemberRules> {
        Some(self.options.members)
    }

    fn verify<'a>(
        &'a self,
        login: &'a UserName,
        password: &'a SecretString,
    ) -> BoxFuture<'a, Result<Option<Verified>, SignInError>> {
        async move {
            let (began, responses) = (Instant::now(), self.responses.load(Ordering::Relaxed));
            let error = match self.authenticate(login, password).await {
                Ok(Accepted::User(verified)) => return Ok(Some(verified)),
                Ok(Accepted::UnusableName) => {
                    let reason = "Your Plone user id cannot be used here because it is too long or contains spaces. \
                                  Contact the college's administrators.";
                    return Err(SignInError::NotAdmitted { provider: TITLE, reason: reason.to_owned() });
                }
                Err(error) => error,
            };
            // If Plone did not respond to any sign-in while this one waited for a permit, Plone hangs.
            let is_hanging =
                || began.elapsed() >= self.permit_wait() && self.responses.load(Ordering::Relaxed) == responses;
            Err(match error {
                PloneError::Unauthenticated => SignInError::BadCredentials,
                PloneError::Locked(reason) => SignInError::Locked { provider: TITLE, reason: one_line(&reason) },
                PloneError::Busy if is_hanging() => SignInError::Provider(ProviderError::Hanging),
                error => {
                    if !error.is_transient() {
                        log::error!("Plone does not check passwords for the hub: {error}");
                    }
                    SignInError::Provider(provider_error(error))
                }
            })
        }
        .boxed()
    }

    fn profile<'a>(&'a self, user: &'a UserName) -> BoxFuture<'a, Result<Profile, ProviderError>> {
        async move { self.read_profile(user).await.map_err(provider_error) }.boxed()
    }

    fn read_token(&self, stored: SecretString) -> Option<ProviderToken> {
        read_token(stored).map(|(_, token)| token)
    }

    fn token_for<'a>(&'a self, user: &'a UserName) -> BoxFuture<'a, Option<Arc<SecretString>>> {
        async move { self.user_tokens.as_ref()?.token_for(user).await }.boxed()
    }

    fn signed_in(&self, user: &UserName, role: Role, token: &ProviderToken) {
        if role == Role::Student {
            self.plain_member.send_replace(Some((user.clone(), token.secret.clone())));
        }
    }

    fn sign_ins_ended(&self, user: &UserName) {
        self.plain_member.send_if_modified(|member| member.take_if(|(name, _)| name == user).is_some());
    }
}

/// Reads a token of Plone. Returns the id of its user and the token; `None` if the text is not a token with an expiry.
fn read_token(text: SecretString) -> Option<(String, ProviderToken)> {
    let claims = PloneClaims::of(text.expose_secret())?;
    Some((claims.subject, ProviderToken { expires_at: claims.expires_at?, secret: Arc::new(text) }))
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn provider_error(error: PloneError) -> ProviderError {
    let text = error.to_string();
    match error {
        PloneError::Busy => ProviderError::Busy,
        PloneError::Open | PloneError::Unavailable(_) => ProviderError::Unreachable(text),
        PloneError::Failed(_) => ProviderError::Failed(text),
        PloneError::Occupied(_)
        | PloneError::Unauthenticated
        | PloneError::Locked(_)
        | PloneError::Forbidden
        | PloneError::NotFound
        | PloneError::Refused(_) => ProviderError::Refused(text),
    }
}

/// Shortens a message from Plone to one line.
fn one_line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod tests;
