//! The numbers of the last seconds, for admins' charts. The WebSocket's channel `admin` brings the same each second.

use actix_web::HttpResponse;
use actix_web::web::{self, Data};

use crate::metrics::charts::Charts;

use super::auth::Admin;
use super::error::{get, method_not_allowed};
use super::request_id::PRIVATE;

/// The resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/metrics").route(get().to(now)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// `GET /api/v1/admin/metrics`
pub async fn now(_: Admin, charts: Data<Charts>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").insert_header(PRIVATE).body(charts.newest())
}
