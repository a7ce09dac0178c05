//! The performance demonstration: a real load on a sandbox, one at a time, whose progress can be read while it runs; and
//! the sandboxes themselves, for `eduhub rush`, which generates its own load.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::ids::{SANDBOX_PREFIX, TermId, UserName};
use crate::domain::role::Role;
use crate::identity::{Audit, Identity};
use crate::rush::report::{HotSection, SandboxReport, SandboxRequest, State, Target, Task};
use crate::rush::runner::{Leash, supervise};
use crate::rush::sandbox::{SECONDS_MAX, SandboxError, Sandboxes, USERS_MAX, hot_seats};
use crate::rush::{Job, PloneJob};

use crate::http::auth::Admin;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::imports::TaskStarted;
use crate::http::openapi::responses::{BadBody, BadRole, NotFound};
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;

/// The default number of simulated students.
pub const USERS: u32 = 200;
/// The default duration of the load on each target, in seconds.
pub const SECONDS: u32 = 10;
/// The lifetime of a demonstration's tokens: longer than that of its sandbox.
const TOKEN_TTL: Duration = Duration::from_secs(600);
/// `Retry-After` while another demonstration is under way whose end is not known, in seconds.
const BUSY_RETRY_S: u32 = 10;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(newest, start, one, open, close))]
pub(super) struct Api;

/// A demonstration to run.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct DemoRequest {
    /// The number of simulated students.
    #[schema(required = false, minimum = 1, maximum = 10_000, default = 200)]
    users: u32,
    /// How long each target is loaded, in seconds.
    #[schema(required = false, minimum = 1, maximum = 60, default = 10)]
    seconds: u32,
    #[schema(inline, default = "both")]
    target: Option<Target>,
}

impl RequestBody for DemoRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let SandboxRequest { users, seconds } = SandboxRequest::read(fields)?;
        let target = fields.maybe_parsed("target", "hub, plone or both", |text| text.parse().ok())?;
        Ok(Self { users, seconds, target })
    }
}

impl RequestBody for SandboxRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            users: fields.maybe_u32("users", 1..=USERS_MAX)?.unwrap_or(USERS),
            seconds: fields.maybe_u32("seconds", 1..=SECONDS_MAX)?.unwrap_or(SECONDS),
        })
    }
}

/// What the audit trail records of a demonstration.
#[derive(Serialize)]
struct DemoDetail {
    seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    users: u32,
}

