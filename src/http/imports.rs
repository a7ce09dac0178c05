//! Schedule imports: an upload is streamed to the disk and then becomes a task.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use actix_multipart::{Field, Multipart};
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::ids::{SANDBOX_PREFIX, TermId};
use crate::domain::import::TaskReport;
use crate::domain::realm::Realm;
use crate::domain::rights::Scope;
use crate::http::problem::ProblemCode;
use crate::identity::{Audit, Caller};
use crate::imports::profiles::ProfileError;
use crate::imports::shared::ErrorList;
use crate::imports::{FileKind, ImportError, ImportOptions, Imports, Upload};

use crate::http::auth::{SubjectStaff, within_limit};
use crate::http::body::is_of_type;
use crate::http::error::{Problem, method_not_allowed};
use crate::http::import_query::{self, ImportQuery};
use crate::http::openapi::params::Lang;
use crate::http::openapi::responses::{BadBody, BadPath, BadQuery, BadRole, NotFound, StoreFailed};
use crate::http::query::{Query, path_param};

/// The largest file, in bytes.
pub const FILE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// The maximum size of a form besides its file, in bytes: other fields, boundaries and headers.
const FORM_EXTRA_MAX: u64 = 64 * 1024;
/// The number of bytes in one write to or read from the disk.
const BLOCK_BYTES: usize = 256 * 1024;
/// The media types of uploads. The content decides which kind of file it is.
const MEDIA_TYPES: [&str; 9] = [
    "text/csv",
    "text/tab-separated-values",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.ms-excel",
    "application/vnd.ms-excel.sheet.macroEnabled.12",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/zip",
    "application/x-zip-compressed",
    "application/octet-stream",
];

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(start, get, cancel, errors))]
pub(super) struct Api;

/// A task that continues after the response.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
pub(super) struct TaskStarted {
    /// The task's id.
    pub(super) task: String,
}

const NO_STORE: (&str, &str) = ("Cache-Control", "private, no-store");

/// The details of an import in the audit trail.
#[derive(Serialize)]
struct ImportDetail {
    dry_run: bool,
    partial: bool,
    term: Option<TermId>,
    totals: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    students: bool,
}

/// A form with a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the form is read as a stream; this describes it")]
pub(super) struct ImportForm {
    #[schema(content_media_type = "application/octet-stream")]
    file: String,
}

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/imports").route(web::post().to(start)).default_service(method_not_allowed("POST")),
    )
    .service(
        web::resource("/api/v1/imports/{task}")
            .route(super::error::get().to(get))
            .route(web::delete().to(cancel))
            .default_service(method_not_allowed("GET, HEAD, DELETE")),
    )
    .service(
        web::resource("/api/v1/imports/{task}/errors.csv")
            .route(super::error::get().to(errors))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Imports a schedule (staff).
///
/// For staff who are limited to subjects, the import fails if the file has sections of other subjects. The classes of a
/// OneRoster bundle (ZIP) are imported as sections; its enrollments are not imported.
#[utoipa::path(
    post,
    path = "/api/v1/imports",
    operation_id = "startImport",
    tag = "imports",
    params(ImportQuery),
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
    staff: SubjectStaff,
    payload: web::Payload,
    jobs: Data<Imports>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    // The import itself rejects sections of other subjects, which are known only after the file has been read.
    let caller = staff.concerning_no_one();
    let options = import_query::read(&request, &jobs, &caller)?;
    match (&options.realm, &options.term) {
        (Realm::College, Some(term)) if term.is_sandbox() => {
            let detail = format!("Term ids that begin with {SANDBOX_PREFIX} are reserved for demonstrations.");
            return Err(Problem::invalid("term", detail));
        }
        (Realm::Sandbox(own), term) if term.as_ref() != Some(own) => {
            return Err(Problem::forbidden("Staff of a demonstration can import only into its sandbox."));
        }
        (Realm::College | Realm::Sandbox(_), _) => {}
    }
    let upload = receive(&request, payload, &jobs).await?;
    submit(&request, &caller, &jobs, &audit, upload, options).await
}

/// Receives a file of at most [`FILE_LEN_MAX`] bytes, as the body or as the field `file` of a form.
pub(super) async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    jobs: &Data<Imports>,
) -> Result<Upload, Problem> {
    let form = is_of_type(request, "multipart/form-data");
    if !form && !MEDIA_TYPES.iter().any(|media_type| is_of_type(request, media_type)) {
        let detail = "Send the file as text/csv or with the media type of a spreadsheet (.xlsx, .xls, .ods) or of a \
             ZIP archive (OneRoster), or as the field `file` of a form (multipart/form-data).";
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
    }
    if request.headers().get(header::CONTENT_ENCODING).is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, "Send the file uncompressed."));
    }
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|n| n > FILE_LEN_MAX + if form { FORM_EXTRA_MAX } else { 0 }) {
        return Err(too_large());
    }
    let imports = jobs.clone();
    let (upload, file) = run_blocking(move || {
        let upload = imports.upload()?;
        let file = upload.create_file()?;
        Ok((upload, file))
    })
    .await?;
    let mut spool = Spool { file: Some(file), block: Vec::new(), written: 0 };
    if form {
        spool.write_form(Multipart::new(request.headers(), payload)).await?;
    } else {
        spool.write_body(payload.map(|chunk| chunk.map_err(|_| incomplete_upload()))).await?;
    }
    spool.finish().await?;
    Ok(upload)
}

