//! Single sign-on: what the sign-in page offers, the beginning and the completion of a sign-in at a provider, and
//! sign-outs that a provider announces.

use std::time::Duration;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::LOCATION;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, web};
use serde::Serialize;
use tokio::time::timeout;
use url::form_urlencoded;
use utoipa::{OpenApi, ToSchema};

use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::http::auth::{Credentials, client_ip};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadPath, NotFound, StoreFailed};
use crate::http::own_account::device;
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;
use crate::http::sign_in::signed_in_cookie;
use crate::http::site::Site;
use crate::http::sso_page::{Failure, FailurePage};
use crate::identity::external::{ExternalError, ExternalIdentity, ExternalLogout};
use crate::identity::{Audit, Caller, Identity, Source};
use crate::registration::student_facts::StudentFactsWriter;
use crate::sso::facts::StatedFacts;
use crate::sso::flow::{FLOW_TTL, Flow, own_path};
use crate::sso::logout_token::LOGOUT_TOKEN_LEN_MAX;
use crate::sso::provider::Provider;
use crate::sso::proxy::ProxyError;
use crate::sso::{Person, SingleSignOn, SsoError};
use crate::store::StoreError;

/// Name of the sign-in by the web server, in addresses.
const PROXY: &str = "proxy";
/// The address at which the web server states who has signed in.
const PROXY_LOGIN: &str = "/auth/proxy/login";
/// The prefix of the names of cookies that store open sign-ins. Several may be open, in several windows.
const FLOW_COOKIE: &str = "eduhub_flow_";
/// Number of characters of the state in the name of a cookie, enough to tell the windows of a browser apart.
const FLOW_ID_LEN: usize = 8;
/// Longest code that a provider sends, in bytes. Those of Entra ID have about 1,500.
const CODE_LEN_MAX: usize = 8_192;
/// Longest time that a sign-in waits until the facts about a student are stored. A term decides within it unless the
/// hub is overloaded.
const FACTS_WAIT_MAX: Duration = Duration::from_secs(2);

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(providers, begin, callback, backchannel_logout))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    let read = |path: &str| web::resource(path.to_owned()).default_service(method_not_allowed("GET, HEAD"));
    cfg.service(read("/api/v1/auth/providers").route(get().to(providers)))
        .service(read("/auth/{provider}/login").route(get().to(begin)))
        .service(read("/auth/{provider}/callback").route(get().to(callback)))
        .service(
            web::resource("/auth/{provider}/backchannel-logout")
                .route(web::post().to(backchannel_logout))
                .default_service(method_not_allowed("POST")),
        );
}

/// What the sign-in page offers.
#[derive(Serialize, ToSchema)]
struct Providers {
    /// Whether users can sign in with a password: in the hub, or at Plone.
    password: bool,
    /// Whether Plone checks passwords.
    plone: bool,
    providers: Vec<ProviderLink>,
}

/// A way to sign in without a password in the hub.
#[derive(Serialize, ToSchema)]
struct ProviderLink {
    /// `proxy`, or the name of the provider.
    id: String,
    /// The text on the button; empty for the sign-in by the web server if the settings have none.
    title: String,
    kind: ProviderKind,
    /// The path at which the sign-in begins. It accepts `next`.
    url: String,
}

/// How a provider identifies users.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ProviderKind {
    /// OpenID Connect.
    Oidc,
    /// The college's web server.
    Proxy,
}

/// Lists the ways to sign in.
#[utoipa::path(
    get,
    path = "/api/v1/auth/providers",
    operation_id = "authProviders",
    tag = "identity",
    security(()),
    responses((status = 200, description = "What the sign-in page offers.", body = Providers))
)]
pub async fn providers(sso: Data<SingleSignOn>, identity: Data<Identity>) -> HttpResponse {
    let link = |provider: &std::sync::Arc<Provider>| ProviderLink {
        id: provider.name().to_string(),
        title: provider.title().to_owned(),
        kind: ProviderKind::Oidc,
        url: format!("/auth/{}/login", provider.name()),
    };
    let proxy = sso.proxy.as_ref().map(|proxy| ProviderLink {
        id: PROXY.to_owned(),
        title: proxy.title().unwrap_or_default().to_owned(),
        kind: ProviderKind::Proxy,
        url: PROXY_LOGIN.to_owned(),
    });
    let providers = sso.providers().map(link).chain(proxy).collect();
    let (password, plone) = (identity.has_passwords(), identity.has_members());
    HttpResponse::Ok().insert_header(PRIVATE).json(Providers { password, plone, providers })
}

