//! Imports of OneRoster bundles of students on an embedded store: completed courses and enrollments.

use eduhub::imports::{FileKind, ImportOptions};
use eduhub::store::students::StudentStore;
use serde_json::{Value, json};

use crate::college::user;
use crate::imports_hub::{Hub, options_for};
use crate::support::oneroster::zip;

/// The schedule of the term. A full section has room on its waitlist, which an import does not use.
const SCHEDULE: &str = "crn,course,component,credits,cap,wl max,linked,days,time\n\
    1,MATH 151,lecture,4,3,0,,MWF,9:00-9:50\n\
    2,ART 2,lecture,3,1,9,,TR,9:00-9:50\n\
    3,PHYS 101,lecture,4,5,0,4,MWF,11:00-11:50\n\
    4,PHYS 101,lab,0,5,0,3,R,14:00-16:50\n\
    5,LAW 9,lecture,3,5,0,,F,14:00-16:50\n";

/// The files of a bundle with a past term (`old`) and the term of the schedule (`T`).
const FILES: [(&str, &str); 9] = [
    ("manifest.csv", "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\nfile.users,bulk\n"),
    (
        "academicSessions.csv",
        "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear\n\
         old,,,Fall 2019,term,2019-09-03,2019-12-14,,2020\nT,,,Fall 2090,term,2090-09-03,2090-12-14,,2091\n",
    ),
    (
        "courses.csv",
        "sourcedId,status,title,courseCode\nm,,Calculus,MATH 151\na,,Painting,ART 2\np,,Physics,PHYS 101\nl,,LAW 9,\n",
    ),
    (
        "classes.csv",
        "sourcedId,status,title,courseSourcedId,classCode,termSourcedIds\n\
         o1,,Calculus,m,1,old\no2,,Painting,a,2,old\n\
         k1,,Calculus,m,1,T\nT-2,,Painting,a,,T\nk3,,Physics,p,3,T\nk4,,Lab,p,4,T\nk5,,Law,l,5,T\n",
    ),
    (
        "users.csv",
        "sourcedId,status,enabledUser,username,givenName,familyName,metadata.sis.note\n\
         u1,,true,ann,Ann,Lee,x\nu2,,true,bob,Bob,Ray,\nu3,,true,cyd,Cyd,Ito,\nt1,,true,prof,Pat,Oak,\n",
    ),
    (
        "roles.csv",
        "sourcedId,status,userSourcedId,roleType,role,orgSourcedId\n\
         r1,,u1,primary,student,o\nr2,,u2,primary,student,o\nr3,,u3,primary,student,o\nr4,,t1,primary,teacher,o\n",
    ),
    (
        "enrollments.csv",
        "sourcedId,status,classSourcedId,schoolSourcedId,userSourcedId,role,beginDate,endDate\n\
         e1,,k1,o,u1,student,,\ne2,,T-2,o,u1,student,,\ne3,,T-2,o,u2,student,,\ne4,,k3,o,u2,student,,\n\
         e5,,k4,o,u2,student,,\ne6,,k1,o,t1,teacher,,\ne7,,o1,o,u1,student,2019-09-03,2019-12-14\n\
         e8,tobedeleted,k5,o,u1,student,,\ne9,,o2,o,u3,student,,\n",
    ),
    (
        "lineItems.csv",
        "sourcedId,status,title,classSourcedId\nl1,,Grade,o1\nl2,,Essay,o2\nl3,,Final Grade,o2\nl4,,Grade,k1\n",
    ),
    (
        "results.csv",
        "sourcedId,status,lineItemSourcedId,studentSourcedId,scoreStatus,score,textScore,scoreDate\n\
         g1,,l1,u1,fully graded,90,B+,2019-12-20\ng2,,l2,u1,fully graded,,A,\ng3,,l3,u1,fully graded,,C,\n\
         g4,,l1,u2,fully graded,55,,\ng5,,l1,u3,partially graded,,A,\ng6,,l4,u2,fully graded,,A,\n",
    ),
];

