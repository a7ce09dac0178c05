//! Conversion of field values between Plone's JSON and the hub's [`FieldValue`].

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Number, Value, json};

use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::plone::rest::html;
use crate::plone::rest::options::PloneOptions;
use crate::plone::rest::responses::RichText;

/// The JSON value of a field. A college's type may define a field with any type, so every type is accepted.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum PloneValue {
    Empty(()),
    Flag(bool),
    Number(Number),
    Text(String),
    List(Vec<PloneValue>),
    RichText(RichText),
    /// A term of a vocabulary.
    Choice {
        token: Option<Box<PloneValue>>,
        title: Option<Box<PloneValue>>,
    },
    Other(IgnoredAny),
}

/// Reads all mapped fields of an item. Fields that the type lacks or that the viewer may not read are absent.
pub(super) fn read(options: &PloneOptions, item: &HashMap<String, PloneValue>) -> Fields {
    let read = |field: SectionField| Some((field, value(field, item.get(options.field_name(field))?)));
    SectionField::ALL.iter().copied().filter_map(read).collect()
}

/// Converts fields to JSON for Plone, under the field names of the college's type.
pub(super) fn write(options: &PloneOptions, fields: &Fields) -> Map<String, Value> {
    fields.iter().map(|(field, value)| (options.field_name(*field).to_owned(), json_of(*field, value))).collect()
}

fn json_of(field: SectionField, value: &FieldValue) -> Value {
    match value {
        FieldValue::Nothing => Value::Null,
        FieldValue::Number(thousandths) if field == SectionField::Credits => {
            #[expect(clippy::cast_precision_loss, reason = "credits in thousandths are small")]
            let credits = *thousandths as f64 / 1_000.0;
            json!(credits)
        }
        FieldValue::Number(number) => json!(number),
        FieldValue::Text(text) => json!(text),
        FieldValue::Lines(lines) => json!(lines),
    }
}

