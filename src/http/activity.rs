//! Recent registration activity, for staff: the most requested sections, and refusals by code.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::clock::Clock;
use crate::domain::ids::SectionId;
use crate::registration::activity::RecentActivity;
use crate::registration::pool::RegistrarPool;

use crate::http::auth::SubjectStaff;
use crate::http::error::{get, method_not_allowed};
use crate::http::openapi::responses::BadRole;
use crate::http::request_id::PRIVATE;

/// The maximum number of sections in each window: as many as a page or a heat map can show.
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

/// Activity in the last minute (up to five seconds longer) and, in `hour`, in the last hour (up to five minutes
/// longer), but not before the start of the hub.
#[derive(Debug, Serialize, ToSchema)]
struct Activity {
    /// The most requested sections, in descending order.
    #[schema(max_items = 100)]
    hottest: Vec<SectionActivity>,
    /// The number of refusals by code; codes without refusals are absent.
    #[schema(value_type = BTreeMap<String, u64>)]
    refusals: BTreeMap<&'static str, u64>,
    /// The sections that refused requests in the last minute because they or their waitlists were full, most refusals
    /// first.
    #[schema(max_items = 5000)]
    turned_away: Vec<TurnedAway>,
    at: Timestamp,
    hour: Window,
}

/// Activity in a time window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActivityWindow)]
struct Window {
    /// The most requested sections, in descending order.
    #[schema(max_items = 100)]
    hottest: Vec<SectionActivity>,
    /// The number of refusals by code; codes without refusals are absent.
    #[schema(value_type = BTreeMap<String, u64>)]
    refusals: BTreeMap<&'static str, u64>,
}

/// The number of requests that were refused because a section or its waitlist was full.
#[derive(Debug, Serialize, ToSchema)]
struct TurnedAway {
    section: SectionId,
    /// Requests that were refused because the section or its waitlist was full.
    refused: u32,
}

/// The requests for a section, by outcome.
#[derive(Debug, Serialize, ToSchema)]
struct SectionActivity {
    section: SectionId,
    /// The sum of the following counts. Drops and repeated registrations are not counted.
    asked: u32,
    enrolled: u32,
    waitlisted: u32,
    refused: u32,
}

impl From<RecentActivity> for Window {
    fn from(recent: RecentActivity) -> Self {
        let hottest = recent.most_requested.into_iter().map(|(section, requests)| SectionActivity {
            section,
            asked: requests.total(),
            enrolled: requests.enrolled,
            waitlisted: requests.waitlisted,
            refused: requests.refused,
        });
        let refusals = recent.refusals.into_iter().filter(|(_, count)| *count > 0);
        Self { hottest: hottest.collect(), refusals: refusals.map(|(code, count)| (code.as_str(), count)).collect() }
    }
}

/// Returns recent registration activity (staff).
#[utoipa::path(
    get,
    path = "/api/v1/staff/activity",
    operation_id = "activity",
    tag = "registration",
    responses((status = 200, description = "The activity up to now.", body = Activity), BadRole)
)]
pub async fn now(_: SubjectStaff, pool: Data<RegistrarPool>, clock: Data<dyn Clock>) -> HttpResponse {
    let [mut minute, hour] = pool.request_counts().recent(HOTTEST_MAX);
    let turned_away = std::mem::take(&mut minute.turned_away).into_iter();
    let turned_away = turned_away.map(|(section, refused)| TurnedAway { section, refused }).collect();
    let Window { hottest, refusals } = Window::from(minute);
    let (at, hour) = (clock.now(), Window::from(hour));
    HttpResponse::Ok().insert_header(PRIVATE).json(Activity { hottest, refusals, turned_away, at, hour })
}
