//! `backup`, `restore`, `verify`.

use std::path::Path;

use crate::app::ports;
use crate::config::Config;

use crate::cli::{Done, Failure, say};

/// The most notes that are printed; the rest is counted.
const NOTES_MAX: usize = 50;

/// `eduhub backup FILE`
pub(super) fn backup(config: &Config, file: &Path) -> Done {
    ports::backup(config, file).map_err(Failure::failed)?;
    say(format_args!("the store {} is copied to {}", config.store.path.display(), file.display()))
}

/// `eduhub restore FILE [--replace]`
pub(super) fn restore(config: &Config, file: &Path, replace: bool) -> Done {
    let kept = ports::restore(config, file, replace).map_err(Failure::failed)?;
    say(format_args!("{} is the store {} now", file.display(), config.store.path.display()))?;
    kept.map_or(Ok(()), |kept| say(format_args!("the store that was there is kept as {}", kept.display())))
}

/// `eduhub verify`
pub(super) fn verify(config: &Config) -> Done {
    // Not having looked is not the answer "no": another status.
    let found = ports::verify(config).map_err(Failure::usage)?;
    for note in found.notes.iter().take(NOTES_MAX) {
        say(format_args!("note: {note}"))?;
    }
    if found.notes.len() > NOTES_MAX {
        say(format_args!("note: and {} more like these", found.notes.len() - NOTES_MAX))?;
    }
    for difference in &found.differences {
        say(format_args!("differs: {difference}"))?;
    }
    let looked_at =
        format!("{} terms, {} sections, {} seats and places in line", found.terms, found.sections, found.held);
    match found.differences.len() {
        0 => say(format_args!("{looked_at}: every count is right")),
        wrong => Err(Failure::failed(format!("{looked_at}: {wrong} counts are wrong"))),
    }
}
