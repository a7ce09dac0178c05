//! Time from the start of the process in an empty folder to its ready message, and the size of the program.

use std::fs;
use std::time::Duration;

use crate::support::server::Home;
use crate::table;

const STARTS: usize = 15;

/// Runs and prints this part.
pub fn run() {
    let mut times: Vec<Duration> = (0..STARTS)
        .map(|_| {
            // Without a configured secret the hub generates one, as at a first start.
            let home = Home::new().without("auth.secret");
            let server = home.serve();
            let time = server.ready_after();
            server.stop();
            time
        })
        .collect();
    let bytes = fs::metadata(env!("CARGO_BIN_EXE_eduhub")).expect("the program").len();
    let [median, slowest] = [50, 100].map(|p| table::percentile(&mut times, p));
    table::print(
        "Start and size",
        &["", "measured", "target"],
        &[
            vec![
                format!("start to ready with an empty store, ms, median of {STARTS}"),
                table::millis(median),
                "200".into(),
            ],
            vec!["start to ready with an empty store, ms, slowest".into(), table::millis(slowest), "200".into()],
            vec!["release binary, MB".into(), format!("{:.1}", bytes as f64 / 1e6), "30".into()],
        ],
    );
}
