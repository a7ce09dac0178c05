//! Terms as OneRoster bundles: the export, read by another program, and imports of bundles of this and other systems.

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::oneroster::{Bundle, ids, read, zip};
use crate::support::schedule::{open_term, start_import, wait_for_import};
use crate::support::server::{Home, Server};

const TERM: &str = "203009";

const SCHEDULE: &str = "crn,course,component,section,title,credits,instructor,capacity,waitlist_capacity,days,time,start,end,\
    location\n\
    1,MATH 151,lecture,A01,Calculus,4,Ann Lee,30,5,MWF,09:00-09:50,2030-09-03,2030-12-13,Elm 105\n\
    1,MATH 151,lecture,A01,Calculus,4,Ann Lee,30,5,R,18:00-20:50,2030-09-03,2030-10-18,\"Elm 7; wing|B\"\n\
    2,MATH 151,lab,,,0,,12,0,,,2030-09-03,2030-12-13,\n\
    3,ART 2,lecture,B01,\"=SUM(A1), \"\"safe\"\"\",1.5,Bob Ray,1,9,TR,13:00-14:20,2030-09-03,2030-12-13,Oak 1\n\
    4,LAW 9,lecture,,Torts,3,,20,0,,,2030-09-03,2030-12-13,\n";

fn export(client: &mut Client) -> Vec<u8> {
    let response = client.get(&format!("/api/v1/export/oneroster.zip?term={TERM}")).expect(200);
    assert_eq!(response.header("content-type"), Some("application/zip"));
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    let name = format!("attachment; filename=\"oneroster-{TERM}.zip\"");
    assert_eq!(response.header("content-disposition"), Some(name.as_str()));
    response.body
}

fn import(staff: &mut Client, query: &str, bytes: &[u8]) -> Value {
    let path = format!("/api/v1/imports?{query}");
    let started = staff.call("POST", &path, &[("Content-Type", "application/zip")], bytes).expect("a response");
    let task = started.expect(202).json()["task"].as_str().expect("a task").to_owned();
    wait_for_import(staff, &task)
}

/// Imports the students of a bundle.
fn import_students(staff: &mut Client, dry_run: bool, bytes: &[u8]) -> Value {
    let path = format!("/api/v1/students/import?dry_run={dry_run}");
    let started = staff.call("POST", &path, &[("Content-Type", "application/zip")], bytes).expect("a response");
    let task = started.expect(202).json()["task"].as_str().expect("a task").to_owned();
    wait_for_import(staff, &task)
}

/// Imports the schedule, and registers two students: one who has only a token, and one with an account and a display
/// name.
fn college(home: &Home, server: &Server) -> Client {
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let task = start_import(&mut staff, TERM, SCHEDULE.as_bytes());
    let done = wait_for_import(&mut staff, &task);
    assert_eq!((&done["state"], &done["created"]), (&json!("done"), &json!(4)), "{done:#}");
    open_term(&mut staff, TERM);
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let account = json!({"role": "student", "name": "Zoë de la Cruz", "password": "correct horse battery"});
    admin.put_json("/api/v1/admin/users/zoe@example.edu", &account).expect(201);
    for (user, sections) in [("zoe@example.edu", &["1", "3"][..]), ("bob", &["1", "4", "3?waitlist=true"][..])] {
        let mut student = server.client().signed_in(&home.token(user, "student"));
        for crn in sections {
            student.put(&format!("/api/v1/me/registrations/{TERM}-{crn}")).expect(201);
        }
    }
    staff.patch_json(&format!("/api/v1/sections/{TERM}-4"), &json!({"status": "cancelled"})).expect(200);
    staff
}

fn cells<'b>(bundle: &'b Bundle, name: &str, id: &str, columns: &[&str]) -> Vec<&'b str> {
    let row = bundle[name].iter().find(|row| row["sourcedId"] == id);
    let row = row.unwrap_or_else(|| panic!("no {id} in {name}: {:?}", bundle[name]));
    columns.iter().map(|column| row[*column].as_str()).collect()
}

