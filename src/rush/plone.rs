//! Load on a real Plone without the hub: simulated students read a section's seat count and write it back increased by
//! one. Plone loses concurrent updates, which the demonstration shows. All load goes to one item, which the run creates
//! and deletes.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};

use crate::config::plone::Plone as Settings;
use crate::domain::fields::SectionField;
use crate::domain::ids::SANDBOX_PREFIX;
use crate::histogram::Histogram;

use crate::rush::failure::RunFailure;
use crate::rush::report::{Percentiles, Phase, Row, Server};
use crate::rush::wire::{Connection, Peer, Reply, Request};
use crate::rush::{PROGRESS_INTERVAL, RunControl};

/// The id of the item. It is constant, so that a run deletes an item that an earlier run left behind.
const ITEM: &str = "eduhub-demonstration";
/// Pause after an error.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Maximum number of attempts to delete the item. The first may fail, because Plone still processes requests that timed
/// out.
const DELETE_ATTEMPTS_MAX: u32 = 10;
/// Pause between two attempts to delete the item.
const DELETE_PAUSE: Duration = Duration::from_millis(500);
/// Headers of every request.
const JSON: [(&str, &str); 2] = [("Accept", "application/json"), ("Content-Type", "application/json")];

/// A Plone that load may be sent to. Does not implement `Debug`, because it contains a password.
#[derive(Clone, Serialize, Deserialize)]
pub struct PloneJob {
    /// The site, such as `http://127.0.0.1:8080/Plone`.
    pub url: String,
    /// The hub's own user in Plone.
    pub username: String,
    /// The password of that user.
    pub password: String,
    /// The path of the folder of sections, from the site's root.
    pub folder: String,
    /// The fields of the item, by their names in Plone.
    pub fields: Map<String, Value>,
    /// Plone's name for the number of seats taken.
    pub seats_field: String,
    /// The number of seats that students compete for.
    pub capacity: u64,
}

impl PloneJob {
    /// Returns the Plone in the settings if `[plone] demo_target` allows a demonstration to put load on it. The
    /// capacity is 0.
    #[must_use]
    pub fn from_settings(plone: &Settings) -> Option<Self> {
        let url = plone.url.clone().filter(|_| plone.demo_target)?;
        let mut fields = Map::new();
        fields.insert("@type".to_owned(), plone.section_type.clone().into());
        fields.insert("title".to_owned(), "EduHub demonstration (temporary)".into());
        let section_fields = [
            // A pull ignores items of sandbox terms.
            (SectionField::Term, json!(format!("{SANDBOX_PREFIX}plone"))),
            (SectionField::Crn, json!("1")),
            (SectionField::Course, json!("DEMO 100")),
            (SectionField::Capacity, json!(0)),
        ];
        fields.extend(section_fields.map(|(field, value)| (plone.field_name(field).to_owned(), value)));
        Some(Self {
            url,
            username: plone.username.clone(),
            password: plone.password.expose_secret().to_owned(),
            folder: plone.sections_path.clone(),
            fields,
            seats_field: plone.field_name(SectionField::SeatsTaken).to_owned(),
            capacity: 0,
        })
    }
}

/// The state that all students share.
struct SharedLoad {
    peer: Rc<Peer>,
    token: String,
    path: String,
    seats_field: String,
    capacity: u64,
    latencies: Histogram,
    errors: Cell<u64>,
    confirmed: Cell<u64>,
    deadline: Cell<Instant>,
}

/// Creates the item, runs the load on it, and deletes it.
pub(super) async fn run(job: &PloneJob, users: u32, seconds: u32, control: &RunControl<'_>) -> Result<(), RunFailure> {
    control.update(|task| task.phase = Phase::Plone);
    let peer = Peer::resolve(&job.url).await?;
    let mut connection = Connection::new(peer.clone());
    let login = json!({ "login": job.username, "password": job.password }).to_string();
    let reply = request(&mut connection, "POST", "/@login", None, &login).await?;
    let token = parse_body(&reply)["token"].as_str().ok_or(RunFailure::PloneLogin)?.to_owned();
    let path = format!("{}/{ITEM}", job.folder);
    delete(&mut connection, &path, &token).await?;
    let mut fields = job.fields.clone();
    fields.insert("id".to_owned(), ITEM.into());
    fields.insert(job.seats_field.clone(), 0.into());
    let body = Value::Object(fields).to_string();
    let created = request(&mut connection, "POST", &job.folder, Some(&token), &body).await?;
    if created.status != 201 {
        return Err(RunFailure::PloneItemMissing { status: created.status });
    }
    let load = Rc::new(SharedLoad {
        peer,
        token: token.clone(),
        path: path.clone(),
        seats_field: job.seats_field.clone(),
        capacity: job.capacity,
        latencies: Histogram::default(),
        errors: Cell::new(0),
        confirmed: Cell::new(0),
        deadline: Cell::new(Instant::now() + Duration::from_secs(seconds.into())),
    });
    let outcome = LocalSet::new().run_until(run_students(&load, users, control)).await;
    let stored = seats_taken(&mut connection, &load).await;
    delete(&mut connection, &path, &token).await?;
    let row = outcome?;
    let stored = stored.ok_or(RunFailure::PloneSeatsUnknown)?;
    let (confirmed, capacity) = (load.confirmed.get(), load.capacity);
    let oversold = confirmed.max(stored).saturating_sub(capacity);
    let row =
        Row { stored: Some(stored), oversold: Some(oversold), lost: Some(confirmed.saturating_sub(stored)), ..row };
    control.update(|task| task.put_row(row));
    Ok(())
}

