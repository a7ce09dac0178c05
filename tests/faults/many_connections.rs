//! Thousands of connections that are idle, send a head a byte at a time, or send pings without end.
//!
//! `FAULT_CONNECTIONS=50000` sets their number, which the limit of open files bounds. They come from several addresses,
//! because one address has 28,000 ports.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::WAIT_MAX;
use crate::support::random::length_of_run;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::frame;
use crate::support::wait::SetOnDrop;

/// The number of connections of a run in `make test`.
const CONNECTIONS: usize = 1_500;
/// The connections of one address: fewer than the hub permits visitors of an address.
const PER_ADDRESS: usize = 5_000;
/// Students who register while the connections are open.
const STUDENTS: usize = 40;
/// The beginning of a request that never ends.
const HEAD: &[u8] = b"GET /api/v1/terms HTTP/1.1\r\nHost: x\r\nX-Drip: ";
/// A request for a WebSocket.
pub(crate) const UPGRADE: &[u8] =
    b"GET /alerts/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// One connection in this many sends pings.
const PINGING: usize = 50;

fn connect(server: &Server, number: usize) -> io::Result<TcpStream> {
    let host = u8::try_from(2 + number / PER_ADDRESS).expect("fewer than 254 addresses");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into())?;
    socket.connect_timeout(&server.address().into(), WAIT_MAX)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Sends what each connection sends, again and again until `is_over`. The hub may close any of them.
fn drip(connections: &[TcpStream], is_over: &AtomicBool, sent: &AtomicUsize) {
    let ping = frame(0x89, b"x").repeat(10);
    while !is_over.load(Ordering::Relaxed) {
        for (number, mut stream) in connections.iter().enumerate() {
            let bytes: &[u8] = match number {
                _ if number.is_multiple_of(PINGING) => &ping,
                _ if number.is_multiple_of(2) => b"x",
                _ => continue,
            };
            if stream.write(bytes).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn idle_dripping_and_pinging_connections_leave_the_hub_serving() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("open files for the connections");
    let count = length_of_run("FAULT_CONNECTIONS", CONNECTIONS);
    let home = Home::new();
    let server = home.serve();
    let row = |index: usize| Row::lecture(&format!("{}", 10_000 + index), &format!("MATH {}", 100 + index));
    let schedule = Schedule { term: "203001".into(), rows: (0..STUDENTS).map(row).collect() };
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let tokens = home.tokens("student", "student", STUDENTS);

    let connections: Vec<TcpStream> = (0..count).map_while(|number| connect(&server, number).ok()).collect();
    for (number, mut stream) in connections.iter().enumerate() {
        // A connection that the hub has closed already needs no request.
        let _ = if number.is_multiple_of(PINGING) { stream.write(UPGRADE) } else { stream.write(HEAD) };
    }
    let (is_over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let times = thread::scope(|scope| {
        let _over = SetOnDrop(&is_over);
        scope.spawn(|| drip(&connections, &is_over, &sent));
        let serve = |(token, row): (&String, &Row)| {
            let started = Instant::now();
            server.client().get("/healthz").expect(200);
            let mut student = server.client().signed_in(token);
            student.put(&format!("/api/v1/me/registrations/{}", schedule.id(row))).expect(201);
            started.elapsed()
        };
        tokens.iter().zip(&schedule.rows).map(serve).collect::<Vec<Duration>>()
    });
    let slowest = times.iter().max();
    println!(
        "{} connections, {} writes; slowest of {STUDENTS} pairs of requests: {slowest:?}",
        connections.len(),
        sent.load(Ordering::Relaxed)
    );
    assert!(connections.len() > CONNECTIONS / 2, "negative control: {} connections were open", connections.len());
    assert!(sent.load(Ordering::Relaxed) > 0, "negative control: connections sent something");
}
