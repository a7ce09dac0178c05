//! Registrations that staff make on a student's behalf.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::{OpenApi, ToSchema};

use crate::domain::audit_detail::AuditDetail;
use crate::domain::command::{Command, StaffRequest, WaitlistMove};
use crate::domain::ids::{Crn, SectionId, UserName};
use crate::domain::realm::Realm;
use crate::domain::refusal::RefusalCode;
use crate::domain::rights::Scope;
use crate::identity::{Audit, Caller, Identity};
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::registration::submitted::Submitted;

use crate::http::auth::SubjectStaff;
use crate::http::body::{Fields, RequestBody, read_body, read_body_or_nothing};
use crate::http::error::{Problem, method_not_allowed};
use crate::http::openapi::responses::{BadBody, BadRole, NotFound, Refused, StoreFailed};
use crate::http::permits::{REASON_CHARS_MAX, read_codes};
use crate::http::query::path_param;
use crate::http::registrations::{RegistrationResponse, SECTION_LEN_MAX, submit_one};
use crate::http::request_id::RequestId;
use crate::http::sections::no_such_section;
use crate::http::students::student;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(register, drop_one, move_one, put_position))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/students/{user}/registrations/{section}")
            .route(web::put().to(register))
            .route(web::delete().to(drop_one))
            .default_service(method_not_allowed("PUT, DELETE")),
    )
    .service(
        web::resource("/api/v1/students/{user}/registrations/{section}/position")
            .route(web::put().to(put_position))
            .default_service(method_not_allowed("PUT")),
    )
    .service(
        web::resource("/api/v1/students/{user}/move")
            .route(web::post().to(move_one))
            .default_service(method_not_allowed("POST")),
    );
}

/// The refusals that staff lift, and the reason.
#[derive(Debug, Default, ToSchema)]
#[schema(as = OverrideRequest)]
#[serde(deny_unknown_fields)]
struct OverrideRequest {
    /// The codes of the refusals to lift. Other rules apply as for the student.
    #[schema(rename = "override", value_type = Option<Vec<RefusalCode>>)]
    codes: Vec<RefusalCode>,
    /// Required with `override`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<String>,
    /// Whether the student joins the waitlist if the section is full.
    #[schema(value_type = Option<bool>, default = false)]
    waitlist: bool,
}

impl RequestBody for OverrideRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let codes = read_codes(fields)?.unwrap_or_default();
        let reason = fields.maybe_string("reason", 1..=REASON_CHARS_MAX)?;
        Ok(Self { codes, reason, waitlist: fields.maybe_bool("waitlist")?.unwrap_or(false) })
    }
}

impl OverrideRequest {
    fn check(&self) -> Result<(), Problem> {
        let lacks_reason = !self.codes.is_empty() && self.reason.as_deref().is_none_or(|text| text.trim().is_empty());
        if lacks_reason {
            return Err(Problem::invalid("reason", "An override needs a reason."));
        }
        Ok(())
    }

    /// Returns a request that neither adds nor drops a section yet, with the lifted refusals.
    fn request(&self, student: UserName) -> StaffRequest {
        let lifted = self.codes.iter().copied().collect();
        StaffRequest { student, drop: None, add: None, waitlist: false, lifted }
    }

    fn describe(&self, what: AuditDetail) -> AuditDetail {
        let what = what.overriding(self.codes.iter().map(|code| code.as_str().to_owned()).collect());
        match &self.reason {
            Some(reason) => what.because(reason),
            None => what,
        }
    }
}

/// A move of a student to another section.
#[derive(Debug, ToSchema)]
#[schema(as = MoveRequest)]
#[serde(deny_unknown_fields)]
struct MoveRequest {
    #[schema(value_type = SectionId)]
    from: SectionId,
    /// A section of the same term.
    #[schema(value_type = SectionId)]
    to: SectionId,
    /// The codes of the refusals to lift.
    #[schema(rename = "override", value_type = Option<Vec<RefusalCode>>)]
    codes: Vec<RefusalCode>,
    /// Required with `override`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<String>,
}

impl RequestBody for MoveRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let mut section = |name| {
            let text = fields.string(name, 1..=SECTION_LEN_MAX)?;
            SectionId::parse(&text)
                .map_err(|_| Problem::invalid(name, "A section's id is TERM-CRN, such as 202209-10001."))
        };
        let (from, to) = (section("from")?, section("to")?);
        let codes = read_codes(fields)?.unwrap_or_default();
        Ok(Self { from, to, codes, reason: fields.maybe_string("reason", 1..=REASON_CHARS_MAX)? })
    }
}

