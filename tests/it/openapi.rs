//! The OpenAPI document against the hub's routes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use actix_web::App;
use actix_web::http::{Method, header};
use actix_web::test::{TestRequest, call_service, init_service};
use serde_json::Value;

use crate::support::openapi::document;

/// Prefixes of the paths that the document must describe. Pages and their files are not part of the interface.
const PREFIXES: [&str; 7] = ["/api/v1", "/healthz", "/readyz", "/metrics", "/alerts/", "/auth/{provider}", "/plone/{"];
/// Names of the operations in a path item.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// The path of the proxy. It accepts every method; the document describes the common ones.
const PROXY: &str = "/plone/{path}";

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the routes in a source file: the paths in its string literals, except those in comments, in tests and in
/// `#[utoipa::path]` attributes.
fn routes_in(source: &str) -> BTreeSet<String> {
    let code = source.split("\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in lines {
        for (at, _) in line.match_indices("\"/") {
            let literal = line[at + 1..].split('"').next().unwrap_or_default();
            let is_documentation = line[..at].trim_end().ends_with("path =");
            if !is_documentation && PREFIXES.iter().any(|prefix| literal.starts_with(prefix)) {
                // Paths in the document have no patterns.
                found.insert(literal.replace(":.*}", "}"));
            }
        }
    }
    found
}

fn routes_of_the_server() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![in_repository("src/http")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("_tests.rs") {
                found.extend(routes_in(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Returns all operations: their names, such as `GET /path`, and their objects.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().iter().filter(|(name, _)| METHODS.contains(&name.as_str()));
        let before = found.len();
        found.extend(methods.map(|(method, operation)| (format!("{} {path}", method.to_uppercase()), operation)));
        assert!(found.len() > before, "{path} has no operation");
    }
    found
}

/// Returns the methods that the document describes, by path.
fn described_methods(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, _) in operations(document) {
        let (method, path) = name.split_once(' ').unwrap();
        methods.entry(path.to_owned()).or_default().insert(method.to_owned());
    }
    methods
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_document_has_exactly_the_routes_of_the_server() {
    let document = document();
    let described: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let served = routes_of_the_server();
    assert!(served.contains("/api/v1/sections/{id}"), "the sources contain the route of a section: {served:?}");
    let missing: Vec<_> = served.difference(&described).collect();
    let unknown: Vec<_> = described.difference(&served).collect();
    assert!(missing.is_empty(), "the document does not describe {missing:?}");
    assert!(unknown.is_empty(), "the document describes paths that are not routes: {unknown:?}");
}

#[actix_web::test]
async fn routes_accept_exactly_the_methods_of_the_document() {
    let app = init_service(App::new().configure(eduhub::http::routes::routes)).await;
    for (path, mut methods) in described_methods(&document()) {
        if path == PROXY {
            continue;
        }
        // A path with GET has HEAD, too (RFC 9110, 9.3.2), except that only GET opens a WebSocket.
        if methods.contains("GET") && path != "/alerts/ws" {
            methods.insert("HEAD".to_owned());
        }
        let uri = path.replace(['{', '}'], "");
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            let response = call_service(&app, TestRequest::with_uri(&uri).method(method.clone()).to_request()).await;
            let is_accepted = response.status() != 405;
            assert_eq!(is_accepted, methods.contains(method.as_str()), "{method} {path}");
            if !is_accepted {
                let allow = response.headers().get(header::ALLOW).expect("Allow").to_str().unwrap();
                let allowed: BTreeSet<String> = allow.split(", ").map(str::to_owned).collect();
                assert_eq!(allowed, methods, "Allow of {path}");
            }
        }
    }
}

#[test]
fn every_operation_has_a_summary_and_a_successful_response() {
    let document = document();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    for (name, operation) in operations(&document) {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.trim().is_empty(), "{name} has no summary");
        let statuses = operation["responses"].as_object().expect("responses");
        let is_success = |status: &String| ["101", "303"].contains(&status.as_str()) || status.starts_with('2');
        assert!(statuses.keys().any(is_success), "{name} has no successful response");
    }
}

#[test]
fn operation_ids_are_unique() {
    let document = document();
    let operations = operations(&document);
    let ids: BTreeSet<_> = operations.iter().map(|(name, it)| it["operationId"].as_str().expect(name)).collect();
    assert_eq!(ids.len(), operations.len());
}

#[test]
fn every_parameter_of_a_path_is_described() {
    let document = document();
    for (name, operation) in operations(&document) {
        let listed = operation["parameters"].as_array().cloned().unwrap_or_default();
        let described: BTreeSet<&str> = listed
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let named: BTreeSet<&str> = name.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        assert_eq!(described, named, "{name}");
    }
}

#[test]
fn every_reference_resolves() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        assert!(target.is_some(), "{reference} does not resolve");
    }
}

#[test]
fn paths_in_comments_tests_and_documentation_are_not_routes() {
    let source = "/// \"/api/v1/comment\"\n#[utoipa::path(get, path = \"/api/v1/described\")]\n\
                  .service(path(\"/api/v1/real\", READ))\n#[cfg(test)]\nmod tests {\n\"/api/v1/tested\"\n";
    assert_eq!(routes_in(source), BTreeSet::from(["/api/v1/real".to_owned()]));
}
