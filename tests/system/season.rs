//! A registration season of a college: the schedule is imported, facts about students are stated, plans are made,
//! checked and rehearsed, registration opens by group, everyone registers at once, waitlists move, a section is
//! cancelled, and rosters, calendars, receipts and exports agree in the end.
//!
//! `make season STUDENTS=20000 FILE=schedule.csv` runs the long form with a release build. It sets `SEASON_STUDENTS`,
//! `SEASON_FILE` and `FAULT_BIN`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::attempts;
use crate::support::http::Client;
use crate::support::oneroster;
use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{start_import, wait_for_import};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

/// The number of students in `make test`.
const STUDENTS: usize = 60;
/// The number of students who send requests at the same time.
const CONNECTIONS: usize = 8;
/// The number of sections in a plan.
const PLANNED: usize = 4;
/// The number of sections that many students want.
const POPULAR: usize = 6;
/// One in this many students is in the group that registers first.
const HONORS_EVERY: usize = 5;
/// One in this many students has a hold.
const HOLD_EVERY: usize = 12;

/// A section as the hub lists it.
#[derive(Debug, Clone)]
struct Section {
    id: String,
    course: String,
    component: String,
    meetings: Vec<Value>,
    capacity: u64,
    /// Seats taken before the season begins.
    outside: u64,
    /// Seats that a new student can take then.
    open: u64,
    waitlist_capacity: u64,
}

impl Section {
    fn of(json: &Value) -> Self {
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        let number = |name: &str| json[name].as_u64().unwrap_or_else(|| panic!("no {name} in {json}"));
        Self {
            id: text("id"),
            course: text("course"),
            component: text("component"),
            meetings: json["meetings"].as_array().expect("meetings").clone(),
            capacity: number("capacity"),
            outside: number("enrolled"),
            open: number("open"),
            waitlist_capacity: number("waitlist_capacity"),
        }
    }

    /// Returns whether the sections exclude each other. This shares no code with the rules of the program.
    fn conflicts_with(&self, other: &Self) -> bool {
        let is_same = self.course == other.course && self.component == other.component;
        is_same || self.meetings.iter().any(|a| other.meetings.iter().any(|b| overlap(a, b)))
    }

    /// Returns the number of meetings that a calendar shows.
    fn events(&self) -> usize {
        let known = |meeting: &&Value| {
            let has_days = meeting["days"].as_array().is_some_and(|days| !days.is_empty());
            has_days && ["start", "end", "starts_on", "ends_on"].iter().all(|name| meeting[name].is_string())
        };
        self.meetings.iter().filter(known).count()
    }
}

/// Returns whether two meetings overlap. Times and dates are compared as text; an unknown date is open-ended.
fn overlap(a: &Value, b: &Value) -> bool {
    let days = |meeting: &Value| -> BTreeSet<String> {
        meeting["days"].as_array().into_iter().flatten().map(ToString::to_string).collect()
    };
    let before = |end: &Value, start: &Value| end.as_str().zip(start.as_str()).is_some_and(|(end, start)| end <= start);
    let ended = |end: &Value, start: &Value| end.as_str().zip(start.as_str()).is_some_and(|(end, start)| end < start);
    let known = [a, b].iter().all(|one| one["start"].is_string() && one["end"].is_string());
    known
        && !days(a).is_disjoint(&days(b))
        && !before(&a["end"], &b["start"])
        && !before(&b["end"], &a["start"])
        && !ended(&a["ends_on"], &b["starts_on"])
        && !ended(&b["ends_on"], &a["starts_on"])
}

struct Season {
    home: Home,
    server: Server,
    term: String,
    sections: BTreeMap<String, Section>,
    /// Each student's name and token.
    students: Vec<(String, String)>,
    /// Receipts of replies, each with its outcome.
    receipts: Vec<(Value, String)>,
}

/// A student's registrations: section, status, position.
type Registered = Vec<(String, String, Option<u64>)>;

