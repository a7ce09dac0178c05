//! The hub's Plone client against a real Plone: what it reads and writes, as which user, and how it reports failures.

mod faults;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use eduhub::clock::SystemClock;
use eduhub::domain::fields::{FieldValue, Fields, SectionField};
use eduhub::domain::ids::UserName;
use eduhub::plone::port::{Catalogue, ContentKind, Directory, PAGE_LEN, PloneError, Viewer, Writer};
use eduhub::plone::rest::{PloneClient, PloneOptions};
use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::plone::{CLERK, HUB, PASSWORD, PRIVATE_SECTIONS, Plone, REGISTRAR, SECTIONS};

/// Returns the Plone that these tests write to. It is shared, so each test writes only items that no other test reads.
fn written() -> &'static Plone {
    static WRITTEN: OnceLock<Plone> = OnceLock::new();
    WRITTEN.get_or_init(Plone::start)
}

fn options(url: &str) -> PloneOptions {
    PloneOptions {
        url: url.to_owned(),
        username: HUB.to_owned(),
        password: PASSWORD.into(),
        sections_path: "/courses".to_owned(),
        section_type: "course_section".to_owned(),
        publish: Some("publish".to_owned()),
        pool_size: 8,
        queue_max: 200,
        timeout: Duration::from_secs(30),
        fields: [].into(),
    }
}

fn client(plone: &Plone) -> PloneClient {
    PloneClient::new(options(&plone.url()), Arc::new(SystemClock)).unwrap()
}

