use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::super::sending::{Ended, Sender};
use super::super::wanted::Definition;
use super::*;
use crate::clock::Clock;
use crate::demo;
use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::domain::fields::Fields;
use crate::domain::ids::TermId;
use crate::domain::section::Credits;
use crate::identity::Audit;
use crate::plone::port::{
    Catalogue, Directory, Hit, HitPage, NewsItem, PloneFuture, PlonePerson, PloneSection, Writer,
};
use crate::registration::execution::BatchExecutor;
use crate::store::outbox::{OutboxEntry, OutboxStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};

const NOW: &str = "2026-05-04T12:00:00Z";

struct Standing(Timestamp);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A Plone with one section.
#[derive(Clone, Default)]
struct Fake(Arc<Inside>);

/// Who can read its roster, what is written to it, and what it fails at.
struct Inside {
    member_can_read: Mutex<Result<bool, PloneError>>,
    visitor_can_read: Mutex<Result<bool, PloneError>>,
    refuses: Mutex<Option<PloneError>>,
    /// Writes that may end.
    lets_end: Semaphore,
    begun: AtomicU32,
    written: Mutex<Vec<Fields>>,
}

impl Default for Inside {
    fn default() -> Self {
        Self {
            member_can_read: Mutex::new(Ok(false)),
            visitor_can_read: Mutex::new(Ok(false)),
            refuses: Mutex::default(),
            lets_end: Semaphore::new(1_000),
            begun: AtomicU32::new(0),
            written: Mutex::default(),
        }
    }
}

fn never<T: Send + 'static>() -> PloneFuture<T> {
    futures_util::future::ready(Err(PloneError::Failed("nobody asks for this here".to_owned()))).boxed()
}

impl Directory for Fake {
    fn login(&self, _: &UserName, _: &SecretString) -> PloneFuture<SecretString> {
        never()
    }
    fn person(&self, _: &UserName) -> PloneFuture<Option<PlonePerson>> {
        never()
    }
}

impl Catalogue for Fake {
    fn search(&self, _: Viewer, _: ContentKind, _: Option<Timestamp>, _: u32) -> PloneFuture<HitPage> {
        let hit = Hit { uid: "u".to_owned(), path: "/courses/x".to_owned(), modified: NOW.parse().unwrap() };
        futures_util::future::ready(Ok(HitPage { items: vec![hit], unreadable: 0, total: 1 })).boxed()
    }
    fn section(&self, _: &str) -> PloneFuture<PloneSection> {
        never()
    }
    fn event(&self, _: &str) -> PloneFuture<Event> {
        never()
    }
    fn news(&self, _: Viewer, _: &str) -> PloneFuture<NewsItem> {
        never()
    }
}

impl Writer for Fake {
    fn write_section(&self, _: &str, fields: &Fields) -> PloneFuture<()> {
        let (fake, fields) = (self.0.clone(), fields.clone());
        async move {
            fake.begun.fetch_add(1, Ordering::SeqCst);
            fake.lets_end.acquire().await.unwrap().forget();
            if let Some(error) = fake.refuses.lock().clone() {
                return Err(error);
            }
            fake.written.lock().push(fields);
            Ok(())
        }
        .boxed()
    }
    fn create_section(&self, _: &str, _: &Fields) -> PloneFuture<PloneSection> {
        never()
    }
    fn can_read(&self, viewer: Viewer, _: &str, _: SectionField) -> PloneFuture<bool> {
        let answer = match viewer {
            Viewer::Hub => Ok(true),
            Viewer::Visitor => self.0.visitor_can_read.lock().clone(),
            Viewer::Member(_) => self.0.member_can_read.lock().clone(),
        };
        futures_util::future::ready(answer).boxed()
    }
}

struct Stage {
    plone: Fake,
    store: SqliteStore,
    guard: Arc<RosterGuard>,
    sender: Arc<Sender>,
    /// Two sections that have an item in Plone, the first with somebody in it.
    sections: [SectionId; 2],
    _folder: tempfile::TempDir,
}

