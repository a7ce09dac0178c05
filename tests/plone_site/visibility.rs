//! Who can see sections, rosters and news.

use serde_json::{Value, json};

use super::support::plone::{HUB, PASSWORD, Plone, REGISTRAR};
use super::{found, new_section};

#[test]
fn a_roster_is_read_by_nobody_who_may_not_edit_the_section() {
    let plone = Plone::start();
    let hub = plone.login(HUB, PASSWORD);
    let (student, registrar) = (plone.login("student1", PASSWORD), plone.login(REGISTRAR, PASSWORD));
    let section = plone.section(5);
    let body = json!({"seats_taken": 1, "roster": ["zebulon enrolled 2026-11-24T08:00:00Z"]});
    assert_eq!(plone.request("PATCH", &section, Some(&hub), Some(&body)).0, 204);
    let id = section.rsplit('/').next().unwrap();
    let search = format!("/@search?getId={id}&fullobjects=1&metadata_fields=roster");
    let everywhere = [section.clone(), search, format!("{section}?expand=types"), format!("{section}/@history")];

    for token in [None, Some(student.as_str())] {
        for path in &everywhere {
            let (_, answer) = plone.request("GET", path, token, None);
            assert!(!answer.to_string().contains("zebulon"), "{path}: {answer}");
        }
        let page = page(&plone, &section, token);
        assert!(page.contains("Seats taken") && !page.contains("zebulon"), "{page}");
        assert_eq!(found(&plone, "SearchableText=zebulon", token), 0);
        let write = plone.request("PATCH", &section, token, Some(&json!({"roster": []})));
        assert_eq!(write.0, 401);
    }
    for token in [&hub, &registrar] {
        let (_, answer) = plone.request("GET", &section, Some(token), None);
        assert_eq!(answer["roster"], body["roster"]);
        assert!(page(&plone, &section, Some(token)).contains("zebulon"));
    }
}

/// A page as a browser gets it.
fn page(plone: &Plone, path: &str, token: Option<&str>) -> String {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    plone.call("GET", path, &headers, b"").unwrap().expect(200).text()
}

#[test]
fn a_private_section_is_seen_by_staff_only() {
    let plone = Plone::shared();
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
fn expired_and_coming_items_are_left_out_of_a_visitors_search_but_not_refused() {
    let plone = Plone::start();
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
        assert_eq!(found(&plone, &format!("getId={id}"), None), 0, "{id}");
        assert_eq!(found(&plone, &format!("getId={id}"), Some(&hub)), 1, "{id}");
        assert_eq!(found(&plone, &format!("getId={id}&show_inactive=1"), None), 1, "{id}");
        assert_eq!(plone.request("GET", &format!("/courses/{id}"), None, None).0, 200, "{id}");
    }
}

#[test]
fn a_script_in_a_news_item_is_stored_and_filtered_only_in_the_shown_text() {
    let plone = Plone::shared();
    let (_, item) = plone.request("GET", "/news/pasted", None, None);
    let text = item["text"]["data"].as_str().expect("text");
    assert!(text.contains("Text that was pasted") && !text.contains("<script") && !text.contains("onclick"), "{text}");
}
