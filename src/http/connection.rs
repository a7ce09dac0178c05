//! The connections of a worker: which of them do something, and which are ended because they do not. actix has a
//! deadline for the first request of a connection and for idle ones, but none for a later request whose head drips, and
//! it does not know how few descriptors are left.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::{Error, HttpRequest, ResponseError as _};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::error::Problem;

/// How long the head of a request may take to arrive: a few kilobytes on a slow mobile connection.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(15);
/// How long a connection may do nothing while descriptors are scarce: a client that connects in order to send a
/// request does so at once.
const SCARCE_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a connection may be silent in any case: longer than the longest `[server] keep_alive_s`, after which actix
/// closes it. actix forgets a connection that holds a part of the next request when a response ends.
const SILENT_WAIT_MAX: Duration = Duration::from_secs(3_600 + 60);
/// How often connections are examined.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// The most connections that are ended to make room for a new one. More than one, so that a flood is not followed by
/// as many searches.
const EVICTED_AT_ONCE: usize = 32;
/// Connections beyond the limit on which health checks are answered and everything else is refused.
const RESERVED: usize = 32;
/// How long a request goes on after its client has closed its end. A client that only closes its sending side, which
/// looks the same, gets its response within this time; under overload a client that has given up is not served.
const GONE_WAIT: Duration = Duration::from_millis(250);

/// What a client does that has not got its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// Nothing: no request has begun.
    Silent,
    /// The head of a request arrives.
    Head,
    /// A request is handled, or bytes are still to be sent.
    Busy,
}

/// Returns whether a connection is ended that has been in `activity` for `waited`.
fn is_overdue(activity: Activity, waited: Duration, is_scarce: bool) -> bool {
    match activity {
        Activity::Busy => false,
        Activity::Head => waited > if is_scarce { SCARCE_WAIT_MAX } else { HEAD_WAIT_MAX },
        Activity::Silent => waited > if is_scarce { SCARCE_WAIT_MAX } else { SILENT_WAIT_MAX },
    }
}

/// The number of connections of all workers, and how many there may be.
#[derive(Debug)]
pub struct Room {
    open: AtomicUsize,
    limit: usize,
    ended: AtomicUsize,
}

impl Room {
    /// Creates room for `limit` connections, and a few beyond it for health checks.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { open: AtomicUsize::new(0), limit, ended: AtomicUsize::new(0) }
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Returns the number of connections that were ended because they were silent, or refused, so far.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.ended.load(Relaxed)
    }

    /// Returns whether idle connections give way. A quarter of the room is left then.
    fn is_scarce(&self) -> bool {
        self.open() > self.limit - self.limit / 4
    }
}

/// The connections of one worker.
#[derive(Debug)]
pub struct Connections {
    room: Arc<Room>,
    all: RefCell<Vec<Weak<Connection>>>,
}

impl Connections {
    /// Creates an empty list. Must be called on the worker's thread.
    #[must_use]
    pub fn new(room: Arc<Room>) -> Rc<Self> {
        let all = Rc::new(Self { room, all: RefCell::default() });
        let weak = Rc::downgrade(&all);
        actix_web::rt::spawn(async move {
            while let Some(all) = weak.upgrade() {
                all.sweep(Instant::now());
                drop(all);
                actix_web::rt::time::sleep(SWEEP_INTERVAL).await;
            }
        });
        all
    }

    /// Accepts a connection, and makes room for it if necessary.
    ///
    /// # Errors
    /// When there is no room, and every connection is busy. The connection is closed.
    pub fn accept(&self, io: TcpStream) -> io::Result<Guarded> {
        let now = Instant::now();
        let open = self.room.open.fetch_add(1, Relaxed);
        let connection = Rc::new(Connection {
            activity: Cell::new(Activity::Silent),
            since: Cell::new(now),
            is_ended: Cell::new(false),
            is_gone: Cell::new(false),
            is_reserved: open >= self.room.limit,
            waker: RefCell::default(),
            room: self.room.clone(),
        });
        if open >= self.room.limit {
            self.evict();
        }
        if open >= self.room.limit + RESERVED {
            self.room.ended.fetch_add(1, Relaxed);
            return Err(io::Error::other("too many connections"));
        }
        self.all.borrow_mut().push(Rc::downgrade(&connection));
        Ok(Guarded { io, connection, is_blocked: false })
    }

    fn sweep(&self, now: Instant) {
        let is_scarce = self.room.is_scarce();
        self.all.borrow_mut().retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            let waited = now.saturating_duration_since(connection.since.get());
            if is_overdue(connection.activity.get(), waited, is_scarce) {
                connection.end();
            }
            true
        });
    }

    /// Ends the connections that have done nothing for the longest time.
    fn evict(&self) {
        let all = self.all.borrow();
        let mut idle: Vec<_> = all.iter().filter_map(Weak::upgrade).filter(|c| c.may_be_evicted()).collect();
        if idle.len() > EVICTED_AT_ONCE {
            idle.select_nth_unstable_by_key(EVICTED_AT_ONCE, |connection| connection.since.get());
        }
        idle.iter().take(EVICTED_AT_ONCE).for_each(|connection| connection.end());
    }
}

