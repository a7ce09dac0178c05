//! Admission to live sessions, their administration, and alerts that staff send over HTTP.

use serde_json::{Value, json};

use crate::support::server::Home;
use crate::support::socket::Socket;

fn alert(audience: &Value) -> Value {
    json!({"title": "Flood", "message": "Room 12 is flooded.", "audience": audience})
}

#[test]
fn terms_name_the_college_and_its_time_zone() {
    let home = Home::new().setting("college.name", "Riverside College").setting("college.timezone", "America/New_York");
    let terms = home.serve().client().get("/api/v1/terms").expect(200).json();
    assert_eq!(terms["college"], json!({"name": "Riverside College", "timezone": "America/New_York"}));
}

#[test]
fn a_ticket_opens_one_connection_only() {
    let home = Home::new();
    let server = home.serve();
    let mut ann = server.client().signed_in(&home.token("ann", "student"));
    let ticket = ann.post_json("/api/v1/ws-ticket", &json!({})).expect(200).json()["ticket"].clone();
    let path = format!("/alerts/ws?ticket={}", ticket.as_str().unwrap());
    assert_eq!(Socket::live(server.address(), &path, None).seen()[0]["user"], "ann");
    assert_eq!(Socket::connect_to(server.address(), &path, None, &[]).wait_for_close().0, 4001);
}

#[test]
fn a_foreign_origin_gets_403_and_a_bad_token_closes_with_4001() {
    let home = Home::new();
    let server = home.serve();
    let address = server.address();
    for origin in ["https://evil.example", "null"] {
        let refused = Socket::try_connect(address, "/alerts/ws", None, &[("origin", origin)]);
        assert_eq!(refused.err(), Some(403), "{origin}");
    }
    let ours = format!("http://{address}");
    assert!(Socket::try_connect(address, "/alerts/ws", None, &[("origin", &ours)]).is_ok());
    assert_eq!(Socket::connect(address, Some("nonsense")).wait_for_close().0, 4001);
    assert_eq!(server.client().get("/alerts/ws").expect(400).code(), "bad_request");
}

#[test]
fn an_admin_signs_a_user_out_everywhere() {
    let home = Home::new();
    let server = home.serve();
    let tokens = [home.token("ann", "student"), home.token("ann", "student")];
    let mut sockets: Vec<Socket> =
        tokens.iter().map(|token| Socket::live(server.address(), "/alerts/ws", Some(token))).collect();
    let mut bob = Socket::live(server.address(), "/alerts/ws", Some(&home.token("bob", "student")));
    let path = "/api/v1/admin/users/ann/sign-out";
    server.client().signed_in(&home.token("desk", "staff")).call("POST", path, &[], b"").unwrap().expect(403);
    let mut root = server.client().signed_in(&home.token("root", "admin"));
    root.call("POST", path, &[], b"").unwrap().expect(204);
    for (socket, token) in sockets.iter_mut().zip(&tokens) {
        assert_eq!(socket.wait_for_close().0, 4003);
        server.client().signed_in(token).get("/api/v1/me").expect(401);
    }
    bob.send(&json!({"type": "ping"}));
    bob.wait_for("pong", |frame| frame["type"] == "pong");
    root.call("POST", "/api/v1/admin/users/no%20such/sign-out", &[], b"").unwrap().expect(422);
    let audited = |entry: &Value| entry["action"] == "user.sign_out" && entry["subject"] == "ann";
    let path = "/api/v1/admin/audit?action=user.sign_out";
    crate::support::wait::eventually("the sign-out to be audited", || {
        let trail = root.get(path).expect(200).json();
        trail["items"].as_array()?.iter().any(audited).then_some(())
    });
}

#[test]
fn signing_out_closes_the_live_connection() {
    let home = Home::new();
    let server = home.serve();
    let token = home.token("ann", "student");
    let mut socket = Socket::live(server.address(), "/alerts/ws", Some(&token));
    server.client().signed_in(&token).post_json("/api/v1/logout", &json!({})).expect(204);
    assert_eq!(socket.wait_for_close().0, 4003);
}

