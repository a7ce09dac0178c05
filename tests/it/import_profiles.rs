//! Import profiles: how they are saved and listed, and how an import chooses and uses one.

use eduhub::domain::ids::ProfileName;
use eduhub::domain::import_profile::{ImportProfile, ProfileChoice};
use eduhub::imports::ImportOptions;
use eduhub::store::import_profiles::PROFILES_MAX;
use serde_json::{Value, json};

use crate::access::hub::Hub as Application;
use crate::imports_hub::{Hub, options_for};
use crate::support::openapi::{assert_has_schema, assert_is_response_of};
use crate::support::wait::eventually;

/// A file with a title line, whose column names mean nothing to the importer.
const OWN: &str = "Kursplan 2031,,,\nNr,Kurs,Platz,Ort\n30001,AB 101,20,Elm 105\n30002,AB 102,25,Elm 106\n";

fn profile(name: &str, header: &str, map: &[(&str, &str)]) -> ImportProfile {
    ImportProfile {
        name: ProfileName::parse(name).unwrap(),
        title: name.to_owned(),
        header: header.split(',').map(str::to_owned).collect(),
        map: map.iter().map(|(column, field)| ((*column).to_owned(), (*field).to_owned())).collect(),
        builtin: false,
    }
}

fn own_profile() -> ImportProfile {
    profile(
        "kursplan",
        "nr,KURS,Pl_atz,Ort",
        &[("Nr", "crn"), ("Kurs", "course"), ("Platz", "capacity"), ("Ort", "room")],
    )
}

fn named(name: &str) -> ImportOptions {
    ImportOptions { profile: ProfileChoice::parse(name).unwrap(), ..options_for("T") }
}

/// Returns `NAME:FIELD` for each imported column of a task.
fn fields(task: &Value) -> Vec<String> {
    let columns = task["columns"].as_array().unwrap().iter();
    let field = |column: &Value| Some(format!("{}:{}", column["name"].as_str()?, column["field"].as_str()?));
    columns.filter_map(field).collect()
}

#[actix_web::test]
async fn a_saved_profile_is_used_for_a_file_with_the_same_header() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let before = hub.import(OWN, options_for("T")).await;
    assert_eq!((&before["state"], &before["profile"]), (&json!("failed"), &Value::Null), "{before}");

    hub.imports.profiles().put(own_profile()).await.unwrap();
    let task = hub.import(OWN, options_for("T")).await;

    assert_eq!((&task["state"], &task["created"]), (&json!("done"), &json!(2)), "{task}");
    assert_eq!((&task["profile"], &task["header_line"]), (&json!("kursplan"), &json!(2)));
    assert_eq!(fields(&task), ["Nr:crn", "Kurs:course", "Platz:capacity", "Ort:location"]);
    let section = hub.section("T-30001").unwrap().section;
    assert_eq!((section.capacity, &*section.course), (20, "AB 101"));
    let other_header = hub.import(&OWN.replace("Ort", "Raum"), options_for("T")).await;
    assert_eq!((&other_header["state"], &other_header["profile"]), (&json!("failed"), &Value::Null));
    let without = hub.import(OWN, named("none")).await;
    assert_eq!((&without["state"], &without["profile"]), (&json!("failed"), &Value::Null));
}

#[actix_web::test]
async fn a_profile_is_chosen_by_name_and_the_map_takes_precedence() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    hub.imports.profiles().put(own_profile()).await.unwrap();
    // The file has a different header, so the profile is not chosen automatically. The named profile applies in part.
    let file = OWN.replace("Nr,Kurs,Platz,Ort", "Nr,Kurs,Plaetze,Platz");
    let map = vec![("Plaetze".to_owned(), "capacity".to_owned())];
    let task = hub.import(&file, ImportOptions { map, ..named("kursplan") }).await;
    assert_eq!((&task["state"], &task["profile"]), (&json!("done"), &json!("kursplan")), "{task}");
    assert_eq!(fields(&task), ["Nr:crn", "Kurs:course", "Plaetze:capacity"]);
    let upload = hub.imports.upload().unwrap();
    std::io::Write::write_all(&mut upload.create_file().unwrap(), b"crn\n").unwrap();
    let user = eduhub::domain::ids::UserName::parse("staff").unwrap();
    let refused = hub.imports.submit(upload, named("absent"), &user).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no profile absent");
}

