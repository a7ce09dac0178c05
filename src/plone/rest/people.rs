//! Plone's users: `@login` and `@users`.

use secrecy::SecretString;

use crate::domain::ids::UserName;
use crate::plone::port::{Directory, PloneError, PloneFuture, PlonePerson, Viewer};
use crate::plone::rest::client::PloneClient;
use crate::plone::rest::responses::User;
use crate::plone::rest::transport::Call;
use crate::text::percent;

/// Maximum number of groups that are read for one user, well above any real number.
const GROUPS_MAX: usize = 1_000;

impl Directory for PloneClient {
    fn login(&self, username: &UserName, password: &SecretString) -> PloneFuture<SecretString> {
        let (username, password) = (username.clone(), password.clone());
        self.run(|inner, deadline| async move { inner.login(username.as_str(), &password, deadline).await })
    }

    fn person(&self, username: &UserName) -> PloneFuture<Option<PlonePerson>> {
        let path = format!("/@users/{}?b_size={GROUPS_MAX}", percent::encode_segment(username.as_str()));
        self.run(|inner, deadline| async move {
            match inner.call(&Viewer::Hub, Call::get(path), deadline).await {
                Ok(user) => Ok(Some(person(user))),
                Err(PloneError::NotFound) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}

fn person(user: User) -> PlonePerson {
    let groups = user.groups.0.map(|groups| groups.items).unwrap_or_default();
    PlonePerson {
        name: user.fullname.text(),
        roles: user.roles.0.unwrap_or_default(),
        groups: groups.into_iter().map(|group| group.id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_with_roles_and_groups() {
        let read = |json: serde_json::Value| person(serde_json::from_value(json).unwrap());
        let clerk = read(serde_json::json!({
            "id": "clerk", "fullname": " Clara Clerk ", "roles": ["Member", "Reviewer"],
            "groups": {"items": [{"id": "AuthenticatedUsers", "title": "x"}, {"id": "registrars"}], "items_total": 2}
        }));
        let expected = PlonePerson {
            name: Some("Clara Clerk".to_owned()),
            roles: vec!["Member".to_owned(), "Reviewer".to_owned()],
            groups: vec!["AuthenticatedUsers".to_owned(), "registrars".to_owned()],
        };
        assert_eq!(clerk, expected);
        let empty = read(serde_json::json!({"fullname": "", "roles": null}));
        assert_eq!(empty, PlonePerson { name: None, roles: vec![], groups: vec![] });
    }
}
