//! Moves of everyone in a section to another one, and merges of two sections.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::audit_detail::AuditDetail;
use crate::domain::command::{Command, SectionPatch, StaffRequest};
use crate::domain::ids::{SectionId, UserName};
use crate::domain::outcome::{Outcome, RequestOutcome};
use crate::domain::realm::Realm;
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;
use crate::domain::rights::Scope;
use crate::domain::section::SectionStatus;
use crate::identity::{Audit, Caller};
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::{ReadModel, Row};
use crate::registration::submitted::Submitted;
use crate::store::rosters::{RosterEntry, RosterStore};

use crate::http::auth::SubjectStaff;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, method_not_allowed};
use crate::http::openapi::responses::{BadBody, BadRole, NotFound, StoreFailed};
use crate::http::permits::{REASON_CHARS_MAX, read_codes};
use crate::http::problem::ProblemDocument;
use crate::http::query::path_param;
use crate::http::registrations::SECTION_LEN_MAX;
use crate::http::request_id::{PRIVATE, RequestId};
use crate::http::sections::no_such_section;
use crate::http::waitlist_choices::choice_problem;

/// Maximum number of students who are moved by one request: more than any section has.
const STUDENTS_MAX: usize = 5_000;
/// Number of moves that are submitted at once, so that they share commits and leave room for the students' own
/// requests.
const MOVES_AT_ONCE: usize = 64;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(move_all, merge))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/sections/{id}/move-all")
            .route(web::post().to(move_all))
            .default_service(method_not_allowed("POST")),
    )
    .service(
        web::resource("/api/v1/sections/{id}/merge")
            .route(web::post().to(merge))
            .default_service(method_not_allowed("POST")),
    );
}

/// Where the students of a section go.
#[derive(Debug, ToSchema)]
#[schema(as = MoveAllRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// A section of the same term.
    #[schema(value_type = SectionId)]
    to: SectionId,
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// The codes of the refusals to lift for each student.
    #[schema(rename = "override", value_type = Option<Vec<RefusalCode>>)]
    codes: Vec<RefusalCode>,
}

impl RequestBody for Request {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let to = fields.string("to", 1..=SECTION_LEN_MAX)?;
        let to = SectionId::parse(&to)
            .map_err(|_| Problem::invalid("to", "A section's id is TERM-CRN, such as 202209-10001."))?;
        let reason = fields.string("reason", 1..=REASON_CHARS_MAX)?;
        if reason.trim().is_empty() {
            return Err(Problem::invalid("reason", "reason must not be blank."));
        }
        Ok(Self { to, reason, codes: read_codes(fields)?.unwrap_or_default() })
    }
}

/// The result for each student.
#[derive(Serialize, ToSchema)]
#[schema(as = MoveAll)]
struct MoveAllResponse {
    /// The number of students who are in the other section now.
    moved: usize,
    /// Whether the section of a merge is cancelled now: because no one is left in it, or since before the merge. Absent
    /// for a move.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cancelled: Option<bool>,
    /// In the order in which the students were moved: those who were enrolled, by the time at which they enrolled, then
    /// those who were offered a seat, then the waitlist.
    #[schema(max_items = 5000)]
    results: Vec<MoveResult>,
}

/// The result for one student: `status` in the other section, or `problem` if the student stays.
#[derive(Serialize, ToSchema)]
struct MoveResult {
    user: UserName,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<RegistrationStatus>,
    /// The position on the other section's waitlist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    position: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Box<ProblemDocument>>,
}

impl MoveResult {
    fn stays(user: UserName, problem: Problem) -> Self {
        Self { user, status: None, position: None, problem: Some(problem.into_document()) }
    }
}

/// The services that the handlers use.
#[derive(Clone)]
struct Deps {
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    rosters: Data<dyn RosterStore>,
    audit: Data<Audit>,
}

/// A request that was checked.
struct Checked {
    staff: Caller,
    from: SectionId,
    source: Row,
    request: Request,
}

