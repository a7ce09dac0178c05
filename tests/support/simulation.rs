//! A simulation of the hubs and the database that serve the students of a registration morning ([`super::morning`]).
//!
//! The simulation is pure: its inputs are unit costs in processor time and bytes, a layout of machines and a seed. It
//! decides how many commands share a batch, how many changes share a frame and how long requests wait, because these
//! depend on the load; everything else is counts times unit costs.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each crate uses only a part of the helpers")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::morning::{ACTIONS, Action, Morning, Step};
use super::processors::Processors;

/// Maximum number of commands in a batch, as in the registrar.
const BATCH_MAX: usize = 1_024;
/// Seconds between two frames with seats, the default of `[server] seats_tick_ms`.
const TICK: f64 = 0.05;
/// Minimum seconds between two reads of what other hubs committed, as in the follower.
const FOLLOW_PAUSE: f64 = 0.02;
/// Maximum number of students whose last-seen times one write records, as in `identity::people`.
const RECORDED_MAX: usize = 50;
/// The pause after such a write, as a multiple of the time that the write took.
const RECORD_PAUSE_SHARE: f64 = 9.0;
/// The longest such pause, in seconds.
const RECORD_PAUSE_MAX: f64 = 1.0;
/// Maximum number of responses that a hub builds at the same time.
const BUILDERS: usize = 4;
/// Seconds over which the busiest moment is averaged.
pub const BUCKET: f64 = 10.0;

/// Seconds of processor time of a hub and of PostgreSQL.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    pub hub: f64,
    pub postgres: f64,
}

/// The measured unit costs.
#[derive(Debug, Clone, Default)]
pub struct Costs {
    /// Per second and hub, without clients.
    pub idle: Load,
    /// Per request of each [`Action`]. For registrations and refusals, only what the hub does outside of the batch. The
    /// first request of a student is followed by a recording.
    pub requests: [Load; ACTIONS],
    /// Per response of each [`Action`] that must be built, because seats have changed since it was built last.
    pub builds: [f64; ACTIONS],
    /// Bytes of request and response of each [`Action`].
    pub wire: [f64; ACTIONS],
    /// Per batch, and per registration in it.
    pub batch: Load,
    pub registration: Load,
    /// Per batch that reads what other hubs committed before it.
    pub catch_up: Load,
    /// Per read of what other hubs committed, outside of a batch.
    pub follow: Load,
    /// Per write that records when students were last seen.
    pub recording: Load,
    /// Processor time of a hub, and bytes, for a frame with seats to one session: per frame, and per changed section in
    /// it.
    pub frame: f64,
    pub change: f64,
    pub frame_bytes: f64,
    pub change_bytes: f64,
    /// Bytes of the write-ahead log per batch, per registration in it, and per recording.
    pub wal_batch: f64,
    pub wal_registration: f64,
    pub wal_recording: f64,
}

/// The machines.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub hubs: usize,
    /// Processors of each hub, and of the database.
    pub hub_cores: usize,
    pub postgres_cores: usize,
    /// Seconds of a batch without processor time: the fsync, and the round trips between hub and database.
    pub commit_wait: f64,
}

/// The results of a simulation.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Processor time of each hub, and of PostgreSQL, in seconds.
    pub hubs: Vec<f64>,
    pub postgres: f64,
    pub batches: usize,
    /// Batches that read what other hubs had committed.
    pub catch_ups: usize,
    pub registrations: usize,
    pub follows: usize,
    /// Writes that record when students were last seen.
    pub recordings: usize,
    pub frames: usize,
    /// Responses of each [`Action`] that were built.
    pub builds: [usize; ACTIONS],
    /// Bytes of requests, responses and frames.
    pub wire: f64,
    pub wal: f64,
    /// Live sessions at the end.
    pub sessions: usize,
    /// Response times of registrations, refusals included, and of other requests, in seconds.
    pub registering: Vec<f64>,
    pub reading: Vec<f64>,
    /// The longest queue of a term at one hub.
    pub queue_max: usize,
    /// The highest value of each rate, averaged over a [`BUCKET`].
    pub peak: Rates,
}

/// Rates, or their sums over a [`BUCKET`]: busy processors of all hubs and of PostgreSQL, share of time during which
/// the term's row is locked, and registrations, frames and bytes per second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    pub hubs: f64,
    pub postgres: f64,
    pub row: f64,
    pub registrations: f64,
    pub frames: f64,
    pub wire: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Step(usize),
    Served(usize),
    Committed(usize),
    Follow(usize),
    Followed(usize, usize),
    Tick(usize),
    Record(usize),
}

