//! `rush`: runs the performance demonstration against a running hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use crate::app::ports;
use crate::config::Config;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::http::demo::{SECONDS, USERS};
use crate::http::demo_runs::sandbox_id;
use crate::identity::secret;
use crate::identity::token::Tokens;
use crate::rush::report::{Phase, Row, Server, State, Target, Task};
use crate::rush::sandbox::{SECONDS_MAX, USERS_MAX, hot_seats};
use crate::rush::{Job, PloneJob, run as rush, runner};

use crate::cli::{CommandResult, Failure, print_line};

/// Lifetime of a run's tokens: longer than that of its sandbox.
const TOKEN_TTL: Duration = Duration::from_secs(600);
/// The increases of p99 by an import, in percent and in milliseconds, beyond both of which students count as slowed.
const SLOWED_PERCENT: f64 = 25.0;
const SLOWED_MS: f64 = 5.0;

/// Arguments of `rush`.
#[derive(Debug, Args)]
pub(super) struct RushArguments {
    /// Number of simulated students
    #[arg(long, value_name = "N", default_value_t = USERS, value_parser = clap::value_parser!(u32).range(1..=i64::from(USERS_MAX)))]
    users: u32,
    /// Duration in seconds
    #[arg(long, value_name = "N", default_value_t = SECONDS, value_parser = clap::value_parser!(u32).range(1..=i64::from(SECONDS_MAX)))]
    seconds: u32,
    /// URL of the hub (default: the hub that runs on the configured store)
    #[arg(long)]
    url: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Read the job from standard input, for a hub that starts this command
    #[arg(long, hide = true)]
    pub(super) attached: bool,
}

/// `eduhub rush --attached`: runs the job of a hub. Needs no settings.
pub(super) fn attached() -> CommandResult {
    crate::machine::raise_open_files(0);
    runner::run_attached().map_err(Failure::failed)
}

/// `eduhub rush [--users N] [--seconds N] [--url URL] [--json]`
pub(super) fn run(config: &Config, arguments: &RushArguments) -> CommandResult {
    crate::machine::raise_open_files(arguments.users as usize);
    let url = match &arguments.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => running_hub(config)?,
    };
    let job = job(config, arguments, url)?;
    let stop = stop_on_signals()?;
    let bar = bar(arguments, &job);
    let task = rush(&job, &stop, &|task| show(&bar, task)).map_err(Failure::failed)?;
    bar.finish_and_clear();
    if arguments.json {
        print_line(serde_json::to_string_pretty(&task).map_err(Failure::failed)?)?;
    } else {
        print_table(&task)?;
    }
    if task.state != State::Done {
        return Err(Failure::failed(task.message.as_deref().unwrap_or("the run did not finish")));
    }
    match task.row(Server::Hub).filter(|row| row.has_wrong_seats()) {
        Some(row) => Err(Failure::failed(format!(
            "the hub oversold {} seats and lost {}",
            row.oversold.unwrap_or(0),
            row.lost.unwrap_or(0)
        ))),
        None => Ok(()),
    }
}

/// Returns the URL of the hub that runs on the configured store.
fn running_hub(config: &Config) -> Result<String, Failure> {
    let no_hub = || {
        Failure::failed(format!(
            "no hub runs on the store {}: start one with `eduhub serve`, or pass --url",
            config.store
        ))
    };
    if config.store.sqlite_path().is_some_and(|path| !path.exists()) {
        return Err(no_hub());
    }
    ports::running_hub(config).map_err(Failure::failed)?.ok_or_else(no_hub)
}

