//! The schedule of a term as a file that can be edited with a spreadsheet and imported again.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use utoipa::OpenApi;

use crate::domain::ids::TermId;
use crate::imports::csv::export;
use crate::registration::readmodel::ReadModel;

use crate::http::auth::Staff;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadQuery, BadRole};
use crate::http::query::Query;
use crate::http::request_id::PRIVATE;

/// The number of sections that are encoded and sent at a time, so that an export needs little memory.
const SECTIONS_AT_ONCE: usize = 64;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(schedule))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/export/schedule.csv")
            .route(get().to(schedule))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Exports the schedule of a term as CSV (staff of all subjects).
///
/// There is one row for each meeting, with all fields of the section in each of them. Importing the file again changes
/// nothing. A cell that a spreadsheet would interpret as a formula is prefixed with `'`.
#[utoipa::path(
    get,
    path = "/api/v1/export/schedule.csv",
    operation_id = "exportSchedule",
    tag = "catalogue",
    params(("term" = TermId, Query, description = "The term.")),
    responses(
        (status = 200, description = "All sections of the term, as of one commit.", body = String,
            content_type = "text/csv"),
        BadQuery, BadRole,
    )
)]
pub async fn schedule(request: HttpRequest, _: Staff, model: Data<ReadModel>) -> Result<HttpResponse, Problem> {
    let term = Query::of(&request)?.parsed("term", "a term's id", |t| TermId::parse(t).ok())?;
    let term = term.ok_or_else(|| Problem::invalid("term", "term is missing; add ?term= and a term's id."))?;
    let published = model.term(&term).ok_or_else(|| Problem::invalid("term", "There is no such term."))?;
    let snapshot = published.snapshot();
    let parts = stream::iter((0..=snapshot.len().div_ceil(SECTIONS_AT_ONCE)).map(move |part| {
        let encoded = match part.checked_sub(1) {
            None => export::header(),
            Some(before) => {
                let rows = snapshot.rows_in_order_from(before * SECTIONS_AT_ONCE).take(SECTIONS_AT_ONCE);
                export::rows(rows.map(|row| &row.state))
            }
        };
        encoded.map(Bytes::from)
    }));
    Ok(HttpResponse::Ok()
        .insert_header(PRIVATE)
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"schedule-{term}.csv\"")))
        .streaming(parts))
}
