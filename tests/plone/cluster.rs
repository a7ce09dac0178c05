//! Two hubs on one PostgreSQL database in front of a real Plone: one of them writes to Plone, and when it ends, the other
//! does.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::outbox::setup::{Setup, no_names, register_and_drop, schedule};
use crate::support::bridge::{plone_state, with_plone_at};
use crate::support::plone::{DEAN, PASSWORD, Plone};
use crate::support::postgres::{Database, cluster};
use crate::support::random::{Random, seed};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

fn leads(server: &Server) -> bool {
    server.metric("eduhub_plone_leader") > 0.0
}

/// Returns the numbers of writes to Plone and of pulls of a hub.
fn work(server: &Server) -> (f64, f64) {
    (server.metric("eduhub_plone_sent_total"), server.metric("eduhub_plone_syncs_total{outcome=\"good\"}"))
}

fn wait_for_term(server: &Server, term: &str) {
    eventually("the open term at the other hub", || {
        let terms = server.client().get("/api/v1/terms").expect(200).json();
        let is_open = |one: &Value| one["id"] == term && one["opens_at"].is_string();
        terms["items"].as_array()?.iter().any(is_open).then_some(())
    });
}

/// Waits until both hubs have the same commits of a term.
fn wait_for_equal_seats(term: &str, servers: [&Server; 2]) {
    let sequence =
        |server: &Server| server.client().get(&format!("/api/v1/seats?term={term}")).expect(200).json()["seq"].clone();
    eventually("equal seats at both hubs", || (sequence(servers[0]) == sequence(servers[1])).then_some(()));
}

fn signal(server: &Server, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits until both hubs show the title that an editor has given a section in Plone.
fn wait_for_title(servers: [&Server; 2], section: &str, title: &str) {
    for server in servers {
        eventually("the editor's change in Plone", || {
            let section = server.client().get(&format!("/api/v1/sections/{section}")).expect(200).json();
            (section["title"] == title).then_some(())
        });
    }
}

/// Starts two hubs in front of Plone, which pull every `sync_s` seconds. The first, that of the setup, leads.
fn start(database: &Database, sync_s: &str) -> (Setup, Home, Server) {
    let plone = Plone::start();
    let home = || {
        let home = with_plone_at(Home::new().setting("store.url", &database.url()), &plone.url());
        home.setting("plone.sync_s", sync_s).setting("registration.credit_limit", "0")
    };
    let homes = [home(), home()];
    let first = homes[0].serve();
    eventually("the first hub to lead", || leads(&first).then_some(()));
    let [own, other_home] = homes;
    let other = other_home.serve();
    let token = plone.login(DEAN, PASSWORD);
    (Setup { server: first, home: own, token, plone }, other_home, other)
}

#[test]
fn a_pull_that_is_requested_at_another_hub_runs_at_the_leader() {
    let database = cluster().create_database("template1");
    let (setup, _, other) = start(&database, "3600");
    let ids = setup.open(&schedule("203101", 2, 4, 3));
    wait_for_term(&other, "203101");
    setup.wait_until_equal(&ids, &no_names());
    // Plone's times have a resolution of one second, and a pull does not read an item again if its modification time is
    // that of the hub's write.
    let path = format!("/courses/{}", ids[0]);
    let modified = || setup.plone.change(&setup.token, "GET", &path, None)["modified"].clone();
    let written = modified();
    // Plone ignores a change that does not alter the value, so each change has a different title.
    let mut changes = 0;
    let title = eventually("a change in a later second", || {
        changes += 1;
        let title = format!("Change {changes} by an editor");
        setup.change("PATCH", &path, &json!({"title": title}));
        (modified() != written).then_some(title)
    });
    let boss = setup.home.token("boss", "admin");
    let mut admin = other.client().signed_in(&boss);
    let requested = admin.post_json("/api/v1/admin/plone/sync", &json!({})).expect(202).json();
    assert_eq!(requested["requested"], true, "{requested}");
    wait_for_title([&setup.server, &other], &ids[0], &title);
    assert!(!leads(&other) && work(&other).1 == 0.0, "the leader pulled");
}

#[test]
fn one_of_two_hubs_writes_to_plone_and_the_other_takes_over() {
    let database = cluster().create_database("template1");
    let (mut setup, other_home, other) = start(&database, "1");
    let ids = setup.open(&schedule("203101", 12, 4, 3));
    wait_for_term(&other, "203101");
    let tokens = setup.home.tokens("busy", "student", 20);
    let mut random = Random::seeded(seed());

    // Changes by both hubs reach Plone through the first.
    register_and_drop(&setup.server, &tokens[..10], &ids, &mut random, 60);
    register_and_drop(&other, &tokens[10..], &ids, &mut random, 60);
    wait_for_equal_seats("203101", [&setup.server, &other]);
    setup.wait_until_equal(&ids, &no_names());
    assert!(leads(&setup.server) && work(&setup.server).0 > 0.0);
    assert!(!leads(&other), "one hub leads");
    assert_eq!(work(&other), (0.0, 0.0), "the other hub neither writes nor pulls");
    let boss = setup.home.token("boss", "admin");
    let state = plone_state(&mut other.client().signed_in(&boss));
    assert_eq!((&state["leader"], &state["ok"]), (&json!(false), &json!(true)), "{state}");

    // The leader is killed while it writes.
    register_and_drop(&setup.server, &tokens[..10], &ids, &mut random, 60);
    register_and_drop(&other, &tokens[10..], &ids, &mut random, 60);
    setup.server.kill();
    setup.server = other;
    let killed_home = std::mem::replace(&mut setup.home, other_home);
    register_and_drop(&setup.server, &tokens, &ids, &mut random, 60);
    eventually("the other hub to lead", || leads(&setup.server).then_some(()));
    setup.wait_until_equal(&ids, &no_names());
    assert!((work(&setup.server).0) > 0.0);

    // A new leader also pulls; the hub that was killed only follows when it is back.
    let back = killed_home.serve();
    setup.change("PATCH", &format!("/courses/{}", ids[0]), &json!({"title": "Changed by an editor"}));
    wait_for_title([&setup.server, &back], &ids[0], "Changed by an editor");
    assert!(!leads(&back));

    // A leader that is stopped for longer than its lease, and continues, no longer writes.
    let stopped = std::mem::replace(&mut setup.server, back);
    signal(&stopped, Signal::STOP);
    register_and_drop(&setup.server, &tokens, &ids, &mut random, 40);
    eventually("the other hub to take over from the stopped one", || leads(&setup.server).then_some(()));
    setup.wait_until_equal(&ids, &no_names());
    signal(&stopped, Signal::CONT);
    assert!(!leads(&stopped), "its lease has ended");
    let before = work(&stopped).0;
    register_and_drop(&setup.server, &tokens, &ids, &mut random, 40);
    setup.wait_until_equal(&ids, &no_names());
    assert_eq!((work(&stopped).0, leads(&stopped)), (before, false));

    // A leader that is stopped normally hands over.
    wait_for_equal_seats("203101", [&setup.server, &stopped]);
    let leader = std::mem::replace(&mut setup.server, stopped);
    assert_eq!(leader.stop().code(), Some(0));
    register_and_drop(&setup.server, &tokens, &ids, &mut random, 20);
    setup.wait_until_equal(&ids, &no_names());
    assert_eq!(setup.home.run(&["verify"]).status.code(), Some(0));
}
