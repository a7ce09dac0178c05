//! Students on two connections each send requests that would break a rule if the hub interleaved two of them badly,
//! while staff change holds and seats. Every refusal code occurs. An auditor that shares no code with the hub then
//! checks all seats and the whole chain of attempts. `make attack` runs it with 500 students.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use serde_json::{Value, json};

use crate::support::attempts::{self, Exported};
use crate::support::audit::{Registrations, registrations};
use crate::support::barrier::Barrier;
use crate::support::http::{Client, Response};
use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{open_term, start_import, wait_for_import};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

const TERM: &str = "203001";
/// The number of students in `make test`.
const STUDENTS: usize = 60;
/// The number of pairs of requests of each student.
const ROUNDS: usize = 6;

/// Seats in section `RSV` that only honors students can take.
const RESERVED: usize = 3;
/// Seats of the pool that `XL1` and `XL2` share.
const POOL: usize = 6;

const SCHEDULE: &str = "crn,course,component,credits,capacity,waitlist_capacity,days,time,linked,prerequisites,restrictions,\
    repeat_limit,reserved,cross_listed,cross_listed_capacity\n\
    LEC,BIOL 1,lecture,3,20,5,,,LAB1; LAB2,,,,,,\n\
    LAB1,BIOL 1,lab,0,4,3,MW,08:00-08:50,LEC,,,,,,\n\
    LAB2,BIOL 1,lab,0,4,0,TR,08:00-08:50,LEC,,,,,,\n\
    XL1,ART 2,lecture,3,5,4,MWF,09:00-09:50,,,,,,XL,6\n\
    XL2,LAW 2,lecture,3,5,4,TR,09:00-09:50,,,,,,XL,6\n\
    RSV,CHEM 3,lecture,3,6,5,MWF,09:30-10:20,,,,,honors: 3,,\n\
    HON,MATH 4,lecture,3,8,2,MWF,11:00-11:50,,,group: honors,,,,\n\
    PRE,PHYS 5,lecture,3,8,2,TR,11:00-11:50,,MATH 150 with C,,,,,\n\
    REP,HIST 6,lecture,3,9,2,F,13:00-15:50,,,,1,,,\n\
    SAM1,GEOG 7,lecture,3,7,3,MW,15:00-15:50,,,,,,,\n\
    SAM2,GEOG 7,lecture,3,7,3,TR,15:00-15:50,,,,,,,\n\
    BIG,ENGL 8,lecture,12,9,2,,,,,,,,,\n\
    CAN,LAW 10,lecture,0,9,2,,,,,,,,,\n\
    CLO,LAW 11,lecture,0,9,2,,,,,,,,,\n\
    DUP1,ART 12,lecture,0,999,0,,,,,,,,,\n\
    DUP2,ART 12,lecture,0,999,0,,,,,,,,,\n\
    TIM1,ART 13,lecture,0,999,0,S,10:00-11:50,,,,,,,\n\
    TIM2,ART 14,lecture,0,999,0,S,11:00-12:50,,,,,,,\n\
    CRD1,ART 15,lecture,12,999,0,,,,,,,,,\n\
    CRD2,ART 16,lecture,12,999,0,,,,,,,,,\n\
    LNK,ART 17,lecture,0,999,0,,,NOLAB,,,,,,\n\
    NOLAB,ART 17,lab,0,0,0,,,,,,,,,\n\
    RES,ART 18,lecture,0,999,0,,,,,group: honors,,,,\n\
    FUL,ART 19,lecture,0,0,0,,,,,,,,,\n";
const CRNS: [&str; 12] = ["LEC", "LAB1", "LAB2", "XL1", "XL2", "RSV", "HON", "PRE", "REP", "SAM1", "SAM2", "BIG"];
/// Pairs of requests that a student's two connections send at the same time. At least one of each pair is refused; of
/// the last pair, only for students who have already taken the course or lack the prerequisite.
const PROBES: [(&str, &str); 7] = [
    ("CAN", "CLO"),
    ("DUP1", "DUP2"),
    ("TIM1", "TIM2"),
    ("CRD1", "CRD2"),
    ("LNK", "RES"),
    ("FUL", "FUL?waitlist=true"),
    ("REP", "PRE"),
];
/// Every code with which a request can be refused.
const REFUSALS: [&str; 13] = [
    "registration_closed",
    "hold",
    "section_cancelled",
    "section_closed",
    "already_in_course",
    "repeat_limit",
    "prerequisite",
    "linked_section_required",
    "time_conflict",
    "credit_limit",
    "restricted",
    "section_full",
    "waitlist_full",
];
/// The maximum number of credits of a student, the default of the settings.
const CREDITS_MAX: u32 = 18;
/// Pairs that no student may have at the same time: of one course and component, or overlapping.
const CONFLICTS: [(&str, &str); 5] =
    [("SAM1", "SAM2"), ("LAB1", "LAB2"), ("XL1", "RSV"), ("DUP1", "DUP2"), ("TIM1", "TIM2")];

