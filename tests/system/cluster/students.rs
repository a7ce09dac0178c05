//! Students at all hubs, who want the same sections, and the responses that they received.
//!
//! A student does what a page and its user do: a request that fails or takes too long is repeated at another hub, until
//! a hub has answered it. Every fifth student has two devices, which request the same sections at the same time.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::trio::{HUBS, Trio};
use super::{SECTIONS, TERM, has_waitlist, schedule};
use crate::support::WAIT_MAX;
use crate::support::http::{Client, Response};
use crate::support::random::Random;
use crate::support::wait::eventually;

/// Number of threads, each of which acts for one device after another.
const THREADS: usize = 12;
/// How long a device waits for a response before it repeats the request at another hub.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a device avoids a hub that has failed, as a load balancer does.
const AVOIDED: Duration = Duration::from_millis(500);
/// The pause before a request is repeated.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest time in which a hub must respond to one request of a device.
const RESPONSE_MAX: Duration = WAIT_MAX.saturating_mul(3);
/// One student in this many has two devices.
const TWO_DEVICES: usize = 5;
/// The percentage of registrations that are dropped again, unless the student has two devices.
const DROPPED_PERCENT: usize = 12;

/// The last response about one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Enrolled,
    Waitlisted,
    Dropped,
    /// The code of the refusal.
    Refused(String),
}

/// A receipt, with the section and the outcome to which it belongs.
#[derive(Debug, Clone)]
pub(super) struct Receipt {
    pub(super) n: i64,
    pub(super) hash: String,
    pub(super) crn: String,
    /// The status, or the code of the refusal.
    pub(super) result: String,
}

/// The responses of the hubs to one device of a student.
#[derive(Debug, Default)]
pub(super) struct DeviceRecord {
    pub(super) student: String,
    /// The last response about each section, by CRN; and whether an earlier request for it has no response, so that a
    /// hub may still carry it out.
    pub(super) last: BTreeMap<String, (Outcome, bool)>,
    pub(super) receipts: Vec<Receipt>,
    /// Requests without a response, because the connection failed or the response took longer than [`PATIENCE`].
    pub(super) unanswered: usize,
    /// Requests that were answered with 503.
    pub(super) refused_now: usize,
}

/// The number of sections requested so far, by which the faults are timed.
pub(super) struct Progress {
    done: AtomicUsize,
    all: usize,
}

impl Progress {
    /// Waits until this percentage of all requests for sections has been made.
    pub(super) fn wait_for(&self, percent: usize) {
        self.wait_until(self.all * percent / 100);
    }

    /// Waits until this many more sections, or all of them, have been requested.
    pub(super) fn wait_for_more(&self, count: usize) {
        self.wait_until((self.done.load(Ordering::Relaxed) + count).min(self.all));
    }

    fn wait_until(&self, target: usize) {
        let mut done = self.done.load(Ordering::Relaxed);
        while done < target {
            // The deadline applies to each request, so that it does not depend on the number of students.
            done = eventually("the next request", || {
                let now = self.done.load(Ordering::Relaxed);
                (now > done).then_some(now)
            });
        }
    }
}

/// The hubs as the devices see them.
struct Balancer<'a> {
    trio: &'a Trio,
    started: Instant,
    /// The time until which each hub is avoided, in milliseconds since `started`.
    avoided_until: [AtomicU64; HUBS],
}

impl Balancer<'_> {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap()
    }

    fn avoid(&self, hub: usize) {
        let until = self.now() + u64::try_from(AVOIDED.as_millis()).unwrap();
        self.avoided_until[hub].store(until, Ordering::Relaxed);
    }

    /// Returns a random hub, preferably one that has not failed recently.
    fn pick(&self, random: &mut Random) -> usize {
        let first = random.below(HUBS);
        let hubs = (0..HUBS).map(|offset| (first + offset) % HUBS);
        let now = self.now();
        let is_good = |hub: &usize| self.avoided_until[*hub].load(Ordering::Relaxed) <= now;
        hubs.clone().find(is_good).unwrap_or(first)
    }
}

/// One device of a student.
struct Device<'a> {
    balancer: &'a Balancer<'a>,
    token: &'a str,
    connections: [Option<Client>; HUBS],
    random: Random,
    record: DeviceRecord,
}

