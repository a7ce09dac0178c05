//! The parts of a hub that imports need, on an embedded store.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eduhub::bus::{Bus, Event};
use eduhub::clock::SystemClock;
use eduhub::domain::command::{Command, SectionPatch, TermPatch};
use eduhub::domain::ids::{Crn, SectionId, TermId, UserName};
use eduhub::domain::offer::OfferSettings;
use eduhub::domain::outcome::Outcome;
use eduhub::domain::section::{Credits, SectionState, SectionStatus};
use eduhub::imports::csv::CsvSchedules;
use eduhub::imports::{ImportDeps, ImportError, ImportOptions, Imports};
use eduhub::registration::pool::RegistrarPool;
use eduhub::registration::readmodel::ReadModel;
use eduhub::registration::registrar::RegistrarDeps;
use eduhub::registration::student_facts::StudentFactsWriter;
use eduhub::store::imports::ImportStore;
use eduhub::store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use eduhub::store::terms::TermStore;
use jiff::tz::TimeZone;
use serde_json::Value;

/// A bus that stores the progress of imports for the test.
#[derive(Default)]
pub(crate) struct ImportEvents(pub(crate) Mutex<Vec<Value>>);

impl Bus for ImportEvents {
    fn publish(&self, event: Event) {
        if let Event::ImportProgress(progress) = event {
            self.0.lock().unwrap().push(serde_json::to_value(&*progress).unwrap());
        }
    }
    fn may_be_connected(&self, _: &UserName) -> bool {
        false
    }
}

/// Opens the store as soon as it is unlocked: the registrars of a dropped hub end on their own threads.
async fn open_when_unlocked(options: SqliteOptions) -> SqliteStore {
    let wait = async {
        loop {
            match SqliteStore::open(options.clone()) {
                Err(OpenError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => return other.unwrap(),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the store is unlocked within a minute")
}

/// The parts of a hub that imports need.
pub(crate) struct Hub {
    pub(crate) store: SqliteStore,
    pub(crate) model: Arc<ReadModel>,
    pub(crate) pool: Arc<RegistrarPool>,
    pub(crate) imports: Imports,
    pub(crate) bus: Arc<ImportEvents>,
}

impl Hub {
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_on(folder, |store| Arc::new(store)).await
    }

    /// Starts a hub whose imports use the store that `imports` returns.
    pub(crate) async fn start_on(folder: &Path, imports: impl FnOnce(SqliteStore) -> Arc<dyn ImportStore>) -> Self {
        let path = folder.join("hub.sqlite");
        let store = open_when_unlocked(SqliteOptions { path, outbox: None }).await;
        let model = Arc::new(ReadModel::new());
        let bus = Arc::new(ImportEvents::default());
        let deps = RegistrarDeps {
            credit_limit: Credits(18_000),
            repeat_limit: 0,
            offers: OfferSettings::default(),
            store: Arc::new(store.clone()),
            model: model.clone(),
            bus: bus.clone(),
            clock: Arc::new(SystemClock),
        };
        let pool = Arc::new(RegistrarPool::new(deps, 1, 1_000, Duration::from_millis(600)));
        pool.start(store.term_ids().await.unwrap()).await;
        let imports = Imports::start(ImportDeps {
            reader: Arc::new(CsvSchedules::default()),
            store: imports(store.clone()),
            profiles: Arc::new(store.clone()),
            pool: pool.clone(),
            model: model.clone(),
            bus: bus.clone(),
            clock: Arc::new(SystemClock),
            folder: folder.join("imports"),
            zone: TimeZone::UTC,
            facts: Arc::new(StudentFactsWriter::new(pool.clone(), Arc::new(store.clone()))),
            students: Arc::new(store.clone()),
        })
        .await
        .unwrap();
        Self { store, model, pool, imports, bus }
    }

    pub(crate) async fn submit(&self, csv: &str, options: ImportOptions) -> Result<String, ImportError> {
        self.submit_bytes(csv.as_bytes(), options).await
    }

    async fn submit_bytes(&self, file: &[u8], options: ImportOptions) -> Result<String, ImportError> {
        let upload = self.imports.upload().unwrap();
        upload.create_file().unwrap().write_all(file).unwrap();
        self.imports.submit(upload, options, &UserName::parse("staff").unwrap()).await
    }

    pub(crate) async fn task(&self, id: &str) -> Value {
        serde_json::to_value(self.imports.task(id).await.unwrap().unwrap()).unwrap()
    }

    /// Waits for the end of an import and returns its task.
    pub(crate) async fn wait_for_end(&self, id: &str) -> Value {
        let wait = async {
            loop {
                let task = self.task(id).await;
                if task["phase"] == "finished" {
                    return task;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the import ends within a minute")
    }

    /// Imports a file, waits for the end and returns the task.
    pub(crate) async fn import(&self, csv: &str, options: ImportOptions) -> Value {
        let id = self.submit(csv, options).await.unwrap();
        self.wait_for_end(&id).await
    }

    /// Imports a file that is not text, waits for the end and returns the task.
    pub(crate) async fn import_bytes(&self, file: &[u8], options: ImportOptions) -> Value {
        let id = self.submit_bytes(file, options).await.unwrap();
        self.wait_for_end(&id).await
    }

    /// Opens a term for registration.
    pub(crate) async fn open_term(&self, term: &str) {
        let open = TermPatch { opens_at: Some(Some("2020-01-01T00:00:00Z".parse().unwrap())), ..TermPatch::default() };
        self.pool.submit_or_create(TermId::parse(term).unwrap(), Command::PutTerm(open)).await.unwrap();
    }

    /// Registers a student for a section, and returns the outcome.
    pub(crate) async fn register(&self, term: &str, student: &str, crn: &str) -> Outcome {
        let (student, crn) = (UserName::parse(student).unwrap(), Crn::parse(crn).unwrap());
        let register = Command::Register { student, crn, waitlist: false };
        self.pool.submit(&TermId::parse(term).unwrap(), register).await.unwrap().unwrap()
    }

    /// Drops a student from a section.
    pub(crate) async fn drop_section(&self, term: &str, student: &str, crn: &str) {
        let (student, crn) = (UserName::parse(student).unwrap(), Crn::parse(crn).unwrap());
        let drop = Command::Drop { student, crn };
        self.pool.submit(&TermId::parse(term).unwrap(), drop).await.unwrap().unwrap();
    }

    /// Changes the status of a section as staff do.
    pub(crate) async fn patch_status(&self, term: &str, crn: &str, status: SectionStatus) {
        let patch = SectionPatch { status: Some(status), ..SectionPatch::default() };
        let command = Command::PatchSection { crn: Crn::parse(crn).unwrap(), patch };
        self.pool.submit(&TermId::parse(term).unwrap(), command).await.unwrap().unwrap();
    }

    pub(crate) fn section(&self, id: &str) -> Option<SectionState> {
        self.model.section(&SectionId::parse(id).unwrap()).map(|(row, _)| row.state)
    }
}

/// Returns options for an import into this term.
pub(crate) fn options_for(term: &str) -> ImportOptions {
    ImportOptions { term: Some(TermId::parse(term).unwrap()), ..ImportOptions::default() }
}

pub(crate) const TWO: &str =
    "crn,course,title,cap,act,days,time\n1,A 1,One,10,2,MW,9:00-10:00\n2,B 1,Two,20,0,T,9:00-10:00\n";