pub(super) async fn submit(
    request: &HttpRequest,
    caller: &Caller,
    jobs: &Imports,
    audit: &Audit,
    upload: Upload,
    options: ImportOptions,
) -> Result<HttpResponse, Problem> {
    let ImportOptions { dry_run, partial, totals, kind, .. } = options;
    let students = kind == FileKind::Students;
    let detail = ImportDetail { dry_run, partial, term: options.term.clone(), totals, students };
    let detail = serde_json::to_string(&detail).map_err(Problem::internal)?;
    let task = jobs.submit(upload, options, &caller.user).await.map_err(problem)?;
    audit.record(request, Some(caller), "import.start", Some(&task), None, detail).await;
    let at = format!("/api/v1/imports/{task}");
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, at))
        .insert_header(NO_STORE)
        .json(TaskStarted { task }))
}

/// Returns an import (staff).
#[utoipa::path(
    get,
    path = "/api/v1/imports/{task}",
    operation_id = "import",
    tag = "imports",
    params(("task" = String, Path, description = "The import.")),
    responses(
        (status = 200, description = "Its current state.", body = TaskReport),
        BadRole, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn get(request: HttpRequest, staff: SubjectStaff, jobs: Data<Imports>) -> Result<HttpResponse, Problem> {
    let (_, task) = task_for(staff, &jobs, &path_param(&request, "task")?).await?;
    Ok(response(&task))
}

/// Returns the caller and a task. Staff who are limited to subjects may see and cancel only their own tasks.
async fn task_for(staff: SubjectStaff, jobs: &Imports, id: &str) -> Result<(Caller, TaskReport), Problem> {
    let task = jobs.task(id).await?.filter(|task| is_visible(task, staff.realm())).ok_or_else(no_such_task)?;
    let caller = staff.concerning_no_one();
    if task.started_by != caller.user.as_str() {
        within_limit(&caller, &Scope::OfSomeoneElse)?;
    }
    Ok((caller, task))
}

/// Returns whether callers of this realm may see a task. A task whose term is not known yet belongs to the college.
fn is_visible(task: &TaskReport, realm: &Realm) -> bool {
    task.term.as_ref().map_or(!realm.is_sandbox(), |term| realm.contains(term))
}

/// Cancels an import that has not ended (staff).
#[utoipa::path(
    delete,
    path = "/api/v1/imports/{task}",
    operation_id = "cancelImport",
    tag = "imports",
    params(("task" = String, Path, description = "The import.")),
    responses(
        (status = 200, description = "Its current state.", body = TaskReport),
        BadRole, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn cancel(
    request: HttpRequest,
    staff: SubjectStaff,
    jobs: Data<Imports>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "task")?;
    if staff.realm().is_sandbox() {
        return Err(no_such_task());
    }
    let (caller, _) = task_for(staff, &jobs, &id).await?;
    let task = jobs.cancel(&id).await?.ok_or_else(no_such_task)?;
    audit.record(&request, Some(&caller), "import.cancel", Some(&id), None, "").await;
    Ok(response(&task))
}

/// Returns all errors of an import (staff).
///
/// The messages are in English, or in Spanish with `lang=es`.
#[utoipa::path(
    get,
    path = "/api/v1/imports/{task}/errors.csv",
    operation_id = "importErrors",
    tag = "imports",
    params(
        ("task" = String, Path, description = "The import."),
        Lang,
    ),
    responses(
        (status = 200, description = "`line,column,value,message`, in Spanish `línea,columna,valor,problema`.", body = String, content_type = "text/csv",
            headers(("Content-Disposition" = String))),
        BadRole, BadQuery, NotFound, StoreFailed,
    )
)]
pub async fn errors(request: HttpRequest, staff: SubjectStaff, jobs: Data<Imports>) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "task")?;
    if staff.realm().is_sandbox() {
        return Err(no_such_task());
    }
    let (_, task) = task_for(staff, &jobs, &id).await?;
    let language = Query::of(&request)?.lang()?;
    let list = jobs.error_list(&task, language).await?;
    let name = format!("attachment; filename=\"import-{id}-errors.csv\"");
    let name = HeaderValue::from_str(&name).map_err(|_| no_such_task())?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/csv; charset=utf-8").insert_header(NO_STORE);
    response.insert_header((header::CONTENT_DISPOSITION, name));
    Ok(match list {
        ErrorList::File(path) => {
            let file = run_blocking(move || Ok(File::open(path)?)).await?;
            response.streaming(Box::pin(blocks_of(file)))
        }
        ErrorList::Stored(list) => response.body(list),
        ErrorList::Empty => response.body(ErrorList::header(language)),
        ErrorList::Elsewhere => return Err(no_list()),
    })
}

