//! Writes by other clients to the same items, and writes by the hub that arrive after their timeout.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use serde_json::json;

use super::setup::{Setup, in_plone, no_names, rosters, schedule};
use crate::support::bridge::{plone_state, sign_in, wait_for_roster_state};
use crate::support::plone::Plone;
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

/// Number of threads that write to a section at the same time as the hub. Plone has fewer threads.
const WRITERS: usize = 8;

#[test]
fn counts_arrive_despite_conflicting_writers() {
    let setup = Setup::with(Plone::start(), |home| home.setting("plone.sync_s", "86400"));
    let ids = setup.open(&schedule("203010", 1, 200, 0));
    setup.wait_until_equal(&ids, &no_names());
    let path = format!("/courses/{}", ids[0]);
    let (conflicts, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (setup, path, conflicts, is_over) = (&setup, &path, &conflicts, &is_over);
            scope.spawn(move || {
                for turn in 0.. {
                    if is_over.load(Relaxed) {
                        break;
                    }
                    let edit = json!({"description": format!("{writer} {turn}")});
                    let (status, response) = setup.plone.request("PATCH", path, Some(&setup.token), Some(&edit));
                    match status {
                        204 => {}
                        500 if response["type"] == "ConflictError" => {
                            conflicts.fetch_add(1, Relaxed);
                        }
                        _ => panic!("{status} {response}"),
                    }
                }
            });
        }
        let mut student = 0;
        eventually("a conflict that exhausted Plone's retries", || {
            let token = setup.home.token(&format!("student-{student}"), "student");
            student += 1;
            setup.server.client().signed_in(&token).put(&format!("/api/v1/me/registrations/{}", ids[0])).expect(201);
            (conflicts.load(Relaxed) > 0 && student > 20).then_some(())
        });
        // The other writers still run.
        setup.wait_until_equal(&ids, &no_names());
        is_over.store(true, Relaxed);
    });
    assert_eq!(plone_state(&mut setup.admin())["outbox"]["aside_total"], 0, "a conflict is not a refusal");
    setup.wait_until_equal(&ids, &no_names());
}

#[test]
fn late_writes_and_manual_edits_to_a_roster_are_corrected() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let setup = Setup::with(plone, |home| home.setting("plone.url", &relay.url()).setting("plone.timeout_ms", "1000"));
    let ids = setup.open(&schedule("203011", 1, 10, 0));
    setup.wait_until_equal(&ids, &no_names());
    sign_in(&setup.server, "student1");
    wait_for_roster_state(&mut setup.admin(), "protected");
    let tokens = setup.home.tokens("late", "student", 2);
    let section = format!("/api/v1/me/registrations/{}", ids[0]);

    // The write of the first student's seat times out in the relay. The second student's write overtakes it.
    relay.set(Mode::HoldPatches);
    setup.server.client().signed_in(&tokens[0]).put(&section).expect(201);
    eventually("a write that the relay holds", || (relay.held() > 0).then_some(()));
    setup.server.client().signed_in(&tokens[1]).put(&section).expect(201);
    relay.set(Mode::Pass);
    let both = rosters(&setup.server, &tokens);
    setup.wait_until_equal(&ids, &both);
    relay.deliver_oldest_patch();
    let stale = in_plone(&setup.plone, &setup.token, &ids[0]).expect("the item exists");
    println!("after the late write, Plone counts {}", stale.enrolled);
    setup.wait_until_equal(&ids, &both);

    let path = format!("/courses/{}", ids[0]);
    setup.change("PATCH", &path, &json!({"roster": ["mallory enrolled 2030-01-01T00:00:00Z"], "seats_taken": 7}));
    setup.wait_until_equal(&ids, &both);
}
