//! A real Plone in its own process, with a copy of the site that `make plone-template` made.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::WAIT_MAX;
use super::http::{Client, Response};
use super::ports::free_port;

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
/// Number of sections in `/courses`, including the private ones.
pub const SECTIONS: usize = 300;
/// Number of private sections, which only staff of Plone can see.
pub const PRIVATE_SECTIONS: usize = 4;

/// Attempts to start Plone on a free port. Another process can take the port before Plone listens on it.
const PORTS_TRIED: usize = 5;

/// A Plone with its own data. It is killed when this value is dropped and when the test process ends.
#[derive(Debug)]
pub struct Plone {
    folder: TempDir,
    port: u16,
    /// Whether Plone serves fields at the URLs at which it ignores their read permissions by default.
    exposes_fields: bool,
    /// `None` while Plone is stopped. The lock makes `Plone` shareable between threads.
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

    /// Starts a Plone with a fresh copy of the site and waits until it responds.
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts a Plone that still serves protected fields at the URLs that scripts/plone/site.zcml closes.
    pub fn start_with_exposed_fields() -> Self {
        Self::start_with(true)
    }

    /// Starts a Plone in which `deploy/plone-user-key.py` has run, and returns it with the key that the script prints.
    pub fn start_with_user_key() -> (Self, String) {
        let mut plone = Self::prepare(false);
        plone.configure();
        let output = Command::new(home().join("venv/bin/python"))
            .args(["-m", "Zope2.utilities.zconsole", "run"])
            .arg(plone.folder.path().join("etc/zope.conf"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/plone-user-key.py"))
            .output()
            .expect("Python starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let key = text.lines().find_map(|line| line.strip_prefix("EDUHUB_PLONE__USER_KEY="));
        let key = key.unwrap_or_else(|| panic!("no key: {output:?}")).to_owned();
        plone.start_on_a_free_port();
        (plone, key)
    }

    fn start_with(exposes_fields: bool) -> Self {
        let mut plone = Self::prepare(exposes_fields);
        plone.start_on_a_free_port();
        plone
    }

    /// Makes a fresh copy of the site.
    fn prepare(exposes_fields: bool) -> Self {
        assert!(Self::is_installed(), "Plone is not installed: run `make plone-template`");
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for Plone");
        fs::create_dir_all(folder.path().join("etc")).expect("a folder");
        copy(&home().join("template"), &folder.path().join("var")).expect("the template can be copied");
        fs::create_dir(folder.path().join("var/log")).expect("a folder");
        Self { folder, port: 0, exposes_fields, process: Mutex::new(None) }
    }

    fn start_on_a_free_port(&mut self) {
        for _ in 0..PORTS_TRIED {
            self.port = free_port();
            self.configure();
            if self.spawn() {
                return;
            }
        }
        panic!("Plone did not start:\n{}", self.log());
    }

    /// Returns the Plone that the tests of this crate share, because a start takes several seconds of CPU time. It is
    /// for tests that only read or that change only their own users. It runs until the process ends.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Plone> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn configure(&self) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/plone");
        for (template, name) in [("zope.conf.in", "zope.conf"), ("zope.ini.in", "zope.ini"), ("site.zcml", "site.zcml")]
        {
            let text = fs::read_to_string(scripts.join(template)).expect("the project has the file");
            // The last part of site.zcml, from the class on, closes these URLs.
            let end = text.find("<class ").filter(|_| self.exposes_fields);
            let text = end.map_or(text.clone(), |at| format!("{}</configure>", &text[..at]));
            let text = text
                .replace("@INSTANCE@", &self.folder.path().display().to_string())
                .replace("@CACHE@", &home().join("cache").display().to_string())
                .replace("@PORT@", &self.port.to_string());
            fs::write(self.folder.path().join("etc").join(name), text).expect("the instance can be written");
        }
    }

    /// Starts the process and waits until it responds. If it does not respond, kills it and returns false.
    fn spawn(&self) -> bool {
        let errors = File::options().create(true).append(true).open(self.folder.path().join("var/log/output.log"));
        let mut child = Command::new(home().join("venv/bin/python"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/plone/serve.py"))
            .arg(self.folder.path().join("etc/zope.ini"))
            // Plone ends when this pipe closes, which happens even when the test process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.expect("the instance can be written"))
            .process_group(0)
            .spawn()
            .expect("Python starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let (sender, ready) = mpsc::channel();
        thread::spawn(move || {
            // Reads to the end, so that Plone never blocks on a full pipe. Then the channel closes.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.starts_with("Serving on ") {
                    let _ = sender.send(());
                }
            }
        });
        let serves = ready.recv_timeout(WAIT_MAX).is_ok() && self.call("GET", "/@@ok", &[], b"").is_ok();
        if !serves {
            end_process(child, Signal::KILL);
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
        let child = self.process().take().expect("Plone is running");
        end_process(child, Signal::TERM);
    }

    /// Starts Plone again after [`Plone::stop`], with the same data on the same port.
    pub fn start_again(&self) {
        assert!(self.process().is_none(), "Plone is stopped");
        assert!(self.spawn(), "Plone did not start again:\n{}", self.log());
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.process().as_ref().expect("Plone is running").id()
    }

    /// Returns the address that Plone listens on, or listened on before it was stopped.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Returns the URL of the site, as the setting `plone.url` expects it.
    pub fn url(&self) -> String {
        format!("http://{}/Plone", self.address())
    }

    /// Returns the last part of Plone's logs.
    pub fn log(&self) -> String {
        ["output.log", "event.log"]
            .map(|name| super::server::tail(&self.folder.path().join("var/log").join(name)))
            .concat()
    }

    /// Returns the lines of the access log, one per request, oldest first.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("var/log/access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Sends a request on a new connection. `path` is relative to the site, such as `/courses/@search`.
    ///
    /// # Errors
    /// When Plone cannot be reached, or closes the connection before it has responded.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        Client::connect(self.address())?.call(method, &format!("/Plone{path}"), headers, body)
    }

    /// Sends a request of the REST API and returns the status and the JSON body; null for an empty body.
    pub fn request(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Accept", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        headers.extend(body.map(|_| ("Content-Type", "application/json")));
        let body = body.map(Value::to_string).unwrap_or_default();
        let response = self.call(method, path, &headers, body.as_bytes());
        let response = response.unwrap_or_else(|e| panic!("{method} {path}: {e}\n{}", self.log()));
        (response.status, if response.body.is_empty() { Value::Null } else { response.json() })
    }

    /// Sends a request of the REST API with this token, and returns the body of the response. Panics if the request
    /// fails.
    pub fn change(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, response) = self.request(method, path, Some(token), body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {response}");
        response
    }

    /// Sends a request as the hub's user. Panics if the request fails.
    pub fn change_as_hub(&self, method: &str, path: &str, body: Option<&Value>) {
        self.change(&self.login(HUB, PASSWORD), method, path, body);
    }

    /// Signs in a user at Plone and returns Plone's token.
    pub fn login(&self, user: &str, password: &str) -> String {
        let body = json!({"login": user, "password": password});
        let (status, response) = self.request("POST", "/@login", None, Some(&body));
        assert_eq!(status, 200, "{user} signs in at Plone: {response}");
        response["token"].as_str().expect("a token").to_owned()
    }

    /// Returns the path of a published section, such as `/courses/202701-30001`. Index 0 has the lowest id.
    pub fn section(&self, index: usize) -> String {
        self.section_by(&format!("portal_type=course_section&review_state=published&b_start={index}"))
    }

    /// Returns the path of the section with the lowest id among those that a search by the hub's user finds.
    pub fn section_by(&self, query: &str) -> String {
        let token = self.login(HUB, PASSWORD);
        let path = format!("/@search?{query}&sort_on=getId&b_size=1");
        let (status, response) = self.request("GET", &path, Some(&token), None);
        assert_eq!(status, 200, "{response}");
        let address = response["items"][0]["@id"].as_str().expect("the search finds a section");
        address.trim_start_matches(&self.url()).to_owned()
    }

    /// Installs `Products.LoginLockout`, which locks an account for 24 hours after three wrong passwords.
    pub fn install_lockout(&self) {
        let token = self.login("admin", PASSWORD);
        let (status, response) = self.request("POST", "/@addons/Products.LoginLockout/install", Some(&token), None);
        assert_eq!(status, 204, "{response}");
    }
}

impl Drop for Plone {
    fn drop(&mut self) {
        if let Some(child) = self.process().take() {
            end_process(child, Signal::KILL);
        }
        if thread::panicking() {
            println!("Plone's log:\n{}", self.log());
        }
    }
}

/// Sends a signal to a process and its children, and waits until the process has ended.
fn end_process(mut child: Child, signal: Signal) {
    let _ = kill_process_group(Pid::from_child(&child), signal);
    let _ = child.wait();
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