#[actix_web::test]
async fn a_column_can_be_ignored_and_columns_mapped_to_weekdays() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let file = "crn,course,capacity,Seats Act,Mo_x,Mi_x,time\n1,AB 101,20,7,Y,,9:00am-9:50am\n2,AB 102,20,8,Y,Y,1:00pm-1:50pm\n";
    let map = [("#4", "ignore"), ("Mo_x", "monday"), ("Mi_x", "wednesday")];
    let map = map.map(|(name, field)| (name.to_owned(), field.to_owned())).to_vec();

    let task = hub.import(file, ImportOptions { map, ..options_for("T") }).await;

    assert_eq!(task["state"], "done", "{task}");
    assert_eq!(fields(&task)[3..], ["Mo_x:monday", "Mi_x:wednesday", "time:time"]);
    let days = |id: &str| hub.section(id).unwrap().section.meetings[0].days.names().collect::<Vec<_>>().join(" ");
    assert_eq!((days("T-1"), days("T-2")), ("mon".to_owned(), "mon wed".to_owned()));
    assert_eq!(hub.section("T-1").unwrap().enrolled_total(), 0, "the column of enrolled students is ignored");
}

#[actix_web::test]
async fn the_export_of_a_common_system_is_read_with_its_profile() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    // In UniTime's list of events, the capacity is that of the room.
    let file = "Name,Section,Type,Title,Day Of Week,First Date,Last Date,Published Start,Published End,Location,Capacity,\
         Enrollment,Limit,Instructor / Sponsor\n\
         AB 101,1,Lec,Open Water Ecology,MWF,01/20/2031,05/15/2031,9:00a,9:50a,ELM 105,300,12,40,Jane Roe\n";
    let task = hub.import(file, options_for("T")).await;
    assert_eq!((&task["state"], &task["profile"]), (&json!("done"), &json!("unitime")), "{task}");
    let section = hub.section("T-AB101.1").unwrap().section;
    assert_eq!((section.capacity, section.meetings[0].location.as_deref()), (40, Some("ELM 105")));
    // A saved profile with the same header takes precedence over it.
    let header = file.lines().next().unwrap();
    hub.imports.profiles().put(profile("ours", header, &[("Name", "course"), ("Capacity", "capacity")])).await.unwrap();
    let task = hub.import(file, options_for("T")).await;
    assert_eq!(
        (&task["profile"], &task["changes"][0]["fields"]["capacity"]),
        (&json!("ours"), &json!([40, 300])),
        "{task}"
    );
}

#[actix_web::test]
async fn missing_fields_list_candidate_columns() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path()).await;
    let expected = [
        json!({"field": "term", "required": true, "candidates": []}),
        json!({"field": "crn", "required": true, "candidates": [1]}),
        json!({"field": "course", "required": true, "candidates": [2]}),
        json!({"field": "capacity", "required": true, "candidates": [3]}),
    ];
    let task = hub.import(OWN, ImportOptions { header_line: Some(2), dry_run: true, ..ImportOptions::default() }).await;
    let found: Vec<&Value> =
        task["missing_fields"].as_array().unwrap().iter().filter(|missing| missing["required"] == true).collect();
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
    assert_eq!(task["first_rows"][0], json!({"line": 3, "cells": ["30001", "AB 101", "20", "Elm 105"]}));
    assert_has_schema("ImportTask", &task);
}

