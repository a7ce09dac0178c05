//! A student's own registrations: one press, one honest answer.

use std::collections::BTreeMap;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use crate::domain::command::{BATCH_LEN_MAX, Batch, Command};
use crate::domain::ids::{CODE_LEN_MAX, Crn, SectionId, TermId, UserName};
use crate::domain::outcome::{Outcome, Receipt, RequestOutcome};
use crate::domain::realm::Realm;
use crate::domain::registration::Standing;
use crate::http::problem::ProblemCode;
use crate::identity::Caller;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::{ReadModel, TermModel};

use crate::http::auth::Student;
use crate::http::body::read_json;
use crate::http::error::Problem;
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;
use crate::http::sections::no_such_section;

/// The longest section id: a term, a hyphen, a CRN.
pub(super) const SECTION_LEN_MAX: usize = 2 * CODE_LEN_MAX + 1;

/// `PUT /api/v1/me/registrations/{section}`
pub async fn register(
    request: HttpRequest,
    student: Student,
    pool: Data<RegistrarPool>,
) -> Result<HttpResponse, Problem> {
    let waitlist = Query::of(&request)?.bool("waitlist")?.unwrap_or(false);
    let id = SectionId::parse(&path_param(&request, "section")?).map_err(|_| no_such_section())?;
    let command = Command::Register { student: student.0.user, crn: id.crn, waitlist };
    one_request(&pool, &student.0.realm, &id.term, command, "There is no such section.").await
}

/// `DELETE /api/v1/me/registrations/{section}`
pub async fn drop_one(
    request: HttpRequest,
    student: Student,
    pool: Data<RegistrarPool>,
) -> Result<HttpResponse, Problem> {
    let id = SectionId::parse(&path_param(&request, "section")?).map_err(|_| never_held())?;
    let command = Command::Drop { student: student.0.user, crn: id.crn };
    one_request(&pool, &student.0.realm, &id.term, command, NEVER_HELD).await
}

const NEVER_HELD: &str = "You have never held a seat or a place in this section.";

fn never_held() -> Problem {
    Problem::not_found(NEVER_HELD)
}

async fn one_request(
    pool: &RegistrarPool,
    realm: &Realm,
    term: &TermId,
    command: Command,
    not_found: &'static str,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found(not_found);
    match pool.submit_in(realm, term, command).await.ok_or_else(not_found)?? {
        Outcome::Request(RequestOutcome::Done(receipt)) => {
            let created = receipt.fresh && receipt.standing != Standing::Dropped;
            let mut response = if created { HttpResponse::Created() } else { HttpResponse::Ok() };
            Ok(response.insert_header(PRIVATE).json(receipt_json(term, &receipt)))
        }
        Outcome::Request(RequestOutcome::Refused(refusal)) => Err(refusal.into()),
        Outcome::Request(RequestOutcome::NotFound) => Err(not_found()),
        other => Err(Problem::internal(format_args!("a wish was answered {other:?}"))),
    }
}

fn receipt_json(term: &TermId, receipt: &Receipt) -> Value {
    let section = SectionId { term: term.clone(), crn: receipt.crn.clone() };
    let mut body = Map::new();
    body.insert("section".to_owned(), json!(section));
    body.insert("status".to_owned(), json!(receipt.standing.as_str()));
    if let Some(position) = receipt.position {
        body.insert("position".to_owned(), json!(position));
    }
    if receipt.standing != Standing::Dropped {
        body.insert("credits".to_owned(), json!(receipt.credits));
    }
    body.insert("at".to_owned(), json!(receipt.at));
    Value::Object(body)
}

/// `GET /api/v1/me/registrations`
pub async fn list(request: HttpRequest, student: Student, model: Data<ReadModel>) -> Result<HttpResponse, Problem> {
    let wanted = Query::of(&request)?.parsed("term", "a term's id", |t| TermId::parse(t).ok())?;
    let Caller { realm, user, .. } = &student.0;
    if wanted.as_ref().is_some_and(|term| model.term_in(realm, term).is_none()) {
        return Err(Problem::invalid("term", "There is no such term."));
    }
    let (items, credits) = held_by(&model, realm, user, wanted.as_ref());
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(json!({ "items": items, "credits": credits })))
}

/// What a student holds, in one term or in all, and the credits of it by term.
pub(super) fn held_by(
    model: &ReadModel,
    realm: &Realm,
    student: &UserName,
    wanted: Option<&TermId>,
) -> (Vec<Value>, Map<String, Value>) {
    let mut items = Vec::new();
    let mut credits = Map::new();
    for (id, term) in model.terms_in(realm).iter().filter(|(id, _)| wanted.is_none_or(|w| w == *id)) {
        let held = held_in(id, term, student);
        if !held.is_empty() || wanted.is_some() {
            credits.insert(id.to_string(), json!(term.enrolled_credits(student)));
        }
        items.extend(held);
    }
    (items, credits)
}

