//! `import` and `import-students`: import a schedule or facts about students, through the hub that runs on the store
//! or, if none runs, into the store.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use awc::SendClientRequest;
use bytes::Bytes;
use clap::Args;
use futures_util::{Stream, StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::app::core::{Core, Opened};
use crate::config::Config;
use crate::domain::ids::{TermId, UserName};
use crate::domain::import::{EnrollmentTally, Finding, Phase, TaskReport, TaskState};
use crate::domain::import_profile::ProfileChoice;
use crate::domain::realm::Realm;
use crate::domain::role::Role;
use crate::http::imports::FILE_LEN_MAX;
use crate::imports::schedule::ClockOption;
use crate::imports::{FileKind, HEADER_LINE_MAX, ImportOptions, Imports};
use crate::store::gauge::StoreGauge;
use crate::text::percent;

use crate::cli::remote::{Access, Hub, access, problem_failure};
use crate::cli::{CommandResult, Failure, print_line};

/// Time between two reads of the progress.
const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// The maximum duration of the upload.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// The maximum size of a response, in bytes: an import's lists have up to 1,000 items each.
const RESPONSE_LEN_MAX: usize = 32 * 1024 * 1024;
/// Size of the blocks in which the file is read, in bytes.
const BLOCK_BYTES: usize = 256 * 1024;
/// The maximum number of warnings that are printed, and likewise of conflicts and of missing sections. All errors in
/// the report are printed.
const NOTES_MAX: usize = 20;
/// How long the store may take to recover from a failed commit before the import gives up. A hub waits for as long as
/// it takes, but a person at a terminal has to free space or replace the disk. The store retries four times a second.
const RECOVERY_MAX: Duration = Duration::from_secs(3);
/// How long loading the terms may take: a million registrations take 0.8 s.
const LOAD_MAX: Duration = Duration::from_secs(60);
/// How long a hub may take to apply an import: usually less than a second, unless the hub waits for its disk.
const APPLY_MAX: Duration = Duration::from_secs(60);
/// The username of an import that does not go through a hub.
const SUBJECT: &str = "eduhub-cli";

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// Schedule: a CSV file, a spreadsheet (.xlsx, .xls, .ods) or a OneRoster bundle (.zip)
    file: PathBuf,
    /// Term to import into (default: the file's `term` column)
    #[arg(long)]
    term: Option<String>,
    /// Report what would change without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Import valid rows, skip the rest
    #[arg(long)]
    partial: bool,
    /// Apply the file's totals (enrolled, waitlisted) even while the term is open
    #[arg(long)]
    totals: bool,
    /// Map column names of this file, such as seats:capacity
    #[arg(long, value_name = "NAME:COLUMN", value_delimiter = ',')]
    map: Vec<String>,
    /// Saved mapping of columns, or none (default: the one for the file's header); --map takes precedence
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Sheet of a workbook (default: the one with the most known columns)
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Line of the header, if it is not detected correctly
    #[arg(long, value_name = "LINE", value_parser = clap::value_parser!(u64).range(1..=HEADER_LINE_MAX))]
    header_line: Option<u64>,
    /// How times without am or pm are read: 12 (1:00 to 6:59 in the afternoon) or 24 (as written)
    #[arg(long, value_parser = ["12", "24"])]
    clock: Option<String>,
}

/// Arguments of `import-students`.
#[derive(Debug, Args)]
pub(super) struct StudentImportArguments {
    /// Facts about students: a CSV file, a spreadsheet (.xlsx, .xls, .ods) or a OneRoster bundle (.zip)
    file: PathBuf,
    /// Report what would change without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Import students without errors, skip the rest
    #[arg(long)]
    partial: bool,
    /// Map column names of this file, such as Login:user
    #[arg(long, value_name = "NAME:COLUMN", value_delimiter = ',')]
    map: Vec<String>,
    /// Sheet of a workbook (default: the one with the most known columns)
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Line of the header, if it is not detected correctly
    #[arg(long, value_name = "LINE", value_parser = clap::value_parser!(u64).range(1..=HEADER_LINE_MAX))]
    header_line: Option<u64>,
}

/// `eduhub import FILE`
pub(super) fn run(config: &Config, arguments: &ImportArguments) -> CommandResult {
    let path = format!("/api/v1/imports{}", arguments.query());
    import(config, &arguments.file, &path, arguments.options()?)
}

