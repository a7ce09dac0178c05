//! The plan: the sections that a student prepares, and registration for all of them at once.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::ids::SectionId;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::store::plans::{PLAN_LEN_MAX, PlanStore};

use crate::http::auth::Student;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::Problem;
use crate::http::openapi::params::Waitlist;
use crate::http::openapi::responses::{BadBody, BadPath, BadRole, StoreFailed};
use crate::http::query::Query;
use crate::http::registrations::{BatchResponse, RequestedBatch, SECTION_LEN_MAX, run_batch, unless_gone};
use crate::http::request_id::{PRIVATE, RequestId};

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(get, put, register))]
pub(super) struct Api;

/// The sections that a student plans to register for, in the student's order.
#[derive(Debug, Serialize, ToSchema)]
struct Plan {
    #[schema(max_items = 50)]
    sections: Vec<SectionId>,
}

/// A new plan.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanRequest {
    #[schema(max_items = 50, value_type = Vec<SectionId>)]
    sections: Vec<String>,
}

impl RequestBody for PlanRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { sections: fields.strings("sections", PLAN_LEN_MAX, 1..=SECTION_LEN_MAX)? })
    }
}

/// Returns the caller's plan (students).
///
/// A plan can be made before registration opens.
#[utoipa::path(
    get,
    path = "/api/v1/me/plan",
    operation_id = "plan",
    tag = "registration",
    responses(
        (status = 200, description = "The plan.", body = Plan),
        BadRole, StoreFailed,
    )
)]
pub async fn get(student: Student, plans: Data<dyn PlanStore>) -> Result<HttpResponse, Problem> {
    let sections = plans.plan(&student.0.user).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(Plan { sections }))
}

/// Replaces the caller's plan (students).
#[utoipa::path(
    put,
    path = "/api/v1/me/plan",
    operation_id = "putPlan",
    tag = "registration",
    request_body = PlanRequest,
    responses(
        (status = 200, description = "The stored plan, without duplicates.", body = Plan),
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
    let plan: PlanRequest = read_body(&request, payload).await?;
    let mut sections: Vec<SectionId> = Vec::new();
    for text in plan.sections {
        let id = SectionId::parse(&text)
            .ok()
            .filter(|id| model.section_for(id, Some((&student.0.user, student.0.role))).is_some())
            .ok_or_else(|| Problem::invalid("sections", format!("There is no section {text}.")))?;
        if !sections.contains(&id) {
            sections.push(id);
        }
    }
    plans.put_plan(&student.0.user, sections.clone()).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(Plan { sections }))
}

/// Registers for all sections in the caller's plan (students).
#[utoipa::path(
    post,
    path = "/api/v1/me/plan/register",
    operation_id = "registerPlan",
    tag = "registration",
    params(Waitlist),
    responses(
        (status = 200, description = "A result for each section.", body = BatchResponse),
        BadPath, BadRole, StoreFailed,
    )
)]
pub async fn register(
    request: HttpRequest,
    student: Student,
    pool: Data<RegistrarPool>,
    plans: Data<dyn PlanStore>,
) -> Result<HttpResponse, Problem> {
    let waitlist = Query::of(&request)?.bool("waitlist")?.unwrap_or(false);
    let sections = plans.plan(&student.0.user).await?;
    let request_id = RequestId::of(&request);
    let requested = RequestedBatch { add: &sections, drop: &[], swap: false, waitlist, request_id };
    let results = run_batch(&pool, &student.0.user, &requested);
    let results = unless_gone(&request, results).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(BatchResponse { results }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<PlanRequest>(&[]);
    }
}
