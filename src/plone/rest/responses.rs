//! The parts of the responses of Plone's REST API (plone.restapi) that the hub reads. Unknown fields are ignored. A
//! field that may be missing, null or of a different type is [`Lenient`].

use std::collections::HashMap;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::plone::port::PloneError;
use crate::plone::rest::client::unreadable;
use crate::plone::rest::values::PloneValue;

/// A response whose body is JSON.
pub(super) trait Response: DeserializeOwned {
    /// Description of the response for error messages.
    const WHAT: &'static str;

    /// Reads the body of a response.
    fn read(body: &[u8]) -> Result<Self, PloneError> {
        // The parser's message may quote values and addresses, so it is not passed on.
        serde_json::from_slice(body).map_err(|_| unreadable(Self::WHAT))
    }
}

/// A value that is read as `None` if it is missing, null or of a different type.
#[derive(Debug)]
pub(super) struct Lenient<T>(pub(super) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Expected(T),
            Other(IgnoredAny),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Expected(value) => Some(value),
            Either::Other(_) => None,
        }))
    }
}

impl Lenient<String> {
    /// Returns the trimmed text; `None` if it is empty.
    pub(super) fn text(&self) -> Option<String> {
        self.0.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

fn non_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Err(D::Error::custom("empty text")) } else { Ok(text) }
}

/// Response to a sign-in (`POST @login`).
#[derive(Deserialize)]
pub(super) struct LoginToken {
    pub(super) token: String,
}

/// The id of a user (`GET @users/NAME`).
#[derive(Deserialize)]
pub(super) struct UserId {
    #[serde(default)]
    pub(super) id: Lenient<String>,
}

/// A user (`GET @users/NAME`). For Zope's root users, all fields except `roles` are null.
#[derive(Deserialize)]
pub(super) struct User {
    #[serde(default)]
    pub(super) fullname: Lenient<String>,
    #[serde(default)]
    pub(super) roles: Lenient<Vec<String>>,
    #[serde(default)]
    pub(super) groups: Lenient<Groups>,
}

/// The groups of a user.
#[derive(Deserialize)]
pub(super) struct Groups {
    pub(super) items: Vec<Group>,
}

/// A group.
#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
}

/// A page of a search (`GET @search`).
#[derive(Deserialize)]
pub(super) struct SearchPage {
    pub(super) items: Vec<Lenient<SearchHit>>,
    pub(super) items_total: u64,
}

/// A search hit with the columns that the hub requests.
#[derive(Deserialize)]
pub(super) struct SearchHit {
    #[serde(rename = "UID", deserialize_with = "non_empty")]
    pub(super) uid: String,
    #[serde(rename = "@id")]
    pub(super) address: String,
    pub(super) modified: Timestamp,
}

/// The whole representation of a section.
#[derive(Deserialize)]
pub(super) struct SectionItem {
    #[serde(rename = "UID", deserialize_with = "non_empty")]
    pub(super) uid: String,
    #[serde(rename = "@id")]
    pub(super) address: String,
    #[serde(rename = "@type", default)]
    pub(super) portal_type: Lenient<String>,
    pub(super) modified: Timestamp,
    /// Time of publication; null before the first publication.
    #[serde(default)]
    pub(super) effective: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) review_state: Lenient<String>,
    /// The fields of the college's type, under their names in Plone.
    #[serde(flatten)]
    pub(super) fields: HashMap<String, PloneValue>,
}

/// The names of the fields of an item that its viewer may read.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct FieldNames(pub(super) HashMap<String, IgnoredAny>);

/// An event.
#[derive(Deserialize)]
pub(super) struct EventItem {
    #[serde(rename = "UID", deserialize_with = "non_empty")]
    pub(super) uid: String,
    pub(super) start: Timestamp,
    #[serde(default)]
    pub(super) end: Lenient<Timestamp>,
    #[serde(default)]
    pub(super) title: Lenient<String>,
    #[serde(default)]
    pub(super) subjects: Lenient<Vec<String>>,
    #[serde(default)]
    pub(super) location: Lenient<String>,
    #[serde(default)]
    pub(super) contact_name: Lenient<String>,
    #[serde(default)]
    pub(super) description: Lenient<String>,
}

/// A news item.
#[derive(Deserialize)]
pub(super) struct NewsPage {
    #[serde(rename = "UID", deserialize_with = "non_empty")]
    pub(super) uid: String,
    #[serde(rename = "@id")]
    pub(super) address: String,
    pub(super) modified: Timestamp,
    #[serde(default)]
    pub(super) created: Lenient<Timestamp>,
    #[serde(default)]
    pub(super) effective: Lenient<Timestamp>,
    #[serde(default)]
    pub(super) title: Lenient<String>,
    #[serde(default)]
    pub(super) description: Lenient<String>,
    #[serde(default)]
    pub(super) text: Lenient<RichText>,
}

/// Rich text.
#[derive(Debug, Deserialize)]
pub(super) struct RichText {
    pub(super) data: String,
    #[serde(rename = "content-type", default)]
    pub(super) content_type: Lenient<String>,
}

/// A response whose body is not read.
#[derive(Deserialize)]
pub(super) struct Ignored;

macro_rules! responses {
    ($($of:ty: $what:literal),* $(,)?) => {
        $(impl Response for $of { const WHAT: &'static str = $what; })*
    };
}

responses! {
    LoginToken: "the token of a sign-in",
    UserId: "the id of a user",
    User: "a user",
    SearchPage: "a page of a search",
    SectionItem: "a section",
    FieldNames: "the fields of an item",
    EventItem: "an event",
    NewsPage: "a news item",
}

impl Response for Ignored {
    const WHAT: &'static str = "nothing";

    fn read(_: &[u8]) -> Result<Self, PloneError> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_fields_are_none_for_null_and_other_types() {
        let read = |json: &str| serde_json::from_str::<User>(json).unwrap();
        for json in ["{}", r#"{"fullname": null, "roles": null, "groups": null}"#, r#"{"fullname": 7, "groups": []}"#] {
            let user = read(json);
            assert!(user.fullname.0.is_none() && user.roles.0.is_none() && user.groups.0.is_none(), "{json}");
        }
        let user = read(r#"{"fullname": " Ann ", "roles": ["Member"], "groups": {"items": [{"id": "a", "x": 1}]}}"#);
        assert_eq!(user.fullname.text().as_deref(), Some("Ann"));
        assert_eq!(user.groups.0.unwrap().items[0].id, "a");
    }

    #[test]
    fn read_errors_name_the_response_and_quote_nothing() {
        let error = SearchPage::read(br#"{"items": "http://10.0.0.7/"}"#).err().unwrap();
        assert_eq!(error, PloneError::Failed("unreadable response: a page of a search".to_owned()));
    }
}
