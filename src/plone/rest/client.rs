//! The client that all parts of the hub share. It sends calls as a viewer and interprets the responses.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::Clock;
use crate::plone::format::token::PloneClaims;
use crate::plone::port::{PloneError, PloneFuture, Viewer};
use crate::plone::rest::errors::{Verdict, lockout};
use crate::plone::rest::limiter::{CallOutcome, PoolStats};
use crate::plone::rest::login::{HubToken, PAUSE_AFTER_REJECTION, PloneLogin, TRUSTED_FOR};
use crate::plone::rest::options::{BadPloneUrl, PloneOptions};
use crate::plone::rest::responses::{LoginToken, Response, UserId};
use crate::plone::rest::transport::{Call, RawResponse, Transport};
use crate::text::percent;

/// Maximum pause before a write is retried after a conflict. The actual pause is random, at least half as long.
const CONFLICT_PAUSE: Duration = Duration::from_millis(250);

/// Client of Plone's REST API. Clones share one connection pool, one limiter and one login.
#[derive(Clone)]
pub struct PloneClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) options: PloneOptions,
    pub(super) transport: Transport,
    clock: Arc<dyn Clock>,
    login: tokio::sync::Mutex<PloneLogin>,
}

/// Body of `POST @login`.
#[derive(Serialize)]
struct Credentials<'a> {
    login: &'a str,
    password: &'a str,
}

impl PloneClient {
    /// Creates a client for the configured site. Nothing is sent yet. Requires a running actix system.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn new(options: PloneOptions, clock: Arc<dyn Clock>) -> Result<Self, BadPloneUrl> {
        let url = options.checked_url()?;
        let options = PloneOptions { url, ..options };
        let transport = Transport::start(&options.url, options.pool_size, options.queue_max, options.timeout);
        Ok(Self { inner: Arc::new(Inner { options, transport, clock, login: tokio::sync::Mutex::default() }) })
    }

    /// Returns the state of the connection pool and the circuit breaker.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.inner.transport.stats()
    }

    /// Runs an operation of the port with its own deadline.
    pub(super) fn run<T, F>(&self, operation: impl FnOnce(Arc<Inner>, Instant) -> F) -> PloneFuture<T>
    where
        F: Future<Output = Result<T, PloneError>> + Send + 'static,
    {
        Box::pin(operation(self.inner.clone(), self.inner.transport.deadline()))
    }
}

impl Inner {
    /// Sends a call as `viewer` and reads the response.
    ///
    /// # Errors
    /// [`PloneError::Forbidden`] if the viewer lacks the permission, and [`PloneError::Unauthenticated`] if a member's
    /// token is not valid. Plone itself ignores an invalid token on content that visitors may read.
    pub(super) async fn call<T: Response>(
        &self,
        viewer: &Viewer,
        call: Call,
        deadline: Instant,
    ) -> Result<T, PloneError> {
        let body = match viewer {
            Viewer::Visitor => self.send(call, deadline).await?.ok_or(PloneError::Forbidden)?,
            Viewer::Member(token) => {
                let call = Call { token: Some(token.clone()), ..call };
                match self.send(call, deadline).await? {
                    Some(body) => body,
                    None if self.is_valid(token, deadline).await? => return Err(PloneError::Forbidden),
                    None => return Err(PloneError::Unauthenticated),
                }
            }
            Viewer::Hub => self.send_as_hub(call, deadline).await?,
        };
        T::read(&body)
    }

    async fn send_as_hub(&self, call: Call, deadline: Instant) -> Result<Bytes, PloneError> {
        let token = self.hub_token(deadline, None).await?;
        let first = Call { token: Some(token.clone()), ..call.clone() };
        if let Some(body) = self.send(first, deadline).await? {
            return Ok(body);
        }
        if self.is_valid(&token, deadline).await? {
            return Err(PloneError::Forbidden);
        }
        let token = self.hub_token(deadline, Some(&token)).await?;
        self.send(Call { token: Some(token), ..call }, deadline).await?.ok_or(PloneError::Forbidden)
    }

    /// Sends a call and returns the body of its response; `None` for status 401. Retries a write once after a conflict.
    async fn send(&self, call: Call, deadline: Instant) -> Result<Option<Bytes>, PloneError> {
        let is_write = call.method == Method::PATCH;
        match self.send_once(call.clone(), deadline).await? {
            Verdict::Conflict if is_write => {
                let pause = CONFLICT_PAUSE.mul_f64(f64::midpoint(1.0, rand::random()));
                timeout_at(deadline, sleep(pause)).await.map_err(|_| conflict())?;
                self.send_once(call, deadline).await.and_then(body_of)
            }
            verdict => body_of(verdict),
        }
    }

    async fn send_once(&self, call: Call, deadline: Instant) -> Result<Verdict, PloneError> {
        self.send_and_interpret(call, deadline).await.map(|(_, verdict)| verdict)
    }

