//! A store in its own folder, commands of the program that use it, and the running server.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::WAIT_MAX;
use super::http::Client;

/// Secret with which tokens are signed.
const SECRET: &str = "a secret of the tests, at least 32 bytes long";

/// The longest time that a command may run: several times the longest run on a busy machine.
const RUN_MAX: Duration = Duration::from_secs(180);

/// The text that the server prints before its address once it is ready.
const READY: &str = "EduHub is ready at http://";

/// A store in its own folder, and the settings of all commands that use it. It outlives its servers.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    settings: Vec<(String, String)>,
}

impl Home {
    /// Creates a folder for a store, with rate limits off. It is in the build folder, which is on disk, not in memory.
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the store");
        let store = format!("sqlite:{}", folder.path().join("eduhub.db").display());
        Self { folder, settings: Vec::new() }
            .setting("server.bind", "127.0.0.1:0")
            .setting("store.url", &store)
            .setting("auth.secret", SECRET)
            .setting("limits.requests_per_second", "0")
            .setting("limits.login_per_minute", "0")
            .setting("limits.visitor_connections_per_address", "0")
    }

    /// Sets the environment variable for a setting, given by its full name, such as `registration.credit_limit`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        let name = format!("EDUHUB_{}", name.replace('.', "__").to_uppercase());
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Removes a setting that [`Home::new`] sets.
    pub fn without(mut self, name: &str) -> Self {
        let name = format!("EDUHUB_{}", name.replace('.', "__").to_uppercase());
        self.settings.retain(|(other, _)| *other != name);
        self
    }

    /// Returns the folder of the store.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command that reads `input`, such as a password, and must succeed. Returns what it writes.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> String {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns a command of the program with these arguments. It runs in the folder, with these settings only.
    pub fn command(&self, arguments: &[&str]) -> Command {
        // FAULT_BIN names another build of the program, such as a release build whose figures are measured.
        let program = std::env::var_os("FAULT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_eduhub").into());
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EDUHUB_")) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.folder()).envs(self.settings.iter().cloned());
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn");
        }
        command
    }

    /// Runs a command to its end and returns its output. A command that does not end, such as a server that should have
    /// been refused, is killed after [`RUN_MAX`].
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        let pid = Pid::from_child(&child);
        let (sender, output) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        match output.recv_timeout(RUN_MAX) {
            Ok(output) => output.expect("the output can be read"),
            Err(_) => {
                let _ = kill_process(pid, Signal::KILL);
                panic!("`eduhub {}` did not end within {RUN_MAX:?}", arguments.join(" "));
            }
        }
    }

    /// Mints a token for a user with this role.
    pub fn token(&self, user: &str, role: &str) -> String {
        self.mint(&["token", "--subject", user, "--role", role]).remove(0)
    }

    /// Mints tokens for `count` users, named `PREFIX-00001` and so on.
    pub fn tokens(&self, prefix: &str, role: &str, count: usize) -> Vec<String> {
        let tokens = self.mint(&["token", "--subject", prefix, "--role", role, "--count", &count.to_string()]);
        assert_eq!(tokens.len(), count, "`eduhub token --count {count}` prints that many tokens");
        tokens
    }

    fn mint(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.run(arguments);
        assert!(output.status.success(), "`eduhub token` succeeds: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("tokens are text");
        text.lines().map(str::to_owned).collect()
    }

    /// Runs `eduhub verify` on the store.
    ///
    /// # Errors
    /// The output, when it finds a difference.
    pub fn verify(&self) -> Result<(), String> {
        let output = self.run(&["verify"]);
        if output.status.success() {
            return Ok(());
        }
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Err(format!("`eduhub verify` ended with {}:\n{out}{err}", output.status))
    }

    /// Starts the server and waits until it is ready.
    pub fn serve(&self) -> Server {
        self.serve_with(&["serve"])
    }

    /// Starts the server with these arguments and waits until it is ready.
    pub fn serve_with(&self, arguments: &[&str]) -> Server {
        self.start(self.command(arguments))
    }

    /// Starts the server with this command, which comes from [`Home::command`], and waits until it is ready.
    pub fn start(&self, command: Command) -> Server {
        let log = self.folder().join("server.log");
        let stderr = OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        Server::start(command, stderr, log)
    }
}

/// A running server. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    /// Receives a message when the standard output ends. The lock makes `Server` shareable between threads.
    ended: Mutex<Receiver<()>>,
    log: PathBuf,
    ready_after: Duration,
    printed: Vec<String>,
}

impl Server {
    fn start(mut command: Command, stderr: File, log: PathBuf) -> Self {
        let started = Instant::now();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let (ready_sender, ready) = mpsc::channel();
        let (ended_sender, ended) = mpsc::channel();
        thread::spawn(move || {
            let mut printed = Vec::new();
            // Reads to the end, so that the server never blocks on a full pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let at = Instant::now();
                let address =
                    line.find(READY).map(|begin| line[begin + READY.len()..].trim_end_matches('/').to_owned());
                printed.push(line);
                if let Some(address) = address {
                    let _ = ready_sender.send((address, at, std::mem::take(&mut printed)));
                }
            }
            let _ = ended_sender.send(());
        });
        let Ok((address, at, printed)) = ready.recv_timeout(WAIT_MAX) else {
            let _ = child.kill();
            let status = child.wait();
            panic!("timed out waiting for the server to be ready ({status:?}):\n{}", tail(&log));
        };
        let address = address.parse().unwrap_or_else(|_| panic!("`{address}` is not an address"));
        Self { child, address, ended: Mutex::new(ended), log, ready_after: at - started, printed }
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the time from the start of the process until it printed that it is ready.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Returns the lines that the server printed until it was ready, including that last one.
    pub fn printed(&self) -> &[String] {
        &self.printed
    }

    /// Opens a connection.
    pub fn client(&self) -> Client {
        Client::connect(self.address).expect("the server accepts connections")
    }

    /// Returns the value of the first series of `/metrics` whose line starts with `name`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.client().get("/metrics").expect(200).text();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}:\n{text}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number at the end of the line")
    }

    /// Returns the end of the server's log.
    pub fn log(&self) -> String {
        tail(&self.log)
    }

    /// Kills the server with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("the server is running");
        let status = self.child.wait().expect("the process can be waited for");
        assert_eq!(status.signal(), Some(9), "the server runs until it is killed:\n{}", tail(&self.log));
    }

    /// Sends SIGTERM to the server.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the server is running");
    }

    /// Sends SIGTERM to the server and waits until it has exited.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate();
        let ended = self.ended.get_mut().expect("no thread panicked with the lock").recv_timeout(WAIT_MAX);
        if ended.is_err() {
            panic!("timed out waiting for the server to exit after SIGTERM:\n{}", tail(&self.log));
        }
        self.child.wait().expect("the process can be waited for")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("the server's log:\n{}", tail(&self.log));
        }
    }
}

/// Returns the last 4,000 bytes of a log file.
pub(super) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let from = bytes.len().saturating_sub(4000);
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}
