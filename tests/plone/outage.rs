//! A morning without Plone: whatever way it fails, registration, alerts and dashboards go on; and once it is back, it has
//! everything that happened meanwhile. The real hub, a real Plone, and a relay between them that fails on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::support::bridge::{
    before_plone, bridge_state, open_terms, sign_in, wait_for_roster_state, wait_for_sections,
};
use crate::support::http::Client;
use crate::support::plone::{HUB, PASSWORD, Plone};
use crate::support::random::Random;
use crate::support::server::{Home, Server};
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

/// An hour's worth of changes.
const CHANGES: usize = 10_000;
const STUDENTS: usize = 400;
/// Connections that press at once.
const AT_ONCE: usize = 8;

/// Threads that read the store: they come and go with what is asked.
const STORE_READERS: usize = 8;

/// Memory that the hub may take beyond what it had before the first outage, in kB: less than one outage would leave
/// behind if its requests were kept, and more than what allocators keep for later.
const GROWTH_KB_MAX: u64 = 24 * 1024;

/// Words that only Plone's inside has.
const INSIDE: [&str; 4] = ["Traceback", "/Plone", "site-packages", "eyJ"];

fn wait_for_an_empty_outbox(admin: &mut Client) {
    eventually("an empty outbox", || {
        let state = bridge_state(admin);
        assert_eq!(state["outbox"]["aside_total"], 0, "{state}");
        (state["outbox"]["depth"] == 0).then_some(())
    });
}

/// Presses, as students do who cannot make up their minds: whoever holds a section may drop it again.
fn press(server: &Server, tokens: &[String], ids: &[String], changes: usize, seed: u64) -> usize {
    let mut random = Random::seeded(seed);
    let mut held: Vec<Vec<String>> = vec![Vec::new(); tokens.len()];
    let mut clients: Vec<_> = tokens.iter().map(|token| server.client().signed_in(token)).collect();
    let mut changed = 0;
    while changed < changes {
        let who = random.below(tokens.len());
        let client = &mut clients[who];
        if held[who].len() > 3 || (!held[who].is_empty() && random.below(3) == 0) {
            let at = random.below(held[who].len());
            let id = held[who].swap_remove(at);
            client.delete(&format!("/api/v1/me/registrations/{id}")).expect(200);
            changed += 1;
            continue;
        }
        let id = ids[random.below(ids.len())].clone();
        let answer = client.put(&format!("/api/v1/me/registrations/{id}?waitlist=true"));
        assert!([200, 201, 409].contains(&answer.status), "{}", answer.text());
        if answer.status == 201 {
            held[who].push(id);
            changed += 1;
        }
    }
    changed
}

/// What a section has: enrolled, waiting, and the roster's lines without their times.
type Held = (u64, u64, BTreeSet<String>);

fn as_the_hub_has_it(server: &Server, tokens: &[String]) -> BTreeMap<String, Held> {
    let list = server.client().get("/api/v1/sections?limit=5000").expect(200).json();
    let mut all: BTreeMap<String, Held> = BTreeMap::new();
    for section in list["items"].as_array().unwrap() {
        let count = |name: &str| section[name].as_u64().unwrap();
        let id = section["id"].as_str().unwrap().to_owned();
        all.insert(id, (count("enrolled"), count("waitlisted"), BTreeSet::new()));
    }
    for token in tokens {
        let mut client = server.client().signed_in(token);
        let user = client.get("/api/v1/me").expect(200).json()["username"].as_str().unwrap().to_owned();
        let held = client.get("/api/v1/me/registrations").expect(200).json();
        for item in held["items"].as_array().unwrap() {
            let line = format!("{user} {}", item["status"].as_str().unwrap());
            all.get_mut(item["section"].as_str().unwrap()).unwrap().2.insert(line);
        }
    }
    all
}

