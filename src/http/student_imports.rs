//! Imports of facts about students. The task is one of [`crate::http::imports`].

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::OpenApi;

use crate::identity::Audit;
use crate::imports::Imports;

use crate::http::auth::Staff;
use crate::http::error::{Problem, method_not_allowed};
use crate::http::import_query::{self, StudentImportQuery};
use crate::http::imports::{ImportForm, TaskStarted, receive, submit};
use crate::http::openapi::responses::{BadBody, BadRole, StoreFailed};

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(start))]
pub(super) struct Api;

/// Registers the resource of this file. It hides the resource of a student whose username is `import`: only a file can
/// state facts about that student.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/students/import")
            .route(web::post().to(start))
            .default_service(method_not_allowed("POST")),
    );
}

/// Imports facts about students (staff of all subjects).
///
/// `GET /api/v1/imports/{task}` reports the progress, and the result in `students`, `created`, `updated` and
/// `unchanged`. The facts of each student in the file are replaced, except those for which the file has no column. The
/// file is applied whole or not at all, unless `partial` is true.
///
/// A OneRoster bundle (ZIP) adds completed courses, taken from final grades, to the facts about its students, and
/// registers the students for the sections of its enrollments, as staff do without overriding a rule. `enrollments` has
/// the numbers, and `errors` the registrations that were refused. A bundle removes nothing, and one with an error
/// changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/students/import",
    operation_id = "importStudents",
    tag = "imports",
    params(StudentImportQuery),
    request_body(
        description = "Up to 64 MiB, streamed, not compressed.",
        content(
            (String = "text/csv"), (String = "text/tab-separated-values"),
            (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (String = "application/vnd.ms-excel"), (String = "application/vnd.oasis.opendocument.spreadsheet"),
            (String = "application/zip"),
            (ImportForm = "multipart/form-data"),
        ),
    ),
    responses(
        (status = 202, description = "Accepted. The import continues as a task.", body = TaskStarted, headers(
            ("Location" = String, description = "The task's address."),
        )),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn start(
    request: HttpRequest,
    Staff(staff): Staff,
    payload: web::Payload,
    jobs: Data<Imports>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let mut options = import_query::read_for_students(&request, &jobs)?;
    options.audit = audit.entry_in_commit(&request, &staff, "import.students", None, None, "");
    let upload = receive(&request, payload, &jobs).await?;
    submit(&request, &staff, &jobs, &audit, upload, options).await
}
