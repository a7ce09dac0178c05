//! Load on the hub: simulated students of a sandbox read the seats, compete for a few hot sections, and sometimes drop
//! one. Each student has one connection, with one request in flight.

use std::cell::Cell;
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

use crate::rush::failure::RunFailure;
use crate::rush::reconciliation::{ExpectedSeats, Reconciliation, parse_enrolled, parse_enrolled_counts, reconcile};
use crate::rush::report::{HotSection, Percentiles, Phase, Row, SandboxReport, SandboxRequest, Server, percentile_ms};
use crate::rush::wire::{Connection, Peer, Reply, Request};
use crate::rush::{Job, PROGRESS_INTERVAL, RunControl};

/// Maximum number of connections that are opened at the same time. Real students do not all connect in one instant.
const CONCURRENT_CONNECTS_MAX: usize = 256;
/// Timeout for creating or removing the sandbox, and for one import into it.
const SANDBOX_TIMEOUT: Duration = Duration::from_secs(90);
/// Pause after an error or an unexpected status. The hub's pages pause, too.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Maximum number of attempts for each request of the reconciliation.
const ATTEMPTS_MAX: u32 = 5;
/// Interval at which the state of an import is polled.
const IMPORT_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum number of imports in a run. The hub stores a limited number of import tasks, which are meant for staff.
const IMPORTS_MAX: u32 = 12;

/// The state that all students share.
struct SharedLoad {
    peer: Rc<Peer>,
    term: String,
    hot: Vec<HotSection>,
    latencies: Histogram,
    /// The same latencies, divided into those without and those with a concurrent import.
    latencies_by_import: [Histogram; 2],
    errors: Cell<u64>,
    /// Seats that students currently expect to have.
    confirmed: Cell<i64>,
    /// Whether an import is running.
    importing: Cell<bool>,
    /// Imports that completed.
    imports: Cell<u32>,
    /// When students stop sending requests; `None` before the start.
    deadline: watch::Receiver<Option<Instant>>,
}

impl SharedLoad {
    fn new(peer: Rc<Peer>, term: String, hot: Vec<HotSection>, deadline: watch::Receiver<Option<Instant>>) -> Self {
        Self {
            peer,
            term,
            hot,
            latencies: Histogram::default(),
            latencies_by_import: Default::default(),
            errors: Cell::new(0),
            confirmed: Cell::new(0),
            importing: Cell::new(false),
            imports: Cell::new(0),
            deadline,
        }
    }

    fn is_over(&self) -> bool {
        self.deadline.borrow().is_none_or(|deadline| Instant::now() >= deadline)
    }

    /// Records the latency of a response. `import_at_start` says whether an import was running when the request was
    /// sent.
    fn record_latency(&self, started: Instant, import_at_start: bool) {
        let during_import = import_at_start || self.importing.get();
        let latency = started.elapsed();
        self.latencies.record(latency);
        self.latencies_by_import[usize::from(during_import)].record(latency);
    }

    fn count_error(&self) {
        self.errors.set(self.errors.get() + 1);
    }

    fn add_confirmed(&self, seats: i64) {
        self.confirmed.set(self.confirmed.get() + seats);
    }