/// One connection, as its requests see it.
#[derive(Debug)]
pub struct Connection {
    activity: Cell<Activity>,
    since: Cell<Instant>,
    is_ended: Cell<bool>,
    is_gone: Cell<bool>,
    /// Accepted beyond the limit: for health checks only.
    is_reserved: bool,
    waker: RefCell<Option<Waker>>,
    room: Arc<Room>,
}

impl Connection {
    fn set(&self, activity: Activity) {
        self.activity.set(activity);
        self.since.set(Instant::now());
    }

    fn may_be_evicted(&self) -> bool {
        self.activity.get() != Activity::Busy && !self.is_ended.get()
    }

    fn end(&self) {
        if !self.is_ended.replace(true) {
            self.room.ended.fetch_add(1, Relaxed);
        }
        // The connection's task sees the end when it reads.
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.room.open.fetch_sub(1, Relaxed);
    }
}

/// Waits until the client has closed its end of a request's connection and [`GONE_WAIT`] has passed. Must be polled by
/// the task of the connection, which is woken when the client closes.
pub async fn gone(request: &HttpRequest) {
    let started = Instant::now();
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    std::future::poll_fn(|_| match &connection {
        Some(connection) if connection.is_gone.get() && started.elapsed() > GONE_WAIT => Poll::Ready(()),
        Some(_) | None => Poll::Pending,
    })
    .await;
}

/// A connection whose reads end when [`Connections`] ends it.
#[derive(Debug)]
pub struct Guarded {
    io: TcpStream,
    connection: Rc<Connection>,
    is_blocked: bool,
}

impl Guarded {
    /// Returns the TCP connection.
    #[must_use]
    pub const fn tcp(&self) -> &TcpStream {
        &self.io
    }

    /// Returns what requests see of the connection.
    #[must_use]
    pub fn connection(&self) -> Rc<Connection> {
        self.connection.clone()
    }

    /// Says goodbye to a client whose request took too long. Nothing else is being sent then.
    fn say_late(&mut self, cx: &mut Context<'_>) {
        const LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        if self.connection.activity.get() == Activity::Head && !self.is_blocked {
            // Best effort: a client whose connection is full does not read.
            let _ = Pin::new(&mut self.io).poll_write(cx, LATE);
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = self.connection.clone();
        if connection.is_ended.get() && connection.activity.get() != Activity::Busy {
            self.say_late(cx);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                if connection.activity.get() == Activity::Silent {
                    connection.set(Activity::Head);
                }
            }
            Poll::Ready(_) => connection.is_gone.set(true),
            Poll::Pending => {
                let mut waker = connection.waker.borrow_mut();
                if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                    *waker = Some(cx.waker().clone());
                }
            }
        }
        polled
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.is_blocked = polled.is_pending();
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Marks a connection as busy until the response has been sent.
struct Busy(Option<Rc<Connection>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.set(Activity::Silent);
        }
    }
}

/// A response body that marks its connection as busy until it has been sent.
pub struct Tracked<B> {
    body: B,
    _busy: Busy,
}

impl<B: MessageBody + Unpin> MessageBody for Tracked<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Middleware that marks connections as busy while their requests are handled, and refuses all but health checks on the
/// connections that are reserved for them.
///
/// # Errors
/// Those of the inner services.
pub async fn track<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Tracked<EitherBody<BoxBody, BoxBody>>>, Error> {
    let connection = req.conn_data::<Rc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.set(Activity::Busy);
    }
    let is_reserved = connection.as_ref().is_some_and(|connection| connection.is_reserved);
    let busy = Busy(connection);
    let response = if is_reserved && !matches!(req.path(), "/healthz" | "/readyz" | "/metrics") {
        let mut refused = Problem::overloaded().error_response();
        refused.head_mut().set_connection_type(ConnectionType::Close);
        req.into_response(refused).map_into_right_body()
    } else {
        next.call(req).await?.map_into_boxed_body().map_into_left_body()
    };
    Ok(response.map_body(|_, body| Tracked { body, _busy: busy }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_without_a_request_are_overdue() {
        let s = Duration::from_secs;
        // Whether it is overdue with enough descriptors, and when they are scarce.
        let table = [
            (Activity::Busy, s(3_600), false, false),
            (Activity::Silent, s(2), false, false),
            (Activity::Silent, s(3), false, true),
            (Activity::Silent, s(3_600), false, true),
            (Activity::Silent, s(3_661), true, true),
            (Activity::Head, s(2), false, false),
            (Activity::Head, s(3), false, true),
            (Activity::Head, s(15), false, true),
            (Activity::Head, s(16), true, true),
        ];
        for (activity, waited, enough, scarce) in table {
            let overdue = (is_overdue(activity, waited, false), is_overdue(activity, waited, true));
            assert_eq!(overdue, (enough, scarce), "{activity:?} for {waited:?}");
        }
    }
}
