//! `GET /healthz`, `/readyz` and `/metrics`, for operators. They need no sign-in and disclose no secrets.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::{self, Data};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::coded_text::CodedText;
use crate::observe::metrics::Metrics;
use crate::observe::readiness::{BusReadiness, CheckProblem, PloneReadiness, Readiness};

use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::schemas::always_true;
use crate::http::text_code::TextCode;

/// The media type of Prometheus' text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// `Cache-Control` of the responses, which describe the current moment and must not be cached.
const NO_STORE: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(healthz, readyz, text))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    for (path, route) in [("/healthz", get().to(healthz)), ("/readyz", get().to(readyz)), ("/metrics", get().to(text))]
    {
        cfg.service(web::resource(path).route(route).default_service(method_not_allowed("GET, HEAD")));
    }
}

/// The state of the process.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// Always true.
    #[schema(schema_with = always_true)]
    ok: bool,
}

/// Whether the hub is ready to serve.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
struct ReadinessResponse {
    ready: bool,
    /// The result of each check, by name: `store`, `bus`, `terms`.
    #[schema(value_type = BTreeMap<String, CheckResult>)]
    checks: BTreeMap<&'static str, CheckResult>,
    plone: PloneReadiness,
    bus: BusReadiness,
    /// Whether this hub pulls the catalogue of Plone and writes to Plone. Of several hubs, only one does. Absent
    /// without Plone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    leader: Option<bool>,
    /// A summary of the failed checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
}

/// The result of one check.
#[derive(Debug, Serialize, ToSchema)]
struct CheckResult {
    ok: bool,
    /// Why the check failed. If `ok` is true: what is degraded, without making the hub unready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    #[serde(flatten)]
    coded: TextCode,
}

/// Returns whether the process responds.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "operation",
    security(()),
    responses((status = 200, description = "The process responds.", body = Health))
)]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header(NO_STORE).json(Health { ok: true })
}

/// Returns whether the hub is ready to serve.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "operation",
    security(()),
    responses(
        (status = 200, description = "Ready.", body = ReadinessResponse),
        (status = 503, description = "Not ready. The body is not a problem document.", body = ReadinessResponse),
    )
)]
pub async fn readyz(readiness: Data<Readiness>) -> HttpResponse {
    let results: Vec<_> = readiness.checks.iter().map(|(name, check)| (*name, check().err())).collect();
    let wrong = results.iter().filter_map(|(name, detail)| Some(format!("{name}: {}", detail.as_ref()?)));
    let wrong = wrong.collect::<Vec<_>>().join("; ");
    let (bus, degraded) = (readiness.bus)();
    let result = |(name, problem): (&'static str, Option<CheckProblem>)| {
        let ok = problem.is_none();
        let problem = problem.or_else(|| degraded.clone().filter(|_| name == "bus"));
        let coded = problem.as_ref().and_then(CodedText::of).into();
        let detail = problem.map(|problem| problem.to_string());
        (name, CheckResult { ok, detail, coded })
    };
    let checks = results.into_iter().map(result).collect();
    let ready = wrong.is_empty();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let detail = (!ready).then_some(wrong);
    let (plone, leader) = ((readiness.plone)(), (readiness.leader)());
    response.insert_header(NO_STORE).json(ReadinessResponse { ready, checks, plone, bus, leader, detail })
}

/// Returns metrics for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operation",
    security(()),
    responses((status = 200, description = "Text format 0.0.4, names `eduhub_*`.", body = String,
        content_type = "text/plain"))
)]
pub async fn text(metrics: Data<Metrics>) -> Result<HttpResponse, Problem> {
    let text = metrics.text().map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().insert_header(NO_STORE).content_type(PROMETHEUS_TEXT).body(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, test};
    use serde_json::{Value, json};

    async fn get_text(readiness: Readiness, path: &str) -> (u16, String) {
        let app =
            App::new().app_data(Data::new(readiness)).app_data(Data::new(Metrics::new().unwrap())).configure(routes);
        let app = test::init_service(app).await;
        let response = test::call_service(&app, test::TestRequest::with_uri(path).to_request()).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(test::read_body(response).await.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn a_recovering_store_makes_the_hub_unready_but_healthy() {
        let recovering = || {
            let readiness = Readiness::new(|| PloneReadiness::Off);
            readiness.with("terms", || Ok(())).with("store", || Err(CheckProblem::StoreRecovering))
        };
        let (status, body) = get_text(recovering(), "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &body["ready"], &body["detail"]),
            (503, &json!(false), &json!("store: recovering from a failed commit"))
        );
        assert_eq!((&body["checks"]["terms"]["ok"], &body["checks"]["store"]["ok"]), (&json!(true), &json!(false)));
        assert_eq!(get_text(recovering(), "/healthz").await.0, 200);
    }

    #[actix_web::test]
    async fn a_hub_without_a_connection_to_others_is_ready_and_degraded() {
        let readiness = || {
            Readiness::new(|| PloneReadiness::Off)
                .with_bus(|| {
                    (BusReadiness::Degraded, Some(CheckProblem::NotConnected { problem: "refused".to_owned() }))
                })
                .with("store", || Ok(()))
        };
        let (status, body) = get_text(readiness().with("bus", || Ok(())), "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["ready"], &body["bus"]), (200, &json!(true), &json!("degraded")));
        let detail = "not connected to NATS: refused; live updates from other hubs are late";
        let expected = json!({"ok": true, "detail": detail, "code": "not_connected", "args": {"problem": "refused"}});
        assert_eq!(body["checks"]["bus"], expected);
        assert_eq!(body["checks"]["store"], json!({"ok": true}));
        let (status, body) =
            get_text(readiness().with("bus", || Err(CheckProblem::EventsQueued { n: 3_000 })), "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let expected =
            json!({"ok": false, "detail": "3000 events are queued", "code": "events_queued", "args": {"n": 3_000}});
        assert_eq!((status, &body["checks"]["bus"]), (503, &expected));
    }

    #[actix_web::test]
    async fn a_healthy_hub_is_ready_and_serves_metrics() {
        let ready = Readiness::new(|| PloneReadiness::Unavailable).with_leader(|| Some(true)).with("store", || Ok(()));
        let (status, body) = get_text(ready, "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["ready"], &body["plone"]), (200, &json!(true), &json!("unavailable")));
        assert_eq!(body["leader"], true);
        let (status, text) = get_text(Readiness::new(|| PloneReadiness::Off), "/metrics").await;
        assert!(status == 200 && text.contains("# TYPE eduhub_http_requests_total counter"), "{text}");
    }
}
