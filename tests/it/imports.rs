//! Import tasks on an embedded store: applied changes, reports, and recovery of interrupted imports.

use std::sync::Arc;
use std::time::Duration;

use eduhub::domain::command::{Command, SectionPatch, StagedImport, StagedSection, StatedFields, TermPatch};
use eduhub::domain::decide::imported;
use eduhub::domain::ids::{Crn, SANDBOX_PREFIX, TaskId, TermId};
use eduhub::domain::import::{TaskReport, TaskState};
use eduhub::domain::language::Language;
use eduhub::domain::section::{SectionState, SectionStatus};
use eduhub::domain::term::GroupWindow;
use eduhub::imports::shared::ErrorList;
use eduhub::imports::{ImportError, ImportOptions};
use eduhub::store::imports::{FINISHED_TASKS_MAX, ImportStore, StoredTask};
use serde_json::Value;

use crate::imports_hub::{Hub, TWO, options_for};

#[actix_web::test]
async fn an_import_creates_its_term_and_repeating_it_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let first = hub.import(TWO, options_for("T1")).await;
    assert_eq!((&first["state"], &first["created"], &first["rows"]), (&"done".into(), &2.into(), &2.into()), "{first}");
    assert_eq!(first["changes"][0]["change"], "create");
    assert_eq!(first["changes"][0]["fields"]["title"], serde_json::json!([null, "One"]));
    assert_eq!(hub.section("T1-1").unwrap().enrolled_total(), 2);
    let term = TermId::parse("T1").unwrap();
    let seq = hub.model.term(&term).unwrap().snapshot().seq;
    let again = hub.import(TWO, options_for("T1")).await;
    assert_eq!((&again["state"], &again["unchanged"], &again["changes_total"]), (&"done".into(), &2.into(), &0.into()));
    assert_eq!(hub.model.term(&term).unwrap().snapshot().seq, seq, "an import without changes publishes nothing");
    drop(hub);
    let after = Hub::start(folder.path()).await;
    assert_eq!(after.section("T1-2").unwrap().section.capacity, 20, "the import survives a restart");
}

#[actix_web::test]
async fn a_second_file_updates_and_lists_missing_sections() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(TWO, options_for("T1")).await;
    let task = hub
        .import("crn,course,title,cap,act,days,time\n2,B 1,Two,25,0,T,9:00-10:00\n3,C 1,,5,0,,\n", options_for("T1"))
        .await;
    assert_eq!((&task["created"], &task["updated"]), (&1.into(), &1.into()), "{task}");
    assert_eq!(task["missing"], serde_json::json!(["T1-1"]));
    assert_eq!(task["changes"][0]["fields"], serde_json::json!({"capacity": [20, 25]}));
    assert!(hub.section("T1-1").is_some());
    assert_eq!(hub.section("T1-2").unwrap().section.capacity, 25);
    drop(hub);
    let after = Hub::start(folder.path()).await;
    assert_eq!(after.section("T1-2").unwrap().section.capacity, 25);
    assert!(after.section("T1-1").is_some() && after.section("T1-3").is_some());
}

#[actix_web::test]
async fn method_campus_links_and_prerequisites_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let file = |method: &str, campus: &str, linked: &str, prerequisites: &str| {
        format!(
            "crn,course,cap,method,campus,linked,prerequisites\n1,A 1,9,{method},{campus},{linked},{prerequisites}\n"
        )
    };
    hub.import(&file("Online", "North", "2", "MATH 1"), options_for("T1")).await;
    let changed = file("Hybrid", "South", "2 3", "MATH 1; MATH 2");
    let expected = serde_json::json!({
        "method": ["Online", "Hybrid"],
        "campus": ["North", "South"],
        "linked": [["T1-2"], ["T1-2", "T1-3"]],
        "prerequisites": [["MATH 1"], ["MATH 1", "MATH 2"]],
    });
    for dry_run in [true, false] {
        let task = hub.import(&changed, ImportOptions { dry_run, ..options_for("T1") }).await;
        assert_eq!((&task["updated"], &task["changes"][0]["fields"]), (&1.into(), &expected), "{task}");
    }
    let applied = hub.section("T1-1").unwrap().section;
    assert_eq!((applied.method.as_deref(), applied.campus.as_deref()), (Some("Hybrid"), Some("South")));
    assert_eq!((applied.linked.len(), applied.prerequisites.len()), (2, 2));
    drop(hub);
    assert_eq!(Hub::start(folder.path()).await.section("T1-1").unwrap().section, applied);
}

