//! Tests of the sequence of alerts in the embedded store.

use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};

use super::*;
use crate::domain::alert::{Category, Priority};
use crate::domain::audience::UserRef;
use crate::domain::role::Role;
use crate::store::sqlite::SqliteOptions;

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn zoned(second: i64) -> ZonedDateTime {
    at(second).to_zoned_datetime(TimeZone::UTC)
}

struct Fixture {
    store: SqliteStore,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.db");
        Self { store: SqliteStore::open(SqliteOptions { path, outbox: None }).unwrap(), _folder: folder }
    }

    async fn post(&self, id: &str, audience: Audience, starts_at: Option<i64>, expires_at: Option<i64>) -> Option<u64> {
        let content = AlertContent {
            title: id.to_owned(),
            message: "…".to_owned(),
            priority: Priority::Medium,
            category: Category::System,
            audience,
            starts_at: starts_at.map(at),
            expires_at: expires_at.map(at),
            requires_ack: false,
            notice: None,
        };
        let (source, sender, sender_name) = ("staff".to_owned(), "registrar".to_owned(), None);
        let alert = Alert { id: id.to_owned(), seq: None, content, source, sender, sender_name, created_at: at(100) };
        self.store.post(alert, zoned(100)).await.unwrap().seq
    }

    async fn visible(&self, caller: Option<(&UserName, Role)>, since: u64, limit: usize) -> (Vec<String>, u64) {
        let span = Span { since, until: None, limit };
        describe(self.store.visible_to(Reader::new(caller, "The college".into()), span).await.unwrap())
    }

    async fn active(&self, now: i64) -> Vec<String> {
        let span = Span { since: 0, until: None, limit: 10 };
        describe(self.store.active(Reader::default(), span, at(now)).await.unwrap()).0
    }
}

/// Describes each entry: `1 id`, or `2 -id` for a cancellation. Also returns the position of the page.
#[expect(clippy::needless_pass_by_value, reason = "called with temporary pages")]
fn describe(page: Page) -> (Vec<String>, u64) {
    let describe_entry = |(seq, entry): &(u64, Entry)| match entry {
        Entry::Alert(alert) => {
            assert_eq!(alert.seq, Some(*seq));
            format!("{seq} {}", alert.id)
        }
        Entry::Cancelled(id) => format!("{seq} -{id}"),
    };
    (page.items.iter().map(describe_entry).collect(), page.seq)
}

#[actix_web::test]
async fn readers_see_alerts_for_everyone_their_role_or_their_name() {
    let fixture = Fixture::open();
    let (ann, bob) = (user("ann"), user("bob"));
    fixture.post("all", Audience::everyone(), None, None).await;
    fixture.post("ann", Audience::for_user(ann.clone()), None, None).await;
    let staff_or_bob = Audience { roles: vec![Role::Staff], users: vec![UserRef(bob.clone())], ..Audience::default() };
    fixture.post("staff-or-bob", staff_or_bob, None, None).await;
    let (student, staff) = (Role::Student, Role::Staff);
    assert_eq!(fixture.visible(None, 0, 9).await, (vec!["1 all".into()], 3));
    assert_eq!(fixture.visible(Some((&ann, student)), 0, 9).await.0, ["1 all", "2 ann"]);
    assert_eq!(fixture.visible(Some((&bob, student)), 0, 9).await.0, ["1 all", "3 staff-or-bob"]);
    assert_eq!(fixture.visible(Some((&bob, staff)), 0, 9).await.0, ["1 all", "3 staff-or-bob"], "listed once");
    assert_eq!(fixture.visible(Some((&user("eve"), Role::Admin)), 0, 9).await.0, ["1 all"]);
    let full_page = fixture.visible(Some((&ann, student)), 0, 1).await;
    assert_eq!(full_page, (vec!["1 all".into()], 1), "a full page ends at its last entry");
    assert_eq!(fixture.visible(Some((&ann, student)), 1, 9).await, (vec!["2 ann".into()], 3));
    assert_eq!(fixture.visible(None, 3, 9).await, (vec![], 3), "a reader at the end of the sequence gets nothing");
}

