//! Tests of how a store keeps the audit trail with the people in its entries, exports what is stored about a person,
//! and erases a person.

use std::sync::Arc;

use eduhub::domain::alert::{Alert, AlertContent, Category, Priority};
use eduhub::domain::audience::Audience;
use eduhub::domain::audit_detail::{AuditDetail, Detail};
use eduhub::domain::command::{Command, TermPatch};
use eduhub::domain::plan::{PlanName, PlannedSection};
use eduhub::domain::rights::{Rights, Subjects};
use eduhub::domain::role::Role;
use eduhub::domain::student::StudentFacts;
use eduhub::store::accounts::{Account, AccountStore, AuditEntry, AuditFilter, AuditStore, Person};
use eduhub::store::alerts::{Ack, AlertStore, Entry, Reader, Span};
use eduhub::store::plans::{Plan, PlanStore};
use eduhub::store::privacy::{Erasure, ErasureOutcome, PrivacyStore};
use eduhub::store::students::StudentStore;
use eduhub::store::terms::TermStore;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use super::fixture::{StoreFixture, StoredTerm, block_on, load};
use crate::college::{drop_section, id, minute, register, section, term_id, user};

/// The pseudonym of the tests.
const PSEUDONYM: &str = "erased-1";

fn now() -> ZonedDateTime {
    minute(5).to_zoned_datetime(TimeZone::UTC)
}

fn entry(at: i64, by: &str, subject: Option<&str>) -> AuditEntry {
    AuditEntry {
        at: minute(at),
        user: Some(user(by)),
        role: Some(Role::Staff),
        ip: Some("127.0.0.1".to_owned()),
        action: "roster.read".to_owned(),
        subject: subject.map(str::to_owned),
        section: Some(id("X")),
        detail: AuditDetail::Drop.because(by).into(),
        request_id: None,
    }
}

/// Returns an entry about a user.
fn about(by: &str, subject: &str) -> AuditEntry {
    AuditEntry { action: "user.change".to_owned(), ..entry(1, by, Some(subject)) }
}

fn trail<S: AuditStore>(store: &S) -> Vec<AuditEntry> {
    block_on(store.page(AuditFilter { limit: 1_000, ..AuditFilter::default() })).unwrap().items
}

fn alert(id: &str, audience: Audience) -> Alert {
    let content = AlertContent {
        title: id.to_owned(),
        message: "A message".to_owned(),
        priority: Priority::Low,
        category: Category::System,
        audience,
        starts_at: None,
        expires_at: None,
        requires_ack: false,
        notice: None,
        cap: None,
    };
    let (id, source, sender) = (id.to_owned(), "staff".to_owned(), "sam".to_owned());
    Alert { id, seq: None, content, source, sender, sender_name: Some("Sam Reyes".to_owned()), created_at: minute(1) }
}