/// The user whom the web server identifies, in the extensions of a request.
struct ProxyUser(Result<Person, ProxyError>);

/// Middleware that removes the headers of the web server from every request, so that neither a handler nor Plone can
/// trust them. Only the address at which the web server signs users in reads them first.
///
/// # Errors
/// Those of the inner services.
pub async fn proxy_headers<B>(mut req: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error>
where
    B: actix_web::body::MessageBody + 'static,
{
    let sso = req.app_data::<Data<SingleSignOn>>().cloned();
    if let Some(proxy) = sso.as_ref().and_then(|sso| sso.proxy.as_ref()) {
        match req.peer_addr() {
            Some(peer) if req.path() == PROXY_LOGIN => {
                let user = proxy.take(req.headers_mut(), peer.ip());
                req.extensions_mut().insert(ProxyUser(user));
            }
            _ => proxy.strip(req.headers_mut()),
        }
    }
    next.call(req).await
}

/// The request and the services that the handlers of this file use.
struct Context {
    req: HttpRequest,
    sso: Data<SingleSignOn>,
    identity: Data<Identity>,
    site: Data<Site>,
    audit: Data<Audit>,
}

/// Begins a sign-in at a provider.
///
/// The browser goes on to the provider, or, if the web server has already signed the user in, back to `next`.
#[utoipa::path(
    get,
    path = "/auth/{provider}/login",
    operation_id = "beginSignIn",
    tag = "identity",
    security(()),
    params(
        ("provider" = String, Path, description = "The `id` of a provider."),
        ("next" = Option<String>, Query, description = "The path of a page to return to; other addresses count as `/`."),
    ),
    responses(
        (status = 303, description = "To the provider, or back to `next`."),
        (status = 403, description = "A page that says why the user cannot sign in.", content_type = "text/html", body = String),
        (status = 404, description = "A page: there is no such provider.", content_type = "text/html", body = String),
        (status = 503, description = "A page: the provider does not respond.", content_type = "text/html", body = String),
        BadPath,
    )
)]
pub async fn begin(
    req: HttpRequest,
    sso: Data<SingleSignOn>,
    identity: Data<Identity>,
    site: Data<Site>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let name = path_param(&req, "provider")?;
    let context = Context { req, sso, identity, site, audit };
    let next = parameter(&context.req, "next");
    if name == PROXY && context.sso.proxy.is_some() {
        return context.sign_in_by_proxy(own_path(next.as_deref().unwrap_or("/"))).await;
    }
    let Some(provider) = context.sso.provider(&name).cloned() else {
        return Ok(context.page(None, "/").respond(&Failure::UnknownProvider));
    };
    let origin = context.site.origin_used(&context.req).to_owned();
    let flow = Flow::begin(&name, next.as_deref(), origin, context.sso.clock.now());
    let url = match provider.sign_in_url(&flow).await {
        Ok(url) => url,
        Err(error) => return Ok(context.failed(&provider, &flow.next, &error).await),
    };
    let sealed = context.sso.flows.seal(&flow).ok_or_else(|| Problem::internal("a sign-in could not be encrypted"))?;
    let age = CookieDuration::seconds(FLOW_TTL.as_secs().cast_signed());
    let cookie = flow_cookie(&context.site, &flow.state, sealed, age);
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, url.as_str())).cookie(cookie).finish())
}

