//! Imports over HTTP.

use serde_json::{Value, json};

use crate::support::http::{Client, Response};
use crate::support::schedule::{open_term, start_import, wait_for_import};
use crate::support::server::{Home, Server};

const TWO: &str = "term,crn,course,title,cap,act,days,time,room\n\
    T1,1,MATH 151,One,10,2,MW,9:00-10:00,R1\n\
    T1,2,MATH 152,Two,20,0,TR,9:00-10:00,R2\n";

/// A running hub with a connection of staff.
struct Hub {
    home: Home,
    server: Server,
    staff: Client,
}

fn hub() -> Hub {
    let home = Home::new();
    let server = home.serve();
    let staff = server.client().signed_in(&home.token("staff", "staff"));
    Hub { home, server, staff }
}

impl Hub {
    /// Uploads a file.
    fn post(&mut self, query: &str, csv: &[u8]) -> Response {
        self.staff.call("POST", &format!("/api/v1/imports{query}"), &[("Content-Type", "text/csv")], csv).unwrap()
    }

    /// Imports a file, waits for the end and returns the task.
    fn import(&mut self, query: &str, csv: &[u8]) -> Value {
        let task = self.post(query, csv).expect(202).json()["task"].as_str().unwrap().to_owned();
        wait_for_import(&mut self.staff, &task)
    }

    /// Returns a section; `None` when it does not exist.
    fn section(&mut self, id: &str) -> Option<Value> {
        let response = self.staff.get(&format!("/api/v1/sections/{id}"));
        (response.status == 200).then(|| response.json())
    }

    fn seats(&mut self, term: &str) -> Value {
        self.staff.get(&format!("/api/v1/seats?term={term}")).expect(200).json()["seats"].clone()
    }
}

#[test]
fn importing_the_same_schedule_twice_changes_nothing() {
    let mut hub = hub();
    let first = hub.import("", TWO.as_bytes());
    assert_eq!(first["state"], "done", "{first:#}");
    assert_eq!((&first["rows"], &first["sections"], &first["created"]), (&json!(2), &json!(2), &json!(2)));
    assert_eq!(first["changes_total"], 2);
    let section = hub.section("T1-1").unwrap();
    assert_eq!(
        (&section["course"], &section["capacity"], &section["enrolled"]),
        (&json!("MATH 151"), &json!(10), &json!(2))
    );
    assert_eq!(section["meetings"][0]["days"], json!(["mon", "wed"]));
    let before = hub.seats("T1");
    let again = hub.import("", TWO.as_bytes());
    assert_eq!((&again["state"], &again["unchanged"], &again["changes"]), (&json!("done"), &json!(2), &json!([])));
    assert_eq!(hub.seats("T1"), before);
}

#[test]
fn the_crn_of_the_college_is_shown_and_found() {
    let mut hub = hub();
    let ids = include_str!("../schedules/09b-ids-with-spaces.csv");
    let task = hub.import("?term=T", ids.as_bytes());
    assert_eq!(task["changes"][0]["fields"]["crn"], json!([null, "AB 101-01 SP2031"]), "{task:#}");
    assert_eq!(hub.section("T-AB.101.01.SP2031").unwrap()["crn"], "AB 101-01 SP2031");
    for search in ["101-02", "AB%20101-02%20SP2031", "ab.101.02"] {
        let found = hub.staff.get(&format!("/api/v1/sections?term=T&q={search}")).expect(200).json();
        assert_eq!((&found["total"], &found["items"][0]["crn"]), (&json!(1), &json!("AB 101-02 SP2031")), "{search}");
    }
    let again = hub.import("?term=T", ids.replace("101-02 ", "101_02 ").replace("101_02 ", "101*02 ").as_bytes());
    assert_eq!(again["changes"][0]["fields"], json!({"crn": ["AB 101-02 SP2031", "AB 101*02 SP2031"]}), "{again:#}");
}

