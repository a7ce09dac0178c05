//! Under the hub's origin nobody signs in to Plone past the hub, whose sign-in limits how often a password may be tried:
//! Plone is asked with the token of whoever the hub knows, or as a visitor, and never sees a password.
//!
//! Plone 6.2 takes one in more ways than by its pages to sign in, at any path: from the fields of a form, in the query
//! and in bodies of types that nobody would take for a form; from the JSON of any request; from its cookie; from two
//! header fields. Besides, a field's name can say what is called, whatever the path. So it is the other way round here:
//! what Plone reads of a request is what is listed below, and everything else is refused or left out.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

use crate::http::problem::ProblemCode;
use crate::text::{base64, percent};

use crate::http::error::Problem;

/// Services of REST in whose name one of these is: the hub keeps Plone's tokens on the server.
const SERVICES: [&str; 2] = ["@login", "@logout"];
/// Plone's sign-in for people.
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
/// The service of REST that tries a member's old password before it sets a new one, below `@users/NAME`.
const NEW_PASSWORD: &str = "reset-password";
/// How the names of all fields and cookies begin by which Plone knows somebody.
const CREDENTIALS: &str = "__ac";
/// Ends of a field's name that call something else than the path says.
const DIRECTIVES: [&str; 4] = [":method", ":action", ":default_method", ":default_action"];
/// Bodies that Zope reads as a form or as a call, and that a browser sends for any site; REST knows none of them.
const FORMS: [&str; 5] =
    ["application/x-www-form-urlencoded", "application/x-url-encoded", "multipart/form-data", "text/plain", "text/xml"];
const JSON: &str = "application/json";
/// Plone looks for a name and a password in a body of the type `application/json`, letter for letter, wherever it is
/// sent; a service of REST reads the body whatever its type.
const JSON_FOR_PLONE: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// A body without a type (RFC 9110, 8.3), which Zope takes for a form.
const UNKNOWN_FOR_PLONE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Refuses a path, its pieces decoded, and a query by which somebody would sign in.
pub fn check_address(names: &[String], query: Option<&str>) -> Result<(), Problem> {
    let is_sign_in = |name: &str| {
        let view = name.trim_start_matches("++view++").trim_start_matches("@@");
        SERVICES.iter().any(|service| name.contains(service)) || PAGES.contains(&view)
    };
    if names.iter().any(|name| is_sign_in(name)) || query.is_some_and(|query| query.split(['&', ';']).any(is_risky)) {
        let words = "Sign in to the hub instead (POST /api/v1/login): it asks Plone, and what you ask for here is then \
                     asked as you.";
        return Err(Problem::forbidden(words));
    }
    let mut from_users = names.iter().skip_while(|name| !name.contains("@users"));
    if from_users.any(|name| name == NEW_PASSWORD) {
        return Err(Problem::forbidden("Passwords of Plone are changed in Plone itself, not through the hub."));
    }
    Ok(())
}

/// Whether a field of a query carries credentials or a directive, however it is spelled.
fn is_risky(field: &str) -> bool {
    let name = percent::decoded_loosely(field.split('=').next().unwrap_or_default());
    name.contains(CREDENTIALS) || DIRECTIVES.iter().any(|directive| name.contains(directive))
}

/// The `Content-Type` that Plone is told of a request.
///
/// # Errors
/// For bodies that are not of REST, and a type that two servers could read in two ways.
pub fn content_type(headers: &HeaderMap, has_body: bool) -> Result<Option<HeaderValue>, Problem> {
    let mut said = headers.get_all(header::CONTENT_TYPE);
    let Some(first) = said.next() else { return Ok(has_body.then_some(UNKNOWN_FOR_PLONE)) };
    let refused = || {
        let words = "Forms of Plone are not taken here, only REST: application/json and files.";
        Problem::new(ProblemCode::UnsupportedMediaType, words)
    };
    let text = first.to_str().ok().filter(|_| said.next().is_none()).ok_or_else(refused)?;
    // Without parameters: Zope looks for `text/xml` in them, too.
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !is_media_type(&media_type) || FORMS.contains(&media_type.as_str()) {
        return Err(refused());
    }
    if media_type == JSON {
        return Ok(Some(JSON_FOR_PLONE));
    }
    HeaderValue::from_str(&media_type).map(Some).map_err(|_| refused())
}

/// `TYPE/SUBTYPE` (RFC 9110, 8.3.1), which everybody reads alike.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/').is_some_and(|(kind, subkind)| is_token(kind) && is_token(subkind))
}

/// Whether a cookie may reach Plone: one of its own that carries no password, and in which no other one hides. Plone
/// knows two cookies of one name: a ticket that it signed, and `NAME:PASSWORD`.
pub fn may_pass(name: &str, value: &str) -> bool {
    let plain = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    !plain.contains(['"', ',']) && (name != CREDENTIALS || is_ticket(plain))
}

fn is_ticket(value: &str) -> bool {
    let Some(value) = percent::decoded(value, |byte| byte != b'%') else { return false };
    let ticket = base64::decoded(value.trim_end());
    ticket.is_some_and(|ticket| ticket.contains(&b'!') && !ticket.contains(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &[&'static str], has_body: bool) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        let told = content_type(&headers, has_body).map_err(|problem| problem.code().status())?;
        Ok(told.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn plone_is_told_a_type_in_which_it_looks_for_no_password() {
        let json = Ok(Some("application/json; charset=utf-8".to_owned()));
        for said in ["application/json", "Application/JSON", " application/json ;charset=latin-1", "application/json;"]
        {
            assert_eq!(told(&[said], true), json, "{said}");
            assert_eq!(told(&[said], false), json, "{said}");
        }
        assert_eq!(told(&[], true), Ok(Some("application/octet-stream".to_owned())));
        assert_eq!(told(&[], false), Ok(None));
        let tus = "application/offset+octet-stream";
        assert_eq!(told(&[tus], true), Ok(Some(tus.to_owned())));
        assert_eq!(told(&["image/png; x=text/xml"], true), Ok(Some("image/png".to_owned())));
    }

    #[test]
    fn forms_calls_and_types_that_cannot_be_read_are_refused() {
        for said in [
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
            assert_eq!(told(&[said], true), Err(415), "{said}");
        }
        assert_eq!(told(&["application/json", "application/json"], true), Err(415));
    }

    #[test]
    fn a_cookie_with_a_password_or_with_another_one_in_it_does_not_pass() {
        // `0123456789abcdef!dean!` and `6465616e:787878`, in base64.
        assert!(may_pass("__ac", "MDEyMzQ1Njc4OWFiY2RlZiFkZWFuIQ=="));
        assert!(may_pass("__ac", "\"MDEyMzQ1Njc4OWFiY2RlZiFkZWFuIQ%3D%3D\""));
        for password in [
            "NjQ2NTYxNmU6Nzg3ODc4",
            "\"NjQ2NTYxNmU6Nzg3ODc4\"",
            "NjQ2NTYxNmU6Nzg3ODc4%0A",
            "%4EjQ2NTYxNmU6Nzg3ODc4",
            "%254EjQ2NTYxNmU6Nzg3ODc4",
            "N-jQ2NTYxNmU6Nzg3ODc4",
            "",
        ] {
            assert!(!may_pass("__ac", password), "{password}");
        }
        assert!(may_pass("statusmessages", "\"ABC=\""));
        for hiding in ["\"a\", __ac=x", "\"a", "a\" b"] {
            assert!(!may_pass("statusmessages", hiding), "{hiding}");
        }
    }
}
