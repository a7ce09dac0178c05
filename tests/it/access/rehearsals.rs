//! Demand for sections in students' plans, and rehearsals of registration, compared with a real registration.

use std::collections::BTreeMap;

use eduhub::domain::rehearsal::shuffled;
use eduhub::domain::role::Role;
use serde_json::{Value, json};

use super::credentials::{minted, staff_of, student};
use super::hub::Hub;
use crate::support::http::Client;
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::wait::eventually;

const TERM: &str = "2105";
const STUDENTS: usize = 14;

fn name(index: usize) -> String {
    format!("s{index:02}")
}

/// Returns sections with few seats. Some of them overlap or belong to one course.
fn schedule() -> Schedule {
    let row = |crn: &str, course: &str, days, hour: u32, capacity| Row {
        days,
        start: hour * 60,
        end: hour * 60 + 50,
        capacity,
        waitlist: 2,
        ..Row::lecture(crn, course)
    };
    let rows = vec![
        row("1", "MATH 1", Days::Mwf, 9, 3),
        row("2", "MATH 1", Days::Mwf, 11, 4),
        row("3", "ART 2", Days::Mwf, 9, 2),
        row("4", "ART 3", Days::Tr, 9, 5),
        row("5", "BIO 4", Days::Tr, 9, 6),
        row("6", "BIO 5", Days::Tr, 13, 1),
    ];
    Schedule { term: TERM.to_owned(), rows }
}

/// Returns the plan of a student: three or four sections that depend on `seed`, some with an alternate or a waitlist.
fn plan_of(index: usize, seed: u32) -> Vec<Value> {
    let picked = shuffled(6, seed.wrapping_mul(1_000).wrapping_add(u32::try_from(index).unwrap()));
    let ids: Vec<String> = picked.into_iter().map(|at| format!("{TERM}-{}", at + 1)).collect();
    let entry = |at: usize| match (index + at) % 3 {
        0 => json!(ids[at]),
        1 => json!({"section": ids[at], "waitlist": true}),
        _ => json!({"section": ids[at], "alternates": ids[4..]}),
    };
    (0..3 + index % 2).map(entry).collect()
}

/// Sets opening times in the past: that of the term, and earlier ones for some students. One student has a hold.
/// Returns when registration opens for each student.
fn put_facts(staff: &mut Client) -> Vec<String> {
    staff.put_json(&format!("/api/v1/terms/{TERM}"), &json!({"opens_at": "2020-01-10T08:00:00Z"})).expect(200);
    let opens_at = |index: usize| match index % 4 {
        0 => Some(format!("2020-01-0{}T08:00:00Z", 1 + index % 3)),
        _ => None,
    };
    for index in 0..STUDENTS {
        let holds = json!([{"id": "h", "text": "Pay the fee.", "office": "Bursar", "blocks": ["register"]}]);
        let holds = if index == 5 { holds } else { json!([]) };
        let mut facts = json!({"holds": holds, "credit_limit": 9});
        if let Some(at) = opens_at(index) {
            facts["opens_at"] = json!(at);
        }
        staff.put_json(&format!("/api/v1/students/{}", name(index)), &facts).expect(200);
    }
    (0..STUDENTS).map(|index| opens_at(index).unwrap_or_else(|| "2020-01-10T08:00:00Z".to_owned())).collect()
}

fn ended(staff: &mut Client, task: &str) -> Value {
    eventually("the end of a rehearsal", || {
        let report = staff.get(&format!("/api/v1/staff/rehearsals/{task}")).expect(200).json();
        (report["state"] != "running").then_some(report)
    })
}

fn rehearse(staff: &mut Client, body: &Value) -> Value {
    let started = staff.post_json("/api/v1/staff/rehearsals", body).expect(202);
    let task = started.json()["task"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), Some(format!("/api/v1/staff/rehearsals/{task}").as_str()));
    ended(staff, &task)
}

/// The result of registering: refusals by code, students with all and with none of their planned sections, and after
/// how many students each section was full.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    refusals: BTreeMap<String, u64>,
    complete: u64,
    nothing: u64,
    fills: BTreeMap<String, u64>,
}

impl Totals {
    fn of_report(report: &Value) -> Self {
        let number = |spread: &Value| spread["mean"].as_f64().unwrap() as u64;
        let refusals = report["refusals"].as_object().unwrap().iter();
        let fills = report["fills"].as_array().unwrap().iter();
        Self {
            refusals: refusals.map(|(code, spread)| (code.clone(), number(spread))).collect(),
            complete: number(&report["complete"]),
            nothing: number(&report["nothing"]),
            fills: fills.map(|fill| (fill["section"].as_str().unwrap().to_owned(), number(&fill["arrived"]))).collect(),
        }
    }

    /// Registers the plans of students in this order.
    fn of_registering(hub: &Hub, order: &[usize]) -> Self {
        let mut totals = Self::default();
        for (before, index) in order.iter().enumerate() {
            let mut client = hub.signed_in_as(&student(&name(*index)));
            let results = client.post_json("/api/v1/me/plan/register", &json!({})).expect(200).json();
            let results = results["results"].as_array().unwrap().clone();
            let seats = results.iter().filter(|result| result["status"] == "enrolled").count();
            for code in results.iter().filter_map(|result| result["problem"]["code"].as_str()) {
                *totals.refusals.entry(code.to_owned()).or_default() += 1;
            }
            totals.complete += u64::from(seats == results.len());
            totals.nothing += u64::from(seats == 0);
            for (section, open) in open_seats(&mut client) {
                if open == 0 {
                    totals.fills.entry(section).or_insert(before as u64 + 1);
                }
            }
        }
        totals
    }
}

