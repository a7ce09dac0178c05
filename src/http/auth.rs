//! Authentication of requests: the middleware that verifies a request's token and applies the rate limits, and the
//! extractors with which a handler states who may call it. A handler without an extractor accepts every caller.

use std::rc::Rc;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, SET_COOKIE};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::{Ready, ready};

use crate::domain::audit_detail::{AuditDetail, Detail};
use crate::domain::ids::{SectionId, UserName};
use crate::domain::instructor::Teacher;
use crate::domain::realm::Realm;
use crate::domain::rights::Scope;
use crate::domain::role::Role;
use crate::domain::section::Section;
use crate::http::connection::Connection;
use crate::http::error::Problem;
use crate::http::problem::ProblemCode;
use crate::http::request_id::{LoggedUser, RequestId};
use crate::http::sign_in::cleared_cookie;
use crate::http::site::{OriginVerdict, Site};
use crate::http::slow_refusals;
pub use crate::identity::SESSION_COOKIE;
use crate::identity::audit::truncate;
use crate::identity::disclosures::Disclosure;
use crate::identity::limits::AddressKey;
use crate::identity::token::TokenError;
use crate::identity::{Audit, Caller, Identity};
use crate::store::accounts::AuditEntry;
use crate::store::guardian_links::GuardianLink;

/// Paths without a rate limit, because monitoring polls them.
pub(super) const UNLIMITED_PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// How a request carries its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer` (RFC 6750), which only a client that has the token can send.
    Bearer,
    /// The cookie, which a browser also sends with requests that another site's page makes.
    Cookie,
}

/// The credentials of a request; [`identify`] stores them in its extensions.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// No token: a visitor.
    None,
    /// A valid token.
    Valid(Caller, Carrier),
    /// A token that is not valid.
    Invalid(TokenError, Carrier),
}

impl Credentials {
    /// Returns the credentials of a request. With both carriers, Bearer takes precedence.
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
        } else {
            match session_cookies(req).as_slice() {
                [] => return Self::None,
                [one] => (identity.verify(one), Carrier::Cookie),
                _ => (Err(TokenError::Ambiguous), Carrier::Cookie),
            }
        };
        match outcome {
            Ok(caller) => Self::Valid(caller, carrier),
            Err(error) => Self::Invalid(error, carrier),
        }
    }

    /// Returns the caller, if the token is valid.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Valid(caller, _) => Some(caller),
            Self::None | Self::Invalid(..) => None,
        }
    }
}

/// Returns the values of the cookies that carry a sign-in, without empty ones. There is at most one, unless another
/// host of the same domain has set a cookie with this name.
fn session_cookies(req: &HttpRequest) -> Vec<String> {
    let name = req.app_data::<web::Data<Site>>().map_or(SESSION_COOKIE.into(), |site| site.cookie_name(SESSION_COOKIE));
    let Ok(cookies) = req.cookies() else { return Vec::new() };
    let session = cookies.iter().filter(|cookie| cookie.name() == name && !cookie.value().is_empty());
    session.map(|cookie| cookie.value().to_owned()).collect()
}

