//! Users whom the college's web server has signed in, by SAML, Shibboleth or CAS. It names the user in headers. The
//! hub trusts them only from the web server's addresses and with its secret; it removes them from all other requests
//! before a handler or Plone reads them.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::ExposeSecret as _;

use crate::config::auth::Proxy;
use crate::domain::ids::UserName;
use crate::domain::role::RoleMap;

use super::claims::Claims;
use super::facts::StatedFacts;
use super::{Person, SsoError, exact_name};

/// Longest display name, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The text that Apache writes for a variable that is not set.
const ABSENT: &str = "(null)";
/// The claim with the groups; the header may have another name.
const GROUPS: &str = "groups";

/// Why headers do not identify a user. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The connection comes from an address other than the web server's.
    #[error("the connection comes from {0}, which is not in auth.proxy.peers")]
    ForeignPeer(IpAddr),
    /// The secret is absent or wrong.
    #[error("the secret is absent or wrong")]
    WrongSecret,
    /// There is no username, more than one, or an unusable one.
    #[error("the header {0} has no usable username")]
    NoUser(String),
    /// The user has no role in the hub.
    #[error("the user has no role")]
    NoRole,
}

impl From<ProxyError> for SsoError {
    fn from(error: ProxyError) -> Self {
        match error {
            ProxyError::ForeignPeer(_) | ProxyError::WrongSecret => Self::Misconfigured(error.to_string()),
            ProxyError::NoUser(_) => Self::NoUsername(error.to_string()),
            ProxyError::NoRole => Self::NoRole,
        }
    }
}

/// Sign-in by the headers of the college's web server.
pub struct ProxySignIn {
    settings: Proxy,
    takes_over: Arc<[String]>,
    roles: Arc<RoleMap>,
    /// Headers that only the web server may send.
    headers: Vec<HeaderName>,
}

impl ProxySignIn {
    /// Creates the sign-in; `None` if the settings name no web server.
    #[must_use]
    pub(super) fn new(settings: &Proxy, roles: Arc<RoleMap>) -> Option<Self> {
        if settings.peers.is_empty() {
            return None;
        }
        // The settings were checked, so every name is valid.
        let headers = settings.headers().filter_map(|name| name.parse().ok()).collect();
        Some(Self { settings: settings.clone(), takes_over: settings.takes_over.clone().into(), roles, headers })
    }

    /// Returns the text on the button; `None` for the default text.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        Some(self.settings.title.as_str()).filter(|title| !title.is_empty())
    }

    /// Returns where a browser goes after a sign-out, if anywhere.
    #[must_use]
    pub fn sign_out_url(&self) -> Option<&str> {
        Some(self.settings.logout_url.as_str()).filter(|url| !url.is_empty())
    }

    /// Returns the sources whose users this one takes over.
    #[must_use]
    pub fn takes_over(&self) -> &Arc<[String]> {
        &self.takes_over
    }

    /// Removes the headers that only the web server may send, and returns the user whom they identify. `peer` is the
    /// address at the other end of the connection, never one that a header states.
    ///
    /// # Errors
    /// When the headers do not come from the web server, or identify no user with a role.
    pub fn take(&self, headers: &mut HeaderMap, peer: IpAddr) -> Result<Person, ProxyError> {
        let person = self.read(headers, peer);
        self.strip(headers);
        person
    }

    /// Removes the headers that only the web server may send.
    pub fn strip(&self, headers: &mut HeaderMap) {
        for name in &self.headers {
            headers.remove(name);
        }
    }

    fn read(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Person, ProxyError> {
        let Proxy {
            peers,
            secret,
            secret_header,
            user_header,
            name_header,
            groups_header,
            plone_user_header,
            claim_headers,
            facts,
            ..
        } = &self.settings;
        let peer = peer.to_canonical();
        if !peers.iter().any(|network| network.contains(&peer)) {
            return Err(ProxyError::ForeignPeer(peer));
        }
        let sent = single(headers, secret_header).unwrap_or_default();
        if verify_slices_are_equal(sent, secret.expose_secret().as_bytes()).is_err() {
            return Err(ProxyError::WrongSecret);
        }
        let no_user = || ProxyError::NoUser(user_header.clone());
        // A web server that sets a header beside the client's instead of replacing it would let the client choose.
        let user = single(headers, user_header).and_then(|user| std::str::from_utf8(user).ok()).ok_or_else(no_user)?;
        let user = user.trim();
        let username = UserName::parse(user).ok().filter(|_| user != ABSENT).ok_or_else(no_user)?;
        let values = |name: &str| -> Vec<String> {
            let text = single(headers, name).map(String::from_utf8_lossy).unwrap_or_default();
            text.split(';')
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty() && value != ABSENT)
                .collect()
        };
        let names = claim_headers.iter().map(String::as_str).chain(facts.names());
        let claims = names.map(|name| (name.to_owned(), values(name)));
        let claims = Claims::of_texts(claims.chain([(GROUPS.to_owned(), values(groups_header))]));
        let rights = claims.rights(&self.roles, GROUPS).ok_or(ProxyError::NoRole)?;
        let plone_user = single(headers, plone_user_header).and_then(|user| std::str::from_utf8(user).ok());
        let name = single(headers, name_header).map(String::from_utf8_lossy).unwrap_or_default();
        let name: String = name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        Ok(Person {
            subject: username.as_str().to_owned(),
            sid: None,
            name: if name.is_empty() { username.as_str().to_owned() } else { name },
            username,
            rights,
            plone_user: plone_user.map(str::trim).filter(|user| *user != ABSENT).and_then(exact_name),
            facts: StatedFacts::read(&claims, facts),
            id_token: None,
        })
    }
}

/// Returns the value of a header that is present once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    if name.is_empty() {
        return None;
    }
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
