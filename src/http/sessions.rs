//! Live connections, for administrators: the list, and disconnecting one.

use std::net::IpAddr;

use actix::Addr;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::Audit;
use crate::live::broker::{Broker, Disconnect};
use crate::live::context::Live;
use crate::live::presence::LiveSession;

use crate::http::auth::Admin;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;

/// The default and the greatest length of the list.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 5_000;
/// The longest text to search for, in characters.
const QUERY_CHARS_MAX: usize = 120;

/// A live connection.
#[derive(Debug, Serialize)]
struct SessionItem {
    id: Uuid,
    /// The caller; null for a visitor.
    user: Option<UserName>,
    /// The caller's role; null for a visitor.
    role: Option<Role>,
    ip: IpAddr,
    user_agent: String,
    transport: Transport,
    connected_at: Timestamp,
    channels: Vec<Channel>,
    /// Messages in the connection's queue.
    queued: u32,
    /// Frames that were sent.
    sent: u64,
    /// The round-trip time of the last ping, in milliseconds; null before the first pong.
    rtt_ms: Option<u32>,
}

/// The transport of a live connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Transport {
    WebSocket,
}

impl From<&LiveSession> for SessionItem {
    fn from(session: &LiveSession) -> Self {
        let (user, role) = session.identity().map(|(user, role)| (user.clone(), role)).unzip();
        Self {
            id: session.id,
            user,
            role,
            ip: session.address,
            user_agent: session.user_agent.as_ref().to_owned(),
            transport: Transport::WebSocket,
            connected_at: session.connected_at,
            channels: session.channels(),
            queued: session.queued(),
            sent: session.sent(),
            rtt_ms: session.rtt_ms(),
        }
    }
}

/// Live connections, longest connected first.
#[derive(Debug, Serialize)]
struct SessionList {
    items: Vec<SessionItem>,
    /// The number of connections that match, listed or not.
    total: usize,
}

/// A role to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RoleFilter {
    Role(Role),
    Visitor,
}

impl RoleFilter {
    fn parse(text: &str) -> Option<Self> {
        if text == "visitor" { Some(Self::Visitor) } else { Role::parse(text).map(Self::Role) }
    }
}

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/sessions").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/admin/sessions/{id}")
            .route(web::delete().to(disconnect))
            .default_service(method_not_allowed("DELETE")),
    );
}

/// Handles `GET /api/v1/admin/sessions?role=&q=&limit=`. `q` is searched for in the user name, the address, the user
/// agent and the id.
pub async fn list(request: HttpRequest, _: Admin, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request)?;
    let filter = query.parsed("role", "student, staff, admin or visitor", RoleFilter::parse)?;
    let text = query.string("q", 1..=QUERY_CHARS_MAX)?.map(str::to_lowercase);
    let limit = query.u32("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT) as usize;
    let mut found = live.presence.sessions();
    found.retain(|session| {
        let role = session.identity().map_or(RoleFilter::Visitor, |(_, role)| RoleFilter::Role(role));
        filter.is_none_or(|filter| filter == role) && text.as_ref().is_none_or(|text| contains(session, text))
    });
    let items = found.iter().take(limit).map(|session| SessionItem::from(&**session)).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(SessionList { items, total: found.len() }))
}

/// Returns whether a text, in lower case, is part of what identifies a connection.
fn contains(session: &LiveSession, text: &str) -> bool {
    let user = session.identity().map_or("", |(user, _)| user.as_str());
    user.to_lowercase().contains(text)
        || session.user_agent.to_lowercase().contains(text)
        || session.address.to_string().contains(text)
        || session.id.to_string().contains(text)
}

/// Handles `DELETE /api/v1/admin/sessions/{id}`: closes a connection with 4003, after which its client does not
/// reconnect by itself.
pub async fn disconnect(
    request: HttpRequest,
    Admin(admin): Admin,
    live: Data<Live>,
    broker: Data<Addr<Broker>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found("There is no such connection.");
    let id = Uuid::parse_str(&path_param(&request, "id")?).map_err(|_| not_found())?;
    let session = live.presence.session(id).ok_or_else(not_found)?;
    broker.try_send(Disconnect { session: id }).map_err(|_| Problem::overloaded())?;
    let user = session.identity().map(|(user, _)| user.as_str());
    let detail = format!("connection {id} from {}", session.address);
    audit.record(&request, Some(&admin), "session.disconnect", user, None, &detail);
    Ok(HttpResponse::NoContent().finish())
}
