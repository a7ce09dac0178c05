//! Who is connected, for admins.

use actix::Addr;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::role::Role;
use crate::identity::Audit;
use crate::live::broker::{Broker, Disconnect};
use crate::live::context::Live;
use crate::live::presence::SessionRecord;

use crate::http::auth::Admin;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::{Query, path_param};

/// Sessions of a list, unless it is asked for otherwise, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 5_000;
/// The longest text to search for, in characters.
const QUERY_CHARS_MAX: usize = 120;

/// The resources of this file.
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

/// Whose connections are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Role(Role),
    Visitors,
}

fn parse_who(text: &str) -> Option<Who> {
    if text == "visitor" { Some(Who::Visitors) } else { Role::parse(text).map(Who::Role) }
}

/// `GET /api/v1/admin/sessions?role=&q=&limit=`: longest connected first; `q` is looked for in the user's name, the
/// address, the user agent and the id.
pub async fn list(request: HttpRequest, _: Admin, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request)?;
    let who = query.parsed("role", "student, staff, admin or visitor", parse_who)?;
    let text = query.string("q", 1..=QUERY_CHARS_MAX)?.map(str::to_lowercase);
    let limit = query.u32("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT);
    let is_wanted = |record: &SessionRecord| {
        let role = record.caller().map(|caller| caller.1);
        let by_role = who.is_none_or(|who| role.map_or(Who::Visitors, Who::Role) == who);
        by_role && text.as_ref().is_none_or(|text| matches(record, text))
    };
    let mut found = live.registry.sessions();
    found.retain(|record| is_wanted(record));
    let items: Vec<Value> = found.iter().take(limit as usize).map(|record| session_json(record)).collect();
    let answer = json!({"items": items, "total": found.len()});
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "private, no-store")).json(answer))
}

fn matches(record: &SessionRecord, text: &str) -> bool {
    let user = record.caller().map_or("", |(user, _)| user.as_str());
    user.to_lowercase().contains(text)
        || record.user_agent.to_lowercase().contains(text)
        || record.address.to_string().contains(text)
        || record.id.to_string().contains(text)
}

fn session_json(record: &SessionRecord) -> Value {
    let channels: Vec<String> = record.channels().iter().map(ToString::to_string).collect();
    json!({
        "id": record.id.to_string(),
        "user": record.caller().map(|caller| caller.0),
        "role": record.caller().map(|caller| caller.1),
        "ip": record.address,
        "user_agent": &*record.user_agent,
        "transport": "websocket",
        "connected_at": record.connected_at,
        "channels": channels,
        "queued": record.queued(),
        "sent": record.sent(),
        "rtt_ms": record.rtt_ms(),
    })
}

/// `DELETE /api/v1/admin/sessions/{id}`: the client is closed with 4003, and does not come back by itself.
pub async fn disconnect(
    request: HttpRequest,
    Admin(admin): Admin,
    live: Data<Live>,
    broker: Data<Addr<Broker>>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let nobody = || Problem::not_found("There is no such connection any more.");
    let id = Uuid::parse_str(&path_param(&request, "id")?).map_err(|_| nobody())?;
    let record = live.registry.session(id).ok_or_else(nobody)?;
    broker.try_send(Disconnect { session: id }).map_err(|_| Problem::overloaded())?;
    let whose = record.caller().map(|caller| caller.0.as_str());
    let detail = format!("connection {id} from {}", record.address);
    audit.record(&request, Some(&admin), "session.disconnect", whose, None, &detail);
    Ok(HttpResponse::NoContent().finish())
}
