//! The names that tables, JSON and clients know the domain's enums by: none of them may change.

use std::fmt::Debug;

use eduhub::domain::alert::{Category, Priority};
use eduhub::domain::notice::Reason;
use eduhub::domain::refusal::RefusalCode;
use eduhub::domain::registration::Standing;
use eduhub::domain::role::Role;
use eduhub::domain::section::SectionStatus;
use serde::Serialize;

fn parses<T: Debug + PartialEq>(parse: impl Fn(&str) -> Option<T>, table: &[(T, &str)]) {
    for (value, name) in table {
        assert_eq!(parse(name).as_ref(), Some(value), "{name}");
        for other in [name.to_uppercase(), format!(" {name}"), String::new()] {
            assert_eq!(parse(&other), None, "{other:?}");
        }
    }
}

fn is_written<T: Copy>(as_str: impl Fn(T) -> &'static str, table: &[(T, &str)]) {
    for (value, name) in table {
        assert_eq!(as_str(*value), *name);
    }
}

fn serializes<T: Serialize>(table: &[(T, &str)]) {
    for (value, name) in table {
        assert_eq!(serde_json::to_value(value).unwrap(), *name);
    }
}

#[test]
fn roles() {
    let table = [(Role::Student, "student"), (Role::Staff, "staff"), (Role::Admin, "admin")];
    parses(Role::parse, &table);
    is_written(Role::as_str, &table);
    serializes(&table);
}

#[test]
fn standings() {
    let table =
        [(Standing::Enrolled, "enrolled"), (Standing::Waitlisted, "waitlisted"), (Standing::Dropped, "dropped")];
    parses(Standing::parse, &table);
    is_written(Standing::as_str, &table);
}

#[test]
fn statuses_of_sections() {
    let table =
        [(SectionStatus::Open, "open"), (SectionStatus::Closed, "closed"), (SectionStatus::Cancelled, "cancelled")];
    parses(SectionStatus::parse, &table);
    is_written(SectionStatus::as_str, &table);
    serializes(&table);
}

#[test]
fn refusal_codes() {
    let table = [
        (RefusalCode::RegistrationClosed, "registration_closed"),
        (RefusalCode::SectionCancelled, "section_cancelled"),
        (RefusalCode::SectionClosed, "section_closed"),
        (RefusalCode::AlreadyInCourse, "already_in_course"),
        (RefusalCode::TimeConflict, "time_conflict"),
        (RefusalCode::CreditLimit, "credit_limit"),
        (RefusalCode::SectionFull, "section_full"),
        (RefusalCode::WaitlistFull, "waitlist_full"),
    ];
    parses(RefusalCode::parse, &table);
    is_written(RefusalCode::as_str, &table);
}

#[test]
fn priorities_and_categories_of_alerts() {
    let priorities = [
        (Priority::Low, "low"),
        (Priority::Medium, "medium"),
        (Priority::High, "high"),
        (Priority::Critical, "critical"),
    ];
    parses(Priority::parse, &priorities);
    serializes(&priorities);
    let categories = [
        (Category::System, "system"),
        (Category::Workflow, "workflow"),
        (Category::Schedule, "schedule"),
        (Category::Content, "content"),
        (Category::Security, "security"),
        (Category::Emergency, "emergency"),
    ];
    parses(Category::parse, &categories);
    serializes(&categories);
}

#[test]
fn reasons_of_notices() {
    is_written(
        Reason::as_str,
        &[
            (Reason::Own, "self"),
            (Reason::Promoted, "promoted"),
            (Reason::PassedOver(RefusalCode::CreditLimit), "passed_over"),
            (Reason::Cancelled, "cancelled"),
        ],
    );
}
