//! Histories of attempts: what was requested and what the hub decided, by student and by section.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use crate::domain::attempt::{Action, Asker, Attempt, Hash, Receipt};
use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::rights::Scope;
use crate::identity::disclosures::Disclosure;
use crate::identity::{Audit, Identity};
use crate::registration::readmodel::ReadModel;
use crate::store::attempts::{AttemptStore, StoredAttempt};

use crate::http::auth::{SignedIn, Staff, SubjectStaff};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::params::Limit;
use crate::http::openapi::responses::{BadPath, BadQuery, BadRole, BadToken, NotFound, StoreFailed};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;
use crate::http::sections::no_such_section;
use crate::http::students::student;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(own, of_student, of_section))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    let resource = |path: &str| web::resource(path.to_owned()).default_service(method_not_allowed("GET, HEAD"));
    cfg.service(resource("/api/v1/me/attempts").route(get().to(own)))
        .service(resource("/api/v1/students/{user}/attempts").route(get().to(of_student)))
        .service(resource("/api/v1/sections/{id}/attempts").route(get().to(of_section)));
}

/// The number and the hash of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptResponse {
    /// The number of the attempt within its term, from 1.
    #[schema(minimum = 1)]
    n: u64,
    /// SHA-256 over the hash of the previous attempt and the canonical row, in hexadecimal digits.
    #[schema(value_type = String, min_length = 64, max_length = 64)]
    hash: Hash,
}

impl From<Receipt> for ReceiptResponse {
    fn from(Receipt { n, hash }: Receipt) -> Self {
        Self { n, hash }
    }
}

/// A request that was decided, or what happened to a waitlist position or an offer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(super) struct AttemptItem {
    /// The number within the term, from 1, without gaps.
    #[schema(minimum = 1)]
    n: u64,
    /// When the hub received the request; without a request, the time of the decision.
    at: Timestamp,
    /// When it was decided.
    decided_at: Timestamp,
    user: UserName,
    section: SectionId,
    /// `register`, `drop`, `reorder`, `promote` or `lapse`.
    #[schema(value_type = String)]
    action: Action,
    /// The status in the response, or the code of its problem.
    result: &'static str,
    /// Whether the student already had the requested status, so that nothing was changed.
    repeated: bool,
    /// The waitlist position: after the decision, or before a promotion.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    position: Option<u32>,
    /// The open seats that the request found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    open: Option<u32>,
    /// Who requested it: `self`, `staff`, `promotion` or `system`.
    #[schema(value_type = String)]
    by: Asker,
    /// The `X-Request-Id` of the request; null if the hub itself decided without a request.
    #[schema(required)]
    request_id: Option<Uuid>,
    /// SHA-256 over the hash of the previous attempt and the canonical row, in hexadecimal digits.
    #[schema(value_type = String, min_length = 64, max_length = 64)]
    hash: Hash,
}

impl From<StoredAttempt> for AttemptItem {
    fn from(StoredAttempt { term, user, attempt }: StoredAttempt) -> Self {
        let Attempt { n, received_at, decided_at, crn, action, result, repeated, position, open, .. } = attempt;
        let Attempt { by, request_id, hash, .. } = attempt;
        let (at, section, result) = (received_at, SectionId { term, crn }, result.as_str());
        Self { n, at, decided_at, user, section, action, result, repeated, position, open, by, request_id, hash }
    }
}

/// Attempts, newest first.
#[derive(Serialize, ToSchema)]
struct AttemptList {
    items: Vec<AttemptItem>,
    /// The `cursor` of the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}

impl AttemptList {
    fn new(found: Vec<StoredAttempt>, limit: u32, cursor: impl Fn(&StoredAttempt) -> String) -> Self {
        let next = found.last().filter(|_| found.len() >= limit as usize).map(cursor);
        Self { items: found.into_iter().map(Into::into).collect(), next }
    }
}

/// The query for a page of a student's attempts.
struct StudentPage {
    term: Option<TermId>,
    before: Option<(TermId, u64)>,
    limit: u32,
}

impl StudentPage {
    /// Reads the query. Tokens of a sandbox are not admitted here, so the terms are those of the college.
    fn read(request: &HttpRequest) -> Result<Self, Problem> {
        let query = Query::of(request)?;
        let term = query.parsed("term", "a term's id", |text| TermId::parse(text).ok())?;
        if term.as_ref().is_some_and(TermId::is_sandbox) {
            return Err(Problem::invalid("term", "There is no such term."));
        }
        let before = query.parsed("cursor", "the `next` of an earlier page", |text| {
            let (term, n) = text.rsplit_once('-')?;
            Some((TermId::stored(term).ok()?, n.parse().ok().filter(|n| i64::try_from(*n).is_ok())?))
        })?;
        Ok(Self { term, before, limit: query.limit()? })
    }

