//! Tracks what the connections of a worker are doing, and ends those that are idle or too slow. actix has a deadline
//! for the first request of a connection and for idle ones, but none for a later request whose head arrives a byte at a
//! time, and it does not know how few file descriptors are left.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::{Error, HttpRequest, ResponseError as _};
use bytes::Bytes;
use dashmap::DashMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::error::Problem;
use crate::http::pieces::in_pieces;
use crate::http::site::Site;
use crate::identity::limits::AddressKey;

/// How long the head of a request may take to arrive: a few kilobytes on a slow mobile connection.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(15);
/// How long a connection may be silent, or the head of its request may take, while descriptors are scarce: a client
/// that connects in order to send a request sends it at once.
const SCARCE_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a client may take to read a response whose memory is bounded, besides the time that [`SEND_PACE_MIN`]
/// allows for its bytes: longer than a phone is offline in a tunnel.
const SEND_WAIT_MAX: Duration = Duration::from_secs(30);
/// The slowest rate at which such a response may be read, in bytes a second: a quarter of a slow mobile connection.
const SEND_PACE_MIN: u64 = 4 * 1024;
/// How much longer than actix's own deadlines a connection may be silent. This catches the connections that actix
/// misses: it sets no deadline if part of the next request has arrived when a response ends.
const SILENT_EXTRA: Duration = Duration::from_secs(10);
/// How often connections are examined.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of connections that are ended to make room for a new one. It is more than one, so that a flood of
/// connections does not cause a search for each of them.
const EVICTED_AT_ONCE: usize = 32;
/// The shortest time between two searches for connections to end, for each connection that a search examines. Examining
/// one takes about 10 ns, so a flood of connections costs about a hundredth of a worker's time.
const SEARCH_INTERVAL: Duration = Duration::from_micros(1);
/// How many times a new connection without room lets the other tasks of its thread run, so that the connections that
/// were ended for it close.
const ROOM_YIELDS: usize = 8;
/// How many times it then waits for [`ROOM_WAIT`] before it is refused: enough to examine a burst of connections.
const ROOM_WAITS: usize = 50;
/// See [`ROOM_WAITS`].
const ROOM_WAIT: Duration = Duration::from_millis(1);
/// Number of connections beyond the limit. On these, only health checks and metrics are served.
pub const RESERVED: usize = 32;
/// The shortest time for which a request waits for its result, even if its client has closed its end: a client that has
/// closed only its sending side looks the same. Under overload, a client that has given up is not served.
const GONE_WAIT: Duration = Duration::from_millis(250);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// No request has begun.
    Silent,
    /// The head of a request is arriving.
    Head,
    /// A request is being handled, or its response is being produced.
    Busy,
}

/// Returns whether to end a connection that has been in `activity` for `waited`.
fn is_overdue(activity: Activity, waited: Duration, is_scarce: bool, silent_max: Duration) -> bool {
    match activity {
        Activity::Busy => false,
        Activity::Head => waited > if is_scarce { SCARCE_WAIT_MAX } else { HEAD_WAIT_MAX },
        Activity::Silent => waited > if is_scarce { SCARCE_WAIT_MAX } else { silent_max },
    }
}

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Maximum number of connections in total.
    pub connections: usize,
    /// Maximum number of connections from one address on which no signed-in user has sent a request; 0 for no limit.
    pub visitors_per_address: usize,
    /// actix's longest deadline for a connection that is silent.
    pub silent_max: Duration,
}

/// The number of connections of all workers, and how many there may be.
#[derive(Debug)]
pub struct Room {
    limits: RoomLimits,
    /// The addresses of trusted proxies, whose connections carry the requests of many clients.
    site: Site,
    open: AtomicUsize,
    waiting: AtomicUsize,
    visitors: DashMap<AddressKey, usize>,
    ended: AtomicU64,
    refused: AtomicU64,
}