/// One hub, for one term.
#[derive(Debug)]
struct Hub {
    /// Requests and frames.
    processors: Processors,
    /// The thread that decides batches, and those that build responses. The operating system schedules them separately
    /// from the others, so they do not wait in the same queue.
    registrar: Processors,
    builders: Processors,
    queue: VecDeque<usize>,
    batch: Vec<usize>,
    /// Changes of other hubs that it has not read, and whether they have committed since its last read.
    unread: usize,
    has_hint: bool,
    /// Whether its last batch found commits of other hubs.
    was_behind: bool,
    /// Whether a read of other hubs' commits is in flight or due.
    is_following: bool,
    /// Changes since the last frame, and whether the next one is due.
    unsent: usize,
    has_tick: bool,
    sessions: usize,
    /// Students who are not recorded yet, and whether a write of them is in flight or due.
    unrecorded: usize,
    is_recording: bool,
    /// Commits that its readers see.
    version: usize,
    cached: [Cached; ACTIONS],
}

/// A response that is shared by all requests until seats change.
#[derive(Debug, Clone, Copy, Default)]
struct Cached {
    version: usize,
    built_at: f64,
}

/// A student's state.
#[derive(Debug)]
struct Student {
    steps: Vec<Step>,
    next: usize,
    requested_at: f64,
}

/// A running simulation of one term.
struct Simulation<'a> {
    costs: &'a Costs,
    layout: Layout,
    sections: usize,
    students: Vec<Student>,
    hubs: Vec<Hub>,
    postgres: Processors,
    row_free_at: f64,
    /// The hub of the last batch.
    last_writer: Option<usize>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    scheduled: u64,
    buckets: Vec<Rates>,
    outcome: Outcome,
}

/// Simulates a window of one term with this many sections.
pub fn simulate(morning: &Morning, sections: usize, costs: &Costs, layout: Layout, seed: u64) -> Outcome {
    let students = morning.steps(seed).into_iter().map(|steps| Student { steps, next: 0, requested_at: 0.0 }).collect();
    let hub = || Hub {
        processors: Processors::new(layout.hub_cores),
        registrar: Processors::new(1),
        builders: Processors::new(layout.hub_cores.min(BUILDERS)),
        queue: VecDeque::new(),
        batch: Vec::new(),
        unread: 0,
        has_hint: false,
        was_behind: false,
        is_following: false,
        unsent: 0,
        has_tick: false,
        sessions: 0,
        unrecorded: 0,
        is_recording: false,
        version: 1,
        cached: [Cached::default(); ACTIONS],
    };
    let mut simulation = Simulation {
        costs,
        layout,
        sections,
        students,
        hubs: (0..layout.hubs).map(|_| hub()).collect(),
        postgres: Processors::new(layout.postgres_cores),
        row_free_at: 0.0,
        last_writer: None,
        events: BinaryHeap::new(),
        scheduled: 0,
        buckets: vec![Rates::default(); (morning.horizon / BUCKET).ceil() as usize],
        outcome: Outcome { hubs: vec![0.0; layout.hubs], ..Outcome::default() },
    };
    for student in 0..simulation.students.len() {
        let arrival = simulation.students[student].steps[0].at;
        simulation.schedule(arrival, Event::Step(student));
    }
    simulation.run(morning.horizon)
}

