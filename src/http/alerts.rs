//! Alerts: sent by staff, read by whom they concern.

use std::collections::HashSet;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bus::{Bus, Event};
use crate::domain::alert::{Alert, AlertContent, Category, MESSAGE_LEN_MAX, Priority, TITLE_LEN_MAX};
use crate::domain::audience::{AUDIENCE_LEN_MAX, Audience, SectionRef, UserRef};
use crate::domain::ids::{SectionId, UserName};
use crate::domain::role::Role;
use crate::http::problem::ProblemCode;
use crate::identity::{Audit, Caller};
use crate::live::context::Live;
use crate::registration::readmodel::ReadModel;
use crate::store::alerts::{AlertStore, Cancelled, Entry, Page, Reader, Span};

use crate::http::auth::{Staff, Visitor};
use crate::http::body::{Fields, read_json};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;

/// What an alert says that the hub itself sets: a copy of one can be sent as it was answered.
const SET_BY_THE_HUB: [&str; 5] = ["id", "seq", "source", "sender", "created_at"];
/// Alerts of a list, unless it is asked for otherwise, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 5_000;
/// Alerts in force that a dashboard shows: more than a term has at any time.
const IN_FORCE_MAX: usize = 500;
/// The longest name of a course, in characters.
const COURSE_CHARS_MAX: usize = 40;

/// What only staff's desk lists.
#[derive(Clone, Copy)]
enum Desk {
    /// What is still to go out.
    Scheduled,
    /// What staff sent and is in force, whoever it is for.
    Sent,
}

impl Desk {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "scheduled" => Some(Self::Scheduled),
            "sent" => Some(Self::Sent),
            _ => None,
        }
    }
}

/// The resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/alerts")
            .route(get().to(list))
            .route(web::post().to(post))
            .default_service(method_not_allowed("GET, HEAD, POST")),
    )
    .service(
        web::resource("/api/v1/alerts/{id}")
            .route(web::delete().to(cancel))
            .default_service(method_not_allowed("DELETE")),
    );
}

/// `POST /api/v1/alerts[?dry_run=true]`
pub async fn post(
    request: HttpRequest,
    Staff(caller): Staff,
    payload: web::Payload,
    live: Data<Live>,
    bus: Data<dyn Bus>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let is_dry = Query::of(&request)?.bool("dry_run")?.unwrap_or(false);
    let now = live.clock.now();
    let fields = read_json(&request, payload).await?.without(&SET_BY_THE_HUB);
    let content = read_content(fields, &live.model, now)?;
    let audience = &content.audience;
    if is_dry {
        let people = live.alerts.people_in(audience.clone(), live.local(now)).await?;
        let answer = json!({"recipients": people.len(), "recipients_online": online(&live, audience, &people)});
        return Ok(HttpResponse::Ok().insert_header(PRIVATE).json(answer));
    }
    // Whoever is enrolled is asked of the store; everything else the connections themselves tell.
    let is_enrolment = !(audience.sections.is_empty() && audience.courses.is_empty());
    let named = Audience { roles: Vec::new(), all: false, ..audience.clone() };
    let people = match is_enrolment {
        true => live.alerts.people_in(named, live.local(now)).await?,
        false => audience.users.iter().map(|user| user.0.clone()).collect(),
    };
    let recipients_online = online(&live, audience, &people);
    let alert = Alert {
        id: Uuid::now_v7().to_string(),
        seq: None,
        content,
        source: "staff".to_owned(),
        sender: caller.user.to_string(),
        created_at: now,
    };
    let alert = live.alerts.post(alert, live.local(now)).await?;
    bus.publish(Event::AlertsStored { seq: alert.seq });
    let action = if alert.seq.is_some() { "alert.send" } else { "alert.schedule" };
    audit.record(&request, Some(&caller), action, Some(&alert.id), None, &alert.content.title);
    let mut answer = alert_json(&alert)?;
    answer["recipients_online"] = recipients_online.into();
    Ok(HttpResponse::Created().insert_header(PRIVATE).json(answer))
}

