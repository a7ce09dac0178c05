//! The log: one line an event on standard error, with time, level, target and message. A request's line carries its id.

use std::io::Write;

use env_logger::Env;

/// Starts logging. `RUST_LOG` counts before `filter` (the `[log] filter` of the settings). A second call does nothing.
pub fn start(filter: &str) {
    let environment = Env::default().default_filter_or(filter);
    let mut builder = env_logger::Builder::from_env(environment);
    builder.format(|line, record| {
        let style = line.default_level_style(record.level());
        let (time, level) = (line.timestamp_millis(), record.level());
        // A message that brings a line break (a name out of a request, say) must not look like two lines.
        let message = record.args().to_string().replace(['\n', '\r'], "\\n");
        writeln!(line, "{time} {style}{level:<5}{style:#} {} {message}", record.target())
    });
    // Tests start several hubs in one process: the first logger serves them all.
    let _ = builder.try_init();
}
