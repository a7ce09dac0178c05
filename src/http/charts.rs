//! The numbers of the last seconds, for admins' charts. The WebSocket's channel `admin` brings the same each second.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};

use crate::observe::series::Charts;

use crate::http::auth::Admin;
use crate::http::encoded::{Encoded, start_tag};
use crate::http::error::{get, method_not_allowed};
use crate::http::request_id::PRIVATE;

/// The resources of this file.
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

/// `GET /api/v1/admin/metrics`
pub async fn now(_: Admin, charts: Data<Charts>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").insert_header(PRIVATE).body(charts.newest())
}

/// `GET /api/v1/admin/metrics/history`: the last minutes, so that a page that was just opened has a past.
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
