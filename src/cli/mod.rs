//! The command line: reads arguments and settings, does one thing, says in one sentence what went wrong.
//! Exit status: 0 done, 1 it could not be done or the answer is no, 2 wrong usage or settings.
//!
//! - [`serve`]: the server; [`import`]: a schedule
//! - [`store`]: `backup`, `restore`, `verify`
//! - [`user`], [`password`]: local accounts; [`token`]: minted tokens
//! - [`rush`]: the performance demonstration
//! - [`remote`]: asking a hub that runs on the same store

mod import;
mod password;
mod remote;
mod rush;
mod serve;
mod store;
mod token;
mod user;

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, default_document};
use crate::imports::csv::CsvSchedules;

/// A hub for registration and alerts in front of a college's Plone.
#[derive(Debug, Parser)]
#[command(name = "eduhub", version, about)]
struct Arguments {
    /// The settings; ./config.toml if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server until it is told to end
    Serve {
        /// Loads the demonstration college into an empty store, with accounts that everybody knows: on a loopback
        /// address only
        #[arg(long)]
        demo: bool,
    },
    /// Checks the settings
    CheckConfig,
    /// Prints every setting with its default and what it means
    DefaultConfig,
    /// Imports a schedule
    Import(import::ImportArguments),
    /// Local accounts
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// Mints signed access tokens, one a line
    Token(token::TokenArguments),
    /// Presses a running hub with simulated students, and tells how it held
    Rush(rush::RushArguments),
    /// Copies the store into a new file, beside a running hub or without one
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Puts a copy in the place of the store, where no hub runs
    Restore {
        /// The copy
        file: PathBuf,
        /// Replaces the store that is there, which is kept beside it
        #[arg(long)]
        replace: bool,
    },
    /// Counts every seat anew from the registrations and reports what differs
    Verify,
}

/// Why a command ends without having done what it was asked.
#[derive(Debug)]
struct Failure {
    status: u8,
    message: String,
}

/// What a command comes to.
type Done = Result<(), Failure>;

impl Failure {
    /// The arguments or the settings are wrong.
    fn usage(message: impl Display) -> Self {
        Self { status: 2, message: message.to_string() }
    }
    /// It could not be done.
    fn failed(message: impl Display) -> Self {
        Self { status: 1, message: message.to_string() }
    }
    /// Standard output cannot be written.
    #[expect(clippy::needless_pass_by_value, reason = "used as `map_err(Failure::unwritten)`")]
    fn unwritten(error: std::io::Error) -> Self {
        Self::failed(format!("cannot write to standard output: {error}"))
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { status, message }) => {
            // When nobody reads standard error there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "eduhub: {message}");
            ExitCode::from(status)
        }
    }
}

fn run(arguments: &Arguments) -> Done {
    let settings = || load(arguments);
    if !matches!(arguments.command, Command::Serve { .. }) {
        crate::logging::start("warn");
    }
    match &arguments.command {
        Command::Serve { demo } => serve::run(settings()?, *demo),
        Command::CheckConfig => {
            settings()?;
            say("the settings are good")
        }
        Command::DefaultConfig => say(default_document().trim_end()),
        Command::Import(arguments) => import::run(&settings()?, arguments),
        Command::User { command } => user::run(&settings()?, command),
        Command::Token(token) => token::run(&settings()?, token),
        Command::Rush(arguments) if arguments.attached => rush::attached(),
        Command::Rush(arguments) => rush::run(&settings()?, arguments),
        Command::Backup { file } => store::backup(&settings()?, file),
        Command::Restore { file, replace } => store::restore(&settings()?, file, *replace),
        Command::Verify => store::verify(&settings()?),
    }
}

fn load(arguments: &Arguments) -> Result<Config, Failure> {
    let config = Config::load(arguments.config.as_deref(), std::env::vars_os()).map_err(Failure::usage)?;
    CsvSchedules::new(config.import.further()).map_err(|what| Failure::usage(format!("import.columns: {what}")))?;
    Ok(config)
}

/// Prints a line on standard output. A reader that went away ends the command.
fn say(line: impl Display) -> Done {
    writeln!(std::io::stdout(), "{line}").map_err(Failure::unwritten)
}