/// Runs all students until the deadline. Returns the results without those that need Plone's final count.
async fn run_students(load: &Rc<SharedLoad>, users: u32, control: &RunControl<'_>) -> Result<Row, RunFailure> {
    let started = Instant::now();
    let row = || {
        let requests = load.latencies.counts().total() + load.errors.get();
        #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
        let per_s = requests as f64 / started.elapsed().as_secs_f64().max(0.001);
        Row {
            requests,
            per_s: (per_s * 10.0).round() / 10.0,
            latency_ms: Percentiles::from(&load.latencies),
            errors: load.errors.get(),
            confirmed: load.confirmed.get(),
            ..Row::new(Server::Plone, users)
        }
    };
    let mut students = JoinSet::new();
    for _ in 0..users {
        students.spawn_local(run_student(load.clone()));
    }
    loop {
        match tokio::time::timeout(PROGRESS_INTERVAL, students.join_next()).await {
            Ok(None) => return Ok(row()),
            Ok(Some(student)) => student.map_err(|_| RunFailure::StudentFailed)?,
            Err(_) => control.update(|task| task.put_row(row())),
        }
        if control.is_stopping() {
            load.deadline.set(Instant::now());
        }
    }
}

/// Reads the item until the deadline. If a seat is free and the student has none, tries to take it by writing back the
/// increased count.
async fn run_student(load: Rc<SharedLoad>) {
    let mut connection = Connection::new(load.peer.clone());
    let mut has_seat = false;
    while Instant::now() < load.deadline.get() {
        let Some(reply) = timed_request(&load, &mut connection, "GET", "", 200).await else { continue };
        let Some(taken) = parse_body(&reply)[&load.seats_field].as_u64() else { continue };
        if has_seat || taken >= load.capacity {
            continue;
        }
        let body = json!({ &load.seats_field: taken + 1 }).to_string();
        if timed_request(&load, &mut connection, "PATCH", &body, 204).await.is_some() {
            has_seat = true;
            load.confirmed.set(load.confirmed.get() + 1);
        }
    }
}

/// Sends a request for the item and records its latency. Returns `None` if it failed or its status is not `expected`.
async fn timed_request(
    load: &SharedLoad,
    connection: &mut Connection,
    method: &str,
    body: &str,
    expected: u16,
) -> Option<Reply> {
    let started = Instant::now();
    let token = Some(load.token.as_str());
    let body = body.as_bytes();
    let request = Request { method, path: &load.path, token, headers: &JSON, body, read_body: true };
    match connection.call(&request).await {
        Ok(reply) if reply.status == expected => {
            load.latencies.record(started.elapsed());
            Some(reply)
        }
        _ => {
            load.errors.set(load.errors.get() + 1);
            sleep(BUSY_PAUSE).await;
            None
        }
    }
}

/// Returns the item's number of seats taken.
async fn seats_taken(connection: &mut Connection, load: &SharedLoad) -> Option<u64> {
    let reply = request(connection, "GET", &load.path, Some(&load.token), "").await.ok()?;
    parse_body(&reply)[&load.seats_field].as_u64()
}

/// Deletes the item if it exists.
async fn delete(connection: &mut Connection, path: &str, token: &str) -> Result<(), RunFailure> {
    for _ in 0..DELETE_ATTEMPTS_MAX {
        if matches!(request(connection, "DELETE", path, Some(token), "").await?.status, 204 | 404) {
            return Ok(());
        }
        sleep(DELETE_PAUSE).await;
    }
    Err(RunFailure::PloneItemStays { path: path.to_owned() })
}

/// Sends a JSON request to Plone and returns the reply, whatever its status.
async fn request(
    connection: &mut Connection,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Result<Reply, RunFailure> {
    let request = Request { method, path, token, headers: &JSON, body: body.as_bytes(), read_body: true };
    connection.call(&request).await.map_err(|error| RunFailure::PloneSilent { why: error.to_string() })
}

/// Parses a body as JSON; null if it is malformed.
fn parse_body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}
