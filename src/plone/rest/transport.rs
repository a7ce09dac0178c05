//! JSON calls to Plone: through the gate, on one thread of their own, with one deadline for all of it.
//!
//! `awc::Client` stays on its thread; one thread for all of the hub makes its pool the pool, whoever asks. Plone answers
//! a few hundred requests a second at the most, which is little for it.

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
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::plone::port::PloneError;
use crate::plone::rest::gate::{CallOutcome, Gate, Pass, PoolStats};
use crate::plone::rest::wire::Wire;

/// The longest answer that is taken: a page of [`crate::plone::port::PAGE_LEN`] hits is 60 KiB, a roster of 1,000
/// people 60 KiB, the longest news item that anybody wrote less than this.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long an idle connection is kept: well under waitress' own 120 s, so that it is rarely Plone that ends it.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How the hub calls itself.
pub(super) const AGENT: &str = concat!("EduHub/", env!("CARGO_PKG_VERSION"));
const JSON: &str = "application/json";
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A call of Plone's REST API.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// From the site's root, encoded, with its query.
    pub(super) path: String,
    /// JSON.
    pub(super) body: Option<Bytes>,
    pub(super) token: Option<Arc<SecretString>>,
    /// What is asked for.
    pub(super) accept: &'static str,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, token: None, accept: JSON }
    }

    pub(super) fn new(method: Method, path: impl Into<String>, body: &serde_json::Value) -> Self {
        Self { method, path: path.into(), body: Some(body.to_string().into()), token: None, accept: JSON }
    }

    /// Whether doing it twice is as good as doing it once. The hub's PATCHes write absolute values.
    fn is_idempotent(&self) -> bool {
        [Method::GET, Method::PATCH].contains(&self.method)
    }
}

/// An answer, whole. Whoever reads it says whether it could be read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// The cookie in which Plone's pages carry messages to whoever signs in.
    pub(super) messages: Option<String>,
    pub(super) pass: Pass,
}

/// What came: the status, the messages and the body.
type Received = (u16, Option<String>, Bytes);

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    outcome: CallOutcome,
    /// In words for the log; no address.
    words: String,
}

impl Failure {
    fn new(words: impl Into<String>) -> Self {
        Self { outcome: CallOutcome::Failed, words: words.into() }
    }
}

/// The two clients of the thread.
struct Clients {
    /// Keeps connections.
    pooled: Client,
    /// Connects anew for each request: for what must not meet a connection that Plone is just closing.
    fresh: Client,
}

thread_local! {
    static CLIENTS: OnceCell<Clients> = const { OnceCell::new() };
}

/// See the [module](self).
pub(super) struct Transport {
    pub(super) gate: Arc<Gate>,
    pub(super) url: Arc<str>,
    pool_size: usize,
    pub(super) timeout: Duration,
    /// Places for requests of others: some of the pool is always left to the hub itself.
    pub(super) share: Arc<Semaphore>,
    /// Those of them that visitors may take: some are always left to whoever the hub knows.
    pub(super) visitors: Arc<Semaphore>,
    /// Visitors who may wait for a place: they never take all of the queue.
    pub(super) visitors_waiting: Semaphore,
    thread: ArbiterHandle,
    connections: Arc<AtomicUsize>,
}

