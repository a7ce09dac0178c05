//! The sandbox of a demonstration: a term that uses the real registrar and store, is visible only to its demonstration,
//! and is removed after it. At most one sandbox exists at a time.
//!
//! The client that opened a sandbox removes it. If the client does not, the hub removes it when its lifetime ends. The
//! sandbox of a hub that has ended is removed when a hub starts, or before the next sandbox is opened.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::domain::command::{Command, EDITS_MAX, SectionEdit, TermPatch};
use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::meeting::{Days, Meeting};
use crate::domain::realm::Realm;
use crate::domain::section::{Credits, Section, SectionStatus};
use crate::registration::readmodel::ReadModel;
use crate::store::StoreError;
use crate::store::lease::{LEASE, LeaseStore};
use crate::store::terms::SandboxStore;

use crate::imports::Imports;
use crate::registration::pool::RegistrarPool;
use crate::registration::registrar::SubmitError;
use crate::rush::sandbox_lease::SandboxLease;

/// Maximum number of students in a demonstration.
pub const USERS_MAX: u32 = 10_000;
/// Maximum duration of the load on one target, in seconds.
pub const SECONDS_MAX: u32 = 60;
/// Lifetime of a sandbox in addition to the duration of the load: time to connect 10,000 students before, and to
/// reconcile their seats after.
const GRACE: Duration = Duration::from_secs(120);
/// Seats in each hot section.
const HOT_SEATS: u32 = 8;
/// Students per hot section: more than twice as many as it has seats.
const STUDENTS_PER_HOT: u32 = 20;
/// Minimum number of hot sections.
const HOT_MIN: u32 = 5;
/// Maximum number of hot sections.
const HOT_MAX: u32 = 200;
/// Number of quiet sections, which imports change and no student requests.
const QUIET: u32 = 1_000;
/// CRN of the first hot section.
const HOT_FROM: u32 = 10_001;
/// CRN of the first quiet section.
const QUIET_FROM: u32 = 20_001;
/// Interval at which the removal of a sandbox checks whether imports into it have ended.
const IMPORT_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum number of checks whether imports into a sandbox have ended, after which it is removed anyway.
const IMPORT_POLLS_MAX: u32 = 200;

/// Why a sandbox could not be reserved or opened.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Another sandbox is reserved or open, at this hub or at another one.
    #[error("another demonstration is running")]
    Taken,
    /// The lease or the sandboxes of other hubs could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registrar did not create the term or its sections.
    #[error(transparent)]
    Registrar(#[from] SubmitError),
}

/// An open sandbox.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Its term.
    pub term: TermId,
    /// The latest time at which the hub removes it.
    pub removes_at: Timestamp,
    /// The sections for which students compete, each with its capacity.
    pub hot: Vec<(SectionId, u32)>,
}

/// The dependencies of [`Sandboxes`].
pub struct SandboxDeps {
    /// Runs the registrar of a sandbox.
    pub pool: Arc<RegistrarPool>,
    /// The published terms.
    pub model: Arc<ReadModel>,
    /// The imports, including those into a sandbox.
    pub imports: Arc<Imports>,
    /// Removes the rows of sandboxes.
    pub store: Arc<dyn SandboxStore>,
    /// The lease of the hub that may open a sandbox.
    pub leases: Arc<dyn LeaseStore>,
    /// Clock used for lifetimes.
    pub clock: Arc<dyn Clock>,
}

/// A sandbox that is reserved or open.
struct Slot {
    term: TermId,
    /// The latest time at which it is removed.
    removes_at: Timestamp,
    is_open: bool,
}

/// The part of the hub that opens and removes sandboxes.
pub struct Sandboxes {
    deps: SandboxDeps,
    lease: SandboxLease,
    slot: Mutex<Option<Slot>>,
    /// Held while a sandbox is being created or removed.
    lifecycle: tokio::sync::Mutex<()>,
}

impl Sandboxes {
    /// Creates the state of a hub without an open sandbox.
    #[must_use]
    pub fn new(deps: SandboxDeps) -> Self {
        let lease = SandboxLease::new(deps.leases.clone());
        Self { deps, lease, slot: Mutex::default(), lifecycle: tokio::sync::Mutex::default() }
    }

    /// Returns the latest time at which the hub removes its sandbox; `None` if it has none.
    #[must_use]
    pub fn removes_at(&self) -> Option<Timestamp> {
        self.slot.lock().as_ref().map(|slot| slot.removes_at)
    }

