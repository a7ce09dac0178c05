//! A client that sends random requests and records the responses.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::record::{
    Call, Edit, Item, Millisecond, Moments, OwnStanding, Request, Response, Section, SectionView, Standing, Status,
    append,
};
use crate::support::http::{self, Client};
use crate::support::random::Random;

/// State that all clients of a run share.
pub(crate) struct World {
    pub(crate) term: String,
    /// The id of each section.
    pub(crate) ids: Vec<String>,
    /// The token of each student, and that of a member of staff.
    pub(crate) tokens: Vec<String>,
    pub(crate) staff: String,
    pub(crate) moments: Moments,
    /// The sections that each student holds, approximately: it guides the choice of requests, and no response is
    /// checked against it.
    pub(crate) held: Vec<AtomicU64>,
    /// Numbers of answered requests, and of clients that wait for a response.
    pub(crate) answered: AtomicUsize,
    pub(crate) waiting: AtomicUsize,
    /// Requests that were answered with 503 `overloaded`, which changed nothing.
    pub(crate) rejected: AtomicUsize,
    /// Set before the server is killed.
    pub(crate) is_ending: AtomicBool,
}

impl World {
    fn section(&self, id: &Value) -> Section {
        let id = id.as_str().expect("a section's id");
        self.ids.iter().position(|other| other == id).unwrap_or_else(|| panic!("no section {id}"))
    }

    fn ids_of(&self, sections: &[Section]) -> Vec<&str> {
        sections.iter().map(|section| self.ids[*section].as_str()).collect()
    }

    /// Sends a request. Returns an error when the connection is lost.
    fn send(&self, client: &mut Client, request: &Request) -> io::Result<()> {
        let (method, path, body) = self.http(request);
        let token = match request {
            Request::Register { student, .. }
            | Request::Drop { student, .. }
            | Request::Batch { student, .. }
            | Request::PutPlan { student, .. }
            | Request::RegisterPlan { student, .. }
            | Request::ReadOwn { student }
            | Request::ReadPlan { student } => &self.tokens[*student],
            Request::Edit { .. }
            | Request::ReadSection { .. }
            | Request::ReadSeats
            | Request::ReadRow { .. }
            | Request::ReadRoster { .. } => &self.staff,
        };
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("Authorization", authorization.as_str())];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        client.send(method, &path, &headers, body.as_bytes())
    }

    fn http(&self, request: &Request) -> (&'static str, String, Option<Value>) {
        let own = "/api/v1/me/registrations";
        match request {
            Request::Register { section, waitlist, .. } => {
                ("PUT", format!("{own}/{}?waitlist={waitlist}", self.ids[*section]), None)
            }
            Request::Drop { section, .. } => ("DELETE", format!("{own}/{}", self.ids[*section]), None),
            Request::Batch { add, drop, swap, waitlist, .. } => {
                let (add, drop) = (self.ids_of(add), self.ids_of(drop));
                let body = json!({"add": add, "drop": drop, "swap": swap, "waitlist": waitlist});
                ("POST", own.to_owned(), Some(body))
            }
            Request::PutPlan { plan, .. } => {
                ("PUT", "/api/v1/me/plan".to_owned(), Some(json!({"sections": self.ids_of(plan)})))
            }
            Request::RegisterPlan { waitlist, .. } => {
                ("POST", format!("/api/v1/me/plan/register?waitlist={waitlist}"), None)
            }
            Request::Edit { section, edit } => {
                let mut body = json!({});
                if let Some(capacity) = edit.capacity {
                    body["capacity"] = json!(capacity);
                }
                if let Some(capacity) = edit.waitlist_capacity {
                    body["waitlist_capacity"] = json!(capacity);
                }
                if let Some(status) = edit.status {
                    body["status"] = json!(status_name(status));
                }
                ("PATCH", format!("/api/v1/sections/{}", self.ids[*section]), Some(body))
            }
            Request::ReadSection { section } => ("GET", format!("/api/v1/sections/{}", self.ids[*section]), None),
            Request::ReadSeats | Request::ReadRow { .. } => ("GET", format!("/api/v1/seats?term={}", self.term), None),
            Request::ReadOwn { .. } => ("GET", format!("{own}?term={}", self.term), None),
            Request::ReadRoster { section } => ("GET", format!("/api/v1/sections/{}/roster", self.ids[*section]), None),
            Request::ReadPlan { .. } => ("GET", "/api/v1/me/plan".to_owned(), None),
        }
    }

    /// Reads the response to a request. `exact` states whether its waitlist positions belong to the same commit as the
    /// rest.
    fn read(&self, request: &Request, body: &Value, status: u16, exact: bool) -> Response {
        match request {
            Request::Register { .. } | Request::Drop { .. } => Response::Items(vec![item(body, Some(status == 201))]),
            Request::Batch { .. } | Request::RegisterPlan { .. } => {
                Response::Items(list(body, "results").iter().map(|result| item(result, None)).collect())
            }
            Request::PutPlan { .. } => Response::Done,
            Request::Edit { .. } | Request::ReadSection { .. } => Response::Section(view(body)),
            Request::ReadSeats | Request::ReadRow { .. } => self.seats(body),
            Request::ReadOwn { .. } => {
                Response::Own(list(body, "items").iter().map(|it| self.own(it, exact)).collect())
            }
            Request::ReadRoster { .. } => self.roster(body),
            Request::ReadPlan { .. } => {
                Response::Plan(list(body, "sections").iter().map(|id| self.section(id)).collect())
            }
        }
    }

    fn seats(&self, body: &Value) -> Response {
        let mut rows = vec![[0; 4]; self.ids.len()];
        for row in list(body, "seats") {
            rows[self.section(&row[0])] = [1, 2, 3, 4].map(|column| number(&row[column]));
        }
        Response::Seats { seq: body["seq"].as_u64().expect("a sequence"), rows }
    }

    fn own(&self, item: &Value, exact: bool) -> (Section, OwnStanding, Millisecond) {
        let standing = match item["status"].as_str() {
            Some("enrolled") => OwnStanding::Enrolled,
            Some("waitlisted") => OwnStanding::Waitlisted(exact.then(|| number(&item["position"]))),
            other => panic!("not a status in a list: {other:?}"),
        };
        (self.section(&item["section"]), standing, time(&item["at"]))
    }

    fn roster(&self, body: &Value) -> Response {
        let (mut enrolled, mut waitlist) = (Vec::new(), Vec::new());
        for item in list(body, "items") {
            let name = item["user"].as_str().expect("a username");
            let student: usize = name.rsplit('-').next().and_then(|text| text.parse().ok()).expect("a numbered name");
            if item["status"] == "enrolled" {
                enrolled.push(student - 1);
            } else {
                waitlist.push(student - 1);
                assert_eq!(number(&item["position"]), waitlist.len(), "positions have no gaps: {body}");
            }
        }
        enrolled.sort_unstable();
        Response::Roster { enrolled, waitlist }
    }
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or_else(|| panic!("not a number: {value}"))
}