    fn row(&self, users: u32, seconds: f64) -> Row {
        let requests = self.latencies.counts().total() + self.errors.get();
        #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
        let per_s = if seconds > 0.0 { (requests as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 };
        Row {
            requests,
            per_s,
            latency_ms: Percentiles::from(&self.latencies),
            errors: self.errors.get(),
            confirmed: self.confirmed.get().try_into().unwrap_or(0),
            ..Row::new(Server::Hub, users)
        }
    }
}

/// Opens a sandbox, runs the load on it, and removes the sandbox.
pub(super) async fn run(job: &Job, users: u32, control: &RunControl<'_>) -> Result<(), RunFailure> {
    let peer = Peer::resolve(&job.url).await?;
    let path = format!("/api/v1/admin/demo/sandboxes/{}", job.sandbox);
    let mut admin = Connection::new(peer.clone());
    let body = serde_json::to_vec(&SandboxRequest { users, seconds: job.seconds });
    let body = body.map_err(|_| RunFailure::NotRun)?;
    let open = Request {
        method: "PUT",
        path: &path,
        token: Some(&job.admin),
        headers: &[("Content-Type", "application/json")],
        body: &body,
        read_body: true,
    };
    let opened = admin.call_with_timeout(&open, SANDBOX_TIMEOUT).await;
    let opened = opened.map_err(|error| RunFailure::HubSilent { url: job.url.clone(), why: error.to_string() })?;
    let SandboxReport { sections, .. } = parse_body(&opened)?;
    let outcome = LocalSet::new().run_until(run_students(job, users, peer, sections, control)).await;
    let close =
        Request { method: "DELETE", path: &path, token: Some(&job.admin), read_body: true, ..Request::default() };
    let closed = admin.call_with_timeout(&close, SANDBOX_TIMEOUT).await;
    outcome?;
    let closed = closed.map_err(|error| RunFailure::SandboxStays { why: error.to_string() })?;
    if closed.is_success() { Ok(()) } else { Err(parse_problem(&closed)) }
}

/// The part of a problem document that is read.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// The part of the response to an upload that is read.
#[derive(Deserialize)]
struct ImportStarted {
    task: String,
}

/// The part of an import task that is read.
#[derive(Deserialize)]
struct ImportProgress {
    state: TaskState,
}

/// Parses the body of a response with a 2xx status.
///
/// # Errors
/// For any other status, and if the body is malformed.
fn parse_body<T: DeserializeOwned>(reply: &Reply) -> Result<T, RunFailure> {
    if !reply.is_success() {
        return Err(parse_problem(reply));
    }
    serde_json::from_slice(&reply.body).map_err(|_| RunFailure::HubMalformed)
}

/// Returns the failure that a problem document states, or only its status if the response has none.
fn parse_problem(reply: &Reply) -> RunFailure {
    match serde_json::from_slice(&reply.body) {
        Ok(Problem { detail }) => RunFailure::HubRefused { detail },
        Err(_) => RunFailure::HubStatus { status: reply.status },
    }
}

/// Connects all students, lets them put load on the hub for the duration of the job while imports run half of the time,
/// and reconciles their seats.
async fn run_students(
    job: &Job,
    users: u32,
    peer: Rc<Peer>,
    hot: Vec<HotSection>,
    control: &RunControl<'_>,
) -> Result<(), RunFailure> {
    let (start, deadline) = watch::channel(None);
    let load = Rc::new(SharedLoad::new(peer, job.sandbox.clone(), hot, deadline));
    let connect_permits = Rc::new(Semaphore::new(CONCURRENT_CONNECTS_MAX));
    let connecting = Rc::new(Cell::new(users));
    let mut students = JoinSet::new();
    for (seed, token) in (1_u64..).zip(&job.students) {
        let student = Student::new(load.clone(), token, seed);
        students.spawn_local(student.run(connect_permits.clone(), connecting.clone()));
    }
    while connecting.get() > 0 && !control.is_stopping() {
        sleep(Duration::from_millis(5)).await;
    }
    let started = Instant::now();
    let duration = Duration::from_secs(job.seconds.into());
    start.send_replace(Some(started + duration));
    control.update(|task| task.phase = Phase::Hub);
    let importing = tokio::task::spawn_local(run_imports(load.clone(), job.staff.clone(), started, duration));

    let report = |elapsed: Duration| {
        let row = load.row(users, elapsed.as_secs_f64());
        control.update(|task| {
            task.put_row(row);
            if let Some(background) = &mut task.background {
                let [without, with] =
                    load.latencies_by_import.each_ref().map(|latencies| percentile_ms(&latencies.counts(), 99));
                (background.p99_without_ms, background.p99_with_ms) = (without, with);
                background.imports = load.imports.get();
            }
        });
    };
    while !load.is_over() {
        sleep(PROGRESS_INTERVAL.min(duration.saturating_sub(started.elapsed()))).await;
        report(started.elapsed().min(duration));
        if control.is_stopping() {
            start.send_replace(Some(Instant::now()));
        }
    }
    // Waits for the requests in flight: they were sent before the deadline, so they count.
    let mut finished = Vec::with_capacity(job.students.len());
    while let Some(student) = students.join_next().await {
        finished.push(student.map_err(|_| RunFailure::StudentFailed)?);
    }
    let elapsed = started.elapsed();
    importing.await.map_err(|_| RunFailure::ImportFailed)?;
    report(elapsed);
    let totals = reconcile_with_hub(&load, finished).await?;
    let row = Row {
        confirmed: totals.confirmed,
        stored: Some(totals.stored),
        oversold: Some(totals.oversold),
        lost: Some(totals.lost),
        ..load.row(users, elapsed.as_secs_f64())
    };
    control.update(|task| task.put_row(row));
    Ok(())
}

/// Reads from the hub which seats each student has and how many students are enrolled in each section, and compares
/// them with the expected seats.
async fn reconcile_with_hub(
    load: &SharedLoad,
    students: Vec<(Student, ExpectedSeats)>,
) -> Result<Reconciliation, RunFailure> {
    let mut stored_by_student = Vec::with_capacity(students.len());
    let mut enrolled = None;
    for (mut student, expected) in students {
        let path = format!("/api/v1/me/registrations?term={}", load.term);
        let body = student.get_with_retries(&path).await?;
        let stored = parse_enrolled(&body, &load.hot).ok_or(RunFailure::HubMalformed)?;
        if enrolled.is_none() {
            let body = student.get_with_retries(&format!("/api/v1/seats?term={}", load.term)).await?;
            enrolled = Some(parse_enrolled_counts(&body, &load.hot).ok_or(RunFailure::HubMalformed)?);
        }
        stored_by_student.push((expected, stored));
    }
    Ok(reconcile(&load.hot, &stored_by_student, &enrolled.unwrap_or_default()))
}

/// A simulated student.
struct Student {
    load: Rc<SharedLoad>,
    connection: Connection,
    token: String,
    seats_path: String,
    /// The `ETag` of the last response with seats.
    etag: Option<Box<str>>,
    random: u64,
}

impl Student {
    fn new(load: Rc<SharedLoad>, token: &str, seed: u64) -> Self {
        let connection = Connection::new(load.peer.clone());
        let seats_path = format!("/api/v1/seats?term={}", load.term);
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { load, connection, token: token.to_owned(), seats_path, etag: None, random }
    }

