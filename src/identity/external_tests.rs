use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::*;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::domain::rights::{Rights, Subjects};
use crate::domain::role::{Role, RoleMap, StaffSubjects};
use crate::identity::accounts::{AccountChange, LimitChange};
use crate::identity::provider::{KnownUser, MemberRules, Profile, ProviderError, SignInProvider, Verified};
use crate::identity::sign_in::SignInError;
use crate::identity::token::TokenError;
use crate::identity::{Audit, IdentityDeps, Settings};
use crate::store::accounts::{AccountStore, UserFilter, UserSource};
use crate::store::members::MemberStore as _;
use crate::store::provider_sign_ins::ProviderSignInStore as _;
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

/// A bus that records the tokens that were signed out, and the users whose tokens ended for another reason.
#[derive(Default)]
struct RecordingBus {
    signed_out: Mutex<Vec<Uuid>>,
    ended: Mutex<Vec<UserName>>,
}
impl Bus for RecordingBus {
    fn publish(&self, event: Event) {
        match event {
            Event::SignedOut { token: Some(token), .. } => self.signed_out.lock().push(token),
            Event::TokensEnded { user } => self.ended.lock().push(user),
            _ => {}
        }
    }
    fn may_be_connected(&self, _: &UserName) -> bool {
        true
    }
}

struct Hub {
    clock: Arc<ManualClock>,
    bus: Arc<RecordingBus>,
    store: SqliteStore,
    identity: Arc<Identity>,
    _folder: tempfile::TempDir,
}

fn oidc(name: &str) -> Source {
    Source::Oidc(name.into())
}

/// Returns a provider whose issuer is derived from its source.
fn provider(source: Source) -> ExternalProvider {
    let issuer = format!("https://{source}.example");
    ExternalProvider::new(source, issuer, &RoleMap::default(), "")
}

impl Hub {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock(AtomicI64::new(1_700_000_000_000)));
        let bus = Arc::<RecordingBus>::default();
        let store = SqliteStore::open(SqliteOptions { path: folder.path().join("hub.db"), outbox: None }).unwrap();
        let settings = vec![provider(oidc("a")), provider(oidc("b")), provider(Source::Proxy)];
        let identity = Self::identity(&store, &clock, &bus, settings).await;
        Self { clock, bus, store, identity, _folder: folder }
    }

    /// Starts the hub again with these providers in the settings.
    async fn restart(&mut self, external: Vec<ExternalProvider>) {
        self.identity = Self::identity(&self.store, &self.clock, &self.bus, external).await;
    }

    async fn identity(
        store: &SqliteStore,
        clock: &Arc<ManualClock>,
        bus: &Arc<RecordingBus>,
        external: Vec<ExternalProvider>,
    ) -> Arc<Identity> {
        Self::identity_with(store, clock, bus, external, Vec::new()).await
    }

    async fn identity_with(
        store: &SqliteStore,
        clock: &Arc<ManualClock>,
        bus: &Arc<RecordingBus>,
        external: Vec<ExternalProvider>,
        passwords: Vec<Arc<dyn SignInProvider>>,
    ) -> Arc<Identity> {
        let settings = Settings { session_ttl: Duration::from_secs(60), external, ..Settings::default() };
        let secret = SecretString::from("a secret of more than thirty-two bytes");
        let shared = Arc::new(store.clone());
        let deps = IdentityDeps {
            accounts: shared.clone(),
            members: shared.clone(),
            provider_sign_ins: shared.clone(),
            audit: Audit::start(shared, clock.clone()),
            bus: bus.clone(),
            clock: clock.clone(),
        };
        Identity::start(settings, &secret, deps, passwords).await.unwrap()
    }

    async fn sign_in(&self, identity: ExternalIdentity) -> Result<ExternalSignIn, ExternalError> {
        // The time of issue orders tokens.
        self.clock.0.fetch_add(1, Ordering::SeqCst);
        self.identity.sign_in_external(identity).await
    }

    fn is_alive(&self, signed_in: &ExternalSignIn) -> bool {
        self.identity.verify(&signed_in.token).is_ok()
    }
}

/// A password provider that accepts everyone, once the other sign-in has begun.
#[derive(Default)]
struct Members {
    other_begins: Notify,
}

