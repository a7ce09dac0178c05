//! Requests of others, carried to Plone and back: through the same gate, on the same thread and connections, streaming
//! both ways. What is in between is bounded, and so is the time in which nothing moves. Nothing is decompressed, followed
//! or read.

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
use crate::plone::rest::gate::{CallOutcome, Pass};
use crate::plone::rest::transport::{Making, Transport, ending, words_of};

/// Pieces of a body between the two connections, each way; a piece is what one read brought, 8 to 64 KiB.
pub const PIECES_MAX: usize = 32;
/// How long a client may take to take or to send one more piece: longer than a phone is in a tunnel.
pub const CLIENT_IDLE: Duration = Duration::from_secs(30);
/// From when on a body must have moved at [`PACE_MIN`]: until then it may be slow for any reason.
const PACE_AFTER: Duration = Duration::from_secs(60);
/// The slowest that a body may be, in bytes a second: slower, a few clients could take all of the pool for themselves.
const PACE_MIN: u64 = 4 * 1024;
/// How many times as long as a call of the hub's own the beginning of an answer may take: a page that Plone renders for
/// the first time since it was started takes several seconds.
const READ_PATIENCE: u32 = 3;
/// The same for a write: Plone works on what was uploaded.
const WRITE_PATIENCE: u32 = 6;

/// A piece of a body; none is its good end. When no end comes, the body broke off.
pub type Piece = Option<Bytes>;

/// A body on its way to Plone.
#[derive(Debug)]
pub struct Upload {
    /// Its length, if it was announced.
    pub length: Option<u64>,
    /// Its pieces, from a channel of [`PIECES_MAX`].
    pub pieces: mpsc::Receiver<Piece>,
}

/// A request for Plone.
#[derive(Debug)]
pub struct StreamCall {
    /// The method.
    pub method: Method,
    /// From the root of Plone's host, encoded, with its query.
    pub target: String,
    /// All its header fields but those of framing.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Option<Upload>,
    /// Whether the hub does not know who sent it.
    pub is_visitors: bool,
}

/// What Plone answers.
#[derive(Debug)]
pub struct StreamAnswer {
    /// The status.
    pub status: StatusCode,
    /// All its header fields.
    pub headers: HeaderMap,
    /// The pieces of its body.
    pub body: mpsc::Receiver<Piece>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It did not begin in time.
    #[error("Plone did not begin to answer in time")]
    Late,
    /// The client broke its own request off.
    #[error("the client broke off")]
    BrokenOff,
    /// It could not be had.
    #[error(transparent)]
    Plone(#[from] PloneError),
}

/// Whether a body moves fast enough.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    begun: Instant,
    bytes: u64,
}

impl Pace {
    /// Of a body that begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { begun: Instant::now(), bytes: 0 }
    }

    /// Counts a piece; false when all of it came too slowly.
    pub fn moves(&mut self, bytes: usize) -> bool {
        self.bytes += bytes as u64;
        let elapsed = self.begun.elapsed();
        elapsed < PACE_AFTER || self.bytes >= elapsed.as_secs() * PACE_MIN
    }
}

impl PloneClient {
    /// The path of the site on Plone's host, such as `/Plone`.
    #[must_use]
    pub fn site_path(&self) -> &str {
        crate::plone::rest::paths::path_of_url(&self.inner.options.url)
    }

    /// The address of the site as the hub knows it, for finding it in answers: nobody else should see it.
    #[must_use]
    pub fn site_url(&self) -> &str {
        &self.inner.options.url
    }

    /// Carries a request to Plone. It has its place until the body of the answer has ended, in whatever way.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn stream(&self, call: StreamCall) -> Result<StreamAnswer, StreamError> {
        let transport = &self.inner.transport;
        let deadline = transport.deadline();
        let visitors = match call.is_visitors {
            true => Some(self.visitors_place(deadline).await?),
            false => None,
        };
        let share = self.share(deadline).await?;
        let pass = transport.gate.enter(deadline).await?;
        let (say, heard) = oneshot::channel();
        let is_write = !call.method.is_safe();
        let patience = transport.timeout * if is_write { WRITE_PATIENCE } else { READ_PATIENCE };
        let host = transport.url.strip_suffix(self.site_path()).unwrap_or(&transport.url).to_owned();
        let making = transport.making();
        let carrier = Carrier { making, host, patience, pass, _share: share, _visitors: visitors };
        transport.on_the_thread(move || drop(actix_rt::spawn(carrier.carry(call, say))))?;
        heard.await.map_err(|_| ending())?
    }

    /// A place among the requests of visitors.
    async fn visitors_place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, PloneError> {
        let Transport { visitors, visitors_waiting, gate, .. } = &self.inner.transport;
        if let Ok(permit) = visitors.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = visitors_waiting.try_acquire().map_err(|_| gate.refused(CallOutcome::Busy))?;
        self.wait_for(visitors, deadline).await
    }

    /// A place among the requests of others.
    async fn share(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, PloneError> {
        let share = &self.inner.transport.share;
        match share.clone().try_acquire_owned() {
            Ok(permit) => Ok(permit),
            Err(_) => self.wait_for(share, deadline).await,
        }
    }

    async fn wait_for(&self, places: &Arc<Semaphore>, deadline: Instant) -> Result<OwnedSemaphorePermit, PloneError> {
        let gate = &self.inner.transport.gate;
        let _place = gate.place()?;
        let permit = timeout_at(deadline, places.clone().acquire_owned()).await;
        permit.map_err(|_| gate.refused(CallOutcome::Busy))?.map_err(|_| ending())
    }
}

