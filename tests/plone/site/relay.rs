//! The modes of the tests' relay.

use std::io::Read;
use std::time::Duration;

use super::shared;
use crate::support::http::{Client, Response};
use crate::support::plone::Plone;
use crate::support::tcp_relay::{Mode, TcpRelay};

const PATH: &str = "/Plone/news/fees";

fn get(client: &mut Client) -> std::io::Result<Response> {
    client.call("GET", PATH, &[("Accept", "application/json")], b"")
}

fn relay() -> TcpRelay {
    TcpRelay::start(shared().address())
}

#[test]
fn pass_forwards_requests_on_one_connection() {
    let relay = relay();
    let mut client = Client::connect(relay.address()).unwrap();
    for _ in 0..3 {
        assert_eq!(get(&mut client).unwrap().expect(200).json()["id"], "fees");
    }
    assert_eq!((relay.accepted(), relay.open()), (1, 1));
}

#[test]
fn refuse_resets_new_and_open_connections() {
    let relay = relay();
    let mut old = Client::connect(relay.address()).unwrap();
    get(&mut old).unwrap().expect(200);
    relay.set(Mode::Refuse);
    assert!(get(&mut old).is_err());
    assert!(Client::connect(relay.address()).and_then(|mut client| get(&mut client)).is_err());
    relay.set(Mode::Pass);
    get(&mut Client::connect(relay.address()).unwrap()).unwrap().expect(200);
}

#[test]
fn hang_discards_requests() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let mut old = Client::connect(relay.address()).unwrap();
    get(&mut old).unwrap().expect(200);
    let before = plone.requests().len();
    relay.set(Mode::Hang);
    let mut new = Client::connect(relay.address()).unwrap();
    for client in [&mut old, &mut new] {
        client.send("GET", PATH, &[("Accept", "application/json")], b"").unwrap();
        client.stream().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let silence = client.stream().read(&mut [0; 1]).unwrap_err();
        assert!(matches!(silence.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{silence}");
    }
    relay.set(Mode::Pass);
    // The hanging connections are closed. Plone receives only the request of the new connection.
    get(&mut Client::connect(relay.address()).unwrap()).unwrap().expect(200);
    assert_eq!(plone.requests().len(), before + 1);
}

#[test]
fn answer500_and_garbage_replace_the_response() {
    let relay = relay();
    let mut old = Client::connect(relay.address()).unwrap();
    get(&mut old).unwrap().expect(200);
    relay.set(Mode::Answer500);
    assert!(get(&mut old).unwrap().expect(500).text().contains("traceback"));
    relay.set(Mode::Garbage);
    let garbage = Client::connect(relay.address()).and_then(|mut client| get(&mut client));
    assert!(garbage.is_err_and(|e| e.to_string().contains("not a response")));
}

#[test]
fn drip_sends_one_byte_per_second() {
    let relay = relay();
    relay.set(Mode::Drip);
    let mut client = Client::connect(relay.address()).unwrap();
    client.send("GET", PATH, &[("Accept", "application/json")], b"").unwrap();
    let mut first = [0; 64];
    let count = client.stream().read(&mut first).unwrap();
    assert_eq!(&first[..count], b"H");
}

#[test]
fn cut_ends_a_response_in_the_middle_of_its_body() {
    let relay = relay();
    relay.set(Mode::Cut);
    let mut client = Client::connect(relay.address()).unwrap();
    client.send("GET", PATH, &[("Accept", "application/json")], b"").unwrap();
    let mut all = Vec::new();
    client.stream().read_to_end(&mut all).unwrap();
    let text = String::from_utf8_lossy(&all);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert_eq!(body.len(), length.parse::<usize>().unwrap() / 2);
}

#[test]
fn dropping_the_relay_ends_its_connections() {
    let relay = relay();
    let mut client = Client::connect(relay.address()).unwrap();
    get(&mut client).unwrap().expect(200);
    drop(relay);
    assert!(get(&mut client).is_err());
}
