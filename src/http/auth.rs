//! Who asks: the middleware that reads a request's token once and counts the request, and the extractors by which a
//! handler says whom it serves. A handler that names no extractor serves everybody.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::{Ready, ready};

use crate::clock::{Clock, SystemClock};
use crate::domain::ids::SectionId;
use crate::domain::role::Role;
use crate::http::error::Problem;
use crate::http::problem::ProblemCode;
use crate::http::request_id::{LoggedUser, RequestId};
use crate::http::site::{OriginVerdict, Site};
pub use crate::identity::SESSION_COOKIE;
use crate::identity::limits::AddressKey;
use crate::identity::token::TokenError;
use crate::identity::{Audit, Caller, Identity};
use crate::store::accounts::AuditEntry;

/// What watches the hub is never told to wait.
pub(super) const UNLIMITED_PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer` (RFC 6750), which only somebody who has the token can send.
    Bearer,
    /// The cookie, which a browser sends along with whatever page asks.
    Cookie,
}

/// What a request says of who sends it; in its extensions, once [`identify`] has looked.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing: a visitor.
    None,
    /// A good token.
    Good(Caller, Carrier),
    /// A token that is not good.
    Bad(TokenError, Carrier),
}

impl Credentials {
    /// Reads a request's. With both carriers, Bearer counts.
    #[must_use]
    pub fn of(req: &HttpRequest) -> Self {
        if let Some(known) = req.extensions().get::<Self>() {
            return known.clone();
        }
        match req.app_data::<web::Data<Identity>>() {
            Some(identity) => Self::read(req, identity),
            None => Self::None,
        }
    }

    fn read(req: &HttpRequest, identity: &Identity) -> Self {
        let (outcome, carrier) = if let Some(token) = bearer_of(req) {
            (identity.verify(&token), Carrier::Bearer)
        } else if let Some(cookie) = req.cookie(SESSION_COOKIE).filter(|cookie| !cookie.value().is_empty()) {
            (identity.verify(cookie.value()), Carrier::Cookie)
        } else {
            return Self::None;
        };
        match outcome {
            Ok(caller) => Self::Good(caller, carrier),
            Err(error) => Self::Bad(error, carrier),
        }
    }

    /// The caller, if the token is good.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Good(caller, _) => Some(caller),
            Self::None | Self::Bad(..) => None,
        }
    }
}

/// The token of `Authorization: Bearer TOKEN`. Other schemes are not for us: a proxy's, perhaps. What is not text is
/// no token of ours either.
fn bearer_of(req: &HttpRequest) -> Option<String> {
    let value = String::from_utf8_lossy(req.headers().get(AUTHORIZATION)?.as_bytes());
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// The middleware inside [`crate::http::request_id::request_id`]: finds out who asks, and counts the request for that user,
/// or for the address of a visitor.
pub async fn identify<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(identity) = req.app_data::<web::Data<Identity>>().cloned() else {
        return Ok(next.call(req).await?.map_into_left_body());
    };
    let credentials = Credentials::read(req.request(), &identity);
    let limits = identity.request_limits();
    let sandboxed = credentials.caller().is_some_and(|caller| caller.realm.is_sandbox());
    if credentials.caller().is_some_and(|caller| !caller.may_request(req.path())) {
        let (req, _) = req.into_parts();
        let problem = Problem::forbidden("This token is good in the sandbox of a demonstration, and nowhere else.");
        return Ok(ServiceResponse::from_err(problem, req).map_into_right_body());
    }
    let counted = match &credentials {
        // Load is what a demonstration is for; it has bounds of its own.
        _ if sandboxed => Ok(()),
        _ if UNLIMITED_PATHS.contains(&req.path()) => Ok(()),
        Credentials::Good(caller, _) => {
            req.extensions_mut().insert(LoggedUser(caller.user.clone()));
            limits.count_user(&caller.user)
        }
        _ => limits.count_visitor(AddressKey::from(client_ip(req.request()))),
    };
    if let Err(retry_after_s) = counted {
        let problem =
            Problem::rate_limited("These are too many requests at once. Please wait a moment.", retry_after_s);
        let (req, _) = req.into_parts();
        return Ok(ServiceResponse::from_err(problem, req).map_into_right_body());
    }
    req.extensions_mut().insert(credentials);
    Ok(next.call(req).await?.map_into_left_body())
}

/// The address that a request comes from, see [`Site::client_ip`].
#[must_use]
pub fn client_ip(req: &HttpRequest) -> std::net::IpAddr {
    match req.app_data::<web::Data<Site>>() {
        Some(site) => site.client_ip(req),
        None => req.peer_addr().map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip()),
    }
}

fn unauthenticated(error: Option<TokenError>) -> Problem {
    let detail = match error {
        None => "Please sign in for this.",
        Some(TokenError::Expired) => "Your sign-in has expired. Please sign in again.",
        Some(TokenError::SignedOut) => "You have been signed out. Please sign in again.",
        Some(TokenError::Foreign) => "The access token is not one of this hub. Please sign in again.",
    };
    Problem::new(ProblemCode::Unauthenticated, detail)
}

/// Who asks, signed in. Whoever changes something with a cookie must come from a page of ours: other pages can make a
/// browser send the cookie, but not an `Origin` of ours.
fn signed_in(req: &HttpRequest) -> Result<Caller, Problem> {
    match Credentials::of(req) {
        Credentials::None => Err(unauthenticated(None)),
        Credentials::Bad(error, _) => Err(unauthenticated(Some(error))),
        Credentials::Good(caller, Carrier::Bearer) => Ok(caller),
        Credentials::Good(caller, Carrier::Cookie) => {
            let verdict = req.app_data::<web::Data<Site>>().map(|site| site.origin_verdict(req));
            if req.method().is_safe() || verdict == Some(OriginVerdict::Ours) {
                Ok(caller)
            } else {
                Err(foreign_origin())
            }
        }
    }
}

/// The refusal of a request that another site's page sent.
#[must_use]
pub fn foreign_origin() -> Problem {
    Problem::forbidden("This was not sent by a page of this hub. Scripts sign in with Authorization: Bearer.")
}

fn at_least(req: &HttpRequest, role: Role) -> Result<Caller, Problem> {
    let caller = signed_in(req)?;
    if caller.role >= role { Ok(caller) } else { Err(Problem::forbidden(format!("This is for {role} only."))) }
}

fn student(req: &HttpRequest) -> Result<Caller, Problem> {
    let caller = signed_in(req)?;
    if caller.role == Role::Student {
        Ok(caller)
    } else {
        Err(Problem::forbidden("Only students hold seats of their own."))
    }
}

/// Everybody; a cookie that has ended makes a visitor, so that the page to sign in with still loads, while a bad
/// Bearer is told so: a script should know.
fn visitor(req: &HttpRequest) -> Result<Option<Caller>, Problem> {
    match Credentials::of(req) {
        Credentials::Bad(error, Carrier::Bearer) => Err(unauthenticated(Some(error))),
        Credentials::None | Credentials::Bad(_, Carrier::Cookie) => Ok(None),
        Credentials::Good(..) => signed_in(req).map(Some),
    }
}

macro_rules! extractor {
    ($(#[$doc:meta])* $name:ident($inner:ty), $read:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub $inner);

        impl FromRequest for $name {
            type Error = Problem;
            type Future = Ready<Result<Self, Problem>>;

            fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready($read(req).map(Self))
            }
        }
    };
}

extractor! {
    /// Somebody who is signed in, or a visitor.
    Visitor(Option<Caller>), visitor
}
extractor! {
    /// Somebody who is signed in.
    SignedIn(Caller), signed_in
}
extractor! {
    /// A student, and nobody else: only students hold seats of their own.
    Student(Caller), student
}
extractor! {
    /// Staff, or an admin.
    Staff(Caller), |req| at_least(req, Role::Staff)
}
extractor! {
    /// An admin.
    Admin(Caller), |req| at_least(req, Role::Admin)
}

impl Audit {
    /// Records, without waiting, what a request did: who asked (none for a visitor), what was done, to whom or what, in
    /// which section, and a few words; from where and under which id the request tells.
    pub fn record(
        &self,
        req: &HttpRequest,
        caller: Option<&Caller>,
        action: &str,
        subject: Option<&str>,
        section: Option<&SectionId>,
        detail: &str,
    ) {
        // What the made-up people of a demonstration do is nobody's deed; that there was one is told.
        if caller.is_some_and(|caller| caller.realm.is_sandbox()) && !action.starts_with("demo.") {
            return;
        }
        self.append(AuditEntry {
            at: SystemClock.now(),
            user: caller.map(|caller| caller.user.clone()),
            role: caller.map(|caller| caller.role),
            ip: Some(client_ip(req).to_string()),
            action: action.to_owned(),
            subject: subject.map(str::to_owned),
            section: section.cloned(),
            detail: detail.to_owned(),
            request_id: Some(RequestId::text_of(req)).filter(|id| !id.is_empty()),
        });
    }
}
