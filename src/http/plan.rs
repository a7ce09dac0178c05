//! Plans: the sections that a student prepares, and registration for all of them at once.

use std::collections::BTreeMap;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::command::Command;
use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::outcome::{Outcome, RequestOutcome};
use crate::domain::plan::{ALTERNATES_MAX, PLAN_LEN_MAX, PLAN_NAME_CHARS_MAX, PLANS_MAX, PlanName, PlannedSection};
use crate::domain::realm::Realm;
use crate::identity::Caller;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::registration::submitted::{Replied, Submitted};
use crate::store::plans::{Plan, PlanStore, PutPlan};

use crate::http::auth::Student;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::Problem;
use crate::http::openapi::params::Waitlist;
use crate::http::openapi::responses::{BadBody, BadPath, BadRole, NotFound, StoreFailed};
use crate::http::query::{Query, path_param};
use crate::http::registrations::{BatchResponse, BatchResult, SECTION_LEN_MAX, unless_gone};
use crate::http::request_id::{PRIVATE, RequestId};

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(get, put, register, list, one, put_one, remove))]
pub(super) struct Api;

/// The sections that a student plans to register for, in the student's order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(super) struct PlanResponse {
    #[schema(max_items = 50, value_type = Vec<PlanEntry>)]
    pub(super) sections: Vec<PlannedSection>,
}

/// A plan with its name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamedPlan)]
pub(super) struct NamedPlanResponse {
    #[schema(value_type = String)]
    name: PlanName,
    #[schema(max_items = 50, value_type = Vec<PlanEntry>)]
    sections: Vec<PlannedSection>,
}

impl From<Plan> for NamedPlanResponse {
    fn from(Plan { name, sections }: Plan) -> Self {
        Self { name, sections }
    }
}

/// The plans of a student: `default` first, then the others by name.
#[derive(Debug, Serialize, ToSchema)]
struct PlanList {
    items: Vec<NamedPlanResponse>,
}

/// A section of a plan: its id, or an object with choices.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes `PlannedSection`")]
pub(super) enum PlanEntry {
    /// The section.
    Section(SectionId),
    /// A section with choices.
    WithChoices(PlanEntryWithChoices),
}

/// A section of a plan with what to do if it cannot be taken.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes `PlannedSection`")]
pub(super) struct PlanEntryWithChoices {
    section: SectionId,
    /// Whether to join the waitlist if the section is full and no alternate can be taken.
    #[schema(value_type = Option<bool>, default = false)]
    waitlist: bool,
    /// Sections of the same term to take instead, the preferred one first.
    #[schema(value_type = Option<Vec<SectionId>>, max_items = 5)]
    alternates: Vec<SectionId>,
}

/// A new plan.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanRequest {
    #[schema(max_items = 50, value_type = Vec<PlanEntry>)]
    sections: Vec<RequestedEntry>,
}

/// A section of a new plan, not validated yet.
#[derive(Debug)]
struct RequestedEntry {
    section: String,
    waitlist: bool,
    alternates: Vec<String>,
}

impl RequestBody for PlanRequest {
    const SET_BY_HUB: &'static [&'static str] = &["name"];

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let plain = |section| RequestedEntry { section, waitlist: false, alternates: Vec::new() };
        let length = 1..=SECTION_LEN_MAX;
        let sections = fields.texts_or_objects("sections", PLAN_LEN_MAX, length.clone(), plain, |entry| {
            Ok(RequestedEntry {
                section: entry.string("section", length.clone())?,
                waitlist: entry.maybe_bool("waitlist")?.unwrap_or(false),
                alternates: entry.maybe_strings("alternates", ALTERNATES_MAX, length.clone())?.unwrap_or_default(),
            })
        })?;
        Ok(Self { sections })
    }
}

