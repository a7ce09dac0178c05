//! A seat that was answered survives `kill -9`: concurrent students against the built program, which is killed at
//! random moments, started again, and asked about every seat that it had acknowledged.

use std::collections::BTreeMap;
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::audit::{Week, audit, weeks};
use crate::support::http::{Answer, Client};
use crate::support::meeting::Meeting;
use crate::support::random::{Random, seed};
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};

const TERM: &str = "203001";
const STUDENTS: usize = 40;
const SECTIONS: usize = 40;
const ROUNDS: usize = 20;
/// The server is killed after so many answers at most.
const ANSWERS_MAX: usize = 900;

/// Pairs of sections of one course, in eight slots, some of them half an hour into the next, with so few seats that
/// most are soon taken and lines form.
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

/// What a student asks for.
#[derive(Debug, Clone)]
enum Wish {
    Add { section: String, waitlist: bool },
    Drop { section: String },
    Swap { drop: String, add: String },
}

impl Wish {
    /// Any wish; mostly one that can come true.
    fn random(random: &mut Random, held: &Week, ids: &[String]) -> Self {
        let add = random.pick(ids).clone();
        let mine = if held.is_empty() { None } else { held.keys().nth(random.below(held.len())).cloned() };
        match (random.below(100), mine) {
            (60..80, Some(section)) => Self::Drop { section },
            (80..95, Some(drop)) if drop != add => Self::Swap { drop, add },
            // A second click on what is held.
            (95..100, Some(section)) => Self::Add { section, waitlist: false },
            _ => Self::Add { section: add, waitlist: random.percent(60) },
        }
    }