impl Season {
    /// Starts a hub and imports the schedule.
    fn begin(students: usize) -> Self {
        let home = Home::new();
        let names = (1..=students).map(|number| format!("student-{number:05}"));
        let students = names.zip(home.tokens("student", "student", students)).collect();
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sample-schedule.csv");
        let file = std::env::var("SEASON_FILE").unwrap_or_else(|_| default.to_owned());
        let csv = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let text = String::from_utf8_lossy(&csv).into_owned();
        let term = text.lines().nth(1).and_then(|row| row.split(',').next()).expect("a row").to_owned();
        let server = home.serve();
        let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
        let task = start_import(&mut staff, &term, &csv);
        let done = wait_for_import(&mut staff, &task);
        assert_eq!(done["state"], "done", "{done:#}");
        let list = staff.get(&format!("/api/v1/sections?term={term}&limit=5000")).expect(200).json();
        let sections = list["items"].as_array().expect("items").iter().map(Section::of);
        let sections = sections.map(|section| (section.id.clone(), section)).collect();
        Self { home, server, term, sections, students, receipts: Vec::new() }
    }

    fn staff(&self) -> Client {
        self.server.client().signed_in(&self.home.token("registrar", "staff"))
    }

    fn client(&self, student: usize) -> Client {
        self.server.client().signed_in(&self.students[student].1)
    }