fn lines(fields: &Fields) -> Option<usize> {
    match fields.get(&SectionField::Roster)? {
        FieldValue::Lines(lines) => Some(lines.len()),
        other => panic!("a roster is lines: {other:?}"),
    }
}

fn member() -> PlainMember {
    Some((UserName::parse("student1").unwrap(), Arc::new(SecretString::from("token"))))
}

fn failed() -> PloneError {
    PloneError::Failed("503 KeyError".to_owned())
}

impl Stage {
    async fn set() -> Self {
        let now: Timestamp = NOW.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { path: folder.path().join("hub.db"), outbox: true };
        let store = SqliteStore::open(options).unwrap();
        demo::load_into_empty(&store, &store, now, &jiff::tz::TimeZone::UTC).await.unwrap();
        let term = TermId::parse("202609").unwrap();
        let executor = BatchExecutor::new(Arc::new(store.clone()), Credits(0));
        let (state, loaded) = executor.load(&term).await.unwrap();
        let mut loaded = loaded.sections;
        loaded.sort_by_key(|section| std::cmp::Reverse(section.state.open()));
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

        let plone = Fake::default();
        let deps = OutboxDeps {
            store: Arc::new(store.clone()),
            plone: Arc::new(plone.clone()),
            clock: Arc::new(Standing(now)),
            audit: Audit::start(Arc::new(store.clone())),
            items_known: Arc::new(AtomicBool::new(true)),
            held: Arc::new(|| false),
        };
        let (check, roster_field) = (Duration::from_secs(30), "roster".to_owned());
        let options = OutboxOptions { write_schedules: false, pool_size: 8, check, roster_field };
        let gauge = Arc::new(OutboxGauge::default());
        let guard = RosterGuard::recalled(&deps, &options, &gauge).await.unwrap();
        let sender = Arc::new(Sender::new(deps, Definition::StaffsOnly, gauge, guard.clone()));
        Self { plone, store, guard, sender, sections, _folder: folder }
    }

    /// The guard of the hub's next run.
    async fn next_run(&self) -> Arc<RosterGuard> {
        let gauge = Arc::new(OutboxGauge::default());
        RosterGuard::recalled(&self.guard.deps, &self.guard.options, &gauge).await.unwrap()
    }

    /// What waits for the section with this place, whenever it is due.
    async fn entry(&self, at: usize) -> Option<OutboxEntry> {
        let late = "2100-01-01T00:00:00Z".parse().unwrap();
        let due = self.store.due(late, Vec::new(), 10, false).await.unwrap();
        due.into_iter().find(|entry| entry.section == self.sections[at])
    }

    async fn send(&self, at: usize) -> Ended {
        self.sender.send(self.entry(at).await.expect("something waits for it")).await
    }

    /// The length of the roster that was written last.
    fn last_roster(&self) -> Option<usize> {
        self.plone.0.written.lock().last().and_then(lines)
    }

    fn member_is_told(&self, answer: Result<bool, PloneError>) {
        *self.plone.0.member_can_read.lock() = answer;
    }
}

#[tokio::test]
async fn without_an_answer_no_names_are_written_and_it_is_asked_again() {
    let stage = Stage::set().await;
    let errors = [PloneError::Busy, PloneError::Unavailable("late".to_owned()), failed(), PloneError::Forbidden];
    for error in errors {
        stage.member_is_told(Ok(false));
        stage.guard.look(member()).await.unwrap();
        assert_eq!(stage.guard.state(), RosterState::Protected);
        for who in [&stage.plone.0.member_can_read, &stage.plone.0.visitor_can_read] {
            *who.lock() = Err(error.clone());
            assert!(stage.guard.look(member()).await.is_err());
            assert_eq!(stage.guard.state(), RosterState::Unchecked, "{error}");
            *who.lock() = Ok(false);
            // The next look has an answer.
            stage.guard.look(member()).await.unwrap();
            assert_eq!(stage.guard.state(), RosterState::Protected);
        }
    }
    stage.member_is_told(Err(failed()));
    assert!(stage.guard.look(member()).await.is_err());
    assert_eq!(stage.send(0).await, Ended::Written);
    assert_eq!(stage.last_roster(), None, "the counts alone");
    stage.member_is_told(Ok(false));
    stage.guard.look(member()).await.unwrap();
    assert_eq!(stage.send(0).await, Ended::Written);
    assert_eq!(stage.last_roster(), Some(1), "what was kept back is made up for");
}

