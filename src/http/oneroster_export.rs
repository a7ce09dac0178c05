//! A term as a OneRoster bundle, for learning management systems and other programs of the college.

use std::collections::HashMap;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::OpenApi;

use crate::config::College;
use crate::domain::ids::{TermId, UserName};
use crate::identity::disclosures::Disclosure;
use crate::identity::{Audit, Identity};
use crate::imports::Imports;
use crate::imports::csv::oneroster::export::{EnrolledStudent, TermBundle, days_of};
use crate::registration::readmodel::ReadModel;
use crate::store::accounts::UserFilter;

use crate::http::auth::Staff;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::imports::{blocks_of, run_blocking};
use crate::http::openapi::responses::{BadQuery, BadRole, StoreFailed};
use crate::http::query::Query;
use crate::http::request_id::PRIVATE;

/// The number of users whose names are read at a time.
const NAMES_AT_ONCE: usize = 1_000;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(oneroster))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/export/oneroster.zip")
            .route(get().to(oneroster))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Exports a term as a OneRoster 1.2 bundle of CSV files (staff of all subjects).
///
/// It contains the term, its courses, its sections except cancelled ones, and the students who are enrolled in them;
/// waitlists are not part of OneRoster. Seats, credits and meetings are in columns whose names begin with
/// `metadata.eduhub.`. The export is recorded in the audit trail with the names of the students.
#[utoipa::path(
    get,
    path = "/api/v1/export/oneroster.zip",
    operation_id = "exportOneRoster",
    tag = "catalogue",
    params(("term" = TermId, Query, description = "The term. Its first and last day must be set, or its meetings must have dates.")),
    responses(
        (status = 200, description = "The bundle (ZIP).", body = String, content_type = "application/zip"),
        BadQuery, BadRole, StoreFailed,
    )
)]
pub async fn oneroster(
    request: HttpRequest,
    Staff(caller): Staff,
    model: Data<ReadModel>,
    identity: Data<Identity>,
    audit: Data<Audit>,
    imports: Data<Imports>,
    college: Data<College>,
) -> Result<HttpResponse, Problem> {
    let term = Query::of(&request)?.parsed("term", "a term's id", |t| TermId::parse(t).ok())?;
    let term = term.ok_or_else(|| Problem::invalid("term", "term is missing; add ?term= and a term's id."))?;
    let published = model.term(&term).ok_or_else(|| Problem::invalid("term", "There is no such term."))?;
    let snapshot = published.snapshot();
    let days = days_of(&snapshot).ok_or_else(|| {
        let detail =
            "The first and the last day of the term are not known, and OneRoster requires them. Set them first.";
        Problem::invalid("term", detail)
    })?;
    let users = published.enrolled_students();
    let mut names = names_of(&identity, &users).await?;
    let people = users.clone();
    let students: Vec<EnrolledStudent> =
        users.into_iter().map(|user| EnrolledStudent { name: names.remove(&user), user }).collect();
    audit
        .record_disclosure(&request, &caller, Disclosure::EnrollmentsExport, Some(term.as_str()), None, people)
        .await?;
    let file = run_blocking(move || {
        let bundle =
            TermBundle { college: &college.name, model: &published, snapshot: &snapshot, students: &students, days };
        Ok(bundle.write(imports.temporary_file()?)?)
    })
    .await?;
    Ok(HttpResponse::Ok()
        .insert_header(PRIVATE)
        .content_type("application/zip")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"oneroster-{term}.zip\"")))
        .streaming(Box::pin(blocks_of(file))))
}

/// Returns the display names of those of `users` whom the hub has seen. `users` must be ordered by username.
async fn names_of(identity: &Identity, users: &[UserName]) -> Result<HashMap<UserName, String>, Problem> {
    let mut names = HashMap::with_capacity(users.len());
    let mut filter = UserFilter { limit: NAMES_AT_ONCE, ..UserFilter::default() };
    loop {
        let page = identity.users(filter.clone()).await?;
        for user in page.items {
            if !user.name.is_empty() && users.binary_search(&user.username).is_ok() {
                names.insert(user.username, user.name);
            }
        }
        match page.next {
            Some(next) => filter.after = Some(next),
            None => return Ok(names),
        }
    }
}
