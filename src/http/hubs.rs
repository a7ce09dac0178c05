//! The hubs that share a store and a bus, for admins.

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::bus::hub_state::HubState;
use crate::observe::hubs::HubStates;

use crate::http::auth::Admin;
use crate::http::error::{get, method_not_allowed};
use crate::http::openapi::responses::BadRole;
use crate::http::request_id::PRIVATE;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/hubs").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// The hubs: first the one that responds, then the others by name.
#[derive(Debug, Serialize, ToSchema)]
struct HubList {
    #[schema(max_items = 65)]
    items: Vec<HubItem>,
}

/// A hub.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hub)]
struct HubItem {
    #[serde(flatten)]
    state: HubState,
    /// The age of the state in seconds. Hubs send theirs every 2 seconds; one that has been silent for 5 minutes is
    /// left out.
    #[schema(minimum = 0)]
    age_s: u64,
}

/// Lists all hubs and their states (admins).
///
/// Without a bus, only the hub that responds is listed. While this hub is cut off from the bus, the states of the
/// others grow older until they are left out.
#[utoipa::path(
    get,
    path = "/api/v1/admin/hubs",
    operation_id = "listHubs",
    tag = "administration",
    responses((status = 200, description = "The hubs.", body = HubList), BadRole)
)]
pub async fn list(_: Admin, hubs: Data<HubStates>) -> HttpResponse {
    let item = |(state, age): (HubState, std::time::Duration)| HubItem { state, age_s: age.as_secs() };
    let items = hubs.all().into_iter().map(item).collect();
    HttpResponse::Ok().insert_header(PRIVATE).json(HubList { items })
}