fn job(config: &Config, arguments: &RushArguments, url: String) -> Result<Job, Failure> {
    let file = secret::path_beside(config.store.files());
    let tokens = Tokens::new(&secret::load(config.auth.secret.as_ref(), &file).map_err(Failure::failed)?);
    let unsigned = || Failure::failed("cannot sign a token");
    let sandbox = sandbox_id().ok_or_else(unsigned)?;
    let mint = |name: String, role| {
        let user = UserName::parse(&name).map_err(Failure::failed)?;
        let minted = tokens.mint_for_sandbox(&sandbox, &user, role, TOKEN_TTL, Timestamp::now());
        Ok::<_, Failure>(minted.ok_or_else(unsigned)?.token)
    };
    let capacity = hot_seats(arguments.users).into();
    Ok(Job {
        task: sandbox.to_string(),
        url,
        sandbox: sandbox.to_string(),
        admin: mint("rush-admin".to_owned(), Role::Admin)?,
        staff: mint("rush-staff".to_owned(), Role::Staff)?,
        students: (1..=arguments.users)
            .map(|n| mint(format!("rush-{n:05}"), Role::Student))
            .collect::<Result<_, _>>()?,
        seconds: arguments.seconds,
        target: Target::Both,
        plone: PloneJob::from_settings(&config.plone).map(|plone| PloneJob { capacity, ..plone }),
    })
}

/// Returns a flag that becomes true at SIGTERM or SIGINT, so that the run can stop and remove its sandbox.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
                return;
            };
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            stopping.store(true, Ordering::Relaxed);
        });
    });
    Ok(stop)
}

/// Creates the progress bar, which is shown only on a terminal.
fn bar(arguments: &RushArguments, job: &Job) -> ProgressBar {
    let targets = if job.plone.is_some() { 2 } else { 1 };
    let bar = ProgressBar::new(u64::from(arguments.seconds) * targets * 1_000);
    if let Ok(style) = ProgressStyle::with_template("{prefix:<9} {wide_bar} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, task: &Task) {
    bar.set_prefix(task.phase.to_string());
    let Some(row) = task.phase.server().and_then(|server| task.row(server)) else { return };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a bar")]
    let ms = if row.per_s > 0.0 { (row.requests as f64 / row.per_s * 1_000.0) as u64 } else { 0 };
    let before = if task.phase == Phase::Plone { u64::from(task.seconds) * 1_000 } else { 0 };
    bar.set_position(before + ms);
    bar.set_message(format!(
        "{} requests, {}/s, p99 {} ms, {} seats confirmed, {} errors",
        row.requests,
        row.per_s,
        ms_of(row.latency_ms.p99),
        row.confirmed,
        row.errors
    ));
}

fn ms_of(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"))
}

/// Prints the result as a table.
fn print_table(task: &Task) -> CommandResult {
    let header = ["", "students", "requests", "per s", "p50 ms", "p95 ms", "p99 ms", "errors", "confirmed", "stored"];
    let header: Vec<String> = header.into_iter().chain(["oversold", "lost"]).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(task.results.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(at, cell)| {
                if at == 0 {
                    format!("{cell:<width$}", width = width(at))
                } else {
                    format!("{cell:>width$}", width = width(at))
                }
            })
            .collect();
        print_line(cells.join("  ").trim_end())?;
    }
    for row in &task.results {
        if let Some(recorded) = &row.recorded {
            print_line(format_args!("{}: from an earlier run ({recorded})", row.target))?;
        }
    }
    print_background(task)
}

fn cells(row: &Row) -> Vec<String> {
    let known = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let Row { latency_ms, .. } = row;
    vec![
        row.target.to_string(),
        row.users.to_string(),
        row.requests.to_string(),
        format!("{:.0}", row.per_s),
        ms_of(latency_ms.p50),
        ms_of(latency_ms.p95),
        ms_of(latency_ms.p99),
        row.errors.to_string(),
        row.confirmed.to_string(),
        known(row.stored),
        known(row.oversold),
        known(row.lost),
    ]
}

/// Prints whether imports slowed the students.
fn print_background(task: &Task) -> CommandResult {
    let Some(background) = &task.background else { return Ok(()) };
    let (Some(without), Some(with)) = (background.p99_without_ms, background.p99_with_ms) else {
        return print_line("no import ran long enough to show whether it slowed students");
    };
    let slowed = with - without > SLOWED_MS && with > without * (1.0 + SLOWED_PERCENT / 100.0);
    let verdict = if slowed { "students were slowed" } else { "students were not slowed" };
    let imports = background.imports;
    print_line(format_args!(
        "{imports} imports ran during the test: p99 {without:.1} ms without an import, {with:.1} ms with one; {verdict}"
    ))
}
