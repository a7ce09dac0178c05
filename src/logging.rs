//! The log on standard error: one line per event, with time, level, target and message. Lines about a request contain
//! its id.

use std::io::Write;

use env_logger::Env;

/// The text of the error by which a live session makes actix close its connection. It is not a failure, and not logged.
pub const CONNECTION_DONE: &str = "the WebSocket has ended and its connection is closed";

/// Starts logging with `filter`, the setting `[log] filter`. `RUST_LOG` overrides it. A second call does nothing.
pub fn start(filter: &str) {
    let environment = Env::default().default_filter_or(filter);
    let mut builder = env_logger::Builder::from_env(environment);
    builder.format(|line, record| {
        let style = line.default_level_style(record.level());
        let (time, level, message) = (line.timestamp_millis(), record.level(), record.args().to_string());
        if record.target().starts_with("actix_http") && message.contains(CONNECTION_DONE) {
            return Ok(());
        }
        // A line break in a message, such as in a name from a request, must not start a new line of the log.
        let message = message.replace(['\n', '\r'], "\\n");
        writeln!(line, "{time} {style}{level:<5}{style:#} {} {message}", record.target())
    });
    // Fails if a logger is set: tests start several hubs in one process.
    let _ = builder.try_init();
}
