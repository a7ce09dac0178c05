//! Runs a test in a child process, for tests that measure or limit their own process.
//!
//! The test runs twice. In the parent, [`path_from_parent`] returns `None`: the test prepares a path and calls [`run`]
//! with its own name. In the child, [`path_from_parent`] returns that path, and the test does its work there.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that carries the path to the child.
const PATH_VARIABLE: &str = "EDUHUB_TEST_CHILD";

/// The user id and group id of `nobody`.
const UNPRIVILEGED_ID: u32 = 65_534;

/// The user that a child runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// The user of this process.
    SameUser,
    /// A user to whom file permissions apply: `nobody` when this process runs as root.
    Unprivileged,
}

/// Returns the path that the parent passed to [`run`]; `None` in the parent itself.
pub(crate) fn path_from_parent() -> Option<PathBuf> {
    std::env::var_os(PATH_VARIABLE).map(PathBuf::from)
}

/// Runs one test of this program in a child process and passes `path` to it.
///
/// `module` is `module_path!()` of the test. SIGXFSZ is ignored in the child, so that a write beyond a limit on file
/// sizes returns an error and does not end the process.
///
/// # Panics
/// When the test fails in the child, or does not exist.
pub(crate) fn run(module: &str, test: &str, path: &Path, user: RunAs) {
    let (_, module) = module.split_once("::").expect("the test is in a module of this crate");
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new("sh");
    let is_unprivileged = user == RunAs::Unprivileged && rustix::process::geteuid().is_root();
    let program = if is_unprivileged {
        // `nobody` may not be allowed to read the build folder.
        let copy = std::env::temp_dir().join(format!("eduhub-test-{}-{test}", std::process::id()));
        std::fs::copy(&program, &copy).unwrap();
        child.uid(UNPRIVILEGED_ID).gid(UNPRIVILEGED_ID).current_dir("/");
        copy
    } else {
        program
    };
    let output = child
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(&program)
        .args(["--exact", &format!("{module}::{test}"), "--nocapture"])
        .env(PATH_VARIABLE, path)
        .output()
        .unwrap();
    if is_unprivileged {
        std::fs::remove_file(&program).unwrap();
    }
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A run without a matching test exits with 0, too.
    assert!(output.status.success() && printed.contains("1 passed"), "on {}: {printed}", path.display());
}
