//! What the college states about students: holds, limits, groups, opening times and completed courses.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Serialize;
use strum::VariantArray;
use utoipa::{OpenApi, ToSchema};

use crate::domain::audit_detail::Detail;
use crate::domain::ids::UserName;
use crate::domain::section::Credits;
pub(super) use crate::domain::student::NAME_CHARS_MAX;
use crate::domain::student::{
    COMPLETED_MAX, CompletedCourse, GRADE_CHARS_MAX, GROUPS_MAX, HOLD_TEXT_CHARS_MAX, HOLDS_MAX, HeldAction, Hold,
    StudentFacts, is_web_address,
};
use crate::identity::disclosures::Disclosure;
use crate::identity::{Audit, Identity};
use crate::registration::student_facts::{FactsError, StudentFactsWriter};
use crate::store::students::StudentStore;

use crate::http::auth::Staff;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::ReadOnlyMembers;
use crate::http::openapi::responses::{BadBody, BadPath, BadRole, StoreFailed};
use crate::http::permits::PermitResponse;
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;
use crate::http::term_request::closes_before_opening;
use crate::http::users::not_a_username;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(read, put), modifiers(&READ_ONLY))]
pub(super) struct Api;

/// Describes the members that the hub sets itself.
const READ_ONLY: ReadOnlyMembers<FactsRequest> = ReadOnlyMembers::NEW;

/// Registers the resource of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/students/{user}")
            .route(get().to(read))
            .route(web::put().to(put))
            .default_service(method_not_allowed("GET, HEAD, PUT")),
    );
}

/// A hold that an office of the college placed on a student.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Hold)]
pub struct HoldResponse {
    /// The college's id of the hold.
    id: Box<str>,
    /// The reason.
    text: Box<str>,
    /// The office that lifts it.
    office: Box<str>,
    /// Where the student can settle it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    url: Option<Box<str>>,
    /// What it blocks: `register`, `drop`, or both. A hold that blocks nothing is only shown.
    #[schema(value_type = Vec<String>)]
    blocks: Vec<HeldAction>,
}

impl From<Hold> for HoldResponse {
    fn from(Hold { id, text, office, url, blocks }: Hold) -> Self {
        Self { id, text, office, url, blocks }
    }
}

/// A course that a student completed or attempted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompletedCourse)]
struct CompletedResponse {
    /// The course, such as `MATH 151`.
    course: Box<str>,
    /// The grade, such as `B+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    grade: Option<Box<str>>,
    /// The term, as the college names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    term: Option<Box<str>>,
}

impl From<CompletedCourse> for CompletedResponse {
    fn from(CompletedCourse { course, grade, term }: CompletedCourse) -> Self {
        Self { course, grade, term }
    }
}

/// What the college states about a student.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StudentFacts)]
pub(super) struct FactsResponse {
    user: UserName,
    holds: Vec<HoldResponse>,
    /// The minimum number of credits that the student must take. It is shown but not enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    credit_min: Option<Credits>,
    /// The maximum number of credits that the student may take in a term; absent for the college's limit, 0 for no
    /// limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    credit_limit: Option<Credits>,
    groups: Vec<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    program: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    campus: Option<Box<str>>,
    /// When registration opens for the student, instead of the time of the term.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    opens_at: Option<Timestamp>,
    /// When registration closes for the student, instead of the time of the term.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    closes_at: Option<Timestamp>,
    completed: Vec<CompletedResponse>,
    /// Whether the completed courses are known. If not, prerequisites and repeat limits are not evaluated for the
    /// student.
    completed_known: bool,
    /// Overrides that staff gave beforehand. A change to the facts keeps them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    permits: Vec<PermitResponse>,
}

impl FactsResponse {
    pub(super) fn new(user: UserName, facts: StudentFacts) -> Self {
        let StudentFacts { holds, credit_min, credit_limit, groups, program, campus, .. } = facts;
        let StudentFacts { opens_at, closes_at, completed, permits, .. } = facts;
        Self {
            user,
            holds: holds.into_iter().map(HoldResponse::from).collect(),
            credit_min,
            credit_limit,
            groups,
            program,
            campus,
            opens_at,
            closes_at,
            permits: permits.into_iter().map(PermitResponse::from).collect(),
            completed_known: completed.is_some(),
            completed: completed.unwrap_or_default().into_iter().map(CompletedResponse::from).collect(),
        }
    }
}

/// A hold.
#[derive(ToSchema)]
#[schema(as = HoldRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `read_hold` reads")]
struct HoldRequest {
    #[schema(min_length = 1, max_length = 100)]
    id: String,
    #[schema(min_length = 1, max_length = 500)]
    text: String,
    #[schema(min_length = 1, max_length = 100)]
    office: String,
    /// An address that begins with `https://` or `http://`.
    #[schema(min_length = 1, max_length = 500)]
    url: Option<String>,
    /// `register`, `drop`, or both; `register` if absent.
    #[schema(max_items = 2)]
    blocks: Option<Vec<String>>,
}

