//! Transport of calls to Plone: through the limiter, on one thread of their own, each with one deadline.
//!
//! `awc::Client` is not `Send`. One thread for the whole hub makes its pool the only one; Plone answers a few hundred
//! requests a second at most, which one thread carries easily.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use actix_web::dev::fn_service;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, SET_COOKIE, USER_AGENT};
use actix_web::http::{Method, Uri};
use awc::error::{ConnectError as AwcConnectError, SendRequestError};
use awc::{Client, ClientBuilder, Connector};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::plone::port::PloneError;
use crate::plone::rest::connection::PloneConnection;
use crate::plone::rest::limiter::{CallOutcome, Limiter, Permit, PoolStats};

/// Longest response that is read: a page of [`crate::plone::port::PAGE_LEN`] hits and a roster of 1,000 people are 60
/// KiB each, and a news item is shorter than this.
const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long an idle connection is kept: well below the 120 s of waitress, so that Plone rarely ends it.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// The hub's user agent.
pub(super) const AGENT: &str = concat!("EduHub/", env!("CARGO_PKG_VERSION"));
const JSON: &str = "application/json";
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A call of Plone's REST API.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path from the site's root, encoded, with its query.
    pub(super) path: String,
    /// JSON body.
    pub(super) body: Option<Bytes>,
    pub(super) token: Option<Arc<SecretString>>,
    /// Accepted media types.
    pub(super) accept: &'static str,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, token: None, accept: JSON }
    }

    /// Creates a call with a JSON body.
    ///
    /// # Errors
    /// When the body has no JSON, which the hub's own types never cause.
    pub(super) fn json(method: Method, path: impl Into<String>, body: &impl Serialize) -> Result<Self, PloneError> {
        let body = serde_json::to_vec(body).map_err(|error| PloneError::Refused(error.to_string()))?;
        Ok(Self { method, path: path.into(), body: Some(body.into()), token: None, accept: JSON })
    }

    /// Returns true when the call may be sent twice. The hub's PATCHes write absolute values.
    fn is_idempotent(&self) -> bool {
        [Method::GET, Method::PATCH].contains(&self.method)
    }
}

/// A complete response. The reader records on the permit whether it could be read.
#[derive(Debug)]
pub(super) struct RawResponse {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// The cookie in which Plone's pages carry messages to a user who signs in.
    pub(super) messages: Option<String>,
    pub(super) permit: Permit,
}

/// Status, messages and body of a response.
type Received = (u16, Option<String>, Bytes);

/// Why there is no response.
#[derive(Debug)]
pub(super) struct Failure {
    outcome: CallOutcome,
    /// Words for the log, without an address.
    reason: String,
}

impl Failure {
    fn new(reason: impl Into<String>) -> Self {
        Self { outcome: CallOutcome::Failed, reason: reason.into() }
    }
}

/// The HTTP clients of the thread.
struct HttpClients {
    /// Reuses connections.
    pooled: Client,
    /// Opens a connection for each request, for calls that must not meet a connection that Plone is just closing.
    fresh: Client,
}

thread_local! {
    static CLIENTS: OnceCell<HttpClients> = const { OnceCell::new() };
}

/// The transport. See the [module](self).
pub(super) struct Transport {
    pub(super) limiter: Arc<Limiter>,
    pub(super) url: Arc<str>,
    pool_size: usize,
    pub(super) timeout: Duration,
    /// Permits for forwarded requests: part of the pool is always left to the hub itself.
    pub(super) forwarded: Arc<Semaphore>,
    /// Permits for forwarded requests of visitors: part of those is always left to signed-in users.
    pub(super) visitors: Arc<Semaphore>,
    /// Places for visitors who wait: they never take the whole queue.
    pub(super) visitors_waiting: Semaphore,
    thread: ArbiterHandle,
    connections: Arc<AtomicUsize>,
}

