//! What the hub adds to Plone's own response time, and what it saves: one section read from bare Plone, through the hub's
//! `/plone/` (nothing cached), and from the hub's own copy; and content created, changed and read through `/plone/` beside
//! bare Plone. One request at a time, the ways taken in turns. Reads use kept connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bridge::{before_plone, sign_in, wait_for_sections};
use crate::support::http::Client;
use crate::support::plone::{DEAN, PASSWORD, Plone};
use crate::support::server::{Home, Server};
use crate::table::{held, number, percentile};
use crate::{setting, table};

/// Reads of each way, and pages created.
const READS: usize = 300;
const WRITES: usize = 40;

/// Prints the part.
pub fn run() {
    let plone = Plone::start();
    let home = before_plone(Home::new(), &plone.url());
    let server = home.serve();
    wait_for_sections(&server);
    let member = sign_in(&server, DEAN);
    let path = plone.section(0);
    let id = path.rsplit('/').next().expect("a path has an end").to_owned();
    let reads = setting("EDUHUB_BENCH_READS", READS);
    reading(&plone, &server, &member, &path, &id, reads);
    content(&plone, &server, &member, setting("EDUHUB_BENCH_WRITES", WRITES));
}

/// A way of reading, and its response times.
struct Way {
    name: &'static str,
    client: Client,
    path: String,
    times: Vec<Duration>,
}

fn reading(plone: &Plone, server: &Server, member: &str, path: &str, id: &str, reads: usize) {
    let bare = || Client::connect(plone.address()).expect("Plone takes connections");
    let way = |name, client, path: String| Way { name, client, path, times: Vec::new() };
    let token = plone.login(DEAN, PASSWORD);
    // Plone's virtual hosting, which makes its links lead through the hub, costs time of its own.
    let hosted = format!("/VirtualHostBase/http/{}/Plone/VirtualHostRoot/_vh_plone{path}", server.address());
    let mut ways = [
        way("bare Plone, a visitor", bare(), format!("/Plone{path}")),
        way("bare Plone by its virtual host, a visitor", bare(), hosted.clone()),
        way("through /plone/, a visitor", server.client(), format!("/plone{path}")),
        way("bare Plone, a member", bare().signed_in(&token), format!("/Plone{path}")),
        way("bare Plone by its virtual host, a member", bare().signed_in(&token), hosted),
        way("through /plone/, a member", server.client().signed_in(member), format!("/plone{path}")),
        way("the hub's own copy of the section", server.client(), format!("/api/v1/sections/{id}")),
        way("the hub's announcements", server.client(), "/api/v1/announcements".to_owned()),
        way("the hub's dashboard", server.client().signed_in(member), "/api/v1/dashboard".to_owned()),
    ];
    for turn in 0..=reads {
        for way in &mut ways {
            let (_, took) = timed(&mut way.client, "GET", &way.path, None, 200);
            // The first turn warms up.
            if turn > 0 {
                way.times.push(took);
            }
        }
    }
    let mut medians = Vec::new();
    let rows = ways.map(|mut way| {
        let all = [50, 95, 99].map(|p| percentile(&mut way.times, p));
        medians.push(all[0]);
        [way.name.to_owned()].into_iter().chain(all.map(micros)).collect::<Vec<_>>()
    });
    table::print(&format!("One section, read {reads} times in turns"), &["", "p50 µs", "p95 µs", "p99 µs"], &rows);
    let added = |with: Duration, bare: Duration| with.as_secs_f64().mul_add(1e6, -bare.as_secs_f64() * 1e6);
    for (who, added) in [("visitor", added(medians[2], medians[1])), ("member", added(medians[5], medians[4]))] {
        println!("  the hub adds under 1,000 µs at p50 for a {who}: {} ({added:.0})", held(added < 1_000.0));
    }
    let slowest = medians[6..].iter().max().map_or(0.0, |time| time.as_secs_f64() * 1e6);
    println!("  the hub's own answers under 1,000 µs at p50: {} ({slowest:.0} at most)", held(slowest < 1_000.0));
}

fn content(plone: &Plone, server: &Server, member: &str, writes: usize) {
    let token = plone.login(DEAN, PASSWORD);
    let mut times: [[Vec<Duration>; 3]; 2] = Default::default();
    for number in 0..writes {
        for (way, (address, token, site)) in
            [(plone.address(), token.as_str(), "/Plone"), (server.address(), member, "/plone")].into_iter().enumerate()
        {
            // Plone closes a connection after some answers, so each request has its own.
            let connect = || Client::connect(address).expect("connections are taken").signed_in(token);
            let short = format!("bench-{way}-{number}");
            let page = json!({"@type": "Document", "id": short, "title": format!("Page {number}")});
            let item = format!("{site}/{short}");
            let (_, created) = timed(&mut connect(), "POST", site, Some(&page), 201);
            let (read, took) = timed(&mut connect(), "GET", &item, None, 200);
            assert_eq!(read["title"], page["title"], "the created page is read back");
            let change = json!({"title": format!("Page {number}, changed")});
            let (_, updated) = timed(&mut connect(), "PATCH", &item, Some(&change), 200);
            for (kind, time) in [created, took, updated].into_iter().enumerate() {
                times[way][kind].push(time);
            }
        }
    }
    let [bare, hub] = times;
    let rows: Vec<Vec<String>> = ["create a page", "read it", "change its title"]
        .into_iter()
        .zip(bare.into_iter().zip(hub))
        .map(|(name, (mut bare, mut hub))| {
            let cells = [percentile(&mut bare, 50), percentile(&mut bare, 95), percentile(&mut hub, 50)];
            let cells = cells.into_iter().chain([percentile(&mut hub, 95)]).map(micros);
            [name.to_owned()].into_iter().chain(cells).collect()
        })
        .collect();
    let columns = ["", "bare p50 µs", "bare p95 µs", "/plone/ p50 µs", "/plone/ p95 µs"];
    table::print(&format!("Content, {writes} times each, as a Site Administrator"), &columns, &rows);
}

/// Sends a request and returns the answer's JSON and the response time.
fn timed(client: &mut Client, method: &str, path: &str, body: Option<&Value>, status: u16) -> (Value, Duration) {
    let mut headers = vec![("Accept", "application/json"), ("Prefer", "return=representation")];
    let bytes = body.map(ToString::to_string).unwrap_or_default();
    if body.is_some() {
        headers.push(("Content-Type", "application/json"));
    }
    let begun = Instant::now();
    let answer = client.call(method, path, &headers, bytes.as_bytes()).expect("an answer");
    let took = begun.elapsed();
    (answer.expect(status).json(), took)
}

fn micros(time: Duration) -> String {
    number(time.as_secs_f64() * 1e6)
}
