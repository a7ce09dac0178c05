//! Tests of how a store keeps the import profiles that staff saved.

use eduhub::domain::ids::ProfileName;
use eduhub::domain::import_profile::ImportProfile;
use eduhub::store::import_profiles::{PROFILES_MAX, ProfileStore, PutProfile};

use super::fixture::{StoreFixture, block_on};

fn name(text: &str) -> ProfileName {
    ProfileName::parse(text).unwrap()
}

fn profile(text: &str, title: &str) -> ImportProfile {
    ImportProfile {
        name: name(text),
        title: title.to_owned(),
        header: vec!["Nr".to_owned(), String::new(), "Plätze".to_owned()],
        map: [("Plätze".to_owned(), "capacity".to_owned()), ("#2".to_owned(), "room".to_owned())].into(),
        builtin: false,
    }
}

pub(crate) fn profiles_are_replaced_and_removed_by_name<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    assert_eq!(block_on(store.put_profile(profile("fall", "Fall"))).unwrap(), PutProfile::Created);
    assert_eq!(block_on(store.put_profile(profile("évora", "Évora"))).unwrap(), PutProfile::Created);
    assert_eq!(block_on(store.put_profile(profile("fall", "Fall export"))).unwrap(), PutProfile::Replaced);
    drop(store);
    let store = fixture.open();
    let both = [profile("fall", "Fall export"), profile("évora", "Évora")];
    assert_eq!(block_on(store.profiles()).unwrap(), both);
    assert!(block_on(store.remove_profile(&name("fall"))).unwrap());
    assert!(!block_on(store.remove_profile(&name("fall"))).unwrap());
    assert_eq!(block_on(store.profiles()).unwrap(), both[1..]);
}

pub(crate) fn the_number_of_profiles_is_limited<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for number in 0..PROFILES_MAX {
        let put = store.put_profile(profile(&format!("p{number}"), "One"));
        assert_eq!(block_on(put).unwrap(), PutProfile::Created, "{number}");
    }
    assert_eq!(block_on(store.put_profile(profile("another", "One"))).unwrap(), PutProfile::Full);
    assert_eq!(block_on(store.put_profile(profile("p7", "Two"))).unwrap(), PutProfile::Replaced);
    assert_eq!(block_on(store.profiles()).unwrap().len(), PROFILES_MAX);
    assert!(block_on(store.remove_profile(&name("p0"))).unwrap());
    assert_eq!(block_on(store.put_profile(profile("another", "One"))).unwrap(), PutProfile::Created);
}
