//! The addresses and keys of a provider, from its discovery document. They are cached: what was read once is used while
//! it is renewed, and while the provider does not respond.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use openidconnect::{IssuerUrl, ProviderMetadataWithLogout};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::SsoError;
use super::http_client::HttpClient;

/// Age at which addresses and keys are renewed in the background. A key that a provider withdraws is accepted until the
/// renewal.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// Shortest time between two reads because of an unknown key: forged tokens must not put load on the provider.
const KEY_READ_PAUSE: Duration = Duration::from_secs(10);
/// Pause after a failed read, in which further reads fail at once with the same error.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

/// The content of a discovery document, with its keys.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) metadata: ProviderMetadataWithLogout,
    read_at: Instant,
}

/// The last attempts to read.
#[derive(Debug, Default)]
struct Attempts {
    /// The last attempt, if it failed.
    failed: Option<(Instant, SsoError)>,
    /// The last attempt because of an unknown key.
    for_key_at: Option<Instant>,
}

/// The cached discovery document of a provider.
pub(super) struct Discovery {
    issuer: IssuerUrl,
    http: HttpClient,
    known: ArcSwapOption<Known>,
    /// Held during a read, so that there is one at a time.
    attempts: Mutex<Attempts>,
}

impl Discovery {
    pub(super) fn new(issuer: IssuerUrl, http: HttpClient) -> Self {
        Self { issuer, http, known: ArcSwapOption::empty(), attempts: Mutex::default() }
    }

    /// Returns what is known without a read.
    pub(super) fn cached(&self) -> Option<Arc<Known>> {
        self.known.load_full()
    }

    /// Returns what is known. Reads it first if nothing is known yet; renews it in the background when it is old.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Arc<Known>, SsoError> {
        let Some(known) = self.cached() else { return self.first().await };
        if known.read_at.elapsed() >= AGE_MAX {
            let this = self.clone();
            tokio::spawn(async move { this.renew().await });
        }
        Ok(known)
    }

    async fn first(&self) -> Result<Arc<Known>, SsoError> {
        let mut attempts = self.attempts.lock().await;
        if let Some(known) = self.cached() {
            return Ok(known);
        }
        self.read(&mut attempts).await
    }

    async fn renew(&self) {
        // Another task that holds the lock is reading.
        let Ok(mut attempts) = self.attempts.try_lock() else { return };
        if let Err(error) = self.read(&mut attempts).await {
            log::debug!("the discovery document of {} was not renewed: {error}", self.issuer.as_str());
        }
    }

    /// Reads the keys again because a token names one that `seen` does not have. Returns the newest known state, which
    /// is `seen` itself within [`KEY_READ_PAUSE`] after the last such read.
    pub(super) async fn with_newer_keys(&self, seen: &Arc<Known>) -> Result<Arc<Known>, SsoError> {
        let mut attempts = self.attempts.lock().await;
        if let Some(known) = self.cached().filter(|known| !Arc::ptr_eq(known, seen)) {
            return Ok(known);
        }
        if attempts.for_key_at.is_some_and(|at| at.elapsed() < KEY_READ_PAUSE) {
            return Ok(seen.clone());
        }
        attempts.for_key_at = Some(Instant::now());
        self.read(&mut attempts).await
    }

    async fn read(&self, attempts: &mut Attempts) -> Result<Arc<Known>, SsoError> {
        if let Some((at, error)) = &attempts.failed
            && at.elapsed() < FAILURE_PAUSE
        {
            return Err(error.clone());
        }
        match ProviderMetadataWithLogout::discover_async(self.issuer.clone(), &self.http).await {
            Ok(metadata) => {
                let known = Arc::new(Known { metadata, read_at: Instant::now() });
                self.known.store(Some(known.clone()));
                attempts.failed = None;
                Ok(known)
            }
            Err(error) => {
                let error = discovery_error(&error);
                log::warn!("the discovery document of {} could not be read: {error}", self.issuer.as_str());
                attempts.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

fn discovery_error<E: std::error::Error>(error: &openidconnect::DiscoveryError<E>) -> SsoError {
    use openidconnect::DiscoveryError as Error;
    match error {
        Error::Request(error) => SsoError::Unavailable(error.to_string()),
        Error::Response(status, _, what) if status.is_server_error() => SsoError::Unavailable(what.clone()),
        Error::Response(_, _, what) => SsoError::Misconfigured(what.clone()),
        Error::Validation(what) => SsoError::Misconfigured(format!("the issuer differs: {what}")),
        Error::Parse(error) => SsoError::Misconfigured(format!("the discovery document is unreadable: {error}")),
        error => SsoError::Misconfigured(error.to_string()),
    }
}