/// `eduhub import-students FILE`
pub(super) fn run_students(config: &Config, arguments: &StudentImportArguments) -> CommandResult {
    let StudentImportArguments { file, dry_run, partial, map, sheet, header_line } = arguments;
    let options = ImportOptions {
        kind: FileKind::Students,
        map: read_map(map, "Login:user")?,
        sheet: sheet.clone(),
        header_line: *header_line,
        dry_run: *dry_run,
        partial: *partial,
        ..ImportOptions::default()
    };
    let mut path = format!("/api/v1/students/import?dry_run={dry_run}&partial={partial}");
    path += &query_of_columns(map, sheet.as_deref(), *header_line);
    import(config, file, &path, options)
}

/// Imports a file through the hub, at `path`, or into the store.
fn import(config: &Config, path_of_file: &Path, path: &str, options: ImportOptions) -> CommandResult {
    let unreadable = |error| Failure::failed(format!("cannot read {}: {error}", path_of_file.display()));
    let file = File::open(path_of_file).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if bytes > FILE_LEN_MAX {
        return Err(Failure::failed(format!("a file can be at most {} MiB", FILE_LEN_MAX / 1024 / 1024)));
    }
    let task = actix_rt::System::new().block_on(async {
        match access(config, Role::Staff)? {
            Access::Hub(hub) => import_through_hub(&hub, path, file).await,
            Access::Store(opened) => import_directly(config, *opened, path_of_file, options).await,
        }
    })?;
    print_report(&task)
}

/// Reads the pairs of a map of columns.
fn read_map(map: &[String], example: &str) -> Result<Vec<(String, String)>, Failure> {
    let pair = |pair: &String| match pair.rsplit_once(':') {
        Some((name, column)) if !name.is_empty() => Ok((name.trim().to_owned(), column.trim().to_owned())),
        _ => Err(Failure::usage(format!("--map must be NAME:COLUMN, such as {example}, not {pair:?}"))),
    };
    map.iter().map(pair).collect()
}

/// Returns the part of the query string that states where the columns are.
fn query_of_columns(map: &[String], sheet: Option<&str>, header_line: Option<u64>) -> String {
    let mut query = String::new();
    if !map.is_empty() {
        query += &format!("&map={}", percent::encode_segment(&map.join(",")));
    }
    if let Some(sheet) = sheet {
        query += &format!("&sheet={}", percent::encode_segment(sheet));
    }
    if let Some(line) = header_line {
        query += &format!("&header_line={line}");
    }
    query
}

impl ImportArguments {
    fn options(&self) -> Result<ImportOptions, Failure> {
        let term = self.term.as_deref().map(TermId::parse).transpose();
        let profile = match &self.profile {
            None => ProfileChoice::Automatic,
            Some(name) => ProfileChoice::parse(name).ok_or_else(|| {
                Failure::usage(format!("--profile must be the name of an import profile, or none, not {name:?}"))
            })?,
        };
        Ok(ImportOptions {
            kind: FileKind::Schedule,
            audit: None,
            subjects: None,
            realm: Realm::College,
            term: term.map_err(|_| Failure::usage("--term must be a term's id, such as 202209"))?,
            map: read_map(&self.map, "seats:capacity")?,
            profile,
            sheet: self.sheet.clone(),
            header_line: self.header_line,
            clock: self.clock.as_deref().map(|hours| match hours {
                "12" => ClockOption::Hours12,
                _ => ClockOption::Hours24,
            }),
            dry_run: self.dry_run,
            partial: self.partial,
            totals: self.totals,
        })
    }

    fn query(&self) -> String {
        let (dry_run, partial, totals) = (self.dry_run, self.partial, self.totals);
        let mut query = format!("?dry_run={dry_run}&partial={partial}&totals={totals}");
        if let Some(term) = &self.term {
            query += &format!("&term={}", percent::encode_segment(term));
        }
        if let Some(profile) = &self.profile {
            query += &format!("&profile={}", percent::encode_segment(profile));
        }
        query += &query_of_columns(&self.map, self.sheet.as_deref(), self.header_line);
        if let Some(clock) = &self.clock {
            query += &format!("&clock={clock}");
        }
        query
    }
}

