//! The whole application in this process, with its own store and an unreachable Plone.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use eduhub::app::{Application, Purpose};
use eduhub::config::{Config, StoreUrl};
use eduhub::domain::ids::UserName;
use eduhub::domain::role::Role;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::credentials::{minted, student};
use crate::support::WAIT_MAX;
use crate::support::http::Client;

pub(super) const SECRET: &str = "the secret of the matrix, more than 32 bytes";
pub(super) const SECRET_BEFORE: &str = "the secret before it was changed, also long";
const PASSWORD: &str = "a password of the matrix";

pub(crate) struct Hub {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Hub {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.store.url = StoreUrl::Sqlite(folder.path().join("hub.db"));
        config.server.bind = "127.0.0.1:0".parse().unwrap();
        config.server.workers = 1;
        config.auth.secret = Some(SecretString::from(SECRET));
        config.auth.previous_secret = Some(SecretString::from(SECRET_BEFORE));
        config.limits.requests_per_second = 0;
        // No program listens on port 1, so Plone is unreachable at once.
        config.plone.url = Some("http://127.0.0.1:1/Plone".to_owned());
        config.plone.username = "hub".to_owned();
        config.plone.password = SecretString::from(PASSWORD);
        config.auth.names.add(&UserName::parse("stated").unwrap(), &["Bob Ray".to_owned()]).unwrap();
        let (started, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let application = Application::build(config, Purpose::College).await.expect("the application starts");
                started.send(application.address()).unwrap();
                let stopped = async {
                    // The sender is dropped when the test ends.
                    let _ = stopped.await;
                };
                application.run(stopped).await.expect("the application stops");
            });
        });
        let address = address.recv_timeout(WAIT_MAX).expect("the application starts in time");
        Self { address, stop: Some(stop), thread: Some(thread), _folder: folder }
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(self.address).expect("a connection")
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn admin(&self) -> Client {
        self.client().signed_in(&minted(Role::Admin))
    }

    pub(crate) fn staff(&self) -> Client {
        self.client().signed_in(&minted(Role::Staff))
    }

    pub(super) fn signed_in_as(&self, token: &str) -> Client {
        self.client().signed_in(token)
    }

    pub(super) fn ticket(&self, token: &str) -> String {
        let response = self.signed_in_as(token).post_json("/api/v1/ws-ticket", &json!({})).expect(200).json();
        response["ticket"].as_str().expect("a ticket").to_owned()
    }

    /// Creates an admin's local account and signs in to it.
    fn account(&self, name: &str) -> String {
        let account = json!({"role": "admin", "password": PASSWORD});
        self.admin().put_json(&format!("/api/v1/admin/users/{name}"), &account).expect(201);
        let credentials = json!({"username": name, "password": PASSWORD});
        let response: Value = self.client().post_json("/api/v1/login", &credentials).expect(200).json();
        let token = response["token"].as_str().expect("a token").to_owned();
        self.signed_in_as(&token).get("/api/v1/me").expect(200);
        token
    }

    pub(super) fn token_of_removed_account(&self) -> String {
        // The last local administrator cannot be removed.
        self.account("remaining");
        let token = self.account("removed");
        self.admin().delete("/api/v1/admin/users/removed").expect(204);
        token
    }

    pub(super) fn token_signed_out_everywhere(&self) -> String {
        let token = self.account("everywhere");
        self.admin().post_json("/api/v1/admin/users/everywhere/sign-out", &json!({})).expect(204);
        token
    }

    /// Makes a link to the schedule of a student and returns its secret.
    pub(super) fn guardian_link(&self, name: &str) -> String {
        let made = self.signed_in_as(&student(name)).post_json("/api/v1/me/guardian-links", &json!({"label": "Mom"}));
        let made = made.expect(201).json();
        made["url"].as_str().and_then(|url| url.split_once('#')).expect("a secret").1.to_owned()
    }

    pub(super) fn ended_guardian_link(&self) -> String {
        let secret = self.guardian_link("ended");
        let mut student = self.signed_in_as(&student("ended"));
        let links = student.get("/api/v1/me/guardian-links").expect(200).json();
        student.delete(&format!("/api/v1/me/guardian-links/{}", links["items"][0]["id"].as_str().unwrap())).expect(204);
        secret
    }

    pub(super) fn signed_out_token(&self, token: String) -> String {
        self.signed_in_as(&token).post_json("/api/v1/logout", &json!({})).expect(204);
        token
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the application panicked");
        }
    }
}
