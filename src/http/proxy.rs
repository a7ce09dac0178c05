//! The endpoints of the reverse proxy to Plone. They identify the sender of a request and pass the request to
//! [`crate::plone::proxy`].

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, header};
use actix_web::middleware::Next;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Error, FromRequest as _, HttpMessage as _, HttpRequest, HttpResponse};
use utoipa::{Modify, OpenApi};

use crate::domain::audit_detail::AuditDetail;
use crate::http::auth::{Credentials, Visitor, client_ip, foreign_origin};
use crate::http::error::Problem;
use crate::http::openapi::responses::{BadRole, NotFound, PloneFailed};
use crate::http::problem::ProblemCode;
use crate::http::proxied_writes::{ForwardedWrite, record_refusal};
use crate::http::request_id::{PloneOrigin, RequestId};
use crate::http::security_headers::SANDBOX;
use crate::http::sign_in::UNKNOWN_USER;
use crate::http::site::{OriginVerdict, Site};
use crate::http::slow_refusals;
use crate::identity::sign_in::SignInError;
use crate::identity::{Audit, Caller, Identity};
use crate::plone::port::PloneError;
use crate::plone::proxy::error::ProxyError;
use crate::plone::proxy::{Accepted, METHODS, PloneProxy, Sender, check_framing};

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(under_hub_origin), modifiers(&OtherMethods))]
pub(super) struct Api;

/// A modifier that adds operations for the methods that change content in Plone, based on that for GET.
struct OtherMethods;

impl Modify for OtherMethods {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            let described = |id: &str, summary: &str| {
                let mut operation = item.get.clone()?;
                (operation.operation_id, operation.summary) = (Some(id.to_owned()), Some(summary.to_owned()));
                Some(operation)
            };
            let post = described("plone_post", "Creates content in Plone, through the hub.");
            let patch = described("plone_patch", "Changes content in Plone, through the hub.");
            let delete = described("plone_delete", "Deletes content in Plone, through the hub.");
            (item.post, item.patch, item.delete) = (post, patch, delete);
        }
    }
}

/// Registers the paths of Plone under the hub's origin.
pub fn routes(app: &mut ServiceConfig) {
    app.route("/plone", web::route().to(under_hub_origin)).route("/plone/{path:.*}", web::route().to(under_hub_origin));
}

/// Reads content of Plone, through the hub.
///
/// The hub streams the request to Plone and the response back. The request has the identity of the caller's user of
/// Plone if the caller signed in through Plone or single sign-on states this user; otherwise, and for staff who are
/// limited to subjects, it is that of a visitor. The audit trail records every write with Plone's status. Requests that
/// would change Plone's users, groups, roles, settings or add-ons are rejected. Only admins can list its users and
/// groups. The hub changes redirects and cookies to paths under `/plone/`, but no bodies: Plone itself writes its links
/// with these paths. Other methods of Plone's REST API are supported, too. Every response has
/// `Content-Security-Policy: sandbox` and `X-Content-Type-Options: nosniff`. Paths outside the site, `@login` and
/// browser forms are rejected; all of Plone is available at the origin in `[plone] proxy_url`.
#[utoipa::path(
    get,
    path = "/plone/{path}",
    operation_id = "plone_get",
    tag = "plone",
    security((), ("bearer" = []), ("cookie" = [])),
    params(("path" = String, Path, description = "A path from the root of the site, which may contain slashes.",
        example = "courses")),
    responses(
        (status = 200, description = "Plone's response. Other statuses are passed through, too, except for errors that \
            would disclose internals."),
        BadRole, NotFound, PloneFailed,
    )
)]
async fn under_hub_origin(req: HttpRequest, payload: web::Payload) -> HttpResponse {
    let mut response = match req.app_data::<Data<PloneProxy>>().cloned() {
        Some(proxy) => match accept_at_hub(&proxy, &req).await {
            Ok(accepted) => {
                let write = ForwardedWrite::begin(&req, Credentials::of(&req).caller().cloned());
                forward(&proxy, accepted, payload.into_inner(), write).await
            }
            Err(problem) => refusal(&req, problem),
        },
        None => refusal(&req, Problem::not_found("There is nothing at this address.")),
    };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    response
}

