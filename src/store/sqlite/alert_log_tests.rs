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

struct Desk {
    store: SqliteStore,
    _folder: tempfile::TempDir,
}

impl Desk {
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
        };
        let (source, sender) = ("staff".to_owned(), "registrar".to_owned());
        let alert = Alert { id: id.to_owned(), seq: None, content, source, sender, created_at: at(100) };
        self.store.post(alert, zoned(100)).await.unwrap().seq
    }

    async fn seen(&self, caller: Option<(&UserName, Role)>, since: u64, limit: usize) -> (Vec<String>, u64) {
        let span = Span { since, until: None, limit };
        names(self.store.seen_by(Reader::new(caller), span).await.unwrap())
    }

    async fn in_force(&self, now: i64) -> Vec<String> {
        let span = Span { since: 0, until: None, limit: 10 };
        names(self.store.in_force(Reader::default(), span, at(now)).await.unwrap()).0
    }
}

/// Each entry in short: `1 name`, or `2 -name` for a cancellation.
#[expect(clippy::needless_pass_by_value, reason = "asked for with a page made in place")]
fn names(page: Page) -> (Vec<String>, u64) {
    let name = |(seq, entry): &(u64, Entry)| match entry {
        Entry::Alert(alert) => {
            assert_eq!(alert.seq, Some(*seq));
            format!("{seq} {}", alert.id)
        }
        Entry::Cancelled(id) => format!("{seq} -{id}"),
    };
    (page.items.iter().map(name).collect(), page.seq)
}

#[actix_web::test]
async fn each_reader_sees_what_is_meant_for_all_for_the_role_or_for_the_name() {
    let desk = Desk::open();
    let (ann, bob) = (user("ann"), user("bob"));
    desk.post("all", Audience::everyone(), None, None).await;
    desk.post("ann", Audience::for_user(ann.clone()), None, None).await;
    let staff_or_bob = Audience { roles: vec![Role::Staff], users: vec![UserRef(bob.clone())], ..Audience::default() };
    desk.post("staff-or-bob", staff_or_bob, None, None).await;
    let (student, staff) = (Role::Student, Role::Staff);
    assert_eq!(desk.seen(None, 0, 9).await, (vec!["1 all".into()], 3));
    assert_eq!(desk.seen(Some((&ann, student)), 0, 9).await.0, ["1 all", "2 ann"]);
    assert_eq!(desk.seen(Some((&bob, student)), 0, 9).await.0, ["1 all", "3 staff-or-bob"]);
    assert_eq!(desk.seen(Some((&bob, staff)), 0, 9).await.0, ["1 all", "3 staff-or-bob"], "once, not twice");
    assert_eq!(desk.seen(Some((&user("eve"), Role::Admin)), 0, 9).await.0, ["1 all"]);
    assert_eq!(desk.seen(Some((&ann, student)), 0, 1).await, (vec!["1 all".into()], 1), "a full page ends at its last");
    assert_eq!(desk.seen(Some((&ann, student)), 1, 9).await, (vec!["2 ann".into()], 3));
    assert_eq!(desk.seen(None, 3, 9).await, (vec![], 3), "whoever has seen the last gets nothing");
}

#[actix_web::test]
async fn a_cancellation_is_told_once_to_those_who_got_the_alert() {
    let desk = Desk::open();
    let ann = user("ann");
    desk.post("ann", Audience::for_user(ann.clone()), None, None).await;
    assert_eq!(desk.store.cancel("ann", at(101)).await, Ok(Cancelled::Told(2)));
    assert_eq!(desk.store.cancel("ann", at(102)).await, Ok(Cancelled::Quietly));
    assert_eq!(desk.store.cancel("nobody", at(102)).await, Ok(Cancelled::NotFound));
    assert_eq!(desk.seen(Some((&ann, Role::Student)), 0, 9).await.0, ["1 ann", "2 -ann"]);
    assert_eq!(desk.seen(None, 0, 9).await.0, Vec::<String>::new());
    let log = desk.store.log_after(0, 9).await.unwrap();
    assert!(log.iter().all(|entry| *entry.reach.users == [ann.clone()] && !entry.reach.is_broad()));
}

#[actix_web::test]
async fn a_scheduled_alert_goes_out_when_its_time_has_come_unless_it_was_cancelled() {
    let desk = Desk::open();
    assert_eq!(desk.post("later", Audience::everyone(), Some(200), None).await, None);
    assert_eq!(desk.post("never", Audience::everyone(), Some(150), None).await, None);
    assert_eq!(desk.post("past", Audience::everyone(), Some(50), None).await, Some(1));
    assert_eq!(desk.store.next_due().await, Ok(Some(at(150))));
    let waiting = desk.store.scheduled(9).await.unwrap();
    assert_eq!(waiting.iter().map(|a| (&*a.id, a.seq)).collect::<Vec<_>>(), [("never", None), ("later", None)]);
    assert_eq!(desk.store.cancel("never", at(101)).await, Ok(Cancelled::Quietly));
    assert_eq!(desk.store.release_due(zoned(199), 9).await, Ok(0));
    assert_eq!(desk.store.release_due(zoned(200), 9).await, Ok(1));
    assert_eq!(desk.store.next_due().await, Ok(None));
    assert_eq!(desk.seen(None, 0, 9).await.0, ["1 past", "2 later"]);
}