    /// Runs `visit` for each of these students, several at the same time, and returns the results in order.
    fn each<T: Send>(&self, students: &[usize], visit: impl Fn(usize, &mut Client) -> T + Sync) -> Vec<T> {
        let visit = &visit;
        thread::scope(|scope| {
            let share = students.len().div_ceil(CONNECTIONS).max(1);
            let threads: Vec<_> = students
                .chunks(share)
                .map(|own| {
                    scope.spawn(move || {
                        own.iter().map(|student| visit(*student, &mut self.client(*student))).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a student's requests succeed")).collect()
        })
    }

    fn everyone(&self) -> Vec<usize> {
        (0..self.students.len()).collect()
    }

    /// States groups, holds and completed courses in one file.
    fn state_facts(&self) {
        let mut csv = "user,groups,credit_limit,completed,holds,office\n".to_owned();
        for (number, (name, _)) in self.students.iter().enumerate() {
            let group = if number.is_multiple_of(HONORS_EVERY) { "honors" } else { "" };
            let hold = if number % HOLD_EVERY == HOLD_EVERY - 1 { "Unpaid fee,Bursar" } else { "," };
            writeln!(csv, "{name},{group},18,MATH 100: B,{hold}").expect("text");
        }
        let mut staff = self.staff();
        let headers = [("Content-Type", "text/csv")];
        let task = staff.call("POST", "/api/v1/students/import", &headers, csv.as_bytes()).expect("a response");
        let task = task.expect(202).json()["task"].as_str().expect("a task").to_owned();
        let done = wait_for_import(&mut staff, &task);
        assert_eq!((&done["state"], &done["students"]), (&json!("done"), &json!(self.students.len())), "{done:#}");
    }

    /// Opens registration for the group at once, and for everyone else at this time.
    fn open(&self, for_everyone: &str) {
        let windows = json!([{"group": "honors", "opens_at": "2020-01-01T08:00:00Z"}]);
        let term = json!({"opens_at": for_everyone, "windows": windows});
        self.staff().put_json(&format!("/api/v1/terms/{}", self.term), &term).expect(200);
    }

    /// Lets each student plan some sections, one of them popular, and check the plan.
    fn plan(&self, random: &mut Random) {
        let mut open: Vec<&Section> = self.sections.values().filter(|section| section.open > 0).collect();
        open.sort_by_key(|section| (section.waitlist_capacity == 0, section.open));
        let (popular, others) = open.split_at(POPULAR);
        let plans: Vec<Vec<&str>> = self
            .students
            .iter()
            .map(|_| {
                let mut plan = vec![*random.pick(popular)];
                for _ in 0..100 {
                    let next = *random.pick(others);
                    if plan.len() < PLANNED && plan.iter().all(|planned| !planned.conflicts_with(next)) {
                        plan.push(next);
                    }
                }
                plan.iter().map(|section| section.id.as_str()).collect()
            })
            .collect();
        self.each(&self.everyone(), |student, client| {
            let entries: Vec<Value> =
                plans[student].iter().map(|id| json!({"section": id, "waitlist": true})).collect();
            client.put_json("/api/v1/me/plan", &json!({"sections": entries})).expect(200);
            let check = client.post_json("/api/v1/me/plan/check", &json!({})).expect(200).json();
            let results = check["results"].as_array().expect("results").clone();
            assert_eq!(results.len(), plans[student].len(), "{check:#}");
            let has_hold = student % HOLD_EVERY == HOLD_EVERY - 1;
            let is_held = |result: &Value| result["problem"]["code"] == "hold";
            assert!(results.iter().all(|result| is_held(result) == has_hold), "holds are reported: {check:#}");
        });
    }

    /// Rehearses the opening, and checks that it takes no seat.
    fn rehearse(&self) {
        let mut staff = self.staff();
        let seats = format!("/api/v1/seats?term={}", self.term);
        let before = staff.get(&seats).expect(200).json()["seats"].clone();
        let body = json!({"term": self.term, "order": "windows", "waitlist": true});
        let task = staff.post_json("/api/v1/staff/rehearsals", &body).expect(202).json()["task"].clone();
        let path = format!("/api/v1/staff/rehearsals/{}", task.as_str().expect("a task"));
        let report = eventually("the end of the rehearsal", || {
            let report = staff.get(&path).expect(200).json();
            (report["state"] != "running").then_some(report)
        });
        assert_eq!((&report["state"], &report["students"]), (&json!("done"), &json!(self.students.len())));
        assert!(report["refusals"]["hold"].is_object(), "{report:#}");
        assert!(!report["fills"].as_array().expect("fills").is_empty(), "{report:#}");
        assert_eq!(staff.get(&seats).expect(200).json()["seats"], before, "a rehearsal takes no seat");
    }

    /// Registers these students for their plans at the same time. Returns how many times each outcome occurred.
    fn register(&mut self, students: &[usize]) -> BTreeMap<String, usize> {
        let results = self.each(students, |_, client| {
            let reply = client.post_json("/api/v1/me/plan/register", &json!({})).expect(200).json();
            reply["results"].as_array().expect("results").clone()
        });
        let mut counts = BTreeMap::new();
        for result in results.into_iter().flatten() {
            let outcome = result["status"].as_str().or_else(|| result["problem"]["code"].as_str());
            let outcome = outcome.unwrap_or_else(|| panic!("no outcome in {result}")).to_owned();
            *counts.entry(outcome.clone()).or_default() += 1;
            self.receipts.push((result["receipt"].clone(), outcome));
        }
        counts
    }

    fn registered(&self) -> Vec<Registered> {
        self.each(&self.everyone(), |_, client| {
            let reply = client.get("/api/v1/me/registrations").expect(200).json();
            let text = |item: &Value, name: &str| item[name].as_str().expect("text").to_owned();
            let items = reply["items"].as_array().expect("items").clone();
            items.iter().map(|item| (text(item, "section"), text(item, "status"), item["position"].as_u64())).collect()
        })
    }

    /// Checks rosters, counts and every student's registrations against each other.
    fn audit(&self) {
        let (mut staff, registered) = (self.staff(), self.registered());
        let list = staff.get(&format!("/api/v1/sections?term={}&limit=5000", self.term)).expect(200).json();
        let mut students: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
        for ((name, _), own) in self.students.iter().zip(&registered) {
            for (id, status, _) in own {
                students.entry((id, status)).or_default().insert(name.clone());
            }
        }
        let mut in_rosters = 0;
        for shown in list["items"].as_array().expect("items") {
            let section = &self.sections[shown["id"].as_str().expect("an id")];
            let [enrolled, waitlisted] = ["enrolled", "waitlisted"]
                .map(|status| students.get(&(section.id.as_str(), status)).cloned().unwrap_or_default());
            assert_eq!(shown["enrolled"], json!(section.outside + enrolled.len() as u64), "{}", section.id);
            assert!(enrolled.is_empty() || shown["enrolled"].as_u64() <= Some(section.capacity), "oversold: {shown}");
            if enrolled.is_empty() && waitlisted.is_empty() {
                continue;
            }
            let roster = staff.get(&format!("/api/v1/sections/{}/roster", section.id)).expect(200).json();
            let listed = |status: &str| -> BTreeSet<String> {
                let own = roster["items"].as_array().expect("items").iter().filter(|item| item["status"] == status);
                own.map(|item| item["user"].as_str().expect("a user").to_owned()).collect()
            };
            assert_eq!((listed("enrolled"), listed("waitlisted")), (enrolled, waitlisted), "{}", section.id);
            in_rosters += roster["items"].as_array().map_or(0, Vec::len);
        }
        assert_eq!(in_rosters, registered.iter().map(Vec::len).sum::<usize>());
        for own in &registered {
            let sections: Vec<&Section> = own.iter().map(|(id, ..)| &self.sections[id]).collect();
            for (at, one) in sections.iter().enumerate() {
                assert!(sections[at + 1..].iter().all(|other| !one.conflicts_with(other)), "{own:?}");
            }
        }
    }

    /// Lets a student drop a section that has a waitlist. The next student gets the seat, or keeps the position.
    fn move_a_waitlist(&mut self) {
        let registered = self.registered();
        let has = |id: &str, status: &str| registered.iter().flatten().any(|(of, is, _)| of == id && is == status);
        let enrolled = registered.iter().enumerate().flat_map(|(student, own)| {
            own.iter().filter(|(_, is, _)| is == "enrolled").map(move |(id, ..)| (student, id.clone()))
        });
        let found = enrolled.into_iter().find(|(_, id)| has(id, "waitlisted"));
        let (student, id) = found.expect("a section with an enrolled and a waitlisted student");
        let reply = self.client(student).delete(&format!("/api/v1/me/registrations/{id}")).expect(200).json();
        self.receipts.push((reply["receipt"].clone(), "dropped".to_owned()));
        let attempts = self.staff().get(&format!("/api/v1/sections/{id}/attempts?limit=20")).expect(200).json();
        let items = attempts["items"].as_array().expect("items");
        let promotions = items.iter().take_while(|one| one["action"] != "drop");
        let promoted: Vec<&Value> = promotions.filter(|one| one["action"] == "promote").collect();
        assert!(!promoted.is_empty(), "the waitlist is processed in the commit of the drop: {attempts:#}");
    }

    /// Cancels the section with the most students. All are notified, and their calendars no longer contain it.
    fn cancel_a_section(&self) {
        let registered = self.registered();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, ..) in registered.iter().flatten().filter(|(_, status, _)| status == "enrolled") {
            *counts.entry(id).or_default() += 1;
        }
        let (id, _) = counts.into_iter().max_by_key(|(_, count)| *count).expect("a section with students");
        let id = id.to_owned();
        let cancelled = json!({"status": "cancelled"});
        self.staff().patch_json(&format!("/api/v1/sections/{id}"), &cancelled).expect(200);
        let crn = id.rsplit('-').next().expect("a CRN").to_owned();
        self.each(&self.everyone(), |student, client| {
            let alerts = client.get("/api/v1/alerts?limit=1000").expect(200).json();
            let is_notice = |alert: &&Value| alert["notice"]["reason"] == "cancelled" && alert["notice"]["crn"] == crn;
            let notices = alerts["items"].as_array().expect("items").iter().filter(is_notice).count();
            let is_in_it = registered[student].iter().any(|(of, ..)| *of == id);
            assert_eq!(notices, usize::from(is_in_it), "{student}: {alerts:#}");
            let own = registered[student].iter().filter(|(of, is, _)| is == "enrolled" && *of != id);
            let events: usize = own.map(|(of, ..)| self.sections[of].events()).sum();
            let calendar = client.get("/api/v1/me/schedule.ics").expect(200).text();
            assert_eq!(calendar.matches("BEGIN:VEVENT").count(), events, "{student}: {calendar}");
        });
    }

    /// Checks the chain of attempts without the server's code, and finds each reply in it.
    fn check_receipts(&self) {
        let file = self.home.folder().join("attempts.jsonl");
        let output = self.home.run(&["attempts", "export", file.to_str().expect("a path"), "--term", &self.term]);
        assert!(output.status.success(), "{output:?}");
        let chain = &attempts::read(&file)[&self.term];
        for (receipt, outcome) in &self.receipts {
            let found = &chain[&receipt["n"].as_u64().unwrap_or_else(|| panic!("no receipt of {outcome}"))];
            assert_eq!((&receipt["hash"], &found.row[8]), (&json!(found.hash), outcome));
        }
        let own: usize = self
            .each(&self.everyone(), |_, client| {
                let mine = client.get("/api/v1/me/attempts?limit=1000").expect(200).json();
                mine["items"].as_array().map_or(0, Vec::len)
            })
            .into_iter()
            .sum();
        assert_eq!(own, chain.len(), "every attempt is in the history of its student");
    }

    /// Exports the term: another program finds every seat that is held, and importing the schedule changes nothing.
    fn export(&self) {
        let mut staff = self.staff();
        let list = staff.get(&format!("/api/v1/sections?term={}&limit=5000", self.term)).expect(200).json();
        let shown = list["items"].as_array().expect("items").iter();
        let taught: BTreeSet<&str> =
            shown.filter(|shown| shown["status"] != "cancelled").filter_map(|shown| shown["id"].as_str()).collect();
        let mut held = BTreeSet::new();
        for (own, (name, _)) in self.registered().iter().zip(&self.students) {
            let enrolled = own.iter().filter(|(id, status, _)| status == "enrolled" && taught.contains(id.as_str()));
            held.extend(enrolled.map(|(id, ..)| (id.clone(), format!("user-{name}"))));
        }
        let bundle = staff.get(&format!("/api/v1/export/oneroster.zip?term={}", self.term)).expect(200);
        let bundle = oneroster::read(self.home.folder(), &bundle.body);
        let rows = bundle["enrollments.csv"].iter();
        let exported: BTreeSet<(String, String)> =
            rows.map(|row| (row["classSourcedId"].clone(), row["userSourcedId"].clone())).collect();
        assert_eq!(held, exported);
        let csv = staff.get(&format!("/api/v1/export/schedule.csv?term={}", self.term)).expect(200);
        let task = start_import(&mut staff, &self.term, &csv.body);
        let again = wait_for_import(&mut staff, &task);
        let counts = ["created", "updated", "unchanged"].map(|name| again[name].as_u64());
        assert_eq!(counts, [Some(0), Some(0), Some(self.sections.len() as u64)], "{again:#}");
    }
}

/// Prints how long each part of the season took.
struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self, what: &str) {
        println!("{what}: {:.1} s", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}

#[test]
fn a_season_stays_consistent_from_the_import_to_the_exports() {
    let mut random = Random::seeded(seed());
    let mut watch = Watch::start();
    let mut season = Season::begin(length_of_run("SEASON_STUDENTS", STUDENTS));
    season.state_facts();
    watch.lap("import and facts");
    season.open("2100-01-01T08:00:00Z");
    season.plan(&mut random);
    watch.lap("plans");
    season.rehearse();
    watch.lap("rehearsal");

    let everyone = season.everyone();
    let (first, others): (Vec<usize>, Vec<usize>) =
        everyone.into_iter().partition(|student| student.is_multiple_of(HONORS_EVERY));
    let early = season.register(&first);
    assert!(early.contains_key("enrolled") && !early.contains_key("registration_closed"), "{early:?}");
    let closed = season.register(&others);
    assert_eq!(closed.keys().collect::<Vec<_>>(), ["registration_closed"], "{closed:?}");
    season.open("2020-01-02T08:00:00Z");
    watch.lap("opening for the group");
    let outcomes = season.register(&others);
    watch.lap("rush");
    println!("outcomes: {early:?}, then {outcomes:?}");
    for expected in ["enrolled", "waitlisted", "hold"] {
        assert!(outcomes.contains_key(expected), "some outcomes are `{expected}`: {outcomes:?}");
    }
    season.audit();
    season.move_a_waitlist();
    season.audit();
    watch.lap("audits and a waitlist");
    season.cancel_a_section();
    watch.lap("cancellation");
    season.check_receipts();
    watch.lap("receipts");
    season.export();
    watch.lap("exports");

    // A restart changes nothing.
    let registered = season.registered();
    let Season { home, server, term, sections, students, receipts } = season;
    assert_eq!(server.stop().code(), Some(0));
    home.verify().unwrap();
    let server = home.serve();
    season = Season { home, server, term, sections, students, receipts };
    assert_eq!(season.registered(), registered, "registrations are the same after the restart");
    watch.lap("restart");
}
