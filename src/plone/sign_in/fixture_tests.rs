//! A fake of Plone's directory, and an identity service that uses it, for the tests of sign-in.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{PloneSignIn, PloneSignInOptions};
use crate::bus::{Bus, Event};
use crate::clock::Clock;
use crate::domain::ids::UserName;
use crate::domain::rights::Subjects;
use crate::domain::role::{Role, RoleMap, StaffSubjects};
use crate::identity::accounts::{AccountChange, AccountOutcome, LimitChange};
use crate::identity::provider::{MemberRules, SignInProvider};
use crate::identity::sign_in::{SignIn, SignInError};
use crate::identity::{Audit, Identity, IdentityDeps, Settings};
use crate::plone::port::{Directory, PloneError, PloneFuture, PlonePerson};
use crate::store::sqlite::{SqliteOptions, SqliteStore};

pub(super) const SECRET: &str = "a secret of more than thirty-two bytes";
pub(super) const DAY_MS: i64 = 86_400_000;
pub(super) const RECHECK_MS: i64 = 60_000;
/// Lifetime of the tokens of this directory, in seconds.
pub(super) const TOKEN_S: i64 = 12 * 3_600;

/// A clock that tests advance. Milliseconds since 1970.
pub(super) struct ManualClock(pub(super) AtomicI64);
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn monotonic_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A bus that records the users whose tokens ended. The users in `connected` have live sessions.
#[derive(Default)]
pub(super) struct RecordingBus {
    pub(super) ended: Mutex<Vec<String>>,
    pub(super) connected: Mutex<Vec<&'static str>>,
}
impl Bus for RecordingBus {
    fn publish(&self, event: Event) {
        if let Event::TokensEnded { user } = event {
            self.ended.lock().push(user.to_string());
        }
    }
    fn may_be_connected(&self, user: &UserName) -> bool {
        self.connected.lock().contains(&user.as_str())
    }
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) id: &'static str,
    pub(super) password: &'static str,
    pub(super) person: Option<PlonePerson>,
}

/// A directory of users by login name that can fail and hang.
pub(super) struct FakeDirectory {
    pub(super) clock: Arc<ManualClock>,
    pub(super) entries: Mutex<HashMap<String, Entry>>,
    pub(super) login_error: Mutex<Option<PloneError>>,
    pub(super) person_error: Mutex<Option<PloneError>>,
    /// Users whose profiles cannot be read.
    pub(super) broken: Mutex<Vec<&'static str>>,
    pub(super) hangs: Mutex<bool>,
    pub(super) profiles_read: Mutex<Vec<String>>,
}

impl Directory for FakeDirectory {
    fn login(&self, username: &UserName, password: &SecretString) -> PloneFuture<SecretString> {
        if *self.hangs.lock() {
            return futures_util::future::pending().boxed();
        }
        let entries = self.entries.lock();
        let error = self.login_error.lock().clone();
        let outcome = match (error, entries.get(username.as_str())) {
            (Some(error), _) => Err(error),
            (None, Some(entry)) if entry.password == password.expose_secret() => {
                let exp = self.clock.now().as_second() + TOKEN_S;
                let key = jsonwebtoken::EncodingKey::from_secret(b"a key that only Plone knows");
                let claims = json!({"sub": entry.id, "exp": exp, "fullname": ""});
                Ok(jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap().into())
            }
            (None, _) => Err(PloneError::Unauthenticated),
        };
        futures_util::future::ready(outcome).boxed()
    }

    fn person(&self, username: &UserName) -> PloneFuture<Option<PlonePerson>> {
        self.profiles_read.lock().push(username.to_string());
        let entries = self.entries.lock();
        let person = entries.values().find(|entry| entry.id == username.as_str()).and_then(|e| e.person.clone());
        let is_broken = self.broken.lock().contains(&username.as_str());
        let broken = is_broken.then(|| PloneError::Failed("500 RuntimeError".to_owned()));
        let error = self.person_error.lock().clone().or(broken);
        futures_util::future::ready(error.map_or(Ok(person), Err)).boxed()
    }
}

pub(super) struct Hub {
    pub(super) plone: Arc<FakeDirectory>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) bus: Arc<RecordingBus>,
    pub(super) store: SqliteStore,
    pub(super) provider: Arc<PloneSignIn>,
    pub(super) audit: Audit,
    pub(super) identity: Arc<Identity>,
    _folder: tempfile::TempDir,
}

pub(super) fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

pub(super) fn person(roles: &[&str], groups: &[&str]) -> PlonePerson {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    PlonePerson { name: None, roles: names(roles), groups: names(groups) }
}