/// A move of a student to another position of a waitlist.
#[derive(Debug, ToSchema)]
#[schema(as = PositionRequest)]
#[serde(deny_unknown_fields)]
struct PositionRequest {
    /// The new position: 1 is the head. People who wait outside the hub stay ahead, and a position past the end means
    /// the last one.
    #[schema(value_type = u32, minimum = 1)]
    position: u32,
    #[schema(value_type = String, min_length = 1, max_length = 500)]
    reason: String,
}

impl RequestBody for PositionRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let position = fields.u32("position", 1..=u32::MAX)?;
        let reason = fields.string("reason", 1..=REASON_CHARS_MAX)?;
        if reason.trim().is_empty() {
            return Err(Problem::invalid("reason", "A move on the waitlist needs a reason."));
        }
        Ok(Self { position, reason })
    }
}

/// The services that the handlers of this file use.
struct Deps {
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    audit: Data<Audit>,
}

impl Deps {
    /// Returns the caller, who may change registrations in all of these sections.
    fn allowed(&self, staff: SubjectStaff, sections: &[&SectionId]) -> Result<Caller, Problem> {
        let rows = sections.iter().map(|id| self.model.section(id).map(|(row, _)| row).ok_or_else(no_such_section));
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        staff.concerning(rows.iter().map(|row| Scope::Subject(row.state.section.subject())))
    }

    /// Submits a change for the student and the section in the path, with the overrides in the body. `change` completes
    /// it.
    async fn run_on_path(
        &self,
        request: &HttpRequest,
        staff: SubjectStaff,
        payload: web::Payload,
        identity: &Identity,
        what: AuditDetail,
        change: impl FnOnce(&mut StaffRequest, Crn, &OverrideRequest),
    ) -> Result<HttpResponse, Problem> {
        let (student, section) = (student(request, identity)?, section(request)?);
        let lift: OverrideRequest = read_body_or_nothing(request, payload).await?;
        lift.check()?;
        let staff = self.allowed(staff, &[&section])?;
        let mut staff_request = lift.request(student);
        change(&mut staff_request, section.crn.clone(), &lift);
        self.run(request, &staff, &section, staff_request, what, &lift).await
    }

    /// Submits a change. Its audit entry is stored in the commit of the decision, even if the change is refused.
    async fn run(
        &self,
        request: &HttpRequest,
        staff: &Caller,
        section: &SectionId,
        change: StaffRequest,
        what: AuditDetail,
        lift: &OverrideRequest,
    ) -> Result<HttpResponse, Problem> {
        let (user, detail) = (change.student.clone(), lift.describe(what));
        let about = Some(user.as_str());
        let entry = self.audit.entry_in_commit(request, staff, "student.registration", about, Some(section), detail);
        let command = Submitted::by_staff(Command::ForStudent(change), RequestId::of(request)).audited(entry);
        let not_found = "The student was never in this section.";
        submit_one(&self.pool, &Realm::College, &section.term, command, not_found).await
    }
}

/// Reads the section in the path.
fn section(request: &HttpRequest) -> Result<SectionId, Problem> {
    SectionId::parse(&path_param(request, "section")?).map_err(|_| no_such_section())
}

/// Registers a student for a section (staff of its subject). The rules apply as for the student, except those whose
/// codes are in `override`.
#[utoipa::path(
    put,
    path = "/api/v1/students/{user}/registrations/{section}",
    operation_id = "registerStudent",
    tag = "administration",
    params(
        ("user" = UserName, Path, description = "The student."),
        ("section" = SectionId, Path, description = "The section."),
    ),
    request_body = OverrideRequest,
    responses(
        (status = 200, description = "Already registered: the current state.", body = RegistrationResponse),
        (status = 201, description = "Enrolled or waitlisted; the change is durable.", body = RegistrationResponse),
        BadRole, NotFound, Refused, BadBody, StoreFailed,
    )
)]
pub async fn register(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    identity: Data<Identity>,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let add = |change: &mut StaffRequest, crn, lift: &OverrideRequest| {
        (change.add, change.waitlist) = (Some(crn), lift.waitlist);
    };
    Deps { model, pool, audit }.run_on_path(&request, staff, payload, &identity, AuditDetail::Register, add).await
}

