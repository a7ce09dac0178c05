//! Requests that the hub and Plone could parse differently.

use std::io::{Read as _, Write as _};
use std::sync::LazyLock;

use super::hub;
use crate::support::http::Client;
use crate::support::plone::Plone;
use crate::support::server::Server;

/// A Plone that only these tests use, because they check its access log.
static UNTOUCHED: LazyLock<Plone> = LazyLock::new(Plone::start);

/// Sends these bytes and returns all bytes of the response.
fn send_bytes(server: &Server, bytes: &str) -> String {
    let mut client = Client::connect(server.address()).unwrap();
    client.stream().write_all(bytes.as_bytes()).unwrap();
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.stream().read_to_string(&mut answer).unwrap();
    answer
}

fn statuses(answer: &str) -> Vec<u16> {
    answer.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect()
}

#[test]
fn ambiguous_framing_is_refused_and_nothing_is_smuggled() {
    let (server, _home) = hub(&UNTOUCHED);
    let inner = "GET /plone/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let requests = [
        ("CL and TE", format!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}")),
        ("two TE", format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{inner}")),
        ("unknown TE", format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}")),
        ("TE list", format!("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{inner}")),
        ("identity", "Transfer-Encoding: identity\r\n\r\n".to_owned()),
        ("two CL", format!("Content-Length: 0\r\nContent-Length: 44\r\n\r\n{inner}")),
        ("CL list", format!("Content-Length: 0, 44\r\n\r\n{inner}")),
        ("CL with a sign", format!("Content-Length: +0\r\n\r\n{inner}")),
        ("space before the colon", format!("Content-Length : 44\r\n\r\n{inner}")),
    ];
    for (what, rest) in requests {
        let answer = send_bytes(&server, &format!("POST /plone/news HTTP/1.1\r\nHost: x\r\n{rest}"));
        assert_eq!(statuses(&answer).first(), Some(&400), "{what}: {answer}");
    }
    let old = "POST /plone/news HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(statuses(&send_bytes(&server, old)), [400]);
    let received = UNTOUCHED.requests();
    let smuggled: Vec<_> = received.iter().filter(|line| line.contains("POST /") && line.contains("news")).collect();
    assert!(smuggled.is_empty(), "{smuggled:?}");
}

#[test]
fn foreign_targets_and_paths_out_of_the_site_are_refused() {
    let (server, _home) = hub(&UNTOUCHED);
    let targets = [
        "http://evil.example/plone/courses",
        "http://127.0.0.1/plone/courses",
        "/plone/../acl_users",
        "/plone/%2e%2e/%2e%2e/acl_users",
        "/plone/courses/..%2f..%2facl_users",
        "/plone/courses%2f202701-30001",
        "/plone//courses",
        "/plone/%5c..%5cx",
        "/plone/x%00",
        "/plone/_vh_evil/courses",
        "/plone/VirtualHostBase/http/evil.example:80/Plone",
        "/plone/manage_main",
        "/plone/++vh++http:evil.example:80/++/courses",
        "/plone/%252e%252e/x",
        "/plone/acl_users/manage_users",
    ];
    for target in targets {
        let answer = send_bytes(&server, &format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        let statuses = statuses(&answer);
        assert!(statuses == [400] || statuses == [403], "{target}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("content-security-policy: sandbox"), "{target}: {answer}");
    }
    let received = UNTOUCHED.requests();
    let forwarded: Vec<_> = received.iter().filter(|line| line.contains("VirtualHostBase")).collect();
    assert!(forwarded.is_empty(), "{forwarded:?}");
    let outside = send_bytes(&server, "GET /plone/x/../../api/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(statuses(&outside), [400]);
}
