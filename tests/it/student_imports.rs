//! Imports of facts about students on an embedded store.

use eduhub::imports::{FileKind, ImportOptions};
use eduhub::store::students::StudentStore;
use serde_json::{Value, json};

use crate::college::user;
use crate::imports_hub::{Hub, options_for};

fn options() -> ImportOptions {
    ImportOptions { kind: FileKind::Students, ..ImportOptions::default() }
}

/// Returns the stored facts about a student as JSON.
async fn facts(hub: &Hub, name: &str) -> Value {
    serde_json::to_value(hub.store.facts(&user(name)).await.unwrap()).unwrap()
}

fn counts(task: &Value) -> [&Value; 5] {
    ["students", "created", "updated", "unchanged", "refused"].map(|name| &task[name])
}

const FILE: &str = "user,holds,office,url,blocks,credit_min,credit_limit,groups,program,campus,opens_at,completed,grade\n\
    ann,A book is missing,Library,https://l.example.edu,register;drop,6,18.5,honors; veterans,Nursing,North,2031-04-12 08:00,MATH 141,B+\n\
    ann,Unpaid fee,Bursar,,,,,,,,,PHYS 101,\n\
    bob,,,,,,,,,,,\"ENGL 101: A, ART 1\",\n";

#[actix_rt::test]
async fn rows_of_a_student_are_merged_and_reach_every_term() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    for term in ["T", "U"] {
        hub.import("crn,course,cap\n1,ART 1,5\n", options_for(term)).await;
    }
    let task = hub.import(FILE, options()).await;
    assert_eq!((&task["state"], &task["rows"]), (&json!("done"), &json!(3)), "{task:#}");
    assert_eq!(counts(&task), [&json!(2), &json!(2), &json!(0), &json!(0), &json!(0)]);
    let holds = json!([
        {"id": "Library: A book is missing", "text": "A book is missing", "office": "Library",
         "url": "https://l.example.edu", "blocks": ["register", "drop"]},
        {"id": "Bursar: Unpaid fee", "text": "Unpaid fee", "office": "Bursar", "url": null, "blocks": ["register"]},
    ]);
    let ann = facts(&hub, "ann").await;
    assert_eq!((&ann["holds"], &ann["groups"]), (&holds, &json!(["honors", "veterans"])));
    assert_eq!((&ann["credit_min"], &ann["credit_limit"]), (&json!(6), &json!(18.5)));
    assert_eq!((&ann["program"], &ann["opens_at"]), (&json!("Nursing"), &json!("2031-04-12T08:00:00Z")));
    let courses: Vec<_> =
        ann["completed"].as_array().unwrap().iter().map(|one| (&one["course"], &one["grade"])).collect();
    assert_eq!(courses, [(&json!("MATH 141"), &json!("B+")), (&json!("PHYS 101"), &Value::Null)]);
    let bob = facts(&hub, "bob").await;
    assert_eq!((bob["completed"].as_array().unwrap().len(), &bob["holds"]), (2, &json!([])));
    for term in ["T", "U"] {
        let model = hub.model.term(&eduhub::domain::ids::TermId::parse(term).unwrap()).unwrap();
        assert_eq!(model.facts(&user("ann")).unwrap().holds.len(), 2, "{term}");
    }
    // The same file again changes nothing.
    let again = hub.import(FILE, options()).await;
    assert_eq!(counts(&again), [&json!(2), &json!(0), &json!(0), &json!(2), &json!(0)], "{again:#}");
}

#[actix_rt::test]
async fn facts_without_a_column_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(FILE, options()).await;
    let task = hub
        .import(
            "Login;Max\nann;12\ncyd;\n",
            ImportOptions {
                map: vec![("Login".to_owned(), "user".to_owned()), ("#2".to_owned(), "credit_limit".to_owned())],
                ..options()
            },
        )
        .await;
    assert_eq!(counts(&task), [&json!(2), &json!(1), &json!(1), &json!(0), &json!(0)], "{task:#}");
    let ann = facts(&hub, "ann").await;
    assert_eq!(
        (&ann["credit_limit"], &ann["credit_min"], ann["holds"].as_array().unwrap().len()),
        (&json!(12), &json!(6), 2)
    );
    assert_eq!(facts(&hub, "cyd").await["completed"], Value::Null, "the file states no completed courses");
    let fields: Vec<&Value> = task["columns"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
    assert_eq!(fields, [&json!("user"), &json!("credit_limit")]);
    assert!(!task.to_string().contains("cyd"), "a stored task names no student: {task}");
}

#[actix_rt::test]
async fn a_file_with_errors_changes_nothing_unless_it_is_partial() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let file = "user,credit_limit,holds,office\nann,12,,\nbob,many,,\nbob,15,,\ncyd d,12,,\ndan,12,A fee,\n";
    let task = hub.import(file, options()).await;
    assert_eq!((&task["state"], &task["errors_total"]), (&json!("failed"), &json!(3)), "{task:#}");
    assert_eq!(facts(&hub, "ann").await, Value::Null);
    let lines: Vec<_> =
        task["errors"].as_array().unwrap().iter().map(|e| (&e["line"], &e["column"], &e["value"])).collect();
    let expected = [
        (&json!(3), &json!("credit_limit"), &Value::Null),
        (&json!(5), &json!("user"), &Value::Null),
        (&json!(6), &json!("holds"), &Value::Null),
    ];
    assert_eq!(lines, expected);
    let task = hub.import(file, ImportOptions { partial: true, ..options() }).await;
    assert_eq!(
        (&task["state"], counts(&task)),
        (&json!("done"), [&json!(1), &json!(1), &json!(0), &json!(0), &json!(3)])
    );
    assert_eq!(facts(&hub, "ann").await["credit_limit"], 12);
    assert_eq!(facts(&hub, "bob").await, Value::Null, "a student with a refused row is left out");
}

#[actix_rt::test]
async fn a_dry_run_reports_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let task = hub.import(FILE, ImportOptions { dry_run: true, ..options() }).await;
    assert_eq!(
        (&task["state"], counts(&task)),
        (&json!("done"), [&json!(2), &json!(2), &json!(0), &json!(0), &json!(0)])
    );
    assert_eq!(facts(&hub, "ann").await, Value::Null);
}

#[actix_rt::test]
async fn files_without_a_username_column_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    for file in ["name,credit_limit\nann,12\n", "crn,course,cap\n1,ART 1,5\n", "\n"] {
        let task = hub.import(file, ImportOptions { partial: true, ..options() }).await;
        assert_eq!((&task["state"], &task["errors_total"]), (&json!("failed"), &json!(1)), "{file:?}: {task:#}");
        let message = task["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("username"), "{message}");
    }
}

#[actix_rt::test]
async fn a_header_is_found_below_titles() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let task = hub
        .import(
            "Student export\nFall 2031\n\nUSER NAME,Max Units,Note\nann,15,x\n\nUser Name,Max Units,Note\n",
            options(),
        )
        .await;
    assert_eq!(
        (&task["state"], &task["header_line"], &task["rows"]),
        (&json!("done"), &json!(4), &json!(1)),
        "{task:#}"
    );
    assert_eq!(
        (&task["skipped"][0]["text"], facts(&hub, "ann").await["credit_limit"].clone()),
        (&json!("Student export"), json!(15))
    );
}