#[actix_web::test]
async fn a_file_with_errors_is_applied_only_if_partial() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let bad = "crn,course,cap\n1,A 1,ten\n2,=B 1,20\n3,C 1,-1\n";
    let failed = hub.import(bad, options_for("T1")).await;
    assert_eq!((&failed["state"], &failed["errors_total"]), (&"failed".into(), &2.into()));
    assert_eq!((&failed["errors"][0]["line"], &failed["errors"][0]["column"]), (&2.into(), &"cap".into()));
    assert!(hub.model.term(&TermId::parse("T1").unwrap()).is_none(), "the term is not created either");
    let report = hub.imports.task(failed["task"].as_str().unwrap()).await.unwrap().unwrap();
    let Ok(ErrorList::File(list)) = hub.imports.error_list(&report, Language::English).await else { panic!("no list") };
    let list = std::fs::read_to_string(list).unwrap();
    assert_eq!(list.lines().count(), 3);
    assert!(list.contains("4,cap,'-1,"), "{list}");
    let partial = hub.import(bad, ImportOptions { partial: true, ..options_for("T1") }).await;
    assert_eq!((&partial["state"], &partial["created"], &partial["refused"]), (&"done".into(), &1.into(), &2.into()));
    assert!(hub.section("T1-2").is_some() && hub.section("T1-1").is_none());
}

#[actix_web::test]
async fn a_dry_run_reports_all_changes_and_applies_none() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let dry = hub.import(TWO, ImportOptions { dry_run: true, ..options_for("T1") }).await;
    assert_eq!((&dry["state"], &dry["created"], &dry["dry_run"]), (&"done".into(), &2.into(), &true.into()));
    assert!(hub.model.term(&TermId::parse("T1").unwrap()).is_none());
    let bad =
        hub.import("crn,course,cap\n1,A 1,x\n2,B 1,5\n", ImportOptions { dry_run: true, ..options_for("T1") }).await;
    assert_eq!((&bad["state"], &bad["created"]), (&"failed".into(), &1.into()));
}

#[actix_web::test]
async fn totals_count_before_opening_and_later_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(TWO, options_for("T1")).await;
    let open = TermPatch { opens_at: Some(Some("2020-01-01T00:00:00Z".parse().unwrap())), ..TermPatch::default() };
    let term = TermId::parse("T1").unwrap();
    hub.pool.submit_or_create(term, Command::PutTerm(open)).await.unwrap();
    let later = TWO.replace(",10,2,", ",10,7,");
    let ignored = hub.import(&later, options_for("T1")).await;
    assert_eq!((&ignored["unchanged"], hub.section("T1-1").unwrap().enrolled_total()), (&2.into(), 2));
    let counted = hub.import(&later, ImportOptions { totals: true, ..options_for("T1") }).await;
    assert_eq!((&counted["updated"], hub.section("T1-1").unwrap().enrolled_total()), (&1.into(), 7));
    assert_eq!(counted["changes"][0]["fields"]["enrolled"], serde_json::json!([2, 7]));
}

#[actix_web::test]
async fn a_dry_run_predicts_totals_by_the_windows_of_groups() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(TWO, options_for("T1")).await;
    let (past, future) = ("2020-01-01T00:00:00Z".parse().unwrap(), "2099-01-01T00:00:00Z".parse().unwrap());
    let honors = GroupWindow { group: "honors".into(), opens_at: past, closes_at: None };
    let windows = TermPatch { opens_at: Some(Some(future)), windows: Some(vec![honors]), ..TermPatch::default() };
    hub.pool.submit_or_create(TermId::parse("T1").unwrap(), Command::PutTerm(windows)).await.unwrap();
    let later = TWO.replace(",10,2,", ",10,7,");
    let dry = hub.import(&later, ImportOptions { dry_run: true, ..options_for("T1") }).await;
    assert_eq!((&dry["updated"], &dry["unchanged"]), (&0.into(), &2.into()), "{dry}");
    let applied = hub.import(&later, options_for("T1")).await;
    assert_eq!((&applied["unchanged"], hub.section("T1-1").unwrap().enrolled_total()), (&2.into(), 2));
}

