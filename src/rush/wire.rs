//! A small HTTP/1.1 client (RFC 9112) for load: one connection, one request under way, and no buffer of its own between
//! requests, so that ten thousand of them cost little beside what they measure.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take; whoever waits longer has gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The longest head of an answer that is read.
const HEAD_LEN_MAX: usize = 32 * 1024;
/// The longest body that is kept.
const BODY_LEN_MAX: usize = 4 * 1024 * 1024;

thread_local! {
    /// What comes off any connection of this thread passes through here.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Whom requests are sent to.
#[derive(Debug)]
pub(super) struct Peer {
    address: SocketAddr,
    authority: String,
    /// What every path begins with.
    prefix: String,
}

impl Peer {
    /// Finds the server of a URL such as `http://127.0.0.1:8080/Plone`.
    pub(super) async fn find(url: &str) -> Result<Rc<Self>, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| {
            format!("{url} does not begin with http://: load is sent beside the server, not through TLS")
        })?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let name = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let found = tokio::net::lookup_host(&name).await.map_err(|error| format!("{authority}: {error}"))?;
        let address = found.into_iter().next().ok_or_else(|| format!("{authority} has no address"))?;
        let path = path.trim_end_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Rc::new(Self { address, authority: authority.to_owned(), prefix }))
    }
}

/// A request, before it is written.
#[derive(Debug, Default)]
pub(super) struct Request<'r> {
    pub(super) method: &'r str,
    pub(super) path: &'r str,
    pub(super) token: Option<&'r str>,
    /// Further lines of the head.
    pub(super) headers: &'r [(&'r str, &'r str)],
    pub(super) body: &'r [u8],
    /// Whether the answer's body is wanted.
    pub(super) keep: bool,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) etag: Option<Box<str>>,
    /// Empty unless it was wanted.
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Returns whether the status is 2xx.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// One connection; made when it is needed.
pub(super) struct Wire {
    peer: Rc<Peer>,
    stream: Option<TcpStream>,
}

impl Wire {
    pub(super) fn new(peer: Rc<Peer>) -> Self {
        Self { peer, stream: None }
    }

    /// Connects, unless it is connected.
    pub(super) async fn connect(&mut self) -> io::Result<()> {
        if self.stream.is_none() {
            let stream = timeout(PATIENCE, TcpStream::connect(self.peer.address)).await??;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Sends a request and reads its answer. After an error the next request goes over a new connection.
    pub(super) async fn call(&mut self, request: &Request<'_>) -> io::Result<Reply> {
        self.call_within(request, PATIENCE).await
    }

    /// The same with another bound.
    pub(super) async fn call_within(&mut self, request: &Request<'_>, patience: Duration) -> io::Result<Reply> {
        self.connect().await?;
        // Taken out: a call that is given up in the middle leaves no half-read connection behind.
        let Some(mut stream) = self.stream.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        let bytes = self.bytes_of(request);
        let exchange = async {
            stream.write_all(&bytes).await?;
            read(&stream, request.keep).await
        };
        let (reply, goes_on) =
            timeout(patience, exchange).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if goes_on {
            self.stream = Some(stream);
        }
        Ok(reply)
    }

    fn bytes_of(&self, request: &Request<'_>) -> Vec<u8> {
        let Request { method, path, .. } = request;
        let mut head = format!("{method} {}{path} HTTP/1.1\r\nHost: {}\r\n", self.peer.prefix, self.peer.authority);
        // Writing to a string does not fail.
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

/// What the head of an answer says.
struct Head {
    status: u16,
    etag: Option<Box<str>>,
    length: Option<usize>,
    closes: bool,
}

fn head_of(text: &str) -> Option<Head> {
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

/// Reads an answer; and whether the connection can be used again.
async fn read(stream: &TcpStream, keep: bool) -> io::Result<(Reply, bool)> {
    let mut text: Vec<u8> = Vec::new();
    let (head, mut body) = loop {
        if !receive(stream, |piece| text.extend_from_slice(piece)).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = head_of(&String::from_utf8_lossy(&text[..end])).ok_or(io::ErrorKind::InvalidData)?;
            break (head, text.split_off(end + 4));
        }
        if text.len() > HEAD_LEN_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let mut got = body.len();
    if !keep {
        body = Vec::new();
    }
    // Without a length, the end of the connection is the end of the body.
    while head.length.is_none_or(|length| got < length) {
        let goes_on = receive(stream, |piece| {
            got += piece.len();
            if keep {
                body.extend_from_slice(piece);
            }
        })
        .await?;
        if !goes_on && head.length.is_none() && head.closes {
            break;
        }
        if !goes_on {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if body.len() > BODY_LEN_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let reply = Reply { status: head.status, etag: head.etag, body };
    Ok((reply, !head.closes))
}

/// Hands over what has come; false at the end of the connection.
async fn receive(stream: &TcpStream, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
    loop {
        stream.readable().await?;
        let got = SCRATCH.with_borrow_mut(|scratch| {
            let got = stream.try_read(scratch)?;
            take(&scratch[..got]);
            Ok::<_, io::Error>(got)
        });
        match got {
            Ok(got) => return Ok(got > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::head_of;

    #[test]
    fn a_head_says_how_long_the_body_is_and_whether_the_connection_ends() {
        let head = head_of("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: W/\"a\"").unwrap();
        assert_eq!(
            (head.status, head.length, head.etag.as_deref(), head.closes),
            (200, Some(12), Some("W/\"a\""), false)
        );
        let head = head_of("HTTP/1.1 204 No Content\r\nconnection: Close").unwrap();
        assert_eq!((head.status, head.length, head.closes), (204, Some(0), true));
        assert!(head_of("nothing").is_none());
    }
}
