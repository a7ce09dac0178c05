//! An auditor that reads the tables with SQL. It uses no code of the hub: it counts the seats, recomputes the chain of
//! attempts as in `docs/SEMANTICS.md`, replays the attempts, and compares the result with every response and every
//! receipt.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, NoTls, Row};
use uuid::Uuid;

use super::TERM;
use super::students::{DeviceRecord, Outcome};
use super::trio::Shared;
use crate::support::schedule::Schedule;

/// A student and a CRN.
type Key = (String, String);

/// A stored attempt.
struct Attempt {
    key: Key,
    action: &'static str,
    result: String,
    hash: String,
}

/// The contents of the tables for the term.
pub(super) struct Tables {
    /// Status of each registration that has not been dropped.
    registrations: BTreeMap<Key, String>,
    /// Enrolled and waitlisted students by CRN, as the hub counted them.
    counts: BTreeMap<String, (i64, i64)>,
    /// All attempts, oldest first.
    attempts: Vec<Attempt>,
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn action(code: i64) -> &'static str {
    ["register", "drop", "promote", "lapse"][usize::try_from(code).unwrap()]
}

fn asker(code: i64) -> &'static str {
    ["self", "staff", "promotion", "system"][usize::try_from(code).unwrap()]
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Reads an attempt, and checks its hash and the commitment to its student.
fn attempt(row: &Row, n: usize, before: &mut Vec<u8>) -> Attempt {
    let (stored, user, salt, commitment): (i64, String, Vec<u8>, Vec<u8>) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    assert_eq!(usize::try_from(stored).unwrap(), n, "attempts are numbered without gaps");
    assert_eq!(Sha256::new().chain_update(&salt).chain_update(&user).finalize()[..], commitment, "{user}");
    let (received_at, decided_at): (i64, i64) = (row.get(4), row.get(5));
    let (crn, action, result): (String, &str, String) = (row.get(6), action(row.get(7)), row.get(8));
    let canonical = [
        "1".to_owned(),
        TERM.to_owned(),
        n.to_string(),
        received_at.to_string(),
        decided_at.to_string(),
        hexadecimal(&commitment),
        crn.clone(),
        action.to_owned(),
        result.clone(),
        u8::from(row.get::<_, bool>(9)).to_string(),
        or_dash(row.get::<_, Option<i64>>(10)),
        or_dash(row.get::<_, Option<i64>>(11)),
        asker(row.get(12)).to_owned(),
        or_dash(row.get::<_, Option<Uuid>>(13)),
    ];
    let hash = Sha256::new().chain_update(&*before).chain_update(canonical.join("\t")).finalize();
    assert_eq!(hexadecimal(&hash), hexadecimal(row.get(14)), "the hash of attempt {n}: {canonical:?}");
    *before = hash.to_vec();
    Attempt { key: (user, crn), action, result, hash: hexadecimal(&hash) }
}

async fn read(client: &Client) -> Tables {
    let query = async |sql: &str| client.query(sql, &[&TERM]).await.expect("the tables can be read");
    let registrations = "SELECT username, crn, standing FROM registrations WHERE term = $1 AND standing <> 'dropped'";
    let counts = "SELECT crn, enrolled, waitlisted FROM seats WHERE term = $1";
    let attempts = "SELECT a.n, s.username, s.salt, s.commitment, a.received_at, a.decided_at, a.crn, a.action,
            a.result, a.repeated, a.position, a.open, a.asker, a.request_id, a.hash
         FROM attempts AS a LEFT JOIN attempt_students AS s ON s.term = a.term AND s.id = a.student
         WHERE a.term = $1 ORDER BY a.n";
    let (mut n, mut before) = (0, vec![0; 32]);
    let attempts: Vec<Attempt> = query(attempts)
        .await
        .iter()
        .map(|row| {
            n += 1;
            attempt(row, n, &mut before)
        })
        .collect();
    let end = client.query_one("SELECT n, head FROM attempt_chains WHERE term = $1", &[&TERM]).await.expect("a chain");
    let head: Vec<u8> = end.get(1);
    assert_eq!((usize::try_from(end.get::<_, i64>(0)).unwrap(), head), (n, before), "the end of the chain");
    Tables {
        registrations: query(registrations).await.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect(),
        counts: query(counts).await.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect(),
        attempts,
    }
}

