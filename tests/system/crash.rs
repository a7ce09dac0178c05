//! Acknowledged seats survive `kill -9`. Concurrent students send requests to the built program, which is killed at a
//! random moment and started again. Then every acknowledged seat must exist.

use std::collections::BTreeMap;
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::audit::{Registrations, all_registrations, audit};
use crate::support::barrier::Barrier;
use crate::support::http::{Client, Response};
use crate::support::random::{Random, seed};
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};

const TERM: &str = "203001";
const STUDENTS: usize = 40;
const SECTIONS: usize = 40;
/// Kills in one run; `FAULT_ROUNDS` sets another number.
const ROUNDS: usize = 20;
/// The server is killed after at most this many responses.
const RESPONSES_MAX: usize = 900;

/// Returns 20 courses of two sections each, in eight slots, some of which overlap the next by half an hour. Most seats
/// are soon taken, so that waitlists form.
fn schedule() -> Schedule {
    let row = |index: usize| {
        let number = u32::try_from(index).unwrap();
        let start = 8 * 60 + (number % 8) * 60 + if number.is_multiple_of(5) { 30 } else { 0 };
        Row {
            crn: (10_001 + index).to_string(),
            course: format!("MATH {}", 100 + index / 2),
            component: "lecture".into(),
            credits: "3",
            days: [Days::Mwf, Days::Tr, Days::W][index % 3],
            start,
            end: start + 50,
            capacity: 3 + number % 10,
            waitlist: 4,
        }
    };
    Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() }
}

/// A request of a student.
#[derive(Debug, Clone)]
enum Request {
    Add { section: String, waitlist: bool },
    Drop { section: String },
    Swap { drop: String, add: String },
}

impl Request {
    /// Returns a random request that is likely to succeed.
    fn random(random: &mut Random, held: &Registrations, ids: &[String]) -> Self {
        let add = random.pick(ids).clone();
        let mine = if held.is_empty() { None } else { held.keys().nth(random.below(held.len())).cloned() };
        match (random.below(100), mine) {
            (60..80, Some(section)) => Self::Drop { section },
            (80..95, Some(drop)) if drop != add => Self::Swap { drop, add },
            // A double click.
            (95..100, Some(section)) => Self::Add { section, waitlist: false },
            _ => Self::Add { section: add, waitlist: random.percent(60) },
        }
    }

    /// Sends the request and waits for the response.
    fn send(&self, student: &mut Client) -> std::io::Result<Response> {
        let path = "/api/v1/me/registrations";
        match self {
            Self::Add { section, waitlist } => {
                student.call("PUT", &format!("{path}/{section}?waitlist={waitlist}"), &[], b"")
            }
            Self::Drop { section } => student.call("DELETE", &format!("{path}/{section}"), &[], b""),
            Self::Swap { drop, add } => {
                student.call_json("POST", path, &json!({"add": [add], "drop": [drop], "swap": true}))
            }
        }
    }

    /// Returns the registrations after this request has succeeded. A seat that was never acknowledged has the status
    /// `?`.
    fn applied_to(&self, mut held: Registrations) -> Registrations {
        let (add, drop) = match self {
            Self::Add { section, .. } => (Some(section), None),
            Self::Drop { section } => (None, Some(section)),
            Self::Swap { drop, add } => (Some(add), Some(drop)),
        };
        if let Some(drop) = drop {
            held.remove(drop);
        }
        if let Some(add) = add {
            held.entry(add.clone()).or_insert_with(|| ("?".into(), None));
        }
        held
    }

    /// Checks the response and returns the registrations after it.
    fn after_response(&self, held: Registrations, response: &Response) -> Registrations {
        let text = response.text();
        let seat_in = |body: &Value| (body["status"].as_str().expect(&text).to_owned(), body["position"].as_u64());
        match (self, response.status) {
            (Self::Add { section, .. }, 201) => {
                assert!(
                    !held.contains_key(section),
                    "201 only for a section that was not held, not for {section}: {text}"
                );
                let mut held = self.applied_to(held);
                held.insert(section.clone(), seat_in(&response.json()));
                held
            }
            (Self::Add { section, .. }, 200) => {
                assert!(held.contains_key(section), "200 only for a section that was held, not for {section}: {text}");
                held
            }
            (Self::Drop { section }, 200) => {
                assert_eq!(response.json()["status"], "dropped", "{section}");
                self.applied_to(held)
            }
            (Self::Swap { add, .. }, 200) => {
                let body = response.json();
                let results = body["results"].as_array().expect(&text);
                let refused = results.iter().filter(|part| !part["problem"].is_null()).count();
                assert!(refused == 0 || refused == results.len(), "a swap succeeds or fails as a whole: {text}");
                if refused > 0 {
                    return held;
                }
                let seat = seat_in(results.iter().find(|part| part["section"] == **add).expect(&text));
                let mut held = self.applied_to(held);
                // A swap that adds a section already held only drops the other one.
                held.insert(add.clone(), seat);
                held
            }
            (_, 409) => held,
            _ => panic!("unexpected response {} to {self:?}: {text}", response.status),
        }
    }
}

