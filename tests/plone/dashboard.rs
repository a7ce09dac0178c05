//! Announcements and dashboards of a hub in front of a real Plone: who sees which, even while Plone is down.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::barrier::Barrier;
use crate::support::bridge::{sign_in, with_plone_at};
use crate::support::http::{Client, Response};
use crate::support::openapi::assert_has_schema;
use crate::support::plone::{PASSWORD, Plone, REGISTRAR};
use crate::support::server::Home;
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

const NEWS: &str = "/api/v1/announcements";
const DASHBOARD: &str = "/api/v1/dashboard";
const STATE: &str = "/api/v1/admin/plone";
const SYNC: &str = "/api/v1/admin/plone/sync";
const RESEND: &str = "/api/v1/admin/plone/outbox/resend";

/// Titles of the news items that visitors see, newest first, as scripts/plone/site.py creates them.
const PUBLIC: [&str; 5] = [
    "Registration opens on the hub",
    "Fees and deadlines",
    "Library opens on Sundays",
    "Lot C is closed",
    "A page pasted from elsewhere",
];
/// Title of a news item that only editors in Plone can see.
const PRIVATE: &str = "Budget, not to be published yet";

/// Concurrent requests for a dashboard.
const AT_ONCE: usize = 200;

fn titles(response: &Value) -> Vec<String> {
    let items = response.as_array().expect("a list");
    items.iter().map(|item| item["title"].as_str().expect("a title").to_owned()).collect()
}

fn news(client: &mut Client) -> Response {
    client.get(NEWS).expect(200)
}

/// Waits until the hub shows exactly these announcements.
fn wait_for_news(client: &mut Client, expected: &[&str]) {
    eventually(&format!("the announcements {expected:?}"), || {
        // During the first pull, Plone may be too slow to respond in time.
        let response = client.get(NEWS);
        (response.status == 200 && titles(&response.json()["items"]) == expected).then_some(())
    });
}

/// Returns how many times single news items were read from Plone.
fn items_read(plone: &Plone) -> usize {
    plone.requests().iter().filter(|line| line.contains("\"GET ") && line.contains("/news/")).count()
}

#[test]
fn announcements_are_sanitized_and_newest_first() {
    let home = with_plone_at(Home::new(), &Plone::shared().url());
    let server = home.serve();
    let mut visitor = server.client();
    let response = news(&mut visitor);
    assert_eq!(response.header("cache-control"), Some("no-cache"));
    assert!(response.header("age").is_some());
    let list = response.json();
    assert_has_schema("AnnouncementList", &list);
    assert_eq!((titles(&list["items"]), &list["total"]), (PUBLIC.map(str::to_owned).to_vec(), &json!(5)));
    let pasted = &list["items"][4];
    let html = pasted["html"].as_str().unwrap();
    assert!(html.contains("Text that was pasted"), "{html}");
    for active in ["<script", "onclick", "javascript", "alert("] {
        assert!(!list.to_string().contains(active), "{active} in {list:#}");
    }
    assert_eq!(list["items"][3]["text"], "Lot C is closed for repairs. Please use lots A & B.");
    assert_eq!(list["items"][3]["url"], "/plone/news/parking");
    let etag = response.header("etag").unwrap().to_owned();
    let again = visitor.call("GET", NEWS, &[("If-None-Match", &etag)], b"").unwrap().expect(304);
    assert!(again.header("age").is_some());
    assert_eq!(visitor.call("POST", NEWS, &[], b"").unwrap().expect(405).code(), "method_not_allowed");
}