    /// Removes the sandboxes of hubs that have ended, unless a hub has a sandbox. The lease of a hub that was killed ends
    /// after a few seconds, so this tries again once.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn remove_abandoned(&self) -> Result<(), StoreError> {
        if !self.try_remove_abandoned().await? {
            tokio::time::sleep(LEASE).await;
            self.try_remove_abandoned().await?;
        }
        Ok(())
    }

    /// Removes the sandboxes of hubs that have ended. Returns false, and removes none, if a hub has a sandbox.
    async fn try_remove_abandoned(&self) -> Result<bool, StoreError> {
        let _removing = self.lifecycle.lock().await;
        if self.slot.lock().is_some() || !self.lease.take().await? {
            return Ok(false);
        }
        let removed = self.remove_others().await;
        self.lease.release().await;
        removed.map(|()| true)
    }

    /// Removes all sandboxes of the store. They belong to other hubs: this hub has the lease and has not created one.
    async fn remove_others(&self) -> Result<(), StoreError> {
        for term in self.deps.store.sandbox_ids().await? {
            log::info!("removing sandbox {term} of a hub that has ended");
            let imports = self.deps.store.remove_sandbox(&term).await?;
            self.deps.imports.delete_errors(&imports);
        }
        Ok(())
    }

    /// Reserves the sandbox `term` for a run of `seconds` seconds on each target, so that no other hub can open one.
    /// Removes it at the end of its lifetime.
    ///
    /// # Errors
    /// If a hub has a sandbox, or if the store cannot be read or written.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn reserve(self: &Arc<Self>, term: &TermId, seconds: u32) -> Result<(), SandboxError> {
        // A run has two targets, one after the other.
        self.occupy(term, Duration::from_secs((2 * seconds).into()) + GRACE)?;
        let reserving = self.lifecycle.lock().await;
        let reserved = match self.lease.take_soon().await {
            Ok(true) => self.remove_others().await.map_err(Into::into),
            Ok(false) => Err(SandboxError::Taken),
            Err(error) => Err(error.into()),
        };
        drop(reserving);
        if reserved.is_err() {
            self.close(term).await;
        }
        reserved
    }

    /// Takes the slot for `term`, and removes the sandbox after `lifetime` unless it is extended.
    fn occupy(self: &Arc<Self>, term: &TermId, lifetime: Duration) -> Result<(), SandboxError> {
        let removes_at = self.deps.clock.now() + lifetime;
        {
            let mut slot = self.slot.lock();
            if slot.is_some() {
                return Err(SandboxError::Taken);
            }
            *slot = Some(Slot { term: term.clone(), removes_at, is_open: false });
        }
        self.expire(term.clone(), lifetime);
        Ok(())
    }

    /// Removes the sandbox after `lifetime`, unless its end has been postponed.
    fn expire(self: &Arc<Self>, term: TermId, lifetime: Duration) {
        let sandboxes = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(lifetime).await;
            let Some(sandboxes) = sandboxes.upgrade() else { return };
            if sandboxes.removes_at().is_some_and(|removes_at| removes_at <= sandboxes.deps.clock.now()) {
                sandboxes.close(&term).await;
            }
        });
    }

    /// Opens a sandbox as the term `term`, with hot sections for `users` students and a load of `seconds` seconds. Removes
    /// it at the end of its lifetime.
    ///
    /// # Errors
    /// If another sandbox is reserved or open, if the store cannot be read or written, or if the registrar cannot
    /// create the term. Nothing remains of a failed attempt.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn open(self: &Arc<Self>, term: TermId, users: u32, seconds: u32) -> Result<Sandbox, SandboxError> {
        let is_reserved = self.slot.lock().as_ref().is_some_and(|slot| slot.term == term && !slot.is_open);
        if !is_reserved {
            self.reserve(&term, seconds).await?;
        }
        let lifetime = Duration::from_secs(seconds.into()) + GRACE;
        let removes_at = self.deps.clock.now() + lifetime;
        match &mut *self.slot.lock() {
            Some(slot) if slot.term == term && !slot.is_open => (slot.removes_at, slot.is_open) = (removes_at, true),
            _ => return Err(SandboxError::Taken),
        }
        let creating = self.lifecycle.lock().await;
        let created = self.create(&term, users).await;
        drop(creating);
        match created {
            Ok(hot) => {
                self.expire(term.clone(), lifetime);
                Ok(Sandbox { term, removes_at, hot })
            }
            Err(error) => {
                self.close(&term).await;
                Err(error)
            }
        }
    }

    /// Creates the term and its sections. Returns the hot sections with their capacities.
    async fn create(&self, term: &TermId, users: u32) -> Result<Vec<(SectionId, u32)>, SandboxError> {
        self.deps.pool.open_sandbox(term.clone()).await;
        let patch = TermPatch { opens_at: Some(Some(self.deps.clock.now())), ..TermPatch::default() };
        self.submit(term, Command::PutTerm(patch)).await?;
        let hot: Vec<Section> = (0..hot_sections(users)).filter_map(|index| hot_section(term, index)).collect();
        let capacities = hot.iter().map(|section| (section.id.clone(), section.capacity)).collect();
        let quiet = (0..QUIET).filter_map(|index| quiet_section(term, index));
        let edits: Vec<SectionEdit> =
            hot.into_iter().chain(quiet).map(|section| SectionEdit { base: None, target: Arc::new(section) }).collect();
        for chunk in edits.chunks(EDITS_MAX) {
            self.submit(term, Command::PutSections(chunk.into())).await?;
        }
        Ok(capacities)
    }

    async fn submit(&self, term: &TermId, command: Command) -> Result<(), SubmitError> {
        self.deps.pool.submit_in(&Realm::of(term), term, command).await.unwrap_or(Err(SubmitError::Failed)).map(drop)
    }

    /// Removes a sandbox and everything in it. Does nothing if `term` is neither reserved nor open.
    pub async fn close(&self, term: &TermId) {
        let _removing = self.lifecycle.lock().await;
        let Some(is_open) = self.slot.lock().as_ref().filter(|slot| slot.term == *term).map(|slot| slot.is_open) else {
            return;
        };
        if is_open {
            self.remove_term(term).await;
        }
        self.lease.release().await;
        *self.slot.lock() = None;
    }

    async fn remove_term(&self, term: &TermId) {
        for _ in 0..IMPORT_POLLS_MAX {
            if self.deps.imports.cancel_in(term) {
                break;
            }
            tokio::time::sleep(IMPORT_POLL_INTERVAL).await;
        }
        self.deps.pool.retire_sandbox(term).await;
        self.deps.model.remove_sandbox(term);
        match self.remove(term).await {
            Ok(imports) => self.deps.imports.delete_errors(&imports),
            Err(error) => log::error!("cannot remove sandbox {term} until a hub starts: {error}"),
        }
    }

    /// Removes the term from the store, with one retry after a second. Returns the ids of its imports.
    async fn remove(&self, term: &TermId) -> Result<Vec<String>, StoreError> {
        match self.deps.store.remove_sandbox(term).await {
            Err(StoreError::Overloaded | StoreError::Unavailable(_)) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.deps.store.remove_sandbox(term).await
            }
            other => other,
        }
    }
}

