//! What `/readyz` reports.

use std::net::TcpListener;

use crate::support::server::Home;

#[test]
fn plone_is_not_ok_before_it_has_responded() {
    // This Plone accepts connections and never responds.
    let plone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/Plone", plone.local_addr().unwrap());
    let home = Home::new().setting("plone.url", &url);
    let home = home.setting("plone.username", "eduhub").setting("plone.password", "not used");
    let server = home.serve();
    let ready = server.client().get("/readyz").expect(200).json();
    assert_eq!((&ready["ready"], &ready["plone"]), (&true.into(), &"unavailable".into()), "{ready}");
}
