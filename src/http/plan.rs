//! The plan: what a student means to register for, tried in one press.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::domain::ids::SectionId;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::store::plans::{PLAN_LEN_MAX, PlanStore};

use crate::http::auth::Student;
use crate::http::body::read_json;
use crate::http::error::Problem;
use crate::http::query::Query;
use crate::http::registrations::{SECTION_LEN_MAX, run_batch};
use crate::http::request_id::PRIVATE;

/// `GET /api/v1/me/plan`
pub async fn get(student: Student, plans: Data<dyn PlanStore>) -> Result<HttpResponse, Problem> {
    let sections = plans.plan(&student.0.user).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(json!({ "sections": sections })))
}

/// `PUT /api/v1/me/plan`
pub async fn put(
    request: HttpRequest,
    student: Student,
    payload: web::Payload,
    model: Data<ReadModel>,
    plans: Data<dyn PlanStore>,
) -> Result<HttpResponse, Problem> {
    let mut fields = read_json(&request, payload).await?;
    let wanted = fields.strings("sections", PLAN_LEN_MAX, 1..=SECTION_LEN_MAX)?;
    fields.finish()?;
    let mut sections: Vec<SectionId> = Vec::new();
    for text in wanted {
        let id = SectionId::parse(&text)
            .ok()
            .filter(|id| model.section_for(id, Some((&student.0.user, student.0.role))).is_some())
            .ok_or_else(|| Problem::invalid("sections", format!("There is no section {text}.")))?;
        if !sections.contains(&id) {
            sections.push(id);
        }
    }
    plans.put_plan(&student.0.user, sections.clone()).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(json!({ "sections": sections })))
}

/// `POST /api/v1/me/plan/register[?waitlist=true]`
pub async fn register(
    request: HttpRequest,
    student: Student,
    pool: Data<RegistrarPool>,
    plans: Data<dyn PlanStore>,
) -> Result<HttpResponse, Problem> {
    let waitlist = Query::of(&request)?.bool("waitlist")?.unwrap_or(false);
    let sections = plans.plan(&student.0.user).await?;
    let results = run_batch(&pool, &student.0.user, &sections, &[], false, waitlist).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(json!({ "results": results })))
}