/// Returns the bundle with these contents of a file, or without the file if `contents` is empty.
fn bundle(file: &str, contents: &str) -> Vec<u8> {
    let files = FILES.iter().map(|(name, text)| (*name, if *name == file { contents } else { text }));
    zip(&files.filter(|(_, text)| !text.is_empty()).collect::<Vec<_>>())
}

/// Returns the contents of a file of the bundle with a text replaced.
fn with(file: &str, from: &str, to: &str) -> String {
    let text = FILES.iter().find(|(name, _)| *name == file).unwrap().1;
    assert!(text.contains(from), "{file} has {from}");
    text.replacen(from, to, 1)
}

fn options() -> ImportOptions {
    ImportOptions { kind: FileKind::Students, ..ImportOptions::default() }
}

async fn college(folder: &std::path::Path) -> Hub {
    let hub = Hub::start(folder).await;
    let done = hub.import(SCHEDULE, options_for("T")).await;
    assert_eq!(done["state"], "done", "{done:#}");
    hub.open_term("T").await;
    hub
}

/// Returns the completed courses of a student as `COURSE/GRADE/TERM`.
async fn completed(hub: &Hub, name: &str) -> Vec<String> {
    let facts = hub.store.facts(&user(name)).await.unwrap().unwrap_or_default();
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or("-").to_owned();
    let all = facts.completed.unwrap_or_default();
    all.iter().map(|one| format!("{}/{}/{}", one.course, text(&one.grade), text(&one.term))).collect()
}

/// Returns the CRNs of the sections in which a student is enrolled.
fn enrolled(hub: &Hub, name: &str) -> Vec<String> {
    let term = hub.model.term(&eduhub::domain::ids::TermId::parse("T").unwrap()).unwrap();
    let all = term.registrations(&user(name));
    let mut crns: Vec<String> = all
        .iter()
        .flat_map(|all| all.iter())
        .filter(|one| one.status.as_str() == "enrolled")
        .map(|one| one.crn.to_string())
        .collect();
    crns.sort();
    crns
}

fn counts(task: &Value) -> [&Value; 4] {
    ["students", "created", "updated", "unchanged"].map(|name| &task[name])
}

/// Returns the codes of a list of findings, each with its line.
fn codes(task: &Value, list: &str) -> Vec<(String, u64)> {
    let all = task[list].as_array().unwrap();
    all.iter().map(|one| (one["code"].as_str().unwrap().to_owned(), one["line"].as_u64().unwrap())).collect()
}