/// Completes a sign-in at a provider.
///
/// The provider sends the browser here. Only the browser that began the sign-in can complete it, once and within ten
/// minutes.
#[utoipa::path(
    get,
    path = "/auth/{provider}/callback",
    operation_id = "completeSignIn",
    tag = "identity",
    security(()),
    params(
        ("provider" = String, Path, description = "The `id` of a provider."),
        ("state" = Option<String>, Query, description = "The value that the hub passed to the provider."),
        ("code" = Option<String>, Query, description = "The authorization code."),
        ("error" = Option<String>, Query, description = "Why the provider refuses the sign-in."),
    ),
    responses(
        (status = 303, description = "Signed in. Back to the page where the sign-in began.", headers(
            ("Set-Cookie" = String, description = "The cookie of the sign-in."),
        )),
        (status = 400, description = "A page: the sign-in has expired, was already used, or began in another browser.", content_type = "text/html", body = String),
        (status = 403, description = "A page that says why the user cannot sign in.", content_type = "text/html", body = String),
        (status = 404, description = "A page: there is no such provider.", content_type = "text/html", body = String),
        (status = 503, description = "A page: the provider does not respond.", content_type = "text/html", body = String),
    )
)]
pub async fn callback(
    req: HttpRequest,
    sso: Data<SingleSignOn>,
    identity: Data<Identity>,
    site: Data<Site>,
    audit: Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let name = path_param(&req, "provider")?;
    let context = Context { req, sso, identity, site, audit };
    let Some(provider) = context.sso.provider(&name).cloned() else {
        return Ok(context.page(None, "/").respond(&Failure::UnknownProvider));
    };
    let state = parameter(&context.req, "state").unwrap_or_default();
    let cookie = context.req.cookie(&flow_cookie_name(&context.site, &state));
    let flow = cookie.and_then(|cookie| context.sso.flows.end(cookie.value(), &name, &state, context.sso.clock.now()));
    let mut response = match flow {
        Some(flow) => context.complete(&provider, &flow).await,
        // The page was loaded again, or another window completed the sign-in first.
        None if Credentials::of(&context.req).caller().is_some() => {
            HttpResponse::SeeOther().insert_header((LOCATION, "/")).finish()
        }
        None => context.failed(&provider, "/", &SsoError::NotOpen("no cookie, too late, or used before")).await,
    };
    let cleared = flow_cookie(&context.site, &state, String::new(), CookieDuration::ZERO);
    response.add_cookie(&cleared).map_err(Problem::internal)?;
    Ok(response)
}

impl Context {
    async fn complete(&self, provider: &Provider, flow: &Flow) -> HttpResponse {
        if let Some(error) = parameter(&self.req, "error") {
            let error = error.chars().filter(|c| !c.is_control()).take(100).collect();
            return self.failed(provider, &flow.next, &SsoError::Denied(error)).await;
        }
        // RFC 9207: a provider that names itself must be the one at which the sign-in began.
        if parameter(&self.req, "iss").is_some_and(|issuer| !provider.is_issuer(&issuer)) {
            return self.failed(provider, &flow.next, &SsoError::NotOpen("another issuer has responded")).await;
        }
        let code = parameter(&self.req, "code").filter(|code| code.len() <= CODE_LEN_MAX);
        let Some(code) = code else {
            return self.failed(provider, &flow.next, &SsoError::NotOpen("there is no code")).await;
        };
        match provider.complete(flow, code).await {
            Ok(person) => {
                let source = Source::Oidc(provider.name().clone());
                self.sign_in(source, provider.title(), person, provider.takes_over().clone(), &flow.next).await
            }
            Err(error) => self.failed(provider, &flow.next, &error).await,
        }
    }

    async fn sign_in_by_proxy(&self, next: &str) -> Result<HttpResponse, Problem> {
        let Some(proxy) = &self.sso.proxy else { return Err(Problem::not_found("This sign-in does not exist.")) };
        let user = self.req.extensions_mut().remove::<ProxyUser>();
        let user = user.unwrap_or(ProxyUser(Err(ProxyError::WrongSecret))).0;
        Ok(match user {
            Ok(person) => {
                self.sign_in(Source::Proxy, proxy.title().unwrap_or_default(), person, proxy.takes_over().clone(), next)
                    .await
            }
            Err(error) => {
                match error {
                    ProxyError::NoRole => self.record_failure(None, "proxy", AuditDetail::NoRole).await,
                    // Anyone can send such a request, so it must not fill the audit trail.
                    ProxyError::ForeignPeer(_) | ProxyError::WrongSecret | ProxyError::NoUser(_) => {
                        log::info!("a sign-in by the web server was refused: {error}");
                    }
                }
                self.page(proxy.title(), next).at(PROXY_LOGIN).respond(&Failure::from(&SsoError::from(error)))
            }
        })
    }

