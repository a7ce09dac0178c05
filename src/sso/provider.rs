//! A provider of OpenID Connect (Core 1.0): the address at which a sign-in begins, and what a completed one states.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm as Algorithm,
};
use openidconnect::{
    AccessToken, AsyncHttpClient as _, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, TokenResponse as _, http,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::clock::Clock;
use crate::config::auth::Oidc;
use crate::domain::ids::UserName;
use crate::domain::role::RoleMap;

use super::claims::Claims;
use super::discovery::{Discovery, Known};
use super::facts::StatedFacts;
use super::flow::Flow;
use super::http_client::HttpClient;
use super::{Person, SsoError, exact_name};

/// Sign-ins that are completed at the same time at one provider. A provider completes one in tens of milliseconds, so
/// this allows about a thousand a second, more than a provider serves.
pub(super) const EXCHANGES_MAX: usize = 64;
/// Sign-ins that wait for a provider: the students who arrive within seconds when registration opens.
const WAITING_MAX: usize = 2_000;
/// Longest time to begin or to complete a sign-in, including the wait. Until then, the browser shows the previous page.
const SIGN_IN_MAX: Duration = Duration::from_secs(10);
/// How far the provider's clock may be ahead, in seconds.
pub(super) const CLOCK_SKEW_S: i64 = 60;
/// Longest permanent id of a person, in bytes. OpenID Connect allows 255 characters.
const SUBJECT_LEN_MAX: usize = 1_000;
/// Longest display name, in characters.
const NAME_CHARS_MAX: usize = 200;
/// Longest ID token that is stored, in bytes. A longer one is not sent to the provider at a sign-out.
const ID_TOKEN_LEN_MAX: usize = 4_096;
/// Signatures that are accepted: those with a public key. With a shared key, everyone who knows the client secret could
/// forge tokens.
pub(super) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];

/// A client whose addresses come from a discovery document.
type DiscoveredClient =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// A provider of OpenID Connect.
pub struct Provider {
    name: Arc<str>,
    settings: Oidc,
    takes_over: Arc<[String]>,
    roles: Arc<RoleMap>,
    http: HttpClient,
    pub(super) discovery: Arc<Discovery>,
    pub(super) issuer: IssuerUrl,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) logouts: super::logout_token::Seen,
    exchanges: Semaphore,
    waiting: Semaphore,
}

impl Provider {
    /// Creates a provider. Nothing is sent yet.
    pub(super) fn new(
        name: &str,
        settings: &Oidc,
        roles: Arc<RoleMap>,
        http: HttpClient,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let issuer = IssuerUrl::new(settings.issuer.clone());
        let issuer = issuer.with_context(|| format!("auth.oidc.{name}.issuer cannot be used"))?;
        // If the keys could be replaced in transit, every signature would be worthless.
        let http = if issuer.url().scheme() == "https" { http.with_https_only() } else { http };
        Ok(Self {
            name: name.into(),
            settings: settings.clone(),
            takes_over: settings.takes_over.clone().into(),
            roles,
            discovery: Arc::new(Discovery::new(issuer.clone(), http.clone())),
            http,
            issuer,
            clock,
            logouts: super::logout_token::Seen::default(),
            exchanges: Semaphore::new(EXCHANGES_MAX),
            waiting: Semaphore::new(WAITING_MAX),
        })
    }

    /// Returns the name in the settings and in addresses.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the text on the button.
    #[must_use]
    pub fn title(&self) -> &str {
        if self.settings.title.is_empty() { &self.name } else { &self.settings.title }
    }

    /// Returns the sources whose users this provider takes over.
    #[must_use]
    pub fn takes_over(&self) -> &Arc<[String]> {
        &self.takes_over
    }

    /// Returns whether `issuer` is the name that this provider gives itself.
    #[must_use]
    pub fn is_issuer(&self, issuer: &str) -> bool {
        self.issuer.as_str() == issuer
    }

    pub(super) fn client_id(&self) -> &str {
        &self.settings.client_id
    }

    /// Reads the discovery document, so that the first sign-in need not wait for it.
    pub async fn discover(&self) {
        // A failure is logged, and the next sign-in tries again.
        let _ = self.discovery.get().await;
    }