impl PlanRequest {
    /// Returns the planned sections, each once.
    fn into_sections(self, model: &ReadModel, caller: &Caller) -> Result<Vec<PlannedSection>, Problem> {
        let existing = |text: &str| {
            let id = SectionId::parse(text).ok();
            id.filter(|id| model.section_for(id, Some((&caller.user, caller.role))).is_some())
                .ok_or_else(|| Problem::invalid("sections", format!("There is no section {text}.")))
        };
        let mut planned: Vec<PlannedSection> = Vec::new();
        for RequestedEntry { section, waitlist, alternates: texts } in self.sections {
            let section = existing(&section)?;
            let mut alternates: Vec<SectionId> = Vec::new();
            for text in texts {
                let alternate = existing(&text)?;
                if alternate.term != section.term {
                    let detail = format!("The alternate {alternate} is not in the term of {section}.");
                    return Err(Problem::invalid("sections", detail));
                }
                if alternate != section && !alternates.contains(&alternate) {
                    alternates.push(alternate);
                }
            }
            if !planned.iter().any(|other| other.section == section) {
                planned.push(PlannedSection { section, waitlist, alternates });
            }
        }
        Ok(planned)
    }
}

/// Reads the name in the path.
fn name_in_path(request: &HttpRequest) -> Result<PlanName, Problem> {
    named(&path_param(request, "name")?)
}

fn named(text: &str) -> Result<PlanName, Problem> {
    PlanName::parse(text).ok_or_else(|| {
        let detail = format!("The name of a plan must have 1 to {PLAN_NAME_CHARS_MAX} visible characters.");
        Problem::invalid("name", detail)
    })
}

/// Returns the sections of the plan in the parameter `name`, or of the default plan; with the parameter `term`, only
/// those of this term.
pub(super) async fn requested_plan(
    request: &HttpRequest,
    student: &UserName,
    plans: &dyn PlanStore,
) -> Result<Vec<PlannedSection>, Problem> {
    let query = Query::of(request)?;
    let name = query.get("name")?.map(named).transpose()?.unwrap_or_default();
    let term = query.parsed("term", "a term's id", |text| TermId::parse(text).ok())?;
    let mut plan = stored_plan(student, &name, plans).await?;
    plan.retain(|planned| term.as_ref().is_none_or(|term| planned.section.term == *term));
    Ok(plan)
}

pub(super) async fn stored_plan(
    student: &UserName,
    name: &PlanName,
    plans: &dyn PlanStore,
) -> Result<Vec<PlannedSection>, Problem> {
    match plans.plan(student, name).await? {
        Some(sections) => Ok(sections),
        None if name.is_default() => Ok(Vec::new()),
        None => Err(no_such_plan()),
    }
}

fn no_such_plan() -> Problem {
    Problem::not_found("You have no plan with this name.")
}

/// Returns the caller's plan (students).
///
/// This is the plan with the name `default`. A plan can be made before registration opens.
#[utoipa::path(
    get,
    path = "/api/v1/me/plan",
    operation_id = "plan",
    tag = "registration",
    responses(
        (status = 200, description = "The plan.", body = PlanResponse),
        BadRole, StoreFailed,
    )
)]
pub async fn get(student: Student, plans: Data<dyn PlanStore>) -> Result<HttpResponse, Problem> {
    let sections = stored_plan(&student.0.user, &PlanName::default(), &**plans).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(PlanResponse { sections }))
}

/// Replaces the caller's plan (students).
#[utoipa::path(
    put,
    path = "/api/v1/me/plan",
    operation_id = "putPlan",
    tag = "registration",
    request_body = PlanRequest,
    responses(
        (status = 200, description = "The stored plan, without duplicates.", body = PlanResponse),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn put(
    request: HttpRequest,
    student: Student,
    payload: web::Payload,
    model: Data<ReadModel>,
    plans: Data<dyn PlanStore>,
) -> Result<HttpResponse, Problem> {
    let sections = read_body::<PlanRequest>(&request, payload).await?.into_sections(&model, &student.0)?;
    plans.put_plan(&student.0.user, Plan { name: PlanName::default(), sections: sections.clone() }).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(PlanResponse { sections }))
}