impl DemoDetail {
    fn text(&self) -> String {
        // Numbers and a name: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Registers the resources of this file.
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

/// The newest demonstration, under way or ended.
pub struct Demos {
    sandboxes: Arc<Sandboxes>,
    identity: Arc<Identity>,
    clock: Arc<dyn Clock>,
    /// The hub's own URL, which the load is sent to.
    url: String,
    /// The Plone that load may be sent to.
    plone: Option<PloneJob>,
    newest: Mutex<Option<Task>>,
    leash: Mutex<Leash>,
}

impl Demos {
    /// Creates the state of a hub in which no demonstration has run yet.
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

    /// Ends the demonstration that is under way, when the hub shuts down.
    pub fn stop(&self) {
        self.leash.lock().let_go();
    }

    fn newest(&self) -> MutexGuard<'_, Option<Task>> {
        self.newest.lock()
    }

    /// Returns the seconds until the demonstration that is under way has certainly ended; `None` when none is.
    fn busy_s(&self) -> Option<u32> {
        if let Some(removes_at) = self.sandboxes.taken_until() {
            let left = removes_at.duration_since(self.clock.now()).as_secs().clamp(1, BUSY_RETRY_S.into());
            return Some(u32::try_from(left).unwrap_or(BUSY_RETRY_S));
        }
        self.newest().as_ref().filter(|task| task.state == State::Running).map(|_| BUSY_RETRY_S)
    }

    /// Creates the job of a run; `None` when a token cannot be made, which no valid input causes.
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

/// Creates a unique id for a sandbox.
#[must_use]
pub fn sandbox_id() -> Option<TermId> {
    // The last 48 bits of a version 7 are random.
    let random = Uuid::now_v7().simple().to_string();
    TermId::parse(&format!("{SANDBOX_PREFIX}{}", random.get(20..)?)).ok()
}

fn under_way(retry_after_s: u32) -> Problem {
    Problem::rate_limited("Another demonstration is under way; one runs at a time.", retry_after_s)
}

/// Starts a performance demonstration (admins).
///
/// A real load over real sockets: simulated students compete for the few seats of a sandbox term, which is created for
/// the run and removed after it. Half of the time an import runs beside them. One demonstration runs at a time: 429
/// while another is under way, including one of `eduhub rush`. Load is sent to Plone only where `[plone] demo_target`
/// allows it, by at most 200 students, on one item that is created for it and deleted; elsewhere Plone's row is one that
/// was measured earlier, as its `recorded` says.
#[utoipa::path(
    post,
    path = "/api/v1/admin/demo",
    operation_id = "demoStart",
    tag = "administration",
    request_body = DemoRequest,
    responses((status = 202, description = "It has begun.", body = TaskStarted), BadRole, BadBody)
)]
pub async fn start(
    request: HttpRequest,
    admin: Admin,
    payload: web::Payload,
    demos: Data<Demos>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let DemoRequest { users, seconds, target } = read_body(&request, payload).await?;
    let target = target.unwrap_or(Target::Both);
    let task = Uuid::now_v7().to_string();
    let job = demos.job(&task, users, seconds, target).ok_or_else(|| Problem::internal("no token could be made"))?;
    let leash = Leash::default();
    {
        // Checked and taken under one lock: of two requests at once, one is rejected.
        let taken = demos.busy_s();
        let mut newest = demos.newest();
        if taken.is_some() || newest.as_ref().is_some_and(|newest| newest.state == State::Running) {
            return Err(under_way(taken.unwrap_or(BUSY_RETRY_S)));
        }
        *newest = Some(Task::new(task.clone(), users, seconds, target));
        *demos.leash.lock() = leash.clone();
    }
    let detail = DemoDetail { seconds, target: Some(target), users }.text();
    audit.record(&request, Some(&admin.0), "demo.start", Some(&task), None, &detail);
    actix_web::rt::spawn(follow(demos.into_inner(), job, leash));
    let at = format!("/api/v1/admin/demo/{task}");
    Ok(HttpResponse::Accepted().insert_header(("Location", at)).insert_header(PRIVATE).json(TaskStarted { task }))
}

/// Follows a run to its end, and removes its sandbox if the run could not.
async fn follow(demos: Arc<Demos>, job: Job, leash: Leash) {
    let (ended, end) = tokio::sync::oneshot::channel();
    let watching = demos.clone();
    let sandbox = job.sandbox.clone();
    let watcher = move || {
        // The final report is published only once the sandbox is gone.
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

/// The newest demonstration, or none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum NewestTask {
    /// The newest demonstration.
    Some(Task),
    /// None was run since the hub started.
    None {
        /// Always null.
        #[schema(schema_with = null)]
        task: (),
    },
}

fn null() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Null)
}

/// Returns the newest demonstration (admins); `{"task": null}` before the first one.
#[utoipa::path(
    get,
    path = "/api/v1/admin/demo",
    operation_id = "demoNewest",
    tag = "administration",
    responses((status = 200, description = "Its present state.", body = NewestTask), BadRole)
)]
pub async fn newest(_admin: Admin, demos: Data<Demos>) -> HttpResponse {
    let newest = demos.newest().clone().map_or(NewestTask::None { task: () }, NewestTask::Some);
    HttpResponse::Ok().insert_header(PRIVATE).json(newest)
}

