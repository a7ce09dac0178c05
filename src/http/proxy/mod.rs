//! Plone behind the hub: `/plone/…` under the hub's own origin, for REST and reading, and, where the settings name one,
//! an origin where Plone works whole. Bodies stream through; what Plone sees of a request and a browser of an answer is
//! decided here.
//!
//! - [`path`]: which paths may be asked for
//! - [`heads`], [`cookies`]: header fields, both ways
//! - [`bodies`]: bodies, both ways, and errors
//! - [`sign_ins`]: nobody signs in to Plone past the hub

pub mod bodies;
pub mod cookies;
pub mod heads;
pub mod path;
pub mod sign_ins;

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody, SizedStream};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Error, FromRequest as _, HttpMessage as _, HttpRequest, HttpResponse};

use self::heads::{Answered, Asked, Seen};
use self::path::Place;
use crate::http::auth::{Visitor, client_ip, foreign_origin};
use crate::http::error::Problem;
use crate::http::problem::ProblemCode;
use crate::http::request_id::{OwnPolicy, RequestId, SANDBOX};
use crate::http::site::{OriginVerdict, Site};
use crate::identity::Identity;
use crate::identity::limits::AddressKey;
use crate::plone::port::PloneError;
use crate::plone::rest::{PloneClient, StreamAnswer, StreamCall, StreamError};

