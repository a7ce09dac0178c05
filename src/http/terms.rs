//! Terms and their registration windows.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::clock::Clock;
use crate::config::{College, Privacy};
use crate::domain::command::{Command, TermPatch};
use crate::domain::ids::{SANDBOX_PREFIX, TermId, UserName};
use crate::domain::offer::WaitlistMode;
use crate::domain::role::Role;
use crate::domain::section::Credits;
use crate::domain::term::{Term, Window};
use crate::domain::waitlist_order;
use crate::identity::audit::Audit;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::{ReadModel, TermModel};
use crate::registration::submitted::Submitted;

use crate::http::auth::{Staff, Visitor};
use crate::http::body::read_body;
use crate::http::error::Problem;
use crate::http::openapi::ReadOnlyMembers;
use crate::http::openapi::responses::{BadBody, BadRole, BadToken, StoreFailed};
use crate::http::query::path_param;
use crate::http::students::HoldResponse;
use crate::http::term_request::{GroupWindowBody, TermRequest, closes_before_opening, describe, nullable_mode};

/// The maximum number of credits of a student in one term; 0 means no limit.
#[derive(Debug, Clone, Copy)]
pub struct CreditLimit(pub Credits);

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list, put), modifiers(&TERM_READ_ONLY))]
pub(super) struct Api;

/// Describes the members of a term that the hub sets itself.
const TERM_READ_ONLY: ReadOnlyMembers<TermRequest> = ReadOnlyMembers::NEW;

/// All terms.
#[derive(Debug, Serialize, ToSchema)]
struct TermList<'a> {
    items: Vec<TermResponse<'a>>,
    college: CollegeResponse<'a>,
}

/// The college.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = College)]
struct CollegeResponse<'a> {
    name: &'a str,
    /// The IANA name of its time zone, such as `America/New_York`.
    timezone: &'a str,
    /// Pages show visitors a smaller count of people as "fewer than" this number. Absent if all counts are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    small_counts: Option<u32>,
}

/// A term and its registration window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Term)]
struct TermResponse<'a> {
    id: &'a TermId,
    title: &'a str,
    #[schema(required)]
    starts_on: Option<Date>,
    #[schema(required)]
    ends_on: Option<Date>,
    /// When registration opens; null if it is closed.
    #[schema(required)]
    opens_at: Option<Timestamp>,
    /// When registration closes; null if it stays open.
    #[schema(required)]
    closes_at: Option<Timestamp>,
    /// When registration is open for groups of students, instead of `opens_at` and `closes_at`.
    windows: Vec<GroupWindowBody>,
    /// Days without classes.
    holidays: &'a [Date],
    /// The deadline to add sections (excluded); null if they can be added until registration closes.
    #[schema(required)]
    add_until: Option<Timestamp>,
    /// The deadline to drop seats (excluded); null if they can always be dropped.
    #[schema(required)]
    drop_until: Option<Timestamp>,
    /// When the waitlists end: students join them and are promoted until then; null if they do not end.
    #[schema(required)]
    waitlist_until: Option<Timestamp>,
    /// Whether a free seat is assigned to the head of the waitlist (`auto`) or offered (`offer`); null is the college's
    /// setting.
    #[schema(required, schema_with = nullable_mode)]
    waitlist: Option<WaitlistMode>,
    /// How long a seat is offered, in seconds; null is the college's setting.
    #[schema(required)]
    offer_s: Option<u32>,
    /// The longest time for which a seat is offered in the first 24 hours after the term opens, in seconds; null is the
    /// college's setting.
    #[schema(required)]
    offer_first_day_s: Option<u32>,
    /// The groups whose students come first on waitlists, in order; empty if only the order of joining counts.
    waitlist_priority: &'a [Box<str>],
    /// The time on the hub's clock, for countdowns.
    now: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    mine: Option<TermMine>,
}

impl<'a> TermResponse<'a> {
    fn new(term: &'a Term, now: Timestamp) -> Self {
        Self {
            id: &term.id,
            title: &term.title,
            starts_on: term.starts_on,
            ends_on: term.ends_on,
            opens_at: term.opens_at,
            closes_at: term.closes_at,
            windows: term.windows.iter().cloned().map(GroupWindowBody::from).collect(),
            holidays: &term.holidays,
            add_until: term.cutoffs.add_until,
            drop_until: term.cutoffs.drop_until,
            waitlist_until: term.cutoffs.waitlist_until,
            waitlist: term.offers.mode,
            offer_s: term.offers.offer_s,
            offer_first_day_s: term.offers.first_day_s,
            waitlist_priority: &term.offers.priority,
            now,
            mine: None,
        }
    }
}

/// The term as it applies to the caller. Only for signed-in students.
#[derive(Debug, Serialize, ToSchema)]
struct TermMine {
    /// When registration opens for the student; null if it is closed.
    #[schema(required)]
    opens_at: Option<Timestamp>,
    #[schema(required)]
    closes_at: Option<Timestamp>,
    /// The credits in which the student is enrolled.
    credits: Credits,
    /// The maximum number of credits; null means no limit.
    #[schema(required)]
    credit_limit: Option<Credits>,
    /// The group that gives the student priority on waitlists, as `waitlist_priority` declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    priority_group: Option<Box<str>>,
    /// The holds on the student's registration.
    holds: Vec<HoldResponse>,
}

