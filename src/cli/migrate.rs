//! `migrate`: moves an embedded store to PostgreSQL.

use std::io::Write as _;

use clap::Args;

use crate::app::ports::{self, Progress};
use crate::config::{Config, Store, StoreUrl};

use crate::cli::{CommandResult, Failure, print_line};

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub(super) struct MigrateArguments {
    /// The embedded store, as sqlite:PATH
    #[arg(long, value_name = "URL")]
    from: String,
    /// The database, as postgres://USER:PASSWORD@HOST/DATABASE (default: `[store] url`; an environment variable
    /// hides the password from other users of the machine)
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

/// `eduhub migrate --from sqlite:PATH [--to postgres://...]`
pub(super) fn run(config: &Config, arguments: &MigrateArguments) -> CommandResult {
    let parse =
        |name: &str, text: &str| Store::from_url(text).map_err(|error| Failure::usage(format_args!("{name} {error}")));
    let from = parse("--from", &arguments.from)?;
    let to = arguments.to.as_deref().map_or_else(|| Ok(config.store.clone()), |to| parse("--to", to))?;
    let StoreUrl::Sqlite(path) = &from.url else {
        return Err(Failure::usage("--from must be the embedded store, as sqlite:PATH"));
    };
    let StoreUrl::Postgres(database) = &to.url else {
        return Err(Failure::usage("--to, or [store] url if --to is absent, must be a PostgreSQL database"));
    };
    let moved = ports::migrate(path, database, report).map_err(Failure::failed)?;
    if moved.replaced > 0 {
        print_line(format_args!(
            "note: {} texts contained the character U+0000, which PostgreSQL cannot store; it was replaced by U+FFFD",
            moved.replaced
        ))?;
    }
    print_line(format_args!(
        "{} rows, with a chain of {} attempts, were moved from {from} to the {to}; all were read back and compared",
        moved.rows, moved.attempts
    ))
}

/// Prints the progress to standard error.
fn report(progress: Progress) {
    let line = match progress {
        Progress::Written(table, rows) => format!("{table}: {rows} rows written"),
        Progress::Compared(table, rows) => format!("{table}: {rows} rows compared"),
        Progress::Verifying => "recomputing the counts and the chain of attempts".to_owned(),
    };
    // If standard error is closed, the move continues.
    let _ = writeln!(std::io::stderr(), "{line}");
}
