//! JSON request bodies, read field by field so that every error names its field: 400 `bad_request` when the body is not
//! JSON or a value has the wrong type, 422 `invalid` when a value is out of range, unknown or missing. serde reports a
//! line and a column instead and does not distinguish the two cases.

mod objects;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::problem::ProblemCode;

/// The largest JSON body, in bytes. The longest one in practice, an alert with 1,000 names, has about 50 kB.
pub const JSON_LEN_MAX: usize = 64 * 1024;

/// A JSON request body: a typed value with a schema, read field by field.
pub trait RequestBody: Sized + ToSchema {
    /// Members that the hub sets itself. They are ignored in a request, so that a client can send a response back.
    const SET_BY_HUB: &'static [&'static str] = &[];

    /// Removes the members of the body from `fields` and validates them; the caller rejects any that remain.
    ///
    /// # Errors
    /// When a member is invalid; the problem names the first one.
    fn read(fields: &mut Fields) -> Result<Self, Problem>;
}

/// Reads a JSON body of at most [`JSON_LEN_MAX`] bytes.
pub async fn read_body<T: RequestBody>(req: &HttpRequest, payload: web::Payload) -> Result<T, Problem> {
    read_fields(read_json(req, payload).await?)
}

/// Reads an optional JSON body. An empty body, with any content type, counts as an object without members.
pub async fn read_body_or_nothing<T: RequestBody>(req: &HttpRequest, payload: web::Payload) -> Result<T, Problem> {
    let bytes = read_bytes(req, payload, JSON_LEN_MAX).await?;
    if bytes.is_empty() {
        return read_fields(Fields::parse(b"{}")?);
    }
    expect_json(req)?;
    read_fields(Fields::parse(&bytes)?)
}

/// Reads a body from the members of a JSON object.
pub(super) fn read_fields<T: RequestBody>(fields: Fields) -> Result<T, Problem> {
    let mut fields = fields.without(T::SET_BY_HUB);
    let body = T::read(&mut fields)?;
    fields.finish()?;
    Ok(body)
}

/// Reads a JSON object of at most [`JSON_LEN_MAX`] bytes.
async fn read_json(req: &HttpRequest, payload: web::Payload) -> Result<Fields, Problem> {
    expect_json(req)?;
    let bytes = read_bytes(req, payload, JSON_LEN_MAX).await?;
    Fields::parse(&bytes)
}

/// Reads a body of at most `len_max` bytes into memory. [`crate::http::arrival`] bounds how long it takes to arrive.
pub async fn read_bytes(req: &HttpRequest, mut payload: web::Payload, len_max: usize) -> Result<Vec<u8>, Problem> {
    let too_large =
        || Problem::too_large(format!("The request is too large. The limit is {} KiB.", len_max / 1024), len_max);
    let declared = req.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|n| n > len_max as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("The request ended before it was complete."))?;
        if bytes.len() + chunk.len() > len_max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Returns whether the content type of a request is `media_type`, with any parameters.
#[must_use]
pub fn is_of_type(req: &HttpRequest, media_type: &str) -> bool {
    let value = req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
}

