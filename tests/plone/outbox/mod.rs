//! Committed seats and rosters are written to a real Plone, whatever happens in between, and names are never written
//! where others could read them.

#[allow(unreachable_pub)]
mod setup;
mod disturbed;
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
use setup::{Setup, Semaphore, in_plone, item, no_names, register_and_drop, rosters, schedule};

#[test]
fn seats_and_rosters_reach_plone_despite_kills() {
    let mut desk = Setup::before(Plone::start());
    let ids = desk.open(&schedule("203001", 12, 4, 3));
    let mut random = Random::seeded(seed());
    let tokens = desk.home.tokens("busy", "student", 20);

    register_and_drop(&desk.server, &tokens, &ids, &mut random, 200);
    // What a plain member can read is not known yet: only counts are written.
    desk.wait_until_equal(&ids, &no_names());
    assert_eq!(plone_state(&mut desk.admin())["roster"]["state"], "unchecked");

    sign_in(&desk.server, "student1");
    wait_for_roster_state(&mut desk.admin(), "protected");
    desk.wait_until_equal(&ids, &rosters(&desk.server, &tokens));
    let everybody = desk.plone.login("student2", PASSWORD);
    for who in [None, Some(everybody.as_str())] {
        let seen = item(&desk.plone, who, &ids[0]).expect("it is published");
        assert!(seen.get("roster").is_none(), "{seen:#}");
    }

    // Killed three times while writes are in flight.
    for _ in 0..3 {
        register_and_drop(&desk.server, &tokens, &ids, &mut random, 150);
        desk.server.kill();
        desk.server = desk.home.serve();
    }
    register_and_drop(&desk.server, &tokens, &ids, &mut random, 20);
    desk.wait_until_equal(&ids, &rosters(&desk.server, &tokens));
    assert_eq!(desk.server.stop().code(), Some(0));
}

#[test]
fn a_thousand_changes_of_one_section_take_at_most_40_writes() {
    let desk = Setup::before(Plone::start());
    let ids = desk.open(&schedule("203002", 1, 400, 50));
    let id = &ids[0];
    desk.wait_until_equal(&ids, &no_names());

    let write = format!("PATCH /Plone/courses/{id}");
    let writes = || desk.plone.requests().iter().filter(|line| line.contains(&write)).count();
    let before = writes();
    let tokens = desk.home.tokens("many", "student", 500);
    let changes = AtomicUsize::new(0);
    thread::scope(|scope| {
        for tokens in tokens.chunks(25) {
            let (server, id, changes) = (&desk.server, &id, &changes);
            scope.spawn(move || {
                for (number, token) in tokens.iter().enumerate() {
                    let (mut student, path) =
                        (server.client().signed_in(token), format!("/api/v1/me/registrations/{id}"));
                    let answer = student.put(&format!("{path}?waitlist=true"));
                    assert!(matches!(answer.status, 201 | 409), "{}", answer.text());
                    let is_in = answer.status == 201;
                    changes.fetch_add(usize::from(is_in), Relaxed);
                    if is_in && number % 4 != 0 {
                        student.delete(&path).expect(200);
                        let again = student.put(&format!("{path}?waitlist=true")).status == 201;
                        changes.fetch_add(1 + usize::from(again), Relaxed);
                    }
                }
            });
        }
    });
    desk.wait_until_equal(&ids, &no_names());
    let cost = writes() - before;
    let changes = changes.into_inner();
    println!("{changes} changes of one section cost {cost} writes to Plone");
    assert!(changes >= 1_000 && (1..=40).contains(&cost), "{changes} changes, {cost} writes");
}

#[test]
fn names_are_never_written_where_visitors_can_read_them() {
    let plone = Plone::start();
    let root = plone.login("admin", PASSWORD);
    // A type made by hand, where everyone who may view an item may read its fields.
    let kind = json!({"title": "Open Section", "description": "Made by hand"});
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
    let desk = Setup::with(plone, |home| home.setting("plone.type", "open_section"));
    let mut random = Random::seeded(seed());
    let mut admin = desk.admin();
    let ids = desk.open(&schedule("203003", 4, 5, 5));
    let tokens = desk.home.tokens("open", "student", 10);
    register_and_drop(&desk.server, &tokens, &ids, &mut random, 40);
    let roster = wait_for_roster_state(&mut admin, "readable");
    assert_eq!(roster["by"], "visitor");
    sign_in(&desk.server, "student1");
    register_and_drop(&desk.server, &tokens, &ids, &mut random, 40);
    desk.wait_until_equal(&ids, &no_names());
    assert_eq!(plone_state(&mut admin)["roster"]["state"], "readable");
    // The audit trail says why.
    let reason = eventually("the line of the audit trail", || {
        let trail = admin.get("/api/v1/admin/audit?action=plone.roster").expect(200).json();
        trail["items"][0]["detail"].as_str().map(str::to_owned)
    });
    assert!(reason.contains("every visitor"), "{reason}");
}