/// Returns whether the student with this number is in the honors group.
fn is_honors(number: usize) -> bool {
    number.is_multiple_of(3)
}
fn has_prerequisite(number: usize) -> bool {
    number.is_multiple_of(2)
}
fn has_repeated(number: usize) -> bool {
    number.is_multiple_of(5)
}
/// Returns whether registration opens for this student only after the test.
fn is_late(number: usize) -> bool {
    number % 10 == 9
}
/// Returns whether this student has a hold throughout the test.
fn is_held(number: usize) -> bool {
    number % 12 == 11
}

fn facts(number: usize, has_hold: bool) -> Value {
    let groups = if is_honors(number) { json!(["honors"]) } else { json!([]) };
    let mut completed = vec![json!({"course": "MATH 150", "grade": if has_prerequisite(number) { "B" } else { "D" }})];
    if has_repeated(number) {
        completed.push(json!({"course": "HIST 6", "grade": "F"}));
    }
    let hold = json!({"id": "fee", "text": "Unpaid fee", "office": "Bursar", "blocks": ["register"]});
    let holds = if has_hold || is_held(number) { json!([hold]) } else { json!([]) };
    let opens_at = if is_late(number) { json!("2100-01-01T08:00:00Z") } else { Value::Null };
    json!({"holds": holds, "groups": groups, "completed": completed, "opens_at": opens_at})
}

/// Returns the rows of the schedule as their cells.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    SCHEDULE.lines().skip(1).map(|row| row.trim().split(',').collect())
}

/// Returns the credits of a section by its id.
fn credits_of(section: &str) -> u32 {
    let row = rows().find(|cells| id(cells[0]) == section).unwrap_or_else(|| panic!("no section {section}"));
    row[3].parse().expect("credits")
}

fn id(crn: &str) -> String {
    format!("{TERM}-{crn}")
}

/// A request: method, path, body.
type Request = (&'static str, String, Value);

/// Returns a random request that competes with others of the same student and of all students.
fn any_request(random: &mut Random, registered: &Registrations) -> Request {
    let any = |random: &mut Random| id(random.pick::<&str>(&CRNS));
    let held: Vec<&String> = registered.keys().collect();
    let path = |section: &str| format!("/api/v1/me/registrations/{section}");
    let all = "/api/v1/me/registrations".to_owned();
    match (random.below(8), held.is_empty()) {
        (0, _) => {
            let lab = id(random.pick::<&str>(&["LAB1", "LAB2"]));
            ("POST", all, json!({"add": [id("LEC"), lab], "waitlist": random.percent(50)}))
        }
        (1, false) => ("DELETE", path(random.pick::<&String>(&held)), Value::Null),
        (2, false) => {
            let (add, drop) = (any(random), random.pick::<&String>(&held).to_string());
            let drop: BTreeSet<String> = [drop].into_iter().filter(|one| *one != add).collect();
            ("POST", all, json!({"add": [add], "drop": drop, "swap": true}))
        }
        (3, _) => {
            let add: BTreeSet<String> = [(); 4].iter().map(|()| any(random)).collect();
            ("POST", all, json!({"add": add, "waitlist": random.percent(50)}))
        }
        _ => ("PUT", format!("{}?waitlist={}", path(&any(random)), random.percent(60)), Value::Null),
    }
}

fn send(client: &mut Client, (method, path, body): &Request) {
    let (headers, body): (&[_], String) = match body {
        Value::Null => (&[], String::new()),
        body => (&[("Content-Type", "application/json")], body.to_string()),
    };
    client.send(method, path, headers, body.as_bytes()).expect("the server accepts requests");
}

/// A receipt, and the outcome that the reply states.
type Receipt = (Value, String);

/// Returns the receipts of a reply.
fn receipts_of(response: &Response) -> Vec<Receipt> {
    let body = response.json();
    let outcome = |one: &Value| {
        let code = [&one["code"], &one["problem"]["code"], &one["status"]].into_iter().find_map(Value::as_str);
        (one["receipt"].clone(), code.unwrap_or_else(|| panic!("no outcome in {one}")).to_owned())
    };
    match response.status {
        200 | 201 if body["results"].is_array() => body["results"].as_array().unwrap().iter().map(outcome).collect(),
        200 | 201 | 404 | 409 => vec![outcome(&body)],
        status => panic!("unexpected response {status}: {body}"),
    }
}

/// Sends two requests at the same time, and returns their receipts.
fn send_both(connections: &mut [Client; 2], requests: &[Request; 2]) -> Vec<Receipt> {
    connections.iter_mut().zip(requests).for_each(|(client, request)| send(client, request));
    let responses = connections.iter_mut().map(|client| client.receive().expect("a response"));
    let mut responses: Vec<Response> = responses.collect();
    for ((client, request), response) in connections.iter_mut().zip(requests).zip(&mut responses) {
        if is_overloaded(response) {
            *response = eventually("a decision", || {
                send(client, request);
                Some(client.receive().expect("a response")).filter(|response| !is_overloaded(response))
            });
        }
    }
    responses.iter().flat_map(receipts_of).collect()
}

/// Returns whether the hub rejected a request without a decision, as it does when too many requests wait.
fn is_overloaded(response: &Response) -> bool {
    response.status == 503 && response.json()["code"] == "overloaded"
}

fn run_student(number: usize, mut connections: [Client; 2], mut random: Random, start: &Barrier) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for round in 0..ROUNDS {
        let registered = registrations(&mut connections[0], TERM);
        let requests = [(); 2].map(|()| any_request(&mut random, &registered));
        start.wait();
        receipts.extend(send_both(&mut connections, &requests));
        let (one, other) = PROBES[(number + round) % PROBES.len()];
        let probes = [one, other].map(|of| ("PUT", format!("/api/v1/me/registrations/{}", id(of)), Value::Null));
        receipts.extend(send_both(&mut connections, &probes));
    }
    receipts
}