/// Uploads the file to the hub and waits for the import to end. SIGINT cancels it.
async fn import_through_hub(hub: &Hub, path: &str, file: File) -> Result<TaskReport, Failure> {
    let upload = hub.client.post(format!("{}{path}", hub.url)).bearer_auth(&hub.token).timeout(UPLOAD_TIMEOUT);
    // The hub recognizes the kind of file by its content.
    let started = upload.content_type("application/octet-stream").send_stream(Box::pin(blocks(file)));
    let Started { task } = read_response(hub, started).await?;
    let path = format!("/api/v1/imports/{}", percent::encode_segment(&task));
    let bar = Bar::new();
    let mut applying_since = None;
    loop {
        let get = hub.client.get(format!("{}{path}", hub.url)).bearer_auth(&hub.token).send();
        let report = read_response(hub, get).await?;
        if bar.show(&report) {
            return Ok(report);
        }
        if report.phase == Phase::Applying && applying_since.get_or_insert_with(Instant::now).elapsed() > APPLY_MAX {
            let url = &hub.url;
            return Err(Failure::failed(format!(
                "the hub at {url} is still applying the import, which usually takes a second: its disk may be full or \
                 failing, see {url}/readyz. The hub continues when the disk works; the result is at {url}{path}"
            )));
        }
        if interrupted_within(POLL_INTERVAL).await {
            hub.delete(&path).await?;
        }
    }
}

/// The response to an upload.
#[derive(Deserialize)]
struct Started {
    task: String,
}

/// Reads the JSON body of a successful response, of at most [`RESPONSE_LEN_MAX`].
async fn read_response<T: DeserializeOwned>(hub: &Hub, sent: SendClientRequest) -> Result<T, Failure> {
    let mut response = sent.await.map_err(|error| hub.unreachable(&error))?;
    let bytes = response.body().limit(RESPONSE_LEN_MAX).await.map_err(|error| hub.unreachable(&error))?;
    if !response.status().is_success() {
        return Err(problem_failure(response.status(), response.headers(), &bytes));
    }
    serde_json::from_slice(&bytes).map_err(|error| Failure::failed(format!("cannot read the hub's response: {error}")))
}

/// Imports into the store that this process holds. SIGINT cancels the import.
async fn import_directly(
    config: &Config,
    opened: Opened,
    file: &Path,
    options: ImportOptions,
) -> Result<TaskReport, Failure> {
    let gauge = opened.ports.store_gauge.clone();
    let core = start(config, opened).await?;
    let imports: &Imports = &core.imports;
    let upload = imports.upload().map_err(Failure::failed)?;
    let copied = std::fs::File::open(file)
        .and_then(|mut from| upload.create_file().and_then(|mut to| std::io::copy(&mut from, &mut to)));
    copied.map_err(|error| Failure::failed(format!("cannot copy {}: {error}", file.display())))?;
    let subject = UserName::parse(SUBJECT).map_err(Failure::failed)?;
    let task = imports.submit(upload, options, &subject).await.map_err(Failure::failed)?;
    let bar = Bar::new();
    let has_failed = lasting_failure(&gauge);
    tokio::pin!(has_failed);
    loop {
        let report = imports.task(&task).await.map_err(Failure::failed)?;
        let report = report.ok_or_else(|| Failure::failed("the import's result was deleted"))?;
        // The store is closed only after the result is stored in it.
        if bar.show(&report) && report.phase == Phase::Finished && imports.is_idle() {
            core.ports.close().await;
            return Ok(report);
        }
        tokio::select! {
            () = &mut has_failed => return stopped(imports, &task).await,
            interrupted = interrupted_within(POLL_INTERVAL) => {
                if interrupted {
                    imports.cancel(&task).await.map_err(Failure::failed)?;
                }
            }
        }
    }
}

/// Loads the terms and starts imports.
async fn start(config: &Config, opened: Opened) -> Result<Core, Failure> {
    let gauge = opened.ports.store_gauge.clone();
    let not_loaded = |why: &str| Failure::failed(format!("the terms cannot be loaded: {why}; nothing was changed"));
    tokio::select! {
        started = Core::start(config, opened) => started.map(|(core, ..)| core).map_err(Failure::failed),
        () = lasting_failure(&gauge) => Err(not_loaded("the store cannot be written")),
        () = tokio::time::sleep(LOAD_MAX) => Err(not_loaded("the store cannot be read")),
    }
}

