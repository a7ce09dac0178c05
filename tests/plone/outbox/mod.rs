//! The hub writes committed seats and rosters to a real Plone, despite kills, outages and conflicts. It never writes
//! names where visitors or plain members could read them.

mod conflicts;
#[allow(unreachable_pub)]
pub(crate) mod setup;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use serde_json::json;

use crate::support::barrier::Barrier;
use crate::support::bridge::{plone_state, sign_in, wait_for_roster_state};
use crate::support::plone::{DEAN, PASSWORD, Plone};
use crate::support::random::{Random, seed};
use crate::support::schedule::{start_import, wait_for_import};
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;
use setup::{Semaphore, Setup, in_plone, item, no_names, register_and_drop, rosters, schedule};

#[test]
fn seats_and_rosters_reach_plone_despite_kills() {
    let mut setup = Setup::in_front_of(Plone::start());
    let ids = setup.open(&schedule("203001", 12, 4, 3));
    let mut random = Random::seeded(seed());
    let tokens = setup.home.tokens("busy", "student", 20);

    register_and_drop(&setup.server, &tokens, &ids, &mut random, 200);
    // The hub does not know yet what a plain member can read, so it writes only counts.
    setup.wait_until_equal(&ids, &no_names());
    assert_eq!(plone_state(&mut setup.admin())["roster"]["state"], "unchecked");

    sign_in(&setup.server, "student1");
    wait_for_roster_state(&mut setup.admin(), "protected");
    setup.wait_until_equal(&ids, &rosters(&setup.server, &tokens));
    let member = setup.plone.login("student2", PASSWORD);
    for token in [None, Some(member.as_str())] {
        let seen = item(&setup.plone, token, &ids[0]).expect("the item is published");
        assert!(seen.get("roster").is_none(), "{seen:#}");
    }

    // The hub is killed three times while writes are in flight.
    for _ in 0..3 {
        register_and_drop(&setup.server, &tokens, &ids, &mut random, 150);
        setup.server.kill();
        setup.server = setup.home.serve();
    }
    register_and_drop(&setup.server, &tokens, &ids, &mut random, 20);
    setup.wait_until_equal(&ids, &rosters(&setup.server, &tokens));
    assert_eq!(setup.server.stop().code(), Some(0));
}

#[test]
fn a_thousand_changes_to_one_section_take_at_most_40_writes() {
    let setup = Setup::in_front_of(Plone::start());
    let ids = setup.open(&schedule("203002", 1, 400, 50));
    let id = &ids[0];
    setup.wait_until_equal(&ids, &no_names());

    let write = format!("PATCH /Plone/courses/{id}");
    let writes = || setup.plone.requests().iter().filter(|line| line.contains(&write)).count();
    let before = writes();
    let tokens = setup.home.tokens("many", "student", 500);
    let changes = AtomicUsize::new(0);
    thread::scope(|scope| {
        for tokens in tokens.chunks(25) {
            let (server, id, changes) = (&setup.server, &id, &changes);
            scope.spawn(move || {
                for (number, token) in tokens.iter().enumerate() {
                    let (mut student, path) =
                        (server.client().signed_in(token), format!("/api/v1/me/registrations/{id}"));
                    let response = student.put(&format!("{path}?waitlist=true"));
                    assert!(matches!(response.status, 201 | 409), "{}", response.text());
                    let is_registered = response.status == 201;
                    changes.fetch_add(usize::from(is_registered), Relaxed);
                    if is_registered && number % 4 != 0 {
                        student.delete(&path).expect(200);
                        let again = student.put(&format!("{path}?waitlist=true")).status == 201;
                        changes.fetch_add(1 + usize::from(again), Relaxed);
                    }
                }
            });
        }
    });
    setup.wait_until_equal(&ids, &no_names());
    let count = writes() - before;
    let changes = changes.into_inner();
    println!("{changes} changes to one section: {count} writes to Plone");
    assert!(changes >= 1_000 && (1..=40).contains(&count), "{changes} changes, {count} writes");
}