impl Device<'_> {
    fn call(&mut self, hub: usize, method: &str, path: &str) -> io::Result<Response> {
        if self.connections[hub].is_none() {
            let address = self.balancer.trio.address(hub).ok_or(io::ErrorKind::ConnectionRefused)?;
            let mut client = Client::connect(address)?.signed_in(self.token);
            client.stream().set_read_timeout(Some(PATIENCE))?;
            self.connections[hub] = Some(client);
        }
        let client = self.connections[hub].as_mut().expect("set above");
        client.call(method, path, &[], b"")
    }

    /// Repeats a request until a response has a status other than 503. Also returns whether the outcome of an earlier
    /// try is unknown.
    fn call_until_answered(&mut self, method: &str, path: &str) -> (Response, bool) {
        let deadline = Instant::now() + RESPONSE_MAX;
        let mut is_unanswered = false;
        loop {
            let hub = self.balancer.pick(&mut self.random);
            match self.call(hub, method, path) {
                Ok(response) if response.status == 503 => {
                    self.record.refused_now += 1;
                    is_unanswered |= response.code() == "outcome_unknown";
                    assert!(["outcome_unknown", "overloaded"].contains(&&*response.code()), "{}", response.text());
                }
                Ok(response) => return (response, is_unanswered),
                Err(_) => {
                    self.connections[hub] = None;
                    self.record.unanswered += 1;
                    is_unanswered = true;
                }
            }
            assert!(Instant::now() < deadline, "no hub responds to {method} {path}");
            self.balancer.avoid(hub);
            thread::sleep(PAUSE);
        }
    }

    /// Requests a section and records the response.
    fn request(&mut self, method: &str, crn: &str, waitlist: bool) -> Outcome {
        let query = if waitlist { "?waitlist=true" } else { "" };
        let path = format!("/api/v1/me/registrations/{TERM}-{crn}{query}");
        let (response, is_unanswered) = self.call_until_answered(method, &path);
        let body = response.json();
        let (outcome, result) = match response.status {
            200 | 201 => match body["status"].as_str() {
                Some("enrolled") => (Outcome::Enrolled, "enrolled".to_owned()),
                Some("waitlisted") => (Outcome::Waitlisted, "waitlisted".to_owned()),
                Some("dropped") => (Outcome::Dropped, "dropped".to_owned()),
                _ => panic!("{method} {path}: {body}"),
            },
            409 => (Outcome::Refused(response.code()), response.code()),
            _ => panic!("{method} {path}: {} {body}", response.status),
        };
        let receipt = |name: &str| -> &Value { &body["receipt"][name] };
        self.record.receipts.push(Receipt {
            n: receipt("n").as_i64().unwrap_or_else(|| panic!("no receipt: {body}")),
            hash: receipt("hash").as_str().expect("a hash").to_owned(),
            crn: crn.to_owned(),
            result,
        });
        let before = self.record.last.get(crn).is_some_and(|(_, unanswered)| *unanswered);
        self.record.last.insert(crn.to_owned(), (outcome.clone(), before || is_unanswered));
        outcome
    }

    /// Requests all sections in a random order, joins waitlists, and, if `drops`, drops some sections again.
    fn run(&mut self, drops: bool, progress: &Progress) {
        let schedule = schedule(self.balancer.trio.students);
        let mut order: Vec<usize> = (0..SECTIONS as usize).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.random.below(last + 1));
        }
        for index in order {
            let crn = &schedule.rows[index].crn;
            let mut outcome = self.request("PUT", crn, false);
            if outcome == Outcome::Refused("section_full".to_owned()) && has_waitlist(u32::try_from(index).unwrap()) {
                outcome = self.request("PUT", crn, true);
            }
            let is_registered = matches!(outcome, Outcome::Enrolled | Outcome::Waitlisted);
            // A request without a response could be carried out after the drop.
            let is_unanswered = self.record.last[crn].1;
            if drops && is_registered && !is_unanswered && self.random.percent(DROPPED_PERCENT) {
                self.request("DELETE", crn, false);
            }
            progress.done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lets all students request all sections while `faults` runs. Returns the responses that each device received.
pub(super) fn register(trio: &Trio, seed: u64, faults: impl FnOnce(&Progress) + Send) -> Vec<DeviceRecord> {
    let tokens = trio.home(0).tokens("student", "student", trio.students);
    let devices: Vec<usize> =
        (0..trio.students).flat_map(|student| vec![student; if student % TWO_DEVICES == 0 { 2 } else { 1 }]).collect();
    let progress = Progress { done: AtomicUsize::new(0), all: devices.len() * SECTIONS as usize };
    let balancer = Balancer { trio, started: Instant::now(), avoided_until: Default::default() };
    // Both devices of a student are at work at the same time, because the next free thread takes the next device.
    let next = AtomicUsize::new(0);
    let records: Vec<DeviceRecord> = thread::scope(|scope| {
        let work = || {
            let mut records = Vec::new();
            while let Some(student) = devices.get(next.fetch_add(1, Ordering::Relaxed)) {
                let at = u64::try_from(next.load(Ordering::Relaxed)).unwrap();
                let mut device = Device {
                    balancer: &balancer,
                    token: &tokens[*student],
                    connections: Default::default(),
                    random: Random::seeded(seed.wrapping_add(at << 20)),
                    record: DeviceRecord { student: format!("student-{:05}", student + 1), ..DeviceRecord::default() },
                };
                device.run(student % TWO_DEVICES != 0, &progress);
                records.push(device.record);
            }
            records
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        faults(&progress);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(records.len(), devices.len());
    let sum = |count: fn(&DeviceRecord) -> usize| records.iter().map(count).sum::<usize>();
    println!(
        "{} students, {} responses in {:?}; {} requests without a response, {} answered with 503",
        trio.students,
        sum(|one| one.receipts.len()),
        balancer.started.elapsed(),
        sum(|one| one.unanswered),
        sum(|one| one.refused_now),
    );
    records
}
