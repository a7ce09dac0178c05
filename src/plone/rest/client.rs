//! The handle on Plone that everybody shares: sends a call as somebody, and knows what its answer means.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::plone::format::token::PloneClaims;
use crate::plone::port::{PloneError, PloneFuture, Viewer};
use crate::plone::rest::errors::{Judged, lockout};
use crate::plone::rest::gate::{CallOutcome, PoolStats};
use crate::plone::rest::options::{BadPloneUrl, PloneOptions};
use crate::plone::rest::session::{PAUSE_AFTER_REFUSAL, Session, SignedIn, TRUSTED_FOR};
use crate::plone::rest::transport::{Answer, Call, Transport};
use crate::text::percent;

/// How long a write waits, between half of it and all of it, before it is tried once more after a conflict.
const CONFLICT_PAUSE: Duration = Duration::from_millis(250);

/// Plone, over its REST API. Clones share one connection pool, one gate and one sign-in.
#[derive(Clone)]
pub struct PloneClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) options: PloneOptions,
    pub(super) transport: Transport,
    session: tokio::sync::Mutex<Session>,
}

impl PloneClient {
    /// A client of the site that the options name. Nothing is sent yet. It needs a running actix system.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(options: PloneOptions) -> Result<Self, BadPloneUrl> {
        let url = options.checked_url()?;
        let options = PloneOptions { url, ..options };
        let transport = Transport::start(&options.url, options.pool_size, options.queue_max, options.timeout);
        Ok(Self { inner: Arc::new(Inner { options, transport, session: tokio::sync::Mutex::default() }) })
    }

    /// What can be seen of its connections.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.inner.transport.stats()
    }

    /// Runs a call of the port with a deadline of its own.
    pub(super) fn run<T, F>(&self, call: impl FnOnce(Arc<Inner>, Instant) -> F) -> PloneFuture<T>
    where
        F: Future<Output = Result<T, PloneError>> + Send + 'static,
    {
        Box::pin(call(self.inner.clone(), self.inner.transport.deadline()))
    }
}

impl Inner {
    /// Sends a call as somebody. Who may not is told [`PloneError::Forbidden`]; whose token is not good,
    /// [`PloneError::Unauthenticated`] (where Plone itself tells, which it does not for what anybody may read).
    pub(super) async fn ask(&self, viewer: &Viewer, call: Call, deadline: Instant) -> Result<Value, PloneError> {
        match viewer {
            Viewer::Visitor => self.sent(call, deadline).await?.ok_or(PloneError::Forbidden),
            Viewer::Member(token) => {
                let call = Call { token: Some(token.clone()), ..call };
                match self.sent(call, deadline).await? {
                    Some(done) => Ok(done),
                    None if self.is_good(token, deadline).await? => Err(PloneError::Forbidden),
                    None => Err(PloneError::Unauthenticated),
                }
            }
            Viewer::Hub => self.as_the_hub(call, deadline).await,
        }
    }

    async fn as_the_hub(&self, call: Call, deadline: Instant) -> Result<Value, PloneError> {
        let token = self.hub_token(deadline, None).await?;
        let first = Call { token: Some(token.clone()), ..call.clone() };
        if let Some(done) = self.sent(first, deadline).await? {
            return Ok(done);
        }
        if self.is_good(&token, deadline).await? {
            return Err(PloneError::Forbidden);
        }
        let token = self.hub_token(deadline, Some(&token)).await?;
        self.sent(Call { token: Some(token), ..call }, deadline).await?.ok_or(PloneError::Forbidden)
    }

    /// Sends a call and judges its answer; none is 401. A write that met another one is tried once more.
    pub(super) async fn sent(&self, call: Call, deadline: Instant) -> Result<Option<Value>, PloneError> {
        let is_write = call.method == Method::PATCH;
        match self.sent_once(call.clone(), deadline).await? {
            Judged::Conflict if is_write => {
                let pause = CONFLICT_PAUSE.mul_f64(f64::midpoint(1.0, rand::random()));
                timeout_at(deadline, sleep(pause)).await.map_err(|_| conflict())?;
                self.sent_once(call, deadline).await.and_then(told)
            }
            judged => told(judged),
        }
    }

    async fn sent_once(&self, call: Call, deadline: Instant) -> Result<Judged, PloneError> {
        self.judged(call, deadline).await.map(|(_, judged)| judged)
    }

    async fn judged(&self, call: Call, deadline: Instant) -> Result<(Answer, Judged), PloneError> {
        let mut answer = self.transport.send(call, deadline).await?;
        let judged = Judged::of(answer.status, &answer.body);
        match &judged {
            Judged::NotPlone(_) => answer.pass.failed(CallOutcome::Failed),
            _ => answer.pass.answered(),
        }
        Ok((answer, judged))
    }