    async fn list(self, store: &dyn AttemptStore, user: &UserName) -> Result<AttemptList, Problem> {
        let Self { term, before, limit } = self;
        let found = store.attempts_of_student(user, term, before, limit).await?;
        Ok(AttemptList::new(found, limit, |last| format!("{}-{}", last.term, last.attempt.n)))
    }
}

/// Lists the caller's attempts, newest first.
///
/// Terms are listed one after the other, the one with the greatest id first.
#[utoipa::path(
    get,
    path = "/api/v1/me/attempts",
    operation_id = "myAttempts",
    tag = "registration",
    params(
        ("term" = Option<TermId>, Query, description = "Only attempts in this term."),
        ("cursor" = Option<String>, Query, description = "The `next` of an earlier page."),
        Limit,
    ),
    responses((status = 200, description = "A page of attempts.", body = AttemptList), BadToken, BadQuery, StoreFailed)
)]
pub async fn own(
    request: HttpRequest,
    SignedIn(caller): SignedIn,
    store: Data<dyn AttemptStore>,
) -> Result<HttpResponse, Problem> {
    let list = StudentPage::read(&request)?.list(&**store, &caller.user).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(list))
}

/// Lists a student's attempts, newest first (staff of all subjects).
#[utoipa::path(
    get,
    path = "/api/v1/students/{user}/attempts",
    operation_id = "studentAttempts",
    tag = "administration",
    params(
        ("user" = UserName, Path, description = "The student."),
        ("term" = Option<TermId>, Query, description = "Only attempts in this term."),
        ("cursor" = Option<String>, Query, description = "The `next` of an earlier page."),
        Limit,
    ),
    responses(
        (status = 200, description = "A page of attempts.", body = AttemptList),
        BadRole, BadPath, BadQuery, StoreFailed,
    )
)]
pub async fn of_student(
    request: HttpRequest,
    Staff(staff): Staff,
    identity: Data<Identity>,
    store: Data<dyn AttemptStore>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let user = student(&request, &identity)?;
    let list = StudentPage::read(&request)?.list(&**store, &user).await?;
    let people = vec![user.clone()];
    audit.record_disclosure(&request, &staff, Disclosure::AttemptsRead, Some(user.as_str()), None, people).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(list))
}

/// Lists the attempts in a section, newest first (staff of its subject).
#[utoipa::path(
    get,
    path = "/api/v1/sections/{id}/attempts",
    operation_id = "sectionAttempts",
    tag = "catalogue",
    params(
        ("id" = SectionId, Path, description = "The section."),
        ("cursor" = Option<String>, Query, description = "The `next` of an earlier page."),
        Limit,
    ),
    responses(
        (status = 200, description = "A page of attempts.", body = AttemptList),
        BadRole, BadPath, BadQuery, NotFound, StoreFailed,
    )
)]
pub async fn of_section(
    request: HttpRequest,
    staff: SubjectStaff,
    model: Data<ReadModel>,
    store: Data<dyn AttemptStore>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let id = SectionId::parse(&path_param(&request, "id")?).map_err(|_| no_such_section())?;
    let (row, _) = model.section(&id).ok_or_else(no_such_section)?;
    let caller = staff.concerning([Scope::Subject(row.state.section.subject())])?;
    let query = Query::of(&request)?;
    let (before, limit) = (query.u64("cursor", 1..=i64::MAX as u64)?, query.limit()?);
    let found = store.attempts_of_section(&id, before, limit).await?;
    let people = found.iter().map(|one| one.user.clone()).collect();
    audit.record_disclosure(&request, &caller, Disclosure::AttemptsRead, None, Some(&id), people).await?;
    let list = AttemptList::new(found, limit, |last| last.attempt.n.to_string());
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(list))
}
