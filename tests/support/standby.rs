//! A PostgreSQL server with a synchronous standby, set up and promoted as docs/OPERATIONS.md describes ("Standby and
//! failover").

#![allow(dead_code, unreachable_pub, reason = "each crate uses only a part")]

use std::sync::atomic::{AtomicBool, Ordering};

use super::postgres::{Cluster, start_own};
use super::tcp_relay::{Mode, TcpRelay};
use super::wait::eventually;

/// The name by which the primary knows the standby.
const NAME: &str = "standby";

/// A primary and its standby. The primary confirms a commit only when the standby has it.
#[derive(Debug)]
pub struct Pair {
    primary: Cluster,
    standby: Cluster,
    /// The relay between the standby and the primary.
    link: TcpRelay,
    is_promoted: AtomicBool,
}

impl Pair {
    /// Starts both, and waits until the standby follows.
    pub fn start() -> Self {
        let primary = start_own();
        let link = TcpRelay::start(primary.address());
        let standby = primary.start_standby(link.address(), NAME);
        primary.run("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{NAME}'"));
        primary.run("postgres", "SELECT pg_reload_conf()");
        let is_followed = || primary.number("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1;
        eventually("the standby", || is_followed().then_some(()));
        Self { primary, standby, link, is_promoted: AtomicBool::new(false) }
    }

    /// Returns the server that accepts writes.
    pub fn current(&self) -> &Cluster {
        if self.is_promoted.load(Ordering::SeqCst) { &self.standby } else { &self.primary }
    }

    /// Returns the standby.
    pub fn standby(&self) -> &Cluster {
        &self.standby
    }

    /// Cuts the standby off from the primary. The connection stays open, but transfers nothing.
    pub fn cut_off_standby(&self) {
        self.link.set(Mode::Hang);
    }

    /// Waits until this many commits of the primary wait for the standby.
    pub fn wait_for_waiting_commits(&self, count: i64) {
        let waiting = || self.primary.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        eventually("commits that wait for the standby", || (waiting() >= count).then_some(()));
    }

    /// Kills the primary, which recovers and runs again.
    pub fn kill_primary(&self) {
        self.primary.kill();
    }

    /// Kills the primary without a restart, and promotes the standby.
    pub fn fail_over(&self) {
        self.primary.kill_for_good();
        self.standby.run("postgres", "SELECT pg_promote()");
        self.standby.run("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
        self.standby.run("postgres", "SELECT pg_reload_conf()");
        self.is_promoted.store(true, Ordering::SeqCst);
    }
}