/// Returns a demonstration, while it runs or after (admins).
///
/// The hub knows only the newest.
#[utoipa::path(
    get,
    path = "/api/v1/admin/demo/{task}",
    operation_id = "demoTask",
    tag = "administration",
    params(("task" = String, Path, description = "The id that the start returned.")),
    responses(
        (status = 200, description = "Its present state; it changes four times a second while it runs.", body = Task),
        BadRole, NotFound,
    )
)]
pub async fn one(request: HttpRequest, _admin: Admin, demos: Data<Demos>) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "task")?;
    let task = demos.newest().clone().filter(|task| task.task == id).ok_or_else(no_such_task)?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(task))
}

fn no_such_task() -> Problem {
    Problem::not_found("There is no such demonstration; the hub knows the newest only.")
}

/// Returns the sandbox that the path names, for an admin whose token is confined to it.
fn own_sandbox(request: &HttpRequest, admin: &Admin) -> Result<TermId, Problem> {
    let named = path_param(request, "term")?;
    admin.0.realm.sandbox().cloned().filter(|own| own.as_str() == named).ok_or_else(|| {
        Problem::forbidden("A sandbox is for whoever has a token of its own, as `eduhub rush` makes one.")
    })
}

/// Creates a sandbox for a load that comes from elsewhere.
///
/// For `eduhub rush`: an admin's token that is confined to this sandbox (claim `sandbox`) creates it. Such tokens, of
/// whatever role, open the sandbox's seats, registrations and imports and nothing else; no other token sees it. It is
/// removed by DELETE, at `removes_at`, or at the next start of the hub, whichever comes first.
#[utoipa::path(
    put,
    path = "/api/v1/admin/demo/sandboxes/{term}",
    operation_id = "demoSandboxOpen",
    tag = "administration",
    security(("bearer" = [])),
    params(("term" = String, Path, description = "An id that begins with `_sandbox-`.")),
    request_body = SandboxRequest,
    responses((status = 201, description = "It is open.", body = SandboxReport), BadRole, BadBody)
)]
pub async fn open(
    request: HttpRequest,
    admin: Admin,
    payload: web::Payload,
    demos: Data<Demos>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let term = own_sandbox(&request, &admin)?;
    let SandboxRequest { users, seconds } = read_body(&request, payload).await?;
    let sandboxes = demos.sandboxes.clone();
    // In a task of its own: when the client disconnects, the sandbox is not left half made.
    let opened = actix_web::rt::spawn(async move { sandboxes.open(term, users, seconds).await }).await;
    let sandbox = match opened.map_err(Problem::internal)? {
        Ok(sandbox) => sandbox,
        Err(SandboxError::Taken { .. }) => return Err(under_way(demos.busy_s().unwrap_or(BUSY_RETRY_S))),
        Err(SandboxError::Ask(error)) => return Err(error.into()),
    };
    let detail = DemoDetail { seconds, target: None, users }.text();
    audit.record(&request, Some(&admin.0), "demo.sandbox", Some(sandbox.term.as_str()), None, &detail);
    let sections = sandbox.hot.iter().map(|(id, capacity)| HotSection { id: id.to_string(), capacity: *capacity });
    let body =
        SandboxReport { term: sandbox.term.to_string(), removes_at: sandbox.removes_at, sections: sections.collect() };
    Ok(HttpResponse::Created().insert_header(PRIVATE).json(body))
}

/// Removes a sandbox and everything in it.
///
/// Returns when nothing of it is left. Idempotent.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/demo/sandboxes/{term}",
    operation_id = "demoSandboxClose",
    tag = "administration",
    security(("bearer" = [])),
    params(("term" = String, Path, description = "The sandbox of the token.")),
    responses((status = 204, description = "Removed."), BadRole)
)]
pub async fn close(request: HttpRequest, admin: Admin, demos: Data<Demos>) -> Result<HttpResponse, Problem> {
    let term = own_sandbox(&request, &admin)?;
    let sandboxes = demos.sandboxes.clone();
    actix_web::rt::spawn(async move { sandboxes.close(&term).await }).await.map_err(Problem::internal)?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn readers_and_schemas_of_the_requests_agree() {
        assert_reader_matches_schema::<DemoRequest>(&[]);
        assert_reader_matches_schema::<SandboxRequest>(&[]);
    }
}