#[actix_web::test]
async fn progress_and_the_result_are_published_on_the_bus() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let task = hub.import(TWO, options_for("T1")).await;
    let last_event = || hub.bus.0.lock().unwrap().last().cloned().unwrap_or_default();
    tokio::time::timeout(Duration::from_secs(10), async {
        while last_event()["state"] != "done" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the last event has the final state");
    let events = hub.bus.0.lock().unwrap().clone();
    assert!(events.iter().all(|event| event["task"] == task["task"]));
    assert_eq!(events.last().unwrap()["created"], 2);
}

#[actix_web::test]
async fn a_cancelled_import_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let rows: String = (0..60_000).map(|i| format!("{i},A {i},5,M,9:00-10:00\n")).collect();
    let id = hub.submit(&format!("crn,course,cap,days,time\n{rows}"), options_for("T1")).await.unwrap();
    let cancelled = hub.imports.cancel(&id).await.unwrap().unwrap();
    assert_eq!(cancelled.state, TaskState::Cancelled);
    let ended = hub.wait_for_end(&id).await;
    assert_eq!(ended["state"], "cancelled");
    assert!(hub.model.term(&TermId::parse("T1").unwrap()).is_none());
    let task = hub.import(TWO, options_for("T1")).await;
    assert_eq!(task["created"], 2);
    let done = hub.imports.cancel(task["task"].as_str().unwrap()).await.unwrap().unwrap();
    assert_eq!(done.state, TaskState::Done, "a finished import stays done");
    assert!(hub.imports.cancel("nonsense").await.unwrap().is_none());
}

#[actix_web::test]
async fn rows_of_an_interrupted_import_never_become_visible() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(TWO, options_for("T1")).await;
    // A hub that ends between staging and applying leaves rows of the next generation, and a running task.
    let mut stale = hub.section("T1-2").unwrap();
    let mut section = (*stale.section).clone();
    section.capacity = 999;
    stale.section = Arc::new(section);
    let mut extra = (*stale.section).clone();
    extra.id.crn = Crn::parse("9").unwrap();
    let extra = SectionState::new(Arc::new(extra));
    hub.store.stage(2, vec![stale, extra]).await.unwrap();
    let body = hub.store.task("x").await.unwrap();
    assert!(body.is_none());
    // The stored task cannot be read as a report, but it is still reported as failed.
    let running = serde_json::json!({"task": "x", "state": "running"});
    hub.store.put_task(stored_task("x", TaskState::Running, 1_700_000_000, &running)).await.unwrap();
    drop(hub);
    let hub = Hub::start(folder.path()).await;
    assert_eq!(hub.task("x").await["state"], "failed");
    assert_eq!(hub.section("T1-2").unwrap().section.capacity, 20);
    hub.import(&TWO.replace(",10,2,", ",11,2,"), options_for("T1")).await;
    drop(hub);
    let hub = Hub::start(folder.path()).await;
    assert_eq!(hub.section("T1-1").unwrap().section.capacity, 11);
    assert_eq!(hub.section("T1-2").unwrap().section.capacity, 20);
    assert!(hub.section("T1-9").is_none());
}

/// Returns a task as a hub stores it.
fn stored_task(id: &str, state: TaskState, second: i64, body: &Value) -> StoredTask {
    let at = jiff::Timestamp::from_second(second).unwrap();
    let finished_at = (state != TaskState::Running).then_some(at);
    StoredTask { id: id.into(), state, started_at: at, finished_at, body: body.to_string() }
}

