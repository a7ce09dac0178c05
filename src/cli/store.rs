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
    let ends = ports::export_attempts(config, file, term).map_err(Failure::failed)?;
    for (term, head) in ends {
        print_line(format_args!("{term}: the last attempt is {}, its hash {}", head.n, head.hash))?;
    }
    print_line(format_args!("the attempts were written to {}", file.display()))
}

/// `eduhub backup FILE`
pub(super) fn backup(config: &Config, file: &Path) -> CommandResult {
    let store = embedded(config, "backup", "use pg_dump, or a base backup with the archive of the write-ahead log")?;
    ports::backup(store, file).map_err(Failure::failed)?;
    print_line(format_args!("the store {} was copied to {}", store.display(), file.display()))
}

/// Returns the file of the embedded store. For a database, refuses the command and names what replaces it.
fn embedded<'c>(config: &'c Config, command: &str, instead: &str) -> Result<&'c Path, Failure> {
    config.store.sqlite_path().ok_or_else(|| {
        Failure::usage(format!(
            "`eduhub {command}` works on the embedded store only; on a PostgreSQL database {instead}"
        ))
    })
}

/// `eduhub restore FILE [--replace]`
pub(super) fn restore(config: &Config, file: &Path, replace: bool) -> CommandResult {
    let store = embedded(config, "restore", "use pg_restore, or point-in-time recovery, while no hub runs")?;
    let kept = ports::restore(store, file, replace).map_err(Failure::failed)?;
    print_line(format_args!("{} is now the store {}", file.display(), store.display()))?;
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
            config.store
        )));
    }
    match result.differences.len() {
        0 => print_line(format_args!("{checked}: all counts and the chain of attempts are correct")),
        wrong => Err(Failure::failed(format!("{checked}: {wrong} differences"))),
    }
}

/// `eduhub verify --accept`
pub(super) fn accept(config: &Config) -> CommandResult {
    let store = embedded(config, "verify --accept", "restore a backup: PostgreSQL itself detects damaged pages")?;
    let accepted = ports::accept(store).map_err(Failure::failed)?;
    for damage in &accepted {
        print_line(format_args!("accepted: {damage}"))?;
    }
    print_line(format_args!("the store {} is now used as it is", store.display()))
}