/// Drops a student from a section or its waitlist (staff of its subject). A hold that blocks drops, and the deadline to
/// drop, apply unless `override` has `hold` or `registration_closed`.
#[utoipa::path(
    delete,
    path = "/api/v1/students/{user}/registrations/{section}",
    operation_id = "dropStudent",
    tag = "administration",
    params(
        ("user" = UserName, Path, description = "The student."),
        ("section" = SectionId, Path, description = "The section."),
    ),
    request_body = OverrideRequest,
    responses(
        (status = 200, description = "Dropped now or earlier.", body = RegistrationResponse),
        BadRole, NotFound, Refused, BadBody, StoreFailed,
    )
)]
pub async fn drop_one(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    identity: Data<Identity>,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let drop = |change: &mut StaffRequest, crn, _: &OverrideRequest| change.drop = Some(crn);
    Deps { model, pool, audit }.run_on_path(&request, staff, payload, &identity, AuditDetail::Drop, drop).await
}

/// Moves a student from one section to another (staff of both sections' subjects). Both changes are made, or none.
#[utoipa::path(
    post,
    path = "/api/v1/students/{user}/move",
    operation_id = "moveStudent",
    tag = "administration",
    params(("user" = UserName, Path, description = "The student.")),
    request_body = MoveRequest,
    responses(
        (status = 201, description = "The student is in the other section.", body = RegistrationResponse),
        (status = 200, description = "The student was already in the other section.", body = RegistrationResponse),
        BadRole, NotFound, Refused, BadBody, StoreFailed,
    )
)]
pub async fn move_one(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    identity: Data<Identity>,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let student = student(&request, &identity)?;
    let MoveRequest { from, to, codes, reason } = read_body(&request, payload).await?;
    let lift = OverrideRequest { codes, reason, waitlist: false };
    lift.check()?;
    if from.term != to.term || from == to {
        return Err(Problem::invalid("to", "Choose another section of the same term."));
    }
    let deps = Deps { model, pool, audit };
    let staff = deps.allowed(staff, &[&from, &to])?;
    let (drop, add) = (Some(from.crn.clone()), Some(to.crn.clone()));
    let change = StaffRequest { drop, add, ..lift.request(student) };
    deps.run(&request, &staff, &to, change, AuditDetail::MoveFrom { section: from.to_string() }, &lift).await
}

/// Moves a student on a waitlist to another position (staff of the section's subject).
///
/// The students between the two positions move by one. All of them are notified of their new positions.
#[utoipa::path(
    put,
    path = "/api/v1/students/{user}/registrations/{section}/position",
    operation_id = "moveOnWaitlist",
    tag = "administration",
    params(
        ("user" = UserName, Path, description = "The student."),
        ("section" = SectionId, Path, description = "The section."),
    ),
    request_body = PositionRequest,
    responses(
        (status = 200, description = "The student has the position in the response.", body = RegistrationResponse),
        BadRole, NotFound, BadBody, StoreFailed,
    )
)]
pub async fn put_position(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    identity: Data<Identity>,
    model: Data<ReadModel>,
    pool: Data<RegistrarPool>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let (student, id) = (student(&request, &identity)?, section(&request)?);
    let PositionRequest { position, reason } = read_body(&request, payload).await?;
    let deps = Deps { model, pool, audit };
    let staff = deps.allowed(staff, &[&id])?;
    let detail = AuditDetail::Position { position: position.into() }.because(&reason);
    let about = Some(student.as_str());
    let entry = deps.audit.entry_in_commit(&request, &staff, "waitlist.position", about, Some(&id), detail);
    let change = WaitlistMove { student: student.clone(), crn: id.crn.clone(), position };
    let command = Submitted::by_staff(Command::MoveOnWaitlist(change), RequestId::of(&request)).audited(entry);
    let not_found = "The student is not on the waitlist of this section.";
    submit_one(&deps.pool, &Realm::College, &id.term, command, not_found).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn readers_and_schemas_of_the_requests_agree() {
        assert_reader_matches_schema::<OverrideRequest>(&[("override", json!(["section_full"]))]);
        assert_reader_matches_schema::<PositionRequest>(&[]);
        assert_reader_matches_schema::<MoveRequest>(&[("override", json!(["hold"]))]);
    }
}