/// How many of an audience are connected; `people` are those that it names or that are enrolled.
fn online(live: &Live, audience: &Audience, people: &HashSet<UserName>) -> usize {
    let bits = audience.role_bits();
    live.presence.count_people(|caller| {
        audience.all || caller.is_some_and(|(user, role)| bits & role.bit() != 0 || people.contains(user))
    })
}

fn read_content(mut fields: Fields, model: &ReadModel, now: Timestamp) -> Result<AlertContent, Problem> {
    let title = fields.string("title", 1..=TITLE_LEN_MAX)?;
    let message = fields.string("message", 1..=MESSAGE_LEN_MAX)?;
    for (name, text) in [("title", &title), ("message", &message)] {
        if text.trim().is_empty() {
            return Err(Problem::invalid(name, format!("{name} must say something.")));
        }
    }
    let priority = fields.maybe_parsed("priority", "low, medium, high or critical", Priority::parse)?;
    let categories = "system, workflow, schedule, content, security or emergency";
    let category = fields.maybe_parsed("category", categories, Category::parse)?;
    let audience = read_audience(fields.object("audience")?, model)?;
    let starts_at = fields.maybe_timestamp("starts_at")?;
    let expires_at = fields.maybe_timestamp("expires_at")?;
    let requires_ack = fields.maybe_bool("requires_ack")?.unwrap_or(false);
    fields.finish()?;
    if expires_at.is_some_and(|end| end <= starts_at.unwrap_or(now).max(now)) {
        return Err(Problem::invalid("expires_at", "expires_at must be after the alert goes out."));
    }
    Ok(AlertContent {
        title,
        message,
        priority: priority.unwrap_or_default(),
        category: category.unwrap_or_default(),
        audience,
        starts_at,
        expires_at,
        requires_ack,
    })
}

fn read_audience(mut fields: Fields, model: &ReadModel) -> Result<Audience, Problem> {
    let all = fields.maybe_bool("all")?.unwrap_or(false);
    let roles = fields.maybe_parsed_list("roles", Role::ALL.len(), "student, staff or admin", Role::parse)?;
    let section = |text: &str| {
        let id = SectionId::parse(text).ok()?;
        model.section(&id).map(|_| SectionRef(id))
    };
    let sections = fields.maybe_parsed_list("sections", AUDIENCE_LEN_MAX, "the id of a section", section)?;
    let courses = fields.maybe_strings("courses", AUDIENCE_LEN_MAX, 1..=COURSE_CHARS_MAX)?;
    let user = |text: &str| UserName::parse(text).ok().map(UserRef);
    let users = fields.maybe_parsed_list("users", AUDIENCE_LEN_MAX, "a user name", user)?;
    fields.finish()?;
    if all {
        // Everyone is everyone, whoever is named besides.
        return Ok(Audience::everyone());
    }
    let audience = Audience {
        all,
        roles: roles.unwrap_or_default(),
        sections: sections.unwrap_or_default(),
        courses: courses.unwrap_or_default(),
        users: users.unwrap_or_default(),
    };
    if audience.is_empty() {
        let detail = "audience must say who: all, roles, sections, courses or users.";
        return Err(Problem::invalid("audience", detail));
    }
    Ok(audience)
}

