//! Thousands of WebSocket clients in one thread. They share the processors with the hub whose times are measured, so
//! they do as little as possible: all clients of a thread read into one buffer, and no JSON is parsed.

use std::cell::RefCell;
use std::net::SocketAddr;

use memchr::memmem;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Length of the read buffer of all clients of a thread.
const READ_LEN: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_LEN]);
}

/// A message from the hub.
#[derive(Debug)]
pub enum Incoming<'a> {
    Text(&'a str),
    /// The code and the reason of a close frame.
    Close(u16, &'a str),
}

/// A WebSocket client.
pub struct Socket {
    stream: TcpStream,
    /// The beginning of a frame whose end has not arrived.
    rest: Vec<u8>,
    pongs: Vec<u8>,
}

/// Opens a TCP connection. `buffer` is the size of its receive buffer in the kernel in bytes; `None` for the usual one.
pub async fn connect(address: SocketAddr, buffer: Option<usize>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(len) = buffer {
        SockRef::from(&socket).set_recv_buffer_size(len).expect("a receive buffer");
    }
    socket.connect(address).await.expect("the server accepts connections")
}

/// Opens a WebSocket on a connection.
pub async fn upgrade(mut stream: TcpStream, path: &str) -> Socket {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut rest = Vec::new();
    let end = loop {
        assert_ne!(stream.read_buf(&mut rest).await.expect("a response"), 0, "the connection ended");
        if let Some(at) = memmem::find(&rest, b"\r\n\r\n") {
            break at + 4;
        }
    };
    assert!(rest.starts_with(b"HTTP/1.1 101 "), "an upgrade: {}", String::from_utf8_lossy(&rest));
    rest.drain(..end);
    Socket { stream, rest, pongs: Vec::new() }
}

impl Socket {
    /// Sends a short text message. The mask is zero, which leaves the text as it is.
    pub async fn send(&mut self, text: &str) {
        let frame = [&[0x81], &masked_len(text.len())[..], &[0; 4], text.as_bytes()].concat();
        self.stream.write_all(&frame).await.expect("an open connection");
    }

    /// Reads once, unless a complete message has arrived already. Passes each complete message to `handle`, and replies
    /// to pings. Returns false if the connection has ended.
    pub async fn read(&mut self, mut handle: impl FnMut(Incoming<'_>)) -> bool {
        if self.rest.is_empty() || frame_len(&self.rest).is_none_or(|len| len > self.rest.len()) {
            if self.stream.readable().await.is_err() {
                return false;
            }
            let read = BUFFER.with_borrow_mut(|buffer| match self.stream.try_read(buffer) {
                Ok(0) => Some(false),
                Ok(len) => {
                    let bytes = &buffer[..len];
                    if self.rest.is_empty() {
                        let used = messages(bytes, &mut self.pongs, &mut handle);
                        self.rest.extend_from_slice(&bytes[used..]);
                    } else {
                        self.rest.extend_from_slice(bytes);
                    }
                    Some(true)
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
                Err(_) => Some(false),
            });
            match read {
                Some(true) => {}
                Some(false) => return false,
                None => return true,
            }
        }
        let used = messages(&self.rest, &mut self.pongs, &mut handle);
        self.rest.drain(..used);
        if self.rest.is_empty() {
            // Otherwise each of thousands of clients would keep memory for its longest frame.
            self.rest = Vec::new();
        }
        let pongs = std::mem::take(&mut self.pongs);
        pongs.is_empty() || self.stream.write_all(&pongs).await.is_ok()
    }
}

/// Returns the length bytes of a masked frame.
fn masked_len(len: usize) -> Vec<u8> {
    match u8::try_from(len) {
        Ok(short @ 0..=125) => vec![0x80 | short],
        _ => [&[0x80 | 126][..], &u16::try_from(len).expect("a short message").to_be_bytes()].concat(),
    }
}

/// Returns the length of the header of an unmasked frame and of its payload; `None` while the header is incomplete.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    Some(match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    })
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    header(bytes).map(|(header, payload)| header + payload)
}

/// Passes each complete message to `handle`, and appends replies to pings to `pongs`. Returns the length of all
/// complete frames. The hub does not fragment messages.
fn messages(bytes: &[u8], pongs: &mut Vec<u8>, handle: &mut impl FnMut(Incoming<'_>)) -> usize {
    let mut at = 0;
    while let Some((header, payload)) = header(&bytes[at..]).filter(|(header, len)| at + header + len <= bytes.len()) {
        let opcode = bytes[at];
        let payload = &bytes[at + header..at + header + payload];
        at += header + payload.len();
        match opcode {
            0x81 => handle(Incoming::Text(std::str::from_utf8(payload).expect("text"))),
            0x88 => {
                let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                handle(Incoming::Close(code, std::str::from_utf8(payload.get(2..).unwrap_or(&[])).expect("text")));
            }
            0x89 => {
                pongs.push(0x8a);
                pongs.extend(masked_len(payload.len()));
                pongs.extend([0; 4]);
                pongs.extend_from_slice(payload);
            }
            other => panic!("a frame of the kind {other:#x}"),
        }
    }
    at
}

/// Returns whether a frame has this type.
pub fn is_type(frame: &str, name: &str) -> bool {
    let rest = frame.as_bytes().strip_prefix(b"{\"type\":\"").and_then(|rest| rest.strip_prefix(name.as_bytes()));
    rest.is_some_and(|rest| rest.first() == Some(&b'"'))
}

/// Returns whether a frame contains a text.
pub fn contains(frame: &str, text: &str) -> bool {
    memmem::find(frame.as_bytes(), text.as_bytes()).is_some()
}

/// Returns the number after the first occurrence of `begin`.
pub fn number_after(frame: &str, begin: &str) -> u64 {
    let at = memmem::find(frame.as_bytes(), begin.as_bytes()).unwrap_or_else(|| panic!("no {begin} in {frame}"));
    let digits = frame[at + begin.len()..].bytes().take_while(u8::is_ascii_digit);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// Returns the processor time of a process in user and system mode (fields 14 and 15 of proc_pid_stat(5), in hundredths
/// of a second).
pub fn processor_time(pid: u32) -> std::time::Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The second field is the name in parentheses, which may contain spaces. The third field follows it.
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks: u64 = [11, 12].map(|i: usize| fields[i].parse::<u64>().expect("ticks")).iter().sum();
    std::time::Duration::from_millis(ticks * 10)
}