async fn accept_at_hub(proxy: &PloneProxy, req: &HttpRequest) -> Result<Accepted, Problem> {
    check_framing(req)?;
    let Visitor(caller) = Visitor::from_request(req, &mut actix_web::dev::Payload::None).await?;
    let sender = sender(req, caller);
    match proxy.accept_at_hub(req, &sender).await {
        Ok(accepted) => Ok(accepted),
        Err(error) => {
            record_refusal(req, sender.caller.as_ref(), &error).await;
            Err(error.into())
        }
    }
}

/// Middleware between [`crate::http::request_id::request_id`] and [`crate::http::auth::identify`]: forwards to
/// Plone the requests that arrive at Plone's own origin. The hub serves nothing of its own there.
///
/// # Errors
/// Those of the inner services.
pub async fn own_origin<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let proxy = req.app_data::<Data<PloneProxy>>().filter(|proxy| proxy.is_own_origin(req.headers())).cloned();
    let Some(proxy) = proxy else { return Ok(next.call(req).await?.map_into_left_body()) };
    let (req, payload) = req.into_parts();
    req.extensions_mut().insert(PloneOrigin);
    let accepted = check_framing(&req).and_then(|()| proxy.accept_at_own_origin(&req, &sender(&req, None)));
    let response = match accepted {
        Ok(accepted) if accepted.may_have_password() => sign_in_at_own_origin(&proxy, accepted, &req, payload).await,
        Ok(accepted) => forward(&proxy, accepted, payload, ForwardedWrite::begin(&req, None)).await,
        Err(error) => {
            if matches!(error, ProxyError::RateLimited { .. }) {
                slow_refusals::mark(&req);
            }
            refusal(&req, error.into())
        }
    };
    Ok(ServiceResponse::new(req, response).map_into_right_body())
}

/// Forwards a request with which a user may sign in to Plone's own pages. The sign-in counts toward the limits for all
/// sign-ins of the hub and is recorded in the audit trail.
async fn sign_in_at_own_origin(
    proxy: &PloneProxy,
    mut accepted: Accepted,
    req: &HttpRequest,
    mut payload: actix_web::dev::Payload,
) -> HttpResponse {
    let sign_in = match proxy.read_sign_in(&mut accepted, client_ip(req), &mut payload).await {
        Ok(sign_in) => sign_in,
        Err(error) => return refusal(req, error.into()),
    };
    // A sign-in has its own entry in the audit trail.
    let write = if sign_in.is_none() { ForwardedWrite::begin(req, None) } else { None };
    let forwarded = proxy.forward(accepted, payload).await;
    if let Some(write) = write {
        write.finish(&forwarded).await;
    }
    if let Some(sign_in) = sign_in {
        let account = sign_in.account.clone();
        let is_wrong = sign_in.end(forwarded.as_ref().ok());
        if let (Some(is_wrong), Some(audit)) = (is_wrong, req.app_data::<Data<Audit>>()) {
            let provider = "Plone".to_owned();
            let (action, detail) = match is_wrong {
                true => ("login.failed", AuditDetail::RejectedAtOwnOrigin { provider }),
                false => ("login", AuditDetail::OwnOrigin { provider }),
            };
            // Users sometimes type their password as the username.
            let recorded = match (is_wrong, req.app_data::<Data<Identity>>()) {
                (true, Some(identity)) => identity.recorded_name(&account, &SignInError::BadCredentials).await,
                _ => Some(account),
            };
            audit.record(req, None, action, Some(recorded.as_deref().unwrap_or(UNKNOWN_USER)), None, detail).await;
        }
    }
    forwarded.unwrap_or_else(|error| HttpResponse::from_error(Problem::from(error)))
}

fn sender(req: &HttpRequest, caller: Option<Caller>) -> Sender {
    let verdict = req.app_data::<Data<Site>>().map(|site| site.origin_verdict(req));
    Sender {
        address: client_ip(req),
        request_id: RequestId::text_of(req),
        caller,
        is_hub_page: verdict == Some(OriginVerdict::Own),
    }
}

