//! Tests of the roster guard and of sending, against a fake Plone.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::super::desired_state::DefinitionScope;
use super::super::sending::{SendOutcome, Sender};
use super::*;
use crate::clock::Clock;
use crate::demo;
use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::domain::fields::Fields;
use crate::domain::ids::TermId;
use crate::domain::section::Credits;
use crate::identity::Audit;
use crate::leader::Tenure;
use crate::plone::port::{
    Catalogue, Directory, Hit, HitPage, NewsItem, PloneFuture, PlonePerson, PloneSection, Writer,
};
use crate::registration::execution::BatchExecutor;
use crate::store::outbox::{OutboxEntry, OutboxStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};

const NOW: &str = "2026-05-04T12:00:00Z";

struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A fake Plone with one section.
#[derive(Clone, Default)]
struct FakePlone(Arc<FakeState>);

struct FakeState {
    member_can_read: Mutex<Result<bool, PloneError>>,
    visitor_can_read: Mutex<Result<bool, PloneError>>,
    /// The error that writes return.
    write_error: Mutex<Option<PloneError>>,
    /// Each write needs a permit to end.
    write_permits: Semaphore,
    writes_started: AtomicU32,
    written: Mutex<Vec<Fields>>,
}

impl Default for FakeState {
    fn default() -> Self {
        Self {
            member_can_read: Mutex::new(Ok(false)),
            visitor_can_read: Mutex::new(Ok(false)),
            write_error: Mutex::default(),
            write_permits: Semaphore::new(1_000),
            writes_started: AtomicU32::new(0),
            written: Mutex::default(),
        }
    }
}

fn unused<T: Send + 'static>() -> PloneFuture<T> {
    futures_util::future::ready(Err(PloneError::Failed("not used by these tests".to_owned()))).boxed()
}

impl Directory for FakePlone {
    fn login(&self, _: &UserName, _: &SecretString) -> PloneFuture<SecretString> {
        unused()
    }
    fn person(&self, _: &UserName) -> PloneFuture<Option<PlonePerson>> {
        unused()
    }
}

impl Catalogue for FakePlone {
    fn search(&self, _: Viewer, _: ContentKind, _: Option<Timestamp>, _: u32) -> PloneFuture<HitPage> {
        let hit = Hit { uid: "u".to_owned(), path: "/courses/x".to_owned(), modified: NOW.parse().unwrap() };
        futures_util::future::ready(Ok(HitPage { items: vec![hit], unreadable: 0, total: 1 })).boxed()
    }
    fn section(&self, _: &str) -> PloneFuture<PloneSection> {
        unused()
    }
    fn event(&self, _: &str) -> PloneFuture<Event> {
        unused()
    }
    fn news(&self, _: Viewer, _: &str) -> PloneFuture<NewsItem> {
        unused()
    }
}

impl Writer for FakePlone {
    fn write_section(&self, _: &str, fields: &Fields) -> PloneFuture<()> {
        let (fake, fields) = (self.0.clone(), fields.clone());
        async move {
            fake.writes_started.fetch_add(1, Ordering::SeqCst);
            fake.write_permits.acquire().await.unwrap().forget();
            if let Some(error) = fake.write_error.lock().clone() {
                return Err(error);
            }
            fake.written.lock().push(fields);
            Ok(())
        }
        .boxed()
    }
    fn create_section(&self, _: &str, _: &Fields) -> PloneFuture<PloneSection> {
        unused()
    }
    fn can_read(&self, viewer: Viewer, _: &str, _: SectionField) -> PloneFuture<bool> {
        let outcome = match viewer {
            Viewer::Hub => Ok(true),
            Viewer::Visitor => self.0.visitor_can_read.lock().clone(),
            Viewer::Member(_) => self.0.member_can_read.lock().clone(),
        };
        futures_util::future::ready(outcome).boxed()
    }
}

struct Setup {
    plone: FakePlone,
    store: SqliteStore,
    guard: Arc<RosterGuard>,
    sender: Arc<Sender>,
    /// Two sections with an item in Plone. The first has one student.
    sections: [SectionId; 2],
    _folder: tempfile::TempDir,
}

fn lines(fields: &Fields) -> Option<usize> {
    match fields.get(&SectionField::Roster)? {
        FieldValue::Lines(lines) => Some(lines.len()),
        FieldValue::Nothing => Some(0),
        other => panic!("a roster must consist of lines: {other:?}"),
    }
}

