use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::identity::accounts::{AccountChange, AccountOutcome, LimitChange, Removal};
use crate::identity::sign_in::{SignIn, SignInError};
use crate::store::accounts::Account;
use crate::store::sqlite::{SqliteOptions, SqliteStore};

/// A clock that tests advance.
struct ManualClock(AtomicI64);
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn monotonic_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A bus that records the users whose tokens ended.
#[derive(Default)]
pub(in crate::identity) struct RecordingBus(pub(in crate::identity) Mutex<Vec<(String, Option<uuid::Uuid>)>>);
impl Bus for RecordingBus {
    fn publish(&self, event: Event) {
        match event {
            Event::SignedOut { user, token, .. } => self.0.lock().push((user.to_string(), token)),
            Event::TokensEnded { user } => self.0.lock().push((user.to_string(), None)),
            _ => {}
        }
    }
    fn may_be_connected(&self, _: &UserName) -> bool {
        true
    }
}

pub(in crate::identity) struct Hub {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    pub(in crate::identity) bus: Arc<RecordingBus>,
    pub(in crate::identity) store: Option<SqliteStore>,
    identity: Option<Arc<Identity>>,
}

impl Hub {
    pub(in crate::identity) async fn start() -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(1_700_000_000_000)));
        let mut hub =
            Self { folder: tempfile::tempdir().unwrap(), clock, bus: Arc::default(), store: None, identity: None };
        hub.restart().await;
        hub
    }
    pub(in crate::identity) async fn restart(&mut self) {
        let path = self.folder.path().join("hub.db");
        let store = match self.store.take() {
            Some(store) => store,
            None => SqliteStore::open(SqliteOptions { path, outbox: None }).unwrap(),
        };
        let settings = Settings { login_per_minute: 3, session_ttl: Duration::from_secs(60), ..Settings::default() };
        let secret = SecretString::from("a secret of more than thirty-two bytes");
        let shared = Arc::new(store.clone());
        let deps = IdentityDeps {
            accounts: shared.clone(),
            members: shared.clone(),
            provider_sign_ins: shared.clone(),
            audit: Audit::start(shared, Arc::new(crate::clock::SystemClock)),
            bus: self.bus.clone(),
            clock: self.clock.clone(),
        };
        self.identity = Some(Identity::start(settings, &secret, deps, Vec::new()).await.unwrap());
        self.store = Some(store);
    }
    pub(in crate::identity) fn identity(&self) -> &Identity {
        self.identity.as_ref().unwrap()
    }
    pub(in crate::identity) async fn put(&self, name: &str, role: Role, password: Option<&str>) -> AccountOutcome {
        let password = password.map(SecretString::from);
        let change = AccountChange { username: user(name), role, limit: LimitChange::Keep, name: None, password };
        self.identity().put_account(change).await.unwrap()
    }
    pub(in crate::identity) async fn sign_in(&self, name: &str, password: &str) -> Result<SignIn, SignInError> {
        self.identity().sign_in(name, SecretString::from(password), [192, 0, 2, 1].into()).await
    }
    pub(in crate::identity) fn advance_ms(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }
}

pub(in crate::identity) fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

#[actix_web::test]
async fn a_token_identifies_its_user_until_it_expires() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Staff, Some("correct horse")).await;
    let minted = hub.sign_in("ann", "correct horse").await.unwrap();
    let caller = hub.identity().verify(&minted.token).unwrap();
    assert_eq!((caller.user.as_str(), caller.role), ("ann", Role::Staff));
    hub.advance_ms(60_000);
    assert_eq!(hub.identity().verify(&minted.token), Err(TokenError::Expired));
}

#[actix_web::test]
async fn wrong_passwords_and_unknown_names_get_the_same_error() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Student, Some("correct horse")).await;
    for (name, password) in [("ann", "wrong"), ("bob", "correct horse"), ("a name with spaces", "x")] {
        assert_eq!(hub.sign_in(name, password).await.unwrap_err(), SignInError::BadCredentials, "{name}");
    }
}

