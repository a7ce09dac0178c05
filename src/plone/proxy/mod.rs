//! Reverse proxy to the college's Plone. Below `/plone/` of the hub's own origin, it is for REST calls and for reading.
//! At the separate origin `[plone] proxy_url`, if configured, the whole site works.
//!
//! Bodies are streamed. This module decides which parts of a request reach Plone and which parts of a response reach
//! the client. `http` identifies the sender and converts [`ProxyError`] to problem documents.
//!
//! - `path`: checks paths; `credentials`: keeps sign-ins and passwords away from Plone; `own_sign_in`: counts those at
//!   Plone's own origin; `management`: keeps the management of Plone, and lists of its people, out of the proxy
//! - `headers`, `cookies`: filter header fields in both directions; `bodies`: passes bodies in both directions
//! - [`error`]: why a request is not forwarded

mod bodies;
mod cookies;
mod credentials;
pub mod error;
mod headers;
mod management;
mod own_sign_in;
mod path;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::body::{BodySize, MessageBody, SizedStream};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse};

use self::bodies::PasswordGuard;
use self::error::ProxyError;
use self::headers::{PublicOrigin, RequestHeaders, ResponseHeaders};
use self::management::{ForwardAs, Rights};
use self::own_sign_in::Contents;
use self::path::Mount;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::limits::AddressKey;
use crate::identity::sign_in::{Client, GuardedAttempt, SignInError};
use crate::identity::{Caller, Identity};
use crate::plone::port::PloneError;
use crate::plone::rest::{PloneClient, StreamCall, StreamError, StreamResponse};

/// Methods that are forwarded, as in `Allow`.
pub const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Values of `Sec-Fetch-Dest` for resources that a page would execute. Such requests are refused below the hub's
/// origin, because content from Plone must not run with the rights of the hub's user.
const EXECUTED_DESTINATIONS: [&str; 9] = [
    "script",
    "worker",
    "sharedworker",
    "serviceworker",
    "audioworklet",
    "paintworklet",
    "object",
    "embed",
    "manifest",
];

/// The reverse proxy.
pub struct PloneProxy {
    client: PloneClient,
    identity: Arc<Identity>,
    /// The hub's origin: `[server] public_url`, or its loopback address.
    hub: PublicOrigin,
    /// Further loopback names of the hub. Empty if it has a public URL.
    aliases: Vec<PublicOrigin>,
    /// Plone's own origin, `[plone] proxy_url`.
    own: Option<PublicOrigin>,
}

/// A `[plone] proxy_url` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[plone] proxy_url {0}")]
pub struct BadProxyUrl(String);

/// The sender of a request.
#[derive(Debug)]
pub struct Sender {
    /// Address of the client.
    pub address: IpAddr,
    /// The hub's id of the request.
    pub request_id: String,
    /// The signed-in user; `None` for a visitor.
    pub caller: Option<Caller>,
    /// True if `Origin` is an origin of the hub.
    pub is_hub_page: bool,
}

/// A request that passed all checks and can be forwarded.
pub struct Accepted {
    mount: Mount,
    origin: PublicOrigin,
    call: StreamCall,
    length: Option<u64>,
    has_body: bool,
    is_personal: bool,
    contents: Contents,
}

/// A sign-in at Plone's own origin, which counts toward the limits for all sign-ins of the hub.
pub struct OwnSignIn<'a> {
    /// The name that was given.
    pub account: String,
    attempt: GuardedAttempt<'a>,
    contents: Contents,
}

impl OwnSignIn<'_> {
    /// Ends the attempt after Plone's response. Returns whether the password is wrong; `None` if it was not checked.
    pub fn end(self, response: Option<&HttpResponse>) -> Option<bool> {
        let is_wrong = response.and_then(|response| self.contents.is_wrong(response));
        self.attempt.end(is_wrong == Some(true));
        is_wrong
    }
}

impl Accepted {
    /// Returns true if Plone may check a password of this request. Then [`PloneProxy::read_sign_in`] must be called
    /// before the request is forwarded.
    #[must_use]
    pub const fn may_have_password(&self) -> bool {
        self.contents.may_have_password()
    }
}

