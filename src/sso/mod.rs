//! Single sign-on: users who sign in at the college, not with a password in the hub.
//!
//! - [`provider`]: a provider of OpenID Connect: where its sign-in begins, and what a completed one states;
//!   `discovery`: its addresses and keys; `http_client`: requests to it
//! - [`flow`]: a sign-in between its beginning and its end, in a cookie of the browser
//! - [`claims`]: statements about a user, and the role that they give; [`logout_token`]: sign-outs that the provider
//!   announces
//! - [`facts`]: facts about a student that the claims state
//! - [`proxy`]: users whom the college's web server has signed in (SAML, Shibboleth, CAS)
//!
//! This module states who a user is. [`crate::identity`] decides whether the user may sign in under that name.

pub mod claims;
mod discovery;
pub mod facts;
pub mod flow;
mod http_client;
pub mod logout_token;
pub mod provider;
pub mod proxy;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

use crate::clock::Clock;
use crate::config::Auth;
use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::domain::role::RoleMap;

use facts::StatedFacts;
use flow::Flows;
use http_client::HttpClient;
use provider::Provider;
use proxy::ProxySignIn;

/// A user whom the college has identified.
#[derive(Debug, Clone)]
pub struct Person {
    /// The provider's permanent id of the person.
    pub subject: String,
    /// The session at the provider, if it names one.
    pub sid: Option<String>,
    /// Username.
    pub username: UserName,
    /// Display name.
    pub name: String,
    /// Rights in the hub.
    pub rights: Rights,
    /// The person's user of Plone; `None` for a visitor there.
    pub plone_user: Option<UserName>,
    /// Facts about the person as a student.
    pub facts: StatedFacts,
    /// The ID token, if there is one.
    pub id_token: Option<SecretString>,
}

/// Returns the user of Plone with exactly this id; `None` if the id is not a username, or if normalization would change
/// it into the id of another user.
fn exact_name(id: &str) -> Option<UserName> {
    UserName::parse(id).ok().filter(|name| name.as_str() == id)
}

/// Why a sign-in failed. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SsoError {
    /// The provider does not respond, or fails.
    #[error("the provider is unavailable: {0}")]
    Unavailable(String),
    /// Too many sign-ins wait for the provider.
    #[error("too many sign-ins are waiting for the provider")]
    Busy,
    /// The provider refuses the hub, because one of them is misconfigured.
    #[error("misconfigured: {0}")]
    Misconfigured(String),
    /// The browser's request does not complete a sign-in that it began, comes too late, or was used before.
    #[error("no such sign-in is open: {0}")]
    NotOpen(&'static str),
    /// The user or the provider has refused the sign-in.
    #[error("refused by the provider: {0}")]
    Denied(String),
    /// An ID token, the claims that complete it, or a logout token is not valid.
    #[error("invalid ID token: {0}")]
    InvalidToken(String),
    /// The provider states no usable username.
    #[error("no usable username: {0}")]
    NoUsername(String),
    /// The user has no role in the hub.
    #[error("no role")]
    NoRole,
}

impl SsoError {
    /// Returns what the audit trail states about the failed sign-in; `None` for a failure that it does not record, such
    /// as an outage of the provider.
    #[must_use]
    pub fn audit_detail(&self) -> Option<AuditDetail> {
        Some(match self {
            Self::Unavailable(_) | Self::Busy | Self::NotOpen(_) => return None,
            Self::Misconfigured(why) => AuditDetail::Misconfigured { why: why.clone() },
            Self::Denied(why) => AuditDetail::Denied { why: why.clone() },
            Self::InvalidToken(why) => AuditDetail::InvalidToken { why: why.clone() },
            Self::NoUsername(why) => AuditDetail::NoUsername { why: why.clone() },
            Self::NoRole => AuditDetail::NoRole,
        })
    }
}

/// Everything that single sign-on needs. A hub has one.
pub struct SingleSignOn {
    providers: BTreeMap<String, Arc<Provider>>,
    /// Users whom the web server has signed in; `None` if it signs no one in.
    pub proxy: Option<ProxySignIn>,
    /// Sign-ins between their beginning and their end.
    pub flows: Flows,
    /// Whom users ask when they cannot sign in.
    pub help: String,
    /// Clock for the age of sign-ins and tokens.
    pub clock: Arc<dyn Clock>,
}

impl SingleSignOn {
    /// Starts the providers in the settings, which read their discovery documents in the background. Must be called on
    /// an actix system.
    ///
    /// # Errors
    /// When the address of a provider cannot be used.
    pub fn start(auth: &Auth, secret: &SecretString, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let roles: Arc<RoleMap> = Arc::new(auth.roles.clone());
        let mut providers = BTreeMap::new();
        for (name, settings) in &auth.oidc {
            // Each provider has its own client: a provider that does not respond could occupy all connections of a
            // shared one.
            let provider = Provider::new(name, settings, roles.clone(), HttpClient::start()?, clock.clone())?;
            providers.insert(name.clone(), Arc::new(provider));
        }
        for provider in providers.values() {
            let provider = provider.clone();
            tokio::spawn(async move { provider.discover().await });
        }
        let proxy = ProxySignIn::new(&auth.proxy, roles);
        Ok(Self { providers, proxy, flows: Flows::new(secret), help: auth.help.clone(), clock })
    }

    /// Returns the provider of OpenID Connect with this name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// Returns the providers of OpenID Connect, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }
}
