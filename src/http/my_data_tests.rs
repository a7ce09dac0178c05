//! Tests of the export of a person's data.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::clock::SystemClock;
use crate::domain::role::Role;
use crate::store::accounts::AuditStore;
use crate::store::sqlite::{SqliteOptions, SqliteStore};

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

#[actix_rt::test]
async fn long_lists_are_exported_in_pages_without_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let store = SqliteStore::open(SqliteOptions { path, outbox: None }).unwrap();
    let count = 2 * i64::from(PAGE_LEN) + 1;
    let entry = |number: i64| AuditEntry {
        at: Timestamp::from_second(number).unwrap(),
        user: Some(name(if number % 2 == 0 { "ann" } else { "sam" })),
        role: Some(Role::Student),
        ip: Some("192.0.2.7".to_owned()),
        action: "user.change".to_owned(),
        subject: Some("ann".to_owned()),
        section: None,
        detail: number.to_string().into(),
        request_id: None,
    };
    store.append((0..count).map(entry).collect()).await.unwrap();
    for number in 0..3 {
        store.disclose(entry(number), vec![name("ann")]).await.unwrap();
    }
    let shared: Arc<dyn PrivacyStore> = Arc::new(store.clone());
    let attempts: Arc<dyn AttemptStore> = Arc::new(store.clone());
    let audit = Audit::start(Arc::new(store), Arc::new(SystemClock));
    let mut export = Some(Export {
        attempts: Data::from(attempts),
        privacy: Data::from(shared),
        audit: Data::new(audit),
        user: name("ann"),
        list: List::Attempts,
        cursor: Cursor::Start,
    });
    let (mut text, mut parts) = ("{\"head\":1".to_owned(), 0);
    while let Some(current) = export.take() {
        let (part, rest) = current.next_part().await.unwrap();
        text.push_str(std::str::from_utf8(&part).unwrap());
        (export, parts) = (rest, parts + 1);
    }
    let data: Value = serde_json::from_str(&text).unwrap();
    let details = data["audit"].as_array().unwrap().iter().map(|entry| entry["detail"].as_str().unwrap());
    let expected = (0..3).rev().chain((0..count).rev()).map(|number| number.to_string());
    assert!(details.eq(expected), "each entry once, newest first");
    assert_eq!((data["alerts"].as_array().unwrap().len(), data["disclosures"].as_array().unwrap().len()), (0, 3));
    assert_eq!(parts, 7, "a part for each page");
    // What someone else did is exported without that person's address.
    let own = data["audit"].as_array().unwrap().iter().filter(|entry| entry["by_me"] == true);
    assert!(own.clone().all(|entry| entry["ip"] == "192.0.2.7") && own.count() > 0);
    assert!(data["audit"].as_array().unwrap().iter().all(|entry| entry["by_me"] == true || entry["ip"].is_null()));
    assert!(!text.contains("sam"));
}