/// What a student holds in one term, in the order in which it was taken.
fn held_in(id: &TermId, term: &TermModel, student: &UserName) -> Vec<Value> {
    let (Some(held), snapshot) = (term.registrations(student), term.snapshot()) else { return Vec::new() };
    let held = held.iter().filter(|r| r.is_held());
    held.filter_map(|registration| {
        let row = snapshot.row(&registration.crn)?;
        let waits = registration.standing == Standing::Waitlisted;
        Some(receipt_json(
            id,
            &Receipt {
                crn: registration.crn.clone(),
                standing: registration.standing,
                position: waits.then(|| row.position(registration.place)),
                credits: row.state.section.credits,
                at: registration.at,
                fresh: false,
            },
        ))
    })
    .collect()
}

/// `POST /api/v1/me/registrations`
pub async fn batch(
    request: HttpRequest,
    student: Student,
    payload: web::Payload,
    pool: Data<RegistrarPool>,
) -> Result<HttpResponse, Problem> {
    if student.0.realm.is_sandbox() {
        return Err(Problem::forbidden("The students of a demonstration press for one section at a time."));
    }
    let mut fields = read_json(&request, payload).await?;
    let add = section_ids("add", fields.maybe_strings("add", BATCH_LEN_MAX, 1..=SECTION_LEN_MAX)?)?;
    let drop = section_ids("drop", fields.maybe_strings("drop", BATCH_LEN_MAX, 1..=SECTION_LEN_MAX)?)?;
    let swap = fields.maybe_bool("swap")?.unwrap_or(false);
    let waitlist = fields.maybe_bool("waitlist")?.unwrap_or(false);
    fields.finish()?;
    if let Some(both) = drop.iter().find(|id| add.contains(id)) {
        return Err(Problem::invalid("drop", format!("{both} is to be added and dropped at once.")));
    }
    if swap && add.iter().chain(&drop).any(|id| Some(&id.term) != add.iter().chain(&drop).next().map(|f| &f.term)) {
        return Err(Problem::invalid("add", "A swap must be within one term."));
    }
    let results = run_batch(&pool, &student.0.user, &add, &drop, swap, waitlist).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(json!({ "results": results })))
}

fn section_ids(field: &str, texts: Option<Vec<String>>) -> Result<Vec<SectionId>, Problem> {
    let mut ids: Vec<SectionId> = Vec::new();
    for text in texts.unwrap_or_default() {
        let id = SectionId::parse(&text)
            .map_err(|_| Problem::invalid(field, "A section's id is TERM-CRN, such as 202209-10001."))?;
        if ids.contains(&id) {
            return Err(Problem::invalid(field, format!("{id} is named twice.")));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// Asks each term for its part, and tells the results in the order asked: adds before drops.
pub(super) async fn run_batch(
    pool: &RegistrarPool,
    student: &UserName,
    add: &[SectionId],
    drop: &[SectionId],
    swap: bool,
    waitlist: bool,
) -> Result<Vec<Value>, Problem> {
    let mut parts: BTreeMap<&TermId, (Vec<Crn>, Vec<Crn>)> = BTreeMap::new();
    for id in add {
        parts.entry(&id.term).or_default().0.push(id.crn.clone());
    }
    for id in drop {
        parts.entry(&id.term).or_default().1.push(id.crn.clone());
    }
    let mut told: BTreeMap<SectionId, Value> = BTreeMap::new();
    for (term, (add, drop)) in parts {
        let all: Vec<Crn> = add.iter().chain(&drop).cloned().collect();
        let batch = Batch { student: student.clone(), add, drop, swap, waitlist };
        let outcomes = match pool.submit(term, Command::Batch(batch)).await {
            Some(Ok(Outcome::Batch(outcomes))) => outcomes,
            Some(Ok(other)) => return Err(Problem::internal(format_args!("a batch was answered {other:?}"))),
            // What other terms have answered already stands: this part says its own trouble.
            Some(Err(error)) if !told.is_empty() => {
                let problem = Problem::from(error).document();
                told.extend(all.into_iter().map(|crn| wish_problem(term, crn, &problem)));
                continue;
            }
            Some(Err(error)) => return Err(error.into()),
            None => all.into_iter().map(|crn| (crn, RequestOutcome::NotFound)).collect(),
        };
        told.extend(outcomes.into_iter().map(|(crn, outcome)| wish_json(term, crn, outcome)));
    }
    Ok(add.iter().chain(drop).filter_map(|id| told.remove(id)).collect())
}

fn wish_json(term: &TermId, crn: Crn, outcome: RequestOutcome) -> (SectionId, Value) {
    let problem = match outcome {
        RequestOutcome::Done(receipt) => {
            let body = receipt_json(term, &receipt);
            return (SectionId { term: term.clone(), crn }, body);
        }
        RequestOutcome::Refused(refusal) => Problem::from(refusal),
        RequestOutcome::NotFound => Problem::not_found("There is no such section, or you have never held it."),
        RequestOutcome::SwapUndone { because_of } => Problem::new(
            ProblemCode::SwapRefused,
            format!("Nothing was changed, because another part of the swap ({term}-{because_of}) could not be done."),
        ),
    };
    wish_problem(term, crn, &problem.document())
}

fn wish_problem(term: &TermId, crn: Crn, problem: &Value) -> (SectionId, Value) {
    let id = SectionId { term: term.clone(), crn };
    let body = json!({ "section": id, "problem": problem });
    (id, body)
}
