//! A small blocking HTTP/1.1 client (RFC 9112) over one connection. It sends requests unchanged, valid or not, and is
//! cheap enough for thousands of connections.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::WAIT_MAX;

/// One persistent connection. It never reconnects, so that a test detects a lost response.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    address: SocketAddr,
    token: Option<String>,
    read: Vec<u8>,
}

/// A complete response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields in the order they were sent, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body without chunked framing; a content encoding is not decoded.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns the first field of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the `code` of a problem document; an empty string when the body is not one.
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Checks the status and returns the response.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    /// Opens a connection without a token.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, WAIT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Self { stream, address, token: None, read: Vec::new() })
    }

    /// Sends this token with every later request.
    pub fn signed_in(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Returns the TCP connection, for bytes that are not a valid request.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends a request without waiting for its response. `headers` come after `Host`, `Authorization` and
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

    /// Waits for the next final response on this connection.
    pub fn receive(&mut self) -> io::Result<Response> {
        loop {
            let response = self.receive_any(false)?;
            // 1xx responses precede the final one.
            if response.status >= 200 {
                return Ok(response);
            }
        }
    }

    fn receive_any(&mut self, without_body: bool) -> io::Result<Response> {
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
        let Some(status) = status else { return Err(io::Error::other(format!("not a response: {head}"))) };
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let value_of = |field: &str| headers.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str());
        let body = if without_body || status < 200 || status == 204 || status == 304 {
            Vec::new()
        } else if value_of("transfer-encoding") == Some("chunked") {
            self.chunks()?
        } else {
            let length = value_of("content-length").and_then(|v| v.parse().ok());
            self.exactly(length.ok_or_else(|| io::Error::other(format!("a response without a length: {head}")))?)?
        };
        Ok(Response { status, headers, body })
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

    /// Sends a request and returns its response.
    pub fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        self.send(method, path, headers, body)?;
        if method == "HEAD" { self.receive_any(true) } else { self.receive() }
    }

    /// Sends a request with a JSON body and returns its response.
    pub fn call_json(&mut self, method: &str, path: &str, body: &Value) -> io::Result<Response> {
        self.call(method, path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Sends a `GET`; panics when the connection is lost.
    pub fn get(&mut self, path: &str) -> Response {
        self.call("GET", path, &[], b"").unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// Sends a `DELETE`; panics when the connection is lost.
    pub fn delete(&mut self, path: &str) -> Response {
        self.call("DELETE", path, &[], b"").unwrap_or_else(|e| panic!("DELETE {path}: {e}"))
    }

    /// Sends a `PUT` without a body, as registering does; panics when the connection is lost.
    pub fn put(&mut self, path: &str) -> Response {
        self.call("PUT", path, &[], b"").unwrap_or_else(|e| panic!("PUT {path}: {e}"))
    }

    /// Sends a `PUT` of JSON; panics when the connection is lost.
    pub fn put_json(&mut self, path: &str, body: &Value) -> Response {
        self.call_json("PUT", path, body).unwrap_or_else(|e| panic!("PUT {path}: {e}"))
    }

    /// Sends a `PATCH` of JSON; panics when the connection is lost.
    pub fn patch_json(&mut self, path: &str, body: &Value) -> Response {
        self.call_json("PATCH", path, body).unwrap_or_else(|e| panic!("PATCH {path}: {e}"))
    }

    /// Sends a `POST` of JSON; panics when the connection is lost.
    pub fn post_json(&mut self, path: &str, body: &Value) -> Response {
        self.call_json("POST", path, body).unwrap_or_else(|e| panic!("POST {path}: {e}"))
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
