//! The check of a plan before registration opens.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::clock::Clock;
use crate::domain::decide::check_plan;
use crate::domain::ids::{SectionId, TermId};
use crate::domain::plan::{CheckOutcome, CheckedSection, PlanProblem, PlannedSection};
use crate::domain::refusal::Refusal;
use crate::domain::registration::RegistrationStatus;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::registration::student_view::StudentView;
use crate::store::plans::PlanStore;

use crate::http::auth::Student;
use crate::http::error::Problem;
use crate::http::openapi::responses::{BadPath, BadRole, NotFound, StoreFailed};
use crate::http::plan::{by_term, requested_plan};
use crate::http::problem::{ProblemCode, ProblemDocument};
use crate::http::request_id::PRIVATE;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(check))]
pub(super) struct Api;

/// What would happen if registration were open and the student registered for the plan now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanCheck)]
struct PlanCheckResponse {
    /// One result for each section, in the order of the plan.
    results: Vec<PlanCheckResult>,
    /// What is wrong with the plan as a whole: sections that exclude or require each other, too many or too few
    /// credits, and registration that has ended.
    problems: Vec<PlanProblemResponse>,
}

/// What would happen to one section of a plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum PlanCheckResult {
    /// The student would get a registration.
    Ok(PlanCheckPassed),
    /// The section would be refused.
    Refused(PlanCheckRefused),
}

/// A section of a plan that the student would get, or an alternate of it.
#[derive(Debug, Serialize, ToSchema)]
struct PlanCheckPassed {
    section: SectionId,
    /// Always true.
    ok: bool,
    /// What the student would have: `enrolled` or `waitlisted`.
    status: RegistrationStatus,
    /// The position on the waitlist; only if waitlisted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    position: Option<u32>,
    /// The alternate that the student would get instead of the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    alternate: Option<SectionId>,
}

/// A section of a plan that would be refused.
#[derive(Debug, Serialize, ToSchema)]
struct PlanCheckRefused {
    section: SectionId,
    /// The refusal that the student would get.
    problem: Box<ProblemDocument>,
    /// The refusals by other rules, which would remain if the cause of `problem` were gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    also: Vec<ProblemDocument>,
}

/// A problem of a plan as a whole, with the planned sections that it concerns.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanProblem)]
struct PlanProblemResponse {
    #[serde(flatten)]
    problem: Box<ProblemDocument>,
    /// The sections that it concerns, in the order of the plan. Empty for `registration_closed`, which concerns all.
    sections: Vec<SectionId>,
}

/// Checks one of the caller's plans against every rule (students).
///
/// The plan is checked as if registration were open: nothing is registered, no seat changes, and no attempt is
/// recorded. The check uses the current seats.
#[utoipa::path(
    post,
    path = "/api/v1/me/plan/check",
    operation_id = "checkPlan",
    tag = "registration",
    params(
        ("name" = Option<String>, Query, description = "The name of the plan; `default` if absent."),
        ("term" = Option<TermId>, Query, description = "Only the sections of this term."),
    ),
    responses(
        (status = 200, description = "A result for each section.", body = PlanCheckResponse),
        BadPath, BadRole, NotFound, StoreFailed,
    )
)]
pub async fn check(
    request: HttpRequest,
    student: Student,
    pool: Data<RegistrarPool>,
    model: Data<ReadModel>,
    plans: Data<dyn PlanStore>,
    clock: Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let user = &student.0.user;
    let plan = requested_plan(&request, user, &**plans).await?;
    let mut results: BTreeMap<SectionId, PlanCheckResult> = BTreeMap::new();
    let mut problems = Vec::new();
    for (id, part) in by_term(&plan) {
        let Some(term) = model.term_in(&student.0.realm, &id) else {
            results.extend(
                part.into_iter().map(|planned| (planned.section.clone(), PlanCheckResult::absent(planned.section))),
            );
            continue;
        };
        let view = StudentView::new(&term, user, &part, pool.limits());
        let check = check_plan(&view, user, &part, clock.now());
        let is_new =
            |id: &SectionId| part.iter().any(|planned| planned.section == *id) && !term.is_registered(user, &id.crn);
        results.extend(check.results.into_iter().map(|one| (one.section.clone(), PlanCheckResult::new(one, is_new))));
        problems.extend(check.problems.into_iter().map(|problem| PlanProblemResponse::new(problem, &part)));
    }
    let results = plan.iter().filter_map(|planned| results.remove(&planned.section)).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(PlanCheckResponse { results, problems }))
}

impl PlanCheckResult {
    /// Creates the result for a section. `is_new` returns whether a section is planned and not registered.
    fn new(CheckedSection { section, outcome }: CheckedSection, is_new: impl Fn(&SectionId) -> bool) -> Self {
        match outcome {
            CheckOutcome::Taken { alternate, status, position } => {
                Self::Ok(PlanCheckPassed { section, ok: true, status, position, alternate })
            }
            CheckOutcome::Refused { refusal, also } => {
                let document = |refusal: Refusal| {
                    let planned: Vec<&SectionId> = refusal.conflicting().iter().filter(|id| is_new(id)).collect();
                    let detail = (!planned.is_empty()).then(|| between_planned(&section, &refusal, &planned));
                    let problem = Problem::from(refusal);
                    detail.into_iter().fold(problem, Problem::detail).into_document()
                };
                let problem = document(refusal);
                let also = also.into_iter().map(|refusal| *document(refusal)).collect();
                Self::Refused(PlanCheckRefused { section, problem, also })
            }
            CheckOutcome::NotFound => Self::absent(section),
        }
    }

    fn absent(section: SectionId) -> Self {
        let problem = Problem::not_found("There is no such section.").into_document();
        Self::Refused(PlanCheckRefused { section, problem, also: Vec::new() })
    }
}

/// Returns why a planned section excludes others of the plan.
fn between_planned(section: &SectionId, refusal: &Refusal, others: &[&SectionId]) -> Cow<'static, str> {
    let names: Vec<String> = others.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    match refusal {
        Refusal::AlreadyInCourse { course, .. } => {
            format!("{section} and {names} are the same kind of class in {course}. Keep one of them in the plan.")
                .into()
        }
        _ => format!("{section} overlaps {names}. Keep one of them in the plan.").into(),
    }
}

impl PlanProblemResponse {
    fn new(problem: PlanProblem, plan: &[PlannedSection]) -> Self {
        match problem {
            PlanProblem::Closed(refusal) => {
                Self { problem: Problem::from(refusal).into_document(), sections: Vec::new() }
            }
            PlanProblem::Between { sections, refusal } => {
                let last = sections.last().filter(|_| !refusal.conflicting().is_empty());
                let others: Vec<&SectionId> = sections.iter().take(sections.len().saturating_sub(1)).collect();
                let detail = last.map(|last| between_planned(last, &refusal, &others));
                let problem = detail.into_iter().fold(Problem::from(refusal), Problem::detail);
                Self { problem: problem.into_document(), sections }
            }
            PlanProblem::CreditMin { credits, least } => {
                let detail = format!(
                    "You would have {} credits, but you must take at least {}.",
                    credits.as_f64(),
                    least.as_f64()
                );
                let mut problem = Problem::new(ProblemCode::CreditMin, detail).into_document();
                (problem.credits_wanted, problem.credit_min) = (Some(credits), Some(least));
                Self { problem, sections: plan.iter().map(|planned| planned.section.clone()).collect() }
            }
        }
    }
}