impl PloneProxy {
    /// Creates a proxy. `public_url` is `[server] public_url`, `port` the port that the hub is bound to, and
    /// `proxy_url` is `[plone] proxy_url`.
    ///
    /// # Errors
    /// If one of the URLs is not an origin, or if both are the same origin.
    pub fn new(
        client: PloneClient,
        identity: Arc<Identity>,
        public_url: Option<&str>,
        port: u16,
        proxy_url: Option<&str>,
    ) -> Result<Self, BadProxyUrl> {
        let loopback = |host: &str| PublicOrigin { scheme: "http".to_owned(), host: host.to_owned(), port };
        let parse = |url: &str| {
            let bad = || BadProxyUrl(format!("or [server] public_url is not an origin: {url:?}"));
            PublicOrigin::parse(url).ok_or_else(bad)
        };
        let (hub, aliases) = match public_url {
            Some(url) => (parse(url)?, Vec::new()),
            // Without `[::1]`: Zope's virtual host monster cannot read an IPv6 address in a path.
            None => (loopback("127.0.0.1"), vec![loopback("localhost")]),
        };
        let own = proxy_url.map(parse).transpose()?;
        if own.as_ref().is_some_and(|own| *own == hub || aliases.contains(own)) {
            return Err(BadProxyUrl("must differ from the hub's own origin".to_owned()));
        }
        Ok(Self { client, identity, hub, aliases, own })
    }

