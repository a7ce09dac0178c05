//! The endpoint of the WebSocket.

use std::rc::Rc;

use actix::Addr;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::{IntoParams, OpenApi};

use crate::identity::{Caller, Identity};
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::relay::Relay;
use crate::live::request::LiveRequest;
use crate::live::ws::{self, NotOpened};

use crate::http::auth::{Carrier, Credentials, client_ip, foreign_origin};
use crate::http::connection::Connection;
use crate::http::error::{Problem, method_not_allowed};
use crate::http::openapi::responses::{BadOrigin, BadQuery, UnsupportedVersion};
use crate::http::problem::ProblemCode;
use crate::http::query::Query;
use crate::http::sign_in::cleared_cookie;
use crate::http::site::{OriginVerdict, Site};

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(websocket))]
pub(super) struct Api;

/// The parameters with which the WebSocket is opened.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct OpenQuery {
    /// Replays alerts after this position in their sequence before any new message.
    since: Option<u64>,
    /// A ticket from `POST /api/v1/ws-ticket`.
    ticket: Option<String>,
}

impl OpenQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self { since: query.u64("since", 0..=u64::MAX)?, ticket: query.get("ticket")?.map(str::to_owned) })
    }
}

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/alerts/ws").route(web::get().to(websocket)).default_service(method_not_allowed("GET")));
}

/// Returns the caller who opens a live session, by ticket or by the credentials of the request; `None` is a visitor.
/// The connection of a signed-in caller no longer counts as a visitor's. If the store cannot determine whether the
/// ticket was used, the client must reconnect with another one.
pub(super) async fn session_caller(
    request: &HttpRequest,
    ticket: Option<&str>,
    identity: &Identity,
) -> Result<Option<Caller>, Close> {
    let caller = match (ticket, Credentials::of(request)) {
        (Some(ticket), _) => {
            let redeemed = identity.redeem_ticket(ticket).await.map_err(|_| Close::Busy)?;
            Some(redeemed.ok_or(Close::Unauthenticated)?)
        }
        (None, Credentials::Valid(caller, _)) => Some(caller),
        (None, Credentials::Invalid(..)) => return Err(Close::Unauthenticated),
        (None, Credentials::None) => None,
    };
    if caller.is_some()
        && let Some(connection) = request.conn_data::<Rc<Connection>>()
    {
        connection.signed_in();
    }
    Ok(caller)
}

/// Opens the WebSocket (RFC 6455) for seats and alerts.
///
/// The caller is authenticated by `?ticket=`, `Authorization` or cookie. Visitors can use public channels only. A
/// connection with an invalid ticket or token, or over a limit, is accepted and then closed with a close code, because
/// a page cannot read the status of a failed upgrade.
///
/// Client → server: `{"type":"subscribe","channels":[…],"since":SEQ?,"seats_since":SEQ?}`,
/// `{"type":"unsubscribe","channels":[…]}`, `{"type":"ack","id":ALERT}`, `{"type":"ping"}`.
///
/// Server → client, by `type`: `welcome` (`session`, `user`, `role`, `heartbeat_s`, `now`, `seq`), the first message;
/// `live` (`seq`), after all earlier alerts were sent; `subscribed` (`channel`, `seq`, and `seats` as a snapshot);
/// `seats` (`seq`, and `seats` as a list of SeatRow); `term` (`seq`, and `term` with `id`, `title`, `opens_at`,
/// `closes_at`), after a term was created or changed; `alert` (`seq`, `alert`); `alert_cancelled` (`seq`, `id`);
/// `registration` (`section`, `status`, `position`?, `reason`, `code`?, `at`); `import` (the members of ImportTask);
/// `metrics` (the members of Metrics), each second; `gap` (`from`, `to`), when alerts are no longer available; `error`
/// (`code`, `detail`); `pong`.
///
/// Channels: `seats:TERM`, `section:ID`, `alerts`, `me` (signed in), `import:TASK` (staff), `admin` (admins).
///
/// Close codes: 4001 the ticket or token is invalid or has expired, or the role of its user has changed; 4003 signed
/// out, or disconnected by an admin; 4008 the client reads too slowly or was silent; 4009 too many connections; 1009 a
/// message over 64 KiB; 1008 more than 100 messages a second after a burst of 4,000; 1012 the hub restarts, or too many
/// clients reconnect at once (reason `{"retry_ms":N}`); 1002 protocol error; 1003 binary message; 1007 invalid UTF-8.
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
    responses((status = 101, description = "Upgraded. Messages are JSON text frames."), BadOrigin, BadQuery, UnsupportedVersion)
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
    let opening = LiveRequest {
        live: live.into_inner(),
        relay: relay.get_ref().clone(),
        caller: session_caller(&request, ticket.as_deref(), &identity).await,
        address: client_ip(&request),
        since,
        channels: Vec::new(),
    };
    let is_dead_cookie = matches!(Credentials::of(&request), Credentials::Invalid(_, Carrier::Cookie));
    let opened = ws::open(opening, &request, payload).map(|mut response| {
        // Otherwise, the next connection of the page would be closed for the same reason.
        if is_dead_cookie && let Err(error) = response.add_cookie(&cleared_cookie(&site)) {
            log::debug!("a cookie could not be cleared: {error}");
        }
        response
    });
    opened.map_err(|why| match why {
        NotOpened::NoUpgrade => {
            Problem::bad_request("This address serves a WebSocket (RFC 6455). Send an upgrade request over HTTP/1.1.")
        }
        NotOpened::Version => {
            Problem::new(ProblemCode::UpgradeRequired, "This address serves version 13 of the WebSocket protocol.")
        }
    })
}