impl Simulation<'_> {
    fn run(mut self, horizon: f64) -> Outcome {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            let now = at as f64 / 1e9;
            if now >= horizon {
                break;
            }
            match event {
                Event::Step(student) => self.request(now, student),
                Event::Served(student) => self.served(now, student),
                Event::Committed(hub) => self.committed(now, hub),
                Event::Follow(hub) => self.follow(now, hub),
                Event::Followed(hub, changes) => self.followed(now, hub, changes),
                Event::Tick(hub) => self.tick(now, hub),
                Event::Record(hub) => self.record(now, hub),
            }
        }
        let idle = self.costs.idle;
        self.outcome.hubs.iter_mut().for_each(|used| *used += idle.hub * horizon);
        self.outcome.postgres += idle.postgres * horizon * self.layout.hubs as f64;
        self.outcome.sessions = self.hubs.iter().map(|hub| hub.sessions).sum();
        let most = |of: fn(&Rates) -> f64| self.buckets.iter().map(of).fold(0.0, f64::max) / BUCKET;
        self.outcome.peak = Rates {
            hubs: most(|rates| rates.hubs) + idle.hub * self.layout.hubs as f64,
            postgres: most(|rates| rates.postgres) + idle.postgres * self.layout.hubs as f64,
            row: most(|rates| rates.row),
            registrations: most(|rates| rates.registrations),
            frames: most(|rates| rates.frames),
            wire: most(|rates| rates.wire),
        };
        self.outcome
    }

    fn schedule(&mut self, at: f64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(((at * 1e9) as u64, self.scheduled, event)));
    }

    fn bucket(&mut self, now: f64) -> &mut Rates {
        let last = self.buckets.len() - 1;
        &mut self.buckets[((now / BUCKET) as usize).min(last)]
    }

    /// Counts processor time of a hub, and returns the hub.
    fn use_hub(&mut self, now: f64, hub: usize, cost: f64) -> &mut Hub {
        self.outcome.hubs[hub] += cost;
        self.bucket(now).hubs += cost;
        &mut self.hubs[hub]
    }

    fn use_postgres(&mut self, now: f64, cost: f64) -> f64 {
        self.outcome.postgres += cost;
        self.bucket(now).postgres += cost;
        self.postgres.serve(now, cost)
    }

    fn send(&mut self, now: f64, bytes: f64) {
        self.outcome.wire += bytes;
        self.bucket(now).wire += bytes;
    }

    /// Returns the hub of a student. Students are spread evenly over the hubs.
    const fn hub_of(&self, student: usize) -> usize {
        student % self.layout.hubs
    }

    fn action(&self, student: usize) -> Action {
        let Student { steps, next, .. } = &self.students[student];
        steps[*next].action
    }

    fn request(&mut self, now: f64, student: usize) {
        self.students[student].requested_at = now;
        let action = self.action(student);
        let cost = self.costs.requests[action as usize];
        let hub = self.hub_of(student);
        if self.students[student].next == 0 {
            self.seen_first(now, hub);
        }
        let read = if cost.postgres > 0.0 { self.use_postgres(now, cost.postgres) } else { now };
        let ready = self.cached(now, hub, action).max(read);
        let served = self.use_hub(ready, hub, cost.hub).processors.serve(ready, cost.hub);
        self.send(now, self.costs.wire[action as usize]);
        self.schedule(served, Event::Served(student));
    }

    /// Queues a student for the next write that records when students were last seen.
    fn seen_first(&mut self, now: f64, hub: usize) {
        self.hubs[hub].unrecorded += 1;
        if !std::mem::replace(&mut self.hubs[hub].is_recording, true) {
            self.schedule(now, Event::Record(hub));
        }
    }

    /// Records the queued students. No request waits for this.
    fn record(&mut self, now: f64, hub: usize) {
        let count = self.hubs[hub].unrecorded.min(RECORDED_MAX);
        if count == 0 {
            self.hubs[hub].is_recording = false;
            return;
        }
        self.hubs[hub].unrecorded -= count;
        self.outcome.recordings += 1;
        self.outcome.wal += self.costs.wal_recording;
        let cost = self.costs.recording;
        let prepared = self.use_hub(now, hub, cost.hub).processors.serve(now, cost.hub);
        let took = self.use_postgres(prepared, cost.postgres) + self.layout.commit_wait - now;
        let pause = (took * RECORD_PAUSE_SHARE).min(RECORD_PAUSE_MAX);
        self.schedule(now + took + pause, Event::Record(hub));
    }

    /// Returns the time at which the response of an action is available: it is built at most once a tick, for all
    /// waiting requests.
    fn cached(&mut self, now: f64, hub: usize, action: Action) -> f64 {
        let (build, version) = (self.costs.builds[action as usize], self.hubs[hub].version);
        let cached = &mut self.hubs[hub].cached[action as usize];
        if build == 0.0 || cached.version == version || cached.built_at > now {
            return now.max(cached.built_at);
        }
        cached.version = version;
        let begins = now.max(cached.built_at + TICK);
        self.outcome.builds[action as usize] += 1;
        let built_at = self.use_hub(begins, hub, build).builders.serve(begins, build);
        self.hubs[hub].cached[action as usize].built_at = built_at;
        built_at
    }

    fn served(&mut self, now: f64, student: usize) {
        let hub = self.hub_of(student);
        match self.action(student) {
            Action::Register | Action::Refused => {
                self.hubs[hub].queue.push_back(student);
                self.outcome.queue_max = self.outcome.queue_max.max(self.hubs[hub].queue.len());
                self.next_batch(now, hub);
                return;
            }
            Action::Join => self.hubs[hub].sessions += 1,
            _ => {}
        }
        let took = now - self.students[student].requested_at;
        self.outcome.reading.push(took);
        self.responded(now, student);
    }

    fn responded(&mut self, now: f64, student: usize) {
        self.students[student].next += 1;
        let Student { steps, next, .. } = &self.students[student];
        if let Some(step) = steps.get(*next) {
            let at = now.max(step.at);
            self.schedule(at, Event::Step(student));
        }
    }

    /// Begins a batch, unless one is in flight: it waits for the row, is decided, written and committed.
    fn next_batch(&mut self, now: f64, hub: usize) {
        let one = &mut self.hubs[hub];
        if !one.batch.is_empty() || one.queue.is_empty() {
            return;
        }
        let size = one.queue.len().min(BATCH_MAX);
        one.batch = one.queue.drain(..size).collect();
        // The reads between batches are about seats; those in a batch are about the attempts, too. A hub whose last
        // batch was behind reads in any case, while it waits for the row.
        let is_behind = self.last_writer.replace(hub).is_some_and(|last| last != hub);
        let catches_up = is_behind | std::mem::replace(&mut one.was_behind, is_behind);
        self.outcome.batches += 1;
        let (batch, each, size) = (self.costs.batch, self.costs.registration, size as f64);
        let catch_up = if catches_up { self.costs.catch_up } else { Load::default() };
        self.outcome.catch_ups += usize::from(catches_up);
        let locked = now.max(self.row_free_at);
        let deciding = batch.hub + size * each.hub + catch_up.hub;
        let decided = self.use_hub(locked, hub, deciding).registrar.serve(locked, deciding);
        let written = self.use_postgres(decided, batch.postgres + size * each.postgres + catch_up.postgres);
        self.row_free_at = written + self.layout.commit_wait;
        let held = self.row_free_at - locked;
        self.bucket(locked).row += held;
        self.outcome.wal += self.costs.wal_batch + size * self.costs.wal_registration;
        self.schedule(self.row_free_at, Event::Committed(hub));
    }

    fn committed(&mut self, now: f64, hub: usize) {
        let batch = std::mem::take(&mut self.hubs[hub].batch);
        let is_taken = |student: &&usize| self.action(**student) == Action::Register;
        let size = batch.iter().filter(is_taken).count();
        self.outcome.registrations += size;
        self.bucket(now).registrations += size as f64;
        for student in batch {
            let took = now - self.students[student].requested_at;
            self.outcome.registering.push(took);
            self.responded(now, student);
        }
        if size > 0 {
            self.changed(now, hub, size);
        }
        for other in (0..self.hubs.len()).filter(|other| *other != hub) {
            self.hubs[other].unread += size;
            self.hubs[other].has_hint = true;
            if !std::mem::replace(&mut self.hubs[other].is_following, true) {
                self.schedule(now, Event::Follow(other));
            }
        }
        self.next_batch(now, hub);
    }

    fn follow(&mut self, now: f64, hub: usize) {
        let changes = std::mem::take(&mut self.hubs[hub].unread);
        if !std::mem::take(&mut self.hubs[hub].has_hint) {
            self.hubs[hub].is_following = false;
            return;
        }
        self.outcome.follows += 1;
        let read = self.use_postgres(now, self.costs.follow.postgres);
        let apply = self.costs.follow.hub;
        let applied = self.use_hub(read, hub, apply).registrar.serve(read, apply);
        self.schedule(applied, Event::Followed(hub, changes));
    }

    fn followed(&mut self, now: f64, hub: usize, changes: usize) {
        if changes > 0 {
            self.changed(now, hub, changes);
        }
        self.schedule(now + FOLLOW_PAUSE, Event::Follow(hub));
    }

    fn changed(&mut self, now: f64, hub: usize, changes: usize) {
        self.hubs[hub].unsent += changes;
        self.hubs[hub].version += 1;
        if !std::mem::replace(&mut self.hubs[hub].has_tick, true) {
            let next = ((now / TICK).floor() + 1.0) * TICK;
            self.schedule(next, Event::Tick(hub));
        }
    }

    /// Sends one frame with the changed seats to each session.
    fn tick(&mut self, now: f64, hub: usize) {
        self.hubs[hub].has_tick = false;
        let changed = std::mem::take(&mut self.hubs[hub].unsent).min(self.sections) as f64;
        let frames = self.hubs[hub].sessions;
        let cost = frames as f64 * (self.costs.frame + changed * self.costs.change);
        self.outcome.frames += frames;
        self.outcome.hubs[hub] += cost;
        let bucket = self.bucket(now);
        bucket.hubs += cost;
        bucket.frames += frames as f64;
        self.hubs[hub].processors.serve_spread(now, cost);
        self.send(now, frames as f64 * (self.costs.frame_bytes + changed * self.costs.change_bytes));
    }
}
