//! Links to the reports of finished demonstrations. A report names no one, so its link needs no account.

use actix_web::http::header::ContentType;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use crate::clock::Clock;
use crate::identity::Audit;
use crate::rush::report::Task;
use crate::store::demo_reports::DemoReportStore;

use crate::http::auth::Admin;
use crate::http::demo_runs::Demos;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadRole, NotFound, StoreFailed};
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;
use crate::http::site::Site;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(share, withdraw, report))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/demo/{task}/link")
            .route(web::put().to(share))
            .route(web::delete().to(withdraw))
            .default_service(method_not_allowed("PUT, DELETE")),
    )
    .service(
        web::resource("/api/v1/demo-reports/{task}")
            .route(get().to(report))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// The address of a page with the report of a demonstration.
#[derive(Serialize, ToSchema)]
struct DemoLink {
    url: String,
}

fn no_report() -> Problem {
    Problem::not_found("This link does not exist or was withdrawn. Ask the person who sent it for a new one.")
}

/// Returns the id in the path; `None` if it is not a UUID.
fn task_id(request: &HttpRequest) -> Option<Uuid> {
    Uuid::parse_str(&path_param(request, "task").ok()?).ok()
}

/// Creates a link to the report of a finished demonstration (admins).
///
/// Everyone who has the link can open the report, without an account. The report names no one. Idempotent. The 50
/// newest reports are kept.
#[utoipa::path(
    put,
    path = "/api/v1/admin/demo/{task}/link",
    operation_id = "demoShare",
    tag = "administration",
    params(("task" = String, Path, description = "The newest demonstration, or one that has a link.")),
    responses((status = 200, description = "The link.", body = DemoLink), BadRole, NotFound, StoreFailed)
)]
pub async fn share(
    request: HttpRequest,
    admin: Admin,
    demos: Data<Demos>,
    reports: Data<dyn DemoReportStore>,
    clock: Data<dyn Clock>,
    site: Data<Site>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let not_finished = || {
        Problem::not_found(
            "Only the newest demonstration can get a link, and only when it has finished without a failure.",
        )
    };
    let task = task_id(&request).ok_or_else(not_finished)?;
    if reports.demo_report(task).await?.is_none() {
        let report = demos.finished(&task.to_string()).await?.ok_or_else(not_finished)?;
        let report = serde_json::to_string(&report).map_err(Problem::internal)?;
        reports.put_demo_report(task, report, clock.now()).await?;
        audit.record(&request, Some(&admin.0), "demo.share", Some(&task.to_string()), None, "").await;
    }
    let url = format!("{}/demonstration#{task}", site.origin_used(&request));
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(DemoLink { url }))
}

/// Withdraws the link to the report of a demonstration (admins).
#[utoipa::path(
    delete,
    path = "/api/v1/admin/demo/{task}/link",
    operation_id = "demoWithdraw",
    tag = "administration",
    params(("task" = String, Path, description = "The demonstration.")),
    responses((status = 204, description = "Withdrawn."), BadRole, NotFound, StoreFailed)
)]
pub async fn withdraw(
    request: HttpRequest,
    admin: Admin,
    reports: Data<dyn DemoReportStore>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let no_link = || Problem::not_found("This demonstration has no link.");
    let task = task_id(&request).ok_or_else(no_link)?;
    if !reports.remove_demo_report(task).await? {
        return Err(no_link());
    }
    audit.record(&request, Some(&admin.0), "demo.withdraw", Some(&task.to_string()), None, "").await;
    Ok(HttpResponse::NoContent().finish())
}

/// Returns the report of a demonstration that has a link. It names no one and needs no account.
#[utoipa::path(
    get,
    path = "/api/v1/demo-reports/{task}",
    operation_id = "demoReport",
    tag = "administration",
    security(()),
    params(("task" = String, Path, description = "The part after `#` of the link.")),
    responses((status = 200, description = "The report.", body = Task), NotFound, StoreFailed)
)]
pub async fn report(request: HttpRequest, reports: Data<dyn DemoReportStore>) -> Result<HttpResponse, Problem> {
    let task = task_id(&request).ok_or_else(no_report)?;
    let report = reports.demo_report(task).await?.ok_or_else(no_report)?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).content_type(ContentType::json()).body(report))
}
