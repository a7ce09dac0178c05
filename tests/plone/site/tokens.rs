//! When Plone accepts a token, and what it discloses about users.

use serde_json::json;

use super::{shared, written};
use crate::support::plone::{CLERK, DEAN, HUB, PASSWORD, Plone, REGISTRAR};

/// Creates a user with this role, signs the user in, and returns the token.
fn create_user(plone: &Plone, name: &str, role: &str) -> String {
    let hub = plone.login(HUB, PASSWORD);
    let user =
        json!({"username": name, "email": format!("{name}@example.edu"), "password": PASSWORD, "roles": ["Member"]});
    let (status, answer) = plone.request("POST", "/@users", Some(&hub), Some(&user));
    assert_eq!(status, 201, "{answer}");
    let promoted =
        plone.request("PATCH", &format!("/@users/{name}"), Some(&hub), Some(&json!({"roles": {role: true}})));
    assert_eq!(promoted.0, 204, "{}", promoted.1);
    plone.login(name, PASSWORD)
}

#[test]
fn a_forged_token_counts_as_a_visitor() {
    let plone = shared();
    let token = plone.login(DEAN, PASSWORD);
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    let forged = [
        "nonsense".to_owned(),
        format!("{unsigned}."),
        format!("{unsigned}.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        // The header {"alg":"none"} and the payload {"sub":"dean"}.
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZWFuIn0.".to_owned(),
    ];
    let private = plone.section_by("portal_type=course_section&review_state=private");
    for token in forged {
        assert_eq!(plone.request("GET", "/courses", Some(&token), None).0, 200, "{token}");
        assert_eq!(plone.request("GET", &private, Some(&token), None).0, 401, "{token}");
        assert_eq!(plone.request("GET", "/@users/dean", Some(&token), None).0, 401, "{token}");
    }
    assert_eq!(plone.request("GET", "/@users/dean", Some(&token), None).0, 200);
}

#[test]
fn an_expired_token_counts_as_a_visitor() {
    let plone = Plone::start();
    let before = plone.login(DEAN, PASSWORD);
    let root = plone.login("admin", PASSWORD);
    let bearer = format!("Bearer {root}");
    let page = plone.call("GET", "/acl_users/jwt_auth/manage_config", &[("Authorization", &bearer)], b"").unwrap();
    let text = page.expect(200).text();
    let (_, rest) = text.split_once("_authenticator\" type=\"hidden\" value=\"").expect("a form");
    let (authenticator, _) = rest.split_once('"').unwrap();
    // From now on, tokens expire ten seconds before they are issued.
    let form = format!("token_timeout=-10&use_keyring=1&_authenticator={authenticator}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    plone.call("POST", "/acl_users/jwt_auth/manage_updateConfig", &headers, form.as_bytes()).unwrap().expect(302);

    let expired = plone.login(DEAN, PASSWORD);
    assert_eq!(plone.request("GET", "/courses", Some(&expired), None).0, 200);
    assert_eq!(plone.request("GET", "/@users/dean", Some(&expired), None).0, 401);
    assert_eq!(plone.request("GET", "/@users/dean", Some(&before), None).0, 200);
}

#[test]
fn a_token_survives_logout_and_a_new_password() {
    let plone = written();
    let token = create_user(plone, "leaver", "Member");
    assert_eq!(plone.request("POST", "/@logout", Some(&token), None).0, 204);
    assert_eq!(plone.request("GET", "/@users/leaver", Some(&token), None).0, 200);

    let hub = plone.login(HUB, PASSWORD);
    let changed = plone.request("PATCH", "/@users/leaver", Some(&hub), Some(&json!({"password": "another-password"})));
    assert_eq!(changed.0, 204, "{}", changed.1);
    assert_eq!(plone.request("GET", "/@users/leaver", Some(&token), None).0, 200);
    let old = json!({"login": "leaver", "password": PASSWORD});
    assert_eq!(plone.request("POST", "/@login", None, Some(&old)).0, 401);
}

#[test]
fn the_token_of_a_deleted_user_keeps_its_rights() {
    let plone = written();
    let token = create_user(plone, "orphan", "Editor");
    let hub = plone.login(HUB, PASSWORD);
    let private = plone.section_by("portal_type=course_section&review_state=private");
    assert_eq!(plone.request("DELETE", "/@users/orphan", Some(&hub), None).0, 204);

    assert_eq!(plone.request("GET", &private, Some(&token), None).0, 200);
    let written = plone.request("PATCH", &private, Some(&token), Some(&json!({"seats_taken": 1})));
    assert_eq!(written.0, 204, "{}", written.1);
    for token in [&hub, &token] {
        let (status, answer) = plone.request("GET", "/@users/orphan", Some(token), None);
        assert_eq!((status, answer["type"].as_str()), (404, Some("NotFound")), "{answer}");
    }
}

#[test]
fn roles_include_those_of_groups_and_change_at_once() {
    let plone = written();
    let hub = plone.login(HUB, PASSWORD);
    let roles = |user: &str| plone.request("GET", &format!("/@users/{user}"), Some(&hub), None).1["roles"].clone();
    assert_eq!(roles(CLERK), json!(["Member", "Reviewer"]));
    assert_eq!(roles(REGISTRAR), json!(["Editor", "Member"]));
    assert_eq!(roles("student9"), json!(["Member"]));

    let promote = json!({"roles": {"Contributor": true}});
    assert_eq!(plone.request("PATCH", "/@users/student9", Some(&hub), Some(&promote)).0, 204);
    assert_eq!(roles("student9"), json!(["Contributor", "Member"]));
    let leave = json!({"users": {"clerk": false}});
    assert_eq!(plone.request("PATCH", "/@groups/registrars", Some(&hub), Some(&leave)).0, 204);
    assert_eq!(roles(CLERK), json!(["Member"]));
}

#[test]
fn a_member_reads_only_their_own_account() {
    let plone = shared();
    let student = plone.login("student7", PASSWORD);
    assert_eq!(plone.request("GET", "/@users/student7", Some(&student), None).0, 200);
    assert_eq!(plone.request("GET", "/@users/student8", Some(&student), None).0, 401);
    assert_eq!(plone.request("GET", "/@users/student8", None, None).0, 401);
}

#[test]
fn a_locked_account_differs_only_in_a_status_message_cookie() {
    let plone = Plone::start();
    let sign_in = |password: &str| {
        let body = json!({"login": "student5", "password": password}).to_string();
        let headers = [("Accept", "application/json"), ("Content-Type", "application/json")];
        plone.call("POST", "/@login", &headers, body.as_bytes()).unwrap()
    };
    let plain = sign_in("wrong").expect(401);
    assert_eq!(plain.header("set-cookie"), None);

    plone.install_lockout();
    // Repeating the same wrong password would not count.
    let tries: Vec<_> = (0..4).map(|number| sign_in(&format!("wrong {number}")).expect(401)).collect();
    let right = sign_in(PASSWORD).expect(401);
    assert_eq!(right.json(), plain.json());
    assert_eq!(right.json()["error"]["type"], "Invalid credentials");
    let message = |answer: &crate::support::http::Response| answer.header("set-cookie").unwrap_or_default().to_owned();
    assert!(message(&right).starts_with("statusmessages="), "{right:?}");
    assert_eq!(message(&right), message(&tries[3]));
    assert_ne!(message(&right), message(&tries[0]));
}