/// Lists the caller's plans (students).
#[utoipa::path(
    get,
    path = "/api/v1/me/plans",
    operation_id = "plans",
    tag = "registration",
    responses(
        (status = 200, description = "All plans. The plan `default` is always among them.", body = PlanList),
        BadRole, StoreFailed,
    )
)]
pub async fn list(student: Student, plans: Data<dyn PlanStore>) -> Result<HttpResponse, Problem> {
    let mut all = plans.plans(&student.0.user).await?;
    if !all.iter().any(|plan| plan.name.is_default()) {
        all.push(Plan { name: PlanName::default(), sections: Vec::new() });
    }
    all.sort_by_key(|plan| !plan.name.is_default());
    let items = all.into_iter().map(NamedPlanResponse::from).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(PlanList { items }))
}

/// Returns one of the caller's plans (students).
#[utoipa::path(
    get,
    path = "/api/v1/me/plans/{name}",
    operation_id = "namedPlan",
    tag = "registration",
    params(("name" = String, Path, description = "The plan.")),
    responses(
        (status = 200, description = "The plan.", body = NamedPlanResponse),
        BadRole, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn one(request: HttpRequest, student: Student, plans: Data<dyn PlanStore>) -> Result<HttpResponse, Problem> {
    // An invalid name cannot belong to a plan.
    let name = PlanName::parse(&path_param(&request, "name")?).ok_or_else(no_such_plan)?;
    let sections = stored_plan(&student.0.user, &name, &**plans).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(NamedPlanResponse { name, sections }))
}

/// Creates or replaces one of the caller's plans (students).
///
/// A student has at most ten plans besides `default`.
#[utoipa::path(
    put,
    path = "/api/v1/me/plans/{name}",
    operation_id = "putNamedPlan",
    tag = "registration",
    params(("name" = String, Path, description = "The plan.", max_length = 60)),
    request_body = PlanRequest,
    responses(
        (status = 200, description = "Replaced: the stored plan, without duplicates.", body = NamedPlanResponse),
        (status = 201, description = "Created.", body = NamedPlanResponse),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn put_one(
    request: HttpRequest,
    student: Student,
    payload: web::Payload,
    model: Data<ReadModel>,
    plans: Data<dyn PlanStore>,
) -> Result<HttpResponse, Problem> {
    let name = name_in_path(&request)?;
    let sections = read_body::<PlanRequest>(&request, payload).await?.into_sections(&model, &student.0)?;
    let plan = Plan { name, sections };
    let put = plans.put_plan(&student.0.user, plan.clone()).await?;
    let mut response = match put {
        PutPlan::Created if !plan.name.is_default() => HttpResponse::Created(),
        PutPlan::Created | PutPlan::Replaced => HttpResponse::Ok(),
        PutPlan::Full => {
            let detail = format!("You have {PLANS_MAX} named plans, which is the limit. Delete one first.");
            return Err(Problem::invalid("name", detail));
        }
    };
    Ok(response.insert_header(PRIVATE).json(NamedPlanResponse::from(plan)))
}

/// Deletes one of the caller's plans (students).
///
/// Deleting `default` empties it.
#[utoipa::path(
    delete,
    path = "/api/v1/me/plans/{name}",
    operation_id = "deletePlan",
    tag = "registration",
    params(("name" = String, Path, description = "The plan.")),
    responses((status = 204, description = "Deleted."), BadRole, BadPath, NotFound, StoreFailed)
)]
pub async fn remove(
    request: HttpRequest,
    student: Student,
    plans: Data<dyn PlanStore>,
) -> Result<HttpResponse, Problem> {
    let name = PlanName::parse(&path_param(&request, "name")?).ok_or_else(no_such_plan)?;
    let is_removed = plans.remove_plan(&student.0.user, &name).await?;
    if is_removed || name.is_default() { Ok(HttpResponse::NoContent().finish()) } else { Err(no_such_plan()) }
}

