//! Permits: overrides that staff give to a student before a registration.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use strum::VariantArray;
use utoipa::{OpenApi, ToSchema};

use crate::clock::Clock;
use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::SectionId;
use crate::domain::refusal::RefusalCode;
use crate::domain::rights::Scope;
use crate::domain::section::subject_of_course;
use crate::domain::student::{PERMITS_MAX, Permit, PermittedFor, StudentFacts};
use crate::identity::{Audit, Identity};
use crate::registration::readmodel::ReadModel;
use crate::registration::student_facts::StudentFactsWriter;

use crate::http::auth::SubjectStaff;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, method_not_allowed};
use crate::http::openapi::responses::{BadBody, BadRole, StoreFailed};
use crate::http::registrations::SECTION_LEN_MAX;
use crate::http::request_id::PRIVATE;
use crate::http::students::{NAME_CHARS_MAX, problem_of, student};

/// The longest reason for an override, in characters.
pub(super) const REASON_CHARS_MAX: usize = 500;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(give))]
pub(super) struct Api;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/students/{user}/permits")
            .route(web::post().to(give))
            .default_service(method_not_allowed("POST")),
    );
}

/// An override that was given beforehand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permit)]
pub(super) struct PermitResponse {
    /// The section in which it applies; absent if it applies in all sections of a course.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    section: Option<Box<str>>,
    /// The course in whose sections it applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    course: Option<Box<str>>,
    /// The codes of the refusals that it lifts.
    #[serde(rename = "override")]
    codes: Vec<RefusalCode>,
    reason: Box<str>,
    /// When it ends; absent if it does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
    /// The user who gave it.
    by: Box<str>,
    at: Timestamp,
}

impl From<Permit> for PermitResponse {
    fn from(Permit { of, codes, reason, expires_at, by, at }: Permit) -> Self {
        let (section, course) = match of {
            PermittedFor::Section(id) => (Some(id), None),
            PermittedFor::Course(course) => (None, Some(course)),
        };
        Self { section, course, codes, reason, expires_at, by, at }
    }
}

/// An override for one section, or for all sections of a course: one of `section` and `course` is required.
#[derive(Debug, ToSchema)]
#[schema(as = PermitRequest)]
#[serde(deny_unknown_fields)]
struct PermitRequest {
    section: Option<SectionId>,
    /// The course, such as `MATH 151`.
    #[schema(min_length = 1, max_length = 100)]
    course: Option<String>,
    /// The codes of the refusals to lift. An empty list ends the student's override of this section or course.
    #[schema(rename = "override", value_type = Vec<RefusalCode>)]
    codes: Vec<RefusalCode>,
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// When it ends; absent if it does not end.
    expires_at: Option<Timestamp>,
}

/// Reads the codes of refusals that staff lift.
pub(super) fn read_codes(fields: &mut Fields) -> Result<Option<Vec<RefusalCode>>, Problem> {
    let expected = "the code of a refusal, such as section_full";
    fields.maybe_parsed_list("override", RefusalCode::VARIANTS.len(), expected, RefusalCode::parse)
}

impl RequestBody for PermitRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let codes = read_codes(fields)?;
        Ok(Self {
            section: fields
                .maybe_string("section", 1..=SECTION_LEN_MAX)?
                .map(|text| SectionId::parse(&text))
                .transpose()
                .map_err(|_| Problem::invalid("section", "A section's id is TERM-CRN, such as 202209-10001."))?,
            course: fields.maybe_string("course", 1..=NAME_CHARS_MAX)?,
            codes: codes.ok_or_else(|| Problem::invalid("override", "override is missing."))?,
            reason: fields.string("reason", 1..=REASON_CHARS_MAX)?,
            expires_at: fields.maybe_timestamp("expires_at")?,
        })
    }
}

/// Gives a student an override beforehand (staff of the section's or course's subject).
///
/// It lifts the named refusals when the student registers, and when the student is promoted from a waitlist. It
/// replaces an earlier override for the same section or course.
#[utoipa::path(
    post,
    path = "/api/v1/students/{user}/permits",
    operation_id = "givePermit",
    tag = "administration",
    params(("user" = crate::domain::ids::UserName, Path, description = "The student.")),
    request_body = PermitRequest,
    responses((status = 201, description = "The override.", body = PermitResponse), BadRole, BadBody, StoreFailed)
)]
#[expect(clippy::too_many_arguments, reason = "the framework extracts each of them")]
pub async fn give(
    request: HttpRequest,
    staff: SubjectStaff,
    payload: web::Payload,
    identity: Data<Identity>,
    model: Data<ReadModel>,
    writer: Data<StudentFactsWriter>,
    clock: Data<dyn Clock>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let user = student(&request, &identity)?;
    let body: PermitRequest = read_body(&request, payload).await?;
    let PermitRequest { section, course, codes, reason, expires_at } = body;
    let (of, staff) = match (section, course) {
        (Some(id), None) => {
            let (row, _) =
                model.section(&id).ok_or_else(|| Problem::invalid("section", "There is no such section."))?;
            let staff = staff.concerning([Scope::Subject(row.state.section.subject())])?;
            (PermittedFor::Section(id.to_string().into()), staff)
        }
        (None, Some(course)) => {
            let course = course.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
            let staff = staff.concerning([Scope::Subject(subject_of_course(&course))])?;
            (PermittedFor::Course(course.into()), staff)
        }
        _ => return Err(Problem::invalid("section", "State either section or course.")),
    };
    let names = codes.iter().map(|code| code.as_str().to_owned()).collect();
    let detail = AuditDetail::Permit { of: text_of(&of).to_owned(), codes: names, reason: reason.clone() };
    let permit =
        Permit { of, codes, reason: reason.into(), expires_at, by: staff.user.as_str().into(), at: clock.now() };
    let response = PermitResponse::from(permit.clone());
    let now = clock.now();
    let change = |mut facts: StudentFacts| {
        facts.permits.retain(|one| one.of != permit.of && one.expires_at.is_none_or(|end| now < end));
        if permit.codes.is_empty() {
            return Some(facts);
        }
        (facts.permits.len() < PERMITS_MAX).then(|| {
            facts.permits.push(permit);
            facts
        })
    };
    let entry = audit.entry_in_commit(&request, &staff, "student.permit", Some(user.as_str()), None, detail);
    let Some((_, entry)) = writer.change(&user, change, entry).await.map_err(problem_of)? else {
        let detail = format!("A student can have at most {PERMITS_MAX} permits. End some of them first.");
        return Err(Problem::invalid("override", detail));
    };
    if let Some(entry) = entry {
        audit.append_stored(entry).await;
    }
    Ok(HttpResponse::Created().insert_header(PRIVATE).json(response))
}

fn text_of(of: &PermittedFor) -> &str {
    match of {
        PermittedFor::Section(text) | PermittedFor::Course(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<PermitRequest>(&[
            ("override", json!(["section_full"])),
            ("section", json!("202209-10001")),
        ]);
    }
}
