//! The OpenAPI document that the hub publishes, and checks of real responses against its schemas.

use serde_json::{Value, json};

/// Returns the OpenAPI document.
pub fn document() -> Value {
    serde_json::to_value(eduhub::http::openapi::document()).expect("the document is JSON")
}

/// Checks that `body` is valid against the schema with this name.
pub fn assert_has_schema(name: &str, body: &Value) {
    let document = document();
    assert!(document["components"]["schemas"][name].is_object(), "the document has no schema {name}");
    let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
    assert_conforms(name, &reference, &document, body);
}

/// Checks that `body` is valid against the schema of a 200 response to `GET path`.
pub fn assert_is_response_of(path: &str, body: &Value) {
    let document = document();
    let schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "the document does not describe GET {path}");
    assert_conforms(path, &schema, &document, body);
}

fn assert_conforms(what: &str, schema: &Value, document: &Value, body: &Value) {
    let schema = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).expect("the schemas of the document are valid");
    let errors: Vec<String> = validator.iter_errors(body).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {}\n{body:#}", errors.join("\n"));
}
