//! Tests of the sequence of alerts: who receives them, corrections, cancellations, scheduled alerts, deletion and
//! acknowledgements.

use std::collections::HashSet;

use eduhub::domain::alert::{Alert, AlertContent, Category, CorrectionRefusal, Priority};
use eduhub::domain::audience::{Audience, UserRef};
use eduhub::domain::cap::CapId;
use eduhub::domain::command::{Command, TermPatch};
use eduhub::domain::ids::UserName;
use eduhub::domain::role::Role;
use eduhub::store::accounts::{Account, AccountStore, Person};
use eduhub::store::alerts::{
    Ack, AlertStore, CancelOutcome, CapAction, CapCommand, CapOutcome, CapReference, CorrectOutcome, Entry,
    PUBLIC_MESSAGES_MAX, Page, PublicAlert, PublicMessage, Reader, Receipt, Span, StoredRange,
};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};
use serde_json::{Value, json};

use super::fixture::{StoreFixture, StoredTerm, block_on};
use crate::college::{drop_section, minute, register, register_or_wait, section, user};

/// The minute at which the tests post alerts.
const POSTED: i64 = 100;

fn zoned(at: i64) -> ZonedDateTime {
    minute(at).to_zoned_datetime(TimeZone::UTC)
}

/// Returns an alert by `registrar`.
pub(crate) fn alert(id: &str, audience: Audience) -> Alert {
    let content = AlertContent {
        title: id.to_owned(),
        message: "…".to_owned(),
        priority: Priority::Medium,
        category: Category::System,
        audience,
        starts_at: None,
        expires_at: None,
        requires_ack: false,
        notice: None,
        cap: None,
    };
    let (source, sender, sender_name) = ("staff".to_owned(), "registrar".to_owned(), None);
    Alert { id: id.to_owned(), seq: None, content, source, sender, sender_name, created_at: minute(POSTED) }
}

/// Posts an alert, and returns its position in the sequence.
fn post<S: AlertStore>(store: &S, id: &str, audience: Audience) -> Option<u64> {
    block_on(store.post(alert(id, audience), zoned(POSTED))).unwrap().seq
}

/// Posts an alert with a start and an end, and returns its position in the sequence; `None` if it is scheduled.
fn post_for<S: AlertStore>(store: &S, id: &str, starts_at: Option<i64>, expires_at: Option<i64>) -> Option<u64> {
    let mut alert = alert(id, Audience::everyone());
    alert.content.starts_at = starts_at.map(minute);
    alert.content.expires_at = expires_at.map(minute);
    block_on(store.post(alert, zoned(POSTED))).unwrap().seq
}

fn visible<S: AlertStore>(
    store: &S,
    caller: Option<(&UserName, Role)>,
    since: u64,
    limit: usize,
) -> (Vec<String>, u64) {
    let span = Span { since, until: None, limit };
    describe(block_on(store.visible_to(Reader::new(caller, "The college".into()), span)).unwrap())
}

fn active<S: AlertStore>(store: &S, now: i64) -> Vec<String> {
    let span = Span { since: 0, until: None, limit: 10 };
    describe(block_on(store.active(Reader::default(), span, minute(now))).unwrap()).0
}

/// Describes each entry: `1 id`, or `2 -id` for a cancellation. Also returns the position after which the next page
/// starts.
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

pub(crate) fn readers_see_alerts_for_everyone_their_role_or_their_name<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let (ann, bob, eve) = (user("ann"), user("bob"), user("eve"));
    post(&store, "all", Audience::everyone());
    post(&store, "ann", Audience::for_user(ann.clone()));
    let staff_or_bob = Audience { roles: vec![Role::Staff], users: vec![UserRef(bob.clone())], ..Audience::default() };
    post(&store, "staff-or-bob", staff_or_bob);
    let (student, staff) = (Role::Student, Role::Staff);
    assert_eq!(visible(&store, None, 0, 9), (vec!["1 all".into()], 3));
    assert_eq!(visible(&store, Some((&ann, student)), 0, 9).0, ["1 all", "2 ann"]);
    assert_eq!(visible(&store, Some((&bob, student)), 0, 9).0, ["1 all", "3 staff-or-bob"]);
    assert_eq!(visible(&store, Some((&bob, staff)), 0, 9).0, ["1 all", "3 staff-or-bob"], "listed once");
    assert_eq!(visible(&store, Some((&eve, Role::Admin)), 0, 9).0, ["1 all"]);
    let full_page = visible(&store, Some((&ann, student)), 0, 1);
    assert_eq!(full_page, (vec!["1 all".into()], 1), "a full page ends at its last entry");
    assert_eq!(visible(&store, Some((&ann, student)), 1, 9), (vec!["2 ann".into()], 3));
    assert_eq!(visible(&store, None, 3, 9), (vec![], 3), "a reader at the end of the sequence gets nothing");
}