/// Registers for all sections in one of the caller's plans (students).
///
/// If a section cannot be taken, the first of its alternates that can be taken is taken instead, in the order of the
/// plan; otherwise the student joins its waitlist, if the plan or `waitlist` allows it. The result of an alternate has
/// the alternate as `section` and the section in the plan as `planned`. All sections of a term are decided at once.
#[utoipa::path(
    post,
    path = "/api/v1/me/plan/register",
    operation_id = "registerPlan",
    tag = "registration",
    params(
        Waitlist,
        ("name" = Option<String>, Query, description = "The name of the plan; `default` if absent."),
        ("term" = Option<TermId>, Query, description = "Only the sections of this term."),
    ),
    responses(
        (status = 200, description = "A result for each section, in the order of the plan.", body = BatchResponse),
        BadPath, BadRole, NotFound, StoreFailed,
    )
)]
pub async fn register(
    request: HttpRequest,
    student: Student,
    pool: Data<RegistrarPool>,
    plans: Data<dyn PlanStore>,
) -> Result<HttpResponse, Problem> {
    let waitlist = Query::of(&request)?.bool("waitlist")?.unwrap_or(false);
    let user = &student.0.user;
    let mut plan = requested_plan(&request, user, &**plans).await?;
    plan.iter_mut().for_each(|planned| planned.waitlist |= waitlist);
    let results = run_plan(&pool, user, &plan, RequestId::of(&request));
    let results = unless_gone(&request, results).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(BatchResponse { results }))
}

/// Splits a plan by term. The order within a term is that of the plan.
pub(super) fn by_term(plan: &[PlannedSection]) -> BTreeMap<TermId, Vec<PlannedSection>> {
    let mut parts: BTreeMap<TermId, Vec<PlannedSection>> = BTreeMap::new();
    for planned in plan {
        parts.entry(planned.section.term.clone()).or_default().push(planned.clone());
    }
    parts
}

/// Submits a plan, one command for each term, and returns the results in the order of the plan.
async fn run_plan(
    pool: &RegistrarPool,
    student: &UserName,
    plan: &[PlannedSection],
    request_id: Option<uuid::Uuid>,
) -> Result<Vec<BatchResult>, Problem> {
    let mut results: BTreeMap<SectionId, BatchResult> = BTreeMap::new();
    for (term, part) in by_term(plan) {
        let command = Command::RegisterPlan { student: student.clone(), plan: part.clone() };
        let reply = pool.request_in(&Realm::College, &term, Submitted::by_student(command, request_id)).await;
        let (outcomes, receipts) = match reply {
            Some(Ok(Replied { outcome: Outcome::Batch(outcomes), receipts })) => (outcomes, receipts),
            Some(Ok(Replied { outcome: other, .. })) => {
                return Err(Problem::internal(format_args!("the outcome of a plan was {other:?}")));
            }
            // The results of earlier terms are durable and must be returned, so only this term reports the error.
            Some(Err(error)) if !results.is_empty() => {
                let problem = Problem::from(error).into_document();
                let failed = part.into_iter().map(|planned| planned.section);
                results.extend(failed.map(|id| (id.clone(), BatchResult::failed(id, problem.clone()))));
                continue;
            }
            Some(Err(error)) => return Err(error.into()),
            None => {
                let not_found = |planned: &PlannedSection| (planned.section.crn.clone(), RequestOutcome::NotFound);
                (part.iter().map(not_found).collect(), std::iter::empty().collect())
            }
        };
        let receipts = receipts.into_iter().map(Some).chain(std::iter::repeat(None));
        for ((planned, (crn, outcome)), receipt) in part.into_iter().zip(outcomes).zip(receipts) {
            let section = SectionId { term: term.clone(), crn };
            let result = BatchResult::new(section, outcome, receipt).instead_of(&planned.section);
            results.insert(planned.section, result);
        }
    }
    Ok(plan.iter().filter_map(|planned| results.remove(&planned.section)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        let entries =
            json!(["202209-10001", {"section": "202209-10002", "waitlist": true, "alternates": ["202209-3"]}]);
        assert_reader_matches_schema::<PlanRequest>(&[("sections", entries)]);
    }
}
