//! The college's one-off events.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::event::Event;
use crate::store::imports::{EventCursor, ImportStore};

use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::params::Limit;
use crate::http::openapi::responses::{BadQuery, StoreFailed};
use crate::http::query::Query;
use crate::http::uncached;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/v1/events").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")));
}

/// Events in the order of their start.
#[derive(Debug, Serialize, ToSchema)]
struct EventList {
    items: Vec<Event>,
    /// The `since` of the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
    /// The number of events from `since` on, including those beyond `limit`.
    total: u64,
}

/// Lists one-off events.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "listEvents",
    tag = "catalogue",
    security(()),
    params(
        ("since" = Option<String>, Query, description = "A date (2026-01-12), a time (2026-01-12T08:00:00Z), or the \
            `next` of an earlier page."),
        Limit,
    ),
    responses((status = 200, description = "Events, ordered by start.", body = EventList), BadQuery, StoreFailed)
)]
pub async fn list(
    request: HttpRequest,
    store: Data<dyn ImportStore>,
    zone: Data<TimeZone>,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request)?;
    let since = query.parsed(
        "since",
        "a date (2026-01-12), a time (2026-01-12T08:00:00Z), or the `next` of an earlier page",
        |text| cursor(text, &zone),
    )?;
    // No list of events is cached.
    uncached::charge(&request)?;
    let page = store.events(since, query.limit()? as usize).await?;
    let more = page.total > page.items.len() as u64;
    let next = page.items.last().filter(|_| more).map(next_of);
    let list = EventList { items: page.items, next, total: page.total };
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-cache")).json(list))
}

/// Returns the cursor of the page that starts after an event.
fn next_of(event: &Event) -> String {
    format!("{}~{}", event.starts_at, event.id)
}

fn cursor(text: &str, zone: &TimeZone) -> Option<EventCursor> {
    if let Some((at, id)) = text.split_once('~') {
        return Some(EventCursor { starts_at: at.parse().ok()?, id: id.to_owned() });
    }
    let starts_at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => zone.to_timestamp(text.parse::<Date>().ok()?.to_datetime(Time::midnight())).ok()?,
    };
    Some(EventCursor { starts_at, id: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_date_a_time_or_a_cursor() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let at = |text: &str| cursor(text, &zone).map(|c| (c.starts_at.to_string(), c.id));
        assert_eq!(at("2026-01-12"), Some(("2026-01-12T05:00:00Z".into(), String::new())));
        assert_eq!(at("2026-01-12T08:00:00Z"), Some(("2026-01-12T08:00:00Z".into(), String::new())));
        assert_eq!(at("2026-01-12T08:00:00Z~abc"), Some(("2026-01-12T08:00:00Z".into(), "abc".into())));
        for bad in ["soon", "2026-13-01", "~x", "2026-01-12~x"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}
