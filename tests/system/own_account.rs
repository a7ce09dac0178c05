//! Users manage their own account: password, second factor, sign-ins.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::support::http::{Client, Response};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;

const PASSWORD: &str = "correct horse 1";

fn log_in(server: &Server, password: &str, code: Option<&str>) -> Response {
    let mut body = json!({"username": "ann", "password": password});
    if let Some(code) = code {
        body["code"] = code.into();
    }
    let headers = [("Content-Type", "application/json"), ("User-Agent", "test browser")];
    server.client().call("POST", "/api/v1/login", &headers, body.to_string().as_bytes()).unwrap()
}

/// Signs ann in and returns the token and a client with it.
fn signed_in(server: &Server, password: &str) -> (String, Client) {
    let token = log_in(server, password, None).expect(200).json()["token"].as_str().unwrap().to_owned();
    (token.clone(), server.client().signed_in(&token))
}

fn field(response: &Response) -> Value {
    response.json()["field"].clone()
}

#[test]
fn users_change_their_own_password() {
    let home = Home::new().setting("college.name", "Riverside College").setting("limits.login_per_minute", "0");
    home.run_with_input(&["user", "add", "ann", "--role", "staff"], &format!("{PASSWORD}\n"));
    let server = home.serve();
    let (token, mut ann) = signed_in(&server, PASSWORD);
    let (other, _) = signed_in(&server, PASSWORD);
    let (mut own_socket, mut other_socket) = (
        Socket::live(server.address(), "/alerts/ws", Some(&token)),
        Socket::live(server.address(), "/alerts/ws", Some(&other)),
    );
    let mut change =
        |current: &str, new: &str| ann.post_json("/api/v1/me/password", &json!({"current": current, "new": new}));
    let table = [
        ("wrong", "battery staple 2", "current", Value::Null),
        (PASSWORD, "short", "new", json!("too_short")),
        (PASSWORD, "Riverside College", "new", json!("name")),
        (PASSWORD, "Password2026!", "new", json!("common")),
        (PASSWORD, "battery\u{202e}staple", "new", json!("characters")),
    ];
    for (current, new, at, reason) in table {
        let refused = change(current, new).expect(422);
        assert_eq!((refused.code().as_str(), &refused.json()["reason"]), ("invalid", &reason), "{new}");
        assert_eq!(field(&refused), at);
    }
    change(PASSWORD, "battery staple 2").expect(204);
    assert_eq!(other_socket.wait_for_close().0, 4001);
    server.client().signed_in(&other).get("/api/v1/me").expect(401);
    ann.get("/api/v1/me").expect(200);
    own_socket.send(&json!({"type": "ping"}));
    own_socket.wait_for("pong", |frame| frame["type"] == "pong");
    log_in(&server, PASSWORD, None).expect(401);
    log_in(&server, "battery staple 2", None).expect(200);

    // A minted token is not a sign-in, so it cannot change the account.
    let mut minted = server.client().signed_in(&home.token("ann", "staff"));
    let refused = minted.post_json("/api/v1/me/password", &json!({"current": "x", "new": "y"})).expect(403);
    assert!(refused.text().contains("local EduHub account"), "{}", refused.text());
    minted.call("POST", "/api/v1/me/totp", &[], b"").unwrap().expect(403);
}

