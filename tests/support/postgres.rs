//! A PostgreSQL server for the tests of one process: a cluster in a temporary folder, reached through a Unix socket, or
//! over TCP if a relay is in between. A test that stops the server starts a separate one.
//!
//! A shell supervises the server, and starts it again if it ends. It stops the server and removes the folder when the
//! pipe from this process is closed, which also happens after a panic or a kill.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "each crate uses only a part; a panic fails the test, which is the intent"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::eventually;

/// The oldest version that the hub supports.
const VERSION_MIN: u32 = 15;
/// How long the server may take to start on a busy machine.
const START_MAX: Duration = Duration::from_secs(120);
/// The unprivileged user and group. PostgreSQL refuses to run as root, and tests in containers run as root.
const UNPRIVILEGED: u32 = 65_534;
/// Connections of PgBouncer to each database: fewer than one store opens to PgBouncer.
const BOUNCER_CONNECTIONS: u32 = 3;
/// A folder in memory, for data that need not survive a power failure. On a disk, the file system would need half a
/// minute of processor time for the databases of the tests, each of which has 300 files.
const MEMORY: &str = "/dev/shm";
/// The free space that the folder in memory must have, in bytes: several times that of the databases that exist at
/// once.
const MEMORY_FREE_MIN: u64 = 2 << 30;
/// Settings of a server that does not wait for the disk.
const FAST: &str = "-c fsync=off -c full_page_writes=off";
/// Settings of each server: small, and with connections for several stores per test.
const SETTINGS: &str = "-c max_connections=300 \
    -c shared_buffers=64MB -c jit=off -c autovacuum=off -c max_wal_size=4GB -c checkpoint_timeout=1h";

/// A running server.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    runnable: PathBuf,
    /// The TCP address. Each server has its own loopback address, on which the usual port is free.
    address: SocketAddr,
    /// Holds the pipe whose end stops the server.
    supervisor: Child,
}

/// Returns the server of this process, and starts it when it is called for the first time.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(start_own)
}

/// Starts a server that no other test uses.
pub fn start_own() -> Cluster {
    let place = Place::create();
    place.keep_data_in_memory();
    Cluster::serve(place.initialized(), FAST)
}

/// Starts a server that no other test uses, and that writes each commit to the disk.
pub fn start_durable() -> Cluster {
    Cluster::serve(Place::create().initialized(), "")
}

/// Returns a loopback address that no other server of this or another test process has.
fn own_address() -> SocketAddr {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let [_, number] = u16::try_from(NUMBER.fetch_add(1, Ordering::Relaxed)).unwrap().to_be_bytes();
    let [_, _, high, low] = std::process::id().to_be_bytes();
    (Ipv4Addr::new(127, 64 + number, high, low), 5432).into()
}

/// Returns the folder of the newest installed programs: those of the system, or those of `make postgres`.
fn programs() -> PathBuf {
    let folders = [PathBuf::from("/usr/lib/postgresql"), unpacked().join("usr/lib/postgresql")];
    let versions = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let versions = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    let usable = versions
        .filter(|(version, path): &(u32, PathBuf)| *version >= VERSION_MIN && path.join("bin/postgres").exists());
    let (_, newest) = usable.max().expect("PostgreSQL 15 or later is not installed: run `make postgres`");
    newest.join("bin")
}

/// Returns the folder into which `make postgres` unpacks the programs that are not installed.
fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".postgres")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Creates a folder of a cluster in `parent`, and lets the unprivileged user enter it.
fn create_folder(parent: &Path) -> PathBuf {
    let folder = tempfile::Builder::new().prefix("eduhub-pg-").tempdir_in(parent).unwrap().keep();
    // This fails if the process is not root, but then the server runs as the same user.
    let _ = chown(&folder, Some(UNPRIVILEGED), Some(UNPRIVILEGED));
    folder
}

/// Returns the folder from which the unpacked programs are run. The unprivileged user may not be able to enter the
/// folder of the project, so root runs a copy.
fn runnable(folder: &Path) -> PathBuf {
    if !is_root() || !unpacked().exists() {
        return unpacked();
    }
    let copy = folder.join("programs");
    let status = Command::new("cp").arg("-r").arg(unpacked()).arg(&copy).status().unwrap();
    assert!(status.success(), "the unpacked programs are copied to {}", copy.display());
    copy
}

/// Returns a command that runs a program, as an unprivileged user if this process is root. `runnable` is the folder
/// from which unpacked programs are run.
fn command(program: &Path, runnable: &Path) -> Command {
    let place = program.strip_prefix(unpacked()).map(|place| runnable.join(place));
    let is_unpacked = place.is_ok();
    let program = place.unwrap_or_else(|_| program.to_owned());
    let mut command = Command::new(if is_root() { Path::new("setpriv") } else { &program });
    if is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    }
    if is_unpacked {
        // Unpacked programs find their libraries beside them.
        let folders = fs::read_dir(runnable.join("usr/lib")).into_iter().flatten().flatten();
        let triplet = folders.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with("-linux-gnu"));
        command.env("LD_LIBRARY_PATH", triplet.unwrap_or_default());
    }
    command
}