#[test]
fn another_program_reads_the_exported_term() {
    let home = Home::new().setting("college.name", "Elm College");
    let server = home.serve();
    let mut staff = college(&home, &server);
    let bundle = read(home.folder(), &export(&mut staff));
    let session = ["title", "type", "startDate", "endDate", "schoolYear", "status", "dateLastModified"];
    let expected = [TERM, "term", "2030-09-03", "2030-12-14", "2031", "", ""];
    assert_eq!(cells(&bundle, "academicSessions.csv", TERM, &session), expected);
    assert_eq!(cells(&bundle, "orgs.csv", "college", &["name", "type"]), ["Elm College", "school"]);
    assert_eq!(ids(&bundle, "courses.csv"), ["course-ART_202", "course-MATH_20151"]);
    assert_eq!(ids(&bundle, "classes.csv"), ["203009-1", "203009-2", "203009-3"], "without the cancelled section");
    let class =
        ["title", "courseSourcedId", "classCode", "classType", "location", "termSourcedIds", "subjects", "periods"];
    assert_eq!(
        cells(&bundle, "classes.csv", "203009-1", &class),
        [
            "Calculus",
            "course-MATH_20151",
            "1",
            "scheduled",
            "Elm 105; Elm 7; wing|B",
            TERM,
            "MATH",
            "MWF 09:00-09:50,R 18:00-20:50"
        ]
    );
    let own = ["section", "component", "credits", "instructor", "capacity", "waitlist_capacity"];
    let own = own.map(|name| format!("metadata.eduhub.{name}"));
    let own = own.each_ref().map(String::as_str);
    assert_eq!(cells(&bundle, "classes.csv", "203009-3", &own), ["B01", "lecture", "1.5", "Bob Ray", "1", "9"]);
    assert_eq!(cells(&bundle, "classes.csv", "203009-3", &["title"]), ["'=SUM(A1), \"safe\""]);
    let user = ["username", "givenName", "familyName", "enabledUser"];
    let zoe = "user-zoe@example.edu";
    assert_eq!(cells(&bundle, "users.csv", zoe, &user), ["zoe@example.edu", "Zoë de la", "Cruz", "true"]);
    assert_eq!(cells(&bundle, "users.csv", "user-bob", &user[..3]), ["bob", "bob", "bob"]);
    assert_eq!(bundle["roles.csv"].len(), 2);
    let enrolled: Vec<_> = bundle["enrollments.csv"]
        .iter()
        .map(|row| (row["classSourcedId"].as_str(), row["userSourcedId"].as_str(), row["role"].as_str()))
        .collect();
    let (one, three) = ("203009-1", "203009-3");
    let expected = [(one, "user-bob", "student"), (one, zoe, "student"), (three, zoe, "student")];
    assert_eq!(enrolled, expected, "without waitlists or cancelled sections");
    // The audit trail records who received the students' data, and the students see it.
    let mut zoe = server.client().signed_in(&home.token("zoe@example.edu", "student"));
    let reads = zoe.get("/api/v1/me/disclosures").expect(200).json();
    assert_eq!(reads["items"][0]["action"], "enrollments.export", "{reads}");
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let trail = admin.get("/api/v1/admin/audit?action=enrollments.export").expect(200).json();
    assert_eq!((&trail["items"][0]["subject"], &trail["items"][0]["detail"]), (&json!(TERM), &json!("2 people")));
}

#[test]
fn a_term_without_days_and_an_unknown_term_are_refused() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let task = start_import(&mut staff, TERM, b"crn,course,credits,cap\n1,ART 1,3,5\n");
    wait_for_import(&mut staff, &task);
    for (query, text) in
        [(format!("?term={TERM}"), "last day"), ("?term=1999".into(), "no such"), (String::new(), "missing")]
    {
        let refused = staff.get(&format!("/api/v1/export/oneroster.zip{query}")).expect(422).json();
        assert_eq!(refused["field"], "term");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(text)), "{refused}");
    }
    let days = json!({"starts_on": "2030-01-07", "ends_on": "2030-05-10"});
    staff.put_json(&format!("/api/v1/terms/{TERM}"), &days).expect(200);
    let bundle = read(home.folder(), &export(&mut staff));
    let session = cells(&bundle, "academicSessions.csv", TERM, &["startDate", "endDate", "schoolYear"]);
    assert_eq!(session, ["2030-01-07", "2030-05-11", "2030"]);
    assert_eq!((bundle["users.csv"].len(), bundle["enrollments.csv"].len()), (0, 0));
}