impl SignInProvider for Members {
    fn source(&self) -> Source {
        Source::Plone
    }
    fn title(&self) -> &'static str {
        "Plone"
    }
    fn verify<'a>(
        &'a self,
        login: &'a UserName,
        _: &'a SecretString,
    ) -> BoxFuture<'a, Result<Option<Verified>, SignInError>> {
        let profile = KnownUser { name: login.to_string(), rights: Role::Student.into(), credential: None };
        let verified = Verified { user: login.clone(), profile: Ok(Profile::Known(profile)), token: None };
        async move {
            self.other_begins.notified().await;
            Ok(Some(verified))
        }
        .boxed()
    }
    fn profile<'a>(&'a self, _: &'a UserName) -> BoxFuture<'a, Result<Profile, ProviderError>> {
        async { Ok(Profile::Unknown) }.boxed()
    }
    fn member_rules(&self) -> Option<MemberRules> {
        Some(MemberRules { recheck: Duration::from_secs(3_600), offline_login_days: 0 })
    }
    fn token_for<'a>(&'a self, user: &'a UserName) -> BoxFuture<'a, Option<Arc<SecretString>>> {
        async move { Some(Arc::new(format!("token of {user}").into())) }.boxed()
    }
}

/// Returns a student at a provider.
fn person(source: Source, subject: &str, name: &str) -> ExternalIdentity {
    ExternalIdentity {
        source,
        subject: subject.to_owned(),
        sid: Some(format!("session of {subject}")),
        username: UserName::parse(name).unwrap(),
        name: format!("Name of {name}"),
        rights: Role::Student.into(),
        plone_user: None,
        id_token: Some(SecretString::from("an.id.token")),
        takes_over: Arc::new([]),
    }
}

fn owner_of(outcome: Result<ExternalSignIn, ExternalError>) -> NameOwner {
    match outcome {
        Err(ExternalError::NameTaken { owner, .. }) => owner,
        other => panic!("the name must be taken: {other:?}"),
    }
}

#[actix_web::test]
async fn a_name_belongs_to_one_person() {
    let hub = Hub::start().await;
    let password = Some(SecretString::from("correct horse"));
    let username = UserName::parse("local").unwrap();
    hub.identity
        .put_account(AccountChange { username, role: Role::Admin, limit: LimitChange::Keep, name: None, password })
        .await
        .unwrap();
    let signed_in = hub.sign_in(person(oidc("a"), "1", "ann")).await.unwrap();
    assert_eq!((signed_in.caller.user.as_str(), &signed_in.caller.source), ("ann", &oidc("a")));

    assert_eq!(owner_of(hub.sign_in(person(oidc("a"), "9", "local")).await), NameOwner::LocalAccount);
    assert_eq!(owner_of(hub.sign_in(person(oidc("a"), "2", "ann")).await), NameOwner::OtherPerson);
    let elsewhere = NameOwner::OtherSource("oidc:a".to_owned());
    assert_eq!(owner_of(hub.sign_in(person(oidc("b"), "1", "ann")).await), elsewhere);
    assert_eq!(owner_of(hub.sign_in(person(Source::Proxy, "ann", "ann")).await), elsewhere);
    assert!(hub.is_alive(&signed_in), "refused sign-ins have no effect");

    let renamed = hub.sign_in(person(oidc("a"), "1", "ann.smith")).await.unwrap();
    assert_eq!(renamed.caller.user.as_str(), "ann", "a person keeps the name to which the registrations belong");
}

#[actix_web::test]
async fn a_provider_takes_over_names_only_where_the_settings_say_so() {
    let hub = Hub::start().await;
    let before = hub.sign_in(person(oidc("a"), "1", "ann")).await.unwrap();
    let takes_over = ExternalIdentity { takes_over: Arc::new(["oidc:a".to_owned()]), ..person(oidc("b"), "7", "ann") };
    let after = hub.sign_in(takes_over).await.unwrap();
    assert!(!hub.is_alive(&before) && hub.is_alive(&after));
    assert_eq!(owner_of(hub.sign_in(person(oidc("a"), "1", "ann")).await), NameOwner::OtherSource("oidc:b".to_owned()));
    assert!(hub.identity.release_name(&after.caller.user).await.unwrap());
    assert!(!hub.is_alive(&after));
    assert!(hub.sign_in(person(oidc("a"), "1", "ann")).await.is_ok());
}