    /// Whether a token is good, and its user still there. Plone does not end tokens: the token of somebody who
    /// was deleted still opens what it opened.
    pub(super) async fn is_good(&self, token: &Arc<SecretString>, deadline: Instant) -> Result<bool, PloneError> {
        match PloneClaims::of(token.expose_secret()) {
            Some(claims) => self.stands_for(token, &claims.subject, deadline).await,
            None => Ok(false),
        }
    }

    /// Whether a token stands for this user, as Plone says: everybody may read himself, and no visitor may read anybody.
    async fn stands_for(&self, token: &Arc<SecretString>, name: &str, deadline: Instant) -> Result<bool, PloneError> {
        let call = Call { token: Some(token.clone()), ..Call::get(format!("/@users/{}", percent::piece(name))) };
        match self.sent(call, deadline).await {
            Ok(answer) => Ok(answer.is_some_and(|user| user.get("id").and_then(Value::as_str) == Some(name))),
            Err(PloneError::NotFound | PloneError::Forbidden) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The hub's token; another one than `instead_of`, which is not good any more.
    async fn hub_token(
        &self,
        deadline: Instant,
        instead_of: Option<&Arc<SecretString>>,
    ) -> Result<Arc<SecretString>, PloneError> {
        let _place = self.transport.gate.place()?;
        let late = |_| PloneError::Unavailable("the hub's own sign-in takes too long".to_owned());
        let mut session = timeout_at(deadline, self.session.lock()).await.map_err(late)?;
        if let Some(signed_in) = session.signed_in.clone()
            && !signed_in.is_ending(Timestamp::now())
            && instead_of.is_none_or(|old| !Arc::ptr_eq(old, &signed_in.token))
        {
            if signed_in.checked_at.elapsed() < TRUSTED_FOR {
                return Ok(signed_in.token);
            }
            if self.is_good(&signed_in.token, deadline).await? {
                session.signed_in = Some(SignedIn { checked_at: Instant::now(), ..signed_in.clone() });
                return Ok(signed_in.token);
            }
        }
        session.signed_in = None;
        if let Some((at, error)) = &session.refused
            && at.elapsed() < PAUSE_AFTER_REFUSAL
        {
            return Err(error.clone());
        }
        match self.login(&self.options.username, &self.options.password, deadline).await {
            Ok(token) => {
                let signed_in = SignedIn::new(token);
                session.refused = None;
                session.signed_in = Some(signed_in.clone());
                Ok(signed_in.token)
            }
            // It passes as soon as somebody corrects it: what waits for it must not be given up.
            Err(error @ (PloneError::Unauthenticated | PloneError::Locked(_) | PloneError::Forbidden)) => {
                log::error!("the hub cannot sign in to Plone as {:?}: {error}", self.options.username);
                let error = PloneError::Failed("the hub's own user cannot sign in".to_owned());
                session.refused = Some((Instant::now(), error.clone()));
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// `@login`. The token says whose it is: where Plone signs people in by another name than their id, that name may be
    /// somebody else's id.
    pub(super) async fn login(
        &self,
        username: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<SecretString, PloneError> {
        let body = json!({"login": username, "password": password.expose_secret()});
        let (answer, judged) = self.judged(Call::new(Method::POST, "/@login", &body), deadline).await?;
        if let Some(words) = lockout(answer.status, &answer.body, answer.messages.as_deref()) {
            return Err(PloneError::Locked(words));
        }
        let done = told(judged)?.ok_or(PloneError::Unauthenticated)?;
        let token = done.get("token").and_then(Value::as_str).ok_or_else(|| unreadable("no token"))?;
        PloneClaims::of(token).ok_or_else(|| unreadable("no token that can be read"))?;
        Ok(token.to_owned().into())
    }
}

/// A judged answer as a result; none is 401.
fn told(judged: Judged) -> Result<Option<Value>, PloneError> {
    match judged {
        Judged::Done(json) => Ok(Some(json)),
        Judged::Unauthorized => Ok(None),
        Judged::Conflict => Err(conflict()),
        Judged::Refused(error) => Err(error),
        Judged::NotPlone(words) => Err(PloneError::Unavailable(words)),
    }
}

fn conflict() -> PloneError {
    PloneError::Occupied("another write was in the way".to_owned())
}

/// An answer of Plone that is not what its API promises.
pub(super) fn unreadable(what: &str) -> PloneError {
    PloneError::Failed(format!("an answer that cannot be read: {what}"))
}
