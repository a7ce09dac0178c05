//! Current activity, for staff: the sections that most students request, and the refusals.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::clock::Clock;
use crate::domain::ids::SectionId;
use crate::registration::activity::Recent;
use crate::registration::pool::RegistrarPool;

use crate::http::auth::Staff;
use crate::http::error::{get, method_not_allowed};
use crate::http::openapi::responses::BadRole;
use crate::http::request_id::PRIVATE;

/// Sections of each window: as many as fit on a page, and into a heat map.
const HOTTEST_MAX: usize = 100;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(now))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/staff/activity").route(get().to(now)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// The last minute (at most five seconds more), and in `hour` the last hour (at most five minutes more); since the start
/// of the hub when that was later.
#[derive(Debug, Serialize, ToSchema)]
struct Activity {
    /// The sections requested most, first the first.
    #[schema(max_items = 100)]
    hottest: Vec<SectionActivity>,
    /// Refusals by code, where there were any.
    #[schema(value_type = BTreeMap<String, u64>)]
    refusals: BTreeMap<&'static str, u64>,
    at: Timestamp,
    hour: Window,
}

/// What was requested in a window of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActivityWindow)]
struct Window {
    /// The sections requested most, first the first.
    #[schema(max_items = 100)]
    hottest: Vec<SectionActivity>,
    /// Refusals by code, where there were any.
    #[schema(value_type = BTreeMap<String, u64>)]
    refusals: BTreeMap<&'static str, u64>,
}

/// A section, and the requests for it.
#[derive(Debug, Serialize, ToSchema)]
struct SectionActivity {
    section: SectionId,
    /// Requests for a seat: those below together. Repeated requests for what is held already, and drops, do not count.
    asked: u32,
    enrolled: u32,
    waitlisted: u32,
    refused: u32,
}

impl From<Recent> for Window {
    fn from(recent: Recent) -> Self {
        let hottest = recent.hottest.into_iter().map(|(section, asked)| SectionActivity {
            section,
            asked: asked.all(),
            enrolled: asked.enrolled,
            waitlisted: asked.waitlisted,
            refused: asked.refused,
        });
        let refusals = recent.refusals.into_iter().filter(|(_, count)| *count > 0);
        Self { hottest: hottest.collect(), refusals: refusals.map(|(code, count)| (code.as_str(), count)).collect() }
    }
}

/// Returns the current activity (staff).
#[utoipa::path(
    get,
    path = "/api/v1/staff/activity",
    operation_id = "activity",
    tag = "registration",
    responses((status = 200, description = "The activity up to now.", body = Activity), BadRole)
)]
pub async fn now(_: Staff, pool: Data<RegistrarPool>, clock: Data<dyn Clock>) -> HttpResponse {
    let [Window { hottest, refusals }, hour] = pool.outcomes().recent(HOTTEST_MAX).map(Window::from);
    HttpResponse::Ok().insert_header(PRIVATE).json(Activity { hottest, refusals, at: clock.now(), hour })
}