#[actix_web::test]
async fn after_repeated_failures_correct_passwords_are_limited_too() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Student, Some("correct horse")).await;
    for _ in 0..3 {
        assert_eq!(hub.sign_in("ann", "wrong").await.unwrap_err(), SignInError::BadCredentials);
    }
    assert_eq!(hub.sign_in("ann", "correct horse").await.unwrap_err(), SignInError::RateLimited { retry_after_s: 21 });
    hub.advance_ms(21_000);
    assert!(hub.sign_in("ann", "correct horse").await.is_ok());
}

#[actix_web::test]
async fn spellings_of_a_name_share_one_limit_on_guessing() {
    let hub = Hub::start().await;
    hub.put("josé", Role::Student, Some("correct horse")).await;
    for name in ["josé", "jose\u{301}", "\u{ff2a}OSÉ"] {
        assert_eq!(hub.sign_in(name, "wrong").await.unwrap_err(), SignInError::BadCredentials);
    }
    assert!(matches!(hub.sign_in("josé", "correct horse").await, Err(SignInError::RateLimited { .. })));
}

#[actix_web::test]
async fn a_name_and_a_password_are_accepted_in_every_normal_spelling() {
    let hub = Hub::start().await;
    hub.put("josé", Role::Student, Some("contrasen\u{303}a larga")).await;
    for (name, password) in [("jose\u{301}", "contraseña larga"), ("\u{ff4a}osé", "contraseña\u{3000}larga")] {
        assert_eq!(hub.sign_in(name, password).await.unwrap().caller.user.as_str(), "josé");
    }
    assert_eq!(hub.sign_in("jose", "contraseña larga").await.unwrap_err(), SignInError::BadCredentials);
}

#[actix_web::test]
async fn accounts_of_earlier_versions_keep_their_names_and_passwords() {
    let mut hub = Hub::start().await;
    let (name, password) = ("jose\u{301}", "contrasen\u{303}a larga");
    let account = Account {
        username: UserName::stored(name).unwrap(),
        name: "José".to_owned(),
        rights: Role::Staff.into(),
        password_hash: crate::identity::password::hash(&SecretString::from(password)).unwrap(),
    };
    hub.store.as_ref().unwrap().put_account(account, None).await.unwrap();
    hub.restart().await;
    for typed in [name, "josé"] {
        let signed_in = hub.sign_in(typed, password).await.unwrap();
        assert_eq!(signed_in.caller.user.as_str(), name);
        assert!(hub.identity().verify(&signed_in.token).is_ok());
    }
    assert_eq!(hub.identity().resolve("josé").unwrap().as_str(), name);
}

#[actix_web::test]
async fn a_logout_ends_one_token_now_and_after_a_restart() {
    let mut hub = Hub::start().await;
    hub.put("ann", Role::Student, Some("correct horse")).await;
    let (first, second) =
        (hub.sign_in("ann", "correct horse").await.unwrap(), hub.sign_in("ann", "correct horse").await.unwrap());
    hub.identity().logout(&first.caller).await.unwrap();
    for _ in 0..2 {
        assert_eq!(hub.identity().verify(&first.token), Err(TokenError::SignedOut));
        assert!(hub.identity().verify(&second.token).is_ok());
        hub.restart().await;
    }
    let published = hub.bus.0.lock().clone();
    assert_eq!(published, [("ann".to_owned(), Some(first.caller.token_id))]);
}

#[actix_web::test]
async fn a_new_password_ends_earlier_tokens_but_not_later_ones() {
    let mut hub = Hub::start().await;
    hub.put("ann", Role::Student, Some("correct horse")).await;
    let old = hub.sign_in("ann", "correct horse").await.unwrap();
    assert!(matches!(hub.put("ann", Role::Student, Some("battery staple")).await, AccountOutcome::Changed(_)));
    // The clock has not advanced, so both sign-ins are in the same millisecond.
    let new = hub.sign_in("ann", "battery staple").await.unwrap();
    for _ in 0..2 {
        assert_eq!(hub.identity().verify(&old.token), Err(TokenError::SignedOut));
        assert!(hub.identity().verify(&new.token).is_ok());
        hub.restart().await;
    }
    assert_eq!(hub.sign_in("ann", "correct horse").await.unwrap_err(), SignInError::BadCredentials);
    assert_eq!(*hub.bus.0.lock(), [("ann".to_owned(), None)]);
}