/// Returns the token of `Authorization: Bearer TOKEN`. Other schemes are ignored, because a proxy may use them. A value
/// that is not UTF-8 yields an invalid token.
fn bearer_of(req: &HttpRequest) -> Option<String> {
    let value = String::from_utf8_lossy(req.headers().get(AUTHORIZATION)?.as_bytes());
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// Middleware inside [`crate::http::request_id::request_id`]: identifies the caller and applies the rate limit of that
/// user, or of the visitor's address. A response with 401 clears a cookie that is not valid, because otherwise every
/// later request of the browser would get the same response.
///
/// # Errors
/// Those of the inner services.
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
        let problem = Problem::forbidden("This token is valid only in its demonstration sandbox.");
        return Ok(ServiceResponse::from_err(problem, req).map_into_right_body());
    }
    let counted = match &credentials {
        // A demonstration creates load on purpose and has its own bounds.
        _ if sandboxed => Ok(()),
        _ if UNLIMITED_PATHS.contains(&req.path()) => Ok(()),
        Credentials::Valid(caller, _) => {
            req.extensions_mut().insert(LoggedUser(caller.user.clone()));
            if let Some(connection) = req.conn_data::<Rc<Connection>>() {
                connection.signed_in();
            }
            limits.count_user(&caller.user)
        }
        _ => limits
            .count_visitor(AddressKey::from(client_ip(req.request())))
            .inspect_err(|_| slow_refusals::mark(req.request())),
    };
    if let Err(retry_after_s) = counted {
        let problem = Problem::rate_limited("Too many requests. Wait a moment, then try again.", retry_after_s);
        let (req, _) = req.into_parts();
        return Ok(ServiceResponse::from_err(problem, req).map_into_right_body());
    }
    let is_dead_cookie = matches!(credentials, Credentials::Invalid(_, Carrier::Cookie));
    req.extensions_mut().insert(credentials);
    let mut response = next.call(req).await?.map_into_left_body();
    if is_dead_cookie && response.status() == StatusCode::UNAUTHORIZED {
        clear_cookie(&mut response);
    }
    Ok(response)
}

