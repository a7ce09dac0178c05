//! The metrics that the administration page charts. The WebSocket's channel `admin` sends the same each second.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::{OpenApi, ToSchema};

use crate::bus::metrics::MetricsReading;
use crate::observe::series::Charts;

use crate::http::auth::Admin;
use crate::http::encoded::{Encoded, start_tag};
use crate::http::error::{get, method_not_allowed};
use crate::http::openapi::responses::BadRole;
use crate::http::request_id::PRIVATE;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(now, history))]
pub(super) struct Api;

/// The metrics of the last ten minutes. Served as readings that were encoded once, each second.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema of a body that is joined from encoded readings")]
struct MetricsHistory {
    /// One reading a second, oldest first.
    #[schema(max_items = 600)]
    items: Vec<MetricsReading>,
}

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/metrics").route(get().to(now)).default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/admin/metrics/history")
            .route(get().to(history))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Returns the metrics of the last seconds (admins).
///
/// They are computed once a second. The channel `admin` of the WebSocket sends each reading as `{"type":"metrics", …}`.
#[utoipa::path(
    get,
    path = "/api/v1/admin/metrics",
    operation_id = "metrics_now",
    tag = "administration",
    responses((status = 200, description = "A reading not older than a second.", body = MetricsReading), BadRole)
)]
pub async fn now(_: Admin, charts: Data<Charts>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").insert_header(PRIVATE).body(charts.newest())
}

/// Returns the metrics of the last ten minutes (admins), so that a page that was just opened has a past.
#[utoipa::path(
    get,
    path = "/api/v1/admin/metrics/history",
    operation_id = "metrics_history",
    tag = "administration",
    responses((status = 200, description = "The readings up to the last second.", body = MetricsHistory), BadRole)
)]
pub async fn history(request: HttpRequest, _: Admin, charts: Data<Charts>) -> HttpResponse {
    let history = charts.history();
    let tag = format!(
        "{}-history-{:016x}",
        start_tag(),
        BuildHasherDefault::<DefaultHasher>::default().hash_one(history.last())
    );
    let body = format!("{{\"items\":[{}]}}", history.join(","));
    Arc::new(Encoded::new(&tag, "application/json", PRIVATE.1, body.into())).respond(&request).await
}