/// Returns the command line of `command` for a shell.
fn in_shell(command: &Command) -> OsString {
    let mut line = OsString::new();
    for (name, value) in command.get_envs() {
        line.push(format!("{}='{}' ", name.to_str().unwrap(), value.unwrap().to_str().unwrap()));
    }
    for word in std::iter::once(command.get_program()).chain(command.get_args()) {
        line.push(format!("'{}' ", word.to_str().unwrap()));
    }
    line
}

/// The folder of a cluster, and the one from which unpacked programs are run.
struct Place {
    folder: PathBuf,
    runnable: PathBuf,
}

impl Place {
    fn create() -> Self {
        // Root's folder for temporary files may be closed to others.
        let parent = if is_root() { PathBuf::from("/tmp") } else { std::env::temp_dir() };
        let folder = create_folder(&parent);
        Self { runnable: runnable(&folder), folder }
    }

    /// Makes the data folder a link to a folder in memory, if enough memory is free.
    fn keep_data_in_memory(&self) {
        let free = rustix::fs::statvfs(MEMORY).map_or(0, |memory| memory.f_bavail * memory.f_frsize);
        if free >= MEMORY_FREE_MIN {
            symlink(create_folder(Path::new(MEMORY)), self.folder.join("data")).unwrap();
        }
    }

    /// Creates an empty cluster.
    fn initialized(self) -> Self {
        let mut initialize = self.command("initdb");
        initialize.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"]);
        initialize.arg(self.folder.join("data"));
        self.complete(initialize);
        self
    }

    /// Returns a command that runs a program of PostgreSQL.
    fn command(&self, program: &str) -> Command {
        command(&programs().join(program), &self.runnable)
    }

    /// Runs a command to its end.
    fn complete(&self, mut command: Command) {
        let log = File::create(self.folder.join("log")).unwrap();
        command.current_dir("/").stdout(log.try_clone().unwrap()).stderr(log);
        let status = command.status().unwrap();
        assert!(status.success(), "{command:?}: {}", fs::read_to_string(self.folder.join("log")).unwrap());
    }
}

/// Returns the command of PgBouncer in transaction mode, with fewer connections to the server than the tests use.
fn bouncer(folder: &Path, runnable: &Path) -> Command {
    let programs = [PathBuf::from("/usr/sbin/pgbouncer"), unpacked().join("usr/sbin/pgbouncer")];
    let program = programs.into_iter().find(|program| program.exists());
    let program = program.expect("PgBouncer is not installed: run `make postgres`");
    let sockets = folder.join("bouncer");
    fs::create_dir(&sockets).unwrap();
    let _ = chown(&sockets, Some(UNPRIVILEGED), Some(UNPRIVILEGED));
    fs::write(folder.join("users"), "\"postgres\" \"\"\n").unwrap();
    let settings = format!(
        "[databases]\n* = host={0}\n[pgbouncer]\nunix_socket_dir = {1}\nlisten_port = 5432\nauth_type = trust\n\
         auth_file = {0}/users\npool_mode = transaction\ndefault_pool_size = {BOUNCER_CONNECTIONS}\nmax_client_conn = 1000\n",
        folder.display(),
        sockets.display()
    );
    fs::write(folder.join("bouncer.ini"), settings).unwrap();
    let mut command = command(&program, runnable);
    command.arg(folder.join("bouncer.ini"));
    command
}

/// Runs `work` on a new connection.
fn with_connection<T>(
    url: &str,
    work: impl AsyncFnOnce(&tokio_postgres::Client) -> Result<T, tokio_postgres::Error>,
) -> Result<T, tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        let outcome = work(&client).await;
        drop(client);
        let _ = connection.await;
        outcome
    })
}

