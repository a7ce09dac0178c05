//! A student's own registrations: adding, dropping and swapping one or several sections.

use std::collections::BTreeMap;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use crate::domain::attempt::Receipt;
use crate::domain::batch::Receipts;
use crate::domain::choices::WaitlistChoices;
use crate::domain::command::{Batch, Command};
use crate::domain::ids::{CODE_LEN_MAX, Crn, SectionId, TermId, UserName};
use crate::domain::outcome::{CurrentRegistration, Outcome, RequestOutcome};
use crate::domain::realm::Realm;
use crate::domain::registration::RegistrationStatus;
use crate::domain::section::Credits;
use crate::identity::Caller;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::{ReadModel, TermModel};
use crate::registration::submitted::{Replied, Submitted};

use crate::http::attempts::ReceiptResponse;
use crate::http::auth::Student;
use crate::http::batch_request::{BatchRequest, CheckedBatch};
use crate::http::body::{read_body, read_body_or_nothing};
use crate::http::connection::gone;
use crate::http::error::Problem;
use crate::http::openapi::params::Waitlist;
use crate::http::openapi::responses::{BadBody, BadPath, BadQuery, BadRole, NotFound, Refused, StoreFailed};
use crate::http::problem::{ProblemCode, ProblemDocument};
use crate::http::query::{Query, path_param};
use crate::http::request_id::{PRIVATE, RequestId};
use crate::http::sections::no_such_section;
use crate::http::waitlist_choices::{AddedSection, ChoicesRequest, ChoicesResponse, choice_problem};

/// The longest section id, in bytes: a term, a hyphen and a CRN.
pub(super) const SECTION_LEN_MAX: usize = 2 * CODE_LEN_MAX + 1;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(register, drop_one, list, batch))]
pub(super) struct Api;

/// The state of a student's registration for a section.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Registration)]
pub(super) struct RegistrationResponse {
    pub(super) section: SectionId,
    /// Only if `section` was taken instead of another one: that one, from the plan or the request (`any_of`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    planned: Option<SectionId>,
    status: RegistrationStatus,
    /// The position on the waitlist, starting at 1; only while waitlisted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    position: Option<u32>,
    /// The time until which the offered seat can be accepted; only while offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
    /// The section's credits; absent after a drop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    credits: Option<Credits>,
    /// When this status began.
    at: Timestamp,
    /// The receipt of the request; only in the response to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    receipt: Option<ReceiptResponse>,
    #[serde(flatten)]
    choices: ChoicesResponse,
}

impl RegistrationResponse {
    fn new(term: &TermId, current: CurrentRegistration, receipt: Option<Receipt>) -> Self {
        let CurrentRegistration { crn, status, position, expires_at, credits, at, is_new: _, choices } = current;
        let choices = ChoicesResponse::new(term, choices.as_deref());
        let credits = (status != RegistrationStatus::Dropped).then_some(credits);
        let (section, receipt) = (SectionId { term: term.clone(), crn }, receipt.map(Into::into));
        Self { section, planned: None, status, position, expires_at, credits, at, receipt, choices }
    }
}

impl RegistrationResponse {
    /// States the section in the plan, or the requested one, if this section was taken instead of it.
    fn instead_of(self, planned: Option<&SectionId>) -> Self {
        let planned = planned.filter(|planned| **planned != self.section).cloned();
        Self { planned, ..self }
    }
}

/// A student's registrations and credits.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Registrations {
    /// Sections in which the student is enrolled, offered a seat or waitlisted, in the order of registration. Dropped
    /// sections are not listed.
    pub(super) items: Vec<RegistrationResponse>,
    /// The credits in which the student is enrolled, by term.
    pub(super) credits: BTreeMap<TermId, Credits>,
}

impl Registrations {
    /// Returns a student's registrations in `only`, or in all terms of a realm.
    pub(super) fn of(model: &ReadModel, realm: &Realm, student: &UserName, only: Option<&TermId>) -> Self {
        let mut registrations = Self::default();
        for (id, term) in model.terms_in(realm).iter().filter(|(id, _)| only.is_none_or(|only| only == *id)) {
            let registered = registrations_in(id, term, student);
            if !registered.is_empty() || only.is_some() {
                registrations.credits.insert(id.clone(), term.enrolled_credits(student));
            }
            registrations.items.extend(registered);
        }
        registrations
    }
}