#[tokio::test]
async fn what_somebody_could_read_stays_taken_away_while_there_is_no_answer() {
    let stage = Stage::set().await;
    stage.member_is_told(Ok(true));
    stage.guard.look(member()).await.unwrap();
    stage.member_is_told(Err(failed()));
    assert!(stage.guard.look(member()).await.is_err());
    assert_eq!(stage.guard.state(), RosterState::Readable("student1".to_owned()));
}

#[tokio::test]
async fn names_on_their_way_while_it_is_found_that_all_can_read_them_are_taken_back() {
    let stage = Stage::set().await;
    stage.guard.look(member()).await.unwrap();
    stage.plone.0.lets_end.forget_permits(1_000);
    let entry = stage.entry(0).await.unwrap();
    let sender = stage.sender.clone();
    let sending = tokio::spawn(async move { sender.send(entry).await });
    while stage.plone.0.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    *stage.plone.0.visitor_can_read.lock() = Ok(true);
    stage.guard.look(member()).await.unwrap();
    assert_eq!(stage.guard.state(), RosterState::Readable("visitor".to_owned()));
    stage.plone.0.lets_end.add_permits(2);
    assert_eq!(sending.await.unwrap(), Ended::Written);
    assert_eq!(stage.last_roster(), Some(1), "they were on their way");
    assert_eq!(stage.send(0).await, Ended::Written);
    assert_eq!(stage.last_roster(), Some(0), "and are taken back");
    assert!(stage.entry(0).await.is_none());
}

#[tokio::test]
async fn a_section_at_which_plone_always_fails_is_put_aside_once_others_are_taken() {
    let stage = Stage::set().await;
    let fails = |error| *stage.plone.0.refuses.lock() = error;
    let summary = async || stage.store.summary().await.unwrap();
    fails(Some(failed()));
    for _ in 0..20 {
        assert_eq!(stage.send(0).await, Ended::Failed, "Plone takes nothing at all: it is not this section's fault");
    }
    fails(None);
    assert_eq!(stage.send(1).await, Ended::Written);
    fails(Some(PloneError::Occupied("it is being edited".to_owned())));
    assert_eq!(stage.send(0).await, Ended::Failed, "somebody edits it, and it will be free again");
    fails(Some(PloneError::Unavailable("no connection".to_owned())));
    assert_eq!(stage.send(0).await, Ended::Failed);
    fails(Some(failed()));
    assert_eq!(stage.send(0).await, Ended::Refused);
    assert_eq!(summary().await.aside_total, 1);
    assert_eq!(summary().await.aside[0].reason, failed().to_string());

    // Sent again by an admin, it has as many tries as at first.
    assert_eq!(stage.store.resend(None, NOW.parse().unwrap()).await.unwrap(), 1);
    assert_eq!(stage.send(0).await, Ended::Failed);
    fails(None);
    assert_eq!(stage.send(0).await, Ended::Written);
    assert_eq!(summary().await.aside_total, 0);
}

#[tokio::test]
async fn what_a_member_could_read_is_known_after_a_start_that_sends_before_it_looks() {
    let stage = Stage::set().await;
    stage.guard.look(member()).await.unwrap();
    let next = stage.next_run().await;
    assert_eq!(next.state(), RosterState::Unchecked);
    next.withheld(Names::Withheld).await;
    let next = stage.next_run().await;
    next.look(None).await.unwrap();
    assert_eq!(next.state(), RosterState::Protected, "nobody need sign in once more");
    assert!(stage.entry(1).await.is_some(), "what was withheld is made up for");
}