#[test]
fn private_news_is_shown_only_to_members_who_may_see_it() {
    let home = with_plone_at(Home::new(), &Plone::shared().url());
    let server = home.serve();
    wait_for_news(&mut server.client(), &PUBLIC);
    let mut editor = server.client().signed_in(&sign_in(&server, REGISTRAR));
    eventually("the editor's own copy", || {
        titles(&news(&mut editor).json()["items"]).contains(&PRIVATE.to_owned()).then_some(())
    });
    let own = news(&mut editor);
    assert_eq!((own.header("cache-control"), own.json()["total"].as_u64()), (Some("private, no-store"), Some(6)));
    let dashboard = editor.get(DASHBOARD).expect(200).json();
    assert!(titles(&dashboard["announcements"]).contains(&PRIVATE.to_owned()), "{dashboard:#}");

    // A token from the command line is not a sign-in through Plone, even with a member's username.
    let others = [
        server.client(),
        server.client().signed_in(&sign_in(&server, "student1")),
        server.client().signed_in(&home.token(REGISTRAR, "staff")),
        server.client().signed_in(&home.token("eve", "admin")),
    ];
    for mut other in others {
        for _ in 0..3 {
            assert_eq!(titles(&news(&mut other).json()["items"]), PUBLIC);
        }
    }
    editor.post_json("/api/v1/logout", &json!({})).expect(204);
    assert_eq!(editor.get(NEWS).expect(401).code(), "unauthenticated");
}

#[test]
fn a_sync_reads_only_edited_news_again() {
    let plone = Plone::start();
    let home = with_plone_at(Home::new(), &plone.url()).setting("plone.sync_s", "3600");
    let server = home.serve();
    let mut visitor = server.client();
    wait_for_news(&mut visitor, &PUBLIC);
    let etag = news(&mut visitor).header("etag").unwrap().to_owned();
    let mut admin = server.client().signed_in(&home.token("root", "admin"));

    // Plone's times have a resolution of one second: items read right after their creation are read once more.
    admin.post_json(SYNC, &json!({})).expect(200);
    let before = items_read(&plone);
    let pulled = admin.call("POST", SYNC, &[], b"").unwrap().expect(200).json();
    assert_has_schema("PlonePulled", &pulled);
    assert_eq!((items_read(&plone) - before, &pulled["announcements"]), (0, &json!(5)));
    assert_eq!(news(&mut visitor).header("etag"), Some(etag.as_str()));

    plone.change_as_hub("PATCH", "/news/library", Some(&json!({"title": "Library opens at night"})));
    admin.post_json(SYNC, &json!({})).expect(200);
    let list = news(&mut visitor);
    assert_eq!(list.json()["items"][2]["title"], "Library opens at night");
    assert_ne!(list.header("etag"), Some(etag.as_str()));
    assert_eq!(items_read(&plone) - before, 1, "only the edited item is read again");

    plone.change_as_hub("POST", "/news/fees/@workflow/retract", None);
    plone.change_as_hub("DELETE", "/news/parking", None);
    admin.post_json(SYNC, &json!({})).expect(200);
    assert_eq!(titles(&news(&mut visitor).json()["items"]), [PUBLIC[0], "Library opens at night", PUBLIC[4]]);
}

