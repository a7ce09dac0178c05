//! The hub's settings: defaults, then a TOML file, then the environment. Read once at start; after that a plain value
//! that everybody may be given.
//!
//! - [`plone`]: what is known of the college's Plone
//! - [`settings`]: the table of every setting: its name, what it means, how it is read and shown
//! - [`value`]: reading one value, from TOML or from text
//! - [`load`]: the file and the environment, and everything that is wrong with them at once

mod load;
pub mod plone;
mod settings;
mod value;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;

use crate::domain::section::Credits;

pub use load::{BadSettings, DEFAULT_FILE};
pub use plone::Plone;
pub use settings::{SECRET_LEN_MIN, default_document};

/// All settings.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `[college]`
    pub college: College,
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: Store,
    /// `[bus]`
    pub bus: BusUrl,
    /// `[auth]`
    pub auth: Auth,
    /// `[plone]`
    pub plone: Plone,
    /// `[registration]`
    pub registration: Registration,
    /// `[limits]`
    pub limits: Limits,
    /// `[alerts]`
    pub alerts: Alerts,
    /// `[import]`
    pub import: Import,
    /// `[log]`
    pub log: Log,
}

/// `[college]`: whose hub it is.
#[derive(Debug, Clone)]
pub struct College {
    /// The name that pages show.
    pub name: String,
    /// The zone in which its classes meet. [`TimeZone::iana_name`] is its name.
    pub timezone: TimeZone,
}

/// `[server]`: where and how it serves.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address and port; port 0 lets the operating system choose.
    pub bind: SocketAddr,
    /// Worker threads; 0 is one for each processor.
    pub workers: usize,
    /// WebSocket connections that are held at once.
    pub max_connections: usize,
    /// How long an idle HTTP connection is kept.
    pub keep_alive: Duration,
    /// The origin under which browsers reach it, without a slash at its end; none: the loopback names of `bind`.
    pub public_url: Option<String>,
    /// The shortest time between two frames of seats to one connection.
    pub seats_tick: Duration,
    /// The longest that it takes to end after SIGTERM.
    pub drain: Duration,
}

/// `[store]`: where everything is kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// The file of `sqlite:PATH`.
    pub path: PathBuf,
}

/// `[bus]`: how news travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BusUrl {
    /// Within this process.
    #[default]
    Local,
}

/// `[auth]`: sessions and tokens.
#[derive(Debug, Clone)]
pub struct Auth {
    /// What tokens are signed with, at least [`SECRET_LEN_MIN`] bytes; none: generated and kept next to the store.
    pub secret: Option<SecretString>,
    /// How long a sign-in lasts.
    pub session_ttl: Duration,
}

/// `[registration]`: the rules that a college chooses, and the bounds of the machinery.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Threads over which the terms' registrars are spread.
    pub shards: usize,
    /// The most credits a student may enrol in, in one term; 0 is no limit.
    pub credit_limit: Credits,
    /// Commands of one term that are accepted and not yet answered; past it the answer is 503 `overloaded`.
    pub queue_max: usize,
}

/// `[limits]`: how much one caller may ask; 0 is off.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Failed sign-ins a minute, for one name and for one address.
    pub login_per_minute: u32,
    /// Requests a second, of one user or of one visitor's address.
    pub requests_per_second: u32,
    /// WebSocket connections of one user.
    pub connections_per_user: usize,
    /// WebSocket connections from one address.
    pub connections_per_address: usize,
}

/// `[alerts]`: how long alerts are kept.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Days for which an alert can still be resumed from.
    pub retention_days: u32,
}

/// `[import]`: how this college's schedules are read.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// `[import.columns]`: for each column of the importer, what this college also calls it.
    pub columns: BTreeMap<String, Vec<String>>,
}

impl Import {
    /// The columns with their further names.
    pub fn further(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.columns.iter().map(|(column, names)| (column.as_str(), names.as_slice()))
    }
}

/// `[log]`: what is written to standard error.
#[derive(Debug, Clone)]
pub struct Log {
    /// A filter of `env_logger`, such as `info` or `info,eduhub::actors=debug`. `RUST_LOG` counts before it.
    pub filter: String,
}

impl Default for College {
    fn default() -> Self {
        Self { name: "Example College".to_owned(), timezone: TimeZone::get("UTC").unwrap_or(TimeZone::UTC) }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000),
            workers: 0,
            max_connections: 25_000,
            keep_alive: Duration::from_secs(75),
            public_url: None,
            seats_tick: Duration::from_millis(50),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { path: PathBuf::from("var/eduhub.db") }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self { secret: None, session_ttl: Duration::from_secs(12 * 3600) }
    }
}

impl Default for Registration {
    fn default() -> Self {
        Self { shards: 2, credit_limit: Credits(18_000), queue_max: 20_000 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { login_per_minute: 10, requests_per_second: 500, connections_per_user: 0, connections_per_address: 0 }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self { retention_days: 90 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned() }
    }
}
