//! The ports of the hub. Only this file names their implementations: the embedded SQLite store and the store on
//! PostgreSQL, and the buses within this process and on NATS. The settings select among them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::bus::local::LocalBus;
use crate::bus::nats::{NatsBus, NatsLogin, NatsOptions};
use crate::bus::{Bus, BusGauge, EventStream, Subscribe};
use crate::clock::{Clock, SystemClock};
use crate::config::store::PostgresUrl;
use crate::config::{self, BusUrl, Config, StoreUrl};
use crate::domain::attempt::Receipt;
use crate::domain::ids::{TermId, UserName};
use crate::store::accounts::{Account, AccountStore, AuditStore};
use crate::store::alerts::AlertStore;
use crate::store::attempts::AttemptStore;
use crate::store::demo_reports::DemoReportStore;
use crate::store::gauge::StoreGauge;
use crate::store::guardian_links::GuardianLinkStore;
use crate::store::import_profiles::ProfileStore;
use crate::store::imports::ImportStore;
use crate::store::lease::LeaseStore;
use crate::store::members::MemberStore;
use crate::store::outbox::OutboxStore;
use crate::store::plans::PlanStore;
use crate::store::postgres::{self, PostgresOptions, PostgresStore};
use crate::store::privacy::PrivacyStore;
use crate::store::provider_sign_ins::ProviderSignInStore;
use crate::store::rosters::RosterStore;
use crate::store::schedule_feeds::ScheduleFeedStore;
use crate::store::seed::SeedStore;
use crate::store::shared::SharedStore;
use crate::store::shared_tasks::SharedTasks;
use crate::store::sqlite::{self, SqliteOptions, SqliteStore, StoreLock};
use crate::store::students::StudentStore;
use crate::store::terms::{SandboxStore, TermStore};
use crate::store::transfer::TransferError;
use crate::store::{StoreError, StoreFuture};

pub use crate::store::attempt_export::ExportError;
pub use crate::store::sqlite::CopyError;
pub use crate::store::transfer::{Progress, Transferred};
pub use crate::store::verification::Verification;

/// Why the store cannot be opened or read. The messages are for the person who runs the command.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The embedded store cannot be opened.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The database cannot be opened.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
    /// Another hub on the database runs in the same folder.
    #[error(
        "another process uses the hub's own files {}.*{}: each hub on a database needs a separate working directory",
        files.display(),
        address.as_ref().map(|address| format!(" (a hub at {address})")).unwrap_or_default()
    )]
    FolderInUse {
        /// The beginning of the names of these files.
        files: PathBuf,
        /// The address of the hub, if it announced one.
        address: Option<String>,
    },
    /// The store was opened but cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// Returns the address of the hub that holds the store or runs in the folder; `None` if it is not known.
    #[must_use]
    pub fn hub(&self) -> Option<&str> {
        match self {
            Self::Sqlite(sqlite::OpenError::Locked { address, .. }) | Self::FolderInUse { address, .. } => {
                address.as_deref()
            }
            Self::Sqlite(_) | Self::Postgres(_) | Self::Store(_) => None,
        }
    }

    /// Returns whether there is no store yet.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Sqlite(sqlite::OpenError::Absent(_)))
    }
}

/// The store that the settings select.
#[derive(Clone)]
enum Store {
    Sqlite(SqliteStore),
    /// With the lock on the hub's own files.
    Postgres(PostgresStore, Arc<StoreLock>),
}

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
    /// Shared reports of demonstrations.
    pub demo_reports: Arc<dyn DemoReportStore>,
    /// Rosters of sections.
    pub rosters: Arc<dyn RosterStore>,
    /// Which hub runs the jobs that only one hub may run.
    pub leases: Arc<dyn LeaseStore>,
    /// Pending writes to Plone.
    pub outbox: Arc<dyn OutboxStore>,
    /// Fills an empty store.
    pub seed: Arc<dyn SeedStore>,
    /// Counters of the store's writer.
    pub store_gauge: Arc<StoreGauge>,
    /// Events inside the hub, and between hubs.
    pub bus: Arc<dyn Bus>,
    /// Subscribes to these events.
    pub events: Arc<dyn Subscribe>,
    /// Counters of the bus.
    pub bus_gauge: Arc<BusGauge>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    store: Store,
}

/// A store that several hubs share, and the events after which a hub reads it at once.
pub struct Shared {
    /// The store.
    pub store: Arc<dyn SharedStore>,
    /// The same store, for imports and demonstrations.
    pub tasks: Arc<dyn SharedTasks>,
    /// The events of the bus.
    pub hints: EventStream,
}