    /// Returns the address at the provider to which the browser goes to sign in.
    ///
    /// # Errors
    /// When the provider's addresses are not known and cannot be read in time, or too many sign-ins are waiting.
    pub async fn sign_in_url(&self, flow: &Flow) -> Result<Url, SsoError> {
        let known = self.within_limits(self.discovery.get()).await?;
        let verifier = PkceCodeVerifier::new(flow.verifier.clone());
        let client = self.client(&known, flow)?;
        let (state, nonce) = (flow.state.clone(), flow.nonce.clone());
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || CsrfToken::new(state),
            move || Nonce::new(nonce),
        );
        let scopes = self.settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        Ok(request.add_scopes(scopes).set_pkce_challenge(challenge).url().0)
    }

    /// Completes a sign-in with the code that the browser brought.
    ///
    /// # Errors
    /// When the provider does not respond or rejects the code, when its token is not valid, when it states no user with
    /// a role, or when too many sign-ins are waiting.
    pub async fn complete(&self, flow: &Flow, code: String) -> Result<Person, SsoError> {
        self.within_limits(async {
            let closed = |_| SsoError::Unavailable("the hub is shutting down".to_owned());
            let _permit = self.exchanges.acquire().await.map_err(closed)?;
            let known = self.discovery.get().await?;
            let client = self.client(&known, flow)?;
            let request = client.exchange_code(AuthorizationCode::new(code)).map_err(misconfigured)?;
            let verifier = PkceCodeVerifier::new(flow.verifier.clone());
            let response = request.set_pkce_verifier(verifier).request_async(&self.http).await;
            let response = response.map_err(|error| exchange_error(&error))?;
            let missing = || SsoError::InvalidToken("there is none".to_owned());
            let id_token = response.id_token().ok_or_else(missing)?;
            let mut claims = self.verified(id_token, &flow.nonce, known.clone()).await?;
            self.add_user_info(&known, response.access_token(), &mut claims).await?;
            self.person(&claims, id_token)
        })
        .await
    }

    /// Returns the address at the provider that signs a user out there, too; `None` if there is none or it is unknown.
    #[must_use]
    pub fn sign_out_url(&self, id_token: Option<&SecretString>, back_to: &str) -> Option<String> {
        let known = self.discovery.cached()?;
        let endpoint = known.metadata.additional_metadata().end_session_endpoint.as_ref()?;
        let mut url = endpoint.url().clone();
        if !["https", "http"].contains(&url.scheme()) {
            return None;
        }
        let mut query = url.query_pairs_mut();
        if let Some(token) = id_token {
            query.append_pair("id_token_hint", token.expose_secret());
        }
        query.append_pair("client_id", self.client_id()).append_pair("post_logout_redirect_uri", back_to);
        drop(query);
        Some(url.into())
    }

    /// Runs a part of a sign-in within its deadline, unless too many are waiting.
    async fn within_limits<T>(&self, work: impl Future<Output = Result<T, SsoError>>) -> Result<T, SsoError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| SsoError::Busy)?;
        let late = |_| Err(SsoError::Unavailable("it did not respond in time".to_owned()));
        timeout(SIGN_IN_MAX, work).await.unwrap_or_else(late)
    }

    fn client(&self, known: &Known, flow: &Flow) -> Result<DiscoveredClient, SsoError> {
        let secret = self.settings.client_secret.0.expose_secret();
        let secret = (!secret.is_empty()).then(|| ClientSecret::new(secret.to_owned()));
        let metadata = known.metadata.clone();
        // RFC 6749 prefers Basic, but not every provider offers it.
        let methods = metadata.token_endpoint_auth_methods_supported();
        let has = |method| methods.is_none_or(|methods| methods.contains(&method));
        let in_body = !has(CoreClientAuthMethod::ClientSecretBasic) && has(CoreClientAuthMethod::ClientSecretPost);
        let redirect =
            RedirectUrl::new(format!("{}/auth/{}/callback", flow.origin, self.name)).map_err(misconfigured)?;
        let client = CoreClient::from_provider_metadata(metadata, ClientId::new(self.client_id().to_owned()), secret);
        let auth_type = if in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
        Ok(client.set_redirect_uri(redirect).set_auth_type(auth_type))
    }

    /// Verifies an ID token (Core 1.0, section 3.1.3.7) and returns its claims. A key that is not known may be new, so
    /// the keys are read again.
    async fn verified(&self, token: &CoreIdToken, nonce: &str, known: Arc<Known>) -> Result<Claims, SsoError> {
        let nonce = Nonce::new(nonce.to_owned());
        let checked = match self.check(token, &nonce, &known) {
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey | SignatureVerificationError::CryptoError(_),
            )) => {
                let newer = self.discovery.with_newer_keys(&known).await?;
                self.check(token, &nonce, &newer)
            }
            checked => checked,
        };
        checked.map_err(|error| SsoError::InvalidToken(full_text(&error)))
    }

    fn check(&self, token: &CoreIdToken, nonce: &Nonce, known: &Known) -> Result<Claims, ClaimsVerificationError> {
        let client = ClientId::new(self.client_id().to_owned());
        let keys = known.metadata.jwks().clone();
        // The verifier of a public client never accepts a signature with the client secret.
        let verifier =
            CoreIdTokenVerifier::new_public_client(client, self.issuer.clone(), keys).set_allowed_algs(ALGORITHMS);
        let claims = token.claims(&verifier, nonce)?;
        if claims.issue_time().timestamp() > self.clock.now().as_second() + CLOCK_SKEW_S {
            return Err(ClaimsVerificationError::Other("it was issued in the future".to_owned()));
        }
        let unreadable = || ClaimsVerificationError::Other("its claims are unreadable".to_owned());
        payload(&token.to_string()).map(Claims::new).ok_or_else(unreadable)
    }

    /// Adds the claims of the user-info endpoint if the ID token lacks one that the settings name.
    async fn add_user_info(&self, known: &Known, token: &AccessToken, claims: &mut Claims) -> Result<(), SsoError> {
        let Oidc { user_claim, name_claim, groups_claim, plone_user_claim, facts, .. } = &self.settings;
        let names = [user_claim, name_claim, groups_claim, plone_user_claim].into_iter().map(String::as_str);
        let names = names.filter(|name| !name.is_empty()).chain(facts.names());
        let is_complete = names.into_iter().all(|claim| claims.has(claim));
        let Some(endpoint) = known.metadata.userinfo_endpoint().filter(|_| !is_complete) else { return Ok(()) };
        let request = http::Request::get(endpoint.as_str())
            .header(http::header::AUTHORIZATION, format!("Bearer {}", token.secret()))
            .header(http::header::ACCEPT, "application/json")
            .body(Vec::new());
        let response = self.http.call(request.map_err(misconfigured)?).await;
        let response = response.map_err(|error| SsoError::Unavailable(error.to_string()))?;
        let status = response.status();
        if !status.is_success() {
            return Err(SsoError::Unavailable(format!("the user-info endpoint responded with {status}")));
        }
        let more: Map<String, Value> = serde_json::from_slice(response.body())
            .map_err(|_| SsoError::Misconfigured("the user-info endpoint returned no JSON".to_owned()))?;
        let more = Claims::new(more);
        // Core 1.0, section 5.3.2: otherwise the claims could be those of another user.
        if more.text("sub") != claims.text("sub") {
            return Err(SsoError::InvalidToken("the user-info endpoint describes another user".to_owned()));
        }
        claims.add_missing(more);
        Ok(())
    }

    fn person(&self, claims: &Claims, id_token: &CoreIdToken) -> Result<Person, SsoError> {
        let Oidc { user_claim, name_claim, groups_claim, plone_user_claim, facts, .. } = &self.settings;
        let subject = claims.text("sub").filter(|subject| subject.len() <= SUBJECT_LEN_MAX);
        let subject = subject.ok_or_else(|| SsoError::InvalidToken("the subject is empty or too long".to_owned()))?;
        let username = claims.text(user_claim);
        let username = username.ok_or_else(|| SsoError::NoUsername(format!("there is no claim {user_claim:?}")))?;
        if !is_verified(claims, user_claim) {
            return Err(SsoError::NoUsername("the email address is not verified".to_owned()));
        }
        let username = UserName::parse(username)
            .map_err(|_| SsoError::NoUsername(format!("the claim {user_claim:?} is not a username")))?;
        let rights = claims.rights(&self.roles, groups_claim).ok_or(SsoError::NoRole)?;
        let name = claims.text(name_claim).unwrap_or(username.as_str()).chars().filter(|c| !c.is_control());
        let id_token = Some(id_token.to_string()).filter(|token| token.len() <= ID_TOKEN_LEN_MAX);
        Ok(Person {
            subject: subject.to_owned(),
            sid: claims.text("sid").map(str::to_owned),
            name: name.take(NAME_CHARS_MAX).collect(),
            username,
            rights,
            plone_user: plone_user(claims, plone_user_claim),
            facts: StatedFacts::read(claims, facts),
            id_token: id_token.map(SecretString::from),
        })
    }
}

