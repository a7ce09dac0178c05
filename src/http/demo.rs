//! The performance demonstration, which puts real load on a sandbox term and reports its progress, and the sandboxes
//! for `eduhub rush`, which generates its own load. One demonstration runs at a time.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use crate::domain::ids::TermId;
use crate::identity::Audit;
use crate::rush::report::{HotSection, SandboxReport, SandboxRequest, Target, Task};
use crate::rush::sandbox::{SECONDS_MAX, USERS_MAX};

use crate::http::auth::Admin;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::demo_runs::Demos;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::imports::TaskStarted;
use crate::http::openapi::responses::{BadBody, BadRole, NotFound, StoreFailed};
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;

/// The default number of simulated students.
pub const USERS: u32 = 200;
/// The default duration of the load on each target, in seconds.
pub const SECONDS: u32 = 10;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(newest, start, one, open, close))]
pub(super) struct Api;

/// The size and the targets of a demonstration.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct DemoRequest {
    /// The number of simulated students.
    #[schema(required = false, minimum = 1, maximum = 10_000, default = 200)]
    users: u32,
    /// The duration of the load on each target, in seconds.
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

/// The details of a demonstration in the audit trail.
#[derive(Serialize)]
struct DemoDetail {
    seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    users: u32,
}

impl DemoDetail {
    fn text(&self) -> String {
        // Serializing numbers and a name cannot fail.
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

/// Starts a performance demonstration (admins).
///
/// Simulated students send real requests to compete for the few seats of a sandbox term, which is created for the run
/// and removed after it. An import runs at the same time for half of the duration. Only one demonstration runs at a
/// time: the response is 429 while another runs, including one of `eduhub rush`. Load is sent to Plone only if
/// `[plone] demo_target` allows it, by at most 200 students, on one item that is created for the run and then deleted.
/// Otherwise Plone's results are from an earlier measurement, as `recorded` states.
#[utoipa::path(
    post,
    path = "/api/v1/admin/demo",
    operation_id = "demoStart",
    tag = "administration",
    request_body = DemoRequest,
    responses((status = 202, description = "Started.", body = TaskStarted), BadRole, BadBody)
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
    let no_token = || Problem::internal("a token of a demonstration could not be signed");
    let (sandbox, job) = demos.job(&task, users, seconds, target).ok_or_else(no_token)?;
    // A separate task completes the reservation even if the client disconnects.
    let starting = demos.clone().into_inner();
    let begun = Task::new(task.clone(), users, seconds, target);
    actix_web::rt::spawn(async move { starting.start(sandbox, job, begun).await })
        .await
        .map_err(Problem::internal)??;
    let detail = DemoDetail { seconds, target: Some(target), users }.text();
    audit.record(&request, Some(&admin.0), "demo.start", Some(&task), None, detail).await;
    let at = format!("/api/v1/admin/demo/{task}");
    Ok(HttpResponse::Accepted().insert_header(("Location", at)).insert_header(PRIVATE).json(TaskStarted { task }))
}

/// The newest demonstration, or none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum NewestTask {
    /// The newest demonstration.
    Some(Task),
    /// No demonstration has run yet. A hub with an embedded store keeps the newest demonstration only until it stops.
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
    responses((status = 200, description = "Its current state.", body = NewestTask), BadRole, StoreFailed)
)]
pub async fn newest(_admin: Admin, demos: Data<Demos>) -> Result<HttpResponse, Problem> {
    let newest = demos.newest_of_all().await?.map_or(NewestTask::None { task: () }, NewestTask::Some);
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(newest))
}

/// Returns a running or finished demonstration (admins).
///
/// Only the newest one of all hubs is available.
#[utoipa::path(
    get,
    path = "/api/v1/admin/demo/{task}",
    operation_id = "demoTask",
    tag = "administration",
    params(("task" = String, Path, description = "The id in the response that started it.")),
    responses(
        (status = 200, description = "Its state, updated four times a second while it runs.", body = Task),
        BadRole, NotFound, StoreFailed,
    )
)]
pub async fn one(request: HttpRequest, _admin: Admin, demos: Data<Demos>) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "task")?;
    let task = demos.newest_of_all().await?.filter(|task| task.task == id).ok_or_else(no_such_task)?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(task))
}

fn no_such_task() -> Problem {
    Problem::not_found("There is no such demonstration. Only the newest one is available.")
}

/// Returns the sandbox in the path.
///
/// # Errors
/// When the token is not confined to this sandbox.
fn own_sandbox(request: &HttpRequest, admin: &Admin) -> Result<TermId, Problem> {
    let named = path_param(request, "term")?;
    admin.0.realm.sandbox().cloned().filter(|own| own.as_str() == named).ok_or_else(|| {
        Problem::forbidden("This needs a token for this sandbox, such as one that `eduhub rush` creates.")
    })
}

/// Creates a sandbox for load from another process.
///
/// `eduhub rush` calls this with an admin's token that is confined to the sandbox (claim `sandbox`). Such tokens, of
/// any role, give access only to the seats, registrations and imports of the sandbox; no other token gives access to
/// it. The sandbox is removed by DELETE, at `removes_at`, or at the next start of the hub, whichever comes first.
#[utoipa::path(
    put,
    path = "/api/v1/admin/demo/sandboxes/{term}",
    operation_id = "demoSandboxOpen",
    tag = "administration",
    security(("bearer" = [])),
    params(("term" = String, Path, description = "The id of the sandbox term, which begins with `_sandbox-`.")),
    request_body = SandboxRequest,
    responses((status = 201, description = "Created.", body = SandboxReport), BadRole, BadBody)
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
    let sandboxes = demos.sandboxes();
    // A separate task completes the sandbox even if the client disconnects.
    let opened = actix_web::rt::spawn(async move { sandboxes.open(term, users, seconds).await }).await;
    let sandbox = opened.map_err(Problem::internal)?.map_err(|error| demos.refused(error))?;
    let detail = DemoDetail { seconds, target: None, users }.text();
    audit.record(&request, Some(&admin.0), "demo.sandbox", Some(sandbox.term.as_str()), None, detail).await;
    let sections = sandbox.hot.iter().map(|(id, capacity)| HotSection { id: id.to_string(), capacity: *capacity });
    let body =
        SandboxReport { term: sandbox.term.to_string(), removes_at: sandbox.removes_at, sections: sections.collect() };
    Ok(HttpResponse::Created().insert_header(PRIVATE).json(body))
}

/// Removes a sandbox and everything in it.
///
/// Responds after the removal is complete. Idempotent.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/demo/sandboxes/{term}",
    operation_id = "demoSandboxClose",
    tag = "administration",
    security(("bearer" = [])),
    params(("term" = String, Path, description = "The sandbox to which the token is confined.")),
    responses((status = 204, description = "Removed."), BadRole)
)]
pub async fn close(request: HttpRequest, admin: Admin, demos: Data<Demos>) -> Result<HttpResponse, Problem> {
    let term = own_sandbox(&request, &admin)?;
    let sandboxes = demos.sandboxes();
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
