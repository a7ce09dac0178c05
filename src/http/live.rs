//! The WebSocket's endpoint.

use actix::Addr;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};

use crate::identity::Identity;
use crate::live::close::Close;
use crate::live::context::Live;
use crate::live::relay::Relay;
use crate::live::ws::{self, Opening};

use crate::http::auth::{Credentials, client_ip, foreign_origin};
use crate::http::error::{Problem, method_not_allowed};
use crate::http::query::Query;
use crate::http::site::{OriginVerdict, Site};

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/alerts/ws").route(web::get().to(websocket)).default_service(method_not_allowed("GET")));
}

/// Handles `GET /alerts/ws?since=&ticket=`: upgrades to a WebSocket.
///
/// A page of a foreign origin gets 403 before the upgrade. A caller with an invalid ticket or token, or over a limit, is
/// upgraded and then gets a close code, because a browser's page cannot read the status of a failed upgrade.
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
    let query = Query::of(&request)?;
    let since = query.u64("since", 0..=u64::MAX)?;
    let caller = match (query.get("ticket")?, Credentials::of(&request)) {
        (Some(ticket), _) => identity.redeem_ticket(ticket).map(Some).ok_or(Close::Unauthenticated),
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