fn as_plone_has_it(plone: &Plone, ids: &[String]) -> BTreeMap<String, Held> {
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
fn plone_equals_the_hub_after_10_000_changes_without_it() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let home = before_plone(Home::new(), &relay.url()).setting("plone.sync_s", "5").setting("plone.timeout_ms", "2000");
    let server = home.serve();
    let ids = wait_for_sections(&server);
    let admin = home.token("operator", "admin");
    open_terms(&server, &admin);
    // The first plain member: from then on rosters may be written.
    sign_in(&server, "student1");
    let head = || server.client().signed_in(&admin);
    wait_for_roster_state(&mut head(), "protected");

    relay.set(Mode::Hang);
    let tokens = home.tokens("pupil", "student", STUDENTS);
    let changed: usize = thread::scope(|scope| {
        let work: Vec<_> = tokens
            .chunks(STUDENTS / AT_ONCE)
            .zip(0_u64..)
            .map(|(tokens, seed)| {
                scope.spawn({
                    let (server, ids) = (&server, &ids);
                    move || press(server, tokens, ids, CHANGES / AT_ONCE, seed)
                })
            })
            .collect();
        work.into_iter().map(|work| work.join().unwrap()).sum()
    });
    assert_eq!(changed, CHANGES);
    assert!(bridge_state(&mut head())["outbox"]["depth"].as_u64().unwrap() > 0, "Plone could not be told yet");

    relay.set(Mode::Pass);
    wait_for_an_empty_outbox(&mut head());
    let (hub, there) = (as_the_hub_has_it(&server, &tokens), as_plone_has_it(&plone, &ids));
    assert!(hub.values().any(|(_, waiting, _)| *waiting > 0), "nobody waits: the test should be harder");
    for (id, held) in &hub {
        assert_eq!(&there[id], held, "{id}");
    }
    drop(server);
    home.verify().unwrap();
}

fn count_of(folder: &str, server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/{folder}", server.pid())).unwrap().count()
}

/// What the hub has in memory, in kB.
fn memory_kb(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn the_hub_works_and_does_not_grow_in_every_kind_of_outage() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let home = before_plone(Home::new(), &relay.url()).setting("plone.sync_s", "1").setting("plone.timeout_ms", "1000");
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
    press(&server, &tokens, &ids, 200, 1);
    let (threads, files, memory) = (count_of("task", &server), count_of("fd", &server), memory_kb(&server));

    for (mode, seed) in
        [Mode::Refuse, Mode::Hang, Mode::Answer500, Mode::Garbage, Mode::Drip, Mode::Cut].into_iter().zip(2..)
    {
        relay.set(mode);
        // Whoever was signed in goes on, and everything that does not need Plone is as ever.
        press(&server, &home.tokens(&format!("pupil{seed}"), "student", 20), &ids, 100, seed);
        let alert = json!({"title": "Snow", "message": "Classes begin at ten.", "audience": {"all": true}});
        server.client().signed_in(&admin).post_json("/api/v1/alerts", &alert).expect(201);
        let board = eventually("a dashboard that says that Plone does not answer", || {
            let answer = member.get("/api/v1/dashboard").expect(200);
            for word in INSIDE {
                assert!(!answer.text().contains(word), "{mode:?}: {word} in {}", answer.text());
            }
            let board = answer.json();
            (board["sources"]["plone"]["ok"] == false).then_some(board)
        });
        assert_eq!(board["announcements"], news, "{mode:?}: the last good copy");
        assert!(board["sources"]["plone"]["age_s"].is_number(), "{mode:?}: {board}");
        let ready = server.client().get("/readyz");
        assert_eq!(ready.status, 200, "{mode:?}: {}", ready.text());
        match server.client().call("GET", "/plone/courses", &[], b"") {
            Ok(proxied) => {
                assert!([500, 502, 503, 504].contains(&proxied.status), "{mode:?}: {}", proxied.status);
                for word in INSIDE {
                    assert!(!proxied.text().contains(word), "{mode:?}: {word} in {}", proxied.text());
                }
            }
            // What streams and breaks off breaks off on this side, too, rather than pass for whole.
            Err(error) => assert_eq!(mode, Mode::Cut, "{error}"),
        }
        relay.set(Mode::Pass);
        eventually("a dashboard that says that Plone is back", || {
            let board = member.get("/api/v1/dashboard").expect(200).json();
            (board["sources"]["plone"]["ok"] == true).then_some(())
        });
        let now = count_of("task", &server);
        assert!(now <= threads + STORE_READERS, "{mode:?}: {now} threads, {threads} before");
        let now = memory_kb(&server);
        assert!(now <= memory + GROWTH_KB_MAX, "{mode:?}: {now} kB, {memory} kB before");
    }
    wait_for_an_empty_outbox(&mut server.client().signed_in(&admin));
    // Connections of the pool stay, those of this test's clients close one by one.
    eventually("as many open files as before", || (count_of("fd", &server) <= files + 16).then_some(()));
}
