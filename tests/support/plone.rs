//! A real Plone: a copy of the site that `make plone-template` made, running in a process of its own.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PATIENCE;
use super::http::{Client, Response};

/// Password of every account of the site, as scripts/plone/site.py sets it.
pub const PASSWORD: &str = "eduhub-plone";
/// User that the hub signs in as: a Site Administrator.
pub const HUB: &str = "eduhub";
/// Another Site Administrator.
pub const DEAN: &str = "dean";
/// An Editor.
pub const REGISTRAR: &str = "registrar";
/// A Member who is a Reviewer through the group `registrars`.
pub const CLERK: &str = "clerk";
/// Number of students, who are Members called `student1` and so on.
pub const STUDENTS: usize = 40;
/// Number of sections in `/courses`, with the private ones.
pub const SECTIONS: usize = 300;
/// Number of private sections, which only staff of Plone can see.
pub const PRIVATE_SECTIONS: usize = 4;

/// Attempts to find a port that no other process takes before Plone listens on it.
const PORTS_TRIED: usize = 5;

/// A Plone with data of its own. It is killed when this value is dropped and when the test process ends.
#[derive(Debug)]
pub struct Plone {
    folder: TempDir,
    port: u16,
    /// Whether the addresses that bypass field permissions in a plain Plone are left open.
    side_doors_open: bool,
    /// `None` while Plone is stopped. Behind a lock, so that tests can share one Plone.
    process: Mutex<Option<Child>>,
}

/// Returns the folder of the installation.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".plone")
}

impl Plone {
    /// Returns whether `make plone-template` has installed Plone and made the site.
    pub fn is_installed() -> bool {
        home().join("template/made").exists() && home().join("venv/installed").exists()
    }

    /// Starts a Plone with a fresh copy of the site and waits until it answers.
    pub fn start() -> Self {
        Self::start_as(false)
    }

    /// Starts a Plone that still shows protected fields at the addresses which scripts/plone/site.zcml closes.
    pub fn start_with_open_side_doors() -> Self {
        Self::start_as(true)
    }

    fn start_as(side_doors_open: bool) -> Self {
        assert!(Self::is_installed(), "Plone is not installed: run `make plone-template`");
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for Plone");
        fs::create_dir_all(folder.path().join("etc")).expect("a folder");
        copy(&home().join("template"), &folder.path().join("var")).expect("the template can be copied");
        fs::create_dir(folder.path().join("var/log")).expect("a folder");
        let mut plone = Self { folder, port: 0, side_doors_open, process: Mutex::new(None) };
        for _ in 0..PORTS_TRIED {
            plone.port = free_port();
            plone.configure();
            if plone.spawn() {
                return plone;
            }
        }
        panic!("Plone did not start:\n{}", plone.log());
    }

