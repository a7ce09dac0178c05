//! `serve`.

use crate::config::Config;

use crate::cli::{Done, Failure};

/// `eduhub serve [--demo]`
pub(super) fn run(config: Config, demo: bool) -> Done {
    crate::logging::start(&config.log.filter);
    if demo && !config.server.bind.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--demo makes accounts whose passwords everybody knows: it serves on a loopback address only, \
             and server.bind is {}",
            config.server.bind
        )));
    }
    let system = actix_rt::System::new();
    system.block_on(crate::app::serve(config, demo)).map_err(|error| Failure::failed(format!("{error:#}")))
}
