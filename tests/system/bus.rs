//! Running hubs with `[bus] url`, each with its own store, so that they have only live sessions in common.

use serde_json::{Value, json};

use crate::support::nats::NatsServer;
use crate::support::openapi::assert_has_schema;
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

fn readiness(server: &Server) -> Value {
    server.client().get("/readyz").expect(200).json()
}

pub(crate) fn wait_for_bus(server: &Server, state: &str) -> Value {
    eventually(&format!("the bus to be {state}"), || Some(readiness(server)).filter(|ready| ready["bus"] == state))
}

#[test]
fn a_hub_without_nats_has_a_local_bus() {
    let home = Home::new();
    let server = home.serve();
    assert_eq!(readiness(&server)["bus"], "local");
    let metrics = server.client().get("/metrics").expect(200).text();
    assert!(!metrics.contains("eduhub_bus_"), "{metrics}");
}

#[test]
fn a_hub_serves_without_nats_and_connects_once_nats_runs() {
    let nats = NatsServer::start_with(0, &["--user", "hub", "--pass", "hidden-word"]);
    let relay = TcpRelay::start(nats.address());
    relay.set(Mode::Refuse);
    let home = Home::new().setting("bus.url", &format!("nats://hub:hidden-word@{}", relay.address()));
    let server = home.serve();
    let ready = readiness(&server);
    assert_eq!((&ready["ready"], &ready["bus"]), (&json!(true), &json!("degraded")), "{ready}");
    assert_eq!(ready["checks"]["bus"]["ok"], json!(true));
    let detail = ready["checks"]["bus"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("not connected to NATS: "), "{detail}");
    assert_eq!(server.metric("eduhub_bus_connected"), 0.0);
    server.client().get("/api/v1/terms").expect(200);

    relay.set(Mode::Pass);
    let ready = wait_for_bus(&server, "connected");
    assert_eq!(ready["checks"]["bus"], json!({"ok": true}));
    assert_eq!((server.metric("eduhub_bus_connected"), server.metric("eduhub_bus_reconnects_total")), (1.0, 0.0));

    relay.set(Mode::Refuse);
    wait_for_bus(&server, "degraded");
    relay.set(Mode::Pass);
    wait_for_bus(&server, "connected");
    assert_eq!(server.metric("eduhub_bus_reconnects_total"), 1.0);
    assert!(!server.log().contains("hidden-word"), "{}", server.log());
    assert!(server.stop().success());
}

#[test]
fn an_admin_disconnects_a_session_of_another_hub() {
    let nats = NatsServer::start();
    let homes = [(); 2].map(|()| Home::new().setting("bus.url", &nats.url()));
    let [first, second] = homes.each_ref().map(Home::serve);
    for server in [&first, &second] {
        wait_for_bus(server, "connected");
        eventually("the other hub", || (server.metric("eduhub_bus_hubs") == 1.0).then_some(()));
    }
    let connect = |user: &str| {
        let mut socket = Socket::connect(first.address(), Some(&homes[0].token(user, "student")));
        socket.wait_for("live", |frame| frame["type"] == "live");
        socket
    };
    let [mut ann, mut bob] = ["ann", "bob"].map(connect);
    let path = format!("/api/v1/admin/sessions/{}", ann.seen()[0]["session"].as_str().unwrap());
    let token = homes[1].token("root", "admin");
    second.client().signed_in(&token).delete(&path).expect(204);
    assert_eq!(ann.wait_for_close().0, 4003);
    bob.send(&json!({"type": "ping"}));
    bob.wait_for("pong", |frame| frame["type"] == "pong");

    let path = "/api/v1/admin/audit?action=session.disconnect";
    let trail = second.client().signed_in(&token).get(path).expect(200).json();
    let detail = trail["items"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("not on this hub"), "{detail}");
}

#[test]
fn the_list_of_sessions_covers_every_running_hub() {
    let nats = NatsServer::start();
    let homes = [(); 3].map(|()| Home::new().setting("bus.url", &nats.url()));
    let servers = homes.each_ref().map(Home::serve);
    for server in &servers {
        wait_for_bus(server, "connected");
        eventually("the other hubs", || (server.metric("eduhub_bus_hubs") == 2.0).then_some(()));
    }
    let users = ["ann", "bob", "cyd"];
    let connect =
        |at: usize| Socket::live(servers[at].address(), "/alerts/ws", Some(&homes[at].token(users[at], "student")));
    let mut sockets: Vec<Socket> = (0..3).map(connect).collect();
    let visitor = Socket::live(servers[2].address(), "/alerts/ws", None);
    let root = homes[0].token("root", "admin");
    let list = |at: usize, query: &str| {
        let list = servers[at].client().signed_in(&root).get(&format!("/api/v1/admin/sessions{query}")).expect(200);
        assert_has_schema("SessionList", &list.json());
        list.json()
    };
    let names = |list: &Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|one| one["user"].as_str().unwrap_or("-").to_owned()).collect()
    };
    for at in 0..3 {
        let all = list(at, "");
        assert_eq!((&all["total"], names(&all)), (&json!(4), ["ann", "bob", "cyd", "-"].map(str::to_owned).to_vec()));
        let hubs = all["hubs"].as_array().unwrap();
        assert!(hubs.len() == 3 && hubs.iter().all(|hub| hub["listed"] == true && hub["age_s"] == 0), "{all}");
        let students: u64 = hubs.iter().map(|hub| hub["connections"]["student"].as_u64().unwrap()).sum();
        assert_eq!((students, &hubs[0]["connections"]["student"]), (3, &json!(1)), "this hub is the first: {all}");
        let of_hubs = |n: usize| hubs.iter().any(|hub| hub["id"] == all["items"][n]["hub"]);
        assert!((0..4).all(of_hubs) && all["items"][0]["hub"] != all["items"][1]["hub"], "{all}");
        assert_eq!(names(&list(at, "?role=visitor")), ["-"]);
        assert_eq!(
            (names(&list(at, "?q=BOB")), list(at, "?limit=2")["total"].clone()),
            (vec!["bob".to_owned()], json!(4))
        );
    }
    // A session of another hub is disconnected by its id.
    let bob = list(0, "?q=bob")["items"][0]["id"].as_str().unwrap().to_owned();
    servers[0].client().signed_in(&root).delete(&format!("/api/v1/admin/sessions/{bob}")).expect(204);
    assert_eq!(sockets[1].wait_for_close().0, 4003);

    // A hub that has ended disappears from the list, with its sessions.
    let [first, second, third] = servers;
    drop((sockets, visitor));
    third.kill();
    for server in [&first, &second] {
        eventually("the end of the third hub", || {
            let list = server.client().signed_in(&root).get("/api/v1/admin/sessions").expect(200).json();
            (list["hubs"].as_array()?.len() == 2 && list["total"] == 0).then_some(())
        });
    }
}

#[test]
fn an_unusable_url_is_refused_without_showing_its_password() {
    for url in ["nats://hub:hidden-word@", "http://hub:hidden-word@nats", "nats://hub:hidden-word@a,nats://b/path"] {
        let home = Home::new().setting("bus.url", url);
        for arguments in [&["check-config"][..], &["serve"]] {
            let output = home.run(arguments);
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(!output.status.success() && err.contains("bus.url"), "{arguments:?} {url}: {out}{err}");
            assert!(!format!("{out}{err}").contains("hidden-word"), "{arguments:?} {url}: {out}{err}");
        }
    }
}
