//! Clients that connect and send nothing, or send their requests a byte at a time.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::live::send_signal;
use crate::many_connections::UPGRADE;
use crate::support::WAIT_MAX;
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

/// The limit on open files under which the hub runs: fewer than there are silent clients.
const FILES_MAX: usize = 256;
/// The number of silent clients.
const SILENT: usize = 400;

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server.address(), WAIT_MAX).expect("the backlog takes a connection");
    stream.set_read_timeout(Some(WAIT_MAX)).expect("a timeout");
    stream
}

/// Starts the hub with at most [`FILES_MAX`] open files.
fn serve_with_few_files(home: &Home) -> Server {
    let hub = home.command(&["serve"]);
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("ulimit -n {FILES_MAX} && exec \"$0\" serve")).arg(hub.get_program());
    limited.current_dir(home.folder());
    for (name, value) in hub.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    home.start(limited)
}

#[test]
fn silent_connections_do_not_block_health_checks() {
    let home = Home::new();
    let server = serve_with_few_files(&home);
    let silent: Vec<TcpStream> = (0..SILENT).map(|_| connect(&server)).collect();
    for _ in 0..20 {
        server.client().get("/healthz").expect(200);
        server.client().get("/readyz").expect(200);
    }
    eventually("silent connections to be closed", || (closed(&silent) >= SILENT - FILES_MAX).then_some(()));
}

#[test]
fn busy_connections_leave_room_for_health_checks_only() {
    let home = Home::new();
    let server = serve_with_few_files(&home);
    let mut busy = Vec::new();
    // Opens connections until one is refused, because all but those for health checks are busy.
    loop {
        let mut stream = connect(&server);
        stream.write_all(UPGRADE).expect("the hub accepts it");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("a response");
        if start != *b"HTTP/1.1 101" {
            assert_eq!(start, *b"HTTP/1.1 503", "{}", String::from_utf8_lossy(&start));
            break;
        }
        busy.push(stream);
        assert!(busy.len() < FILES_MAX, "{} connections with {FILES_MAX} files", busy.len());
    }
    for path in ["/healthz", "/readyz", "/metrics"].repeat(3) {
        server.client().get(path).expect(200);
        let refused = server.client().get("/api/v1/terms").expect(503);
        assert_eq!(refused.code(), "overloaded");
    }
    assert!(!busy.is_empty());
    drop(busy);
    eventually("other requests to be served", || (server.client().get("/api/v1/terms").status == 200).then_some(()));
}

/// Returns how many files the hub has open.
fn open_files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("the server is running").count()
}

#[test]
fn a_burst_of_connections_stays_below_the_limit_on_open_files() {
    let home = Home::new().setting("server.workers", "2");
    let server = serve_with_few_files(&home);
    // All connections have arrived when the hub continues, so it could accept them faster than it examines them.
    send_signal(&server, Signal::STOP);
    let silent: Vec<TcpStream> = (0..SILENT).map(|_| connect(&server)).collect();
    send_signal(&server, Signal::CONT);
    // The hub also opens files of the store for the first time now. A connection may be refused during the burst.
    let token = home.token("registrar", "staff");
    let alert = json!({"title": "Flood", "message": "Room 12", "audience": {"all": true}});
    eventually("an alert to be stored", || {
        let mut registrar = server.client().signed_in(&token);
        registrar.call_json("POST", "/api/v1/alerts", &alert).ok().filter(|response| response.status == 201)
    });
    assert!(open_files(&server) < FILES_MAX);
    eventually("the control: connections over the limit to be closed", || (closed(&silent) > 0).then_some(()));
    assert!(!server.log().contains("accepting connection"), "accepting never fails: {}", server.log());
}