impl Room {
    /// Creates room within `limits`, and for a few connections beyond them, for health checks.
    #[must_use]
    pub fn new(limits: RoomLimits, site: Site) -> Self {
        let (open, ended, refused) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
        // One address must not take all connections, even if the limit is low.
        let visitors_per_address = match limits.visitors_per_address {
            0 => usize::MAX,
            most => most.min(limits.connections / 2),
        };
        Self {
            limits: RoomLimits { visitors_per_address, ..limits },
            site,
            open,
            waiting: AtomicUsize::new(0),
            visitors: DashMap::new(),
            ended,
            refused,
        }
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Returns how many connections the hub ended because they were idle or too slow, and how many it refused.
    #[must_use]
    pub fn ended(&self) -> [(&'static str, u64); 2] {
        [("idle", self.ended.load(Relaxed)), ("refused", self.refused.load(Relaxed))]
    }

    /// Returns whether less than a quarter of the room is left. Idle connections are then ended sooner.
    fn is_scarce(&self) -> bool {
        self.open() > self.limits.connections - self.limits.connections / 4
    }

    /// Counts a connection from `peer` and returns its address; `None` without a limit per address or without `peer`.
    fn enter(&self, peer: Option<IpAddr>) -> Option<AddressKey> {
        let address = peer.filter(|_| self.limits.visitors_per_address < usize::MAX).map(AddressKey::from)?;
        *self.visitors.entry(address).or_default() += 1;
        Some(address)
    }

    /// Returns the number of visitors' connections from an address.
    fn visitors_at(&self, address: AddressKey) -> usize {
        self.visitors.get(&address).map_or(0, |count| *count)
    }

    fn leave(&self, address: AddressKey) {
        if let Some(mut count) = self.visitors.get_mut(&address) {
            *count = count.saturating_sub(1);
        }
        self.visitors.remove_if(&address, |_, count| *count == 0);
    }
}

/// A new connection that waits for room.
struct Waiting<'r>(&'r Room);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// The connections of one worker.
#[derive(Debug)]
pub struct Connections {
    room: Arc<Room>,
    all: RefCell<Vec<Weak<Connection>>>,
    searched_at: Cell<Option<Instant>>,
}

impl Connections {
    /// Creates an empty list, and examines it every [`SWEEP_INTERVAL`]. Must be called on the worker's thread.
    #[must_use]
    pub fn new(room: Arc<Room>) -> Rc<Self> {
        let all = Rc::new(Self { room, all: RefCell::default(), searched_at: Cell::default() });
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
    /// When there is still no room after the last wait. The connection is closed.
    pub async fn accept(self: Rc<Self>, io: TcpStream) -> io::Result<Guarded> {
        let connection = Rc::new(Connection {
            activity: Cell::new(Activity::Silent),
            since: Cell::new(Instant::now()),
            is_ended: Cell::new(false),
            is_gone: Cell::new(false),
            is_reserved: self.room.open.fetch_add(1, Relaxed) >= self.room.limits.connections,
            address: Cell::new(self.room.enter(io.peer_addr().ok().map(|peer| peer.ip()))),
            waker: RefCell::default(),
            send_by: Cell::default(),
            room: self.room.clone(),
        });
        self.room.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.room);
        for turn in 0..ROOM_YIELDS + ROOM_WAITS {
            if self.make_room(&connection) {
                self.all.borrow_mut().push(Rc::downgrade(&connection));
                return Ok(Guarded { io, connection, is_blocked: false });
            }
            if turn < ROOM_YIELDS {
                tokio::task::yield_now().await;
            } else {
                actix_web::rt::time::sleep(ROOM_WAIT).await;
            }
        }
        self.room.refused.fetch_add(1, Relaxed);
        Err(io::Error::other("too many connections"))
    }

    /// Returns whether there is room for a new connection. Ends others if there is none.
    fn make_room(&self, new: &Connection) -> bool {
        let (open, limits) = (self.room.open(), &self.room.limits);
        if open > limits.connections {
            self.evict(|_| true);
        }
        let visitors = new.address.get().map_or(0, |address| self.room.visitors_at(address));
        if visitors > limits.visitors_per_address {
            self.evict(|other| other.address.get() == new.address.get());
        }
        // The connections that were ended just now are still counted.
        let is_crowded = visitors > limits.visitors_per_address.saturating_add(EVICTED_AT_ONCE);
        // Other waiting connections are not counted, so that in a flood they do not keep each other from free room.
        let open = (open + 1).saturating_sub(self.room.waiting.load(Relaxed));
        open <= limits.connections + RESERVED && !is_crowded
    }

    fn sweep(&self, now: Instant) {
        let is_scarce = self.room.is_scarce();
        self.all.borrow_mut().retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            let waited = now.saturating_duration_since(connection.since.get());
            let silent_max = self.room.limits.silent_max + SILENT_EXTRA;
            let is_overdue = is_overdue(connection.activity.get(), waited, is_scarce, silent_max);
            if is_overdue || connection.is_send_late(now) {
                connection.end();
            }
            true
        });
    }

    /// Ends those of the `eligible` connections that have been idle for the longest time.
    fn evict(&self, eligible: impl Fn(&Connection) -> bool) {
        let (all, now) = (self.all.borrow(), Instant::now());
        let interval = SEARCH_INTERVAL * u32::try_from(all.len()).unwrap_or(u32::MAX);
        if self.searched_at.get().is_some_and(|at| now.saturating_duration_since(at) < interval) {
            return;
        }
        self.searched_at.set(Some(now));
        let live = all.iter().filter_map(Weak::upgrade);
        let mut idle: Vec<_> = live.filter(|connection| connection.may_be_evicted() && eligible(connection)).collect();
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
    pub(super) is_gone: Cell<bool>,
    /// Whether it was accepted beyond the limit, for health checks and metrics only.
    is_reserved: bool,
    /// The address for which the connection counts as a visitor's; `None` if there is no limit, or once a signed-in
    /// user or a trusted proxy has sent a request.
    address: Cell<Option<AddressKey>>,
    waker: RefCell<Option<Waker>>,
    /// The deadline for sending the current response.
    send_by: Cell<Option<Instant>>,
    room: Arc<Room>,
}

