//! Who signs in: `@login` and `@users`.

use secrecy::SecretString;
use serde_json::Value;

use crate::domain::ids::UserName;
use crate::plone::port::{Directory, PloneError, PloneFuture, PlonePerson, Viewer};
use crate::plone::rest::client::PloneClient;
use crate::plone::rest::transport::Call;
use crate::text::percent;

/// Groups of one person that are read: more than anybody is in.
const GROUPS_MAX: usize = 1_000;

impl Directory for PloneClient {
    fn login(&self, username: &UserName, password: &SecretString) -> PloneFuture<SecretString> {
        let (username, password) = (username.clone(), password.clone());
        self.run(|inner, deadline| async move { inner.login(username.as_str(), &password, deadline).await })
    }

    fn person(&self, username: &UserName) -> PloneFuture<Option<PlonePerson>> {
        let path = format!("/@users/{}?b_size={GROUPS_MAX}", percent::piece(username.as_str()));
        self.run(|inner, deadline| async move {
            match inner.ask(&Viewer::Hub, Call::get(path), deadline).await {
                Ok(user) => Ok(Some(person(&user))),
                Err(PloneError::NotFound) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}

fn person(user: &Value) -> PlonePerson {
    let texts = |list: Option<&Value>, key: Option<&str>| {
        let list = list.and_then(Value::as_array).into_iter().flatten();
        let text = |one: &Value| key.map_or(Some(one), |key| one.get(key))?.as_str().map(str::to_owned);
        list.filter_map(text).collect()
    };
    let name = user.get("fullname").and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty());
    PlonePerson {
        name: name.map(str::to_owned),
        roles: texts(user.get("roles"), None),
        groups: texts(user.get("groups").and_then(|groups| groups.get("items")), Some("id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_read_with_roles_and_groups() {
        let user = serde_json::json!({
            "id": "clerk", "fullname": " Clara Clerk ", "roles": ["Member", "Reviewer"],
            "groups": {"items": [{"id": "AuthenticatedUsers", "title": "x"}, {"id": "registrars"}], "items_total": 2}
        });
        let expected = PlonePerson {
            name: Some("Clara Clerk".to_owned()),
            roles: vec!["Member".to_owned(), "Reviewer".to_owned()],
            groups: vec!["AuthenticatedUsers".to_owned(), "registrars".to_owned()],
        };
        assert_eq!(person(&user), expected);
        let nobody = person(&serde_json::json!({"fullname": "", "roles": null}));
        assert_eq!(nobody, PlonePerson { name: None, roles: vec![], groups: vec![] });
    }
}