    /// Issues the hub's token for a person whom a provider has identified.
    async fn sign_in(
        &self,
        source: Source,
        title: &str,
        person: Person,
        takes_over: std::sync::Arc<[String]>,
        next: &str,
    ) -> HttpResponse {
        let provider = source.to_string();
        let Person { subject, sid, username, name, rights, plone_user, facts, id_token } = person;
        let identity =
            ExternalIdentity { source, subject, sid, username, name, rights, plone_user, id_token, takes_over };
        match self.identity.sign_in_external(identity).await {
            Ok(signed_in) => {
                self.identity.list_sign_in(&signed_in.caller, &device(&self.req), client_ip(&self.req));
                let subject = Some(signed_in.caller.user.as_str());
                self.audit.record(&self.req, Some(&signed_in.caller), "login", subject, None, &*provider).await;
                if signed_in.caller.role == Role::Student && !facts.is_empty() {
                    self.store_facts(&signed_in.caller.user, facts, &provider).await;
                }
                let cookie = signed_in_cookie(&self.site, &self.identity, signed_in.token);
                HttpResponse::SeeOther().insert_header((LOCATION, next)).cookie(cookie).finish()
            }
            Err(error) => {
                let page = self.page(Some(title), next);
                let failure = match error {
                    ExternalError::NameTaken { owner, username } => {
                        self.record_failure(Some(username.as_str()), &provider, AuditDetail::from(&owner)).await;
                        Failure::NameTaken { username: username.to_string(), owner }
                    }
                    ExternalError::Store(_) | ExternalError::Failed => {
                        log::error!("a sign-in by {provider} could not be stored: {error}");
                        Failure::NotStored
                    }
                };
                page.respond(&failure)
            }
        }
    }

    /// Stores the facts about a student that a provider states. The sign-in does not fail if they cannot be stored: the
    /// student registers with the earlier facts, and the next sign-in states them again.
    async fn store_facts(&self, student: &UserName, facts: StatedFacts, provider: &str) {
        let Some(writer) = self.req.app_data::<Data<StudentFactsWriter>>().cloned() else { return };
        let (subject, detail) = (student.as_str(), AuditDetail::StatedBy { provider: provider.to_owned() });
        let entry = self.audit.entry(&self.req, None, "student.change", Some(subject), None, detail);
        let (audit, student) = (self.audit.clone(), student.clone());
        // A separate task, because a change that has begun must reach all terms.
        let stated = actix_web::rt::spawn(async move {
            match writer.update(&student, |before| facts.applied_to(before)).await {
                Ok(false) => {}
                Ok(true) => {
                    if let Some(entry) = entry {
                        audit.append_stored(entry).await;
                    }
                }
                Err(error) => log::warn!("the facts about {student} at a sign-in could not be stored: {error}"),
            }
        });
        if timeout(FACTS_WAIT_MAX, stated).await.is_err() {
            log::warn!("the facts about {subject} are stored after the sign-in");
        }
    }

    async fn record_failure(&self, user: Option<&str>, provider: &str, problem: AuditDetail) {
        let detail = AuditDetail::SignOnFailed { provider: provider.to_owned(), problem: Box::new(problem) };
        self.audit.record(&self.req, None, "login.failed", user, None, detail).await;
    }

    fn page<'a>(&'a self, title: Option<&'a str>, next: &'a str) -> FailurePage<'a> {
        FailurePage::new(&self.req, title, &self.sso.help, next)
    }

    /// Returns the page about a failed sign-in. Records the failure if it has an [`SsoError::audit_detail`].
    async fn failed(&self, provider: &Provider, next: &str, error: &SsoError) -> HttpResponse {
        let source = Source::Oidc(provider.name().clone());
        log::warn!("a sign-in by {source} failed: {error}");
        if let Some(problem) = error.audit_detail() {
            self.record_failure(None, &source.to_string(), problem).await;
        }
        let again = format!("/auth/{}/login", provider.name());
        self.page(Some(provider.title()), next).at(&again).respond(&Failure::from(error))
    }
}

