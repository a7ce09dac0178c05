//! All students register at three hubs while parts fail. At the end of each test, the auditor finds every confirmed
//! seat.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::auditor::Tables;
use super::schedule;
use super::students::register;
use super::trio::{HUBS, Shared, Trio, own_database, shared_database};
use crate::support::clock::Clock;
use crate::support::nats::NatsServer;
use crate::support::nats_joint::{Fate, NatsJoint};
use crate::support::ports::free_port;
use crate::support::random::{length_of_run, seed};
use crate::support::standby::Pair;
use crate::support::tcp_relay::Mode;

/// Returns the number of students in a test: `CLUSTER_STUDENTS` if it is set, otherwise `short`.
fn students(short: usize) -> usize {
    length_of_run("CLUSTER_STUDENTS", short)
}

/// Returns how long a hub is stopped: `CLUSTER_STOP_S` if it is set, otherwise longer than a lease (4 s) and
/// than a client waits for a response (5 s).
fn stop_time() -> Duration {
    Duration::from_secs(length_of_run("CLUSTER_STOP_S", 6))
}

#[test]
fn three_hubs_share_the_seats_of_twenty_sections() {
    let (nats, shared) = (NatsServer::start(), shared_database());
    let trio = Trio::start(shared, &nats, students(100));
    trio.wait_until_whole(HUBS - 1);
    let records = register(&trio, seed(), |_| {});
    assert_eq!(records.iter().map(|one| one.unanswered).sum::<usize>(), 0, "without a fault, each request is answered");
    let seats = trio.audit(&records);
    // The auditor notices a seat that is lost or sold twice, and a history that was changed.
    let enrolled = "SELECT ctid FROM registrations WHERE standing = 'enrolled' LIMIT 1";
    for (change, expected) in [
        (format!("DELETE FROM registrations WHERE ctid IN ({enrolled})"), "the counts of"),
        ("UPDATE registrations SET standing = 'enrolled' WHERE standing = 'waitlisted'".to_owned(), "is oversold"),
        ("UPDATE attempts SET result = 'section_full' WHERE n = 1".to_owned(), "the hash of attempt 1"),
        ("DELETE FROM attempts WHERE n = 2".to_owned(), "attempts are numbered without gaps"),
    ] {
        let audited = AssertUnwindSafe(|| {
            Tables::read_with(&trio.shared, &change).audit(&schedule(trio.students), &records, &seats);
        });
        let found = catch_unwind(audited).expect_err(&change);
        let text = found.downcast_ref::<String>().map_or("", String::as_str);
        assert!(text.contains(expected), "{change}: {text}");
    }
}

#[test]
fn confirmed_seats_survive_killed_hubs() {
    let (nats, shared) = (NatsServer::start(), shared_database());
    let trio = Trio::start(shared, &nats, students(40));
    let records = register(&trio, seed(), |progress| {
        for hub in 0..HUBS {
            progress.wait_for(15 + 25 * hub);
            trio.kill(hub);
            progress.wait_for_more(40);
            trio.start_again(hub);
        }
    });
    trio.audit(&records);
}

#[test]
fn hubs_that_are_cut_off_confirm_nothing_that_is_lost() {
    let (nats, shared) = (NatsServer::start(), shared_database());
    let trio = Trio::start(shared, &nats, students(40));
    trio.wait_until_whole(HUBS - 1);
    let records = register(&trio, seed(), |progress| {
        progress.wait_for(10);
        trio.to_bus(0).set(Mode::Refuse);
        trio.wait_for_readiness(0, "without NATS", |ready| ready["bus"] == "degraded" && ready["ready"] == true);
        progress.wait_for_more(100);
        // The connections of the next hub stay open, and carry nothing.
        trio.to_bus(1).set(Mode::Hang);
        trio.wait_for_readiness(1, "without NATS", |ready| ready["bus"] == "degraded" && ready["ready"] == true);
        trio.to_bus(0).set(Mode::Pass);
        trio.to_bus(1).set(Mode::Pass);

        progress.wait_for(40);
        trio.to_database(1).set(Mode::Refuse);
        trio.wait_for_readiness(1, "without PostgreSQL", |ready| ready["ready"] == false);
        progress.wait_for_more(100);
        trio.to_database(1).set(Mode::Pass);
        trio.wait_for_readiness(1, "ready", |ready| ready["ready"] == true);

        progress.wait_for(65);
        trio.to_database(2).set(Mode::Hang);
        trio.wait_for_readiness(2, "without PostgreSQL", |ready| ready["ready"] == false);
        progress.wait_for_more(100);
        trio.to_database(2).set(Mode::Pass);
        trio.wait_for_readiness(2, "ready", |ready| ready["ready"] == true);
    });
    trio.audit(&records);
}

