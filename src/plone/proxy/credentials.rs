//! Removes credentials from proxied requests: under the hub's origin, no password reaches Plone.
//!
//! The hub limits the number of attempts to sign in. A sign-in to Plone through the proxy would bypass that limit, so
//! it is refused. Requests are forwarded with the Plone token of the member who sent them, or as a visitor.
//!
//! Plone 6.2 accepts a password not only on its sign-in pages but at any path: in form fields, in the query, in bodies
//! whose types do not look like forms, in the JSON of any request, in its cookie, and in two header fields. In
//! addition, the name of a form field can select the method that is called, instead of the path. A deny list would
//! easily miss one of these ways. Therefore this module lists the media types and cookies that may be forwarded, and
//! refuses or removes the rest.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

use crate::domain::ids::UserName;
use crate::plone::proxy::error::ProxyError;
use crate::text::{base64, percent};

/// REST services that are refused if any segment of a path contains their name. Plone's tokens must not reach clients.
const SERVICES: [&str; 2] = ["@login", "@logout"];
/// Plone's sign-in pages.
const PAGES: [&str; 8] = [
    "login",
    "login_form",
    "logged_in",
    "login-form",
    "loggedin",
    "require_login",
    "failsafe_login",
    "failsafe_login_form",
];
/// REST service below `@users/NAME` that checks the old password before it sets a new one.
const NEW_PASSWORD: &str = "reset-password";
/// Prefix of the names of all form fields and cookies that identify a user to Plone.
const CREDENTIALS: &str = "__ac";
/// Suffixes of field names with which Zope calls the named method instead of the one that the path names.
const DIRECTIVES: [&str; 4] = [":method", ":action", ":default_method", ":default_action"];
/// Media types that Zope reads as a form or as a remote call, and `text/plain`, which browsers send to other sites
/// without a preflight request. REST calls do not use them.
const FORMS: [&str; 5] =
    ["application/x-www-form-urlencoded", "application/x-url-encoded", "multipart/form-data", "text/plain", "text/xml"];
const JSON: &str = "application/json";
/// Media type with which JSON is forwarded. If the type is exactly `application/json`, Plone searches the body for a
/// name and a password. With a parameter it does not, but its REST services still read the body.
const JSON_FOR_PLONE: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Media type with which a body without a type is forwarded (RFC 9110, 8.3). Zope would read it as a form otherwise.
const UNKNOWN_FOR_PLONE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Refuses a path (its decoded segments) or a query that would sign in to Plone or change a password there.
pub(super) fn check_address(names: &[String], query: Option<&str>) -> Result<(), ProxyError> {
    let is_service = |name: &String| SERVICES.iter().any(|service| name.contains(service));
    if names.iter().any(is_service) || is_sign_in_page(names) || is_risky_query(query) {
        return Err(ProxyError::SignIn);
    }
    match password_change(names) {
        Some(_) => Err(ProxyError::PasswordChange),
        None => Ok(()),
    }
}

/// Returns true if a path (its decoded segments) leads to one of Plone's sign-in pages.
pub(super) fn is_sign_in_page(names: &[String]) -> bool {
    names.iter().any(|name| PAGES.contains(&name.trim_start_matches("++view++").trim_start_matches("@@")))
}

/// Returns the user whose password the REST service at a path changes; `None` for another path. The service checks the
/// old password.
pub(super) fn password_change(names: &[String]) -> Option<String> {
    let mut from_users = names.iter().skip_while(|name| !name.contains("@users")).skip(1);
    let user = from_users.next()?;
    (user == NEW_PASSWORD || from_users.any(|name| name == NEW_PASSWORD)).then(|| user.clone())
}

/// Returns true if a field of a query denotes credentials, or selects the method that is called.
pub(super) fn is_risky_query(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split(['&', ';']).any(is_risky))
}

/// Returns true if the name of a query field, decoded, denotes credentials or a directive.
fn is_risky(field: &str) -> bool {
    let name = percent::decode_lossy(field.split('=').next().unwrap_or_default());
    name.contains(CREDENTIALS) || DIRECTIVES.iter().any(|directive| name.contains(directive))
}

/// Returns the `Content-Type` with which a request is forwarded.
///
/// # Errors
/// [`ProxyError::MediaType`] for forms, and for a type that is ambiguous or invalid.
pub(super) fn content_type(headers: &HeaderMap, has_body: bool) -> Result<Option<HeaderValue>, ProxyError> {
    let mut values = headers.get_all(header::CONTENT_TYPE);
    let Some(first) = values.next() else { return Ok(has_body.then_some(UNKNOWN_FOR_PLONE)) };
    let text = first.to_str().ok().filter(|_| values.next().is_none()).ok_or(ProxyError::MediaType)?;
    // Parameters are removed, because Zope also searches them for `text/xml`.
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !is_media_type(&media_type) || FORMS.contains(&media_type.as_str()) {
        return Err(ProxyError::MediaType);
    }
    if media_type == JSON {
        return Ok(Some(JSON_FOR_PLONE));
    }
    HeaderValue::from_str(&media_type).map(Some).map_err(|_| ProxyError::MediaType)
}

/// Returns true for a valid `TYPE/SUBTYPE` (RFC 9110, 8.3.1).
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/').is_some_and(|(kind, subkind)| is_token(kind) && is_token(subkind))
}

/// Returns true if a cookie contains neither a password nor another cookie. Plone accepts `__ac` in two forms: as a
/// ticket that it has signed, and as `NAME:PASSWORD`.
pub(super) fn is_safe_cookie(name: &str, value: &str) -> bool {
    let plain = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    !plain.contains(['"', ',']) && (name != CREDENTIALS || is_ticket(plain))
}

