//! What the hub adds to Plone's response time, and what it saves: a section is read from bare Plone, through the hub's
//! `/plone/` (without caching), and from the hub's own copy; content is created, changed and read through `/plone/` and
//! on bare Plone. Requests are sent one at a time, alternating between the routes. The reads of the first
//! table use persistent connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bridge::{sign_in, wait_for_sections, with_plone_at};
use crate::support::http::Client;
use crate::support::plone::{DEAN, PASSWORD, Plone};
use crate::support::server::{Home, Server};
use crate::table::{met, number, percentile};
use crate::{setting, table};

/// Number of reads per route.
const READS: usize = 300;
/// Number of pages created per route.
const WRITES: usize = 40;

/// Runs and prints this part.
pub fn run() {
    let plone = Plone::start();
    let home = with_plone_at(Home::new(), &plone.url());
    let server = home.serve();
    wait_for_sections(&server);
    let member = sign_in(&server, DEAN);
    let path = plone.section(0);
    let id = path.rsplit('/').next().expect("the path has a last segment").to_owned();
    let reads = setting("EDUHUB_BENCH_READS", READS);
    measure_reads(&plone, &server, &member, &path, &id, reads);
    measure_writes(&plone, &server, &member, setting("EDUHUB_BENCH_WRITES", WRITES));
}

/// A route by which a section is read, and its response times.
struct Route {
    name: &'static str,
    client: Client,
    path: String,
    times: Vec<Duration>,
}

fn measure_reads(plone: &Plone, server: &Server, member: &str, path: &str, id: &str, reads: usize) {
    let bare = || Client::connect(plone.address()).expect("Plone accepts connections");
    let route = |name, client, path: String| Route { name, client, path, times: Vec::new() };
    let token = plone.login(DEAN, PASSWORD);
    // Plone's virtual hosting, which makes links point to the hub, also takes time.
    let hosted = format!("/VirtualHostBase/http/{}/Plone/VirtualHostRoot/_vh_plone{path}", server.address());
    let mut routes = [
        route("bare Plone, visitor", bare(), format!("/Plone{path}")),
        route("bare Plone with virtual hosting, visitor", bare(), hosted.clone()),
        route("through /plone/, visitor", server.client(), format!("/plone{path}")),
        route("bare Plone, member", bare().signed_in(&token), format!("/Plone{path}")),
        route("bare Plone with virtual hosting, member", bare().signed_in(&token), hosted),
        route("through /plone/, member", server.client().signed_in(member), format!("/plone{path}")),
        route("the hub's own copy of the section", server.client(), format!("/api/v1/sections/{id}")),
        route("the hub's announcements", server.client(), "/api/v1/announcements".to_owned()),
        route("the hub's dashboard", server.client().signed_in(member), "/api/v1/dashboard".to_owned()),
    ];
    for turn in 0..=reads {
        for route in &mut routes {
            let (_, took) = timed(&mut route.client, "GET", &route.path, None, 200);
            // The first turn is for warming up.
            if turn > 0 {
                route.times.push(took);
            }
        }
    }
    let mut medians = Vec::new();
    let rows = routes.map(|mut route| {
        let all = [50, 95, 99].map(|p| percentile(&mut route.times, p));
        medians.push(all[0]);
        [route.name.to_owned()].into_iter().chain(all.map(micros)).collect::<Vec<_>>()
    });
    table::print(
        &format!("A section, read {reads} times by each route, in turn"),
        &["", "p50 µs", "p95 µs", "p99 µs"],
        &rows,
    );
    let added = |with: Duration, bare: Duration| with.as_secs_f64().mul_add(1e6, -bare.as_secs_f64() * 1e6);
    for (who, added) in [("visitor", added(medians[2], medians[1])), ("member", added(medians[5], medians[4]))] {
        println!(
            "  target: the hub adds less than 1,000 µs at p50 for a {who}: {} ({added:.0} µs)",
            met(added < 1_000.0)
        );
    }
    let slowest = medians[6..].iter().max().map_or(0.0, |time| time.as_secs_f64() * 1e6);
    println!(
        "  target: the hub's own responses take less than 1,000 µs at p50: {} (slowest {slowest:.0} µs)",
        met(slowest < 1_000.0)
    );
}

fn measure_writes(plone: &Plone, server: &Server, member: &str, writes: usize) {
    let token = plone.login(DEAN, PASSWORD);
    let mut times: [[Vec<Duration>; 3]; 2] = Default::default();
    for number in 0..writes {
        for (way, (address, token, site)) in
            [(plone.address(), token.as_str(), "/Plone"), (server.address(), member, "/plone")].into_iter().enumerate()
        {
            // Plone closes a connection after some responses, so each request has its own.
            let connect = || Client::connect(address).expect("connections are accepted").signed_in(token);
            let short = format!("bench-{way}-{number}");
            let page = json!({"@type": "Document", "id": short, "title": format!("Page {number}")});
            let item = format!("{site}/{short}");
            let (_, created) = timed(&mut connect(), "POST", site, Some(&page), 201);
            let (read, took) = timed(&mut connect(), "GET", &item, None, 200);
            assert_eq!(read["title"], page["title"], "the title of the created page");
            let change = json!({"title": format!("Page {number}, changed")});
            let (_, updated) = timed(&mut connect(), "PATCH", &item, Some(&change), 200);
            for (kind, time) in [created, took, updated].into_iter().enumerate() {
                times[way][kind].push(time);
            }
        }
    }
    let [bare, hub] = times;
    let rows: Vec<Vec<String>> = ["create a page", "read the page", "change the title"]
        .into_iter()
        .zip(bare.into_iter().zip(hub))
        .map(|(name, (mut bare, mut hub))| {
            let cells = [percentile(&mut bare, 50), percentile(&mut bare, 95), percentile(&mut hub, 50)];
            let cells = cells.into_iter().chain([percentile(&mut hub, 95)]).map(micros);
            [name.to_owned()].into_iter().chain(cells).collect()
        })
        .collect();
    let columns = ["", "bare p50 µs", "bare p95 µs", "/plone/ p50 µs", "/plone/ p95 µs"];
    table::print(&format!("Content, {writes} times each, as Site Administrator"), &columns, &rows);
}

/// Sends a request. Returns the JSON of the response, and the response time.
fn timed(client: &mut Client, method: &str, path: &str, body: Option<&Value>, status: u16) -> (Value, Duration) {
    let mut headers = vec![("Accept", "application/json"), ("Prefer", "return=representation")];
    let bytes = body.map(ToString::to_string).unwrap_or_default();
    if body.is_some() {
        headers.push(("Content-Type", "application/json"));
    }
    let begun = Instant::now();
    let response = client.call(method, path, &headers, bytes.as_bytes()).expect("a response");
    let took = begun.elapsed();
    (response.expect(status).json(), took)
}

fn micros(time: Duration) -> String {
    number(time.as_secs_f64() * 1e6)
}