impl Deps {
    async fn check(
        &self,
        request: &HttpRequest,
        staff: SubjectStaff,
        payload: web::Payload,
    ) -> Result<Checked, Problem> {
        let from = SectionId::parse(&path_param(request, "id")?).map_err(|_| no_such_section())?;
        let (source, _) = self.model.section(&from).ok_or_else(no_such_section)?;
        let body: Request = read_body(request, payload).await?;
        if body.to.term != from.term || body.to == from {
            return Err(Problem::invalid("to", "Choose another section of the same term."));
        }
        let (target, _) =
            self.model.section(&body.to).ok_or_else(|| Problem::invalid("to", "There is no such section."))?;
        let rows = [&source, &target];
        let staff = staff.concerning(rows.iter().map(|row| Scope::Subject(row.state.section.subject())))?;
        Ok(Checked { staff, from, source, request: body })
    }

    /// Returns the students of a section, or an error if there are too many.
    async fn students(&self, section: &SectionId) -> Result<Vec<RosterEntry>, Problem> {
        let roster = self.rosters.roster(section).await?.ok_or_else(no_such_section)?;
        if roster.len() > STUDENTS_MAX {
            let detail = format!("The section has more than {STUDENTS_MAX} students. Move some of them one by one.");
            return Err(Problem::invalid("to", detail));
        }
        Ok(roster)
    }

    /// Moves each student by a separate decision, in order. Those who cannot be moved stay.
    async fn move_everyone(&self, request: &HttpRequest, checked: &Checked) -> Result<Vec<MoveResult>, Problem> {
        let Checked { staff, from, request: Request { to, reason, codes }, .. } = checked;
        let codes_text = codes.iter().map(|code| code.as_str().to_owned()).collect();
        let detail = AuditDetail::MoveEveryone { section: from.to_string() }.overriding(codes_text).because(reason);
        let moves = self.students(from).await?.into_iter().map(|student| {
            let change = StaffRequest {
                student: student.user.clone(),
                drop: Some(from.crn.clone()),
                add: Some(to.crn.clone()),
                // A student with a seat must not lose it for a waitlist position.
                waitlist: student.status != RegistrationStatus::Enrolled,
                lifted: codes.iter().copied().collect(),
            };
            let about = Some(student.user.as_str());
            let entry =
                self.audit.entry_in_commit(request, staff, "student.registration", about, Some(to), detail.clone());
            let command = Submitted::by_staff(Command::ForStudent(change), RequestId::of(request)).audited(entry);
            let pool = self.pool.clone();
            async move { submit_move(&pool, to, student.user, command).await }
        });
        // Submitted in order, so that seats go to the students who enrolled first.
        let moves: Vec<_> = moves.collect();
        Ok(stream::iter(moves).buffered(MOVES_AT_ONCE).collect().await)
    }

    async fn set_status(&self, request: &HttpRequest, checked: &Checked, status: SectionStatus) -> Result<(), Problem> {
        let Checked { staff, from, request: Request { to, reason, .. }, .. } = checked;
        let patch = SectionPatch { status: Some(status), ..SectionPatch::default() };
        let (section, reason) = (to.to_string(), reason.to_string());
        let detail = AuditDetail::Merged { status: status.as_str().to_owned(), section, reason };
        let entry = self.audit.entry_in_commit(request, staff, "section.change", None, Some(from), detail);
        let command = Command::PatchSection { crn: from.crn.clone(), patch };
        let outcome = self.pool.submit(&from.term, Submitted::from(command).audited(entry)).await;
        outcome.ok_or_else(no_such_section)??;
        Ok(())
    }
}