    /// Returns true if the `Host` of a request is Plone's own origin.
    #[must_use]
    pub fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        self.own.as_ref().is_some_and(|own| host_of(headers).is_some_and(|host| own.is_host(host)))
    }

    /// Accepts a request below `/plone` of the hub's origin. It is forwarded with the identity of the member of Plone
    /// who sent it, or as a visitor. The caller must call [`check_framing`] first.
    ///
    /// # Errors
    /// The reason why the request must not be forwarded.
    pub async fn accept_at_hub(&self, req: &HttpRequest, sender: &Sender) -> Result<Accepted, ProxyError> {
        let within = path::checked(req.uri().path(), req.uri().query(), Mount::Hub)?;
        if EXECUTED_DESTINATIONS.contains(&header_text(req.headers(), "sec-fetch-dest")) {
            return Err(ProxyError::Script);
        }
        let content_type = match req.method().is_safe() {
            true => None,
            false => credentials::content_type(req.headers(), has_body(req.headers()))?,
        };
        let may_list_people = sender.caller.as_ref().is_some_and(|caller| caller.role == Role::Admin);
        let rights = Rights { is_safe: req.method().is_safe(), may_list_people };
        let forward_as = management::check(&path::names(within)?, req.uri().query(), rights)?;
        // Plone does not know that staff are limited to subjects: for them, it would show every roster and accept every
        // edit.
        let is_limited = sender.caller.as_ref().is_some_and(|caller| caller.role == Role::SubjectStaff);
        let token = match &sender.caller {
            Some(caller) if forward_as == ForwardAs::Sender && !is_limited => self.identity.member_token(caller).await,
            _ => None,
        };
        let origin = self.origin_for(req.headers());
        let headers = RequestHeaders {
            headers: req.headers(),
            mount: Mount::Hub,
            origin,
            client: sender.address,
            request_id: &sender.request_id,
            token: token.as_deref(),
            content_type,
            forward_as,
        };
        let has_ticket = headers.cookies().is_some_and(|cookies| cookies::has_sign_in(&cookies));
        if has_ticket && !req.method().is_safe() && !sender.is_hub_page {
            return Err(ProxyError::ForeignHubPage);
        }
        let is_personal = sender.caller.is_some() || has_ticket;
        Ok(self.accepted(req, within, &headers, sender.caller.is_none(), is_personal, Contents::NoPassword))
    }

    /// Accepts a request to Plone's own origin. The hub's sign-ins have no effect there, and the request counts toward
    /// the limit for the sender's address. The caller must call [`check_framing`] first.
    ///
    /// # Errors
    /// The reason why the request must not be forwarded.
    pub fn accept_at_own_origin(&self, req: &HttpRequest, sender: &Sender) -> Result<Accepted, ProxyError> {
        let own = self.own.as_ref().ok_or(ProxyError::NotFound)?;
        let counted = self.identity.request_limits().count_visitor(AddressKey::from(sender.address));
        counted.map_err(|retry_after_s| ProxyError::RateLimited { retry_after_s })?;
        let within = path::checked(req.uri().path(), req.uri().query(), Mount::OwnOrigin)?;
        let names = path::names(within)?;
        // The hub does not know the user of Plone's own sign-in.
        let rights = Rights { is_safe: req.method().is_safe(), may_list_people: false };
        let forward_as = management::check(&names, req.uri().query(), rights)?;
        let (contents, content_type) = Contents::of(&names, req.headers(), has_body(req.headers()))?;
        let headers = RequestHeaders {
            headers: req.headers(),
            mount: Mount::OwnOrigin,
            origin: own,
            client: sender.address,
            request_id: &sender.request_id,
            token: None,
            content_type,
            forward_as,
        };
        let is_personal = headers.cookies().is_some_and(|cookies| cookies::has_sign_in(&cookies));
        let page = page_origin(req.headers(), own);
        if !req.method().is_safe() && (page == PageOrigin::Other || (is_personal && page != PageOrigin::Same)) {
            return Err(ProxyError::ForeignPage);
        }
        Ok(self.accepted(req, within, &headers, true, is_personal, contents))
    }

    /// Reads the sign-in in the body of a request to Plone's own origin, and checks it against the limits for all
    /// sign-ins. Replaces the payload with what was read. Returns `None` if Plone will check no password.
    ///
    /// # Errors
    /// When the body cannot be read, or a limit is exceeded.
    pub async fn read_sign_in(
        &self,
        accepted: &mut Accepted,
        address: IpAddr,
        payload: &mut Payload,
    ) -> Result<Option<OwnSignIn<'_>>, ProxyError> {
        let body = own_sign_in::read(payload).await?;
        let account = accepted.contents.account(&body)?;
        accepted.length = Some(body.len() as u64);
        let pieces = futures_util::stream::once(std::future::ready(Ok(body)));
        *payload = Payload::Stream { payload: Box::pin(pieces) };
        let Some(account) = account else { return Ok(None) };
        // Plone ignores white space around a name, and the hub's limits must see the same name. What is not a name,
        // such as a long text, is neither counted nor recorded.
        let account = account.trim().to_owned();
        if UserName::parse(&account).is_err() {
            return Err(ProxyError::UnreadableSignIn);
        }
        let attempt = self.identity.guard_attempt(&account, Client { address, device: None }).await;
        let attempt = attempt.map_err(|error| match error {
            SignInError::RateLimited { retry_after_s } => ProxyError::SignInsLimited { retry_after_s },
            _ => ProxyError::Plone(PloneError::Busy),
        })?;
        Ok(Some(OwnSignIn { account, attempt, contents: accepted.contents.clone() }))
    }

    fn accepted(
        &self,
        req: &HttpRequest,
        within: &str,
        headers: &RequestHeaders<'_>,
        is_from_visitor: bool,
        is_personal: bool,
        contents: Contents,
    ) -> Accepted {
        let is_chunked = req.headers().contains_key(header::TRANSFER_ENCODING);
        Accepted {
            mount: headers.mount,
            origin: headers.origin.clone(),
            call: StreamCall {
                method: req.method().clone(),
                target: self.target(headers.mount, headers.origin, within, req.uri().query()),
                headers: headers.fields(),
                body: None,
                is_from_visitor,
            },
            length: length_of(req.headers()).filter(|_| !is_chunked),
            has_body: has_body(req.headers()),
            is_personal,
            contents,
        }
    }

    /// Forwards an accepted request with its body. Returns the response for the client.
    ///
    /// # Errors
    /// The reason why there is no response that may be passed on.
    pub async fn forward(&self, accepted: Accepted, payload: Payload) -> Result<HttpResponse, ProxyError> {
        let Accepted { mount, origin, mut call, length, has_body, is_personal, contents } = accepted;
        let (guard, is_found) = (contents == Contents::Form).then(PasswordGuard::new).unzip();
        call.body = has_body.then(|| bodies::upload(payload, length, guard));
        let method = call.method.clone();
        let received = self.client.stream(call).await.map_err(|error| {
            let has_password = is_found.is_some_and(|is_found| is_found.load(Ordering::Acquire));
            if has_password { ProxyError::PasswordElsewhere } else { ProxyError::from(error) }
        })?;
        let site_url = self.client.site_url();
        let fields =
            ResponseHeaders { headers: &received.headers, mount, origin: &origin, site_url, is_personal }.fields();
        response(&method, received, fields).await
    }

    /// Returns the hub's origin that the sender of a request uses. An unknown `Host` counts as the configured origin.
    fn origin_for(&self, headers: &HeaderMap) -> &PublicOrigin {
        let host = host_of(headers).unwrap_or_default();
        self.aliases.iter().find(|alias| alias.is_host(host)).unwrap_or(&self.hub)
    }

    /// Returns the request target on Plone's host in the notation of Zope's virtual host monster: the public origin,
    /// the path of the site, and the path within it.
    fn target(&self, mount: Mount, origin: &PublicOrigin, within: &str, query: Option<&str>) -> String {
        let PublicOrigin { scheme, host, port } = origin;
        let site = self.client.site_path();
        let prefix = match mount {
            Mount::Hub => "/_vh_plone",
            Mount::OwnOrigin => "",
        };
        let within = if within.is_empty() { "/" } else { within };
        let mut target = format!("/VirtualHostBase/{scheme}/{host}:{port}{site}/VirtualHostRoot{prefix}{within}");
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        target
    }
}

