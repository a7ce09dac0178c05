//! The registration rush: 1,000 students compete for 20 sections. Each has two connections that send conflicting
//! requests at the same time. Afterward no section is oversold and no student has two conflicting registrations.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use serde_json::json;

use crate::support::audit::{all_registrations, audit, registrations};
use crate::support::barrier::Barrier;
use crate::support::http::{Client, Response};
use crate::support::random::{Random, seed};
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::Home;

const TERM: &str = "203001";
const STUDENTS: usize = 1_000;
const ROUNDS: usize = 12;
/// Stack size of a student's thread, in bytes. At the default of 2 MiB, 1,000 threads would reserve 2 GiB.
const STACK_BYTES: usize = 512 * 1024;

/// Returns 20 sections: six courses of three lectures in six slots, the third lecture half an hour late so that it
/// overlaps two slots, and two labs of the first course. They have 8 to 48 seats; some have no waitlist.
fn schedule() -> Schedule {
    let row = |index: u32| {
        let lab = index >= 18;
        let (course, slot) = if lab { (0, index % 2) } else { (index / 3, (index / 3 + index % 3) % 6) };
        let start = 8 * 60 + slot * 60 + if index % 3 == 2 { 30 } else { 0 };
        Row {
            crn: (20_001 + index).to_string(),
            course: format!("CHEM {}", 101 + course),
            component: if lab { "lab" } else { "lecture" }.into(),
            credits: if lab { "0" } else { "3" },
            days: if index.is_multiple_of(4) { Days::Tr } else { Days::Mwf },
            start,
            end: start + 50,
            capacity: 8 + (index % 6) * 8,
            waitlist: (index % 4) * 10,
        }
    };
    Schedule { term: TERM.into(), rows: (0..20).map(row).collect() }
}

/// One request of a pair.
struct Request {
    method: &'static str,
    path: String,
    body: String,
}

impl Request {
    fn add(section: &str, waitlist: bool) -> Self {
        let path = format!("/api/v1/me/registrations/{section}?waitlist={waitlist}");
        Self { method: "PUT", path, body: String::new() }
    }

    fn drop(section: &str) -> Self {
        Self { method: "DELETE", path: format!("/api/v1/me/registrations/{section}"), body: String::new() }
    }

    fn batch(add: &[&String], drop: &[&String], swap: bool) -> Self {
        let add: BTreeSet<_> = add.iter().collect();
        let body = json!({"add": add, "drop": drop, "swap": swap, "waitlist": !swap});
        Self { method: "POST", path: "/api/v1/me/registrations".into(), body: body.to_string() }
    }

    fn send(&self, student: &mut Client) {
        let headers: &[_] = if self.body.is_empty() { &[] } else { &[("Content-Type", "application/json")] };
        student.send(self.method, &self.path, headers, self.body.as_bytes()).expect("the server accepts requests");
    }
}

/// Returns a section for which `conflicts` is true with section number `this`; any section when there is none.
fn conflicting_section(
    random: &mut Random,
    schedule: &Schedule,
    this: usize,
    conflicts: fn(&Row, &Row) -> bool,
) -> String {
    let others = schedule.rows.iter().enumerate();
    let found: Vec<_> = others.filter(|(i, row)| *i != this && conflicts(&schedule.rows[this], row)).collect();
    let row = if found.is_empty() { random.pick(&schedule.rows) } else { random.pick(&found).1 };
    schedule.id(row)
}

