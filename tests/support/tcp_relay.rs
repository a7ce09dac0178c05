//! A TCP relay between the hub and Plone, or another server, that can fail in several ways. Its mode can be changed
//! while it runs.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Maximum number of concurrent connections. Further ones wait to be accepted.
const CONNECTIONS: usize = 1024;
/// The longest head of a message, in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// Maximum number of bytes that are forwarded in one piece.
const CHUNK: usize = 16 * 1024;
/// The time between two bytes in [`Mode::Drip`].
const DRIP: Duration = Duration::from_secs(1);

/// How the relay treats new connections, and open connections that were in [`Mode::Pass`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forwards in both directions.
    Pass,
    /// Resets every connection.
    Refuse,
    /// Accepts, reads, and never responds. Nothing reaches Plone, even after the mode changes.
    Hang,
    /// Responds to every request with 500 and a traceback, as a broken Plone does. Nothing reaches Plone.
    Answer500,
    /// Responds to every request with bytes that are not HTTP. Nothing reaches Plone.
    Garbage,
    /// Forwards requests, and one byte of the response per second.
    Drip,
    /// Forwards requests, and the head and half of the body of the response; then it closes the connection.
    Cut,
    /// Forwards everything except responses to POSTs: it closes the connection instead.
    LosePosts,
    /// Forwards everything except PATCHes, which are held until [`TcpRelay::deliver_oldest_patch`]. Their connections
    /// receive no response.
    HoldPatches,
}

/// A running relay. Dropping it closes its connections.
#[derive(Debug)]
pub struct TcpRelay {
    address: SocketAddr,
    /// `None` ends the relay.
    mode: watch::Sender<Option<Mode>>,
    shared: Arc<Shared>,
    target: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    accepted: AtomicUsize,
    open: AtomicUsize,
    held: Mutex<VecDeque<Vec<u8>>>,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TcpRelay {
    /// Starts a relay to `target` on a free port, in [`Mode::Pass`].
    pub fn start(target: SocketAddr) -> Self {
        let (mode, mode_receiver) = watch::channel(Some(Mode::Pass));
        let shared = Arc::new(Shared::default());
        let counted = Arc::clone(&shared);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("the listener has an address");
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            // Dropping the runtime closes every connection.
            runtime.block_on(accept(listener, target, mode_receiver, counted));
        });
        Self { address, mode, shared, target, thread: Some(thread) }
    }

    /// Returns the address that the relay listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the site behind the relay, as the setting `plone.url` expects it.
    pub fn url(&self) -> String {
        format!("http://{}/Plone", self.address)
    }

    /// Changes the mode.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(Some(mode));
    }

    /// Returns the number of connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Returns the number of PATCHes that are held.
    pub fn held(&self) -> usize {
        self.shared.held().len()
    }

    /// Forwards the oldest held PATCH and waits for Plone's response.
    pub fn deliver_oldest_patch(&self) {
        let request = self.shared.held().pop_front().expect("a PATCH is held");
        let mut connection = std::net::TcpStream::connect(self.target).expect("the target listens");
        connection.write_all(&request).expect("Plone accepts the request");
        let mut response = [0; 12];
        connection.read_exact(&mut response).expect("Plone responds");
        let response = String::from_utf8_lossy(&response);
        assert!(response.starts_with("HTTP/1.1 2"), "Plone applies the PATCH: {response}");
    }

    /// Returns the number of open connections.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.mode.send_replace(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A connection that counts as open until this value is dropped.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept(
    listener: std::net::TcpListener,
    target: SocketAddr,
    mode: watch::Receiver<Option<Mode>>,
    shared: Arc<Shared>,
) {
    let listener = TcpListener::from_std(listener).expect("a listener of this runtime");
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut ended = mode.clone();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
            (listener.accept().await, permit)
        };
        let (client, permit) = tokio::select! {
            _ = ended.wait_for(Option::is_none) => return,
            (accepted, permit) = next => match accepted {
                Ok((client, _)) => (client, permit),
                Err(_) => continue,
            },
        };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(Arc::clone(&shared));
        let (mode, shared) = (mode.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let _ = Connection { client, server: None, target, mode, shared }.serve().await;
            drop((counted, permit));
        });
    }
}

/// A client's connection, and the connection to Plone, which is opened when it is needed.
struct Connection {
    client: TcpStream,
    server: Option<TcpStream>,
    target: SocketAddr,
    mode: watch::Receiver<Option<Mode>>,
    shared: Arc<Shared>,
}

impl Connection {
    /// Serves the connection until either side closes it. When the mode changes, a connection in [`Mode::Pass`]
    /// continues in the new mode; any other connection is closed, so that no byte is missing from the middle of a
    /// response.
    async fn serve(mut self) -> io::Result<()> {
        // With Nagle's algorithm, small messages in a row, such as those of PostgreSQL, would wait for each other.
        self.client.set_nodelay(true)?;
        loop {
            let mode = *self.mode.borrow_and_update();
            let mut changed = self.mode.clone();
            match mode {
                None => return Ok(()),
                Some(Mode::Pass) if self.pass().await? => {}
                Some(Mode::Pass) => return Ok(()),
                Some(mode) => tokio::select! {
                    biased;
                    _ = changed.changed() => return Ok(()),
                    ended = self.fail(mode) => return ended,
                },
            }
        }
    }

