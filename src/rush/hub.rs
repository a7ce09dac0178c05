//! Load on the hub: students of a sandbox, each on a connection of its own with one request under way, who look at the
//! seats, press for sections that are far too few, and sometimes give one up.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};

use crate::domain::import::TaskState;
use crate::histogram::Histogram;
use crate::rush::sandbox::schedule;

use crate::rush::account::{Belief, enrolled_of, seats_of, settle};
use crate::rush::report::{HotSection, Percentiles, Phase, Row, SandboxReport, SandboxRequest, Server, percentile_ms};
use crate::rush::wire::{Peer, Reply, Request, Wire};
use crate::rush::{Job, TELL_PAUSE, Watch};

/// Connections that are opened at once: a morning's students come within seconds, not within one packet.
const CONNECTING_MAX: usize = 256;
/// How long the hub may take to make or remove the sandbox, or to import into it.
const SANDBOX_PATIENCE: Duration = Duration::from_secs(90);
/// A pause after an answer that says the hub is busy, as a page makes one.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// How often a student asks at the end what is held, when an answer fails.
const ASKED_MAX: u32 = 5;
/// How often it is asked how far an import is, and the most imports of a run: tasks that the hub keeps are for staff.
const IMPORT_PAUSE: Duration = Duration::from_millis(50);
const IMPORTS_MAX: u32 = 12;

/// What all students share.
struct Load {
    peer: Rc<Peer>,
    term: String,
    hot: Vec<HotSection>,
    latencies: Histogram,
    /// The same, without an import beside it and with one.
    apart: [Histogram; 2],
    errors: Cell<u64>,
    told: Cell<i64>,
    /// Whether an import is under way.
    importing: Cell<bool>,
    imports: Cell<u32>,
    /// When students stop pressing; none while they wait for the start.
    ends: watch::Receiver<Option<Instant>>,
}

impl Load {
    fn is_over(&self) -> bool {
        self.ends.borrow().is_none_or(|ends| Instant::now() >= ends)
    }

    /// Counts an answer, by whether an import ran beside it at its beginning or its end.
    fn count(&self, began: Instant, beside_import: bool) {
        let beside = beside_import || self.importing.get();
        let took = began.elapsed();
        self.latencies.record(took);
        self.apart[usize::from(beside)].record(took);
    }

