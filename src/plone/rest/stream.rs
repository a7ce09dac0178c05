//! Forwards browser requests to Plone, with bodies streamed in both directions. Forwarded requests use the same
//! limiter, thread and connections as the hub's own calls. Buffers and the time without progress are bounded. Bodies
//! are neither decompressed nor parsed, and redirects are not followed.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use awc::error::SendRequestError;
use awc::{Client, ClientResponse};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::plone::port::PloneError;
use crate::plone::rest::client::PloneClient;
use crate::plone::rest::limiter::{CallOutcome, Permit};
use crate::plone::rest::transport::{ClientOptions, Transport, describe, shutting_down};

/// Maximum number of buffered pieces of a body in each direction. A piece is the result of one read, 8 to 64 KiB.
pub const PIECES_MAX: usize = 32;
/// Maximum time without a piece from or to a client, such as a phone that loses its connection for a while.
pub const CLIENT_IDLE: Duration = Duration::from_secs(30);
/// Time after which [`PACE_MIN`] applies to a body.
const PACE_AFTER: Duration = Duration::from_secs(60);
/// Minimum average speed of a body, in bytes per second. Without it, a few slow clients could occupy the whole pool.
const PACE_MIN: u64 = 4 * 1024;
/// Maximum time without progress in a safe request, as a multiple of `[plone] timeout_ms`. The first page that Plone
/// renders after its start takes several seconds.
const READ_TIMEOUTS: u32 = 3;
/// Maximum time without progress in a request that is not safe, as a multiple of the same setting. Plone processes
/// uploads before it responds.
const WRITE_TIMEOUTS: u32 = 6;

/// A piece of a body; `None` is the end marker. A body whose channel closes without an end marker is incomplete.
pub type Piece = Option<Bytes>;

/// The body of a forwarded request.
#[derive(Debug)]
pub struct Upload {
    /// Announced length in bytes; `None` if it is unknown.
    pub length: Option<u64>,
    /// Receiver of the pieces; its channel has a capacity of [`PIECES_MAX`].
    pub pieces: mpsc::Receiver<Piece>,
}

/// A forwarded request.
#[derive(Debug)]
pub struct StreamCall {
    /// Method.
    pub method: Method,
    /// Encoded request target on Plone's host: path and query.
    pub target: String,
    /// Header fields, without `Content-Length` and `Transfer-Encoding`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body.
    pub body: Option<Upload>,
    /// True if the sender is not signed in to the hub.
    pub is_from_visitor: bool,
}

/// Plone's response to a forwarded request.
#[derive(Debug)]
pub struct StreamResponse {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Pieces of the body.
    pub body: mpsc::Receiver<Piece>,
}

/// Why a forwarded request has no response.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The response did not begin in time.
    #[error("Plone did not begin to respond in time")]
    Timeout,
    /// The client closed the connection before its request was complete.
    #[error("the client aborted the request")]
    Aborted,
    /// The request could not be sent, or Plone did not respond.
    #[error(transparent)]
    Plone(#[from] PloneError),
}

/// A measurement of the speed of a body.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    begun: Instant,
    bytes: u64,
}

impl Pace {
    /// Starts measuring a body that begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { begun: Instant::now(), bytes: 0 }
    }

    /// Counts a piece of this many bytes. Returns false if the body is too slow.
    pub fn keeps_up(&mut self, bytes: usize) -> bool {
        self.bytes += bytes as u64;
        let elapsed = self.begun.elapsed();
        elapsed < PACE_AFTER || self.bytes >= elapsed.as_secs() * PACE_MIN
    }
}

impl PloneClient {
    /// Returns the path of the site on Plone's host, such as `/Plone`.
    #[must_use]
    pub fn site_path(&self) -> &str {
        crate::plone::rest::paths::path_of_url(&self.inner.options.url)
    }

    /// Returns the address of the site in the hub's settings. It must not be disclosed to clients.
    #[must_use]
    pub fn site_url(&self) -> &str {
        &self.inner.options.url
    }

    /// Forwards a request to Plone. The request holds its permits until the body of the response ends or fails.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn stream(&self, call: StreamCall) -> Result<StreamResponse, StreamError> {
        let transport = &self.inner.transport;
        let deadline = transport.deadline();
        let visitors = match call.is_from_visitor {
            true => Some(self.visitor_permit(deadline).await?),
            false => None,
        };
        let forwarded = self.forwarded_permit(deadline).await?;
        let permit = transport.limiter.admit(deadline).await?;
        let (reply, response) = oneshot::channel();
        let is_write = !call.method.is_safe();
        let idle_max = transport.timeout * if is_write { WRITE_TIMEOUTS } else { READ_TIMEOUTS };
        let host = transport.url.strip_suffix(self.site_path()).unwrap_or(&transport.url).to_owned();
        let clients = transport.client_options();
        let transfer = Transfer { clients, host, idle_max, permit, _forwarded: forwarded, _visitors: visitors };
        transport.spawn(move || drop(actix_rt::spawn(transfer.run(call, reply))))?;
        response.await.map_err(|_| shutting_down())?
    }

    /// Acquires a permit for a visitor's request.
    async fn visitor_permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, PloneError> {
        let Transport { visitors, visitors_waiting, limiter, .. } = &self.inner.transport;
        if let Ok(permit) = visitors.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = visitors_waiting.try_acquire().map_err(|_| limiter.refuse_busy())?;
        self.wait_for(visitors, deadline).await
    }

    /// Acquires a permit for a forwarded request.
    async fn forwarded_permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, PloneError> {
        let forwarded = &self.inner.transport.forwarded;
        match forwarded.clone().try_acquire_owned() {
            Ok(permit) => Ok(permit),
            Err(_) => self.wait_for(forwarded, deadline).await,
        }
    }

    async fn wait_for(&self, permits: &Arc<Semaphore>, deadline: Instant) -> Result<OwnedSemaphorePermit, PloneError> {
        let limiter = &self.inner.transport.limiter;
        let _slot = limiter.queue_slot()?;
        let permit = timeout_at(deadline, permits.clone().acquire_owned()).await;
        permit.map_err(|_| limiter.refuse_busy())?.map_err(|_| shutting_down())
    }
}