#[test]
fn a_second_factor_is_set_up_used_and_reset() {
    let home = Home::new();
    home.run_with_input(&["user", "add", "ann", "--role", "admin"], &format!("{PASSWORD}\n"));
    let server = home.serve();
    let (_, mut ann) = signed_in(&server, PASSWORD);
    assert_eq!(ann.get("/api/v1/me/totp").expect(200).json(), json!({"local": true, "enabled": false}));
    // A browser that was left signed in is not enough: the password is required, too.
    for body in [json!({}), json!({"password": "a wrong password"})] {
        let refused = ann.post_json("/api/v1/me/totp", &body).expect(422);
        assert_eq!(field(&refused), "password", "{body}");
    }
    let new = ann.post_json("/api/v1/me/totp", &json!({"password": PASSWORD})).expect(200);
    assert_eq!(new.header("cache-control"), Some("private, no-store"));
    let new = new.json();
    assert!(new["uri"].as_str().unwrap().starts_with("otpauth://totp/") && new["qr"]["size"].as_u64().unwrap() > 30);
    let secret = Secret::try_from_base32(new["secret"].as_str().unwrap()).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let step = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 30;
    let code = |step: u64| totp.generate(step * 30).to_string();

    assert_eq!(field(&ann.post_json("/api/v1/me/totp", &json!({"code": "12"})).expect(422)), "code");
    let used = step();
    let confirmed = ann.post_json("/api/v1/me/totp", &json!({"code": code(used)})).expect(200).json();
    let recovery = confirmed["recovery_codes"][0].as_str().unwrap().to_owned();
    assert_eq!(ann.get("/api/v1/me/totp").expect(200).json(), json!({"local": true, "enabled": true}));
    assert_eq!(ann.call("POST", "/api/v1/me/totp", &[], b"").unwrap().expect(409).code(), "second_factor_exists");

    let missing = log_in(&server, PASSWORD, None).expect(401);
    assert_eq!((missing.code().as_str(), field(&missing)), ("second_factor_required", Value::Null));
    let replayed = log_in(&server, PASSWORD, Some(&code(used))).expect(401);
    assert_eq!((replayed.code().as_str(), field(&replayed)), ("second_factor_required", json!("code")));
    log_in(&server, PASSWORD, Some(&code(step().max(used + 1)))).expect(200);
    log_in(&server, PASSWORD, Some(&recovery)).expect(200);
    log_in(&server, PASSWORD, Some(&recovery)).expect(401);
    let removal = json!({"password": "wrong"}).to_string();
    let headers = [("Content-Type", "application/json")];
    let refused = ann.call("DELETE", "/api/v1/me/totp", &headers, removal.as_bytes()).unwrap().expect(422);
    assert_eq!(field(&refused), "password");

    // The running hub holds the store, so the command goes through the hub.
    home.run_with_input(&["user", "reset-totp", "ann"], "");
    log_in(&server, PASSWORD, None).expect(200);
    server.stop();
    assert_eq!(home.verify(), Ok(()));
}

#[test]
fn users_list_and_end_their_own_sign_ins() {
    let home = Home::new();
    home.run_with_input(&["user", "add", "ann", "--role", "student"], &format!("{PASSWORD}\n"));
    let server = home.serve();
    let ((_, mut ann), (other, _)) = (signed_in(&server, PASSWORD), signed_in(&server, PASSWORD));
    let mut socket = Socket::live(server.address(), "/alerts/ws", Some(&other));
    let list = ann.get("/api/v1/me/sign-ins").expect(200).json()["items"].clone();
    let items = list.as_array().unwrap();
    assert_eq!(items.len(), 2, "{list}");
    assert!(items.iter().all(|one| one["device"] == "test browser" && one["address"] == "127.0.0.1"), "{list}");
    assert_eq!(items.iter().filter(|one| one["current"] == true).count(), 1, "{list}");
    let id = items.iter().find(|one| one["current"] == false).unwrap()["id"].as_str().unwrap().to_owned();

    let path = format!("/api/v1/me/sign-ins/{id}");
    let mut bob = server.client().signed_in(&home.token("bob", "student"));
    bob.call("DELETE", &path, &[], b"").unwrap().expect(404);
    assert_eq!(bob.get("/api/v1/me/sign-ins").expect(200).json()["items"], json!([]));
    ann.call("DELETE", &path, &[], b"").unwrap().expect(204);
    assert_eq!(socket.wait_for_close().0, 4003);
    server.client().signed_in(&other).get("/api/v1/me").expect(401);
    ann.call("DELETE", &path, &[], b"").unwrap().expect(404);
    assert_eq!(ann.get("/api/v1/me/sign-ins").expect(200).json()["items"].as_array().unwrap().len(), 1);
    server.client().get("/api/v1/me/sign-ins").expect(401);
}
