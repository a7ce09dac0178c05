//! What each kind of reader sees of an alert's audience and sender, over every transport.

use serde_json::{Value, json};

use crate::support::events::EventStream;
use crate::support::http::Client;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;

const TERM: &str = "203001";
const COLLEGE: &str = "Riverside College";
const PASSWORD: &str = "a long password of the tests";

/// The readers in the columns of [`table`]: `ann` is enrolled in sections 1 and 2, `bob` in section 1, `cid` in none.
const READERS: [(&str, &str); 5] =
    [("ann", "student"), ("bob", "student"), ("cid", "student"), ("sam", "staff"), ("", "visitor")];

/// Returns each audience with the audiences that [`READERS`] see; null if the reader is not a recipient.
fn table() -> Vec<(Value, [Value; 5])> {
    let (one, two, none) = ("203001-1", "203001-2", Value::Null);
    let whole = |audience: &Value| audience.clone();
    let everyone = json!({"all": true});
    let students = json!({"roles": ["student"]});
    let roles = json!({"roles": ["student", "staff"], "users": ["bob", "zoe"]});
    let users = json!({"users": ["ann", "bob", "sam", "zoe"]});
    let sections = json!({"sections": [one, two]});
    let courses = json!({"courses": ["ART 2", "MATH 1"]});
    let mixed = json!({"sections": [one], "courses": ["ART 2"], "users": ["cid", "ann", "sam"]});
    let only = |name: &str| json!({"users": [name]});
    vec![
        (everyone.clone(), [whole(&everyone), whole(&everyone), whole(&everyone), whole(&everyone), whole(&everyone)]),
        (
            roles.clone(),
            [
                whole(&students),
                json!({"roles": ["student"], "users": ["bob"]}),
                whole(&students),
                whole(&roles),
                none.clone(),
            ],
        ),
        (users.clone(), [only("ann"), only("bob"), none.clone(), whole(&users), none.clone()]),
        (sections.clone(), [whole(&sections), json!({"sections": [one]}), none.clone(), none.clone(), none.clone()]),
        (courses.clone(), [whole(&courses), json!({"courses": ["MATH 1"]}), none.clone(), none.clone(), none.clone()]),
        (
            mixed.clone(),
            [
                json!({"sections": [one], "courses": ["ART 2"], "users": ["ann"]}),
                json!({"sections": [one]}),
                only("cid"),
                whole(&mixed),
                none,
            ],
        ),
    ]
}

/// A reader with a connection for requests.
struct Reader {
    name: &'static str,
    token: Option<String>,
    client: Client,
}

fn readers(home: &Home, server: &Server) -> Vec<Reader> {
    let reader = |(name, role): (&'static str, &str)| {
        let token = (!name.is_empty()).then(|| home.token(name, role));
        let client = server.client();
        Reader { name, client: token.iter().fold(client, |client, token| client.signed_in(token)), token }
    };
    READERS.map(reader).into()
}

/// Signs in a staff member with a display name.
fn sender(home: &Home, server: &Server) -> Client {
    let account = json!({"role": "staff", "name": "Dana Reyes", "password": PASSWORD});
    let mut root = server.client().signed_in(&home.token("root", "admin"));
    root.put_json("/api/v1/admin/users/dreyes7", &account).expect(201);
    let login = json!({"username": "dreyes7", "password": PASSWORD});
    let signed_in = server.client().post_json("/api/v1/login", &login).expect(200).json();
    server.client().signed_in(signed_in["token"].as_str().unwrap())
}

fn load_sections(staff: &mut Client, readers: &mut [Reader]) {
    let afternoon = Row { start: 14 * 60, end: 15 * 60, ..Row::lecture("2", "ART 2") };
    Schedule { term: TERM.to_owned(), rows: vec![Row::lecture("1", "MATH 1"), afternoon] }.load(staff);
    for (reader, crn) in [(0, 1), (0, 2), (1, 1)] {
        readers[reader].client.put(&format!("/api/v1/me/registrations/{TERM}-{crn}")).expect(201);
    }
}

/// Returns the title, audience and sender of each alert.
fn described<'a>(alerts: impl IntoIterator<Item = &'a Value>) -> Vec<Value> {
    alerts.into_iter().map(|alert| json!([alert["title"], alert["audience"], alert["sender"]])).collect()
}

/// Connects and returns the socket and the alerts that it receives up to `live`.
fn connect(server: &Server, reader: &Reader, since: u64) -> (Socket, Vec<Value>) {
    let path = format!("/alerts/ws?since={since}");
    let mut socket = Socket::connect_to(server.address(), &path, reader.token.as_deref(), &[]);
    socket.wait_for("live", |frame| frame["type"] == "live");
    let alerts = alerts_of(&socket);
    (socket, alerts)
}

