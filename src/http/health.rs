//! `GET /healthz`, `/readyz`, `/metrics`: for whoever looks after the hub. They need no sign-in and tell no secrets.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data};
use serde_json::{Map, Value, json};

use crate::observe::metrics::Metrics;

use crate::http::error::{Problem, get, method_not_allowed};

/// The media type of Prometheus' text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Each answer is of its moment.
const NO_STORE: (actix_web::http::header::HeaderName, &str) = (CACHE_CONTROL, "no-store");

/// One thing that must be well for the hub to be ready. Errs in words for an operator.
pub type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What is told beside, without being waited for: a word.
pub type Tell = Box<dyn Fn() -> &'static str + Send + Sync>;

/// Everything that must be well.
#[derive(Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Check)>,
    told: Vec<(&'static str, Tell)>,
}

impl Readiness {
    /// Adds a check under its name.
    #[must_use]
    pub fn with(mut self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.checks.push((name, Box::new(check)));
        self
    }

    /// Adds what is told under its name, and makes nothing unready.
    #[must_use]
    pub fn telling(mut self, name: &'static str, tell: impl Fn() -> &'static str + Send + Sync + 'static) -> Self {
        self.told.push((name, Box::new(tell)));
        self
    }
}

/// The resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    for (path, route) in [("/healthz", get().to(healthz)), ("/readyz", get().to(readyz)), ("/metrics", get().to(text))]
    {
        cfg.service(web::resource(path).route(route).default_service(method_not_allowed("GET, HEAD")));
    }
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header(NO_STORE).json(json!({ "ok": true }))
}

/// `GET /readyz`: `{ready, checks: {NAME: {ok, detail?}}, plone}`; 503, with a `detail` that sums up, when not all is well.
pub async fn readyz(readiness: Data<Readiness>) -> HttpResponse {
    let mut checks = Map::new();
    let mut wrong = Vec::new();
    for (name, check) in &readiness.checks {
        let state = match check() {
            Ok(()) => json!({ "ok": true }),
            Err(detail) => {
                wrong.push(format!("{name}: {detail}"));
                json!({ "ok": false, "detail": detail })
            }
        };
        checks.insert((*name).to_owned(), state);
    }
    let mut body = json!({ "ready": wrong.is_empty(), "checks": checks });
    for (name, tell) in &readiness.told {
        body[*name] = tell().into();
    }
    let mut response = if wrong.is_empty() {
        HttpResponse::Ok()
    } else {
        body["detail"] = Value::String(wrong.join("; "));
        HttpResponse::ServiceUnavailable()
    };
    response.insert_header(NO_STORE).json(body)
}

/// `GET /metrics`: Prometheus text.
pub async fn text(metrics: Data<Metrics>) -> Result<HttpResponse, Problem> {
    let text = metrics.text().map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().insert_header(NO_STORE).content_type(PROMETHEUS_TEXT).body(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, test};

    async fn ask(readiness: Readiness, path: &str) -> (u16, String) {
        let app =
            App::new().app_data(Data::new(readiness)).app_data(Data::new(Metrics::new().unwrap())).configure(routes);
        let app = test::init_service(app).await;
        let answer = test::call_service(&app, test::TestRequest::with_uri(path).to_request()).await;
        let status = answer.status().as_u16();
        (status, String::from_utf8(test::read_body(answer).await.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn a_hub_whose_store_recovers_lives_and_is_not_ready() {
        let recovering =
            || Readiness::default().with("terms", || Ok(())).with("store", || Err("recovering".to_owned()));
        let (status, body) = ask(recovering(), "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["ready"], &body["detail"]), (503, &json!(false), &json!("store: recovering")));
        assert_eq!((&body["checks"]["terms"]["ok"], &body["checks"]["store"]["ok"]), (&json!(true), &json!(false)));
        assert_eq!(ask(recovering(), "/healthz").await.0, 200);
    }

    #[actix_web::test]
    async fn a_hub_without_troubles_is_ready_and_measured() {
        let ready = Readiness::default().with("store", || Ok(())).telling("plone", || "unavailable");
        let (status, body) = ask(ready, "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["ready"], &body["plone"]), (200, &json!(true), &json!("unavailable")));
        let (status, text) = ask(Readiness::default(), "/metrics").await;
        assert!(status == 200 && text.contains("# TYPE eduhub_http_requests_total counter"), "{text}");
    }
}
