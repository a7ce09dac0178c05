//! Tests of how a store keeps the reports of demonstrations that administrators shared.

use eduhub::store::demo_reports::{DEMO_REPORTS_MAX, DemoReportStore};
use uuid::Uuid;

use super::fixture::{StoreFixture, block_on};
use crate::college::minute;

fn task(number: usize) -> Uuid {
    Uuid::from_u128(number.try_into().unwrap())
}

pub(crate) fn reports_are_read_back_until_they_are_removed<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    block_on(store.put_demo_report(task(1), "{\"what\":\"Prüfung\"}".to_owned(), minute(1))).unwrap();
    block_on(store.put_demo_report(task(1), "{}".to_owned(), minute(2))).unwrap();
    drop(store);
    let store = fixture.open();
    let report = |number| block_on(store.demo_report(task(number))).unwrap();
    assert_eq!(report(1).as_deref(), Some("{\"what\":\"Prüfung\"}"), "a shared report does not change");
    assert_eq!(report(2), None);
    assert!(block_on(store.remove_demo_report(task(1))).unwrap());
    assert!(!block_on(store.remove_demo_report(task(1))).unwrap());
    assert_eq!(report(1), None);
}

pub(crate) fn only_the_newest_reports_are_kept<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for number in 0..DEMO_REPORTS_MAX + 2 {
        let at = minute(i64::try_from(number).unwrap());
        block_on(store.put_demo_report(task(number), number.to_string(), at)).unwrap();
    }
    let kept = (0..DEMO_REPORTS_MAX + 2).filter(|number| block_on(store.demo_report(task(*number))).unwrap().is_some());
    assert_eq!(kept.collect::<Vec<_>>(), (2..DEMO_REPORTS_MAX + 2).collect::<Vec<_>>());
}