fn member() -> PlainMember {
    Some((UserName::parse("student1").unwrap(), Arc::new(SecretString::from("token"))))
}

fn failed() -> PloneError {
    PloneError::Failed("503 KeyError".to_owned())
}

impl Setup {
    async fn new() -> Self {
        let now: Timestamp = NOW.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { path: folder.path().join("hub.db"), outbox: Some(Timestamp::now()) };
        let store = SqliteStore::open(options).unwrap();
        demo::load_if_empty(&store, &store, now, &jiff::tz::TimeZone::UTC).await.unwrap();
        let term = TermId::parse("202609").unwrap();
        let executor = BatchExecutor::new(Arc::new(store.clone()), Credits(0));
        let (state, loaded) = executor.load(&term).await.unwrap();
        let mut loaded = loaded.sections;
        loaded.sort_by_key(|section| std::cmp::Reverse(section.state.open_seats()));
        let sections = [0, 1].map(|at| loaded[at].state.section.id.clone());
        let student = UserName::parse("ana").unwrap();
        let register = Command::Register { student, crn: sections[0].crn.clone(), waitlist: false };
        executor.run(state, vec![register], now).await.unwrap();
        let item = |section: &SectionId| PloneItem {
            section: section.clone(),
            uid: section.to_string(),
            path: format!("/courses/{section}"),
            modified: now,
            fields: Fields::from([
                (SectionField::SeatsTaken, FieldValue::Number(0)),
                (SectionField::Roster, FieldValue::Lines(Vec::new())),
            ]),
            deleted: false,
        };
        store.put_items(sections.iter().map(item).collect()).await.unwrap();

        let plone = FakePlone::default();
        let deps = OutboxDeps {
            tenure: Tenure::endless(),
            store: Arc::new(store.clone()),
            plone: Arc::new(plone.clone()),
            clock: Arc::new(FixedClock(now)),
            audit: Audit::start(Arc::new(store.clone()), Arc::new(crate::clock::SystemClock)),
            items_known: Arc::default(),
            is_import_applying: Arc::new(|| false),
            pull_gate: Arc::default(),
        };
        let (check_every, roster_field) = (Duration::from_secs(30), "roster".to_owned());
        let options = OutboxOptions { write_schedules: false, pool_size: 8, check_every, roster_field };
        let gauge = Arc::new(OutboxGauge::default());
        let guard = RosterGuard::load(&deps, &options, &gauge).await.unwrap();
        let sender = Arc::new(Sender::new(deps, DefinitionScope::StaffChanges, gauge, guard.clone()));
        Self { plone, store, guard, sender, sections, _folder: folder }
    }

    /// Loads the guard, as after a restart of the hub.
    async fn next_run(&self) -> Arc<RosterGuard> {
        let gauge = Arc::new(OutboxGauge::default());
        RosterGuard::load(&self.guard.deps, &self.guard.options, &gauge).await.unwrap()
    }

    /// Returns the outbox entry of the section with this index, even if it is not due.
    async fn entry(&self, at: usize) -> Option<OutboxEntry> {
        let late = "2100-01-01T00:00:00Z".parse().unwrap();
        let due = self.store.due(late, Vec::new(), 10, false).await.unwrap();
        due.into_iter().find(|entry| entry.section == self.sections[at])
    }

    async fn send(&self, at: usize) -> SendOutcome {
        self.sender.send(self.entry(at).await.expect("an entry of the section")).await
    }

    /// Returns the number of lines of the last written roster; `None` if the last write had no roster.
    fn last_roster(&self) -> Option<usize> {
        self.plone.0.written.lock().last().and_then(lines)
    }

    fn set_member(&self, can_read: Result<bool, PloneError>) {
        *self.plone.0.member_can_read.lock() = can_read;
    }
}

