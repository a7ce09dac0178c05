//! Interpretation of Plone's responses. Its statuses are ambiguous: 401 also means "known, but not allowed", 503 also
//! means a fault in Plone's own code, 500 also means a conflict that may pass. An error body has one of two shapes,
//! sometimes with a traceback.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::plone::port::PloneError;
use crate::plone::rest::responses::Lenient;
use crate::text::{base64, percent};

/// Most characters of Plone's own words that are passed on.
const MESSAGE_CHARS_MAX: usize = 200;

/// What a response means.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// The call succeeded; the body is JSON or empty.
    Done(Bytes),
    /// 401: the viewer is not known, or not allowed.
    Unauthorized,
    /// Two writes conflicted and Plone's own retries are exhausted; nothing was written.
    Conflict,
    /// Plone refused or failed.
    Refused(PloneError),
    /// Not a response of Plone, such as the page of a gateway.
    NotPlone(String),
}

impl Verdict {
    /// Interprets a response.
    pub(super) fn of(status: u16, body: &Bytes) -> Self {
        if (200..300).contains(&status) {
            let is_readable = body.is_empty() || serde_json::from_slice::<IgnoredAny>(body).is_ok();
            return match is_readable {
                true => Self::Done(body.clone()),
                false => Self::NotPlone(format!("an answer {status} that is no JSON")),
            };
        }
        match (status, ErrorBody::read(body)) {
            // Content moved, or a gateway redirects everybody: neither means that the content is gone.
            (300..400, _) => Self::Refused(PloneError::Failed("it is said to be elsewhere".to_owned())),
            (404 | 410, Some(_)) => Self::Refused(PloneError::NotFound),
            (404 | 410, None) => Self::NotPlone(format!("status {status} without an answer of Plone")),
            (_, Some(error)) => error.verdict(status),
            (401, None) => Self::Unauthorized,
            (403, None) => Self::Refused(PloneError::Forbidden),
            (400..500, None) => Self::Refused(PloneError::Refused(format!("status {status}"))),
            _ => Self::NotPlone(format!("status {status} without an answer of Plone")),
        }
    }
}

/// Type and message of an error, in Plone's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ErrorBody {
    kind: String,
    message: String,
}

/// The two shapes of an error: `{"error": {type, message}}` and `{type, message, …}`.
#[derive(Deserialize)]
struct ErrorShapes {
    #[serde(default)]
    error: Lenient<ErrorShape>,
    #[serde(flatten)]
    own: ErrorShape,
}

#[derive(Deserialize)]
struct ErrorShape {
    #[serde(rename = "type", default)]
    kind: Lenient<String>,
    #[serde(default)]
    message: Lenient<String>,
}

impl ErrorBody {
    /// Reads the body of an error; none when it has neither shape.
    fn read(body: &[u8]) -> Option<Self> {
        let ErrorShapes { error, own } = serde_json::from_slice(body).ok()?;
        let ErrorShape { kind, message } = error.0.unwrap_or(own);
        Some(Self { kind: kind.0?, message: message.0.unwrap_or_default() })
    }

    fn verdict(&self, status: u16) -> Verdict {
        let says = |word: &str| self.message.to_ascii_lowercase().contains(word);
        let refused = match status {
            401 => return Verdict::Unauthorized,
            500 | 503 if self.kind.ends_with("ConflictError") => return Verdict::Conflict,
            // A user edits it in Plone; the lock passes.
            403 | 423 if says("locked") => PloneError::Occupied("it is being edited".to_owned()),
            403 => PloneError::Forbidden,
            400..500 => PloneError::Refused(self.summary(status)),
            _ => PloneError::Failed(self.summary(status)),
        };
        Verdict::Refused(refused)
    }

    fn summary(&self, status: u16) -> String {
        let message = clean_message(&self.message);
        if message.is_empty() {
            return format!("{status} {}", clean_message(&self.kind));
        }
        format!("{status} {}: {message}", clean_message(&self.kind))
    }
}

/// Returns why an account is locked, in Plone's own words, when a rejected sign-in says so. Plone itself locks no
/// account. Its add-on Products.LoginLockout rejects the right password like a wrong one and gives the reason only in
/// the cookie `messages`; other add-ons may give it in the body.
pub(super) fn lockout(status: u16, body: &[u8], messages: Option<&str>) -> Option<String> {
    if !(400..500).contains(&status) {
        return None;
    }
    if let Some(text) = messages.and_then(error_message) {
        return Some(clean_message(&text));
    }
    let error = ErrorBody::read(body);
    let text = error.as_ref().map(|error| format!("{} {}", error.kind, error.message).to_ascii_lowercase());
    let text = text.unwrap_or_default();
    let says = ["locked", "lockout", "too many"].iter().any(|word| text.contains(word));
    if status == 423 || status == 429 || says {
        let own = error.map(|error| clean_message(&error.message)).filter(|own| !own.is_empty());
        return Some(own.unwrap_or_else(|| "too many failed sign-ins".to_owned()));
    }
    None
}

