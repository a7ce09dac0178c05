//! Sign-in by Plone: checks passwords with `@login` and reads roles and groups from `@users/{name}`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::domain::ids::UserName;
use crate::domain::role::{Role, RoleMap};
use crate::identity::Source;
use crate::identity::provider::{
    KnownUser, MemberRules, Profile, ProviderError, ProviderToken, SignInProvider, Verified,
};
use crate::identity::sign_in::SignInError;
use crate::plone::format::token::PloneClaims;
use crate::plone::port::{Directory, PloneError, PlonePerson};

/// Title of the provider in audit entries and messages.
const TITLE: &str = "Plone";
/// Longest reason of Plone's that is passed on to its user, in characters.
const REASON_CHARS_MAX: usize = 200;
/// Sign-ins that may wait for a turn to ask Plone: more than it answers within the time that a sign-in waits.
const WAITING_MAX: usize = 1_000;

/// A plain member of Plone, that is a student, with a token of Plone's; none until one has signed in.
pub type PlainMember = Option<(UserName, Arc<SecretString>)>;

/// Settings of sign-in by Plone.
#[derive(Debug, Clone)]
pub struct PloneSignInOptions {
    /// Roles of the hub for roles and groups of Plone.
    pub roles: RoleMap,
    /// Username of the hub itself in Plone.
    pub hub_user: UserName,
    /// Longest time that a sign-in waits for Plone in all (`[plone] timeout_ms`).
    pub timeout: Duration,
    /// Sign-ins about which Plone is asked at once. Fewer than its connections, so that a class that signs in does not
    /// stop everything else.
    pub in_flight_max: usize,
    /// Rules for members who signed in.
    pub members: MemberRules,
}

/// The sign-in provider in front of Plone's users.
pub struct PloneSignIn {
    directory: Arc<dyn Directory>,
    options: PloneSignInOptions,
    /// Turns to ask Plone.
    permits: Semaphore,
    /// Places of sign-ins that wait for a turn.
    queue_slots: Semaphore,
    /// Number of sign-ins about which Plone has answered.
    responses: AtomicU64,
    /// Student who signed in last.
    plain_member: watch::Sender<PlainMember>,
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
            options,
        }
    }

    /// Returns the student who signed in last. With the token of that member the outbox finds out what a plain member
    /// can read. It is none again once that user is no student any more.
    pub fn plain_member(&self) -> watch::Receiver<PlainMember> {
        self.plain_member.subscribe()
    }

    /// Returns how long a sign-in waits for a turn: half of its time, the other half is Plone's.
    fn permit_wait(&self) -> Duration {
        self.options.timeout / 2
    }

    /// Waits for a turn to ask Plone.
    async fn acquire_permit(&self) -> Result<SemaphorePermit<'_>, PloneError> {
        let _place = self.queue_slots.try_acquire().map_err(|_| PloneError::Busy)?;
        let turn = timeout(self.permit_wait(), self.permits.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or(PloneError::Busy)
    }

    /// Asks Plone whether a password is right and then for the profile, both within the configured time.
    async fn authenticate(&self, login: &UserName, password: &SecretString) -> Result<Accepted, PloneError> {
        let deadline = Instant::now() + self.options.timeout;
        let _turn = self.acquire_permit().await?;
        let late = || PloneError::Unavailable("not in time".to_owned());
        let token = timeout_at(deadline, self.directory.login(login, password)).await.unwrap_or_else(|_| Err(late()));
        if !token.as_ref().is_err_and(|error| error.is_outage() || *error == PloneError::Busy) {
            self.responses.fetch_add(1, Ordering::Relaxed);
        }
        let Some((user, token)) = read_token(token?) else {
            return Err(PloneError::Failed("the token of a sign-in cannot be read".to_owned()));
        };
        let Ok(user) = UserName::parse(&user) else { return Ok(Accepted::UnusableName) };
        let person = timeout_at(deadline, self.directory.person(&user)).await.unwrap_or_else(|_| Err(late()));
        let profile = person.map(|person| self.profile_of(&user, person)).map_err(provider_error);
        Ok(Accepted::User(Verified { user, profile, token: Some(token) }))
    }

    fn profile_of(&self, user: &UserName, person: Option<PlonePerson>) -> Profile {
        let Some(person) = person else { return Profile::Unknown };
        match self.options.roles.role(&person.roles, &person.groups) {
            Some(role) => {
                let name = person.name.unwrap_or_else(|| user.to_string());
                Profile::Known(KnownUser { name, role, credential: None })
            }
            None => Profile::NoRole,
        }
    }

    /// Reads a profile. That Plone knows no such user is also what a web server in front of a Plone under maintenance
    /// says about everybody, so it counts only when Plone knows the hub's own user at the same time.
    async fn read_profile(&self, user: &UserName) -> Result<Profile, PloneError> {
        if let Some(person) = self.directory.person(user).await? {
            return Ok(self.profile_of(user, Some(person)));
        }
        match self.directory.person(&self.options.hub_user).await? {
            Some(_) => Ok(Profile::Unknown),
            None => Err(PloneError::Unavailable("it does not know the hub's own user either".to_owned())),
        }
    }
}

/// A password that Plone accepted.
enum Accepted {
    User(Verified),
    /// The user's id in Plone is no username of the hub.
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
            let (began, answers) = (Instant::now(), self.responses.load(Ordering::Relaxed));
            let error = match self.authenticate(login, password).await {
                Ok(Accepted::User(verified)) => return Ok(Some(verified)),
                Ok(Accepted::UnusableName) => {
                    let reason = "Your Plone account's user id cannot be used here: it is too long or has spaces. Please \
                                  ask the college's administrators.";
                    return Err(SignInError::NotAdmitted { provider: TITLE, reason: reason.to_owned() });
                }
                Err(error) => error,
            };
            // When no sign-in was answered while this sign-in waited for a turn, those who have one wait for a Plone
            // that hangs.
            let is_hanging =
                || began.elapsed() >= self.permit_wait() && self.responses.load(Ordering::Relaxed) == answers;
            Err(match error {
                PloneError::Unauthenticated => SignInError::BadCredentials,
                PloneError::Locked(reason) => SignInError::Locked { provider: TITLE, reason: one_line(&reason) },
                PloneError::Busy if is_hanging() => SignInError::Provider(ProviderError::Hanging),
                error => {
                    if !error.is_transient() {
                        log::error!("Plone does not check sign-ins for the hub: {error}");
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

    fn signed_in(&self, user: &UserName, role: Role, token: &ProviderToken) {
        if role == Role::Student {
            self.plain_member.send_replace(Some((user.clone(), token.secret.clone())));
        }
    }

    fn sign_ins_ended(&self, user: &UserName) {
        self.plain_member.send_if_modified(|member| member.take_if(|(name, _)| name == user).is_some());
    }
}

/// Reads a token of Plone. Returns the id of its user and the token; none when it is no token or has no expiry.
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

/// Shortens what Plone says to its user to one line.
fn one_line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod tests;