#[test]
fn profiles_are_saved_listed_and_deleted() {
    let application = Application::start();
    let mut staff = application.staff();
    let at = "/api/v1/import-profiles/kursplan";
    let body =
        json!({"title": " Kursplan\n2031 ", "header": ["Nr", "Max\nPlätze"], "map": {"Nr": "crn", "#2": "capacity"}});
    let saved = staff.put_json(at, &body).expect(201).json();
    let expected = json!({"name": "kursplan", "title": "Kursplan 2031", "header": ["Nr", "Max Plätze"],
        "map": {"Nr": "crn", "#2": "capacity"}, "builtin": false});
    assert_eq!(saved, expected);
    // A client can send the response back.
    assert_eq!(staff.put_json(at, &saved).expect(200).json(), expected);
    assert_eq!(staff.get(at).expect(200).json(), expected);
    let list = staff.get("/api/v1/import-profiles").expect(200).json();
    assert_is_response_of("/api/v1/import-profiles", &list);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items[0], expected, "saved profiles come first");
    let built_in: Vec<&str> = items[1..].iter().filter_map(|item| item["name"].as_str()).collect();
    for system in ["banner", "colleague", "courseleaf", "jenzabar", "peoplesoft", "unitime", "workday"] {
        assert!(built_in.contains(&system), "{system}: {built_in:?}");
    }
    assert!(items[1..].iter().all(|item| item["builtin"] == true));
    staff.delete(at).expect(204);
    assert_eq!(staff.delete(at).expect(404).code(), "not_found");
    assert_eq!(staff.get(at).expect(404).code(), "not_found");
}

#[test]
fn profiles_that_cannot_be_saved_are_refused_with_a_reason() {
    let application = Application::start();
    let mut staff = application.staff();
    let body = json!({"title": "T", "header": [], "map": {"Nr": "crn"}});
    let with = |member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    let table = [
        ("banner", body.clone(), 409, "profile_built_in"),
        ("Banner", body.clone(), 409, "profile_built_in"),
        ("none", body.clone(), 422, "invalid"),
        ("a%20b", body.clone(), 422, "invalid"),
        ("a%E2%80%8Bb", body.clone(), 422, "invalid"),
        ("own", with("title", json!("  ")), 422, "invalid"),
        ("own", with("map", json!({"Nr": "color"})), 422, "invalid"),
        ("own", with("map", json!({"Nr": 1})), 400, "bad_request"),
        ("own", with("map", json!({"": "crn"})), 422, "invalid"),
        ("own", with("header", json!(vec!["x"; 301])), 422, "invalid"),
        ("own", with("color", json!("red")), 422, "invalid"),
    ];
    for (name, body, status, code) in table {
        let response = staff.put_json(&format!("/api/v1/import-profiles/{name}"), &body).expect(status);
        assert_eq!(response.code(), code, "{name} {body}");
    }
    let detail = staff.delete("/api/v1/import-profiles/banner").expect(409).json()["detail"].clone();
    assert!(detail.as_str().unwrap().contains("part of EduHub"), "{detail}");
    for number in 0..PROFILES_MAX {
        staff.put_json(&format!("/api/v1/import-profiles/p{number}"), &body).expect(201);
    }
    let full = staff.put_json("/api/v1/import-profiles/another", &body).expect(422).json();
    assert!(full["detail"].as_str().unwrap().contains("delete one first"), "{full}");
}

#[test]
fn an_import_with_an_unknown_profile_is_refused() {
    let application = Application::start();
    let mut staff = application.staff();
    let csv: &[(&str, &str)] = &[("Content-Type", "text/csv")];
    for profile in ["absent", "a%20b"] {
        let path = format!("/api/v1/imports?dry_run=true&profile={profile}");
        let problem = staff.call("POST", &path, csv, OWN.as_bytes()).unwrap().expect(422).json();
        assert_eq!(problem["field"], "profile", "{problem}");
    }
}

#[test]
fn changes_to_profiles_are_audited() {
    let application = Application::start();
    let (mut staff, mut admin) = (application.staff(), application.admin());
    let at = "/api/v1/import-profiles/kursplan";
    staff.put_json(at, &json!({"title": "Kursplan", "header": [], "map": {}})).expect(201);
    staff.delete(at).expect(204);
    let mut entry = |action: &str| {
        eventually(action, || {
            let trail = admin.get(&format!("/api/v1/admin/audit?action={action}")).expect(200).json();
            trail["items"].get(0).cloned()
        })
    };
    assert_eq!(entry("import.profile.delete")["subject"], "kursplan");
    let saved = entry("import.profile.save");
    assert_eq!((&saved["subject"], &saved["detail"]), (&json!("kursplan"), &json!("Kursplan")), "{saved}");
}