/// Converts a value to the type of the field. A value that cannot be converted stays text, so that it is compared and
/// reported unchanged.
fn value(field: SectionField, value: &PloneValue) -> FieldValue {
    use SectionField as F;
    match field {
        F::Credits => number(value, 3),
        F::Capacity | F::WaitlistCapacity | F::SeatsTaken | F::Waitlisted => number(value, 0),
        F::Roster => FieldValue::Lines(lines(&text(value))),
        F::Meetings => text_or_nothing(lines(&text(value)).join("\n")),
        F::Title | F::Term | F::Crn | F::Course | F::Component | F::Section | F::Instructor => {
            text_or_nothing(text(value).split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}

fn text_or_nothing(text: String) -> FieldValue {
    if text.is_empty() { FieldValue::Nothing } else { FieldValue::Text(text) }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Converts a number to an integer with this many implied decimals: `1.5` becomes 1,500 with three.
fn number(value: &PloneValue, decimals: u32) -> FieldValue {
    let text = text(value);
    match decimal(text.trim(), decimals) {
        Some(number) => FieldValue::Number(number),
        None => text_or_nothing(text.trim().to_owned()),
    }
}

/// Parses a number such as `12`, `4.0` or `1.5`. Further decimals must be zero.
fn decimal(text: &str, decimals: u32) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = usize::try_from(decimals).ok()?;
    if fraction.len() > digits || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_negative = whole.starts_with('-');
    let scale = 10_i64.pow(decimals);
    let whole: i64 = whole.parse::<i64>().ok()?.checked_mul(scale)?;
    let fraction: i64 = if digits == 0 { 0 } else { format!("{fraction:0<digits$}").parse().ok()? };
    whole.checked_add(if is_negative { -fraction } else { fraction })
}

/// Returns a value as text: the token of a vocabulary term, rich text without HTML, a list with one entry per line.
fn text(value: &PloneValue) -> String {
    match value {
        PloneValue::Empty(()) | PloneValue::Other(_) => String::new(),
        PloneValue::Text(text) => text.clone(),
        PloneValue::Number(number) => number.to_string(),
        PloneValue::Flag(flag) => flag.to_string(),
        PloneValue::List(list) => list.iter().map(text).collect::<Vec<_>>().join("\n"),
        PloneValue::RichText(RichText { data, content_type }) => {
            let is_html = content_type.0.as_ref().is_none_or(|media_type| media_type.contains("html"));
            if is_html { html::plain(data) } else { data.clone() }
        }
        PloneValue::Choice { token, title } => token.as_ref().or(title.as_ref()).map(|v| text(v)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FieldValue::{Lines, Nothing, Number};

    fn text_of(text: &str) -> FieldValue {
        FieldValue::Text(text.to_owned())
    }

    #[test]
    fn values_are_normalized_from_every_json_type() {
        let rich = json!({"data": "<p>MWF 09:30-10:50<br/>TR 1</p>", "content-type": "text/html", "encoding": "utf-8"});
        let plain = json!({"data": " MWF \r\n\r\n TR ", "content-type": "text/plain"});
        let table = [
            (SectionField::Credits, json!(4.0), Number(4_000)),
            (SectionField::Credits, json!(1.5), Number(1_500)),
            (SectionField::Credits, json!("0.125"), Number(125)),
            (SectionField::Credits, json!("3 TO 4"), text_of("3 TO 4")),
            (SectionField::Credits, json!(null), Nothing),
            (SectionField::Capacity, json!(36), Number(36)),
            (SectionField::Capacity, json!(36.0), Number(36)),
            (SectionField::Capacity, json!(" 36 "), Number(36)),
            (SectionField::Capacity, json!("many"), text_of("many")),
            (SectionField::Capacity, json!(""), Nothing),
            (SectionField::SeatsTaken, json!(0), Number(0)),
            (SectionField::SeatsTaken, json!(true), text_of("true")),
            (SectionField::Title, json!("  Financial \n Accounting "), text_of("Financial Accounting")),
            (SectionField::Instructor, json!("   "), Nothing),
            (SectionField::Component, json!({"title": "Lecture", "token": "lecture"}), text_of("lecture")),
            (SectionField::Component, json!({"title": "Lecture"}), text_of("Lecture")),
            (SectionField::Component, json!({}), Nothing),
            (SectionField::Meetings, rich, text_of("MWF 09:30-10:50\nTR 1")),
            (SectionField::Meetings, plain, text_of("MWF\nTR")),
            (SectionField::Meetings, json!("MWF 1\r\nTR 2\r\n"), text_of("MWF 1\nTR 2")),
            (SectionField::Roster, json!([]), Lines(vec![])),
            (SectionField::Roster, json!(null), Lines(vec![])),
            (
                SectionField::Roster,
                json!(["a enrolled x", "b waitlisted y"]),
                Lines(vec!["a enrolled x".into(), "b waitlisted y".into()]),
            ),
            (SectionField::Crn, json!(30001), text_of("30001")),
        ];
        for (field, json, expected) in table {
            let read = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(value(field, &read), expected, "{field:?} {json}");
        }
    }

    #[test]
    fn written_values_are_read_back_unchanged() {
        let options = PloneOptions {
            fields: [(SectionField::Capacity, "max_seats".to_owned())].into(),
            ..PloneOptions::fixture()
        };
        let fields: Fields = [
            (SectionField::Credits, Number(1_500)),
            (SectionField::Capacity, Number(30)),
            (SectionField::Instructor, Nothing),
            (SectionField::Meetings, text_of("MWF 1\nTR 2")),
            (SectionField::Roster, Lines(vec!["a enrolled x".to_owned()])),
        ]
        .into();
        let json = Value::Object(write(&options, &fields));
        assert_eq!(json["max_seats"], 30);
        assert_eq!(json["credits"], 1.5);
        assert_eq!(json["instructor"], Value::Null);
        assert_eq!(read(&options, &serde_json::from_value(json).unwrap()), fields, "absent fields stay absent");
    }
}