/// What can be asked of Plone here.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// What only a page of the hub itself would load from here: a script of Plone must not run with the hub's rights.
const NOT_LOADED: [&str; 9] = [
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

/// Plone behind the hub.
pub struct PloneProxy {
    client: PloneClient,
    /// Where browsers see the hub; without `[server] public_url` its loopback address.
    hub: Seen,
    /// The loopback names of the bound port, when that is where the hub is.
    names: Vec<Seen>,
    own: Option<Own>,
}

/// The origin that Plone has for itself.
struct Own {
    seen: Seen,
    site: Site,
}

/// A `[plone] proxy_url` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[plone] proxy_url {0}")]
pub struct BadProxyUrl(String);

impl PloneProxy {
    /// Before `client`, of a hub with this `[server] public_url` that is bound to this port, and this `[plone] proxy_url`.
    ///
    /// # Errors
    /// When an address cannot be used, or both are one.
    pub fn new(
        client: PloneClient,
        public_url: Option<&str>,
        port: u16,
        proxy_url: Option<&str>,
    ) -> Result<Self, BadProxyUrl> {
        let loopback = |host: &str| Seen { scheme: "http".to_owned(), host: host.to_owned(), port };
        let bad = |url: &str| BadProxyUrl(format!("or [server] public_url is not an origin: {url:?}"));
        let (hub, names) = match public_url {
            Some(url) => (Seen::of_origin(url).ok_or_else(|| bad(url))?, Vec::new()),
            // An IPv6 address cannot be told to Zope in a path.
            None => (loopback("127.0.0.1"), vec![loopback("localhost")]),
        };
        let own = proxy_url.map(|url| {
            let seen = Seen::of_origin(url).ok_or_else(|| bad(url))?;
            let site = Site::new(Some(url), port).map_err(|_| bad(url))?;
            Ok(Own { seen, site })
        });
        let own: Option<Own> = own.transpose()?;
        if own.as_ref().is_some_and(|own| own.seen == hub || names.contains(&own.seen)) {
            return Err(BadProxyUrl("must be another origin than the hub's own".to_owned()));
        }
        Ok(Self { client, hub, names, own })
    }

    /// Where the sender of a request to the hub sees Plone: never what a foreign `Host` says.
    fn seen_by(&self, headers: &HeaderMap) -> &Seen {
        let host = host_of(headers).unwrap_or_default();
        self.names.iter().find(|name| name.is_host(host)).unwrap_or(&self.hub)
    }

    /// The address on Plone's host, as Zope's virtual host monster reads it: where browsers see the site, where the site
    /// is, and what of it is asked for.
    fn target(&self, place: Place, seen: &Seen, within: &str, query: Option<&str>) -> String {
        let Seen { scheme, host, port } = seen;
        let site = self.client.site_path();
        let shown = match place {
            Place::Hub => "/_vh_plone",
            Place::Own => "",
        };
        let within = if within.is_empty() { "/" } else { within };
        let mut target = format!("/VirtualHostBase/{scheme}/{host}:{port}{site}/VirtualHostRoot{shown}{within}");
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        target
    }
}

fn host_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// The paths under the hub's own origin.
pub fn routes(app: &mut ServiceConfig) {
    app.route("/plone", web::route().to(under_the_hub)).route("/plone/{path:.*}", web::route().to(under_the_hub));
}

async fn under_the_hub(req: HttpRequest, payload: web::Payload) -> HttpResponse {
    let answer = match req.app_data::<Data<PloneProxy>>().cloned() {
        Some(proxy) => as_whoever_asks(&proxy, &req, payload.into_inner()).await,
        None => Err(Problem::not_found("There is nothing at this address.")),
    };
    let mut answer = answer.unwrap_or_else(|problem| refusal(&req, problem));
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    answer
}

/// What is refused before its body is read: that ends the connection, so that nothing of the body is taken for a request.
fn refusal(req: &HttpRequest, problem: Problem) -> HttpResponse {
    let mut answer = HttpResponse::from_error(problem);
    let has_body = |name| req.headers().get(name).is_some_and(|value| value != "0");
    if has_body(header::CONTENT_LENGTH) || has_body(header::TRANSFER_ENCODING) {
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    answer
}

/// Under the hub's origin: as the member that the hub knows, or as a visitor.
async fn as_whoever_asks(proxy: &PloneProxy, req: &HttpRequest, mut payload: Payload) -> Result<HttpResponse, Problem> {
    check_framing(req)?;
    let Visitor(caller) = Visitor::from_request(req, &mut Payload::None).await?;
    let within = path::checked(req.uri().path(), req.uri().query(), Place::Hub)?;
    check_under_the_hub(req)?;
    let content_type = match req.method().is_safe() {
        true => None,
        false => sign_ins::content_type(req.headers(), has_body(req.headers()))?,
    };
    let identity = req.app_data::<Data<Identity>>();
    let token = match (&caller, identity) {
        (Some(caller), Some(identity)) => identity.member_token(caller).await,
        _ => None,
    };
    let seen = proxy.seen_by(req.headers());
    let id = RequestId::text_of(req);
    let asked = Asked {
        headers: req.headers(),
        place: Place::Hub,
        seen,
        client: client_ip(req),
        id: &id,
        is_known: caller.is_some(),
        token: token.as_deref(),
        content_type,
    };
    let came_by_cookie = asked.cookies().is_some_and(|cookies| cookies::sign_in(&cookies));
    let is_ours = req.app_data::<Data<Site>>().map(|site| site.origin_verdict(req)) == Some(OriginVerdict::Ours);
    if came_by_cookie && !req.method().is_safe() && !is_ours {
        return Err(foreign_origin());
    }
    let is_personal = caller.is_some() || came_by_cookie;
    Ok(carry(proxy, req, &mut payload, &asked, within, is_personal).await.unwrap_or_else(HttpResponse::from_error))
}

/// The middleware between [`crate::http::request_id::request_id`] and [`crate::http::auth::identify`]: what comes for Plone's own
/// origin goes to Plone, all of it, and sees nothing of the hub.
///
/// # Errors
/// Those of the hub's own services.
pub async fn own_origin<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let proxy = req.app_data::<Data<PloneProxy>>().cloned();
    let own = proxy.as_ref().and_then(|proxy| Some((proxy, proxy.own.as_ref()?)));
    let Some((proxy, own)) = own.filter(|(_, own)| host_of(req.headers()).is_some_and(|host| own.seen.is_host(host)))
    else {
        return Ok(next.call(req).await?.map_into_left_body());
    };
    let (req, payload) = req.into_parts();
    req.extensions_mut().insert(OwnPolicy);
    let answer = whole(proxy, own, &req, payload).await.unwrap_or_else(|problem| refusal(&req, problem));
    Ok(ServiceResponse::new(req, answer).map_into_right_body())
}

async fn whole(
    proxy: &PloneProxy,
    own: &Own,
    req: &HttpRequest,
    mut payload: Payload,
) -> Result<HttpResponse, Problem> {
    check_framing(req)?;
    if let Some(identity) = req.app_data::<Data<Identity>>() {
        let counted = identity.request_limits().count_visitor(AddressKey::from(client_ip(req)));
        let words = "These are too many requests at once. Please wait a moment.";
        counted.map_err(|retry_after_s| Problem::rate_limited(words, retry_after_s))?;
    }
    let within = path::checked(req.uri().path(), req.uri().query(), Place::Own)?;
    let id = RequestId::text_of(req);
    let (seen, client) = (&own.seen, client_ip(req));
    let content_type = req.headers().get(header::CONTENT_TYPE).cloned();
    let asked = Asked {
        headers: req.headers(),
        place: Place::Own,
        seen,
        client,
        id: &id,
        is_known: false,
        token: None,
        content_type,
    };
    let is_personal = asked.cookies().is_some_and(|cookies| cookies::sign_in(&cookies));
    let is_ours = own.site.origin_verdict(req) == OriginVerdict::Ours;
    let is_foreign = own.site.origin_verdict(req) == OriginVerdict::Foreign;
    if !req.method().is_safe() && (is_foreign || (is_personal && !is_ours)) {
        return Err(Problem::forbidden("This was not sent by a page of this site."));
    }
    Ok(carry(proxy, req, &mut payload, &asked, within, is_personal).await.unwrap_or_else(HttpResponse::from_error))
}

/// Refuses what two servers could read in two ways (RFC 9112, 6.3 and 11.2), and what is for a proxy of another kind.
fn check_framing(req: &HttpRequest) -> Result<(), Problem> {
    let headers = req.headers();
    let codings: Vec<_> = headers.get_all(header::TRANSFER_ENCODING).collect();
    let is_chunked = codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let is_doubtful = !codings.is_empty()
        && (!is_chunked
            || codings.len() > 1
            || headers.contains_key(header::CONTENT_LENGTH)
            || req.version() < Version::HTTP_11);
    if is_doubtful {
        return Err(Problem::bad_request("Where the body of this request ends is not clear."));
    }
    if req.uri().authority().is_some() || req.uri().scheme().is_some() || !req.uri().path().starts_with('/') {
        return Err(Problem::bad_request("Ask for a path, not for an address with a host."));
    }
    if headers.contains_key(header::UPGRADE) {
        return Err(Problem::bad_request("Plone speaks no other protocol than HTTP here."));
    }
    if [Method::CONNECT, Method::TRACE].contains(req.method()) {
        let detail = "Plone can be read and written here, not tunnelled or traced.";
        return Err(Problem::new(ProblemCode::MethodNotAllowed, detail).allow(METHODS));
    }
    Ok(())
}

/// Refuses what under the hub's origin only serves to act as the hub's user.
fn check_under_the_hub(req: &HttpRequest) -> Result<(), Problem> {
    let of = |name: &str| req.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if NOT_LOADED.contains(&of("sec-fetch-dest")) {
        return Err(Problem::forbidden("Scripts of Plone do not run here."));
    }
    Ok(())
}

async fn carry(
    proxy: &PloneProxy,
    req: &HttpRequest,
    payload: &mut Payload,
    asked: &Asked<'_>,
    within: &str,
    is_personal: bool,
) -> Result<HttpResponse, Problem> {
    let length = length_of(req.headers());
    let is_chunked = req.headers().contains_key(header::TRANSFER_ENCODING);
    let body = has_body(req.headers()).then(|| bodies::upload(payload.take(), length.filter(|_| !is_chunked)));
    let call = StreamCall {
        method: req.method().clone(),
        target: proxy.target(asked.place, asked.seen, within, req.uri().query()),
        headers: asked.fields(),
        body,
        is_visitors: !asked.is_known,
    };
    let answer = proxy.client.stream(call).await.map_err(problem_of)?;
    let site_url = proxy.client.site_url();
    let (place, seen) = (asked.place, asked.seen);
    let fields = Answered { headers: &answer.headers, place, seen, site_url, is_personal }.fields();
    passed_on(req.method(), answer, fields).await
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING) || length_of(headers).is_some_and(|length| length > 0)
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

type Field = (header::HeaderName, HeaderValue);

/// The answer, with these fields; a fault of Plone is told in the hub's own words.
async fn passed_on(method: &Method, answer: StreamAnswer, fields: Vec<Field>) -> Result<HttpResponse, Problem> {
    let StreamAnswer { status, headers, body } = answer;
    if status.is_server_error() {
        return Err(bodies::instead_of(status, method));
    }
    let mut response = HttpResponse::build(status);
    fields.into_iter().for_each(|field| {
        response.append_header(field);
    });
    let is_json =
        headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if status.is_client_error() && is_json && method != Method::HEAD {
        let refusal = bodies::refusal(body).await.ok_or_else(|| bodies::instead_of(status, method))?;
        return Ok(response.body(refusal));
    }
    let length = length_of(&headers);
    let is_empty = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    Ok(match length {
        _ if is_empty => response.body(()),
        Some(length) => response.body(SizedStream::new(length, bodies::download(body))),
        None if method == Method::HEAD => response.body(Headless),
        None => response.streaming(bodies::download(body)),
    })
}

/// The body of an answer to HEAD whose length is not known.
struct Headless;

impl MessageBody for Headless {
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

fn problem_of(error: StreamError) -> Problem {
    match error {
        StreamError::Late => Problem::new(ProblemCode::PloneLate, "The college's Plone did not answer in time."),
        StreamError::BrokenOff => Problem::bad_request("The request broke off."),
        StreamError::Plone(PloneError::Busy) => Problem::overloaded(),
        StreamError::Plone(PloneError::Refused(_)) => Problem::bad_request("This address cannot be asked for."),
        StreamError::Plone(error) => error.into(),
    }
}
