//! What the hub relies on in a real Plone 6.2, tried on one: whatever Plone does otherwise in a later release shows here.

mod support;

use support::plone::Plone;

#[test]
fn a_fresh_plone_answers_and_starts_again_with_its_data() {
    let plone = Plone::start();
    assert!(!plone.login("student1", support::plone::PASSWORD).is_empty());
    plone.stop();
    assert!(plone.call("GET", "/", &[], b"").is_err());
    plone.start_again();
    assert_eq!(plone.request("GET", "/courses", None, None).0, 200);
}
