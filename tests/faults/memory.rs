//! The hub's memory: its own measurements, and floods that must not fill it.

use std::collections::BTreeMap;
use std::fs;

use crate::support::http::Client;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

const MIB: u64 = 1024 * 1024;
/// Maximum growth of the resident memory during a flood.
const GROWTH_MAX: u64 = 64 * MIB;
/// Sections of the term; a list of them is larger than a megabyte.
const SECTIONS: usize = 2_500;
/// Number of distinct queries of the flood.
const QUERIES: usize = 120;
/// Number of clients that send a request and do not read the response.
const DEAF: usize = 100;
const TERM: &str = "203001";

/// Returns the resident memory of the server, in bytes.
pub(crate) fn resident(server: &Server) -> u64 {
    memory(server, "VmRSS:")
}

/// Returns the resident memory that the server has allocated, in bytes: without the pages of its program file, whose
/// number depends on the other load of the machine.
pub(crate) fn allocated(server: &Server) -> u64 {
    memory(server, "RssAnon:")
}

fn memory(server: &Server, kind: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server is running");
    let line = status.lines().find_map(|line| line.strip_prefix(kind)).expect("the resident memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024
}

/// Returns the bytes of each cache and their bound, as `/metrics` states them. Checks that each is within its bound.
pub(crate) fn caches(server: &Server) -> BTreeMap<String, (u64, u64)> {
    let text = server.client().get("/metrics").expect(200).text();
    let values = |name: &str| -> BTreeMap<String, u64> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix("{cache=\""));
        lines
            .map(|line| {
                let (cache, value) = line.split_once("\"} ").expect("a value");
                (cache.to_owned(), value.parse::<f64>().expect("a number") as u64)
            })
            .collect()
    };
    let (bytes, bounds) = (values("eduhub_cache_bytes"), values("eduhub_cache_max_bytes"));
    assert!(bytes.len() >= 6 && bytes.keys().eq(bounds.keys()), "{bytes:?} {bounds:?}");
    let caches: BTreeMap<_, _> =
        bytes.into_iter().map(|(cache, bytes)| (cache.clone(), (bytes, bounds[&cache]))).collect();
    for (cache, (bytes, bound)) in &caches {
        assert!(bytes <= bound, "the cache {cache} holds {bytes} bytes, more than {bound}");
    }
    caches
}

/// Starts a hub with a large term.
fn serve_large_term(home: &Home) -> Server {
    let server = home.serve();
    let row = |index: usize| Row { ..Row::lecture(&format!("{}", 10_000 + index), &format!("MATH {}", 100 + index)) };
    let schedule = Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() };
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    server
}

/// Returns the path of a list of all sections, with a different limit for each `number`.
fn distinct_list(number: usize) -> String {
    format!("/api/v1/sections?term={TERM}&limit={}", SECTIONS + 1 + number)
}

/// Reads a list in one coding, and returns its length.
fn read_list(client: &mut Client, path: &str, coding: &str) -> u64 {
    let response = client.call("GET", path, &[("Accept-Encoding", coding)], b"").expect("a response").expect(200);
    response.body.len() as u64
}

#[test]
fn a_flood_of_distinct_lists_does_not_fill_the_memory() {
    let home = Home::new();
    let server = serve_large_term(&home);
    let mut visitor = server.client();
    for coding in ["identity", "gzip", "br"] {
        read_list(&mut visitor, &format!("/api/v1/sections?term={TERM}&limit=5000"), coding);
        read_list(&mut visitor, &distinct_list(0), coding);
    }
    let (before, mut requested) = (resident(&server), 0);
    for query in 1..=QUERIES {
        requested += read_list(&mut visitor, &distinct_list(query), "identity");
        read_list(&mut visitor, &distinct_list(query), if query % 2 == 0 { "br" } else { "gzip" });
    }
    assert!(requested > 2 * GROWTH_MAX, "negative control: a cache of all lists would take {requested} bytes");
    let growth = resident(&server).saturating_sub(before);
    let caches = caches(&server);
    println!("{QUERIES} lists of {} MiB added {} MiB: {caches:?}", requested / MIB, growth / MIB);
    assert!(growth < GROWTH_MAX, "{} MiB were added: {caches:?}", growth / MIB);
    // Only what many clients request is cached.
    assert!(caches["responses"].0 < 8 * MIB, "{caches:?}");
    let users = server.client().signed_in(&home.token("ada", "student")).get(&distinct_list(0));
    assert_eq!(users.expect(200).json()["total"], SECTIONS);
}

