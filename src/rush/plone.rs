//! The older way, on a real Plone: students who read a section's seats, and write back one more. Plone does not hold
//! that together, which is what the demonstration shows. It presses one item that is made for it and deleted after it.

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

use crate::rush::report::{Percentiles, Phase, Row, Server};
use crate::rush::wire::{Peer, Reply, Request, Wire};
use crate::rush::{TELL_PAUSE, Watch};

/// The id of the item; always the same, so that one that a run could not delete is deleted by the next.
const ITEM: &str = "eduhub-demonstration";
/// A pause after an error.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// How often the item is asked to go, and how long it is waited in between: Plone still works through what its clients
/// have given up.
const DELETES_MAX: u32 = 10;
const DELETE_PAUSE: Duration = Duration::from_millis(500);
const JSON: [(&str, &str); 2] = [("Accept", "application/json"), ("Content-Type", "application/json")];

/// A Plone that may be pressed. It holds a password, so nothing prints it.
#[derive(Clone, Serialize, Deserialize)]
pub struct PloneJob {
    /// The site, such as `http://127.0.0.1:8080/Plone`.
    pub url: String,
    /// The hub's own user there.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The folder of sections, from the site's root.
    pub folder: String,
    /// The fields of the item, as Plone calls them.
    pub fields: Map<String, Value>,
    /// What Plone calls the number of seats that are taken.
    pub seats_field: String,
    /// The seats that there are.
    pub capacity: u64,
}

