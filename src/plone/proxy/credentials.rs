//! Credentials in proxied requests: below the hub's origin, Plone never receives a password.
//!
//! The hub limits how often a password may be tried, so a sign-in to Plone that bypasses the hub is refused: Plone is
//! asked with the token of the hub's user, or as a visitor.
//!
//! Plone 6.2 accepts a password in more ways than on its sign-in pages, at any path: in fields of a form, in the query,
//! in bodies of types that do not look like forms, in the JSON of any request, in its cookie and in two header fields.
//! The name of a form field can also name the method that is called, whatever the path says. An exclusion list would
//! miss one of these, so this module lists what Plone may read of a request; everything else is refused or removed.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

use crate::plone::proxy::error::ProxyError;
use crate::text::{base64, percent};

/// REST services that are refused wherever a segment contains their name: the hub keeps Plone's tokens on the server.
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
/// REST service below `@users/NAME` that tries the old password before it sets a new one.
const NEW_PASSWORD: &str = "reset-password";
/// Prefix of the names of all fields and cookies with which Plone identifies a user.
const CREDENTIALS: &str = "__ac";
/// Suffixes of a field's name that call another method than the path says.
const DIRECTIVES: [&str; 4] = [":method", ":action", ":default_method", ":default_action"];
/// Media types that Zope reads as a form or as a call, and that a browser sends to any site; REST uses none of them.
const FORMS: [&str; 5] =
    ["application/x-www-form-urlencoded", "application/x-url-encoded", "multipart/form-data", "text/plain", "text/xml"];
const JSON: &str = "application/json";
/// Media type with which JSON is forwarded. Plone searches a body for a name and a password when the type is exactly
/// `application/json`; with a parameter it does not, and its REST services read the body all the same.
const JSON_FOR_PLONE: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Media type of a body that came without one (RFC 9110, 8.3), which Zope would take for a form.
const UNKNOWN_FOR_PLONE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Refuses a path, given as its decoded segments, and a query that would sign in to Plone or change a password there.
pub(super) fn check_address(names: &[String], query: Option<&str>) -> Result<(), ProxyError> {
    let is_sign_in = |name: &str| {
        let view = name.trim_start_matches("++view++").trim_start_matches("@@");
        SERVICES.iter().any(|service| name.contains(service)) || PAGES.contains(&view)
    };
    if names.iter().any(|name| is_sign_in(name)) || query.is_some_and(|query| query.split(['&', ';']).any(is_risky)) {
        return Err(ProxyError::SignIn);
    }
    let mut from_users = names.iter().skip_while(|name| !name.contains("@users"));
    if from_users.any(|name| name == NEW_PASSWORD) {
        return Err(ProxyError::PasswordChange);
    }
    Ok(())
}

/// Returns true when a field of a query carries credentials or a directive, in any spelling.
fn is_risky(field: &str) -> bool {
    let name = percent::decode_lossy(field.split('=').next().unwrap_or_default());
    name.contains(CREDENTIALS) || DIRECTIVES.iter().any(|directive| name.contains(directive))
}

/// Returns the `Content-Type` with which a request is forwarded.
///
/// # Errors
/// [`ProxyError::MediaType`] for bodies that are not REST, and for a type that two servers could read in two ways.
pub(super) fn content_type(headers: &HeaderMap, has_body: bool) -> Result<Option<HeaderValue>, ProxyError> {
    let mut values = headers.get_all(header::CONTENT_TYPE);
    let Some(first) = values.next() else { return Ok(has_body.then_some(UNKNOWN_FOR_PLONE)) };
    let text = first.to_str().ok().filter(|_| values.next().is_none()).ok_or(ProxyError::MediaType)?;
    // Parameters are removed: Zope searches them for `text/xml`, too.
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !is_media_type(&media_type) || FORMS.contains(&media_type.as_str()) {
        return Err(ProxyError::MediaType);
    }
    if media_type == JSON {
        return Ok(Some(JSON_FOR_PLONE));
    }
    HeaderValue::from_str(&media_type).map(Some).map_err(|_| ProxyError::MediaType)
}

/// Returns true for an unambiguous `TYPE/SUBTYPE` (RFC 9110, 8.3.1).
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/').is_some_and(|(kind, subkind)| is_token(kind) && is_token(subkind))
}

/// Returns true when a cookie carries no password and hides no other cookie. Plone reads `__ac` in two forms: as a
/// ticket that it has signed, and as `NAME:PASSWORD`.
pub(super) fn is_safe_cookie(name: &str, value: &str) -> bool {
    let plain = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    !plain.contains(['"', ',']) && (name != CREDENTIALS || is_ticket(plain))
}

fn is_ticket(value: &str) -> bool {
    let Some(value) = percent::decode(value, |byte| byte != b'%') else { return false };
    let ticket = base64::decode(value.trim_end());
    ticket.is_some_and(|ticket| ticket.contains(&b'!') && !ticket.contains(&b':'))
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
    fn bodies_are_forwarded_as_types_without_passwords() {
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
    fn cookies_with_a_password_or_another_cookie_are_removed() {
        // `0123456789abcdef!dean!` and `6465616e:787878`, in base64.
        assert!(is_safe_cookie("__ac", "MDEyMzQ1Njc4OWFiY2RlZiFkZWFuIQ=="));
        assert!(is_safe_cookie("__ac", "\"MDEyMzQ1Njc4OWFiY2RlZiFkZWFuIQ%3D%3D\""));
        for password in [
            "NjQ2NTYxNmU6Nzg3ODc4",
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