#[actix_web::test]
async fn a_new_local_account_takes_the_name() {
    let hub = Hub::start().await;
    let before = hub.sign_in(person(oidc("a"), "1", "ann")).await.unwrap();
    let change = AccountChange {
        username: before.caller.user.clone(),
        role: Role::Staff,
        limit: LimitChange::Keep,
        name: None,
        password: Some(SecretString::from("correct horse")),
    };
    hub.identity.put_account(change).await.unwrap();
    assert!(!hub.is_alive(&before));
    assert_eq!(owner_of(hub.sign_in(person(oidc("a"), "1", "ann")).await), NameOwner::LocalAccount);
}

#[actix_web::test]
async fn a_provider_ends_the_sign_ins_of_a_session_or_of_a_person() {
    let mut hub = Hub::start().await;
    let at = |sid: &str| ExternalIdentity { sid: Some(sid.to_owned()), ..person(oidc("a"), "1", "ann") };
    let (phone, laptop) = (hub.sign_in(at("phone")).await.unwrap(), hub.sign_in(at("laptop")).await.unwrap());
    let other = hub.sign_in(person(oidc("b"), "1", "bob")).await.unwrap();
    let end = async |subject: Option<&str>, sid: Option<&str>| {
        let ended = ExternalLogout { subject: subject.map(str::to_owned), sid: sid.map(str::to_owned) };
        hub.identity.end_external(&oidc("a"), ended).await.unwrap()
    };
    assert_eq!(end(None, None).await, 0, "a logout that names no one ends no sign-in");
    assert_eq!(end(Some("2"), Some("phone")).await, 0, "the session of someone else");
    assert_eq!(end(Some("1"), Some("phone")).await, 1);
    assert!(!hub.is_alive(&phone) && hub.is_alive(&laptop) && hub.is_alive(&other));
    assert_eq!(*hub.bus.signed_out.lock(), [phone.caller.token_id], "its live sessions are closed permanently");
    assert_eq!(end(Some("1"), None).await, 1);
    assert!(!hub.is_alive(&laptop) && hub.is_alive(&other));
    hub.restart(vec![provider(oidc("a")), provider(oidc("b"))]).await;
    assert_eq!(hub.identity.verify(&phone.token), Err(TokenError::SignedOut), "after a restart");
    assert!(hub.is_alive(&other));
    hub.restart(vec![provider(oidc("a"))]).await;
    assert_eq!(hub.identity.verify(&other.token), Err(TokenError::SignedOut), "its provider is not in the settings");
}

#[actix_web::test]
async fn a_changed_role_ends_earlier_sign_ins() {
    let hub = Hub::start().await;
    let staff = ExternalIdentity { rights: Role::Staff.into(), ..person(oidc("a"), "1", "ann") };
    let before = hub.sign_in(staff).await.unwrap();
    let after = hub.sign_in(person(oidc("a"), "1", "ann")).await.unwrap();
    assert!(!hub.is_alive(&before) && hub.is_alive(&after));
    assert_eq!(after.caller.role, Role::Student);
    assert_eq!(hub.bus.ended.lock().as_slice(), std::slice::from_ref(&after.caller.user), "closed with 4001");
    assert!(hub.bus.signed_out.lock().is_empty(), "and not with 4003: the user did not sign out");
    let limited = |subject: &str| {
        let rights = Rights::new(Role::Staff, Some(Subjects::parse(&[subject]).unwrap()));
        ExternalIdentity { rights, ..person(oidc("a"), "2", "sam") }
    };
    let before = hub.sign_in(limited("MATH")).await.unwrap();
    let same = hub.sign_in(limited("MATH")).await.unwrap();
    assert!(hub.is_alive(&before) && hub.is_alive(&same));
    let after = hub.sign_in(limited("ART")).await.unwrap();
    assert!(!hub.is_alive(&before) && !hub.is_alive(&same) && hub.is_alive(&after), "the subjects have changed");
}