impl Hub {
    /// Creates a directory with ann (student), sam (staff), ada (admin) and the hub's own user, all with the password
    /// `good`, and starts the identity service.
    pub(super) async fn start() -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(1_700_000_000_000)));
        let plone = FakeDirectory {
            clock: clock.clone(),
            entries: Mutex::default(),
            login_error: Mutex::default(),
            person_error: Mutex::default(),
            broken: Mutex::default(),
            hangs: Mutex::default(),
            profiles_read: Mutex::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { path: folder.path().join("hub.db"), outbox: None };
        let store = SqliteStore::open(options).unwrap();
        let (plone, bus) = (Arc::new(plone), Arc::default());
        let (provider, audit, identity) = Self::identity(&plone, &store, &bus, &clock).await;
        let hub = Self { plone, clock, bus, store, provider, audit, identity, _folder: folder };
        for (name, role) in [("ann", "Member"), ("sam", "Editor"), ("ada", "Manager"), ("hub", "Site Administrator")] {
            let groups: &[&str] = if role == "Editor" { &["desk"] } else { &[] };
            hub.put_user(name, name, Some(person(&[role], groups)));
        }
        hub
    }

    async fn identity(
        plone: &Arc<FakeDirectory>,
        store: &SqliteStore,
        bus: &Arc<RecordingBus>,
        clock: &Arc<ManualClock>,
    ) -> (Arc<PloneSignIn>, Audit, Arc<Identity>) {
        let store = Arc::new(store.clone());
        let audit = Audit::start(store.clone(), Arc::new(crate::clock::SystemClock));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let options = PloneSignInOptions {
            roles: RoleMap {
                admin: names(&["Manager", "Site Administrator"]),
                staff: names(&["Editor", "group:desk"]),
                instructor: names(&["Faculty"]),
                student: names(&["Member"]),
                subjects: [
                    ("group:math".to_owned(), StaffSubjects::Only(Subjects::parse(&["MATH"]).unwrap())),
                    ("group:desk".to_owned(), StaffSubjects::All),
                ]
                .into(),
            },
            hub_user: user("hub"),
            timeout: Duration::from_millis(50),
            in_flight_max: 1,
            members: MemberRules {
                recheck: Duration::from_millis(u64::try_from(RECHECK_MS).unwrap()),
                offline_login_days: 7,
            },
        };
        let provider = Arc::new(PloneSignIn::new(plone.clone(), options));
        let deps = IdentityDeps {
            accounts: store.clone(),
            members: store.clone(),
            provider_sign_ins: store,
            audit: audit.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
        };
        let settings =
            Settings { login_per_minute: 3, session_ttl: Duration::from_secs(30 * 86_400), ..Settings::default() };
        let secret = SecretString::from(SECRET);
        let providers: Vec<Arc<dyn SignInProvider>> = vec![provider.clone()];
        (provider, audit, Identity::start(settings, &secret, deps, providers).await.unwrap())
    }

    pub(super) async fn restart(&mut self) {
        (self.provider, self.audit, self.identity) =
            Self::identity(&self.plone, &self.store, &self.bus, &self.clock).await;
    }

    pub(super) fn put_user(&self, login: &str, id: &'static str, person: Option<PlonePerson>) {
        let entry = Entry { id, password: "good", person };
        self.plone.entries.lock().insert(login.to_owned(), entry);
    }
    pub(super) fn change_user(&self, login: &str, change: impl FnOnce(&mut Entry)) {
        change(self.plone.entries.lock().get_mut(login).unwrap());
    }
    pub(super) fn fail(&self, error: Option<PloneError>) {
        *self.plone.login_error.lock() = error.clone();
        *self.plone.person_error.lock() = error;
    }
    pub(super) fn pass_ms(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub(super) async fn sign_in(&self, name: &str, password: &str) -> Result<SignIn, SignInError> {
        self.identity.sign_in(name, SecretString::from(password), [192, 0, 2, 1].into()).await
    }
    /// Signs in and waits until the hash of the password is stored.
    pub(super) async fn sign_in_and_store(&self, name: &str) -> SignIn {
        let signed_in = self.sign_in(name, "good").await.unwrap();
        while self.identity.hashes_waiting() > 0 {
            tokio::task::yield_now().await;
        }
        signed_in
    }
    pub(super) async fn recheck(&self) -> bool {
        self.identity.recheck_due().await
    }
    pub(super) async fn local_account(&self, name: &str) {
        let password = Some(SecretString::from("local password"));
        let change =
            AccountChange { username: user(name), role: Role::Staff, limit: LimitChange::Keep, name: None, password };
        assert!(matches!(self.identity.put_account(change).await.unwrap(), AccountOutcome::Created(_)));
    }
    pub(super) fn ended(&self) -> Vec<String> {
        self.bus.ended.lock().clone()
    }
}

pub(super) fn outage() -> Option<PloneError> {
    Some(PloneError::Unavailable("no connection".to_owned()))
}
