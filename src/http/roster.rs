//! The roster of a section, for staff and its instructors, as JSON or as CSV for a spreadsheet.

use actix_web::http::header::{Accept, CONTENT_DISPOSITION, Header, Quality, VARY};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{OpenApi, ToSchema};

use crate::domain::ids::{SectionId, UserName};
use crate::domain::registration::RegistrationStatus;
use crate::domain::waitlist_order;
use crate::identity::disclosures::Disclosure;
use crate::identity::{Audit, Identity};
use crate::registration::readmodel::{ReadModel, TermModel};
use crate::store::rosters::{RosterEntry, RosterStore};
use crate::text::csv_text::escape_cell;

use crate::http::auth::RosterReader;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadPath, BadRole, NotFound, StoreFailed};
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;
use crate::http::sections::no_such_section;

/// The columns of the CSV.
const COLUMNS: [&str; 5] = ["user", "name", "status", "position", "since"];

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(roster))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/sections/{id}/roster")
            .route(get().to(roster))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// The students in a section.
#[derive(Debug, Serialize, ToSchema)]
struct Roster<'a> {
    items: Vec<RosterLine<'a>>,
}

/// A student in a section.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RosterEntry)]
struct RosterLine<'a> {
    user: &'a UserName,
    /// The display name; the username if there is none.
    name: &'a str,
    #[schema(schema_with = roster_status)]
    status: RegistrationStatus,
    /// The position on the waitlist, starting at 1, after people who wait outside the hub; only while waitlisted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    position: Option<u32>,
    /// The group that gives the student priority on waitlists, as the term declares; only while waitlisted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    priority_group: Option<Box<str>>,
    /// When this status began.
    since: Timestamp,
    /// When the offer of a seat lapses; only while offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
}

/// Returns the schema of the statuses in a roster: enrolled, offered and waitlisted.
fn roster_status() -> ObjectBuilder {
    let in_section = [RegistrationStatus::Enrolled, RegistrationStatus::Offered, RegistrationStatus::Waitlisted];
    let names = in_section.map(RegistrationStatus::as_str);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names))
}

impl<'a> RosterLine<'a> {
    /// Creates the line of an entry. `priority` is the declared priority of the term.
    fn new(entry: &'a RosterEntry, priority: &[Box<str>], term: &TermModel) -> Self {
        let RosterEntry { user, name: _, status, position, since, expires_at } = entry;
        let (status, position, since, expires_at) = (*status, *position, *since, *expires_at);
        let group = || waitlist_order::group_of(priority, term.facts(user).as_deref()).map(Into::into);
        let priority_group = position.and_then(|_| group());
        Self { user, name: name_of(entry), status, position, priority_group, since, expires_at }
    }
}

/// Returns the roster of a section (staff of its subject, and its instructors).
///
/// Enrolled students come first, in the order in which they got their seats, then those who are offered a seat, then
/// waitlisted students in the order of the waitlist. `Accept: text/csv` selects CSV with the columns user, name,
/// status, position and since; a cell that a spreadsheet would interpret as a formula is prefixed with `'`.
#[utoipa::path(
    get,
    path = "/api/v1/sections/{id}/roster",
    operation_id = "roster",
    tag = "catalogue",
    params(("id" = SectionId, Path, description = "The section.")),
    responses(
        (status = 200, description = "The complete roster, as of one commit.", content(
            (Roster = "application/json"),
            (String = "text/csv"),
        )),
        BadPath, BadRole, NotFound, StoreFailed,
    )
)]
pub async fn roster(
    request: HttpRequest,
    reader: RosterReader,
    model: Data<ReadModel>,
    rosters: Data<dyn RosterStore>,
    identity: Data<Identity>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let id = SectionId::parse(&path_param(&request, "id")?).map_err(|_| no_such_section())?;
    // The store may contain a section that is not published yet.
    let (row, _) = model.section(&id).ok_or_else(no_such_section)?;
    let caller = reader.of_section(&row.state.section, &identity).await?;
    let entries = rosters.roster(&id).await?.ok_or_else(no_such_section)?;
    let is_csv = Accept::parse(&request).is_ok_and(|accept| prefers_csv(&accept));
    let disclosure = if is_csv { Disclosure::RosterExport } else { Disclosure::RosterRead };
    let students = entries.iter().map(|entry| entry.user.clone()).collect();
    audit.record_disclosure(&request, &caller, disclosure, None, Some(&id), students).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header(PRIVATE).insert_header((VARY, "Accept"));
    if is_csv {
        let name = format!("attachment; filename=\"roster-{id}.csv\"");
        let body = csv_of(&entries).map_err(Problem::internal)?;
        return Ok(response
            .content_type("text/csv; charset=utf-8")
            .insert_header((CONTENT_DISPOSITION, name))
            .body(body));
    }
    let term = model.term(&id.term).ok_or_else(no_such_section)?;
    let snapshot = term.snapshot();
    let line = |entry| RosterLine::new(entry, &snapshot.term.offers.priority, &term);
    Ok(response.json(Roster { items: entries.iter().map(line).collect() }))
}

/// Returns whether `text/csv` is listed in `Accept` with at least the quality of JSON (RFC 9110, 12.5.1).
///
/// `Accept::ranked` would prefer the first of two types of equal quality, and include types that `q=0` excludes.
fn prefers_csv(accept: &Accept) -> bool {
    let quality = |name: &str| {
        accept.iter().find(|accepted| accepted.item.essence_str() == name).map_or(Quality::ZERO, |it| it.quality)
    };
    quality("text/csv") > Quality::ZERO && quality("text/csv") >= quality("application/json")
}

/// Returns the display name, or the username if there is none.
fn name_of(entry: &RosterEntry) -> &str {
    entry.name.as_deref().unwrap_or(entry.user.as_str())
}

fn csv_of(entries: &[RosterEntry]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(COLUMNS)?;
    for entry in entries {
        let position = entry.position.map(|position| position.to_string()).unwrap_or_default();
        let since = entry.since.to_string();
        let cells = [entry.user.as_str(), name_of(entry), entry.status.as_str(), &position, &since];
        out.write_record(cells.map(|cell| escape_cell(cell).into_owned()))?;
    }
    out.into_inner().map_err(|error| error.into_error().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::ACCEPT;
    use actix_web::test::TestRequest;

    #[test]
    fn csv_is_returned_only_when_accepted_by_name() {
        let prefers_csv = |accepted: &str| {
            let request = TestRequest::default().insert_header((ACCEPT, accepted)).to_http_request();
            Accept::parse(&request).is_ok_and(|accept| prefers_csv(&accept))
        };
        for csv in [
            "text/csv",
            "TEXT/CSV; charset=utf-8",
            "application/json;q=0.5, text/csv;q=0.9",
            "text/csv, */*",
            "application/json, text/csv",
        ] {
            assert!(prefers_csv(csv), "{csv}");
        }
        for json in ["", "*/*", "text/*", "application/json", "application/json, text/csv;q=0.5", "text/csv;q=0"] {
            assert!(!prefers_csv(json), "{json}");
        }
    }
}