fn name(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn member(plone: &Plone, name: &str) -> Viewer {
    Viewer::Member(Arc::new(plone.login(name, PASSWORD).into()))
}

#[actix_rt::test]
async fn plone_checks_the_password() {
    let client = client(Plone::shared());
    let token = client.login(&name("student1"), &PASSWORD.into()).await.unwrap();
    assert_eq!(token.expose_secret().split('.').count(), 3);
    for (user, password) in [("student1", "wrong"), ("unknown", PASSWORD), ("student1", "")] {
        let refused = client.login(&name(user), &password.into()).await.unwrap_err();
        assert_eq!(refused, PloneError::Unauthenticated, "{user}");
    }
}

#[actix_rt::test]
async fn a_locked_account_is_distinguished_from_a_wrong_password() {
    let plone = Plone::start();
    plone.install_lockout();
    let client = client(&plone);
    let user = name("student2");
    let mut responses = Vec::new();
    for attempt in 0..5 {
        responses.push(client.login(&user, &format!("wrong {attempt}").into()).await.unwrap_err());
    }
    assert_eq!(responses[0], PloneError::Unauthenticated);
    let last = client.login(&user, &PASSWORD.into()).await.unwrap_err();
    assert!(matches!(&last, PloneError::Locked(words) if words.contains("locked")), "{last:?} after {responses:?}");
}

#[actix_rt::test]
async fn users_are_read_with_the_roles_of_their_groups() {
    let client = client(Plone::shared());
    let clerk = client.person(&name(CLERK)).await.unwrap().unwrap();
    assert!(clerk.roles.contains(&"Reviewer".to_owned()), "{clerk:?}");
    assert!(clerk.groups.contains(&"registrars".to_owned()), "{clerk:?}");
    assert!(clerk.name.is_some());
    assert_eq!(client.person(&name("unknown")).await.unwrap(), None);
}

#[actix_rt::test]
async fn searches_return_all_pages_of_what_the_viewer_may_see() {
    let plone = Plone::shared();
    let client = client(plone);
    for (viewer, expected) in [(Viewer::Hub, SECTIONS), (Viewer::Visitor, SECTIONS - PRIVATE_SECTIONS)] {
        let mut seen = HashSet::new();
        let mut total = 1;
        let mut start = 0;
        while u64::from(start) < total {
            let page = client.search(viewer.clone(), ContentKind::Section, None, start).await.unwrap();
            assert!(page.items.len() <= PAGE_LEN as usize);
            total = page.total;
            seen.extend(page.items.into_iter().map(|hit| {
                assert!(hit.path.starts_with("/courses/"), "{hit:?}");
                hit.uid
            }));
            start += PAGE_LEN;
        }
        assert_eq!((seen.len(), total), (expected, expected as u64), "{viewer:?}");
    }
    let later = "2100-01-01T00:00:00Z".parse().ok();
    let none = client.search(Viewer::Hub, ContentKind::Section, later, 0).await.unwrap();
    assert_eq!((none.items.len(), none.total), (0, 0));
}

#[actix_rt::test]
async fn searches_find_items_modified_since_a_time() {
    let plone = Plone::start();
    let client = client(&plone);
    let path = plone.section(5);
    let before = client.section(&path).await.unwrap();
    let fields: Fields = [(SectionField::SeatsTaken, FieldValue::Number(3))].into();
    // `modified` has a resolution of one second, so the test writes until the next second has begun.
    let mut after = before.clone();
    let mut seats = 3;
    while after.modified <= before.modified {
        seats += 1;
        let fields: Fields = [(SectionField::SeatsTaken, FieldValue::Number(seats))].into();
        client.write_section(&path, &fields).await.unwrap();
        after = client.section(&path).await.unwrap();
    }
    let found = client.search(Viewer::Hub, ContentKind::Section, Some(after.modified), 0).await.unwrap();
    assert_eq!(found.items.iter().map(|hit| hit.path.as_str()).collect::<Vec<_>>(), [path.as_str()]);
    assert_eq!(found.items[0].modified, after.modified);
    assert_eq!(after.fields.keys().collect::<Vec<_>>(), SectionField::ALL.iter().collect::<Vec<_>>());
    assert_ne!(after.fields[&SectionField::SeatsTaken], fields[&SectionField::SeatsTaken]);
}

#[actix_rt::test]
async fn written_fields_are_read_back_unchanged() {
    let plone = written();
    let client = client(plone);
    let path = plone.section(7);
    let fields: Fields = [
        (SectionField::Title, FieldValue::Text("Écrire & lire <b>".to_owned())),
        (SectionField::Credits, FieldValue::Number(1_500)),
        (SectionField::Capacity, FieldValue::Number(41)),
        (SectionField::Instructor, FieldValue::Nothing),
        (
            SectionField::Meetings,
            FieldValue::Text("MWF 09:30-10:50 2027-01-12..2027-05-08 A 1\nTR 08:00-08:50".to_owned()),
        ),
        (SectionField::SeatsTaken, FieldValue::Number(2)),
        (SectionField::Roster, FieldValue::Lines(vec!["student1 enrolled 2027-01-01T08:00:00Z".to_owned()])),
    ]
    .into();
    client.write_section(&path, &fields).await.unwrap();
    let section = client.section(&path).await.unwrap();
    for (field, value) in &fields {
        assert_eq!(section.fields[field], *value, "{field:?}");
    }
    assert_eq!(client.write_section("/courses/no-such-section", &fields).await, Err(PloneError::NotFound));
    let bad: Fields = [(SectionField::Capacity, FieldValue::Text("many".to_owned()))].into();
    let refused = client.write_section(&path, &bad).await.unwrap_err();
    assert!(matches!(&refused, PloneError::Refused(words) if words.contains("capacity: ")), "{refused}");
    assert!(!refused.to_string().contains("://"), "{refused}");
    assert_eq!(client.section("/../acl_users").await.map(drop).map_err(|e| e.is_transient()), Err(false));
}

#[actix_rt::test]
async fn concurrent_writes_of_one_section_all_succeed() {
    let plone = written();
    let client = client(plone);
    let path = plone.section(9);
    let fields = |seats| -> Fields {
        let line = |n| format!("student{n} enrolled 2027-01-01T08:00:00Z");
        let roster = FieldValue::Lines((0..seats).map(line).collect());
        [(SectionField::SeatsTaken, FieldValue::Number(seats)), (SectionField::Roster, roster)].into()
    };
    // The hub has at most one write per section in flight, but members also write in Plone.
    let written = join_all((1..=16).map(|seats| client.write_section(&path, &fields(seats)))).await;
    assert_eq!(written.iter().filter(|done| done.is_ok()).count(), 16, "{written:?}");
    let FieldValue::Number(seats) = client.section(&path).await.unwrap().fields[&SectionField::SeatsTaken] else {
        panic!("the count is not a number");
    };
    assert_eq!(
        client.section(&path).await.unwrap().fields[&SectionField::Roster],
        fields(seats)[&SectionField::Roster]
    );
}

#[actix_rt::test]
async fn a_section_is_created_once_and_published() {
    let plone = written();
    let client = client(plone);
    let fields = |title: &str| -> Fields {
        [
            (SectionField::Title, FieldValue::Text(title.to_owned())),
            (SectionField::Term, FieldValue::Text("202701".to_owned())),
            (SectionField::Crn, FieldValue::Text("39999".to_owned())),
            (SectionField::Course, FieldValue::Text("TEST 1".to_owned())),
            (SectionField::Capacity, FieldValue::Number(30)),
        ]
        .into()
    };
    let made = client.create_section("202701-39999", &fields("First")).await.unwrap();
    assert_eq!(made.path, "/courses/202701-39999");
    assert_eq!(plone.request("GET", &made.path, None, None).0, 200, "visitors can see it");
    let again = client.create_section("202701-39999", &fields("Second")).await.unwrap();
    assert_eq!((again.uid, &again.fields[&SectionField::Title]), (made.uid, &FieldValue::Text("First".to_owned())));
    let refused = client.create_section("39998", &[].into()).await.unwrap_err();
    assert!(matches!(refused, PloneError::Refused(_)), "{refused:?}");
    assert!(!refused.to_string().contains("{'"), "{refused}");
}

#[actix_rt::test]
async fn can_read_matches_the_permissions_of_each_viewer() {
    let plone = Plone::shared();
    let client = client(plone);
    let path = plone.section(0);
    let table = [
        (Viewer::Hub, SectionField::Roster, true),
        (member(plone, REGISTRAR), SectionField::Roster, true),
        (member(plone, "student1"), SectionField::Roster, false),
        (member(plone, "student1"), SectionField::Capacity, true),
        (Viewer::Visitor, SectionField::Roster, false),
        (Viewer::Visitor, SectionField::SeatsTaken, true),
    ];
    for (viewer, field, expected) in table {
        assert_eq!(client.can_read(viewer.clone(), &path, field).await, Ok(expected), "{viewer:?} {field:?}");
    }
    assert_eq!(client.can_read(Viewer::Visitor, "/courses/nothing", SectionField::Title).await, Ok(false));
    let forged = Viewer::Member(Arc::new("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkZWFuIn0.AAAA".into()));
    let result = client.can_read(forged, &path, SectionField::Roster).await;
    assert_eq!(result, Err(PloneError::Unauthenticated), "a forged token counts as a visitor");
}

#[actix_rt::test]
async fn a_roster_that_only_the_api_hides_counts_as_readable() {
    let plone = Plone::start_with_exposed_fields();
    let client = client(&plone);
    let path = plone.section(0);
    for viewer in [Viewer::Visitor, member(&plone, "student1")] {
        assert_eq!(client.can_read(viewer, &path, SectionField::Roster).await, Ok(true));
    }
    assert_eq!(client.can_read(Viewer::Visitor, "/courses/nothing", SectionField::Roster).await, Ok(false));
}

#[actix_rt::test]
async fn a_401_is_classified_as_forbidden_or_unauthenticated() {
    let plone = written();
    let client = client(plone);
    let news = "/news/hidden";
    let hub = plone.login(HUB, PASSWORD);
    let body = json!({"@type": "News Item", "id": "hidden", "title": "Hidden"});
    assert_eq!(plone.request("POST", "/news", Some(&hub), Some(&body)).0, 201);
    let student = member(plone, "student1");
    assert_eq!(client.news(student.clone(), news).await.map(drop), Err(PloneError::Forbidden));
    assert_eq!(client.news(Viewer::Visitor, news).await.map(drop), Err(PloneError::Forbidden));
    let forged = Viewer::Member(Arc::new("a.b.c".into()));
    assert_eq!(client.news(forged, news).await.map(drop), Err(PloneError::Unauthenticated));
    assert_eq!(plone.request("DELETE", "/@users/student1", Some(&hub), None).0, 204);
    assert_eq!(client.news(student, news).await.map(drop), Err(PloneError::Unauthenticated), "the user was deleted");
    assert!(client.news(Viewer::Hub, news).await.is_ok());
}

#[actix_rt::test]
async fn news_and_events_are_read_and_sanitized() {
    let plone = written();
    let client = client(plone);
    let hub = plone.login(HUB, PASSWORD);
    let text = "<p onclick=\"x()\">Hi <a href=\"../courses\">all</a><script>alert(1)</script></p>";
    let text = json!({"content-type": "text/html", "data": text});
    let news = json!({"@type": "News Item", "id": "unsafe", "title": "T", "text": text});
    assert_eq!(plone.request("POST", "/news", Some(&hub), Some(&news)).0, 201);
    assert_eq!(plone.request("POST", "/news/unsafe/@workflow/publish", Some(&hub), None).0, 200);
    let page = client.search(Viewer::Visitor, ContentKind::News, None, 0).await.unwrap();
    assert_eq!(page.items[0].path, "/news/unsafe", "newest first");
    let item = client.news(Viewer::Visitor, "/news/unsafe").await.unwrap();
    assert_eq!(item.text, "Hi all");
    assert!(item.html.contains("href=\"/plone/courses\"") && !item.html.contains("script"), "{}", item.html);
    assert!(!item.html.contains("onclick"), "{}", item.html);

    let event = json!({
        "@type": "Event", "id": "open-day", "title": "Open day", "location": "Hall", "subjects": ["Nursing"],
        "start": "2027-01-01T10:00:00+00:00", "end": "2027-01-01T11:00:00+00:00", "contact_name": "Dean",
    });
    assert_eq!(plone.request("POST", "", Some(&hub), Some(&event)).0, 201);
    let hits = client.search(Viewer::Hub, ContentKind::Event, None, 0).await.unwrap();
    let hit = hits.items.iter().find(|hit| hit.path == "/open-day").expect("the search finds the event");
    let event = client.event(&hit.path).await.unwrap();
    assert_eq!((event.id, event.program), (format!("plone-{}", hit.uid), "Nursing".to_owned()));
    assert_eq!(event.starts_at.to_string(), "2027-01-01T10:00:00Z");
}

#[actix_rt::test]
async fn a_wrong_hub_password_is_not_tried_on_every_call() {
    let plone = Plone::start();
    let options = PloneOptions { password: "wrong".into(), ..options(&plone.url()) };
    let client = PloneClient::new(options, Arc::new(SystemClock)).unwrap();
    for _ in 0..5 {
        let error = client.section("/courses/202701-30001").await.unwrap_err();
        assert!(error.is_transient(), "pending writes must be retried: {error}");
    }
    let attempts = plone.requests().iter().filter(|line| line.contains("login HTTP")).count();
    assert_eq!(attempts, 1);
}