fn expect_json(req: &HttpRequest) -> Result<(), Problem> {
    let plain =
        req.headers().get(header::CONTENT_ENCODING).is_none_or(|v| v.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_of_type(req, "application/json") && plain {
        Ok(())
    } else {
        let detail = "The body must be uncompressed JSON with Content-Type: application/json.";
        Err(Problem::new(ProblemCode::UnsupportedMediaType, detail))
    }
}

/// The members of a JSON object. Each getter removes its member; [`Fields::finish`] rejects what remains.
#[derive(Debug)]
pub struct Fields {
    prefix: String,
    members: Map<String, Value>,
}

/// Defines the three getters for a type of value: required, optional (`None` when absent or null), and nullable (`None`
/// when absent, `Some(None)` when null).
macro_rules! getters {
    ($(#[$doc:meta])* $required:ident, $optional:ident, $nullable:ident, $read:ident ($($arg:ident: $ty:ty),*) -> $out:ty) => {
        $(#[$doc])*
        pub fn $required(&mut self, name: &str, $($arg: $ty),*) -> Result<$out, Problem> {
            let at = self.at(name);
            let value = self.members.remove(name).ok_or_else(|| missing(&at))?;
            $read(&at, value, $($arg),*)
        }
        $(#[$doc])*
        ///
        /// `None` when it is absent or null.
        pub fn $optional(&mut self, name: &str, $($arg: $ty),*) -> Result<Option<$out>, Problem> {
            Ok(self.$nullable(name, $($arg),*)?.flatten())
        }
        $(#[$doc])*
        ///
        /// `None` when it is absent, `Some(None)` when it is null.
        pub fn $nullable(&mut self, name: &str, $($arg: $ty),*) -> Result<Option<Option<$out>>, Problem> {
            let at = self.at(name);
            match self.members.remove(name) {
                None => Ok(None),
                Some(Value::Null) => Ok(Some(None)),
                Some(value) => $read(&at, value, $($arg),*).map(|v| Some(Some(v))),
            }
        }
    };
}

impl Fields {
    /// Parses a JSON object. serde_json rejects more than 128 levels, so deep nesting cannot overflow the stack.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            let detail = if bytes.is_empty() {
                "The body is empty; it must be a JSON object.".to_owned()
            } else {
                format!("The body is not valid JSON: see line {}, column {}.", error.line(), error.column())
            };
            Problem::bad_request(detail)
        })?;
        match value {
            Value::Object(members) => Ok(Self { prefix: String::new(), members }),
            other => Err(Problem::bad_request(format!("The body must be a JSON object, not {}.", kind_of(&other)))),
        }
    }

    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    getters! {
        /// Reads text whose length in characters is within `chars`.
        string, maybe_string, nullable_string, read_string(chars: RangeInclusive<usize>) -> String
    }
    getters! {
        /// Reads a Boolean.
        bool, maybe_bool, nullable_bool, read_bool() -> bool
    }
    getters! {
        /// Reads a whole number within a range.
        u32, maybe_u32, nullable_u32, read_u32(range: RangeInclusive<u32>) -> u32
    }
    getters! {
        /// Reads a time (RFC 3339) and truncates it to milliseconds.
        timestamp, maybe_timestamp, nullable_timestamp, read_timestamp() -> Timestamp
    }
    getters! {
        /// Reads a date such as `2022-09-07`.
        date, maybe_date, nullable_date, read_date() -> Date
    }
    getters! {
        /// Reads a list of at most `count_max` texts, each with a length in characters within `chars`.
        strings, maybe_strings, nullable_strings, read_strings(count_max: usize, chars: RangeInclusive<usize>) -> Vec<String>
    }
    getters! {
        /// Reads a nested object. The caller must call its [`Fields::finish`], too.
        object, maybe_object, nullable_object, read_object() -> Fields
    }

    /// Reads an object with at most `count_max` members, whose names and texts each have a length in characters within
    /// `chars`.
    pub fn texts(
        &mut self,
        name: &str,
        count_max: usize,
        chars: RangeInclusive<usize>,
    ) -> Result<BTreeMap<String, String>, Problem> {
        let at = self.at(name);
        let Self { members, prefix } = self.object(name)?;
        if members.len() > count_max {
            return Err(Problem::invalid(at, format!("{name} may have at most {count_max} entries.")));
        }
        let text = |(name, value): (String, Value)| {
            if !chars.contains(&name.chars().count()) {
                let (least, most) = (chars.start(), chars.end());
                return Err(Problem::invalid(
                    &at,
                    format!("Each name in {at} must have {least} to {most} characters."),
                ));
            }
            let value = read_string(&format!("{prefix}{name}"), value, chars.clone())?;
            Ok((name, value))
        };
        members.into_iter().map(text).collect()
    }

    /// Reads text with `parse`; `expected` describes what it accepts, such as "staff or admin".
    pub fn parsed<T>(&mut self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Problem> {
        let at = self.at(name);
        let value = self.members.remove(name).ok_or_else(|| missing(&at))?;
        read_parsed(&at, value, expected, parse)
    }
    /// Reads text with `parse`; `None` when it is absent or null.
    pub fn maybe_parsed<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        Ok(self.nullable_parsed(name, expected, parse)?.flatten())
    }
    /// Reads text with `parse`; `None` when it is absent, `Some(None)` when it is null.
    pub fn nullable_parsed<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Option<T>>, Problem> {
        match self.members.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(value) => read_parsed(&self.at(name), value, expected, parse).map(|value| Some(Some(value))),
        }
    }

    /// Reads a list of at most `count_max` texts with `parse`; `None` when it is absent or null.
    pub fn maybe_parsed_list<T>(
        &mut self,
        name: &str,
        count_max: usize,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let at = self.at(name);
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read_list(&at, value, count_max)?
                .into_iter()
                .enumerate()
                .map(|(i, item)| read_parsed(&format!("{at}[{i}]"), item, expected, &parse))
                .collect::<Result<_, _>>()
                .map(Some),
        }
    }

    /// Returns whether a member is text.
    pub fn is_text(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_string)
    }

    /// Removes members that the hub sets itself.
    #[must_use]
    fn without(mut self, set_by_hub: &[&str]) -> Self {
        self.members.retain(|name, _| !set_by_hub.contains(&name.as_str()));
        self
    }

    /// Rejects members that no getter has removed.
    pub fn finish(self) -> Result<(), Problem> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(80).collect();
                Err(Problem::invalid(format!("{}{shown}", self.prefix), format!("There is no field {shown:?}.")))
            }
        }
    }
}

