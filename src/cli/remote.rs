//! The store, or the hub that has it. On one store only the hub writes, so a command beside it asks it over HTTP, with
//! a token that it mints itself: whoever can read the secret may.

use std::time::Duration;

use awc::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::app::core::Opened;
use crate::app::ports::OpenError;
use crate::config::Config;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::secret;
use crate::identity::token::Tokens;

use crate::cli::Failure;

/// Who the commands are, in the audit trail.
const SUBJECT: &str = "eduhub-cli";
/// How long a command's token lives: longer than the longest import takes.
const TOKEN_TTL: Duration = Duration::from_secs(3_600);
/// How long the hub may take to answer. It shares the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who writes.
pub(super) enum Access {
    /// This process: it has the store's lock now.
    Store(Box<Opened>),
    /// A running hub.
    Hub(Hub),
}

/// A running hub.
pub(super) struct Hub {
    /// Such as `http://127.0.0.1:8000`.
    pub(super) url: String,
    /// Signed for the role that was asked for.
    pub(super) token: String,
    /// To be used on one thread.
    pub(super) client: awc::Client,
}

/// Takes the store, or finds the hub that has it. To be called on an actix system.
pub(super) fn access(config: &Config, role: Role) -> Result<Access, Failure> {
    match Opened::open(config) {
        Ok(opened) => Ok(Access::Store(Box::new(opened))),
        Err(OpenError::Locked { address: Some(url), .. }) => Ok(Access::Hub(Hub::at(config, url, role)?)),
        Err(error) => Err(Failure::failed(error)),
    }
}

impl Hub {
    fn at(config: &Config, url: String, role: Role) -> Result<Self, Failure> {
        let file = secret::path_beside(&config.store.path);
        let secret = secret::load(config.auth.secret.as_ref(), &file).map_err(Failure::failed)?;
        let subject = UserName::parse(SUBJECT).map_err(Failure::failed)?;
        let minted = Tokens::new(&secret).mint(&subject, None, role, TOKEN_TTL, Timestamp::now());
        let token = minted.ok_or_else(|| Failure::failed("a token could not be signed"))?.token;
        let client = awc::Client::builder().timeout(PATIENCE).finish();
        Ok(Self { url, token, client })
    }

    /// Asks, and returns a good answer's body (null when it is empty).
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        let sent = match body {
            Some(body) => request.send_json(body),
            None => request.send(),
        };
        let unreachable = |error: &dyn std::fmt::Display| {
            Failure::failed(format!("the hub at {} has the store, and does not answer: {error}", self.url))
        };
        let mut response = sent.await.map_err(|error| unreachable(&error))?;
        let bytes = response.body().await.map_err(|error| unreachable(&error))?;
        let answer = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if response.status().is_success() { Ok(answer) } else { Err(refused(response.status(), &answer)) }
    }
}

/// A problem document as a sentence.
fn refused(status: StatusCode, problem: &Value) -> Failure {
    let detail = problem["detail"].as_str().map_or_else(|| format!("the hub answers {status}"), str::to_owned);
    let field = problem["field"].as_str().map(|field| format!(" ({field})")).unwrap_or_default();
    Failure::failed(format!("{}{field}", detail.trim_end_matches('.')))
}
