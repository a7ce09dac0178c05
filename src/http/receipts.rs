//! Acknowledgements of alerts, and the list of who has and has not acknowledged one.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::ids::UserName;
use crate::live::context::Live;
use crate::store::alerts::{Ack, Receipt};

use crate::http::auth::{SignedIn, Staff};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;

/// The greatest length of each of the two lists; the totals beside them count everyone.
const LISTED_MAX: u32 = 5_000;

/// A user whom an alert reached.
#[derive(Serialize)]
struct Recipient {
    user: UserName,
    /// The display name; the user name where the hub knows no other.
    name: String,
    /// When the user acknowledged the alert; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

impl From<Receipt> for Recipient {
    fn from(Receipt { user, name, seen_at }: Receipt) -> Self {
        Self { user, name, at: seen_at }
    }
}

/// Who has and who has not acknowledged an alert.
#[derive(Serialize)]
struct ReceiptList {
    /// The number of users whom the alert reached.
    recipients: u64,
    /// The number of connected users, and of visitors' connections, whom it reaches.
    recipients_online: usize,
    seen_total: u64,
    unseen_total: u64,
    /// Users who have acknowledged it, earliest first.
    seen: Vec<Recipient>,
    /// Users who have not, by user name.
    unseen: Vec<Recipient>,
}

/// Registers the resources of this file.
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

/// Handles `POST /api/v1/alerts/{id}/ack`: records that the caller has seen the alert. Idempotent.
pub async fn ack(request: HttpRequest, SignedIn(caller): SignedIn, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let ack = Ack { alert: path_param(&request, "id")?, user: caller.user, role: caller.role, at: live.clock.now() };
    if live.acks.clone().keep(ack).await? { Ok(HttpResponse::NoContent().finish()) } else { Err(no_such_alert()) }
}

/// Handles `GET /api/v1/alerts/{id}/receipts?limit=`: lists who has seen an alert, of all users that the hub knows. A
/// limit of 0 returns the totals only.
pub async fn receipts(request: HttpRequest, _: Staff, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let limit = Query::of(&request)?.u32("limit", 0..=LISTED_MAX)?.unwrap_or(LISTED_MAX);
    let receipts =
        live.alerts.receipts(&path_param(&request, "id")?, limit as usize).await?.ok_or_else(no_such_alert)?;
    let body = ReceiptList {
        recipients: receipts.seen_total + receipts.unseen_total,
        recipients_online: live.registry.count_people(|caller| receipts.reach.includes(caller)),
        seen_total: receipts.seen_total,
        unseen_total: receipts.unseen_total,
        seen: receipts.seen.into_iter().map(Recipient::from).collect(),
        unseen: receipts.unseen.into_iter().map(Recipient::from).collect(),
    };
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(body))
}