pub(crate) fn a_cancellation_is_announced_once_to_the_alerts_recipients<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let ann = user("ann");
    post(&store, "ann", Audience::for_user(ann.clone()));
    let cancel = |id: &str, at| block_on(store.cancel(id, minute(at))).unwrap();
    assert_eq!(cancel("ann", 101), CancelOutcome::Announced(2));
    assert_eq!(cancel("ann", 102), CancelOutcome::Unannounced);
    assert_eq!(cancel("unknown", 102), CancelOutcome::NotFound);
    assert_eq!(cancel("un\0known", 102), CancelOutcome::NotFound);
    assert_eq!(visible(&store, Some((&ann, Role::Student)), 0, 9).0, ["1 ann", "2 -ann"]);
    assert_eq!(visible(&store, None, 0, 9).0, Vec::<String>::new());
    let log = block_on(store.log_after(0, 9)).unwrap();
    assert!(log.iter().all(|entry| *entry.recipients.users == [ann.clone()] && !entry.recipients.is_broad()));
    let tail = block_on(store.log_after(1, 9)).unwrap();
    assert_eq!(tail.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(block_on(store.log_after(0, 1)).unwrap().len(), 1, "in pages");
}

/// Describes alerts to everyone: `id 1 3 -4` for an alert that was sent, corrected and cancelled at these
/// positions of the sequence.
fn describe_public(alerts: &[PublicAlert]) -> Vec<String> {
    let describe = |public: &PublicAlert| {
        assert_eq!(public.alert.seq, public.messages.last().map(|message| message.seq));
        let sign = |message: &PublicMessage| if message.is_cancellation { "-" } else { "" };
        let messages = public.messages.iter().map(|message| format!(" {}{}", sign(message), message.seq));
        std::iter::once(public.alert.id.clone()).chain(messages).collect::<String>()
    };
    alerts.iter().map(describe).collect()
}

pub(crate) fn public_alerts_are_listed_with_their_messages<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let public = |limit| describe_public(&block_on(store.public(limit)).unwrap());
    assert_eq!(public(9), Vec::<String>::new());
    post(&store, "a", Audience::everyone());
    post(&store, "ann", Audience::for_user(user("ann")));
    post(&store, "staff", Audience { roles: vec![Role::Staff], ..Audience::default() });
    post(&store, "b", Audience::everyone());
    post_for(&store, "later", Some(200), None);
    post_for(&store, "expired", None, Some(POSTED + 1));
    block_on(store.correct("a", corrected("Corrected", &Audience::everyone()), zoned(110))).unwrap();
    block_on(store.cancel("b", minute(120))).unwrap();
    block_on(store.cancel("ann", minute(120))).unwrap();
    assert_eq!(public(9), ["b 4 -7", "a 1 6", "expired 5"], "in the order of their last entries");
    assert_eq!(public(2), ["b 4 -7", "a 1 6"]);
    let one = |id: &str| block_on(store.public_alert(id)).unwrap();
    let a = one("a").unwrap();
    assert_eq!((a.alert.content.title.as_str(), a.alert.sender.as_str()), ("Corrected", "registrar"));
    assert_eq!(a.messages.iter().map(|message| message.at).collect::<Vec<_>>(), [minute(POSTED), minute(110)]);
    for id in ["ann", "staff", "later", "un\0known"] {
        assert_eq!(one(id), None, "{id}");
    }
    for at in 0..60 {
        block_on(store.correct("a", corrected("Again", &Audience::everyone()), zoned(130 + at))).unwrap();
    }
    assert_eq!(one("a").unwrap().messages.len(), PUBLIC_MESSAGES_MAX, "the newest ones");
    block_on(store.delete_before(minute(119), 9)).unwrap();
    assert_eq!(one("expired"), None);
}

