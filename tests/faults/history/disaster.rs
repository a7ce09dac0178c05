//! Servers whose disk and process fail, and what is left of their store.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::{NamedTempFile, TempDir};

use crate::disk::{self, Operation};
use crate::power_loss::DiskFile;
use crate::support::random::Random;
use crate::support::server::{Home, Server};

/// `EIO`, which a disk that loses sectors reports.
const INPUT_OUTPUT_ERROR: i32 = 5;

/// The faults of one server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Microseconds that each sync takes longer.
    pub(crate) slow_syncs: u32,
    /// Number of consecutive syncs that fail.
    pub(crate) failing_syncs: usize,
    /// Number of times that the process is stopped and continued.
    pub(crate) stops: usize,
    /// Whether the power fails when the process is killed.
    pub(crate) power_loss: bool,
    /// Whether the disk only claims to sync, and loses everything.
    pub(crate) lies: bool,
}

impl Faults {
    /// Returns the faults of a round; each kind recurs after a few rounds.
    pub(crate) fn of_round(round: usize, random: &mut Random) -> Self {
        Self {
            slow_syncs: if round.is_multiple_of(3) { 500 + u32::try_from(random.below(4_000)).unwrap() } else { 0 },
            failing_syncs: if round.is_multiple_of(4) { 1 + random.below(6) } else { 0 },
            stops: if round.is_multiple_of(2) { 1 + random.below(2) } else { 0 },
            power_loss: !round.is_multiple_of(4),
            lies: false,
        }
    }
}

/// A server and the faults that are prepared for it.
pub(crate) struct FaultyServer {
    pub(crate) server: Server,
    faults: Faults,
    /// The record of the disk, and the store's files as they were before the start.
    record: NamedTempFile,
    before: BTreeMap<u64, DiskFile>,
    /// Holds the file that makes syncs fail.
    arming: TempDir,
}

impl FaultyServer {
    /// Starts a server.
    pub(crate) fn start(home: &Home, faults: Faults) -> Self {
        let record = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file for the record");
        let arming = tempfile::tempdir().expect("a folder");
        let mut serve = home.command(&["serve"]);
        disk::watch(&mut serve, home.folder());
        if faults.power_loss || faults.lies {
            serve.env("DISK_LOG", record.path());
        }
        if faults.slow_syncs > 0 {
            serve.env("DISK_SLOW", faults.slow_syncs.to_string());
        }
        if faults.failing_syncs > 0 {
            serve.env("DISK_FAIL", format!("sync:{INPUT_OUTPUT_ERROR}:20:{}", faults.failing_syncs));
            serve.env("DISK_FAIL_FROM", arming.path().join("armed"));
        }
        if faults.lies {
            serve.env("DISK_LIE", "1");
        }
        let before = files_in(home.folder()).map(|(inode, path)| (inode, DiskFile::with_content(read(&path))));
        let before = before.collect();
        Self { server: home.start(serve), faults, record, before, arming }
    }

    /// Makes the planned syncs fail from now on.
    pub(crate) fn arm(&self) {
        fs::write(self.arming.path().join("armed"), "").expect("a file in its own folder");
    }

    /// Stops or continues the process.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.server.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the server is running");
    }

    /// Kills the server, and then calls `killed`. When the power fails at the same time, leaves the store as a disk may
    /// hold it then.
    pub(crate) fn kill(self, home: &Home, random: &mut Random, killed: impl FnOnce()) {
        self.server.kill();
        killed();
        if !(self.faults.power_loss || self.faults.lies) {
            return;
        }
        let mut files = self.before;
        for (_, operation) in disk::read_log(&read(self.record.path())) {
            match &operation {
                Operation::Open { inode, .. }
                | Operation::Write { inode, .. }
                | Operation::Truncate { inode, .. }
                | Operation::Sync { inode } => files.entry(*inode).or_default().follow(&operation),
                Operation::Name | Operation::Remove { .. } => {}
            }
        }
        let loses_all = self.faults.lies || random.percent(25);
        for (inode, path) in files_in(home.folder()) {
            if path.extension().is_some_and(|extension| extension == "db-shm") {
                fs::remove_file(path).expect("a file of the store");
            } else if let Some(file) = files.get(&inode) {
                let content = if loses_all { file.only_synced().to_vec() } else { file.after_power_loss(random) };
                fs::write(path, content).expect("a file of the store");
            }
        }
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the files of a folder that belong to a store, with their inodes.
fn files_in(folder: &Path) -> impl Iterator<Item = (u64, std::path::PathBuf)> {
    let entries = fs::read_dir(folder).expect("the folder of the store").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| {
            path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("eduhub.db"))
        })
        .map(|path| (path.metadata().expect("a file of the store").ino(), path))
}
