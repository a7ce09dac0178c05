//! The ports of the hub. Only this file names their implementations: the embedded SQLite store, and the buses within this
//! process and on NATS. The settings select the bus. An alternative store would be selected here, too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret as _;

use crate::bus::local::LocalBus;
use crate::bus::nats::{NatsBus, NatsLogin, NatsOptions};
use crate::bus::{Bus, BusGauge, EventStream, Subscribe};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, BusUrl, Config};
use crate::domain::attempt::Receipt;
use crate::domain::ids::{TermId, UserName};
use crate::store::accounts::{Account, AccountStore, AuditStore};
use crate::store::alerts::AlertStore;
use crate::store::attempts::AttemptStore;
use crate::store::gauge::StoreGauge;
use crate::store::guardian_links::GuardianLinkStore;
use crate::store::import_profiles::ProfileStore;
use crate::store::imports::ImportStore;
use crate::store::members::MemberStore;
use crate::store::outbox::OutboxStore;
use crate::store::plans::PlanStore;
use crate::store::privacy::PrivacyStore;
use crate::store::provider_sign_ins::ProviderSignInStore;
use crate::store::rosters::RosterStore;
use crate::store::schedule_feeds::ScheduleFeedStore;
use crate::store::seed::SeedStore;
use crate::store::sqlite::{self, SqliteOptions, SqliteStore, StoreLock};
use crate::store::students::StudentStore;
use crate::store::terms::{SandboxStore, TermStore};

pub use crate::store::sqlite::{CopyError, ExportError, OpenError, Verification};

/// The ports that the hub depends on.
pub struct Ports {
    /// Loads, writes and follows terms.
    pub terms: Arc<dyn TermStore>,
    /// Removes sandbox terms.
    pub sandboxes: Arc<dyn SandboxStore>,
    /// The sequence of alerts, and their acknowledgements.
    pub alerts: Arc<dyn AlertStore>,
    /// Local accounts and known users.
    pub accounts: Arc<dyn AccountStore>,
    /// The audit trail.
    pub audit: Arc<dyn AuditStore>,
    /// Users who signed in through Plone.
    pub members: Arc<dyn MemberStore>,
    /// Users of single sign-on and their sign-ins.
    pub provider_sign_ins: Arc<dyn ProviderSignInStore>,
    /// Import tasks, staged sections, one-off events.
    pub imports: Arc<dyn ImportStore>,
    /// Saved mappings of the columns of schedule files.
    pub profiles: Arc<dyn ProfileStore>,
    /// What the college states about students.
    pub students: Arc<dyn StudentStore>,
    /// The histories of decided requests.
    pub attempts: Arc<dyn AttemptStore>,
    /// Students' plans.
    pub plans: Arc<dyn PlanStore>,
    /// What is stored about one person.
    pub privacy: Arc<dyn PrivacyStore>,
    /// Links to students' schedules.
    pub guardian_links: Arc<dyn GuardianLinkStore>,
    /// Feeds of students' schedules.
    pub schedule_feeds: Arc<dyn ScheduleFeedStore>,
    /// Rosters of sections.
    pub rosters: Arc<dyn RosterStore>,
    /// Pending writes to Plone.
    pub outbox: Arc<dyn OutboxStore>,
    /// Fills an empty store.
    pub seed: Arc<dyn SeedStore>,
    /// Counters of the store's writer.
    pub store_gauge: Arc<StoreGauge>,
    /// Events inside the hub, and between hubs.
    pub bus: Arc<dyn Bus>,
    /// Counters of the bus.
    pub bus_gauge: Arc<BusGauge>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    store: SqliteStore,
}

impl Ports {
    /// Opens the store and the bus according to the settings. `may_be_connected` returns whether a user has a live
    /// session. Also returns the events of the bus.
    ///
    /// # Errors
    /// When another process holds the store, or it cannot be read or written.
    pub fn open(
        config: &Config,
        may_be_connected: impl Fn(&UserName) -> bool + Send + Sync + 'static,
    ) -> Result<(Self, EventStream), OpenError> {
        let store = SqliteStore::open(SqliteOptions {
            path: config.store.path.clone(),
            outbox: config.plone.url.as_ref().map(|_| SystemClock.now()),
        })?;
        let (bus, bus_gauge, events) = open_bus(&config.bus, may_be_connected);
        let shared = Arc::new(store.clone());
        let ports = Self {
            terms: shared.clone(),
            sandboxes: shared.clone(),
            alerts: shared.clone(),
            accounts: shared.clone(),
            audit: shared.clone(),
            members: shared.clone(),
            provider_sign_ins: shared.clone(),
            imports: shared.clone(),
            profiles: shared.clone(),
            students: shared.clone(),
            attempts: shared.clone(),
            plans: shared.clone(),
            privacy: shared.clone(),
            guardian_links: shared.clone(),
            schedule_feeds: shared.clone(),
            rosters: shared.clone(),
            outbox: shared.clone(),
            seed: shared,
            store_gauge: store.gauge(),
            bus_gauge,
            bus,
            clock: Arc::new(SystemClock),
            store,
        };
        Ok((ports, events))
    }