impl Transport {
    /// Starts the thread. Needs a running actix system, whose end ends the thread.
    pub(super) fn start(url: &str, pool_size: usize, queue_max: usize, timeout: Duration) -> Self {
        let forwarded = three_quarters(pool_size);
        Self {
            limiter: Arc::new(Limiter::new(pool_size, queue_max)),
            url: url.into(),
            pool_size,
            timeout,
            forwarded: Arc::new(Semaphore::new(forwarded)),
            visitors: Arc::new(Semaphore::new(three_quarters(forwarded))),
            visitors_waiting: Semaphore::new(three_quarters(queue_max)),
            thread: Arbiter::new().handle(),
            connections: Arc::default(),
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        self.limiter.stats(self.connections.load(Relaxed))
    }

    /// Returns the deadline of a call that begins now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Sends a call once it is admitted, and once more on another connection if it is idempotent. A call in flight runs
    /// to its end even when its caller goes away: Plone works through it anyway, and it occupies its permit as long.
    ///
    /// # Errors
    /// When it is not admitted, or there is no complete response in time.
    pub(super) async fn send(&self, call: Call, deadline: Instant) -> Result<RawResponse, PloneError> {
        let permit = self.limiter.admit(deadline).await?;
        let (reply, response) = oneshot::channel();
        let (options, url) = (self.client_options(), self.url.clone());
        let job = move || {
            actix_rt::spawn(async move {
                let result = run(&options, &url, &call, deadline, permit).await;
                if let Err(Ok(mut unread)) = reply.send(result) {
                    unread.permit.answered();
                }
            });
        };
        self.spawn(job)?;
        response.await.map_err(|_| shutting_down())?.map_err(PloneError::Unavailable)
    }

    /// Runs `job` on the thread of calls.
    ///
    /// # Errors
    /// When the hub is ending.
    pub(super) fn spawn(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PloneError> {
        if self.thread.spawn_fn(job) { Ok(()) } else { Err(shutting_down()) }
    }

    pub(super) fn client_options(&self) -> ClientOptions {
        ClientOptions { pool_size: self.pool_size, timeout: self.timeout, connections: self.connections.clone() }
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.thread.stop();
    }
}

/// Returns three quarters of `places`: at least one, and less than all where there are several.
fn three_quarters(places: usize) -> usize {
    places.saturating_sub(places.div_ceil(4)).max(1)
}

/// The error when the thread of calls has ended with the hub.
pub(super) fn shutting_down() -> PloneError {
    PloneError::Unavailable("the hub is ending".to_owned())
}

/// Options of the thread's HTTP clients.
pub(super) struct ClientOptions {
    pool_size: usize,
    timeout: Duration,
    connections: Arc<AtomicUsize>,
}

impl ClientOptions {
    /// Returns the thread's clients: one that reuses connections, and one that opens a connection for each request.
    pub(super) fn clients(&self) -> (Client, Client) {
        CLIENTS.with(|made| {
            let clients = made.get_or_init(|| HttpClients { pooled: self.client(), fresh: self.client() });
            (clients.pooled.clone(), clients.fresh.clone())
        })
    }

    /// Creates a client without awc's own timeout, redirects and default headers: calls have deadlines, and a redirect
    /// is a response.
    fn client(&self) -> Client {
        let open = self.connections.clone();
        let connect = move |info: ConnectInfo<Uri>| {
            let open = open.clone();
            async move {
                let connection =
                    PloneConnection::connect(info.hostname(), info.port(), open).await.map_err(ConnectError::Io)?;
                Ok::<_, ConnectError>(Connection::new(info.request().clone(), connection))
            }
        };
        let connector = Connector::new()
            .connector(fn_service(connect))
            .timeout(self.timeout)
            .limit(self.pool_size)
            .conn_keep_alive(IDLE_MAX);
        ClientBuilder::new().connector(connector).disable_timeout().disable_redirects().no_default_headers().finish()
    }
}

/// Performs a call up to its deadline. The error says why there is no response.
async fn run(
    options: &ClientOptions,
    url: &str,
    call: &Call,
    deadline: Instant,
    mut permit: Permit,
) -> Result<RawResponse, String> {
    let (pooled, fresh) = options.clients();
    let failed = match timeout_at(deadline, exchange(&pooled, &fresh, url, call)).await {
        Ok(Ok((status, messages, body))) => return Ok(RawResponse { status, body, messages, permit }),
        Ok(Err(failure)) => failure,
        Err(_) => {
            Failure { outcome: CallOutcome::TimedOut, reason: "there was no complete response in time".to_owned() }
        }
    };
    permit.failed(failed.outcome);
    Err(failed.reason)
}

async fn exchange(pooled: &Client, fresh: &Client, url: &str, call: &Call) -> Result<Received, Failure> {
    if !call.is_idempotent() {
        return attempt(fresh, true, url, call).await;
    }
    match attempt(pooled, false, url, call).await {
        Err(failure) => {
            log::debug!("a call to Plone failed ({}) and is tried once more", failure.reason);
            attempt(fresh, true, url, call).await
        }
        done => done,
    }
}

async fn attempt(client: &Client, is_last: bool, url: &str, call: &Call) -> Result<Received, Failure> {
    let mut request = client
        .request(call.method.clone(), format!("{url}{}", call.path))
        .insert_header((ACCEPT, call.accept))
        .insert_header((USER_AGENT, AGENT));
    if let Some(token) = &call.token {
        request = request.insert_header((AUTHORIZATION, format!("Bearer {}", token.expose_secret())));
    }
    if call.method == Method::PATCH {
        // Without it, Plone answers 204 with `Connection: close`.
        request = request.insert_header((PREFER, "return=representation"));
    }
    if is_last {
        request = request.force_close();
    }
    let sent = match call.body.clone() {
        Some(body) => request.insert_header((CONTENT_TYPE, JSON)).send_body(body),
        None => request.send(),
    };
    let mut response = sent.await.map_err(|error| Failure::new(describe(&error)))?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.next().await {
        let chunk = chunk.map_err(|error| Failure::new(format!("the response is incomplete: {error}")))?;
        if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
            return Err(Failure::new("the response is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    let cookies = response.headers().get_all(SET_COOKIE).filter_map(|cookie| cookie.to_str().ok());
    let messages = cookies.filter_map(|cookie| cookie.strip_prefix("statusmessages=")).next_back();
    let messages = messages.map(|rest| rest.split(';').next().unwrap_or_default().to_owned());
    Ok((response.status().as_u16(), messages, body.freeze()))
}

/// Describes an error without an address.
pub(super) fn describe(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(AwcConnectError::Io(error)) => format!("no connection: {error}"),
        SendRequestError::Connect(AwcConnectError::Timeout) => "no connection in time".to_owned(),
        SendRequestError::Connect(AwcConnectError::Disconnected) => "the connection ended".to_owned(),
        SendRequestError::Connect(_) => "no connection: the name is not known".to_owned(),
        SendRequestError::Send(error) => format!("the connection broke: {error}"),
        SendRequestError::Response(error) => format!("the response cannot be read: {error}"),
        _ => "the request could not be sent".to_owned(),
    }
}