/// Returns two requests that conflict, and whether they are a double click.
fn conflicting_requests(random: &mut Random, schedule: &Schedule, registered: &[String]) -> (Request, Request, bool) {
    let ids = schedule.ids();
    let any = random.below(ids.len());
    let waitlist = random.percent(50);
    let one = Request::add(&ids[any], waitlist);
    match (random.below(9), registered) {
        // Two sections of one course and component.
        (0, _) => (one, Request::add(&conflicting_section(random, schedule, any, Row::same_course), waitlist), false),
        // Two sections that meet at the same time.
        (1, _) => (one, Request::add(&conflicting_section(random, schedule, any, Row::overlaps), waitlist), false),
        // Two swaps that drop the same seat for two sections that conflict with it.
        (2, [_, ..]) => {
            let mine = random.pick(registered);
            let at = ids.iter().position(|id| id == mine).expect("a section of the schedule");
            let [one, other] = [(); 2].map(|()| conflicting_section(random, schedule, at, Row::conflicts_with));
            (Request::batch(&[&one], &[mine], true), Request::batch(&[&other], &[mine], true), false)
        }
        // A drop and an add that may depend on it.
        (3..=6, [_, ..]) => (Request::drop(&registered[random.below(registered.len())]), one, false),
        // Two overlapping batches of four sections.
        (7, _) => {
            let [a, b, c, d] = [(); 4].map(|()| random.pick(&ids));
            (Request::batch(&[a, b, c, &ids[any]], &[], false), Request::batch(&[d, c, b, a], &[], false), false)
        }
        // A double click.
        _ => (Request::add(&ids[any], waitlist), one, true),
    }
}

/// Number of responses by status or problem code.
type Tally = BTreeMap<String, usize>;

fn check(response: &Response, tally: &mut Tally) {
    let key = match response.status {
        200 | 201 => response.status.to_string(),
        // The server must not be overloaded by 1,000 students, so 503 is an error.
        404 | 409 => response.code(),
        _ => panic!("unexpected response {}: {}", response.status, response.text()),
    };
    *tally.entry(key).or_default() += 1;
}

/// Runs one student. In each round, both connections send a request before either response is read.
fn run_student(connections: [Client; 2], schedule: &Schedule, mut random: Random, start: &Barrier) -> Tally {
    let [mut left, mut right] = connections;
    let mut tally = Tally::new();
    for _ in 0..ROUNDS {
        let registered: Vec<_> = registrations(&mut left, TERM).into_keys().collect();
        let (one, other, double_click) = conflicting_requests(&mut random, schedule, &registered);
        start.wait();
        one.send(&mut left);
        other.send(&mut right);
        let responses = [left.receive().expect("a response"), right.receive().expect("a response")];
        let created = responses.iter().filter(|r| r.status == 201).count();
        assert!(!double_click || created < 2, "a double click creates one registration: {responses:?}");
        for response in &responses {
            check(response, &mut tally);
        }
    }
    tally
}

#[test]
fn a_thousand_students_on_two_connections_never_oversell() {
    let mut random = Random::seeded(seed());
    let home = Home::new();
    let schedule = schedule();
    let tokens = home.tokens("rush", "student", STUDENTS);
    let server = home.serve();
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));

    let start = Barrier::new(STUDENTS);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let students: Vec<_> = tokens
            .iter()
            .map(|token| {
                let connections = [(); 2].map(|()| server.client().signed_in(token));
                let (random, schedule, start) = (Random::seeded(random.next()), &schedule, &start);
                thread::Builder::new()
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, move || run_student(connections, schedule, random, start))
                    .expect("a thread for each student")
            })
            .collect();
        students.into_iter().map(|student| student.join().expect("the student's thread succeeds")).collect()
    });

    let mut total = Tally::new();
    for (key, count) in tallies.into_iter().flatten() {
        *total.entry(key).or_default() += count;
    }
    println!("responses: {total:?}");
    for expected in ["201", "already_in_course", "time_conflict", "section_full", "waitlist_full"] {
        assert!(total.contains_key(expected), "some responses are `{expected}`: {total:?}");
    }
    let registered = all_registrations(&server, TERM, &tokens);
    audit(&server, &schedule, &registered);
    // A restart changes nothing.
    assert_eq!(server.stop().code(), Some(0));
    home.verify().unwrap();
    let server = home.serve();
    assert_eq!(all_registrations(&server, TERM, &tokens), registered, "registrations are the same after the restart");
    audit(&server, &schedule, &registered);
}