/// Gives and lifts holds and adds seats while the students register.
fn run_staff(mut staff: Client, mut random: Random, students: usize, start: &Barrier) {
    for round in 0..ROUNDS {
        start.wait();
        for _ in 0..4 {
            let number = random.below(students);
            let path = format!("/api/v1/students/attack-{:05}", number + 1);
            staff.put_json(&path, &facts(number, random.percent(50))).expect(200);
        }
        let more = json!({"capacity": 8 + round});
        staff.patch_json(&format!("/api/v1/sections/{}", id("SAM1")), &more).expect(200);
    }
}

fn prepare(home: &Home, server: &Server, students: usize) -> Client {
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let task = start_import(&mut staff, TERM, SCHEDULE.as_bytes());
    let done = wait_for_import(&mut staff, &task);
    assert_eq!((&done["state"], &done["created"]), (&json!("done"), &json!(rows().count())), "{done:#}");
    for (crn, status) in [("CAN", "cancelled"), ("CLO", "closed")] {
        staff.patch_json(&format!("/api/v1/sections/{}", id(crn)), &json!({"status": status})).expect(200);
    }
    for number in 0..students {
        staff.put_json(&format!("/api/v1/students/attack-{:05}", number + 1), &facts(number, false)).expect(200);
    }
    open_term(&mut staff, TERM);
    staff
}

/// Checks the seats of every section against the rules and the facts about the students.
fn audit_sections(staff: &mut Client, students: &[Registrations]) {
    let list = staff.get(&format!("/api/v1/sections?term={TERM}")).expect(200).json();
    let in_section = |crn: &str, status: &str| -> Vec<usize> {
        let has = |own: &Registrations| own.get(&id(crn)).is_some_and(|(is, _)| is == status);
        students.iter().enumerate().filter(|(_, own)| has(own)).map(|(number, _)| number).collect()
    };
    let enrolled = |crn| in_section(crn, "enrolled");
    for section in list["items"].as_array().expect("items") {
        let crn = section["crn"].as_str().expect("a CRN");
        let seats = enrolled(crn).len() as u64;
        assert_eq!(section["enrolled"], json!(seats), "{section:#}");
        assert!(Some(seats) <= section["capacity"].as_u64(), "{crn} is oversold: {section:#}");
        let mut positions: Vec<u64> =
            students.iter().filter_map(|own| own.get(&id(crn)).and_then(|(_, position)| *position)).collect();
        positions.sort_unstable();
        assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>(), "the waitlist of {crn}");
        assert!(Some(positions.len() as u64) <= section["waitlist_capacity"].as_u64(), "{section:#}");
    }
    assert!(enrolled("XL1").len() + enrolled("XL2").len() <= POOL, "the pool is oversold");
    let others = enrolled("RSV").into_iter().filter(|number| !is_honors(*number)).count();
    assert!(others <= 6 - RESERVED, "{others} students took reserved seats");
    for crn in ["HON", "RES"] {
        assert!(enrolled(crn).into_iter().all(is_honors), "only honors students in {crn}");
    }
    for crn in ["CAN", "CLO", "LNK", "NOLAB", "FUL"] {
        assert_eq!((enrolled(crn), in_section(crn, "waitlisted")), (vec![], vec![]), "no student can take {crn}");
    }
    assert!(enrolled("PRE").into_iter().all(has_prerequisite), "only students with the prerequisite");
    assert!(!enrolled("REP").into_iter().any(has_repeated), "no student repeats the course beyond the limit");
}