#[test]
fn an_admin_lists_live_sessions_and_disconnects_one() {
    let home = Home::new();
    let server = home.serve();
    let mut ann = Socket::live(server.address(), "/alerts/ws", Some(&home.token("ann", "student")));
    let _visitor = Socket::live(server.address(), "/alerts/ws", None);
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let all = admin.get("/api/v1/admin/sessions").expect(200).json();
    assert_eq!(all["total"], 2);
    let found = admin.get("/api/v1/admin/sessions?role=student&q=an").expect(200).json();
    let session = &found["items"][0];
    assert_eq!(
        (&found["total"], &session["user"], &session["role"], &session["transport"], &session["channels"]),
        (&json!(1), &json!("ann"), &json!("student"), &json!("websocket"), &json!(["me", "alerts"]))
    );
    assert_eq!(session["id"], ann.seen()[0]["session"]);
    let path = format!("/api/v1/admin/sessions/{}", session["id"].as_str().unwrap());
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    assert_eq!(staff.delete(&path).expect(403).code(), "forbidden");
    admin.delete(&path).expect(204);
    assert_eq!(ann.wait_for_close().0, 4003);
    assert_eq!(admin.delete("/api/v1/admin/sessions/none").expect(404).code(), "not_found");
}

#[test]
fn an_alert_is_previewed_sent_delivered_and_cancelled() {
    let home = Home::new();
    let server = home.serve();
    let mut ann = Socket::live(server.address(), "/alerts/ws", Some(&home.token("ann", "student")));
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let for_ann = alert(&json!({"users": ["ann", "zoe"]}));
    let preview = staff.post_json("/api/v1/alerts?dry_run=true", &for_ann).expect(200).json();
    assert_eq!(preview, json!({"recipients": 2, "recipients_online": 1}));
    let sent = staff.post_json("/api/v1/alerts", &for_ann).expect(201).json();
    assert_eq!(
        (&sent["seq"], &sent["priority"], &sent["category"], &sent["sender"], &sent["recipients_online"]),
        (&json!(1), &json!("medium"), &json!("system"), &json!("desk"), &json!(1))
    );
    let frame = ann.wait_for("the alert", |f| f["type"] == "alert");
    assert_eq!((&frame["seq"], &frame["alert"]["id"]), (&json!(1), &sent["id"]));
    let path = format!("/api/v1/alerts/{}", sent["id"].as_str().unwrap());
    staff.delete(&path).expect(204);
    assert_eq!(ann.wait_for("the cancellation", |f| f["type"] == "alert_cancelled")["id"], sent["id"]);
    let mut reader = server.client().signed_in(&home.token("ann", "student"));
    let seen = reader.get("/api/v1/alerts?since=1").expect(200).json();
    assert_eq!(seen, json!({"items": [{"id": sent["id"], "seq": 2, "cancelled": true}], "seq": 2}));
    assert_eq!(reader.get("/api/v1/alerts?active=true").expect(200).json()["items"], json!([]));
    assert_eq!(server.client().get("/api/v1/alerts").expect(200).json(), json!({"items": [], "seq": 2}));
    assert_eq!(reader.post_json("/api/v1/alerts", &for_ann).expect(403).code(), "forbidden");
}