#[test]
fn names_are_not_written_while_a_side_door_shows_the_field() {
    let plone = Plone::start_with_open_side_doors();
    let path = plone.section(0);
    let text = plone.call("GET", &format!("{path}/manage_FTPget"), &[("Accept", "*/*")], b"").unwrap();
    assert!(text.status == 200 && text.text().contains("roster:"), "this Plone has closed its doors: {}", text.text());
    assert!(plone.request("GET", &path, None, None).1.get("roster").is_none(), "its API keeps the field back");
    let desk = Setup::before(plone);
    let ids = desk.open(&schedule("203009", 3, 5, 5));
    let roster = wait_for_roster_state(&mut desk.admin(), "readable");
    assert_eq!(roster["by"], "visitor");
    sign_in(&desk.server, "student1");
    register_and_drop(&desk.server, &desk.home.tokens("door", "student", 10), &ids, &mut Random::seeded(seed()), 60);
    desk.wait_until_equal(&ids, &no_names());
    for id in &ids {
        for door in ["manage_FTPget", "@@view/++widget++roster"] {
            let address = format!("/courses/{id}/{door}");
            let text = desk.plone.call("GET", &address, &[("Accept", "*/*")], b"").unwrap().text();
            assert!(!text.contains("door-"), "{door} of {id} shows names: {text}");
        }
    }
}

#[test]
fn names_are_removed_while_members_can_read_them() {
    let desk = Setup::before(Plone::start());
    let mut admin = desk.admin();
    let ids = desk.open(&schedule("203004", 3, 3, 3));
    sign_in(&desk.server, "student1");
    let tokens = desk.home.tokens("few", "student", 8);
    register_and_drop(&desk.server, &tokens, &ids, &mut Random::seeded(seed()), 40);
    desk.wait_until_equal(&ids, &rosters(&desk.server, &tokens));

    desk.share_courses("Editor", true);
    assert_eq!(wait_for_roster_state(&mut admin, "readable")["by"], "student1");
    desk.wait_until_equal(&ids, &no_names());
    desk.share_courses("Editor", false);
    wait_for_roster_state(&mut admin, "protected");
    desk.wait_until_equal(&ids, &rosters(&desk.server, &tokens));
}