#[test]
fn the_exported_bundle_changes_nothing_and_fills_another_hub() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = college(&home, &server);
    let bytes = export(&mut staff);
    let again = import(&mut staff, "dry_run=false&totals=true", &bytes);
    let counts = ["created", "updated", "unchanged", "refused"].map(|name| again[name].as_u64());
    assert_eq!(counts, [Some(0), Some(0), Some(3), Some(0)], "{again:#}");
    let messages: Vec<&str> =
        again["warnings"].as_array().unwrap().iter().filter_map(|warning| warning["message"].as_str()).collect();
    assert_eq!(messages, ["Enrollments are not imported (enrollments.csv, rows: 3): students register in EduHub"]);
    assert_eq!((&again["sheet"], &again["missing"]), (&json!("classes.csv"), &json!([format!("{TERM}-4")])));

    let other = Home::new();
    let server = other.serve();
    let mut desk = server.client().signed_in(&other.token("desk", "staff"));
    let done = import(&mut desk, "dry_run=false", &bytes);
    assert_eq!(
        (&done["state"], &done["term"], &done["created"]),
        (&json!("done"), &json!(TERM), &json!(3)),
        "{done:#}"
    );
    let section = |client: &mut Client, crn: &str| {
        let mut shown = client.get(&format!("/api/v1/sections/{TERM}-{crn}")).expect(200).json();
        // Registrations are not imported.
        for name in ["enrolled", "waitlisted", "open"] {
            shown[name] = Value::Null;
        }
        shown
    };
    for crn in ["1", "2", "3"] {
        assert_eq!(section(&mut desk, crn), section(&mut staff, crn));
    }
}

#[test]
fn exported_students_change_nothing_and_fill_another_hub() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = college(&home, &server);
    let bytes = export(&mut staff);
    let counts =
        |task: &Value| ["students", "created", "updated", "unchanged", "refused"].map(|name| task[name].as_u64());
    let trail = |client: &mut Client, action: &str| {
        let trail = client.get(&format!("/api/v1/admin/audit?action={action}")).expect(200).json();
        let details = trail["items"].as_array().expect("items").iter().map(|item| item["detail"].to_string());
        details.filter(|detail| detail.contains("OneRoster import")).count()
    };
    let again = import_students(&mut staff, false, &bytes);
    assert_eq!(
        (&again["state"], counts(&again)),
        (&json!("done"), [Some(2), Some(0), Some(0), Some(2), Some(0)]),
        "{again:#}"
    );
    assert_eq!(again["enrollments"], json!({"created": 0, "unchanged": 3, "refused": 0}));
    assert_eq!((&again["errors"], &again["warnings"]), (&json!([]), &json!([])));
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    assert_eq!(trail(&mut admin, "student.registration"), 0, "nothing was requested");

    let other = Home::new();
    let server = other.serve();
    let mut desk = server.client().signed_in(&other.token("desk", "staff"));
    assert_eq!(import(&mut desk, "dry_run=false", &bytes)["state"], "done");
    let closed = import_students(&mut desk, false, &bytes);
    assert_eq!(closed["enrollments"], json!({"created": 0, "unchanged": 0, "refused": 3}), "{closed:#}");
    assert_eq!(closed["errors"][0]["message"], "The student was not registered: registration is closed");
    open_term(&mut desk, TERM);
    let dry = import_students(&mut desk, true, &bytes);
    assert_eq!(dry["enrollments"], json!({"created": 3, "unchanged": 0, "refused": 0}), "{dry:#}");
    let done = import_students(&mut desk, false, &bytes);
    assert_eq!(done["enrollments"], json!({"created": 3, "unchanged": 0, "refused": 0}), "{done:#}");
    let rows = |folder: &Home, bytes: &[u8]| read(folder.folder(), bytes)["enrollments.csv"].clone();
    assert_eq!(rows(&other, &export(&mut desk)), rows(&home, &bytes), "the same registrations");
    let mut admin = server.client().signed_in(&other.token("root", "admin"));
    assert_eq!(trail(&mut admin, "student.registration"), 6, "an entry for each request, refused ones included");
    let attempts = desk.get("/api/v1/students/bob/attempts").expect(200).json();
    let by: Vec<_> =
        attempts["items"].as_array().expect("items").iter().map(|one| (&one["by"], &one["result"])).collect();
    assert_eq!(by, [(&json!("staff"), &json!("enrolled")), (&json!("staff"), &json!("registration_closed"))]);
}

const MANIFEST: &str = "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\nfile.classes,bulk\n";
const SESSIONS: &str = "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear\n\
    fall,,,Fall,term,2030-09-03,2030-12-14,,2031\n";
const COURSES: &str = "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,\
    subjectCodes\n\
    c1,,,,Calculus,MATH 151,,o,,\nc2,,,,ART 2,,,o,,\n";
const CLASSES: &str = "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,\
    schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods,metadata.sis.seats\n\
    k1,,,\"Calculus\nfor all\",,c1,M-1,scheduled,Elm 105,o,fall,,,\"MWF 9:00-9:50, R 18:00-18:50\",30\n\
    k2,,,ART 2,,c2,A-1,scheduled,,o,fall,,,\"2,3\",12\n";