    /// Connects, waits for the start, and sends requests until the deadline. `connecting` counts the students that have
    /// not connected yet.
    async fn run(mut self, connect_permits: Rc<Semaphore>, connecting: Rc<Cell<u32>>) -> (Self, ExpectedSeats) {
        {
            let _permit = connect_permits.acquire().await;
            if self.connection.connect().await.is_err() {
                self.load.count_error();
            }
        }
        connecting.set(connecting.get() - 1);
        let mut deadline = self.load.deadline.clone();
        let mut expected = ExpectedSeats::default();
        if deadline.wait_for(Option::is_some).await.is_err() {
            return (self, expected);
        }
        while !self.load.is_over() {
            self.read_seats().await;
            if !self.load.is_over() {
                self.register_or_drop(&mut expected).await;
            }
        }
        (self, expected)
    }

    /// Sends a request and records its latency. Returns `None` if it failed or its status is not in `expected`.
    async fn timed_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        expected: &[u16],
    ) -> Option<Reply> {
        let (started, import_at_start) = (Instant::now(), self.load.importing.get());
        let request = Request { method, path, token: Some(&self.token), headers, ..Request::default() };
        match self.connection.call(&request).await {
            Ok(reply) if expected.contains(&reply.status) => {
                self.load.record_latency(started, import_at_start);
                Some(reply)
            }
            unexpected => {
                self.load.count_error();
                log::debug!("{method} {path}: {:?}", unexpected.map(|reply| reply.status));
                sleep(BUSY_PAUSE).await;
                None
            }
        }
    }

    async fn read_seats(&mut self) {
        let path = self.seats_path.clone();
        let etag = self.etag.clone();
        let mut headers = vec![("Accept-Encoding", "gzip")];
        headers.extend(etag.as_deref().map(|etag| ("If-None-Match", etag)));
        if let Some(Reply { etag: Some(etag), .. }) = self.timed_request("GET", &path, &headers, &[200, 304]).await {
            self.etag = Some(etag);
        }
    }