/// `GET /api/v1/alerts?since=&limit=`, `?active=true`, `?state=scheduled|sent`
pub async fn list(request: HttpRequest, Visitor(caller): Visitor, live: Data<Live>) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request)?;
    let since = query.u64("since", 0..=u64::MAX)?.unwrap_or(0);
    let limit = query.u32("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT) as usize;
    let is_active = query.bool("active")?.unwrap_or(false);
    let state = query.parsed("state", "scheduled or sent", Desk::parse)?;
    let span = Span { since, until: None, limit };
    let reader = Reader::new(caller.as_ref().map(|caller| (&caller.user, caller.role)));
    let page = if let Some(state) = state {
        match &caller {
            None => return Err(Problem::new(ProblemCode::Unauthenticated, "Please sign in for this.")),
            Some(caller) if caller.role < Role::Staff => {
                return Err(Problem::forbidden("Only staff see what was sent to others, or has not gone out yet."));
            }
            Some(_) => {}
        }
        match state {
            Desk::Scheduled => scheduled(&*live.alerts, limit).await?,
            Desk::Sent => live.alerts.sent(limit, live.clock.now()).await?,
        }
    } else if is_active {
        live.alerts.in_force(reader, span, live.clock.now()).await?
    } else {
        live.alerts.seen_by(reader, span).await?
    };
    let items = items_for(&live, caller.as_ref(), &page).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(json!({"items": items, "seq": page.seq})))
}

/// What is in force now for somebody who is signed in, oldest first: as `?active=true` lists it.
pub(super) async fn in_force(live: &Live, caller: &Caller) -> Result<Vec<Value>, Problem> {
    let span = Span { since: 0, until: None, limit: IN_FORCE_MAX };
    let reader = Reader::new(Some((&caller.user, caller.role)));
    items_for(live, Some(caller), &live.alerts.in_force(reader, span, live.clock.now()).await?).await
}

/// A page as this caller reads it: what asks to be acknowledged says whether it was, on whichever device.
async fn items_for(live: &Live, caller: Option<&Caller>, page: &Page) -> Result<Vec<Value>, Problem> {
    let asking: Vec<String> = page.items.iter().filter_map(|(_, entry)| asking_id(entry).map(str::to_owned)).collect();
    let acked = match caller {
        Some(caller) if !asking.is_empty() => live.alerts.acked_by(caller.user.clone(), asking).await?,
        _ => HashSet::new(),
    };
    let item = |(seq, entry): &(u64, Entry)| {
        let mut item = entry_json(*seq, entry)?;
        if caller.is_some()
            && let Some(id) = asking_id(entry)
        {
            item["acked"] = acked.contains(id).into();
        }
        Ok(item)
    };
    page.items.iter().map(item).collect()
}

/// The id of an alert that asks to be acknowledged.
fn asking_id(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::Alert(alert) if alert.content.requires_ack => Some(&alert.id),
        _ => None,
    }
}

async fn scheduled(alerts: &dyn AlertStore, limit: usize) -> Result<Page, Problem> {
    let waiting = alerts.scheduled(limit).await?;
    let seq = alerts.kept().await?.last;
    Ok(Page { items: waiting.into_iter().map(|alert| (0, Entry::Alert(Box::new(alert)))).collect(), seq })
}

fn entry_json(seq: u64, entry: &Entry) -> Result<Value, Problem> {
    match entry {
        Entry::Alert(alert) => alert_json(alert),
        Entry::Cancelled(id) => Ok(json!({"id": id, "seq": seq, "cancelled": true})),
    }
}

fn alert_json(alert: &Alert) -> Result<Value, Problem> {
    serde_json::to_value(alert).map_err(Problem::internal)
}

/// `DELETE /api/v1/alerts/{id}`: whoever got it is told to take it down. A second time it does nothing.
pub async fn cancel(
    request: HttpRequest,
    Staff(caller): Staff,
    live: Data<Live>,
    bus: Data<dyn Bus>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "id")?;
    match live.alerts.cancel(&id, live.clock.now()).await? {
        Cancelled::NotFound => return Err(Problem::not_found("There is no such alert.")),
        Cancelled::Quietly => {}
        Cancelled::Told(seq) => bus.publish(Event::AlertsStored { seq: Some(seq) }),
    }
    audit.record(&request, Some(&caller), "alert.cancel", Some(&id), None, "");
    Ok(HttpResponse::NoContent().finish())
}
