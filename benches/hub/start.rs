//! Time from starting the process on an empty folder to its line that says it is ready, and the size of the program.

use std::fs;
use std::time::Duration;

use crate::support::server::Home;
use crate::table;

const STARTS: usize = 15;

/// Prints the part.
pub fn run() {
    let mut times: Vec<Duration> = (0..STARTS)
        .map(|_| {
            // A first start generates the secret.
            let home = Home::new().without("auth.secret");
            let server = home.serve();
            let time = server.ready_after();
            server.stop();
            time
        })
        .collect();
    let bytes = fs::metadata(env!("CARGO_BIN_EXE_eduhub")).expect("the program").len();
    let [middle, worst] = [50, 100].map(|p| table::percentile(&mut times, p));
    table::print(
        "Start and size",
        &["", "measured", "at most"],
        &[
            vec![format!("empty store to ready, ms, median of {STARTS}"), table::millis(middle), "200".into()],
            vec!["empty store to ready, ms, slowest".into(), table::millis(worst), "200".into()],
            vec!["release binary, MB".into(), format!("{:.1}", bytes as f64 / 1e6), "30".into()],
        ],
    );
}
