//! The hub's settings: defaults, overridden by a TOML file, overridden by the environment. They are read once at start.
//!
//! - [`auth`]: the settings of sign-ins; [`auth_settings`]: the rows of single sign-on in the table of settings
//! - [`bus`]: the transport of events
//! - [`plone`]: the settings of the college's Plone
//! - [`privacy`]: retention of data about people
//! - [`store`]: where the store is
//! - [`settings`]: the table of settings: name, description, how to parse and print the value
//! - [`document`]: writes `config.toml`
//! - [`value`]: parses one value, from TOML or from text
//! - [`load`]: reads the file and the environment, and reports all errors together

pub mod auth;
mod auth_settings;
pub mod bus;
mod document;
mod load;
pub mod plone;
pub mod privacy;
mod settings;
pub mod store;
mod value;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use jiff::tz::TimeZone;

use crate::domain::offer::OfferSettings;
use crate::domain::section::Credits;

pub use auth::Auth;
pub use bus::{Bus, BusUrl, NatsUrl};
pub use document::default_document;
pub use load::{DEFAULT_FILE, InvalidSettings};
pub use plone::Plone;
pub use privacy::Privacy;
pub use settings::{SECRET_LEN_MIN, SESSION_TTL_S_MAX};
pub use store::{Store, StoreUrl};

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
    pub bus: Bus,
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
    /// `[privacy]`
    pub privacy: Privacy,
    /// `[import]`
    pub import: Import,
    /// `[log]`
    pub log: Log,
}

/// `[college]`: the college that runs the hub.
#[derive(Debug, Clone)]
pub struct College {
    /// The name shown on pages.
    pub name: String,
    /// The time zone of the college's classes. It has an IANA name ([`TimeZone::iana_name`]).
    pub timezone: TimeZone,
    /// The language of alerts, as a language tag (BCP 47).
    pub language: String,
}

/// `[server]`: the HTTP server.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address and port to listen on. With port 0 the operating system chooses a port.
    pub bind: SocketAddr,
    /// The number of worker threads; 0 for one per processor.
    pub workers: usize,
    /// The maximum number of live sessions. Visitors may have three quarters of them.
    pub max_connections: usize,
    /// How long idle HTTP connections stay open.
    pub keep_alive: Duration,
    /// The origin at which browsers reach the hub, without a trailing slash; `None` for the loopback names of `bind`.
    pub public_url: Option<String>,
    /// Networks of reverse proxies, which state the addresses of clients.
    pub trusted_proxies: Vec<IpNet>,
    /// The minimum time between two `seats` frames of a term to a live session.
    pub seats_tick: Duration,
    /// The maximum duration of the shutdown after SIGTERM.
    pub drain: Duration,
}

/// `[registration]`: registration rules that the college chooses, and limits of the registrars.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The number of threads over which the registrars are distributed.
    pub shards: usize,
    /// The maximum number of credits of a student in a term; 0 for no limit.
    pub credit_limit: Credits,
    /// How many times a student may take a course; 0 for no limit.
    pub repeat_limit: u32,
    /// Whether and how long seats are offered to students on waitlists.
    pub offers: OfferSettings,
    /// The maximum number of accepted commands without a reply, of all terms. Further ones are rejected with 503
    /// `overloaded`.
    pub queue_max: usize,
    /// The longest time until the reply to a student's command while more arrive than the hub can commit.
    pub overload_wait: Duration,
}

/// `[limits]`: limits per caller; 0 for no limit.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Failed sign-ins per minute, for one username from one address or known browser.
    pub login_per_minute: u32,
    /// Requests per second of a user. The visitors at one address may send twenty times as many.
    pub requests_per_second: u32,
    /// Live sessions per user.
    pub connections_per_user: usize,
    /// Live sessions per address.
    pub connections_per_address: usize,
    /// Connections per address, except those on which a signed-in user has sent a request.
    pub visitor_connections_per_address: usize,
}

/// `[alerts]`: retention of alerts.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Days for which alerts are stored and can be replayed to a client that was offline.
    pub retention_days: u32,
}

/// `[import]`: how the college's schedules are read.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// `[import.columns]`: for each column of the importer, additional names in the college's files.
    pub columns: BTreeMap<String, Vec<String>>,
}

impl Import {
    /// Returns the columns with their additional names.
    pub fn extra_names(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.columns.iter().map(|(column, names)| (column.as_str(), names.as_slice()))
    }
}

/// `[log]`: the log on standard error.
#[derive(Debug, Clone)]
pub struct Log {
    /// A filter of `env_logger`, such as `info` or `info,eduhub::live=debug`. `RUST_LOG` overrides it.
    pub filter: String,
}

impl Default for College {
    fn default() -> Self {
        Self {
            name: "Example College".to_owned(),
            timezone: TimeZone::get("UTC").unwrap_or(TimeZone::UTC),
            language: "en".to_owned(),
        }
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
            trusted_proxies: vec![
                Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
                IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
            ],
            seats_tick: Duration::from_millis(50),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            shards: 2,
            credit_limit: Credits(18_000),
            // The first attempt and two more, as California's community colleges allow (5 CCR 55042).
            repeat_limit: 3,
            offers: OfferSettings::default(),
            queue_max: 20_000,
            overload_wait: Duration::from_millis(900),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_per_minute: 10,
            requests_per_second: 500,
            connections_per_user: 0,
            connections_per_address: 0,
            // Two fifths of `[server] max_connections`: more than a campus behind one address opens before its students
            // have signed in, and too few to displace everyone else.
            visitor_connections_per_address: 10_000,
        }
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
