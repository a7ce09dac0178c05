//! The sections that name the caller as their instructor.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::domain::ids::TermId;
use crate::identity::Identity;
use crate::live::context::Live;
use crate::registration::readmodel::ReadModel;
use crate::registration::section_json::SectionView;

use crate::http::auth::RosterReader;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::params::Limit;
use crate::http::openapi::responses::{BadQuery, BadRole, StoreFailed};
use crate::http::query::Query;
use crate::http::request_id::PRIVATE;
use crate::http::uncached;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/me/teaching").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Filters of the list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct TeachingQuery {
    /// Only sections of this term, which may have ended. Without it, sections of the terms that have not ended.
    term: Option<TermId>,
}

impl TeachingQuery {
    fn read(query: &Query) -> Result<Self, Problem> {
        Ok(Self { term: query.parsed("term", "a term's id", |text| TermId::parse(text).ok())? })
    }
}

/// The sections that name the caller as their instructor.
#[derive(Serialize, ToSchema)]
struct Teaching<'a> {
    /// By term, course and CRN.
    items: Vec<SectionView<'a>>,
    /// The number of all matching sections, which can be more than are listed.
    total: usize,
}

/// Lists the sections that name the caller as their instructor (instructors).
///
/// A section names its instructors by username, by display name if no one else has it and the user cannot change it, or
/// by a name in `[roles.names]`.
#[utoipa::path(
    get,
    path = "/api/v1/me/teaching",
    operation_id = "myTeaching",
    tag = "catalogue",
    params(TeachingQuery, Limit),
    responses((status = 200, description = "The sections.", body = Teaching), BadRole, BadQuery, StoreFailed)
)]
pub async fn list(
    request: HttpRequest,
    reader: RosterReader,
    model: Data<ReadModel>,
    identity: Data<Identity>,
    live: Data<Live>,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request)?;
    let TeachingQuery { term } = TeachingQuery::read(&query)?;
    let limit = query.limit()? as usize;
    // Each list reads the instructors of every section of its terms.
    uncached::charge(&request)?;
    let today = live.local(live.clock.now()).date();
    let terms = model.terms();
    let snapshots: Vec<_> = terms
        .iter()
        .filter(|(id, _)| term.as_ref().is_none_or(|term| term == *id))
        .map(|(_, term)| term.snapshot())
        .filter(|found| term.is_some() || found.term.ends_on.is_none_or(|end| end >= today))
        .collect();
    let response = reader.as_teacher(&identity, |teacher| {
        let rows = snapshots.iter().flat_map(|snapshot| snapshot.rows_in_order());
        let own = rows.filter(|row| teacher.is_named_in(row.state.section.instructor.as_deref()));
        let (mut items, mut total) = (Vec::new(), 0);
        for row in own {
            total += 1;
            if items.len() < limit {
                items.push(SectionView::new(&row.state));
            }
        }
        HttpResponse::Ok().insert_header(PRIVATE).json(Teaching { items, total })
    });
    response.await
}
