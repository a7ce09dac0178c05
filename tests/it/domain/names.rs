//! The names of the domain's enums in tables and JSON. They are stable: none of them may change.

use std::fmt::Debug;

use eduhub::domain::alert::{Category, Priority};
use eduhub::domain::notice::Reason;
use eduhub::domain::refusal::RefusalCode;
use eduhub::domain::registration::RegistrationStatus;
use eduhub::domain::role::Role;
use eduhub::domain::section::SectionStatus;
use serde::Serialize;

fn assert_parses<T: Debug + PartialEq>(parse: impl Fn(&str) -> Option<T>, table: &[(T, &str)]) {
    for (value, name) in table {
        assert_eq!(parse(name).as_ref(), Some(value), "{name}");
        for other in [name.to_uppercase(), format!(" {name}"), String::new()] {
            assert_eq!(parse(&other), None, "{other:?}");
        }
    }
}

fn assert_written_as<T: Copy>(as_str: impl Fn(T) -> &'static str, table: &[(T, &str)]) {
    for (value, name) in table {
        assert_eq!(as_str(*value), *name);
    }
}

fn assert_serializes<T: Serialize>(table: &[(T, &str)]) {
    for (value, name) in table {
        assert_eq!(serde_json::to_value(value).unwrap(), *name);
    }
}

#[test]
fn role_names_are_stable() {
    let table = [(Role::Student, "student"), (Role::Staff, "staff"), (Role::Admin, "admin")];
    assert_parses(Role::parse, &table);
    assert_written_as(Role::as_str, &table);
    assert_serializes(&table);
}

#[test]
fn registration_status_names_are_stable() {
    let table = [
        (RegistrationStatus::Enrolled, "enrolled"),
        (RegistrationStatus::Waitlisted, "waitlisted"),
        (RegistrationStatus::Dropped, "dropped"),
    ];
    assert_parses(RegistrationStatus::parse, &table);
    assert_written_as(RegistrationStatus::as_str, &table);
}

#[test]
fn section_status_names_are_stable() {
    let table =
        [(SectionStatus::Open, "open"), (SectionStatus::Closed, "closed"), (SectionStatus::Cancelled, "cancelled")];
    assert_parses(SectionStatus::parse, &table);
    assert_written_as(SectionStatus::as_str, &table);
    assert_serializes(&table);
}

#[test]
fn refusal_codes_are_stable() {
    let table = [
        (RefusalCode::RegistrationClosed, "registration_closed"),
        (RefusalCode::Hold, "hold"),
        (RefusalCode::SectionCancelled, "section_cancelled"),
        (RefusalCode::SectionClosed, "section_closed"),
        (RefusalCode::AlreadyInCourse, "already_in_course"),
        (RefusalCode::RepeatLimit, "repeat_limit"),
        (RefusalCode::Prerequisite, "prerequisite"),
        (RefusalCode::LinkedSectionRequired, "linked_section_required"),
        (RefusalCode::TimeConflict, "time_conflict"),
        (RefusalCode::CreditLimit, "credit_limit"),
        (RefusalCode::Restricted, "restricted"),
        (RefusalCode::SectionFull, "section_full"),
        (RefusalCode::WaitlistFull, "waitlist_full"),
    ];
    assert_parses(RefusalCode::parse, &table);
    assert_written_as(RefusalCode::as_str, &table);
}

#[test]
fn alert_priorities_and_categories_are_stable() {
    let priorities = [
        (Priority::Low, "low"),
        (Priority::Medium, "medium"),
        (Priority::High, "high"),
        (Priority::Critical, "critical"),
    ];
    assert_parses(Priority::parse, &priorities);
    assert_serializes(&priorities);
    let categories = [
        (Category::System, "system"),
        (Category::Workflow, "workflow"),
        (Category::Schedule, "schedule"),
        (Category::Content, "content"),
        (Category::Security, "security"),
        (Category::Emergency, "emergency"),
    ];
    assert_parses(Category::parse, &categories);
    assert_serializes(&categories);
}

#[test]
fn notice_reasons_are_stable() {
    assert_written_as(
        Reason::as_str,
        &[
            (Reason::Requested, "self"),
            (Reason::Promoted, "promoted"),
            (Reason::PassedOver(RefusalCode::CreditLimit), "passed_over"),
            (Reason::Cancelled, "cancelled"),
            (Reason::Reopened, "staff"),
        ],
    );
}