fn alerts_of(socket: &Socket) -> Vec<Value> {
    let alerts: Vec<&Value> = socket.seen().iter().filter(|f| f["type"] == "alert").map(|f| &f["alert"]).collect();
    described(alerts)
}

#[test]
fn readers_below_staff_see_only_what_concerns_them() {
    let home = Home::new().setting("college.name", COLLEGE);
    let server = home.serve();
    let mut staff = sender(&home, &server);
    let mut readers = readers(&home, &server);
    load_sections(&mut staff, &mut readers);
    let mut sockets: Vec<Socket> = readers.iter().map(|reader| connect(&server, reader, 0).0).collect();

    for (number, (audience, _)) in table().iter().enumerate() {
        let body = json!({"title": number.to_string(), "message": "A message", "audience": audience});
        let sent = staff.post_json("/api/v1/alerts", &body).expect(201).json();
        assert_eq!((&sent["audience"], &sent["sender"]), (audience, &json!("dreyes7")), "staff see all of it");
    }
    // Every reader receives this alert last: a socket that has it has received all earlier ones.
    let last = json!({"title": "last", "message": "A message", "audience": {"all": true}});
    staff.post_json("/api/v1/alerts", &last).expect(201);

    for (column, (reader, socket)) in readers.iter_mut().zip(&mut sockets).enumerate() {
        let sender = if reader.name == "sam" { "dreyes7" } else { "Dana Reyes" };
        let seen = table().into_iter().enumerate().map(|(number, (_, by_reader))| (number, by_reader[column].clone()));
        let seen = seen.filter(|(_, audience)| !audience.is_null());
        let mut expected: Vec<Value> =
            seen.map(|(number, audience)| json!([number.to_string(), audience, sender])).collect();
        expected.push(json!(["last", {"all": true}, sender]));

        socket.wait_for("the last alert", |frame| frame["alert"]["title"] == "last");
        assert_eq!(alerts_of(socket), expected, "live, {}", reader.name);
        assert_eq!(connect(&server, reader, 0).1, expected, "replay, {}", reader.name);
        let stream = EventStream::live(server.address(), "/alerts/stream?since=0", reader.token.as_deref());
        let streamed = stream.seen().iter().filter(|event| event.kind == "alert").map(|event| &event.data["alert"]);
        assert_eq!(described(streamed), expected, "stream, {}", reader.name);
        for path in ["/api/v1/alerts", "/api/v1/alerts?active=true", "/api/v1/alerts?since=0&limit=50"] {
            let list = reader.client.get(path).expect(200).json();
            assert_eq!(described(list["items"].as_array().unwrap()), expected, "{path}, {}", reader.name);
        }
        if reader.token.is_some() {
            let dashboard = reader.client.get("/api/v1/dashboard").expect(200).json();
            assert_eq!(described(dashboard["alerts"].as_array().unwrap()), expected, "dashboard, {}", reader.name);
        }
        let text = reader.client.get("/api/v1/alerts").text();
        assert_eq!(text.contains("dreyes7") || text.contains("zoe"), reader.name == "sam", "{text}");
    }
}

#[test]
fn a_sender_without_a_display_name_is_shown_as_the_college() {
    let home = Home::new().setting("college.name", COLLEGE);
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let sent = json!({"title": "Flood", "message": "Room 12.", "audience": {"all": true}});
    assert_eq!(staff.post_json("/api/v1/alerts", &sent).expect(201).json()["sender"], "desk");
    let list = server.client().get("/api/v1/alerts").expect(200).json();
    assert_eq!((&list["items"][0]["sender"], &list["items"][0]["sender_name"]), (&json!(COLLEGE), &Value::Null));
}

#[test]
fn a_section_dropped_after_the_alert_stays_in_its_audience() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = sender(&home, &server);
    let mut readers = readers(&home, &server);
    load_sections(&mut staff, &mut readers);
    let audience = json!({"sections": ["203001-1", "203001-2"]});
    let body = json!({"title": "Room change", "message": "Room 4.", "audience": audience});
    staff.post_json("/api/v1/alerts", &body).expect(201);
    let bob = &mut readers[1].client;
    bob.delete("/api/v1/me/registrations/203001-1").expect(200);
    let list = bob.get("/api/v1/alerts").expect(200).json();
    assert_eq!(list["items"][0]["audience"], json!({"sections": ["203001-1"]}));
}
