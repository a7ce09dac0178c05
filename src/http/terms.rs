//! Terms: when registration opens, by the server's clock.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::College;
use crate::domain::command::{Command, TermPatch};
use crate::domain::ids::{TermId, UserName};
use crate::domain::role::Role;
use crate::domain::section::Credits;
use crate::domain::term::Term;
use crate::identity::audit::Audit;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::{ReadModel, TermModel};

use crate::http::auth::{Staff, Visitor};
use crate::http::body::read_json;
use crate::http::error::Problem;
use crate::http::query::path_param;

/// The longest title, in characters.
const TITLE_LEN_MAX: usize = 200;
/// The most days without teaching.
const HOLIDAYS_MAX: usize = 366;

/// The most credits a student may enrol in; 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub struct CreditLimit(pub Credits);

/// `GET /api/v1/terms`
pub async fn list(
    visitor: Visitor,
    model: Data<ReadModel>,
    clock: Data<dyn Clock>,
    limit: Data<CreditLimit>,
    college: Data<College>,
) -> HttpResponse {
    let now = clock.now();
    let student = visitor.0.as_ref().filter(|caller| caller.role == Role::Student).map(|caller| &caller.user);
    let items: Vec<Value> = model
        .terms()
        .values()
        .map(|term| {
            let mut item = term_json(&term.snapshot().term, now);
            if let Some(student) = student {
                item["mine"] = mine(term, student, limit.0);
            }
            item
        })
        .collect();
    let cache = if visitor.0.is_some() { "private, no-store" } else { "no-store" };
    HttpResponse::Ok()
        .insert_header(("Cache-Control", cache))
        .json(json!({ "items": items, "college": college_json(&college) }))
}

/// Whose terms they are, and the zone in which pages tell their times.
fn college_json(college: &College) -> Value {
    json!({ "name": college.name, "timezone": college.timezone.iana_name().unwrap_or("UTC") })
}

fn term_json(term: &Term, now: Timestamp) -> Value {
    json!({
        "id": term.id,
        "title": term.title,
        "starts_on": term.starts_on,
        "ends_on": term.ends_on,
        "opens_at": term.opens_at,
        "closes_at": term.closes_at,
        "holidays": term.holidays,
        "now": now,
    })
}

/// What the term is to one student.
fn mine(model: &TermModel, student: &UserName, limit: Credits) -> Value {
    let term = &model.snapshot().term;
    json!({
        "opens_at": term.opens_at,
        "closes_at": term.closes_at,
        "credits": model.enrolled_credits(student),
        "credit_limit": (limit.0 > 0).then_some(limit),
        "holds": [],
    })
}

/// `PUT /api/v1/terms/{id}`
pub async fn put(
    request: HttpRequest,
    staff: Staff,
    payload: web::Payload,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    clock: Data<dyn Clock>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let mut fields = read_json(&request, payload).await?.without(&["id", "now", "mine"]);
    let id = TermId::parse(&path_param(&request, "id")?).map_err(|_| {
        Problem::invalid("id", "A term's id has 1 to 24 letters, digits, dots, underscores or hyphens.")
    })?;
    if id.is_sandbox() {
        return Err(Problem::invalid("id", "Ids that begin like this are kept for demonstrations."));
    }
    let patch = TermPatch {
        title: fields.maybe_string("title", 1..=TITLE_LEN_MAX)?.map(Into::into),
        starts_on: fields.nullable_date("starts_on")?,
        ends_on: fields.nullable_date("ends_on")?,
        opens_at: fields.nullable_timestamp("opens_at")?,
        closes_at: fields.nullable_timestamp("closes_at")?,
        holidays: fields.maybe_parsed_list("holidays", HOLIDAYS_MAX, "a day such as 2022-09-07", |d| d.parse().ok())?,
    };
    fields.finish()?;
    let known = model.term(&id);
    in_order(&patch, known.as_ref().map(|t| t.snapshot().term.clone()).as_deref())?;
    let detail = in_words(&patch);
    pool.submit_or_create(id.clone(), Command::PutTerm(patch)).await?;
    audit.record(&request, Some(&staff.0), "term.change", Some(id.as_str()), None, &detail);
    let term = model
        .term(&id)
        .ok_or_else(|| Problem::internal("a term was changed and not published"))?
        .snapshot()
        .term
        .clone();
    let mut response = if known.is_some() { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(term_json(&term, clock.now())))
}

/// What staff changed, for the audit trail.
fn in_words(patch: &TermPatch) -> String {
    fn told(name: &str, value: Option<Option<impl ToString>>) -> Option<String> {
        Some(format!("{name}: {}", value?.map_or("none".to_owned(), |value| value.to_string())))
    }
    let parts = [
        told("title", patch.title.as_ref().map(Some)),
        told("starts_on", patch.starts_on),
        told("ends_on", patch.ends_on),
        told("opens_at", patch.opens_at),
        told("closes_at", patch.closes_at),
        told("holidays", patch.holidays.as_ref().map(|days| Some(days.len()))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A term that would end before it starts, or close before it opens, is a slip of the hand.
fn in_order(patch: &TermPatch, known: Option<&Term>) -> Result<(), Problem> {
    let opens_at = patch.opens_at.unwrap_or_else(|| known.and_then(|t| t.opens_at));
    let closes_at = patch.closes_at.unwrap_or_else(|| known.and_then(|t| t.closes_at));
    if opens_at.zip(closes_at).is_some_and(|(opens, closes)| closes <= opens) {
        return Err(Problem::invalid("closes_at", "Registration must close after it opens."));
    }
    let starts_on = patch.starts_on.unwrap_or_else(|| known.and_then(|t| t.starts_on));
    let ends_on = patch.ends_on.unwrap_or_else(|| known.and_then(|t| t.ends_on));
    if starts_on.zip(ends_on).is_some_and(|(first, last)| last < first) {
        return Err(Problem::invalid("ends_on", "A term must not end before it starts."));
    }
    Ok(())
}