    /// Returns the Plone that the tests of this crate share. A start takes several seconds of CPU time, so tests use it
    /// that only read, or that change nothing but users of their own. It runs until the process ends.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Plone> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn configure(&self) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/plone");
        for (template, name) in [("zope.conf.in", "zope.conf"), ("zope.ini.in", "zope.ini"), ("site.zcml", "site.zcml")]
        {
            let text = fs::read_to_string(scripts.join(template)).expect("the project has the file");
            // The end of the file, from the class on, closes the side doors.
            let closes = text.find("<class ").filter(|_| self.side_doors_open);
            let text = closes.map_or(text.clone(), |at| format!("{}</configure>", &text[..at]));
            let text = text
                .replace("@INSTANCE@", &self.folder.path().display().to_string())
                .replace("@CACHE@", &home().join("cache").display().to_string())
                .replace("@PORT@", &self.port.to_string());
            fs::write(self.folder.path().join("etc").join(name), text).expect("the instance can be written");
        }
    }

    /// Starts the process and waits until it answers. Returns false when it ended instead.
    fn spawn(&self) -> bool {
        let errors = File::options().create(true).append(true).open(self.folder.path().join("var/log/output.log"));
        let mut child = Command::new(home().join("venv/bin/python"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/plone/serve.py"))
            .arg(self.folder.path().join("etc/zope.ini"))
            // Plone ends when this pipe closes, which happens however the test ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.expect("the instance can be written"))
            .process_group(0)
            .spawn()
            .expect("Python starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let (say, heard) = mpsc::channel();
        thread::spawn(move || {
            // Reads to the end, so that Plone never blocks on a full pipe. The end closes the channel.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.starts_with("Serving on ") {
                    let _ = say.send(());
                }
            }
        });
        let serves = heard.recv_timeout(PATIENCE).is_ok() && self.call("GET", "/@@ok", &[], b"").is_ok();
        if !serves {
            end(child, Signal::KILL);
            return false;
        }
        *self.process() = Some(child);
        true
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops Plone; its port refuses connections from then on.
    pub fn stop(&self) {
        let child = self.process().take().expect("it runs");
        end(child, Signal::TERM);
    }

    /// Starts Plone again after [`Plone::stop`], with the same data on the same port.
    pub fn start_again(&self) {
        assert!(self.process().is_none(), "it runs already");
        assert!(self.spawn(), "Plone did not start again:\n{}", self.log());
    }

    /// Returns the id of its process.
    pub fn pid(&self) -> u32 {
        self.process().as_ref().expect("it runs").id()
    }

    /// Returns the address that it listens on, or listened on before it was stopped.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Returns the URL of the site, as the setting `plone.url` expects it.
    pub fn url(&self) -> String {
        format!("http://{}/Plone", self.address())
    }

    /// Returns the end of its logs.
    pub fn log(&self) -> String {
        ["output.log", "event.log"]
            .map(|name| super::server::tail(&self.folder.path().join("var/log").join(name)))
            .concat()
    }

    /// Returns the lines of its access log, one a request, oldest first.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("var/log/access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Sends a request on a new connection. `path` is relative to the site, such as `/courses/@search`.
    ///
    /// # Errors
    /// When Plone cannot be reached, or closes the connection before it has answered.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        Client::connect(self.address())?.call(method, &format!("/Plone{path}"), headers, body)
    }

    /// Sends a request of the REST API and returns the status and the JSON body, which is null when it is empty.
    pub fn request(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Accept", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        headers.extend(body.map(|_| ("Content-Type", "application/json")));
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.call(method, path, &headers, body.as_bytes());
        let answer = answer.unwrap_or_else(|e| panic!("{method} {path}: {e}\n{}", self.log()));
        (answer.status, if answer.body.is_empty() { Value::Null } else { answer.json() })
    }

    /// Sends a request of the REST API with this token, which must succeed, and returns its body.
    pub fn change(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.request(method, path, Some(token), body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Sends a request as the hub's user, which must succeed.
    pub fn change_as_hub(&self, method: &str, path: &str, body: Option<&Value>) {
        self.change(&self.login(HUB, PASSWORD), method, path, body);
    }

    /// Signs a user in to Plone and returns the token.
    pub fn login(&self, user: &str, password: &str) -> String {
        let body = json!({"login": user, "password": password});
        let (status, answer) = self.request("POST", "/@login", None, Some(&body));
        assert_eq!(status, 200, "{user} cannot sign in to Plone: {answer}");
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// Returns the path of the published section at this index, by id from 0, such as `/courses/202701-30001`.
    pub fn section(&self, index: usize) -> String {
        self.section_by(&format!("portal_type=course_section&review_state=published&b_start={index}"))
    }

    /// Returns the path of the first section that a search by the hub's user finds.
    pub fn section_by(&self, query: &str) -> String {
        let hub = self.login(HUB, PASSWORD);
        let path = format!("/@search?{query}&sort_on=getId&b_size=1");
        let (status, answer) = self.request("GET", &path, Some(&hub), None);
        assert_eq!(status, 200, "{answer}");
        let address = answer["items"][0]["@id"].as_str().expect("a section is found");
        address.trim_start_matches(&self.url()).to_owned()
    }

    /// Installs an add-on that colleges use: it locks an account for 24 hours after three wrong passwords.
    pub fn install_lockout(&self) {
        let root = self.login("admin", PASSWORD);
        let (status, answer) = self.request("POST", "/@addons/Products.LoginLockout/install", Some(&root), None);
        assert_eq!(status, 204, "{answer}");
    }
}

impl Drop for Plone {
    fn drop(&mut self) {
        if let Some(child) = self.process().take() {
            end(child, Signal::KILL);
        }
        if thread::panicking() {
            println!("Plone's log:\n{}", self.log());
        }
    }
}

/// Sends a signal to a process and its children, and waits until the process has ended.
fn end(mut child: Child, signal: Signal) {
    let _ = kill_process_group(Pid::from_child(&child), signal);
    let _ = child.wait();
}

/// Returns a port that no process listens on at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