type Said = oneshot::Sender<Result<StreamAnswer, StreamError>>;

/// Carries one request, on the thread of calls.
struct Carrier {
    making: Making,
    host: String,
    patience: Duration,
    pass: Pass,
    _share: OwnedSemaphorePermit,
    _visitors: Option<OwnedSemaphorePermit>,
}

impl Carrier {
    async fn carry(mut self, call: StreamCall, mut say: Said) {
        let is_upload = call.body.is_some();
        let answer = tokio::select! {
            // Whoever asked is gone.
            () = say.closed() => return,
            answer = self.ask(call) => answer,
        };
        let mut response = match answer {
            Ok(response) => response,
            Err(error) => {
                match &error {
                    // Plone may refuse an upload by ending the connection: that is its sender's doing.
                    StreamError::Plone(PloneError::Unavailable(_)) if !is_upload => {
                        self.pass.failed(CallOutcome::Failed);
                    }
                    StreamError::Late | StreamError::Plone(PloneError::Unavailable(_)) => self.pass.late(),
                    StreamError::Plone(_) | StreamError::BrokenOff => {}
                }
                // Whoever asked may be gone: then nobody needs to know.
                drop(say.send(Err(error)));
                return;
            }
        };
        let status = response.status();
        if [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT].contains(&status) {
            self.pass.failed(CallOutcome::Failed);
        } else {
            self.pass.answered();
        }
        let (pieces, body) = mpsc::channel(PIECES_MAX);
        if say.send(Ok(StreamAnswer { status, headers: response.headers().clone(), body })).is_ok() {
            self.bring(&mut response, &pieces).await;
        }
    }

    /// The answer's head. What can be asked twice is asked once more on a connection of its own.
    async fn ask(&self, call: StreamCall) -> Result<ClientResponse, StreamError> {
        let (pooled, fresh) = self.making.clients();
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
            answer => answer,
        }
    }

    /// Waits for an answer as long as anything moves.
    async fn in_time(
        &self,
        sent: impl Future<Output = Result<ClientResponse, SendRequestError>>,
        progress: &Cell<Instant>,
    ) -> Result<ClientResponse, StreamError> {
        let mut sent = std::pin::pin!(sent);
        loop {
            let seen = progress.get();
            tokio::select! {
                answer = &mut sent => return answer.map_err(|error| match error {
                    SendRequestError::Body(_) => StreamError::BrokenOff,
                    SendRequestError::Url(_) | SendRequestError::Http(_) => {
                        PloneError::Refused("the address cannot be asked for".to_owned()).into()
                    }
                    error => PloneError::Unavailable(words_of(&error)).into(),
                }),
                () = sleep_until(seen + self.patience) => {
                    if progress.get() == seen {
                        return Err(StreamError::Late);
                    }
                }
            }
        }
    }

    /// Brings the body, up to its end, or as far as it gets: then the other side misses the end.
    async fn bring(&self, response: &mut ClientResponse, pieces: &mpsc::Sender<Piece>) {
        let mut pace = Pace::begin();
        loop {
            let piece = tokio::select! {
                () = pieces.closed() => return,
                piece = timeout(self.patience, response.next()) => piece,
            };
            let piece = match piece {
                Ok(Some(Ok(piece))) => Some(piece),
                Ok(None) => None,
                Ok(Some(Err(_))) | Err(_) => return,
            };
            let is_end = piece.is_none();
            let moves = pace.moves(piece.as_ref().map_or(0, Bytes::len));
            if !moves || !matches!(timeout(CLIENT_IDLE, pieces.send(piece)).await, Ok(Ok(()))) || is_end {
                return;
            }
        }
    }
}

/// An upload as awc sends it.
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
                None => Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload broke off"))),
            }
        })
    }
}
