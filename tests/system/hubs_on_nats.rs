//! Two hubs on one PostgreSQL database, each on its own NATS server. Messages between the servers arrive, or are lost,
//! repeated or reordered; what the hubs show and store is the same in each case.

use std::thread;

use serde_json::{Value, json};

use crate::bus::wait_for_bus;
use crate::hubs::{Hubs, SEATS, TERM, load, registration, schedule, seats};
use crate::support::audit::{all_registrations, audit};
use crate::support::nats::NatsServer;
use crate::support::nats_joint::{Fate, NatsJoint};
use crate::support::postgres::cluster;
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::wait::eventually;

/// Number of students who want the [`SEATS`] of one section.
const STUDENTS: usize = 80;

/// Returns two hubs on one database, each on one of the NATS servers.
fn hubs_on(nats: [&NatsServer; 2]) -> Hubs {
    let Hubs { homes: [one, other], database } = Hubs::new(cluster());
    let on = |home: Home, nats: &NatsServer| home.setting("bus.url", &nats.url());
    Hubs { homes: [on(one, nats[0]), on(other, nats[1])], database }
}

fn serve(hubs: &Hubs) -> [Server; 2] {
    let servers = hubs.serve();
    servers.iter().for_each(|server| drop(wait_for_bus(server, "connected")));
    servers
}

/// Waits until both hubs receive messages of each other.
fn wait_for_each_other(servers: &[Server; 2]) {
    for server in servers {
        eventually("the other hub", || (server.metric("eduhub_bus_hubs") == 1.0).then_some(()));
    }
}

/// Returns the statuses of a student's registrations that a live session was notified of.
fn notified(socket: &Socket) -> Vec<&Value> {
    socket.seen().iter().filter(|frame| frame["type"] == "registration").map(|frame| &frame["status"]).collect()
}

/// Checks that a student at one hub is notified once of each change at the other, and that a sign-out applies to both.
fn notifies_once(hubs: &Hubs, servers: &[Server; 2]) {
    let section = &schedule().ids()[1];
    let token = hubs.token("ann", "student");
    let mut socket = Socket::live(servers[1].address(), "/alerts/ws", Some(&token));
    let mut ann = servers[0].client().signed_in(&token);
    for (status, wanted) in [("enrolled", 201), ("dropped", 200)] {
        let method = if wanted == 201 { "PUT" } else { "DELETE" };
        ann.call(method, &registration(section), &[], b"").unwrap().expect(wanted);
        socket.wait_for(status, |frame| frame["type"] == "registration" && frame["status"] == status);
    }
    // Once this later change has arrived, any second notice of the earlier ones has arrived, too.
    ann.put(&registration(section)).expect(201);
    socket.wait_for("the third change", |frame| {
        frame["type"] == "registration" && frame["status"] == "enrolled" && frame["section"] == *section
    });
    ann.call("POST", "/api/v1/logout", &[], b"").unwrap().expect(204);
    assert_eq!(socket.wait_for_close().0, 4003, "the live session at the other hub is closed");
    assert_eq!(notified(&socket), ["enrolled", "dropped", "enrolled"]);
    eventually("the end of the sign-in at the other hub", || {
        (servers[1].client().signed_in(&token).get("/api/v1/me").status == 401).then_some(())
    });
}

/// Checks that students at both hubs share the seats of a section.
fn shares_seats(hubs: &Hubs, servers: &[Server; 2]) {
    let section = &schedule().ids()[0];
    let tokens = hubs.homes[0].tokens("rush", "student", STUDENTS);
    let register = |index: usize, token: &String| {
        let response = servers[index % 2].client().signed_in(token).put(&registration(section));
        assert!([201, 409].contains(&response.status), "{}", response.text());
        response.status == 201
    };
    let granted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread: usize| {
                let (own, register) = (tokens.iter().skip(thread).step_by(4), &register);
                scope.spawn(move || own.filter(|token| register(thread, token)).count())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, SEATS as usize);
    for server in servers {
        eventually("all seats taken", || {
            (seats(server, section)? == json!([section, SEATS, SEATS, 0, 0])).then_some(())
        });
    }
    for server in servers {
        let registered = all_registrations(server, TERM, &tokens);
        assert_eq!(registered.iter().filter(|own| own.contains_key(section)).count(), granted);
        audit(server, &schedule(), &registered);
    }
}

/// Checks that each hub lists itself and the other.
fn lists_both(hubs: &Hubs, servers: &[Server; 2]) {
    let boss = hubs.token("boss", "admin");
    for server in servers {
        let listed = eventually("the states of both hubs", || {
            let listed = server.client().signed_in(&boss).get("/api/v1/admin/hubs").expect(200).json();
            let hubs = listed["items"].as_array()?;
            (hubs.len() == 2 && hubs.iter().all(|hub| hub["ready"] == true && hub["bus"] == true)).then_some(listed)
        });
        let (own, other) = (&listed["items"][0], &listed["items"][1]);
        assert!(own["name"].as_str().unwrap().ends_with(&format!(":{}", server.address().port())), "{listed}");
        assert!(own["id"] != other["id"] && own["version"] == other["version"], "{listed}");
        assert_eq!((&own["leader"], &own["age_s"]), (&json!(null), &json!(0)), "{listed}");
    }
}

fn hubs_agree(fate: Fate) {
    let (one, other) = (NatsServer::start(), NatsServer::start());
    let hubs = hubs_on([&one, &other]);
    let servers = serve(&hubs);
    let joint = NatsJoint::start([&one, &other], fate);
    if fate != Fate::LoseAll {
        wait_for_each_other(&servers);
    }
    load(&hubs, &servers);
    shares_seats(&hubs, &servers);
    notifies_once(&hubs, &servers);
    let received = servers[1].metric("eduhub_bus_events_total{direction=\"received\"}");
    assert_eq!(received > 0.0, fate != Fate::LoseAll, "{received}");
    drop(joint);
    hubs.verify();
}

#[test]
fn a_hint_makes_the_other_hub_read_at_once() {
    let nats = NatsServer::start();
    let hubs = hubs_on([&nats, &nats]);
    let servers = serve(&hubs);
    wait_for_each_other(&servers);
    lists_both(&hubs, &servers);
    load(&hubs, &servers);
    let hints = || servers[1].metric("eduhub_follow_hints_total");
    let before = hints();
    // The student has no live session, and the commit is still announced.
    let section = &schedule().ids()[1];
    let mut ann = servers[0].client().signed_in(&hubs.token("ann", "student"));
    // A poll of the store may precede one hint, but not each of them.
    eventually("a read because of a hint", || {
        ann.put(&registration(section));
        ann.delete(&registration(section));
        (hints() > before).then_some(())
    });
    shares_seats(&hubs, &servers);
    notifies_once(&hubs, &servers);
    hubs.verify();
}

#[test]
fn hubs_agree_even_if_all_messages_are_lost() {
    hubs_agree(Fate::LoseAll);
}

#[test]
fn hubs_agree_even_if_most_messages_are_lost() {
    hubs_agree(Fate::LoseSome);
}

#[test]
fn hubs_agree_even_if_messages_are_repeated() {
    hubs_agree(Fate::Repeat);
}

#[test]
fn hubs_agree_even_if_messages_are_reordered() {
    hubs_agree(Fate::Reorder);
}