#[test]
fn confirmed_seats_survive_restarts_and_a_kill_of_the_database() {
    let (nats, shared) = (NatsServer::start(), own_database());
    let trio = Trio::start(shared, &nats, students(40));
    let records = register(&trio, seed(), |progress| {
        progress.wait_for(20);
        trio.shared.cluster().restart();
        progress.wait_for(45);
        trio.shared.cluster().kill();
        progress.wait_for(70);
        trio.shared.cluster().kill();
    });
    trio.audit(&records);
}

#[test]
fn confirmed_seats_survive_the_promotion_of_a_standby() {
    let (nats, pair) = (NatsServer::start(), Pair::start());
    let trio = Trio::start(Shared::Pair(Box::new(pair)), &nats, students(40));
    let Shared::Pair(pair) = &trio.shared else { unreachable!("the database is that of the pair") };
    let records = register(&trio, seed(), |progress| {
        progress.wait_for(20);
        pair.cut_off_standby();
        pair.wait_for_waiting_commits(1);
        // The primary recovers with commits that the standby does not have. No hub may confirm any of them.
        pair.kill_primary();
        pair.wait_for_waiting_commits(2);
        pair.fail_over();
        progress.wait_for(60);
    });
    trio.audit(&records);
}

#[test]
fn hubs_agree_even_if_nats_restarts_and_loses_messages() {
    let (port, other, shared) = (free_port(), NatsServer::start(), shared_database());
    let one = NatsServer::start_with(port, &[]);
    let trio = Trio::start_with(shared, [&one, &one, &other], students(40), |_, home| home.serve());
    let mut restarted = Some(one);
    let records = register(&trio, seed(), |progress| {
        for (percent, fate) in [(10, Fate::LoseSome), (25, Fate::Repeat), (40, Fate::Reorder), (55, Fate::LoseAll)] {
            progress.wait_for(percent - 10);
            let joint = NatsJoint::start([restarted.as_ref().expect("it runs"), &other], fate);
            progress.wait_for(percent);
            drop(joint);
        }
        drop(restarted.take());
        for hub in [0, 1] {
            trio.wait_for_readiness(hub, "without NATS", |ready| ready["bus"] == "degraded");
        }
        progress.wait_for(70);
        restarted = Some(NatsServer::start_with(port, &[]));
    });
    trio.audit(&records);
    drop(restarted);
}

#[test]
fn a_hub_that_was_stopped_for_a_while_loses_no_seat() {
    let (nats, shared) = (NatsServer::start(), shared_database());
    let trio = Trio::start(shared, &nats, students(40));
    let records = register(&trio, seed(), |progress| {
        progress.wait_for(20);
        trio.signal(0, Signal::STOP);
        // This is the duration of the fault: there is no condition to wait for.
        thread::sleep(stop_time());
        trio.signal(0, Signal::CONT);
        progress.wait_for(60);
    });
    trio.audit(&records);
}

#[test]
fn hubs_whose_clocks_are_an_hour_apart_lose_no_seat() {
    let (nats, shared) = (NatsServer::start(), shared_database());
    let start = |index: usize, home: &_| {
        let (server, clock) = Clock::serve(home);
        clock.shift_system([0, 1_800, -1_800][index]);
        server
    };
    let trio = Trio::start_with(shared, [&nats; HUBS], students(40), start);
    let records = register(&trio, seed(), |_| {});
    trio.audit(&records);
}
