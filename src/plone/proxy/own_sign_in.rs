//! Sign-ins at Plone's own origin. They reach Plone, but count toward the limits for all sign-ins of the hub.
//!
//! Plone accepts a password at any path (see `credentials`). At its own origin this module lets passwords pass on
//! Plone's sign-in pages and services only. There it reads the name before the request is forwarded. Elsewhere it
//! changes the type of JSON bodies, as under the hub's origin, and searches forms for a password while they are
//! streamed.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::Deserialize;

use crate::plone::proxy::credentials;
use crate::plone::proxy::error::ProxyError;

/// The longest body of a sign-in, in bytes. Those of Plone's own sign-ins have a few hundred.
const SIGN_IN_LEN_MAX: usize = 64 * 1024;
const NAME_FIELD: &str = "__ac_name";
const PASSWORD_FIELD: &str = "__ac_password";
const URLENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

/// What a request to Plone's own origin may contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contents {
    /// No password: the request has no body, or Plone finds none in a body of this type.
    NoPassword,
    /// A form, in which a password is not allowed.
    Form,
    /// A password in JSON, for the service `@login`.
    JsonSignIn,
    /// A password in a form, for a sign-in page.
    FormSignIn(FormType),
    /// The old password of this user, for the service that sets a new one.
    NewPassword(String),
}

/// The type of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FormType {
    Urlencoded,
    Multipart { boundary: String },
}

impl Contents {
    /// Classifies a request by its path (decoded segments), and returns the `Content-Type` with which it is forwarded.
    ///
    /// # Errors
    /// When the media type is one with which Plone might find a password that this module does not.
    pub(super) fn of(
        names: &[String],
        headers: &HeaderMap,
        has_body: bool,
    ) -> Result<(Self, Option<HeaderValue>), ProxyError> {
        let form = form_type(headers)?;
        let content_type = match &form {
            Some(_) => headers.get(header::CONTENT_TYPE).cloned(),
            None => credentials::content_type(headers, has_body)?,
        };
        let contents = match form {
            _ if !has_body => Self::NoPassword,
            Some(form) if credentials::is_sign_in_page(names) => Self::FormSignIn(form),
            Some(_) => Self::Form,
            None if names.iter().any(|name| name.contains("@login")) => Self::JsonSignIn,
            None => credentials::password_change(names).map_or(Self::NoPassword, Self::NewPassword),
        };
        Ok((contents, content_type))
    }

    /// Returns whether Plone may check a password of this request.
    pub(super) const fn may_have_password(&self) -> bool {
        !matches!(self, Self::NoPassword | Self::Form)
    }

    /// Returns the name of the account whose password Plone will check; `None` if the body lacks the name or the
    /// password.
    ///
    /// # Errors
    /// When Plone might read the body differently.
    pub(super) fn account(&self, body: &[u8]) -> Result<Option<String>, ProxyError> {
        match self {
            Self::NoPassword | Self::Form => Ok(None),
            Self::NewPassword(user) => Ok(Some(user.clone())),
            Self::JsonSignIn => {
                let sign_in: JsonSignIn = serde_json::from_slice(body).map_err(|_| ProxyError::UnreadableSignIn)?;
                Ok(sign_in.login.filter(|_| sign_in.password.is_some()))
            }
            Self::FormSignIn(form) => {
                // The parsed fields must be all that Plone could find.
                let has_once = |name| match occurrences(name, body) {
                    0 => Ok(false),
                    1 => Ok(true),
                    _ => Err(ProxyError::UnreadableSignIn),
                };
                if !has_once(PASSWORD_FIELD)? {
                    return Ok(None);
                }
                let values = form.values(body, NAME_FIELD);
                match (has_once(NAME_FIELD)?, values.as_slice()) {
                    (true, [name]) if form.values(body, PASSWORD_FIELD).len() == 1 => Ok(Some(name.clone())),
                    (false, _) => Ok(None),
                    _ => Err(ProxyError::UnreadableSignIn),
                }
            }
        }
    }

    /// Returns whether Plone's response states that the password is wrong; `None` if it was not checked.
    pub(super) fn is_wrong(&self, response: &HttpResponse) -> Option<bool> {
        let status = response.status();
        if status.is_server_error() {
            return None;
        }
        Some(match self {
            Self::FormSignIn(_) => !response.headers().get_all(header::SET_COOKIE).any(is_ticket_cookie),
            _ => !status.is_success(),
        })
    }
}

/// Returns whether a `Set-Cookie` field signs a browser in.
fn is_ticket_cookie(cookie: &HeaderValue) -> bool {
    let value = cookie.to_str().ok().and_then(|text| text.strip_prefix("__ac="));
    let value = value.and_then(|rest| rest.split(';').next()).map(|value| value.trim_matches('"'));
    value.is_some_and(|value| !value.is_empty() && value != "deleted")
}

