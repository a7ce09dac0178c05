//! Demand for the sections of a term, as students plan before registration opens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::{OpenApi, ToSchema};

use crate::domain::ids::{SectionId, TermId};
use crate::domain::rights::{self, Scope, Subjects};
use crate::registration::demand::{Demand, demand};
use crate::registration::readmodel::ReadModel;
use crate::registration::rehearsals::PLANS_MAX;
use crate::store::plans::PlanStore;

use crate::http::auth::SubjectStaff;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadQuery, BadRole, StoreFailed};
use crate::http::query::Query;
use crate::http::request_id::PRIVATE;

/// Maximum number of sections in a response, as in other lists.
const SECTIONS_MAX: usize = 5_000;
/// How long a response is reused, as a multiple of the time that it took to compute: below [`REUSE_MAX`], computing one
/// response again and again takes at most a fifth of one processor. With few plans, the time is very short.
const REUSE_FACTOR: u32 = 4;
/// The longest time for which a response is reused.
const REUSE_MAX: Duration = Duration::from_secs(10);
/// Maximum number of responses in the cache: for each term, those of staff with different limits.
const RESPONSES_MAX: usize = 32;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(read))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/staff/demand").route(get().to(read)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// The demand for the sections of a term.
#[derive(Serialize, ToSchema)]
#[schema(as = Demand)]
struct DemandResponse {
    /// The sections that are in plans, most plans first.
    #[schema(max_items = 5000)]
    items: Vec<SectionDemand>,
    /// The number of students whose plans contain a counted section: any section of the term or, for staff who are
    /// limited to subjects, one of these subjects.
    students: usize,
    /// The number of students who would miss a section of their plans if seats were given out in the order in which
    /// windows open, and by username within a window. It considers seats only; a rehearsal also evaluates the rules.
    unplaced: usize,
}

/// The demand for one section.
#[derive(Serialize, ToSchema)]
struct SectionDemand {
    section: SectionId,
    /// The number of plans that contain it, not as an alternate, without those of students who have a seat in it or are
    /// offered one.
    plans: usize,
    /// The number of seats that a student can take now.
    seats: u32,
    /// Whether the plans take all of its seats.
    fills: bool,
}

impl DemandResponse {
    fn new(term: &TermId, demand: Demand) -> Self {
        let Demand { sections, students, unplaced } = demand;
        let items = sections.into_iter().take(SECTIONS_MAX).map(|one| SectionDemand {
            section: SectionId { term: term.clone(), crn: one.crn },
            plans: one.plans,
            seats: one.seats,
            fills: u32::try_from(one.plans).is_ok_and(|plans| plans >= one.seats) && one.plans > 0,
        });
        Self { items: items.collect(), students, unplaced }
    }
}

/// A response that is reused for a short time.
struct CachedResponse {
    until: Instant,
    body: Bytes,
}

/// A cache that computes demand, one response at a time, and keeps responses for a short time.
#[derive(Default)]
pub struct DemandCache {
    cached: Mutex<HashMap<(TermId, Option<Subjects>), CachedResponse>>,
}

impl DemandCache {
    async fn get(
        &self,
        term: TermId,
        limit: Option<Subjects>,
        model: Arc<ReadModel>,
        plans: &dyn PlanStore,
    ) -> Result<Bytes, Problem> {
        // Held while a response is computed, so that others wait for it instead of computing it, too.
        let mut cached = self.cached.lock().await;
        let started = Instant::now();
        cached.retain(|_, one| one.until > started);
        let key = (term, limit);
        if let Some(known) = cached.get(&key) {
            return Ok(known.body.clone());
        }
        let published = model.term(&key.0).ok_or_else(no_such_term)?;
        let plans = plans.plans_for(&key.0, PLANS_MAX).await?;
        let (of, within) = key.clone();
        let compute = move || {
            let is_shown = |subject: &str| rights::check(within.as_ref(), &Scope::Subject(subject)).is_ok();
            let found = demand(&published, &plans, |section| is_shown(section.subject()));
            serde_json::to_vec(&DemandResponse::new(&of, found)).map(Bytes::from)
        };
        let body = web::block(compute).await.map_err(Problem::internal)?.map_err(Problem::internal)?;
        let reuse = started.elapsed().saturating_mul(REUSE_FACTOR).min(REUSE_MAX);
        if cached.len() < RESPONSES_MAX {
            cached.insert(key, CachedResponse { until: Instant::now() + reuse, body: body.clone() });
        }
        Ok(body)
    }
}

fn no_such_term() -> Problem {
    Problem::invalid("term", "There is no such term.")
}

/// Returns the demand for the sections of a term, from the students' plans (staff).
///
/// Staff who are limited to subjects see the sections of these subjects, and the students who plan one of them. A
/// response can be a few seconds old when there are many plans.
#[utoipa::path(
    get,
    path = "/api/v1/staff/demand",
    operation_id = "demand",
    tag = "registration",
    params(("term" = TermId, Query, description = "The term.")),
    responses((status = 200, description = "The demand.", body = DemandResponse), BadQuery, BadRole, StoreFailed)
)]
pub async fn read(
    request: HttpRequest,
    staff: SubjectStaff,
    model: Data<ReadModel>,
    plans: Data<dyn PlanStore>,
    cache: Data<DemandCache>,
) -> Result<HttpResponse, Problem> {
    let term = Query::of(&request)?.parsed("term", "a term's id", |t| TermId::parse(t).ok())?;
    let term = term.ok_or_else(|| Problem::invalid("term", "term is missing; add ?term= and a term's id."))?;
    // Counts concern no person; the limit decides which sections are counted.
    let caller = staff.concerning_no_one();
    let body = cache.get(term, caller.subjects, model.into_inner(), &**plans).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).content_type("application/json").body(body))
}
