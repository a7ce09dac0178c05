//! Members of Plone sign in to the hub: their roles, the end of sign-ins, and signing in while Plone is down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::support::barrier::Barrier;
use crate::support::bridge::{sign_in, with_plone_at};
use crate::support::http::Response;
use crate::support::plone::{CLERK, DEAN, PASSWORD, Plone, REGISTRAR, STUDENTS};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::wait::eventually;

/// Concurrent sign-ins.
const AT_ONCE: usize = 200;

/// Returns the settings and the store of a hub in front of this Plone that rechecks members every second.
fn hub(plone: &Plone) -> Home {
    with_plone_at(Home::new(), &plone.url()).setting("plone.recheck_s", "1")
}

/// Signs in. Repeats the request while Plone does not respond in time, as on a machine under load.
fn login(server: &Server, user: &str, password: &str) -> Response {
    eventually("a response from Plone", || Some(login_once(server, user, password)).filter(|r| r.status != 503))
}

fn login_once(server: &Server, user: &str, password: &str) -> Response {
    server.client().post_json("/api/v1/login", &json!({"username": user, "password": password}))
}

fn me(server: &Server, token: &str) -> Response {
    server.client().signed_in(token).get("/api/v1/me")
}

/// Creates a user in Plone.
fn create_user(plone: &Plone, name: &str, roles: &[&str]) {
    let user = json!({"username": name, "email": format!("{name}@college.example"), "password": PASSWORD,
                      "fullname": "Zoë Zimmer", "roles": roles});
    plone.change_as_hub("POST", "/@users", Some(&user));
}

/// Waits for an audit entry with this user, action and detail.
fn wait_for_audit(home: &Home, server: &Server, user: &str, action: &str, detail: &str) {
    let mut admin = server.client().signed_in(&home.token("auditor", "admin"));
    eventually(&format!("an audit entry: {action}, {detail}"), || {
        let trail = admin.get(&format!("/api/v1/admin/audit?user={user}&action={action}")).expect(200).json();
        let entries = trail["items"].as_array().unwrap();
        entries.iter().any(|entry| entry["detail"] == detail).then_some(())
    });
}

/// Waits until all queued passwords are hashed.
fn wait_for_hashes(server: &Server) {
    eventually("all passwords to be hashed", || {
        (server.metric("eduhub_queue_length{queue=\"passwords\"}") == 0.0).then_some(())
    });
}

#[test]
fn roles_follow_plones_roles_and_groups() {
    let plone = Plone::shared();
    let home = hub(plone);
    let server = home.serve();
    let kinds = [
        ("student1", "student"),
        (CLERK, "staff"),
        (REGISTRAR, "staff"),
        (DEAN, "admin"),
        ("admin", "admin"), // Zope's root user
    ];
    for (user, role) in kinds {
        let response = login(&server, user, PASSWORD).expect(200).json();
        let names: Vec<_> = response.as_object().unwrap().keys().collect();
        assert_eq!(names, ["expires_at", "token", "user"], "the response contains nothing from Plone");
        assert_eq!((&response["user"]["username"], &response["user"]["role"]), (&json!(user), &json!(role)));
        let me = me(&server, response["token"].as_str().unwrap()).expect(200).json();
        assert_eq!(me, response["user"]);
    }
    wait_for_audit(&home, &server, CLERK, "login", "Plone");
    for (user, password) in [("student1", "wrong"), ("unknown", PASSWORD), ("STUDENT1", PASSWORD)] {
        assert_eq!(login(&server, user, password).expect(401).code(), "bad_credentials", "{user}");
    }
    wait_for_audit(&home, &server, "student1", "login.failed", "incorrect username or password");
    // The hub does not know this name. It may be a password that was typed as the username.
    wait_for_audit(&home, &server, "unknown%20user", "login.failed", "incorrect username or password");

    create_user(plone, "stranger", &["Member"]);
    plone.change_as_hub("PATCH", "/@users/stranger", Some(&json!({"roles": {"Member": false}})));
    let refused = login(&server, "stranger", PASSWORD).expect(403);
    assert_eq!(refused.code(), "forbidden");
    assert!(refused.text().contains("no role in EduHub"), "{}", refused.text());
}