/// Resolves when the store has not recovered from a failed commit within [`RECOVERY_MAX`].
async fn lasting_failure(gauge: &Arc<StoreGauge>) {
    let mut since = None;
    loop {
        if gauge.recovering.load(Ordering::Acquire) {
            if since.get_or_insert_with(Instant::now).elapsed() > RECOVERY_MAX {
                return;
            }
        } else {
            since = None;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Stops an import whose store has failed. Returns its result: the import may still have been applied.
async fn stopped(imports: &Imports, task: &str) -> Result<TaskReport, Failure> {
    imports.stop().await;
    match imports.task(task).await {
        Ok(Some(report)) if report.state != TaskState::Running => Ok(report),
        _ => Err(Failure::failed(
            "the store failed while the import was applied: either all or nothing was changed. Free space on the disk, \
             or replace it, and import the file again",
        )),
    }
}

/// Waits for `pause`. Returns early, with true, at SIGINT.
async fn interrupted_within(pause: Duration) -> bool {
    matches!(tokio::time::timeout(pause, tokio::signal::ctrl_c()).await, Ok(Ok(())))
}

fn blocks(file: File) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    // Blocking reads are fine: this thread only uploads the file.
    stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut block = vec![0; BLOCK_BYTES];
        match file.read(&mut block) {
            Ok(0) => None,
            Ok(got) => {
                block.truncate(got);
                Some((Ok(Bytes::from(block)), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
    .fuse()
}

/// The progress bar, which is shown only on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:<10} {wide_bar} {bytes}/{total_bytes} {prefix}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows the progress; returns whether the import has ended.
    fn show(&self, task: &TaskReport) -> bool {
        self.0.set_length(task.bytes_total);
        self.0.set_position(task.bytes);
        self.0.set_message(task.phase.to_string());
        self.0.set_prefix(format!("{} rows, {} rejected", task.rows, task.refused));
        let ended = task.state != TaskState::Running;
        if ended {
            self.0.finish_and_clear();
        }
        ended
    }
}

/// Prints the result of an import.
fn print_report(task: &TaskReport) -> CommandResult {
    for error in &task.errors {
        print_line(finding_line("error", error))?;
    }
    print_omitted(task.errors_total, task.errors.len())?;
    for warning in task.warnings.iter().take(NOTES_MAX) {
        print_line(finding_line("warning", warning))?;
    }
    print_omitted(task.warnings_total, task.warnings.len().min(NOTES_MAX))?;
    for conflict in task.conflicts.iter().take(NOTES_MAX) {
        let lines: Vec<_> = conflict.lines.iter().map(ToString::to_string).collect();
        print_line(format_args!("conflict: lines {}: {}", lines.join(", "), printable(&conflict.message)))?;
    }
    print_omitted(task.conflicts_total, task.conflicts.len().min(NOTES_MAX))?;
    for missing in task.missing.iter().take(NOTES_MAX) {
        print_line(format_args!("not in the file: {missing}"))?;
    }
    print_omitted(task.missing_total, task.missing.len().min(NOTES_MAX))?;
    if let Some(profile) = &task.profile {
        print_line(format_args!("columns mapped by the profile {profile}"))?;
    }
    if let Some(EnrollmentTally { created, unchanged, refused }) = task.enrollments {
        print_line(format_args!("enrollments: {created} new, {unchanged} unchanged, {refused} refused"))?;
    }
    let TaskReport { rows, sections, created, updated, unchanged, refused, .. } = *task;
    let what = if task.events { "events" } else { "sections" };
    let (sections, what) = task.students.map_or((sections, what), |students| (students, "students"));
    let numbers = format!(
        "rows: {rows}, {what}: {sections} ({created} new, {updated} changed, {unchanged} unchanged), \
         rejected rows: {refused}"
    );
    match task.state {
        TaskState::Done if task.dry_run => print_line(format_args!("checked without changing anything; {numbers}")),
        TaskState::Done => print_line(format_args!("imported; {numbers}")),
        TaskState::Cancelled => Err(Failure::failed("cancelled; nothing was changed")),
        TaskState::Failed | TaskState::Running => {
            // A message says what was changed.
            let why = task.message.as_deref().unwrap_or("Nothing was changed.");
            Err(Failure::failed(format!("not imported; {numbers}. {}", why.trim_end_matches('.'))))
        }
    }
}

fn print_omitted(total: u64, printed: usize) -> CommandResult {
    match total.saturating_sub(printed as u64) {
        0 => Ok(()),
        rest => print_line(format_args!("… and {rest} more")),
    }
}

/// Replaces control characters in text from a file, which could otherwise control the terminal.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "\u{fffd}")
}

fn finding_line(kind: &str, finding: &Finding) -> String {
    let column = finding.column.as_deref().map(|column| format!(", {}", printable(column))).unwrap_or_default();
    let value = finding.value.as_deref().map(|value| format!(" {:?}", printable(value))).unwrap_or_default();
    format!("{kind}: line {}{column}{value}: {}", finding.line, printable(&finding.message))
}