    /// Forwards in both directions. Returns true when the mode has changed, false when a side has closed the
    /// connection.
    async fn pass(&mut self) -> io::Result<bool> {
        self.connect_to_plone().await?;
        let Some(server) = &mut self.server else { return Ok(false) };
        let mut changed = self.mode.clone();
        let (mut request, mut response) = (vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            let (to, bytes) = tokio::select! {
                biased;
                _ = changed.changed() => return Ok(true),
                count = self.client.read(&mut request) => (&mut *server, &request[..count?]),
                count = server.read(&mut response) => (&mut self.client, &response[..count?]),
            };
            if bytes.is_empty() {
                to.shutdown().await?;
                return Ok(false);
            }
            tokio::select! {
                written = to.write_all(bytes) => written?,
                // A part of the bytes may have been sent.
                _ = changed.changed() => return Ok(false),
            }
        }
    }

    /// Serves the connection in a mode other than [`Mode::Pass`].
    async fn fail(&mut self, mode: Mode) -> io::Result<()> {
        match mode {
            Mode::Pass => Ok(()),
            Mode::Refuse => self.reset(),
            Mode::Hang => self.discard().await,
            Mode::Answer500 => {
                let body =
                    r#"{"type": "RuntimeError", "message": "broken", "traceback": ["File \"/opt/plone/x.py\""]}"#;
                let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close";
                self.respond(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await
            }
            Mode::Garbage => self.respond(b"\x16\x03\x01 this is not HTTP\r\n\0\xff\xfe\r\n\r\n").await,
            Mode::Drip => self.drip().await,
            Mode::Cut => self.cut().await,
            Mode::LosePosts | Mode::HoldPatches => self.filter(mode).await,
        }
    }

    /// Connects to Plone; resets the client's connection when Plone refuses.
    async fn connect_to_plone(&mut self) -> io::Result<()> {
        if self.server.is_none() {
            match TcpStream::connect(self.target).await {
                Ok(server) => {
                    server.set_nodelay(true)?;
                    self.server = Some(server);
                }
                Err(_) => return self.reset(),
            }
        }
        Ok(())
    }

    /// Closes the connection with a reset (RFC 9293, 3.10.7.4) rather than a FIN.
    fn reset(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.client).set_linger(Some(Duration::ZERO))?;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    async fn discard(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while self.client.read(&mut buffer).await? > 0 {}
        Ok(())
    }

    /// Responds to the next request with these bytes and closes. The rest of an earlier response from Plone is sent
    /// first.
    async fn respond(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut from_client, mut to_client) = self.client.split();
        let earlier = async {
            match &mut self.server {
                Some(server) => tokio::io::copy(server, &mut to_client).await.map(drop),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            request = head(&mut from_client) => { request?; }
            ended = earlier => return ended,
        }
        self.client.write_all(bytes).await?;
        self.client.shutdown().await?;
        // Waits until the client closes: closing a socket with unread bytes would reset it and lose the response.
        self.discard().await
    }

    async fn drip(&mut self) -> io::Result<()> {
        self.connect_to_plone().await?;
        let Some(server) = &mut self.server else { return Ok(()) };
        let (mut from_client, mut to_client) = self.client.split();
        let (mut from_server, mut to_server) = server.split();
        let requests = async {
            tokio::io::copy(&mut from_client, &mut to_server).await?;
            Ok::<(), io::Error>(())
        };
        let responses = async {
            let mut byte = [0; 1];
            while from_server.read(&mut byte).await? > 0 {
                to_client.write_all(&byte).await?;
                tokio::time::sleep(DRIP).await;
            }
            Ok::<(), io::Error>(())
        };
        // When either side closes, the connection is over.
        tokio::select! { ended = requests => ended, ended = responses => ended }
    }

    async fn cut(&mut self) -> io::Result<()> {
        self.connect_to_plone().await?;
        let Some(server) = &mut self.server else { return Ok(()) };
        let (mut from_client, mut to_client) = self.client.split();
        let (mut from_server, mut to_server) = server.split();
        let response = async {
            let (head, mut body) = head(&mut from_server).await?;
            let length = content_length(&head);
            // A body without a length is cut in its first piece.
            while length.is_none_or(|length| body.len() < length) {
                let more = from_server.read_buf(&mut body).await?;
                if more == 0 || length.is_none() {
                    break;
                }
            }
            to_client.write_all(&head).await?;
            to_client.write_all(&body[..body.len() / 2]).await
        };
        tokio::select! {
            cut = response => cut?,
            ended = tokio::io::copy(&mut from_client, &mut to_server) => { ended?; }
        }
        self.client.shutdown().await
    }

    /// Forwards messages one by one, except those that the mode drops or holds.
    async fn filter(&mut self, mode: Mode) -> io::Result<()> {
        self.connect_to_plone().await?;
        let Some(server) = &mut self.server else { return Ok(()) };
        loop {
            let request = message(&mut self.client).await?;
            if mode == Mode::HoldPatches && request.starts_with(b"PATCH ") {
                self.shared.held().push_back(request);
                return self.discard().await;
            }
            server.write_all(&request).await?;
            let response = message(server).await?;
            if mode == Mode::LosePosts && request.starts_with(b"POST ") {
                return Ok(());
            }
            self.client.write_all(&response).await?;
        }
    }
}

/// Reads a message that has a `Content-Length` or no body.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let (mut bytes, body) = head(from).await?;
    let end = bytes.len() + content_length(&bytes).unwrap_or(0);
    bytes.extend(body);
    while bytes.len() < end {
        if from.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes)
}

/// Reads up to the empty line after the header. Returns the head, including that line, and the bytes read after it.
async fn head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok((read, rest));
        }
        if read.len() > HEAD_MAX || from.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// Returns the `Content-Length` of a head.
fn content_length(head: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    line.trim().parse().ok()
}