impl PloneJob {
    /// Returns the Plone that the settings allow a demonstration to put load on; none unless `[plone] demo_target` is set.
    #[must_use]
    pub fn from_settings(plone: &Settings) -> Option<Self> {
        let url = plone.url.clone().filter(|_| plone.demo_target)?;
        let mut fields = Map::new();
        fields.insert("@type".to_owned(), plone.section_type.clone().into());
        fields.insert("title".to_owned(), "EduHub: a demonstration, deleted after it".into());
        let own = [
            // A pull ignores items of such a term.
            (SectionField::Term, json!(format!("{SANDBOX_PREFIX}plone"))),
            (SectionField::Crn, json!("1")),
            (SectionField::Course, json!("DEMO 100")),
            (SectionField::Capacity, json!(0)),
        ];
        fields.extend(own.map(|(field, value)| (plone.field_name(field).to_owned(), value)));
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

/// What all students share.
struct Load {
    peer: Rc<Peer>,
    token: String,
    path: String,
    seats_field: String,
    capacity: u64,
    latencies: Histogram,
    errors: Cell<u64>,
    told: Cell<u64>,
    ends: Cell<Instant>,
}

/// Presses Plone, and deletes what it made there.
pub(super) async fn run(job: &PloneJob, users: u32, seconds: u32, watch: &Watch<'_>) -> Result<(), String> {
    watch.update(|task| task.phase = Phase::Plone);
    let peer = Peer::find(&job.url).await?;
    let mut wire = Wire::new(peer.clone());
    let login = json!({ "login": job.username, "password": job.password }).to_string();
    let answer = ask(&mut wire, "POST", "/@login", None, &login).await?;
    let token = body_of(&answer)["token"].as_str().ok_or("Plone does not let the hub's user in")?.to_owned();
    let path = format!("{}/{ITEM}", job.folder);
    delete(&mut wire, &path, &token).await?;
    let mut fields = job.fields.clone();
    fields.insert("id".to_owned(), ITEM.into());
    fields.insert(job.seats_field.clone(), 0.into());
    let made = ask(&mut wire, "POST", &job.folder, Some(&token), &Value::Object(fields).to_string()).await?;
    if made.status != 201 {
        return Err(format!("Plone does not make an item to press for: it answers {}", made.status));
    }
    let load = Rc::new(Load {
        peer,
        token: token.clone(),
        path: path.clone(),
        seats_field: job.seats_field.clone(),
        capacity: job.capacity,
        latencies: Histogram::default(),
        errors: Cell::new(0),
        told: Cell::new(0),
        ends: Cell::new(Instant::now() + Duration::from_secs(seconds.into())),
    });
    let outcome = LocalSet::new().run_until(press(&load, users, watch)).await;
    let held = seats_taken(&mut wire, &load).await;
    delete(&mut wire, &path, &token).await?;
    let row = outcome?;
    let held = held.ok_or("Plone does not say how many seats are taken")?;
    let (told, capacity) = (load.told.get(), load.capacity);
    let oversold = told.max(held).saturating_sub(capacity);
    let row = Row { held: Some(held), oversold: Some(oversold), lost: Some(told.saturating_sub(held)), ..row };
    watch.update(|task| task.put(row));
    Ok(())
}

async fn press(load: &Rc<Load>, users: u32, watch: &Watch<'_>) -> Result<Row, String> {
    let began = Instant::now();
    let row = || {
        let requests = load.latencies.counts().total() + load.errors.get();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_s = requests as f64 / began.elapsed().as_secs_f64().max(0.001);
        Row {
            requests,
            per_s: (per_s * 10.0).round() / 10.0,
            latency_ms: Percentiles::from(&load.latencies),
            errors: load.errors.get(),
            told: load.told.get(),
            ..Row::new(Server::Plone, users)
        }
    };
    let mut students = JoinSet::new();
    for _ in 0..users {
        students.spawn_local(student(load.clone()));
    }
    loop {
        match tokio::time::timeout(TELL_PAUSE, students.join_next()).await {
            Ok(None) => return Ok(row()),
            Ok(Some(student)) => student.map_err(|_| "a student failed".to_owned())?,
            Err(_) => watch.update(|task| task.put(row())),
        }
        if watch.is_stopping() {
            load.ends.set(Instant::now());
        }
    }
}

/// Looks until there is a seat, takes it as the older programs did, and goes on looking.
async fn student(load: Rc<Load>) {
    let mut wire = Wire::new(load.peer.clone());
    let mut has_seat = false;
    while Instant::now() < load.ends.get() {
        let Some(reply) = timed(&load, &mut wire, "GET", "", 200).await else { continue };
        let Some(taken) = body_of(&reply)[&load.seats_field].as_u64() else { continue };
        if has_seat || taken >= load.capacity {
            continue;
        }
        let body = json!({ &load.seats_field: taken + 1 }).to_string();
        if timed(&load, &mut wire, "PATCH", &body, 204).await.is_some() {
            has_seat = true;
            load.told.set(load.told.get() + 1);
        }
    }
}

async fn timed(load: &Load, wire: &mut Wire, method: &str, body: &str, expected: u16) -> Option<Reply> {
    let began = Instant::now();
    let token = Some(load.token.as_str());
    let body = body.as_bytes();
    let request = Request { method, path: &load.path, token, headers: &JSON, body, keep: true };
    match wire.call(&request).await {
        Ok(reply) if reply.status == expected => {
            load.latencies.record(began.elapsed());
            Some(reply)
        }
        _ => {
            load.errors.set(load.errors.get() + 1);
            sleep(BUSY_PAUSE).await;
            None
        }
    }
}

async fn seats_taken(wire: &mut Wire, load: &Load) -> Option<u64> {
    let answer = ask(wire, "GET", &load.path, Some(&load.token), "").await.ok()?;
    body_of(&answer)[&load.seats_field].as_u64()
}

/// Deletes the item, whether it is there or not.
async fn delete(wire: &mut Wire, path: &str, token: &str) -> Result<(), String> {
    for _ in 0..DELETES_MAX {
        if matches!(ask(wire, "DELETE", path, Some(token), "").await?.status, 204 | 404) {
            return Ok(());
        }
        sleep(DELETE_PAUSE).await;
    }
    Err(format!("Plone does not delete {path}; the next demonstration will try again"))
}

async fn ask(wire: &mut Wire, method: &str, path: &str, token: Option<&str>, body: &str) -> Result<Reply, String> {
    let request = Request { method, path, token, headers: &JSON, body: body.as_bytes(), keep: true };
    wire.call(&request).await.map_err(|error| format!("Plone does not answer: {error}"))
}

fn body_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}