    fn row(&self, users: u32, seconds: f64) -> Row {
        let requests = self.latencies.counts().total() + self.errors.get();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_s = if seconds > 0.0 { (requests as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 };
        Row {
            requests,
            per_s,
            latency_ms: Percentiles::from(&self.latencies),
            errors: self.errors.get(),
            told: self.told.get().try_into().unwrap_or(0),
            ..Row::new(Server::Hub, users)
        }
    }
}

/// Presses the hub, and removes whatever it made there.
pub(super) async fn run(job: &Job, users: u32, watch: &Watch<'_>) -> Result<(), String> {
    let peer = Peer::find(&job.url).await?;
    let path = format!("/api/v1/admin/demo/sandboxes/{}", job.sandbox);
    let mut admin = Wire::new(peer.clone());
    let body =
        serde_json::to_vec(&SandboxRequest { users, seconds: job.seconds }).map_err(|error| error.to_string())?;
    let open = Request {
        method: "PUT",
        path: &path,
        token: Some(&job.admin),
        headers: &[("Content-Type", "application/json")],
        body: &body,
        keep: true,
    };
    let opened = admin.call_within(&open, SANDBOX_PATIENCE).await;
    let opened = opened.map_err(|error| format!("the hub at {} does not answer: {error}", job.url))?;
    let SandboxReport { sections, .. } = body_of(&opened)?;
    let outcome = LocalSet::new().run_until(press(job, users, peer, sections, watch)).await;
    let close = Request { method: "DELETE", path: &path, token: Some(&job.admin), keep: true, ..Request::default() };
    let closed = admin.call_within(&close, SANDBOX_PATIENCE).await;
    outcome?;
    let closed = closed.map_err(|error| format!("the sandbox could not be removed now, the hub will: {error}"))?;
    if closed.is_success() { Ok(()) } else { Err(problem_of(&closed)) }
}

/// What the load reads of a problem document.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// What the load reads of the response to an upload, and of an import.
#[derive(Deserialize)]
struct ImportStarted {
    task: String,
}

#[derive(Deserialize)]
struct ImportProgress {
    state: TaskState,
}

/// Reads the body of a response of a 2xx status; of any other, returns what the hub says of it.
fn body_of<T: DeserializeOwned>(reply: &Reply) -> Result<T, String> {
    if !reply.is_success() {
        return Err(problem_of(reply));
    }
    serde_json::from_slice(&reply.body).map_err(|error| format!("a response of the hub cannot be read: {error}"))
}

fn problem_of(reply: &Reply) -> String {
    match serde_json::from_slice(&reply.body) {
        Ok(Problem { detail }) => detail,
        Err(_) => format!("the hub answers {}", reply.status),
    }
}

async fn press(job: &Job, users: u32, peer: Rc<Peer>, hot: Vec<HotSection>, watch: &Watch<'_>) -> Result<(), String> {
    let (start, ends) = watch::channel(None);
    let load = Rc::new(Load {
        peer,
        term: job.sandbox.clone(),
        hot,
        latencies: Histogram::default(),
        apart: Default::default(),
        errors: Cell::new(0),
        told: Cell::new(0),
        importing: Cell::new(false),
        imports: Cell::new(0),
        ends,
    });
    let doors = Rc::new(Semaphore::new(CONNECTING_MAX));
    let waiting = Rc::new(Cell::new(users));
    let mut students = JoinSet::new();
    for (seed, token) in (1_u64..).zip(&job.students) {
        let student = Student::new(load.clone(), token, seed);
        students.spawn_local(student.study(doors.clone(), waiting.clone()));
    }
    while waiting.get() > 0 && !watch.is_stopping() {
        sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let length = Duration::from_secs(job.seconds.into());
    start.send_replace(Some(began + length));
    watch.update(|task| task.phase = Phase::Hub);
    let importing = tokio::task::spawn_local(import(load.clone(), job.staff.clone(), began, length));

    let tell = |elapsed: Duration| {
        let row = load.row(users, elapsed.as_secs_f64());
        watch.update(|task| {
            task.put(row);
            if let Some(background) = &mut task.background {
                let [without, with] = load.apart.each_ref().map(|apart| percentile_ms(&apart.counts(), 99));
                (background.p99_without_ms, background.p99_with_ms) = (without, with);
                background.imports = load.imports.get();
            }
        });
    };
    while !load.is_over() {
        sleep(TELL_PAUSE.min(length.saturating_sub(began.elapsed()))).await;
        tell(began.elapsed().min(length));
        if watch.is_stopping() {
            start.send_replace(Some(Instant::now()));
        }
    }
    // What is under way is waited for: it was pressed in time, and counts.
    let mut beliefs = Vec::with_capacity(job.students.len());
    while let Some(student) = students.join_next().await {
        beliefs.push(student.map_err(|_| "a student failed".to_owned())?);
    }
    let took = began.elapsed();
    importing.await.map_err(|_| "the import beside it failed".to_owned())?;
    tell(took);
    let account = account(&load, beliefs).await?;
    let row = Row {
        told: account.told,
        held: Some(account.held),
        oversold: Some(account.oversold),
        lost: Some(account.lost),
        ..load.row(users, took.as_secs_f64())
    };
    watch.update(|task| task.put(row));
    Ok(())
}

/// Asks for every student, and for every section, what the hub says is held.
async fn account(load: &Load, beliefs: Vec<(Student, Belief)>) -> Result<crate::rush::account::Account, String> {
    let mut students = Vec::with_capacity(beliefs.len());
    let mut enrolled = None;
    for (mut student, belief) in beliefs {
        let held = format!("/api/v1/me/registrations?term={}", load.term);
        let body = student.ask(&held).await?;
        let holds: BTreeSet<usize> = seats_of(&body, &load.hot).ok_or("a student's list could not be read")?;
        if enrolled.is_none() {
            let body = student.ask(&format!("/api/v1/seats?term={}", load.term)).await?;
            enrolled = Some(enrolled_of(&body, &load.hot).ok_or("the seats could not be read")?);
        }
        students.push((belief, holds));
    }
    Ok(settle(&load.hot, &students, &enrolled.unwrap_or_default()))
}

/// A simulated student.
struct Student {
    load: Rc<Load>,
    wire: Wire,
    token: String,
    seats: String,
    etag: Option<Box<str>>,
    random: u64,
}

impl Student {
    fn new(load: Rc<Load>, token: &str, seed: u64) -> Self {
        let wire = Wire::new(load.peer.clone());
        let seats = format!("/api/v1/seats?term={}", load.term);
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { load, wire, token: token.to_owned(), seats, etag: None, random }
    }

    /// Connects, waits for the start, and presses until the time is over.
    async fn study(mut self, doors: Rc<Semaphore>, waiting: Rc<Cell<u32>>) -> (Self, Belief) {
        {
            let _door = doors.acquire().await;
            if self.wire.connect().await.is_err() {
                self.load.errors.set(self.load.errors.get() + 1);
            }
        }
        waiting.set(waiting.get() - 1);
        let mut ends = self.load.ends.clone();
        let mut belief = Belief::default();
        if ends.wait_for(Option::is_some).await.is_err() {
            return (self, belief);
        }
        while !self.load.is_over() {
            self.look().await;
            if !self.load.is_over() {
                self.want(&mut belief).await;
            }
        }
        (self, belief)
    }

    /// A request of the run, timed; none when it was not answered as anybody should be.
    async fn timed(&mut self, method: &str, path: &str, headers: &[(&str, &str)], expected: &[u16]) -> Option<Reply> {
        let (began, beside_import) = (Instant::now(), self.load.importing.get());
        let request = Request { method, path, token: Some(&self.token), headers, ..Request::default() };
        match self.wire.call(&request).await {
            Ok(reply) if expected.contains(&reply.status) => {
                self.load.count(began, beside_import);
                Some(reply)
            }
            refused => {
                self.load.errors.set(self.load.errors.get() + 1);
                log::debug!("{method} {path}: {:?}", refused.map(|reply| reply.status));
                sleep(BUSY_PAUSE).await;
                None
            }
        }
    }

    async fn look(&mut self) {
        let path = self.seats.clone();
        let known = self.etag.clone();
        let mut headers = vec![("Accept-Encoding", "gzip")];
        headers.extend(known.as_deref().map(|etag| ("If-None-Match", etag)));
        if let Some(Reply { etag: Some(etag), .. }) = self.timed("GET", &path, &headers, &[200, 304]).await {
            self.etag = Some(etag);
        }
    }

    /// Presses for a section, or gives it up when it is held.
    async fn want(&mut self, belief: &mut Belief) {
        let at = self.below(self.load.hot.len());
        let path = format!("/api/v1/me/registrations/{}", self.load.hot[at].id);
        let told = |by: i64| self.load.told.set(self.load.told.get() + by);
        if belief.held.contains(&at) {
            // Given up from the moment it is sent: whatever becomes of the answer, nobody counts on the seat.
            belief.held.remove(&at);
            told(-1);
            if self.timed("DELETE", &path, &[], &[200]).await.is_none() {
                belief.unknown.insert(at);
            }
            return;
        }
        match self.timed("PUT", &path, &[], &[200, 201, 409]).await {
            // 200: an earlier press, whose answer was lost, had it.
            Some(Reply { status: 200 | 201, .. }) => {
                belief.held.insert(at);
                belief.unknown.remove(&at);
                self.load.told.set(self.load.told.get() + 1);
            }
            Some(_) => drop(belief.unknown.remove(&at)),
            None => drop(belief.unknown.insert(at)),
        }
    }

    /// Asks for something that must be known, and again when it is not answered.
    async fn ask(&mut self, path: &str) -> Result<Vec<u8>, String> {
        for _ in 0..ASKED_MAX {
            let request = Request { method: "GET", path, token: Some(&self.token), keep: true, ..Request::default() };
            match self.wire.call(&request).await {
                Ok(reply) if reply.status == 200 => return Ok(reply.body),
                _ => sleep(BUSY_PAUSE).await,
            }
        }
        Err("the hub does not say what students hold".to_owned())
    }

    /// A number below `end`, by Marsaglia's xorshift: the same in each run of this student.
    fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from((self.random >> 33) % end.max(1) as u64).unwrap_or(0)
    }
}

/// Imports in the second and in the last quarter of the run, one after the other.
async fn import(load: Rc<Load>, token: String, began: Instant, length: Duration) {
    let mut wire = Wire::new(load.peer.clone());
    for quarter in [1, 3] {
        // A run that is ended early is over at once.
        while Instant::now() < began + length * quarter / 4 && !load.is_over() {
            sleep(IMPORT_PAUSE).await;
        }
        let until = began + length * (quarter + 1) / 4;
        while Instant::now() < until && !load.is_over() && load.imports.get() < IMPORTS_MAX / 4 * (quarter + 1) {
            load.importing.set(true);
            let done = import_once(&load, &mut wire, &token).await;
            load.importing.set(false);
            match done {
                Some(()) => load.imports.set(load.imports.get() + 1),
                None => sleep(BUSY_PAUSE).await,
            }
        }
    }
}

/// One import, to its end; none when it was not done.
async fn import_once(load: &Load, wire: &mut Wire, token: &str) -> Option<()> {
    let path = format!("/api/v1/imports?term={}", load.term);
    let body = schedule(load.imports.get());
    let upload = Request {
        method: "POST",
        path: &path,
        token: Some(token),
        headers: &[("Content-Type", "text/csv")],
        body: body.as_bytes(),
        keep: true,
    };
    let ImportStarted { task } = body_of(&wire.call(&upload).await.ok()?).ok()?;
    let path = format!("/api/v1/imports/{task}");
    let given_up = Instant::now() + SANDBOX_PATIENCE;
    while Instant::now() < given_up {
        let look = Request { method: "GET", path: &path, token: Some(token), keep: true, ..Request::default() };
        let ImportProgress { state } = body_of(&wire.call(&look).await.ok()?).ok()?;
        match state {
            TaskState::Running => sleep(IMPORT_PAUSE).await,
            TaskState::Done => return Some(()),
            TaskState::Failed | TaskState::Cancelled => return None,
        }
    }
    None
}