/// Carries out a CAP message with this identifier, which refers to others.
fn take_cap<S: AlertStore>(store: &S, identifier: &str, action: CapAction, references: &[&str]) -> CapOutcome {
    let id = |identifier: &str| CapId {
        sender: "weather.example".to_owned(),
        identifier: identifier.to_owned(),
        sent: minute(POSTED),
    };
    let reference = |text: &&str| match text.strip_prefix("own ") {
        Some(alert) => CapReference::Alert(alert.to_owned()),
        None => CapReference::Message(id(text)),
    };
    let references = references.iter().map(reference).collect();
    block_on(store.take_cap(CapCommand { id: id(identifier), action, references }, zoned(POSTED))).unwrap()
}

pub(crate) fn cap_messages_are_carried_out_once<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let send = |alert: &str| CapAction::Send(Box::new(self::alert(alert, Audience::everyone())));
    let correct = |title: &str| CapAction::Correct(Box::new(corrected(title, &Audience::everyone())));
    let last = || block_on(store.stored_range()).unwrap().last;
    let repeated = |alert: &str| CapOutcome::Repeated(alert.to_owned());

    let CapOutcome::Sent(sent) = take_cap(&store, "1", send("a"), &[]) else { panic!("sent") };
    assert_eq!((sent.id.as_str(), sent.seq), ("a", Some(1)));
    assert_eq!(take_cap(&store, "1", send("again"), &[]), repeated("a"));
    assert_eq!((last(), block_on(store.alert("again")).unwrap()), (1, None), "nothing was sent");

    for unknown in [&["9"][..], &["own none"], &["own un\0known"], &[]] {
        assert_eq!(take_cap(&store, "2", correct("Corrected"), unknown), CapOutcome::Unknown, "{unknown:?}");
        assert_eq!(take_cap(&store, "2", CapAction::Cancel, unknown), CapOutcome::Unknown, "{unknown:?}");
    }
    // A message that was not carried out can be sent again.
    let outcome = take_cap(&store, "2", correct("Corrected"), &["9", "1", "1"]);
    let CapOutcome::Corrected { alert, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((alert.id.as_str(), alert.seq, alert.content.title.as_str()), ("a", Some(2), "Corrected"));
    assert_eq!(take_cap(&store, "2", correct("Twice"), &["1"]), repeated("a"));

    post(&store, "own", Audience::everyone());
    assert_eq!(take_cap(&store, "3", correct("Both"), &["2", "own own"]), CapOutcome::Several);
    let students = CapAction::Correct(Box::new(corrected("Others", &Audience::for_user(user("ann")))));
    assert_eq!(take_cap(&store, "3", students, &["own own"]), CapOutcome::Refused(CorrectionRefusal::OtherAudience));
    assert_eq!(last(), 3, "a refused correction is not sent");
    let both = CapOutcome::Cancelled { alerts: vec!["a".to_owned(), "own".to_owned()], seq: Some(5) };
    assert_eq!(take_cap(&store, "3", CapAction::Cancel, &["2", "own own"]), both);
    assert_eq!(take_cap(&store, "3", CapAction::Cancel, &["2", "own own"]), repeated("a"));
    let again = CapOutcome::Cancelled { alerts: vec!["a".to_owned()], seq: None };
    assert_eq!(take_cap(&store, "4", CapAction::Cancel, &["3"]), again, "by another message, once");
    assert_eq!(take_cap(&store, "5", correct("Late"), &["1"]), CapOutcome::Unknown);
    assert_eq!(last(), 5);

    block_on(store.delete_before(Timestamp::MAX, 99)).unwrap();
    assert!(matches!(take_cap(&store, "1", send("new"), &[]), CapOutcome::Sent(_)), "forgotten with the alert");
}

/// Returns the content of an alert with another title.
fn corrected(title: &str, audience: &Audience) -> AlertContent {
    alert(title, audience.clone()).content
}

