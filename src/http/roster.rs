//! Who is in a section, for staff: JSON, or CSV for a spreadsheet.

use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION, VARY};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::domain::ids::SectionId;
use crate::registration::readmodel::ReadModel;
use crate::store::rosters::{RosterEntry, RosterStore};
use crate::text::csv_text::safe_cell;

use crate::http::auth::Staff;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;
use crate::http::sections::no_such_section;

/// The columns of the CSV.
const COLUMNS: [&str; 5] = ["user", "name", "status", "position", "since"];

/// The resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/sections/{id}/roster")
            .route(get().to(roster))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// `GET /api/v1/sections/{id}/roster`: enrolled by the time of their seat, then the waitlist in its order.
pub async fn roster(
    request: HttpRequest,
    _: Staff,
    model: Data<ReadModel>,
    rosters: Data<dyn RosterStore>,
) -> Result<HttpResponse, Problem> {
    let id = SectionId::parse(&path_param(&request, "id")?).map_err(|_| no_such_section())?;
    // What is not published is nobody's to see.
    model.section(&id).ok_or_else(no_such_section)?;
    let entries = rosters.roster(&id).await?.ok_or_else(no_such_section)?;
    let mut response = HttpResponse::Ok();
    response.insert_header(PRIVATE).insert_header((VARY, "Accept"));
    let accepted = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    if prefers_csv(accepted) {
        let name = format!("attachment; filename=\"roster-{id}.csv\"");
        let body = csv_of(&entries).map_err(Problem::internal)?;
        return Ok(response
            .content_type("text/csv; charset=utf-8")
            .insert_header((CONTENT_DISPOSITION, name))
            .body(body));
    }
    let items: Vec<Value> = entries.iter().map(entry_json).collect();
    Ok(response.json(json!({ "items": items })))
}

/// Whether CSV is asked for by name, and not less than JSON (RFC 9110, 12.5.1).
fn prefers_csv(accepted: &str) -> bool {
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|part| {
            let mut words = part.split(';').map(str::trim);
            let is_it = words.next().is_some_and(|kind| kind.eq_ignore_ascii_case(wanted));
            is_it.then(|| words.find_map(|word| word.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0_f32))
        })
    };
    weight("text/csv").is_some_and(|csv| csv > 0.0 && csv >= weight("application/json").unwrap_or(0.0))
}

/// The name for people; the user name where the hub has heard no other.
fn name_of(entry: &RosterEntry) -> &str {
    entry.name.as_deref().unwrap_or(entry.user.as_str())
}

fn entry_json(entry: &RosterEntry) -> Value {
    let mut line = json!({
        "user": entry.user,
        "name": name_of(entry),
        "status": entry.standing.as_str(),
        "since": entry.since,
    });
    if let Some(position) = entry.position {
        line["position"] = position.into();
    }
    line
}

fn csv_of(entries: &[RosterEntry]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(COLUMNS)?;
    for entry in entries {
        let position = entry.position.map(|position| position.to_string()).unwrap_or_default();
        let since = entry.since.to_string();
        let cells = [entry.user.as_str(), name_of(entry), entry.standing.as_str(), &position, &since];
        out.write_record(cells.map(|cell| safe_cell(cell).into_owned()))?;
    }
    out.into_inner().map_err(|error| error.into_error().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_for_whoever_asks_for_it_by_name() {
        for csv in ["text/csv", "TEXT/CSV; charset=utf-8", "application/json;q=0.5, text/csv;q=0.9", "text/csv, */*"] {
            assert!(prefers_csv(csv), "{csv}");
        }
        for json in ["", "*/*", "text/*", "application/json", "application/json, text/csv;q=0.5", "text/csv;q=0"] {
            assert!(!prefers_csv(json), "{json}");
        }
    }
}