#[actix_web::test]
async fn a_renamed_provider_keeps_its_users_and_a_replaced_one_does_not() {
    let mut hub = Hub::start().await;
    let before = hub.sign_in(person(oidc("a"), "1", "ann")).await.unwrap();
    let issuer = provider(oidc("a")).issuer;
    let of_issuer = |source, issuer: &str| ExternalProvider { issuer: issuer.to_owned(), ..provider(source) };

    hub.restart(vec![of_issuer(oidc("new"), &issuer)]).await;
    let renamed = hub.sign_in(person(oidc("new"), "1", "another.name")).await.unwrap();
    assert_eq!(renamed.caller.user, before.caller.user, "the same person at the same issuer");
    assert_eq!(owner_of(hub.sign_in(person(oidc("new"), "2", "ann")).await), NameOwner::OtherPerson);

    hub.restart(vec![of_issuer(oidc("new"), "https://other.example")]).await;
    assert!(!hub.is_alive(&renamed), "a sign-in of the former issuer");
    let taken = owner_of(hub.sign_in(person(oidc("new"), "1", "ann")).await);
    assert_eq!(taken.to_string(), format!("a user of oidc:new with the issuer {issuer}"));
    let free = hub.sign_in(person(oidc("new"), "1", "bob")).await.unwrap();
    assert_eq!(free.caller.user.as_str(), "bob", "the same subject at another issuer is another person");
    let takes_over =
        ExternalIdentity { takes_over: Arc::new(["oidc:new".to_owned()]), ..person(oidc("new"), "3", "ann") };
    assert!(hub.sign_in(takes_over).await.is_ok(), "the settings say that both issuers give a name to one person");
}

#[actix_web::test]
async fn changed_role_settings_end_the_sign_ins_of_staff_at_startup() {
    let mut hub = Hub::start().await;
    let staff = ExternalIdentity { rights: Role::Staff.into(), ..person(oidc("a"), "1", "sam") };
    let staff = hub.sign_in(staff).await.unwrap();
    let student = hub.sign_in(person(oidc("a"), "2", "ann")).await.unwrap();
    hub.restart(vec![provider(oidc("a"))]).await;
    assert!(hub.is_alive(&staff) && hub.is_alive(&student), "the settings are the same");

    let math = StaffSubjects::Only(Subjects::parse(&["MATH"]).unwrap());
    let roles = RoleMap { subjects: [("group:math".to_owned(), math)].into(), ..RoleMap::default() };
    let before = provider(oidc("a"));
    let limited = ExternalProvider::new(oidc("a"), before.issuer.clone(), &roles, "");
    let other_claim = ExternalProvider::new(oidc("a"), before.issuer.clone(), &RoleMap::default(), "teams");
    assert!(limited.mapping != before.mapping && other_claim.mapping != before.mapping);
    hub.restart(vec![limited.clone()]).await;
    assert!(!hub.is_alive(&staff), "the limit applies to open sign-ins, too");
    assert!(hub.is_alive(&student), "students have no limit");
    let again = ExternalIdentity { rights: Role::Staff.into(), ..person(oidc("a"), "1", "sam") };
    let again = hub.sign_in(again).await.unwrap();
    hub.restart(vec![limited]).await;
    assert!(hub.is_alive(&again));
}

#[actix_web::test]
async fn two_people_who_claim_a_name_at_once_do_not_share_it() {
    let hub = Hub::start().await;
    for round in 0..20 {
        let name = format!("ann{round}");
        let takes_over = |source: Source, other: &str| ExternalIdentity {
            takes_over: Arc::new([other.to_owned()]),
            ..person(source, &format!("{name} at {other}"), &name)
        };
        let (a, b) = futures_util::future::join(
            hub.identity.sign_in_external(takes_over(oidc("a"), "oidc:b")),
            hub.identity.sign_in_external(takes_over(oidc("b"), "oidc:a")),
        )
        .await;
        let alive = [&a, &b].into_iter().flatten().filter(|one| hub.is_alive(one)).count();
        assert_eq!(alive, 1, "one of them has the name: {a:?} {b:?}");
        let owner = hub.store.provider_user(&UserName::parse(&name).unwrap()).await.unwrap();
        assert!(owner.is_some(), "the name of a valid sign-in belongs to its user");
    }
}