impl Transport {
    /// Needs a running actix system, whose end ends the thread.
    pub(super) fn start(url: &str, pool_size: usize, queue_max: usize, timeout: Duration) -> Self {
        let share = less_a_quarter(pool_size);
        Self {
            gate: Arc::new(Gate::new(pool_size, queue_max)),
            url: url.into(),
            pool_size,
            timeout,
            share: Arc::new(Semaphore::new(share)),
            visitors: Arc::new(Semaphore::new(less_a_quarter(share))),
            visitors_waiting: Semaphore::new(less_a_quarter(queue_max)),
            thread: Arbiter::new().handle(),
            connections: Arc::default(),
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        self.gate.stats(self.connections.load(Relaxed))
    }

    /// When a call that begins now must have ended.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Sends a call once it may pass, and again on another connection when that can do no harm. Once sent it runs to
    /// its end, whoever waits: Plone works through it anyway, and its place is taken as long.
    pub(super) async fn send(&self, call: Call, deadline: Instant) -> Result<Answer, PloneError> {
        let pass = self.gate.enter(deadline).await?;
        let (say, heard) = oneshot::channel();
        let (making, url) = (self.making(), self.url.clone());
        let job = move || {
            actix_rt::spawn(async move {
                let result = run(&making, &url, &call, deadline, pass).await;
                if let Err(Ok(mut unheard)) = say.send(result) {
                    unheard.pass.answered();
                }
            });
        };
        self.on_the_thread(job)?;
        heard.await.map_err(|_| ending())?.map_err(PloneError::Unavailable)
    }

    /// Runs something on the thread of calls.
    pub(super) fn on_the_thread(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PloneError> {
        if self.thread.spawn_fn(job) { Ok(()) } else { Err(ending()) }
    }

    pub(super) fn making(&self) -> Making {
        Making { pool_size: self.pool_size, timeout: self.timeout, connections: self.connections.clone() }
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.thread.stop();
    }
}

/// What others may take of so many places: one at the least, and never all where there are several.
fn less_a_quarter(places: usize) -> usize {
    places.saturating_sub(places.div_ceil(4)).max(1)
}

/// The hub is ending, and its thread of calls has ended already.
pub(super) fn ending() -> PloneError {
    PloneError::Unavailable("the hub is ending".to_owned())
}

/// What the thread's clients are made from.
pub(super) struct Making {
    pool_size: usize,
    timeout: Duration,
    connections: Arc<AtomicUsize>,
}

impl Making {
    /// The thread's clients: one that keeps connections, and one that connects anew for each request.
    pub(super) fn clients(&self) -> (Client, Client) {
        CLIENTS.with(|made| {
            let clients = made.get_or_init(|| Clients { pooled: self.client(), fresh: self.client() });
            (clients.pooled.clone(), clients.fresh.clone())
        })
    }

    /// A client without awc's own ideas of time, redirects and headers: the deadline is ours, a redirect is an answer.
    fn client(&self) -> Client {
        let open = self.connections.clone();
        let connect = move |info: ConnectInfo<Uri>| {
            let open = open.clone();
            async move {
                let wire = Wire::connect(info.hostname(), info.port(), open).await.map_err(ConnectError::Io)?;
                Ok::<_, ConnectError>(Connection::new(info.request().clone(), wire))
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

/// A call on the thread of calls, up to its deadline; the error is why there is no answer.
async fn run(making: &Making, url: &str, call: &Call, deadline: Instant, mut pass: Pass) -> Result<Answer, String> {
    let (pooled, fresh) = making.clients();
    let failed = match timeout_at(deadline, exchange(&pooled, &fresh, url, call)).await {
        Ok(Ok((status, messages, body))) => return Ok(Answer { status, body, messages, pass }),
        Ok(Err(failure)) => failure,
        Err(_) => Failure { outcome: CallOutcome::TimedOut, words: "there was no whole answer in time".to_owned() },
    };
    pass.failed(failed.outcome);
    Err(failed.words)
}

async fn exchange(pooled: &Client, fresh: &Client, url: &str, call: &Call) -> Result<Received, Failure> {
    if !call.is_idempotent() {
        return attempt(fresh, true, url, call).await;
    }
    match attempt(pooled, false, url, call).await {
        Err(failure) => {
            log::debug!("a call of Plone failed ({}), and is tried once more", failure.words);
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
        // Plain, it is answered 204 with `Connection: close`.
        request = request.insert_header((PREFER, "return=representation"));
    }
    if is_last {
        request = request.force_close();
    }
    let sent = match call.body.clone() {
        Some(body) => request.insert_header((CONTENT_TYPE, JSON)).send_body(body),
        None => request.send(),
    };
    let mut response = sent.await.map_err(|error| Failure::new(words_of(&error)))?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.next().await {
        let chunk = chunk.map_err(|error| Failure::new(format!("the answer breaks off: {error}")))?;
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::new("the answer is longer than any that is taken"));
        }
        body.extend_from_slice(&chunk);
    }
    let cookies = response.headers().get_all(SET_COOKIE).filter_map(|cookie| cookie.to_str().ok());
    let messages = cookies.filter_map(|cookie| cookie.strip_prefix("statusmessages=")).next_back();
    let messages = messages.map(|rest| rest.split(';').next().unwrap_or_default().to_owned());
    Ok((response.status().as_u16(), messages, body.freeze()))
}

/// What happened, without an address.
pub(super) fn words_of(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(AwcConnectError::Io(error)) => format!("no connection: {error}"),
        SendRequestError::Connect(AwcConnectError::Timeout) => "no connection in time".to_owned(),
        SendRequestError::Connect(AwcConnectError::Disconnected) => "the connection ended".to_owned(),
        SendRequestError::Connect(_) => "no connection: the name is not known".to_owned(),
        SendRequestError::Send(error) => format!("the connection broke: {error}"),
        SendRequestError::Response(error) => format!("the answer cannot be read: {error}"),
        _ => "the request could not be sent".to_owned(),
    }
}
