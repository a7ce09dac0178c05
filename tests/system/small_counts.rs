//! Small counts of people: visitors see none in lists, sections, seats and live frames; users see all.

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::openapi::assert_has_schema;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::Home;
use crate::support::socket::Socket;

const TERM: &str = "203001";
const SECTION: &str = "203001-1";
const LIST: &str = "/api/v1/sections?term=203001";
const SEATS: &str = "/api/v1/seats?term=203001";

/// Returns the numbers of the section in each response for a caller: `enrolled`, `waitlisted`, `open`.
fn numbers(client: &mut Client) -> [Value; 4] {
    let of = |section: &Value| json!([section["enrolled"], section["waitlisted"], section["open"]]);
    let list = client.get(LIST).expect(200).json();
    assert_has_schema("SectionList", &list);
    let uncached = client.get(&format!("{LIST}&q=math")).expect(200).json();
    let one = client.get(&format!("/api/v1/sections/{SECTION}")).expect(200).json();
    let seats = client.get(SEATS).expect(200).json();
    assert_has_schema("Seats", &seats);
    let row = &seats["seats"][0];
    [of(&list["items"][0]), of(&uncached["items"][0]), of(&one), json!([row[2], row[3], row[4]])]
}

/// Returns the numbers of the first row of a frame.
fn in_frame(frame: &Value) -> Value {
    let row = &frame["seats"][0];
    json!([row[2], row[3], row[4]])
}

#[test]
fn visitors_see_no_small_counts() {
    let home = Home::new().setting("privacy.small_counts", "5");
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("dreyes", "staff"));
    Schedule { term: TERM.to_owned(), rows: vec![Row { capacity: 3, ..Row::lecture("1", "MATH 1") }] }.load(&mut staff);
    let (mut visitor, mut user) = (server.client(), server.client().signed_in(&home.token("eve", "student")));
    let tokens = home.tokens("student", "student", 4);
    let register = |number: usize, query: &str| {
        server
            .client()
            .signed_in(&tokens[number])
            .put(&format!("/api/v1/me/registrations/{SECTION}{query}"))
            .expect(201);
    };
    let channel = format!("seats:{TERM}");
    let [mut of_visitor, mut of_user] = [None, Some(tokens[3].as_str())].map(|token| {
        let mut socket = Socket::connect(server.address(), token);
        socket.subscribe(&[&channel]);
        socket
    });

    register(0, "");
    let [shown, exact] = [json!([2, 0, 1]), json!([1, 0, 2])];
    assert_eq!(numbers(&mut visitor), [&shown; 4].map(Clone::clone));
    assert_eq!(numbers(&mut user), [&exact; 4].map(Clone::clone));
    assert_eq!(in_frame(&of_visitor.wait_for("a tick", |frame| frame["type"] == "seats")), shown);
    assert_eq!(in_frame(&of_user.wait_for("a tick", |frame| frame["type"] == "seats")), exact);

    // Visitors see the same numbers for another small count. Their responses and those of users have different ETags.
    let tag = |client: &mut Client| client.get(SEATS).expect(200).header("etag").expect("a tag").to_owned();
    let tags = [tag(&mut visitor), tag(&mut user)];
    let stale = visitor.call("GET", SEATS, &[("If-None-Match", &tags[1])], b"").expect("a response");
    assert_eq!(stale.status, 200, "a user's copy is not valid for a visitor: {tags:?}");
    let list = visitor.get(LIST).expect(200).json();
    assert_eq!(list["items"][0]["fewer_than"], 5);
    assert_eq!(visitor.get(SEATS).expect(200).json()["fewer_than"], 5);
    assert_eq!(user.get(LIST).expect(200).json()["items"][0].get("fewer_than"), None);
    register(1, "");
    assert_eq!(numbers(&mut visitor), [&shown; 4].map(Clone::clone));
    assert_eq!(in_frame(&of_visitor.wait_for("a tick", |frame| frame["type"] == "seats")), shown);

    register(2, "");
    register(3, "?waitlist=true");
    assert_eq!(numbers(&mut visitor), [(); 4].map(|()| json!([3, 4, 0])));
    assert_eq!(numbers(&mut user), [(); 4].map(|()| json!([3, 1, 0])));
    let is_full = |frame: &Value| frame["type"] == "seats" && in_frame(frame) == json!([3, 4, 0]);
    of_visitor.wait_for("the full section", is_full);
    // A visitor who subscribes later gets the same numbers in the snapshot of a term or a section.
    for channel in [channel, format!("section:{SECTION}")] {
        let mut late = Socket::connect(server.address(), None);
        late.subscribe(&[&channel]);
        let snapshot = late.seen().last().expect("the confirmation has the snapshot");
        assert_eq!(in_frame(snapshot), json!([3, 4, 0]), "{channel}");
    }
}
