//! Hubs that reach NATS with TLS, and with a credentials file.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer};
use serde_json::{Value, json};

use crate::bus::wait_for_bus;
use crate::support::nats::NatsServer;
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

/// Creates a certificate authority, and a certificate for `localhost` with its key. Returns the three files.
fn create_certificates(folder: &Path) -> [PathBuf; 3] {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = rcgen::KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let server_pem = server.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap().pem();
    let texts = [("authority.pem", authority_pem), ("server.pem", server_pem), ("server.key", key.serialize_pem())];
    texts.map(|(name, text)| {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        file
    })
}

/// Returns a token that NATS accepts: the claims, signed by `issuer`.
fn signed(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({"jti": "1", "iat": 0, "iss": issuer.public_key(), "name": "test", "sub": subject.public_key(), "nats": nats});
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", part(&header), part(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(issuer.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

/// Returns a credentials file for a new user of `account`.
fn credentials(account: &KeyPair) -> String {
    let user = KeyPair::new_user();
    let token = signed(account, &user, &json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}));
    let seed = user.seed().unwrap();
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// Waits until the readiness of a hub states why its bus is degraded, with this text.
fn wait_for_detail(server: &Server, text: &str) {
    eventually(&format!("a detail with {text:?}"), || {
        let ready = server.client().get("/readyz").expect(200).json();
        ready["checks"]["bus"]["detail"].as_str()?.contains(text).then_some(())
    });
}

#[test]
fn tls_needs_a_trusted_certificate_for_the_name_in_the_url() {
    let folder = tempfile::tempdir().unwrap();
    let [authority, certificate, key] = create_certificates(folder.path());
    let tls = ["--tls", "--tlscert", certificate.to_str().unwrap(), "--tlskey", key.to_str().unwrap()];
    let nats = NatsServer::start_with(0, &tls);
    let port = nats.address().port();
    let start = |url: String, is_trusted: bool| {
        let home = Home::new().setting("bus.url", &url);
        let mut command = home.command(&["serve"]);
        if is_trusted {
            command.env("SSL_CERT_FILE", &authority);
        }
        let server = home.start(command);
        (home, server)
    };
    let (_home, trusting) = start(format!("tls://localhost:{port}"), true);
    wait_for_bus(&trusting, "connected");
    let (_home, other_name) = start(format!("tls://127.0.0.1:{port}"), true);
    wait_for_detail(&other_name, "certificate");
    let (_home, distrusting) = start(format!("tls://localhost:{port}"), false);
    wait_for_detail(&distrusting, "certificate");
}

#[test]
fn a_credentials_file_is_read_again_at_each_connection() {
    let [operator, account, other] = [KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account()];
    let limits = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1});
    let operator_token = signed(&operator, &operator, &json!({"type": "operator", "version": 2}));
    let account_token = signed(&operator, &account, &json!({"type": "account", "version": 2, "limits": limits}));
    let folder = tempfile::tempdir().unwrap();
    let (configuration, file) = (folder.path().join("nats.conf"), folder.path().join("hub.creds"));
    let preload = format!("resolver_preload: {{ {}: \"{account_token}\" }}", account.public_key());
    fs::write(&configuration, format!("operator: \"{operator_token}\"\nresolver: MEMORY\n{preload}\n")).unwrap();
    let nats = NatsServer::start_with(0, &["-c", configuration.to_str().unwrap()]);

    fs::write(&file, credentials(&other)).unwrap();
    let home = Home::new().setting("bus.url", &nats.url()).setting("bus.credentials", file.to_str().unwrap());
    let server = home.serve();
    wait_for_detail(&server, "refuses the credentials");
    fs::write(&file, credentials(&account)).unwrap();
    wait_for_bus(&server, "connected");
    let log = server.log();
    assert!(!log.contains("SEED") && !log.contains("eyJ"), "{log}");
}