const ENROLLMENTS: &str = "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role\n\
    e1,,,k1,o,u,student\ne2,,,k1,o,t,teacher\n";

#[test]
fn classes_of_another_system_are_imported_without_enrollments() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let files = |classes| {
        let common = [("manifest.csv", MANIFEST), ("academicSessions.csv", SESSIONS), ("courses.csv", COURSES)];
        zip(&[&common[..], &[("classes.csv", classes), ("enrollments.csv", ENROLLMENTS)]].concat())
    };
    let refused = import(&mut staff, "dry_run=true", &files(CLASSES));
    assert_eq!(refused["state"], "failed");
    assert!(refused["errors"][0]["message"].as_str().is_some_and(|text| text.contains("capacity")), "{refused:#}");
    let done = import(&mut staff, "dry_run=false&map=metadata.sis.seats:capacity", &files(CLASSES));
    assert_eq!(
        (&done["state"], &done["term"], &done["created"]),
        (&json!("done"), &json!("fall"), &json!(2)),
        "{done:#}"
    );
    let warnings = done["warnings"].to_string();
    assert!(warnings.contains("enrollments.csv, rows: 2") && warnings.contains("periods of 1 class are"), "{warnings}");
    let list = staff.get("/api/v1/sections?term=fall").expect(200).json();
    let items: Vec<_> = list["items"].as_array().unwrap().iter().collect();
    let shown = |at: usize, name: &str| items[at][name].clone();
    assert_eq!((shown(0, "crn"), shown(0, "course"), shown(0, "capacity")), (json!("A-1"), json!("ART 2"), json!(12)));
    assert_eq!((shown(1, "course"), shown(1, "title")), (json!("MATH 151"), json!("Calculus for all")));
    let meetings = shown(1, "meetings");
    let of = |at: usize| json!([meetings[at]["days"], meetings[at]["start"], meetings[at]["ends_on"]]);
    assert_eq!(of(0), json!([["mon", "wed", "fri"], "09:00", "2030-12-13"]), "{meetings:#}");
    assert_eq!(of(1), json!([["thu"], "18:00", "2030-12-13"]), "{meetings:#}");
}

/// Returns a bundle of a manifest and other files.
fn with(manifest: &str, files: &[(&str, &str)]) -> Vec<u8> {
    zip(&[&[("manifest.csv", manifest)][..], files].concat())
}

#[test]
fn bundles_that_cannot_be_imported_are_refused_with_a_reason() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let old = MANIFEST.replace("oneroster.version,1.2", "oneroster.version,1.0");
    let delta = MANIFEST.replace("classes,bulk", "classes,delta");
    let header = CLASSES.lines().take(2).collect::<Vec<_>>().join("\n");
    let header = header.split("k1").next().unwrap();
    let open_quote = format!("{header}k1,,,\"Calculus\n");
    let whole = [("academicSessions.csv", SESSIONS), ("courses.csv", COURSES), ("classes.csv", CLASSES)];
    let mut cut = with(MANIFEST, &whole);
    let middle = cut.len() / 3;
    cut[middle..middle + 20].fill(0xFF);
    let table = [
        (with(&old, &whole), "version \"1.0\""),
        (with(&delta, &whole), "delta"),
        (with(MANIFEST, &whole[..2]), "has no classes.csv"),
        (with(MANIFEST, &whole[1..]), "has no academicSessions.csv"),
        (with(MANIFEST, &[whole[0], whole[1], ("classes.csv", header)]), "no rows"),
        (with(MANIFEST, &[whole[0], whole[1], ("classes.csv", &open_quote)]), "never closed"),
        (zip(&[("classes.csv", CLASSES)]), "archive"),
        (cut, ""),
    ];
    for (bytes, text) in table {
        let refused = import(&mut staff, "dry_run=false&map=metadata.sis.seats:capacity", &bytes);
        assert_eq!(refused["state"], "failed", "{text}: {refused:#}");
        let message = refused["errors"][0]["message"].as_str().unwrap_or_default().to_owned();
        assert!(!message.is_empty() && message.contains(text), "{text}: {message}");
    }
    assert_eq!(staff.get("/api/v1/terms").expect(200).json()["items"], json!([]), "nothing was changed");
    // A bundle without users.csv has no students to import.
    let ended = import_students(&mut staff, true, &with(MANIFEST, &whole));
    assert_eq!(ended["state"], "failed", "{ended:#}");
}