pub(crate) fn a_correction_reaches_new_students_and_ends_acknowledgements<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(9), section("Y").seats(9).course("COURSE X")]);
    for command in [register("ann", "X"), register("bob", "Y")] {
        term.run_one(command);
    }
    let audience = json!({"users": ["dan", "ann"], "sections": ["2027-X"], "courses": ["COURSE X"]});
    let audience: Audience = serde_json::from_value(audience).unwrap();
    post(&term.store, "a", audience.clone());
    let ack = Ack { alert: "a".to_owned(), user: user("ann"), role: Role::Student, at: minute(POSTED) };
    assert_eq!(block_on(term.store.ack(vec![ack.clone()])), Ok(vec![true]));
    for command in [drop_section("bob", "Y"), register("eve", "X")] {
        term.run_one(command);
    }
    let store = &term.store;
    let correct = |id: &str, content: AlertContent| block_on(store.correct(id, content, zoned(110))).unwrap();

    let in_other_order = Audience { users: audience.users.iter().rev().cloned().collect(), ..audience.clone() };
    let outcome = correct("a", corrected("Room 13", &in_other_order));
    let CorrectOutcome::Corrected { alert: sent, acks_deleted } = outcome else { panic!("{outcome:?}") };
    assert_eq!((sent.seq, &*sent.content.title, acks_deleted), (Some(2), "Room 13", 1));
    assert_eq!(sent.content.audience, audience, "in the order in which the recipients are stored");
    let log = block_on(store.log_after(1, 9)).unwrap();
    let recipients: Vec<&str> = log[0].recipients.users.iter().map(UserName::as_str).collect();
    assert_eq!(recipients, ["ann", "bob", "dan", "eve"], "including those who have left and those who are new");
    let ann = log[0].recipients.groups[0] as usize;
    let membership = &log[0].recipients.memberships[ann];
    assert_eq!((membership.is_named, &*membership.sections, &*membership.courses), (true, &[0][..], &[0][..]));
    assert_eq!(visible(store, Some((&user("ann"), Role::Student)), 0, 9).0, ["2 a"], "once, as corrected");
    assert!(block_on(store.acked_by(user("ann"), vec!["a".to_owned()])).unwrap().is_empty());
    assert_eq!(block_on(store.ack(vec![ack])), Ok(vec![true]), "of the new text");
    assert_eq!(block_on(store.receipts("a", 9)).unwrap().map(|r| r.acknowledged_total), Some(1));

    let to_others = corrected("Room 13", &Audience::everyone());
    assert_eq!(correct("a", to_others), CorrectOutcome::Refused(CorrectionRefusal::OtherAudience));
    let later = AlertContent { starts_at: Some(minute(200)), ..corrected("Room 13", &audience) };
    assert_eq!(correct("a", later), CorrectOutcome::Refused(CorrectionRefusal::AlreadySent));
    assert_eq!(correct("unknown", corrected("x", &audience)), CorrectOutcome::NotFound);
    assert_eq!(correct("un\0known", corrected("x", &audience)), CorrectOutcome::NotFound);
    assert_eq!(block_on(store.stored_range()).unwrap().last, 2, "a refused correction is not sent");
    assert_eq!(block_on(store.cancel("a", minute(111))), Ok(CancelOutcome::Announced(3)));
    assert_eq!(correct("a", corrected("x", &audience)), CorrectOutcome::NotFound, "cancelled");
    assert_eq!(visible(store, Some((&user("ann"), Role::Student)), 0, 9).0, ["2 a", "3 -a"]);
}