/// Adds the header field that clears the cookie of a sign-in.
fn clear_cookie<B>(response: &mut ServiceResponse<B>) {
    let site = response.request().app_data::<web::Data<Site>>().cloned();
    let value = site.and_then(|site| HeaderValue::from_str(&cleared_cookie(&site).to_string()).ok());
    if let Some(value) = value {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// Returns the address of the client that sent a request; see [`Site::client_ip`].
#[must_use]
pub fn client_ip(req: &HttpRequest) -> std::net::IpAddr {
    match req.app_data::<web::Data<Site>>() {
        Some(site) => site.client_ip(req),
        None => req.peer_addr().map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip()),
    }
}

fn unauthenticated(error: Option<TokenError>) -> Problem {
    let detail = match error {
        None => "Sign in to continue.",
        Some(TokenError::Expired) => "Your sign-in has expired. Sign in again.",
        Some(TokenError::SignedOut) => "You have been signed out. Sign in again.",
        Some(TokenError::Ambiguous) => {
            "Your browser sent two sign-ins for this site, so neither was accepted. Sign in again."
        }
        Some(TokenError::Foreign) => "Your access token is not valid. Sign in again.",
    };
    Problem::new(ProblemCode::Unauthenticated, detail)
}

/// Returns the signed-in caller. A request that is authenticated by cookie and changes something must come from a page
/// of the hub: a page of another site can make a browser send the cookie, but not the hub's `Origin`.
fn signed_in(req: &HttpRequest) -> Result<Caller, Problem> {
    match Credentials::of(req) {
        Credentials::None => Err(unauthenticated(None)),
        Credentials::Invalid(error, _) => Err(unauthenticated(Some(error))),
        Credentials::Valid(caller, Carrier::Bearer) => Ok(caller),
        Credentials::Valid(caller, Carrier::Cookie) => {
            let verdict = req.app_data::<web::Data<Site>>().map(|site| site.origin_verdict(req));
            if req.method().is_safe() || verdict == Some(OriginVerdict::Own) {
                Ok(caller)
            } else {
                Err(foreign_origin())
            }
        }
    }
}

/// Returns the problem for a request that a page of another site sent.
#[must_use]
pub fn foreign_origin() -> Problem {
    Problem::forbidden("This request did not come from an EduHub page. Scripts must send Authorization: Bearer.")
}

fn at_least(req: &HttpRequest, role: Role) -> Result<Caller, Problem> {
    let caller = signed_in(req)?;
    if caller.role >= role {
        return Ok(caller);
    }
    if role == Role::Staff {
        // For limited staff, the refusal states the limit: the operation has no rule for subjects.
        within_limit(&caller, &Scope::AllSubjects)?;
    }
    Err(Problem::forbidden(match role {
        Role::Student => "Only students can do this.",
        Role::Instructor => "Only instructors and staff can do this.",
        Role::SubjectStaff | Role::Staff => "Only staff can do this.",
        Role::Admin => "Only administrators can do this.",
    }))
}

/// Checks that staff may act on `scope`.
///
/// # Errors
/// 403 `forbidden` when the scope is not within the subjects to which the caller is limited.
pub(super) fn within_limit(caller: &Caller, scope: &Scope<'_>) -> Result<(), Problem> {
    caller.check(scope).map_err(|refused| Problem::forbidden(refused.to_string()))
}

fn student(req: &HttpRequest) -> Result<Caller, Problem> {
    let caller = signed_in(req)?;
    if caller.role == Role::Student {
        Ok(caller)
    } else {
        Err(Problem::forbidden("Only students can plan and register for sections."))
    }
}

/// Returns the caller, or `None` for a visitor. A caller whose cookie is no longer valid counts as a visitor, so that
/// the sign-in page still loads; an invalid Bearer token is an error, which a script must not miss.
fn visitor(req: &HttpRequest) -> Result<Option<Caller>, Problem> {
    match Credentials::of(req) {
        Credentials::Invalid(error, Carrier::Bearer) => Err(unauthenticated(Some(error))),
        Credentials::None | Credentials::Invalid(_, Carrier::Cookie) => Ok(None),
        Credentials::Valid(..) => signed_in(req).map(Some),
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
    /// A signed-in caller, or a visitor.
    Visitor(Option<Caller>), visitor
}
extractor! {
    /// A signed-in caller.
    SignedIn(Caller), signed_in
}
extractor! {
    /// A student. Staff and admins cannot register.
    Student(Caller), student
}
extractor! {
    /// Staff of all subjects, or an admin. Staff who are limited to subjects are refused: an operation that has a rule
    /// for them takes [`SubjectStaff`].
    Staff(Caller), |req| at_least(req, Role::Staff)
}
extractor! {
    /// An admin.
    Admin(Caller), |req| at_least(req, Role::Admin)
}

/// Staff, including those who are limited to subjects, or an admin. The caller is available once the handler has stated
/// what the request concerns.
#[derive(Debug, Clone)]
pub struct SubjectStaff(Caller);

impl SubjectStaff {
    /// Returns the caller, if the caller may act on all of `scopes`.
    ///
    /// # Errors
    /// 403 `forbidden` when a scope is not within the subjects to which the caller is limited.
    pub fn concerning<'a>(self, scopes: impl IntoIterator<Item = Scope<'a>>) -> Result<Caller, Problem> {
        scopes.into_iter().try_for_each(|scope| within_limit(&self.0, &scope))?;
        Ok(self.0)
    }

    /// Returns the caller of an operation that concerns no subject and no person, such as a read of counts, or that
    /// checks the limit itself.
    #[must_use]
    pub fn concerning_no_one(self) -> Caller {
        self.0
    }

    /// Returns the realm of the caller.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.0.realm
    }
}

impl FromRequest for SubjectStaff {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(at_least(req, Role::SubjectStaff).map(Self))
    }
}

/// A user who reads rosters: an instructor, staff, or an admin.
#[derive(Debug, Clone)]
pub struct RosterReader(Caller);

impl RosterReader {
    /// Returns the caller, who may read the roster of `section`: staff within their limit, and instructors
    /// and staff whom the section names.
    ///
    /// # Errors
    /// 403 `forbidden` for others; the error of the store when it cannot be read.
    pub async fn of_section(self, section: &Section, identity: &Identity) -> Result<Caller, Problem> {
        let is_staff = self.0.role >= Role::SubjectStaff;
        let within_limit = is_staff.then(|| within_limit(&self.0, &Scope::Subject(section.subject())));
        if matches!(within_limit, Some(Ok(()))) {
            return Ok(self.0);
        }
        if self.as_teacher(identity, |teacher| teacher.is_named_in(section.instructor.as_deref())).await? {
            return Ok(self.0);
        }
        within_limit.transpose()?;
        let detail = "You can read only the rosters of your own sections, and this section does not name you as its \
                      instructor. If it is yours, contact the registrar's office.";
        Err(Problem::forbidden(detail))
    }

