//! A real Plone of a test's own: a copy of the site that `make plone-template` made, started within seconds.

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
use super::http::{Answer, Client};

/// The password of every account of the site, as scripts/plone/site.py gives it.
pub const PASSWORD: &str = "eduhub-plone";
/// Whom the hub signs in as: a Site Administrator.
pub const HUB: &str = "eduhub";
/// Another Site Administrator.
pub const DEAN: &str = "dean";
/// An Editor.
pub const REGISTRAR: &str = "registrar";
/// A Reviewer, through the group `registrars`; by herself a Member.
pub const CLERK: &str = "clerk";
/// How many students there are, `student1` and on; Members.
pub const STUDENTS: usize = 40;
/// How many sections `/courses` has, the private ones included.
pub const SECTIONS: usize = 300;
/// How many of them only staff of Plone can see.
pub const PRIVATE_SECTIONS: usize = 4;

/// Attempts to find a port that nobody else takes between looking and listening.
const PORTS_TRIED: usize = 5;

/// A running Plone with data of its own. It ends, at the latest, when this goes, or when the test's process does.
#[derive(Debug)]
pub struct Plone {
    folder: TempDir,
    port: u16,
    /// Whether rosters are shown at the addresses at which a plain Plone shows every field.
    doors_open: bool,
    /// Nothing while it is stopped. Behind a lock so that tests may share one.
    process: Mutex<Option<Child>>,
}

/// The folder of the installation.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".plone")
}

impl Plone {
    /// Returns whether `make plone-template` has installed Plone and made the site.
    pub fn is_installed() -> bool {
        home().join("template/made").exists() && home().join("venv/installed").exists()
    }

    /// A fresh one, once it answers.
    pub fn start() -> Self {
        Self::start_as(false)
    }

    /// One whose college has not closed the doors that scripts/plone/site.zcml closes.
    pub fn start_with_open_doors() -> Self {
        Self::start_as(true)
    }

    fn start_as(doors_open: bool) -> Self {
        assert!(Self::is_installed(), "there is no Plone to test with: run `make plone-template`");
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for Plone");
        fs::create_dir_all(folder.path().join("etc")).expect("a folder");
        copy(&home().join("template"), &folder.path().join("var")).expect("the template can be copied");
        fs::create_dir(folder.path().join("var/log")).expect("a folder");
        let mut plone = Self { folder, port: 0, doors_open, process: Mutex::new(None) };
        for _ in 0..PORTS_TRIED {
            plone.port = free_port();
            plone.configure();
            if plone.spawn() {
                return plone;
            }
        }
        panic!("Plone did not start:\n{}", plone.log());
    }

    /// One that all tests of a file share: for those that change nothing that another looks at. A start costs several
    /// seconds of a processor.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Plone> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Another one that all tests of a file share: for those that change only what no other of them looks at.
    pub fn written() -> &'static Self {
        static WRITTEN: OnceLock<Plone> = OnceLock::new();
        WRITTEN.get_or_init(Self::start)
    }

    fn configure(&self) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/plone");
        for (template, name) in [("zope.conf.in", "zope.conf"), ("zope.ini.in", "zope.ini"), ("site.zcml", "site.zcml")]
        {
            let text = fs::read_to_string(scripts.join(template)).expect("the project has the file");
            // What closes the doors is the end of the file, from the class on.
            let closes = text.find("<class ").filter(|_| self.doors_open);
            let text = closes.map_or(text.clone(), |at| format!("{}</configure>", &text[..at]));
            let text = text
                .replace("@INSTANCE@", &self.folder.path().display().to_string())
                .replace("@CACHE@", &home().join("cache").display().to_string())
                .replace("@PORT@", &self.port.to_string());
            fs::write(self.folder.path().join("etc").join(name), text).expect("the instance can be written");
        }
    }

    /// Starts the process and waits until it answers. False when it ended instead.
    fn spawn(&self) -> bool {
        let errors = File::options().create(true).append(true).open(self.folder.path().join("var/log/output.log"));
        let mut child = Command::new(home().join("venv/bin/python"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/plone/serve.py"))
            .arg(self.folder.path().join("etc/zope.ini"))
            // It ends when this pipe closes, which it does however the test ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.expect("the instance can be written"))
            .process_group(0)
            .spawn()
            .expect("Python starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let (say, heard) = mpsc::channel();
        thread::spawn(move || {
            // Reads on to the end, so that Plone never waits for a full pipe; its end closes the channel.
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

    /// Stops it; its port refuses connections from then on.
    pub fn stop(&self) {
        let child = self.process().take().expect("it runs");
        end(child, Signal::TERM);
    }

    /// Starts it again after [`Plone::stop`]: the same data on the same port.
    pub fn start_again(&self) {
        assert!(self.process().is_none(), "it runs already");
        assert!(self.spawn(), "Plone did not start again:\n{}", self.log());
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process().as_ref().expect("it runs").id()
    }

    /// Where it listens, or listened while it is stopped.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The address of the site, as the setting `[plone] url` wants it.
    pub fn url(&self) -> String {
        format!("http://{}/Plone", self.address())
    }

    /// The end of what it has logged of itself.
    pub fn log(&self) -> String {
        ["output.log", "event.log"]
            .map(|name| super::server::tail(&self.folder.path().join("var/log").join(name)))
            .concat()
    }

    /// Requests that reached it, one line each, oldest first, as its access log has them.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("var/log/access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// A request on a connection of its own; `path` is within the site, such as `/courses/@search`.
    ///
    /// # Errors
    /// When Plone cannot be reached, or ends before it has answered.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        Client::connect(self.address())?.call(method, &format!("/Plone{path}"), headers, body)
    }

    /// A request of its REST API: the status, and the body as JSON, null when there is none.
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

    /// The token of a sign-in; the end of the test when it is refused.
    pub fn login(&self, user: &str, password: &str) -> String {
        let body = json!({"login": user, "password": password});
        let (status, answer) = self.request("POST", "/@login", None, Some(&body));
        assert_eq!(status, 200, "{user} cannot sign in to Plone: {answer}");
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// The path of one published section, by its place in the list, from 0: `/courses/202701-30001`.
    pub fn section(&self, index: usize) -> String {
        self.section_by(&format!("portal_type=course_section&review_state=published&b_start={index}"))
    }

    /// The path of the first section that a search of the hub finds.
    pub fn section_by(&self, query: &str) -> String {
        let hub = self.login(HUB, PASSWORD);
        let path = format!("/@search?{query}&sort_on=getId&b_size=1");
        let (status, answer) = self.request("GET", &path, Some(&hub), None);
        assert_eq!(status, 200, "{answer}");
        let address = answer["items"][0]["@id"].as_str().expect("a section is found");
        address.trim_start_matches(&self.url()).to_owned()
    }

    /// Locks accounts from now on for 24 hours after three wrong passwords, by an add-on that colleges use.
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

/// Ends a process and its children and waits for its end.
fn end(mut child: Child, signal: Signal) {
    let _ = kill_process_group(Pid::from_child(&child), signal);
    let _ = child.wait();
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

/// Copies a folder and what is in it.
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
