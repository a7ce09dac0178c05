//! The bytes that the kernel holds for clients: sent by the hub, and not acknowledged by the client.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::observe::metrics::Metrics;

/// The interval between two readings, each of which reads a line for every TCP connection of the machine.
const INTERVAL: Duration = Duration::from_secs(5);
/// The tables of TCP connections (proc_net_tcp(5)).
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Adds a metric of the unsent bytes of all connections to `port`, which are read every [`INTERVAL`] until the current
/// tokio runtime ends. Does nothing where the system has no table of connections.
///
/// # Errors
/// When two metrics have the same name.
pub(super) fn watch(metrics: &Metrics, port: u16) -> prometheus::Result<()> {
    if unsent_bytes(port).is_err() {
        return Ok(());
    }
    let bytes = Arc::new(AtomicU64::new(0));
    let latest = bytes.clone();
    tokio::spawn(async move {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Ok(Ok(read)) = tokio::task::spawn_blocking(move || unsent_bytes(port)).await {
                latest.store(read, Ordering::Relaxed);
            }
        }
    });
    metrics.watch_value(
        "eduhub_unsent_bytes",
        "Bytes that the kernel holds because clients have not acknowledged them, read every 5 seconds",
        move || super::number(usize::try_from(bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX)),
    )
}

/// Returns the unacknowledged bytes of all connections to `port`.
fn unsent_bytes(port: u16) -> io::Result<u64> {
    let mut sum = 0;
    for (index, path) in TABLES.iter().enumerate() {
        match File::open(path) {
            Ok(table) => sum += sum_of(BufReader::new(table), port)?,
            // Without IPv6 there is no second table.
            Err(_) if index > 0 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// Adds up the column `tx_queue` of the rows whose local port is `port`.
fn sum_of(mut table: impl BufRead, port: u16) -> io::Result<u64> {
    let local = format!(":{port:04X}");
    let (mut sum, mut line) = (0, String::new());
    while table.read_line(&mut line)? > 0 {
        let mut columns = line.split_ascii_whitespace().skip(1);
        if columns.next().is_some_and(|address| address.ends_with(&local)) {
            let queues = columns.nth(2).and_then(|queues| queues.split_once(':'));
            sum += queues.and_then(|(sent, _)| u64::from_str_radix(sent, 16).ok()).unwrap_or(0);
        }
        line.clear();
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unsent_bytes_of_the_port_are_added_up() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000003 00:00000000 00000000  0 0 1 1 0 100 0 0 10 0
   1: 0100007F:1F40 0100007F:C001 01 00010000:00000000 00:00000000 00000000  0 0 2 1 0 20 4 30 10 -1
   2: 0100007F:1F40 0100007F:C002 01 0000000A:000000FF 00:00000000 00000000  0 0 3 1 0 20 4 30 10 -1
   3: 0100007F:C001 0100007F:1F40 01 00000FFF:00000000 00:00000000 00000000  0 0 4 1 0 20 4 30 10 -1
";
        assert_eq!(sum_of(table.as_bytes(), 8_000).unwrap(), 65_546);
    }
}