#[test]
fn names_are_never_written_where_visitors_can_read_them() {
    let plone = Plone::start();
    let root = plone.login("admin", PASSWORD);
    // A type from the control panel: all users who may view an item may read its fields.
    let kind = json!({"title": "Open Section", "description": "Created in the control panel"});
    plone.change(&root, "POST", "/@controlpanels/dexterity-types", Some(&kind));
    for (title, factory) in [
        ("Term", "Text line (String)"),
        ("CRN", "Text line (String)"),
        ("Course", "Text line (String)"),
        ("Capacity", "Integer"),
        ("Waitlist capacity", "Integer"),
        ("Seats taken", "Integer"),
        ("Waitlisted", "Integer"),
        ("Meetings", "Text"),
        ("Roster", "Text"),
    ] {
        let field = json!({"title": title, "factory": factory, "description": "", "required": false});
        plone.change(&root, "POST", "/@types/open_section", Some(&field));
    }
    let relay = TcpRelay::start(plone.address());
    let setup =
        Setup::with(plone, |home| home.setting("plone.type", "open_section").setting("plone.url", &relay.url()));
    let mut random = Random::seeded(seed());
    let mut admin = setup.admin();
    let ids = setup.open(&schedule("203003", 4, 5, 5));
    let tokens = setup.home.tokens("open", "student", 10);
    register_and_drop(&setup.server, &tokens, &ids, &mut random, 40);
    let roster = wait_for_roster_state(&mut admin, "readable");
    assert_eq!(roster["by"], "visitor");
    sign_in(&setup.server, "student1");
    register_and_drop(&setup.server, &tokens, &ids, &mut random, 40);
    setup.wait_until_equal(&ids, &no_names());
    // After a failure it is not known what was written, so the roster is emptied again. This field takes text, not a list.
    relay.set(Mode::Answer500);
    register_and_drop(&setup.server, &tokens, &ids, &mut random, 40);
    eventually("a failed write", || (plone_state(&mut admin)["outbox"]["failed"].as_u64()? > 0).then_some(()));
    relay.set(Mode::Pass);
    setup.wait_until_equal(&ids, &no_names());
    wait_for_roster_state(&mut admin, "readable");
    // The audit trail contains the reason.
    let reason = eventually("the audit entry", || {
        let trail = admin.get("/api/v1/admin/audit?action=plone.roster").expect(200).json();
        trail["items"][0]["detail"].as_str().map(str::to_owned)
    });
    assert!(reason.contains("every visitor"), "{reason}");
}

#[test]
fn names_are_not_written_while_other_urls_expose_the_field() {
    let plone = Plone::start_with_exposed_fields();
    let path = plone.section(0);
    let text = plone.call("GET", &format!("{path}/manage_FTPget"), &[("Accept", "*/*")], b"").unwrap();
    assert!(text.status == 200 && text.text().contains("roster:"), "the field is not exposed: {}", text.text());
    assert!(plone.request("GET", &path, None, None).1.get("roster").is_none(), "the API exposes the field");
    let setup = Setup::in_front_of(plone);
    let ids = setup.open(&schedule("203009", 3, 5, 5));
    let roster = wait_for_roster_state(&mut setup.admin(), "readable");
    assert_eq!(roster["by"], "visitor");
    sign_in(&setup.server, "student1");
    register_and_drop(&setup.server, &setup.home.tokens("named", "student", 10), &ids, &mut Random::seeded(seed()), 60);
    setup.wait_until_equal(&ids, &no_names());
    for id in &ids {
        for view in ["manage_FTPget", "@@view/++widget++roster"] {
            let address = format!("/courses/{id}/{view}");
            let text = setup.plone.call("GET", &address, &[("Accept", "*/*")], b"").unwrap().text();
            assert!(!text.contains("named-"), "{view} of {id} exposes names: {text}");
        }
    }
}

#[test]
fn names_are_removed_while_members_can_read_them() {
    let setup = Setup::in_front_of(Plone::start());
    let mut admin = setup.admin();
    let ids = setup.open(&schedule("203004", 3, 3, 3));
    sign_in(&setup.server, "student1");
    let tokens = setup.home.tokens("few", "student", 8);
    register_and_drop(&setup.server, &tokens, &ids, &mut Random::seeded(seed()), 40);
    setup.wait_until_equal(&ids, &rosters(&setup.server, &tokens));

    setup.share_courses("Editor", true);
    assert_eq!(wait_for_roster_state(&mut admin, "readable")["by"], "student1");
    setup.wait_until_equal(&ids, &no_names());
    setup.share_courses("Editor", false);
    wait_for_roster_state(&mut admin, "protected");
    setup.wait_until_equal(&ids, &rosters(&setup.server, &tokens));
}

