//! One-off events.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::domain::event::Event;
use crate::store::imports::{EventCursor, ImportStore};

use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::Query;

/// Events in one answer, at the most, and when nothing is said.
const LIMIT_MAX: u32 = 5_000;
const LIMIT_DEFAULT: u32 = 100;

/// The path of events.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/v1/events").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")));
}

/// `GET /api/v1/events?since=&limit=`. `since` is a day, a time, or the `next` of an answer before.
pub async fn list(
    request: HttpRequest,
    store: Data<dyn ImportStore>,
    zone: Data<TimeZone>,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request)?;
    let since = query.parsed(
        "since",
        "a day (2026-01-12), a time (2026-01-12T08:00:00Z), or the `next` of an answer",
        |text| cursor(text, &zone),
    )?;
    let limit = query.u32("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let page = store.events(since, limit as usize).await?;
    let more = page.total > page.items.len() as u64;
    let next = page.items.last().filter(|_| more).map(next_of);
    Ok(HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-cache"))
        .json(json!({ "items": page.items, "next": next, "total": page.total })))
}

/// Where the list goes on after an event.
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
    fn since_is_a_day_of_the_college_a_time_or_where_an_answer_ended() {
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