impl TermMine {
    fn new(model: &TermModel, student: &UserName, limit: Credits) -> Self {
        let facts = model.facts(student);
        let term = model.snapshot().term.clone();
        let Window { opens_at, closes_at } = term.window_of(facts.as_deref());
        let limit = facts.as_ref().and_then(|facts| facts.credit_limit).unwrap_or(limit);
        Self {
            opens_at,
            closes_at,
            credits: model.enrolled_credits(student),
            credit_limit: (limit.0 > 0).then_some(limit),
            priority_group: waitlist_order::group_of(&term.offers.priority, facts.as_deref()).map(Into::into),
            holds: facts.iter().flat_map(|facts| facts.holds.iter().cloned()).map(HoldResponse::from).collect(),
        }
    }
}

/// Lists terms and their registration windows.
///
/// For signed-in students each term has `mine`.
#[utoipa::path(
    get,
    path = "/api/v1/terms",
    operation_id = "listTerms",
    tag = "catalogue",
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "All terms.", body = TermList), BadToken)
)]
pub async fn list(
    visitor: Visitor,
    model: Data<ReadModel>,
    clock: Data<dyn Clock>,
    limit: Data<CreditLimit>,
    college: Data<College>,
    privacy: Data<Privacy>,
) -> HttpResponse {
    let now = clock.now();
    let student = visitor.0.as_ref().filter(|caller| caller.role == Role::Student).map(|caller| &caller.user);
    let terms = model.terms();
    let terms: Vec<_> = terms.values().map(|term| (term, term.snapshot())).collect();
    let items = terms.iter().map(|(model, snapshot)| TermResponse {
        mine: student.map(|student| TermMine::new(model, student, limit.0)),
        ..TermResponse::new(&snapshot.term, now)
    });
    let timezone = college.timezone.iana_name().unwrap_or("UTC");
    let small_counts = Some(privacy.small_counts).filter(|count| *count > 0);
    let college = CollegeResponse { name: &college.name, timezone, small_counts };
    let list = TermList { items: items.collect(), college };
    let cache = if visitor.0.is_some() { "private, no-store" } else { "no-store" };
    HttpResponse::Ok().insert_header(("Cache-Control", cache)).json(list)
}

/// Creates or changes a term (staff of all subjects).
///
/// Registration is open from `opens_at` until `closes_at`; `starts_on` and `ends_on` do not affect it.
#[utoipa::path(
    put,
    path = "/api/v1/terms/{id}",
    operation_id = "putTerm",
    tag = "catalogue",
    params(("id" = TermId, Path, description = "The term.")),
    request_body = TermRequest,
    responses(
        (status = 200, description = "Changed.", body = TermResponse),
        (status = 201, description = "Created.", body = TermResponse),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn put(
    request: HttpRequest,
    staff: Staff,
    payload: web::Payload,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    clock: Data<dyn Clock>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let patch = TermPatch::from(read_body::<TermRequest>(&request, payload).await?);
    let id = TermId::parse(&path_param(&request, "id")?).map_err(|_| {
        let detail = "A term code has 1 to 24 letters, digits, dots, underscores, or hyphens.";
        Problem::invalid("id", detail).reason("term_code")
    })?;
    if id.is_sandbox() {
        let detail = format!("Term ids that begin with {SANDBOX_PREFIX} are reserved for demonstrations.");
        return Err(Problem::invalid("id", detail));
    }
    let known = model.term(&id);
    check_order(&patch, known.as_ref().map(|t| t.snapshot().term.clone()).as_deref())?;
    let detail = describe(&patch);
    let entry = audit.entry_in_commit(&request, &staff.0, "term.change", Some(id.as_str()), None, detail);
    pool.submit_or_create(id.clone(), Submitted::from(Command::PutTerm(patch)).audited(entry)).await?;
    let term = model
        .term(&id)
        .ok_or_else(|| Problem::internal("a term was changed but not published"))?
        .snapshot()
        .term
        .clone();
    let mut response = if known.is_some() { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(TermResponse::new(&term, clock.now())))
}

/// Rejects changes after which a term would end before it starts, or close before it opens.
fn check_order(patch: &TermPatch, known: Option<&Term>) -> Result<(), Problem> {
    let opens_at = patch.opens_at.unwrap_or_else(|| known.and_then(|t| t.opens_at));
    let closes_at = patch.closes_at.unwrap_or_else(|| known.and_then(|t| t.closes_at));
    if opens_at.zip(closes_at).is_some_and(|(opens, closes)| closes <= opens) {
        return Err(closes_before_opening("closes_at"));
    }
    let starts_on = patch.starts_on.unwrap_or_else(|| known.and_then(|t| t.starts_on));
    let ends_on = patch.ends_on.unwrap_or_else(|| known.and_then(|t| t.ends_on));
    if starts_on.zip(ends_on).is_some_and(|(first, last)| last < first) {
        return Err(Problem::invalid("ends_on", "A term must not end before it starts."));
    }
    Ok(())
}
