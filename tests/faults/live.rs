//! Live sessions while the clock is set, the process is stopped, and clients do not read.

use std::collections::HashSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::clock::Clock;
use crate::support::WAIT_MAX;
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::wait::eventually;

/// Longer than a client may be silent (50 seconds).
const LONG: Duration = Duration::from_secs(300);
/// Longer than the interval of pings (25 seconds), and shorter than a client may be silent.
const UNTIL_PING: Duration = Duration::from_secs(26);
/// Number of clients that never read.
const DEAF: usize = 4;
/// Maximum number of bytes in the kernel's send buffer of a client that does not read: what the hub leaves unsent, and
/// one write beyond it. Without a bound, it grows to megabytes.
const SEND_BUFFER_MAX: u64 = 256 * 1024;

/// More unsent bytes than a client that reads ever has: a connection with as many is blocked.
const BLOCKED_MIN: u64 = 32 * 1024;

/// Returns the home of a hub with one worker, and therefore one relay, which sweeps all sessions at once.
fn home() -> Home {
    Home::new().setting("server.workers", "1")
}

fn connect(server: &Server, token: Option<&str>) -> Socket {
    let mut socket = Socket::connect(server.address(), token);
    socket.wait_for("live", |frame| frame["type"] == "live");
    socket
}

fn assert_alive(socket: &mut Socket) {
    socket.send(&json!({"type": "ping"}));
    socket.wait_for("pong", |frame| frame["type"] == "pong");
}

/// Sends a signal to the server.
pub(crate) fn send_signal(server: &Server, signal: Signal) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("the server is running");
}

/// Returns the state letter of a process, such as `T` for stopped.
fn state_of(server: &Server) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("the server is running");
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).expect("a state after the name")
}

#[test]
fn a_step_of_the_system_clock_closes_no_live_session() {
    let home = home();
    let (server, clock) = Clock::serve(&home);
    let short_lived = home.run(&["token", "--subject", "ada", "--role", "student", "--ttl", "100"]);
    let short_lived = String::from_utf8(short_lived.stdout).expect("a token");
    let mut visitor = connect(&server, None);
    let mut expiring = connect(&server, Some(short_lived.trim()));

    clock.shift_system(120);
    // Tokens expire by the system clock. The sweep that ends this session also checks the other sessions.
    assert_eq!(expiring.wait_for_close().0, 4001);
    assert_alive(&mut visitor);

    clock.shift_system(-3_600);
    clock.shift_monotonic(UNTIL_PING);
    visitor.wait_for_ping();
    assert_alive(&mut visitor);
    assert!(server.metric("eduhub_sessions_reaped_total") < 1.0);
}

#[test]
fn a_process_that_was_stopped_closes_no_live_session() {
    let home = home();
    let (server, clock) = Clock::serve(&home);
    let (mut quiet, mut busy) = (connect(&server, None), connect(&server, None));

    send_signal(&server, Signal::STOP);
    eventually("the process to be stopped", || (state_of(&server) == 'T').then_some(()));
    // Both clocks continue while a process is stopped.
    clock.shift_system(LONG.as_secs().cast_signed());
    clock.shift_monotonic(LONG);
    busy.send(&json!({"type": "ping"}));
    send_signal(&server, Signal::CONT);

    // The first sweep sends pings, which are due.
    quiet.wait_for_ping();
    busy.wait_for("pong", |frame| frame["type"] == "pong");
    assert_alive(&mut quiet);
    assert_alive(&mut busy);
    assert!(server.metric("eduhub_sessions_reaped_total") < 1.0);
}

/// Sends the request for a WebSocket by hand, and returns the connection.
fn upgrade(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts connections");
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let request = "GET /alerts/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn tcp_is_closed_after_both_close_frames_without_a_timer() {
    let home = home();
    let (server, clock) = Clock::serve(&home);
    let mut by_client = upgrade(&server);
    let mut by_server = connect(&server, Some(&home.token("ada", "student")));
    let mut head = [0; 12];
    by_client.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    clock.freeze_monotonic();

    // A masked close frame with the code 1000.
    by_client.write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 232]).unwrap();
    let mut rest = Vec::new();
    by_client.read_to_end(&mut rest).expect("the hub closes the connection");
    assert!(rest.ends_with(&[0x88, 2, 3, 232]), "the hub sends a close frame, too");

    let me = server.client().signed_in(&home.token("ada", "student")).get("/api/v1/me").expect(200);
    assert!(me.text().contains("ada"));
    let root = home.token("root", "admin");
    let sessions = server.client().signed_in(&root).get("/api/v1/admin/sessions").expect(200).json();
    let id = sessions["items"][0]["id"].as_str().expect("one session").to_owned();
    server.client().signed_in(&root).delete(&format!("/api/v1/admin/sessions/{id}")).expect(204);
    assert_eq!(by_server.wait_for_close().0, 4003);
    // tungstenite has queued the client's close frame; the next read sends it.
    assert_eq!(by_server.wait_for_end(), 0, "nothing follows the close frame");
    assert!(!server.log().contains("ERROR"), "an ended session is not an error:\n{}", server.log());
}

/// Returns the bytes in the kernel's send buffer of each of the server's connections to clients with these ports.
pub(crate) fn unsent_to(server: &Server, ports: &[u16]) -> Vec<(u16, u64)> {
    let local = format!(":{:04X}", server.address().port());
    let ports: HashSet<u16> = ports.iter().copied().collect();
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of TCP connections");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let number = |text: &str| u64::from_str_radix(text, 16).expect("a number in base 16");
    let theirs = rows.filter(|row| row[1].ends_with(&local)).filter_map(|row| {
        let port = u16::try_from(number(&row[2][row[2].len() - 4..])).expect("a port");
        ports.contains(&port).then(|| (port, number(&row[4][..8])))
    });
    theirs.collect()
}

#[test]
fn the_send_buffer_of_a_client_that_does_not_read_is_bounded() {
    let home = home();
    let server = home.serve();
    let deaf: Vec<Socket> = (0..DEAF).map(|_| connect(&server, None)).collect();
    let mut registrar = server.client().signed_in(&home.token("registrar", "staff"));
    let message = "x".repeat(2_000);
    let alert = json!({"title": "Flood", "message": message, "audience": {"all": true}});
    eventually("all clients to be evicted", || {
        for _ in 0..50 {
            registrar.post_json("/api/v1/alerts", &alert).expect(201);
        }
        (server.metric("eduhub_sessions_evicted_total") as usize == DEAF).then_some(())
    });
    let ports: Vec<u16> = deaf.iter().map(|client| client.local_address().port()).collect();
    let unsent: Vec<u64> = unsent_to(&server, &ports).into_iter().map(|(_, bytes)| bytes).collect();
    let blocked = unsent.iter().filter(|bytes| **bytes > BLOCKED_MIN).count();
    assert_eq!(blocked, DEAF, "negative control: the clients' connections are full: {unsent:?}");
    assert!(unsent.iter().all(|bytes| *bytes <= SEND_BUFFER_MAX), "{unsent:?}");
    drop(deaf);
    eventually("the lost connections to be counted", || {
        let lost = server.metric("eduhub_sessions_ended_total{reason=\"lost\"}");
        (lost as usize == DEAF).then_some(())
    });
}
