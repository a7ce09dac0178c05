//! The sandbox of a demonstration: a term in the real registrar and the real store that nobody else finds, made for one
//! run and removed after it. One at a time.
//!
//! It is removed by whoever opened it; when that one is gone, at its time; and when the hub itself was cut off, at the
//! next start, before anything else is read of the store.

use parking_lot::{Mutex, MutexGuard};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;

use crate::clock::Clock;
use crate::domain::command::{Command, EDITS_MAX, SectionEdit, TermPatch};
use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::meeting::{Days, Meeting};
use crate::domain::realm::Realm;
use crate::domain::section::{Credits, Section, SectionStatus};
use crate::registration::readmodel::ReadModel;
use crate::store::StoreError;
use crate::store::terms::SandboxStore;

use crate::imports::Imports;
use crate::registration::pool::RegistrarPool;
use crate::registration::registrar::SubmitError;

/// The most students of a demonstration.
pub const USERS_MAX: u32 = 10_000;
/// The longest demonstration, in seconds.
pub const SECONDS_MAX: u32 = 60;
/// How long a sandbox outlives the run it was made for, if nobody removes it: time to connect 10,000 students before,
/// and to count their seats after.
const GRACE: Duration = Duration::from_secs(120);
/// Seats of a hot section, and how many students there are for each of these sections: more than twice as many as
/// there are seats.
const HOT_SEATS: u32 = 8;
const STUDENTS_PER_HOT: u32 = 20;
const HOT_MIN: u32 = 5;
const HOT_MAX: u32 = 200;
/// Sections that nobody presses for, and an import changes.
const QUIET: u32 = 1_000;
/// CRNs of the hot sections, and of the quiet ones, begin here.
const HOT_FROM: u32 = 10_001;
const QUIET_FROM: u32 = 20_001;
/// How often, and how many times, it is looked whether imports into the sandbox have ended.
const IMPORT_PAUSE: Duration = Duration::from_millis(50);
const IMPORT_PAUSES_MAX: u32 = 200;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Another demonstration has one.
    #[error("another demonstration is under way")]
    Taken {
        /// When that one is removed at the latest.
        removes_at: Timestamp,
    },
    /// A registrar did not do its part.
    #[error(transparent)]
    Ask(#[from] SubmitError),
}

/// A sandbox that is open.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Its term.
    pub term: TermId,
    /// When it is removed at the latest.
    pub removes_at: Timestamp,
    /// The sections that students press for, each with its capacity.
    pub hot: Vec<(SectionId, u32)>,
}

/// Opens and removes sandboxes.
pub struct Sandboxes {
    pool: Arc<RegistrarPool>,
    model: Arc<ReadModel>,
    imports: Arc<Imports>,
    store: Arc<dyn SandboxStore>,
    clock: Arc<dyn Clock>,
    open: Mutex<Option<(TermId, Timestamp)>>,
    /// Held while one is made or removed.
    working: tokio::sync::Mutex<()>,
}

impl Sandboxes {
    /// None is open yet.
    #[must_use]
    pub fn new(
        pool: Arc<RegistrarPool>,
        model: Arc<ReadModel>,
        imports: Arc<Imports>,
        store: Arc<dyn SandboxStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { pool, model, imports, store, clock, open: Mutex::new(None), working: tokio::sync::Mutex::new(()) }
    }

