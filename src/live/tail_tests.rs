//! Tests of the tail: it has what the live delivery sent and the store contains, within its bounds.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::*;
use crate::domain::alert::{Alert, AlertContent, Category, Priority};
use crate::live::replay::REPLAY_PAGE_LEN;
use crate::store::alerts::{Entry, Reader, Recipients, Span};
use crate::store::sqlite::{SqliteOptions, SqliteStore};

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn everyone() -> Recipients {
    Recipients { everyone: true, ..Recipients::default() }
}

/// Returns the frame of an entry for everyone whose text has `len` bytes more than an empty one.
fn frame(seq: u64, len: usize) -> Arc<AlertFrame> {
    Arc::new(frame_of(LogEntry { seq, entry: Entry::Cancelled("x".repeat(len)), recipients: everyone() }))
}

fn frame_of(entry: LogEntry) -> AlertFrame {
    AlertFrame::new(entry, "The college".into())
}

/// Returns a tail that continues after `from` and contains entries of `len` bytes up to `to`.
fn tail(from: u64, to: u64, len: usize) -> AlertTail {
    let tail = AlertTail::default();
    tail.clear(from);
    tail.append(&(from + 1..=to).map(|seq| frame(seq, len)).collect::<Vec<_>>());
    tail
}

/// Returns the first and last position of the tail's range, and the number of its entries.
fn extent(tail: &AlertTail) -> (u64, u64, usize) {
    let entries = tail.entries.read();
    assert_eq!(entries.bytes, entries.frames.iter().map(|frame| frame.byte_size()).sum::<usize>());
    (entries.from + 1, entries.to, entries.frames.len())
}

/// Reads a replay of (`since`, `until`] page by page; `None` when a part of it is not in the tail.
fn replay(tail: &AlertTail, caller: Option<(&UserName, Role)>, since: u64, until: u64) -> Option<Vec<(u64, String)>> {
    let (mut replayed, mut after) = (Vec::new(), since);
    while after < until {
        let page = tail.page(caller, after, until)?;
        assert!(page.after > after && page.after <= until, "every page makes progress");
        replayed.extend(page.frames.into_iter().map(|(seq, text)| (seq, text.to_string())));
        after = page.after;
    }
    Some(replayed)
}

#[test]
fn the_oldest_entries_leave_at_the_bounds_of_number_and_memory() {
    assert_eq!(extent(&tail(10, 20, 5)), (11, 20, 10));
    let most = ENTRIES_MAX as u64;
    assert_eq!(extent(&tail(0, most + 7, 5)), (8, most + 7, ENTRIES_MAX));
    // Each text counts three times: the entry, and the texts for staff and for others.
    let large = tail(0, 100, BYTES_MAX / 30);
    assert_eq!(extent(&large), (92, 100, 9));
    assert!(large.bytes().0 <= large.bytes().1);
    assert_eq!(extent(&tail(0, 3, BYTES_MAX)), (4, 3, 0), "an entry over the bound leaves the tail empty");
}

#[test]
fn a_large_audience_counts_toward_the_memory() {
    let users = (0..1_000).map(|number| user(&format!("student-{number:04}"))).collect();
    let recipients = Recipients { users, ..Recipients::default() };
    let frame = frame_of(LogEntry { seq: 1, entry: Entry::Cancelled(String::new()), recipients });
    assert!(frame.byte_size() > 1_000 * "student-0000".len());
}

#[test]
fn only_positions_within_the_tail_are_replayed_from_memory() {
    let tail = tail(10, 20, 5);
    let range = Some(StoredRange { first: 11, last: 20 });
    for (since, expected) in [(9, None), (10, range), (15, range), (20, range), (21, None)] {
        assert_eq!(tail.range(since), expected, "since {since}");
    }
    let positions = |after, until| replay(&tail, None, after, until).map(|frames| frames.iter().map(|f| f.0).collect());
    assert_eq!(positions(9, 15), None);
    assert_eq!(positions(15, 21), None);
    assert_eq!(positions(10, 20), Some((11..=20).collect::<Vec<_>>()));
    assert_eq!(positions(12, 14), Some(vec![13, 14]));
    let [(_, memory), (_, store)] = tail.reads();
    assert_eq!((memory, store), (5, 4));
}

