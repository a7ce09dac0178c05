//! The OpenAPI document against the server's paths.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::openapi::document;

/// Prefixes of the paths that the document must describe. Pages and their files need not be in it.
const BEGINNINGS: [&str; 6] = ["/api/v1", "/healthz", "/readyz", "/metrics", "/alerts/ws", "/plone/{"];
/// Members of a path item that are operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the paths in the string literals of a source file, without its comments and tests.
fn paths_in(source: &str) -> BTreeSet<String> {
    let code = source.split("\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in lines {
        for (at, _) in line.match_indices("\"/") {
            let literal = line[at + 1..].split('"').next().unwrap_or_default();
            if BEGINNINGS.iter().any(|beginning| literal.starts_with(beginning)) {
                // The document writes parameters without patterns.
                found.insert(literal.replace(":.*}", "}"));
            }
        }
    }
    found
}

fn paths_of_the_server() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![in_repository("src/http")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("_tests.rs") {
                found.extend(paths_in(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Returns every operation as `GET /path`, with its object.
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
fn the_document_has_exactly_the_paths_of_the_server() {
    let document = document();
    let told: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let served = paths_of_the_server();
    assert!(served.contains("/api/v1/sections/{id}"), "the paths were not found in the sources: {served:?}");
    let missing: Vec<_> = served.difference(&told).collect();
    let invented: Vec<_> = told.difference(&served).collect();
    assert!(missing.is_empty(), "static/openapi.json does not describe {missing:?}");
    assert!(invented.is_empty(), "static/openapi.json describes unknown paths: {invented:?}");
}

#[test]
fn every_operation_has_a_summary_and_a_success_response() {
    let document = document();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    for (name, operation) in operations(&document) {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.trim().is_empty(), "{name} has no summary");
        let statuses = operation["responses"].as_object().expect("responses");
        let is_good = |status: &String| status == "101" || status.starts_with('2');
        assert!(statuses.keys().any(is_good), "{name} has no success response");
    }
}

#[test]
fn every_path_parameter_is_described() {
    let document = document();
    for (name, operation) in operations(&document) {
        let listed = operation["parameters"].as_array().cloned().unwrap_or_default();
        let described: BTreeSet<&str> = listed
            .iter()
            .map(|parameter| match parameter["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).expect(reference),
                None => parameter,
            })
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
fn paths_in_comments_and_tests_are_ignored() {
    let source = "/// \"/api/v1/told\"\n  .service(path(\"/api/v1/real\", READ))\n#[cfg(test)]\nmod tests {\n\"/api/v1/tried\"\n";
    assert_eq!(paths_in(source), BTreeSet::from(["/api/v1/real".to_owned()]));
}
