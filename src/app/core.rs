//! Registration and imports on the ports, which the server and `eduhub import` share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::app::follower;
use crate::app::ports::{OpenError, Ports, Shared};
use crate::bus::EventStream;
use crate::config::{Config, Registration};
use crate::domain::ids::TermId;
use crate::imports::csv::CsvSchedules;
use crate::imports::{ImportDeps, Imports};
use crate::live::presence::{ConnectionLimits, Presence};
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::registration::registrar::RegistrarDeps;
use crate::registration::student_facts::StudentFactsWriter;
use crate::store::shared::SharedStore;
use crate::store::shared_tasks::SharedTasks;

/// The ports of a hub that is about to start.
pub struct Opened {
    /// The store, the bus and the clock.
    pub ports: Ports,
    /// The live sessions, of which there are none yet. The bus uses them to find out which users are connected to this
    /// hub.
    pub presence: Arc<Presence>,
    /// The events of the bus.
    pub events: EventStream,
    /// What is needed to follow the other hubs on the same store; `None` for the embedded store, which has one hub.
    pub shared: Option<Shared>,
}

impl Opened {
    /// Opens the ports according to the settings.
    ///
    /// # Errors
    /// When another process holds the store, or it cannot be read or written.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let presence = Arc::new(Presence::new(ConnectionLimits {
            all: config.server.max_connections,
            per_user: config.limits.connections_per_user,
            per_address: config.limits.connections_per_address,
        }));
        let connected = presence.clone();
        let (ports, events, shared) = Ports::open(config, move |user| connected.is_connected(user))?;
        Ok(Self { ports, presence, events, shared })
    }
}

/// Registration and imports, without HTTP and live sessions.
pub struct Core {
    /// The store, the bus and the clock.
    pub ports: Ports,
    /// The published terms.
    pub model: Arc<ReadModel>,
    /// The registrars.
    pub pool: Arc<RegistrarPool>,
    /// Changes facts about students. There is one, because it orders the changes.
    pub facts: Arc<StudentFactsWriter>,
    /// Imports of schedules and of facts about students.
    pub imports: Arc<Imports>,
    /// The live sessions.
    pub presence: Arc<Presence>,
}

/// A shared store, and its state before its terms were loaded.
pub struct SharedTerms {
    /// The store.
    pub store: Arc<dyn SharedStore>,
    /// The same store, for imports and demonstrations.
    pub tasks: Arc<dyn SharedTasks>,
    /// The events after which this hub reads the store at once.
    pub hints: EventStream,
    /// [`StoredTerm::rewrites`](crate::store::shared::StoredTerm::rewrites) of each term.
    pub rewrites: HashMap<TermId, u64>,
}

impl Core {
    /// Starts the registrar of each term, waits until all terms are loaded, and starts imports. Also returns the events
    /// of the bus and, for a store that several hubs share, what is needed to follow the others.
    ///
    /// # Errors
    /// When the terms or the import tasks cannot be read.
    pub async fn start(config: &Config, opened: Opened) -> anyhow::Result<(Self, EventStream, Option<SharedTerms>)> {
        let Opened { ports, presence, events, shared } = opened;
        let shared = match shared {
            Some(Shared { store, tasks, hints }) => {
                let rewrites = follower::rewrites(&*store).await.context("cannot read the terms")?;
                Some(SharedTerms { store, tasks, hints, rewrites })
            }
            None => None,
        };
        let model = Arc::new(ReadModel::new());
        let deps = RegistrarDeps {
            store: ports.terms.clone(),
            credit_limit: config.registration.credit_limit,
            repeat_limit: config.registration.repeat_limit,
            offers: config.registration.offers,
            model: model.clone(),
            bus: ports.bus.clone(),
            clock: ports.clock.clone(),
        };
        let Registration { shards, queue_max, overload_wait, .. } = config.registration;
        let pool = RegistrarPool::new(deps, shards, queue_max, overload_wait);
        let pool = Arc::new(pool);
        let mut terms = ports.terms.term_ids().await.context("cannot read the terms")?;
        // A sandbox on a shared store belongs to the hub that made it.
        terms.retain(|term| shared.is_none() || !term.is_sandbox());
        pool.start(terms).await;
        let facts = Arc::new(StudentFactsWriter::new(pool.clone(), ports.students.clone()));
        let imports = Imports::start(ImportDeps {
            reader: Arc::new(CsvSchedules::new(config.import.extra_names()).map_err(anyhow::Error::msg)?),
            store: ports.imports.clone(),
            profiles: ports.profiles.clone(),
            pool: pool.clone(),
            model: model.clone(),
            bus: ports.bus.clone(),
            clock: ports.clock.clone(),
            folder: imports_folder(config.store.files()),
            zone: config.college.timezone.clone(),
            facts: facts.clone(),
            students: ports.students.clone(),
        })
        .await?;
        Ok((Self { ports, model, pool, facts, imports: Arc::new(imports), presence }, events, shared))
    }
}

/// Returns the folder of uploads and lists of errors, beside the store.
fn imports_folder(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".imports");
    name.into()
}
