//! Requests to a provider, on a dedicated thread, each with a deadline. `awc::Client` is not `Send`, and a slow
//! provider must not occupy a thread that serves users.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use actix_web::http::Method;
use anyhow::Context as _;
use awc::{Client, ClientBuilder, Connector};
use futures_util::future::BoxFuture;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::oneshot;

/// Longest time of one request. A provider responds within tenths of a second; a browser waits for this.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Connections to a provider: as many as sign-ins that are completed at the same time.
const CONNECTIONS_MAX: usize = super::provider::EXCHANGES_MAX;
/// Longest response in bytes. A discovery document or a set of keys has a few kilobytes.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
const AGENT: &str = concat!("EduHub/", env!("CARGO_PKG_VERSION"));

thread_local! {
    static CLIENT: OnceCell<Client> = const { OnceCell::new() };
}

/// Why a request has no response. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct HttpError(String);

/// The HTTP client of a provider. Clones share its thread and its connections.
#[derive(Clone)]
pub(super) struct HttpClient {
    thread: ArbiterHandle,
    tls: Arc<ClientConfig>,
    https_only: bool,
}

impl HttpClient {
    /// Starts the thread, and reads the certificates that the operating system trusts.
    pub(super) fn start() -> anyhow::Result<Self> {
        Ok(Self { thread: Arbiter::new().handle(), tls: Arc::new(tls()?), https_only: false })
    }

    /// Returns a client that refuses addresses without TLS.
    pub(super) fn with_https_only(self) -> Self {
        Self { https_only: true, ..self }
    }
}

fn tls() -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (good, bad) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        log::warn!("no trusted certificates were found ({bad} are unreadable): providers with https cannot be reached");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.context("TLS is unavailable")?.with_root_certificates(roots).with_no_client_auth())
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpError;
    type Future = BoxFuture<'c, Result<HttpResponse, HttpError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        if self.https_only && request.uri().scheme_str() != Some("https") {
            return Box::pin(std::future::ready(Err(HttpError(
                "the provider names an address without TLS".to_owned(),
            ))));
        }
        let (reply, response) = oneshot::channel();
        let tls = self.tls.clone();
        let is_running = self.thread.spawn_fn(move || {
            actix_rt::spawn(async move {
                let result = tokio::time::timeout(REQUEST_MAX, send(&tls, request)).await;
                let late = || Err(HttpError("there was no complete response in time".to_owned()));
                // The caller may have given up.
                let _ = reply.send(result.unwrap_or_else(|_| late()));
            });
        });
        Box::pin(async move {
            let stopped = || HttpError("the hub is shutting down".to_owned());
            if is_running { response.await.map_err(|_| stopped())? } else { Err(stopped()) }
        })
    }
}

fn client(tls: &Arc<ClientConfig>) -> Client {
    CLIENT.with(|cell| {
        let new = || {
            let connector = Connector::new()
                .rustls_0_23(tls.clone())
                .timeout(REQUEST_MAX)
                .handshake_timeout(REQUEST_MAX)
                .limit(CONNECTIONS_MAX);
            // A redirect of a provider's endpoint is an error: it could lead anywhere.
            ClientBuilder::new()
                .connector(connector)
                .disable_timeout()
                .disable_redirects()
                .no_default_headers()
                .finish()
        };
        cell.get_or_init(new).clone()
    })
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> HttpError {
    HttpError(format!("{what}: {error}"))
}

async fn send(tls: &Arc<ClientConfig>, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (parts, body) = request.into_parts();
    let method: Method = parts.method.as_str().parse().map_err(|error| failed("the method", &error))?;
    let mut call = client(tls).request(method, parts.uri.to_string()).insert_header(("User-Agent", AGENT));
    for (name, value) in &parts.headers {
        call = call.insert_header((name.as_str(), value.as_bytes()));
    }
    let mut response = call.send_body(body).await.map_err(|error| failed("no response", &error))?;
    let body = response.body().limit(RESPONSE_BYTES_MAX).await;
    let body = body.map_err(|error| failed("the body is unreadable", &error))?;
    let mut built = http::Response::builder().status(response.status().as_u16());
    for (name, value) in response.headers() {
        built = built.header(name.as_str(), value.as_bytes());
    }
    built.body(body.to_vec()).map_err(|error| failed("the response is unreadable", &error))
}