/// The result of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchResponse {
    /// One result for each section, in the order of the request: adds before drops.
    pub(super) results: Vec<BatchResult>,
}

/// The result for one section of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum BatchResult {
    /// The section was added or dropped.
    Done(RegistrationResponse),
    /// The section was refused.
    Refused(BatchRefusal),
}

/// A section of a batch that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchRefusal {
    section: SectionId,
    problem: Box<ProblemDocument>,
    /// The receipt, as in `problem`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    receipt: Option<ReceiptResponse>,
}

/// Registers the caller for a section (students).
///
/// With `waitlist=true`, the caller joins the waitlist if the section is full. If a seat is offered to the caller, the
/// request accepts it. Registering again for the same section returns its current state and never takes a second seat.
///
/// The optional body has waitlist choices, which need `waitlist=true`. They are kept while the caller waits; to change
/// them, drop the position and join again.
#[utoipa::path(
    put,
    path = "/api/v1/me/registrations/{section}",
    operation_id = "register",
    tag = "registration",
    params(("section" = SectionId, Path, description = "The section."), Waitlist),
    request_body(content = Option<ChoicesRequest>),
    responses(
        (status = 200, description = "Already registered: the current state.", body = RegistrationResponse),
        (status = 201, description = "Enrolled or waitlisted, or an offer was accepted; the change is durable.", body = RegistrationResponse),
        BadPath, BadRole, BadBody, NotFound, Refused, StoreFailed,
    )
)]
pub async fn register(
    request: HttpRequest,
    student: Student,
    payload: web::Payload,
    pool: Data<RegistrarPool>,
) -> Result<HttpResponse, Problem> {
    let waitlist = Query::of(&request)?.bool("waitlist")?.unwrap_or(false);
    let id = SectionId::parse(&path_param(&request, "section")?).map_err(|_| no_such_section())?;
    let choices: ChoicesRequest = read_body_or_nothing(&request, payload).await?;
    let (choices, student, realm) = (choices.check(&id, waitlist)?, student.0.user, student.0.realm);
    let command = match choices {
        Some(choices) => Command::RegisterWith { student, crn: id.crn, choices },
        None => Command::Register { student, crn: id.crn, waitlist },
    };
    let command = Submitted::by_student(command, RequestId::of(&request));
    let submitted = submit_one(&pool, &realm, &id.term, command, "There is no such section.");
    unless_gone(&request, submitted).await
}

/// Drops the caller from a section or its waitlist, or declines an offer of a seat (students).
///
/// A hold can block the drop of a seat.
#[utoipa::path(
    delete,
    path = "/api/v1/me/registrations/{section}",
    operation_id = "drop",
    tag = "registration",
    params(("section" = SectionId, Path, description = "The section.")),
    responses(
        (status = 200, description = "Dropped now or earlier.", body = RegistrationResponse),
        BadPath, BadRole, NotFound, Refused, StoreFailed,
    )
)]
pub async fn drop_one(
    request: HttpRequest,
    student: Student,
    pool: Data<RegistrarPool>,
) -> Result<HttpResponse, Problem> {
    let never_registered = || Problem::not_found(NEVER_REGISTERED);
    let id = SectionId::parse(&path_param(&request, "section")?).map_err(|_| never_registered())?;
    let command = Command::Drop { student: student.0.user, crn: id.crn };
    let command = Submitted::by_student(command, RequestId::of(&request));
    unless_gone(&request, submit_one(&pool, &student.0.realm, &id.term, command, NEVER_REGISTERED)).await
}

/// Waits for a submitted command, and abandons it when the client has gone. A command that has not been decided by then
/// is never decided.
pub(super) async fn unless_gone<T>(
    request: &HttpRequest,
    submitted: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    tokio::select! {
        biased;
        response = submitted => response,
        () = gone(request) => Err(Problem::outcome_unknown()),
    }
}

const NEVER_REGISTERED: &str = "You have never been enrolled or waitlisted in this section.";