#[test]
fn a_corrected_alert_is_sent_again_under_its_id() {
    let home = Home::new();
    let server = home.serve();
    let mut ann = Socket::live(server.address(), "/alerts/ws", Some(&home.token("ann", "student")));
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let for_ann = alert(&json!({"users": ["ann"]}));
    let sent = staff.post_json("/api/v1/alerts", &for_ann).expect(201).json();
    let path = format!("/api/v1/alerts/{}", sent["id"].as_str().unwrap());
    let mut reader = server.client().signed_in(&home.token("ann", "student"));
    reader.post_json(&format!("{path}/ack"), &json!({})).expect(204);

    let mut correction = sent.clone();
    correction.as_object_mut().unwrap().remove("recipients_online");
    correction["message"] = json!("Room 13 is flooded.");
    let corrected = staff.put_json(&path, &correction).expect(200).json();
    assert_eq!((&corrected["id"], &corrected["seq"]), (&sent["id"], &json!(2)));
    assert_eq!((&corrected["sender"], &corrected["recipients_online"]), (&json!("desk"), &json!(1)));
    let frame = ann.wait_for("the correction", |f| f["type"] == "alert" && f["seq"] == 2);
    assert_eq!((&frame["alert"]["id"], &frame["alert"]["message"]), (&sent["id"], &correction["message"]));
    let missed = reader.get("/api/v1/alerts").expect(200).json();
    let items = missed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["seq"], &items[0]["message"]), (1, &json!(2), &correction["message"]));
    let receipts = staff.get(&format!("{path}/receipts")).expect(200).json();
    assert_eq!(receipts["seen_total"], 0, "the acknowledgement was of the earlier text: {receipts}");
    let mut resumed =
        Socket::connect_to(server.address(), "/alerts/ws?since=0", Some(&home.token("ann", "student")), &[]);
    let resumed = resumed.wait_for("the correction", |f| f["type"] == "alert" && f["seq"] == 2);
    assert_eq!(resumed["alert"]["message"], correction["message"]);

    let with = |field: &str, value: Value| {
        let mut body = correction.clone();
        body[field] = value;
        body
    };
    for (body, field) in [
        (with("audience", json!({"all": true})), "audience"),
        (with("starts_at", json!("2099-01-01T00:00:00Z")), "starts_at"),
        (with("title", json!(" ")), "title"),
    ] {
        assert_eq!(staff.put_json(&path, &body).expect(422).json()["field"], field);
    }
    assert_eq!(reader.put_json(&path, &correction).expect(403).code(), "forbidden");
    assert_eq!(staff.put_json("/api/v1/alerts/none", &for_ann).expect(404).code(), "not_found");
    staff.delete(&path).expect(204);
    assert_eq!(staff.put_json(&path, &correction).expect(404).code(), "not_found");
    assert_eq!(server.client().get("/api/v1/alerts").expect(200).json()["seq"], 3, "a refused correction is not sent");
}

#[test]
fn an_invalid_alert_is_refused_by_field_and_not_sent() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let with = |field: &str, value: Value| {
        let mut body = alert(&json!({"all": true}));
        body[field] = value;
        body
    };
    let cases = [
        (with("title", json!("x".repeat(201))), 422, "title"),
        (with("title", json!(" ")), 422, "title"),
        (with("message", json!("")), 422, "message"),
        (with("message", json!(7)), 400, "message"),
        (with("priority", json!("loud")), 422, "priority"),
        (with("audience", json!({})), 422, "audience"),
        (with("audience", json!({"all": false})), 422, "audience"),
        (with("audience", json!({"roles": ["wizard"]})), 422, "audience.roles[0]"),
        (with("audience", json!({"users": ["ann", "a\u{202e}nn"]})), 422, "audience.users[1]"),
        (with("audience", json!({"sections": ["190001-1"]})), 422, "audience.sections[0]"),
        (with("audience", json!({"nonsense": true})), 422, "audience.nonsense"),
        (with("expires_at", json!("2001-01-01T00:00:00Z")), 422, "expires_at"),
        (with("urgency", json!("Immediate")), 422, "urgency"),
    ];
    for (body, status, field) in cases {
        let problem = staff.post_json("/api/v1/alerts", &body).expect(status).json();
        assert_eq!(problem["field"], field, "{body}");
    }
    assert_eq!(staff.get("/api/v1/alerts").expect(200).json(), json!({"items": [], "seq": 0}));
    let sent = staff.post_json("/api/v1/alerts", &with("sender", json!("president"))).expect(201).json();
    assert_eq!((&sent["sender"], &sent["source"]), (&json!("desk"), &json!("staff")), "the hub sets the sender");
}