/// Returns the task of an import that was interrupted while it was applied.
fn interrupted(id: &str, term: &str, applying: u64) -> StoredTask {
    let (id, term) = (TaskId::parse(id).unwrap(), TermId::parse(term).unwrap());
    let started_at = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let report = TaskReport::new(id, Some(term), 9, "staff".to_owned(), started_at);
    StoredTask::from(&TaskReport { applying: Some(applying), ..report })
}

#[actix_web::test]
async fn a_restart_resolves_whether_an_import_was_applied() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(TWO, options_for("T1")).await;
    for (id, term, generation) in [("applied", "T1", 1), ("not-applied", "T1", 2), ("no-term", "T2", 1)] {
        hub.store.put_task(interrupted(id, term, generation)).await.unwrap();
    }
    hub.store.put_task(interrupted("events", "T1", 0)).await.unwrap();
    drop(hub);
    let hub = Hub::start(folder.path()).await;
    let result_of = async |id: &str| {
        let task = hub.task(id).await;
        assert_eq!((&task["phase"], task.get("applying")), (&"finished".into(), None), "{task}");
        (task["state"].as_str().unwrap().to_owned(), task["message"].as_str().unwrap().to_owned())
    };
    let (state, message) = result_of("applied").await;
    assert_eq!(state, "done");
    assert!(message.contains("applied completely"), "{message}");
    for id in ["not-applied", "no-term"] {
        let (state, message) = result_of(id).await;
        assert_eq!(state, "failed");
        assert!(message.contains("Nothing was changed"), "{message}");
    }
    let (state, message) = result_of("events").await;
    assert_eq!(state, "failed");
    assert!(message.contains("Either all or none"), "{message}");
}

/// How long imports may take to stop, so that a test does not wait forever. A busy machine needs more than a minute.
const STOP_WAIT: Duration = Duration::from_secs(300);

#[actix_web::test]
async fn stopping_fails_running_imports_and_refuses_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let rows: String = (0..60_000).map(|i| format!("{i},A {i},5,M,9:00-10:00\n")).collect();
    let long = hub.submit(&format!("crn,course,cap,days,time\n{rows}"), options_for("T1")).await.unwrap();
    let waiting = hub.submit(TWO, options_for("T2")).await.unwrap();
    tokio::time::timeout(STOP_WAIT, hub.imports.stop()).await.expect("the imports stop");
    for (id, term) in [(long, "T1"), (waiting, "T2")] {
        let task: Value = serde_json::from_str(&hub.store.task(&id).await.unwrap().unwrap().body).unwrap();
        assert_eq!(task["state"], "failed", "{task}");
        assert!(task["message"].as_str().unwrap().contains("stopped"), "{task}");
        assert!(hub.model.term(&TermId::parse(term).unwrap()).is_none());
    }
    assert!(matches!(hub.submit(TWO, options_for("T1")).await, Err(ImportError::Overloaded)));
}

#[actix_web::test]
async fn imports_of_demonstrations_evict_no_import_of_staff() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let of_term = |term: &str| serde_json::json!({"state": "done", "term": term});
    hub.store.put_task(stored_task("staff", TaskState::Done, 1, &of_term("T1"))).await.unwrap();
    for i in (2..).take(FINISHED_TASKS_MAX) {
        let sandbox = of_term(&format!("{SANDBOX_PREFIX}{i}"));
        hub.store.put_task(stored_task(&format!("demo-{i}"), TaskState::Done, i, &sandbox)).await.unwrap();
    }
    assert_eq!(hub.store.delete_old_tasks().await.unwrap(), Vec::<String>::new());
    for i in (2..).take(FINISHED_TASKS_MAX) {
        hub.store.put_task(stored_task(&format!("later-{i}"), TaskState::Done, i, &of_term("T1"))).await.unwrap();
    }
    assert_eq!(hub.store.delete_old_tasks().await.unwrap(), ["staff"], "only the oldest import outside the sandboxes");
}