pub(super) async fn submit_one(
    pool: &RegistrarPool,
    realm: &Realm,
    term: &TermId,
    command: Submitted,
    not_found: &'static str,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found(not_found);
    let is_move = matches!(command.command, Command::MoveOnWaitlist(_));
    let requested = match &command.command {
        Command::RegisterWith { crn, .. } => Some(SectionId { term: term.clone(), crn: crn.clone() }),
        _ => None,
    };
    let Replied { outcome, receipts } = pool.request_in(realm, term, command).await.ok_or_else(not_found)??;
    let receipt = receipts.first().copied();
    match outcome {
        Outcome::Request(RequestOutcome::Done(current)) => {
            let created = current.is_new && current.status != RegistrationStatus::Dropped && !is_move;
            let mut response = if created { HttpResponse::Created() } else { HttpResponse::Ok() };
            let body = RegistrationResponse::new(term, current, receipt).instead_of(requested.as_ref());
            Ok(response.insert_header(PRIVATE).json(body))
        }
        Outcome::Request(RequestOutcome::Refused(refusal)) => Err(Problem::from(refusal).receipt(receipt)),
        Outcome::Request(RequestOutcome::InChoices { crn, problem }) => {
            Err(choice_problem(term, crn, problem).receipt(receipt))
        }
        Outcome::Request(RequestOutcome::NotFound) => Err(not_found().receipt(receipt)),
        other => Err(Problem::internal(format_args!("the outcome of a registration was {other:?}"))),
    }
}

/// Lists the caller's registrations (students).
#[utoipa::path(
    get,
    path = "/api/v1/me/registrations",
    operation_id = "registrations",
    tag = "registration",
    params(("term" = Option<TermId>, Query, description = "Only registrations in this term.")),
    responses(
        (status = 200, description = "The registrations, without dropped ones.", body = Registrations),
        BadQuery, BadRole,
    )
)]
pub async fn list(request: HttpRequest, student: Student, model: Data<ReadModel>) -> Result<HttpResponse, Problem> {
    let term = Query::of(&request)?.parsed("term", "a term's id", |t| TermId::parse(t).ok())?;
    let Caller { realm, user, .. } = &student.0;
    if term.as_ref().is_some_and(|term| model.term_in(realm, term).is_none()) {
        return Err(Problem::invalid("term", "There is no such term."));
    }
    let registrations = Registrations::of(&model, realm, user, term.as_ref());
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(registrations))
}

/// Returns a student's registrations in one term, in the order of registration.
fn registrations_in(id: &TermId, term: &TermModel, student: &UserName) -> Vec<RegistrationResponse> {
    let (Some(registrations), snapshot) = (term.registrations(student), term.snapshot()) else { return Vec::new() };
    let registered = registrations.iter().filter(|r| r.is_registered());
    registered
        .filter_map(|registration| {
            let row = snapshot.row(&registration.crn)?;
            let is_waitlisted = registration.status == RegistrationStatus::Waitlisted;
            Some(RegistrationResponse {
                section: SectionId { term: id.clone(), crn: registration.crn.clone() },
                planned: None,
                status: registration.status,
                position: is_waitlisted.then(|| row.position(registration.queue_number)),
                expires_at: registration.offer.map(|offer| offer.expires_at),
                credits: Some(row.state.section.credits),
                at: registration.at,
                receipt: None,
                choices: ChoicesResponse::new(id, registration.choices.as_deref()),
            })
        })
        .collect()
}

/// Adds, drops or swaps several sections (students).
#[utoipa::path(
    post,
    path = "/api/v1/me/registrations",
    operation_id = "registerBatch",
    tag = "registration",
    request_body = BatchRequest,
    responses(
        (status = 200, description = "A result for each section, with a `problem` if it was refused.",
            body = BatchResponse),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn batch(
    request: HttpRequest,
    student: Student,
    payload: web::Payload,
    pool: Data<RegistrarPool>,
) -> Result<HttpResponse, Problem> {
    if student.0.realm.is_sandbox() {
        return Err(Problem::forbidden("Students of a demonstration must register for sections one by one."));
    }
    let batch: BatchRequest = read_body(&request, payload).await?;
    let CheckedBatch { add, drop, swap, waitlist } = batch.check()?;
    let requested = RequestedBatch { add: &add, drop: &drop, swap, waitlist, request_id: RequestId::of(&request) };
    let results = run_batch(&pool, &student.0.user, &requested);
    let results = unless_gone(&request, results).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(BatchResponse { results }))
}

/// What a batch requests.
pub(super) struct RequestedBatch<'b> {
    pub(super) add: &'b [AddedSection],
    pub(super) drop: &'b [SectionId],
    pub(super) swap: bool,
    pub(super) waitlist: bool,
    pub(super) request_id: Option<Uuid>,
}