    /// Writes the URL of this hub, such as `http://127.0.0.1:8000`, to the lock file, where commands find it.
    ///
    /// # Errors
    /// When the lock file cannot be written.
    pub fn announce(&self, address: &str) -> std::io::Result<()> {
        self.store.lock().announce(address)
    }

    /// Closes the store, so that one file contains all of it.
    pub async fn close(&self) {
        let store = self.store.clone();
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            log::error!("closing the store panicked");
        }
    }
}

/// Starts the bus according to the settings. Also returns its counters and its events.
fn open_bus(
    settings: &config::Bus,
    is_connected: impl Fn(&UserName) -> bool + Send + Sync + 'static,
) -> (Arc<dyn Bus>, Arc<BusGauge>, EventStream) {
    match nats_options(settings) {
        None => {
            let bus = LocalBus::new(is_connected);
            let (gauge, events) = (bus.gauge(), bus.subscribe());
            (Arc::new(bus), gauge, events)
        }
        Some(options) => {
            let bus = NatsBus::start(options, is_connected);
            let (gauge, events) = (bus.gauge(), bus.subscribe());
            (Arc::new(bus), gauge, events)
        }
    }
}

/// Returns the options of a bus on NATS; `None` for a bus within this process.
fn nats_options(settings: &config::Bus) -> Option<NatsOptions> {
    let BusUrl::Nats(nats) = &settings.url else { return None };
    let login = match (&settings.credentials, &nats.user, &nats.password) {
        (Some(file), _, _) => NatsLogin::File(file.clone()),
        (None, Some(user), Some(password)) => {
            NatsLogin::Password { user: user.expose_secret().to_owned(), password: password.clone() }
        }
        (None, Some(token), None) => NatsLogin::Token(token.clone()),
        (None, None, _) => NatsLogin::Anonymous,
    };
    Some(NatsOptions { servers: nats.servers.clone(), login, subject: settings.subject.clone() })
}

/// Returns the URL of the hub that holds the store, if any.
///
/// # Errors
/// When the store's lock cannot be examined.
pub fn running_hub(config: &Config) -> Result<Option<String>, OpenError> {
    match StoreLock::take(&config.store.path) {
        Ok(_) => Ok(None),
        Err(OpenError::Locked { address, .. }) => Ok(address),
        Err(error) => Err(error),
    }
}

/// Reads the local accounts; works while a hub is running.
///
/// # Errors
/// When the store cannot be read; [`OpenError::Absent`] if there is no store.
pub fn accounts_of(config: &Config) -> Result<Vec<Account>, OpenError> {
    sqlite::accounts_of(&config.store.path)
}

/// Copies the store to `file`; works while a hub is running.
///
/// # Errors
/// When the store cannot be read, or `file` exists or cannot be written.
pub fn backup(config: &Config, file: &Path) -> Result<(), CopyError> {
    sqlite::backup(&config.store.path, file)
}

/// Replaces the store with a copy. Returns the path to which the replaced store was moved.
///
/// # Errors
/// When a hub holds the store, when a store exists and `replace` is false, or when `file` is not a copy of a store.
pub fn restore(config: &Config, file: &Path, replace: bool) -> Result<Option<PathBuf>, CopyError> {
    sqlite::restore(&config.store.path, file, replace)
}

/// Writes the chain of attempts of `term`, or of all terms, to a new file. Returns the end of each chain.
///
/// # Errors
/// When the store cannot be read, there is no such term, or `file` exists or cannot be written.
pub fn export_attempts(
    config: &Config,
    file: &Path,
    term: Option<&TermId>,
) -> Result<Vec<(TermId, Receipt)>, ExportError> {
    sqlite::export_attempts(&config.store.path, file, term)
}

/// Accepts the content of a damaged store as it is. Returns what was wrong.
///
/// # Errors
/// When a hub holds the store, or it has damage with which it cannot be used.
pub fn accept(config: &Config) -> Result<Vec<String>, OpenError> {
    sqlite::accept(&config.store.path)
}

/// Finds damage, recomputes every count from the registrations and every chain of attempts, and returns the
/// differences.
///
/// # Errors
/// When the store cannot be read.
pub fn verify(config: &Config) -> Result<Verification, OpenError> {
    sqlite::verify(&config.store.path)
}
