//! Who has seen an alert.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::live::context::Live;
use crate::store::alerts::{Ack, Receipt};

use crate::http::auth::{SignedIn, Staff};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;

/// People in each of the two lists; beside them are the totals.
const LISTED_MAX: u32 = 5_000;

/// The resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/alerts/{id}/ack").route(web::post().to(ack)).default_service(method_not_allowed("POST")),
    )
    .service(
        web::resource("/api/v1/alerts/{id}/receipts")
            .route(get().to(receipts))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

fn no_such_alert() -> Problem {
    Problem::not_found("There is no such alert.")
}

/// `POST /api/v1/alerts/{id}/ack`: the caller has seen it. Once more changes nothing.
pub async fn ack(request: HttpRequest, SignedIn(caller): SignedIn, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let ack = Ack { alert: path_param(&request, "id")?, user: caller.user, role: caller.role, at: live.clock.now() };
    if live.receipts.clone().store(ack).await? { Ok(HttpResponse::NoContent().finish()) } else { Err(no_such_alert()) }
}

/// `GET /api/v1/alerts/{id}/receipts?limit=`: of all whom the hub knows. A limit of 0 asks for the totals alone.
pub async fn receipts(request: HttpRequest, _: Staff, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let limit = Query::of(&request)?.u32("limit", 0..=LISTED_MAX)?.unwrap_or(LISTED_MAX);
    let receipts =
        live.alerts.receipts(&path_param(&request, "id")?, limit as usize).await?.ok_or_else(no_such_alert)?;
    let online = live.presence.count_people(|caller| receipts.reach.includes(caller));
    let list = |list: &[Receipt]| list.iter().map(receipt_json).collect::<Vec<_>>();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(json!({
        "recipients": receipts.seen_total + receipts.unseen_total,
        "recipients_online": online,
        "seen_total": receipts.seen_total,
        "unseen_total": receipts.unseen_total,
        "seen": list(&receipts.seen),
        "unseen": list(&receipts.unseen),
    })))
}

fn receipt_json(receipt: &Receipt) -> Value {
    match receipt.seen_at {
        Some(at) => json!({ "user": receipt.user, "name": receipt.name, "at": at }),
        None => json!({ "user": receipt.user, "name": receipt.name }),
    }
}