/// Submits a batch, one part for each term, and returns the results in the order of the request, adds before drops.
pub(super) async fn run_batch(
    pool: &RegistrarPool,
    student: &UserName,
    &RequestedBatch { add, drop, swap, waitlist, request_id }: &RequestedBatch<'_>,
) -> Result<Vec<BatchResult>, Problem> {
    #[derive(Default)]
    struct Part {
        add: Vec<Crn>,
        drop: Vec<Crn>,
        choices: BTreeMap<Crn, WaitlistChoices>,
    }
    let mut parts: BTreeMap<&TermId, Part> = BTreeMap::new();
    for AddedSection { section: id, choices } in add {
        let part = parts.entry(&id.term).or_default();
        part.add.push(id.crn.clone());
        part.choices.extend(choices.clone().map(|choices| (id.crn.clone(), choices)));
    }
    for id in drop {
        parts.entry(&id.term).or_default().drop.push(id.crn.clone());
    }
    let mut results: BTreeMap<SectionId, BatchResult> = BTreeMap::new();
    for (term, Part { add, drop, choices }) in parts {
        let all: Vec<Crn> = add.iter().chain(&drop).cloned().collect();
        let section = |crn| SectionId { term: term.clone(), crn };
        let batch = Batch { student: student.clone(), add, drop, swap, waitlist, choices };
        let command = Submitted::by_student(Command::Batch(batch), request_id);
        let (outcomes, receipts) = match pool.request_in(&Realm::College, term, command).await {
            Some(Ok(Replied { outcome: Outcome::Batch(outcomes), receipts })) => (outcomes, receipts),
            Some(Ok(Replied { outcome: other, .. })) => {
                return Err(Problem::internal(format_args!("the outcome of a batch was {other:?}")));
            }
            // The results of earlier terms are durable and must be returned, so only this term reports the error.
            Some(Err(error)) if !results.is_empty() => {
                let problem = Problem::from(error).into_document();
                results.extend(all.into_iter().map(section).map(|section| {
                    let refusal = BatchRefusal { section: section.clone(), problem: problem.clone(), receipt: None };
                    (section, BatchResult::Refused(refusal))
                }));
                continue;
            }
            Some(Err(error)) => return Err(error.into()),
            None => (all.iter().map(|crn| (crn.clone(), RequestOutcome::NotFound)).collect(), Receipts::new()),
        };
        let receipts = receipts.into_iter().map(Some).chain(std::iter::repeat(None));
        // An outcome has the CRN of an alternative if the student got a seat in the alternative.
        let outcomes = outcomes.into_iter().map(|(_, outcome)| outcome);
        results.extend(all.into_iter().zip(outcomes).zip(receipts).map(|((crn, outcome), receipt)| {
            let section = section(crn);
            (section.clone(), BatchResult::new(section.clone(), outcome, receipt).instead_of(&section))
        }));
    }
    Ok(add.iter().map(|one| &one.section).chain(drop).filter_map(|id| results.remove(id)).collect())
}

impl BatchResult {
    /// Creates the result for a section that was not decided.
    pub(super) fn failed(section: SectionId, problem: Box<ProblemDocument>) -> Self {
        Self::Refused(BatchRefusal { section, problem, receipt: None })
    }

    /// States the section in the plan, or the requested one, if another section was taken instead of it.
    pub(super) fn instead_of(self, planned: &SectionId) -> Self {
        match self {
            Self::Done(taken) => Self::Done(taken.instead_of(Some(planned))),
            Self::Refused(refusal) => Self::Refused(refusal),
        }
    }

    pub(super) fn new(section: SectionId, outcome: RequestOutcome, receipt: Option<Receipt>) -> Self {
        let problem = match outcome {
            RequestOutcome::Done(current) => {
                return Self::Done(RegistrationResponse::new(&section.term, current, receipt));
            }
            RequestOutcome::Refused(refusal) => Problem::from(refusal),
            RequestOutcome::InChoices { crn, problem } => choice_problem(&section.term, crn, problem),
            RequestOutcome::NotFound => Problem::not_found("There is no such section, or you were never in it."),
            RequestOutcome::SwapUndone { because_of } => {
                let other = SectionId { term: section.term.clone(), crn: because_of };
                let detail =
                    format!("Nothing was changed because another part of the swap ({other}) could not be completed.");
                Problem::new(ProblemCode::SwapRefused, detail)
            }
        };
        let problem = problem.receipt(receipt).into_document();
        Self::Refused(BatchRefusal { section, problem, receipt: receipt.map(Into::into) })
    }
}