pub(crate) fn a_scheduled_alert_is_corrected_in_all_parts<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let staff = Audience { roles: vec![Role::Staff], ..Audience::default() };
    for id in ["later", "now"] {
        assert_eq!(post_for(&store, id, Some(200), None), None);
    }
    let correct = |id: &str, starts_at: Option<i64>| {
        let content = AlertContent { starts_at: starts_at.map(minute), ..corrected("For staff", &staff) };
        match block_on(store.correct(id, content, zoned(110))).unwrap() {
            CorrectOutcome::Corrected { alert, .. } => alert.seq,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(correct("later", Some(150)), None);
    assert_eq!(block_on(store.next_due()), Ok(Some(minute(150))));
    assert_eq!(correct("now", None), Some(1), "sent at once");
    assert_eq!(block_on(store.release_due(zoned(150), 9)), Ok(1));
    assert_eq!(visible(&store, None, 0, 9).0, Vec::<String>::new());
    assert_eq!(visible(&store, Some((&user("sam"), Role::Staff)), 0, 9).0, ["1 now", "2 later"]);
    assert_eq!(block_on(store.release_due(zoned(300), 9)), Ok(0));
}

pub(crate) fn a_scheduled_alert_is_sent_when_due_unless_cancelled<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    assert_eq!(post_for(&store, "later", Some(200), None), None);
    assert_eq!(post_for(&store, "never", Some(150), None), None);
    assert_eq!(post_for(&store, "past", Some(50), None), Some(1));
    assert_eq!(block_on(store.next_due()), Ok(Some(minute(150))));
    let scheduled = block_on(store.scheduled(9)).unwrap();
    assert_eq!(scheduled.iter().map(|a| (&*a.id, a.seq)).collect::<Vec<_>>(), [("never", None), ("later", None)]);
    assert_eq!(block_on(store.cancel("never", minute(101))), Ok(CancelOutcome::Unannounced));
    assert_eq!(block_on(store.release_due(zoned(199), 9)), Ok(0));
    assert_eq!(block_on(store.release_due(zoned(200), 9)), Ok(1));
    assert_eq!(block_on(store.next_due()), Ok(None));
    assert_eq!(visible(&store, None, 0, 9).0, ["1 past", "2 later"]);
}

pub(crate) fn a_scheduled_alert_that_expired_before_it_was_sent_is_cancelled<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    post_for(&store, "over", Some(200), Some(300));
    post_for(&store, "still", Some(200), Some(301));
    assert_eq!(block_on(store.release_due(zoned(300), 9)), Ok(1), "the hub was stopped from 200 on");
    assert_eq!(visible(&store, None, 0, 9).0, ["1 still"]);
    assert_eq!(block_on(store.next_due()), Ok(None), "the expired alert is not due again");
    assert_eq!(block_on(store.scheduled(9)).unwrap().len(), 0);
}

pub(crate) fn scheduled_alerts_are_sent_soonest_first_and_in_parts<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for (id, starts_at) in [("c", 203), ("a", 201), ("b", 202)] {
        post_for(&store, id, Some(starts_at), None);
    }
    assert_eq!(block_on(store.release_due(zoned(300), 2)), Ok(2));
    assert_eq!(block_on(store.release_due(zoned(300), 2)), Ok(1));
    assert_eq!(visible(&store, None, 0, 9).0, ["1 a", "2 b", "3 c"]);
}

pub(crate) fn a_position_ahead_of_the_sequence_gets_everything_stored<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    post(&store, "a", Audience::everyone());
    post(&store, "b", Audience::everyone());
    assert_eq!(visible(&store, None, 2, 9), (vec![], 2));
    // The store was restored from a backup: the reader's position means nothing.
    assert_eq!(visible(&store, None, 3, 9), (vec!["1 a".to_owned(), "2 b".to_owned()], 2));
    assert_eq!(visible(&store, None, u64::MAX >> 1, 1), (vec!["1 a".to_owned()], 1), "in pages");
}

pub(crate) fn active_alerts_were_sent_and_are_not_expired_or_cancelled<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    post(&store, "always", Audience::everyone());
    post_for(&store, "short", None, Some(110));
    post(&store, "cancelled", Audience::everyone());
    post_for(&store, "scheduled", Some(500), None);
    block_on(store.cancel("cancelled", minute(101))).unwrap();
    assert_eq!(active(&store, 109), ["1 always", "2 short"]);
    assert_eq!(active(&store, 110), ["1 always"]);
    let by_staff = |limit, now| describe(block_on(store.sent_by_staff(limit, minute(now))).unwrap());
    assert_eq!(by_staff(9, 109), (vec!["1 always".to_owned(), "2 short".to_owned()], 4));
    assert_eq!(by_staff(1, 109).0, ["2 short"], "the newest");
    let by_hub = Alert { source: "registration".to_owned(), ..alert("by-hub", Audience::everyone()) };
    block_on(store.post(by_hub, zoned(POSTED))).unwrap();
    assert_eq!(by_staff(9, 110).0, ["1 always"]);
}