/// A completed course.
#[derive(ToSchema)]
#[schema(as = CompletedCourseRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `read_completed` reads")]
struct CompletedRequest {
    #[schema(min_length = 1, max_length = 100)]
    course: String,
    #[schema(min_length = 1, max_length = 10)]
    grade: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    term: Option<String>,
}

/// What the college states about a student. It replaces all earlier facts about the student.
#[derive(Debug, ToSchema)]
#[schema(as = StudentFactsRequest)]
#[serde(deny_unknown_fields)]
struct FactsRequest {
    #[schema(value_type = Option<Vec<HoldRequest>>, max_items = 20)]
    holds: Vec<Hold>,
    credit_min: Option<Credits>,
    /// The maximum number of credits in a term; absent for the college's limit, 0 for no limit.
    credit_limit: Option<Credits>,
    #[schema(value_type = Option<Vec<String>>, max_items = 40)]
    groups: Vec<Box<str>>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    program: Option<Box<str>>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    campus: Option<Box<str>>,
    /// When registration opens for the student, in all terms that have an opening time.
    opens_at: Option<Timestamp>,
    closes_at: Option<Timestamp>,
    /// Absent if the completed courses are not known: then prerequisites and repeat limits are not evaluated for the
    /// student.
    #[schema(value_type = Option<Vec<CompletedRequest>>, max_items = 400)]
    completed: Option<Vec<CompletedCourse>>,
    /// Only for an empty list of completed courses: whether it is known to be empty.
    #[schema(value_type = Option<bool>, default = true)]
    completed_known: bool,
}

impl RequestBody for FactsRequest {
    const SET_BY_HUB: &'static [&'static str] = &["user", "permits"];

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let maybe_name = |fields: &mut Fields, name| {
            Ok::<_, Problem>(fields.maybe_string(name, 1..=NAME_CHARS_MAX)?.map(String::into_boxed_str))
        };
        let mut groups: Vec<Box<str>> = Vec::new();
        for group in fields.maybe_strings("groups", GROUPS_MAX, 1..=NAME_CHARS_MAX)?.unwrap_or_default() {
            if !groups.iter().any(|known| known.eq_ignore_ascii_case(&group)) {
                groups.push(group.into());
            }
        }
        Ok(Self {
            holds: fields.maybe_objects("holds", HOLDS_MAX, read_hold)?.unwrap_or_default(),
            credit_min: fields.maybe_credits("credit_min")?,
            credit_limit: fields.maybe_credits("credit_limit")?,
            groups,
            program: maybe_name(fields, "program")?,
            campus: maybe_name(fields, "campus")?,
            opens_at: fields.maybe_timestamp("opens_at")?,
            closes_at: fields.maybe_timestamp("closes_at")?,
            completed: fields.maybe_objects("completed", COMPLETED_MAX, read_completed)?,
            completed_known: fields.maybe_bool("completed_known")?.unwrap_or(true),
        })
    }
}

impl FactsRequest {
    fn into_facts(self) -> Result<StudentFacts, Problem> {
        let Self { holds, credit_min, credit_limit, groups, program, campus, opens_at, closes_at, .. } = self;
        if opens_at.zip(closes_at).is_some_and(|(opens, closes)| closes <= opens) {
            return Err(closes_before_opening("closes_at"));
        }
        let completed = self.completed.filter(|courses| self.completed_known || !courses.is_empty());
        Ok(StudentFacts {
            holds,
            credit_min,
            credit_limit,
            groups,
            program,
            campus,
            opens_at,
            closes_at,
            completed,
            permits: Vec::new(),
        })
    }
}

fn read_hold(fields: &mut Fields) -> Result<Hold, Problem> {
    let at = fields.path_of("url");
    let url = fields.maybe_string("url", 1..=HOLD_TEXT_CHARS_MAX)?;
    if url.as_deref().is_some_and(|url| !is_web_address(url)) {
        return Err(Problem::invalid(at, "The address of a hold must begin with https:// or http://."));
    }
    let blocks =
        fields.maybe_parsed_list("blocks", HeldAction::VARIANTS.len(), "register or drop", HeldAction::parse)?;
    Ok(Hold {
        id: fields.string("id", 1..=NAME_CHARS_MAX)?.into(),
        text: fields.string("text", 1..=HOLD_TEXT_CHARS_MAX)?.into(),
        office: fields.string("office", 1..=NAME_CHARS_MAX)?.into(),
        url: url.map(Into::into),
        blocks: blocks.unwrap_or_else(|| vec![HeldAction::Register]),
    })
}

fn read_completed(fields: &mut Fields) -> Result<CompletedCourse, Problem> {
    let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ").into_boxed_str();
    Ok(CompletedCourse {
        course: one_line(fields.string("course", 1..=NAME_CHARS_MAX)?),
        grade: fields.maybe_string("grade", 1..=GRADE_CHARS_MAX)?.map(one_line),
        term: fields.maybe_string("term", 1..=NAME_CHARS_MAX)?.map(one_line),
    })
}

