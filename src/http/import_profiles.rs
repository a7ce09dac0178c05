//! Import profiles: mappings of the columns of schedule files, saved by name.

use std::collections::BTreeMap;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::ids::ProfileName;
use crate::domain::import_profile::{
    COLUMN_NAME_CHARS_MAX, ImportProfile, PROFILE_HEADER_LEN_MAX, PROFILE_MAP_LEN_MAX, PROFILE_TITLE_CHARS_MAX,
    ProfileChoice,
};
use crate::http::problem::ProblemCode;
use crate::identity::Audit;
use crate::imports::Imports;
use crate::imports::profiles::ProfileError;
use crate::store::import_profiles::PROFILES_MAX;

use crate::http::auth::{Staff, SubjectStaff};
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadBody, BadPath, BadRole, NotFound, StoreFailed};
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list, one, put, remove))]
pub(super) struct Api;

/// All profiles: the saved ones, then the built-in ones, each by name.
#[derive(Serialize, ToSchema)]
struct ImportProfileList {
    items: Vec<ProfileResponse>,
}

/// A mapping of the columns of schedule files, saved by name.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportProfile)]
struct ProfileResponse {
    #[schema(value_type = String)]
    name: ProfileName,
    title: String,
    /// A profile is chosen automatically for a file whose header has these names. A saved profile requires exactly
    /// these names, a built-in one at least these; case, spaces and `_` are ignored. Empty if the profile is never
    /// chosen automatically.
    header: Vec<String>,
    /// The field of each column, by the column's name in the file, `#4` for the fourth column, or `Bldg+Room` for two
    /// columns together. A name that a file does not have is ignored.
    map: BTreeMap<String, String>,
    /// Whether the profile is part of EduHub and cannot be changed.
    builtin: bool,
}

impl From<ImportProfile> for ProfileResponse {
    fn from(profile: ImportProfile) -> Self {
        let ImportProfile { name, title, header, map, builtin } = profile;
        Self { name, title, header, map, builtin }
    }
}

/// A new mapping of columns.
#[derive(ToSchema)]
#[schema(as = ImportProfileRequest)]
#[serde(deny_unknown_fields)]
struct ProfileRequest {
    #[schema(min_length = 1, max_length = 100)]
    title: String,
    #[schema(max_items = 300)]
    header: Vec<String>,
    /// The field of each column. `ignore` is the field of a column that is not imported.
    map: BTreeMap<String, String>,
}

impl RequestBody for ProfileRequest {
    const SET_BY_HUB: &'static [&'static str] = &["name", "builtin"];

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            title: fields.string("title", 1..=PROFILE_TITLE_CHARS_MAX)?,
            header: fields.strings("header", PROFILE_HEADER_LEN_MAX, 0..=COLUMN_NAME_CHARS_MAX)?,
            map: fields.texts("map", PROFILE_MAP_LEN_MAX, 1..=COLUMN_NAME_CHARS_MAX)?,
        })
    }
}

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/import-profiles").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/import-profiles/{name}")
            .route(get().to(one))
            .route(web::put().to(put))
            .route(web::delete().to(remove))
            .default_service(method_not_allowed("GET, HEAD, PUT, DELETE")),
    );
}

/// Lists the import profiles (staff).
#[utoipa::path(
    get,
    path = "/api/v1/import-profiles",
    operation_id = "listImportProfiles",
    tag = "imports",
    responses((status = 200, description = "All profiles.", body = ImportProfileList), BadRole, StoreFailed)
)]
pub async fn list(_staff: SubjectStaff, jobs: Data<Imports>) -> Result<HttpResponse, Problem> {
    let items = jobs.profiles().all().await?.into_iter().map(ProfileResponse::from).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(ImportProfileList { items }))
}