/// Asserts that a response contains no internals of Plone.
fn assert_nothing_leaks(plone: &Plone, relay: &TcpRelay, response: &Response) {
    let text = response.text();
    let (behind, before) = (plone.address().to_string(), relay.address().to_string());
    for secret in ["Traceback", "traceback", "File \\\"", "127.0.0.1", PASSWORD, behind.as_str(), before.as_str()] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn dashboards_show_the_last_copy_and_its_age_in_every_outage() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let home = with_plone_at(Home::new(), &relay.url()).setting("plone.sync_s", "1");
    let home = home.setting("plone.timeout_ms", "2000");
    let server = home.serve();
    wait_for_news(&mut server.client(), &PUBLIC);
    eventually("the first pull", || {
        let mut admin = server.client().signed_in(&home.token("root", "admin"));
        admin.get(STATE).json()["sync"]["last_at"].is_string().then_some(())
    });
    let member = sign_in(&server, REGISTRAR);
    let mut clients = [
        server.client().signed_in(&home.token("ann", "student")),
        server.client().signed_in(&member),
        server.client().signed_in(&home.token("root", "admin")),
    ];
    let [student, editor, admin] = &mut clients;
    eventually("the editor's own copy", || {
        (titles(&editor.get(DASHBOARD).json()["announcements"]).len() == 6).then_some(())
    });
    for mode in [Mode::Refuse, Mode::Hang, Mode::Answer500, Mode::Garbage, Mode::Drip, Mode::Cut] {
        eventually("a dashboard that reports that Plone responds", || {
            (student.get(DASHBOARD).json()["sources"]["plone"]["ok"] == true).then_some(())
        });
        relay.set(mode);
        let mut slowest = Duration::ZERO;
        let dashboard = eventually(&format!("a dashboard that reports that Plone does not respond ({mode:?})"), || {
            let began = Instant::now();
            let response = student.get(DASHBOARD).expect(200);
            slowest = slowest.max(began.elapsed());
            assert_nothing_leaks(&plone, &relay, &response);
            assert_eq!(titles(&response.json()["announcements"]), PUBLIC, "{mode:?}");
            (response.json()["sources"]["plone"]["ok"] == false).then(|| response.json())
        });
        println!("{mode:?}: the slowest dashboard took {slowest:?}");
        assert_has_schema("Dashboard", &dashboard);
        assert!(
            dashboard["sources"]["plone"]["age_s"].is_u64() && dashboard["sources"]["plone"]["error"].is_string(),
            "{dashboard:#}"
        );
        assert_eq!(dashboard["sources"]["store"]["ok"], true);
        assert_eq!(titles(&editor.get(DASHBOARD).expect(200).json()["announcements"]).len(), 6, "{mode:?}");
        let ready = student.get("/readyz").expect(200);
        assert_eq!((&ready.json()["ready"], &ready.json()["plone"]), (&json!(true), &json!("unavailable")), "{mode:?}");
        let state = admin.get(STATE).expect(200);
        assert_has_schema("PloneState", &state.json());
        assert_eq!((&state.json()["ok"], &state.json()["announcements"]["count"]), (&json!(false), &json!(5)));
        let pulled = admin.post_json(SYNC, &json!({}));
        assert!([502, 504].contains(&pulled.status), "{mode:?}: {} {}", pulled.status, pulled.text());
        assert_eq!(pulled.code(), "plone_unavailable");
        for response in [&ready, &state, &pulled, &news(student)] {
            assert_nothing_leaks(&plone, &relay, response);
        }
        relay.set(Mode::Pass);
    }
    eventually("Plone to be available again", || (student.get("/readyz").json()["plone"] == "ok").then_some(()));
    assert_eq!(admin.get(STATE).json()["circuit"]["state"], "closed");
}

#[test]
fn announcements_survive_a_restart_without_plone() {
    let relay = TcpRelay::start(Plone::shared().address());
    let home = with_plone_at(Home::new(), &relay.url()).setting("plone.timeout_ms", "2000");
    let server = home.serve();
    wait_for_news(&mut server.client(), &PUBLIC);
    let before = news(&mut server.client()).json();
    server.kill();
    relay.set(Mode::Hang);
    let server = home.serve();
    assert_eq!(news(&mut server.client()).json(), before);
    let mut ann = server.client().signed_in(&home.token("ann", "student"));
    let dashboard = eventually("a dashboard that reports that Plone does not respond", || {
        let dashboard = ann.get(DASHBOARD).expect(200).json();
        (dashboard["sources"]["plone"]["ok"] == false).then_some(dashboard)
    });
    assert_eq!(titles(&dashboard["announcements"]), PUBLIC);
}

#[test]
fn without_a_copy_announcements_fail_until_plone_responds() {
    let relay = TcpRelay::start(Plone::shared().address());
    relay.set(Mode::Refuse);
    let home = with_plone_at(Home::new(), &relay.url());
    let server = home.serve();
    let mut ann = server.client().signed_in(&home.token("ann", "student"));
    let response = ann.get(NEWS);
    assert!([502, 504].contains(&response.status), "{}", response.text());
    assert_eq!(response.code(), "plone_unavailable");
    let dashboard = ann.get(DASHBOARD).expect(200).json();
    assert_has_schema("Dashboard", &dashboard);
    assert_eq!((&dashboard["announcements"], &dashboard["sources"]["plone"]["ok"]), (&json!([]), &json!(false)));
    assert_eq!(dashboard["sources"]["plone"]["age_s"], Value::Null);
    relay.set(Mode::Pass);
    let list = eventually("the announcements", || Some(ann.get(NEWS)).filter(|response| response.status == 200)).json();
    assert_eq!(titles(&list["items"]), PUBLIC);
}

