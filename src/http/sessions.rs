//! Live sessions, for admins: lists them and disconnects one.

use std::net::IpAddr;

use actix::Addr;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use strum::EnumString;
use utoipa::{IntoParams, OpenApi, ToSchema};
use uuid::Uuid;

use crate::bus::{Bus, Event};
use crate::domain::channel::Channel;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::Audit;
use crate::identity::disclosures::Disclosure;
use crate::live::broker::{Broker, Disconnect};
use crate::live::context::Live;
use crate::live::live_session::{self, LiveSession};

use crate::http::auth::Admin;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadPath, BadQuery, BadRole, NotFound, StoreFailed};
use crate::http::query::{LIST_LEN_DEFAULT, LIST_LEN_MAX, Query, path_param};
use crate::http::request_id::PRIVATE;

/// The longest search text, in characters.
const QUERY_CHARS_MAX: usize = 120;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list, disconnect))]
pub(super) struct Api;

/// A live session: one WebSocket or stream of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionItem {
    id: Uuid,
    /// The caller; null for a visitor.
    #[schema(required)]
    user: Option<UserName>,
    /// The caller's role; null for a visitor.
    #[schema(required)]
    role: Option<Role>,
    #[schema(value_type = String)]
    ip: IpAddr,
    user_agent: String,
    transport: Transport,
    connected_at: Timestamp,
    #[schema(value_type = Vec<String>)]
    channels: Vec<Channel>,
    /// The number of messages in its queue.
    queued: u32,
    /// The number of frames sent.
    sent: u64,
    /// The round-trip time of the last ping in milliseconds; null before the first pong.
    #[schema(required)]
    rtt_ms: Option<u32>,
}

/// The transport of a live session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Transport {
    WebSocket,
    Sse,
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
            transport: match session.transport {
                live_session::Transport::WebSocket => Transport::WebSocket,
                live_session::Transport::Sse => Transport::Sse,
            },
            connected_at: session.connected_at,
            channels: session.channels(),
            queued: session.queued(),
            sent: session.sent(),
            rtt_ms: session.rtt_ms(),
        }
    }
}

/// Live sessions, oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct SessionList {
    items: Vec<SessionItem>,
    /// The number of matching sessions, including those beyond `limit`.
    total: usize,
}

/// A role to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, ToSchema)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
enum RoleFilter {
    Student,
    Instructor,
    Staff,
    Admin,
    Visitor,
}

impl RoleFilter {
    fn of(session: &LiveSession) -> Self {
        match session.identity() {
            None => Self::Visitor,
            Some((_, Role::Student)) => Self::Student,
            Some((_, Role::Instructor)) => Self::Instructor,
            Some((_, Role::SubjectStaff | Role::Staff)) => Self::Staff,
            Some((_, Role::Admin)) => Self::Admin,
        }
    }
}

/// Filters of the list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only sessions of callers with this role.
    #[param(inline)]
    role: Option<RoleFilter>,
    /// Text to search for in the username, the address, the user agent and the id.
    #[param(max_length = 120)]
    q: Option<String>,
    /// The maximum number of items.
    #[param(required = false, minimum = 1, maximum = 5_000, default = 100)]
    limit: u32,
}

impl ListQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            role: query.parsed("role", "student, instructor, staff, admin or visitor", |text| text.parse().ok())?,
            q: query.string("q", 1..=QUERY_CHARS_MAX)?.map(str::to_lowercase),
            limit: query.u32("limit", 1..=LIST_LEN_MAX)?.unwrap_or(LIST_LEN_DEFAULT),
        })
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

/// Lists live sessions, oldest first (admins).
#[utoipa::path(
    get,
    path = "/api/v1/admin/sessions",
    operation_id = "listSessions",
    tag = "administration",
    params(ListQuery),
    responses((status = 200, description = "The live sessions.", body = SessionList), BadRole, BadQuery, StoreFailed)
)]
pub async fn list(
    request: HttpRequest,
    Admin(admin): Admin,
    live: Data<Live>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let ListQuery { role, q: text, limit } = ListQuery::read(&Query::of(&request)?)?;
    let mut found = live.presence.sessions();
    found.retain(|session| {
        let has_role = role.is_none_or(|role| role == RoleFilter::of(session));
        has_role && text.as_ref().is_none_or(|text| contains(session, text))
    });
    let listed = || found.iter().take(limit as usize);
    let people = listed().filter_map(|session| session.identity().map(|(user, _)| user.clone())).collect();
    audit.record_disclosure(&request, &admin, Disclosure::SessionsList, None, None, people).await?;
    let items = listed().map(|session| SessionItem::from(&**session)).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(SessionList { items, total: found.len() }))
}

/// Returns whether a session's username, user agent, address or id contains `text`, which is in lower case.
fn contains(session: &LiveSession, text: &str) -> bool {
    let user = session.identity().map_or("", |(user, _)| user.as_str());
    user.to_lowercase().contains(text)
        || session.user_agent.to_lowercase().contains(text)
        || session.address.to_string().contains(text)
        || session.id.to_string().contains(text)
}

/// Disconnects a live session (admins). With several hubs, it may be a session of another hub.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/sessions/{id}",
    operation_id = "disconnect",
    tag = "administration",
    params(("id" = Uuid, Path, description = "The live session.")),
    responses(
        (status = 204, description = "Closed with code 4003, after which clients must not reconnect automatically. \
            Of several hubs, the one that has the session closes it; if none has it, nothing happens."),
        BadRole, BadPath, NotFound,
    )
)]
pub async fn disconnect(
    request: HttpRequest,
    Admin(admin): Admin,
    live: Data<Live>,
    broker: Data<Addr<Broker>>,
    bus: Data<dyn Bus>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found("This connection does not exist or has ended.");
    let id = Uuid::parse_str(&path_param(&request, "id")?).map_err(|_| not_found())?;
    let session = live.presence.session(id);
    let user = session.as_ref().and_then(|session| session.identity()).map(|(user, _)| user.as_str());
    let detail = match &session {
        Some(session) => {
            broker.try_send(Disconnect { session: id }).map_err(|_| Problem::overloaded())?;
            format!("connection {id} from {}", session.address)
        }
        None if bus.has_other_hubs() => {
            bus.publish(Event::Disconnect { session: id });
            format!("connection {id}, which is not of this hub")
        }
        None => return Err(not_found()),
    };
    audit.record(&request, Some(&admin), "session.disconnect", user, None, &detail).await;
    Ok(HttpResponse::NoContent().finish())
}