#[actix_web::test]
async fn an_import_drops_no_student_and_keeps_the_status_set_by_staff() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(TWO, options_for("T1")).await;
    let term = TermId::parse("T1").unwrap();
    hub.open_term("T1").await;
    let crn = Crn::parse("2").unwrap();
    for student in ["ann", "bo"] {
        hub.register("T1", student, "2").await;
    }
    let close = SectionPatch { status: Some(SectionStatus::Closed), ..SectionPatch::default() };
    hub.pool.submit(&term, Command::PatchSection { crn, patch: close }).await.unwrap().unwrap();
    hub.import(&TWO.replace(",20,0,", ",1,0,"), options_for("T1")).await;
    let assert_unchanged = |hub: &Hub| {
        let state = hub.section("T1-2").unwrap();
        assert_eq!((state.section.capacity, state.enrolled), (1, 2));
        assert_eq!(state.section.status, SectionStatus::Closed);
    };
    assert_unchanged(&hub);
    drop(hub);
    assert_unchanged(&Hub::start(folder.path()).await);
}

#[actix_web::test]
async fn an_events_file_creates_events_and_updates_them() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let csv = "program,date,time,instructor,room,duration,description\n\
               Welding,2026-03-07,18:00,Ann,Shop,90,Gloves\nYoga,2026-03-01,9:00,,,60,\n";
    let first = hub.import(csv, ImportOptions::default()).await;
    assert_eq!(
        (&first["state"], &first["created"], &first["events"]),
        (&"done".into(), &2.into(), &true.into()),
        "{first}"
    );
    let again = hub.import(&csv.replace("Gloves", "Boots"), ImportOptions::default()).await;
    assert_eq!((&again["updated"], &again["unchanged"]), (&1.into(), &1.into()));
    let page = hub.store.events(None, 1).await.unwrap();
    assert_eq!((page.items[0].program.as_str(), page.total), ("Yoga", 2));
    let next = eduhub::store::imports::EventCursor { starts_at: page.items[0].starts_at, id: page.items[0].id.clone() };
    let page = hub.store.events(Some(next), 10).await.unwrap();
    assert_eq!((page.items[0].description.as_deref(), page.total), (Some("Boots"), 1));
}

#[actix_web::test]
async fn an_empty_upload_or_an_unknown_mapped_column_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    assert!(matches!(hub.submit("", options_for("T1")).await, Err(ImportError::Empty)));
    let map = vec![("seats".to_owned(), "chairs".to_owned())];
    let unknown = hub.submit(TWO, ImportOptions { map, ..options_for("T1") }).await;
    assert!(matches!(unknown, Err(ImportError::Map(_))));
    assert_eq!(std::fs::read_dir(folder.path().join("imports")).unwrap().count(), 0, "no upload is left behind");
}

#[actix_web::test]
async fn staff_edits_between_staging_and_applying_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(TWO, options_for("T1")).await;
    let before = hub.section("T1-2").unwrap();
    let mut section = (*before.section).clone();
    section.capacity = 30;
    let mut new = StagedSection {
        section: Arc::new(section),
        totals: None,
        stated: StatedFields::ALL,
        states_status: false,
        staged_as: before.clone(),
    };
    new.staged_as = imported(Some(&before), &new, true);
    hub.store.stage(2, vec![new.staged_as.clone()]).await.unwrap();
    // Between staging and applying, staff make the same change as the file, and close the section.
    let patch = SectionPatch { capacity: Some(30), status: Some(SectionStatus::Closed), ..SectionPatch::default() };
    let term = TermId::parse("T1").unwrap();
    let patch = Command::PatchSection { crn: Crn::parse("2").unwrap(), patch };
    hub.pool.submit(&term, patch).await.unwrap().unwrap();
    let staged =
        StagedImport { generation: 2, apply_totals_while_open: false, limit: None, sections: vec![new], unchanged: 1 };
    hub.pool.submit(&term, Command::ApplyImport(Arc::new(staged))).await.unwrap().unwrap();
    assert_eq!(hub.section("T1-2").unwrap().section.status, SectionStatus::Closed);
    drop(hub);
    let after = Hub::start(folder.path()).await;
    let section = after.section("T1-2").unwrap().section;
    assert_eq!((section.capacity, section.status), (30, SectionStatus::Closed), "even after a restart");
}
