//! What an answer of Plone means. Its statuses surprise: 401 is also "known, but not allowed", 503 is also a fault in its
//! own code, 500 is also a conflict that may pass, and an error comes in one of two shapes, sometimes with a traceback.

use serde_json::Value;

use crate::plone::port::PloneError;
use crate::text::{base64, percent};

/// The most characters of Plone's own words that are passed on.
const WORDS_MAX: usize = 200;

/// What an answer is.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    /// Done; null when there is no body.
    Done(Value),
    /// 401: who asks is not known, or may not.
    Unauthorized,
    /// A conflict of two writes that ran out of Plone's own retries; nothing was written.
    Conflict,
    /// A refusal or a fault, told by Plone.
    Refused(PloneError),
    /// Not an answer of Plone: a gateway's page, or what nobody can read.
    NotPlone(String),
}

impl Judged {
    /// Reads an answer.
    pub(super) fn of(status: u16, body: &[u8]) -> Self {
        let json = serde_json::from_slice::<Value>(body).ok();
        if (200..300).contains(&status) {
            return match json {
                Some(json) => Self::Done(json),
                None if body.is_empty() => Self::Done(Value::Null),
                None => Self::NotPlone(format!("an answer {status} that is no JSON")),
            };
        }
        match (status, json.as_ref().and_then(ErrorShape::of)) {
            // Something moved, or a gateway sends everybody elsewhere: neither means that it is gone.
            (300..400, _) => Self::Refused(PloneError::Failed("it is said to be elsewhere".to_owned())),
            (404 | 410, Some(_)) => Self::Refused(PloneError::NotFound),
            (404 | 410, None) => Self::NotPlone(format!("status {status} without an answer of Plone")),
            (_, Some(error)) => error.judged(status),
            (401, None) => Self::Unauthorized,
            (403, None) => Self::Refused(PloneError::Forbidden),
            (400..500, None) => Self::Refused(PloneError::Refused(format!("status {status}"))),
            _ => Self::NotPlone(format!("status {status} without an answer of Plone")),
        }
    }
}

/// Plone's words for what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ErrorShape<'a> {
    kind: &'a str,
    message: &'a str,
}

impl<'a> ErrorShape<'a> {
    /// `{type, message, …}` or `{"error": {type, message}}`.
    fn of(json: &'a Value) -> Option<Self> {
        let json = json.get("error").filter(|error| error.is_object()).unwrap_or(json);
        let kind = json.get("type")?.as_str()?;
        Some(Self { kind, message: json.get("message").and_then(Value::as_str).unwrap_or_default() })
    }

    fn judged(self, status: u16) -> Judged {
        let says = |word: &str| self.message.to_ascii_lowercase().contains(word);
        let refused = match status {
            401 => return Judged::Unauthorized,
            500 | 503 if self.kind.ends_with("ConflictError") => return Judged::Conflict,
            // Somebody edits it in Plone, and it will be free again.
            403 | 423 if says("locked") => PloneError::Occupied("it is being edited".to_owned()),
            403 => PloneError::Forbidden,
            400..500 => PloneError::Refused(self.words(status)),
            _ => PloneError::Failed(self.words(status)),
        };
        Judged::Refused(refused)
    }

    fn words(self, status: u16) -> String {
        let message = words(self.message);
        if message.is_empty() {
            return format!("{status} {}", words(self.kind));
        }
        format!("{status} {}: {message}", words(self.kind))
    }
}

/// Whether a refused sign-in says that the account is locked, in Plone's own words. Plone itself locks none. Its add-on
/// Products.LoginLockout refuses the right password like a wrong one, and tells why only in the cookie `messages` that its
/// pages show; other add-ons may say it in the answer.
pub(super) fn lockout(status: u16, body: &[u8], messages: Option<&str>) -> Option<String> {
    if !(400..500).contains(&status) {
        return None;
    }
    if let Some(text) = messages.and_then(error_message) {
        return Some(words(&text));
    }
    let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let error = ErrorShape::of(&json);
    let text = error.map(|error| format!("{} {}", error.kind, error.message).to_ascii_lowercase()).unwrap_or_default();
    let says = ["locked", "lockout", "too many"].iter().any(|word| text.contains(word));
    if status == 423 || status == 429 || says {
        let own = error.map(|error| words(error.message)).filter(|own| !own.is_empty());
        return Some(own.unwrap_or_else(|| "too many failed sign-ins".to_owned()));
    }
    None
}

