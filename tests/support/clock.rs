//! The library `clock.c`, which is built here and preloaded into the program under test.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use super::server::{Home, Server};

/// The built library.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/clock.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clock-{}.so", std::process::id()));
    let built = Command::new(std::env::var("CC").as_deref().unwrap_or("cc"))
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("a C compiler, which building SQLite needs, too");
    assert!(built.status.success(), "clock.c: {}", String::from_utf8_lossy(&built.stderr));
    library
});

/// The clock of one server.
pub struct Clock {
    file: File,
}

impl Clock {
    /// Starts a server whose clock can be moved.
    pub fn serve(home: &Home) -> (Server, Self) {
        let path = home.folder().join("clock");
        fs::write(&path, [0; 24]).expect("a file in the folder of the store");
        let mut command = home.command(&["serve"]);
        command.env("LD_PRELOAD", &*LIBRARY).env("CLOCK_FILE", &path);
        let file = File::options().write(true).open(&path).expect("the file exists");
        (home.start(command), Self { file })
    }

    /// Sets the system time to this many seconds after the true one.
    pub fn shift_system(&self, seconds: i64) {
        self.write(0, seconds * 1_000_000_000);
    }

    /// Sets the monotonic time to this long after the true one.
    pub fn shift_monotonic(&self, by: Duration) {
        self.write(1, i64::try_from(by.as_nanos()).expect("less than 292 years"));
    }

    /// Stops the monotonic time, so that no timer of the server fires.
    pub fn freeze_monotonic(&self) {
        self.write(2, 1);
    }

    fn write(&self, index: u64, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), 8 * index).expect("the file can be written");
    }
}