#[actix_rt::test]
async fn completed_courses_are_added_and_students_are_registered() {
    let folder = tempfile::tempdir().unwrap();
    let hub = college(folder.path()).await;
    let earlier = "user,completed,grade,completed_term,credit_limit\nann,ENGL 1,A,Fall 2018,18\nann,MATH 151,F,Fall 2019,\n\
                   ann,MATH 151,W,Fall 2018,\ndan,ART 1,B,Fall 2018,\n";
    hub.import(earlier, options()).await;
    let dry = hub.import_bytes(&bundle("", ""), ImportOptions { dry_run: true, ..options() }).await;
    assert_eq!((&dry["state"], &dry["errors"]), (&json!("done"), &json!([])), "{dry:#}");
    assert_eq!(dry["enrollments"], json!({"created": 5, "unchanged": 0, "refused": 0}));
    assert_eq!(enrolled(&hub, "ann"), [""; 0], "a dry run changes nothing");

    let done = hub.import_bytes(&bundle("", ""), options()).await;

    assert_eq!((&done["state"], counts(&done)), (&json!("done"), [&json!(3), &json!(2), &json!(1), &json!(0)]));
    let expected = ["ENGL 1/A/Fall 2018", "MATH 151/B+/Fall 2019", "MATH 151/W/Fall 2018", "ART 2/C/Fall 2019"];
    assert_eq!(completed(&hub, "ann").await, expected, "only the course of the same term is replaced");
    assert_eq!(completed(&hub, "dan").await, ["ART 1/B/Fall 2018"], "dan is not in the bundle and does not change");
    let ann = serde_json::to_value(hub.store.facts(&user("ann")).await.unwrap()).unwrap();
    assert_eq!(ann["credit_limit"], 18);
    let bob = hub.store.facts(&user("bob")).await.unwrap().expect("the bundle names bob");
    assert_eq!(
        bob.completed, None,
        "a score without a grade, and a grade before the end of the term, are not imported"
    );
    // ART 2 has one seat; the lecture and the lab require each other.
    assert_eq!(
        (enrolled(&hub, "ann"), enrolled(&hub, "bob")),
        (vec!["1".into(), "2".into()], vec!["3".into(), "4".into()])
    );
    assert_eq!(done["enrollments"], json!({"created": 4, "unchanged": 0, "refused": 1}));
    assert_eq!(codes(&done, "errors"), [("enrollment_refused".to_owned(), 4)]);
    let error = &done["errors"][0];
    assert_eq!((&error["value"], &error["args"]["why"]["code"]), (&json!("T-2"), &json!("section_full")));
    let expected =
        ["roster_to_be_deleted", "roster_ended", "roster_not_ended", "roster_no_grade", "roster_no_final_grade"];
    let found = codes(&done, "warnings");
    assert_eq!(found.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>()[..5], expected, "{done:#}");
    assert_eq!(found[5..], [("roster_other_term".to_owned(), 10)]);
    let text = done.to_string();
    assert!(!["ann", "bob", "cyd", "prof"].iter().any(|name| text.contains(&format!("\"{name}\""))), "{text}");

    let again = hub.import_bytes(&bundle("", ""), options()).await;
    assert_eq!(counts(&again), [&json!(3), &json!(0), &json!(0), &json!(3)], "{again:#}");
    assert_eq!(again["enrollments"], json!({"created": 0, "unchanged": 4, "refused": 1}));
}

#[actix_rt::test]
async fn the_first_completed_courses_of_students_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let hub = college(folder.path()).await;
    let done = hub.import_bytes(&bundle("enrollments.csv", ""), options()).await;
    assert_eq!(done["state"], "done", "{done:#}");
    let warning = &done["warnings"][0];
    assert_eq!((&warning["code"], &warning["args"]), (&json!("roster_first_completed"), &json!({"n": 1})), "{done:#}");
}

#[actix_rt::test]
async fn dropped_waiting_and_unmatched_enrollments_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let hub = college(folder.path()).await;
    hub.register("T", "ann", "1").await;
    hub.drop_section("T", "ann", "1").await;
    hub.register("T", "cyd", "2").await;
    let classes = with("classes.csv", "k3,,Physics,p,3,T", "k3,,Physics,l,3,T");
    let classes = classes.replace("k4,,Lab,p,4,T", "k4,,Lab,p,99,T");
    let done = hub.import_bytes(&bundle("classes.csv", &classes), options()).await;
    assert_eq!((&done["state"], enrolled(&hub, "ann")), (&json!("done"), Vec::new()), "{done:#}");
    let found = codes(&done, "warnings");
    for expected in [("enrollment_dropped", 2), ("roster_other_course", 5), ("roster_no_section", 6)] {
        assert!(found.contains(&(expected.0.to_owned(), expected.1)), "{expected:?}: {found:?}");
    }
    assert_eq!(done["enrollments"], json!({"created": 0, "unchanged": 0, "refused": 2}), "ART 2 is full");
    assert!(enrolled(&hub, "bob").is_empty() && enrolled(&hub, "cyd") == ["2"]);
}