/// Returns how many of these connections the hub has closed.
fn closed(connections: &[TcpStream]) -> usize {
    let is_closed = |mut stream: &TcpStream| {
        stream.set_nonblocking(true).expect("non-blocking");
        !matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    connections.iter().filter(|stream| is_closed(stream)).count()
}

/// The limit on visitors' connections in a test, and how many are opened.
const VISITORS_MAX: usize = 8;
const VISITORS: usize = 200;
/// Connections that the hub may have beyond the limit while it ends others.
const BEING_ENDED: usize = 32;

#[test]
fn silent_visitors_of_one_address_displace_only_each_other() {
    for limit in [VISITORS_MAX, 0] {
        let home = Home::new().setting("limits.visitor_connections_per_address", &limit.to_string());
        let server = home.serve();
        let tokens = home.tokens("student", "student", VISITORS_MAX * 2);
        let sign_in = |token: &String| {
            let mut student = server.client().signed_in(token);
            student.get("/api/v1/me").expect(200);
            student
        };
        let mut students: Vec<_> = tokens.iter().map(sign_in).collect();
        let silent: Vec<TcpStream> = (0..VISITORS).map(|_| connect(&server)).collect();
        if limit == 0 {
            // Control: without the limit, all are still open after the hub has served a later connection.
            server.client().get("/healthz").expect(200);
            assert_eq!(closed(&silent), 0);
        } else {
            eventually("silent connections to be closed", || {
                (closed(&silent) >= VISITORS - VISITORS_MAX - BEING_ENDED).then_some(())
            });
        }
        students.iter_mut().for_each(|student| drop(student.get("/api/v1/me").expect(200)));
        assert_eq!(server.metric("eduhub_http_connections_ended_total") > 0.0, limit > 0);
    }
}

#[test]
fn pipelined_and_100_continue_requests_are_answered() {
    let home = Home::new();
    let server = home.serve();
    let mut client = server.client();
    let request = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    client.stream().write_all(request.repeat(3).as_bytes()).expect("the hub reads");
    for _ in 0..3 {
        client.receive().expect("a response").expect(200);
    }
    let staff = home.token("staff", "staff");
    let head = format!(
        "PUT /api/v1/terms/202701 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {staff}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    );
    client.stream().write_all(head.as_bytes()).expect("the hub reads");
    let mut interim = [0; 25];
    client.stream().read_exact(&mut interim).expect("an interim response");
    assert_eq!(String::from_utf8_lossy(&interim), "HTTP/1.1 100 Continue\r\n\r\n");
    client.stream().write_all(b"{}").expect("the hub reads");
    assert!(client.receive().expect("a response").status < 500);
    client.get("/healthz").expect(200);
}

/// Sends `begin`, and then `drip` again and again until the hub closes the connection. Returns what the hub sent.
fn drip(server: &Server, begin: &str, drip: &[u8]) -> String {
    let mut stream = connect(server);
    stream.write_all(begin.as_bytes()).expect("the hub reads");
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let (mut got, mut block) = (Vec::new(), [0; 4_096]);
    // Each turn waits for at most 100 ms, so this ends within about two minutes.
    for _ in 0..1_200 {
        match stream.read(&mut block) {
            Ok(0) => return String::from_utf8_lossy(&got).into_owned(),
            Ok(count) => got.extend_from_slice(&block[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return String::from_utf8_lossy(&got).into_owned(),
        }
        // The hub has closed its end if this fails; what it sent is read in the next turn.
        let _ = stream.write_all(drip);
    }
    panic!("the connection stays open after {begin:?}: {}", String::from_utf8_lossy(&got));
}

#[test]
fn requests_that_arrive_byte_by_byte_get_408() {
    let home = Home::new();
    let server = home.serve();
    let staff = home.token("staff", "staff");
    let put = format!("PUT /api/v1/terms/202701 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {staff}\r\n");
    let upload = format!("POST /api/v1/imports HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {staff}\r\n");
    let json = "Content-Type: application/json\r\n";
    let requests = [
        ("a head", "GET /hea".to_owned(), &b"x"[..]),
        ("the head of a second request", "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /hea".to_owned(), b"x"),
        ("a body", format!("{put}{json}Content-Length: 60000\r\n\r\n{{"), b" "),
        ("a chunked body", format!("{put}{json}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"), b"1\r\n \r\n"),
        ("an upload", format!("{upload}Content-Type: text/csv\r\nContent-Length: 60000\r\n\r\nterm"), b"x"),
    ];
    thread::scope(|scope| {
        for (what, begin, bytes) in &requests {
            let server = &server;
            scope.spawn(move || {
                let got = drip(server, begin, bytes);
                let last = got.rfind("HTTP/1.1 ").map(|at| &got[at..]).unwrap_or_default();
                assert!(last.starts_with("HTTP/1.1 408 "), "{what}: {got:?}");
                assert!(last.to_ascii_lowercase().contains("connection: close"), "{what}: {got:?}");
            });
        }
    });
    server.client().get("/healthz").expect(200);
}
