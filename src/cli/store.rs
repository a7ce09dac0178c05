//! `backup`, `restore`, `verify`, `attempts`.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::app::ports;
use crate::config::Config;
use crate::domain::ids::TermId;

use crate::cli::{CommandResult, Failure, print_line};

/// The maximum number of notes that are printed. The others are counted.
const NOTES_MAX: usize = 50;

/// The commands about attempts.
#[derive(Debug, Subcommand)]
pub(super) enum AttemptsCommand {
    /// Write the chain of attempts with its head to a new file, for an auditor; works while a hub is running
    Export {
        /// New file
        file: PathBuf,
        /// Term (default: all terms)
        #[arg(long)]
        term: Option<String>,
    },
}

/// `eduhub attempts export FILE [--term T]`
pub(super) fn attempts(config: &Config, command: &AttemptsCommand) -> CommandResult {
    let AttemptsCommand::Export { file, term } = command;
    let term = term.as_deref().map(TermId::parse).transpose();
    let term = term.map_err(|error| Failure::usage(format_args!("--term: {error}")))?;
    let ends = ports::export_attempts(config, file, term.as_ref()).map_err(Failure::failed)?;
    for (term, head) in ends {
        print_line(format_args!("{term}: the last attempt is {}, its hash {}", head.n, head.hash))?;
    }
    print_line(format_args!("the attempts are written to {}", file.display()))
}

/// `eduhub backup FILE`
pub(super) fn backup(config: &Config, file: &Path) -> CommandResult {
    ports::backup(config, file).map_err(Failure::failed)?;
    print_line(format_args!("the store {} is copied to {}", config.store.path.display(), file.display()))
}

/// `eduhub restore FILE [--replace]`
pub(super) fn restore(config: &Config, file: &Path, replace: bool) -> CommandResult {
    let kept = ports::restore(config, file, replace).map_err(Failure::failed)?;
    print_line(format_args!("{} is now the store {}", file.display(), config.store.path.display()))?;
    kept.map_or(Ok(()), |kept| print_line(format_args!("the previous store is kept as {}", kept.display())))
}

/// `eduhub verify`
pub(super) fn verify(config: &Config) -> CommandResult {
    // Status 1 means that the store is damaged or has differences, so an unreadable store has status 2.
    let result = ports::verify(config).map_err(Failure::usage)?;
    for note in result.notes.iter().take(NOTES_MAX) {
        print_line(format_args!("note: {note}"))?;
    }
    if result.notes.len() > NOTES_MAX {
        print_line(format_args!("note: {} more", result.notes.len() - NOTES_MAX))?;
    }
    for damage in &result.damage {
        print_line(format_args!("damage: {damage}"))?;
    }
    for difference in &result.differences {
        print_line(format_args!("difference: {difference}"))?;
    }
    let checked = format!(
        "{} terms, {} sections, {} seats and waitlist positions, {} attempts",
        result.terms, result.sections, result.registered, result.attempts
    );
    if !result.damage.is_empty() {
        return Err(Failure::failed(format!(
            "the store {} is damaged; restore a backup with `eduhub restore --replace FILE`, which keeps the damaged \
             store beside it, or, without a backup, see `eduhub verify --accept`",
            config.store.path.display()
        )));
    }
    match result.differences.len() {
        0 => print_line(format_args!("{checked}: all counts and the chain of attempts are correct")),
        wrong => Err(Failure::failed(format!("{checked}: {wrong} differences"))),
    }
}

/// `eduhub verify --accept`
pub(super) fn accept(config: &Config) -> CommandResult {
    let accepted = ports::accept(config).map_err(Failure::failed)?;
    for damage in &accepted {
        print_line(format_args!("accepted: {damage}"))?;
    }
    print_line(format_args!("the store {} is now used as it is", config.store.path.display()))
}