impl Tables {
    /// Runs `change` in a transaction, reads the tables in it, and rolls it back.
    pub(super) fn read_with(shared: &Shared, change: &str) -> Self {
        let url = shared.cluster().url(shared.name());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connected = tokio_postgres::connect(&url, NoTls).await;
            let (client, connection) = connected.expect("PostgreSQL accepts connections");
            tokio::spawn(connection);
            client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
            client.batch_execute(change).await.unwrap();
            let tables = read(&client).await;
            client.batch_execute("ROLLBACK").await.unwrap();
            tables
        })
    }

    /// Reads the tables in one transaction.
    pub(super) fn read(shared: &Shared) -> Self {
        Self::read_with(shared, "")
    }

    /// Compares the tables with the responses of the hubs, and with the seats that they show.
    pub(super) fn audit(&self, schedule: &Schedule, records: &[DeviceRecord], shown: &Value) {
        self.audit_sections(schedule, shown);
        self.audit_students(schedule);
        self.audit_history(schedule);
        let devices = records.iter().fold(BTreeMap::<&str, usize>::new(), |mut devices, one| {
            *devices.entry(&one.student).or_default() += 1;
            devices
        });
        for one in records {
            self.audit_receipts(one);
            self.audit_outcomes(one, devices[&*one.student] == 1);
        }
    }

    /// Checks that no section is oversold, and that the counts are those of the registrations.
    fn audit_sections(&self, schedule: &Schedule, shown: &Value) {
        for row in &schedule.rows {
            let count = |status: &str| {
                let has = |(key, of): &(&Key, &String)| key.1 == row.crn && *of == status;
                i64::try_from(self.registrations.iter().filter(has).count()).unwrap()
            };
            let (enrolled, waitlisted) = (count("enrolled"), count("waitlisted"));
            assert!(enrolled <= i64::from(row.capacity), "{} is oversold: {enrolled} of {}", row.crn, row.capacity);
            assert!(waitlisted <= i64::from(row.waitlist), "the waitlist of {}: {waitlisted}", row.crn);
            let counted = self.counts.get(&row.crn).copied().unwrap_or_default();
            assert_eq!(counted, (enrolled, waitlisted), "the counts of {}", row.crn);
            let expected = json!([schedule.id(row), row.capacity, enrolled, waitlisted]);
            let rows = shown["seats"].as_array().expect("seats");
            let is_shown = rows.iter().any(|shown| shown.as_array().unwrap()[..4] == expected.as_array().unwrap()[..]);
            assert!(is_shown, "the hubs show {expected}: {shown}");
        }
    }

    /// Checks that no student has two sections that exclude each other.
    fn audit_students(&self, schedule: &Schedule) {
        let mut of_student = BTreeMap::<&str, Vec<&str>>::new();
        for (student, crn) in self.registrations.keys() {
            of_student.entry(student).or_default().push(crn);
        }
        for (student, crns) in of_student {
            let rows: Vec<_> = schedule.rows.iter().filter(|row| crns.contains(&&*row.crn)).collect();
            for (index, one) in rows.iter().enumerate() {
                for other in &rows[index + 1..] {
                    assert!(!one.conflicts_with(other), "{student} has both {one:?} and {other:?}");
                }
            }
        }
    }

    /// Checks that the attempts, in their order, never give more seats than there are, give each seat once, and lead to
    /// the stored registrations.
    fn audit_history(&self, schedule: &Schedule) {
        let mut held = BTreeMap::<Key, String>::new();
        let mut taken = BTreeMap::<&str, u32>::new();
        for (index, attempt) in self.attempts.iter().enumerate() {
            let n = index + 1;
            let (status, before) = (&*attempt.result, held.get(&attempt.key).map(String::as_str));
            let count = taken.entry(&attempt.key.1).or_default();
            match (attempt.action, status) {
                ("register", "enrolled") | ("promote", "enrolled") if before != Some("enrolled") => {
                    *count += 1;
                    let capacity = schedule.row(&format!("{TERM}-{}", attempt.key.1)).capacity;
                    assert!(*count <= capacity, "attempt {n} gives seat {count} of {capacity} in {}", attempt.key.1);
                    held.insert(attempt.key.clone(), status.to_owned());
                }
                ("promote", "enrolled") => panic!("attempt {n} promotes a student who has the seat"),
                ("register", "waitlisted") => {
                    assert_ne!(before, Some("enrolled"), "attempt {n} puts an enrolled student on the waitlist");
                    held.insert(attempt.key.clone(), status.to_owned());
                }
                ("drop", "dropped") => {
                    *count -= u32::from(held.remove(&attempt.key).as_deref() == Some("enrolled"));
                }
                _ => {}
            }
        }
        let (held, stored): (BTreeSet<_>, BTreeSet<_>) = (held.iter().collect(), self.registrations.iter().collect());
        let different: Vec<_> = held.symmetric_difference(&stored).collect();
        assert!(different.is_empty(), "the attempts do not lead to the stored registrations: {different:?}");
    }

    /// Checks that each receipt belongs to the stored attempt that it names.
    fn audit_receipts(&self, record: &DeviceRecord) {
        for receipt in &record.receipts {
            let index = usize::try_from(receipt.n - 1).unwrap();
            let stored = self.attempts.get(index).unwrap_or_else(|| panic!("no attempt for {receipt:?}"));
            let found = (&stored.key.0, &stored.key.1, &stored.result, &stored.hash);
            assert_eq!(found, (&record.student, &receipt.crn, &receipt.result, &receipt.hash), "{receipt:?}");
        }
    }

    /// Checks that the store agrees with the last response about each section. With two devices, the other one may
    /// have taken a seat later.
    fn audit_outcomes(&self, record: &DeviceRecord, is_only_device: bool) {
        for (crn, (outcome, is_unanswered)) in &record.last {
            let key = (record.student.clone(), crn.clone());
            let stored = self.registrations.get(&key).map(String::as_str);
            let is_right = match outcome {
                Outcome::Enrolled => stored == Some("enrolled"),
                // A freed seat goes to the waitlist.
                Outcome::Waitlisted => stored.is_some(),
                Outcome::Dropped | Outcome::Refused(_) => stored.is_none() || *is_unanswered || !is_only_device,
            };
            assert!(is_right, "{} received {outcome:?} for {crn}, and the store has {stored:?}", record.student);
        }
    }
}