fn time(value: &Value) -> Millisecond {
    let text = value.as_str().unwrap_or_else(|| panic!("not a time: {value}"));
    text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
}

fn list<'v>(body: &'v Value, name: &str) -> &'v [Value] {
    body[name].as_array().unwrap_or_else(|| panic!("no list {name} in {body}"))
}

fn item(body: &Value, is_new: Option<bool>) -> Item {
    let problem = if body["problem"].is_null() { body } else { &body["problem"] };
    if let Some(code) = problem["code"].as_str() {
        return Item::Problem(code.to_owned());
    }
    let at = time(&body["at"]);
    match body["status"].as_str() {
        Some("enrolled") => Item::Held { is_new, standing: Standing::Enrolled, at },
        Some("waitlisted") => Item::Held { is_new, standing: Standing::Waitlisted(number(&body["position"])), at },
        Some("dropped") => Item::Dropped { at },
        other => panic!("an unknown status {other:?}: {body}"),
    }
}

fn view(body: &Value) -> SectionView {
    let status = match body["status"].as_str() {
        Some("open") => Status::Open,
        Some("closed") => Status::Closed,
        Some("cancelled") => Status::Cancelled,
        other => panic!("an unknown status {other:?}: {body}"),
    };
    let seats = ["capacity", "enrolled", "waitlisted", "open"].map(|name| number(&body[name]));
    SectionView { seats, waitlist_capacity: number(&body["waitlist_capacity"]), status }
}

const fn status_name(status: Status) -> &'static str {
    match status {
        Status::Open => "open",
        Status::Closed => "closed",
        Status::Cancelled => "cancelled",
    }
}

/// One client with its connection and its record.
pub(crate) struct Recorder<'w> {
    world: &'w World,
    address: SocketAddr,
    number: usize,
    connection: Option<Client>,
    pub(crate) calls: Vec<Call>,
}

impl<'w> Recorder<'w> {
    pub(crate) fn new(world: &'w World, address: SocketAddr, number: usize) -> Self {
        Self { world, address, number, connection: None, calls: Vec::new() }
    }

    /// Sends random requests until the server is killed.
    pub(crate) fn run(&mut self, random: &mut Random) {
        let mut again = None;
        while !self.world.is_ending.load(Ordering::SeqCst) {
            let request = again.take().unwrap_or_else(|| random_request(random, self.world));
            let abandoned = random.percent(3);
            let is_answered = self.perform(request.clone(), abandoned, false);
            if !is_answered && random.percent(50) {
                again = Some(request);
            }
        }
    }