pub(crate) fn deleting_old_entries_leaves_no_gap_and_keeps_the_sequence<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for id in ["a", "b", "c"] {
        post(&store, id, Audience::for_user(user("ann")));
    }
    let ack = Ack { alert: "a".to_owned(), user: user("ann"), role: Role::Student, at: minute(POSTED) };
    assert_eq!(block_on(store.ack(vec![ack])), Ok(vec![true]));
    assert_eq!(block_on(store.delete_before(minute(100), 9)), Ok(0), "not older than the cutoff");
    assert_eq!(block_on(store.delete_before(minute(101), 2)), Ok(2));
    assert_eq!(block_on(store.stored_range()), Ok(StoredRange { first: 3, last: 3 }));
    assert_eq!(block_on(store.delete_before(minute(101), 9)), Ok(1));
    assert_eq!(block_on(store.stored_range()), Ok(StoredRange { first: 4, last: 3 }));
    drop(store);
    let store = fixture.open();
    assert_eq!(post(&store, "d", Audience::everyone()), Some(4));
    assert_eq!(block_on(store.cancel("a", minute(102))), Ok(CancelOutcome::NotFound));
    assert_eq!(block_on(store.receipts("a", 9)).unwrap(), None);
    assert!(block_on(store.acked_by(user("ann"), vec!["a".to_owned()])).unwrap().is_empty());
}

fn person(name: &str, role: Role) -> Person {
    Person { username: user(name), name: format!("Name of {name}"), role, source: None, last_seen: minute(0) }
}

/// Returns the names, in order.
fn sorted(people: HashSet<UserName>) -> String {
    let mut people: Vec<UserName> = people.into_iter().collect();
    people.sort();
    people.iter().map(UserName::as_str).collect::<Vec<_>>().join(" ")
}

pub(crate) fn people_in_an_audience_are_known_enrolled_or_named_users<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(2).course("OLD 1")]);
    term.import(vec![(section("X").seats(2).course("NEW 1"), None)]);
    for command in [register("ann", "X"), register("bob", "X"), register_or_wait("zoe", "X")] {
        term.run_one(command);
    }
    let known = vec![person("ann", Role::Student), person("sam", Role::Staff), person("was", Role::Student)];
    block_on(term.store.record_people(known)).unwrap();
    let account = Account {
        username: user("was"),
        name: "Was".to_owned(),
        rights: Role::Staff.into(),
        password_hash: "x".to_owned(),
    };
    block_on(term.store.put_account(account, None)).unwrap();
    let people_in = |store: &F::Store, audience: Value, now: ZonedDateTime| {
        let audience: Audience = serde_json::from_value(audience).unwrap();
        sorted(block_on(store.people_in(audience, now)).unwrap())
    };
    let now = |audience: Value| people_in(&term.store, audience, zoned(POSTED));
    assert_eq!(now(json!({"all": true})), "ann sam was");
    assert_eq!(now(json!({"roles": ["student"]})), "ann");
    assert_eq!(now(json!({"roles": ["staff"]})), "sam was");
    assert_eq!(now(json!({"sections": ["2027-X"], "users": ["ann", "new"]})), "ann bob new");
    assert_eq!(now(json!({"courses": ["NEW 1"]})), "ann bob");
    assert_eq!(now(json!({"courses": ["OLD 1"]})), "", "the course of a row that was replaced");

    let ended = TermPatch { ends_on: Some("2027-01-16".parse().ok()), ..TermPatch::default() };
    term.run_one(Command::PutTerm(ended));
    let after_midnight = "2027-01-17T01:00:00Z".parse::<jiff::Timestamp>().unwrap();
    for (hours, people) in [(0, ""), (-8, "ann bob")] {
        let there = after_midnight.to_zoned_datetime(TimeZone::fixed(Offset::constant(hours)));
        let found = people_in(&term.store, json!({"courses": ["NEW 1"]}), there);
        assert_eq!(found, people, "01:00 UTC is still the day before at UTC-8");
    }
}

