//! Registration with every rule in use: the time of a decision in a term of [`SECTIONS`] sections with ten rules each,
//! and registrations and refusals over HTTP, compared to the same without rules.
//!
//! Each section has three prerequisites, two restrictions, a repeat limit, reserved seats, a pool of seats that it
//! shares, a linked section, and the deadlines of its term. All students meet these rules, so that every rule is
//! evaluated. Refused requests are for full sections, which the second-to-last rule refuses.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eduhub::domain::book::TermBook;
use eduhub::domain::command::Command;
use eduhub::domain::decide::decide;
use eduhub::domain::ids::{Crn, SectionId, TermId, UserName};
use eduhub::domain::meeting::{Days, Meeting};
use eduhub::domain::outcome::{Outcome, RequestOutcome};
use eduhub::domain::pool::CrossListing;
use eduhub::domain::prerequisite::Requirement;
use eduhub::domain::reservation::Reservation;
use eduhub::domain::restriction::Restriction;
use eduhub::domain::section::{Credits, Section, SectionState, SectionStatus};
use eduhub::domain::student::{CompletedCourse, StudentFacts};
use eduhub::domain::term::{Cutoffs, Term};
use jiff::Timestamp;
use jiff::civil::time;
use serde_json::json;

use crate::registrations::{Count, Kind, SECTIONS, TERM, measure, schedule};
use crate::support::http::Client;
use crate::support::random::Random;
use crate::support::schedule::{Row, Schedule, open_term, start_import, wait_for_import};
use crate::support::server::{Home, Server};
use crate::table::{met, millis, number, percentile};
use crate::{setting, table};

/// The number of students.
const STUDENTS: usize = 2_000;
/// Sections that each student requests before the measured decisions. Requests for overlapping sections are refused.
const REGISTERED: usize = 4;
/// The number of decisions that are measured.
const DECISIONS: usize = 200_000;
/// The longest time that 99 of 100 decisions may take.
const DECISION_MAX: Duration = Duration::from_micros(10);
/// The section to which every other one is linked.
const ANCHOR: &str = "ANCHOR";
/// Sections without seats, for refusals.
const FULL: usize = 50;
/// Measurements of each kind, which alternate. The one with the median number of responses is printed.
const TURNS: usize = 3;
/// The prerequisites of each section. Every student has completed them.
const PREREQUISITES: [&str; 3] = ["(BASE 1 or BASE 2 with C)", "BASE 3 with B and BASE 4", "BASE 5 or BASE 6"];
const COMPLETED: [&str; 6] = ["BASE 1", "BASE 2", "BASE 3", "BASE 4", "BASE 5", "BASE 6"];
const RESTRICTIONS: [&str; 2] = ["group: degree", "campus: main"];

/// Runs and prints this part.
pub fn run() {
    decisions();
    requests();
}

fn user(number: usize) -> UserName {
    UserName::parse(&format!("rules-{:05}", number + 1)).expect("a name")
}

/// Returns the section of this index, with its rules.
fn section(index: usize) -> SectionState {
    let id = |crn: &str| SectionId::parse(&format!("{TERM}-{crn}")).expect("an id");
    let is_anchor = index == 0;
    let crn = if is_anchor { ANCHOR.to_owned() } else { (10_000 + index).to_string() };
    let hour = 8 + i8::try_from(index / 3 % 10).expect("an hour");
    let day = 1 << (index % 3);
    let meeting = Meeting {
        days: Days::from_bits(day),
        start: Some(time(hour, 0, 0, 0)),
        end: Some(time(hour, 50, 0, 0)),
        ..Meeting::default()
    };
    let pool = CrossListing { group: format!("pool {}", index / 2).into(), capacity: None };
    SectionState::new(Arc::new(Section {
        id: id(&crn),
        original_crn: None,
        course: format!("{} {}", ["MATH", "CHEM", "HIST", "ENGL", "PHYS"][index % 5], 100 + index).into(),
        component: "lecture".into(),
        section: None,
        title: None,
        credits: Credits(if is_anchor { 0 } else { 3_000 }),
        instructor: None,
        method: None,
        campus: None,
        meetings: if is_anchor { Vec::new() } else { vec![meeting] },
        capacity: if is_anchor { 10_000 } else { 20 + u32::try_from(index % 40).expect("seats") },
        waitlist_capacity: 10,
        status: SectionStatus::Open,
        linked: if is_anchor { Vec::new() } else { vec![id(ANCHOR)] },
        cross_listed: (!is_anchor).then_some(pool),
        reserved: vec![Reservation { group: "honors".into(), seats: 2, until: None }],
        restrictions: RESTRICTIONS.iter().map(|text| Restriction::parse(text).expect("a restriction")).collect(),
        repeat_limit: Some(2),
        prerequisites: PREREQUISITES.map(Requirement::parse).into(),
        withdrawn: false,
    }))
}