/// Length of the first part of a ticket, in bytes: an HMAC-SHA-256, which can contain any byte.
const TICKET_DIGEST_LEN: usize = 32;
/// Length of the second part, in bytes: the time in hexadecimal digits.
const TICKET_TIME_LEN: usize = 8;

/// Decodes a ticket of Plone: digest, time, user, and `!`. Returns the bytes after the digest.
fn signed_part(value: &str) -> Option<Vec<u8>> {
    let ticket = base64::decode(percent::decode(value, |byte| byte != b'%')?.trim_end())?;
    ticket.get(TICKET_DIGEST_LEN..).map(<[u8]>::to_vec)
}

/// Returns the user whom a ticket of Plone in these `Cookie` fields names. The hub cannot verify it; Plone does.
pub(super) fn user_of_ticket<'c>(headers: impl Iterator<Item = &'c str>) -> Option<String> {
    let pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| *name == CREDENTIALS)?;
    let signed = signed_part(value.trim_matches('"'))?;
    let user = signed.get(TICKET_TIME_LEN..)?.split(|byte| *byte == b'!').next()?;
    let user = std::str::from_utf8(user).ok()?;
    UserName::parse(user).ok().map(|user| user.to_string())
}

/// Returns true for a ticket. A cookie with a password contains only hexadecimal digits and one `:`, so it is never
/// taken for one.
fn is_ticket(value: &str) -> bool {
    let signed = signed_part(value).unwrap_or_default();
    signed.split_at_checked(TICKET_TIME_LEN).is_some_and(|(time, user)| {
        time.iter().all(u8::is_ascii_hexdigit) && user.contains(&b'!') && !user.contains(&b':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(values: &[&'static str], has_body: bool) -> Option<Option<String>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        let forwarded = content_type(&headers, has_body).ok()?;
        Some(forwarded.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn media_types_are_replaced_by_safe_ones() {
        let json = Some(Some("application/json; charset=utf-8".to_owned()));
        for value in ["application/json", "Application/JSON", " application/json ;charset=latin-1", "application/json;"]
        {
            assert_eq!(forwarded(&[value], true), json, "{value}");
            assert_eq!(forwarded(&[value], false), json, "{value}");
        }
        assert_eq!(forwarded(&[], true), Some(Some("application/octet-stream".to_owned())));
        assert_eq!(forwarded(&[], false), Some(None));
        let tus = "application/offset+octet-stream";
        assert_eq!(forwarded(&[tus], true), Some(Some(tus.to_owned())));
        assert_eq!(forwarded(&["image/png; x=text/xml"], true), Some(Some("image/png".to_owned())));
    }

    #[test]
    fn forms_and_unreadable_media_types_are_refused() {
        for value in [
            "application/x-www-form-urlencoded",
            "application/x-url-encoded; charset=utf-8",
            "multipart/form-data; boundary=x",
            "text/plain",
            "TEXT/XML",
            "",
            ";application/json",
            "application",
            "application/",
            "application/json, application/x-www-form-urlencoded",
            "application/json application/json",
        ] {
            assert_eq!(forwarded(&[value], true), None, "{value}");
        }
        assert_eq!(forwarded(&["application/json", "application/json"], true), None);
    }

    #[test]
    fn the_user_of_a_ticket_is_read_without_verification() {
        let ticket = "lPrX2dRokbCqaFSxOzpYlvs0C7LmO20vJxN7POt822I2YjBhYmU0ZHJlZ2lzdHJhciE%3D";
        let user = |cookies: &str| user_of_ticket([cookies].into_iter());
        assert_eq!(user(&format!("a=b; __ac={ticket}")).as_deref(), Some("registrar"));
        assert_eq!(user(&format!("__ac=\"{ticket}\"")).as_deref(), Some("registrar"));
        for cookies in ["", "__ac=", "__ac=NjQ2NTYxNmU6Nzg3ODc4", "__ac=%", "x=y"] {
            assert_eq!(user(cookies), None, "{cookies}");
        }
    }

    #[test]
    fn cookies_with_a_password_or_another_cookie_are_unsafe() {
        // These two are tickets whose digests begin with `:!`. The passwords below are `6465616e:787878`, and
        // `6465616e:` with 31 hexadecimal digits and `787878`, in base64 and in several spellings, and an empty one.
        assert!(is_safe_cookie("__ac", "OiHAwcLDxMXGx8jJysvMzc7P0NHS09TV1tfY2drb3N02NTAwYWJjZGRlYW4h"));
        assert!(is_safe_cookie("__ac", "\"OiHAwcLDxMXGx8jJysvMzc7P0NHS09TV1tfY2drb3N02NTAwYWJjZGRlYW4xIQ%3D%3D\""));
        for password in [
            "NjQ2NTYxNmU6Nzg3ODc4",
            "NjQ2NTYxNmU6MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM2NTAwYWJjZDc4Nzg3OA==",
            "\"NjQ2NTYxNmU6Nzg3ODc4\"",
            "NjQ2NTYxNmU6Nzg3ODc4%0A",
            "%4EjQ2NTYxNmU6Nzg3ODc4",
            "%254EjQ2NTYxNmU6Nzg3ODc4",
            "N-jQ2NTYxNmU6Nzg3ODc4",
            "",
        ] {
            assert!(!is_safe_cookie("__ac", password), "{password}");
        }
        assert!(is_safe_cookie("statusmessages", "\"ABC=\""));
        for hiding in ["\"a\", __ac=x", "\"a", "a\" b"] {
            assert!(!is_safe_cookie("statusmessages", hiding), "{hiding}");
        }
    }
}
