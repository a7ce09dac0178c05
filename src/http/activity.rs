//! What is going on now, for staff: the hottest sections, and what is refused.

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::registration::activity::Recent;
use crate::registration::pool::RegistrarPool;

use crate::http::auth::Staff;
use crate::http::error::{get, method_not_allowed};
use crate::http::request_id::PRIVATE;

/// Sections of each window: what fits on a page, and into a heat map.
const HOTTEST_MAX: usize = 100;

/// The resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/staff/activity").route(get().to(now)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// `GET /api/v1/staff/activity`: the last minute, and in `hour` the last hour.
pub async fn now(_: Staff, pool: Data<RegistrarPool>, clock: Data<dyn Clock>) -> HttpResponse {
    let [minute, hour] = pool.outcomes().recent(HOTTEST_MAX).map(|window| window_json(&window));
    let mut answer = minute;
    answer["at"] = json!(clock.now());
    answer["hour"] = hour;
    HttpResponse::Ok().insert_header(PRIVATE).json(answer)
}

fn window_json(window: &Recent) -> Value {
    let hottest: Vec<Value> = window
        .hottest
        .iter()
        .map(|(section, asked)| {
            json!({
                "section": section,
                "asked": asked.all(),
                "enrolled": asked.enrolled,
                "waitlisted": asked.waitlisted,
                "refused": asked.refused,
            })
        })
        .collect();
    let refusals = window.refusals.iter().filter(|(_, count)| **count > 0);
    let refusals: Map<String, Value> =
        refusals.map(|(code, count)| (code.as_str().to_owned(), (*count).into())).collect();
    json!({ "hottest": hottest, "refusals": refusals })
}
