//! The OpenAPI document that the hub publishes, and real answers held against its schemas.

use serde_json::{Value, json};

/// Returns the document.
pub fn document() -> Value {
    serde_json::to_value(eduhub::http::openapi::document()).expect("the document is JSON")
}

/// Checks that `answer` is an instance of the document's schema of this name.
pub fn assert_has_schema(name: &str, answer: &Value) {
    let document = document();
    assert!(document["components"]["schemas"][name].is_object(), "the document has no schema {name}");
    let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
    assert_conforms(name, &reference, &document, answer);
}

/// Checks that `answer` is what the document says of a 200 response to `GET path`.
pub fn assert_is_response_of(path: &str, answer: &Value) {
    let document = document();
    let schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "the document does not describe GET {path}");
    assert_conforms(path, &schema, &document, answer);
}

fn assert_conforms(what: &str, schema: &Value, document: &Value, answer: &Value) {
    let schema = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).expect("the document's schemas are schemas");
    let errors: Vec<String> = validator.iter_errors(answer).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {}\n{answer:#}", errors.join("\n"));
}
