//! Acknowledgements of alerts, and the lists of users who have and who have not acknowledged an alert.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::domain::ids::UserName;
use crate::identity::Audit;
use crate::identity::disclosures::Disclosure;
use crate::live::context::Live;
use crate::store::alerts::{Ack, Receipt};

use crate::http::alert_scope::may_manage;
use crate::http::auth::{SignedIn, SubjectStaff};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadPath, BadRole, NotFound, StoreFailed};
use crate::http::query::{LIST_LEN_MAX, Query, path_param};
use crate::http::request_id::PRIVATE;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(ack, receipts))]
pub(super) struct Api;

/// The length of the lists.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ReceiptQuery {
    /// The maximum number of users in each list; 0 returns only the totals.
    #[param(required = false, minimum = 0, maximum = 5_000, default = 5_000)]
    limit: u32,
}

impl ReceiptQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self { limit: query.u32("limit", 0..=LIST_LEN_MAX)?.unwrap_or(LIST_LEN_MAX) })
    }
}

/// A user who has acknowledged an alert.
#[derive(Serialize, ToSchema)]
struct Acknowledgement {
    user: UserName,
    /// The display name; the username if there is none.
    name: String,
    at: Timestamp,
}

/// A user who has not acknowledged an alert.
#[derive(Serialize, ToSchema)]
struct Recipient {
    user: UserName,
    /// The display name; the username if there is none.
    name: String,
}

/// The users who have and who have not acknowledged an alert.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipts)]
struct ReceiptList {
    /// The number of users to whom the alert was sent.
    recipients: u64,
    /// The number of connected users and visitors in its audience.
    recipients_online: usize,
    /// How many of them are visitors.
    visitors_online: usize,
    /// The number of users who have acknowledged it.
    seen_total: u64,
    /// The number of users who have not acknowledged it.
    unseen_total: u64,
    /// Users who have acknowledged it, earliest first.
    #[schema(max_items = 5_000)]
    seen: Vec<Acknowledgement>,
    /// Users who have not acknowledged it, by username.
    #[schema(max_items = 5_000)]
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

/// Acknowledges an alert.
///
/// Idempotent. The WebSocket message `{"type":"ack","id":…}` does the same.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/{id}/ack",
    operation_id = "ackAlert",
    tag = "alerts",
    params(("id" = String, Path, description = "The alert.")),
    responses((status = 204, description = "Recorded."), BadRole, BadPath, NotFound, StoreFailed)
)]
pub async fn ack(request: HttpRequest, SignedIn(caller): SignedIn, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let ack = Ack { alert: path_param(&request, "id")?, user: caller.user, role: caller.role, at: live.clock.now() };
    if live.acks.clone().store(ack).await? { Ok(HttpResponse::NoContent().finish()) } else { Err(no_such_alert()) }
}

/// Lists the users who have and who have not acknowledged an alert (staff).
///
/// The lists contain recipients who have an account, have used the hub, or are named in the alert. They are empty until
/// the alert is sent.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/{id}/receipts",
    operation_id = "receipts",
    tag = "alerts",
    params(
        ("id" = String, Path, description = "The alert."),
        ReceiptQuery,
    ),
    responses(
        (status = 200, description = "At most 5,000 users in each list, with the totals.", body = ReceiptList),
        BadRole, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn receipts(
    request: HttpRequest,
    staff: SubjectStaff,
    live: Data<Live>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let ReceiptQuery { limit } = ReceiptQuery::read(&Query::of(&request)?)?;
    let id = path_param(&request, "id")?;
    let caller = staff.concerning_no_one();
    may_manage(&caller, &live.alerts.alert(&id).await?.ok_or_else(no_such_alert)?, &live.model)?;
    let receipts = live.alerts.receipts(&id, limit as usize).await?.ok_or_else(no_such_alert)?;
    let listed = receipts.acknowledged.iter().chain(&receipts.unacknowledged).map(|receipt| receipt.user.clone());
    let listed: Vec<UserName> = listed.collect();
    // Totals without names disclose no one.
    if !listed.is_empty() {
        audit.record_disclosure(&request, &caller, Disclosure::ReceiptsRead, Some(&id), None, listed).await?;
    }
    let online = live.presence.count_people(|caller| receipts.recipients.includes(caller));
    let body = ReceiptList {
        recipients: receipts.acknowledged_total + receipts.unacknowledged_total,
        recipients_online: online.total(),
        visitors_online: online.visitors,
        seen_total: receipts.acknowledged_total,
        unseen_total: receipts.unacknowledged_total,
        seen: receipts.acknowledged.into_iter().filter_map(acknowledgement).collect(),
        unseen: receipts
            .unacknowledged
            .into_iter()
            .map(|Receipt { user, name, .. }| Recipient { user, name })
            .collect(),
    };
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(body))
}

fn acknowledgement(Receipt { user, name, acknowledged_at }: Receipt) -> Option<Acknowledgement> {
    Some(Acknowledgement { user, name, at: acknowledged_at? })
}