#[actix_web::test]
async fn a_new_role_ends_tokens_but_an_unchanged_account_does_not() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Student, Some("correct horse")).await;
    let first = hub.sign_in("ann", "correct horse").await.unwrap();
    hub.put("ann", Role::Student, None).await;
    assert!(hub.identity().verify(&first.token).is_ok());
    hub.put("ann", Role::Staff, None).await;
    assert_eq!(hub.identity().verify(&first.token), Err(TokenError::SignedOut));
    assert_eq!(hub.sign_in("ann", "correct horse").await.unwrap().caller.role, Role::Staff);
}

#[actix_web::test]
async fn removing_an_account_ends_its_tokens_and_tickets() {
    let hub = Hub::start().await;
    assert_eq!(hub.put("ann", Role::Student, None).await, AccountOutcome::PasswordNeeded);
    hub.put("ann", Role::Student, Some("correct horse")).await;
    let minted = hub.sign_in("ann", "correct horse").await.unwrap();
    let ticket = hub.identity().issue_ticket(&minted.caller).unwrap();
    assert_eq!(hub.identity().remove_account(&user("ann")).await.unwrap(), Removal::Removed);
    assert_eq!(hub.identity().remove_account(&user("ann")).await.unwrap(), Removal::Absent);
    assert!(hub.identity().verify(&minted.token).is_err());
    assert_eq!(hub.identity().redeem_ticket(&ticket).await, Ok(None));
    assert_eq!(hub.sign_in("ann", "correct horse").await.unwrap_err(), SignInError::BadCredentials);
}

#[actix_web::test]
async fn signing_a_user_out_everywhere_ends_all_tokens_even_after_a_restart() {
    let mut hub = Hub::start().await;
    hub.put("ann", Role::Student, Some("correct horse")).await;
    hub.put("bob", Role::Student, Some("correct horse")).await;
    let (first, second) =
        (hub.sign_in("ann", "correct horse").await.unwrap(), hub.sign_in("ann", "correct horse").await.unwrap());
    let bob = hub.sign_in("bob", "correct horse").await.unwrap();
    hub.identity().sign_out_everywhere(&user("ann")).await.unwrap();
    let new = hub.sign_in("ann", "correct horse").await.unwrap();
    for _ in 0..2 {
        assert_eq!(hub.identity().verify(&first.token), Err(TokenError::SignedOut));
        assert_eq!(hub.identity().verify(&second.token), Err(TokenError::SignedOut));
        assert!(hub.identity().verify(&bob.token).is_ok(), "other users are not affected");
        assert!(hub.identity().verify(&new.token).is_ok(), "the user may sign in again");
        hub.restart().await;
    }
    assert_eq!(*hub.bus.0.lock(), [("ann".to_owned(), None)]);
}

#[actix_web::test]
async fn the_last_admin_is_neither_demoted_nor_removed() {
    let hub = Hub::start().await;
    hub.put("root", Role::Admin, Some("correct horse")).await;
    hub.put("ann", Role::Staff, Some("correct horse")).await;
    assert_eq!(hub.put("root", Role::Staff, None).await, AccountOutcome::LastAdmin);
    assert_eq!(hub.identity().remove_account(&user("root")).await.unwrap(), Removal::LastAdmin);
    assert!(matches!(hub.put("root", Role::Admin, Some("battery staple")).await, AccountOutcome::Changed(_)));
    hub.put("ann", Role::Admin, None).await;
    assert_eq!(hub.identity().remove_account(&user("root")).await.unwrap(), Removal::Removed);
    assert_eq!(hub.put("ann", Role::Student, None).await, AccountOutcome::LastAdmin);
}

#[actix_web::test]
async fn a_name_that_the_user_can_change_gives_no_rosters() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Instructor, Some("correct horse")).await;
    let caller = Caller { name: "Kay Smith".into(), ..hub.sign_in("ann", "correct horse").await.unwrap().caller };
    for (source, expected) in
        [(Source::Hub, true), (Source::Oidc("a".into()), true), (Source::Proxy, true), (Source::Plone, false)]
    {
        let caller = Caller { source: source.clone(), ..caller.clone() };
        let named = async |text| hub.identity().as_teacher(&caller, |own| own.is_named_in(Some(text))).await.unwrap();
        assert_eq!((named("Smith, Kay").await, named("ann").await), (expected, true), "{source}");
    }
}
