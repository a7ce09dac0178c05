//! Statements of a provider about a user.

use serde_json::{Map, Value};

use crate::domain::rights::Rights;
use crate::domain::role::RoleMap;

/// Maximum number of values of claims that count for a role.
const VALUES_MAX: usize = 2_000;
/// Maximum depth of an object in which values count. Keycloak's client roles are three levels deep.
const DEPTH_MAX: usize = 4;
/// The entry of `[roles]` that everyone matches.
const EVERYONE: &str = "*";

/// The claims of a user: the names are those of the provider, so the college's settings say what they mean.
#[derive(Debug, Clone, Default)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Wraps claims whose signature was verified.
    #[must_use]
    pub const fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Creates claims from texts.
    #[must_use]
    pub fn of_texts(texts: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        Self(texts.into_iter().map(|(name, values)| (name, values.into())).collect())
    }

    /// Returns the value at a path such as `preferred_username` or `profile.login`. A claim whose name is the whole
    /// path comes first, because a name such as a URL contains dots.
    fn at(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(path) {
            return Some(value);
        }
        let mut names = path.split('.');
        let first = self.0.get(names.next()?)?;
        names.try_fold(first, |value, name| value.as_object()?.get(name))
    }

    /// Returns the text at a path; `None` if there is none, or it is empty.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Returns the texts, numbers and truth values at a path, of one value or of a list.
    #[must_use]
    pub fn texts(&self, path: &str) -> Vec<String> {
        let mut texts = Vec::new();
        if let Some(value) = self.at(path) {
            collect(value, "", 1, &mut |_, text| texts.push(text.to_owned()));
        }
        texts.truncate(VALUES_MAX);
        texts
    }

    /// Returns whether there is a value at a path.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.at(path).is_some()
    }

    /// Returns whether the value at a path is true. Some providers write it as text.
    #[must_use]
    pub fn is_true(&self, path: &str) -> bool {
        self.at(path).is_some_and(|value| value == &Value::Bool(true) || value.as_str() == Some("true"))
    }

    /// Adds claims that are not known yet.
    pub fn add_missing(&mut self, more: Self) {
        for (name, value) in more.0 {
            self.0.entry(name).or_insert(value);
        }
    }

    /// Returns the rights of a user: the highest role, and the subjects to which staff are limited; `None` without a
    /// role. `groups_claim` lists the groups. Keycloak writes a group as a path, `/staff`, which also matches without
    /// its slash.
    #[must_use]
    pub fn rights(&self, map: &RoleMap, groups_claim: &str) -> Option<Rights> {
        let mut groups = self.texts(groups_claim);
        let without_slash: Vec<_> =
            groups.iter().filter_map(|group| group.strip_prefix('/')).map(str::to_owned).collect();
        groups.extend(without_slash);
        let mut values = vec![EVERYONE.to_owned()];
        for (name, value) in &self.0 {
            collect(value, name, DEPTH_MAX, &mut |path, text| values.push(format!("{path}={text}")));
        }
        values.truncate(VALUES_MAX);
        groups.truncate(VALUES_MAX);
        map.rights(&values, &groups)
    }
}

/// Calls `found` with the path and the text of each value.
fn collect(value: &Value, path: &str, depth: usize, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => found(path, text),
        Value::Bool(is_true) => found(path, if *is_true { "true" } else { "false" }),
        Value::Number(number) => found(path, &number.to_string()),
        Value::Array(items) => {
            items.iter().filter(|item| !item.is_array()).for_each(|item| collect(item, path, depth, found));
        }
        Value::Object(members) if depth > 1 => {
            for (name, value) in members {
                collect(value, &format!("{path}.{name}"), depth - 1, found);
            }
        }
        Value::Object(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::Role;

    fn claims(json: serde_json::Value) -> Claims {
        let Value::Object(claims) = json else { panic!("claims are an object: {json}") };
        Claims::new(claims)
    }

    #[test]
    fn groups_and_claims_determine_the_role() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let map = RoleMap {
            admin: names(&["group:it"]),
            staff: names(&["realm_access.roles=registrar", "affiliation=staff", "is_staff=true"]),
            student: names(&["hd=college.edu"]),
            ..RoleMap::default()
        };
        let table = [
            (serde_json::json!({"groups": ["/it", "x"], "hd": "college.edu"}), Some(Role::Admin)),
            (serde_json::json!({"groups": "it"}), Some(Role::Admin)),
            (serde_json::json!({"realm_access": {"roles": ["registrar"]}}), Some(Role::Staff)),
            (serde_json::json!({"affiliation": ["student", "staff"]}), Some(Role::Staff)),
            (serde_json::json!({"is_staff": true}), Some(Role::Staff)),
            (serde_json::json!({"hd": "college.edu"}), Some(Role::Student)),
            (serde_json::json!({"hd": "elsewhere.example", "other": ["it"], "groups": [["it"]]}), None),
            (serde_json::json!({}), None),
        ];
        for (json, role) in table {
            let found = claims(json.clone()).rights(&map, "groups");
            assert_eq!(found, role.map(Rights::from), "{json}");
        }
        let everyone = RoleMap { student: names(&["*"]), ..RoleMap::default() };
        assert_eq!(claims(serde_json::json!({})).rights(&everyone, "groups"), Some(Role::Student.into()));
    }

    #[test]
    fn texts_are_found_by_path() {
        let claims = claims(serde_json::json!({
            "name": " Ann ", "empty": "", "profile": {"login": "ann"}, "https://college.edu/id": "a1", "number": 7
        }));
        assert_eq!(claims.text("name"), Some("Ann"));
        assert_eq!(claims.text("profile.login"), Some("ann"));
        assert_eq!(claims.text("https://college.edu/id"), Some("a1"));
        for missing in ["empty", "number", "profile", "profile.none", "name.x", ""] {
            assert_eq!(claims.text(missing), None, "{missing}");
        }
    }
}