fn open_seats(client: &mut Client) -> Vec<(String, u64)> {
    let seats = client.get(&format!("/api/v1/seats?term={TERM}")).expect(200).json();
    let seats = seats["seats"].as_array().unwrap().clone();
    seats.iter().map(|row| (row[0].as_str().unwrap().to_owned(), row[4].as_u64().unwrap())).collect()
}

#[test]
fn a_rehearsal_equals_registering_in_its_order() {
    for seed in [1, 7, 20_260] {
        let hub = Hub::start();
        let mut staff = hub.staff();
        schedule().load(&mut staff);
        let opens = put_facts(&mut staff);
        for index in 0..STUDENTS {
            let plan = json!({"sections": plan_of(index, seed)});
            hub.signed_in_as(&student(&name(index))).put_json("/api/v1/me/plan", &plan).expect(200);
        }
        let before = open_seats(&mut staff);
        let body = json!({"term": TERM, "order": "windows", "runs": 1, "seed": seed});
        let report = rehearse(&mut staff, &body);
        assert_eq!((&report["state"], &report["students"]), (&json!("done"), &json!(STUDENTS)), "{report:#}");
        assert_eq!((&report["percent"], &report["seed"]), (&json!(100), &json!(seed)));
        assert_eq!(open_seats(&mut staff), before, "a rehearsal takes no seat");
        let again = rehearse(&mut staff, &body);
        assert_eq!(Totals::of_report(&again), Totals::of_report(&report), "the seed decides the result");

        let mut order = shuffled(STUDENTS, seed);
        order.sort_by_key(|index| opens[*index].clone());
        let totals = Totals::of_registering(&hub, &order);
        assert!(totals.refusals.len() >= 4, "several rules refuse: {totals:?}");
        assert_eq!(Totals::of_report(&report), totals, "seed {seed}: {report:#}");
    }
}

/// Starts a hub in which three students plan the section with two seats, and one of them also the one with one seat.
fn three_plans() -> Hub {
    let hub = Hub::start();
    schedule().load(&mut hub.staff());
    for (who, sections) in [("ann", &["3"][..]), ("bob", &["3", "6"]), ("cid", &["3"])] {
        let sections: Vec<String> = sections.iter().map(|crn| format!("{TERM}-{crn}")).collect();
        hub.signed_in_as(&student(who)).put_json("/api/v1/me/plan", &json!({"sections": sections})).expect(200);
    }
    hub.signed_in_as(&student("dan")).put_json("/api/v1/me/plan", &json!({"sections": []})).expect(200);
    hub
}

#[test]
fn demand_compares_plans_with_seats() {
    let hub = three_plans();
    let path = format!("/api/v1/staff/demand?term={TERM}");
    let mut staff = hub.staff();
    let expected = json!({
        "items": [
            {"section": format!("{TERM}-3"), "plans": 3, "seats": 2, "fills": true},
            {"section": format!("{TERM}-6"), "plans": 1, "seats": 1, "fills": true},
        ],
        "students": 3,
        "unplaced": 1,
    });
    assert_eq!(staff.get(&path).expect(200).json(), expected);
    // Staff who are limited to a subject see only its sections.
    let mut bio = hub.signed_in_as(&staff_of("bea", &["BIO"]));
    let limited = bio.get(&path).expect(200).json();
    assert_eq!((&limited["items"], &limited["students"]), (&json!([expected["items"][1]]), &json!(1)));
    // A student who has a seat no longer counts, and the seat is taken.
    hub.signed_in_as(&student("bob")).put(&format!("/api/v1/me/registrations/{TERM}-3")).expect(201);
    let changed = eventually("the changed demand", || {
        let demand = staff.get(&path).expect(200).json();
        (demand["items"][0]["plans"] == 2).then_some(demand)
    });
    assert_eq!((&changed["items"][0]["seats"], &changed["students"]), (&json!(1), &json!(3)), "{changed:#}");
    assert_eq!(staff.get("/api/v1/staff/demand?term=absent").status, 422);
    assert_eq!(staff.get("/api/v1/staff/demand").status, 422);
}

#[test]
fn a_rehearsal_in_random_order_needs_no_window_and_is_audited() {
    let hub = three_plans();
    let mut staff = hub.staff();
    // Random order ignores the windows: it works before an opening time is known.
    staff.put_json(&format!("/api/v1/terms/{TERM}"), &json!({"opens_at": null})).expect(200);
    let random = json!({"term": TERM, "order": "random", "runs": 3, "seed": 4});
    let report = rehearse(&mut staff, &random);
    assert_eq!(report["refusals"], json!({"section_full": {"min": 1, "mean": 1.0, "max": 1}}), "{report:#}");
    let mut fills: Vec<_> =
        report["fills"].as_array().unwrap().iter().map(|fill| json!([fill["plans"], fill["runs"]])).collect();
    fills.sort_by_key(|fill| fill[0].as_u64());
    assert_eq!(fills, [json!([1, 3]), json!([3, 3])], "{report:#}");
    for wrong in [
        json!({"term": TERM, "order": "windows"}),
        json!({"term": TERM, "order": "other"}),
        json!({"term": "absent", "order": "random"}),
        json!({"term": TERM, "order": "random", "runs": 51}),
    ] {
        assert_eq!(staff.post_json("/api/v1/staff/rehearsals", &wrong).status, 422, "{wrong}");
    }
    let path = format!("/api/v1/staff/rehearsals/{}", report["task"].as_str().unwrap());
    assert_eq!(staff.delete(&path).expect(200).json()["state"], "done", "it has ended");
    let audit = hub.signed_in_as(&minted(Role::Admin)).get("/api/v1/admin/audit").expect(200).text();
    assert!(audit.contains("rehearsal.start"), "{audit}");
}