type Reply = oneshot::Sender<Result<StreamResponse, StreamError>>;

/// A forwarded request, run on the transport's thread.
struct Transfer {
    clients: ClientOptions,
    host: String,
    /// Maximum time without progress.
    idle_max: Duration,
    permit: Permit,
    _forwarded: OwnedSemaphorePermit,
    _visitors: Option<OwnedSemaphorePermit>,
}

impl Transfer {
    async fn run(mut self, call: StreamCall, mut reply: Reply) {
        let is_upload = call.body.is_some();
        let response = tokio::select! {
            // The client closed its connection.
            () = reply.closed() => return,
            response = self.send(call) => response,
        };
        let mut response = match response {
            Ok(response) => response,
            Err(error) => {
                match &error {
                    // Plone may reject an upload by closing the connection, which is not a failure of Plone.
                    StreamError::Plone(PloneError::Unavailable(_)) if !is_upload => {
                        self.permit.failed(CallOutcome::Failed);
                    }
                    StreamError::Timeout | StreamError::Plone(PloneError::Unavailable(_)) => self.permit.timed_out(),
                    StreamError::Plone(_) | StreamError::Aborted => {}
                }
                // Sending fails if the client has closed its connection.
                drop(reply.send(Err(error)));
                return;
            }
        };
        let status = response.status();
        if [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT].contains(&status) {
            self.permit.failed(CallOutcome::Failed);
        } else {
            self.permit.answered();
        }
        let (pieces, body) = mpsc::channel(PIECES_MAX);
        if reply.send(Ok(StreamResponse { status, headers: response.headers().clone(), body })).is_ok() {
            self.download(&mut response, &pieces).await;
        }
    }

    /// Sends the request and waits for the head of the response. A failed safe request is retried once, on a new
    /// connection.
    async fn send(&self, call: StreamCall) -> Result<ClientResponse, StreamError> {
        let (pooled, fresh) = self.clients.clients();
        let progress = Rc::new(Cell::new(Instant::now()));
        let StreamCall { method, target, headers, body, .. } = call;
        let request = |client: &Client| {
            let request = client.request(method.clone(), format!("{}{target}", self.host));
            headers.iter().fold(request, |request, (name, value)| request.append_header((name.clone(), value.clone())))
        };
        if let Some(upload) = body {
            let size = upload.length.map_or(BodySize::Stream, BodySize::Sized);
            let body = UploadBody { size, pieces: upload.pieces, progress: progress.clone() };
            let sent = request(&fresh).force_close().send_body(body);
            return self.in_time(sent, &progress).await;
        }
        if !method.is_safe() {
            let sent = request(&fresh).force_close().send_body(Bytes::new());
            return self.in_time(sent, &progress).await;
        }
        match self.in_time(request(&pooled).send(), &progress).await {
            Err(StreamError::Plone(PloneError::Unavailable(_))) => {
                self.in_time(request(&fresh).force_close().send(), &progress).await
            }
            response => response,
        }
    }

    /// Waits for the head of a response. The timeout restarts whenever the request body makes progress.
    async fn in_time(
        &self,
        sent: impl Future<Output = Result<ClientResponse, SendRequestError>>,
        progress: &Cell<Instant>,
    ) -> Result<ClientResponse, StreamError> {
        let mut sent = std::pin::pin!(sent);
        loop {
            let seen = progress.get();
            tokio::select! {
                response = &mut sent => return response.map_err(|error| match error {
                    SendRequestError::Body(_) => StreamError::Aborted,
                    SendRequestError::Url(_) | SendRequestError::Http(_) => {
                        PloneError::Refused("the address is not valid".to_owned()).into()
                    }
                    error => PloneError::Unavailable(describe(&error)).into(),
                }),
                () = sleep_until(seen + self.idle_max) => {
                    if progress.get() == seen {
                        return Err(StreamError::Timeout);
                    }
                }
            }
        }
    }

    /// Sends the body of the response to `pieces`. Omits the end marker if the body is incomplete, or if Plone or the
    /// client is too slow.
    async fn download(&self, response: &mut ClientResponse, pieces: &mpsc::Sender<Piece>) {
        let mut pace = Pace::begin();
        loop {
            let piece = tokio::select! {
                () = pieces.closed() => return,
                piece = timeout(self.idle_max, response.next()) => piece,
            };
            let piece = match piece {
                Ok(Some(Ok(piece))) => Some(piece),
                Ok(None) => None,
                Ok(Some(Err(_))) | Err(_) => return,
            };
            let is_end = piece.is_none();
            let keeps_up = pace.keeps_up(piece.as_ref().map_or(0, Bytes::len));
            if !keeps_up || !matches!(timeout(CLIENT_IDLE, pieces.send(piece)).await, Ok(Ok(()))) || is_end {
                return;
            }
        }
    }
}

/// The body of a forwarded request, in the form that awc sends.
struct UploadBody {
    size: BodySize,
    pieces: mpsc::Receiver<Piece>,
    progress: Rc<Cell<Instant>>,
}

impl MessageBody for UploadBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.pieces.poll_recv(cx).map(|piece| {
            self.progress.set(Instant::now());
            match piece {
                Some(Some(piece)) => Some(Ok(piece)),
                Some(None) => None,
                None => Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client aborted the upload"))),
            }
        })
    }
}
