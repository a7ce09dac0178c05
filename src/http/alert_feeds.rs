//! Public alerts for other systems, as a feed and as CAP messages. Both contain only alerts to everyone.

use std::sync::Arc;

use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::OpenApi;

use crate::alerts::publisher::Publisher;
use crate::alerts::{atom, cap};
use crate::config::College;
use crate::domain::alert::Alert;
use crate::domain::audience::Membership;
use crate::live::context::Live;
use crate::store::alerts::PublicAlert;

use crate::http::encoded::{Encoded, tag_of};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::params::IfNoneMatch;
use crate::http::openapi::responses::{BadPath, NotFound, NotModified, StoreFailed};
use crate::http::query::path_param;
use crate::http::site::Site;

/// The path of the feed.
const FEED: &str = "/alerts/feed.atom";
/// `Cache-Control` of the feed and the messages: clients store a copy and revalidate it each time.
const REVALIDATE: &str = "public, no-cache";

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(feed, message))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource(FEED).route(get().to(feed)).default_service(method_not_allowed("GET, HEAD"))).service(
        web::resource("/alerts/{id}.cap.xml").route(get().to(message)).default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Returns what the feed and CAP messages state about the hub.
pub(super) fn publisher(site: &Site, college: &College) -> Publisher {
    Publisher {
        origin: site.origin().to_owned(),
        college: college.name.clone(),
        zone: college.timezone.clone(),
        language: college.language.clone(),
    }
}

/// Returns an alert as visitors see it.
fn as_visitors_see(public: PublicAlert, live: &Live) -> PublicAlert {
    let alert: Alert = public.alert.for_reader(None, &Membership::default(), &live.options.office);
    PublicAlert { alert, ..public }
}

/// Responds with a document, whose ETag is its hash: the same at every hub and after a restart.
async fn respond(request: &HttpRequest, content_type: &'static str, document: String) -> HttpResponse {
    let tag = tag_of(document.as_bytes());
    Arc::new(Encoded::new(&tag, content_type, REVALIDATE, Bytes::from(document))).respond(request).await
}

/// Returns the feed of public alerts (Atom, RFC 4287).
///
/// It contains the newest 50 alerts to everyone, including expired and cancelled ones. They are ordered by `updated`,
/// the time at which they were last sent, corrected or cancelled, newest first. Each entry has its category and
/// priority, `cancelled` as a further category if it was cancelled, and a link to the alert as a CAP message.
#[utoipa::path(
    get,
    path = "/alerts/feed.atom",
    operation_id = "alertFeed",
    tag = "alerts",
    security(()),
    params(IfNoneMatch),
    responses(
        (status = 200, description = "The feed.", body = String, content_type = "application/atom+xml",
            headers(("ETag" = String))),
        NotModified, StoreFailed,
    )
)]
pub async fn feed(
    request: HttpRequest,
    live: Data<Live>,
    site: Data<Site>,
    college: Data<College>,
) -> Result<HttpResponse, Problem> {
    let alerts = live.alerts.public(atom::ENTRIES_MAX).await?;
    let alerts: Vec<PublicAlert> = alerts.into_iter().map(|public| as_visitors_see(public, &live)).collect();
    let document = atom::write(&alerts, &publisher(&site, &college), FEED);
    Ok(respond(&request, atom::CONTENT_TYPE, document).await)
}

/// Returns a public alert as a message of the Common Alerting Protocol (OASIS CAP 1.2).
///
/// The message is the latest one about the alert: `Alert`, `Update` after a correction, or `Cancel` after a
/// cancellation. An `Update` and a `Cancel` have references to the earlier messages. Severities are `Minor` (low),
/// `Moderate` (medium), `Severe` (high) and `Extreme` (critical). Categories are `Safety` (emergency), `Security`
/// (security), `Infra` (system) and `Other`; the parameter `eduhub:category` has the hub's own. Urgency and certainty
/// are `Unknown`, except for an alert that came as a CAP message. The status is 404 for an alert that is not for
/// everyone or has not been sent.
#[utoipa::path(
    get,
    path = "/alerts/{id}.cap.xml",
    operation_id = "alertAsCap",
    tag = "alerts",
    security(()),
    params(("id" = String, Path, description = "The alert."), IfNoneMatch),
    responses(
        (status = 200, description = "The message.", body = String, content_type = "application/cap+xml",
            headers(("ETag" = String))),
        NotModified, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn message(
    request: HttpRequest,
    live: Data<Live>,
    site: Data<Site>,
    college: Data<College>,
) -> Result<HttpResponse, Problem> {
    let id = path_param(&request, "id")?;
    let not_public = || Problem::not_found("There is no such public alert.");
    let public = as_visitors_see(live.alerts.public_alert(&id).await?.ok_or_else(not_public)?, &live);
    let document = cap::write::write(&public, &publisher(&site, &college)).ok_or_else(not_public)?;
    Ok(respond(&request, cap::CONTENT_TYPE, document).await)
}
