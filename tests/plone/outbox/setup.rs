//! A hub in front of a real Plone, and a comparison of sections in both.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};

use serde_json::{Value, json};

use crate::support::bridge::{plone_state, with_plone_at};
use crate::support::http::Client;
use crate::support::plone::{DEAN, PASSWORD, Plone};
use crate::support::random::Random;
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::wait::poll_until_deadline;

/// A Plone, a hub in front of it that pulls every second, and tokens for both.
pub struct Setup {
    pub server: Server,
    pub home: Home,
    /// Token of a Site Administrator in Plone.
    pub token: String,
    pub plone: Plone,
}

impl Setup {
    /// Starts a hub in front of this Plone.
    pub fn in_front_of(plone: Plone) -> Self {
        Self::with(plone, |home| home)
    }

    /// Starts a hub in front of this Plone, with additional settings.
    pub fn with(plone: Plone, settings: impl FnOnce(Home) -> Home) -> Self {
        let home = with_plone_at(Home::new(), &plone.url());
        let home = settings(home.setting("plone.sync_s", "1").setting("registration.credit_limit", "0"));
        Self { server: home.serve(), home, token: plone.login(DEAN, PASSWORD), plone }
    }

    /// Returns a client of the hub with the role staff.
    pub fn staff(&self) -> Client {
        self.server.client().signed_in(&self.home.token("registrar", "staff"))
    }

    /// Returns a client of the hub with the role admin.
    pub fn admin(&self) -> Client {
        self.server.client().signed_in(&self.home.token("boss", "admin"))
    }

    /// Imports a schedule, opens its term, and returns the ids of its sections.
    pub fn open(&self, schedule: &Schedule) -> Vec<String> {
        schedule.load(&mut self.staff());
        schedule.ids()
    }

    /// Waits until Plone has the hub's counts of these sections, and these rosters. A section that is not in `rosters`
    /// has no names.
    pub fn wait_until_equal(&self, ids: &[String], rosters: &Rosters) {
        let mut staff = self.staff();
        for id in ids {
            let expected = in_hub(&mut staff, id, rosters);
            let mut there = None;
            let found = poll_until_deadline(|| {
                there = in_plone(&self.plone, &self.token, id);
                (there.as_ref() == Some(&expected)).then_some(())
            });
            let state = || plone_state(&mut self.admin());
            assert!(found.is_some(), "{id} in Plone: {there:?}, expected: {expected:?}\n{:#}", state());
        }
    }

    /// Changes something in Plone as a Site Administrator.
    pub fn change(&self, method: &str, path: &str, body: &Value) -> Value {
        self.plone.change(&self.token, method, path, Some(body))
    }

    /// Grants this role in the folder of the sections to every signed-in user of Plone, or revokes it.
    pub fn share_courses(&self, role: &str, is_granted: bool) {
        let entries = json!({"entries": [{"id": "AuthenticatedUsers", "type": "group", "roles": {role: is_granted}}]});
        self.change("POST", "/courses/@sharing", &entries);
    }
}

/// Returns a schedule of one term without conflicts, so that a student can hold all of its sections.
pub fn schedule(term: &str, sections: usize, capacity: u32, waitlist: u32) -> Schedule {
    let row = |index: usize| {
        let start = 60 * u32::try_from(index).unwrap();
        Row {
            crn: (10_001 + index).to_string(),
            course: format!("MATH {}", 100 + index),
            component: "lecture".into(),
            credits: "3",
            days: Days::Mwf,
            start,
            end: start + 50,
            capacity,
            waitlist,
        }
    };
    assert!(sections <= 23, "one hour of the day for each section");
    Schedule { term: term.into(), rows: (0..sections).map(row).collect() }
}

/// Lines of rosters by section id.
pub type Rosters = BTreeMap<String, Vec<String>>;

/// A section's counts and the lines of its roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    pub enrolled: u64,
    pub waitlisted: u64,
    pub roster: Vec<String>,
}

/// Returns empty rosters: no section has names.
pub fn no_names() -> Rosters {
    Rosters::new()
}