#[test]
fn a_refused_section_is_set_aside_and_resent_on_request() {
    let setup = Setup::in_front_of(Plone::start());
    let mut admin = setup.admin();
    let ids = setup.open(&schedule("203005", 2, 10, 5));
    setup.wait_until_equal(&ids, &no_names());
    let root = setup.plone.login("admin", PASSWORD);
    // From now on, the type accepts at most two seats taken.
    setup.plone.change(&root, "PATCH", "/@types/course_section/seats_taken", Some(&json!({"maximum": 2})));
    for token in setup.home.tokens("late", "student", 3) {
        setup.server.client().signed_in(&token).put(&format!("/api/v1/me/registrations/{}", ids[0])).expect(201);
    }
    let entry = eventually("the refused section", || {
        let outbox = plone_state(&mut admin)["outbox"].clone();
        (outbox["aside_total"] == 1).then(|| outbox["aside"][0].clone())
    });
    assert_eq!(entry["section"], ids[0].as_str());
    let reason = entry["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("Plone refused the request: ") && !reason.contains("Traceback"), "{reason}");
    // Other sections are still written.
    let other = setup.home.token("other", "student");
    setup.server.client().signed_in(&other).put(&format!("/api/v1/me/registrations/{}", ids[1])).expect(201);
    setup.wait_until_equal(&ids[1..], &no_names());

    setup.plone.change(&root, "PATCH", "/@types/course_section/seats_taken", Some(&json!({"maximum": 1000})));
    let again = admin.post_json("/api/v1/admin/plone/outbox/resend", &json!({"sections": [ids[0]]})).expect(200);
    assert_eq!(again.json()["resent"], 1);
    setup.wait_until_equal(&ids, &no_names());
    eventually("no refused section", || (plone_state(&mut admin)["outbox"]["aside_total"] == 0).then_some(()));
}

#[test]
fn imports_create_and_update_items_unless_cancelled() {
    let setup = Setup::in_front_of(Plone::start());
    let mut staff = setup.staff();

    // This import has 20,000 sections and is cancelled while the file is read.
    let mut large = "term,crn,subject,number,capacity\n".to_owned();
    for index in 0..20_000 {
        large += &format!("203106,{},HIST,{},20\n", 40_000 + index, 100 + index);
    }
    let task = start_import(&mut staff, "203106", large.as_bytes());
    staff.delete(&format!("/api/v1/imports/{task}"));
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "cancelled");

    let mut schedule = schedule("203006", 6, 20, 5);
    let ids = setup.open(&schedule);
    setup.wait_until_equal(&ids, &no_names());
    // Creating and publishing are two requests, so the item is private at first.
    let made = eventually("a section that visitors can see", || item(&setup.plone, None, &ids[3]));
    assert_eq!((&made["title"], &made["capacity"]), (&json!("Studies in MATH 103"), &json!(20)), "{made:#}");
    assert_eq!((&made["course"], &made["crn"]), (&json!("MATH 103"), &json!("10004")));
    assert!(made["meetings"].as_str().unwrap().starts_with("MWF 15:00-15:50 2030-01-07..2030-05-03"), "{made:#}");

    for row in &mut schedule.rows {
        row.capacity += 7;
    }
    let task = start_import(&mut staff, &schedule.term, schedule.csv().as_bytes());
    assert_eq!(wait_for_import(&mut staff, &task)["updated"], 6);
    for id in &ids {
        eventually("the capacity of the second import", || {
            (item(&setup.plone, Some(&setup.token), id)?["capacity"] == 27).then_some(())
        });
    }
    let (_, found) =
        setup.plone.request("GET", "/courses/@search?SearchableText=HIST&b_size=1", Some(&setup.token), None);
    assert_eq!(found["items_total"], 0, "the cancelled import created no items");
    let (_, all) =
        setup.plone.request("GET", "/courses/@search?portal_type=course_section&b_size=1", Some(&setup.token), None);
    assert_eq!(all["items_total"], json!(crate::support::plone::SECTIONS + 6));
}