impl Ports {
    /// Opens the store and the bus according to the settings. `may_be_connected` returns whether a user has a live
    /// session. Also returns the events of the bus and, for a store that several hubs share, what is needed to follow
    /// the others.
    ///
    /// # Errors
    /// When another process holds the store, or it cannot be read or written.
    pub fn open(
        config: &Config,
        may_be_connected: impl Fn(&UserName) -> bool + Send + Sync + 'static,
    ) -> Result<(Self, EventStream, Option<Shared>), OpenError> {
        let store = Store::open(config)?;
        let bus = OpenBus::new(&config.bus, may_be_connected);
        let events = bus.events.subscribe();
        Ok(match &store {
            Store::Sqlite(embedded) => (Self::new(embedded, embedded.gauge(), bus, store.clone()), events, None),
            Store::Postgres(database, _) => {
                let all = Arc::new(database.clone());
                let shared = Shared { store: all.clone(), tasks: all, hints: bus.events.subscribe() };
                (Self::new(database, database.gauge(), bus, store.clone()), events, Some(shared))
            }
        })
    }

    /// Returns the ports with `of` as the implementation of all ports of the store.
    fn new<S>(of: &S, store_gauge: Arc<StoreGauge>, bus: OpenBus, store: Store) -> Self
    where
        S: TermStore + SandboxStore + AlertStore + AccountStore + AuditStore + MemberStore + ProviderSignInStore,
        S: ImportStore + ProfileStore + StudentStore + AttemptStore + PlanStore + PrivacyStore + GuardianLinkStore,
        S: ScheduleFeedStore + DemoReportStore + RosterStore + OutboxStore + SeedStore + LeaseStore + Clone + 'static,
    {
        let all = Arc::new(of.clone());
        Self {
            terms: all.clone(),
            sandboxes: all.clone(),
            alerts: all.clone(),
            accounts: all.clone(),
            audit: all.clone(),
            members: all.clone(),
            provider_sign_ins: all.clone(),
            imports: all.clone(),
            profiles: all.clone(),
            students: all.clone(),
            attempts: all.clone(),
            plans: all.clone(),
            privacy: all.clone(),
            guardian_links: all.clone(),
            schedule_feeds: all.clone(),
            demo_reports: all.clone(),
            rosters: all.clone(),
            leases: all.clone(),
            outbox: all.clone(),
            seed: all,
            store_gauge,
            bus_gauge: bus.gauge,
            events: bus.events,
            bus: bus.bus,
            clock: Arc::new(SystemClock),
            store,
        }
    }

    /// Writes the URL of this hub, such as `http://127.0.0.1:8000`, to the lock file, where commands find it.
    ///
    /// # Errors
    /// When the lock file cannot be written.
    pub fn announce(&self, address: &str) -> std::io::Result<()> {
        match &self.store {
            Store::Sqlite(store) => store.lock().announce(address),
            Store::Postgres(_, lock) => lock.announce(address),
        }
    }

    /// Closes the store. All commits of an embedded store are then in its database file.
    pub async fn close(&self) {
        let store = self.store.clone();
        let close = move || match store {
            Store::Sqlite(store) => store.close(),
            Store::Postgres(store, _) => store.close(),
        };
        if tokio::task::spawn_blocking(close).await.is_err() {
            log::error!("closing the store panicked");
        }
    }
}

impl Store {
    fn open(config: &Config) -> Result<Self, OpenError> {
        match &config.store.url {
            StoreUrl::Sqlite(path) => {
                let options = SqliteOptions { path: path.clone(), outbox: outbox(config) };
                Ok(Self::Sqlite(SqliteStore::open(options)?))
            }
            StoreUrl::Postgres(url) => {
                let lock = lock_files(config.store.files())?;
                Ok(Self::Postgres(open_database(config, url)?, Arc::new(lock)))
            }
        }
    }
}

/// An open bus: its two halves, and its counters.
struct OpenBus {
    bus: Arc<dyn Bus>,
    events: Arc<dyn Subscribe>,
    gauge: Arc<BusGauge>,
}