/// Returns the rosters that follow from the registrations of these students.
pub fn rosters(server: &Server, tokens: &[String]) -> Rosters {
    let mut rosters = Rosters::new();
    for token in tokens {
        let mut student = server.client().signed_in(token);
        let user = student.get("/api/v1/me").expect(200).json()["username"].as_str().expect("a name").to_owned();
        let held = student.get("/api/v1/me/registrations").expect(200).json();
        for item in held["items"].as_array().expect("a list") {
            let text = |name: &str| item[name].as_str().unwrap_or_else(|| panic!("no {name}: {item}"));
            // Rosters have a resolution of one second.
            let since: jiff::Timestamp = text("at").parse().expect("a time");
            let since = jiff::Timestamp::from_second(since.as_second()).unwrap();
            let line = format!("{user} {} {since}", text("status"));
            rosters.entry(text("section").to_owned()).or_default().push(line);
        }
    }
    rosters.values_mut().for_each(|lines| lines.sort());
    rosters
}

/// Returns a section's counts in the hub, together with its roster.
fn in_hub(staff: &mut Client, id: &str, rosters: &Rosters) -> People {
    let section = staff.get(&format!("/api/v1/sections/{id}")).expect(200).json();
    let count = |name: &str| section[name].as_u64().expect("a count");
    People {
        enrolled: count("enrolled"),
        waitlisted: count("waitlisted"),
        roster: rosters.get(id).cloned().unwrap_or_default(),
    }
}

/// Returns a section's item as Plone shows it to the user of this token; `None` if it does not exist or is hidden.
pub fn item(plone: &Plone, token: Option<&str>, id: &str) -> Option<Value> {
    let (status, item) = plone.request("GET", &format!("/courses/{}", id.to_lowercase()), token, None);
    match status {
        200 => Some(item),
        401 | 404 => None,
        _ => panic!("{id}: {status} {item}"),
    }
}

/// Returns a section's counts and roster in Plone; `None` if its item does not exist.
pub fn in_plone(plone: &Plone, token: &str, id: &str) -> Option<People> {
    let item = item(plone, Some(token), id)?;
    let mut roster: Vec<String> = match &item["roster"] {
        Value::Array(lines) => lines.iter().map(|line| line.as_str().expect("a line").to_owned()).collect(),
        Value::String(text) => text.lines().map(str::to_owned).collect(),
        Value::Null => Vec::new(),
        other => panic!("{id}: {other}"),
    };
    roster.sort();
    let count = |name: &str| item[name].as_u64().unwrap_or_default();
    Some(People { enrolled: count("seats_taken"), waitlisted: count("waitlisted"), roster })
}

/// Sends this many registrations and drops at random, one after the other.
pub fn register_and_drop(server: &Server, tokens: &[String], ids: &[String], random: &mut Random, requests: usize) {
    let mut students: Vec<Client> = tokens.iter().map(|token| server.client().signed_in(token)).collect();
    for _ in 0..requests {
        let student = random.below(students.len());
        let path = format!("/api/v1/me/registrations/{}", random.pick(ids));
        let answer = if random.percent(70) {
            students[student].put(&format!("{path}?waitlist=true"))
        } else {
            students[student].delete(&path)
        };
        assert!(matches!(answer.status, 200 | 201 | 404 | 409), "{} {}", answer.status, answer.text());
    }
}

/// A counting semaphore.
pub struct Semaphore {
    free: Mutex<usize>,
    returned: Condvar,
}

/// A permit, which is returned when it is dropped.
pub struct Permit<'p>(&'p Semaphore);

impl Semaphore {
    /// Creates a semaphore with this many permits.
    pub fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), returned: Condvar::new() }
    }

    /// Waits for a permit.
    pub fn acquire(&self) -> Permit<'_> {
        let free = self.returned.wait_while(self.free.lock().unwrap(), |free| *free == 0);
        *free.unwrap() -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap() += 1;
        self.0.returned.notify_one();
    }
}
