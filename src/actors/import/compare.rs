//! What an import changes in one section, field by field, as `GET /api/v1/sections` names them.

use serde_json::{Map, Value, json};

use crate::domain::section::SectionState;
use crate::protocol::section_json::SectionJson;

use super::task::Change;

/// Fields that say which section it is, or follow from others, or are not a file's to say.
const NOT_COMPARED: [&str; 6] = ["id", "term", "crn", "open", "reserved", "withdrawn"];

fn fields(state: &SectionState) -> Map<String, Value> {
    match serde_json::to_value(SectionJson(state)) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The change from `before` (none: it is new) to `after`.
pub(super) fn change(before: Option<&SectionState>, after: &SectionState) -> Change {
    let old = before.map(fields).unwrap_or_default();
    let mut changed = Map::new();
    for (name, new) in fields(after) {
        let was = old.get(&name).cloned().unwrap_or(Value::Null);
        // A new section says what it has, not what it lacks.
        if before.is_none() && new == json!([]) {
            continue;
        }
        if was != new && !NOT_COMPARED.contains(&name.as_str()) {
            changed.insert(name, json!([was, new]));
        }
    }
    if changed.is_empty()
        && let Some(before) = before
    {
        // The last import's totals are kept to be compared with, and shown nowhere else.
        changed.insert("file_totals".to_owned(), json!([before.file_totals, after.file_totals]));
    }
    let kind = if before.is_some() { "update" } else { "create" };
    Change { section: after.section.id.to_string(), change: kind, fields: changed }
}
