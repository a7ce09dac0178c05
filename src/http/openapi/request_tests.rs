//! Compares the schema of a request body with its reader. Bounds are repeated as literals in the schema's attributes,
//! because utoipa does not accept constants there.

use serde_json::{Map, Value, json};

use crate::http::body::{Fields, RequestBody, read_fields};
use crate::http::error::Problem;

/// Asserts that the reader of `T` accepts exactly the members and bounds that its schema describes. `samples` are
/// values for members for which no valid value can be derived from the schema.
pub(in crate::http) fn assert_reader_matches_schema<T: RequestBody>(samples: &[(&str, Value)]) {
    let schema = resolved(&serde_json::to_value(T::schema()).unwrap());
    let members = schema["properties"].as_object().expect("an object with members");
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(schema["additionalProperties"], json!(false), "{} must deny unknown fields", T::name());
    let sample = |name: &str| {
        let given = samples.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        given.unwrap_or_else(|| sample_of(&members[name]))
    };
    let base: Map<String, Value> = required.iter().map(|name| ((*name).to_owned(), sample(name))).collect();
    let read = |name: &str, value: Option<Value>| {
        let mut body = base.clone();
        match value {
            Some(value) => body.insert(name.to_owned(), value),
            None => body.remove(name),
        };
        read_fields::<T>(Fields::parse(Value::Object(body).to_string().as_bytes()).unwrap()).map(drop)
    };
    let rejected = |result: Result<(), Problem>| result.err().map(|problem| problem.into_document());
    assert_eq!(rejected(read("no_such_member", Some(json!(1)))).unwrap().field.as_deref(), Some("no_such_member"));
    for name in T::SET_BY_HUB {
        assert_eq!(rejected(read(name, Some(json!(1)))), None, "{name} is set by the hub and must be ignored");
    }
    for (name, member) in members {
        assert_eq!(rejected(read(name, Some(sample(name)))), None, "the sample of {name} must be accepted");
        if required.contains(&name.as_str()) {
            assert_eq!(rejected(read(name, None)).unwrap().field.as_deref(), Some(name.as_str()), "{name} is required");
        } else {
            assert_eq!(rejected(read(name, None)), None, "{name} is optional");
        }
        let member = resolved(member);
        for (value, is_accepted) in at_bounds(&member, &sample(name)) {
            let problem = rejected(read(name, Some(value.clone())));
            match problem {
                None => assert!(is_accepted, "{name}: {value} is outside the schema's bounds and must be rejected"),
                Some(problem) => {
                    assert!(!is_accepted, "{name}: {value} is within the schema's bounds, but: {problem:?}");
                    assert_eq!((problem.status, problem.field.as_deref()), (422, Some(name.as_str())), "{value}");
                }
            }
        }
    }
}

/// Returns the schema that a reference, or an alternative to null, stands for.
fn resolved(schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let document = serde_json::to_value(crate::http::openapi::document()).unwrap();
        return resolved(document.pointer(&reference[1..]).expect(reference));
    }
    match schema["oneOf"].as_array() {
        Some(alternatives) => resolved(alternatives.iter().find(|one| one["type"] != "null").unwrap()),
        None => schema.clone(),
    }
}

/// Returns the type of a schema, other than null.
fn type_of(schema: &Value) -> String {
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    types.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default().to_owned()
}

fn sample_of(schema: &Value) -> Value {
    if schema["$ref"] == "#/components/schemas/SectionId" {
        return json!("202209-10001");
    }
    let schema = resolved(schema);
    if let Some(values) = schema["enum"].as_array() {
        return values[0].clone();
    }
    match (type_of(&schema).as_str(), schema["format"].as_str()) {
        ("string", Some("date")) => json!("2026-01-12"),
        ("string", Some("date-time")) => json!("2026-01-12T08:00:00Z"),
        ("string", _) => json!("x".repeat(schema["minLength"].as_u64().unwrap_or(1).max(1) as usize)),
        ("integer", _) => schema["minimum"].clone(),
        ("boolean", _) => json!(true),
        ("array", _) => json!([sample_of(&schema["items"])]),
        (other, _) => panic!("no sample of {other}: {schema}"),
    }
}

/// Returns values at and just outside the bounds of a schema, each with whether the schema accepts it.
fn at_bounds(schema: &Value, sample: &Value) -> Vec<(Value, bool)> {
    let mut values = Vec::new();
    let bound = |name: &str| schema[name].as_u64();
    let is_plain_text = type_of(schema) == "string" && schema["enum"].is_null() && schema["pattern"].is_null();
    if let Some(most) = bound("maxLength").filter(|_| is_plain_text) {
        values.push((json!("x".repeat(most as usize)), true));
        values.push((json!("x".repeat(most as usize + 1)), false));
    }
    if let Some(least) = bound("minLength").filter(|least| *least > 0) {
        values.push((json!("x".repeat(least as usize - 1)), false));
    }
    if let Some(most) = bound("maximum") {
        values.push((json!(most), true));
        values.push((json!(most + 1), false));
    }
    if let Some(least) = bound("minimum") {
        values.push((json!(least), true));
        values.push((json!(least as i64 - 1), false));
    }
    if let (Some(most), Some(item)) = (bound("maxItems"), sample.get(0)) {
        values.push((json!(vec![item.clone(); most as usize + 1]), false));
    }
    values
}
