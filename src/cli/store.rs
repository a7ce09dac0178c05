//! `backup`, `restore`, `verify`.

use std::path::Path;

use crate::app::ports;
use crate::config::Config;

use crate::cli::{CommandResult, Failure, print_line};

/// The maximum number of notes that are printed. The others are counted.
const NOTES_MAX: usize = 50;

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
    // Status 1 means that the store is damaged or counts are wrong, so an unreadable store has status 2.
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
        "{} terms, {} sections, {} seats and waitlist positions",
        result.terms, result.sections, result.registered
    );
    if !result.damage.is_empty() {
        return Err(Failure::failed(format!(
            "the store {} is damaged; restore a backup with `eduhub restore --replace FILE`, which keeps the damaged \
             store beside it, or, without a backup, see `eduhub verify --accept`",
            config.store.path.display()
        )));
    }
    match result.differences.len() {
        0 => print_line(format_args!("{checked}: all counts are correct")),
        wrong => Err(Failure::failed(format!("{checked}: {wrong} counts are wrong"))),
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
