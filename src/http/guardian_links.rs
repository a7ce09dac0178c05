//! Links to a student's schedule, which the student creates for a parent or guardian, and the schedule that they open.

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use crate::domain::ids::TermId;
use crate::domain::meeting::Meeting;
use crate::domain::registration::RegistrationStatus;
use crate::domain::section::SectionStatus;
use crate::identity::Audit;
use crate::identity::guardian_links::{DAYS_DEFAULT, DAYS_MAX, GuardianLinks, LABEL_CHARS_MAX, LINKS_MAX};
use crate::live::context::Live;
use crate::registration::readmodel::ReadModel;
use crate::store::guardian_links::GuardianLink;

use crate::http::auth::{SignedIn, Student};
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadBody, BadPath, BadRole, BadToken, NotFound, StoreFailed};
use crate::http::problem::ProblemCode;
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;
use crate::http::site::Site;

/// The scheme of `Authorization` with the secret of a link.
const SCHEME: &str = "guardian";

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list, make, end, schedule))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/me/guardian-links")
            .route(get().to(list))
            .route(web::post().to(make))
            .default_service(method_not_allowed("GET, HEAD, POST")),
    )
    .service(
        web::resource("/api/v1/me/guardian-links/{id}")
            .route(web::delete().to(end))
            .default_service(method_not_allowed("DELETE")),
    )
    .service(
        web::resource("/api/v1/shared-schedule")
            .route(get().to(schedule))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// A link to the caller's schedule.
#[derive(Serialize, ToSchema)]
#[schema(as = GuardianLink)]
struct LinkItem {
    id: Uuid,
    /// The caller's own note.
    label: String,
    created_at: Timestamp,
    expires_at: Timestamp,
}

impl From<GuardianLink> for LinkItem {
    fn from(GuardianLink { id, student: _, label, created_at, expires_at }: GuardianLink) -> Self {
        Self { id, label, created_at, expires_at }
    }
}

/// Links to the caller's schedule, oldest first.
#[derive(Serialize, ToSchema)]
struct GuardianLinkList {
    #[schema(max_items = 5)]
    items: Vec<LinkItem>,
}

/// A link that was just created.
#[derive(Serialize, ToSchema)]
struct NewGuardianLink {
    #[serde(flatten)]
    link: LinkItem,
    /// The address to give to the parent or guardian. It is not shown again. The part after `#` is the secret.
    url: String,
}

/// A link to create.
#[derive(ToSchema)]
#[schema(as = GuardianLinkRequest)]
#[serde(deny_unknown_fields)]
struct LinkRequest {
    /// The caller's own note about the person, such as `Mom`. The person sees it, too.
    #[schema(min_length = 1, max_length = 60)]
    label: String,
    /// The number of days after which the link expires.
    #[schema(minimum = 1, maximum = 366, default = 120)]
    days: Option<u32>,
}

impl RequestBody for LinkRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let label = fields.string("label", 1..=LABEL_CHARS_MAX)?;
        if label.trim().is_empty() {
            return Err(Problem::invalid("label", "label must not be blank."));
        }
        Ok(Self { label, days: fields.maybe_u32("days", 1..=DAYS_MAX)? })
    }
}

/// Lists the links to the caller's schedule that have not ended (signed-in users: a former student may still have
/// some).
#[utoipa::path(
    get,
    path = "/api/v1/me/guardian-links",
    operation_id = "listGuardianLinks",
    tag = "identity",
    responses((status = 200, description = "The links, without their secrets.", body = GuardianLinkList), BadToken, StoreFailed)
)]
pub async fn list(SignedIn(caller): SignedIn, links: Data<GuardianLinks>) -> Result<HttpResponse, Problem> {
    let items = links.of(&caller.user).await?.into_iter().map(LinkItem::from).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(GuardianLinkList { items }))
}

/// Creates a link with which a parent or guardian reads the caller's schedule (students).
///
/// The link needs no account and gives access to nothing else. It ends after the chosen number of days, or when the
/// caller removes it. A student has at most five. Each use is in `GET /api/v1/me/disclosures`.
#[utoipa::path(
    post,
    path = "/api/v1/me/guardian-links",
    operation_id = "makeGuardianLink",
    tag = "identity",
    request_body = LinkRequest,
    responses((status = 201, description = "Created.", body = NewGuardianLink), BadRole, BadBody, StoreFailed)
)]
pub async fn make(
    request: HttpRequest,
    Student(caller): Student,
    payload: web::Payload,
    links: Data<GuardianLinks>,
    site: Data<Site>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let LinkRequest { label, days } = read_body(&request, payload).await?;
    let made = links.make(&caller.user, label.trim().to_owned(), days.unwrap_or(DAYS_DEFAULT)).await?;
    let made = made.ok_or_else(|| {
        Problem::invalid("label", format!("You have {LINKS_MAX} links to your schedule. Remove one of them first."))
    })?;
    audit.record(&request, Some(&caller), "guardian_link.make", Some(&made.link.id.to_string()), None, "").await;
    let url = format!("{}/shared#{}", site.origin_used(&request), made.secret);
    Ok(HttpResponse::Created().insert_header(PRIVATE).json(NewGuardianLink { link: made.link.into(), url }))
}

