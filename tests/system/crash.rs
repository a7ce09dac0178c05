//! Confirmed seats survive `kill -9`. Concurrent students send requests to the built program, which is killed at a
//! random moment and started again. Then every confirmed seat must exist.

use std::collections::BTreeMap;
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::attempts;
use crate::support::audit::{Registrations, all_registrations, audit};
use crate::support::barrier::Barrier;
use crate::support::http::{Client, Response};
use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};

const TERM: &str = "203001";
const STUDENTS: usize = 40;
const SECTIONS: usize = 40;
/// Kills in one run; `FAULT_ROUNDS` sets another number.
const ROUNDS: usize = 20;
/// The server is killed shortly after at most this many responses.
const RESPONSES_MAX: usize = 900;

/// Returns 20 courses of two sections each, in eight slots. Every fifth section starts half an hour late and overlaps
/// the next slot. Most seats are soon taken, so that waitlists form.
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

/// A student's request.
#[derive(Debug, Clone)]
enum Request {
    Add { section: String, waitlist: bool },
    Drop { section: String },
    Swap { drop: String, add: String },
}

impl Request {
    /// Returns a random request that is likely to succeed.
    fn random(random: &mut Random, registered: &Registrations, ids: &[String]) -> Self {
        let add = random.pick(ids).clone();
        let mine =
            if registered.is_empty() { None } else { registered.keys().nth(random.below(registered.len())).cloned() };
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

    /// Returns the registrations after this request has succeeded. A seat that was never confirmed has the status
    /// `?`.
    fn applied_to(&self, mut registered: Registrations) -> Registrations {
        let (add, drop) = match self {
            Self::Add { section, .. } => (Some(section), None),
            Self::Drop { section } => (None, Some(section)),
            Self::Swap { drop, add } => (Some(add), Some(drop)),
        };
        if let Some(drop) = drop {
            registered.remove(drop);
        }
        if let Some(add) = add {
            registered.entry(add.clone()).or_insert_with(|| ("?".into(), None));
        }
        registered
    }

    /// Checks the response and returns the registrations after it.
    fn after_response(&self, registered: Registrations, response: &Response) -> Registrations {
        let text = response.text();
        let seat_in = |body: &Value| (body["status"].as_str().expect(&text).to_owned(), body["position"].as_u64());
        match (self, response.status) {
            (Self::Add { section, .. }, 201) => {
                assert!(
                    !registered.contains_key(section),
                    "201 only for a new registration, not for {section}: {text}"
                );
                let mut registered = self.applied_to(registered);
                registered.insert(section.clone(), seat_in(&response.json()));
                registered
            }
            (Self::Add { section, .. }, 200) => {
                assert!(
                    registered.contains_key(section),
                    "200 only for an existing registration, not for {section}: {text}"
                );
                registered
            }
            (Self::Drop { section }, 200) => {
                assert_eq!(response.json()["status"], "dropped", "{section}");
                self.applied_to(registered)
            }
            (Self::Swap { add, .. }, 200) => {
                let body = response.json();
                let results = body["results"].as_array().expect(&text);
                let refused = results.iter().filter(|part| !part["problem"].is_null()).count();
                assert!(refused == 0 || refused == results.len(), "a swap succeeds or fails as a whole: {text}");
                if refused > 0 {
                    return registered;
                }
                let seat = seat_in(results.iter().find(|part| part["section"] == **add).expect(&text));
                let mut registered = self.applied_to(registered);
                // A swap that adds a section that the student already has only drops the other one.
                registered.insert(add.clone(), seat);
                registered
            }
            (_, 409) => registered,
            _ => panic!("unexpected response {} to {self:?}: {text}", response.status),
        }
    }
}

/// A student's state when the connection breaks: the confirmed registrations, and the request without a response.
struct Confirmed {
    registered: Registrations,
    pending: Option<Request>,
    receipts: Vec<Receipted>,
}

/// A reply: the number and the hash of its receipt, the section and the result.
type Receipted = (u64, String, String, String);

/// Returns the receipts in a response.
fn receipts(request: &Request, response: &Response) -> Vec<Receipted> {
    let body = response.json();
    let receipted = |section: &str, part: &Value| {
        let result = part["status"].as_str().or(part["code"].as_str()).or(part["problem"]["code"].as_str());
        let receipt = &part["receipt"];
        let (n, hash) = (receipt["n"].as_u64(), receipt["hash"].as_str());
        let result = result.unwrap_or_else(|| panic!("no result in {body}"));
        let missing = || panic!("no receipt in {body}");
        (n.unwrap_or_else(missing), hash.unwrap_or_default().to_owned(), section.to_owned(), result.to_owned())
    };
    match request {
        Request::Add { section, .. } | Request::Drop { section } => vec![receipted(section, &body)],
        Request::Swap { .. } => {
            let parts = body["results"].as_array().expect("results");
            parts.iter().map(|part| receipted(part["section"].as_str().unwrap(), part)).collect()
        }
    }
}

impl Confirmed {
    /// Checks the registrations after the restart. The pending request was applied as a whole or not at all.
    fn check(&self, actual: &Registrations) {
        let without = &self.registered;
        let with = self.pending.as_ref().map(|request| request.applied_to(without.clone()));
        let matches = |expected: &Registrations| {
            expected.keys().eq(actual.keys())
                && expected.iter().all(|(id, (status, _))| status != "enrolled" || actual[id].0 == "enrolled")
        };
        assert!(
            matches(without) || with.as_ref().is_some_and(matches),
            "confirmed: {without:#?}\npending: {:#?}\nafter the restart: {actual:#?}",
            self.pending
        );
    }
}

/// Sends requests of one student until the connection breaks.
fn send_requests(
    mut student: Client,
    mut registered: Registrations,
    ids: &[String],
    mut random: Random,
    responses: &AtomicUsize,
    kill_after: usize,
    kill: &Sender<()>,
) -> Confirmed {
    let mut all = Vec::new();
    loop {
        let request = Request::random(&mut random, &registered, ids);
        let Ok(response) = request.send(&mut student) else {
            return Confirmed { registered, pending: Some(request), receipts: all };
        };
        // Shed on a busy machine: nothing was decided, and the next request follows.
        if response.code() == "overloaded" {
            continue;
        }
        all.extend(receipts(&request, &response));
        registered = request.after_response(registered, &response);
        if responses.fetch_add(1, Ordering::Relaxed) + 1 == kill_after {
            let _ = kill.send(());
        }
    }
}

/// Runs all students at once and kills the server while they send requests.
fn run_until_killed(
    server: Server,
    tokens: &[String],
    registered: Vec<Registrations>,
    ids: &[String],
    random: &mut Random,
) -> Vec<Confirmed> {
    let (kill_after, delay) = (1 + random.below(RESPONSES_MAX), Duration::from_micros(random.next() % 3_000));
    let (responses, start) = (AtomicUsize::new(0), Barrier::new(tokens.len()));
    let (kill, killed) = mpsc::channel();
    thread::scope(|scope| {
        let students: Vec<_> = tokens
            .iter()
            .zip(registered)
            .map(|(token, registered)| {
                let student = server.client().signed_in(token);
                let (random, kill) = (Random::seeded(random.next()), kill.clone());
                let (responses, start) = (&responses, &start);
                scope.spawn(move || {
                    start.wait();
                    send_requests(student, registered, ids, random, responses, kill_after, &kill)
                })
            })
            .collect();
        // When all students have failed, `recv` returns an error, and the joins below report the panics.
        drop(kill);
        let _ = killed.recv();
        // A random delay, because right after a response there might be no request in flight.
        let until = Instant::now() + delay;
        while Instant::now() < until {
            hint::spin_loop();
        }
        server.kill();
        students.into_iter().map(|student| student.join().expect("the student's thread succeeds")).collect()
    })
}

/// Checks that the chain contains every receipt, for its student and with the result of the response. Returns the
/// number of receipts.
fn check_receipts(home: &Home, round: usize, confirmed: &[Confirmed]) -> usize {
    let file = home.folder().join(format!("attempts-{round}.jsonl"));
    let output = home.run(&["attempts", "export", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let chain = &attempts::read(&file)[TERM];
    std::fs::remove_file(&file).unwrap();
    for (number, one) in confirmed.iter().enumerate() {
        for (n, hash, section, result) in &one.receipts {
            let found = chain.get(n).unwrap_or_else(|| panic!("attempt {n} of {section} survives"));
            let found = (&found.hash, format!("{TERM}-{}", found.row[6]), &found.row[8], found.user.clone());
            let student = format!("crash-{:05}", number + 1);
            assert_eq!(found, (hash, section.clone(), result, Some(student)), "attempt {n}");
        }
    }
    confirmed.iter().map(|one| one.receipts.len()).sum()
}

#[test]
fn every_confirmed_seat_survives_kills() {
    let mut random = Random::seeded(seed());
    let home = Home::new();
    let schedule = schedule();
    let ids = schedule.ids();
    let tokens = home.tokens("crash", "student", STUDENTS);
    let mut server = home.serve();
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let mut registered: Vec<Registrations> = vec![BTreeMap::new(); STUDENTS];
    let (mut interrupted, mut receipted) = (0, 0);
    let rounds = length_of_run("FAULT_ROUNDS", ROUNDS);
    for number in 1..=rounds {
        let before = run_until_killed(server, &tokens, registered, &ids, &mut random);
        home.verify().unwrap_or_else(|e| panic!("round {number}: {e}"));
        server = home.serve();
        registered = all_registrations(&server, TERM, &tokens);
        for (confirmed, actual) in before.iter().zip(&registered) {
            confirmed.check(actual);
            interrupted += usize::from(confirmed.pending.is_some());
        }
        audit(&server, &schedule, &registered);
        receipted += check_receipts(&home, number, &before);
    }
    assert!(receipted > STUDENTS, "there are replies with receipts");
    assert!(interrupted > 0, "at least one kill interrupts a request");
    let seats: usize = registered.iter().map(BTreeMap::len).sum();
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
