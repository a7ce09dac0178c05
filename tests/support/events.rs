//! A client of Server-Sent Events that waits for events, with a deadline. It reads the stream as a browser does (HTML
//! standard, section 9.2.6), so that an event without its blank line is not delivered.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::WAIT_MAX;

/// The longest time that one read blocks before the deadline is checked.
const POLL: Duration = Duration::from_millis(250);

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvent {
    /// The field `event`.
    pub kind: String,
    /// The field `id` of this event itself; `None` without one.
    pub id: Option<String>,
    /// The field `data`, JSON.
    pub data: Value,
}

/// An open stream and the events that it has received.
#[derive(Debug)]
pub struct EventStream {
    stream: TcpStream,
    /// The head of the response, in lower case.
    pub head: String,
    /// Bytes after the head that are not decoded from their chunks yet.
    raw: Vec<u8>,
    /// Text of the stream that is not a complete event yet.
    text: String,
    seen: Vec<StreamEvent>,
    /// Number of comment lines.
    pub comments: usize,
    /// The last field `retry`.
    pub retry: Option<u64>,
    is_ended: bool,
}

impl EventStream {
    /// Opens a stream, with additional header fields.
    pub fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let stream = Self::try_open(address, path, headers);
        assert!(stream.head.starts_with("http/1.1 200 "), "a stream of events, not {}", stream.head);
        stream
    }

    /// Sends the request and reads the head of the response, whatever its status.
    pub fn try_open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect_timeout(&address, WAIT_MAX).expect("the server accepts connections");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(POLL)).unwrap();
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let (head, raw, text) = (String::new(), Vec::new(), String::new());
        let mut opened = Self { stream, head, raw, text, seen: Vec::new(), comments: 0, retry: None, is_ended: false };
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if let Some(end) = opened.raw.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head: Vec<u8> = opened.raw.drain(..end + 4).collect();
                opened.head = String::from_utf8_lossy(&head).to_lowercase();
                return opened;
            }
            assert!(opened.fill() && Instant::now() < deadline, "the response has a head");
        }
    }

    /// Opens a stream with a token, and waits until it is live.
    pub fn live(address: SocketAddr, path: &str, token: Option<&str>) -> Self {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
        let mut stream = Self::open(address, path, &headers);
        stream.wait_for("live", |event| event.kind == "live");
        stream
    }

    /// Returns the events so far.
    pub fn seen(&self) -> &[StreamEvent] {
        &self.seen
    }

    /// Returns the id with which a browser would resume.
    pub fn last_id(&self) -> String {
        self.seen.iter().rev().find_map(|event| event.id.clone()).unwrap_or_default()
    }

    /// Returns the sequence numbers of the alerts and cancellations so far.
    pub fn alerts(&self) -> Vec<u64> {
        let is_alert = |event: &&StreamEvent| event.kind == "alert" || event.kind == "alert_cancelled";
        self.seen.iter().filter(is_alert).filter_map(|event| event.data["seq"].as_u64()).collect()
    }

    /// Waits for an event that meets the condition and returns it.
    pub fn wait_for(&mut self, what: &str, condition: impl Fn(&StreamEvent) -> bool) -> StreamEvent {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            while let Some(event) = self.next_event() {
                self.seen.push(event.clone());
                if condition(&event) {
                    return event;
                }
            }
            assert!(!self.is_ended, "the stream ended before {what}; seen: {:#?}", self.seen);
            assert!(Instant::now() < deadline, "timed out waiting for {what}; seen: {:#?}", self.seen);
            self.is_ended |= !self.fill();
        }
    }

    /// Waits until the server ends the stream, and returns the code of its event `close`; `None` without one.
    pub fn wait_for_end(&mut self) -> Option<u64> {
        let deadline = Instant::now() + WAIT_MAX;
        while !self.is_ended {
            assert!(Instant::now() < deadline, "timed out waiting for the end; seen: {:#?}", self.seen);
            self.is_ended |= !self.fill();
            while let Some(event) = self.next_event() {
                self.seen.push(event);
            }
        }
        self.seen.last().filter(|event| event.kind == "close")?.data["code"].as_u64()
    }

    /// Waits for a comment line.
    pub fn wait_for_comment(&mut self) {
        let (deadline, before) = (Instant::now() + WAIT_MAX, self.comments);
        while self.comments == before {
            assert!(!self.is_ended && Instant::now() < deadline, "the stream carries no heartbeat");
            self.is_ended |= !self.fill();
            while let Some(event) = self.next_event() {
                self.seen.push(event);
            }
        }
    }

    /// Reads what has arrived. Returns false when the connection is closed.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => self.raw.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            Err(error) => panic!("the stream cannot be read: {error}"),
        }
        true
    }

    /// Decodes complete chunks (RFC 9112, section 7.1), and takes the next complete event from their text.
    fn next_event(&mut self) -> Option<StreamEvent> {
        while let Some(line) = self.raw.windows(2).position(|bytes| bytes == b"\r\n") {
            let size = usize::from_str_radix(String::from_utf8_lossy(&self.raw[..line]).trim(), 16).unwrap();
            let (start, end) = (line + 2, line + 2 + size);
            if self.raw.len() < end + 2 {
                break;
            }
            self.text.push_str(std::str::from_utf8(&self.raw[start..end]).expect("the stream is UTF-8"));
            self.raw.drain(..end + 2);
            self.is_ended |= size == 0;
        }
        loop {
            let end = self.text.find("\n\n")?;
            let block: String = self.text.drain(..end + 2).collect();
            let (mut kind, mut id, mut data) = ("message".to_owned(), None, String::new());
            for line in block.lines().filter(|line| !line.is_empty()) {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "" => self.comments += 1,
                    "event" => kind = value.to_owned(),
                    "id" => id = Some(value.to_owned()),
                    "data" => data.push_str(value),
                    "retry" => self.retry = value.parse().ok(),
                    unknown => panic!("the field {unknown} in {block}"),
                }
            }
            if !data.is_empty() {
                let data = serde_json::from_str(&data).unwrap_or_else(|e| panic!("not JSON ({e}): {data}"));
                return Some(StreamEvent { kind, id, data });
            }
        }
    }
}