#[tokio::test]
async fn names_are_withheld_after_a_failed_check() {
    let setup = Setup::new().await;
    let errors = [PloneError::Busy, PloneError::Unavailable("late".to_owned()), failed(), PloneError::Forbidden];
    for error in errors {
        setup.set_member(Ok(false));
        setup.guard.check(member()).await.unwrap();
        assert_eq!(setup.guard.state(), RosterState::Protected);
        for reader in [&setup.plone.0.member_can_read, &setup.plone.0.visitor_can_read] {
            *reader.lock() = Err(error.clone());
            assert!(setup.guard.check(member()).await.is_err());
            assert_eq!(setup.guard.state(), RosterState::Unchecked, "{error}");
            *reader.lock() = Ok(false);
            setup.guard.check(member()).await.unwrap();
            assert_eq!(setup.guard.state(), RosterState::Protected);
        }
    }
    setup.set_member(Err(failed()));
    assert!(setup.guard.check(member()).await.is_err());
    assert_eq!(setup.send(0).await, SendOutcome::Written);
    assert_eq!(setup.last_roster(), None, "only counts are written");
    setup.set_member(Ok(false));
    setup.guard.check(member()).await.unwrap();
    assert_eq!(setup.send(0).await, SendOutcome::Written);
    assert_eq!(setup.last_roster(), Some(1), "withheld names are backfilled");
}

#[tokio::test]
async fn names_stay_removed_after_a_failed_check() {
    let setup = Setup::new().await;
    setup.set_member(Ok(true));
    setup.guard.check(member()).await.unwrap();
    setup.set_member(Err(failed()));
    assert!(setup.guard.check(member()).await.is_err());
    assert_eq!(setup.guard.state(), RosterState::Readable("student1".to_owned()));
}

#[tokio::test]
async fn names_in_flight_are_removed_when_a_reader_is_found() {
    let setup = Setup::new().await;
    setup.guard.check(member()).await.unwrap();
    setup.plone.0.write_permits.forget_permits(1_000);
    let entry = setup.entry(0).await.unwrap();
    let sender = setup.sender.clone();
    let sending = tokio::spawn(async move { sender.send(entry).await });
    while setup.plone.0.writes_started.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    *setup.plone.0.visitor_can_read.lock() = Ok(true);
    setup.guard.check(member()).await.unwrap();
    assert_eq!(setup.guard.state(), RosterState::Readable("visitor".to_owned()));
    setup.plone.0.write_permits.add_permits(2);
    assert_eq!(sending.await.unwrap(), SendOutcome::Written);
    assert_eq!(setup.last_roster(), Some(1), "the write in flight contains the name");
    assert_eq!(setup.send(0).await, SendOutcome::Written);
    assert_eq!(setup.last_roster(), Some(0), "the next write removes it");
    assert!(setup.entry(0).await.is_none());
}

#[tokio::test]
async fn a_section_that_always_fails_is_put_aside_if_others_succeed() {
    let setup = Setup::new().await;
    let set_error = |error| *setup.plone.0.write_error.lock() = error;
    let summary = async || setup.store.summary().await.unwrap();
    set_error(Some(failed()));
    for _ in 0..20 {
        assert_eq!(setup.send(0).await, SendOutcome::Failed, "while all writes fail, the section is not the cause");
    }
    set_error(None);
    assert_eq!(setup.send(1).await, SendOutcome::Written);
    set_error(Some(PloneError::Occupied("a user is editing it".to_owned())));
    assert_eq!(setup.send(0).await, SendOutcome::Failed, "a lock is transient");
    set_error(Some(PloneError::Unavailable("no connection".to_owned())));
    assert_eq!(setup.send(0).await, SendOutcome::Failed);
    set_error(Some(failed()));
    assert_eq!(setup.send(0).await, SendOutcome::Refused);
    assert_eq!(summary().await.refused_total, 1);
    assert_eq!(summary().await.refused[0].reason, failed().to_string());

    // After an admin has resent it, its failures are counted from zero again.
    assert_eq!(setup.store.resend(None, NOW.parse().unwrap()).await.unwrap(), 1);
    assert_eq!(setup.send(0).await, SendOutcome::Failed);
    set_error(None);
    assert_eq!(setup.send(0).await, SendOutcome::Written);
    assert_eq!(summary().await.refused_total, 0);
}

#[tokio::test]
async fn findings_about_members_survive_a_restart() {
    let setup = Setup::new().await;
    setup.guard.check(member()).await.unwrap();
    let next = setup.next_run().await;
    assert_eq!(next.state(), RosterState::Unchecked);
    next.note_names(Names::Withheld).await;
    let next = setup.next_run().await;
    next.check(None).await.unwrap();
    assert_eq!(next.state(), RosterState::Protected, "the check needs no new sign-in");
    assert!(setup.entry(1).await.is_some(), "withheld names are backfilled");
}