    /// Sends a call, interprets the response, and records on its permit whether Plone responded.
    async fn send_and_interpret(&self, call: Call, deadline: Instant) -> Result<(RawResponse, Verdict), PloneError> {
        let mut response = self.transport.send(call, deadline).await?;
        let verdict = Verdict::of(response.status, &response.body);
        match &verdict {
            Verdict::NotPlone(_) => response.permit.failed(CallOutcome::Failed),
            _ => response.permit.answered(),
        }
        Ok((response, verdict))
    }

    /// Returns true if a token is valid and its user exists. Plone does not revoke tokens: the token of a deleted user
    /// keeps that user's rights until it expires.
    pub(super) async fn is_valid(&self, token: &Arc<SecretString>, deadline: Instant) -> Result<bool, PloneError> {
        match PloneClaims::of(token.expose_secret()) {
            Some(claims) => self.is_token_of(token, &claims.subject, deadline).await,
            None => Ok(false),
        }
    }

    /// Returns true if Plone accepts a token as this user's. Users may read their own account, and visitors none.
    async fn is_token_of(&self, token: &Arc<SecretString>, name: &str, deadline: Instant) -> Result<bool, PloneError> {
        let path = format!("/@users/{}", percent::encode_segment(name));
        let call = Call { token: Some(token.clone()), ..Call::get(path) };
        match self.send(call, deadline).await {
            Ok(Some(body)) => Ok(UserId::read(&body)?.id.0.as_deref() == Some(name)),
            Ok(None) | Err(PloneError::NotFound | PloneError::Forbidden) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns a valid token of the hub's user. `rejected` is a token that Plone has just rejected, which must not be
    /// returned.
    async fn hub_token(
        &self,
        deadline: Instant,
        rejected: Option<&Arc<SecretString>>,
    ) -> Result<Arc<SecretString>, PloneError> {
        let _slot = self.transport.limiter.queue_slot()?;
        let timed_out = |_| PloneError::Unavailable("the hub's own login took too long".to_owned());
        let mut login = timeout_at(deadline, self.login.lock()).await.map_err(timed_out)?;
        if let Some(token) = login.token.clone()
            && !token.is_expiring(self.clock.now())
            && rejected.is_none_or(|rejected| !Arc::ptr_eq(rejected, &token.secret))
        {
            if token.verified_at.elapsed() < TRUSTED_FOR {
                return Ok(token.secret);
            }
            if self.is_valid(&token.secret, deadline).await? {
                login.token = Some(HubToken { verified_at: Instant::now(), ..token.clone() });
                return Ok(token.secret);
            }
        }
        login.token = None;
        if let Some((at, error)) = &login.rejected
            && at.elapsed() < PAUSE_AFTER_REJECTION
        {
            return Err(error.clone());
        }
        match self.login(&self.options.username, &self.options.password, deadline).await {
            Ok(token) => {
                let token = HubToken::new(token);
                let secret = token.secret.clone();
                *login = PloneLogin { token: Some(token), rejected: None };
                Ok(secret)
            }
            // `Failed` is a transient error, so that pending writes are retried until the settings are corrected.
            Err(error @ (PloneError::Unauthenticated | PloneError::Locked(_) | PloneError::Forbidden)) => {
                log::error!("the hub cannot sign in to Plone as {:?}: {error}", self.options.username);
                let error = PloneError::Failed("the hub's user cannot sign in".to_owned());
                login.rejected = Some((Instant::now(), error.clone()));
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks a password (`@login`) and returns Plone's token. The user's id is the subject of the token, not
    /// `username`: if users sign in with another name, such as an email address, that name may be another user's id.
    pub(super) async fn login(
        &self,
        username: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<SecretString, PloneError> {
        let credentials = Credentials { login: username, password: password.expose_secret() };
        let (response, verdict) =
            self.send_and_interpret(Call::json(Method::POST, "/@login", &credentials)?, deadline).await?;
        if let Some(message) = lockout(response.status, &response.body, response.messages.as_deref()) {
            return Err(PloneError::Locked(message));
        }
        let LoginToken { token } = LoginToken::read(&body_of(verdict)?.ok_or(PloneError::Unauthenticated)?)?;
        PloneClaims::of(&token).ok_or_else(|| unreadable("the token of a sign-in"))?;
        Ok(token.into())
    }
}

/// Returns the body of a response; `None` for status 401.
fn body_of(verdict: Verdict) -> Result<Option<Bytes>, PloneError> {
    match verdict {
        Verdict::Done(body) => Ok(Some(body)),
        Verdict::Unauthorized => Ok(None),
        Verdict::Conflict => Err(conflict()),
        Verdict::Refused(error) => Err(error),
        Verdict::NotPlone(description) => Err(PloneError::Unavailable(description)),
    }
}

fn conflict() -> PloneError {
    PloneError::Occupied("another write at the same time".to_owned())
}

/// Returns the error for a response that does not match Plone's API documentation.
pub(super) fn unreadable(what: &str) -> PloneError {
    PloneError::Failed(format!("unreadable response: {what}"))
}
