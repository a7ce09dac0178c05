//! Sends calls to Plone: through the limiter, on a dedicated thread, each call with a deadline.
//!
//! `awc::Client` is not `Send`. With one thread for the whole hub there is only one connection pool. Plone handles at
//! most a few hundred requests per second, which is little work for one thread.

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

/// Maximum length of a response in bytes. A page of [`crate::plone::port::PAGE_LEN`] hits and a roster of 1,000 people
/// take 60 KiB each; a news item with embedded images may take a few MiB.
const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Time after which an idle connection is closed: well below the 120 s of waitress, so that Plone rarely closes one
/// first.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// The hub's user agent.
pub(super) const AGENT: &str = concat!("EduHub/", env!("CARGO_PKG_VERSION"));
const JSON: &str = "application/json";
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A call to Plone's REST API.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Encoded path from the site's root, with its query.
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
    /// If the body cannot be serialized, which does not happen with the hub's own types.
    pub(super) fn json(method: Method, path: impl Into<String>, body: &impl Serialize) -> Result<Self, PloneError> {
        let body = serde_json::to_vec(body).map_err(|error| PloneError::Refused(error.to_string()))?;
        Ok(Self { method, path: path.into(), body: Some(body.into()), token: None, accept: JSON })
    }

    /// Returns true if the call may be sent twice. A PATCH may, because the hub writes absolute values.
    fn is_idempotent(&self) -> bool {
        [Method::GET, Method::PATCH].contains(&self.method)
    }
}

/// A complete response. Its reader must record on the permit whether the response was readable.
#[derive(Debug)]
pub(super) struct RawResponse {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// The value of the cookie `statusmessages`, which may contain the reason for a rejected sign-in.
    pub(super) messages: Option<String>,
    pub(super) permit: Permit,
}

/// Status, `statusmessages` cookie and body of a response.
type Received = (u16, Option<String>, Bytes);

/// Why there is no response.
#[derive(Debug)]
pub(super) struct Failure {
    outcome: CallOutcome,
    /// Description for the log, without an address.
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
    /// Opens a new connection for each request, for calls that must not fail because Plone closes an idle connection.
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
    /// Permits for forwarded requests: three quarters of the pool. The rest is reserved for the hub's own calls.
    pub(super) forwarded: Arc<Semaphore>,
    /// Permits for visitors' forwarded requests: three quarters of `forwarded`. The rest is reserved for signed-in
    /// users.
    pub(super) visitors: Arc<Semaphore>,
    /// Permits for visitors' waiting requests: three quarters of the queue.
    pub(super) visitors_waiting: Semaphore,
    thread: ArbiterHandle,
    connections: Arc<AtomicUsize>,
}

impl Transport {
    /// Starts the thread. Requires a running actix system; the thread ends with it.
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

    /// Sends a call when the limiter admits it. Retries a failed idempotent call once, on a new connection. A call in
    /// flight continues and holds its permit even if its caller is dropped, because Plone processes it anyway.
    ///
    /// # Errors
    /// If the call is not admitted, or if there is no complete response in time.
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

    /// Runs `job` on the transport's thread.
    ///
    /// # Errors
    /// If the hub is shutting down.
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

/// Returns three quarters of `count`, rounded down, but at least one.
fn three_quarters(count: usize) -> usize {
    count.saturating_sub(count.div_ceil(4)).max(1)
}

/// Returns the error for a call after the transport's thread has ended with the hub.
pub(super) fn shutting_down() -> PloneError {
    PloneError::Unavailable("the hub is shutting down".to_owned())
}

/// Options of the thread's HTTP clients.
pub(super) struct ClientOptions {
    pool_size: usize,
    timeout: Duration,
    connections: Arc<AtomicUsize>,
}

impl ClientOptions {
    /// Returns the thread's clients: one that reuses connections, and one that opens a new connection for each request.
    pub(super) fn clients(&self) -> (Client, Client) {
        CLIENTS.with(|cell| {
            let clients = cell.get_or_init(|| HttpClients { pooled: self.client(), fresh: self.client() });
            (clients.pooled.clone(), clients.fresh.clone())
        })
    }

    /// Creates a client without awc's own timeout, redirects and default headers. Calls have deadlines, and redirects
    /// are returned like other responses.
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

/// Performs a call until its deadline. The error describes why there is no response.
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
            log::debug!("retrying a call to Plone that failed: {}", failure.reason);
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
        // Without this, Plone responds with status 204 and closes the connection.
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

/// Describes an error without naming an address.
pub(super) fn describe(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(AwcConnectError::Io(error)) => format!("no connection: {error}"),
        SendRequestError::Connect(AwcConnectError::Timeout) => "no connection in time".to_owned(),
        SendRequestError::Connect(AwcConnectError::Disconnected) => "the connection was closed".to_owned(),
        SendRequestError::Connect(_) => "no connection: the host name is unknown".to_owned(),
        SendRequestError::Send(error) => format!("the connection broke: {error}"),
        SendRequestError::Response(error) => format!("the response is unreadable: {error}"),
        _ => "the request could not be sent".to_owned(),
    }
}
