//! `serve`.

use std::io::Write as _;

use crate::app::{Application, Purpose};
use crate::config::Config;
use crate::demo::DemoAccount;

use super::{Done, Failure};

/// `eduhub serve [--demo]`
pub(super) fn run(config: Config, demo: bool) -> Done {
    crate::logging::start(&config.log.filter);
    if demo && !config.server.bind.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--demo creates accounts whose passwords are public: it serves on a loopback address only, \
             and server.bind is {}",
            config.server.bind
        )));
    }
    let purpose = if demo { Purpose::Demonstration } else { Purpose::College };
    let system = actix_rt::System::new();
    system.block_on(serve(config, purpose)).map_err(|error| Failure::failed(format!("{error:#}")))
}

async fn serve(config: Config, purpose: Purpose) -> anyhow::Result<()> {
    let mut end = Box::pin(end_signal()?);
    // A start that waits for the store, say, can be interrupted.
    let application = tokio::select! {
        built = Application::build(config, purpose) => built?,
        () = &mut end => return Ok(()),
    };
    greet(&application.url(), application.demo_accounts())?;
    application.run(end).await
}

/// Prints the demonstration accounts and, on a line by itself, the address.
fn greet(url: &str, accounts: &[DemoAccount]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if !accounts.is_empty() {
        writeln!(out, "Demonstration accounts (role: name / password):")?;
        for account in accounts {
            writeln!(out, "  {:8} {} / {}", account.role.to_string() + ":", account.username, account.password)?;
        }
    }
    writeln!(out, "EduHub is ready at {url}")?;
    out.flush()
}

/// Returns a future that resolves at SIGTERM or SIGINT. The signals are caught from this call on.
fn end_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
