//! A minimal HTTP/1.1 client (RFC 9112) for generating load. A connection has one request in flight and holds no buffer
//! between requests, so that ten thousand connections cost little compared to what they measure.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rush::failure::RunFailure;

/// Timeout for connecting, and for a request with its reply.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum length of the head of a reply, in bytes.
const HEAD_LEN_MAX: usize = 32 * 1024;
/// Maximum length of the body of a reply, in bytes, if it is read.
const BODY_LEN_MAX: usize = 4 * 1024 * 1024;

thread_local! {
    /// Read buffer that all connections of a thread share.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// A server that requests are sent to.
#[derive(Debug)]
pub(super) struct Peer {
    address: SocketAddr,
    /// The value of the `Host` header.
    authority: String,
    /// The path of the base URL, which precedes the path of each request.
    prefix: String,
}

impl Peer {
    /// Resolves the server of a base URL such as `http://127.0.0.1:8080/Plone`.
    pub(super) async fn resolve(url: &str) -> Result<Rc<Self>, RunFailure> {
        let rest = url.strip_prefix("http://").ok_or_else(|| RunFailure::Tls { url: url.to_owned() })?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let name = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let no_address = |why| RunFailure::NoAddress { server: authority.to_owned(), why };
        let found = tokio::net::lookup_host(&name).await.map_err(|error| no_address(error.to_string()));
        let address = found?.next().ok_or_else(|| no_address("no address".to_owned()))?;
        let path = path.trim_end_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Rc::new(Self { address, authority: authority.to_owned(), prefix }))
    }
}

/// A request.
#[derive(Debug, Default)]
pub(super) struct Request<'r> {
    pub(super) method: &'r str,
    pub(super) path: &'r str,
    pub(super) token: Option<&'r str>,
    /// Additional headers.
    pub(super) headers: &'r [(&'r str, &'r str)],
    pub(super) body: &'r [u8],
    /// Whether to return the body of the reply; otherwise it is discarded.
    pub(super) read_body: bool,
}

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) etag: Option<Box<str>>,
    /// Empty unless [`Request::read_body`] was set.
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Returns whether the status is 2xx.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A connection to a peer, opened on demand.
pub(super) struct Connection {
    peer: Rc<Peer>,
    stream: Option<TcpStream>,
}

impl Connection {
    pub(super) fn new(peer: Rc<Peer>) -> Self {
        Self { peer, stream: None }
    }

    /// Opens the connection unless it is open.
    pub(super) async fn connect(&mut self) -> io::Result<()> {
        if self.stream.is_none() {
            let stream = timeout(REQUEST_TIMEOUT, TcpStream::connect(self.peer.address)).await??;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Sends a request and reads its reply, within [`REQUEST_TIMEOUT`]. After an error, the next request opens a new
    /// connection.
    pub(super) async fn call(&mut self, request: &Request<'_>) -> io::Result<Reply> {
        self.call_with_timeout(request, REQUEST_TIMEOUT).await
    }

    /// Sends a request and reads its reply, with a timeout other than [`REQUEST_TIMEOUT`].
    pub(super) async fn call_with_timeout(&mut self, request: &Request<'_>, limit: Duration) -> io::Result<Reply> {
        self.connect().await?;
        // Taken out of `self`, so that a call that is cancelled does not leave a half-read connection.
        let Some(mut stream) = self.stream.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        let bytes = self.encode(request);
        let exchange = async {
            stream.write_all(&bytes).await?;
            read_reply(&stream, request.read_body).await
        };
        let (reply, is_reusable) =
            timeout(limit, exchange).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if is_reusable {
            self.stream = Some(stream);
        }
        Ok(reply)
    }

    fn encode(&self, request: &Request<'_>) -> Vec<u8> {
        let Request { method, path, .. } = request;
        let mut head = format!("{method} {}{path} HTTP/1.1\r\nHost: {}\r\n", self.peer.prefix, self.peer.authority);
        // Writing to a `String` never fails, so the results below are ignored.
        if let Some(token) = request.token {
            let _ = write!(head, "Authorization: Bearer {token}\r\n");
        }
        if *method != "GET" {
            let _ = write!(head, "Content-Length: {}\r\n", request.body.len());
        }
        for (name, value) in request.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(request.body);
        bytes
    }
}

/// The relevant parts of the head of a reply.
struct Head {
    status: u16,
    etag: Option<Box<str>>,
    /// The length of the body in bytes; `None` if the body ends with the connection.
    length: Option<usize>,
    /// Whether the server closes the connection after the reply.
    closes: bool,
}

fn parse_head(text: &str) -> Option<Head> {
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut head = Head { status, etag: None, length: None, closes: false };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.length = value.parse().ok();
        } else if name.eq_ignore_ascii_case("etag") {
            head.etag = Some(value.into());
        } else if name.eq_ignore_ascii_case("connection") {
            head.closes = value.eq_ignore_ascii_case("close");
        }
    }
    if status == 204 || status == 304 {
        head.length = Some(0);
    }
    Some(head)
}

/// Reads a reply. Also returns whether the connection can be reused.
async fn read_reply(stream: &TcpStream, read_body: bool) -> io::Result<(Reply, bool)> {
    let mut received: Vec<u8> = Vec::new();
    let (head, mut body) = loop {
        if !receive(stream, |bytes| received.extend_from_slice(bytes)).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = parse_head(&String::from_utf8_lossy(&received[..end])).ok_or(io::ErrorKind::InvalidData)?;
            break (head, received.split_off(end + 4));
        }
        if received.len() > HEAD_LEN_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let mut body_len = body.len();
    if !read_body {
        body = Vec::new();
    }
    while head.length.is_none_or(|length| body_len < length) {
        let is_open = receive(stream, |bytes| {
            body_len += bytes.len();
            if read_body {
                body.extend_from_slice(bytes);
            }
        })
        .await?;
        if !is_open && head.length.is_none() && head.closes {
            break;
        }
        if !is_open {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if body.len() > BODY_LEN_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let reply = Reply { status: head.status, etag: head.etag, body };
    Ok((reply, !head.closes))
}

/// Waits for bytes and passes them to `consume`. Returns false at the end of the connection.
async fn receive(stream: &TcpStream, mut consume: impl FnMut(&[u8])) -> io::Result<bool> {
    loop {
        stream.readable().await?;
        let read = READ_BUFFER.with_borrow_mut(|buffer| {
            let len = stream.try_read(buffer)?;
            consume(&buffer[..len]);
            Ok::<_, io::Error>(len)
        });
        match read {
            Ok(len) => return Ok(len > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_head;

    #[test]
    fn the_head_of_a_reply_is_parsed() {
        let head = parse_head("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: W/\"a\"").unwrap();
        assert_eq!(
            (head.status, head.length, head.etag.as_deref(), head.closes),
            (200, Some(12), Some("W/\"a\""), false)
        );
        let head = parse_head("HTTP/1.1 204 No Content\r\nconnection: Close").unwrap();
        assert_eq!((head.status, head.length, head.closes), (204, Some(0), true));
        assert!(parse_head("nothing").is_none());
    }
}
