//! The store, the terms, imports: what a command beside HTTP needs, too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::bus::local::LocalBus;
use crate::bus::{EventSource, Events};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::imports::csv::CsvSchedules;
use crate::imports::{ImportDeps, Imports};
use crate::live::presence::{ConnectionLimits, Presence};
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::registration::registrar::RegistrarDeps;
use crate::store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use crate::store::terms::TermStore;

/// The store, the terms, imports: everything but HTTP and whoever is connected.
pub struct Core {
    /// The embedded store.
    pub store: SqliteStore,
    /// What is committed.
    pub model: Arc<ReadModel>,
    /// Who decides.
    pub pool: Arc<RegistrarPool>,
    /// Who imports.
    pub imports: Arc<Imports>,
    /// The list of live connections.
    pub presence: Arc<Presence>,
    /// Who is told.
    pub bus: Arc<LocalBus>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Opens the store that the settings name.
///
/// # Errors
/// When another process has it, or it cannot be read.
pub fn open_store(config: &Config) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(SqliteOptions {
        path: config.store.path.clone(),
        credit_limit: config.registration.credit_limit,
        outbox: config.plone.url.is_some(),
    })
}

impl Core {
    /// Starts the registrars of every term, and waits until all can be read. The second part is the other end of the
    /// bus.
    pub async fn start(config: &Config, store: SqliteStore) -> anyhow::Result<(Self, Events)> {
        let limits = ConnectionLimits {
            all: config.server.max_connections,
            per_user: config.limits.connections_per_user,
            per_address: config.limits.connections_per_address,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let presence = Arc::new(Presence::new(limits));
        let connected = presence.clone();
        let bus = Arc::new(LocalBus::new(move |user| connected.is_connected(user)));
        let events = bus.subscribe();
        let model = Arc::new(ReadModel::new());
        let deps = RegistrarDeps {
            store: Arc::new(store.clone()),
            model: model.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
        };
        let pool = RegistrarPool::new(deps, config.registration.shards, config.registration.queue_max);
        let pool = Arc::new(pool);
        pool.start(store.term_ids().await.context("the terms cannot be read")?).await;
        let imports = Imports::start(ImportDeps {
            reader: Arc::new(CsvSchedules::new(config.import.further()).map_err(anyhow::Error::msg)?),
            store: Arc::new(store.clone()),
            pool: pool.clone(),
            model: model.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
            folder: imports_folder(&config.store.path),
            zone: config.college.timezone.clone(),
        })
        .await?;
        Ok((Self { store, model, pool, imports: Arc::new(imports), presence, bus, clock }, events))
    }
}

/// Where uploads and lists of errors lie: beside the store.
fn imports_folder(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".imports");
    name.into()
}