/// Returns an import profile (staff).
#[utoipa::path(
    get,
    path = "/api/v1/import-profiles/{name}",
    operation_id = "importProfile",
    tag = "imports",
    params(("name" = String, Path, description = "The profile.")),
    responses(
        (status = 200, description = "The profile.", body = ProfileResponse),
        BadRole, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn one(request: HttpRequest, _staff: SubjectStaff, jobs: Data<Imports>) -> Result<HttpResponse, Problem> {
    // An invalid name cannot belong to a profile.
    let name = ProfileName::parse(&path_param(&request, "name")?).map_err(|_| no_such_profile())?;
    let profile = jobs.profiles().get(&name).await.map_err(problem)?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(ProfileResponse::from(profile)))
}

/// Saves an import profile (staff of all subjects).
#[utoipa::path(
    put,
    path = "/api/v1/import-profiles/{name}",
    operation_id = "putImportProfile",
    tag = "imports",
    params(("name" = String, Path, description = "The profile. Its name has no spaces.", max_length = 60)),
    request_body = ProfileRequest,
    responses(
        (status = 200, description = "Replaced.", body = ProfileResponse),
        (status = 201, description = "Created.", body = ProfileResponse),
        (status = 409, description = "The profile is built-in and cannot be changed."),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn put(
    request: HttpRequest,
    staff: Staff,
    payload: web::Payload,
    jobs: Data<Imports>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let name = ProfileName::parse(&path_param(&request, "name")?).map_err(|_| {
        Problem::invalid("name", "The name of a profile must have 1 to 60 letters, digits and symbols, without spaces.")
    })?;
    let ProfileRequest { title, header, map } = read_body(&request, payload).await?;
    let title = one_line(&title);
    if title.is_empty() {
        return Err(Problem::invalid("title", "title must not be blank."));
    }
    let header = header.iter().map(|name| one_line(name)).collect();
    let profile = ImportProfile { name, title, header, map, builtin: false };
    let is_new = jobs.profiles().put(profile.clone()).await.map_err(problem)?;
    audit
        .record(&request, Some(&staff.0), "import.profile.save", Some(profile.name.as_str()), None, &*profile.title)
        .await;
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.insert_header(PRIVATE).json(ProfileResponse::from(profile)))
}

/// Deletes a saved import profile (staff of all subjects).
#[utoipa::path(
    delete,
    path = "/api/v1/import-profiles/{name}",
    operation_id = "deleteImportProfile",
    tag = "imports",
    params(("name" = String, Path, description = "The profile.")),
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "The profile is built-in and cannot be deleted."),
        BadRole, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn remove(
    request: HttpRequest,
    staff: Staff,
    jobs: Data<Imports>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let name = ProfileName::parse(&path_param(&request, "name")?).map_err(|_| no_such_profile())?;
    jobs.profiles().remove(&name).await.map_err(problem)?;
    audit.record(&request, Some(&staff.0), "import.profile.delete", Some(name.as_str()), None, "").await;
    Ok(HttpResponse::NoContent().finish())
}

/// Removes control characters, and replaces each run of white space with one space.
fn one_line(text: &str) -> String {
    let visible = text.replace(|c: char| c.is_control() && !c.is_whitespace(), "");
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn no_such_profile() -> Problem {
    Problem::not_found("This import profile does not exist.")
}

/// Returns the problem for a failed operation on profiles.
fn problem(error: ProfileError) -> Problem {
    match error {
        ProfileError::BuiltIn(name) => {
            let detail = format!("The mapping {name} is part of EduHub: save your own under another name.");
            Problem::new(ProblemCode::ProfileBuiltIn, detail)
        }
        ProfileError::Unknown(_) => no_such_profile(),
        ProfileError::Reserved => {
            Problem::invalid("name", format!("The name {} is reserved: use another one.", ProfileChoice::NOTHING))
        }
        ProfileError::Map(wrong) => Problem::invalid("map", format!("In map: {wrong}.")),
        ProfileError::TooMany => {
            let detail = format!("There are {PROFILES_MAX} saved mappings, which is the limit: delete one first.");
            Problem::invalid("name", detail)
        }
        ProfileError::Store(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<ProfileRequest>(&[("map", json!({"Places": "capacity"}))]);
    }

    #[test]
    fn names_of_columns_are_kept_on_one_line() {
        assert_eq!(one_line(" Max\n Enrollment\u{0} "), "Max Enrollment");
    }
}
