//! Live sessions, for admins: lists them and disconnects one.

use actix::Addr;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{IntoParams, OpenApi, ToSchema};
use uuid::Uuid;

use crate::bus::metrics_reading::Connections;
use crate::bus::session_list::{RoleFilter, SessionFilter, SessionRow};
use crate::bus::{Bus, Event};
use crate::domain::audit_detail::AuditDetail;
use crate::identity::Audit;
use crate::identity::disclosures::Disclosure;
use crate::live::broker::{Broker, Disconnect};
use crate::live::context::Live;
use crate::live::other_hubs::{HubCounts, OtherHubs};

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

/// Live sessions of all hubs, oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct SessionList {
    items: Vec<SessionRow>,
    /// The number of matching sessions, including those beyond `limit`, of the hubs that are listed.
    total: usize,
    /// The hubs: first the one that responds, then the others that it reaches over the bus.
    hubs: Vec<HubItem>,
}

/// A hub, and how many live sessions it has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionHub)]
struct HubItem {
    /// The id, which is new at each start of the hub.
    id: Uuid,
    connections: Connections,
    /// The age of `connections` in seconds. A hub that has not replied for 10 seconds is left out.
    #[schema(minimum = 0)]
    age_s: u64,
    /// Whether its sessions are in `items`. If it is false, the hub has not replied in time.
    listed: bool,
}

impl From<HubCounts> for HubItem {
    fn from(HubCounts { id, connections, age, is_listed }: HubCounts) -> Self {
        Self { id, connections, age_s: age.as_secs(), listed: is_listed }
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

/// Lists the live sessions of all hubs, oldest first (admins).
///
/// Hubs ask each other over the bus, and wait for at most a second. Without a bus, or while a hub is cut off from it,
/// only the sessions of the hub that responds are listed. Another hub sends at most 256 KiB of sessions.
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
    hubs: Data<OtherHubs>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let ListQuery { role, q, limit } = ListQuery::read(&Query::of(&request)?)?;
    let found = hubs.sessions(SessionFilter { role, q, limit: limit as usize }).await;
    let people = found.items.iter().filter_map(|session| session.user.clone()).collect();
    audit.record_disclosure(&request, &admin, Disclosure::SessionsList, None, None, people).await?;
    let hubs = found.hubs.into_iter().map(HubItem::from).collect();
    let list = SessionList { items: found.items, total: found.total, hubs };
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(list))
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
    let not_found = || Problem::not_found("This session does not exist or has ended.");
    let id = Uuid::parse_str(&path_param(&request, "id")?).map_err(|_| not_found())?;
    let session = live.presence.session(id);
    let user = session.as_ref().and_then(|session| session.identity()).map(|(user, _)| user.as_str());
    let detail = match &session {
        Some(session) => {
            broker.try_send(Disconnect { session: id }).map_err(|_| Problem::overloaded())?;
            AuditDetail::Connection { id: id.to_string(), address: session.address.to_string() }
        }
        None if bus.has_other_hubs() => {
            bus.publish(Event::Disconnect { session: id });
            AuditDetail::ConnectionElsewhere { id: id.to_string() }
        }
        None => return Err(not_found()),
    };
    audit.record(&request, Some(&admin), "session.disconnect", user, None, detail).await;
    Ok(HttpResponse::NoContent().finish())
}