fn response(task: &TaskReport) -> HttpResponse {
    HttpResponse::Ok().insert_header(NO_STORE).json(task)
}

fn too_large() -> Problem {
    let mib = FILE_LEN_MAX / 1024 / 1024;
    Problem::too_large(format!("The file is too large. The limit is {mib} MiB."), FILE_LEN_MAX as usize)
}

/// Returns whether the disk is full, or the user's disk quota is used up.
fn is_disk_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn no_list() -> Problem {
    Problem::not_found(
        "The list of all errors is not available here. Check the file again, and then download the list.",
    )
}

fn no_such_task() -> Problem {
    Problem::not_found("This import does not exist, or its report has been deleted.")
}

fn incomplete_upload() -> Problem {
    Problem::bad_request("The upload was incomplete and nothing was imported. Upload the file again.")
}

fn problem(error: ImportError) -> Problem {
    match error {
        ImportError::Overloaded => {
            let detail = "Too many imports are waiting, so this one was not started. Try again in a minute.";
            Problem::new(ProblemCode::Overloaded, detail).retry_after(60)
        }
        ImportError::Empty => Problem::invalid("file", "The file is empty."),
        ImportError::Map(wrong) => Problem::invalid("map", format!("In map: {wrong}.")),
        ImportError::Profile(ProfileError::Store(error)) | ImportError::Store(error) => error.into(),
        ImportError::Profile(error) => Problem::invalid("profile", format!("The import was not started: {error}.")),
        ImportError::Io(error) if is_disk_full(&error) => Problem::disk_full(error),
        ImportError::Io(error) => Problem::internal(error),
    }
}

/// Runs blocking work on the blocking thread pool.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, Problem> {
    web::block(work).await.map_err(Problem::internal)?.map_err(problem)
}

/// A writer of an upload to the disk, in blocks.
struct Spool {
    file: Option<File>,
    block: Vec<u8>,
    written: u64,
}

impl Spool {
    /// Writes a request body.
    async fn write_body<S>(&mut self, mut chunks: S) -> Result<(), Problem>
    where
        S: Stream<Item = Result<Bytes, Problem>> + Unpin,
    {
        while let Some(chunk) = chunks.next().await {
            self.push(&chunk?).await?;
        }
        Ok(())
    }

    /// Writes the field `file` of a form, and skips the others.
    async fn write_form(&mut self, mut form: Multipart) -> Result<(), Problem> {
        let malformed = |_| Problem::bad_request("The form is incomplete or its boundary is missing.");
        let (mut found, mut extra) = (false, 0_u64);
        while let Some(field) = form.next().await {
            let mut field: Field = field.map_err(malformed)?;
            let is_file = field.name() == Some("file");
            if is_file && found {
                return Err(Problem::bad_request("The form must have only one field `file`.").field("file"));
            }
            found |= is_file;
            while let Some(chunk) = field.next().await {
                let chunk = chunk.map_err(malformed)?;
                if is_file {
                    self.push(&chunk).await?;
                } else {
                    extra += chunk.len() as u64;
                    if extra > FORM_EXTRA_MAX {
                        return Err(too_large());
                    }
                }
            }
        }
        if found { Ok(()) } else { Err(Problem::bad_request("The form has no field `file`.").field("file")) }
    }

    async fn push(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        self.written += chunk.len() as u64;
        if self.written > FILE_LEN_MAX {
            return Err(too_large());
        }
        self.block.extend_from_slice(chunk);
        if self.block.len() >= BLOCK_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        let Some(mut file) = self.file.take() else { return Err(Problem::internal("an upload lost its file")) };
        let block = std::mem::take(&mut self.block);
        let (file, mut block) = run_blocking(move || {
            file.write_all(&block)?;
            Ok((file, block))
        })
        .await?;
        block.clear();
        (self.file, self.block) = (Some(file), block);
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Problem> {
        self.flush().await
    }
}

/// Streams a file in blocks, which are read on the blocking thread pool.
pub(super) fn blocks_of(file: File) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold(file, |mut file| async move {
        let read = move || {
            let mut block = vec![0; BLOCK_BYTES];
            let got = file.read(&mut block)?;
            block.truncate(got);
            Ok::<_, std::io::Error>((Bytes::from(block), file))
        };
        let (block, file) = web::block(read).await.map_err(std::io::Error::other)??;
        Ok((!block.is_empty()).then_some((block, file)))
    })
}