#[test]
fn concurrent_dashboards_cause_one_read_of_plone() {
    let home = with_plone_at(Home::new(), &Plone::shared().url()).setting("plone.sync_s", "3600");
    let server = home.serve();
    wait_for_news(&mut server.client(), &PUBLIC);
    let token = sign_in(&server, REGISTRAR);
    let reads = |whose: &str| server.metric(&format!("eduhub_plone_copy_reads_total{{whose=\"{whose}\"}}"));
    let before = reads("visitors");
    let start = Barrier::new(AT_ONCE);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let mut client = server.client().signed_in(&token);
                start.wait();
                let dashboard = client.get(DASHBOARD).expect(200).json();
                assert!(titles(&dashboard["announcements"]).len() >= PUBLIC.len(), "{dashboard:#}");
            });
        }
    });
    assert_eq!([reads("members").to_string(), reads("visitors").to_string()], ["1".to_owned(), before.to_string()]);
}

#[test]
fn only_admins_see_the_state_of_plone() {
    let home = with_plone_at(Home::new(), &Plone::shared().url());
    let server = home.serve();
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    wait_for_news(&mut server.client(), &PUBLIC);
    let state = eventually("Plone to be available", || {
        let state = admin.get(STATE).expect(200).json();
        (state["ok"] == true).then_some(state)
    });
    assert_has_schema("PloneState", &state);
    assert_eq!(
        (&state["configured"], &state["pool"]["size"], &state["circuit"]["state"]),
        (&json!(true), &json!(8), &json!("closed"))
    );
    assert_eq!(server.client().get("/readyz").expect(200).json()["plone"], "ok");
    assert!(server.metric("eduhub_plone_requests_total{outcome=\"answered\"}") >= 6.0);
    assert!(server.metric("eduhub_plone_circuit").abs() < 0.5);

    assert_eq!(admin.call("POST", RESEND, &[], b"").unwrap().expect(200).json(), json!({"resent": 0}));
    assert_eq!(
        admin.post_json(RESEND, &json!({"sections": ["202701-30001"]})).expect(200).json(),
        json!({"resent": 0})
    );
    assert_eq!(admin.post_json(RESEND, &json!({"sections": ["?"]})).expect(422).json()["field"], "sections[0]");
    assert_eq!(admin.call("POST", RESEND, &[("Content-Type", "text/plain")], b"{}").unwrap().expect(415).status, 415);
    eventually("two audit entries", || {
        let trail = admin.get("/api/v1/admin/audit?action=plone.resend").expect(200).json();
        (trail["items"].as_array().unwrap().len() == 2).then_some(())
    });
    let staff = home.token("registrar", "staff");
    assert_eq!(server.client().signed_in(&staff).get(STATE).expect(403).code(), "forbidden");
    for path in [SYNC, RESEND] {
        assert_eq!(server.client().signed_in(&staff).post_json(path, &json!({})).expect(403).code(), "forbidden");
        assert_eq!(server.client().post_json(path, &json!({})).expect(401).code(), "unauthenticated");
    }

    let without_plone = Home::new();
    let server = without_plone.serve();
    let mut admin = server.client().signed_in(&without_plone.token("root", "admin"));
    let state = admin.get(STATE).expect(200).json();
    assert_has_schema("PloneState", &state);
    assert_eq!((&state["configured"], &server.client().get("/readyz").json()["plone"]), (&json!(false), &json!("off")));
    for path in [SYNC, RESEND] {
        let mut admin = server.client().signed_in(&without_plone.token("root", "admin"));
        assert_eq!(admin.post_json(path, &json!({})).expect(404).code(), "not_found");
    }
}
