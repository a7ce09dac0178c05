//! The simulation of a registration morning, on which docs/SCALE.md is based.

use crate::support::morning::{Action, Morning};
use crate::support::simulation::{Costs, Layout, Load, Outcome, simulate};

const SECTIONS: usize = 3_000;

/// Returns costs in round numbers. A registration takes 1 ms of the hub and 2 ms of PostgreSQL, most of it for its
/// batch.
fn costs() -> Costs {
    let mut costs = Costs {
        batch: Load { hub: 0.000_9, postgres: 0.001_9 },
        registration: Load { hub: 0.000_1, postgres: 0.000_1 },
        catch_up: Load { hub: 0.000_3, postgres: 0.001 },
        follow: Load { hub: 0.000_1, postgres: 0.000_5 },
        recording: Load { hub: 0.000_2, postgres: 0.001 },
        frame: 0.000_01,
        frame_bytes: 50.0,
        change_bytes: 30.0,
        ..Costs::default()
    };
    costs.requests[Action::Own as usize].hub = 0.000_1;
    costs
}

const fn layout(hubs: usize) -> Layout {
    Layout { hubs, hub_cores: 2, postgres_cores: 2, commit_wait: 0.001 }
}

fn run(morning: &Morning, hubs: usize) -> Outcome {
    simulate(morning, SECTIONS, &costs(), layout(hubs), 7)
}

#[test]
fn each_student_registers_for_five_sections_and_stays_connected() {
    let outcome = run(&Morning::of(300, 7_200.0), 3);
    assert_eq!((outcome.registrations, outcome.sessions), (1_500, 300));
    // One more request of each student was refused.
    assert_eq!(outcome.registering.len(), 1_800);
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    let outcomes = [7, 7, 8].map(|seed| {
        let outcome = simulate(&Morning::of(300, 120.0), SECTIONS, &costs(), layout(2), seed);
        (outcome.registrations, outcome.batches, outcome.frames)
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_ne!(outcomes[1], outcomes[2]);
}

#[test]
fn processor_time_equals_the_cost_of_the_counted_work() {
    let outcome = run(&Morning::of(300, 7_200.0), 1);
    // Refusals are stored like registrations.
    let (batches, stored) = (outcome.batches as f64, (outcome.registrations + 300) as f64);
    assert_eq!((outcome.follows, outcome.catch_ups), (0, 0), "one hub has no other to follow");
    let recordings = outcome.recordings as f64;
    let postgres = batches * 0.001_9 + stored * 0.000_1 + recordings * 0.001;
    assert!((outcome.postgres - postgres).abs() < 1e-6, "{} instead of {postgres}", outcome.postgres);
    // Each student's own registrations are read twice.
    let hub = batches * 0.000_9
        + stored * 0.000_1
        + 600.0 * 0.000_1
        + outcome.frames as f64 * 0.000_01
        + recordings * 0.000_2;
    assert!((outcome.hubs[0] - hub).abs() < 1e-6, "{} instead of {hub}", outcome.hubs[0]);
}

#[test]
fn students_who_arrive_together_are_recorded_together() {
    let (calm, busy) = (run(&Morning::of(100, 7_200.0), 2), run(&Morning::of(20_000, 20.0), 2));
    // A write and the pause after it take about 20 ms, during which another of the 100 students sometimes arrives.
    assert!((90..=100).contains(&calm.recordings), "{}", calm.recordings);
    // At most 50 writes per second and hub, although 400 students arrive per second.
    assert!((1..=2 * 50 * 20).contains(&busy.recordings), "{}", busy.recordings);
}

#[test]
fn batches_grow_while_the_row_is_locked() {
    let (calm, busy) = (run(&Morning::of(100, 60.0), 2), run(&Morning::of(20_000, 60.0), 2));
    let per_batch = |outcome: &Outcome| outcome.registrations as f64 / outcome.batches as f64;
    assert!(per_batch(&calm) < 1.1, "{}", per_batch(&calm));
    assert!(per_batch(&busy) > 2.0, "{}", per_batch(&busy));
    assert!(calm.peak.row < 0.2 && busy.peak.row > 0.9, "{} and {}", calm.peak.row, busy.peak.row);
}

#[test]
fn a_batch_reads_the_earlier_commits_of_another_hub() {
    let (calm, busy) = (run(&Morning::of(500, 7_200.0), 2), run(&Morning::of(20_000, 60.0), 2));
    let share = |outcome: &Outcome| outcome.catch_ups as f64 / outcome.batches as f64;
    // Half of the batches follow a batch of the other hub, and read its commits. Half of the rest read, too, because
    // the previous batch of their own hub followed a batch of the other hub.
    assert!((0.7..0.8).contains(&share(&calm)), "{}", share(&calm));
    // The hubs lock the row in turns.
    assert!(share(&busy) > 0.95, "{}", share(&busy));
    let without =
        simulate(&Morning::of(20_000, 60.0), SECTIONS, &Costs { catch_up: Load::default(), ..costs() }, layout(2), 7);
    assert!(busy.postgres > without.postgres, "reading needs processor time");
}

#[test]
fn a_response_is_built_once_for_all_waiting_requests() {
    let mut costs = costs();
    costs.builds[Action::Sections as usize] = 0.01;
    let morning = Morning::of(5_000, 20.0);
    let (shared, free) = (
        simulate(&morning, SECTIONS, &costs, layout(1), 7),
        simulate(&morning, SECTIONS, &self::costs(), layout(1), 7),
    );
    // At most one in each tick of 50 ms.
    let built = (shared.hubs[0] - free.hubs[0]) / 0.01;
    assert!(built < 20.0 * 20.0 * 1.1, "{built} builds");
}