/// A body of `@login`. A member that occurs twice is an error: Plone would use the last.
#[derive(Deserialize)]
struct JsonSignIn {
    login: Option<String>,
    password: Option<serde::de::IgnoredAny>,
}

/// Returns the type of a form; `None` for another type.
fn form_type(headers: &HeaderMap) -> Result<Option<FormType>, ProxyError> {
    let mut values = headers.get_all(header::CONTENT_TYPE);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none()).ok_or(ProxyError::MediaType)?;
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    // Zope reads a body as XML-RPC if any part of the field has this type.
    if text.to_ascii_lowercase().contains("text/xml") {
        return Err(ProxyError::MediaType);
    }
    match media_type.as_str() {
        URLENCODED => Ok(Some(FormType::Urlencoded)),
        MULTIPART => {
            let mut boundaries =
                parts.filter_map(|part| part.split_once('=')).filter(|it| it.0.trim().eq_ignore_ascii_case("boundary"));
            match (boundaries.next(), boundaries.next()) {
                (Some((_, boundary)), None) if !boundary.trim_matches('"').is_empty() => {
                    Ok(Some(FormType::Multipart { boundary: boundary.trim().trim_matches('"').to_owned() }))
                }
                _ => Err(ProxyError::MediaType),
            }
        }
        _ => Ok(None),
    }
}

impl FormType {
    /// Returns the values of the fields with this name.
    fn values(&self, body: &[u8], name: &str) -> Vec<String> {
        match self {
            Self::Urlencoded => {
                let fields = url::form_urlencoded::parse(body).filter(|(field, _)| field == name);
                fields.map(|(_, value)| value.into_owned()).collect()
            }
            Self::Multipart { boundary } => {
                let body = String::from_utf8_lossy(body);
                let delimiter = format!("--{boundary}");
                let parts = body.split(delimiter.as_str()).filter_map(|part| part.split_once("\r\n\r\n"));
                let named = format!("; name=\"{name}\"");
                let values = parts.filter(|(head, _)| {
                    let mut lines = head.split("\r\n");
                    lines.any(|line| {
                        line.to_ascii_lowercase().starts_with("content-disposition:")
                            && line.trim_end().ends_with(&named)
                    })
                });
                values.map(|(_, value)| value.strip_suffix("\r\n").unwrap_or(value).to_owned()).collect()
            }
        }
    }
}

/// Reads a body of at most [`SIGN_IN_LEN_MAX`] bytes.
///
/// # Errors
/// When it is longer or does not arrive completely.
pub(super) async fn read(payload: &mut actix_web::dev::Payload) -> Result<Bytes, ProxyError> {
    let mut body = BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|_| ProxyError::Aborted)?;
        if body.len() + piece.len() > SIGN_IN_LEN_MAX {
            return Err(ProxyError::UnreadableSignIn);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn occurrences(word: &'static str, body: &[u8]) -> usize {
    Search::new(word).feed(body)
}

/// A search for a word in a stream. Each character of the word may be percent-encoded or follow a backslash.
#[derive(Debug)]
pub(super) struct Search {
    word: &'static [u8],
    matched: usize,
    /// The bytes of a percent-encoded character so far: the percent sign, and the first digit.
    escape: Option<Option<u8>>,
}

impl Search {
    fn new(word: &'static str) -> Self {
        Self { word: word.as_bytes(), matched: 0, escape: None }
    }

    /// Searches for a field with a password.
    pub(super) fn for_password() -> Self {
        Self::new(PASSWORD_FIELD)
    }

    /// Continues with the next bytes. Returns how many occurrences end in them.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> usize {
        bytes.iter().filter(|byte| self.step(**byte)).count()
    }

    fn step(&mut self, byte: u8) -> bool {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (self.escape.take(), digit(byte)) {
            (None, _) if byte == b'%' => self.escape = Some(None),
            (None, _) => return self.push(byte),
            (Some(None), Some(_)) => self.escape = Some(Some(byte)),
            (Some(Some(first)), Some(low)) => return self.push(digit(first).unwrap_or(0) * 16 + low),
            (Some(_), None) => {
                // Not an encoding. The word has no percent sign, and does not begin with a digit.
                self.matched = 0;
                return self.step(byte);
            }
        }
        false
    }

    fn push(&mut self, byte: u8) -> bool {
        if byte == b'\\' {
            return false;
        }
        // The word begins with underscores, so a part of what matched may begin the word again.
        while self.matched > 0 && self.word.get(self.matched) != Some(&byte) {
            let prefix = (0..self.matched).rev().find(|len| {
                let matched = &self.word[..self.matched];
                matched[1..].ends_with(&self.word[..*len])
            });
            self.matched = prefix.unwrap_or(0);
        }
        if self.word.get(self.matched) == Some(&byte) {
            self.matched += 1;
        }
        let is_end = self.matched == self.word.len();
        if is_end {
            self.matched = 0;
        }
        is_end
    }
}

#[cfg(test)]
#[path = "own_sign_in_tests.rs"]
mod tests;
