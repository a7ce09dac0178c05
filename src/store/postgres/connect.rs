//! The pool of connections to PostgreSQL, with TLS.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, TimeoutType};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::postgres::OpenError;
use crate::store::postgres::failure::Failure;

/// Number of connections of one hub. A hub has one batch in flight for each term and a few reads; PostgreSQL accepts
/// 100 connections unless it is configured otherwise, and several hubs share them.
const CONNECTIONS_MAX: usize = 16;
/// How long an operation waits for a free connection.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connecting may take, including TLS and sign-in. If the URL names several servers, the time is divided into
/// equal parts: one for each server to accept the connection, and one for TLS and sign-in. So a server that is switched
/// off leaves time for the next.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// Time without traffic after which the connection is probed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// The name of the hub's connections in `pg_stat_activity`.
const APPLICATION_NAME: &str = "eduhub";

/// Creates the pool. It connects when the first operation needs a connection.
pub(super) fn pool(url: &str) -> Result<Pool, OpenError> {
    let mut config: Config = url.parse().map_err(|error| OpenError::Url { error })?;
    let servers = config.get_hosts().len();
    let parts = if servers > 1 { u32::try_from(servers + 1).unwrap_or(u32::MAX) } else { 1 };
    config
        .application_name(APPLICATION_NAME)
        .connect_timeout(CONNECT_TIMEOUT / parts)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX)
        .keepalives_idle(KEEPALIVE_IDLE);
    // `Fast` checks only whether the connection is open. Every operation is a separate transaction and leaves no state
    // in the connection, so there is nothing to reset.
    let manager = Manager::from_config(config, tls()?, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(CONNECTIONS_MAX)
        // The connection that was used last comes first: the data of the process that serves it is still in the
        // processor's caches.
        .queue_mode(QueueMode::Lifo)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT_TIMEOUT))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .recycle_timeout(Some(CONNECT_TIMEOUT))
        .build()
        .map_err(|error| OpenError::Unavailable { error: error.to_string() })
}

/// Returns the TLS settings: the certificates that the operating system trusts, or those of `SSL_CERT_FILE`. A
/// connection with TLS always verifies the certificate and the name of the server.
fn tls() -> Result<MakeRustlsConnect, OpenError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Unavailable { error: error.to_string() })?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Connects for the first time, and explains a failure to the person who starts the hub.
pub(super) async fn require_connection(pool: &Pool, shown: &str) -> Result<(), OpenError> {
    let error = match pool.get().await {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let database = shown.to_owned();
    let PoolError::Backend(error) = error else {
        return Err(OpenError::Unreachable { database, error: "it does not respond".to_owned() });
    };
    let words = super::failure::in_words(&error);
    Err(match error.code().map(SqlState::code) {
        Some("28P01" | "28000") => OpenError::SignIn { database, error: words },
        Some("3D000") => OpenError::NoDatabase { database },
        _ => OpenError::Unreachable { database, error: words },
    })
}

/// Returns the failure of an operation that got no connection.
pub(super) fn no_connection(error: &PoolError) -> Failure {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => Failure::Overloaded,
        PoolError::Backend(error) => Failure::Unavailable(super::failure::in_words(error)),
        other => Failure::Unavailable(other.to_string()),
    }
}