impl OpenBus {
    /// Opens the bus. `is_connected` returns whether a user has a live session on this hub.
    fn new(settings: &config::Bus, is_connected: impl Fn(&UserName) -> bool + Send + Sync + 'static) -> Self {
        match nats_options(settings) {
            None => {
                let bus = Arc::new(LocalBus::new(is_connected));
                Self { gauge: bus.gauge(), events: bus.clone(), bus }
            }
            Some(options) => {
                let bus = Arc::new(NatsBus::start(options, is_connected));
                Self { gauge: bus.gauge(), events: bus.clone(), bus }
            }
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

/// Returns the time of the marks for Plone that are written when the store is opened; `None` without Plone.
fn outbox(config: &Config) -> Option<Timestamp> {
    config.plone.url.as_ref().map(|_| SystemClock.now())
}

fn open_database(config: &Config, url: &PostgresUrl) -> Result<PostgresStore, OpenError> {
    let options = PostgresOptions { url: url.expose().to_owned(), shown: url.to_string(), outbox: outbox(config) };
    Ok(PostgresStore::open(&options)?)
}

/// Locks the files of a hub on a database, so that no other hub runs in the same folder.
fn lock_files(files: &Path) -> Result<StoreLock, OpenError> {
    StoreLock::take(files).map_err(|error| match error {
        sqlite::OpenError::Locked { address, .. } => OpenError::FolderInUse { files: files.to_owned(), address },
        other => OpenError::Sqlite(other),
    })
}

/// Opens the database for a command, reads it and closes it. Works while a hub runs in the same folder.
fn read_database<T>(
    config: &Config,
    url: &PostgresUrl,
    read: impl FnOnce(&PostgresStore) -> StoreFuture<T>,
) -> Result<T, OpenError> {
    let store = open_database(config, url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let value = runtime.block_on(read(&store))?;
    store.close();
    Ok(value)
}

/// Returns the URL of the hub that holds the store, or that runs in this folder on the database; `None` if there is no
/// such hub, or it has not announced its URL yet.
///
/// # Errors
/// When the lock cannot be examined.
pub fn running_hub(config: &Config) -> Result<Option<String>, OpenError> {
    match lock_files(config.store.files()) {
        Ok(_) => Ok(None),
        Err(OpenError::FolderInUse { address, .. }) => Ok(address),
        Err(error) => Err(error),
    }
}

/// Reads the local accounts; works while a hub is running.
///
/// # Errors
/// When the store cannot be read; [`OpenError::is_absent`] if there is no store.
pub fn accounts_of(config: &Config) -> Result<Vec<Account>, OpenError> {
    match &config.store.url {
        StoreUrl::Sqlite(path) => Ok(sqlite::accounts_of(path)?),
        StoreUrl::Postgres(url) => read_database(config, url, AccountStore::accounts),
    }
}

/// Copies the embedded store to `file`; works while a hub is running.
///
/// # Errors
/// When the store cannot be read, or `file` exists or cannot be written.
pub fn backup(store: &Path, file: &Path) -> Result<(), CopyError> {
    sqlite::backup(store, file)
}

/// Replaces the embedded store with a copy. Returns the path to which the replaced store was moved.
///
/// # Errors
/// When a hub holds the store, when a store exists and `replace` is false, or when `file` is not a copy of a store.
pub fn restore(store: &Path, file: &Path, replace: bool) -> Result<Option<PathBuf>, CopyError> {
    sqlite::restore(store, file, replace)
}

/// Writes the chain of attempts of `term`, or of all terms, to a new file. Returns the end of each chain.
///
/// # Errors
/// When the store cannot be read, there is no such term, or `file` exists or cannot be written.
pub fn export_attempts(
    config: &Config,
    file: &Path,
    term: Option<TermId>,
) -> Result<Vec<(TermId, Receipt)>, ExportError> {
    match &config.store.url {
        StoreUrl::Sqlite(path) => sqlite::export_attempts(path, file, term.as_ref()),
        StoreUrl::Postgres(url) => {
            let unreadable = |error: OpenError| ExportError::Store(error.to_string());
            let export = |store: &PostgresStore| store.export_attempts(file.to_owned(), term).map(Ok).boxed();
            read_database(config, url, export).map_err(unreadable)?
        }
    }
}

/// Accepts the content of a damaged embedded store as it is. Returns what was wrong.
///
/// # Errors
/// When a hub holds the store, or it is too damaged to be used.
pub fn accept(store: &Path) -> Result<Vec<String>, OpenError> {
    Ok(sqlite::accept(store)?)
}

/// Moves the embedded store `from` to the empty database `to`. `report` is called with the progress.
///
/// # Errors
/// When a hub holds the store or runs on the database, when the database is not empty, or when a row could not be read,
/// stored and found again. Then the database is as it was, except that it has tables.
pub fn migrate(
    from: &Path,
    to: &PostgresUrl,
    report: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Transferred, TransferError> {
    let (lock, source) = sqlite::transfer_source(from)?;
    let target = |error: &dyn std::error::Error| TransferError::Target(error.to_string());
    // Without an outbox, opening the store marks nothing for Plone. The marks of the source are moved.
    let options = PostgresOptions { url: to.expose().to_owned(), shown: to.to_string(), outbox: None };
    let store = PostgresStore::open(&options).map_err(|error| target(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| target(&error))?;
    let moved = runtime.block_on(store.receive(source, Arc::new(report)));
    store.close();
    drop(lock);
    moved?
}

/// Looks for damage, recomputes every chain of attempts and every count of registrations, and returns the differences.
///
/// # Errors
/// When the store cannot be read.
pub fn verify(config: &Config) -> Result<Verification, OpenError> {
    match &config.store.url {
        StoreUrl::Sqlite(path) => Ok(sqlite::verify(path)?),
        StoreUrl::Postgres(url) => read_database(config, url, PostgresStore::verify),
    }
}
