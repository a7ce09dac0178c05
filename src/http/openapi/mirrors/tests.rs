//! Compares values of the domain with their schemas.

use super::*;
use crate::domain::alert::AlertContent;
use crate::domain::ids::TaskId;
use crate::http::openapi::schemas::tests::assert_conforms;

#[test]
fn serialized_structs_conform_to_their_schemas() {
    let content = AlertContent {
        title: "Lot C is closed".to_owned(),
        message: "For repairs.".to_owned(),
        priority: Priority::High,
        category: Category::Emergency,
        audience: Audience::everyone(),
        starts_at: None,
        expires_at: Some(Timestamp::UNIX_EPOCH),
        requires_ack: true,
        notice: None,
        cap: None,
    };
    assert_conforms(&CapValues::default());
    assert_conforms(&NoticeFacts {
        reason: "cancelled".to_owned(),
        expires_at: None,
        reminder: false,
        code: None,
        status: None,
        course: "MATH 151".to_owned(),
        crn: "10001".to_owned(),
        alternatives: Vec::new(),
    });
    let id = "01a21ff4-d74b-786e-bc76-49578d044a8e".to_owned();
    let (source, sender) = ("staff".to_owned(), "registrar".to_owned());
    let created_at = Timestamp::UNIX_EPOCH;
    assert_conforms(&alert::Alert { id, seq: Some(7), content, source, sender, sender_name: None, created_at });

    let section = SectionId::parse("202209-10001").unwrap();
    let finding =
        import::Finding { line: 3, column: None, value: None, message: "No such day.".to_owned(), coded: None };
    assert_conforms(&finding);
    let (kind, lines) = (import::ConflictKind::Room, vec![2, 3]);
    let conflict = import::Conflict { kind, lines, message: "A 101".to_owned(), coded: None, pairs: 1 };
    assert_conforms(&conflict);
    let change = import::ChangeKind::Update;
    let change = import::Change { section: section.clone(), change, fields: SectionChanges::default() };
    assert_conforms(&change);
    let task = TaskId::parse("1").unwrap();
    let mut report = import::TaskReport::new(task, None, 9, "registrar".to_owned(), Timestamp::UNIX_EPOCH);
    (report.errors, report.conflicts, report.changes) = (vec![finding], vec![conflict], vec![change]);
    report.missing = vec![section];
    report.first_rows = vec![import::FileRow { line: 2, cells: vec!["30001".to_owned()] }];
    let (field, candidates) = ("capacity".to_owned(), vec![4]);
    report.missing_fields = vec![import::MissingField { field, required: true, candidates }];
    assert_conforms(&report);
    assert_conforms(&import::EnrollmentTally::default());
}

#[test]
fn all_import_enum_values_conform_to_their_schemas() {
    use import::{ChangeKind, ConflictKind, Phase, TaskState};
    for state in [TaskState::Running, TaskState::Done, TaskState::Failed, TaskState::Cancelled] {
        assert_conforms(&state);
    }
    for phase in [Phase::Queued, Phase::Reading, Phase::Comparing, Phase::Applying, Phase::Finished] {
        assert_conforms(&phase);
    }
    assert_conforms(&ConflictKind::Instructor);
    assert_conforms(&ChangeKind::Create);
}
