//! Lost updates, transitions, deletions and ids.

use std::thread;

use serde_json::{Value, json};

use super::{found, new_section, shared, written};
use crate::support::barrier::Barrier;
use crate::support::plone::{HUB, PASSWORD, Plone};

/// Number of concurrent writers.
const WRITERS: usize = 8;

#[test]
fn concurrent_read_then_write_loses_all_updates_but_one() {
    let plone = shared();
    let hub = plone.login(HUB, PASSWORD);
    let section = plone.section(20);
    let all_have_read = Barrier::new(WRITERS);
    let written: Vec<(u16, Value)> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                scope.spawn(|| {
                    let seats = plone.request("GET", &section, Some(&hub), None).1["seats_taken"].as_u64().unwrap();
                    all_have_read.wait();
                    plone.request("PATCH", &section, Some(&hub), Some(&json!({"seats_taken": seats + 1})))
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    for (status, response) in &written {
        // The only other response is a conflict that exhausted Plone's retries.
        assert!(*status == 204 || (*status == 500 && response["type"] == "ConflictError"), "{status} {response}");
    }
    assert!(written.iter().filter(|(status, _)| *status == 204).count() > 1);
    assert_eq!(plone.request("GET", &section, None, None).1["seats_taken"], 1);
}

/// Returns an item's modification time and workflow state from the catalogue.
fn catalogued(plone: &Plone, id: &str, token: &str) -> (String, String) {
    let path = format!("/@search?getId={id}&metadata_fields=modified&metadata_fields=review_state");
    let (_, response) = plone.request("GET", &path, Some(token), None);
    let item = &response["items"][0];
    (item["modified"].as_str().unwrap().to_owned(), item["review_state"].as_str().unwrap().to_owned())
}

#[test]
fn transitions_and_empty_patches_leave_modified_unchanged() {
    let plone = written();
    let hub = plone.login(HUB, PASSWORD);
    let section = plone.section(21);
    let id = section.rsplit('/').next().unwrap();
    // The item was created with the template, at least a few seconds ago.
    let (before, _) = catalogued(plone, id, &hub);
    for (transition, state) in [("retract", "private"), ("publish", "published"), ("reject", "private")] {
        let path = format!("{section}/@workflow/{transition}");
        let (status, response) = plone.request("POST", &path, Some(&hub), Some(&json!({})));
        assert_eq!(status, 200, "{response}");
        assert_eq!(catalogued(plone, id, &hub), (before.clone(), state.to_owned()));
    }
    for (seats, modified) in [(0, false), (1, true)] {
        let (status, _) = plone.request("PATCH", &section, Some(&hub), Some(&json!({"seats_taken": seats})));
        assert_eq!(status, 204);
        assert_eq!(catalogued(plone, id, &hub).0 != before, modified, "{seats}");
    }
}

#[test]
fn a_deleted_item_is_removed_from_the_catalogue() {
    let plone = written();
    let hub = plone.login(HUB, PASSWORD);
    let section = plone.section(22);
    let id = section.rsplit('/').next().unwrap();
    for status in [204, 404] {
        assert_eq!(plone.request("DELETE", &section, Some(&hub), None).0, status);
    }
    assert_eq!(plone.request("GET", &section, Some(&hub), None).0, 404);
    assert_eq!(found(plone, &format!("getId={id}"), Some(&hub)), 0);
}

#[test]
fn a_taken_id_is_refused_and_a_missing_one_is_generated() {
    let plone = written();
    let hub = plone.login(HUB, PASSWORD);
    let item = new_section("202701-1");
    assert_eq!(plone.request("POST", "/courses", Some(&hub), Some(&item)).0, 201);
    let (status, response) = plone.request("POST", "/courses", Some(&hub), Some(&item));
    assert_eq!((status, response["type"].as_str()), (400, Some("BadRequest")));
    assert!(response["message"].as_str().is_some_and(|message| message.contains("already in use")), "{response}");

    let mut nameless = item;
    nameless.as_object_mut().unwrap().remove("id");
    let ids = [(); 2].map(|()| plone.request("POST", "/courses", Some(&hub), Some(&nameless)).1["id"].clone());
    assert_eq!(ids, [json!("test"), json!("test-1")]);
}
