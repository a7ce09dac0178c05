//! Thousands of connections that are idle, send a head a byte at a time, or send pings without end.
//!
//! `FAULT_CONNECTIONS=50000` sets their number. They come from several addresses, because one address has only 28,000
//! ports, and from several processes, because each process has a limit on open files.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::WAIT_MAX;
use crate::support::random::length_of_run;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::Home;
use crate::support::socket::frame;
use crate::support::wait::SetOnDrop;

/// The number of connections of a run in `make test`.
const CONNECTIONS: usize = 1_500;
/// The connections from one address: fewer than the hub allows visitors from one address.
const PER_ADDRESS: usize = 5_000;
/// The connections of one process, below the limit on open files of most systems.
const PER_PROCESS: usize = 15_000;
/// The variable that states which connections a process of this test opens: the address of the hub, the number of the
/// first connection, and the number of connections.
const PART: &str = "FAULT_CONNECTIONS_PART";
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

fn connect(to: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let host = u8::try_from(2 + number / PER_ADDRESS).expect("fewer than 254 addresses");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into())?;
    socket.connect_timeout(&to.into(), WAIT_MAX)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Opens `count` connections, and begins a request on each of them.
fn open(to: SocketAddr, first: usize, count: usize) -> Vec<TcpStream> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("open files for the connections");
    let connections: Vec<TcpStream> = (first..first + count).map_while(|number| connect(to, number).ok()).collect();
    for (number, mut stream) in connections.iter().enumerate() {
        // A connection that the hub has closed already needs no request.
        let _ = if number.is_multiple_of(PINGING) { stream.write(UPGRADE) } else { stream.write(HEAD) };
    }
    connections
}

/// A process that holds a part of the connections until this value is dropped.
struct Part {
    child: Child,
    count: usize,
}

impl Part {
    /// Runs this test in another process, which holds the connections from number `first` on. Returns when they are
    /// open.
    fn start(to: SocketAddr, first: usize, count: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "many_connections::idle_dripping_and_pinging_connections_leave_the_hub_serving"])
            .arg("--nocapture")
            .env(PART, format!("{to} {first} {count}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the process starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        let opened = lines.find_map(|line| line.ok()?.split_once("opened ")?.1.parse().ok());
        Self { child, count: opened.expect("the process opens connections") }
    }

    /// Opens the connections that `text` states, in the other process, and holds them until standard input closes.
    fn hold(text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| words[at].parse().expect("a number");
        let connections = open(words[0].parse().expect("an address"), number(1), number(2));
        println!("opened {}", connections.len());
        let (is_over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let _over = SetOnDrop(&is_over);
            scope.spawn(|| drip(&connections, &is_over, &sent));
            let _ = io::stdin().read(&mut [0]);
        });
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Sends a byte or pings on each connection that is not idle, again and again until `is_over`. The hub may close any of
/// the connections.
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
    if let Ok(part) = std::env::var(PART) {
        return Part::hold(&part);
    }
    let count = length_of_run("FAULT_CONNECTIONS", CONNECTIONS);
    let home = Home::new();
    let server = home.serve();
    let row = |index: usize| Row::lecture(&format!("{}", 10_000 + index), &format!("MATH {}", 100 + index));
    let schedule = Schedule { term: "203001".into(), rows: (0..STUDENTS).map(row).collect() };
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let tokens = home.tokens("student", "student", STUDENTS);

    let connections = open(server.address(), 0, count.min(PER_PROCESS));
    let rest = (PER_PROCESS..count).step_by(PER_PROCESS);
    let parts: Vec<Part> =
        rest.map(|first| Part::start(server.address(), first, PER_PROCESS.min(count - first))).collect();
    let opened = connections.len() + parts.iter().map(|part| part.count).sum::<usize>();
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
    let (first, mut sorted) = (times[0], times);
    sorted.sort_unstable();
    println!(
        "{opened} connections in {} processes, {} writes of this one; {STUDENTS} pairs of requests: {first:?} the first, \
         {:?} the median, {:?} the slowest",
        1 + parts.len(),
        sent.load(Ordering::Relaxed),
        sorted[STUDENTS / 2],
        sorted[STUDENTS - 1]
    );
    assert!(opened > CONNECTIONS / 2, "negative control: {opened} connections were open");
    assert!(sent.load(Ordering::Relaxed) > 0, "negative control: connections sent something");
}