/// Submits the move of one student.
async fn submit_move(pool: &RegistrarPool, to: &SectionId, user: UserName, command: Submitted) -> MoveResult {
    let Some(reply) = pool.request_in(&Realm::College, &to.term, command).await else {
        return MoveResult::stays(user, no_such_section());
    };
    let replied = match reply {
        Ok(replied) => replied,
        Err(error) => return MoveResult::stays(user, error.into()),
    };
    let receipt = replied.receipts.first().copied();
    match replied.outcome {
        Outcome::Request(RequestOutcome::Done(current)) => {
            MoveResult { user, status: Some(current.status), position: current.position, problem: None }
        }
        Outcome::Request(RequestOutcome::Refused(refusal)) => {
            MoveResult::stays(user, Problem::from(refusal).receipt(receipt))
        }
        Outcome::Request(RequestOutcome::InChoices { crn, problem }) => {
            MoveResult::stays(user, choice_problem(&to.term, crn, problem).receipt(receipt))
        }
        Outcome::Request(RequestOutcome::NotFound) => {
            MoveResult::stays(user, Problem::not_found("The student has left the section.").receipt(receipt))
        }
        other => MoveResult::stays(user, Problem::internal(format_args!("the outcome of a move was {other:?}"))),
    }
}

fn count(results: &[MoveResult]) -> usize {
    results.iter().filter(|result| result.status.is_some()).count()
}

/// Runs `work` as a separate task, so that all students are moved even if the client disconnects.
async fn respond(
    work: impl Future<Output = Result<MoveAllResponse, Problem>> + 'static,
) -> Result<HttpResponse, Problem> {
    let response = actix_web::rt::spawn(work).await.map_err(Problem::internal)??;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(response))
}

/// Moves everyone in a section to another section (staff of both sections' subjects).
///
/// Each student is moved by a separate decision, with an attempt by staff, and is notified. A student who cannot be
/// moved stays, and is listed with the reason. Students on the waitlist get a seat or a position in the other section.
/// The section itself does not change; students can still register for it, unless it is closed or cancelled.
#[utoipa::path(
    post,
    path = "/api/v1/sections/{id}/move-all",
    operation_id = "moveAll",
    tag = "administration",
    params(("id" = SectionId, Path, description = "The section.")),
    request_body = Request,
    responses(
        (status = 200, description = "The result for each student.", body = MoveAllResponse),
        BadRole, NotFound, BadBody, StoreFailed,
    )
)]
pub async fn move_all(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    rosters: Data<dyn RosterStore>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let deps = Deps { model, pool, rosters, audit };
    let checked = deps.check(&request, staff, payload).await?;
    respond(async move {
        let results = deps.move_everyone(&request, &checked).await?;
        Ok(MoveAllResponse { moved: count(&results), cancelled: None, results })
    })
    .await
}

/// Merges a section into another one (staff of both sections' subjects).
///
/// The section is closed to new students, and everyone in it is moved as by `move-all`. If no student is left, and no
/// seat is taken outside the hub, it is then cancelled; otherwise it stays closed. Those who stay are listed with the
/// reason.
#[utoipa::path(
    post,
    path = "/api/v1/sections/{id}/merge",
    operation_id = "mergeSection",
    tag = "administration",
    params(("id" = SectionId, Path, description = "The section whose students move.")),
    request_body = Request,
    responses(
        (status = 200, description = "The result for each student.", body = MoveAllResponse),
        BadRole, NotFound, BadBody, StoreFailed,
    )
)]
pub async fn merge(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    rosters: Data<dyn RosterStore>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let deps = Deps { model, pool, rosters, audit };
    let checked = deps.check(&request, staff, payload).await?;
    respond(async move {
        // Before the students are counted, so that none joins while the others move.
        if checked.source.state.section.status == SectionStatus::Open {
            deps.set_status(&request, &checked, SectionStatus::Closed).await?;
        }
        let results = deps.move_everyone(&request, &checked).await?;
        let is_empty = checked.source.state.outside_enrolled == 0 && deps.students(&checked.from).await?.is_empty();
        if is_empty && !checked.source.state.is_cancelled() {
            deps.set_status(&request, &checked, SectionStatus::Cancelled).await?;
        }
        let cancelled = Some(is_empty || checked.source.state.is_cancelled());
        Ok(MoveAllResponse { moved: count(&results), cancelled, results })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<Request>(&[
            ("override", serde_json::json!(["section_full"])),
            ("to", serde_json::json!("202209-10001")),
        ]);
    }
}
