//! `import`: a schedule, through the hub that runs on the store, or into the store where none runs.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use awc::SendClientRequest;
use awc::http::Method;
use bytes::Bytes;
use clap::Args;
use futures_util::{Stream, StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::app::core::{Core, Opened};
use crate::config::Config;
use crate::domain::ids::{TermId, UserName};
use crate::domain::realm::Realm;
use crate::domain::role::Role;
use crate::http::imports::FILE_LEN_MAX;
use crate::imports::{ImportOptions, Imports};
use crate::text::percent;

use crate::cli::remote::{Access, Hub, access};
use crate::cli::{Done, Failure, say};

/// How often it is asked how far the import is.
const ASK_PAUSE: Duration = Duration::from_millis(150);
/// How long the hub may take to take the file.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(600);
/// The longest answer: an import's lists, of 1,000 items each.
const ANSWER_LEN_MAX: usize = 32 * 1024 * 1024;
/// What is read of the file at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// Warnings, conflicts and missing sections that are printed; refused lines are printed as far as they are told.
const NOTES_MAX: usize = 20;
/// Who imports where no hub runs.
const SUBJECT: &str = "eduhub-cli";

/// What is to be imported, and how.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The schedule: a CSV file
    file: PathBuf,
    /// The term that everything goes into; without it the file's `term` column says
    #[arg(long)]
    term: Option<String>,
    /// Tells what would change, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Takes what can be taken when some lines are refused
    #[arg(long)]
    partial: bool,
    /// Counts the file's totals of people although the term is open
    #[arg(long)]
    totals: bool,
    /// Further names of columns in this file, such as seats:capacity
    #[arg(long, value_name = "NAME:COLUMN", value_delimiter = ',')]
    map: Vec<String>,
}

/// `eduhub import FILE`
pub(super) fn run(config: &Config, arguments: &ImportArguments) -> Done {
    let options = arguments.options()?;
    let unreadable = |error| Failure::failed(format!("{} cannot be read: {error}", arguments.file.display()));
    let file = File::open(&arguments.file).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if bytes > FILE_LEN_MAX {
        return Err(Failure::failed(format!("a schedule has at most {} MiB", FILE_LEN_MAX / 1024 / 1024)));
    }
    let task = actix_rt::System::new().block_on(async {
        match access(config, Role::Staff)? {
            Access::Hub(hub) => through(&hub, arguments, file).await,
            Access::Store(opened) => alone(config, *opened, &arguments.file, options).await,
        }
    })?;
    report(&task)
}

impl ImportArguments {
    fn options(&self) -> Result<ImportOptions, Failure> {
        let term = self.term.as_deref().map(TermId::parse).transpose();
        let map = self.map.iter().map(|pair| match pair.rsplit_once(':') {
            Some((name, column)) if !name.is_empty() => Ok((name.trim().to_owned(), column.trim().to_owned())),
            _ => Err(Failure::usage(format!("--map reads NAME:COLUMN, such as seats:capacity, not {pair:?}"))),
        });
        Ok(ImportOptions {
            realm: Realm::College,
            term: term.map_err(|_| Failure::usage("--term must be a term's id, such as 202209"))?,
            map: map.collect::<Result<_, _>>()?,
            dry_run: self.dry_run,
            partial: self.partial,
            totals: self.totals,
        })
    }

    fn query(&self) -> String {
        let (dry_run, partial, totals) = (self.dry_run, self.partial, self.totals);
        let mut query = format!("?dry_run={dry_run}&partial={partial}&totals={totals}");
        if let Some(term) = &self.term {
            query += &format!("&term={}", percent::piece(term));
        }
        if !self.map.is_empty() {
            query += &format!("&map={}", percent::piece(&self.map.join(",")));
        }
        query
    }
}

/// Sends the file to the hub, and waits for the end. An interrupt from the keyboard cancels.
async fn through(hub: &Hub, arguments: &ImportArguments, file: File) -> Result<Value, Failure> {
    let path = format!("/api/v1/imports{}", arguments.query());
    let upload = hub.client.post(format!("{}{path}", hub.url)).bearer_auth(&hub.token).timeout(UPLOAD_PATIENCE);
    let taken = answer(hub, upload.content_type("text/csv").send_stream(Box::pin(blocks(file)))).await?;
    let task = taken["task"].as_str().ok_or_else(|| Failure::failed("the hub's answer names no task"))?;
    let path = format!("/api/v1/imports/{}", percent::piece(task));
    let bar = Bar::new();
    loop {
        let state = answer(hub, hub.client.get(format!("{}{path}", hub.url)).bearer_auth(&hub.token).send()).await?;
        if bar.show(&state) {
            return Ok(state);
        }
        if interrupted_within(ASK_PAUSE).await {
            hub.ask(Method::DELETE, &path, None).await?;
        }
    }
}

/// The body of a good answer, which may be longer than what commands are answered elsewhere.
async fn answer(hub: &Hub, sent: SendClientRequest) -> Result<Value, Failure> {
    let unreachable = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("the hub at {} has the store, and does not answer: {error}", hub.url))
    };
    let mut response = sent.await.map_err(|error| unreachable(&error))?;
    let bytes = response.body().limit(ANSWER_LEN_MAX).await.map_err(|error| unreachable(&error))?;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if response.status().is_success() {
        return Ok(answer);
    }
    let status = response.status();
    Err(Failure::failed(answer["detail"].as_str().map_or_else(|| format!("the hub answers {status}"), str::to_owned)))
}