/// Returns what the college states about a student (staff of all subjects).
///
/// A student about whom nothing is stated has empty lists.
#[utoipa::path(
    get,
    path = "/api/v1/students/{user}",
    operation_id = "student",
    tag = "administration",
    params(("user" = UserName, Path, description = "The student.")),
    responses((status = 200, description = "The facts.", body = FactsResponse), BadRole, BadPath, StoreFailed)
)]
pub async fn read(
    request: HttpRequest,
    Staff(staff): Staff,
    identity: Data<Identity>,
    store: Data<dyn StudentStore>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let user = student(&request, &identity)?;
    let facts = store.facts(&user).await?.unwrap_or_default();
    let people = vec![user.clone()];
    audit.record_disclosure(&request, &staff, Disclosure::StudentRead, Some(user.as_str()), None, people).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(FactsResponse::new(user, facts)))
}

/// States facts about a student (staff of all subjects). They replace the earlier ones, and apply in all terms.
///
/// A hold with `register` in `blocks` blocks seats and waitlist positions; a hold with `drop` blocks drops of seats.
/// The student's waitlists are settled again.
#[utoipa::path(
    put,
    path = "/api/v1/students/{user}",
    operation_id = "putStudent",
    tag = "administration",
    params(("user" = UserName, Path, description = "The student. The hub need not know the username yet.")),
    request_body = FactsRequest,
    responses((status = 200, description = "The new facts.", body = FactsResponse), BadRole, BadBody, StoreFailed)
)]
pub async fn put(
    request: HttpRequest,
    Staff(staff): Staff,
    payload: web::Payload,
    identity: Data<Identity>,
    writer: Data<StudentFactsWriter>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let user = student(&request, &identity)?;
    let facts = read_body::<FactsRequest>(&request, payload).await?.into_facts()?;
    let detail = describe(&facts);
    let entry = audit.entry_in_commit(&request, &staff, "student.change", Some(user.as_str()), None, detail);
    let keep_permits = |before: StudentFacts| Some(StudentFacts { permits: before.permits, ..facts });
    let changed = writer.change(&user, keep_permits, entry).await.map_err(problem_of)?;
    let (facts, entry) = changed.unwrap_or_default();
    if let Some(entry) = entry {
        audit.append_stored(entry).await;
    }
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(FactsResponse::new(user, facts)))
}

/// Reads the username in the path.
pub(super) fn student(request: &HttpRequest, identity: &Identity) -> Result<UserName, Problem> {
    identity.resolve(&path_param(request, "user")?).map_err(|_| not_a_username("user"))
}

pub(super) fn problem_of(error: FactsError) -> Problem {
    match error {
        FactsError::Store(error) => error.into(),
        FactsError::Submit(error) => error.into(),
    }
}

/// Returns the detail of a change for the audit trail. It has no grades and no reasons of holds, because more people
/// read the audit trail than the facts.
fn describe(facts: &StudentFacts) -> Detail {
    let offices: Vec<&str> = facts.holds.iter().map(|hold| &*hold.office).collect();
    let count = |name: &'static str, count: usize| (name, count.to_string());
    let time = |name: &'static str, at: Option<Timestamp>| at.map(|at| (name, at.to_string()));
    let credits = |name: &'static str, credits: Option<Credits>| credits.map(|n| (name, n.as_f64().to_string()));
    let parts = [
        Some(("holds", if offices.is_empty() { "none".to_owned() } else { offices.join(", ") })),
        credits("credit_min", facts.credit_min),
        credits("credit_limit", facts.credit_limit),
        Some(count("groups", facts.groups.len())),
        time("opens_at", facts.opens_at),
        time("closes_at", facts.closes_at),
        facts.completed.as_ref().map(|courses| count("completed", courses.len())),
    ];
    Detail::of_fields(parts.into_iter().flatten().collect(), "; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::audit_detail::coded;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        let hold = json!({"id": "1", "text": "A book is missing", "office": "Library"});
        assert_reader_matches_schema::<FactsRequest>(&[
            ("holds", json!([hold])),
            ("completed", json!([{"course": "MATH 151"}])),
            ("credit_min", json!(6)),
            ("credit_limit", json!(18.5)),
        ]);
    }

    #[test]
    fn only_web_addresses_are_links() {
        let table = [
            ("https://library.example.edu/fines", true),
            ("http://x", true),
            ("https://", false),
            ("javascript:alert(1)", false),
            ("//example.edu", false),
            ("https://a b", false),
        ];
        for (url, expected) in table {
            assert_eq!(is_web_address(url), expected, "{url}");
        }
    }

    #[test]
    fn the_detail_of_a_change_names_its_fields() {
        let facts = StudentFacts {
            credit_min: Some(Credits(6_000)),
            credit_limit: Some(Credits(18_500)),
            opens_at: Some(Timestamp::UNIX_EPOCH),
            closes_at: Some(Timestamp::UNIX_EPOCH),
            completed: Some(Vec::new()),
            ..StudentFacts::default()
        };
        let detail = describe(&facts);
        assert_eq!(detail.coded.as_ref().unwrap().args.len(), 7);
        assert_eq!(detail.coded, coded("student.change", &detail.text), "its text has the same code and values");
    }
}