impl Cluster {
    /// Starts the server on the data in the folder.
    fn serve(place: Place, settings: &str) -> Self {
        let mut serve = place.command("postgres");
        serve.args(settings.split_whitespace());
        let Place { folder, runnable } = place;
        serve.arg("-D").arg(folder.join("data")).arg("-k").arg(&folder).args(SETTINGS.split_whitespace());
        let address = own_address();
        serve.arg("-c").arg(format!("listen_addresses={}", address.ip()));
        let bouncer = bouncer(&folder, &runnable);
        // After a kill, the server cannot start before the processes of its connections have ended, too.
        let mut script = OsString::from("while [ ! -e stop ]; do ");
        script.push(in_shell(&serve));
        script.push(" >>log 2>&1; sleep 0.1; done & ");
        script.push(in_shell(&bouncer));
        script.push(" >>log 2>&1 & bouncer=$!;");
        script.push(
            "cat >/dev/null; touch stop; kill -TERM $bouncer; kill -QUIT $(head -n 1 data/postmaster.pid); wait;",
        );
        script.push("cd /; rm -rf \"$(readlink -f \"$1/data\")\" \"$1\"");
        let mut supervisor = Command::new("sh");
        supervisor.arg("-c").arg(script).arg("sh").arg(&folder).current_dir(&folder);
        // A separate process group: an interrupt from the terminal must not end the supervisor before the server.
        supervisor.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let cluster = Self { supervisor: supervisor.spawn().unwrap(), folder, runnable, address };
        cluster.wait_until_ready();
        cluster
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + START_MAX;
        let answers = || {
            self.try_run(&self.url("postgres"), "SELECT 1")?;
            self.try_run(&self.url_of_bouncer("postgres"), "SELECT 1")
        };
        while let Err(error) = answers() {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {error}\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the path of the server's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Returns the address for connections over TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shuts the server down cleanly, which ends all connections, and waits until it runs again.
    pub fn restart(&self) {
        self.end(Signal::INT);
    }

    /// Kills the server, and waits until it has recovered and runs again.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Kills the server, which does not start again.
    pub fn kill_for_good(&self) {
        // The supervisor looks for this file.
        File::create(self.folder.join("stop")).unwrap();
        self.signal(Signal::KILL);
        eventually("the end of PostgreSQL", || self.try_run(&self.url("postgres"), "SELECT 1").err());
        fs::remove_file(self.folder.join("data/postmaster.pid")).unwrap();
    }

    /// Starts a standby, which copies this server and then follows its log, through the address `from`.
    pub fn start_standby(&self, from: SocketAddr, name: &str) -> Self {
        let place = Place::create();
        let mut copy = place.command("pg_basebackup");
        copy.args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--create-slot"]);
        copy.arg(format!("--slot={name}")).arg("--pgdata").arg(place.folder.join("data"));
        let (host, port) = (from.ip(), from.port());
        copy.arg(format!("--dbname=host={host} port={port} user=postgres application_name={name}"));
        place.complete(copy);
        Self::serve(place, FAST)
    }

    /// Runs `pgbench`, which updates one row over this many connections for this many seconds. Returns the updates per
    /// second.
    pub fn updates_per_second(&self, connections: usize, seconds: usize) -> f64 {
        self.run("postgres", "CREATE TABLE IF NOT EXISTS hot (n bigint NOT NULL)");
        self.run("postgres", "DELETE FROM hot; INSERT INTO hot VALUES (0)");
        let script = self.folder.join("update.sql");
        fs::write(&script, "UPDATE hot SET n = n + 1;\n").unwrap();
        let mut bench = command(&programs().join("pgbench"), &self.runnable);
        bench.args(["--no-vacuum", "--username=postgres", "--host"]).arg(&self.folder).arg("--file").arg(script);
        bench.arg(format!("--client={connections}")).arg(format!("--time={seconds}")).arg("postgres");
        let output = bench.current_dir("/").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn signal(&self, signal: Signal) {
        let (pid, _) = self.started().expect("the server is running");
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    fn end(&self, signal: Signal) {
        let started = self.started();
        self.signal(signal);
        eventually("PostgreSQL to start again", || (self.started()? != started.clone()?).then_some(()));
        self.wait_until_ready();
    }

    /// Returns the process id of the server and the time of its start; `None` while it is stopped.
    fn started(&self) -> Option<(i32, String)> {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        let mut lines = text.lines();
        Some((lines.next()?.parse().ok()?, lines.nth(1)?.to_owned()))
    }

    /// Returns the process id of the server, whose child processes serve the connections.
    pub fn pid(&self) -> u32 {
        let (pid, _) = self.started().expect("the server is running");
        pid.try_into().expect("a process id")
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        let host = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{host}/{database}")
    }

    /// Returns the URL of a database through PgBouncer.
    pub fn url_of_bouncer(&self, database: &str) -> String {
        let host = self.folder.join("bouncer").to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{host}/{database}")
    }

    /// Runs statements on a new connection.
    pub fn run(&self, database: &str, statements: &str) {
        self.try_run(&self.url(database), statements).unwrap();
    }

    /// Returns the number that a query returns.
    pub fn number(&self, query: &str) -> i64 {
        let url = self.url("postgres");
        let row = with_connection(&url, async |client| client.query_one(query, &[]).await);
        row.unwrap().get(0)
    }

    fn try_run(&self, url: &str, statements: &str) -> Result<(), tokio_postgres::Error> {
        with_connection(url, async |client| client.batch_execute(statements).await)
    }

    /// Creates a database as a copy of `template`.
    pub fn create_database(&'static self, template: &str) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.run("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Database { cluster: self, name }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The end of its standard input makes the supervisor stop the server.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// A database of one test. It is removed when it is dropped.
#[derive(Debug)]
pub struct Database {
    cluster: &'static Cluster,
    name: String,
}

impl Database {
    /// Returns the URL.
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the server.
    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// Runs statements on a new connection.
    pub fn run(&self, statements: &str) {
        self.cluster.run(&self.name, statements);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server ends with the process in any case.
        let _ =
            self.cluster.try_run(&self.cluster.url("postgres"), &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