#[test]
fn plone_tokens_are_not_accepted_as_hub_tokens() {
    let plone = Plone::shared();
    let server = hub(plone).serve();
    create_user(plone, "orphan", &["Member"]);
    let (good, orphaned) = (plone.login("student2", PASSWORD), plone.login("orphan", PASSWORD));
    let ended = plone.login("student2", PASSWORD);
    assert_eq!(plone.request("POST", "/@logout", Some(&ended), None).0, 204);
    plone.change_as_hub("DELETE", "/@users/orphan", None);
    let (_, payload_and_signature) = good.split_once('.').unwrap();
    let (payload, _) = payload_and_signature.split_once('.').unwrap();
    // The first token has the header {"alg":"none"}, the second a payload that expired in 2001.
    let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
    let expired = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZG1pbiIsImV4cCI6MTAwMDAwMDAwMH0.c2lnbmF0dXJl";
    for token in [good.as_str(), &orphaned, &ended, &unsigned, expired] {
        assert_eq!(me(&server, token).expect(401).code(), "unauthenticated", "{token}");
        assert_eq!(login(&server, "student2", &token[..200.min(token.len())]).status, 401, "a token is not a password");
    }
    assert_eq!(login(&server, "orphan", PASSWORD).expect(401).code(), "bad_credentials");
}

#[test]
fn a_user_deleted_in_plone_is_signed_out() {
    let plone = Plone::shared();
    let home = hub(plone);
    let server = home.serve();
    create_user(plone, "leaver", &["Member"]);
    let token = sign_in(&server, "leaver");
    let minted = home.token("leaver", "student");
    let (mut socket, mut by_minted) = (
        Socket::live(server.address(), "/alerts/ws", Some(&token)),
        Socket::live(server.address(), "/alerts/ws", Some(&minted)),
    );
    plone.change_as_hub("DELETE", "/@users/leaver", None);
    assert_eq!(socket.wait_for_close().0, 4001);
    assert_eq!(me(&server, &token).expect(401).code(), "unauthenticated");
    assert_eq!(login(&server, "leaver", PASSWORD).expect(401).code(), "bad_credentials");
    wait_for_audit(&home, &server, "leaver", "login.ended", "Plone no longer has this user");
    // The hub never checks a token from the command line with Plone.
    me(&server, &minted).expect(200);
    by_minted.send(&json!({"type": "ping"}));
    by_minted.wait_for("pong", |frame| frame["type"] == "pong");
}

#[test]
fn a_changed_role_ends_sign_ins_and_applies_to_the_next() {
    let plone = Plone::shared();
    let server = hub(plone).serve();
    create_user(plone, "mover", &["Member"]);
    let in_group =
        |member: bool| plone.change_as_hub("PATCH", "/@groups/registrars", Some(&json!({"users": {"mover": member}})));
    for (member, role) in [(false, "student"), (true, "staff"), (false, "student")] {
        in_group(member);
        let response = login(&server, "mover", PASSWORD).expect(200).json();
        assert_eq!((&response["user"]["role"], &response["user"]["name"]), (&json!(role), &json!("Zoë Zimmer")));
        let token = response["token"].as_str().unwrap().to_owned();
        let mut socket = Socket::live(server.address(), "/alerts/ws", Some(&token));
        in_group(!member);
        assert_eq!(socket.wait_for_close().0, 4001, "{role}");
        assert_eq!(me(&server, &token).expect(401).code(), "unauthenticated", "{role}");
    }
}

#[test]
fn signing_out_ends_that_sign_in_only() {
    let server = hub(Plone::shared()).serve();
    let (first, second) = (sign_in(&server, "student3"), sign_in(&server, "student3"));
    let mut socket = Socket::live(server.address(), "/alerts/ws", Some(&first));
    server.client().signed_in(&first).post_json("/api/v1/logout", &json!({})).expect(204);
    assert_eq!(socket.wait_for_close().0, 4003);
    me(&server, &first).expect(401);
    me(&server, &second).expect(200);
    me(&server, &sign_in(&server, "student3")).expect(200);
}

#[test]
fn a_local_account_takes_precedence_over_a_plone_user() {
    let home = hub(Plone::shared());
    let server = home.serve();
    let by_plone = sign_in(&server, "student4");
    let mut socket = Socket::live(server.address(), "/alerts/ws", Some(&by_plone));
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let account = json!({"role": "staff", "password": "a local password"});
    admin.put_json("/api/v1/admin/users/student4", &account).expect(201);
    assert_eq!(socket.wait_for_close().0, 4001);
    me(&server, &by_plone).expect(401);
    assert_eq!(login(&server, "student4", PASSWORD).expect(401).code(), "bad_credentials");
    let local = login(&server, "student4", "a local password").expect(200).json();
    assert_eq!(local["user"]["role"], "staff");
    // Changing the role of a local account also ends its tokens.
    let mut socket = Socket::live(server.address(), "/alerts/ws", Some(local["token"].as_str().unwrap()));
    admin.put_json("/api/v1/admin/users/student4", &json!({"role": "student"})).expect(200);
    assert_eq!(socket.wait_for_close().0, 4001);
}