    /// Calls `f` with the names by which sections list the caller as an instructor.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn as_teacher<T>(&self, identity: &Identity, f: impl FnOnce(&Teacher<'_>) -> T) -> Result<T, Problem> {
        Ok(identity.as_teacher(&self.0, f).await?)
    }
}

impl FromRequest for RosterReader {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(at_least(req, Role::Instructor).map(Self))
    }
}

impl Audit {
    /// Adds an entry to the audit trail with the address and the id of `req`, and waits until it is stored. A handler
    /// calls it before it responds, so that a crash after the response does not lose the entry.
    ///
    /// `caller` is `None` for a visitor; `subject` is the user or resource that the action concerns.
    pub async fn record(
        &self,
        req: &HttpRequest,
        caller: Option<&Caller>,
        action: &str,
        subject: Option<&str>,
        section: Option<&SectionId>,
        detail: impl Into<Detail>,
    ) {
        if let Some(entry) = self.entry(req, caller, action, subject, section, detail) {
            self.append_stored(entry).await;
        }
    }

    /// Returns an entry like that of [`Self::record`], for storage in the same commit as the change that it describes.
    pub fn entry_in_commit(
        &self,
        req: &HttpRequest,
        caller: &Caller,
        action: &str,
        subject: Option<&str>,
        section: Option<&SectionId>,
        detail: impl Into<Detail>,
    ) -> Option<AuditEntry> {
        let mut entry = self.entry(req, Some(caller), action, subject, section, detail)?;
        truncate(&mut entry);
        Some(entry)
    }

    /// Records that `caller` reads data about `people`, before it is disclosed. See [`crate::identity::disclosures`].
    ///
    /// # Errors
    /// When the store cannot be written. In that case the data must not be disclosed.
    pub async fn record_disclosure(
        &self,
        req: &HttpRequest,
        caller: &Caller,
        disclosure: Disclosure,
        of: Option<&str>,
        section: Option<&SectionId>,
        people: Vec<UserName>,
    ) -> Result<(), Problem> {
        let detail = AuditDetail::People { n: people.len() as u64 };
        match self.entry(req, Some(caller), disclosure.action(), of, section, detail) {
            Some(entry) => Ok(self.disclose(entry, people).await?),
            None => Ok(()),
        }
    }

    /// Records that a schedule is read through a link, before it is disclosed. The reader is not known.
    ///
    /// # Errors
    /// When the store cannot be written. In that case the schedule must not be disclosed.
    pub async fn record_shared_schedule(&self, req: &HttpRequest, link: &GuardianLink) -> Result<(), Problem> {
        let (action, id) = (Disclosure::ScheduleShared.action(), link.id.to_string());
        match self.entry(req, None, action, Some(&id), None, AuditDetail::People { n: 1 }) {
            Some(entry) => Ok(self.disclose(entry, vec![link.student.clone()]).await?),
            None => Ok(()),
        }
    }

    /// Returns an entry; `None` for an action that is not recorded.
    pub(super) fn entry(
        &self,
        req: &HttpRequest,
        caller: Option<&Caller>,
        action: &str,
        subject: Option<&str>,
        section: Option<&SectionId>,
        detail: impl Into<Detail>,
    ) -> Option<AuditEntry> {
        // The audit trail records demonstrations, but not the actions of their simulated users.
        if caller.is_some_and(|caller| caller.realm.is_sandbox()) && !action.starts_with("demo.") {
            return None;
        }
        Some(AuditEntry {
            at: self.now(),
            user: caller.map(|caller| caller.user.clone()),
            role: caller.map(|caller| caller.role),
            ip: Some(client_ip(req).to_string()),
            action: action.to_owned(),
            subject: subject.map(str::to_owned),
            section: section.cloned(),
            detail: detail.into(),
            request_id: Some(RequestId::text_of(req)).filter(|id| !id.is_empty()),
        })
    }
}
