//! The WebSocket's endpoint.

use actix::Addr;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::{IntoParams, OpenApi};

use crate::identity::Identity;
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::relay::Relay;
use crate::live::ws::{self, Opening};

use crate::http::auth::{Credentials, client_ip, foreign_origin};
use crate::http::error::{Problem, method_not_allowed};
use crate::http::openapi::responses::{BadOrigin, BadQuery};
use crate::http::query::Query;
use crate::http::site::{OriginVerdict, Site};

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(websocket))]
pub(super) struct Api;

/// How to open the WebSocket.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct OpenQuery {
    /// Replays the alerts after this position in their sequence before anything live.
    since: Option<u64>,
    /// From `POST /api/v1/ws-ticket`.
    ticket: Option<String>,
}

impl OpenQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self { since: query.u64("since", 0..=u64::MAX)?, ticket: query.get("ticket")?.map(str::to_owned) })
    }
}

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/alerts/ws").route(web::get().to(websocket)).default_service(method_not_allowed("GET")));
}

/// Opens the WebSocket (RFC 6455) of seats and alerts.
///
/// Signed in by cookie, `Authorization` or `?ticket=`; without any of them anonymous, with public channels only. A caller
/// with an invalid ticket or token, or over a limit, is upgraded and then gets a close code, because a browser's page
/// cannot read the status of a failed upgrade.
///
/// Client → server: `{"type":"subscribe","channels":[…],"since":SEQ?,"seats_since":SEQ?}`,
/// `{"type":"unsubscribe","channels":[…]}`, `{"type":"ack","id":ALERT}`, `{"type":"ping"}`.
///
/// Server → client, by `type`: `welcome` (`session`, `user`, `role`, `heartbeat_s`, `now`, `seq`) first; `live` (`seq`):
/// nothing is missing up to here; `subscribed` (`channel`, `seq`, and `seats` as a snapshot); `seats` (`seq`, `seats`:
/// rows of SeatRow); `alert` (`seq`, `alert`); `alert_cancelled` (`seq`, `id`); `registration` (`section`, `status`,
/// `position`?, `reason`, `code`?, `at`); `import` (the members of ImportTask); `metrics` (the members of Metrics), each
/// second; `gap` (`from`, `to`); `error` (`code`, `detail`); `pong`.
///
/// Channels: `seats:TERM`, `section:ID`, `alerts`, `me` (signed in), `import:TASK` (staff), `admin` (admins).
///
/// Close codes: 4001 unauthenticated (an invalid ticket or token is upgraded first), or the token has expired or its user
/// has another role: sign in again; 4003 signed out or disconnected by an admin; 4008 too slow; 4009 too many
/// connections; 1009 a message over 64 KiB; 1012 restarting (reason `{"retry_ms":N}`); 1002 protocol; 1003 binary; 1007
/// not UTF-8.
#[utoipa::path(
    get,
    path = "/alerts/ws",
    operation_id = "websocket",
    tag = "alerts",
    security((), ("bearer" = []), ("cookie" = [])),
    params(
        OpenQuery,
        ("Origin" = Option<String>, Header, description = "A page of another site is rejected with 403."),
    ),
    responses((status = 101, description = "JSON text frames from here on."), BadOrigin, BadQuery)
)]
pub async fn websocket(
    request: HttpRequest,
    payload: web::Payload,
    live: Data<Live>,
    relay: Data<Addr<Relay>>,
    identity: Data<Identity>,
    site: Data<Site>,
) -> Result<HttpResponse, Problem> {
    if site.origin_verdict(&request) == OriginVerdict::Foreign {
        return Err(foreign_origin());
    }
    let OpenQuery { since, ticket } = OpenQuery::read(&Query::of(&request)?)?;
    let caller = match (ticket, Credentials::of(&request)) {
        (Some(ticket), _) => identity.redeem_ticket(&ticket).map(Some).ok_or(Close::Unauthenticated),
        (None, Credentials::Good(caller, _)) => Ok(Some(caller)),
        (None, Credentials::Bad(..)) => Err(Close::Unauthenticated),
        (None, Credentials::None) => Ok(None),
    };
    let opening = Opening {
        live: live.into_inner(),
        relay: relay.get_ref().clone(),
        caller,
        address: client_ip(&request),
        since,
    };
    ws::open(opening, &request, payload)
        .map_err(|_| Problem::bad_request("This address serves a WebSocket (RFC 6455): request an upgrade."))
}
