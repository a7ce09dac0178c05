//! Writes of others to the same items, and writes of the hub that arrive after it stopped waiting for them.

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

/// Threads that write to a section beside the hub, more than Plone has.
const WRITERS: usize = 8;

#[test]
fn counts_arrive_despite_conflicting_writers() {
    let desk = Setup::with(Plone::start(), |home| home.setting("plone.sync_s", "86400"));
    let ids = desk.open(&schedule("203010", 1, 200, 0));
    desk.wait_until_equal(&ids, &no_names());
    let path = format!("/courses/{}", ids[0]);
    let (conflicts, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (desk, path, conflicts, is_over) = (&desk, &path, &conflicts, &is_over);
            scope.spawn(move || {
                for turn in 0.. {
                    if is_over.load(Relaxed) {
                        break;
                    }
                    let words = json!({"description": format!("{writer} {turn}")});
                    let (status, answer) = desk.plone.request("PATCH", path, Some(&desk.token), Some(&words));
                    match status {
                        204 => {}
                        500 if answer["type"] == "ConflictError" => {
                            conflicts.fetch_add(1, Relaxed);
                        }
                        _ => panic!("{status} {answer}"),
                    }
                }
            });
        }
        let mut student = 0;
        eventually("a conflict that ran out of Plone's retries", || {
            let token = desk.home.token(&format!("student-{student}"), "student");
            student += 1;
            desk.server.client().signed_in(&token).put(&format!("/api/v1/me/registrations/{}", ids[0])).expect(201);
            (conflicts.load(Relaxed) > 0 && student > 20).then_some(())
        });
        // The writers still run.
        desk.wait_until_equal(&ids, &no_names());
        is_over.store(true, Relaxed);
    });
    assert_eq!(plone_state(&mut desk.admin())["outbox"]["aside_total"], 0, "a conflict is not a refusal");
    desk.wait_until_equal(&ids, &no_names());
}

#[test]
fn late_writes_and_manual_edits_of_a_roster_are_corrected() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let desk = Setup::with(plone, |home| home.setting("plone.url", &relay.url()).setting("plone.timeout_ms", "1000"));
    let ids = desk.open(&schedule("203011", 1, 10, 0));
    desk.wait_until_equal(&ids, &no_names());
    sign_in(&desk.server, "student1");
    wait_for_roster_state(&mut desk.admin(), "protected");
    let tokens = desk.home.tokens("late", "student", 2);
    let section = format!("/api/v1/me/registrations/{}", ids[0]);

    // The first student's seat is in transit when the hub stops waiting for it; the second one's passes it.
    relay.set(Mode::HoldPatches);
    desk.server.client().signed_in(&tokens[0]).put(&section).expect(201);
    eventually("a write that is held up", || (relay.held() > 0).then_some(()));
    desk.server.client().signed_in(&tokens[1]).put(&section).expect(201);
    relay.set(Mode::Pass);
    let both = rosters(&desk.server, &tokens);
    desk.wait_until_equal(&ids, &both);
    relay.deliver_oldest_patch();
    let stale = in_plone(&desk.plone, &desk.token, &ids[0]).expect("it is there");
    println!("after the late write Plone counts {}", stale.enrolled);
    desk.wait_until_equal(&ids, &both);

    let path = format!("/courses/{}", ids[0]);
    desk.change("PATCH", &path, &json!({"roster": ["mallory enrolled 2030-01-01T00:00:00Z"], "seats_taken": 7}));
    desk.wait_until_equal(&ids, &both);
}