fn hot_sections(users: u32) -> u32 {
    (users / STUDENTS_PER_HOT).clamp(HOT_MIN, HOT_MAX)
}

/// Returns the total number of seats in the hot sections of a sandbox for `users` students.
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
        cross_listed: None,
        reserved: Vec::new(),
        restrictions: Vec::new(),
        repeat_limit: None,
        original_crn: None,
        withdrawn: false,
    })
}

/// Returns a hot section. Consecutive pairs meet at the same time, so that some requests are refused for a time
/// conflict.
fn hot_section(term: &TermId, index: u32) -> Option<Section> {
    let slot = index / 2;
    let hour = 8 + i8::try_from(slot % 9).ok()?;
    let time = |minute| Time::new(hour, minute, 0, 0).ok();
    let days = Days::parse_one(["mon", "tue", "wed", "thu", "fri"][slot as usize / 9 % 5])?;
    let meeting = Meeting { days, start: time(0), end: time(50), ..Meeting::default() };
    section(term, HOT_FROM + index, format!("HOT {}", 100 + index), HOT_SEATS, vec![meeting])
}

/// Returns a section that imports change and no student requests.
fn quiet_section(term: &TermId, index: u32) -> Option<Section> {
    section(term, QUIET_FROM + index, format!("QUIET {}", 100 + index), 30, Vec::new())
}

/// Returns a schedule in CSV that changes the title of every quiet section. Each round has a different title.
#[must_use]
pub fn schedule(round: u32) -> String {
    let mut text = "crn,course,component,title,credits,capacity\n".to_owned();
    for index in 0..QUIET {
        let (crn, course) = (QUIET_FROM + index, 100 + index);
        // Writing to a `String` never fails.
        let _ = writeln!(text, "{crn},QUIET {course},lecture,Demonstration {round},3,30");
    }
    text
}
