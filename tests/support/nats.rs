//! A NATS server for one test, on a port of 127.0.0.1.
//!
//! A shell supervises the server. It stops the server when the pipe from this process is closed, which also happens
//! after a panic or a kill.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "each crate uses only a part; a panic fails the test, which is the intent"
)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long the server may take to start on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// The text that precedes the port for clients in the server's file of ports, after `nats` or `tls`.
const PORT_FOLLOWS: &str = "://127.0.0.1:";

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct NatsServer {
    port: u16,
    supervisor: Child,
    /// The log and the file of ports.
    folder: TempDir,
}

/// Returns the program: that of the system, or that of `make nats`.
fn program() -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".nats/usr/sbin/nats-server");
    let program = [PathBuf::from("/usr/sbin/nats-server"), unpacked].into_iter().find(|program| program.exists());
    program.expect("nats-server is not installed: run `make nats`")
}

impl NatsServer {
    /// Starts a server on a free port.
    pub fn start() -> Self {
        Self::start_with(0, &[])
    }

    /// Starts a server on a port, or on a free one if it is 0, with more arguments.
    pub fn start_with(port: u16, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("eduhub-nats-").tempdir().unwrap();
        // -1: a free port.
        let port_argument = if port == 0 { "-1".to_owned() } else { port.to_string() };
        let mut supervisor = Command::new("sh");
        supervisor
            .arg("-c")
            .arg("\"$@\" >>log 2>&1 & server=$!; cat >/dev/null; kill -TERM $server; wait")
            .arg("sh")
            .arg(program())
            .args(["-a", "127.0.0.1", "-p", &port_argument, "--ports_file_dir", "."])
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A separate process group: an interrupt from the terminal must not end the supervisor before the server.
            .process_group(0);
        let mut server = Self { port, supervisor: supervisor.spawn().unwrap(), folder };
        server.port = server.wait_for_port();
        server
    }

    /// Waits until the server has written its ports, and returns the one for clients.
    fn wait_for_port(&self) -> u16 {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(port) = self.read_port() {
                return port;
            }
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "nats-server does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn read_port(&self) -> Option<u16> {
        let files = fs::read_dir(self.folder.path()).unwrap().flatten().map(|entry| entry.path());
        let file = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "ports"))?;
        let text = fs::read_to_string(file).ok()?;
        // The file may not be complete yet.
        let (_, rest) = text.split_once(PORT_FOLLOWS)?;
        rest.split_once('"')?.0.parse().ok()
    }

    /// Returns the address for clients.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the URL, without credentials.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // The end of its standard input makes the supervisor stop the server.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}
