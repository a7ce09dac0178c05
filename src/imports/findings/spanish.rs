//! Spanish texts of findings, for the list of all errors that staff download. They are the texts of the pages.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::coded_text::{Arg, CodedText};

/// The texts of the pages: one line for each code, with a text, or with its forms for one and for several.
const TABLE: &str = include_str!("../../../static/js/words/findings/es.js");

/// The texts by their codes.
static TEXTS: LazyLock<HashMap<&'static str, Text>> = LazyLock::new(|| TABLE.lines().filter_map(entry).collect());

/// A text with `{names}` of values.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Forms { one: String, other: String },
}

fn entry(line: &'static str) -> Option<(&'static str, Text)> {
    let (code, text) = line.trim().strip_prefix("\"finding.")?.split_once("\": ")?;
    let text = text.strip_suffix(',')?;
    // The names of the forms have no quotation marks in the script.
    let json = text.replacen("{ one: ", "{ \"one\": ", 1).replacen("\", other: ", "\", \"other\": ", 1);
    Some((code, serde_json::from_str(&json).ok()?))
}

/// Returns a text in Spanish; `None` if the pages have no text of the code or of one of its parts.
pub(in crate::imports) fn text(coded: &CodedText) -> Option<String> {
    let template = match TEXTS.get(&*coded.code)? {
        Text::One(text) => text,
        Text::Forms { one, .. } if coded.args.get("n") == Some(&Arg::Number(1)) => one,
        Text::Forms { other, .. } => other,
    };
    let mut filled = String::with_capacity(template.len());
    let mut rest = template.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&value(coded.args.get(name)?)?);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

fn value(arg: &Arg) -> Option<String> {
    match arg {
        Arg::Number(number) => Some(number.to_string()),
        Arg::Text(text) => Some(text.to_string()),
        Arg::List(items) => Some(items.iter().map(value).collect::<Option<Vec<_>>>()?.join(", ")),
        Arg::Coded(coded) => text(coded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::finding_kind::FindingKind;
    use crate::imports::finding_parts::{CountField, CountProblem};

    fn spanish(kind: &FindingKind) -> Option<String> {
        text(&CodedText::of(kind)?)
    }

    #[test]
    fn the_table_of_the_pages_is_read_whole() {
        let lines = TABLE.lines().filter(|line| line.trim_start().starts_with("\"finding.")).count();
        assert!(lines > 150, "{lines} lines");
        assert_eq!(TEXTS.len(), lines);
    }

    #[test]
    fn texts_have_their_values_parts_and_forms() {
        let part = FindingKind::Count {
            field: CountField::Capacity,
            problem: CountProblem::DoubtfulDot { cell: "1.000".to_owned(), whole: "1".to_owned() },
        };
        let text = spanish(&FindingKind::NotImported { what: Box::new(part) }).unwrap();
        assert!(text.contains("1.000") && text.ends_with("(no se importa)") && !text.contains('{'), "{text}");
        let [one, several] = [1, 2].map(|n| spanish(&FindingKind::PeriodsUnread { n }).unwrap());
        assert!(one.contains("1 clase no") && several.contains("2 clases no"), "{one} {several}");
        assert_eq!(text_of_unknown(), None);
    }

    fn text_of_unknown() -> Option<String> {
        text(&CodedText { code: "no_such_code".into(), args: std::collections::BTreeMap::new() })
    }
}
