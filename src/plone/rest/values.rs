//! The values of fields: as Plone has them, in JSON, and in the one form in which the hub compares them.

use serde_json::{Value, json};

use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::plone::rest::html;
use crate::plone::rest::options::PloneOptions;

/// Every mapped field that an item has. A field that the type does not have, or that the asker may not read, is absent.
pub(super) fn read(options: &PloneOptions, item: &Value) -> Fields {
    let of = |field: SectionField| Some((field, value(field, item.get(options.field_name(field))?)));
    SectionField::ALL.iter().copied().filter_map(of).collect()
}

/// Fields as Plone takes them.
pub(super) fn written(options: &PloneOptions, fields: &Fields) -> serde_json::Map<String, Value> {
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

/// A value in the hub's form. What cannot be the field's kind stays text, so that it shows as what it is.
fn value(field: SectionField, json: &Value) -> FieldValue {
    use SectionField as F;
    match field {
        F::Credits => number(json, 3),
        F::Capacity | F::WaitlistCapacity | F::SeatsTaken | F::Waitlisted => number(json, 0),
        F::Roster => FieldValue::Lines(lines(&text(json))),
        F::Meetings => of_text(lines(&text(json)).join("\n")),
        F::Title | F::Term | F::Crn | F::Course | F::Component | F::Section | F::Instructor => {
            of_text(text(json).split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}

fn of_text(text: String) -> FieldValue {
    if text.is_empty() { FieldValue::Nothing } else { FieldValue::Text(text) }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A number with this many decimals kept.
fn number(json: &Value, decimals: u32) -> FieldValue {
    let text = text(json);
    match decimal(text.trim(), decimals) {
        Some(number) => FieldValue::Number(number),
        None => of_text(text.trim().to_owned()),
    }
}

/// Reads `12`, `4.0`, `1.5`; further decimals must be zero.
fn decimal(text: &str, decimals: u32) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let kept = usize::try_from(decimals).ok()?;
    if fraction.len() > kept || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_negative = whole.starts_with('-');
    let scale = 10_i64.pow(decimals);
    let whole: i64 = whole.parse::<i64>().ok()?.checked_mul(scale)?;
    let fraction: i64 = if kept == 0 { 0 } else { format!("{fraction:0<kept$}").parse().ok()? };
    whole.checked_add(if is_negative { -fraction } else { fraction })
}

/// The text of a value: a choice's token, rich text without its HTML, a list one entry a line.
fn text(json: &Value) -> String {
    match json {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join("\n"),
        Value::Object(object) => {
            let data = object.get("data").and_then(Value::as_str);
            let is_html = object.get("content-type").and_then(Value::as_str).is_none_or(|t| t.contains("html"));
            match data {
                Some(data) if is_html => html::plain(data),
                Some(data) => data.to_owned(),
                None => object.get("token").or_else(|| object.get("title")).map(text).unwrap_or_default(),
            }
        }
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
    fn values_have_one_form_whatever_the_type_calls_them() {
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
            (SectionField::Title, json!("  Financial \n Accounting "), text_of("Financial Accounting")),
            (SectionField::Instructor, json!("   "), Nothing),
            (SectionField::Component, json!({"title": "Lecture", "token": "lecture"}), text_of("lecture")),
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
            assert_eq!(value(field, &json), expected, "{field:?} {json}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_as_the_same() {
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
        let json = Value::Object(written(&options, &fields));
        assert_eq!(json["max_seats"], 30);
        assert_eq!(json["credits"], 1.5);
        assert_eq!(json["instructor"], Value::Null);
        assert_eq!(read(&options, &json), fields, "and no field that is not there");
    }
}