/// Sends a request on each of many connections, and reads none of the responses.
fn request_without_reading(server: &Server, path: impl Fn(usize) -> String) -> Vec<Client> {
    let request = |number: usize| {
        let mut client = server.client();
        client.send("GET", &path(number), &[], b"").expect("the request is sent");
        client
    };
    (0..DEAF).map(request).collect()
}

/// Returns the number of responses of a class so far, without the response to this request.
fn responses(server: &Server, class: &str) -> usize {
    server.metric(&format!("eduhub_http_requests_total{{class=\"{class}\"}}")) as usize
}

#[test]
fn a_list_is_in_memory_once_for_all_clients_that_do_not_read_it() {
    let home = Home::new();
    let server = serve_large_term(&home);
    let path = format!("/api/v1/sections?term={TERM}&limit=5000");
    let length = read_list(&mut server.client(), &path, "identity");
    let (before, answered) = (resident(&server), responses(&server, "2xx"));
    let deaf = request_without_reading(&server, |_| path.clone());
    eventually("all responses to begin", || (responses(&server, "2xx") >= answered + DEAF).then_some(()));
    assert!(length * DEAF as u64 > 3 * GROWTH_MAX / 2, "negative control: {length} bytes for each client");
    let growth = resident(&server).saturating_sub(before);
    println!("{DEAF} clients that do not read {} KiB added {} MiB", length / 1024, growth / MIB);
    assert!(growth < GROWTH_MAX, "{} MiB were added", growth / MIB);
    drop(deaf);
}

#[test]
fn visitors_who_do_not_read_do_not_block_lists_of_users() {
    let home = Home::new();
    let server = serve_large_term(&home);
    read_list(&mut server.client(), &distinct_list(0), "identity");
    let (before, refused) = (resident(&server), responses(&server, "5xx"));
    let deaf = request_without_reading(&server, distinct_list);
    eventually("visitors to use all memory for uncached lists", || (responses(&server, "5xx") > refused).then_some(()));
    let length =
        read_list(&mut server.client().signed_in(&home.token("ada", "student")), &distinct_list(0), "identity");
    let unsent = caches(&server)["uncached_responses"].0;
    assert!(unsent > 8 * MIB, "negative control: unsent responses are counted: {unsent} bytes");
    let growth = resident(&server).saturating_sub(before);
    println!("{DEAF} visitors who do not read {} KiB each added {} MiB", length / 1024, growth / MIB);
    assert!(growth < GROWTH_MAX, "{} MiB were added", growth / MIB);
    drop(deaf);
    eventually("lost connections to release their memory", || {
        (caches(&server)["uncached_responses"].0 == 0).then_some(())
    });
}

/// Returns the value of a variable in the environment of the server's process.
fn variable(server: &Server, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{}/environ", server.pid())).expect("the server is running");
    let variables = environment.split(|byte| *byte == 0).map(|variable| String::from_utf8_lossy(variable).into_owned());
    variables.filter_map(|variable| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned())).next()
}

#[test]
fn freed_memory_is_returned_at_once_unless_a_delay_is_set() {
    let (home, name) = (Home::new(), "MIMALLOC_PURGE_DELAY");
    let server = home.serve();
    assert_eq!(variable(&server, name).as_deref(), Some("0"));
    assert!(server.stop().success(), "the process that was started is the server");
    let mut serve = home.command(&["serve"]);
    serve.env(name, "100");
    let server = home.start(serve);
    assert_eq!(variable(&server, name).as_deref(), Some("100"));
}
