//! One tenth of a large college's first window, with real hubs, compared to what the simulation predicts for it.

use std::rc::Rc;
use std::time::Instant;

use super::costs::{Bytes, watchers};
use super::meter::{Meter, Used};
use super::state::{LARGE, WINDOWS};
use super::system::{HUBS, Requests, Student, System, until};
use crate::support::morning::{ACTIONS, Action, Morning, Step};
use crate::support::random::Random;
use crate::support::simulation::{Costs, Layout, Outcome, simulate};
use crate::{block_on, setting, table};

/// The load is divided by this number.
const PART: usize = 10;
/// The largest permitted error of a prediction, in percent.
const ERROR_MAX: f64 = 10.0;
/// The seed of the students. Prediction and run have the same students, so that the error is that of the costs and of
/// the model, not of the sample.
const SEED: u64 = 1;
const NAMES: [&str; HUBS] = ["processor time of hub 1, s", "processor time of hub 2, s"];
const ALL: [Action; ACTIONS] =
    [Action::Terms, Action::Sections, Action::Seats, Action::Own, Action::Join, Action::Register, Action::Refused];

/// One number: as simulated, as computed from what was counted during the run, and as measured.
struct Compared {
    name: &'static str,
    simulated: f64,
    /// `None` if it is not computed from counts.
    computed: Option<f64>,
    measured: f64,
}

/// The results of the run.
pub struct Run {
    morning: Morning,
    used: Used,
    counted: Counted,
}

/// Runs one tenth of the college for `seconds`.
pub fn run(system: &System, seconds: f64) -> Run {
    let students = setting("EDUHUB_BENCH_STUDENTS", LARGE / WINDOWS / PART);
    let morning = Morning::of(students, seconds);
    let (used, counted) = morning_of(system, &morning);
    Run { morning, used, counted }
}

impl Run {
    /// Simulates the same students and prints the comparison.
    pub fn print(&self, system: &System, costs: &Costs, bytes: Bytes, commit_wait: f64) {
        let layout = Layout { hubs: HUBS, hub_cores: 1, postgres_cores: 1, commit_wait };
        let sections = system.schedule.rows.len();
        let simulated = simulate(&self.morning, sections, costs, layout, SEED);
        let memory = memory(&simulated, &bytes, sections);
        let rows = compare(costs, &simulated, &self.used, &self.counted, memory);
        print(&self.morning, &rows);
    }
}

/// The counts of the run: the students' requests, and the bytes to and from them.
struct Counted {
    requests: Rc<Requests>,
    wire: f64,
}

impl Counted {
    fn acted(&self, hub: usize, action: Action) -> f64 {
        self.requests.acted.borrow()[hub][action as usize] as f64
    }

    fn all(&self, action: Action) -> f64 {
        (0..HUBS).map(|hub| self.acted(hub, action)).sum()
    }

    /// Returns how many times a hub built the responses of an action. A list is built page by page.
    fn built(&self, hub: usize, action: Action) -> f64 {
        let built = self.requests.built.borrow();
        let count = built.iter().filter(|one| (one.hub, one.action) == (hub, action as usize)).count() as f64;
        if action == Action::Sections { count / self.requests.pages.len() as f64 } else { count }
    }
}

/// Lets the students act until the end of the morning.
fn morning_of(system: &System, morning: &Morning) -> (Used, Counted) {
    let steps = morning.steps(SEED);
    let tokens = system.tokens("morning", steps.len());
    let requests = system.requests();
    let (used, received) = block_on(async {
        let meter = Meter::start(system);
        let begun = Instant::now();
        let students = steps.into_iter().enumerate().map(|(number, steps)| {
            student(system, &tokens[number], steps, &requests, (begun, morning.horizon), number)
        });
        let ended = futures_util::future::join_all(students).await;
        (meter.stop(), ended.iter().sum::<usize>())
    });
    let wire = requests.bytes.get() as f64 + received as f64;
    (used, Counted { requests, wire })
}

/// Lets one student act. Returns the bytes that the student's WebSocket received.
async fn student(
    system: &System,
    token: &str,
    steps: Vec<Step>,
    requests: &Rc<Requests>,
    (begun, horizon): (Instant, f64),
    number: usize,
) -> usize {
    let hub = number % system.hubs.len();
    let mut random = Random::seeded(number as u64);
    let (mut crowd, mut one) = (None, None);
    for step in steps.into_iter().take_while(|step| step.at < horizon) {
        until(begun, step.at).await;
        if one.is_none() {
            one = Some(Student::connect(system, hub, token, requests, &mut random).await);
        }
        if step.action == Action::Join {
            crowd = Some(watchers(&system.hubs[hub], &[token.to_owned()]).await);
        }
        one.as_mut().unwrap().act(step.action).await;
    }
    until(begun, horizon).await;
    crowd.map_or(0, |crowd| crowd.counters.bytes.get())
}

/// Returns the predicted resident memory of one of two hubs.
fn memory(predicted: &Outcome, bytes: &Bytes, sections: usize) -> f64 {
    let clients = predicted.sessions as f64 / predicted.hubs.len() as f64;
    bytes.hub
        + sections as f64 * bytes.section
        + bytes.lists
        + clients * (bytes.connection + bytes.session)
        + (predicted.registrations as f64 + bytes.earlier) * bytes.registration
}