    /// Registers for a random hot section, or drops it if the student expects to have a seat in it.
    async fn register_or_drop(&mut self, expected: &mut ExpectedSeats) {
        let index = self.random_below(self.load.hot.len());
        let path = format!("/api/v1/me/registrations/{}", self.load.hot[index].id);
        if expected.confirmed.contains(&index) {
            // Before the request is sent, so that a lost response cannot make the seat count as lost.
            expected.confirmed.remove(&index);
            self.load.add_confirmed(-1);
            if self.timed_request("DELETE", &path, &[], &[200]).await.is_none() {
                expected.uncertain.insert(index);
            }
            return;
        }
        match self.timed_request("PUT", &path, &[], &[200, 201, 409]).await {
            // A 200 means that an earlier request, whose response was lost, got the seat.
            Some(Reply { status: 200 | 201, .. }) => {
                expected.confirmed.insert(index);
                expected.uncertain.remove(&index);
                self.load.add_confirmed(1);
            }
            Some(_) => drop(expected.uncertain.remove(&index)),
            None => drop(expected.uncertain.insert(index)),
        }
    }

    /// Returns the body of a GET response with status 200, after at most [`ATTEMPTS_MAX`] attempts.
    async fn get_with_retries(&mut self, path: &str) -> Result<Vec<u8>, RunFailure> {
        for _ in 0..ATTEMPTS_MAX {
            let request =
                Request { method: "GET", path, token: Some(&self.token), read_body: true, ..Request::default() };
            match self.connection.call(&request).await {
                Ok(reply) if reply.status == 200 => return Ok(reply.body),
                _ => sleep(BUSY_PAUSE).await,
            }
        }
        Err(RunFailure::SeatsUnknown)
    }

    /// Returns a pseudorandom number below `end` (Marsaglia's xorshift). The sequence is the same in each run.
    fn random_below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from((self.random >> 33) % end.max(1) as u64).unwrap_or(0)
    }
}

/// Runs imports back to back in the second and the last quarter of the run.
async fn run_imports(load: Rc<SharedLoad>, token: String, started: Instant, duration: Duration) {
    let mut connection = Connection::new(load.peer.clone());
    for quarter in [1, 3] {
        // Also ends if the run is stopped early.
        while Instant::now() < started + duration * quarter / 4 && !load.is_over() {
            sleep(IMPORT_POLL_INTERVAL).await;
        }
        let quarter_end = started + duration * (quarter + 1) / 4;
        while Instant::now() < quarter_end && !load.is_over() && load.imports.get() < IMPORTS_MAX / 4 * (quarter + 1) {
            load.importing.set(true);
            let done = import_once(&load, &mut connection, &token).await;
            load.importing.set(false);
            match done {
                Some(()) => load.imports.set(load.imports.get() + 1),
                None => sleep(BUSY_PAUSE).await,
            }
        }
    }
}

/// Runs one import to its end. Returns `None` if it failed.
async fn import_once(load: &SharedLoad, connection: &mut Connection, token: &str) -> Option<()> {
    let path = format!("/api/v1/imports?term={}", load.term);
    let body = schedule(load.imports.get());
    let upload = Request {
        method: "POST",
        path: &path,
        token: Some(token),
        headers: &[("Content-Type", "text/csv")],
        body: body.as_bytes(),
        read_body: true,
    };
    let ImportStarted { task } = parse_body(&connection.call(&upload).await.ok()?).ok()?;
    let path = format!("/api/v1/imports/{task}");
    let deadline = Instant::now() + SANDBOX_TIMEOUT;
    while Instant::now() < deadline {
        let poll = Request { method: "GET", path: &path, token: Some(token), read_body: true, ..Request::default() };
        let ImportProgress { state } = parse_body(&connection.call(&poll).await.ok()?).ok()?;
        match state {
            TaskState::Running => sleep(IMPORT_POLL_INTERVAL).await,
            TaskState::Done => return Some(()),
            TaskState::Failed | TaskState::Cancelled => return None,
        }
    }
    None
}
