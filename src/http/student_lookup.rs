//! Searches for students, and what a student sees, for staff who help one.

use std::collections::BTreeMap;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::fold::fold;
use crate::domain::ids::{TermId, USER_CHARS_MAX, UserName};
use crate::domain::plan::PlanName;
use crate::domain::realm::Realm;
use crate::domain::rights::Scope;
use crate::identity::disclosures::Disclosure;
use crate::identity::{Audit, Caller, Identity};
use crate::live::alert_scope::subjects_of;
use crate::registration::readmodel::ReadModel;
use crate::store::StoreError;
use crate::store::plans::PlanStore;
use crate::store::students::{FoundStudent, StudentSearch, StudentStore};

use crate::http::auth::{Staff, SubjectStaff, within_limit};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadPath, BadQuery, BadRole, StoreFailed};
use crate::http::plan::{PlanResponse, stored_plan};
use crate::http::query::Query;
use crate::http::registrations::Registrations;
use crate::http::request_id::PRIVATE;
use crate::http::students::student;

/// The minimum length of a search in characters. A shorter one would list most students.
const SEARCH_CHARS_MIN: usize = 2;
/// The maximum length of a search in characters: that of a username, and enough for a full name.
const SEARCH_CHARS_MAX: usize = USER_CHARS_MAX;
/// The maximum number of students on a page. Staff read through them to choose one.
const FOUND_MAX: usize = 20;
/// Number of students that are read at a time for limited staff, who may see only a few of them.
const READ_MAX: usize = 500;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(find, registrations, plan))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    let resource = |path: &str| web::resource(path.to_owned()).default_service(method_not_allowed("GET, HEAD"));
    cfg.service(resource("/api/v1/students").route(get().to(find)))
        .service(resource("/api/v1/students/{user}/registrations").route(get().to(registrations)))
        .service(resource("/api/v1/students/{user}/plan").route(get().to(plan)));
}

/// A student found by a search.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundStudent)]
struct StudentItem {
    user: UserName,
    /// The display name; absent if the hub has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
}

/// Students, by username.
#[derive(Serialize, ToSchema)]
struct StudentList {
    #[schema(max_items = 20)]
    items: Vec<StudentItem>,
    /// The `cursor` of the next page; null if no more students match.
    #[schema(required)]
    next: Option<UserName>,
}

/// Returns the scope of a student: limited staff have access only if the student is registered in their subjects.
fn scope<'a>(user: &'a UserName, model: &ReadModel) -> Scope<'a> {
    Scope::Student { name: user.as_str(), subjects: subjects_of(user, model) }
}

/// Returns students who match and whom the caller may see: at least one more than a page has, if there are that many.
async fn search(
    store: &dyn StudentStore,
    caller: &Caller,
    model: &ReadModel,
    words: Vec<String>,
    mut after: Option<UserName>,
) -> Result<Vec<FoundStudent>, StoreError> {
    let limit = if caller.subjects.is_some() { READ_MAX } else { FOUND_MAX + 1 };
    let mut found = Vec::new();
    loop {
        let read = store.find(StudentSearch { words: words.clone(), after: after.take(), limit }).await?;
        let is_last = read.len() < limit;
        after = read.last().map(|last| last.user.clone());
        found.extend(read.into_iter().filter(|one| within_limit(caller, &scope(&one.user, model)).is_ok()));
        if is_last || found.len() > FOUND_MAX {
            return Ok(found);
        }
    }
}