fn missing(at: &str) -> Problem {
    Problem::invalid(at, format!("{at} is missing."))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn wrong_type(at: &str, expected: &str, value: &Value) -> Problem {
    Problem::bad_request(format!("{at} must be {expected}, not {}.", kind_of(value))).field(at)
}

fn read_string(at: &str, value: Value, chars: RangeInclusive<usize>) -> Result<String, Problem> {
    let Value::String(text) = value else { return Err(wrong_type(at, "text", &value)) };
    check_length(at, &text, &chars)?;
    Ok(text)
}

/// Rejects text whose length in characters is out of range.
pub(super) fn check_length(at: &str, text: &str, chars: &RangeInclusive<usize>) -> Result<(), Problem> {
    if chars.contains(&text.chars().count()) {
        return Ok(());
    }
    let (least, most) = (chars.start(), chars.end());
    Err(Problem::invalid(at, format!("{at} must have {least} to {most} characters.")))
}

#[expect(clippy::needless_pass_by_value, reason = "the getters need readers with the same signature")]
fn read_bool(at: &str, value: Value) -> Result<bool, Problem> {
    value.as_bool().ok_or_else(|| wrong_type(at, "true or false", &value))
}

#[expect(clippy::needless_pass_by_value, reason = "the getters need readers with the same signature")]
fn read_u32(at: &str, value: Value, range: RangeInclusive<u32>) -> Result<u32, Problem> {
    // 3.0 is a whole number, 3.5 has the wrong type, and -1 and 1e30 are out of range.
    let number = value.as_f64().filter(|n| n.fract() == 0.0).ok_or_else(|| wrong_type(at, "a whole number", &value))?;
    let (least, most) = (*range.start(), *range.end());
    if (f64::from(least)..=f64::from(most)).contains(&number) {
        Ok(number as u32)
    } else {
        Err(Problem::invalid(at, format!("{at} must be between {least} and {most}.")))
    }
}

fn read_timestamp(at: &str, value: Value) -> Result<Timestamp, Problem> {
    let Value::String(text) = value else { return Err(wrong_type(at, "a time as text", &value)) };
    let ms = text.parse::<Timestamp>().ok().filter(|_| text.len() <= 40).map(Timestamp::as_millisecond);
    ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .ok_or_else(|| Problem::invalid(at, format!("{at} must be a time such as 2026-01-12T08:00:00-08:00.")))
}

fn read_date(at: &str, value: Value) -> Result<Date, Problem> {
    let Value::String(text) = value else { return Err(wrong_type(at, "a date as text", &value)) };
    // jiff also parses dates with a time; only `YYYY-MM-DD` is accepted here.
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text);
    date.ok_or_else(|| Problem::invalid(at, format!("{at} must be a date such as 2026-01-12.")))
}