fn audit_students(students: &[Registrations]) {
    for own in students {
        for (one, other) in CONFLICTS {
            assert!(!(own.contains_key(&id(one)) && own.contains_key(&id(other))), "{one} and {other}: {own:?}");
        }
        let enrolled = own.iter().filter(|(_, (status, _))| status == "enrolled");
        let credits: u32 = enrolled.map(|(section, _)| credits_of(section)).sum();
        assert!(credits <= CREDITS_MAX, "{credits} credits: {own:?}");
    }
    for (number, own) in students.iter().enumerate().filter(|(number, _)| is_late(*number) || is_held(*number)) {
        assert!(own.is_empty(), "student {number} may not register: {own:?}");
    }
}

/// Replays the chain: each student's last change in each section is the student's present status.
fn audit_chain(chain: &BTreeMap<u64, Exported>, students: &[Registrations]) {
    let mut replayed: BTreeMap<(String, String), String> = BTreeMap::new();
    for attempt in chain.values() {
        let [crn, result, repeated] = [6, 8, 9].map(|field| attempt.row[field].as_str());
        let user = attempt.user.clone().expect("the student is known");
        if repeated == "0" && ["enrolled", "waitlisted", "dropped"].contains(&result) {
            replayed.insert((user, id(crn)), result.to_owned());
        }
    }
    replayed.retain(|_, status| status != "dropped");
    let present: BTreeMap<(String, String), String> = students
        .iter()
        .enumerate()
        .flat_map(|(number, own)| {
            let user = format!("attack-{:05}", number + 1);
            own.iter().map(move |(section, (status, _))| ((user.clone(), section.clone()), status.clone()))
        })
        .collect();
    assert_eq!(replayed, present, "the chain of attempts explains every seat");
}

#[test]
fn simultaneous_requests_break_no_rule() {
    let mut random = Random::seeded(seed());
    let count = length_of_run("ATTACK_STUDENTS", STUDENTS);
    let home = Home::new();
    let tokens = home.tokens("attack", "student", count);
    let server = home.serve();
    let mut staff = prepare(&home, &server, count);
    let start = Barrier::new(count + 1);
    let receipts: Vec<Receipt> = thread::scope(|scope| {
        let (random_of_staff, desk) =
            (Random::seeded(random.next()), server.client().signed_in(&home.token("desk", "staff")));
        let start = &start;
        scope.spawn(move || run_staff(desk, random_of_staff, count, start));
        let students: Vec<_> = tokens
            .iter()
            .enumerate()
            .map(|(number, token)| {
                let connections = [(); 2].map(|()| server.client().signed_in(token));
                let random = Random::seeded(random.next());
                scope.spawn(move || run_student(number, connections, random, start))
            })
            .collect();
        students.into_iter().flat_map(|student| student.join().expect("the student's thread succeeds")).collect()
    });
    let students: Vec<Registrations> =
        tokens.iter().map(|token| registrations(&mut server.client().signed_in(token), TERM)).collect();
    audit_sections(&mut staff, &students);
    audit_students(&students);
    let file = home.folder().join("attempts.jsonl");
    let output = home.run(&["attempts", "export", file.to_str().unwrap(), "--term", TERM]);
    assert!(output.status.success(), "{output:?}");
    let chain = &attempts::read(&file)[TERM];
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for (receipt, outcome) in &receipts {
        let found = &chain[&receipt["n"].as_u64().unwrap_or_else(|| panic!("no receipt of {outcome}"))];
        assert_eq!(receipt["hash"], json!(found.hash));
        assert_eq!(found.row[8], *outcome, "attempt {}", receipt["n"]);
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("outcomes: {outcomes:?}");
    let missing: Vec<&str> = REFUSALS.into_iter().filter(|code| !outcomes.contains_key(code)).collect();
    assert!(missing.is_empty(), "no request was refused with {missing:?}: {outcomes:?}");
    audit_chain(chain, &students);
    home.verify().unwrap();
}