async fn forward(
    proxy: &PloneProxy,
    accepted: Accepted,
    payload: actix_web::dev::Payload,
    write: Option<ForwardedWrite>,
) -> HttpResponse {
    let response = proxy.forward(accepted, payload).await;
    if let Some(write) = write {
        write.finish(&response).await;
    }
    response.unwrap_or_else(|error| HttpResponse::from_error(Problem::from(error)))
}

/// Returns the response to a request that is refused before its body is read. If the request has a body, the connection
/// is closed, so that the unread body cannot be parsed as the next request.
fn refusal(req: &HttpRequest, problem: Problem) -> HttpResponse {
    let mut response = HttpResponse::from_error(problem);
    let has_body = |name| req.headers().get(name).is_some_and(|value| value != "0");
    if has_body(header::CONTENT_LENGTH) || has_body(header::TRANSFER_ENCODING) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

impl From<ProxyError> for Problem {
    fn from(error: ProxyError) -> Self {
        let media_type = "Only JSON and files can be sent to Plone here, not browser forms.";
        match error {
            ProxyError::AmbiguousFraming => Self::bad_request("The length of the request body is ambiguous."),
            ProxyError::AbsoluteTarget => Self::bad_request("The request target must be a path without a host."),
            ProxyError::Upgrade => Self::bad_request("Plone supports only HTTP here, without protocol upgrades."),
            ProxyError::Method => {
                Self::new(ProblemCode::MethodNotAllowed, "This method is not supported for Plone.").allow(METHODS)
            }
            ProxyError::NotFound => Self::not_found("There is nothing at this address."),
            ProxyError::Path => Self::bad_request("This path of Plone is not available through EduHub.").field("path"),
            ProxyError::UserFolder => Self::forbidden("Manage Plone's users in Plone itself, not through EduHub."),
            ProxyError::SignIn => {
                Self::forbidden("Sign in to EduHub instead (POST /api/v1/login). It then acts as you in Plone.")
            }
            ProxyError::PasswordInAddress => {
                Self::bad_request("A password in an address is not accepted. Sign in on the sign-in page.")
            }
            ProxyError::PasswordElsewhere => {
                Self::forbidden("A password is accepted only on the sign-in page. Sign in there first.")
            }
            ProxyError::UnreadableSignIn => {
                Self::bad_request("This sign-in is not in the form of Plone's own sign-in page.")
            }
            ProxyError::SignInsLimited { retry_after_s } => {
                Self::rate_limited("Too many failed sign-ins. Wait before you try again.", retry_after_s)
            }
            ProxyError::PasswordChange => {
                Self::forbidden("Change your Plone password in Plone itself, not through EduHub.")
            }
            ProxyError::Management => Self::forbidden(
                "Plone's users, groups, roles, settings and add-ons are managed in Plone itself, not through EduHub.",
            ),
            ProxyError::People => Self::forbidden("Only administrators can list Plone's users and groups."),
            ProxyError::MediaType => Self::new(ProblemCode::UnsupportedMediaType, media_type),
            ProxyError::Script => Self::forbidden("Scripts from Plone cannot run on EduHub pages."),
            ProxyError::ForeignHubPage => foreign_origin(),
            ProxyError::ForeignPage => Self::forbidden("This request did not come from a page of this site."),
            ProxyError::RateLimited { retry_after_s } => {
                Self::rate_limited("Too many requests. Wait a moment, then try again.", retry_after_s)
            }
            ProxyError::Aborted => Self::bad_request("The request ended before it was complete."),
            ProxyError::Timeout => {
                Self::new(ProblemCode::PloneLate, "The college website (Plone) did not respond in time.")
            }
            ProxyError::Plone(PloneError::Busy) => Self::overloaded(),
            ProxyError::Plone(error) => error.into(),
            ProxyError::Refused(status) => match status.as_u16() {
                401 | 403 => Self::forbidden("Plone does not allow this."),
                404 | 410 => Self::not_found("Plone has nothing at this address."),
                _ => Self::bad_request("Plone refused this request."),
            },
            ProxyError::Failed { ref method, .. } => {
                let detail = if method.is_safe() {
                    "The college website (Plone) reported an error."
                } else {
                    "The college website (Plone) reported an error. Check whether your change was saved."
                };
                Self::new(ProblemCode::PloneUnavailable, detail).caused_by(&error)
            }
        }
    }
}