/// The text of the first message of the type `error` in the cookie `statusmessages` (Products.statusmessages): base64 of
/// messages, each two bytes (11 bits: the length of its text; 5: of its type), text, type.
fn error_message(cookie: &str) -> Option<String> {
    let bytes = base64::decoded(percent::decoded(cookie.trim_matches('"'), |_| true)?.trim())?;
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

/// Plone's words, fit to be read: without Python's notation, addresses and objects, and short.
pub(super) fn words(message: &str) -> String {
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
    match words.char_indices().nth(WORDS_MAX) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}

/// `[{'message': "…", 'field': 'capacity', 'error': 'ValidationError'}, …]` as `capacity: …; …`.
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

/// The Python string that follows `key`.
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

/// Without `<CourseSection at /Plone/courses/x>`.
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

    /// Answers of a real Plone 6.2.2, verbatim.
    #[test]
    fn answers_of_plone_are_told_apart() {
        let refused = |text: &str| Judged::Refused(PloneError::Refused(text.to_owned()));
        let failed = |text: &str| Judged::Refused(PloneError::Failed(text.to_owned()));
        let table: [(u16, &str, Judged); 16] = [
            (200, r#"{"UID": "x"}"#, Judged::Done(serde_json::json!({"UID": "x"}))),
            (204, "", Judged::Done(Value::Null)),
            (200, "<!DOCTYPE html><html>", Judged::NotPlone("an answer 200 that is no JSON".into())),
            (
                401,
                r#"{"context": "http://127.0.0.1:8080/Plone", "message": "You are not authorized to access this resource.", "type": "Unauthorized"}"#,
                Judged::Unauthorized,
            ),
            (
                401,
                r#"{"error": {"message": "The authentication token is invalid or expired.", "type": "Invalid or expired authentication token"}}"#,
                Judged::Unauthorized,
            ),
            (
                404,
                r#"{"context": "http://127.0.0.1:8080/Plone", "message": "Resource not found: http://127.0.0.1:8080/Plone/@users/nobody", "type": "NotFound"}"#,
                Judged::Refused(PloneError::NotFound),
            ),
            (301, "", failed("it is said to be elsewhere")),
            (404, "<html>nginx</html>", Judged::NotPlone("status 404 without an answer of Plone".into())),
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
                Judged::Conflict,
            ),
            (
                500,
                r#"{"type": "RuntimeError", "message": "broken", "traceback": ["File \"/opt/plone/x.py\""]}"#,
                failed("500 RuntimeError: broken"),
            ),
            (
                403,
                r#"{"type": "Forbidden", "message": "Resource is locked."}"#,
                Judged::Refused(PloneError::Occupied("it is being edited".into())),
            ),
            (502, "<html><h1>502 Bad Gateway</h1>", Judged::NotPlone("status 502 without an answer of Plone".into())),
            (503, "", Judged::NotPlone("status 503 without an answer of Plone".into())),
        ];
        for (status, body, expected) in table {
            assert_eq!(Judged::of(status, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn nothing_internal_is_passed_on_of_plones_words() {
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
            assert_eq!(words(message), expected, "{message}");
        }
        assert_eq!(words(&"x".repeat(1_000)).chars().count(), WORDS_MAX + 1);
    }

    #[test]
    fn a_lockout_is_told_from_a_wrong_password() {
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
        let told = br#"{"error": {"message": "This account is locked for 30 minutes.", "type": "Locked"}}"#;
        assert_eq!(lockout(401, told, None).as_deref(), Some("This account is locked for 30 minutes."));
        assert_eq!(lockout(429, b"", None).as_deref(), Some("too many failed sign-ins"));
        assert_eq!(lockout(500, br#"{"type": "LockError", "message": "database is locked"}"#, None), None);
    }
}
