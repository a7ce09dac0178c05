//! The performance demonstration: a real load on a sandbox, one at a time, told while it runs; and the sandboxes
//! themselves, for `eduhub rush`, which brings its load along.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::ids::{SANDBOX_PREFIX, TermId, UserName};
use crate::domain::role::Role;
use crate::identity::{Audit, Identity};
use crate::rush::report::{State, Target, Task};
use crate::rush::runner::{Leash, supervise};
use crate::rush::sandbox::{SECONDS_MAX, SandboxError, Sandboxes, USERS_MAX, hot_seats};
use crate::rush::{Job, PloneJob};

use crate::http::auth::Admin;
use crate::http::body::read_json;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;

/// Students and seconds unless it is asked for otherwise.
pub const USERS: u32 = 200;
/// See [`USERS`].
pub const SECONDS: u32 = 10;
/// How long the tokens of a demonstration live: longer than its sandbox.
const TOKEN_TTL: Duration = Duration::from_secs(600);
/// When to come back while another demonstration is under way and does not say how long it takes.
const BUSY_RETRY_S: u32 = 10;

/// The resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/demo")
            .route(get().to(newest))
            .route(web::post().to(start))
            .default_service(method_not_allowed("GET, HEAD, POST")),
    )
    .service(
        web::resource("/api/v1/admin/demo/{task}")
            .route(get().to(one))
            .default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/admin/demo/sandboxes/{term}")
            .route(web::put().to(open))
            .route(web::delete().to(close))
            .default_service(method_not_allowed("PUT, DELETE")),
    );
}

/// The demonstrations: the newest, under way or ended.
pub struct Demos {
    sandboxes: Arc<Sandboxes>,
    identity: Arc<Identity>,
    clock: Arc<dyn Clock>,
    /// Where the hub itself is to be pressed.
    url: String,
    /// The Plone that may be pressed.
    plone: Option<PloneJob>,
    newest: Mutex<Option<Task>>,
    leash: Mutex<Leash>,
}

impl Demos {
    /// None has run yet.
    #[must_use]
    pub fn new(
        sandboxes: Arc<Sandboxes>,
        identity: Arc<Identity>,
        clock: Arc<dyn Clock>,
        url: String,
        plone: Option<PloneJob>,
    ) -> Self {
        Self { sandboxes, identity, clock, url, plone, newest: Mutex::default(), leash: Mutex::default() }
    }

    /// Ends the one that is under way: the hub is about to end.
    pub fn stop(&self) {
        self.leash.lock().let_go();
    }

    fn newest(&self) -> MutexGuard<'_, Option<Task>> {
        self.newest.lock()
    }

    /// Seconds until the one that is under way has ended for sure; none when there is none.
    fn busy_s(&self) -> Option<u32> {
        if let Some(removes_at) = self.sandboxes.taken_until() {
            let left = removes_at.duration_since(self.clock.now()).as_secs().clamp(1, BUSY_RETRY_S.into());
            return Some(u32::try_from(left).unwrap_or(BUSY_RETRY_S));
        }
        self.newest().as_ref().filter(|task| task.state == State::Running).map(|_| BUSY_RETRY_S)
    }

    /// Everything that a run needs; none when a token cannot be made, which no valid input brings about.
    fn job(&self, task: &str, users: u32, seconds: u32, target: Target) -> Option<Job> {
        let sandbox = sandbox_id()?;
        let mint = |name: &str, role| {
            let user = UserName::parse(name).ok()?;
            self.identity.mint_for_sandbox(&sandbox, &user, role, TOKEN_TTL)
        };
        Some(Job {
            task: task.to_owned(),
            url: self.url.clone(),
            sandbox: sandbox.to_string(),
            admin: mint("demo-admin", Role::Admin)?,
            staff: mint("demo-staff", Role::Staff)?,
            students: (1..=users).map(|n| mint(&format!("demo-{n:05}"), Role::Student)).collect::<Option<_>>()?,
            seconds,
            target,
            plone: self.plone.clone().map(|plone| PloneJob { capacity: hot_seats(users).into(), ..plone }),
        })
    }
}

/// An id for a sandbox: never the same twice.
#[must_use]
pub fn sandbox_id() -> Option<TermId> {
    // The last 48 bits of a version 7 are random.
    let random = Uuid::now_v7().simple().to_string();
    TermId::parse(&format!("{SANDBOX_PREFIX}{}", random.get(20..)?)).ok()
}

fn under_way(retry_after_s: u32) -> Problem {
    Problem::rate_limited("Another demonstration is under way; one runs at a time.", retry_after_s)
}

/// `POST /api/v1/admin/demo`
pub async fn start(
    request: HttpRequest,
    admin: Admin,
    payload: web::Payload,
    demos: Data<Demos>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let mut fields = read_json(&request, payload).await?;
    let users = fields.maybe_u32("users", 1..=USERS_MAX)?.unwrap_or(USERS);
    let seconds = fields.maybe_u32("seconds", 1..=SECONDS_MAX)?.unwrap_or(SECONDS);
    let target = fields.maybe_parsed("target", "hub, plone or both", Target::parse)?.unwrap_or(Target::Both);
    fields.finish()?;
    let task = Uuid::now_v7().to_string();
    let job = demos.job(&task, users, seconds, target).ok_or_else(|| Problem::internal("no token could be made"))?;
    let leash = Leash::default();
    {
        // Looked at and taken in one go: of two at once, one is told to wait.
        let taken = demos.busy_s();
        let mut newest = demos.newest();
        if taken.is_some() || newest.as_ref().is_some_and(|newest| newest.state == State::Running) {
            return Err(under_way(taken.unwrap_or(BUSY_RETRY_S)));
        }
        *newest = Some(Task::new(task.clone(), users, seconds, target));
        *demos.leash.lock() = leash.clone();
    }
    let detail = json!({ "users": users, "seconds": seconds, "target": target }).to_string();
    audit.record(&request, Some(&admin.0), "demo.start", Some(&task), None, &detail);
    actix_web::rt::spawn(follow(demos.into_inner(), job, leash));
    let at = format!("/api/v1/admin/demo/{task}");
    Ok(HttpResponse::Accepted().insert_header(("Location", at)).insert_header(PRIVATE).json(json!({ "task": task })))
}