fn audience(json: &str) -> Audience {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn a_reader_below_staff_gets_only_visible_parts_of_alerts<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("Y")]);
    term.run_one(register("ann", "X"));
    let whole = audience(r#"{"sections":["2027-Y","2027-X"],"courses":["COURSE X"],"users":["bob","ann"]}"#);
    block_on(term.store.post(alert("a", whole.clone()), now())).unwrap();
    let term = term.reopen();
    let ann = audience(r#"{"sections":["2027-X"],"courses":["COURSE X"],"users":["ann"]}"#);
    let table = [
        ("ann", Role::Student, &ann, "Sam Reyes"),
        ("bob", Role::Student, &Audience::for_user(user("bob")), "Sam Reyes"),
    ];
    for (name, role, expected, sender) in table.into_iter().chain([("ann", Role::Staff, &whole, "sam")]) {
        let name = user(name);
        let reader = || Reader::new(Some((&name, role)), "The college".into());
        let span = Span { since: 0, until: None, limit: 10 };
        let pages = [term.store.visible_to(reader(), span), term.store.active(reader(), span, minute(2))];
        for page in pages.map(|page| block_on(page).unwrap()) {
            let [(_, Entry::Alert(alert))] = page.items.as_slice() else { panic!("{page:?}") };
            assert_eq!((&alert.content.audience, alert.sender.as_str()), (expected, sender), "{name} {role}");
        }
    }
}

pub(crate) fn disclosures_are_listed_to_each_person_whom_they_name<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let person = |username: &str, name: &str| Person {
        username: user(username),
        name: name.to_owned(),
        role: Role::Staff,
        source: None,
        last_seen: minute(0),
    };
    block_on(store.record_people(vec![person("sam", "Sam Reyes"), person("kim", "kim")])).unwrap();
    block_on(store.append(vec![entry(0, "sam", None)])).unwrap();
    let first = block_on(store.disclose(entry(1, "sam", None), vec![user("ann"), user("bob")])).unwrap();
    let second = block_on(store.disclose(entry(2, "kim", None), vec![user("ann")])).unwrap();
    block_on(store.add_people(second, vec![user("ann"), user("cid")])).unwrap();
    drop(store);
    let store = fixture.open();
    let of = |name: &str, before, limit| {
        let found = block_on(store.disclosures_of(&user(name), before, limit)).unwrap();
        found.into_iter().map(|entry| (entry.number, entry.name, entry.section)).collect::<Vec<_>>()
    };
    let by_sam = (first, Some("Sam Reyes".to_owned()), Some(id("X")));
    let by_kim = (second, None, Some(id("X")));
    assert_eq!(of("ann", None, 10), [by_kim.clone(), by_sam.clone()]);
    assert_eq!(of("ann", None, 1), std::slice::from_ref(&by_kim));
    assert_eq!(of("ann", Some(second), 10), std::slice::from_ref(&by_sam));
    assert_eq!((of("bob", None, 10), of("cid", None, 10)), (vec![by_sam], vec![by_kim]));
    assert_eq!((of("dan", None, 10).len(), trail(&store).len()), (0, 3));
}

pub(crate) fn old_audit_entries_are_deleted_with_their_people<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for at in [1, 2, 3, 4] {
        block_on(store.disclose(entry(at, "sam", None), vec![user("ann")])).unwrap();
    }
    assert_eq!(block_on(store.delete_entries_before(minute(4), 2)).unwrap(), 2, "bounded");
    assert_eq!(block_on(store.delete_entries_before(minute(4), 2)).unwrap(), 1);
    assert_eq!(block_on(store.delete_entries_before(minute(4), 2)).unwrap(), 0);
    drop(store);
    let store = fixture.open();
    let left: Vec<Timestamp> = trail(&store).iter().map(|entry| entry.at).collect();
    assert_eq!(left, [minute(4)]);
    assert_eq!(block_on(store.disclosures_of(&user("ann"), None, 10)).unwrap().len(), 1);
}

