//! Rehearsals of registration: staff try all plans on a copy of a term before it opens.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::{OpenApi, ToSchema};

use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::TermId;
use crate::domain::rehearsal::Order;
use crate::identity::Audit;
use crate::registration::readmodel::ReadModel;
use crate::registration::rehearsals::{Busy, RUNS_MAX, RehearsalReport, RehearsalRequest, Rehearsals};

use crate::http::auth::Staff;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::imports::TaskStarted;
use crate::http::openapi::responses::{BadBody, BadRole, NotFound};
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;

/// The longest id of a term, in characters.
const TERM_CHARS_MAX: usize = 24;
/// `Retry-After` while another rehearsal runs, in seconds.
const BUSY_RETRY_S: u32 = 10;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(start, one, cancel))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/staff/rehearsals")
            .route(web::post().to(start))
            .default_service(method_not_allowed("POST")),
    )
    .service(
        web::resource("/api/v1/staff/rehearsals/{task}")
            .route(get().to(one))
            .route(web::delete().to(cancel))
            .default_service(method_not_allowed("GET, HEAD, DELETE")),
    );
}

/// A rehearsal to start.
#[derive(ToSchema)]
#[schema(as = RehearsalRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    #[schema(value_type = TermId)]
    term: TermId,
    /// `windows`: each student arrives when that student's window opens, in random order within a window. `random`: all
    /// arrive in random order when the term opens; windows are ignored.
    #[schema(value_type = String)]
    order: Order,
    /// The number of runs, each with a different random order.
    #[schema(minimum = 1, maximum = 50, default = 1)]
    runs: Option<u32>,
    /// The seed of the random orders. If it is absent, the hub chooses one.
    seed: Option<u32>,
    /// Whether the students join waitlists even where their plans do not say so.
    #[schema(default = false)]
    waitlist: Option<bool>,
}

impl RequestBody for Request {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let term = fields.string("term", 1..=TERM_CHARS_MAX)?;
        Ok(Self {
            term: TermId::parse(&term).map_err(|_| no_such_term())?,
            order: fields.parsed("order", "random or windows", |text| text.parse().ok())?,
            runs: fields.maybe_u32("runs", 1..=RUNS_MAX)?,
            seed: fields.maybe_u32("seed", 0..=u32::MAX)?,
            waitlist: fields.maybe_bool("waitlist")?,
        })
    }
}

fn no_such_term() -> Problem {
    Problem::invalid("term", "There is no such term.")
}

fn no_such_task() -> Problem {
    Problem::not_found("There is no such rehearsal. Only the newest ones since the start of the hub are available.")
}

/// Starts a rehearsal of registration (staff of all subjects).
///
/// All students' plans are registered against a copy of the term, with the same rules. Nothing is stored, and the term
/// does not change. One rehearsal runs at a time: the response is 429 while another runs.
#[utoipa::path(
    post,
    path = "/api/v1/staff/rehearsals",
    operation_id = "startRehearsal",
    tag = "registration",
    request_body = Request,
    responses(
        (status = 202, description = "Started. It continues as a task.", body = TaskStarted, headers(
            ("Location" = String, description = "The task's address."),
        )),
        BadRole, BadBody,
    )
)]
pub async fn start(
    request: HttpRequest,
    Staff(caller): Staff,
    payload: web::Payload,
    model: Data<ReadModel>,
    rehearsals: Data<Rehearsals>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let Request { term, order, runs, seed, waitlist } = read_body(&request, payload).await?;
    let published = model.term(&term).ok_or_else(no_such_term)?;
    if order == Order::Windows && published.snapshot().term.opens_at.is_none() {
        let detail = "The term has no opening time, so no window opens. Set it first, or rehearse in random order.";
        return Err(Problem::invalid("order", detail));
    }
    let (runs, seed) = (runs.unwrap_or(1), seed.unwrap_or_else(rand::random));
    let rehearsal = RehearsalRequest { term, order, runs, seed, waitlist: waitlist.unwrap_or(false) };
    let task = rehearsals.start(&rehearsal).map_err(|Busy| {
        Problem::rate_limited("Another rehearsal is running. Try again when it has ended.", BUSY_RETRY_S)
    })?;
    let (rehearsals, id) = (rehearsals.into_inner(), task.clone());
    let detail = AuditDetail::Rehearsal { n: rehearsal.runs.into(), term: rehearsal.term.to_string() };
    // A separate task, so that the rehearsal continues when the client disconnects.
    actix_web::rt::spawn(async move { rehearsals.run(&id, rehearsal).await });
    audit.record(&request, Some(&caller), "rehearsal.start", Some(&task), None, detail).await;
    let at = format!("/api/v1/staff/rehearsals/{task}");
    Ok(HttpResponse::Accepted().insert_header(("Location", at)).insert_header(PRIVATE).json(TaskStarted { task }))
}

/// Returns a rehearsal (staff of all subjects).
#[utoipa::path(
    get,
    path = "/api/v1/staff/rehearsals/{task}",
    operation_id = "rehearsal",
    tag = "registration",
    params(("task" = String, Path, description = "The rehearsal.")),
    responses((status = 200, description = "Its current state.", body = RehearsalReport), BadRole, NotFound)
)]
pub async fn one(request: HttpRequest, _: Staff, rehearsals: Data<Rehearsals>) -> Result<HttpResponse, Problem> {
    let report = rehearsals.report(&path_param(&request, "task")?).ok_or_else(no_such_task)?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(report))
}

/// Cancels a rehearsal that has not ended (staff of all subjects).
#[utoipa::path(
    delete,
    path = "/api/v1/staff/rehearsals/{task}",
    operation_id = "cancelRehearsal",
    tag = "registration",
    params(("task" = String, Path, description = "The rehearsal.")),
    responses((status = 200, description = "Its current state.", body = RehearsalReport), BadRole, NotFound)
)]
pub async fn cancel(request: HttpRequest, _: Staff, rehearsals: Data<Rehearsals>) -> Result<HttpResponse, Problem> {
    let report = rehearsals.cancel(&path_param(&request, "task")?).ok_or_else(no_such_task)?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<Request>(&[("order", serde_json::json!("windows"))]);
    }
}
