//! Tests of the headers by which the web server identifies a user.

use actix_web::http::header::HeaderValue;

use super::*;
use crate::config::auth::FactClaims;
use crate::domain::role::Role;
use crate::domain::student::StudentFacts;

const SECRET: &str = "a secret of the web server, 32 bytes";

fn proxy() -> ProxySignIn {
    let settings = Proxy {
        peers: vec!["10.1.2.0/24".parse().unwrap(), "::1/128".parse().unwrap()],
        secret: SECRET.to_owned().into(),
        plone_user_header: "X-Plone-User".to_owned(),
        claim_headers: vec!["X-Affiliation".to_owned()],
        facts: FactClaims { groups: "X-Groups".to_owned(), program: "X-Program".to_owned(), ..FactClaims::default() },
        ..Proxy::default()
    };
    let roles = RoleMap {
        admin: vec!["group:it".to_owned()],
        staff: vec!["X-Affiliation=staff@college.edu".to_owned()],
        student: vec!["X-Affiliation=student@college.edu".to_owned()],
        ..RoleMap::default()
    };
    ProxySignIn::new(&settings, Arc::new(roles)).unwrap()
}

fn headers(of: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in of {
        headers.append(name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

const GOOD: [(&str, &str); 5] = [
    ("x-eduhub-secret", SECRET),
    ("x-remote-user", "ann"),
    ("x-remote-name", "Ann Ångström"),
    ("x-affiliation", "member@college.edu; student@college.edu"),
    ("x-remote-groups", "choir"),
];

#[test]
fn headers_of_the_web_server_identify_a_user() {
    let person = proxy().take(&mut headers(&GOOD), "10.1.2.3".parse().unwrap()).unwrap();
    assert_eq!(
        (person.username.as_str(), person.name.as_str(), person.rights.role()),
        ("ann", "Ann Ångström", Role::Student)
    );
    let mapped = proxy().take(&mut headers(&GOOD), "::ffff:10.1.2.3".parse().unwrap());
    assert!(mapped.is_ok(), "an IPv4 address on an IPv6 socket is the same address");
    for (header, value, role) in
        [("x-affiliation", "staff@college.edu", Role::Staff), ("x-remote-groups", "choir;it", Role::Admin)]
    {
        let changed = GOOD.map(|(name, old)| (name, if name == header { value } else { old }));
        assert_eq!(proxy().take(&mut headers(&changed), "::1".parse().unwrap()).unwrap().rights, role.into());
    }
}

#[test]
fn headers_of_the_web_server_state_facts_about_students() {
    let facts = |more: &[(&str, &str)]| {
        let mut headers = headers(&changed("", more));
        let person = proxy().take(&mut headers, "10.1.2.3".parse().unwrap()).unwrap();
        assert!(!headers.keys().any(|name| name.as_str().starts_with("x-")), "they reach no handler: {headers:?}");
        person.facts.applied_to(StudentFacts { campus: Some("North".into()), ..StudentFacts::default() })
    };
    let stated = facts(&[("x-groups", "veterans; honors"), ("x-program", "Nursing")]);
    assert_eq!(stated.groups, ["veterans".into(), "honors".into()]);
    assert_eq!((stated.program.as_deref(), stated.campus.as_deref()), (Some("Nursing"), Some("North")));
    assert_eq!(facts(&[("x-program", "(null)")]).program, None, "what Apache sends for an absent attribute");
}

#[test]
fn a_header_of_the_web_server_states_the_user_of_plone() {
    let table = [
        (vec![("x-plone-user", "ann.lee")], Some("ann.lee")),
        (vec![], None),
        (vec![("x-plone-user", "(null)")], None),
        (vec![("x-plone-user", "a b")], None),
        (vec![("x-plone-user", "\u{ff41}nn")], None),
        (vec![("x-plone-user", "ann.lee"), ("x-plone-user", "dean")], None),
    ];
    for (more, expected) in table {
        let mut headers = headers(&changed("", &more));
        let person = proxy().take(&mut headers, "10.1.2.3".parse().unwrap()).unwrap();
        assert_eq!(person.plone_user.as_ref().map(UserName::as_str), expected, "{more:?}");
        assert!(!headers.contains_key("x-plone-user"), "{headers:?}");
    }
}

/// Returns the good headers without those of `name`, and with `more`.
fn changed<'a>(name: &str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    GOOD.into_iter().filter(|(other, _)| *other != name).chain(more.iter().copied()).collect()
}

#[test]
fn other_headers_identify_no_one_and_are_removed() {
    let no_user = || ProxyError::NoUser("X-Remote-User".to_owned());
    let foreign = ProxyError::ForeignPeer("10.1.3.1".parse().unwrap());
    let table = [
        ("10.1.3.1", GOOD.to_vec(), foreign),
        ("10.1.2.3", changed("x-eduhub-secret", &[]), ProxyError::WrongSecret),
        ("10.1.2.3", changed("x-eduhub-secret", &[("x-eduhub-secret", "")]), ProxyError::WrongSecret),
        ("10.1.2.3", changed("x-eduhub-secret", &[("x-eduhub-secret", &SECRET[1..])]), ProxyError::WrongSecret),
        ("10.1.2.3", changed("", &[("x-eduhub-secret", SECRET)]), ProxyError::WrongSecret),
        ("10.1.2.3", changed("x-remote-user", &[]), no_user()),
        ("10.1.2.3", changed("", &[("x-remote-user", "ada")]), no_user()),
        ("10.1.2.3", changed("x-remote-user", &[("x-remote-user", "(null)")]), no_user()),
        ("10.1.2.3", changed("x-remote-user", &[("x-remote-user", "a b")]), no_user()),
        ("10.1.2.3", changed("x-affiliation", &[]), ProxyError::NoRole),
        ("10.1.2.3", changed("x-affiliation", &[("x-affiliation", "student@evil.example")]), ProxyError::NoRole),
    ];
    for (peer, sent, expected) in table {
        let mut sent_headers = headers(&sent);
        sent_headers.append("accept".parse().unwrap(), HeaderValue::from_static("*/*"));
        let outcome = proxy().take(&mut sent_headers, peer.parse().unwrap());
        assert_eq!(outcome.map(|person| person.username), Err(expected), "{peer} {sent:?}");
        assert_eq!(sent_headers.len(), 1, "{sent_headers:?}");
    }
}

#[test]
fn without_peers_the_web_server_cannot_sign_users_in() {
    assert!(ProxySignIn::new(&Proxy::default(), Arc::default()).is_none());
}