/// Stores data about `ann`: an account, facts, a plan, alerts, an acknowledgement and audit entries.
fn store_everything<S>(store: &S)
where
    S: AccountStore + AuditStore + AlertStore + PlanStore + StudentStore,
{
    let account = Account {
        username: user("ann"),
        name: "Ann Lee".to_owned(),
        rights: Rights::new(Role::Staff, Some(Subjects::parse(&["MATH"]).unwrap())),
        password_hash: "$argon2id$".to_owned(),
    };
    block_on(store.put_account(account.clone(), None)).unwrap();
    assert_eq!(block_on(store.account(&user("ann"))).unwrap(), Some(account));
    let person = Person {
        username: user("ann"),
        name: "Ann Lee".to_owned(),
        role: Role::Student,
        source: None,
        last_seen: minute(1),
    };
    block_on(store.record_people(vec![person])).unwrap();
    block_on(store.put_facts([(user("ann"), Some(Arc::default()))].into())).unwrap();
    block_on(store.put_plan(&user("ann"), plan_of_x())).unwrap();
    block_on(store.post(alert("a", audience(r#"{"users":["ann","bob"]}"#)), now())).unwrap();
    block_on(store.post(Alert { sender: "ann".to_owned(), ..alert("b", Audience::everyone()) }, now())).unwrap();
    let scheduled = alert("c", audience(r#"{"users":["ann"]}"#));
    let content = AlertContent { starts_at: Some(minute(9_000)), ..scheduled.content.clone() };
    block_on(store.post(Alert { content, ..scheduled }, now())).unwrap();
    let ack = Ack { alert: "a".to_owned(), user: user("ann"), role: Role::Student, at: minute(2) };
    assert_eq!(block_on(store.ack(vec![ack])).unwrap(), [true]);
    block_on(store.append(vec![entry(1, "ann", None), about("sam", "ann")])).unwrap();
    block_on(store.disclose(entry(2, "sam", None), vec![user("ann"), user("bob")])).unwrap();
}

fn plan_of_x() -> Plan {
    Plan { name: PlanName::default(), sections: vec![PlannedSection::new(id("X"))] }
}

pub(crate) fn the_stored_data_about_a_person_is_exported<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(2), section("Y")]);
    for command in [register("ann", "X"), register("ann", "Y"), drop_section("ann", "Y"), register("bob", "X")] {
        term.run_one(command);
    }
    store_everything(&term.store);
    let store = &term.store;
    let record = block_on(store.record_of(&user("ann"))).unwrap();
    let registrations: Vec<String> =
        record.registrations.iter().map(|(term, r)| format!("{term}-{} {}", r.crn, r.status.as_str())).collect();
    assert_eq!(registrations, ["2027-X enrolled", "2027-Y dropped"]);
    assert_eq!(
        (record.plans, record.user.as_ref().map(|user| user.name.as_str())),
        (vec![plan_of_x()], Some("Ann Lee"))
    );
    assert_eq!(record.facts, Some(StudentFacts::default()));
    assert_eq!(record.user.and_then(|user| user.subjects), Some(Subjects::parse(&["MATH"]).unwrap()));
    let alert = block_on(store.alert("c")).unwrap().expect("a scheduled alert");
    assert_eq!((alert.id.as_str(), alert.seq), ("c", None));
    assert!(block_on(store.alert("z")).unwrap().is_none());
    let alerts = block_on(store.alerts_to(&user("ann"), None, 10)).unwrap();
    assert_eq!(alerts.iter().map(|alert| alert.id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(block_on(store.alerts_to(&user("ann"), Some("a".to_owned()), 10)).unwrap(), []);
    let acks = block_on(store.acks_of(&user("ann"), None, 10)).unwrap();
    assert_eq!(acks.iter().map(|ack| (ack.alert.as_str(), ack.at)).collect::<Vec<_>>(), [("a", minute(2))]);
    let nothing = block_on(store.record_of(&user("zoe"))).unwrap();
    assert!(nothing.user.is_none() && nothing.registrations.is_empty() && nothing.plans.is_empty());
}

pub(crate) fn an_erased_person_is_replaced_by_the_pseudonym<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(2), section("Y")]);
    for command in [register("ann", "X"), register("ann", "Y"), drop_section("ann", "Y"), register("bob", "X")] {
        term.run_one(command);
    }
    store_everything(&term.store);
    let erase = |store: &F::Store, name: &str| {
        let erasure = Erasure { user: user(name), login: None, pseudonym: user(PSEUDONYM), now: now() };
        block_on(store.erase(erasure)).unwrap()
    };
    assert_eq!(erase(&term.store, "ann"), ErasureOutcome::Registered(vec![term_id()]));
    assert_eq!(block_on(term.store.current_terms_of(&user("ann"), now())).unwrap(), [term_id()]);
    assert!(block_on(term.store.account(&user("ann"))).unwrap().is_some(), "a refused erasure changes nothing");
    let ended = TermPatch { ends_on: Some("2026-01-01".parse().ok()), ..TermPatch::default() };
    term.run_one(Command::PutTerm(ended));

    assert_eq!(erase(&term.store, "ann"), ErasureOutcome::Erased(vec![term_id()]));
    assert_eq!(erase(&term.store, "ann"), ErasureOutcome::Unknown);
    let term = term.reopen();
    let store = &term.store;
    let rows = block_on(store.load(&term_id())).unwrap();
    let mut registrations: Vec<String> =
        rows.registrations.iter().map(|(name, r)| format!("{name} {} {}", r.crn, r.status.as_str())).collect();
    registrations.sort_unstable();
    assert_eq!(registrations, ["bob X enrolled", "erased-1 X enrolled", "erased-1 Y dropped"]);
    let enrolled = load(store).sections.iter().map(|section| section.state.enrolled).sum::<u32>();
    assert_eq!(enrolled, 2, "the counts stay correct");

    let record = block_on(store.record_of(&user("ann"))).unwrap();
    assert!(record.user.is_none() && record.plans.is_empty() && record.registrations.is_empty());
    assert!(record.facts.is_none() && load(store).facts.is_empty());
    assert_eq!(block_on(store.disclosures_of(&user("ann"), None, 10)).unwrap(), []);
    assert_eq!(block_on(store.disclosures_of(&user("bob"), None, 10)).unwrap().len(), 1);
    let trail = format!("{:?}", trail(store));
    assert!(!trail.contains("ann") && trail.contains(PSEUDONYM), "{trail}");
    let log = format!("{:?} {:?}", block_on(store.log_after(0, 10)), block_on(store.scheduled(10)));
    assert!(!log.contains("\"ann\"") && log.contains(PSEUDONYM), "{log}");
    let receipts = block_on(store.receipts("a", 10)).unwrap().unwrap();
    let acknowledged: Vec<&str> = receipts.acknowledged.iter().map(|receipt| receipt.user.as_str()).collect();
    assert_eq!(acknowledged, [PSEUDONYM], "receipts stay correct");
}

pub(crate) fn other_resources_with_the_name_of_a_person_are_kept<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let named = |action: &str, detail: Detail, by: &str, subject: &str| AuditEntry {
        action: action.to_owned(),
        detail,
        ..entry(1, by, Some(subject))
    };
    // A username may be the name of a term, and may contain wildcards of SQL and characters that JSON escapes.
    let name = "2027_\"";
    let write_of = |user: &str| {
        let what = Box::new(AuditDetail::PloneStatus { method: "POST".to_owned(), status: 204 });
        AuditDetail::AsPloneUser { what, user: user.to_owned() }.into()
    };
    let withheld_from =
        |sender: &str| AuditDetail::Withheld { title: "Snow".to_owned(), sender: sender.to_owned() }.into();
    let text_is_shortened = Detail { text: "drop".to_owned(), ..AuditDetail::Drop.because(name).into() };
    let entries = vec![
        named("term.change", Detail::of_fields(vec![("title", "Fall".to_owned())], ", "), "sam", name),
        named("user.change", AuditDetail::Rights { role: "staff".to_owned() }.into(), "sam", name),
        named("login", AuditDetail::LocalAccount.into(), name, name),
        named("plone.write", write_of(name), "sam", "/plone/x"),
        named("plone.write", write_of("20271\""), "sam", "/plone/y"),
        named("alert.withhold", withheld_from(name), "sam", "1"),
        named("alert.withhold", withheld_from("kim"), "sam", "2"),
        named("student.registration", text_is_shortened, name, "bob"),
        named("student.registration", AuditDetail::Drop.because("late").into(), name, "bob"),
        named("import.start", "{}".into(), name, "7"),
    ];
    block_on(store.append(entries)).unwrap();
    let filter = AuditFilter { person: Some(user(name)), limit: 10, ..AuditFilter::default() };
    let mut own: Vec<_> = block_on(store.page(filter)).unwrap().items.into_iter().map(|entry| entry.action).collect();
    own.sort_unstable();
    let expected = ["import.start", "login", "student.registration", "student.registration", "user.change"];
    assert_eq!(own, expected, "the export has entries of and about the person");

    let erasure = Erasure { user: user(name), login: None, pseudonym: user(PSEUDONYM), now: now() };
    assert_eq!(block_on(store.erase(erasure)).unwrap(), ErasureOutcome::Erased(Vec::new()));
    let mut left: Vec<_> = trail(&store)
        .into_iter()
        .map(|AuditEntry { action, subject, detail, .. }| {
            let code = detail.coded.map(|coded| coded.code).unwrap_or_default();
            format!("{action} {}: {} ({code})", subject.unwrap_or_default(), detail.text)
        })
        .collect();
    left.sort_unstable();
    let expected = [
        "alert.withhold 1:  ()",
        "alert.withhold 2: Snow: kim has been limited to other subjects since it was scheduled (withheld)",
        "import.start 7: {} ()",
        "login erased-1:  ()",
        "plone.write /plone/x:  ()",
        "plone.write /plone/y: POST: status 204; Plone's own sign-in of 20271\" (as_plone_user)",
        "student.registration bob:  ()",
        "student.registration bob: drop; late (with_reason)",
        "term.change 2027_\": title: Fall (fields)",
        "user.change erased-1:  ()",
    ];
    assert_eq!(left, expected);
}