pub(crate) fn recipients_are_resolved_when_an_alert_is_sent<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(9), section("Y").seats(9).course("COURSE X")]);
    for command in [register("ann", "X"), register("bob", "Y"), register("cid", "X"), register("zoë", "Y")] {
        term.run_one(command);
    }
    let audience = json!({"users": ["dan", "ann", "dan"], "sections": ["2027-X"], "courses": ["COURSE X", "OTHER"]});
    post(&term.store, "a", serde_json::from_value(audience).unwrap());
    term.run_one(register("eve", "X"));
    let log = block_on(term.store.log_after(0, 9)).unwrap();
    let recipients = &log[0].recipients;
    let described: Vec<String> = recipients
        .users
        .iter()
        .zip(&*recipients.groups)
        .map(|(name, group)| {
            let membership = &recipients.memberships[*group as usize];
            format!("{name} {} {:?} {:?}", membership.is_named, membership.sections, membership.courses)
        })
        .collect();
    let expected = ["ann true [0] [0]", "bob false [] [0]", "cid false [0] [0]", "dan true [] []", "zoë false [] [0]"];
    assert_eq!(described, expected, "by name, without students who registered later");
    assert_eq!(recipients.memberships.len(), 4, "equal memberships are stored once");
}

pub(crate) fn acknowledgements_are_counted_once_and_only_from_recipients<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    block_on(store.record_people(vec![person("ann", Role::Student), person("sam", Role::Staff)])).unwrap();
    let audience = json!({"roles": ["staff"], "users": ["ann", "bob", "Zed", "\u{e9}va"]});
    post(&store, "a", serde_json::from_value(audience).unwrap());
    post_for(&store, "scheduled", Some(500), None);
    let ack =
        |alert: &str, name: &str, role, at| Ack { alert: alert.to_owned(), user: user(name), role, at: minute(at) };
    let (student, staff) = (Role::Student, Role::Staff);
    let acks = vec![
        ack("a", "bob", student, 103),
        ack("a", "eve", student, 103),
        ack("a", "sam", staff, 102),
        ack("a", "bob", student, 101),
        ack("scheduled", "ann", student, 101),
        ack("unknown", "ann", student, 101),
    ];
    assert_eq!(block_on(store.ack(acks)), Ok(vec![true, false, true, true, false, false]));
    assert_eq!(block_on(store.ack(vec![ack("a", "sam", staff, 109)])), Ok(vec![true]), "repeated");
    assert_eq!(block_on(store.ack(Vec::new())), Ok(Vec::new()));
    let acked = block_on(store.acked_by(user("bob"), vec!["a".to_owned(), "scheduled".to_owned()])).unwrap();
    assert_eq!(acked, HashSet::from(["a".to_owned()]));

    let receipts = block_on(store.receipts("a", 2)).unwrap().unwrap();
    let describe = |receipts: &[Receipt]| -> Vec<(String, Option<jiff::Timestamp>)> {
        receipts.iter().map(|receipt| (receipt.name.clone(), receipt.acknowledged_at)).collect()
    };
    let acknowledged = [("Name of sam".to_owned(), Some(minute(102))), ("bob".to_owned(), Some(minute(103)))];
    assert_eq!(describe(&receipts.acknowledged), acknowledged, "the first of each, earliest first");
    assert_eq!(receipts.acknowledged_total, 2);
    let unacknowledged = [("Zed".to_owned(), None), ("Name of ann".to_owned(), None)];
    assert_eq!(describe(&receipts.unacknowledged), unacknowledged, "by bytes, at most two");
    assert_eq!(receipts.unacknowledged_total, 3);
    assert_eq!((receipts.recipients.roles, receipts.recipients.users.len()), (Role::Staff.bit(), 4));
    let scheduled = block_on(store.receipts("scheduled", 2)).unwrap().unwrap();
    assert_eq!((scheduled.unacknowledged_total, scheduled.recipients.everyone), (0, false), "not sent yet");
}
