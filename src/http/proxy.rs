//! Plone behind the hub: identifies the sender of a request and hands it to [`crate::plone::proxy`].

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, header};
use actix_web::middleware::Next;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Error, FromRequest as _, HttpMessage as _, HttpRequest, HttpResponse};
use utoipa::{Modify, OpenApi};

use crate::http::auth::{Visitor, client_ip, foreign_origin};
use crate::http::error::Problem;
use crate::http::openapi::responses::{BadRole, NotFound, PloneFailed};
use crate::http::problem::ProblemCode;
use crate::http::request_id::{OwnPolicy, RequestId, SANDBOX};
use crate::http::site::{OriginVerdict, Site};
use crate::identity::Caller;
use crate::plone::port::PloneError;
use crate::plone::proxy::error::ProxyError;
use crate::plone::proxy::{Accepted, METHODS, PloneProxy, Sender, check_framing};

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(below_the_hub), modifiers(&OtherMethods))]
pub(super) struct Api;

/// Describes the methods that change content in Plone as GET is described.
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

/// Registers the paths below the hub's own origin.
pub fn routes(app: &mut ServiceConfig) {
    app.route("/plone", web::route().to(below_the_hub)).route("/plone/{path:.*}", web::route().to(below_the_hub));
}

/// Reads content of Plone, through the hub.
///
/// Streamed to Plone and back, as the member who signed in by Plone, else as a visitor; never as the hub. Redirects,
/// cookies and links come out under `/plone/`. Other methods of Plone's REST API pass, too. Every response has
/// `Content-Security-Policy: sandbox` and `nosniff`. Paths that leave the site, `@login` and forms of a browser are
/// rejected; `[plone] proxy_url` names an origin at which the whole of Plone works.
#[utoipa::path(
    get,
    path = "/plone/{path}",
    operation_id = "plone_get",
    tag = "plone",
    security((), ("bearer" = []), ("cookie" = [])),
    params(("path" = String, Path, description = "From the site's root; it may contain slashes.", example = "courses")),
    responses(
        (status = 200, description = "Plone's own response. Its other statuses pass, too, except errors that would \
            disclose internals."),
        BadRole, NotFound, PloneFailed,
    )
)]
async fn below_the_hub(req: HttpRequest, payload: web::Payload) -> HttpResponse {
    let mut response = match req.app_data::<Data<PloneProxy>>().cloned() {
        Some(proxy) => match accept_at_hub(&proxy, &req).await {
            Ok(accepted) => forward(&proxy, accepted, payload.into_inner()).await,
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
    Ok(proxy.accept_at_hub(req, &sender(req, caller)).await?)
}

/// Middleware between [`crate::http::request_id::request_id`] and [`crate::http::auth::identify`]: forwards every
/// request to Plone's own origin to Plone. Nothing of the hub is served there.
///
/// # Errors
/// Those of the hub's own services.
pub async fn own_origin<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let proxy = req.app_data::<Data<PloneProxy>>().filter(|proxy| proxy.is_own_origin(req.headers())).cloned();
    let Some(proxy) = proxy else { return Ok(next.call(req).await?.map_into_left_body()) };
    let (req, payload) = req.into_parts();
    req.extensions_mut().insert(OwnPolicy);
    let accepted = check_framing(&req).and_then(|()| proxy.accept_at_own_origin(&req, &sender(&req, None)));
    let response = match accepted {
        Ok(accepted) => forward(&proxy, accepted, payload).await,
        Err(error) => refusal(&req, error.into()),
    };
    Ok(ServiceResponse::new(req, response).map_into_right_body())
}

fn sender(req: &HttpRequest, caller: Option<Caller>) -> Sender {
    let verdict = req.app_data::<Data<Site>>().map(|site| site.origin_verdict(req));
    Sender {
        address: client_ip(req),
        request_id: RequestId::text_of(req),
        caller,
        is_hub_page: verdict == Some(OriginVerdict::Ours),
    }
}

async fn forward(proxy: &PloneProxy, accepted: Accepted, payload: actix_web::dev::Payload) -> HttpResponse {
    let response = proxy.forward(accepted, payload).await;
    response.unwrap_or_else(|error| HttpResponse::from_error(Problem::from(error)))
}

/// Refuses a request before its body is read. A request with a body ends the connection, so that nothing of the body is
/// taken for the next request.
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
        let media_type = "Plone's forms cannot be sent here, only REST: application/json and files.";
        match error {
            ProxyError::AmbiguousFraming => Self::bad_request("The framing of the request body is ambiguous."),
            ProxyError::AbsoluteTarget => Self::bad_request("Request a path, not an address with a host."),
            ProxyError::Upgrade => Self::bad_request("Plone cannot be reached with another protocol than HTTP."),
            ProxyError::Method => {
                Self::new(ProblemCode::MethodNotAllowed, "Plone cannot be tunnelled or traced.").allow(METHODS)
            }
            ProxyError::NotFound => Self::not_found("There is nothing at this address."),
            ProxyError::Path => {
                Self::bad_request("This path of Plone cannot be requested through the hub.").field("path")
            }
            ProxyError::UserFolder => Self::forbidden("Plone's users are managed in Plone, not through the hub."),
            ProxyError::SignIn => Self::forbidden(
                "Sign in to the hub instead (POST /api/v1/login): requests to Plone are then made as you.",
            ),
            ProxyError::PasswordChange => {
                Self::forbidden("Passwords of Plone are changed in Plone itself, not through the hub.")
            }
            ProxyError::MediaType => Self::new(ProblemCode::UnsupportedMediaType, media_type),
            ProxyError::Script => Self::forbidden("Scripts of Plone do not run here."),
            ProxyError::ForeignHubPage => foreign_origin(),
            ProxyError::ForeignPage => Self::forbidden("This was not sent by a page of this site."),
            ProxyError::RateLimited { retry_after_s } => {
                Self::rate_limited("Too many requests at once. Please wait a moment.", retry_after_s)
            }
            ProxyError::BrokenOff => Self::bad_request("The request ended before it was complete."),
            ProxyError::Late => Self::new(ProblemCode::PloneLate, "The college's Plone did not answer in time."),
            ProxyError::Plone(PloneError::Busy) => Self::overloaded(),
            ProxyError::Plone(error) => error.into(),
            ProxyError::Refused(status) => match status.as_u16() {
                401 | 403 => Self::forbidden("Plone does not allow this."),
                404 | 410 => Self::not_found("Plone has nothing at this address."),
                _ => Self::bad_request("Plone refuses this request."),
            },
            ProxyError::Failed { ref method, .. } => {
                let detail = if method.is_safe() {
                    "The college's Plone failed."
                } else {
                    "The college's Plone failed. Check whether the change was made before you try again."
                };
                Self::new(ProblemCode::PloneUnavailable, detail).caused_by(&error)
            }
        }
    }
}