#[test]
fn a_refused_write_is_put_aside_and_resent_on_request() {
    let desk = Setup::before(Plone::start());
    let mut admin = desk.admin();
    let ids = desk.open(&schedule("203005", 2, 10, 5));
    desk.wait_until_equal(&ids, &no_names());
    let root = desk.plone.login("admin", PASSWORD);
    // The type now allows at most two seats taken.
    desk.plone.change(&root, "PATCH", "/@types/course_section/seats_taken", Some(&json!({"maximum": 2})));
    for token in desk.home.tokens("late", "student", 3) {
        desk.server.client().signed_in(&token).put(&format!("/api/v1/me/registrations/{}", ids[0])).expect(201);
    }
    let entry = eventually("the section that was put aside", || {
        let outbox = plone_state(&mut admin)["outbox"].clone();
        (outbox["aside_total"] == 1).then(|| outbox["aside"][0].clone())
    });
    assert_eq!(entry["section"], ids[0].as_str());
    let reason = entry["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("Plone refuses it: ") && !reason.contains("Traceback"), "{reason}");
    // Other sections are still written.
    let other = desk.home.token("other", "student");
    desk.server.client().signed_in(&other).put(&format!("/api/v1/me/registrations/{}", ids[1])).expect(201);
    desk.wait_until_equal(&ids[1..], &no_names());

    desk.plone.change(&root, "PATCH", "/@types/course_section/seats_taken", Some(&json!({"maximum": 1000})));
    let again = admin.post_json("/api/v1/admin/plone/outbox/resend", &json!({"sections": [ids[0]]})).expect(200);
    assert_eq!(again.json()["resent"], 1);
    desk.wait_until_equal(&ids, &no_names());
    eventually("nothing put aside", || (plone_state(&mut admin)["outbox"]["aside_total"] == 0).then_some(()));
}

#[test]
fn an_import_creates_and_updates_items_a_cancelled_one_none() {
    let desk = Setup::before(Plone::start());
    let mut staff = desk.staff();

    // One of 20,000 sections, cancelled while it is read.
    let mut large = "term,crn,subject,number,capacity\n".to_owned();
    for index in 0..20_000 {
        large += &format!("203106,{},HIST,{},20\n", 40_000 + index, 100 + index);
    }
    let task = start_import(&mut staff, "203106", large.as_bytes());
    staff.delete(&format!("/api/v1/imports/{task}"));
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "cancelled");

    let mut schedule = schedule("203006", 6, 20, 5);
    let ids = desk.open(&schedule);
    desk.wait_until_equal(&ids, &no_names());
    // Creating and publishing are two requests, so there is a moment between them.
    let made = eventually("a section that visitors see", || item(&desk.plone, None, &ids[3]));
    assert_eq!((&made["title"], &made["capacity"]), (&json!("Studies in MATH 103"), &json!(20)), "{made:#}");
    assert_eq!((&made["course"], &made["crn"]), (&json!("MATH 103"), &json!("10004")));
    assert!(made["meetings"].as_str().unwrap().starts_with("MWF 03:00-03:50 2030-01-07..2030-05-03"), "{made:#}");

    for row in &mut schedule.rows {
        row.capacity += 7;
    }
    let task = start_import(&mut staff, &schedule.term, schedule.csv().as_bytes());
    assert_eq!(wait_for_import(&mut staff, &task)["updated"], 6);
    for id in &ids {
        eventually("the capacity of the second import", || {
            (item(&desk.plone, Some(&desk.token), id)?["capacity"] == 27).then_some(())
        });
    }
    let (_, found) =
        desk.plone.request("GET", "/courses/@search?SearchableText=HIST&b_size=1", Some(&desk.token), None);
    assert_eq!(found["items_total"], 0, "nothing of the cancelled import is there");
    let (_, all) =
        desk.plone.request("GET", "/courses/@search?portal_type=course_section&b_size=1", Some(&desk.token), None);
    assert_eq!(all["items_total"], json!(crate::support::plone::SECTIONS + 6));
}

#[test]
fn changes_during_an_outage_are_sent_once_plone_is_back() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let desk = Setup::with(plone, |home| {
        home.setting("plone.url", &relay.url()).setting("plone.timeout_ms", "1000").setting("plone.sync_s", "2")
    });
    let ids = desk.open(&schedule("203007", 10, 10, 5));
    desk.wait_until_equal(&ids, &no_names());
    let tokens = desk.home.tokens("away", "student", 30);
    let mut random = Random::seeded(seed());
    for mode in [Mode::Refuse, Mode::Hang, Mode::Answer500, Mode::Garbage, Mode::Cut] {
        relay.set(mode);
        let before = relay.accepted();
        register_and_drop(&desk.server, &tokens, &ids, &mut random, 200);
        let knocks = relay.accepted() - before;
        println!("{mode:?}: {knocks} connections while 200 requests were answered");
    }
    let waiting = eventually("entries in the outbox", || {
        let depth = plone_state(&mut desk.admin())["outbox"]["depth"].as_u64()?;
        (depth > 0).then_some(depth)
    });
    assert!(waiting <= 10, "one entry a section: {waiting}");
    relay.set(Mode::Pass);
    desk.wait_until_equal(&ids, &no_names());
}

/// Concurrent connections to Plone itself; waitress accepts 100.
const CONNECTIONS: usize = 90;
/// Students who want the same seats.
const STUDENTS: usize = 200;
/// Seats that there are.
const SEATS: u32 = 40;

#[test]
fn a_race_of_200_for_40_seats_fills_exactly_40_in_the_hub() {
    let plone = Plone::start();
    let token = plone.login(DEAN, PASSWORD);

    // Plone alone, as a client would use it: read the count, and take a seat if there is one.
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
    assert!(counted <= accepted as u64, "it counts a student whose request failed");

    let desk = Setup::before(plone);
    let ids = desk.open(&schedule("203008", 1, SEATS, 0));
    let id = &ids[0];
    let tokens = desk.home.tokens("hot", "student", STUDENTS);
    let start = Barrier::new(STUDENTS);
    let accepted = thread::scope(|scope| {
        let students: Vec<_> = tokens
            .iter()
            .map(|token| {
                let mut student = desk.server.client().signed_in(token);
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
    desk.wait_until_equal(&ids, &no_names());
    let counted = in_plone(&desk.plone, &token, id).expect("it is there").enrolled;
    println!("through the hub: {accepted} of {STUDENTS} accepted, {counted} counted in Plone, {SEATS} seats");
    assert_eq!(counted, u64::from(SEATS));
}
