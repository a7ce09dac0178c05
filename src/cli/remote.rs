//! Opens the store, or connects to the hub that runs on it. Only one process may hold an embedded store, or the folder
//! of a hub, so commands send HTTP requests to a running hub. They authenticate with a token that they sign with the
//! hub's secret.

use std::fmt::Display;
use std::time::Duration;

use awc::http::header::HeaderMap;
use awc::http::{Method, StatusCode};
use awc::{ClientRequest, SendClientRequest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::core::Opened;
use crate::config::Config;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::secret;
use crate::identity::token::Tokens;

use crate::cli::Failure;

/// The username of commands in the audit trail.
const SUBJECT: &str = "eduhub-cli";
/// Lifetime of a command's token: longer than any import takes.
const TOKEN_TTL: Duration = Duration::from_secs(3_600);
/// The maximum wait for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The process that writes to the store.
pub(super) enum Access {
    /// This process, which now holds the store's lock.
    Store(Box<Opened>),
    /// A running hub.
    Hub(Hub),
}

/// A running hub, and a client for it.
pub(super) struct Hub {
    /// Its URL, such as `http://127.0.0.1:8000`.
    pub(super) url: String,
    /// An access token with the requested role.
    pub(super) token: String,
    /// The HTTP client.
    pub(super) client: awc::Client,
}

/// Opens the store, or returns the hub that holds it. Must be called on an actix system.
pub(super) fn access(config: &Config, role: Role) -> Result<Access, Failure> {
    match Opened::open(config) {
        Ok(opened) => Ok(Access::Store(Box::new(opened))),
        Err(error) => match error.hub() {
            Some(url) => Ok(Access::Hub(Hub::at(config, url.to_owned(), role)?)),
            None => Err(Failure::failed(error)),
        },
    }
}

impl Hub {
    fn at(config: &Config, url: String, role: Role) -> Result<Self, Failure> {
        let file = secret::path_beside(config.store.files());
        let secret = secret::load(config.auth.secret.as_ref(), &file).map_err(Failure::failed)?;
        let subject = UserName::parse(SUBJECT).map_err(Failure::failed)?;
        let minted = Tokens::new(&secret).mint(&subject, None, role, TOKEN_TTL, Timestamp::now());
        let token = minted.ok_or_else(|| Failure::failed("cannot sign a token"))?.token;
        let client = awc::Client::builder().timeout(RESPONSE_TIMEOUT).finish();
        Ok(Self { url, token, client })
    }

    /// Sends a request with a JSON body, and checks that it succeeds.
    pub(super) async fn send(&self, method: Method, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        self.check(self.request(method, path).send_json(body)).await
    }

    /// Sends a DELETE request, and checks that it succeeds.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.check(self.request(Method::DELETE, path).send()).await
    }

    fn request(&self, method: Method, path: &str) -> ClientRequest {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    async fn check(&self, sent: SendClientRequest) -> Result<(), Failure> {
        let mut response = sent.await.map_err(|error| self.unreachable(&error))?;
        let bytes = response.body().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(problem_failure(response.status(), response.headers(), &bytes))
    }

    /// Returns the failure for a request that got no response.
    pub(super) fn unreachable(&self, error: &dyn Display) -> Failure {
        Failure::failed(format!("the hub at {} holds the store but does not respond: {error}", self.url))
    }
}

/// The fields of a problem document (RFC 9457) that commands print.
#[derive(Deserialize)]
struct Problem {
    detail: String,
    field: Option<String>,
}

/// Returns the failure for an error response. For a server error it contains the request id, by which an
/// administrator finds the cause in the hub's log.
pub(super) fn problem_failure(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(|_| status.is_server_error());
    let id = id.map(|id| format!(" [X-Request-Id: {id}]")).unwrap_or_default();
    let Ok(Problem { detail, field }) = serde_json::from_slice(body) else {
        return Failure::failed(format!("the hub responded with {status}{id}"));
    };
    let field = field.map(|field| format!(" ({field})")).unwrap_or_default();
    Failure::failed(format!("{}{field}{id}", detail.trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use awc::http::header::{HeaderName, HeaderValue};

    #[test]
    fn a_server_error_is_printed_with_its_request_id() {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-request-id"), HeaderValue::from_static("0193"));
        let failure =
            |status: u16, body: &[u8]| problem_failure(StatusCode::from_u16(status).unwrap(), &headers, body).message;
        let problem = br#"{"detail": "It failed."}"#;
        assert_eq!(failure(500, problem), "It failed [X-Request-Id: 0193]");
        assert_eq!(failure(502, b""), "the hub responded with 502 Bad Gateway [X-Request-Id: 0193]");
        assert_eq!(failure(422, problem), "It failed", "the caller's own mistake needs no id");
    }
}
