//! Outages of Plone. In every kind of outage, registration, alerts and dashboards continue, and Plone receives all
//! changes afterward. A relay between the hub and a real Plone causes the outages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::support::bridge::{
    open_terms, plone_state, sign_in, wait_for_roster_state, wait_for_sections, with_plone_at,
};
use crate::support::http::Client;
use crate::support::plone::{HUB, PASSWORD, Plone};
use crate::support::random::Random;
use crate::support::server::{Home, Server};
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

/// Number of changes while Plone is down, as many as in a busy hour.
const CHANGES: usize = 10_000;
const STUDENTS: usize = 400;
/// Number of threads that send requests.
const THREADS: usize = 8;

/// Maximum number of threads that the hub starts during the test, such as those that read the store.
const NEW_THREADS_MAX: usize = 8;

/// Maximum growth of the hub's memory since before the first outage, in kB. It is less than the requests of one outage
/// would take if the hub stored them, and more than the allocator retains.
const GROWTH_KB_MAX: u64 = 24 * 1024;

/// Text that appears only in internals of Plone.
const INTERNALS: [&str; 4] = ["Traceback", "/Plone", "site-packages", "eyJ"];

/// Waits until the outbox is empty. The deadline applies to each entry, because the time for all of them depends on the
/// machine.
fn wait_for_an_empty_outbox(admin: &mut Client) {
    let mut left = u64::MAX;
    while left > 0 {
        left = eventually("fewer entries in the outbox", || {
            let state = plone_state(admin);
            assert_eq!(state["outbox"]["aside_total"], 0, "{state}");
            state["outbox"]["depth"].as_u64().filter(|depth| *depth < left)
        });
    }
}

/// Registers and drops at random until at least this many changes were made. Returns their number.
fn register_and_drop(server: &Server, tokens: &[String], ids: &[String], changes: usize, seed: u64) -> usize {
    let mut random = Random::seeded(seed);
    let mut registered: Vec<Vec<String>> = vec![Vec::new(); tokens.len()];
    let mut clients: Vec<_> = tokens.iter().map(|token| server.client().signed_in(token)).collect();
    let mut changed = 0;
    while changed < changes {
        let student = random.below(tokens.len());
        let client = &mut clients[student];
        if registered[student].len() > 3 || (!registered[student].is_empty() && random.below(3) == 0) {
            let at = random.below(registered[student].len());
            let id = registered[student].swap_remove(at);
            client.delete(&format!("/api/v1/me/registrations/{id}")).expect(200);
            changed += 1;
            continue;
        }
        let id = ids[random.below(ids.len())].clone();
        let response = client.put(&format!("/api/v1/me/registrations/{id}?waitlist=true"));
        assert!([200, 201, 409].contains(&response.status), "{}", response.text());
        if response.status == 201 {
            registered[student].push(id);
            changed += 1;
        }
    }
    changed
}

/// A section's enrolled and waitlisted counts, and the lines of its roster without their times.
type Registered = (u64, u64, BTreeSet<String>);

/// Returns the hub's state of all sections, with rosters from the registrations of these students.
fn in_hub(server: &Server, tokens: &[String]) -> BTreeMap<String, Registered> {
    let list = server.client().get("/api/v1/sections?limit=5000").expect(200).json();
    let mut all: BTreeMap<String, Registered> = BTreeMap::new();
    for section in list["items"].as_array().unwrap() {
        let count = |name: &str| section[name].as_u64().unwrap();
        let id = section["id"].as_str().unwrap().to_owned();
        all.insert(id, (count("enrolled"), count("waitlisted"), BTreeSet::new()));
    }
    for token in tokens {
        let mut client = server.client().signed_in(token);
        let user = client.get("/api/v1/me").expect(200).json()["username"].as_str().unwrap().to_owned();
        let registered = client.get("/api/v1/me/registrations").expect(200).json();
        for item in registered["items"].as_array().unwrap() {
            let line = format!("{user} {}", item["status"].as_str().unwrap());
            all.get_mut(item["section"].as_str().unwrap()).unwrap().2.insert(line);
        }
    }
    all
}

/// Returns Plone's state of these sections.
fn in_plone(plone: &Plone, ids: &[String]) -> BTreeMap<String, Registered> {
    let token = plone.login(HUB, PASSWORD);
    let mut all = BTreeMap::new();
    for id in ids {
        let (status, item) = plone.request("GET", &format!("/courses/{id}"), Some(&token), None);
        assert_eq!(status, 200, "{item}");
        let lines = item["roster"].as_array().cloned().unwrap_or_default();
        let line = |text: &Value| text.as_str().unwrap().rsplit_once(' ').expect("a time at the end").0.to_owned();
        let count = |name: &str| item[name].as_u64().unwrap_or(0);
        all.insert(id.clone(), (count("seats_taken"), count("waitlisted"), lines.iter().map(line).collect()));
    }
    all
}

