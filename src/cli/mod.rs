//! The command line. Exit status: 0 success, 1 failure or a negative result, 2 invalid arguments or settings, or a
//! store that `verify` cannot read.
//!
//! - [`serve`]: runs a hub; [`import`]: imports a schedule, or facts about students
//! - [`store`]: `backup`, `restore`, `verify`, `attempts`; [`migrate`]: moves a store to PostgreSQL
//! - [`user`], [`password`]: local accounts; [`token`]: mints tokens
//! - [`rush`]: runs the performance demonstration
//! - [`remote`]: sends requests to a hub that runs on the same store

mod import;
mod migrate;
mod password;
mod remote;
mod rush;
mod serve;
mod store;
mod token;
mod user;

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Store, default_document};
use crate::imports::csv::CsvSchedules;

/// Registration and alerts in front of a college's Plone
#[derive(Debug, Parser)]
#[command(name = "eduhub", version, about)]
struct Arguments {
    /// Settings file (default: ./config.toml, if it exists)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a hub until SIGTERM or SIGINT
    Serve {
        /// Load the demonstration college into an empty store. Its accounts have public passwords, so the hub must
        /// bind to a loopback address
        #[arg(long)]
        demo: bool,
    },
    /// Check the settings
    CheckConfig,
    /// Print every setting with its default and meaning
    DefaultConfig,
    /// Import a schedule
    Import(import::ImportArguments),
    /// Import facts about students
    ImportStudents(import::StudentImportArguments),
    /// Manage local accounts
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Mint signed access tokens, one per line
    Token(token::TokenArguments),
    /// Load-test a running hub with simulated students
    Rush(rush::RushArguments),
    /// Export the chain of registration attempts
    Attempts {
        #[command(subcommand)]
        command: store::AttemptsCommand,
    },
    /// Copy the store to a new file; works while a hub is running
    Backup {
        /// New file
        file: PathBuf,
    },
    /// Replace the store with a backup; no hub may be running on it
    Restore {
        /// Backup file
        file: PathBuf,
        /// Replace an existing store, which is kept beside the new one
        #[arg(long)]
        replace: bool,
    },
    /// Move the embedded store to an empty PostgreSQL database; no hub may be running on either
    Migrate(migrate::MigrateArguments),
    /// Report damage to the store, recompute every count and the chains of attempts, and report differences
    Verify {
        /// Use a damaged store as it is, when there is no backup: what cannot be read is lost. Copy the files first
        #[arg(long)]
        accept: bool,
    },
}

/// The exit status and the message of a failed command.
#[derive(Debug)]
struct Failure {
    status: u8,
    message: String,
}

/// The result of a command.
type CommandResult = Result<(), Failure>;

impl Failure {
    /// Creates a failure for invalid arguments or settings.
    fn usage(message: impl Display) -> Self {
        Self { status: 2, message: message.to_string() }
    }
    /// Creates a failure of the command itself.
    fn failed(message: impl Display) -> Self {
        Self { status: 1, message: message.to_string() }
    }
    /// Creates a failure to write to standard output.
    #[expect(clippy::needless_pass_by_value, reason = "used as `map_err(Failure::stdout)`")]
    fn stdout(error: std::io::Error) -> Self {
        Self::failed(format!("cannot write to standard output: {error}"))
    }
}

/// Runs the command that the arguments name. Returns its exit status.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { status, message }) => {
            // If standard error is closed, there is nowhere to report that.
            let _ = writeln!(std::io::stderr(), "eduhub: {message}");
            ExitCode::from(status)
        }
    }
}

fn run(arguments: &Arguments) -> CommandResult {
    let settings = || load(arguments);
    if !matches!(arguments.command, Command::Serve { .. }) {
        crate::logging::start("warn");
    }
    match &arguments.command {
        Command::Serve { demo } => serve::run(settings()?, *demo),
        Command::CheckConfig => {
            settings()?;
            print_line("settings are valid")
        }
        Command::DefaultConfig => print_line(default_document().trim_end()),
        Command::Import(arguments) => import::run(&settings()?, arguments),
        Command::ImportStudents(arguments) => import::run_students(&settings()?, arguments),
        Command::User { command } => user::run(&settings()?, command),
        Command::Token(token) => token::run(&settings()?, token),
        Command::Rush(arguments) if arguments.attached => rush::attached(),
        Command::Rush(arguments) => rush::run(&settings()?, arguments),
        Command::Attempts { command } => store::attempts(&settings()?, command),
        Command::Backup { file } => store::backup(&settings()?, file),
        Command::Restore { file, replace } => store::restore(&settings()?, file, *replace),
        Command::Migrate(arguments) => migrate::run(&settings()?, arguments),
        Command::Verify { accept: false } => store::verify(&settings()?),
        Command::Verify { accept: true } => store::accept(&settings()?),
    }
}

fn load(arguments: &Arguments) -> Result<Config, Failure> {
    let mut config = Config::load(arguments.config.as_deref(), std::env::vars_os()).map_err(Failure::usage)?;
    let exists = |store: &Store| store.sqlite_path().is_none_or(Path::exists);
    if !matches!(arguments.command, Command::Serve { .. }) && !exists(&config.store) {
        let mut other = config.store.clone();
        other.prefer_demonstration();
        if exists(&other) {
            config.store = other;
        }
    }
    CsvSchedules::new(config.import.extra_names())
        .map_err(|error| Failure::usage(format!("import.columns: {error}")))?;
    Ok(config)
}

/// Prints a line to standard output. Fails if it is closed.
fn print_line(line: impl Display) -> CommandResult {
    writeln!(std::io::stdout(), "{line}").map_err(Failure::stdout)
}
