//! The library `disk.c`, which is built here and preloaded into the program under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use crate::support::wait::poll_until_deadline;

/// The built library.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/disk.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("disk-{}.so", std::process::id()));
    let built = Command::new(std::env::var("CC").as_deref().unwrap_or("cc"))
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wno-nonnull", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("a C compiler, which building SQLite needs, too");
    assert!(built.status.success(), "disk.c: {}", String::from_utf8_lossy(&built.stderr));
    library
});

/// Preloads the library into `command`, watching `folder`.
pub(crate) fn watch(command: &mut Command, folder: &Path) {
    command.env("LD_PRELOAD", &*LIBRARY).env("DISK_FOLDER", folder.canonicalize().expect("the folder exists"));
}

/// Runs a command to its end, and returns its output.
///
/// # Panics
/// When the command does not end, because it waits for a disk that does not recover.
pub(crate) fn output(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let status = poll_until_deadline(|| child.try_wait().expect("the process can be waited for"));
    if status.is_none() {
        child.kill().expect("the process is running");
    }
    let output = child.wait_with_output().expect("the output");
    assert!(status.is_some(), "the command does not end: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A watched call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A file was opened, and created if it did not exist.
    Open { inode: u64, path: PathBuf },
    /// Bytes were written.
    Write { inode: u64, offset: u64, data: Vec<u8> },
    /// Everything that was written to the file is on the disk.
    Sync { inode: u64 },
    /// The file has a new size.
    Truncate { inode: u64, size: u64 },
    /// A file got another name.
    Name,
    /// A name was removed.
    Remove { path: PathBuf },
}

/// Reads the log of `DISK_LOG`: each operation with the length of the log after it. The last record may be cut, because
/// the process was killed while it wrote it.
pub(crate) fn read_log(log: &[u8]) -> Vec<(usize, Operation)> {
    let mut operations = Vec::new();
    let mut at = 0;
    while at + 32 <= log.len() {
        let number = |index: usize| {
            let start = at + 8 * index;
            u64::from_ne_bytes(log[start..start + 8].try_into().expect("8 bytes"))
        };
        let (kind, inode, offset) = (number(0), number(1), number(2));
        let length = usize::try_from(number(3)).expect("a length");
        let Some(data) = log.get(at + 32..at + 32 + length) else { break };
        at += 32 + length;
        let path = || PathBuf::from(std::str::from_utf8(data).expect("a path in UTF-8"));
        let operation = match kind {
            1 => Operation::Open { inode, path: path() },
            2 => Operation::Write { inode, offset, data: data.to_vec() },
            3 => Operation::Sync { inode },
            4 => Operation::Truncate { inode, size: offset },
            5 => Operation::Name,
            6 => Operation::Remove { path: path() },
            other => panic!("disk.c wrote a record of the unknown kind {other}"),
        };
        operations.push((at, operation));
    }
    operations
}