/// Returns the first message of the type `error` in the cookie `statusmessages` (Products.statusmessages): base64 of
/// messages, each with two bytes (11 bits for the length of its text, 5 for that of its type), the text and the type.
fn error_message(cookie: &str) -> Option<String> {
    let bytes = base64::decode(percent::decode(cookie.trim_matches('"'), |_| true)?.trim())?;
    let mut rest = bytes.as_slice();
    while let Some((lengths, after)) = rest.split_first_chunk::<2>() {
        let lengths = usize::from(u16::from_be_bytes(*lengths));
        let (text, after) = after.split_at_checked(lengths >> 5)?;
        let (kind, after) = after.split_at_checked(lengths & 0x1f)?;
        if kind == b"error" {
            return String::from_utf8(text.to_vec()).ok();
        }
        rest = after;
    }
    None
}

/// Shortens Plone's words for people: without Python's notation, addresses and objects.
pub(super) fn clean_message(message: &str) -> String {
    if message.contains("Traceback") || message.contains("File \"") {
        return String::new();
    }
    let plain = validation(message).unwrap_or_else(|| message.to_owned());
    let mut words = String::new();
    for word in without_objects(&plain).split_whitespace().filter(|word| !word.contains("://")) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    match words.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}

/// Converts `[{'message': "…", 'field': 'capacity', 'error': 'ValidationError'}, …]` to `capacity: …; …`.
fn validation(message: &str) -> Option<String> {
    let mut rest = message.strip_prefix('[')?;
    rest.trim_start().strip_prefix('{')?;
    let mut complaints = Vec::new();
    while let Some(start) = rest.find('{') {
        rest = &rest[start..];
        let says = quoted_after(rest, "'message':").unwrap_or_default();
        let field = quoted_after(rest, "'field':");
        complaints.push(match field {
            Some(field) => format!("{field}: {says}"),
            None => says,
        });
        rest = rest.find("},").map_or("", |end| &rest[end + 1..]);
    }
    Some(complaints.join("; "))
}

/// Returns the Python string that follows `key`.
fn quoted_after(text: &str, key: &str) -> Option<String> {
    let text = text[text.find(key)? + key.len()..].trim_start();
    let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    let mut value = String::new();
    let mut chars = text.chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.extend(chars.next()),
            c if c == quote => return Some(value),
            c => value.push(c),
        }
    }
    None
}