#[actix_web::test]
async fn a_scheduled_alert_whose_time_is_over_before_it_could_go_out_stays() {
    let desk = Desk::open();
    desk.post("over", Audience::everyone(), Some(200), Some(300)).await;
    desk.post("still", Audience::everyone(), Some(200), Some(301)).await;
    assert_eq!(desk.store.release_due(zoned(300), 9).await, Ok(1), "the hub was away from 200 on");
    assert_eq!(desk.seen(None, 0, 9).await.0, ["1 still"]);
    assert_eq!(desk.store.next_due().await, Ok(None), "it is not tried again");
    assert_eq!(desk.store.scheduled(9).await.unwrap().len(), 0);
}

#[actix_web::test]
async fn a_place_ahead_of_the_sequence_gets_everything_that_is_kept() {
    let desk = Desk::open();
    desk.post("a", Audience::everyone(), None, None).await;
    desk.post("b", Audience::everyone(), None, None).await;
    assert_eq!(desk.seen(None, 2, 9).await, (vec![], 2));
    assert_eq!(desk.seen(None, 3, 9).await, (vec!["1 a".to_owned(), "2 b".to_owned()], 2), "of a store put back");
    assert_eq!(desk.seen(None, u64::MAX >> 1, 1).await, (vec!["1 a".to_owned()], 1), "in pages");
}

#[actix_web::test]
async fn in_force_is_what_went_out_and_has_neither_expired_nor_been_cancelled() {
    let desk = Desk::open();
    desk.post("always", Audience::everyone(), None, None).await;
    desk.post("short", Audience::everyone(), None, Some(110)).await;
    desk.post("cancelled", Audience::everyone(), None, None).await;
    desk.post("scheduled", Audience::everyone(), Some(500), None).await;
    desk.store.cancel("cancelled", at(101)).await.unwrap();
    assert_eq!(desk.in_force(109).await, ["1 always", "2 short"]);
    assert_eq!(desk.in_force(110).await, ["1 always"]);
}

#[actix_web::test]
async fn what_is_forgotten_leaves_no_hole_and_the_sequence_goes_on() {
    let desk = Desk::open();
    for id in ["a", "b", "c"] {
        desk.post(id, Audience::everyone(), None, None).await;
    }
    assert_eq!(desk.store.forget_before(at(100), 9).await, Ok(0), "not older than the cutoff");
    assert_eq!(desk.store.forget_before(at(101), 2).await, Ok(2));
    assert_eq!(desk.store.kept().await, Ok(Kept { first: 3, last: 3 }));
    assert_eq!(desk.store.forget_before(at(101), 9).await, Ok(1));
    assert_eq!(desk.store.kept().await, Ok(Kept { first: 4, last: 3 }));
    assert_eq!(desk.post("d", Audience::everyone(), None, None).await, Some(4));
    assert_eq!(desk.store.cancel("a", at(102)).await, Ok(Cancelled::NotFound));
}

#[actix_web::test]
async fn the_people_of_an_audience_are_known_enrolled_or_named_each_once() {
    let desk = Desk::open();
    let rows = "
        INSERT INTO people VALUES ('ann', 'Ann', 'student', 'token', 0), ('sam', 'Sam', 'staff', 'token', 0),
            ('was', 'Was', 'student', 'token', 0);
        INSERT INTO accounts VALUES ('was', 'Was', 'staff', 'x');
        INSERT INTO terms VALUES ('t1', 't1', NULL, '1970-01-01', NULL, NULL, '[]', 1, 1, 1), ('t0', 't0', NULL,
            '1969-12-31', NULL, NULL, '[]', 1, 1, 1);
        INSERT INTO sections SELECT id, '1', g, iif(g = 0, 'OLD 1', 'NEW 1'), 'lecture', NULL, NULL, 0, NULL, NULL,
            NULL, '[]', 9, 0, 'open', '[]', '[]', 0, 0, NULL, NULL, 0, 1 FROM terms, (SELECT 0 AS g UNION SELECT 1);
        INSERT INTO registrations VALUES ('t1', 'ann', '1', 'enrolled', 0, 0, NULL, 1),
            ('t1', 'bob', '1', 'enrolled', 0, 0, NULL, 1), ('t1', 'zoe', '1', 'waitlisted', 1, 0, NULL, 1),
            ('t0', 'eve', '1', 'enrolled', 0, 0, NULL, 1);";
    desk.store.write(move |tx| tx.execute_batch(rows)).await.unwrap();
    let count = async |audience: Value| {
        let audience: Audience = serde_json::from_value(audience).unwrap();
        let mut people: Vec<_> = desk.store.people_in(audience, zoned(100)).await.unwrap().into_iter().collect();
        people.sort();
        people.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(count(json!({"all": true})).await, "ann sam was");
    assert_eq!(count(json!({"roles": ["student"]})).await, "ann");
    assert_eq!(count(json!({"roles": ["staff"]})).await, "sam was");
    assert_eq!(count(json!({"sections": ["t1-1"], "users": ["ann", "new"]})).await, "ann bob new");
    assert_eq!(count(json!({"courses": ["NEW 1"]})).await, "ann bob", "not those of a term that has ended");
    assert_eq!(count(json!({"courses": ["OLD 1"]})).await, "", "the section has another course now");
    let new = || serde_json::from_value(json!({"courses": ["NEW 1"]})).unwrap();
    let day_later = at(86_400 + 3_600);
    for (hours, people) in [(0, 0), (-8, 2)] {
        let there = day_later.to_zoned_datetime(TimeZone::fixed(Offset::constant(hours)));
        assert_eq!(desk.store.people_in(new(), there).await.unwrap().len(), people, "one o'clock at night in UTC");
    }
}
