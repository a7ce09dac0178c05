//! Thousands of WebSocket clients (RFC 6455) that cost little processor time: they parse only the beginning of each
//! frame.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

/// Maximum number of concurrent connection attempts: fewer than the backlog of any listener.
const CONNECTING_MAX: usize = 128;
/// Maximum wait for a count, after which the benchmark panics.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The mask of every frame sent. Servers accept any value.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Counts of what all clients of a crowd received.
#[derive(Debug)]
pub struct Counters {
    pub connected: Cell<usize>,
    pub subscribed: Cell<usize>,
    pub alerts: Cell<usize>,
    pub disconnected: Cell<usize>,
    /// Bytes received, with the headers of frames and of the upgrade.
    pub bytes: Cell<usize>,
    /// When a counter last reached `expected`.
    reached_at: Cell<Instant>,
    expected: Cell<usize>,
    reached: Notify,
    last_error: RefCell<Option<String>>,
}

impl Counters {
    /// Increments a counter, and notifies the waiting task when it reaches the expected number.
    fn count(&self, counter: &Cell<usize>) {
        counter.set(counter.get() + 1);
        if counter.get() == self.expected.get() {
            self.reached_at.set(Instant::now());
            self.reached.notify_one();
        }
    }
}

/// Connected clients. Dropping it disconnects them.
pub struct Crowd {
    pub counters: Rc<Counters>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Crowd {
    /// Connects a client for each upgrade request. Each client then sends `hello`, if any. Waits until all are
    /// connected or, if they send `hello`, until all are subscribed.
    pub async fn connect(address: SocketAddr, upgrades: Vec<Vec<u8>>, hello: Option<String>) -> Self {
        let counters = Rc::new(Counters {
            connected: Cell::new(0),
            subscribed: Cell::new(0),
            alerts: Cell::new(0),
            disconnected: Cell::new(0),
            bytes: Cell::new(0),
            reached_at: Cell::new(Instant::now()),
            expected: Cell::new(usize::MAX),
            reached: Notify::new(),
            last_error: RefCell::new(None),
        });
        let connecting = Rc::new(Semaphore::new(CONNECTING_MAX));
        let hello: Rc<[u8]> = hello.map(|text| masked(0x1, text.as_bytes())).unwrap_or_default().into();
        let size = upgrades.len();
        let tasks = upgrades
            .into_iter()
            .map(|upgrade| {
                let (counters, connecting, hello) = (counters.clone(), connecting.clone(), hello.clone());
                tokio::task::spawn_local(async move {
                    if let Err(error) = client(address, upgrade, &hello, &counters, &connecting).await {
                        counters.disconnected.set(counters.disconnected.get() + 1);
                        counters.last_error.replace(Some(error.to_string()));
                    }
                })
            })
            .collect();
        let crowd = Self { counters, tasks };
        let counter = if hello.is_empty() { &crowd.counters.connected } else { &crowd.counters.subscribed };
        crowd.wait_until(counter, size, "clients connected").await;
        crowd
    }

    /// Sets how many alerts all clients together are expected to receive. Must be called before the last alert is sent:
    /// all clients may receive it before the sender reads the response.
    pub fn expect_alerts(&self, expected: usize) {
        self.counters.expected.set(expected);
    }

    /// Waits for the expected alerts. Returns the time at which the last of them arrived.
    pub async fn alerts_arrived(&self) -> Instant {
        self.wait_until(&self.counters.alerts, self.counters.expected.get(), "alerts received").await
    }

    async fn wait_until(&self, counter: &Cell<usize>, expected: usize, what: &str) -> Instant {
        self.counters.expected.set(expected);
        let enough = async {
            // The notification may be for another counter, or this one reached the number before the wait began.
            while counter.get() < expected {
                self.counters.reached.notified().await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, enough).await.is_err() {
            let (disconnected, last_error) = (self.counters.disconnected.get(), self.counters.last_error.borrow());
            panic!(
                "{} of {expected} {what} after {WAIT_MAX:?}; {disconnected} disconnected, last error: {last_error:?}",
                counter.get()
            );
        }
        self.counters.expected.set(usize::MAX);
        self.counters.reached_at.get()
    }
}

/// Returns the bytes of the request that opens a WebSocket.
pub fn upgrade(path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n"
    )
    .into_bytes()
}

/// Encodes a final, masked frame.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).expect("a short frame").to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

async fn client(
    address: SocketAddr,
    upgrade: Vec<u8>,
    hello: &[u8],
    counters: &Counters,
    connecting: &Semaphore,
) -> io::Result<()> {
    let permit = connecting.acquire().await.expect("never closed");
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&upgrade).await?;
    drop(upgrade);
    let mut buffer = vec![0; 1024];
    let mut filled = 0;
    let head_len = loop {
        let read = fill(&mut stream, &mut buffer, filled).await?;
        counters.bytes.set(counters.bytes.get() + read);
        filled += read;
        if let Some(end) = buffer[..filled].windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    if !buffer.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other(String::from_utf8_lossy(&buffer[..filled]).into_owned()));
    }
    buffer.copy_within(head_len..filled, 0);
    filled -= head_len;
    stream.write_all(hello).await?;
    counters.count(&counters.connected);
    drop(permit);
    loop {
        let mut from = 0;
        while let Some((opcode, payload, length)) = frame(&buffer[from..filled]) {
            match opcode {
                0x1 if payload.starts_with(br#"{"type":"alert","#) => counters.count(&counters.alerts),
                0x1 if is_subscribed(payload) => counters.count(&counters.subscribed),
                0x8 => return Err(io::Error::other(format!("closed: {:?}", String::from_utf8_lossy(payload)))),
                0x9 => stream.write_all(&masked(0xA, payload)).await?,
                _ => {}
            }
            from += length;
        }
        buffer.copy_within(from..filled, 0);
        filled -= from;
        let read = fill(&mut stream, &mut buffer, filled).await?;
        counters.bytes.set(counters.bytes.get() + read);
        filled += read;
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>, filled: usize) -> io::Result<usize> {
    if filled == buffer.len() {
        buffer.resize(filled * 2, 0);
    }
    let count = stream.read(&mut buffer[filled..]).await?;
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
}

/// Decodes the first unmasked frame if it is complete. Returns its opcode, its payload and its length with the header.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (head, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    Some((bytes[0] & 0x0F, bytes.get(head..head + length)?, head + length))
}

/// Returns whether a frame confirms the subscription to seats.
fn is_subscribed(payload: &[u8]) -> bool {
    payload.starts_with(br#"{"type":"subscribed","channel":"seats:"#)
}
