//! The proxy with a failing Plone, with large bodies, and with stalled uploads.

use std::io::{Read as _, Write as _};

use serde_json::json;

use super::{JSON, get, hub, is_sandboxed, written};
use crate::support::bridge::{plone_state, sign_in, wait_for_sections, with_plone_at};
use crate::support::http::Client;
use crate::support::plone::{DEAN, Plone};
use crate::support::server::{Home, Server};
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

/// Length of a body in bytes. A copy of it in memory would exceed [`GROWTH_MAX`].
const LARGE: usize = 64 * 1024 * 1024;
/// Maximum growth of the hub's memory in bytes while the body passes.
const GROWTH_MAX: usize = 24 * 1024 * 1024;

#[test]
fn each_fault_is_a_problem_document_and_the_hub_recovers() {
    let plone = Plone::shared();
    for (mode, status) in
        [(Mode::Refuse, 502), (Mode::Hang, 504), (Mode::Garbage, 502), (Mode::Answer500, 502), (Mode::Drip, 504)]
    {
        let relay = TcpRelay::start(plone.address());
        let home = with_plone_at(Home::new(), &relay.url()).setting("plone.timeout_ms", "700");
        let server = home.serve();
        relay.set(mode);
        let response = get(&mut server.client(), "/plone/news", &[JSON]);
        // The hub's own calls may have opened the circuit already.
        assert!([status, 502].contains(&response.status), "{mode:?}: {}", response.text());
        assert_eq!(response.code(), "plone_unavailable", "{mode:?}: {}", response.text());
        assert!(is_sandboxed(&response));
        for internal in ["/opt", "broken", "127.0.0.1", "os error"] {
            assert!(!response.text().contains(internal), "{mode:?}: {}", response.text());
        }
        assert_eq!(get(&mut server.client(), "/healthz", &[]).status, 200);
        relay.set(Mode::Pass);
        eventually("a response from Plone", || {
            (get(&mut server.client(), "/plone/news", &[JSON]).status == 200).then_some(())
        });
    }
}

#[test]
fn a_truncated_response_is_never_passed_on_as_complete() {
    let relay = TcpRelay::start(Plone::shared().address());
    let home = with_plone_at(Home::new(), &relay.url());
    let server = home.serve();
    relay.set(Mode::Cut);
    let cut = server.client().call("GET", "/plone/news", &[], b"");
    // The response is truncated or an error, but never complete.
    assert!(cut.is_err() || cut.as_ref().is_ok_and(|response| response.status == 502), "{cut:?}");
}