#[test]
fn entries_that_are_no_longer_stored_leave_the_tail() {
    let tail = tail(10, 20, 5);
    for (first, expected) in [(5, (11, 20, 10)), (16, (16, 20, 5)), (21, (21, 20, 0)), (40, (21, 20, 0))] {
        tail.trim(first);
        assert_eq!(extent(&tail), expected, "the first stored entry is {first}");
    }
    tail.append(&[frame(21, 5)]);
    assert_eq!(extent(&tail), (21, 21, 1));
}

#[test]
fn entries_that_are_appended_again_are_in_the_tail_once() {
    let tail = tail(0, 10, 5);
    tail.append(&(6..=12).map(|seq| frame(seq, 5)).collect::<Vec<_>>());
    assert_eq!(extent(&tail), (1, 12, 12));
}

#[test]
fn a_page_fits_into_one_burst() {
    for (len, expected) in [(1_000, 7), (BURST_LEN_MAX, 1), (2 * BURST_LEN_MAX, 1)] {
        let page = tail(0, 40, len).page(None, 3, 40).unwrap();
        assert_eq!((page.frames.len(), page.after), (expected, 3 + expected as u64), "entries of {len} bytes");
    }
}

/// A term with two sections of a course, and a student in each of them.
const PEOPLE: &str = "
    INSERT INTO terms VALUES ('t1', 't1', NULL, '9999-01-01', NULL, NULL, '[]', 1, 1, 1, '[]', 1, '{}', '{}');
    INSERT INTO sections SELECT 't1', crn, 0, 'MATH 1', 'lecture', NULL, NULL, 0, NULL, NULL,
        NULL, '[]', 9, 0, 'open', '[]', '[]', 0, 0, NULL, NULL, 0, 1, NULL, NULL, NULL, '[]', '[]', NULL FROM (SELECT '1' AS crn UNION SELECT '2');
    INSERT INTO registrations (term, user, crn, standing, place, at, passed, seq) VALUES ('t1', 'ann', '1', 'enrolled', 0, 0, NULL, 1),
        ('t1', 'bob', '2', 'enrolled', 0, 0, NULL, 1);";

/// Ann leaves her section, and Cyd takes her seat.
const SWAP: &str = "
    DELETE FROM registrations WHERE user = 'ann';
    INSERT INTO registrations (term, user, crn, standing, place, at, passed, seq) VALUES ('t1', 'cyd', '1', 'enrolled', 0, 0, NULL, 1);";

async fn post(store: &SqliteStore, index: usize, audience: &Value) {
    let now = Timestamp::from_second(1_000).unwrap();
    let content = AlertContent {
        title: format!("Alert {index}"),
        message: "Room 12 is flooded. ".repeat(1 + index % 7 * 10),
        priority: Priority::Medium,
        category: Category::System,
        audience: serde_json::from_value(audience.clone()).unwrap(),
        starts_at: None,
        expires_at: None,
        requires_ack: false,
        notice: None,
        cap: None,
    };
    let (source, sender) = ("staff".to_owned(), "registrar".to_owned());
    let id = index.to_string();
    let alert = Alert { id, seq: None, content, source, sender, sender_name: None, created_at: now };
    store.post(alert, now.to_zoned_datetime(TimeZone::UTC)).await.unwrap();
}

