//! A WebSocket client that waits for frames, with a deadline.

use std::io::{ErrorKind, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

use super::WAIT_MAX;

/// The longest time that one read blocks before the deadline is checked.
const POLL: Duration = Duration::from_millis(250);

/// A WebSocket and the JSON frames that it has received.
pub struct Socket {
    socket: WebSocket<TcpStream>,
    seen: Vec<Value>,
    pongs: Vec<Vec<u8>>,
}

impl Socket {
    /// Connects to `/alerts/ws`.
    pub fn connect(address: SocketAddr, token: Option<&str>) -> Self {
        Self::connect_to(address, "/alerts/ws", token, &[])
    }

    /// Connects to a path, with additional header fields.
    pub fn connect_to(address: SocketAddr, path: &str, token: Option<&str>, headers: &[(&str, &str)]) -> Self {
        Self::try_connect(address, path, token, headers)
            .unwrap_or_else(|status| panic!("expected an upgrade, received status {status}"))
    }

    /// Connects to a path, and waits until the session is live.
    pub fn live(address: SocketAddr, path: &str, token: Option<&str>) -> Self {
        let mut socket = Self::connect_to(address, path, token, &[]);
        socket.wait_for("live", |frame| frame["type"] == "live");
        socket
    }

    /// Connects to a path.
    ///
    /// # Errors
    /// The HTTP status, when the server refuses the upgrade.
    pub fn try_connect(
        address: SocketAddr,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let stream = TcpStream::connect_timeout(&address, WAIT_MAX).expect("the server accepts connections");
        stream.set_nodelay(true).unwrap();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        for (name, value) in headers {
            let name: tokio_tungstenite::tungstenite::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match client(request, stream) {
            Ok((socket, _)) => {
                socket.get_ref().set_read_timeout(Some(POLL)).unwrap();
                Ok(Self { socket, seen: Vec::new(), pongs: Vec::new() })
            }
            Err(tokio_tungstenite::tungstenite::HandshakeError::Failure(Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("the WebSocket handshake failed: {error}"),
        }
    }

    /// Returns the client's address, as the server sees it.
    pub fn local_address(&self) -> SocketAddr {
        self.socket.get_ref().local_addr().expect("a connected socket has an address")
    }

    /// Sends a JSON text frame.
    pub fn send(&mut self, frame: &Value) {
        self.send_raw(Message::text(frame.to_string()));
    }

    /// Sends any message.
    pub fn send_raw(&mut self, message: Message) {
        self.socket.send(message).expect("the frame can be sent");
    }

    /// Sends a close frame, unless the connection is lost.
    pub fn close(&mut self) {
        let _ = self.socket.close(None);
    }

    /// Subscribes to channels and waits until each subscription is confirmed.
    pub fn subscribe(&mut self, channels: &[&str]) {
        self.send(&json!({"type": "subscribe", "channels": channels}));
        for channel in channels {
            let is_confirmation = |f: &Value| f["type"] == "subscribed" && f["channel"] == *channel;
            self.wait_for(&format!("the subscription to {channel}"), is_confirmation);
        }
    }

    /// Waits for a frame that meets the condition and returns it. [`Socket::seen`] returns the frames before it, too.
    pub fn wait_for(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + WAIT_MAX;
        while let Some(message) = self.next_until(deadline) {
            let Message::Text(text) = message else {
                assert!(!message.is_close(), "expected {what}, received {message:?}; seen: {:#?}", self.seen);
                continue;
            };
            let frame: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("not JSON ({e}): {text}"));
            self.seen.push(frame.clone());
            if condition(&frame) {
                return frame;
            }
        }
        panic!("timed out waiting for {what}; seen: {:#?}", self.seen);
    }

    /// Waits until the server closes the connection and returns the close code and reason: 1005 for a close frame
    /// without a code, and 1006 without a close frame.
    pub fn wait_for_close(&mut self) -> (u16, String) {
        let deadline = Instant::now() + WAIT_MAX;
        while let Some(message) = self.next_until(deadline) {
            match message {
                Message::Close(frame) => {
                    return frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                }
                Message::Text(text) => self.seen.extend(serde_json::from_str::<Value>(&text)),
                _ => {}
            }
        }
        panic!("timed out waiting for a close; seen: {:#?}", self.seen);
    }

    /// Waits for a ping from the server, and answers it.
    pub fn wait_for_ping(&mut self) {
        let deadline = Instant::now() + WAIT_MAX;
        while let Some(message) = self.next_until(deadline) {
            match message {
                // The next read or write sends the pong.
                Message::Ping(_) => return,
                Message::Text(text) => self.seen.extend(serde_json::from_str::<Value>(&text)),
                other => assert!(!other.is_close(), "expected a ping, received {other:?}"),
            }
        }
        panic!("timed out waiting for a ping; seen: {:#?}", self.seen);
    }

    /// Answers the server's close frame, waits until the server closes the TCP connection, and returns the number of
    /// bytes that arrived until then.
    pub fn wait_for_end(&mut self) -> usize {
        let _ = self.socket.flush();
        let stream = self.socket.get_mut();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        stream.read_to_end(&mut Vec::new()).expect("the server closes the connection")
    }

    /// Returns the JSON frames received so far.
    pub fn seen(&self) -> &[Value] {
        &self.seen
    }

    /// Returns the payloads of the pongs received so far.
    pub fn pongs(&self) -> &[Vec<u8>] {
        &self.pongs
    }

    /// Returns the TCP connection, for invalid frames.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }

    fn next_until(&mut self, deadline: Instant) -> Option<Message> {
        while Instant::now() < deadline {
            match self.socket.read() {
                Ok(message) => {
                    if let Message::Pong(payload) = &message {
                        self.pongs.push(payload.to_vec());
                    }
                    return Some(message);
                }
                Err(Error::Io(e)) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => {
                    let lost = tokio_tungstenite::tungstenite::protocol::CloseFrame {
                        code: 1006.into(),
                        reason: error.to_string().into(),
                    };
                    return Some(Message::Close(Some(lost)));
                }
            }
        }
        None
    }
}

/// Returns the bytes of a frame from a client. The masking key is 0, which leaves the payload unchanged.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(0xff);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}
