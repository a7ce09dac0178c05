//! The invariants of a term, checked through the API: no section is oversold, every count equals the number of
//! registrations, positions on a waitlist start at 1 without gaps, and no student has two conflicting registrations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::http::Client;
use super::schedule::Schedule;
use super::server::Server;

/// One student's registrations: status and waitlist position by section id.
pub type Registrations = BTreeMap<String, (String, Option<u64>)>;

/// Returns the registrations in a term of the student who is signed in on this connection.
pub fn registrations(student: &mut Client, term: &str) -> Registrations {
    let response = student.get(&format!("/api/v1/me/registrations?term={term}")).expect(200).json();
    let items = response["items"].as_array().expect("items");
    let registered: Registrations = items
        .iter()
        .map(|item| {
            let text = |name: &str| item[name].as_str().unwrap_or_else(|| panic!("no {name}: {item}")).to_owned();
            (text("section"), (text("status"), item["position"].as_u64()))
        })
        .collect();
    assert_eq!(registered.len(), items.len(), "each section once: {response:#}");
    registered
}

/// Returns the registrations of each student, in the order of their tokens.
pub fn all_registrations(server: &Server, term: &str, tokens: &[String]) -> Vec<Registrations> {
    tokens.iter().map(|token| registrations(&mut server.client().signed_in(token), term)).collect()
}

/// Checks the sections and seats of a term against the registrations of all its students.
pub fn audit(server: &Server, schedule: &Schedule, students: &[Registrations]) {
    let mut visitor = server.client();
    let list = visitor.get(&format!("/api/v1/sections?term={}&limit=5000", schedule.term)).expect(200).json();
    let sections = list["items"].as_array().expect("items");
    assert_eq!(sections.len(), schedule.rows.len(), "every section is listed");
    let seats = visitor.get(&format!("/api/v1/seats?term={}", schedule.term)).expect(200).json();
    for section in sections {
        audit_section(section, schedule, students);
        let id = section["id"].as_str().unwrap();
        let row = seats["seats"].as_array().unwrap().iter().find(|s| s[0] == id).expect("the seats of every section");
        for (index, name) in ["capacity", "enrolled", "waitlisted", "open"].into_iter().enumerate() {
            assert_eq!(row[index + 1], section[name], "`{name}` of {id} is the same in /seats and /sections");
        }
    }
    for (number, registered) in students.iter().enumerate() {
        audit_student(number, registered, schedule);
    }
}

fn audit_section(section: &Value, schedule: &Schedule, students: &[Registrations]) {
    let id = section["id"].as_str().expect("an id");
    let count = |name: &str| section[name].as_u64().unwrap_or_else(|| panic!("no {name} in {section}"));
    let registered: Vec<_> = students.iter().filter_map(|registered| registered.get(id)).collect();
    let enrolled = registered.iter().filter(|(status, _)| status == "enrolled").count() as u64;
    let mut positions: Vec<_> =
        registered.iter().filter(|(status, _)| status == "waitlisted").map(|(_, at)| *at).collect();
    positions.sort_unstable();
    let row = schedule.row(id);
    assert_eq!(count("capacity"), u64::from(row.capacity), "capacity of {id}");
    assert!(count("enrolled") <= count("capacity"), "{id} is not oversold: {section}");
    assert_eq!(count("enrolled"), enrolled, "enrolled in {id} is the number of seats that students have");
    assert_eq!(count("waitlisted"), positions.len() as u64, "waitlisted for {id} is the number of students who wait");
    assert!(count("waitlisted") <= u64::from(row.waitlist), "the waitlist of {id} is within its capacity: {section}");
    let expected: Vec<_> = (1..=positions.len() as u64).map(Some).collect();
    assert_eq!(positions, expected, "positions of {id}");
}

fn audit_student(number: usize, registered: &Registrations, schedule: &Schedule) {
    let registered: Vec<_> = registered.keys().map(|id| schedule.row(id)).collect();
    for (index, one) in registered.iter().enumerate() {
        for other in &registered[index + 1..] {
            assert!(!one.conflicts_with(other), "student {number} does not have both {one:?} and {other:?}");
        }
    }
}