/// Removes a link to the caller's schedule (signed-in users). From then on, the link is not valid.
#[utoipa::path(
    delete,
    path = "/api/v1/me/guardian-links/{id}",
    operation_id = "endGuardianLink",
    tag = "identity",
    params(("id" = Uuid, Path, description = "The link.")),
    responses((status = 204, description = "Removed."), BadRole, BadPath, NotFound, StoreFailed)
)]
pub async fn end(
    request: HttpRequest,
    SignedIn(caller): SignedIn,
    links: Data<GuardianLinks>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found("This link does not exist. It may have expired or been removed.");
    let id = Uuid::parse_str(&path_param(&request, "id")?).map_err(|_| not_found())?;
    if !links.end(&caller.user, id).await? {
        return Err(not_found());
    }
    audit.record(&request, Some(&caller), "guardian_link.end", Some(&id.to_string()), None, "").await;
    Ok(HttpResponse::NoContent().finish())
}

/// A student's schedule in the terms that have not ended. It names no one.
#[derive(Serialize, ToSchema)]
struct SharedSchedule<'a> {
    /// The student's note about the reader.
    label: &'a str,
    /// When the link expires.
    expires_at: Timestamp,
    /// By term, course and CRN.
    items: Vec<SharedSection<'a>>,
}

/// A section in which the student is enrolled, offered a seat or waitlisted.
#[derive(Serialize, ToSchema)]
struct SharedSection<'a> {
    term: &'a TermId,
    /// The name of the term.
    term_title: &'a str,
    /// `SUBJECT NUMBER`, such as `MATH 151`.
    course: &'a str,
    #[schema(required)]
    title: Option<&'a str>,
    /// The student's status. Only an enrolled student has a seat.
    status: RegistrationStatus,
    /// The status of the section: a cancelled one will not be taught.
    section_status: SectionStatus,
    meetings: &'a [Meeting],
}

/// Returns the schedule that a link opens.
///
/// The request carries `Authorization: Guardian SECRET`; the secret is the part after `#` of the link's address. It
/// identifies no user, and other operations ignore it. Each use is recorded as a disclosure, which the student sees.
#[utoipa::path(
    get,
    path = "/api/v1/shared-schedule",
    operation_id = "sharedSchedule",
    tag = "identity",
    security(()),
    params(("Authorization" = Option<String>, Header, description = "`Guardian` and the secret of the link.")),
    responses((status = 200, description = "The schedule.", body = SharedSchedule), BadToken, StoreFailed)
)]
pub async fn schedule(
    request: HttpRequest,
    links: Data<GuardianLinks>,
    model: Data<ReadModel>,
    live: Data<Live>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let ended = || {
        let detail = "This link is incomplete or no longer valid. Ask the student for a new one.";
        Problem::new(ProblemCode::Unauthenticated, detail)
    };
    let link = links.open(secret_of(&request).ok_or_else(ended)?).await?.ok_or_else(ended)?;
    audit.record_shared_schedule(&request, &link).await?;
    let today = live.local(live.clock.now()).date();
    let terms = model.terms();
    let current: Vec<_> = terms
        .values()
        .map(|term| (term.snapshot(), term.registrations(&link.student)))
        .filter(|(snapshot, _)| snapshot.term.ends_on.is_none_or(|end| end >= today))
        .collect();
    let mut items = Vec::new();
    for (snapshot, registrations) in &current {
        let registrations = registrations.as_deref().unwrap_or_default();
        for row in snapshot.rows_in_order() {
            let section = &row.state.section;
            let held = registrations.iter().find(|held| held.crn == section.id.crn && held.is_registered());
            items.extend(held.map(|held| SharedSection {
                term: &snapshot.term.id,
                term_title: &snapshot.term.title,
                course: &section.course,
                title: section.title.as_deref(),
                status: held.status,
                section_status: section.status,
                meetings: &section.meetings,
            }));
        }
    }
    let body = SharedSchedule { label: &link.label, expires_at: link.expires_at, items };
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(body))
}

/// Returns the secret of `Authorization: Guardian SECRET`.
fn secret_of(request: &HttpRequest) -> Option<&str> {
    let (scheme, secret) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| secret.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<LinkRequest>(&[]);
    }
}