/// Imports into the store that this process has taken.
async fn alone(config: &Config, opened: Opened, file: &Path, options: ImportOptions) -> Result<Value, Failure> {
    let (core, _events) = Core::start(config, opened).await.map_err(Failure::failed)?;
    let imports: &Imports = &core.imports;
    let upload = imports.upload().map_err(Failure::failed)?;
    let copied = std::fs::File::open(file)
        .and_then(|mut from| upload.create_file().and_then(|mut to| std::io::copy(&mut from, &mut to)));
    copied.map_err(|error| Failure::failed(format!("{} cannot be copied: {error}", file.display())))?;
    let subject = UserName::parse(SUBJECT).map_err(Failure::failed)?;
    let task = imports.submit(upload, options, &subject).await.map_err(Failure::failed)?;
    let bar = Bar::new();
    loop {
        let state = imports.task(&task).await.map_err(Failure::failed)?;
        let state = state.ok_or_else(|| Failure::failed("the import is gone"))?;
        let state: Value = serde_json::from_str(&state).map_err(Failure::failed)?;
        // Its end is kept in the store before the store is given back.
        if bar.show(&state) && state["phase"] == "finished" && imports.is_idle() {
            return Ok(state);
        }
        if interrupted_within(ASK_PAUSE).await {
            imports.cancel(&task).await.map_err(Failure::failed)?;
        }
    }
}

/// Waits a moment; answers whether the keyboard interrupted meanwhile.
async fn interrupted_within(pause: Duration) -> bool {
    matches!(tokio::time::timeout(pause, tokio::signal::ctrl_c()).await, Ok(Ok(())))
}

fn blocks(file: File) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    // A read of a local file is short, and nobody else is on this thread.
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

/// The progress bar; it shows itself only on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:<10} {wide_bar} {bytes}/{total_bytes} {prefix}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows how far it is; answers whether it has ended.
    fn show(&self, task: &Value) -> bool {
        let number = |name: &str| task[name].as_u64().unwrap_or(0);
        self.0.set_length(number("bytes_total"));
        self.0.set_position(number("bytes"));
        self.0.set_message(task["phase"].as_str().unwrap_or_default().to_owned());
        self.0.set_prefix(format!("{} rows, {} refused", number("rows"), number("refused")));
        let ended = task["state"] != "running";
        if ended {
            self.0.finish_and_clear();
        }
        ended
    }
}

/// Prints what became of it.
fn report(task: &Value) -> Done {
    let number = |name: &str| task[name].as_u64().unwrap_or(0);
    let list = |name: &str| task[name].as_array().cloned().unwrap_or_default();
    for error in list("errors") {
        say(finding("refused", &error))?;
    }
    more(number("errors_total"), list("errors").len())?;
    for warning in list("warnings").iter().take(NOTES_MAX) {
        say(finding("warning", warning))?;
    }
    more(number("warnings_total"), list("warnings").len().min(NOTES_MAX))?;
    for conflict in list("conflicts").iter().take(NOTES_MAX) {
        let lines: Vec<_> = conflict["lines"].as_array().into_iter().flatten().map(Value::to_string).collect();
        say(format_args!("conflict: lines {}: {}", lines.join(", "), words(&conflict["message"])))?;
    }
    more(number("conflicts_total"), list("conflicts").len().min(NOTES_MAX))?;
    for missing in list("missing").iter().take(NOTES_MAX) {
        say(format_args!("not in the file: {}", words(missing)))?;
    }
    more(number("missing_total"), list("missing").len().min(NOTES_MAX))?;
    let what = if task["events"] == true { "events" } else { "sections" };
    let numbers = format!(
        "{} rows, {} {what}: {} new, {} changed, {} as they were; {} rows refused",
        number("rows"),
        number("sections"),
        number("created"),
        number("updated"),
        number("unchanged"),
        number("refused"),
    );
    let dry = task["dry_run"] == true;
    match task["state"].as_str() {
        Some("done") if dry => say(format_args!("checked, nothing is changed: {numbers}")),
        Some("done") => say(format_args!("imported: {numbers}")),
        Some("cancelled") => Err(Failure::failed("cancelled, nothing is changed")),
        _ => {
            let why = task["message"].as_str().map(|m| format!(" ({m})")).unwrap_or_default();
            Err(Failure::failed(format!("not imported, nothing is changed{why}: {numbers}")))
        }
    }
}

fn more(total: u64, printed: usize) -> Done {
    match total.saturating_sub(printed as u64) {
        0 => Ok(()),
        rest => say(format_args!("… and {rest} more like these")),
    }
}

fn words(value: &Value) -> String {
    // What a file says goes to a terminal: nothing in it may steer that.
    value.as_str().unwrap_or_default().replace(|c: char| c.is_control(), "\u{fffd}")
}

fn finding(kind: &str, finding: &Value) -> String {
    let column = finding["column"].as_str().map(|_| format!(", {}", words(&finding["column"]))).unwrap_or_default();
    let value = finding["value"].as_str().map(|_| format!(" {:?}", words(&finding["value"]))).unwrap_or_default();
    format!("{kind}: line {}{column}{value}: {}", finding["line"], words(&finding["message"]))
}