#[test]
fn an_exported_schedule_changes_nothing_when_it_is_imported_again() {
    let mut hub = hub();
    let file = "crn,course,section,title,credits,instructor,component,days,time,start,end,room,cap,act,wait_cap,status,linked,prerequisites\n\
        AB 101-01,CIV ENGR 310,A,=Sum,0,\"Lee, Ann\",lab,T,10:00pm-1:00am,2031-01-20,2031-05-15,Elm 1,10,4,5,,00076,MATH 100; MATH 101\n\
        00076,CIV ENGR 310,B,TBA,3,,lecture,TBA,TBA,,,,5,0,0,X,,\n\
        00077,ÜB 1,C,Two,1.5,Staff,studio,MW; F,9:00-9:50; 10:00-10:50,,,\"North 1; North 2\",20,0,0,,,\n";
    assert_eq!(hub.import("?term=T", file.as_bytes())["created"], 3);
    open_term(&mut hub.staff, "T");
    hub.server
        .client()
        .signed_in(&hub.home.token("ann", "student"))
        .put("/api/v1/me/registrations/T-00077")
        .expect(201);
    hub.staff.patch_json("/api/v1/sections/T-00077", &json!({"status": "closed"})).expect(200);
    let list = |hub: &mut Hub, term: &str| hub.staff.get(&format!("/api/v1/sections?term={term}")).expect(200).json();
    let before = list(&mut hub, "T");

    let export = hub.staff.get("/api/v1/export/schedule.csv?term=T").expect(200);
    assert_eq!(export.header("content-type"), Some("text/csv; charset=utf-8"));
    for query in ["", "?term=T", "?totals=true"] {
        let task = hub.import(query, export.text().as_bytes());
        assert_eq!(
            (&task["unchanged"], &task["changes"], &task["missing"]),
            (&json!(3), &json!([]), &json!([])),
            "{task:#}"
        );
        assert_eq!(task["warnings"], json!([]), "{task:#}");
    }
    assert_eq!(list(&mut hub, "T")["items"], before["items"]);

    hub.import("?term=T2", export.text().as_bytes());
    let rename = |items: &Value| items.to_string().replace("\"T2-", "\"T-").replace("\"T2\"", "\"T\"");
    let mut imported = list(&mut hub, "T2")["items"].clone();
    // Ann registered in the first term, so in the second her seat is outside the hub.
    let hers = imported.as_array_mut().unwrap().iter_mut().find(|section| section["id"] == "T2-00077").unwrap();
    assert_eq!(hers.as_object_mut().unwrap().remove("outside_enrolled"), Some(json!(1)));
    assert_eq!(rename(&imported), rename(&before["items"]));

    let edited = export.text().replace(",20,1,", ",30,1,").replace("ÜB 1,ÜB,1", "ÜB 2,ÜB,2");
    let task = hub.import("?term=T", edited.as_bytes());
    let fields = json!({"capacity": [20, 30], "course": ["ÜB 1", "ÜB 2"]});
    assert_eq!((&task["changes_total"], &task["changes"][0]["fields"]), (&json!(1), &fields), "{task:#}");
    for path in ["/api/v1/export/schedule.csv", "/api/v1/export/schedule.csv?term=none"] {
        assert_eq!(hub.staff.get(path).status, 422, "{path}");
    }
}

#[test]
fn only_staff_can_import() {
    let mut hub = hub();
    let mut student = hub.server.client().signed_in(&hub.home.token("ann", "student"));
    let mut visitor = hub.server.client();
    let task = start_import(&mut hub.staff, "T1", TWO.as_bytes());
    wait_for_import(&mut hub.staff, &task);
    for (client, status) in [(&mut student, 403), (&mut visitor, 401)] {
        let csv: &[(&str, &str)] = &[("Content-Type", "text/csv")];
        let response = client.call("POST", "/api/v1/imports?term=T2", csv, TWO.as_bytes()).unwrap();
        assert_eq!(response.status, status);
    }
    for path in [format!("/api/v1/imports/{task}"), format!("/api/v1/imports/{task}/errors.csv")] {
        let mut student = hub.server.client().signed_in(&hub.home.token("ann", "student"));
        assert_eq!((student.get(&path).status, hub.server.client().get(&path).status), (403, 401), "{path}");
    }
}

