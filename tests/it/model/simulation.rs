//! Many generated histories on all processors, each determined by a seed and a number: a short run in `make test`, a
//! million in `make sim`.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::history::{History, Step, any_history};
use super::play;
use crate::support::random::{length_of_run, seed};

/// Number of histories in `make test`, each of 10 to 81 steps. Without optimization, one processor runs about 70 per
/// second.
const HISTORIES: u64 = 2_000;
/// Maximum number of attempts to shrink a failing history. Each takes a few milliseconds.
const SHRINKS_MAX: u32 = 10_000;
/// The pause between two reports of the progress of a long run.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// The histories to run.
struct Run {
    seed: u64,
    /// Number of the first history.
    first: u64,
    count: u64,
    /// No history starts later than this.
    time_max: Duration,
}

/// Counters of a run so far.
struct Progress {
    begun: Instant,
    /// Number of histories that were given to a thread.
    given: AtomicU64,
    histories: AtomicU64,
    steps: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        let [given, histories, steps] = [0; 3].map(AtomicU64::new);
        Self { begun: Instant::now(), given, histories, steps }
    }

    /// Returns the progress on one line.
    fn line(&self, of: u64) -> String {
        let (histories, seconds) = (self.histories.load(Ordering::Relaxed), self.begun.elapsed().as_secs_f64());
        let (steps, per_second) = (self.steps.load(Ordering::Relaxed), histories as f64 / seconds.max(1e-3));
        format!("{histories} of {of} histories, {steps} steps, {seconds:.0} s ({per_second:.0} histories per second)")
    }
}

impl Run {
    /// Returns the source of randomness of one history.
    fn rng(&self, number: u64) -> TestRng {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
    }

    /// Runs the histories on all processors.
    ///
    /// # Errors
    /// The number of the first history that was found to fail, why it fails, and its shrunk form.
    fn explore(&self, test: impl Fn(History) -> u64 + Sync, progress: &Progress) -> Result<(), String> {
        let (sender, failures) = channel();
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                let (sender, test) = (sender.clone(), &test);
                scope.spawn(move || self.explore_in_thread(test, progress, &sender));
            }
            drop(sender);
            loop {
                match failures.recv_timeout(PROGRESS_PAUSE) {
                    Ok(failure) => {
                        // The other threads end with their current history.
                        progress.given.store(self.count, Ordering::Relaxed);
                        return Err(failure);
                    }
                    Err(RecvTimeoutError::Timeout) => self.report(progress),
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
        })
    }

    fn explore_in_thread(&self, test: &impl Fn(History) -> u64, progress: &Progress, failed: &Sender<String>) {
        let (histories, config) = (any_history(), config());
        while progress.begun.elapsed() < self.time_max {
            let given = progress.given.fetch_add(1, Ordering::Relaxed);
            if given >= self.count {
                return;
            }
            let number = self.first + given;
            let mut runner = TestRunner::new_with_rng(config.clone(), self.rng(number));
            let history = histories.new_tree(&mut runner).expect("no history is rejected");
            let steps = AtomicU64::new(0);
            let outcome = runner.run_one(history, |history| {
                steps.store(test(history), Ordering::Relaxed);
                Ok(())
            });
            if let Err(error) = outcome {
                // Fails if another thread has reported a failure and the run has ended.
                let _ = failed.send(format!("history {number}: {error}"));
                return;
            }
            progress.histories.fetch_add(1, Ordering::Relaxed);
            progress.steps.fetch_add(steps.into_inner(), Ordering::Relaxed);
        }
    }

    /// Prints the progress of a long run, over the previous line.
    fn report(&self, progress: &Progress) {
        if self.count > HISTORIES {
            eprint!("\r{}  ", progress.line(self.count));
            let _ = std::io::stderr().flush();
        }
    }
}

fn config() -> Config {
    Config { failure_persistence: None, max_shrink_iters: SHRINKS_MAX, ..Config::default() }
}

#[test]
fn generated_histories_agree_with_the_independent_model() {
    let run = Run {
        seed: seed(),
        first: length_of_run("SIM_FIRST", 0),
        count: length_of_run("SIM_HISTORIES", HISTORIES),
        time_max: Duration::from_secs(length_of_run("SIM_SECONDS", u64::from(u32::MAX))),
    };
    let progress = Progress::new();
    let outcome = run.explore(play, &progress);
    eprintln!("\r{}  ", progress.line(run.count));
    if let Err(failure) = outcome {
        let number = failure.trim_start_matches("history ").split(':').next().unwrap_or_default();
        panic!("TEST_SEED={} SIM_FIRST={number} SIM_HISTORIES=1 repeats this one.\n{failure}", run.seed);
    }
}

/// Returns 0 for a history with fewer than two restarts, and panics for others.
fn refuses_two_restarts(history: History) -> u64 {
    let restarts = history.steps.into_iter().filter(|step| matches!(step, Step::Restart)).count();
    assert!(restarts < 2, "two restarts");
    0
}

#[test]
fn a_failing_history_is_shrunk_and_repeated_by_its_number() {
    let run = Run { seed: 7, first: 0, count: 200, time_max: Duration::MAX };
    let failure = run.explore(refuses_two_restarts, &Progress::new()).expect_err("some history restarts twice");
    assert!(failure.contains("two restarts"), "{failure}");
    // A history has at least ten steps. Except for the two restarts, they are as simple as possible.
    let steps = failure.matches("Restart").count() + failure.matches("Run(").count();
    assert!(steps <= 10, "{failure}");
    let number = failure.trim_start_matches("history ").split(':').next().and_then(|number| number.parse().ok());
    let again = Run { first: number.expect("the number of the history"), count: 1, ..run };
    assert_eq!(again.explore(refuses_two_restarts, &Progress::new()), Err(failure));
}

#[test]
fn a_run_visits_each_number_once_and_stops_in_time() {
    let ran = |time_max| {
        let (run, progress) = (Run { seed: 1, first: 5, count: 40, time_max }, Progress::new());
        let seen = parking_lot::Mutex::new(Vec::new());
        let note = |history: History| {
            seen.lock().push(format!("{history:?}"));
            1
        };
        run.explore(note, &progress).expect("no history fails");
        let mut seen = seen.into_inner();
        seen.sort_unstable();
        seen.dedup();
        (seen, progress.histories.into_inner(), progress.steps.into_inner())
    };
    let (seen, histories, steps) = ran(Duration::MAX);
    assert_eq!((seen.len(), histories, steps), (40, 40, 40));
    assert_eq!(ran(Duration::MAX).0, seen, "the same seed produces the same histories");
    assert_eq!(ran(Duration::ZERO).1, 0);
}