/// Returns a term whose students meet every rule, and are registered for some sections.
fn book(now: Timestamp, random: &mut Random) -> TermBook {
    let later = now.checked_add(jiff::SignedDuration::from_hours(1)).expect("a time");
    let cutoffs = Cutoffs { add_until: Some(later), ..Cutoffs::default() };
    let term = Term { opens_at: Some(now), cutoffs, ..Term::new(TermId::parse(TERM).expect("a term")) };
    let mut book = TermBook::new(term, Credits(18_000), (0..=SECTIONS).map(section), 1).with_repeat_limit(2);
    let completed =
        COMPLETED.map(|course| CompletedCourse { course: course.into(), grade: Some("B".into()), term: None });
    let facts = |groups: &[&str]| StudentFacts {
        groups: groups.iter().map(|group| (*group).into()).collect(),
        campus: Some("main".into()),
        completed: Some(completed.clone().into()),
        ..StudentFacts::default()
    };
    for student in 0..STUDENTS {
        let groups: &[&str] = if student.is_multiple_of(5) { &["degree", "honors"] } else { &["degree"] };
        book.restore_facts(user(student), Arc::new(facts(groups)));
        let sections = (0..REGISTERED).map(|_| 1 + random.below(SECTIONS));
        for index in std::iter::once(0).chain(sections) {
            let changes = decide(&book, &register(student, index), now).changes;
            book.apply(&changes);
        }
    }
    book
}

fn register(student: usize, index: usize) -> Command {
    let crn = if index == 0 { ANCHOR.to_owned() } else { (10_000 + index).to_string() };
    Command::Register { student: user(student), crn: Crn::parse(&crn).expect("a CRN"), waitlist: false }
}

/// Measures decisions in memory, without their commits.
fn decisions() {
    let (now, mut random) = (Timestamp::now(), Random::seeded(1));
    let book = book(now, &mut random);
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for _ in 0..DECISIONS {
        let command = register(random.below(STUDENTS), 1 + random.below(SECTIONS));
        let begun = Instant::now();
        let decision = decide(&book, &command, now);
        let time = begun.elapsed();
        let what = match decision.outcome {
            Outcome::Request(RequestOutcome::Done(_)) => "granted",
            Outcome::Request(_) => "refused",
            other => panic!("unexpected outcome {other:?}"),
        };
        times.entry(what).or_default().push(time);
    }
    let mut all: Vec<Duration> = times.values().flatten().copied().collect();
    times.insert("all", all.clone());
    let row = |(what, mut times): (&str, Vec<Duration>)| {
        let micros = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e6);
        let count = number(times.len() as f64);
        let percentiles = [50, 95, 99].map(|p| micros(percentile(&mut times, p)));
        [what.to_owned(), count].into_iter().chain(percentiles).collect()
    };
    let rows: Vec<Vec<String>> = times.into_iter().map(row).collect();
    let title = format!("Decisions in memory, {} sections with ten rules each", number(SECTIONS as f64));
    table::print(&title, &["", "decisions", "p50 µs", "p95 µs", "p99 µs"], &rows);
    let is_met = percentile(&mut all, 99) < DECISION_MAX;
    println!("  target: a decision under {} µs at p99: {}", DECISION_MAX.as_micros(), met(is_met));
}

/// A hub with a term, with or without rules.
struct Hub {
    home: Home,
    server: Server,
    tokens: Rc<Vec<String>>,
}

impl Hub {
    fn start(has_rules: bool) -> Self {
        let home = Home::new();
        let server = home.serve();
        let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
        let tokens = Rc::new(home.tokens("rules", "student", STUDENTS));
        let task = start_import(&mut staff, TERM, csv(has_rules).as_bytes());
        let done = wait_for_import(&mut staff, &task);
        assert_eq!((&done["state"], &done["refused"]), (&json!("done"), &json!(0)), "{done:#}");
        open_term(&mut staff, TERM);
        if has_rules {
            let last = json!({"add_until": "2100-01-01T00:00:00Z"});
            staff.put_json(&format!("/api/v1/terms/{TERM}"), &last).expect(200);
            state_facts(&mut staff);
            for token in tokens.iter() {
                let anchor = format!("/api/v1/me/registrations/{TERM}-{ANCHOR}");
                server.client().signed_in(token).put(&anchor).expect(201);
            }
        }
        Self { home, server, tokens }
    }