impl Connection {
    fn set(&self, activity: Activity) {
        if activity != Activity::Busy {
            self.send_by.set(None);
        }
        self.activity.set(activity);
        self.since.set(Instant::now());
    }

    /// Ends the connection when its client does not read a response of this length in time. For responses whose memory
    /// is bounded: a few clients that read slowly would otherwise keep all of it.
    pub fn send_within_pace(&self, len: usize) {
        let pace = Duration::from_millis((len as u64).saturating_mul(1_000) / SEND_PACE_MIN);
        self.send_by.set(Some(Instant::now() + SEND_WAIT_MAX + pace));
    }

    fn is_send_late(&self, now: Instant) -> bool {
        self.send_by.get().is_some_and(|by| by < now)
    }

    /// Records that a signed-in user or a trusted proxy sent a request, so that the connection no longer counts as a
    /// visitor's.
    pub fn signed_in(&self) {
        if let Some(address) = self.address.take() {
            self.room.leave(address);
        }
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
        self.signed_in();
    }
}

/// Waits until the client has closed its end of a request's connection, and until [`GONE_WAIT`] has passed since this
/// was called. Must be polled by the task of the connection, which is woken when the client closes. No timer runs
/// before that.
pub async fn gone(request: &HttpRequest) {
    let Some(connection) = request.conn_data::<Rc<Connection>>().cloned() else { return std::future::pending().await };
    let started = Instant::now();
    std::future::poll_fn(|_| if connection.is_gone.get() { Poll::Ready(()) } else { Poll::Pending }).await;
    actix_web::rt::time::sleep(GONE_WAIT.saturating_sub(started.elapsed())).await;
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

    /// Returns the connection as its requests see it.
    #[must_use]
    pub fn connection(&self) -> Rc<Connection> {
        self.connection.clone()
    }

    /// Sends 408 to a client whose request head took too long. No response is being sent at that time.
    fn send_late(&mut self, cx: &mut Context<'_>) {
        const LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        if self.connection.activity.get() == Activity::Head && !self.is_blocked {
            // Best effort: if the connection's send buffer is full, its client is not reading.
            let _ = Pin::new(&mut self.io).poll_write(cx, LATE);
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = self.connection.clone();
        if connection.is_ended.get() && connection.activity.get() != Activity::Busy {
            self.send_late(cx);
            return Poll::Ready(Ok(()));
        }
        let (before, has_space) = (buf.filled().len(), buf.remaining() > 0);
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                if connection.activity.get() == Activity::Silent {
                    connection.set(Activity::Head);
                }
            }
            Poll::Ready(_) => connection.is_gone.set(has_space),
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
        if self.connection.is_ended.get() && self.connection.is_send_late(Instant::now()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.is_blocked = polled.is_pending();
        if polled.is_ready() && self.connection.activity.get() == Activity::Silent {
            // The client is still reading the end of a response.
            self.connection.since.set(Instant::now());
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A guard that marks a connection as busy until the response has been produced.
struct Busy(Option<Rc<Connection>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.set(Activity::Silent);
        }
    }
}

/// A response body that marks its connection as busy until the body has been produced.
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

/// Middleware that marks connections as busy while their requests are handled, and refuses all but health checks and
/// metrics on the connections that are reserved for these.
///
/// # Errors
/// Those of the inner services.
pub async fn track<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Tracked<BoxBody>>, Error> {
    let connection = req.conn_data::<Rc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.set(Activity::Busy);
        if req.peer_addr().is_some_and(|peer| connection.room.site.is_forwarded(peer.ip(), req.headers())) {
            connection.signed_in();
        }
    }
    // Connections may have closed since this one was accepted, so that it is no longer beyond the limit.
    let is_reserved =
        connection.as_ref().is_some_and(|it| it.is_reserved && it.room.open() > it.room.limits.connections);
    let busy = Busy(connection);
    let response = if is_reserved && !matches!(req.path(), "/healthz" | "/readyz" | "/metrics") {
        let mut refused = Problem::overloaded().error_response();
        refused.head_mut().set_connection_type(ConnectionType::Close);
        req.into_response(refused)
    } else {
        next.call(req).await?.map_into_boxed_body()
    };
    Ok(response.map_body(|_, body| Tracked { body: in_pieces(body), _busy: busy }))
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
