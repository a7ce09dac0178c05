//! `serve`: runs a hub.

use std::io::Write as _;

use url::{Host, Url};

use crate::app::{Application, Purpose};
use crate::config::{Config, Server};
use crate::demo::DemoAccount;

use super::{CommandResult, Failure};

/// `eduhub serve [--demo]`
pub(super) fn run(mut config: Config, demo: bool) -> CommandResult {
    crate::logging::start(&config.log.filter);
    if demo {
        check_loopback(&config.server)?;
        config.store.prefer_demonstration();
    }
    let purpose = if demo { Purpose::Demonstration } else { Purpose::College };
    let system = actix_rt::System::new();
    system.block_on(serve(config, purpose)).map_err(|error| Failure::failed(format!("{error:#}")))
}

/// Refuses a demonstration that anyone but the users of this machine can reach: its passwords are public.
fn check_loopback(server: &Server) -> CommandResult {
    let why = "--demo creates accounts with public passwords";
    if !server.bind.ip().is_loopback() {
        return Err(Failure::usage(format!("{why}, so server.bind must be a loopback address; it is {}", server.bind)));
    }
    match &server.public_url {
        Some(url) if !is_loopback(url) => Err(Failure::usage(format!(
            "{why}, so server.public_url must be empty or have a loopback host; it is {url}"
        ))),
        _ => Ok(()),
    }
}

/// Returns whether the host of a URL is this machine: `localhost`, or a loopback address.
fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

async fn serve(config: Config, purpose: Purpose) -> anyhow::Result<()> {
    let mut stop = Box::pin(stop_signal()?);
    // A signal also interrupts the start, which may wait for the store.
    let application = tokio::select! {
        built = Application::build(config, purpose) => built?,
        () = &mut stop => return Ok(()),
    };
    print_greeting(&application.url(), application.demo_accounts())?;
    application.run(stop).await
}

/// Prints the demonstration accounts, then the address on its own line.
fn print_greeting(url: &str, accounts: &[DemoAccount]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if !accounts.is_empty() {
        writeln!(out, "Demonstration accounts (role: username / password):")?;
        for account in accounts {
            writeln!(out, "  {:8} {} / {}", account.role.to_string() + ":", account.username, account.password)?;
        }
    }
    writeln!(out, "EduHub is ready at {url}")?;
    out.flush()
}

/// Returns a future that resolves at SIGTERM or SIGINT. The signals are caught from this call on.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
