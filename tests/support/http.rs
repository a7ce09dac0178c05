//! A small blocking HTTP/1.1 client (RFC 9112) over one connection: it says exactly what it is told to, so that a test
//! may send what no polite client would, and costs little enough for thousands of connections.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// One connection that is kept alive. It never connects again by itself: a lost answer is what a test wants to see.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    address: SocketAddr,
    token: Option<String>,
    read: Vec<u8>,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header fields in the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from chunks, still compressed when it was.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first field of this name (given in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `code` of a problem document, or nothing when it is none.
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Itself, when it has this status; the end of the test when not.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    /// A new connection, of a visitor.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, address, token: None, read: Vec::new() })
    }

    /// The same connection, signed in by this token.
    pub fn signed_in(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The connection itself, for bytes that are no request.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends a request without waiting for its answer. `headers` come after `Host`, `Authorization` and
    /// `Content-Length`.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if let Some(token) = &self.token {
            request += &format!("Authorization: Bearer {token}\r\n");
        }
        if !body.is_empty() || method == "POST" || method == "PUT" || method == "PATCH" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes)
    }

    /// Waits for the next answer of this connection.
    pub fn receive(&mut self) -> io::Result<Answer> {
        loop {
            let answer = self.receive_any(false)?;
            // 100 Continue and its like announce the answer.
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    fn receive_any(&mut self, without_body: bool) -> io::Result<Answer> {
        let head_len = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head: Vec<u8> = self.read.drain(..head_len).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
        let Some(status) = status else { return Err(io::Error::other(format!("not an answer: {head}"))) };
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let field = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let body = if without_body || status < 200 || status == 204 || status == 304 {
            Vec::new()
        } else if field("transfer-encoding") == Some("chunked") {
            self.chunks()?
        } else {
            let length = field("content-length").and_then(|v| v.parse().ok());
            self.exactly(length.ok_or_else(|| io::Error::other(format!("an answer without a length: {head}")))?)?
        };
        Ok(Answer { status, headers, body })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_len = loop {
                if let Some(at) = find(&self.read, b"\r\n") {
                    break at + 2;
                }
                self.fill()?;
            };
            let line: Vec<u8> = self.read.drain(..line_len).collect();
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).map_err(io::Error::other)?;
            body.append(&mut self.exactly(size)?);
            self.exactly(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            self.fill()?;
        }
        Ok(self.read.drain(..length).collect())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&buffer[..count]);
        Ok(())
    }

    /// A request and its answer.
    pub fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        self.send(method, path, headers, body)?;
        if method == "HEAD" { self.receive_any(true) } else { self.receive() }
    }

    /// A request with a JSON body, and its answer.
    pub fn call_json(&mut self, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
        self.call(method, path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// `GET`; a lost connection ends the test.
    pub fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, &[], b"").unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// `DELETE`; a lost connection ends the test.
    pub fn delete(&mut self, path: &str) -> Answer {
        self.call("DELETE", path, &[], b"").unwrap_or_else(|e| panic!("DELETE {path}: {e}"))
    }

    /// `PUT` without a body, as registering is; a lost connection ends the test.
    pub fn put(&mut self, path: &str) -> Answer {
        self.call("PUT", path, &[], b"").unwrap_or_else(|e| panic!("PUT {path}: {e}"))
    }

    /// `PUT` of JSON; a lost connection ends the test.
    pub fn put_json(&mut self, path: &str, body: &Value) -> Answer {
        self.call_json("PUT", path, body).unwrap_or_else(|e| panic!("PUT {path}: {e}"))
    }

    /// `PATCH` of JSON; a lost connection ends the test.
    pub fn patch_json(&mut self, path: &str, body: &Value) -> Answer {
        self.call_json("PATCH", path, body).unwrap_or_else(|e| panic!("PATCH {path}: {e}"))
    }

    /// `POST` of JSON; a lost connection ends the test.
    pub fn post_json(&mut self, path: &str, body: &Value) -> Answer {
        self.call_json("POST", path, body).unwrap_or_else(|e| panic!("POST {path}: {e}"))
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
