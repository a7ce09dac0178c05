//! Thousands of WebSocket clients that cost little processor time (RFC 6455): each parses only how a frame begins.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

/// Connections opened at once: fewer than any listener's backlog.
const CONNECTING_MAX: usize = 128;
/// Longest wait for a count; the benchmark panics after it.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Mask of every frame sent; its value does not matter to a server.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Counts of what the clients of a crowd received.
#[derive(Debug)]
pub struct Seen {
    pub connected: Cell<usize>,
    pub subscribed: Cell<usize>,
    pub alerts: Cell<usize>,
    pub hung_up: Cell<usize>,
    last: Cell<Instant>,
    wanted: Cell<usize>,
    enough: Notify,
    why: RefCell<Option<String>>,
}

impl Seen {
    fn count(&self, what: &Cell<usize>) {
        what.set(what.get() + 1);
        if what.get() == self.wanted.get() {
            self.last.set(Instant::now());
            self.enough.notify_one();
        }
    }
}

/// Connected clients. Dropping it disconnects them.
pub struct Crowd {
    pub seen: Rc<Seen>,
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
    /// Connects a client for each upgrade request. Each sends `hello`, if any, once it is connected.
    pub async fn gather(address: SocketAddr, upgrades: Vec<Vec<u8>>, hello: Option<String>) -> Self {
        let seen = Rc::new(Seen {
            connected: Cell::new(0),
            subscribed: Cell::new(0),
            alerts: Cell::new(0),
            hung_up: Cell::new(0),
            last: Cell::new(Instant::now()),
            wanted: Cell::new(usize::MAX),
            enough: Notify::new(),
            why: RefCell::new(None),
        });
        let doors = Rc::new(Semaphore::new(CONNECTING_MAX));
        let hello: Rc<[u8]> = hello.map(|text| masked(0x1, text.as_bytes())).unwrap_or_default().into();
        let size = upgrades.len();
        let tasks = upgrades
            .into_iter()
            .map(|upgrade| {
                let (seen, doors, hello) = (seen.clone(), doors.clone(), hello.clone());
                tokio::task::spawn_local(async move {
                    if let Err(error) = client(address, upgrade, &hello, &seen, &doors).await {
                        seen.hung_up.set(seen.hung_up.get() + 1);
                        seen.why.replace(Some(error.to_string()));
                    }
                })
            })
            .collect();
        let crowd = Self { seen, tasks };
        let through = if hello.is_empty() { &crowd.seen.connected } else { &crowd.seen.subscribed };
        crowd.wait_until(through, size, "clients connected").await;
        crowd
    }

    /// Sets how many alerts all clients together are to receive. Must be called before the last of them is sent: every
    /// client may have it before its sender reads the response.
    pub fn expect_alerts(&self, wanted: usize) {
        self.seen.wanted.set(wanted);
    }

    /// Waits for the expected alerts. Returns when the last of them arrived.
    pub async fn alerts_arrived(&self) -> Instant {
        self.wait_until(&self.seen.alerts, self.seen.wanted.get(), "alerts received").await
    }

    async fn wait_until(&self, counter: &Cell<usize>, wanted: usize, what: &str) -> Instant {
        self.seen.wanted.set(wanted);
        let enough = async {
            // Another counter may have reached the number, or this one before the wait began.
            while counter.get() < wanted {
                self.seen.enough.notified().await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, enough).await.is_err() {
            let (gone, why) = (self.seen.hung_up.get(), self.seen.why.borrow());
            panic!("{} of {wanted} {what} after {WAIT_MAX:?}; {gone} hung up, lastly: {why:?}", counter.get());
        }
        self.seen.wanted.set(usize::MAX);
        self.seen.last.get()
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

async fn client(address: SocketAddr, upgrade: Vec<u8>, hello: &[u8], seen: &Seen, doors: &Semaphore) -> io::Result<()> {
    let door = doors.acquire().await.expect("never closed");
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&upgrade).await?;
    drop(upgrade);
    let mut buffer = vec![0; 1024];
    let mut filled = 0;
    let head_len = loop {
        filled += fill(&mut stream, &mut buffer, filled).await?;
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
    seen.count(&seen.connected);
    drop(door);
    loop {
        let mut from = 0;
        while let Some((opcode, payload, length)) = frame(&buffer[from..filled]) {
            match opcode {
                0x1 if payload.starts_with(br#"{"type":"alert","#) => seen.count(&seen.alerts),
                0x1 if is_subscribed(payload) => seen.count(&seen.subscribed),
                0x8 => return Err(io::Error::other(format!("closed: {:?}", String::from_utf8_lossy(payload)))),
                0x9 => stream.write_all(&masked(0xA, payload)).await?,
                _ => {}
            }
            from += length;
        }
        buffer.copy_within(from..filled, 0);
        filled -= from;
        filled += fill(&mut stream, &mut buffer, filled).await?;
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>, filled: usize) -> io::Result<usize> {
    if filled == buffer.len() {
        buffer.resize(filled * 2, 0);
    }
    let count = stream.read(&mut buffer[filled..]).await?;
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
}

/// Decodes the first complete, unmasked frame: its opcode, its payload, its length with the header.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (head, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    Some((bytes[0] & 0x0F, bytes.get(head..head + length)?, head + length))
}

/// Returns whether a frame confirms the subscription to seats that each client asks for.
fn is_subscribed(payload: &[u8]) -> bool {
    payload.starts_with(br#"{"type":"subscribed","channel":"seats:"#)
}
