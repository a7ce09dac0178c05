//! Recent metrics for admins' charts. The WebSocket channel `admin` sends the same metrics each second.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::bus::metrics_reading::MetricsReading;
use crate::observe::series::Charts;

use crate::http::auth::Admin;
use crate::http::encoded::{Encoded, start_tag};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadQuery, BadRole};
use crate::http::query::Query;
use crate::http::request_id::PRIVATE;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(now, history))]
pub(super) struct Api;

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

/// Metrics, oldest first: one item for each second, or for each minute.
#[derive(Debug, Serialize, ToSchema)]
struct MetricsHistory {
    items: Vec<Arc<MetricsReading>>,
}

/// Returns the current metrics (admins).
///
/// They are computed once a second. The WebSocket channel `admin` sends each result as `{"type":"metrics", …}`.
#[utoipa::path(
    get,
    path = "/api/v1/admin/metrics",
    operation_id = "metrics_now",
    tag = "administration",
    responses((status = 200, description = "Metrics at most one second old.", body = MetricsReading), BadRole)
)]
pub async fn now(_: Admin, charts: Data<Charts>) -> HttpResponse {
    HttpResponse::Ok().insert_header(PRIVATE).json(charts.newest())
}

/// Returns the metrics of the last ten minutes, or of the last day (admins).
///
/// Without `step`, the list has one item for each second, oldest first, and at most 600 items. With `step=60`, it has
/// one item for each minute, with the rates and percentiles of that minute, and at most 1,440 items. The history begins
/// when the hub starts.
#[utoipa::path(
    get,
    path = "/api/v1/admin/metrics/history",
    operation_id = "metrics_history",
    tag = "administration",
    params(
        ("step" = Option<u32>, Query, description = "Seconds between two items: 1 or 60.", minimum = 1, maximum = 60),
    ),
    responses(
        (status = 200, description = "Metrics up to the last second or minute.", body = MetricsHistory),
        BadRole, BadQuery,
    )
)]
pub async fn history(request: HttpRequest, _: Admin, charts: Data<Charts>) -> Result<HttpResponse, Problem> {
    let step = match Query::of(&request)?.u32("step", 1..=60)?.unwrap_or(1) {
        step @ (1 | 60) => step,
        _ => return Err(Problem::invalid("step", "The step must be 1 or 60.")),
    };
    let items = if step == 60 { charts.minutes() } else { charts.history() };
    let newest = BuildHasherDefault::<DefaultHasher>::default().hash_one(items.last().map(|newest| newest.at));
    let tag = format!("{}-history-{step}-{newest:016x}", start_tag());
    // Serializing numbers, strings and lists cannot fail.
    let body = serde_json::to_vec(&MetricsHistory { items }).unwrap_or_default();
    Ok(Arc::new(Encoded::new(&tag, "application/json", PRIVATE.1, body.into())).respond(&request).await)
}