/// Removes objects such as `<CourseSection at /Plone/courses/x>`.
fn without_objects(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        rest = rest[start..].find('>').map_or("", |end| &rest[start + end + 1..]);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Responses of a real Plone 6.2.2, verbatim.
    #[test]
    fn responses_of_plone_are_told_apart() {
        let refused = |text: &str| Verdict::Refused(PloneError::Refused(text.to_owned()));
        let failed = |text: &str| Verdict::Refused(PloneError::Failed(text.to_owned()));
        let table: [(u16, &'static str, Verdict); 16] = [
            (200, r#"{"UID": "x"}"#, Verdict::Done(Bytes::from_static(br#"{"UID": "x"}"#))),
            (204, "", Verdict::Done(Bytes::new())),
            (200, "<!DOCTYPE html><html>", Verdict::NotPlone("an answer 200 that is no JSON".into())),
            (
                401,
                r#"{"context": "http://127.0.0.1:8080/Plone", "message": "You are not authorized to access this resource.", "type": "Unauthorized"}"#,
                Verdict::Unauthorized,
            ),
            (
                401,
                r#"{"error": {"message": "The authentication token is invalid or expired.", "type": "Invalid or expired authentication token"}}"#,
                Verdict::Unauthorized,
            ),
            (
                404,
                r#"{"context": "http://127.0.0.1:8080/Plone", "message": "Resource not found: http://127.0.0.1:8080/Plone/@users/nobody", "type": "NotFound"}"#,
                Verdict::Refused(PloneError::NotFound),
            ),
            (301, "", failed("it is said to be elsewhere")),
            (404, "<html>nginx</html>", Verdict::NotPlone("status 404 without an answer of Plone".into())),
            (
                400,
                r#"{"context": "http://127.0.0.1:8080/Plone/courses/202701-30001", "message": "[{'message': \"invalid literal for int() with base 10: 'many'\", 'field': 'capacity', 'error': 'ValidationError'}]", "type": "BadRequest"}"#,
                refused("400 BadRequest: capacity: invalid literal for int() with base 10: 'many'"),
            ),
            (
                400,
                r#"{"context": "http://127.0.0.1:8080/Plone/courses", "message": "The id \"dup-1\" is invalid - it is already in use.", "type": "BadRequest"}"#,
                refused("400 BadRequest: The id \"dup-1\" is invalid - it is already in use."),
            ),
            (
                503,
                r#"{"message": "'seats'", "traceback": ["File \"/opt/plone/x.py\", line 3, in reply"], "type": "KeyError"}"#,
                failed("503 KeyError: 'seats'"),
            ),
            (
                500,
                r#"{"message": "database conflict error (oid 0x1f, class <Item>, serial this txn …)", "type": "ConflictError"}"#,
                Verdict::Conflict,
            ),
            (
                500,
                r#"{"type": "RuntimeError", "message": "broken", "traceback": ["File \"/opt/plone/x.py\""]}"#,
                failed("500 RuntimeError: broken"),
            ),
            (
                403,
                r#"{"type": "Forbidden", "message": "Resource is locked."}"#,
                Verdict::Refused(PloneError::Occupied("it is being edited".into())),
            ),
            (502, "<html><h1>502 Bad Gateway</h1>", Verdict::NotPlone("status 502 without an answer of Plone".into())),
            (503, "", Verdict::NotPlone("status 503 without an answer of Plone".into())),
        ];
        for (status, body, expected) in table {
            assert_eq!(Verdict::of(status, &Bytes::from_static(body.as_bytes())), expected, "{status} {body}");
        }
    }

    #[test]
    fn plones_words_are_passed_on_without_internals() {
        let table = [
            ("Traceback (most recent call last):\n File \"/opt/x.py\"", ""),
            ("Resource not found: http://127.0.0.1:8080/Plone/x", "Resource not found:"),
            ("cannot adapt <CourseSection at /Plone/courses/x used for y> to it", "cannot adapt to it"),
            (
                "[{'field': 'a', 'message': 'too big'}, {'message': \"it's small\", 'field': 'b'}]",
                "a: too big; b: it's small",
            ),
            ("[{'message': 'no field'}]", "no field"),
            ("", ""),
        ];
        for (message, expected) in table {
            assert_eq!(clean_message(message), expected, "{message}");
        }
        assert_eq!(clean_message(&"x".repeat(1_000)).chars().count(), MESSAGE_CHARS_MAX + 1);
    }

    #[test]
    fn a_locked_account_is_told_apart_from_a_wrong_password() {
        let wrong = br#"{"error": {"message": "Wrong login and/or password.", "type": "Invalid credentials"}}"#;
        assert_eq!(lockout(401, wrong, None), None);
        // Verbatim cookies of Products.LoginLockout 0.5.0.
        let warning = "BsdZb3UgaGF2ZSAyIGF0dGVtcHRzIGxlZnQgYmVmb3JlIHRoaXMgYWNjb3VudCBpcyBsb2NrZWR3YXJuaW5n";
        assert_eq!(lockout(401, wrong, Some(warning)), None);
        let locked = "DaVUaGlzIGFjY291bnQgaGFzIG5vdyBiZWVuIGxvY2tlZCBmb3Igc2VjdXJpdHkgcHVycG9zZXMuIFRyeSBhZ2FpbiBhZn\
                      RlciAyNCBob3VycyBvciByZXNldCB5b3VyIHBhc3N3b3JkIGJlbG93ZXJyb3I%3D";
        let text = "This account has now been locked for security purposes. Try again after 24 hours or reset your \
                    password below";
        assert_eq!(lockout(401, wrong, Some(locked)).as_deref(), Some(text));
        assert_eq!(lockout(200, b"{}", Some(locked)), None);
        for broken in ["", "%%%", "DaVU", "/////w=="] {
            assert_eq!(lockout(401, wrong, Some(broken)), None, "{broken}");
        }
        let body = br#"{"error": {"message": "This account is locked for 30 minutes.", "type": "Locked"}}"#;
        assert_eq!(lockout(401, body, None).as_deref(), Some("This account is locked for 30 minutes."));
        assert_eq!(lockout(429, b"", None).as_deref(), Some("too many failed sign-ins"));
        assert_eq!(lockout(500, br#"{"type": "LockError", "message": "database is locked"}"#, None), None);
    }
}