    fn slot(&self) -> MutexGuard<'_, Option<(TermId, Timestamp)>> {
        self.open.lock()
    }

    /// When the one that is open is removed at the latest.
    #[must_use]
    pub fn taken_until(&self) -> Option<Timestamp> {
        self.slot().as_ref().map(|(_, removes_at)| *removes_at)
    }

    /// Opens one for so many students and so long a run. To be called on a runtime, where its end is waited for.
    ///
    /// # Errors
    /// When there is one already, or the registrar does not make it; nothing is left then.
    pub async fn open(self: &Arc<Self>, term: TermId, users: u32, seconds: u32) -> Result<Sandbox, SandboxError> {
        let lives = Duration::from_secs(seconds.into()) + GRACE;
        let removes_at = self.clock.now() + lives;
        {
            let mut slot = self.slot();
            if let Some((_, removes_at)) = *slot {
                return Err(SandboxError::Taken { removes_at });
            }
            *slot = Some((term.clone(), removes_at));
        }
        let making = self.working.lock().await;
        let made = self.make(&term, users).await;
        drop(making);
        match made {
            Ok(hot) => {
                let (all, ending) = (Arc::downgrade(self), term.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(lives).await;
                    if let Some(all) = all.upgrade() {
                        all.close(&ending).await;
                    }
                });
                Ok(Sandbox { term, removes_at, hot })
            }
            Err(error) => {
                self.close(&term).await;
                Err(error)
            }
        }
    }

    async fn make(&self, term: &TermId, users: u32) -> Result<Vec<(SectionId, u32)>, SandboxError> {
        self.pool.open_sandbox(term.clone()).await;
        let patch = TermPatch { opens_at: Some(Some(self.clock.now())), ..TermPatch::default() };
        self.ask(term, Command::PutTerm(patch)).await?;
        let hot: Vec<Section> = (0..hot_sections(users)).filter_map(|index| hot_section(term, index)).collect();
        let wanted = hot.iter().map(|section| (section.id.clone(), section.capacity)).collect();
        let quiet = (0..QUIET).filter_map(|index| quiet_section(term, index));
        let edits: Vec<SectionEdit> =
            hot.into_iter().chain(quiet).map(|section| SectionEdit { seen: None, wanted: Arc::new(section) }).collect();
        for some in edits.chunks(EDITS_MAX) {
            self.ask(term, Command::PutSections(some.into())).await?;
        }
        Ok(wanted)
    }

    async fn ask(&self, term: &TermId, command: Command) -> Result<(), SubmitError> {
        self.pool.submit_in(&Realm::of(term), term, command).await.unwrap_or(Err(SubmitError::Failed)).map(drop)
    }

    /// Removes a sandbox, so that nothing tells that it was there; again: nothing.
    pub async fn close(&self, term: &TermId) {
        let _working = self.working.lock().await;
        if self.slot().as_ref().is_none_or(|(open, _)| open != term) {
            return;
        }
        for _ in 0..IMPORT_PAUSES_MAX {
            if self.imports.end_in(term) {
                break;
            }
            tokio::time::sleep(IMPORT_PAUSE).await;
        }
        self.pool.retire_sandbox(term).await;
        self.model.forget_sandbox(term);
        match self.remove(term).await {
            Ok(imports) => self.imports.forget_errors(&imports),
            Err(error) => log::error!("sandbox {term} is removed at the next start only: {error}"),
        }
        *self.slot() = None;
    }

    /// What a busy store refuses is asked for once more, after a moment.
    async fn remove(&self, term: &TermId) -> Result<Vec<String>, StoreError> {
        match self.store.remove_sandbox(term).await {
            Err(StoreError::Overloaded | StoreError::Unavailable(_)) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.store.remove_sandbox(term).await
            }
            other => other,
        }
    }
}

fn hot_sections(users: u32) -> u32 {
    (users / STUDENTS_PER_HOT).clamp(HOT_MIN, HOT_MAX)
}

/// Seats of all hot sections.
#[must_use]
pub fn hot_seats(users: u32) -> u32 {
    hot_sections(users) * HOT_SEATS
}

fn section(term: &TermId, number: u32, course: String, capacity: u32, meetings: Vec<Meeting>) -> Option<Section> {
    Some(Section {
        id: SectionId { term: term.clone(), crn: Crn::parse(&number.to_string()).ok()? },
        course: course.into(),
        component: "lecture".into(),
        section: None,
        title: Some("Demonstration".into()),
        credits: Credits(3_000),
        instructor: None,
        method: None,
        campus: None,
        meetings,
        capacity,
        waitlist_capacity: 0,
        status: SectionStatus::Open,
        linked: Vec::new(),
        prerequisites: Vec::new(),
        withdrawn: false,
    })
}

/// A section that everybody wants. Two neighbours meet at one time, so that students are told of conflicts, too.
fn hot_section(term: &TermId, index: u32) -> Option<Section> {
    let slot = index / 2;
    let hour = 8 + i8::try_from(slot % 9).ok()?;
    let time = |minute| Time::new(hour, minute, 0, 0).ok();
    let days = Days::parse_one(["mon", "tue", "wed", "thu", "fri"][slot as usize / 9 % 5])?;
    let meeting = Meeting { days, start: time(0), end: time(50), ..Meeting::default() };
    section(term, HOT_FROM + index, format!("HOT {}", 100 + index), HOT_SEATS, vec![meeting])
}

fn quiet_section(term: &TermId, index: u32) -> Option<Section> {
    section(term, QUIET_FROM + index, format!("QUIET {}", 100 + index), 30, Vec::new())
}

/// A schedule that changes the title of every quiet section; each round another one.
#[must_use]
pub fn schedule(round: u32) -> String {
    let mut text = "crn,course,component,title,credits,capacity\n".to_owned();
    for index in 0..QUIET {
        let (crn, course) = (QUIET_FROM + index, 100 + index);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{crn},QUIET {course},lecture,Demonstration {round},3,30");
    }
    text
}