/// Follows a run to its end, and removes its sandbox if it could not.
async fn follow(demos: Arc<Demos>, job: Job, leash: Leash) {
    let (ended, end) = tokio::sync::oneshot::channel();
    let watching = demos.clone();
    let sandbox = job.sandbox.clone();
    let watcher = move || {
        // Its last word comes when the sandbox is gone, so it is kept until then.
        let last = Mutex::new(None);
        let outcome = supervise(&job, &leash, |task| {
            if task.state == State::Running {
                *watching.newest() = Some(task);
            } else {
                *last.lock() = Some(task);
            }
        });
        let last = last.into_inner();
        let _ = ended.send(outcome.map(|()| last));
    };
    let started = std::thread::Builder::new().name("eduhub-demo".to_owned()).spawn(watcher);
    let outcome = match started {
        Ok(_) => end.await.unwrap_or_else(|_| Err(std::io::ErrorKind::BrokenPipe.into())),
        Err(error) => Err(error),
    };
    if let Ok(term) = TermId::parse(&sandbox) {
        demos.sandboxes.close(&term).await;
    }
    let mut newest = demos.newest();
    match outcome {
        Ok(Some(task)) => *newest = Some(task),
        other => {
            log::error!("a demonstration ended by a fault: {:?}", other.err());
            if let Some(task) = &mut *newest {
                task.end(Err("The load could not be run. The hub's log says why.".to_owned()));
            }
        }
    }
}

/// `GET /api/v1/admin/demo`: the newest demonstration, or `{"task": null}` before the first one.
pub async fn newest(_admin: Admin, demos: Data<Demos>) -> HttpResponse {
    let newest = demos.newest().clone();
    let mut response = HttpResponse::Ok();
    response.insert_header(PRIVATE);
    match newest {
        Some(task) => response.json(task),
        None => response.json(json!({ "task": null })),
    }
}

/// `GET /api/v1/admin/demo/{task}`
pub async fn one(request: HttpRequest, _admin: Admin, demos: Data<Demos>) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "task")?;
    let task = demos.newest().clone().filter(|task| task.task == id).ok_or_else(no_such_task)?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(task))
}

fn no_such_task() -> Problem {
    Problem::not_found("There is no such demonstration; the hub knows the newest only.")
}

/// The sandbox that a path names, for an admin whose token is confined to it.
fn own_sandbox(request: &HttpRequest, admin: &Admin) -> Result<TermId, Problem> {
    let named = path_param(request, "term")?;
    admin.0.realm.sandbox().cloned().filter(|own| own.as_str() == named).ok_or_else(|| {
        Problem::forbidden("A sandbox is for whoever has a token of its own, as `eduhub rush` makes one.")
    })
}

/// `PUT /api/v1/admin/demo/sandboxes/{term}`
pub async fn open(
    request: HttpRequest,
    admin: Admin,
    payload: web::Payload,
    demos: Data<Demos>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let term = own_sandbox(&request, &admin)?;
    let mut fields = read_json(&request, payload).await?;
    let users = fields.maybe_u32("users", 1..=USERS_MAX)?.unwrap_or(USERS);
    let seconds = fields.maybe_u32("seconds", 1..=SECONDS_MAX)?.unwrap_or(SECONDS);
    fields.finish()?;
    let sandboxes = demos.sandboxes.clone();
    // In a task of its own: a client that goes away leaves nothing half made.
    let opened = actix_web::rt::spawn(async move { sandboxes.open(term, users, seconds).await }).await;
    let sandbox = match opened.map_err(Problem::internal)? {
        Ok(sandbox) => sandbox,
        Err(SandboxError::Taken { .. }) => return Err(under_way(demos.busy_s().unwrap_or(BUSY_RETRY_S))),
        Err(SandboxError::Ask(error)) => return Err(error.into()),
    };
    let detail = json!({ "users": users, "seconds": seconds }).to_string();
    audit.record(&request, Some(&admin.0), "demo.sandbox", Some(sandbox.term.as_str()), None, &detail);
    let sections: Vec<_> = sandbox.hot.iter().map(|(id, capacity)| json!({ "id": id, "capacity": capacity })).collect();
    let body = json!({ "term": sandbox.term, "removes_at": sandbox.removes_at, "sections": sections });
    Ok(HttpResponse::Created().insert_header(PRIVATE).json(body))
}

/// `DELETE /api/v1/admin/demo/sandboxes/{term}`
pub async fn close(request: HttpRequest, admin: Admin, demos: Data<Demos>) -> Result<HttpResponse, Problem> {
    let term = own_sandbox(&request, &admin)?;
    let sandboxes = demos.sandboxes.clone();
    actix_web::rt::spawn(async move { sandboxes.close(&term).await }).await.map_err(Problem::internal)?;
    Ok(HttpResponse::NoContent().finish())
}