#[test]
fn wrong_passwords_are_limited_by_account() {
    let server = hub(Plone::shared()).setting("limits.login_per_minute", "3").serve();
    for _ in 0..3 {
        assert_eq!(login(&server, "student5", "wrong").expect(401).code(), "bad_credentials");
    }
    for user in ["student5", "Student5"] {
        let limited = login(&server, user, PASSWORD).expect(429);
        assert_eq!(limited.code(), "rate_limited", "{user}");
        assert!(limited.header("retry-after").is_some());
    }
    login(&server, "student6", PASSWORD).expect(200);
}

#[test]
fn a_locked_account_is_refused_with_plones_message() {
    let plone = Plone::start();
    plone.install_lockout();
    let server = hub(&plone).serve();
    // The add-on ignores repetitions of the same wrong password. The third different one locks the account.
    for (guess, status) in [("one", 401), ("two", 401), ("three", 403)] {
        assert_eq!(login(&server, "student1", guess).status, status, "{guess}");
    }
    let locked = login(&server, "student1", PASSWORD).expect(403);
    assert_eq!(locked.code(), "forbidden");
    assert!(locked.text().contains("Plone has locked this account: This account has now been locked"));
    login(&server, "student2", PASSWORD).expect(200);
}

#[test]
fn known_passwords_and_sign_ins_survive_an_outage() {
    let plone = Plone::start();
    let home = hub(&plone);
    let server = home.serve();
    let before = sign_in(&server, "student1");
    wait_for_hashes(&server);
    plone.stop();
    let again = login(&server, "student1", PASSWORD).expect(200).json();
    assert_eq!(again["user"], me(&server, &before).expect(200).json());
    wait_for_audit(&home, &server, "student1", "login", "Plone did not respond; matched the last accepted password");
    assert_eq!(login(&server, "student1", "wrong").expect(401).code(), "bad_credentials");
    let unknown = login(&server, "student2", PASSWORD).expect(502);
    assert_eq!(unknown.code(), "plone_unavailable");
    assert!(unknown.header("retry-after").is_some());
    assert!(!unknown.text().contains("127.0.0.1"), "{}", unknown.text());
    let unanswered = || server.metric("eduhub_plone_rechecks_total{outcome=\"unanswered\"}");
    let count_before = unanswered();
    eventually("failed rechecks of members", || {
        me(&server, &before).expect(200);
        (unanswered() >= count_before + 3.0).then_some(())
    });
    let mut local = server.client().signed_in(&home.token("root", "admin"));
    local.put_json("/api/v1/admin/users/desk", &json!({"role": "staff", "password": "a local password"})).expect(201);
    login(&server, "desk", "a local password").expect(200);

    plone.start_again();
    eventually("a sign-in through Plone", || (login(&server, "student2", PASSWORD).status == 200).then_some(()));
    me(&server, &before).expect(200);
}

#[test]
fn bursts_of_sign_ins_are_throttled_not_rejected() {
    let server = with_plone_at(Home::new(), &Plone::shared().url()).without("limits.login_per_minute").serve();
    let (start, throttled) = (Barrier::new(AT_ONCE), AtomicUsize::new(0));
    thread::scope(|scope| {
        for n in 0..AT_ONCE {
            let (server, start, throttled) = (&server, &start, &throttled);
            scope.spawn(move || {
                let user = format!("student{}", n % STUDENTS + 1);
                start.wait();
                eventually(&format!("{user} to be signed in"), || {
                    let response = login_once(server, &user, PASSWORD);
                    if response.status == 200 {
                        return Some(());
                    }
                    assert!(matches!(response.status, 502..=504), "{user}: {}", response.text());
                    assert!(response.header("retry-after").is_some(), "{user}: {}", response.text());
                    throttled.fetch_add(1, Ordering::Relaxed);
                    None
                });
            });
        }
    });
    println!("{AT_ONCE} sign-ins at once, {} throttled", throttled.into_inner());
}