    fn ask(&self, student: &mut Client) -> std::io::Result<Answer> {
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

    /// What is held when it has come true. A seat that was never told of has the status `?`.
    fn fulfilled(&self, mut held: Week) -> Week {
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

    /// What is held after an answer, which is checked for what it may say.
    fn answered(&self, held: Week, answer: &Answer) -> Week {
        let text = answer.text();
        let told = |body: &Value| (body["status"].as_str().expect(&text).to_owned(), body["position"].as_u64());
        match (self, answer.status) {
            (Self::Add { section, .. }, 201) => {
                assert!(!held.contains_key(section), "a second seat in {section}: {text}");
                let mut held = self.fulfilled(held);
                held.insert(section.clone(), told(&answer.json()));
                held
            }
            (Self::Add { section, .. }, 200) => {
                assert!(held.contains_key(section), "{section} is not held: {text}");
                held
            }
            (Self::Drop { section }, 200) => {
                assert_eq!(answer.json()["status"], "dropped", "{section}");
                self.fulfilled(held)
            }
            (Self::Swap { add, .. }, 200) => {
                let body = answer.json();
                let results = body["results"].as_array().expect(&text);
                let refused = results.iter().filter(|part| !part["problem"].is_null()).count();
                assert!(refused == 0 || refused == results.len(), "half a swap: {text}");
                if refused > 0 {
                    return held;
                }
                let seat = told(results.iter().find(|part| part["section"] == **add).expect(&text));
                let mut held = self.fulfilled(held);
                // A swap for what is held already only drops.
                held.insert(add.clone(), seat);
                held
            }
            (_, 409) => held,
            _ => panic!("{self:?} was answered {}: {text}", answer.status),
        }
    }
}

/// What a student knows when the connection breaks: what was acknowledged, and the wish that was never answered.
struct Memory {
    held: Week,
    unanswered: Option<Wish>,
}

impl Memory {
    /// Holds what is true after the restart against what was acknowledged. The unanswered wish may have come true or
    /// not, but never by half.
    fn check(&self, actual: &Week) {
        let without = &self.held;
        let with = self.unanswered.as_ref().map(|wish| wish.fulfilled(without.clone()));
        let matches = |expected: &Week| {
            expected.keys().eq(actual.keys())
                && expected.iter().all(|(id, (status, _))| status != "enrolled" || actual[id].0 == "enrolled")
        };
        assert!(
            matches(without) || with.as_ref().is_some_and(matches),
            "acknowledged: {without:#?}\nunanswered: {:#?}\nafter the restart: {actual:#?}",
            self.unanswered
        );
    }
}

/// One student, asking until the server is gone.
fn study(
    mut student: Client,
    mut held: Week,
    ids: &[String],
    mut random: Random,
    answers: &AtomicUsize,
    enough: usize,
    kill: &Sender<()>,
) -> Memory {
    loop {
        let wish = Wish::random(&mut random, &held, ids);
        let Ok(answer) = wish.ask(&mut student) else {
            return Memory { held, unanswered: Some(wish) };
        };
        held = wish.answered(held, &answer);
        if answers.fetch_add(1, Ordering::Relaxed) + 1 == enough {
            let _ = kill.send(());
        }
    }
}

/// All students at once, until the server is killed in the middle of it.
fn round(server: Server, tokens: &[String], held: Vec<Week>, ids: &[String], random: &mut Random) -> Vec<Memory> {
    let (enough, a_little_later) = (1 + random.below(ANSWERS_MAX), Duration::from_micros(random.next() % 3_000));
    let (answers, together) = (AtomicUsize::new(0), Meeting::of(tokens.len()));
    let (kill, killed) = mpsc::channel();
    thread::scope(|scope| {
        let students: Vec<_> = tokens
            .iter()
            .zip(held)
            .map(|(token, held)| {
                let student = server.client().signed_in(token);
                let (random, kill) = (Random::seeded(random.next()), kill.clone());
                let (answers, together) = (&answers, &together);
                scope.spawn(move || {
                    together.wait();
                    study(student, held, ids, random, answers, enough, &kill)
                })
            })
            .collect();
        // A student who fails hangs up; when all have, nobody says "enough" any more, and the joins below tell why.
        drop(kill);
        let _ = killed.recv();
        // Not right after an answer, where nothing may be under way.
        let until = Instant::now() + a_little_later;
        while Instant::now() < until {
            hint::spin_loop();
        }
        server.kill();
        students.into_iter().map(|student| student.join().expect("a student failed")).collect()
    })
}

#[test]
fn every_acknowledged_seat_survives_twenty_kills() {
    let mut random = Random::seeded(seed());
    let home = Home::new();
    let schedule = schedule();
    let ids = schedule.ids();
    let tokens = home.tokens("crash", "student", STUDENTS);
    let mut server = home.serve();
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let mut held: Vec<Week> = vec![BTreeMap::new(); STUDENTS];
    let mut unanswered = 0;
    for number in 1..=ROUNDS {
        let memories = round(server, &tokens, held, &ids, &mut random);
        home.verify().unwrap_or_else(|e| panic!("round {number}: {e}"));
        server = home.serve();
        held = weeks(&server, TERM, &tokens);
        for (memory, actual) in memories.iter().zip(&held) {
            memory.check(actual);
            unanswered += usize::from(memory.unanswered.is_some());
        }
        audit(&server, &schedule, &held);
    }
    assert!(unanswered > 0, "the kills never caught a request under way");
    let seats: usize = held.iter().map(BTreeMap::len).sum();
    println!("{ROUNDS} kills, {unanswered} requests cut off, {seats} seats and places held in the end");
    assert!(seats > STUDENTS, "so few seats show nothing");
}

#[test]
fn sigterm_exits_with_0_and_keeps_every_seat() {
    let home = Home::new();
    let schedule = schedule();
    let tokens = home.tokens("drain", "student", 5);
    let server = home.serve();
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    for token in &tokens {
        let path = format!("/api/v1/me/registrations/{}?waitlist=true", schedule.ids()[0]);
        server.client().signed_in(token).put(&path).expect(201);
    }
    let before = weeks(&server, TERM, &tokens);
    let status = server.stop();
    assert_eq!(status.code(), Some(0), "SIGTERM is not a failure");
    home.verify().unwrap();
    let server = home.serve();
    assert_eq!(weeks(&server, TERM, &tokens), before);
    audit(&server, &schedule, &before);
}