/// Computes the processor time of a hub from what was counted. At this rate nearly every registration has its own
/// batch; the other commits of the hubs record students, half of them on each hub.
fn hub_of(hub: usize, costs: &Costs, used: &Used, counted: &Counted) -> f64 {
    let requests: f64 =
        ALL.iter().map(|action| costs.requests[*action as usize].hub * counted.acted(hub, *action)).sum();
    let built = |action| costs.builds[action as usize] * counted.built(hub, action);
    let writes = counted.acted(hub, Action::Register) + counted.acted(hub, Action::Refused);
    let changes = counted.all(Action::Register) * used.frames[hub] / used.frames.iter().sum::<f64>().max(1.0);
    costs.idle.hub * used.seconds
        + requests
        + built(Action::Sections)
        + built(Action::Seats)
        + writes * costs.registration.hub
        + writes * costs.batch.hub
        + recordings(used, counted) / HUBS as f64 * costs.recording.hub
        + used.catch_ups[hub] * costs.catch_up.hub
        + used.follows[hub] * costs.follow.hub
        + used.frames[hub] * costs.frame
        + changes * costs.change
}

/// Returns the number of commits that were not batches.
fn recordings(used: &Used, counted: &Counted) -> f64 {
    (used.commits - counted.all(Action::Register) - counted.all(Action::Refused)).max(0.0)
}

fn compare(costs: &Costs, simulated: &Outcome, used: &Used, counted: &Counted, memory: f64) -> Vec<Compared> {
    let row = |name, simulated, computed, measured| Compared { name, simulated, computed, measured };
    let writes = counted.all(Action::Register) + counted.all(Action::Refused);
    let [catch_ups, follows]: [f64; 2] = [&used.catch_ups, &used.follows].map(|of_hubs| of_hubs.iter().sum());
    let postgres = costs.idle.postgres * used.seconds * HUBS as f64
        + writes * costs.batch.postgres
        + writes * costs.registration.postgres
        + catch_ups * costs.catch_up.postgres
        + follows * costs.follow.postgres
        + recordings(used, counted) * costs.recording.postgres
        + ALL.iter().map(|action| costs.requests[*action as usize].postgres * counted.all(*action)).sum::<f64>();
    let wal = writes * (costs.wal_batch + costs.wal_registration) + recordings(used, counted) * costs.wal_recording;
    let lists: f64 = (0..HUBS).map(|hub| counted.built(hub, Action::Sections)).sum();
    let hub = |hub| row(NAMES[hub], simulated.hubs[hub], Some(hub_of(hub, costs, used, counted)), used.hubs[hub]);
    vec![
        hub(0),
        hub(1),
        row("processor time of PostgreSQL, s", simulated.postgres, Some(postgres), used.postgres),
        row("resident memory of hub 2, MB", memory / 1e6, None, used.resident[1] / 1e6),
        row("bytes to and from students, MB", simulated.wire / 1e6, None, counted.wire / 1e6),
        row("write-ahead log, MB", simulated.wal / 1e6, Some(wal / 1e6), used.wal / 1e6),
        row("registrations", simulated.registrations as f64, None, counted.all(Action::Register)),
        row("frames with seats", simulated.frames as f64, None, used.frames.iter().sum()),
        row("lists built", simulated.builds[Action::Sections as usize] as f64, None, lists),
        row("commits", (simulated.batches + simulated.recordings) as f64, None, used.commits),
        row("batches that read another hub's commits", simulated.catch_ups as f64, None, catch_ups),
        row("reads of another hub's commits", simulated.follows as f64, None, follows),
    ]
}

fn print(morning: &Morning, rows: &[Compared]) {
    let Morning { students, horizon, .. } = morning;
    let error = |predicted: f64, measured: f64| (predicted - measured) / measured * 100.0;
    let value = |value: f64| if value < 100.0 { format!("{value:.2}") } else { table::number(value) };
    let cells = rows.iter().map(|row| {
        let simulated = format!("{:+.1}%", error(row.simulated, row.measured));
        let computed = row.computed.map(|computed| format!("{:+.1}%", error(computed, row.measured)));
        let shown = row.computed.map(value).unwrap_or_default();
        vec![row.name.into(), value(row.measured), value(row.simulated), simulated, shown, computed.unwrap_or_default()]
    });
    let title =
        format!("One tenth of a college with 20,000 students: {students} students, the first {horizon} s, two hubs");
    let columns = ["", "measured", "simulated", "error", "computed\nfrom counts", "error"];
    table::print(&title, &columns, &cells.collect::<Vec<_>>());
    let met = |errors: Vec<f64>| table::met(errors.iter().all(|error| error.abs() < ERROR_MAX));
    let simulated = rows.iter().map(|row| error(row.simulated, row.measured)).collect();
    let computed = rows.iter().filter_map(|row| Some(error(row.computed?, row.measured))).collect();
    println!("  target: each error of the simulation under {ERROR_MAX}%: {}", met(simulated));
    println!("  the unit costs, with the counts of the run instead of the simulated ones: {}", met(computed));
}