/// Stores alerts to all kinds of audiences, and cancellations, while the students of a section change.
async fn store_with_alerts() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(SqliteOptions { path: folder.path().join("tail.db"), outbox: None }).unwrap();
    store.write(|tx| tx.execute_batch(PEOPLE)).await.unwrap();
    let audiences = [
        json!({"all": true}),
        json!({"roles": ["student"]}),
        json!({"roles": ["staff", "admin"]}),
        json!({"users": ["ann"]}),
        json!({"users": ["bob", "cyd"], "roles": ["admin"]}),
        json!({"sections": ["t1-1"]}),
        json!({"courses": ["MATH 1"]}),
    ];
    for index in 0..70 {
        post(&store, index, &audiences[index % audiences.len()]).await;
        if index == 35 {
            store.write(|tx| tx.execute_batch(SWAP)).await.unwrap();
        }
        if index % 5 == 4 {
            store.cancel(&(index - 3).to_string(), Timestamp::from_second(1_001).unwrap()).await.unwrap();
        }
    }
    (store, folder)
}

/// Reads a replay from the store, page by page.
async fn replay_from_store(
    store: &SqliteStore,
    caller: Option<(&UserName, Role)>,
    since: u64,
    until: u64,
) -> Vec<(u64, String)> {
    let (mut replayed, mut after) = (Vec::new(), since);
    while after < until {
        let span = Span { since: after, until: Some(until), limit: REPLAY_PAGE_LEN };
        let page = store.visible_to(Reader::new(caller, "The college".into()), span).await.unwrap();
        let page = ReplayPage::from_store(&page, until);
        replayed.extend(page.frames.into_iter().map(|(seq, text)| (seq, text.to_string())));
        after = page.after;
    }
    replayed
}

#[actix_rt::test]
async fn a_replay_from_memory_equals_the_live_delivery_and_the_store() {
    let (store, _folder) = store_with_alerts().await;
    let loaded = AlertTail::default();
    let last = loaded.load(&store, frame_of).await.unwrap();
    assert_eq!((last, extent(&loaded)), (84, (1, 84, 84)));
    // The broker appends what it sends to the relays.
    let sent = AlertTail::default();
    let entries = store.log_after(0, 100).await.unwrap();
    let log: Vec<_> = entries.into_iter().map(|entry| Arc::new(frame_of(entry))).collect();
    log.chunks(3).for_each(|batch| sent.append(batch));

    let (ann, bob, cyd, sam) = (user("ann"), user("bob"), user("cyd"), user("sam"));
    let callers = [
        None,
        Some((&ann, Role::Student)),
        Some((&bob, Role::Student)),
        Some((&cyd, Role::Student)),
        Some((&sam, Role::Staff)),
        Some((&sam, Role::Admin)),
    ];
    let mut received = Vec::new();
    for caller in callers {
        for (since, until) in [(0, last), (1, last), (29, last), (30, 61), (last - 1, last), (last, last)] {
            let live = log.iter().filter(|frame| since < frame.seq && frame.seq <= until);
            let live: Vec<_> =
                live.filter_map(|frame| Some((frame.seq, frame.text_for(caller)?.to_string()))).collect();
            let what = format!("{caller:?} from {since} to {until}");
            assert_eq!(replay(&loaded, caller, since, until).as_ref(), Some(&live), "{what}");
            assert_eq!(replay(&sent, caller, since, until).as_ref(), Some(&live), "{what}");
            assert_eq!(replay_from_store(&store, caller, since, until).await, live, "{what}");
            received.push(live.len());
        }
    }
    assert!(received.iter().step_by(6).all(|count| (10..last as usize).contains(count)), "{received:?}");
}

#[actix_rt::test]
async fn a_loaded_tail_starts_at_the_first_stored_entry() {
    let (store, _folder) = store_with_alerts().await;
    store.delete_before(Timestamp::MAX, 80).await.unwrap();
    let tail = AlertTail::default();
    assert_eq!(tail.load(&store, frame_of).await.unwrap(), 84);
    assert_eq!(extent(&tail), (81, 84, 4));
    assert_eq!(tail.range(79), None, "the stored range decides which alerts are missing");
    store.delete_before(Timestamp::MAX, 80).await.unwrap();
    assert_eq!(tail.load(&store, frame_of).await.unwrap(), 84);
    assert_eq!(extent(&tail), (85, 84, 0));
}
