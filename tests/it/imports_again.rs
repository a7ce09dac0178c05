//! Imports of the same schedule in another notation: they find the sections that they created before.

use eduhub::domain::outcome::{Outcome, RequestOutcome};
use eduhub::domain::refusal::RefusalCode;
use eduhub::domain::section::SectionStatus;

use crate::imports_hub::{Hub, options_for};

/// Reads one of the small schedules in `tests/schedules`.
fn schedule(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schedules").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[actix_web::test]
async fn sections_without_a_plain_crn_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    for (name, term) in [("09a-no-crn-column.csv", "T1"), ("09b-ids-with-spaces.csv", "T2")] {
        let first = hub.import(&schedule(name), options_for(term)).await;
        let again = hub.import(&schedule(name), options_for(term)).await;
        assert_eq!((&first["created"], &again["unchanged"]), (&2.into(), &2.into()), "{name}: {again}");
    }
}

#[actix_web::test]
async fn leading_zeros_that_a_spreadsheet_removed_are_restored() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(&schedule("10a-crn-with-zeros.csv"), options_for("T")).await;

    let again = hub.import(&schedule("10a-crn-zeros-eaten.csv"), options_for("T")).await;

    assert_eq!((&again["unchanged"], &again["created"], &again["missing_total"]), (&1.into(), &0.into(), &0.into()));
    let warnings = again["warnings"].to_string();
    assert!(warnings.contains("00076"), "{warnings}");
    assert!(hub.section("T-76").is_none());
    // A spreadsheet changes the label in the same way.
    let without_zeros = schedule("10a-crn-zeros-eaten.csv").replace(",001,", ",1,");
    let again = hub.import(&without_zeros, options_for("T")).await;
    assert_eq!((&again["unchanged"], &again["created"], &again["missing_total"]), (&1.into(), &0.into(), &0.into()));
    // Another course with this number is another section.
    let other = hub.import("crn,course,section,title,capacity\n76,CD 900,001,Other,5\n", options_for("T")).await;
    assert_eq!(other["created"], 1, "{other}");
}

#[actix_web::test]
async fn another_order_of_meetings_is_not_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let file = schedule("23-meetings-in-another-order.csv");
    let lines: Vec<&str> = file.lines().collect();
    let swapped = format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1]);
    hub.import(&file, options_for("T")).await;

    let again = hub.import(&swapped, options_for("T")).await;

    assert_eq!((&again["unchanged"], &again["updated"]), (&1.into(), &0.into()), "{again}");
}

#[actix_web::test]
async fn a_file_reopens_only_what_an_earlier_file_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let file = schedule("01-status-column.csv");
    let active = file.replace("Cancelled", "Active").replace(",X,", ",A,");
    hub.import(&active, options_for("T")).await;
    let status = |id: &str| hub.section(id).map(|state| state.section.status);
    hub.patch_status("T", "30002", SectionStatus::Closed).await;
    hub.patch_status("T", "30003", SectionStatus::Cancelled).await;
    hub.import(&file, options_for("T")).await;
    assert_eq!([status("T-30002"), status("T-30003")], [Some(SectionStatus::Cancelled); 2]);

    let without_status = "crn,course,capacity\n30002,AB 102,5\n";
    let kept = hub.import(without_status, options_for("T")).await;
    assert!(kept["warnings"].to_string().contains("the file states no status"), "{kept}");
    assert_eq!(status("T-30002"), Some(SectionStatus::Cancelled));

    hub.import(&active.replace(",Active,", ",,").replace(",A,", ",,"), options_for("T")).await;
    assert_eq!(status("T-30002"), Some(SectionStatus::Cancelled), "a blank cell changes nothing");

    let task = hub.import(&active, options_for("T")).await;
    let warnings = task["warnings"].to_string();
    assert_eq!(status("T-30002"), Some(SectionStatus::Closed), "as staff set it before");
    assert!(warnings.contains("T-30002 was cancelled by an earlier file"), "{warnings}");
    assert_eq!(status("T-30003"), Some(SectionStatus::Cancelled), "staff cancelled it");
    assert!(warnings.contains("T-30003 stays cancelled because staff cancelled it"), "{warnings}");
}

#[actix_web::test]
async fn linked_crns_find_their_sections_without_leading_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import("crn,course,section,capacity\n00076,AB 1,1,5\n00077,AB 1,2,5\n", options_for("T")).await;
    let linked = |id: &str| hub.section(id).unwrap().section.linked.iter().map(ToString::to_string).collect::<Vec<_>>();

    let without_zeros = "crn,course,section,capacity,linked\n76,AB 1,1,5,77\n90,CD 1,1,5,76 0091\n91,CD 1,2,5,00077\n";
    let task = hub.import(without_zeros, options_for("T")).await;

    assert_eq!(linked("T-00076"), ["T-00077"], "{task}");
    assert_eq!(linked("T-90"), ["T-00076", "T-91"]);
    assert_eq!(linked("T-91"), ["T-00077"]);
    assert!(task["warnings"].to_string().contains("Linked CRN 77 is imported as 00077"), "{task}");
    let again = hub.import(without_zeros, options_for("T")).await;
    assert_eq!(again["unchanged"], 3, "{again}");

    let own = "crn,course,capacity,linked\nAB 1-01,AB 1,5,AB 1-02\nAB 1-02,AB 1,5,\n";
    hub.import(own, options_for("T2")).await;
    assert_eq!(linked("T2-AB.1.01"), ["T2-AB.1.02"]);
}

#[actix_web::test]
async fn an_import_reports_the_students_that_it_affects() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(&schedule("20-week-before.csv"), options_for("T")).await;
    hub.open_term("T").await;
    for student in ["ann", "bo", "cy"] {
        for crn in ["30001", "30002"] {
            hub.register("T", student, crn).await;
        }
    }

    let task = hub.import(&schedule("20-week-after.csv"), options_for("T")).await;

    let over = serde_json::json!([{ "section": "T-30001", "enrolled": 3, "capacity": 1 }]);
    let overlaps = serde_json::json!([{ "section": "T-30002", "students": 3 }]);
    assert_eq!((&task["affected"]["over_capacity"], &task["affected"]["overlaps"]), (&over, &overlaps), "{task}");
}

#[actix_web::test]
async fn a_class_past_midnight_overlaps_on_both_of_its_days_only() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.import(&schedule("22-past-midnight.csv"), options_for("T")).await;
    let others = "crn,course,capacity,days,time\n40001,AB 101,5,T,9:00am-9:50am\n40002,AB 102,5,T,11:30pm-11:50pm\n\
                  40003,AB 103,5,W,12:30am-12:50am\n40004,AB 104,5,W,1:00am-1:50am\n40005,AB 105,5,T,12:10am-12:50am\n";
    let task = hub.import(others, options_for("T")).await;
    assert_eq!(task["created"], 5, "{task}");
    hub.open_term("T").await;
    hub.register("T", "ann", "30001").await;

    for (crn, expected) in [
        ("40001", None),
        ("40002", Some(RefusalCode::TimeConflict)),
        ("40003", Some(RefusalCode::TimeConflict)),
        ("40004", None),
        ("40005", None),
    ] {
        let outcome = hub.register("T", "ann", crn).await;
        let refusal = match &outcome {
            Outcome::Request(RequestOutcome::Refused(refusal)) => Some(refusal.code()),
            Outcome::Request(RequestOutcome::Done(_)) => None,
            _ => panic!("{crn}: {outcome:?}"),
        };
        assert_eq!(refusal, expected, "{crn}: {outcome:?}");
    }
}
