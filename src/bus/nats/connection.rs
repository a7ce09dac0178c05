//! Connects to NATS, and reports what happens to the connection.

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event as NatsEvent};
use parking_lot::Mutex;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::bus::link::Dropped;
use crate::bus::nats::Delivery;

/// How long connecting to one address of a server may take, TLS and sign-in included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of messages that wait between this program and the NATS client in each direction: as many as a hub
/// exchanges in two seconds when registration opens. Beyond it, events to be sent wait in the queue of the bus, and
/// received ones are dropped and counted.
const CLIENT_MESSAGES_MAX: usize = 1_024;
/// The name of the hub's connections in the monitoring of NATS.
const CONNECTION_NAME: &str = "eduhub";
/// Maximum length of the reported text of a NATS error, in characters.
const ERROR_CHARS_MAX: usize = 300;

/// How a hub signs in to NATS.
#[derive(Debug, Clone)]
pub enum NatsLogin {
    /// Without credentials.
    Anonymous,
    /// With a username and a password.
    Password {
        /// The username.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// With a token.
    Token(SecretString),
    /// With a credentials file, which contains a JWT and the seed of a key.
    File(PathBuf),
}

/// The settings of a bus on NATS.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The servers of one cluster, such as `nats://10.0.0.5:4222` or `tls://nats.college.edu:4222`, without
    /// credentials.
    pub servers: Vec<String>,
    /// The credentials.
    pub login: NatsLogin,
    /// The beginning of the subjects. Hubs with the same subject receive each other's events.
    pub subject: String,
}

/// The events of a connection: its loss, and the last error that the server sent.
#[derive(Debug)]
pub(super) struct Signals {
    lost: Receiver<()>,
    error: Arc<Mutex<Option<String>>>,
}

impl Signals {
    /// Waits until the connection is lost.
    pub(super) async fn lost(&mut self) {
        // The sender is dropped with the client, which also ends the connection.
        let _ = self.lost.recv().await;
    }

    /// Returns the last error that the server sent, such as a missing permission.
    pub(super) fn error(&self) -> Option<String> {
        self.error.lock().clone()
    }
}

/// Connects to the first server that accepts the connection. The client does not reconnect by itself: the worker does,
/// so that it knows the reason, reads the credentials again, and sends nothing that is minutes old.
///
/// # Errors
/// The reason, for an operator and without secrets, if no server accepts the connection.
pub(super) async fn connect(options: &NatsOptions, delivery: &Arc<Delivery>) -> Result<(Client, Signals), String> {
    let (lost_sender, lost) = channel(1);
    let error = Arc::default();
    let signals = Signals { lost, error: Arc::clone(&error) };
    let delivery = Arc::clone(delivery);
    let connect = ConnectOptions::new()
        .name(CONNECTION_NAME)
        .connection_timeout(CONNECT_TIMEOUT)
        .client_capacity(CLIENT_MESSAGES_MAX)
        .subscription_capacity(CLIENT_MESSAGES_MAX)
        // One attempt for each server. Servers that a cluster announces are not used, because their addresses may not
        // be reachable from here.
        .max_reconnects(options.servers.len())
        .ignore_discovered_servers()
        .reconnect_delay_callback(|_| Duration::ZERO)
        .tls_client_config(tls()?)
        .event_callback(move |event| {
            note(&event, &lost_sender, &error, &delivery);
            ready(())
        });
    let connect = sign_in(connect, &options.login).await?;
    match connect.connect(options.servers.as_slice()).await {
        Ok(client) => Ok((client, signals)),
        Err(error) => Err(match error.kind() {
            ConnectErrorKind::AuthorizationViolation => {
                "NATS refuses the credentials (bus.url or bus.credentials)".to_owned()
            }
            ConnectErrorKind::Authentication => "the key in bus.credentials cannot sign".to_owned(),
            ConnectErrorKind::TimedOut => "NATS does not respond".to_owned(),
            ConnectErrorKind::ServerParse
            | ConnectErrorKind::Dns
            | ConnectErrorKind::Tls
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => shortened(&error.to_string()),
        }),
    }
}

/// Records an event of the client.
fn note(event: &NatsEvent, lost: &Sender<()>, error: &Mutex<Option<String>>, delivery: &Delivery) {
    match event {
        NatsEvent::Disconnected | NatsEvent::Closed => {
            // A signal that is in the channel already is enough.
            let _ = lost.try_send(());
        }
        NatsEvent::SlowConsumer(_) => delivery.link().count_dropped(Dropped::Overflow, 1),
        NatsEvent::ServerError(problem) => {
            let problem = shortened(&problem.to_string());
            log::warn!("NATS reports: {problem}");
            *error.lock() = Some(problem);
        }
        NatsEvent::Connected | NatsEvent::LameDuckMode | NatsEvent::Draining | NatsEvent::ClientError(_) => {}
    }
}

async fn sign_in(connect: ConnectOptions, login: &NatsLogin) -> Result<ConnectOptions, String> {
    Ok(match login {
        NatsLogin::Anonymous => connect,
        NatsLogin::Password { user, password } => {
            connect.user_and_password(user.clone(), password.expose_secret().to_owned())
        }
        NatsLogin::Token(token) => connect.token(token.expose_secret().to_owned()),
        NatsLogin::File(path) => connect.credentials_file(path).await.map_err(|error| unreadable(path, &error))?,
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("the credentials file {} (bus.credentials) cannot be used: {error}", path.display())
}

/// Returns the TLS settings: the certificates that the operating system trusts, or those of `SSL_CERT_FILE`. A
/// connection with TLS always verifies the certificate and the name of the server.
fn tls() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be used: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn shortened(text: &str) -> String {
    text.chars().take(ERROR_CHARS_MAX).collect()
}