/// Finds students by words of the username or the display name, regardless of case and accents (staff).
///
/// Each word of `q` must begin a word of either. Staff who are limited to subjects find only students who are
/// registered in sections of these subjects.
#[utoipa::path(
    get,
    path = "/api/v1/students",
    operation_id = "findStudents",
    tag = "administration",
    params(
        ("q" = String, Query, description = "Beginnings of words.", min_length = 2, max_length = 120),
        ("cursor" = Option<UserName>, Query, description = "The `next` of an earlier page."),
    ),
    responses(
        (status = 200, description = "By username, at most 20.", body = StudentList),
        BadRole, BadQuery, StoreFailed,
    )
)]
pub async fn find(
    request: HttpRequest,
    staff: SubjectStaff,
    model: Data<ReadModel>,
    store: Data<dyn StudentStore>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    // `search` checks for each student whether limited staff may see the student.
    let caller = staff.concerning_no_one();
    let query = Query::of(&request)?;
    let words: Vec<String> = fold(query.string("q", 1..=SEARCH_CHARS_MAX)?.unwrap_or_default())
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    if words.iter().map(|word| word.chars().count()).sum::<usize>() < SEARCH_CHARS_MIN {
        let detail = format!("A search needs at least {SEARCH_CHARS_MIN} characters of a name or username.");
        return Err(Problem::invalid("q", detail));
    }
    let after = query.parsed("cursor", "the `next` of an earlier page", |text| UserName::stored(text).ok())?;
    let mut found = search(&**store, &caller, &model, words, after).await?;
    let has_more = found.len() > FOUND_MAX;
    found.truncate(FOUND_MAX);
    let next = found.last().filter(|_| has_more).map(|last| last.user.clone());
    let people = found.iter().map(|one| one.user.clone()).collect();
    audit.record_disclosure(&request, &caller, Disclosure::StudentSearch, None, None, people).await?;
    let items = found.into_iter().map(|FoundStudent { user, name }| {
        let name = name.filter(|name| name != user.as_str());
        StudentItem { user, name }
    });
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(StudentList { items: items.collect(), next }))
}

/// Lists a student's registrations (staff).
///
/// Staff who are limited to subjects see only registrations in sections of these subjects; `credits` is empty.
#[utoipa::path(
    get,
    path = "/api/v1/students/{user}/registrations",
    operation_id = "studentRegistrations",
    tag = "administration",
    params(
        ("user" = UserName, Path, description = "The student."),
        ("term" = Option<TermId>, Query, description = "Only registrations in this term."),
    ),
    responses(
        (status = 200, description = "The registrations, without dropped ones.", body = Registrations),
        BadRole, BadPath, BadQuery, StoreFailed,
    )
)]
pub async fn registrations(
    request: HttpRequest,
    staff: SubjectStaff,
    identity: Data<Identity>,
    model: Data<ReadModel>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let user = student(&request, &identity)?;
    // Limited staff see only the registrations in sections of their subjects; see below.
    let caller = staff.concerning_no_one();
    let term = Query::of(&request)?.parsed("term", "a term's id", |text| TermId::parse(text).ok())?;
    if term.as_ref().is_some_and(|term| model.term_in(&Realm::College, term).is_none()) {
        return Err(Problem::invalid("term", "There is no such term."));
    }
    let mut all = Registrations::of(&model, &Realm::College, &user, term.as_ref());
    if caller.subjects.is_some() {
        all.items.retain(|one| {
            let row = model.section(&one.section);
            row.is_some_and(|(row, _)| within_limit(&caller, &Scope::Subject(row.state.section.subject())).is_ok())
        });
        all.credits = BTreeMap::new();
    }
    let people = vec![user.clone()];
    audit.record_disclosure(&request, &caller, Disclosure::StudentRead, Some(user.as_str()), None, people).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(all))
}

/// Returns a student's plan (staff of all subjects).
#[utoipa::path(
    get,
    path = "/api/v1/students/{user}/plan",
    operation_id = "studentPlan",
    tag = "administration",
    params(("user" = UserName, Path, description = "The student.")),
    responses((status = 200, description = "The plan.", body = PlanResponse), BadRole, BadPath, StoreFailed)
)]
pub async fn plan(
    request: HttpRequest,
    Staff(staff): Staff,
    identity: Data<Identity>,
    plans: Data<dyn PlanStore>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let user = student(&request, &identity)?;
    let sections = stored_plan(&user, &PlanName::default(), &**plans).await?;
    let people = vec![user.clone()];
    audit.record_disclosure(&request, &staff, Disclosure::StudentRead, Some(user.as_str()), None, people).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(PlanResponse { sections }))
}