fn read_list(at: &str, value: Value, count_max: usize) -> Result<Vec<Value>, Problem> {
    let Value::Array(items) = value else { return Err(wrong_type(at, "a list", &value)) };
    if items.len() > count_max {
        return Err(Problem::invalid(at, format!("{at} may have at most {count_max} entries.")));
    }
    Ok(items)
}

fn read_strings(
    at: &str,
    value: Value,
    count_max: usize,
    chars: RangeInclusive<usize>,
) -> Result<Vec<String>, Problem> {
    let items = read_list(at, value, count_max)?;
    items.into_iter().enumerate().map(|(i, item)| read_string(&format!("{at}[{i}]"), item, chars.clone())).collect()
}

fn read_object(at: &str, value: Value) -> Result<Fields, Problem> {
    match value {
        Value::Object(members) => Ok(Fields { prefix: format!("{at}."), members }),
        other => Err(wrong_type(at, "an object", &other)),
    }
}

fn read_parsed<T>(at: &str, value: Value, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Problem> {
    let Value::String(text) = value else { return Err(wrong_type(at, "text", &value)) };
    parse(&text).ok_or_else(|| Problem::invalid(at, format!("{at} must be {expected}.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use actix_web::{FromRequest, dev};

    fn fields(json: &str) -> Fields {
        Fields::parse(json.as_bytes()).unwrap()
    }

    fn refused<T: std::fmt::Debug>(outcome: Result<T, Problem>) -> (u16, String) {
        let document = outcome.unwrap_err().into_document();
        (document.status, document.field.unwrap_or_default())
    }

    #[test]
    fn each_type_of_value_is_read() {
        let mut f = fields(
            r#"{"s":"é","b":true,"n":3.0,"t":"2026-01-12T08:00:00-08:00","d":"2026-01-12","l":["a","b"],
                "o":{"x":1},"z":null,"r":"staff"}"#,
        );
        assert_eq!(f.string("s", 1..=1).unwrap(), "é");
        assert!(f.bool("b").unwrap());
        assert_eq!(f.u32("n", 0..=3).unwrap(), 3);
        assert_eq!(f.timestamp("t").unwrap().to_string(), "2026-01-12T16:00:00Z");
        assert_eq!(f.date("d").unwrap().to_string(), "2026-01-12");
        assert_eq!(f.strings("l", 2, 1..=1).unwrap(), ["a", "b"]);
        let mut inner = f.object("o").unwrap();
        assert_eq!(inner.maybe_u32("x", 1..=1).unwrap(), Some(1));
        inner.finish().unwrap();
        assert_eq!(f.nullable_date("z").unwrap(), Some(None));
        assert_eq!(f.nullable_date("absent").unwrap(), None);
        assert_eq!(f.maybe_bool("absent").unwrap(), None);
        assert!(f.parsed("r", "a role", crate::domain::role::Role::parse).is_ok());
        f.finish().unwrap();
    }

    #[test]
    fn a_wrong_type_is_400_and_an_invalid_value_422_with_the_field() {
        let read = |json: &str, get: fn(&mut Fields) -> Result<(), Problem>| refused(get(&mut fields(json)));
        let text: fn(&mut Fields) -> _ = |f| f.string("x", 1..=3).map(drop);
        let number: fn(&mut Fields) -> _ = |f| f.u32("x", 1..=9).map(drop);
        let time: fn(&mut Fields) -> _ = |f| f.timestamp("x").map(drop);
        let day: fn(&mut Fields) -> _ = |f| f.date("x").map(drop);
        let list: fn(&mut Fields) -> _ = |f| f.strings("x", 2, 1..=2).map(drop);
        let inner: fn(&mut Fields) -> _ = |f| f.object("x")?.bool("y").map(drop);
        #[expect(clippy::type_complexity, reason = "a table of body, getter, status and field")]
        let table: [(&str, fn(&mut Fields) -> Result<(), Problem>, u16, &str); 20] = [
            (r#"{"x":1}"#, text, 400, "x"),
            (r#"{"x":null}"#, text, 400, "x"),
            (r#"{}"#, text, 422, "x"),
            (r#"{"x":""}"#, text, 422, "x"),
            (r#"{"x":"abcd"}"#, text, 422, "x"),
            (r#"{"x":"1"}"#, number, 400, "x"),
            (r#"{"x":1.5}"#, number, 400, "x"),
            (r#"{"x":-1}"#, number, 422, "x"),
            (r#"{"x":10}"#, number, 422, "x"),
            (r#"{"x":1e300}"#, number, 422, "x"),
            (r#"{"x":99999999999999999999}"#, number, 422, "x"),
            (r#"{"x":5}"#, time, 400, "x"),
            (r#"{"x":"tomorrow"}"#, time, 422, "x"),
            (r#"{"x":"2026-02-30"}"#, day, 422, "x"),
            (r#"{"x":"2026-02-03T10:00:00"}"#, day, 422, "x"),
            (r#"{"x":"a"}"#, list, 400, "x"),
            (r#"{"x":["a","b","c"]}"#, list, 422, "x"),
            (r#"{"x":["a",2]}"#, list, 400, "x[1]"),
            (r#"{"x":{"y":"true"}}"#, inner, 400, "x.y"),
            (r#"{"x":{}}"#, inner, 422, "x.y"),
        ];
        for (json, get, status, field) in table {
            assert_eq!(read(json, get), (status, field.to_owned()), "{json}");
        }
    }

    #[test]
    fn unknown_members_are_rejected_and_named() {
        assert_eq!(refused(fields(r#"{"capacty":1}"#).finish()), (422, "capacty".to_owned()));
    }

    #[test]
    fn members_that_the_hub_sets_are_ignored() {
        let mut left = fields(r#"{"id":1,"seq":null,"title":"a"}"#).without(&["id", "seq"]);
        assert_eq!(left.string("title", 1..=1).unwrap(), "a");
        left.finish().unwrap();
    }

    #[test]
    fn bodies_that_are_not_objects_or_nest_too_deeply_are_400() {
        let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(4));
        let table: [&[u8]; 7] = [b"", b"{", b"[]", b"null", b"{\"a\":\xff}", b"{\"a\":\"\\ud800\"}", deep.as_bytes()];
        for body in table {
            assert_eq!(refused(Fields::parse(body)).0, 400, "{:?}", &body[..body.len().min(20)]);
        }
    }

    async fn send(request: TestRequest) -> Result<Fields, Problem> {
        let (req, mut payload): (HttpRequest, dev::Payload) = request.to_http_parts();
        let payload = web::Payload::from_request(&req, &mut payload).await.unwrap();
        read_json(&req, payload).await
    }

    #[actix_web::test]
    async fn only_json_of_at_most_64_kib_is_accepted() {
        let json = ("content-type", "application/json; charset=utf-8");
        assert!(send(TestRequest::post().insert_header(json).set_payload("{}")).await.is_ok());
        let form = ("content-type", "application/x-www-form-urlencoded");
        assert_eq!(refused(send(TestRequest::post().insert_header(form).set_payload("{}")).await).0, 415);
        assert_eq!(refused(send(TestRequest::post().set_payload("{}")).await).0, 415);
        let gzip = TestRequest::post().insert_header(json).insert_header(("content-encoding", "gzip"));
        assert_eq!(refused(send(gzip.set_payload("{}")).await).0, 415);
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(JSON_LEN_MAX));
        assert_eq!(refused(send(TestRequest::post().insert_header(json).set_payload(large)).await).0, 413);
    }
}