#[test]
fn an_invalid_upload_is_refused_and_starts_no_task() {
    let mut hub = hub();
    let table = [
        ("", "application/json", "{}", 415, "unsupported_media_type", ""),
        ("", "multipart/form-data", "x", 400, "bad_request", ""),
        ("?term=T1", "text/csv", "", 422, "invalid", "file"),
        ("?term=a%20", "text/csv", "x", 422, "invalid", "term"),
        ("?dry_run=maybe", "text/csv", "x", 400, "bad_request", "dry_run"),
        ("?map=seats", "text/csv", "x", 422, "invalid", "map"),
        ("?map=seats:chairs", "text/csv", "x", 422, "invalid", "map"),
        ("?term=%zz", "text/csv", "x", 400, "bad_request", "term"),
        ("?partial=1", "text/csv", "x", 400, "bad_request", "partial"),
    ];
    for (query, media_type, body, status, code, field) in table {
        let mut client = hub.server.client().signed_in(&hub.home.token("staff", "staff"));
        let path = format!("/api/v1/imports{query}");
        let response = client.call("POST", &path, &[("Content-Type", media_type)], body.as_bytes()).unwrap();
        assert_eq!(
            (response.status, response.code().as_str()),
            (status, code),
            "{query} {media_type}: {}",
            response.text()
        );
        assert_eq!(response.json()["field"].as_str().unwrap_or_default(), field, "{query}");
    }
    assert_eq!(hub.staff.get("/api/v1/imports/nothing").status, 404);
    assert_eq!(hub.staff.get("/api/v1/imports/nothing/errors.csv").status, 404);
    assert_eq!(hub.staff.delete("/api/v1/imports/nothing").status, 404);
}

#[test]
fn an_upload_over_the_limit_is_refused_by_its_length() {
    let hub = hub();
    let mut client = hub.server.client();
    let token = hub.home.token("staff", "staff");
    let head = format!(
        "POST /api/v1/imports?term=T1 HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        64 * 1024 * 1024 + 1
    );
    std::io::Write::write_all(client.stream(), head.as_bytes()).unwrap();
    let response = client.receive().unwrap();
    assert_eq!((response.status, response.code().as_str()), (413, "too_large"));
}

#[test]
fn a_multipart_form_uploads_its_file() {
    let mut hub = hub();
    let form = |field: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x\r\nContent-Disposition: form-data; \
             name=\"{field}\"; filename=\"a.csv\"\r\nContent-Type: application/vnd.ms-excel\r\n\r\n{TWO}\r\n--x--\r\n"
        )
    };
    let kind = [("Content-Type", "multipart/form-data; boundary=x")];
    let accepted =
        hub.staff.call("POST", "/api/v1/imports", &kind, form("file").as_bytes()).unwrap().expect(202).json();
    let task = wait_for_import(&mut hub.staff, accepted["task"].as_str().unwrap());
    assert_eq!((&task["state"], &task["created"]), (&json!("done"), &json!(2)), "{task:#}");
    let other = hub.staff.call("POST", "/api/v1/imports", &kind, form("upload").as_bytes()).unwrap();
    assert_eq!((other.status, other.json()["field"].clone()), (400, json!("file")));
}