#[actix_web::test]
async fn a_cancellation_is_announced_once_to_the_alerts_recipients() {
    let fixture = Fixture::open();
    let ann = user("ann");
    fixture.post("ann", Audience::for_user(ann.clone()), None, None).await;
    assert_eq!(fixture.store.cancel("ann", at(101)).await, Ok(CancelOutcome::Announced(2)));
    assert_eq!(fixture.store.cancel("ann", at(102)).await, Ok(CancelOutcome::Unannounced));
    assert_eq!(fixture.store.cancel("unknown", at(102)).await, Ok(CancelOutcome::NotFound));
    assert_eq!(fixture.visible(Some((&ann, Role::Student)), 0, 9).await.0, ["1 ann", "2 -ann"]);
    assert_eq!(fixture.visible(None, 0, 9).await.0, Vec::<String>::new());
    let log = fixture.store.log_after(0, 9).await.unwrap();
    assert!(log.iter().all(|entry| *entry.recipients.users == [ann.clone()] && !entry.recipients.is_broad()));
}

#[actix_web::test]
async fn a_scheduled_alert_is_sent_when_due_unless_cancelled() {
    let fixture = Fixture::open();
    assert_eq!(fixture.post("later", Audience::everyone(), Some(200), None).await, None);
    assert_eq!(fixture.post("never", Audience::everyone(), Some(150), None).await, None);
    assert_eq!(fixture.post("past", Audience::everyone(), Some(50), None).await, Some(1));
    assert_eq!(fixture.store.next_due().await, Ok(Some(at(150))));
    let scheduled = fixture.store.scheduled(9).await.unwrap();
    assert_eq!(scheduled.iter().map(|a| (&*a.id, a.seq)).collect::<Vec<_>>(), [("never", None), ("later", None)]);
    assert_eq!(fixture.store.cancel("never", at(101)).await, Ok(CancelOutcome::Unannounced));
    assert_eq!(fixture.store.release_due(zoned(199), 9).await, Ok(0));
    assert_eq!(fixture.store.release_due(zoned(200), 9).await, Ok(1));
    assert_eq!(fixture.store.next_due().await, Ok(None));
    assert_eq!(fixture.visible(None, 0, 9).await.0, ["1 past", "2 later"]);
}

#[actix_web::test]
async fn a_scheduled_alert_that_expired_before_it_was_sent_is_cancelled() {
    let fixture = Fixture::open();
    fixture.post("over", Audience::everyone(), Some(200), Some(300)).await;
    fixture.post("still", Audience::everyone(), Some(200), Some(301)).await;
    assert_eq!(fixture.store.release_due(zoned(300), 9).await, Ok(1), "the hub was stopped from 200 on");
    assert_eq!(fixture.visible(None, 0, 9).await.0, ["1 still"]);
    assert_eq!(fixture.store.next_due().await, Ok(None), "the expired alert is not due again");
    assert_eq!(fixture.store.scheduled(9).await.unwrap().len(), 0);
}

#[actix_web::test]
async fn a_position_ahead_of_the_sequence_gets_everything_stored() {
    let fixture = Fixture::open();
    fixture.post("a", Audience::everyone(), None, None).await;
    fixture.post("b", Audience::everyone(), None, None).await;
    assert_eq!(fixture.visible(None, 2, 9).await, (vec![], 2));
    // The store was restored from a backup: the reader's position means nothing.
    assert_eq!(fixture.visible(None, 3, 9).await, (vec!["1 a".to_owned(), "2 b".to_owned()], 2));
    assert_eq!(fixture.visible(None, u64::MAX >> 1, 1).await, (vec!["1 a".to_owned()], 1), "in pages");
}

#[actix_web::test]
async fn active_alerts_were_sent_and_are_not_expired_or_cancelled() {
    let fixture = Fixture::open();
    fixture.post("always", Audience::everyone(), None, None).await;
    fixture.post("short", Audience::everyone(), None, Some(110)).await;
    fixture.post("cancelled", Audience::everyone(), None, None).await;
    fixture.post("scheduled", Audience::everyone(), Some(500), None).await;
    fixture.store.cancel("cancelled", at(101)).await.unwrap();
    assert_eq!(fixture.active(109).await, ["1 always", "2 short"]);
    assert_eq!(fixture.active(110).await, ["1 always"]);
}

