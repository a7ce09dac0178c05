//! The detail of an entry as it is stored.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::domain::audit_detail::AuditDetail;
use crate::domain::coded_text::{Arg, CodedText};

/// The maximum length of a detail, and of the value of a field in it, in characters.
pub const DETAIL_CHARS_MAX: usize = 500;
/// The code of a detail that lists fields with their new values. Each value has the name of its field.
pub(super) const FIELDS: &str = "fields";

/// The detail of an entry: an English text, and the code and the values from which it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// The English text. Searches compare words with it.
    pub text: String,
    /// The code and the values; `None` for a name, an id, JSON or another text that needs no translation. Entries of
    /// earlier versions have none either; [`super::coded`] recognizes theirs.
    pub coded: Option<CodedText>,
}

impl Detail {
    /// Returns the detail of a change: the fields with their new values. `separator` separates the fields in the text.
    #[must_use]
    pub fn of_fields(fields: Vec<(&'static str, String)>, separator: &str) -> Self {
        let text = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(separator);
        let value = |text: String| Arg::Text(text.chars().take(DETAIL_CHARS_MAX).collect::<String>().into());
        let args = fields.into_iter().map(|(name, text)| (name.into(), value(text))).collect();
        let coded = (!text.is_empty()).then(|| CodedText { code: FIELDS.into(), args });
        Self { text, coded }
    }
}

impl From<AuditDetail> for Detail {
    fn from(detail: AuditDetail) -> Self {
        Self { text: detail.to_string(), coded: CodedText::of(&detail) }
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self { text, coded: None }
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Serialized as a part of another detail: by its code. A text without a code has no serialized form, so a text that
/// contains it has no code either.
impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let no_code = || serde::ser::Error::custom("the text has no code");
        self.coded.as_ref().ok_or_else(no_code)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_of(detail: &Detail) -> serde_json::Value {
        serde_json::to_value(&detail.coded).unwrap()
    }

    #[test]
    fn fields_are_named_in_order_with_whole_values() {
        let fields = || vec![("title", "Fall, opens_at: soon".to_owned()), ("starts_on", "é".repeat(600))];
        let detail = Detail::of_fields(fields(), ", ");
        assert!(detail.text.starts_with("title: Fall, opens_at: soon, starts_on: é"), "{detail}");
        let args = json!({"title": "Fall, opens_at: soon", "starts_on": "é".repeat(DETAIL_CHARS_MAX)});
        assert_eq!(json_of(&detail), json!({"code": "fields", "args": args}));
        assert_eq!(Detail::of_fields(Vec::new(), ", "), Detail::default());
    }

    #[test]
    fn a_refusal_has_a_code_if_the_refused_request_has_one() {
        let refused =
            |what: Detail| Detail::from(AuditDetail::Refused { refusal: "hold".to_owned(), what: what.into() });
        let detail = refused(AuditDetail::Drop.because("override: late").into());
        assert_eq!(detail.text, "refused: hold; drop; override: late");
        let what = json!({"code": "with_reason", "args": {"what": {"code": "drop"}, "reason": "override: late"}});
        assert_eq!(json_of(&detail), json!({"code": "refused", "args": {"refusal": "hold", "what": what}}));
        assert_eq!(refused("register 1; an import".into()), "refused: hold; register 1; an import".into());
    }
}
