//! The code of a text of the hub, which accompanies its English text in a response.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::coded_text::{Arg, CodedText};

/// The code of a text and the values in it, with which a client shows the text in another language. They are members of
/// the object that has the English text.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct TextCode {
    /// The stable code of the text; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<Box<str>>,
    /// The values in the text, by name: texts, numbers, lists, and parts with a `code` and `args`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false, value_type = Object)]
    args: BTreeMap<Box<str>, Arg>,
}

impl From<Option<CodedText>> for TextCode {
    fn from(coded: Option<CodedText>) -> Self {
        let (code, args) = coded.map(|coded| (coded.code, coded.args)).unzip();
        Self { code, args: args.unwrap_or_default() }
    }
}
