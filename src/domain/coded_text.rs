//! Texts of the hub that the pages show in the reader's language: a code, and the values in the text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The maximum length of a value in a text, in characters: a cell or a name. The English message may contain a longer
/// one.
const VALUE_CHARS_MAX: usize = 200;

/// A text by its code. It is stored and sent with the English text, which pages show if they do not know the code, so
/// that hubs and pages of different versions work together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodedText {
    /// The stable code of the text.
    pub code: Box<str>,
    /// The values in the text, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<Box<str>, Arg>,
}

/// A value in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Arg {
    /// A number.
    Number(u64),
    /// A name or another text that is the same in all languages.
    Text(Box<str>),
    /// Names or numbers to be listed.
    List(Vec<Arg>),
    /// A part of the text that has its own code.
    Coded(CodedText),
}

impl CodedText {
    /// Returns the code and the values of an enum that is serialized with the tag `code` and the content `args`; `None`
    /// for another type, whose English text is then the only one.
    #[must_use]
    pub fn of(text: &impl Serialize) -> Option<Self> {
        let mut coded: Self = serde_json::to_value(text).and_then(serde_json::from_value).ok()?;
        coded.shorten();
        Some(coded)
    }

    fn shorten(&mut self) {
        self.args.values_mut().for_each(Arg::shorten);
    }
}

impl Arg {
    fn shorten(&mut self) {
        match self {
            Self::Number(_) => {}
            Self::Text(text) => {
                if text.chars().nth(VALUE_CHARS_MAX).is_some() {
                    *text = text.chars().take(VALUE_CHARS_MAX).collect::<String>().into();
                }
            }
            Self::List(items) => items.iter_mut().for_each(Self::shorten),
            Self::Coded(coded) => coded.shorten(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(tag = "code", content = "args", rename_all = "snake_case")]
    enum Example {
        Empty,
        NoSuchDay { days: Vec<&'static str>, line: u64, why: Box<Example>, cell: String },
    }

    #[test]
    fn values_of_an_enum_are_named_by_its_fields() {
        let text = Example::NoSuchDay {
            days: vec!["mon", "wed"],
            line: 3,
            why: Box::new(Example::Empty),
            cell: "é".repeat(VALUE_CHARS_MAX + 1),
        };

        let coded = CodedText::of(&text).unwrap();

        let cell = "é".repeat(VALUE_CHARS_MAX);
        let expected = format!(
            r#"{{"code":"no_such_day","args":{{"cell":"{cell}","days":["mon","wed"],"line":3,"why":{{"code":"empty"}}}}}}"#
        );
        assert_eq!(serde_json::to_string(&coded).unwrap(), expected);
        assert_eq!(serde_json::from_str::<CodedText>(&expected).unwrap(), coded);
        assert_eq!(CodedText::of(&3), None);
    }
}