/// A student's state when the connection breaks: the acknowledged registrations, and the request without a response.
struct Acknowledged {
    held: Registrations,
    pending: Option<Request>,
}

impl Acknowledged {
    /// Checks the registrations after the restart. The pending request was applied as a whole or not at all.
    fn check(&self, actual: &Registrations) {
        let without = &self.held;
        let with = self.pending.as_ref().map(|request| request.applied_to(without.clone()));
        let matches = |expected: &Registrations| {
            expected.keys().eq(actual.keys())
                && expected.iter().all(|(id, (status, _))| status != "enrolled" || actual[id].0 == "enrolled")
        };
        assert!(
            matches(without) || with.as_ref().is_some_and(matches),
            "acknowledged: {without:#?}\npending: {:#?}\nafter the restart: {actual:#?}",
            self.pending
        );
    }
}

/// Sends requests of one student until the connection breaks.
fn send_requests(
    mut student: Client,
    mut held: Registrations,
    ids: &[String],
    mut random: Random,
    responses: &AtomicUsize,
    kill_after: usize,
    kill: &Sender<()>,
) -> Acknowledged {
    loop {
        let request = Request::random(&mut random, &held, ids);
        let Ok(response) = request.send(&mut student) else {
            return Acknowledged { held, pending: Some(request) };
        };
        held = request.after_response(held, &response);
        if responses.fetch_add(1, Ordering::Relaxed) + 1 == kill_after {
            let _ = kill.send(());
        }
    }
}

/// Runs all students at once and kills the server while they send requests.
fn run_until_killed(
    server: Server,
    tokens: &[String],
    held: Vec<Registrations>,
    ids: &[String],
    random: &mut Random,
) -> Vec<Acknowledged> {
    let (kill_after, delay) = (1 + random.below(RESPONSES_MAX), Duration::from_micros(random.next() % 3_000));
    let (responses, start) = (AtomicUsize::new(0), Barrier::new(tokens.len()));
    let (kill, killed) = mpsc::channel();
    thread::scope(|scope| {
        let students: Vec<_> = tokens
            .iter()
            .zip(held)
            .map(|(token, held)| {
                let student = server.client().signed_in(token);
                let (random, kill) = (Random::seeded(random.next()), kill.clone());
                let (responses, start) = (&responses, &start);
                scope.spawn(move || {
                    start.wait();
                    send_requests(student, held, ids, random, responses, kill_after, &kill)
                })
            })
            .collect();
        // When all students have failed, `recv` returns an error, and the joins below report the panics.
        drop(kill);
        let _ = killed.recv();
        // A random delay, because right after a response no request may be in flight.
        let until = Instant::now() + delay;
        while Instant::now() < until {
            hint::spin_loop();
        }
        server.kill();
        students.into_iter().map(|student| student.join().expect("the student's thread succeeds")).collect()
    })
}

#[test]
fn every_acknowledged_seat_survives_kills() {
    let mut random = Random::seeded(seed());
    let home = Home::new();
    let schedule = schedule();
    let ids = schedule.ids();
    let tokens = home.tokens("crash", "student", STUDENTS);
    let mut server = home.serve();
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let mut held: Vec<Registrations> = vec![BTreeMap::new(); STUDENTS];
    let mut interrupted = 0;
    let rounds = std::env::var("FAULT_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("FAULT_ROUNDS is a number"));
    for number in 1..=rounds {
        let before = run_until_killed(server, &tokens, held, &ids, &mut random);
        home.verify().unwrap_or_else(|e| panic!("round {number}: {e}"));
        server = home.serve();
        held = all_registrations(&server, TERM, &tokens);
        for (acknowledged, actual) in before.iter().zip(&held) {
            acknowledged.check(actual);
            interrupted += usize::from(acknowledged.pending.is_some());
        }
        audit(&server, &schedule, &held);
    }
    assert!(interrupted > 0, "at least one kill interrupts a request");
    let seats: usize = held.iter().map(BTreeMap::len).sum();
    println!("{rounds} kills, {interrupted} interrupted requests, {seats} seats and waitlist positions at the end");
    assert!(seats > STUDENTS, "there are enough seats for a meaningful test");
}

#[test]
fn sigterm_exits_with_status_0_and_keeps_every_seat() {
    let home = Home::new();
    let schedule = schedule();
    let tokens = home.tokens("drain", "student", 5);
    let server = home.serve();
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    for token in &tokens {
        let path = format!("/api/v1/me/registrations/{}?waitlist=true", schedule.ids()[0]);
        server.client().signed_in(token).put(&path).expect(201);
    }
    let before = all_registrations(&server, TERM, &tokens);
    let status = server.stop();
    assert_eq!(status.code(), Some(0), "shutdown after SIGTERM is not an error");
    home.verify().unwrap();
    let server = home.serve();
    assert_eq!(all_registrations(&server, TERM, &tokens), before);
    audit(&server, &schedule, &before);
}