/// Origin of the page that sent a request to Plone's own origin, from the `Origin` field (RFC 6454).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PageOrigin {
    /// There is no `Origin`: the sender is probably not a page.
    Absent,
    /// Plone's own origin.
    Same,
    /// Another origin, or `null`.
    Other,
}

fn page_origin(headers: &HeaderMap, own: &PublicOrigin) -> PageOrigin {
    let mut origins = headers.get_all(header::ORIGIN);
    match (origins.next(), origins.next()) {
        (None, _) => PageOrigin::Absent,
        (Some(origin), None) if origin.as_bytes() == own.origin().as_bytes() => PageOrigin::Same,
        _ => PageOrigin::Other,
    }
}

/// Refuses requests with ambiguous framing, which two servers could parse differently (RFC 9112, 6.3 and 11.2), and
/// requests that only a forward proxy or a tunnel can serve.
///
/// # Errors
/// The reason why the request must not be forwarded.
pub fn check_framing(req: &HttpRequest) -> Result<(), ProxyError> {
    let headers = req.headers();
    let codings: Vec<_> = headers.get_all(header::TRANSFER_ENCODING).collect();
    let is_chunked = codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let is_ambiguous = !codings.is_empty()
        && (!is_chunked
            || codings.len() > 1
            || headers.contains_key(header::CONTENT_LENGTH)
            || req.version() < Version::HTTP_11);
    if is_ambiguous {
        return Err(ProxyError::AmbiguousFraming);
    }
    if req.uri().authority().is_some() || req.uri().scheme().is_some() || !req.uri().path().starts_with('/') {
        return Err(ProxyError::AbsoluteTarget);
    }
    if headers.contains_key(header::UPGRADE) {
        return Err(ProxyError::Upgrade);
    }
    if [Method::CONNECT, Method::TRACE].contains(req.method()) {
        return Err(ProxyError::Method);
    }
    Ok(())
}

/// Returns the user whom Plone's own sign-in names in a request. It is not verified.
#[must_use]
pub fn claimed_user(headers: &HeaderMap) -> Option<String> {
    credentials::user_of_ticket(headers.get_all(header::COOKIE).filter_map(|cookie| cookie.to_str().ok()))
}

/// Returns true if a request announces a body.
#[must_use]
pub fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING) || length_of(headers).is_some_and(|length| length > 0)
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn host_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Builds the response with these header fields. A server error of Plone, and an error body that must not be passed on,
/// become a [`ProxyError`].
async fn response(
    method: &Method,
    received: StreamResponse,
    fields: Vec<(HeaderName, HeaderValue)>,
) -> Result<HttpResponse, ProxyError> {
    let StreamResponse { status, headers, body } = received;
    if status.is_server_error() {
        return Err(bodies::replacement_error(status, method));
    }
    let mut response = HttpResponse::build(status);
    for field in fields {
        response.append_header(field);
    }
    let is_json =
        headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if status.is_client_error() && is_json && method != Method::HEAD {
        let refusal = bodies::read_error_body(body).await.ok_or_else(|| bodies::replacement_error(status, method))?;
        return Ok(response.body(refusal));
    }
    let length = length_of(&headers);
    let is_empty = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    Ok(match length {
        _ if is_empty => response.body(()),
        Some(length) => response.body(SizedStream::new(length, bodies::download(body))),
        None if method == Method::HEAD => response.body(UnknownLength),
        None => response.streaming(bodies::download(body)),
    })
}

/// Body of a response to HEAD whose length is unknown. It must not announce a length of 0.
struct UnknownLength;

impl MessageBody for UnknownLength {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::None
    }

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<bytes::Bytes, Self::Error>>> {
        std::task::Poll::Ready(None)
    }
}

impl From<StreamError> for ProxyError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Timeout => Self::Timeout,
            StreamError::Aborted => Self::Aborted,
            // The target passed all checks but is not a valid URI, so nothing was sent.
            StreamError::Plone(PloneError::Refused(_)) => Self::Path,
            StreamError::Plone(error) => Self::Plone(error),
        }
    }
}