    /// Sends a request and records the response. With `is_abandoned`, closes the connection without reading a
    /// response. Returns whether a response arrived.
    pub(crate) fn perform(&mut self, request: Request, is_abandoned: bool, exact: bool) -> bool {
        let Some(connection) = self.connection.take().or_else(|| Client::connect(self.address).ok()) else {
            return false;
        };
        let sent = self.world.moments.next();
        self.world.waiting.fetch_add(1, Ordering::SeqCst);
        let response = self.exchange(connection, &request, is_abandoned);
        self.world.waiting.fetch_sub(1, Ordering::SeqCst);
        let ended = self.world.moments.next();
        let is_read = request.source().is_some();
        let call = Call { client: self.number, request, sent, ended: u64::MAX, response: None, after: None };
        let Some(response) = response else {
            if !is_read {
                self.calls.push(call);
            }
            return false;
        };
        self.world.answered.fetch_add(1, Ordering::SeqCst);
        match response.status {
            200 | 201 | 404 | 409 => self.record(Call { ended, ..call }, &response, exact),
            503 if response.code() == "overloaded" => {
                self.world.rejected.fetch_add(1, Ordering::SeqCst);
            }
            503 if !is_read => self.calls.push(call),
            503 => {}
            status => panic!("unexpected response {status} to {}: {}", call.request, response.text()),
        }
        true
    }

    fn exchange(&mut self, mut connection: Client, request: &Request, is_abandoned: bool) -> Option<http::Response> {
        self.world.send(&mut connection, request).ok()?;
        if is_abandoned {
            return None;
        }
        let response = connection.receive().ok()?;
        self.connection = Some(connection);
        Some(response)
    }

    fn record(&mut self, mut call: Call, reply: &http::Response, exact: bool) {
        let body = reply.json();
        self.note_held(&call.request, &body);
        let response = self.world.read(&call.request, &body, reply.status, exact);
        if let Request::RegisterPlan { student, waitlist } = call.request {
            // The plan is read first. Then one decision registers for its sections.
            let plan: Vec<Section> =
                list(&body, "results").iter().map(|result| self.world.section(&result["section"])).collect();
            let request = Request::ReadPlan { student };
            self.calls.push(Call { request, response: Some(Response::Plan(plan.clone())), ..call });
            call.after = Some(self.calls.len() - 1);
            call.request = Request::Batch { student, add: plan, drop: Vec::new(), swap: false, waitlist };
        }
        append(&mut self.calls, Call { response: Some(response), ..call });
    }

    fn note_held(&self, request: &Request, body: &Value) {
        let (student, results) = match request {
            Request::Register { student, .. } | Request::Drop { student, .. } => (*student, std::slice::from_ref(body)),
            Request::Batch { student, .. } | Request::RegisterPlan { student, .. } => (*student, list(body, "results")),
            _ => return,
        };
        for result in results {
            match result["status"].as_str() {
                Some("enrolled" | "waitlisted") => {
                    let bit = 1 << self.world.section(&result["section"]);
                    self.world.held[student].fetch_or(bit, Ordering::Relaxed);
                }
                Some("dropped") => {
                    let bit = 1 << self.world.section(&result["section"]);
                    self.world.held[student].fetch_and(!bit, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }
}

/// Returns a random request. Most of them change something.
fn random_request(random: &mut Random, world: &World) -> Request {
    let (student, section) = (random.below(world.tokens.len()), random.below(world.ids.len()));
    let held = world.held[student].load(Ordering::Relaxed);
    let mine: Vec<Section> = (0..world.ids.len()).filter(|section| held & 1 << section != 0).collect();
    let waitlist = random.percent(60);
    match random.below(100) {
        0..38 => Request::Register { student, section, waitlist },
        38..56 => {
            let section = if mine.is_empty() || random.percent(10) { section } else { *random.pick(&mine) };
            Request::Drop { student, section }
        }
        56..66 => {
            let drop = if mine.is_empty() { Vec::new() } else { vec![*random.pick(&mine)] };
            let mut add = vec![section, random.below(world.ids.len()), random.below(world.ids.len())];
            add.truncate(1 + random.below(3));
            add.sort_unstable();
            add.dedup();
            add.retain(|section| !drop.contains(section));
            Request::Batch { student, add, drop, swap: random.percent(60), waitlist }
        }
        66..68 => {
            let mut plan = vec![section, random.below(world.ids.len())];
            plan.dedup();
            Request::PutPlan { student, plan }
        }
        68..70 => Request::RegisterPlan { student, waitlist },
        70..74 => Request::Edit { section, edit: random_edit(random) },
        74..82 => Request::ReadSection { section },
        82..86 => Request::ReadSeats,
        86..94 => Request::ReadOwn { student },
        94..98 => Request::ReadRoster { section },
        _ => Request::ReadPlan { student },
    }
}

fn random_edit(random: &mut Random) -> Edit {
    let capacity = Some(1 + random.below(7));
    match random.below(10) {
        0..4 => Edit { capacity, ..Edit::default() },
        4 => Edit { waitlist_capacity: Some(random.below(6)), ..Edit::default() },
        5 => Edit { status: Some(Status::Closed), ..Edit::default() },
        6 => Edit { status: Some(Status::Cancelled), ..Edit::default() },
        _ => Edit { status: Some(Status::Open), capacity, ..Edit::default() },
    }
}