/// Returns the address to which a browser goes to be signed out by the caller's provider, too, and forgets the sign-in.
///
/// # Errors
/// When the store cannot be written.
pub(super) async fn sign_out_url(
    req: &HttpRequest,
    caller: &Caller,
    identity: &Identity,
    site: &Site,
) -> Result<Option<String>, StoreError> {
    let Some(sso) = req.app_data::<Data<SingleSignOn>>().filter(|_| caller.source.is_external()) else {
        return Ok(None);
    };
    let id_token = identity.forget_external(caller.token_id).await?;
    Ok(match &caller.source {
        Source::Oidc(name) => {
            let back_to = format!("{}/", site.origin_used(req));
            sso.provider(name).and_then(|provider| provider.sign_out_url(id_token.as_ref(), &back_to))
        }
        Source::Proxy => sso.proxy.as_ref().and_then(|proxy| proxy.sign_out_url()).map(str::to_owned),
        Source::Hub | Source::Plone => None,
    })
}

/// The body of a back-channel logout.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is a form")]
struct BackChannelLogout {
    /// A signed token that names the person or the session at the provider.
    logout_token: String,
}

/// Ends sign-ins because the user has signed out at the provider (OpenID Connect Back-Channel Logout 1.0).
#[utoipa::path(
    post,
    path = "/auth/{provider}/backchannel-logout",
    operation_id = "backChannelLogout",
    tag = "identity",
    security(()),
    params(("provider" = String, Path, description = "The `id` of a provider.")),
    request_body(content = BackChannelLogout, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The sign-ins have ended."), BadPath, NotFound, StoreFailed)
)]
pub async fn backchannel_logout(
    req: HttpRequest,
    payload: web::Payload,
    sso: Data<SingleSignOn>,
    identity: Data<Identity>,
) -> Result<HttpResponse, Problem> {
    let name = path_param(&req, "provider")?;
    let provider = sso.provider(&name).ok_or_else(|| Problem::not_found("There is no such provider."))?;
    let bad = |what: &str| Problem::bad_request(format!("The logout token is not accepted: {what}."));
    let body = payload.to_bytes_limited(2 * LOGOUT_TOKEN_LEN_MAX).await;
    let body = body.map_err(|_| bad("the body is too long"))?.map_err(|_| bad("the body is incomplete"))?;
    let token = form_urlencoded::parse(&body).find(|(name, _)| name == "logout_token").map(|(_, value)| value);
    let token = token.ok_or_else(|| bad("the body does not contain one"))?;
    let logout = match provider.verify_logout(&token).await {
        Ok(logout) => logout,
        Err(error) => {
            log::warn!("a logout token of {name} is not accepted: {error}");
            return Err(match error {
                SsoError::Busy | SsoError::Unavailable(_) => Problem::overloaded(),
                SsoError::InvalidToken(what) => bad(&what),
                _ => bad("the provider is misconfigured"),
            });
        }
    };
    let ended = ExternalLogout { subject: logout.of.subject.clone(), sid: logout.of.sid.clone() };
    if let Err(error) = identity.end_external(&Source::Oidc(provider.name().clone()), ended).await {
        sso.retry_logout(provider, &logout);
        return Err(error.into());
    }
    Ok(HttpResponse::Ok().insert_header(PRIVATE).finish())
}

/// Returns a parameter of the query. Providers add parameters of their own, so others are ignored.
fn parameter(req: &HttpRequest, name: &str) -> Option<String> {
    let mut all = form_urlencoded::parse(req.query_string().as_bytes());
    all.find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}

/// Returns the name of the cookie of a sign-in. Under https, no other site of the college's domain can set it.
fn flow_cookie_name(site: &Site, state: &str) -> String {
    let prefix = if site.is_https() { "__Host-" } else { "" };
    let id: String = state.chars().filter(char::is_ascii_alphanumeric).take(FLOW_ID_LEN).collect();
    format!("{prefix}{FLOW_COOKIE}{id}")
}

fn flow_cookie(site: &Site, state: &str, value: String, age: CookieDuration) -> Cookie<'static> {
    Cookie::build(flow_cookie_name(site, state), value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(site.is_https())
        .max_age(age)
        .finish()
}

#[cfg(test)]
#[path = "sso_tests.rs"]
mod tests;
