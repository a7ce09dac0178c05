//! An HTTP load generator that costs little processor time: each user has one connection, requests are prepared as
//! bytes, and only the needed parts of responses are parsed.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Maximum wait for a response, after which the benchmark panics.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A persistent connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The parts of a response that the benchmark reads.
pub struct Reply<'a> {
    pub status: u16,
    pub head: &'a [u8],
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 2048] })
    }

    /// Sends a request and waits for its response.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let (head_len, body_len) = loop {
            filled += self.read_at(filled).await?;
            if let Some(lengths) = lengths(&self.buffer[..filled])? {
                break lengths;
            }
        };
        while filled < head_len + body_len {
            filled += self.read_at(filled).await?;
        }
        let (head, body) = self.buffer[..head_len + body_len].split_at(head_len);
        let status = head.get(9..12).and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok());
        Ok(Reply { status: status.ok_or_else(|| io::Error::other("no status"))?, head, body })
    }

    async fn read_at(&mut self, filled: usize) -> io::Result<usize> {
        if filled == self.buffer.len() {
            self.buffer.resize(filled * 2, 0);
        }
        let count = self.stream.read(&mut self.buffer[filled..]).await?;
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
    }
}

/// Returns the lengths of head and body, once the head is complete.
fn lengths(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let head = &bytes[..end + 4];
    let length = match (field(head, b"content-length:"), head.get(9..12)) {
        (Some(value), _) => std::str::from_utf8(value).ok().and_then(|v| v.trim().parse().ok()),
        (None, Some(b"304" | b"204")) => Some(0),
        _ => None,
    };
    let length = length.ok_or_else(|| io::Error::other(format!("no length: {}", String::from_utf8_lossy(head))))?;
    Ok(Some((head.len(), length)))
}

/// Returns the value of a header field; `name` is in lower case with its colon.
pub fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let line =
        head.split(|b| *b == b'\n').find(|l| l.len() >= name.len() && l[..name.len()].eq_ignore_ascii_case(name));
    line.map(|line| line[name.len()..].trim_ascii())
}

/// Returns the bytes of a signed-in user's request.
pub fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let json = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n{json}Content-Length: {}\r\n\
         \r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The measured period. Requests that begin before it only warm up the hub.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub begins: Instant,
    pub ends: Instant,
}

impl Window {
    /// Creates a window of `length` that begins after `warm_up`.
    pub fn after(warm_up: Duration, length: Duration) -> Self {
        let begins = Instant::now() + warm_up;
        Self { begins, ends: begins + length }
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.ends
    }

    /// Returns whether a request is within the window.
    pub fn contains(&self, begun: Instant, ended: Instant) -> bool {
        self.begins <= begun && ended <= self.ends
    }
}

/// Waits for a response for at most [`RESPONSE_TIMEOUT`].
///
/// # Panics
///
/// When there is no response, or an error: the benchmark has failed.
pub async fn expect_response<T>(what: &str, response: impl Future<Output = io::Result<T>>) -> T {
    match tokio::time::timeout(RESPONSE_TIMEOUT, response).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => panic!("{what}: {error}"),
        Err(_) => panic!("{what}: no response after {RESPONSE_TIMEOUT:?}"),
    }
}
