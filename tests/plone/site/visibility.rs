//! Who can read sections, rosters and news.

use serde_json::{Value, json};

use super::{found, new_section, shared, written};
use crate::support::http::Response;
use crate::support::plone::{HUB, PASSWORD, Plone, REGISTRAR};

/// All known addresses at which Plone shows fields of an item, relative to the item's path, with `ID` for its id. At
/// `manage_FTPget` and all addresses after it, Plone ignores read permissions of fields, so `scripts/plone/site.zcml`
/// closes them.
const ADDRESSES: [&str; 22] = [
    "",
    "?expand=types,history",
    "?metadata_fields=roster",
    "/@history",
    "/@types/course_section",
    "/../@search?getId=ID&fullobjects=1",
    "/../@search?getId=ID&metadata_fields=roster",
    "/../@search?getId=ID&metadata_fields=_all",
    "/../?metadata_fields=roster&b_size=400",
    "/roster",
    "/@@view",
    "/@@edit",
    "/@@content-core",
    "/@@download/roster",
    "/@@edit/++widget++roster",
    "/manage_FTPget",
    "/manage_DAVget",
    "/@@view/++widget++roster",
    "/@@view/++widget++form.widgets.roster",
    "/@@view/++widget++roster/render",
    "/view/++widget++roster",
    "/@@content-core/++widget++roster",
];

#[test]
fn a_roster_is_readable_by_editors_only() {
    let plone = written();
    let hub = plone.login(HUB, PASSWORD);
    let (student, registrar) = (plone.login("student1", PASSWORD), plone.login(REGISTRAR, PASSWORD));
    let section = plone.section(5);
    let id = section.rsplit('/').next().unwrap();
    let body = json!({"seats_taken": 1, "roster": ["zebulon enrolled 2026-11-24T08:00:00Z"]});
    assert_eq!(plone.request("PATCH", &section, Some(&hub), Some(&body)).0, 204);

    for token in [None, Some(student.as_str())] {
        for address in ADDRESSES {
            let path = format!("{section}{}", address.replace("ID", id));
            for kind in ["application/json", "*/*"] {
                let response = get(plone, &path, token, kind);
                assert!(!response.text().contains("zebulon"), "{path} as {kind}: {}", response.text());
            }
        }
        assert!(get(plone, &section, token, "text/html").expect(200).text().contains("Seats taken"));
        assert_eq!(found(plone, "SearchableText=zebulon", token), 0);
        assert_eq!(plone.request("PATCH", &section, token, Some(&json!({"roster": []}))).0, 401);
    }
    for token in [&hub, &registrar] {
        let (_, response) = plone.request("GET", &section, Some(token), None);
        assert_eq!(response["roster"], body["roster"]);
        assert!(get(plone, &section, Some(token), "text/html").expect(200).text().contains("zebulon"));
    }
}

/// Sends a `GET` with this token and `Accept` header.
fn get(plone: &Plone, path: &str, token: Option<&str>, accept: &str) -> Response {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Accept", accept)];
    headers.extend(bearer.iter().map(|bearer| ("Authorization", bearer.as_str())));
    plone.call("GET", path, &headers, b"").unwrap()
}

#[test]
fn a_private_section_is_visible_to_staff_only() {
    let plone = shared();
    let hub = plone.login(HUB, PASSWORD);
    let student = plone.login("student2", PASSWORD);
    let query = "portal_type=course_section&review_state=private";
    let private = plone.section_by(query);
    for token in [None, Some(student.as_str())] {
        assert_eq!(plone.request("GET", &private, token, None).0, 401);
        assert_eq!(found(plone, query, token), 0);
    }
    assert_eq!(plone.request("GET", &private, Some(&hub), None).0, 200);
}

#[test]
fn expired_and_future_items_are_hidden_from_searches_only() {
    let plone = written();
    let hub = plone.login(HUB, PASSWORD);
    let make = |id: &str, field: &str, time: &str| {
        let mut item = new_section(id);
        item[field] = Value::from(time);
        assert_eq!(plone.request("POST", "/courses", Some(&hub), Some(&item)).0, 201);
        let path = format!("/courses/{id}/@workflow/publish");
        assert_eq!(plone.request("POST", &path, Some(&hub), Some(&json!({}))).0, 200);
    };
    make("over", "expires", "2020-01-01T00:00:00Z");
    make("coming", "effective", "2090-01-01T00:00:00Z");
    for id in ["over", "coming"] {
        assert_eq!(found(plone, &format!("getId={id}"), None), 0, "{id}");
        assert_eq!(found(plone, &format!("getId={id}"), Some(&hub)), 1, "{id}");
        assert_eq!(found(plone, &format!("getId={id}&show_inactive=1"), None), 1, "{id}");
        assert_eq!(plone.request("GET", &format!("/courses/{id}"), None, None).0, 200, "{id}");
    }
}

#[test]
fn scripts_in_news_are_filtered_from_the_served_text() {
    let plone = shared();
    let (_, item) = plone.request("GET", "/news/pasted", None, None);
    let text = item["text"]["data"].as_str().expect("text");
    assert!(text.contains("Text that was pasted") && !text.contains("<script") && !text.contains("onclick"), "{text}");
}