#[test]
fn changes_during_an_outage_are_sent_once_plone_is_back() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let setup = Setup::with(plone, |home| {
        home.setting("plone.url", &relay.url()).setting("plone.timeout_ms", "1000").setting("plone.sync_s", "2")
    });
    let ids = setup.open(&schedule("203007", 10, 10, 5));
    setup.wait_until_equal(&ids, &no_names());
    let tokens = setup.home.tokens("away", "student", 30);
    let mut random = Random::seeded(seed());
    for mode in [Mode::Refuse, Mode::Hang, Mode::Answer500, Mode::Garbage, Mode::Cut] {
        relay.set(mode);
        let before = relay.accepted();
        register_and_drop(&setup.server, &tokens, &ids, &mut random, 200);
        let connections = relay.accepted() - before;
        println!("{mode:?}: {connections} connections to Plone during 200 requests to the hub");
    }
    let waiting = eventually("entries in the outbox", || {
        let depth = plone_state(&mut setup.admin())["outbox"]["depth"].as_u64()?;
        (depth > 0).then_some(depth)
    });
    assert!(waiting <= 10, "one entry per section: {waiting}");
    relay.set(Mode::Pass);
    setup.wait_until_equal(&ids, &no_names());
}

/// Maximum number of concurrent connections to Plone itself. waitress accepts 100.
const CONNECTIONS: usize = 90;
/// Number of students who request the same seats.
const STUDENTS: usize = 200;
/// Number of seats.
const SEATS: u32 = 40;

#[test]
fn a_race_of_200_for_40_seats_fills_exactly_40_in_the_hub() {
    let plone = Plone::start();
    let token = plone.login(DEAN, PASSWORD);

    // Plone alone: each student reads the count, and writes it back increased by one if a seat is free.
    let path = plone.section(0);
    plone.change(&token, "PATCH", &path, Some(&json!({"capacity": SEATS, "seats_taken": 0})));
    let (start, connections) = (Barrier::new(STUDENTS), Semaphore::new(CONNECTIONS));
    let accepted = thread::scope(|scope| {
        let students: Vec<_> = (0..STUDENTS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let _permit = connections.acquire();
                    let (_, section) = plone.request("GET", &path, Some(&token), None);
                    let taken = section["seats_taken"].as_u64().unwrap_or_default();
                    if taken >= u64::from(SEATS) {
                        return false;
                    }
                    let seat = json!({"seats_taken": taken + 1});
                    plone.request("PATCH", &path, Some(&token), Some(&seat)).0 == 204
                })
            })
            .collect();
        students.into_iter().map(|s| s.join().unwrap()).filter(|yes| *yes).count()
    });
    let counted = plone.request("GET", &path, Some(&token), None).1["seats_taken"].as_u64().unwrap_or_default();
    println!("Plone alone: {accepted} of {STUDENTS} accepted, {counted} counted, {SEATS} seats");
    assert!(counted <= accepted as u64, "Plone counts a student whose request failed");

    let setup = Setup::in_front_of(plone);
    let ids = setup.open(&schedule("203008", 1, SEATS, 0));
    let id = &ids[0];
    let tokens = setup.home.tokens("hot", "student", STUDENTS);
    let start = Barrier::new(STUDENTS);
    let accepted = thread::scope(|scope| {
        let students: Vec<_> = tokens
            .iter()
            .map(|token| {
                let mut student = setup.server.client().signed_in(token);
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    student.put(&format!("/api/v1/me/registrations/{id}")).status == 201
                })
            })
            .collect();
        students.into_iter().map(|s| s.join().unwrap()).filter(|yes| *yes).count()
    });
    assert_eq!(accepted, SEATS as usize);
    setup.wait_until_equal(&ids, &no_names());
    let counted = in_plone(&setup.plone, &token, id).expect("the item exists").enrolled;
    println!("through the hub: {accepted} of {STUDENTS} accepted, {counted} counted in Plone, {SEATS} seats");
    assert_eq!(counted, u64::from(SEATS));
}