/// Returns whether the provider vouches for a claim that identifies a user. A user can state any email address.
fn is_verified(claims: &Claims, name: &str) -> bool {
    name != "email" || claims.is_true("email_verified")
}

/// Returns the user of Plone in the claim `name`; `None` without one, for a visitor.
fn plone_user(claims: &Claims, name: &str) -> Option<UserName> {
    let text = claims.text(name).filter(|_| !name.is_empty() && is_verified(claims, name))?;
    exact_name(text)
}

/// Returns the claims of a token without verifying it.
pub(super) fn payload(token: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn misconfigured(error: impl std::fmt::Display) -> SsoError {
    SsoError::Misconfigured(error.to_string())
}

/// Returns the text of an error and of its causes.
fn full_text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn exchange_error<E: std::error::Error>(
    error: &RequestTokenError<E, StandardErrorResponse<CoreErrorResponseType>>,
) -> SsoError {
    match error {
        RequestTokenError::Request(error) => SsoError::Unavailable(error.to_string()),
        RequestTokenError::ServerResponse(response) => {
            let what = format!("the token endpoint responded with {response}");
            match response.error() {
                CoreErrorResponseType::InvalidGrant => SsoError::Denied(what),
                _ => SsoError::Misconfigured(what),
            }
        }
        RequestTokenError::Parse(error, body) if has_id_token(body) => SsoError::InvalidToken(error.to_string()),
        // A gateway in front of a provider that is down responds with a page.
        RequestTokenError::Parse(error, _) => {
            SsoError::Unavailable(format!("the token response is unreadable: {error}"))
        }
        RequestTokenError::Other(what) => SsoError::Unavailable(what.clone()),
    }
}

fn has_id_token(body: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(body).is_ok_and(|response| response.contains_key("id_token"))
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