#[test]
fn spreadsheets_are_uploaded_with_their_media_types() {
    let mut hub = hub();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schedules/sheets");
    let types = [
        ("fall.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("fall.xls", "application/vnd.ms-excel"),
        ("fall.ods", "application/vnd.oasis.opendocument.spreadsheet"),
        // The content decides, not the type that a program states.
        ("fall.xlsx", "text/csv"),
    ];
    for (number, (name, media_type)) in types.into_iter().enumerate() {
        let file = std::fs::read(folder.join(name)).unwrap();
        let path = format!("/api/v1/imports?term=S{number}");
        let accepted =
            hub.staff.call("POST", &path, &[("Content-Type", media_type)], &file).unwrap().expect(202).json();
        let task = wait_for_import(&mut hub.staff, accepted["task"].as_str().unwrap());
        assert_eq!((&task["state"], &task["created"]), (&json!("done"), &json!(3)), "{name}: {task:#}");
        assert_eq!((&task["sheet"], &task["sheets"]), (&json!("Fall"), &json!(["Notes", "Fall"])), "{name}");
        assert_eq!((&task["delimiter"], &task["header_line"]), (&json!(null), &json!(3)), "{name}");
    }
    let file = std::fs::read(folder.join("fall.xlsx")).unwrap();
    let mut form = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"fall.xlsx\"\r\n\r\n".to_vec();
    form.extend([file.as_slice(), b"\r\n--x--\r\n"].concat());
    let kind = [("Content-Type", "multipart/form-data; boundary=x")];
    let accepted =
        hub.staff.call("POST", "/api/v1/imports?term=S9&sheet=Notes", &kind, &form).unwrap().expect(202).json();
    let task = wait_for_import(&mut hub.staff, accepted["task"].as_str().unwrap());
    assert_eq!((&task["state"], &task["sheet"]), (&json!("failed"), &json!("Notes")), "{task:#}");
}

#[test]
fn errors_name_line_column_and_value_and_can_be_downloaded() {
    let mut hub = hub();
    let bad = b"crn,course,title,cap\n1,A 1,ok,5\n2,B 1,\"two\nlines\",=1+1\n3,C 1,x,-7\n";
    let task = hub.import("?term=T1", bad);
    assert_eq!((&task["state"], &task["errors_total"], &task["refused"]), (&json!("failed"), &json!(2), &json!(2)));
    assert_eq!((&task["errors"][0]["line"], &task["errors"][0]["column"]), (&json!(3), &json!("cap")));
    assert_eq!((&task["errors"][1]["line"], &task["errors"][1]["value"]), (&json!(5), &json!("-7")));
    assert!(hub.section("T1-1").is_none(), "no row of a file with errors is applied");
    let list = hub.staff.get(&format!("/api/v1/imports/{}/errors.csv", task["task"].as_str().unwrap())).expect(200);
    assert!(list.header("content-type").unwrap().starts_with("text/csv"));
    let text = list.text();
    assert_eq!(text.lines().next(), Some("line,column,value,message"));
    assert!(text.contains("3,cap,'=1+1,") && text.contains("5,cap,'-7,"), "{text}");
    let path = format!("/api/v1/imports/{}/errors.csv", task["task"].as_str().unwrap());
    let spanish = hub.staff.get(&format!("{path}?lang=es")).expect(200).text();
    assert_eq!(spanish.lines().next(), Some("línea,columna,valor,problema"));
    let rows = ["3,cap,'=1+1,Cupo: debe ser un número entero", "5,cap,'-7,Cupo: no puede ser negativo"];
    assert!(rows.iter().all(|row| spanish.contains(row)), "{spanish}");
    assert_eq!(spanish.lines().count(), text.lines().count());
    assert_eq!(hub.staff.get(&format!("{path}?lang=fr")).expect(422).json()["field"], "lang");
    let partial = hub.import("?term=T1&partial=true", bad);
    assert_eq!((&partial["state"], &partial["created"]), (&json!("done"), &json!(1)));
    assert!(hub.section("T1-1").is_some());
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut hub = hub();
    let dry = hub.import("?dry_run=true", TWO.as_bytes());
    assert_eq!((&dry["state"], &dry["created"], &dry["dry_run"]), (&json!("done"), &json!(2), &json!(true)));
    assert!(hub.section("T1-1").is_none());
}

#[test]
fn an_import_removes_no_seat_and_no_section() {
    let mut hub = hub();
    hub.import("", TWO.as_bytes());
    open_term(&mut hub.staff, "T1");
    let mut ann = hub.server.client().signed_in(&hub.home.token("ann", "student"));
    ann.put("/api/v1/me/registrations/T1-2").expect(201);
    let task = hub.import("?term=T1", b"crn,course,title,cap,days,time\n2,MATH 152,Two,0,F,9:00-10:00\n");
    assert_eq!((&task["state"], &task["missing"]), (&json!("done"), &json!(["T1-1"])), "{task:#}");
    assert_eq!(task["changes"][0]["fields"]["capacity"], json!([20, 0]));
    let registered = ann.get("/api/v1/me/registrations").expect(200).json();
    assert_eq!(registered["items"][0]["section"], "T1-2");
    let section = hub.section("T1-2").unwrap();
    assert_eq!((&section["enrolled"], &section["open"]), (&json!(1), &json!(0)));
    assert!(hub.section("T1-1").is_some());
}

#[test]
fn totals_count_before_opening_and_later_only_on_request() {
    let mut hub = hub();
    hub.import("", TWO.as_bytes());
    open_term(&mut hub.staff, "T1");
    let later = TWO.replace(",10,2,", ",10,9,");
    hub.import("", later.as_bytes());
    assert_eq!(hub.section("T1-1").unwrap()["enrolled"], 2);
    hub.import("?totals=true", later.as_bytes());
    assert_eq!(hub.section("T1-1").unwrap()["enrolled"], 9);
}

#[test]
fn cancelling_stops_a_running_but_not_a_finished_import() {
    let mut hub = hub();
    let rows: String = (0..60_000).map(|i| format!("T1,{i},MATH {i},x,5,0,M,9:00-10:00,R{i}\n")).collect();
    let csv = format!("{}\n{rows}", TWO.lines().next().unwrap());
    let task = hub.post("", csv.as_bytes()).expect(202).json()["task"].as_str().unwrap().to_owned();
    hub.staff.delete(&format!("/api/v1/imports/{task}")).expect(200);
    assert_eq!(wait_for_import(&mut hub.staff, &task)["state"], "cancelled");
    assert!(hub.section("T1-1").is_none());
    let done = hub.import("", TWO.as_bytes());
    let after = hub.staff.delete(&format!("/api/v1/imports/{}", done["task"].as_str().unwrap())).expect(200).json();
    assert_eq!(after["state"], "done");
    assert!(hub.section("T1-1").is_some());
}

#[test]
fn an_import_interrupted_by_a_crash_is_marked_failed() {
    let Hub { home, server, mut staff } = hub();
    let rows: String = (0..60_000).map(|i| format!("T1,{i},MATH {i},x,5,0,M,9:00-10:00,R{i}\n")).collect();
    let csv = format!("{}\n{rows}", TWO.lines().next().unwrap());
    let task = start_import(&mut staff, "T1", csv.as_bytes());
    server.kill();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("staff", "staff"));
    let state = staff.get(&format!("/api/v1/imports/{task}")).expect(200).json();
    assert_eq!(state["state"], "failed", "{state:#}");
    let files: Vec<_> = std::fs::read_dir(home.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(staff.get("/api/v1/sections/T1-1").status, 404, "{files:?}");
    home.verify().unwrap();
}

#[test]
fn an_events_file_creates_events_that_visitors_can_read() {
    let mut hub = hub();
    let csv = "program,date,time,instructor,room,duration,description\n\
        Welding,2026-03-07,18:00,Ann,Shop,90,Gloves\nYoga,03/01/2026,9:00 am,,,60,\n";
    let task = hub.import("", csv.as_bytes());
    assert_eq!((&task["state"], &task["created"]), (&json!("done"), &json!(2)), "{task:#}");
    let mut visitor = hub.server.client();
    let page = visitor.get("/api/v1/events?limit=1").expect(200).json();
    assert_eq!((&page["total"], &page["items"][0]["program"]), (&json!(2), &json!("Yoga")));
    let next = page["next"].as_str().unwrap();
    let rest = visitor.get(&format!("/api/v1/events?since={next}")).expect(200).json();
    assert_eq!((&rest["items"][0]["title"], &rest["next"]), (&json!("Welding"), &Value::Null));
    assert_eq!(rest["items"][0]["ends_at"], "2026-03-07T19:30:00Z");
    let late = visitor.get("/api/v1/events?since=2026-03-08").expect(200).json();
    assert_eq!(late["total"], 0);
    assert_eq!(visitor.get("/api/v1/events?since=soon").status, 422);
    let again = hub.import("", csv.as_bytes());
    assert_eq!(again["unchanged"], 2, "the events keep their ids");
}