#[actix_web::test]
async fn deleting_old_entries_leaves_no_gap_and_keeps_the_sequence() {
    let fixture = Fixture::open();
    for id in ["a", "b", "c"] {
        fixture.post(id, Audience::everyone(), None, None).await;
    }
    assert_eq!(fixture.store.delete_before(at(100), 9).await, Ok(0), "not older than the cutoff");
    assert_eq!(fixture.store.delete_before(at(101), 2).await, Ok(2));
    assert_eq!(fixture.store.stored_range().await, Ok(StoredRange { first: 3, last: 3 }));
    assert_eq!(fixture.store.delete_before(at(101), 9).await, Ok(1));
    assert_eq!(fixture.store.stored_range().await, Ok(StoredRange { first: 4, last: 3 }));
    assert_eq!(fixture.post("d", Audience::everyone(), None, None).await, Some(4));
    assert_eq!(fixture.store.cancel("a", at(102)).await, Ok(CancelOutcome::NotFound));
}

#[actix_web::test]
async fn people_in_an_audience_are_known_enrolled_or_named_users() {
    let fixture = Fixture::open();
    let rows = "
        INSERT INTO people VALUES ('ann', 'Ann', 'student', 'token', 0), ('sam', 'Sam', 'staff', 'token', 0),
            ('was', 'Was', 'student', 'token', 0);
        INSERT INTO accounts (username, name, role, password_hash) VALUES ('was', 'Was', 'staff', 'x');
        INSERT INTO terms VALUES ('t1', 't1', NULL, '1970-01-01', NULL, NULL, '[]', 1, 1, 1, '[]', 1, '{}'), ('t0', 't0', NULL,
            '1969-12-31', NULL, NULL, '[]', 1, 1, 1, '[]', 1, '{}');
        INSERT INTO sections SELECT id, '1', g, iif(g = 0, 'OLD 1', 'NEW 1'), 'lecture', NULL, NULL, 0, NULL, NULL,
            NULL, '[]', 9, 0, 'open', '[]', '[]', 0, 0, NULL, NULL, 0, 1, NULL, NULL, NULL, '[]', '[]', NULL FROM terms, (SELECT 0 AS g UNION SELECT 1);
        INSERT INTO registrations (term, user, crn, standing, place, at, passed, seq) VALUES ('t1', 'ann', '1', 'enrolled', 0, 0, NULL, 1),
            ('t1', 'bob', '1', 'enrolled', 0, 0, NULL, 1), ('t1', 'zoe', '1', 'waitlisted', 1, 0, NULL, 1),
            ('t0', 'eve', '1', 'enrolled', 0, 0, NULL, 1);";
    fixture.store.write(move |tx| tx.execute_batch(rows)).await.unwrap();
    let people_in = async |audience: Value| {
        let audience: Audience = serde_json::from_value(audience).unwrap();
        let mut people: Vec<_> = fixture.store.people_in(audience, zoned(100)).await.unwrap().into_iter().collect();
        people.sort();
        people.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(people_in(json!({"all": true})).await, "ann sam was");
    assert_eq!(people_in(json!({"roles": ["student"]})).await, "ann");
    assert_eq!(people_in(json!({"roles": ["staff"]})).await, "sam was");
    assert_eq!(people_in(json!({"sections": ["t1-1"], "users": ["ann", "new"]})).await, "ann bob new");
    assert_eq!(people_in(json!({"courses": ["NEW 1"]})).await, "ann bob", "without students of a term that has ended");
    assert_eq!(people_in(json!({"courses": ["OLD 1"]})).await, "", "the course of a row that was replaced");
    let new = || serde_json::from_value(json!({"courses": ["NEW 1"]})).unwrap();
    let after_midnight = at(86_400 + 3_600);
    for (hours, people) in [(0, 0), (-8, 2)] {
        let there = after_midnight.to_zoned_datetime(TimeZone::fixed(Offset::constant(hours)));
        let found = fixture.store.people_in(new(), there).await.unwrap();
        assert_eq!(found.len(), people, "01:00 UTC is still the day before at UTC-8");
    }
}