#[actix_rt::test]
async fn a_bundle_with_an_error_changes_nothing() {
    // Blank rows: 65 MiB of spaces, which need 70 KiB in the archive.
    let large = "sourcedId,username\n".to_owned() + &format!("{},\n", " ".repeat(200_000)).repeat(340);
    let folder = tempfile::tempdir().unwrap();
    let hub = college(folder.path()).await;
    let table = [
        ("manifest.csv", String::new(), "roster_no_file"),
        ("manifest.csv", with("manifest.csv", "version,1.2", "version,2.0"), "roster_version"),
        ("lineItems.csv", String::new(), "roster_no_file"),
        ("users.csv", String::new(), "roster_no_file"),
        ("roles.csv", String::new(), "roster_no_file"),
        ("classes.csv", String::new(), "roster_no_file"),
        ("lineItems.csv", String::new(), "roster_no_file"),
        ("users.csv", with("users.csv", "username", "login"), "roster_no_column"),
        ("users.csv", with("users.csv", "metadata.sis.note", "note"), "roster_unknown_column"),
        ("users.csv", with("users.csv", "metadata.sis.note", "familyname"), "roster_column_twice"),
        ("users.csv", with("users.csv", "u2,,true,bob", "u1,,true,bob"), "roster_same_id"),
        ("users.csv", with("users.csv", "bob", "ann"), "roster_same_user"),
        ("users.csv", with("users.csv", "bob", "b o b"), "username_form"),
        ("users.csv", with("users.csv", "u2,,", "u2,gone,"), "roster_status"),
        ("users.csv", with("users.csv", "x\n", "x,y\n"), "cell_count"),
        ("users.csv", with("users.csv", "u1,", ","), "roster_cell_empty"),
        ("academicSessions.csv", with("academicSessions.csv", "2019-12-14", "12/14/2019"), "roster_date"),
        ("academicSessions.csv", with("academicSessions.csv", "2019-12-14", ""), "roster_cell_empty"),
        ("classes.csv", with("classes.csv", ",m,1,old", ",x,1,old"), "roster_unknown_id"),
        ("enrollments.csv", with("enrollments.csv", "e1,,k1", "e1,,k9"), "roster_unknown_id"),
        ("enrollments.csv", with("enrollments.csv", "t1,teacher", "t1,student"), "roster_not_student"),
        ("enrollments.csv", with("enrollments.csv", "2019-12-14", "2019-13-14"), "roster_date"),
        ("results.csv", with("results.csv", "B+", "a very long grade"), "fact_too_long"),
        ("results.csv", with("results.csv", "g1,,l1", "g1,,l9"), "roster_unknown_id"),
        ("users.csv", large, "roster_too_large"),
    ];
    for (file, contents, code) in table {
        let partial = ImportOptions { partial: true, ..options() };
        let task = hub.import_bytes(&bundle(file, &contents), partial).await;
        let head: String = contents.chars().take(80).collect();
        assert_eq!(task["state"], "failed", "{file} {head}: {task:#}");
        assert!(codes(&task, "errors").iter().any(|(found, _)| found == code), "{file} {head}, {code}: {task:#}");
        assert_eq!((enrolled(&hub, "ann"), hub.store.facts(&user("ann")).await.unwrap()), (Vec::new(), None));
    }
}

#[actix_rt::test]
async fn version_1_1_bundles_are_read_with_roles_in_the_users_file() {
    let folder = tempfile::tempdir().unwrap();
    let hub = college(folder.path()).await;
    let files = [
        ("manifest.csv", "propertyName,value\noneroster.version,1.1\n"),
        ("users.csv", "\u{feff}sourcedId,role,username\nu1,student,ann\nt1,teacher,prof\n"),
    ];
    let done = hub.import_bytes(&zip(&files), options()).await;
    assert_eq!(
        (&done["state"], counts(&done)),
        (&json!("done"), [&json!(1), &json!(1), &json!(0), &json!(0)]),
        "{done:#}"
    );
    assert_eq!(hub.store.facts(&user("prof")).await.unwrap(), None);
    assert_eq!(done["enrollments"], json!({"created": 0, "unchanged": 0, "refused": 0}));
}