#[actix_web::test]
async fn members_and_provider_users_who_claim_a_name_do_not_share_it() {
    let hub = Hub::start().await;
    let members = Arc::<Members>::default();
    let (store, clock, bus) = (&hub.store, &hub.clock, &hub.bus);
    let identity =
        Hub::identity_with(store, clock, bus, vec![provider(oidc("a"))], vec![members.clone() as Arc<_>]).await;
    for round in 0..40 {
        let name = format!("ann{round}");
        let external = async {
            members.other_begins.notify_one();
            identity.sign_in_external(person(oidc("a"), &name, &name)).await
        };
        let by_password = identity.sign_in(&name, "a password".into(), "192.0.2.1".parse().unwrap());
        let (by_password, external) = futures_util::future::join(by_password, external).await;
        assert!(by_password.is_ok() != external.is_ok(), "one of them has the name: {by_password:?} {external:?}");
        let username = UserName::parse(&name).unwrap();
        let is_member = hub.store.member(&username).await.unwrap().is_some();
        let is_provider_user = hub.store.provider_user(&username).await.unwrap().is_some();
        assert_eq!((is_member, is_provider_user), (by_password.is_ok(), external.is_ok()));
    }
}

#[actix_web::test]
async fn plone_serves_the_user_that_single_sign_on_states() {
    use secrecy::ExposeSecret as _;
    let hub = Hub::start().await;
    let with = async |external: Vec<ExternalProvider>| {
        let members = vec![Arc::<Members>::default() as Arc<dyn SignInProvider>];
        Hub::identity_with(&hub.store, &hub.clock, &hub.bus, external, members).await
    };
    let stating = || vec![provider(oidc("a")).stating_plone_users(true), provider(oidc("b"))];
    let identity = with(stating()).await;
    let stated = |source, subject: &str, name| ExternalIdentity {
        plone_user: Some(UserName::parse("ann.lee").unwrap()),
        ..person(source, subject, name)
    };
    let ann = identity.sign_in_external(stated(oidc("a"), "1", "ann")).await.unwrap();
    let token = async |identity: &Identity, token: &str| {
        let caller = identity.verify(token).unwrap();
        identity.member_token(&caller).await.map(|token| token.expose_secret().to_owned())
    };
    assert_eq!(token(&identity, &ann.token).await.as_deref(), Some("token of ann.lee"));
    let restarted = with(stating()).await;
    assert_eq!(token(&restarted, &ann.token).await.as_deref(), Some("token of ann.lee"), "after a restart");

    let none = identity.sign_in_external(person(oidc("a"), "2", "bob")).await.unwrap();
    let silent = identity.sign_in_external(stated(oidc("b"), "3", "cho")).await.unwrap();
    for (who, other) in [("a user without a user of Plone", none), ("a provider that states none", silent)] {
        assert_eq!(token(&identity, &other.token).await, None, "{who}");
    }
    let minted = Caller { source: Source::Hub, ..ann.caller.clone() };
    assert!(identity.member_token(&minted).await.is_none(), "a token that the hub minted");
    let without = with(vec![provider(oidc("a"))]).await;
    assert_eq!(token(&without, &ann.token).await, None, "the setting was removed");
    identity.logout(&ann.caller).await.unwrap();
    assert!(identity.member_token(&ann.caller).await.is_none(), "the sign-in has ended");
}

#[actix_web::test]
async fn a_sign_out_forgets_the_sign_in_and_returns_its_id_token() {
    use secrecy::ExposeSecret as _;
    let hub = Hub::start().await;
    let signed_in = hub.sign_in(person(oidc("a"), "1", "ann")).await.unwrap();
    let token = signed_in.caller.token_id;
    let id_token = hub.identity.forget_external(token).await.unwrap();
    assert_eq!(id_token.unwrap().expose_secret(), "an.id.token");
    assert!(hub.identity.forget_external(token).await.unwrap().is_none());
    hub.identity.logout(&signed_in.caller).await.unwrap();
    assert!(!hub.is_alive(&signed_in));
}

#[actix_web::test]
async fn users_are_listed_with_their_source() {
    let hub = Hub::start().await;
    hub.sign_in(person(oidc("a"), "1", "ann")).await.unwrap();
    hub.sign_in(person(Source::Proxy, "bob", "bob")).await.unwrap();
    let filter = UserFilter { limit: 10, ..UserFilter::default() };
    // The users are stored in the background.
    let listed = loop {
        let page = hub.store.users(filter.clone()).await.unwrap();
        if page.items.len() == 2 {
            break page.items;
        }
        tokio::task::yield_now().await;
    };
    let sources: Vec<_> = listed.iter().map(|user| user.source.clone()).collect();
    assert_eq!(sources, [UserSource::Oidc("a".to_owned()), UserSource::Proxy]);
    assert_eq!(listed[0].source.to_string(), "oidc:a");
}
