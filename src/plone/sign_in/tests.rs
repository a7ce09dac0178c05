//! Tests of sign-in through Plone against a fake directory, with a clock that the tests control.

use std::sync::atomic::Ordering;

use super::fixture_tests::{DAY_MS, Hub, RECHECK_MS, SECRET, TOKEN_S, outage, person, user};
use super::*;
use crate::clock::Clock;
use crate::domain::rights::Subjects;
use crate::identity::sign_in::PasswordCheck;
use crate::identity::token::{TokenError, Tokens};
use crate::store::accounts::AuditFilter;
use crate::store::members::MemberStore;

const BY_PLONE: PasswordCheck = PasswordCheck::Provider("Plone");
const OFFLINE: PasswordCheck = PasswordCheck::LastAccepted("Plone");

/// Asserts that the hub did not admit a user whose password Plone accepted, for a reason that contains `text`.
fn assert_not_admitted(outcome: Result<impl std::fmt::Debug, SignInError>, text: &str) {
    let reason = match outcome {
        Err(SignInError::NotAdmitted { provider: "Plone", reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason.contains(text), "{text:?} is not in {reason:?}");
}

fn failed_with(error: PloneError) -> SignInError {
    SignInError::Provider(provider_error(error))
}

#[actix_web::test]
async fn plones_roles_and_groups_determine_the_role() {
    let hub = Hub::start().await;
    hub.put_user("eve", "eve", Some(person(&["Authenticated"], &["choir"])));
    hub.put_user("may", "may", Some(person(&["Member"], &["desk"])));
    hub.put_user("gone", "gone", None);
    let table = [("ann", Role::Student), ("sam", Role::Staff), ("ada", Role::Admin), ("may", Role::Staff)];
    for (name, role) in table {
        let signed_in = hub.sign_in(name, "good").await.unwrap();
        assert_eq!((signed_in.check, signed_in.caller.source.clone()), (BY_PLONE, Source::Plone));
        assert_eq!(hub.identity.verify(&signed_in.token).as_ref(), Ok(&signed_in.caller));
        assert_eq!(signed_in.caller.role, role, "{name}");
    }
    for name in ["eve", "gone"] {
        assert_not_admitted(hub.sign_in(name, "good").await, "no role in EduHub");
    }
}

#[actix_web::test]
async fn login_names_of_one_plone_id_are_one_user() {
    let hub = Hub::start().await;
    for login in ["ann@college.edu", "ANN@college.edu"] {
        hub.put_user(login, "ann", Some(person(&["Member"], &[])));
        assert_eq!(hub.sign_in_and_store(login).await.caller.user, user("ann"));
    }
    hub.fail(outage());
    for (login, known) in [("ANN@college.edu", true), ("ann", true), ("ann@college.edu", false)] {
        assert_eq!(hub.sign_in(login, "good").await.is_ok(), known, "{login}: the id and the last login name work");
    }
}

#[actix_web::test]
async fn plone_ids_that_are_not_user_names_are_not_admitted() {
    let hub = Hub::start().await;
    hub.put_user("odd", "a name with spaces", Some(person(&["Member"], &[])));
    assert_not_admitted(hub.sign_in("odd", "good").await, "user id cannot be used");
}

#[actix_web::test]
async fn new_plone_ids_that_are_not_normalized_are_not_admitted() {
    let hub = Hub::start().await;
    for id in ["jose\u{301}", "\u{ff41}nn", "an\u{200b}n"] {
        hub.put_user("odd", id, Some(person(&["Member"], &[])));
        assert_not_admitted(hub.sign_in("odd", "good").await, "user id cannot be used");
    }
    hub.put_user("odd", "josé", Some(person(&["Member"], &[])));
    assert!(hub.sign_in("odd", "good").await.is_ok());
}

#[actix_web::test]
async fn a_local_account_takes_precedence_over_a_plone_user() {
    let hub = Hub::start().await;
    let before = hub.sign_in_and_store("ann").await;
    hub.local_account("ann").await;
    assert_eq!(hub.ended(), ["ann"], "sign-ins through Plone with this name end");
    assert_eq!(hub.identity.verify(&before.token), Err(TokenError::SignedOut));
    let local = hub.sign_in("ann", "local password").await.unwrap();
    assert_eq!((local.check, local.caller.source), (PasswordCheck::Local, Source::Hub));
    assert_eq!(hub.sign_in("ann", "good").await.unwrap_err(), SignInError::BadCredentials);
    hub.put_user("ann@college.edu", "ann", Some(person(&["Manager"], &[])));
    assert_not_admitted(hub.sign_in("ann@college.edu", "good").await, "local EduHub account has this username");
}

#[actix_web::test]
async fn the_last_accepted_password_works_for_7_days_of_an_outage() {
    let failures =
        [PloneError::Open, PloneError::Unavailable("no connection".to_owned()), PloneError::Failed("500".to_owned())];
    for error in failures {
        let hub = Hub::start().await;
        hub.sign_in_and_store("ann").await;
        hub.fail(Some(error.clone()));
        let offline = hub.sign_in("ann", "good").await.unwrap();
        assert_eq!((offline.check, offline.caller.source), (OFFLINE, Source::Plone), "{error:?}");
        assert_eq!(hub.sign_in("ann", "wrong").await.unwrap_err(), SignInError::BadCredentials, "{error:?}");
        assert_eq!(hub.sign_in("sam", "good").await.unwrap_err(), failed_with(error.clone()));
        hub.pass_ms(7 * DAY_MS);
        assert!(hub.sign_in("ann", "good").await.is_ok(), "{error:?}");
        hub.pass_ms(1_000);
        assert_eq!(hub.sign_in("ann", "good").await.unwrap_err(), failed_with(error));
    }
}

#[actix_web::test]
async fn the_last_accepted_password_is_not_used_while_plone_responds() {
    let errors = [
        PloneError::Forbidden,
        PloneError::Refused("400".to_owned()),
        PloneError::NotFound,
        PloneError::Occupied("another write at the same time".to_owned()),
        PloneError::Busy,
    ];
    for error in errors {
        let hub = Hub::start().await;
        hub.sign_in_and_store("ann").await;
        hub.fail(Some(error.clone()));
        assert_eq!(hub.sign_in("ann", "good").await.unwrap_err(), failed_with(error));
        hub.fail(outage());
        assert!(hub.sign_in("ann", "good").await.is_ok(), "it stays valid for an outage");
    }
}

#[actix_web::test]
async fn a_hanging_plone_is_an_outage() {
    let hub = Hub::start().await;
    hub.sign_in_and_store("ann").await;
    *hub.plone.hangs.lock() = true;
    assert_eq!(hub.sign_in("ann", "good").await.unwrap().check, OFFLINE);
    let unknown = hub.sign_in("sam", "good").await;
    assert!(matches!(unknown, Err(SignInError::Provider(ProviderError::Unreachable(_)))));
}

#[actix_web::test]
async fn a_timeout_in_the_queue_without_any_response_is_an_outage() {
    let hub = Hub::start().await;
    hub.sign_in_and_store("ann").await;
    let _taken = hub.provider.permits.acquire().await.unwrap();
    assert_eq!(hub.sign_in("ann", "good").await.unwrap().check, OFFLINE);
    assert_eq!(hub.sign_in("sam", "good").await.unwrap_err(), SignInError::Provider(ProviderError::Hanging));
}

#[actix_web::test]
async fn a_timeout_in_the_queue_after_responses_is_not_an_outage() {
    let hub = Hub::start().await;
    hub.sign_in_and_store("ann").await;
    let _taken = hub.provider.permits.acquire().await.unwrap();
    let slots = hub.provider.queue_slots.available_permits();
    let another_response = async {
        while hub.provider.queue_slots.available_permits() == slots {
            tokio::task::yield_now().await;
        }
        hub.provider.responses.fetch_add(1, Ordering::Relaxed);
    };
    let (ann, ()) = futures_util::future::join(hub.sign_in("ann", "good"), another_response).await;
    assert_eq!(ann.unwrap_err(), SignInError::Provider(ProviderError::Busy));
}

#[actix_web::test]
async fn with_an_unreadable_profile_the_last_known_role_is_used() {
    let hub = Hub::start().await;
    hub.sign_in_and_store("sam").await;
    hub.change_user("sam", |sam| sam.password = "new");
    *hub.plone.person_error.lock() = outage();
    let again = hub.sign_in("sam", "new").await.unwrap();
    assert_eq!((again.check, again.caller.role), (BY_PLONE, Role::Staff));
    let unknown = hub.sign_in("ann", "good").await;
    assert!(matches!(unknown, Err(SignInError::Provider(_))), "the hub knows no role of ann");
}

#[actix_web::test]
async fn an_outdated_password_is_forgotten_after_plone_rejects_it() {
    let hub = Hub::start().await;
    hub.sign_in_and_store("ann").await;
    assert_eq!(hub.sign_in("ann", "guess").await.unwrap_err(), SignInError::BadCredentials);
    hub.fail(outage());
    assert!(hub.sign_in("ann", "good").await.is_ok());

    hub.fail(None);
    hub.change_user("ann", |ann| ann.password = "new");
    assert_eq!(hub.sign_in("ann", "good").await.unwrap_err(), SignInError::BadCredentials);
    hub.fail(outage());
    assert!(matches!(hub.sign_in("ann", "good").await, Err(SignInError::Provider(_))));
}

#[actix_web::test]
async fn a_lost_role_or_changed_password_ends_offline_sign_in() {
    let hub = Hub::start().await;
    hub.sign_in_and_store("ann").await;
    hub.sign_in_and_store("sam").await;
    hub.change_user("ann", |ann| ann.person = Some(person(&[], &[])));
    assert!(hub.sign_in("ann", "good").await.is_err());
    hub.change_user("sam", |sam| sam.password = "new");
    hub.sign_in("sam", "new").await.unwrap();
    hub.fail(outage());
    assert!(hub.sign_in("ann", "good").await.is_err());
    assert!(hub.sign_in("sam", "good").await.is_err());
}

#[actix_web::test]
async fn failed_sign_ins_are_limited_across_spellings() {
    let hub = Hub::start().await;
    *hub.plone.login_error.lock() = Some(PloneError::Locked("Locked\n for\t24 hours".to_owned()));
    let locked = SignInError::Locked { provider: "Plone", reason: "Locked for 24 hours".to_owned() };
    assert_eq!(hub.sign_in("ann", "good").await.unwrap_err(), locked);
    *hub.plone.login_error.lock() = None;
    for login in ["Ann", "ANN"] {
        assert_eq!(hub.sign_in(login, "wrong").await.unwrap_err(), SignInError::BadCredentials);
    }
    assert!(matches!(hub.sign_in("ann", "good").await, Err(SignInError::RateLimited { .. })));
    hub.pass_ms(21_000);
    assert!(hub.sign_in("ann", "good").await.is_ok());
}

#[actix_web::test]
async fn a_role_change_in_plone_ends_sign_ins_of_active_members() {
    let table: [(&str, Option<PlonePerson>, bool); 5] = [
        ("unchanged", Some(person(&["Member"], &[])), true),
        ("another name", Some(PlonePerson { name: Some("Ann".to_owned()), ..person(&["Member"], &[]) }), true),
        ("another role", Some(person(&["Member", "Editor"], &[])), false),
        ("no role", Some(person(&[], &[])), false),
        ("deleted", None, false),
    ];
    for (what, person, stays) in table {
        let mut hub = Hub::start().await;
        let plain_member = hub.provider.plain_member();
        let signed_in = hub.sign_in_and_store("ann").await;
        hub.change_user("ann", |ann| ann.person = person);
        hub.pass_ms(RECHECK_MS);
        hub.identity.verify(&signed_in.token).unwrap();
        assert!(hub.recheck().await);
        assert_eq!(hub.ended().is_empty(), stays, "{what}");
        assert_eq!(plain_member.borrow().is_some(), stays, "{what}: only a student is a plain member");
        hub.restart().await;
        assert_eq!(hub.identity.verify(&signed_in.token).is_ok(), stays, "{what}, after a restart");
    }
}

#[actix_web::test]
async fn a_changed_limit_in_plone_ends_sign_ins_within_the_recheck_time() {
    // Sam signs in as staff without a limit, or limited by the first groups; the groups change to the second.
    let table = [
        (vec!["desk"], vec!["math"], false),
        (vec!["math"], vec!["desk"], false),
        (vec!["math"], vec!["math", "x"], true),
        // Without the groups, the limit is not lifted: sam may work with no subject.
        (vec!["desk"], vec![], false),
    ];
    for (before, after, stays) in table {
        let hub = Hub::start().await;
        let groups = |groups: &[&str]| Some(person(&["Editor"], groups));
        hub.change_user("sam", |sam| sam.person = groups(&before));
        let signed_in = hub.sign_in_and_store("sam").await;
        let role = if before == ["desk"] { Role::Staff } else { Role::SubjectStaff };
        assert_eq!(signed_in.caller.role, role);
        hub.change_user("sam", |sam| sam.person = groups(&after));
        hub.pass_ms(RECHECK_MS);
        hub.identity.verify(&signed_in.token).unwrap();
        assert!(hub.recheck().await);
        assert_eq!(hub.identity.is_alive(&signed_in.caller), stays, "{before:?} {after:?}");
        hub.fail(outage());
        let offline = hub.sign_in("sam", "good").await.unwrap().caller;
        let limit = match after.first() {
            Some(&"desk") => None,
            Some(_) => Some(Subjects::parse(&["MATH"]).unwrap()),
            None => Some(Subjects::from(Vec::new())),
        };
        assert_eq!(offline.subjects, limit, "the stored limit applies during an outage");
    }
}

#[actix_web::test]
async fn a_new_role_applies_from_the_next_sign_in_even_during_an_outage() {
    let hub = Hub::start().await;
    let student = hub.sign_in_and_store("ann").await;
    hub.change_user("ann", |ann| ann.person = Some(person(&["Editor"], &["desk"])));
    hub.pass_ms(RECHECK_MS);
    assert!(hub.recheck().await);
    hub.fail(outage());
    assert_eq!(hub.sign_in("ann", "good").await.unwrap().caller.role, Role::Staff);
    assert!(!hub.identity.is_alive(&student.caller));
}

#[actix_web::test]
async fn a_sign_in_with_another_role_ends_earlier_sign_ins() {
    let hub = Hub::start().await;
    let before = hub.sign_in_and_store("sam").await;
    hub.change_user("sam", |sam| sam.person = Some(person(&["Member"], &[])));
    // The clock has not moved, so both sign-ins have the same millisecond.
    let after = hub.sign_in("sam", "good").await.unwrap();
    assert!(!hub.identity.is_alive(&before.caller));
    assert!(hub.identity.is_alive(&after.caller));
}

#[actix_web::test]
async fn sign_ins_stay_valid_during_an_outage() {
    let hub = Hub::start().await;
    let signed_in = hub.sign_in_and_store("ann").await;
    hub.fail(outage());
    hub.pass_ms(RECHECK_MS);
    assert!(!hub.recheck().await);
    assert!(hub.identity.is_alive(&signed_in.caller));
    // A server in front of Plone may respond with "not found" for every user.
    hub.fail(None);
    hub.plone.entries.lock().clear();
    assert!(!hub.recheck().await);
    assert!(hub.identity.is_alive(&signed_in.caller));
    assert!(hub.ended().is_empty());
}

#[actix_web::test]
async fn a_failure_for_one_member_does_not_stop_other_rechecks() {
    let hub = Hub::start().await;
    for name in ["ann", "sam", "ada"] {
        hub.sign_in_and_store(name).await;
        hub.bus.connected.lock().push(name);
        hub.pass_ms(1);
    }
    hub.plone.broken.lock().push("ann");
    for (round, name) in ["sam", "ada"].into_iter().enumerate() {
        hub.change_user(name, |entry| entry.person = None);
        hub.pass_ms(RECHECK_MS);
        hub.plone.profiles_read.lock().clear();
        assert!(hub.recheck().await, "Plone responds for the other members");
        assert_eq!(hub.ended().len(), round + 1, "the sign-in of {name} has ended");
        let reads = hub.plone.profiles_read.lock().iter().filter(|user| *user == "ann").count();
        assert_eq!(reads, 1, "a round reads each profile once");
    }
    hub.plone.broken.lock().clear();
    hub.change_user("ann", |ann| ann.person = None);
    assert!(hub.recheck().await);
    assert_eq!(hub.ended(), ["sam", "ada", "ann"]);

    // An error that affects all members ends the round.
    hub.sign_in_and_store("hub").await;
    for error in [PloneError::Busy, PloneError::Open, PloneError::Unavailable("no connection".to_owned())] {
        hub.fail(Some(error));
        hub.pass_ms(RECHECK_MS);
        hub.bus.connected.lock().push("hub");
        assert!(!hub.recheck().await);
    }
}

#[actix_web::test]
async fn minted_tokens_are_never_checked_with_plone() {
    let hub = Hub::start().await;
    let tokens = Tokens::new(&SecretString::from(SECRET));
    let minted = tokens.mint(&user("ann"), None, Role::Admin, Duration::from_secs(86_400), hub.clock.now()).unwrap();
    assert!(hub.identity.verify(&minted.token).is_ok());
    assert!(hub.recheck().await);
    assert!(hub.plone.profiles_read.lock().is_empty());
    let by_plone = hub.sign_in_and_store("ann").await;
    hub.change_user("ann", |ann| ann.person = None);
    hub.pass_ms(RECHECK_MS);
    assert!(hub.recheck().await);
    assert!(!hub.identity.is_alive(&by_plone.caller));
    assert!(hub.identity.verify(&minted.token).is_ok());
    assert!(hub.identity.member_token(&minted.caller).await.is_none());
}

#[actix_web::test]
async fn active_members_are_rechecked_once_per_interval() {
    let hub = Hub::start().await;
    let ann = hub.sign_in_and_store("ann").await;
    hub.sign_in_and_store("sam").await;
    hub.sign_in_and_store("ada").await;
    hub.bus.connected.lock().push("sam");
    hub.plone.profiles_read.lock().clear();
    hub.pass_ms(RECHECK_MS + 1);
    hub.identity.verify(&ann.token).unwrap();
    for _ in 0..3 {
        assert!(hub.recheck().await);
    }
    let mut read = hub.plone.profiles_read.lock().clone();
    read.sort_unstable();
    assert_eq!(read, ["ann", "sam"], "ann sends a request, sam has a live session, ada is not active");
}

#[actix_web::test]
async fn a_members_token_is_stored_until_sign_out_or_expiry() {
    let mut hub = Hub::start().await;
    let plain_member = hub.provider.plain_member();
    hub.sign_in_and_store("ada").await;
    assert!(plain_member.borrow().is_none(), "an admin is not a plain member");
    let ann = hub.sign_in_and_store("ann").await;
    let token = hub.identity.member_token(&ann.caller).await.unwrap();
    assert_eq!(plain_member.borrow().as_ref().unwrap().1.expose_secret(), token.expose_secret());
    assert_eq!(read_token(token.as_ref().clone()).unwrap().0, "ann");

    hub.restart().await;
    let caller = hub.identity.verify(&ann.token).unwrap();
    assert_eq!(hub.identity.member_token(&caller).await.unwrap().expose_secret(), token.expose_secret());
    hub.pass_ms(TOKEN_S * 1_000);
    assert!(hub.identity.member_token(&caller).await.is_none(), "it has expired");

    let again = hub.sign_in_and_store("ann").await;
    assert!(hub.identity.member_token(&again.caller).await.is_some());
    hub.identity.logout(&again.caller).await.unwrap();
    assert!(hub.identity.member_token(&again.caller).await.is_none());
    assert!(hub.identity.member_token(&caller).await.is_none(), "the earlier sign-in has no token, either");
    assert!(hub.store.member(&user("ann")).await.unwrap().unwrap().token.is_none());
}

#[actix_web::test]
async fn users_are_listed_with_the_source_of_their_sign_in() {
    let hub = Hub::start().await;
    hub.local_account("desk").await;
    hub.sign_in_and_store("ann").await;
    hub.sign_in("desk", "local password").await.unwrap();
    let minted = Tokens::new(&SecretString::from(SECRET));
    let minted = minted.mint(&user("robot"), None, Role::Staff, Duration::from_secs(60), hub.clock.now()).unwrap();
    hub.identity.verify(&minted.token).unwrap();
    let seen = || {
        hub.store.read(|connection| {
            let mut people = connection.prepare("SELECT username || ' ' || source FROM people ORDER BY username")?;
            people.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        })
    };
    while seen().await.unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(seen().await.unwrap(), ["ann plone", "desk local", "robot token"]);
}

#[actix_web::test]
async fn sign_ins_that_plone_ends_are_audited() {
    let hub = Hub::start().await;
    hub.sign_in_and_store("ann").await;
    hub.change_user("ann", |ann| ann.person = None);
    hub.pass_ms(RECHECK_MS);
    assert!(hub.recheck().await);
    hub.audit.flush().await;
    let filter = AuditFilter { user: Some("ann".to_owned()), limit: 10, ..AuditFilter::default() };
    let page = hub.audit.page(filter).await.unwrap();
    let entries: Vec<_> = page.items.iter().map(|entry| (entry.action.as_str(), entry.detail.text.as_str())).collect();
    assert_eq!(entries, [("login.ended", "Plone no longer has this user")]);
}