/// Returns the resident memory of the server, in bytes.
fn memory(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn large_bodies_stream_both_ways_in_bounded_memory() {
    let plone = Plone::start();
    let home = with_plone_at(Home::new(), &plone.url()).setting("plone.timeout_ms", "60000");
    let server = home.serve();
    let token = sign_in(&server, DEAN);
    let mut client = server.client().signed_in(&token);
    // Memory for the hub's own pull must not count as growth.
    wait_for_sections(&server);
    let before = memory(&server);

    // Plone's REST API accepts large files through the TUS protocol (https://tus.io).
    let length = LARGE.to_string();
    let meta = "filename bGFyZ2UuYmlu,content-type YXBwbGljYXRpb24vb2N0ZXQtc3RyZWFt,@type RmlsZQ==";
    let creation = [JSON, ("Tus-Resumable", "1.0.0"), ("Upload-Length", length.as_str()), ("Upload-Metadata", meta)];
    let made = client.call("POST", "/plone/news/@tus-upload", &creation, b"").unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    let location = made.header("location").unwrap().to_owned();
    let path = location.strip_prefix(&format!("http://{}", server.address())).expect("a link through the hub");
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\
         Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n\
         Content-Length: {LARGE}\r\n\r\n",
        server.address()
    );
    let mut upload = server.client();
    upload.stream().write_all(head.as_bytes()).unwrap();
    let piece = vec![b'x'; 1024 * 1024];
    let mut most = before;
    for _ in 0..LARGE / piece.len() {
        upload.stream().write_all(&piece).unwrap();
        most = most.max(memory(&server));
    }
    let uploaded = upload.receive().unwrap();
    assert_eq!(uploaded.status, 204, "{}", uploaded.text());
    let file = uploaded.header("location").unwrap().to_owned();
    let file = file.strip_prefix(&format!("http://{}", server.address())).expect("a link through the hub").to_owned();

    let mut download = server.client();
    let request = format!(
        "GET {file}/@@download/file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    download.stream().write_all(request.as_bytes()).unwrap();
    let (mut received, mut buffer) = (0, vec![0; 256 * 1024]);
    loop {
        let count = download.stream().read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        received += buffer[..count].iter().filter(|byte| **byte == b'x').count();
        most = most.max(memory(&server));
    }
    assert!(received >= LARGE, "{received}");
    println!("memory: from {before} to {most} bytes");
    assert!(most < before + GROWTH_MAX, "from {before} to {most}");
}

#[test]
fn an_aborted_upload_changes_nothing_and_frees_its_slot() {
    let plone = written();
    let (server, home) = hub(plone);
    let token = sign_in(&server, DEAN);
    let body = json!({"@type": "Document", "id": "half", "title": "T"}).to_string();
    for framing in [format!("Content-Length: {}", body.len() + 10), "Transfer-Encoding: chunked".to_owned()] {
        let mut client = Client::connect(server.address()).unwrap();
        let request = format!(
            "POST /plone/news HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\n{framing}\r\n\r\n"
        );
        let sent = if framing.contains("chunked") { format!("{:x}\r\n{body}\r\n", body.len()) } else { body.clone() };
        client.stream().write_all((request + &sent).as_bytes()).unwrap();
        drop(client);
    }
    let admin = home.token("ada", "admin");
    let mut watch = server.client().signed_in(&admin);
    eventually("an idle pool", || {
        let pool = plone_state(&mut watch);
        (pool["pool"]["in_use"] == 0).then_some(())
    });
    let mut client = server.client().signed_in(&token);
    assert_eq!(get(&mut client, "/plone/news/half", &[JSON]).status, 404);
}

/// Starts uploads as a visitor that stall after the first byte.
fn stalled_uploads(server: &Server, count: usize) -> Vec<Client> {
    let upload = |_| {
        let mut client = server.client();
        let head = "POST /plone/news HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
        client.stream().write_all(head.as_bytes()).unwrap();
        client
    };
    (0..count).map(upload).collect()
}

#[test]
fn stalled_uploads_never_take_the_whole_pool() {
    let plone = written();
    // The timeout is as in the other tests. There are no items of this type, so no pull uses connections.
    let home = with_plone_at(Home::new(), &plone.url()).setting("plone.pool_size", "2");
    let home = home.setting("plone.timeout_ms", "60000").setting("plone.type", "none_of_these");
    let server = home.serve();
    let stalled = stalled_uploads(&server, 4);
    let admin = home.token("ada", "admin");
    let mut watch = server.client().signed_in(&admin);
    eventually("an upload in flight", || {
        let pool = plone_state(&mut watch);
        (pool["pool"]["in_use"].as_u64() >= Some(1)).then_some(())
    });
    sign_in(&server, DEAN);
    drop(stalled);
    eventually("a response from Plone to a visitor", || {
        (get(&mut server.client(), "/plone/news", &[JSON]).status == 200).then_some(())
    });
}

#[test]
fn slow_visitors_never_take_the_slots_of_members() {
    let plone = written();
    let home = with_plone_at(Home::new(), &plone.url()).setting("plone.pool_size", "4");
    let home = home.setting("plone.type", "none_of_these");
    let server = home.serve();
    let token = sign_in(&server, DEAN);
    let stalled = stalled_uploads(&server, 6);
    let mut watch = server.client().signed_in(&home.token("ada", "admin"));
    eventually("two uploads in flight and four waiting", || {
        let pool = plone_state(&mut watch)["pool"].clone();
        (pool["in_use"].as_u64() >= Some(2) && pool["waiting"].as_u64() >= Some(4)).then_some(())
    });
    let mut member = server.client().signed_in(&token);
    for _ in 0..3 {
        assert_eq!(get(&mut member, "/plone/news", &[JSON]).status, 200);
    }
    let pool = plone_state(&mut watch)["pool"].clone();
    assert!(pool["waiting"].as_u64() >= Some(4), "the visitors no longer wait: {pool}");
    drop(stalled);
}

#[test]
fn refused_requests_do_not_open_the_circuit() {
    let plone = written();
    let (server, _home) = hub(plone);
    let long = format!("/plone/news?x={}", "y".repeat(65_500));
    for _ in 0..10 {
        let refused = get(&mut server.client(), &long, &[JSON]);
        assert!((400..500).contains(&refused.status), "{}", refused.text());
    }
    assert_eq!(get(&mut server.client(), "/plone/news", &[JSON]).status, 200);
}