#[test]
fn plone_receives_10_000_changes_after_an_outage() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let home = with_plone_at(Home::new(), &relay.url()).setting("plone.sync_s", "5");
    let home = home.setting("plone.timeout_ms", "2000");
    let server = home.serve();
    let ids = wait_for_sections(&server);
    let admin = home.token("operator", "admin");
    open_terms(&server, &admin);
    // Rosters are written only after the first plain member has signed in.
    sign_in(&server, "student1");
    let admin_client = || server.client().signed_in(&admin);
    wait_for_roster_state(&mut admin_client(), "protected");

    relay.set(Mode::Hang);
    let tokens = home.tokens("pupil", "student", STUDENTS);
    let changed: usize = thread::scope(|scope| {
        let work: Vec<_> = tokens
            .chunks(STUDENTS / THREADS)
            .zip(0_u64..)
            .map(|(tokens, seed)| {
                scope.spawn({
                    let (server, ids) = (&server, &ids);
                    move || register_and_drop(server, tokens, ids, CHANGES / THREADS, seed)
                })
            })
            .collect();
        work.into_iter().map(|work| work.join().unwrap()).sum()
    });
    assert_eq!(changed, CHANGES);
    assert!(plone_state(&mut admin_client())["outbox"]["depth"].as_u64().unwrap() > 0, "the outbox is empty");

    relay.set(Mode::Pass);
    let hub = in_hub(&server, &tokens);
    assert!(hub.values().any(|(_, waiting, _)| *waiting > 0), "no student is waitlisted");
    // A check of the roster field during the outage withholds names until the next check, which marks these sections
    // again. Whether a check is still running cannot be seen, so the outbox may be empty before that.
    eventually("Plone to have every section as the hub has it", || {
        wait_for_roster_state(&mut admin_client(), "protected");
        wait_for_an_empty_outbox(&mut admin_client());
        let there = in_plone(&plone, &ids);
        let differs = hub.iter().find(|(id, registered)| there[*id] != **registered);
        if let Some((id, registered)) = differs {
            println!("{id}: {registered:?} in the hub, {:?} in Plone", there[id]);
        }
        differs.is_none().then_some(())
    });
    drop(server);
    home.verify().unwrap();
}

/// Returns the number of entries in a folder of `/proc` for the hub's process, such as `task` or `fd`.
fn count_of(folder: &str, server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/{folder}", server.pid())).unwrap().count()
}

/// Returns the resident memory of the hub, in kB.
fn memory_kb(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn in_every_outage_the_hub_works_and_does_not_grow() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let home = with_plone_at(Home::new(), &relay.url()).setting("plone.sync_s", "1");
    let home = home.setting("plone.timeout_ms", "1000");
    let server = home.serve();
    let ids = wait_for_sections(&server);
    let admin = home.token("operator", "admin");
    open_terms(&server, &admin);
    let mut member = server.client().signed_in(&sign_in(&server, "student1"));
    let news = eventually("announcements", || {
        let board = member.get("/api/v1/dashboard").expect(200).json();
        (board["sources"]["plone"]["ok"] == true).then(|| board["announcements"].clone())
    });
    assert!(news.as_array().is_some_and(|items| !items.is_empty()), "{news}");
    let tokens = home.tokens("pupil", "student", 40);
    register_and_drop(&server, &tokens, &ids, 200, 1);
    let (threads, files, memory) = (count_of("task", &server), count_of("fd", &server), memory_kb(&server));

    for (mode, seed) in
        [Mode::Refuse, Mode::Hang, Mode::Answer500, Mode::Garbage, Mode::Drip, Mode::Cut].into_iter().zip(2..)
    {
        relay.set(mode);
        // Registration and alerts work, and sign-ins stay valid.
        register_and_drop(&server, &home.tokens(&format!("pupil{seed}"), "student", 20), &ids, 100, seed);
        let alert = json!({"title": "Snow", "message": "Classes begin at ten.", "audience": {"all": true}});
        server.client().signed_in(&admin).post_json("/api/v1/alerts", &alert).expect(201);
        let board = eventually("a dashboard that reports that Plone does not respond", || {
            let response = member.get("/api/v1/dashboard").expect(200);
            for word in INTERNALS {
                assert!(!response.text().contains(word), "{mode:?}: {word} in {}", response.text());
            }
            let board = response.json();
            (board["sources"]["plone"]["ok"] == false).then_some(board)
        });
        assert_eq!(board["announcements"], news, "{mode:?}: the dashboard must show the last good copy");
        assert!(board["sources"]["plone"]["age_s"].is_number(), "{mode:?}: {board}");
        let ready = server.client().get("/readyz");
        assert_eq!(ready.status, 200, "{mode:?}: {}", ready.text());
        match server.client().call("GET", "/plone/courses", &[], b"") {
            Ok(proxied) => {
                assert!([500, 502, 503, 504].contains(&proxied.status), "{mode:?}: {}", proxied.status);
                for word in INTERNALS {
                    assert!(!proxied.text().contains(word), "{mode:?}: {word} in {}", proxied.text());
                }
            }
            // A response that is truncated while it streams is truncated for the client, too.
            Err(error) => assert_eq!(mode, Mode::Cut, "{error}"),
        }
        relay.set(Mode::Pass);
        eventually("a dashboard that reports that Plone responds again", || {
            let board = member.get("/api/v1/dashboard").expect(200).json();
            (board["sources"]["plone"]["ok"] == true).then_some(())
        });
        let now = count_of("task", &server);
        assert!(now <= threads + NEW_THREADS_MAX, "{mode:?}: {now} threads, {threads} before");
        let now = memory_kb(&server);
        assert!(now <= memory + GROWTH_KB_MAX, "{mode:?}: {now} kB, {memory} kB before");
    }
    wait_for_an_empty_outbox(&mut server.client().signed_in(&admin));
    // The pool's connections stay open. The connections of this test's clients close gradually.
    eventually("as many open files as before", || (count_of("fd", &server) <= files + 16).then_some(()));
}