    fn measure(&self, ids: &Rc<Vec<String>>, kind: Kind) -> Count {
        let seconds = setting("EDUHUB_BENCH_SECONDS", 6);
        measure(&self.server, STUDENTS, &self.tokens, ids, seconds, kind)
    }
}

/// Returns the sections without seats.
fn full() -> Vec<Row> {
    let row = |number: usize| Row {
        start: 20 * 60,
        end: 20 * 60 + 50,
        capacity: 0,
        waitlist: 0,
        ..Row::lecture(&format!("FULL{number}"), &format!("FULL {}", 100 + number))
    };
    (0..FULL).map(row).collect()
}

fn csv(has_rules: bool) -> String {
    let anchor =
        Row { credits: "0", start: 22 * 60, end: 22 * 60 + 10, capacity: 10_000, ..Row::lecture(ANCHOR, "BASE 9") };
    let plain = schedule();
    let rows = plain.rows.into_iter().chain(full()).chain([anchor]).collect();
    let text = Schedule { rows, term: plain.term }.csv();
    if !has_rules {
        return text;
    }
    let mut with_rules = String::with_capacity(2 * text.len());
    for (index, line) in text.lines().enumerate() {
        let rules = match index {
            0 => "linked,prerequisites,restrictions,repeat_limit,reserved,cross_listed".to_owned(),
            _ if line.contains(ANCHOR) => ",,,,,".to_owned(),
            _ => {
                // A full section must not get seats from a pool.
                let is_full = line.contains("FULL");
                let (reserved, pool) =
                    if is_full { ("", String::new()) } else { ("honors: 2", format!("pool {}", index / 2)) };
                format!("{ANCHOR},{},{},2,{reserved},{pool}", PREREQUISITES.join("; "), RESTRICTIONS.join("; "))
            }
        };
        writeln!(with_rules, "{line},{rules}").expect("text");
    }
    with_rules
}

fn state_facts(staff: &mut Client) {
    let mut csv = "user,groups,campus,completed\n".to_owned();
    let completed = COMPLETED.map(|course| format!("{course}: B")).join("; ");
    for student in 0..STUDENTS {
        let groups = if student.is_multiple_of(5) { "degree; honors" } else { "degree" };
        writeln!(csv, "{},{groups},main,{completed}", user(student)).expect("text");
    }
    let headers = [("Content-Type", "text/csv")];
    let task = staff.call("POST", "/api/v1/students/import", &headers, csv.as_bytes()).expect("a response");
    let task = task.expect(202).json()["task"].as_str().expect("a task").to_owned();
    let done = wait_for_import(staff, &task);
    assert_eq!((&done["state"], &done["refused"]), (&json!("done"), &json!(0)), "{done:#}");
}

/// Measures requests over HTTP, alternately with and without rules.
fn requests() {
    let hubs = [Hub::start(false), Hub::start(true)];
    let ids = Rc::new(schedule().ids());
    let full: Rc<Vec<String>> = Rc::new(full().iter().map(|row| format!("{TERM}-{}", row.crn)).collect());
    let kinds = [("registrations", Kind::Register, &ids), ("refusals", Kind::Refused, &full)];
    let mut rows = Vec::new();
    for (name, kind, ids) in kinds {
        let mut turns = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (hub, counts) in hubs.iter().zip(&mut turns) {
                counts.push(hub.measure(ids, kind));
            }
        }
        for (rules, counts) in ["no rules", "ten rules"].into_iter().zip(turns) {
            rows.push(row(format!("{name}, {rules}"), counts));
        }
    }
    let columns = ["", "seats\ntaken/s", "refused/s", "responses/s", "p50 ms", "p95 ms", "p99 ms"];
    let title = format!("Requests of {} students, each committed before the response", number(STUDENTS as f64));
    table::print(&title, &columns, &rows);
    for hub in hubs {
        hub.server.stop();
        match hub.home.verify() {
            Ok(()) => println!("  `eduhub verify`: all counts and attempts are correct"),
            Err(error) => println!("  {error}"),
        }
    }
}

/// Returns the row of the measurement with the median number of responses.
fn row(name: String, mut turns: Vec<Count>) -> Vec<String> {
    turns.sort_unstable_by_key(|count| count.responses);
    let mut count = turns.swap_remove(turns.len() / 2);
    let seconds = count.duration.as_secs_f64();
    let rates = [count.taken, count.refused, count.responses].map(|n| number(n as f64 / seconds));
    let times = [50, 95, 99].map(|p| millis(percentile(&mut count.times, p)));
    std::iter::once(name).chain(rates).chain(times).collect()
}
