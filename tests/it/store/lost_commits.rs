//! Tests of commits whose connection is lost: the store reports correctly whether they are stored.
//!
//! A relay between the store and PostgreSQL finds `COMMIT` in the bytes that the store sends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use eduhub::domain::section::Credits;
use eduhub::store::StoreError;
use eduhub::store::postgres::{PostgresOptions, PostgresStore};
use eduhub::store::terms::TermStore;

use super::fixture::{StoredTerm, TermOwner, block_on, load};
use super::postgres::Shared;
use crate::college::{minute, register, section, term_id};

/// How the relay treats the next `COMMIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Fault {
    /// Forwards the `COMMIT`.
    None,
    /// Forwards it, and closes the connections instead of forwarding the reply.
    LoseReply,
    /// Closes the connections without forwarding it.
    LoseCommit,
    /// Closes the connection to the store, and forwards the `COMMIT` when the test requests it.
    Delay,
}

/// A relay on a port of this machine.
struct Relay {
    port: u16,
    fault: Arc<AtomicU8>,
    /// Requests to forward a delayed `COMMIT`. The sender in each reports that PostgreSQL has replied.
    release: Sender<Sender<()>>,
}

impl Relay {
    fn start(server: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, fault) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU8::new(Fault::None as u8)));
        let (release, released) = channel();
        let (of_relay, released) = (Arc::clone(&fault), Arc::new(std::sync::Mutex::new(released)));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&server).unwrap());
                let (fault, released) = (Arc::clone(&of_relay), Arc::clone(&released));
                thread::spawn(move || relay(client, server, &fault, &released));
            }
        });
        Self { port, fault, release }
    }

    fn arm(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }

    /// Forwards a delayed `COMMIT`, and returns once PostgreSQL has replied to it.
    fn forward_delayed(&self) {
        let (done, forwarded) = channel();
        self.release.send(done).unwrap();
        forwarded.recv().unwrap();
    }
}

fn has_commit(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|part| part == b"COMMIT\0")
}

/// Relays one connection. A second thread relays the bytes that PostgreSQL sends.
fn relay(
    mut client: TcpStream,
    mut server: UnixStream,
    fault: &AtomicU8,
    released: &std::sync::Mutex<Receiver<Sender<()>>>,
) {
    let lose_reply = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (mut from, mut to, is_lost) =
        (server.try_clone().unwrap(), client.try_clone().unwrap(), Arc::clone(&lose_reply));
    let (ended, end_of_server) = channel::<()>();
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            if is_lost.load(Ordering::SeqCst) {
                // The reply to the commit has arrived here; the store does not get it.
                if has_commit(&bytes[..n]) {
                    break;
                }
            } else if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
        drop(ended);
    });
    let mut bytes = [0; 65_536];
    while let Ok(n @ 1..) = client.read(&mut bytes) {
        let is_commit = has_commit(&bytes[..n]);
        let what = if is_commit { fault.swap(Fault::None as u8, Ordering::SeqCst) } else { Fault::None as u8 };
        if what == Fault::LoseCommit as u8 {
            break;
        }
        if what == Fault::LoseReply as u8 {
            lose_reply.store(true, Ordering::SeqCst);
        }
        if what == Fault::Delay as u8 {
            lose_reply.store(true, Ordering::SeqCst);
            client.shutdown(Shutdown::Both).unwrap();
            let done = released.lock().unwrap().recv().unwrap();
            server.write_all(&bytes[..n]).unwrap();
            // PostgreSQL replies to the statements, and closes the connection at the end of the stream.
            server.shutdown(Shutdown::Write).unwrap();
            let _ = end_of_server.recv();
            done.send(()).unwrap();
            return;
        }
        if server.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

/// A term whose hub is connected through a relay, and a store that is connected without it.
struct Relayed {
    relay: Relay,
    owner: TermOwner,
    direct: PostgresStore,
    _store: PostgresStore,
    _fixture: Shared,
}

impl Relayed {
    fn start() -> Self {
        let StoredTerm { fixture, store: direct, .. } = StoredTerm::<Shared>::with_sections([section("X").seats(5)]);
        let relay = Relay::start(fixture.database().cluster().socket());
        let url = format!("postgres://postgres@127.0.0.1:{}/{}", relay.port, fixture.database().name());
        let outbox = Some(jiff::Timestamp::now());
        let store = PostgresStore::open(&PostgresOptions { url, shown: String::new(), outbox }).unwrap();
        let mut owner = TermOwner::of(&store, term_id(), Credits(0));
        owner.load().unwrap();
        Self { relay, owner, direct, _store: store, _fixture: fixture }
    }

    /// Registers a student while the next commit has a fault.
    fn register(&mut self, student: &str, fault: Fault) -> Result<(), StoreError> {
        self.relay.arm(fault);
        self.owner.run(vec![register(student, "X")], minute(1)).map(drop)
    }

    /// Returns the students with a registration, as another hub reads them.
    fn stored(&self) -> Vec<String> {
        let rows = block_on(self.direct.load(&term_id())).unwrap();
        rows.registrations.iter().map(|(student, _)| student.to_string()).collect()
    }
}

#[test]
fn a_commit_whose_reply_is_lost_is_confirmed() {
    let mut hub = Relayed::start();
    for student in ["ana", "bob"] {
        hub.register(student, Fault::LoseReply).unwrap();
    }
    assert_eq!(hub.stored(), ["ana", "bob"]);
    hub.register("cyd", Fault::None).unwrap();
}

#[test]
fn a_commit_that_is_lost_stores_nothing_and_is_reported() {
    let mut hub = Relayed::start();
    let outcome = hub.register("ana", Fault::LoseCommit);
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert_eq!(hub.stored(), [""; 0]);
    hub.register("ana", Fault::None).unwrap();
    assert_eq!(hub.stored(), ["ana"]);
}

#[test]
fn a_commit_that_arrives_after_its_error_reply_is_undone() {
    let mut hub = Relayed::start();
    let outcome = hub.register("ana", Fault::Delay);
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    hub.relay.forward_delayed();
    assert_eq!(hub.stored(), [""; 0], "a seat that was reported as not stored is not stored later");
    hub.register("bob", Fault::None).unwrap();
    assert_eq!(load(&hub.direct).sections[0].state.enrolled, 1);
}

#[test]
fn a_refused_statement_undoes_the_batch_sent_with_it() {
    let mut term = StoredTerm::<Shared>::with_sections([section("X").seats(5)]);
    term.run(vec![register("ana", "X")]).unwrap();
    // Attempts are written after the counts and the registrations.
    term.fixture.database().run("ALTER TABLE attempts ADD CONSTRAINT few CHECK (n < 2)");
    let refused = term.run(vec![register("bob", "X")]).map(drop);
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let stored = block_on(term.store.load(&term_id())).unwrap();
    assert_eq!((stored.registrations.len(), stored.sections[0].enrolled, stored.attempts.n), (1, 1, 1));
    term.fixture.database().run("ALTER TABLE attempts DROP CONSTRAINT few");
    term.run(vec![register("bob", "X")]).unwrap();
    assert_eq!(load(&term.store).sections[0].state.enrolled, 2);
}
