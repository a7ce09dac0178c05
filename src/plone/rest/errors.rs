//! Interpretation of Plone's responses. Plone's statuses are ambiguous: 401 also means that a known user lacks a
//! permission, 503 also means an error in Plone's own code, and 500 also means a write conflict, after which a retry
//! may succeed. An error body has one of two shapes and may contain a traceback.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::plone::port::PloneError;
use crate::plone::rest::responses::Lenient;
use crate::text::{base64, percent};

/// Maximum length of a message from Plone that is passed on, in characters.
const MESSAGE_CHARS_MAX: usize = 200;

/// The meaning of a response.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// The call succeeded; the body is JSON or empty.
    Done(Bytes),
    /// Status 401: the viewer is unknown or lacks the permission.
    Unauthorized,
    /// A write conflicted with another one and Plone's own retries are exhausted. Nothing was written.
    Conflict,
    /// Plone refused the call or failed.
    Refused(PloneError),
    /// The response is not from Plone, such as the error page of a gateway. Contains a description.
    NotPlone(String),
}

impl Verdict {
    /// Interprets a response.
    pub(super) fn of(status: u16, body: &Bytes) -> Self {
        if (200..300).contains(&status) {
            let is_readable = body.is_empty() || serde_json::from_slice::<IgnoredAny>(body).is_ok();
            return match is_readable {
                true => Self::Done(body.clone()),
                false => Self::NotPlone(format!("a response with status {status} that is not JSON")),
            };
        }
        match (status, ErrorBody::read(body)) {
            // The content moved, or a gateway redirects all requests. Neither means that the content was deleted.
            (300..400, _) => Self::Refused(PloneError::Failed("an unexpected redirect".to_owned())),
            (404 | 410, Some(_)) => Self::Refused(PloneError::NotFound),
            (404 | 410, None) => Self::NotPlone(format!("a response with status {status} that is not from Plone")),
            (_, Some(error)) => error.verdict(status),
            (401, None) => Self::Unauthorized,
            (403, None) => Self::Refused(PloneError::Forbidden),
            (400..500, None) => Self::Refused(PloneError::Refused(format!("status {status}"))),
            _ => Self::NotPlone(format!("a response with status {status} that is not from Plone")),
        }
    }
}

/// Type and message of an error, as Plone sent them.
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
    top_level: ErrorShape,
}

#[derive(Deserialize)]
struct ErrorShape {
    #[serde(rename = "type", default)]
    kind: Lenient<String>,
    #[serde(default)]
    message: Lenient<String>,
}

impl ErrorBody {
    /// Reads the body of an error; `None` if it has neither shape.
    fn read(body: &[u8]) -> Option<Self> {
        let ErrorShapes { error, top_level } = serde_json::from_slice(body).ok()?;
        let ErrorShape { kind, message } = error.0.unwrap_or(top_level);
        Some(Self { kind: kind.0?, message: message.0.unwrap_or_default() })
    }

    fn verdict(&self, status: u16) -> Verdict {
        let mentions = |word: &str| self.message.to_ascii_lowercase().contains(word);
        let refused = match status {
            401 => return Verdict::Unauthorized,
            500 | 503 if self.kind.ends_with("ConflictError") => return Verdict::Conflict,
            // A user is editing the item in Plone, which holds a temporary lock.
            403 | 423 if mentions("locked") => PloneError::Occupied("a user is editing it".to_owned()),
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

/// Returns Plone's message about a locked account if the response to a sign-in contains one. Plone itself never locks
/// an account. Its add-on Products.LoginLockout rejects the correct password like a wrong one and gives the reason only
/// in a cookie, which is passed as `messages`. Other add-ons may give it in the body.
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
    let is_lockout = ["locked", "lockout", "too many"].iter().any(|word| text.contains(word));
    if status == 423 || status == 429 || is_lockout {
        let message = error.map(|error| clean_message(&error.message)).filter(|message| !message.is_empty());
        return Some(message.unwrap_or_else(|| "too many failed sign-ins".to_owned()));
    }
    None
}

/// Returns the first message of type `error` in a `statusmessages` cookie (Products.statusmessages). The cookie is the
/// base64 encoding of messages. Each message has a header of two bytes (11 bits for the length of its text, 5 bits for
/// the length of its type), followed by the text and the type.
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

/// Makes a message from Plone readable: removes Python notation, addresses and object names, and shortens it. Returns
/// an empty text for a traceback.
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

/// Converts Plone's validation errors to `capacity: …; …`. Plone sends them as the text of a Python list:
/// `[{'message': "…", 'field': 'capacity', 'error': 'ValidationError'}, …]`.
fn validation(message: &str) -> Option<String> {
    let mut rest = message.strip_prefix('[')?;
    rest.trim_start().strip_prefix('{')?;
    let mut errors = Vec::new();
    while let Some(start) = rest.find('{') {
        rest = &rest[start..];
        let message = quoted_after(rest, "'message':").unwrap_or_default();
        let field = quoted_after(rest, "'field':");
        errors.push(match field {
            Some(field) => format!("{field}: {message}"),
            None => message,
        });
        rest = rest.find("},").map_or("", |end| &rest[end + 1..]);
    }
    Some(errors.join("; "))
}

/// Returns the Python string literal that follows `key`.
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

/// Removes object names such as `<CourseSection at /Plone/courses/x>`.
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

    /// The JSON responses are those of a real Plone 6.2.2, some of them shortened.
    #[test]
    fn responses_of_plone_are_classified() {
        let refused = |text: &str| Verdict::Refused(PloneError::Refused(text.to_owned()));
        let failed = |text: &str| Verdict::Refused(PloneError::Failed(text.to_owned()));
        let table: [(u16, &'static str, Verdict); 16] = [
            (200, r#"{"UID": "x"}"#, Verdict::Done(Bytes::from_static(br#"{"UID": "x"}"#))),
            (204, "", Verdict::Done(Bytes::new())),
            (200, "<!DOCTYPE html><html>", Verdict::NotPlone("a response with status 200 that is not JSON".into())),
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
            (301, "", failed("an unexpected redirect")),
            (404, "<html>nginx</html>", Verdict::NotPlone("a response with status 404 that is not from Plone".into())),
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
                Verdict::Refused(PloneError::Occupied("a user is editing it".into())),
            ),
            (
                502,
                "<html><h1>502 Bad Gateway</h1>",
                Verdict::NotPlone("a response with status 502 that is not from Plone".into()),
            ),
            (503, "", Verdict::NotPlone("a response with status 503 that is not from Plone".into())),
        ];
        for (status, body, expected) in table {
            assert_eq!(Verdict::of(status, &Bytes::from_static(body.as_bytes())), expected, "{status} {body}");
        }
    }

    #[test]
    fn messages_are_passed_on_without_internals() {
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
    fn a_locked_account_is_distinguished_from_a_wrong_password() {
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
