//! Middleware that watches how request bodies arrive. actix reads a body only as fast as the handler asks for it, has
//! no deadline for it, and after a response to a partly read body either closes the connection or, for a chunked body,
//! keeps reading without end. So this middleware
//! - rejects a request with 408 if its body arrives slower than [`Pace`] allows, and closes its connection;
//! - reads the rest of a small body that the handler did not read, so that the connection can be used again. Otherwise
//!   that would depend on whether the body arrived before the handler finished, which a client cannot foresee;
//! - closes the connection, and says so in `Connection`, if the rest is large or does not arrive.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, ResponseError as _};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::http::error::Problem;
use crate::http::problem::ProblemCode;
use crate::plone::proxy::has_body;

/// How long the hub waits for a body in total, besides the time that [`PACE_MIN`] allows for its bytes: longer than a
/// phone is offline in a tunnel.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The slowest pace of a body, in bytes a second: a quarter of a slow mobile connection.
const PACE_MIN: u64 = 4 * 1024;
/// Maximum number of bytes that are read and discarded after a handler has finished: the length of the largest JSON
/// body.
const REST_LEN_MAX: u64 = 64 * 1024;
/// The longest wait for the rest of a body whose handler has finished. The response waits for it, too.
const REST_WAIT_MAX: Duration = Duration::from_secs(1);

/// The pace of a body. Only the time that is spent waiting for the client counts, not that of the handler.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    bytes: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl Pace {
    /// Records that the next bytes have not arrived yet. Returns the time after which they are too late.
    fn wait(&mut self, now: Instant) -> Instant {
        let since = *self.waiting_since.get_or_insert(now);
        let allowed = WAIT_MAX + Duration::from_millis(self.bytes.saturating_mul(1_000) / PACE_MIN);
        since + allowed.saturating_sub(self.waited)
    }

    /// Records bytes that arrived.
    fn arrived(&mut self, bytes: usize, now: Instant) {
        self.bytes += bytes as u64;
        let waited = self.waiting_since.take().map(|since| now.saturating_duration_since(since));
        self.waited += waited.unwrap_or_default();
    }
}

/// The body of a request, which the handler and this middleware share.
struct Body {
    payload: RefCell<Payload>,
    declared: Option<u64>,
    pace: Cell<Pace>,
    deadline: RefCell<Option<Pin<Box<Sleep>>>>,
    is_ended: Cell<bool>,
    is_late: Cell<bool>,
}

impl Body {
    fn new(payload: Payload, headers: &HeaderMap) -> Self {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        Self {
            payload: RefCell::new(payload),
            declared,
            pace: Cell::default(),
            deadline: RefCell::default(),
            is_ended: Cell::new(false),
            is_late: Cell::new(false),
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        if self.is_ended.get() || self.is_late.get() {
            return Poll::Ready(None);
        }
        let mut pace = self.pace.get();
        let polled = self.payload.borrow_mut().poll_next_unpin(cx);
        let Poll::Ready(item) = polled else {
            let late_at = pace.wait(Instant::now());
            self.pace.set(pace);
            ready!(self.poll_deadline(late_at, cx));
            self.is_late.set(true);
            return Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))));
        };
        match &item {
            Some(Ok(bytes)) => pace.arrived(bytes.len(), Instant::now()),
            Some(Err(_)) | None => self.is_ended.set(true),
        }
        self.pace.set(pace);
        Poll::Ready(item)
    }

    fn poll_deadline(&self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut deadline = self.deadline.borrow_mut();
        let sleep = deadline.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }

    /// Returns whether all of the body has been read. A handler that knows the length may stop reading before the end
    /// of the stream.
    fn is_complete(&self) -> bool {
        self.is_ended.get() || self.declared == Some(self.pace.get().bytes)
    }

    /// Reads and discards the rest of a body that the handler did not read, if it is small and arrives soon.
    async fn discard_rest(self: &Rc<Self>) {
        let read = self.pace.get().bytes;
        if self.declared.is_some_and(|all| all - read.min(all) > REST_LEN_MAX) {
            return;
        }
        let mut rest = Arriving(self.clone());
        let discard = async {
            while let Some(Ok(_)) = rest.next().await {
                if self.pace.get().bytes - read > REST_LEN_MAX {
                    break;
                }
            }
        };
        // What has not arrived by then stays unread, and the connection is closed.
        let _ = timeout(REST_WAIT_MAX, discard).await;
    }
}

/// The handler's side of a body.
struct Arriving(Rc<Body>);

impl Stream for Arriving {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx)
    }
}

/// A response body that keeps an unread request body until the response has been sent. While this body exists, actix
/// closes the connection after the response instead of reading the rest without end.
struct BeforeClose {
    body: BoxBody,
    _unread: Rc<Body>,
}

impl MessageBody for BeforeClose {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Middleware that bounds how long request bodies take to arrive. It reads the rest of a body, or closes the
/// connection.
///
/// # Errors
/// Those of the inner services.
pub async fn arrival<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    // The upgrade to a WebSocket is a GET without a body; its payload is the WebSocket.
    if req.method() == Method::GET && !has_body(req.headers()) {
        return Ok(next.call(req).await?.map_into_left_body());
    }
    let payload = req.take_payload();
    if matches!(payload, Payload::None) {
        return Ok(next.call(req).await?.map_into_left_body());
    }
    let body = Rc::new(Body::new(payload, req.headers()));
    req.set_payload(Payload::Stream { payload: Box::pin(Arriving(body.clone())) });
    let response = next.call(req).await?;
    let is_handler_done = Rc::strong_count(&body) == 1;
    if is_handler_done && !body.is_late.get() && !body.is_complete() {
        body.discard_rest().await;
    }
    if body.is_complete() {
        return Ok(response.map_into_left_body());
    }
    let mut response = if body.is_late.get() {
        response.into_response(late().error_response())
    } else {
        response.map_into_boxed_body()
    };
    response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    let held = response.map_body(|_, sent| BoxBody::new(BeforeClose { body: sent, _unread: body }));
    Ok(held.map_into_right_body())
}

fn late() -> Problem {
    let detail = "The request took too long to arrive and nothing was changed. Check your connection and try again.";
    Problem::new(ProblemCode::BodyLate, detail)
}

#[cfg(test)]
#[path = "arrival_tests.rs"]
mod tests;
