use std::net::IpAddr;

use totp_rs::{Builder, Secret};

use super::*;
use crate::domain::role::Role;
use crate::identity::accounts::Removal;
use crate::identity::service::tests::{Hub, user};
use crate::identity::sign_in::{Client, SignIn};
use crate::identity::sign_in_list::{Device, PER_USER_MAX};
use crate::identity::token::{TokenError, Tokens};
use crate::store::accounts::AccountStore as _;
use crate::store::sign_ins::SignInStore;

const PASSWORD: &str = "correct horse";
const HOME: Client<'_> = Client { address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), device: None };

async fn change(hub: &Hub, by: &SignIn, current: &str, new: &str) -> Result<PasswordChange, SignInError> {
    let account = hub.identity().own_account(&by.caller).await.unwrap().unwrap();
    hub.identity().change_own_password(&by.caller, account, current.into(), new.into(), HOME).await
}

async fn sign_in_with(hub: &Hub, code: Option<&str>) -> Result<SignIn, SignInError> {
    hub.identity().sign_in_with("ann", PASSWORD.into(), code, HOME, &Device { agent: "a browser".to_owned() }).await
}

#[actix_web::test]
async fn a_password_change_ends_the_users_other_sign_ins() {
    let mut hub = Hub::start().await;
    hub.put("ann", Role::Staff, Some(PASSWORD)).await;
    let (own, other) = (hub.sign_in("ann", PASSWORD).await.unwrap(), hub.sign_in("ann", PASSWORD).await.unwrap());
    assert_eq!(change(&hub, &own, PASSWORD, "battery staple").await, Ok(PasswordChange::Changed));
    for _ in 0..2 {
        assert!(hub.identity().verify(&own.token).is_ok(), "the sign-in that changed the password stays");
        assert_eq!(hub.identity().verify(&other.token), Err(TokenError::SignedOut));
        assert_eq!(hub.identity().own_sign_ins(&own.caller).len(), 1);
        hub.restart().await;
    }
    assert_eq!(hub.sign_in("ann", PASSWORD).await.unwrap_err(), SignInError::BadCredentials);
    assert!(hub.sign_in("ann", "battery staple").await.is_ok());
    assert_eq!(*hub.bus.0.lock(), [("ann".to_owned(), None)]);
    hub.identity().sign_out_everywhere(&user("ann")).await.unwrap();
    assert_eq!(hub.identity().verify(&own.token), Err(TokenError::SignedOut), "it does not outlive a later end");
}

#[actix_web::test]
async fn a_refused_password_change_changes_nothing() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Staff, Some(PASSWORD)).await;
    let (own, other) = (hub.sign_in("ann", PASSWORD).await.unwrap(), hub.sign_in("ann", PASSWORD).await.unwrap());
    let table = [
        ("wrong", "battery staple", PasswordChange::WrongPassword),
        (PASSWORD, "short", PasswordChange::Weak(WeakPassword::TooShort)),
        (PASSWORD, "Password2026!", PasswordChange::Weak(WeakPassword::Common)),
        (PASSWORD, PASSWORD, PasswordChange::Unchanged),
    ];
    for (current, new, expected) in table {
        assert_eq!(change(&hub, &own, current, new).await, Ok(expected), "{new}");
    }
    assert!(hub.identity().verify(&other.token).is_ok());
    assert!(hub.sign_in("ann", PASSWORD).await.is_ok());
}

#[actix_web::test]
async fn wrong_current_passwords_count_as_failed_sign_ins() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Staff, Some(PASSWORD)).await;
    let own = hub.sign_in("ann", PASSWORD).await.unwrap();
    for _ in 0..3 {
        assert_eq!(change(&hub, &own, "wrong", "battery staple").await, Ok(PasswordChange::WrongPassword));
    }
    let limited = change(&hub, &own, PASSWORD, "battery staple").await;
    assert!(matches!(limited, Err(SignInError::RateLimited { .. })), "{limited:?}");
    assert!(matches!(hub.sign_in("ann", PASSWORD).await, Err(SignInError::RateLimited { .. })));
}

#[actix_web::test]
async fn only_a_sign_in_to_a_local_account_can_manage_the_account() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Staff, Some(PASSWORD)).await;
    let own = hub.sign_in("ann", PASSWORD).await.unwrap();
    let tokens = Tokens::new(&"a secret of more than thirty-two bytes".into());
    let ttl = std::time::Duration::from_secs(60);
    let minted = tokens.mint(&user("ann"), None, Role::Staff, ttl, hub.identity().clock.now()).unwrap().caller;
    assert_eq!(hub.identity().own_account(&minted).await.unwrap(), Err(NoOwnAccount::Token));
    let by_plone = Caller { source: Source::Plone, ..own.caller.clone() };
    assert_eq!(hub.identity().own_account(&by_plone).await.unwrap(), Err(NoOwnAccount::Plone));
    assert!(hub.identity().own_account(&own.caller).await.unwrap().is_ok());
}

#[actix_web::test]
async fn sign_ins_are_listed_and_ended_even_after_a_restart() {
    let mut hub = Hub::start().await;
    hub.put("ann", Role::Student, Some(PASSWORD)).await;
    hub.put("bob", Role::Student, Some(PASSWORD)).await;
    let bob = hub.sign_in("bob", PASSWORD).await.unwrap();
    let first = sign_in_with(&hub, None).await.unwrap();
    hub.advance_ms(1_000);
    let second = sign_in_with(&hub, None).await.unwrap();
    for _ in 0..2 {
        let own = hub.identity().own_sign_ins(&first.caller);
        let ids: Vec<_> = own.iter().map(|one| (one.id, one.device.as_str(), one.address.as_str())).collect();
        let expected = [second.caller.token_id, first.caller.token_id].map(|id| (id, "a browser", "192.0.2.1"));
        assert_eq!(ids, expected);
        let stored = async || hub.store.as_ref().unwrap().sign_ins(hub.identity().clock.now()).await.unwrap();
        while stored().await.len() < 3 {
            tokio::task::yield_now().await;
        }
        hub.restart().await;
    }
    assert!(!hub.identity().end_own_sign_in(&first.caller, bob.caller.token_id).await.unwrap());
    assert!(hub.identity().end_own_sign_in(&first.caller, second.caller.token_id).await.unwrap());
    assert!(!hub.identity().end_own_sign_in(&first.caller, second.caller.token_id).await.unwrap());
    for _ in 0..2 {
        assert_eq!(hub.identity().verify(&second.token), Err(TokenError::SignedOut));
        assert!(hub.identity().verify(&first.token).is_ok() && hub.identity().verify(&bob.token).is_ok());
        assert_eq!(hub.identity().own_sign_ins(&first.caller).len(), 1);
        hub.restart().await;
    }
    assert_eq!(*hub.bus.0.lock(), [("ann".to_owned(), Some(second.caller.token_id))]);
    hub.advance_ms(60_000);
    assert_eq!(hub.identity().own_sign_ins(&first.caller), []);
}

#[actix_web::test]
async fn the_list_of_a_user_is_bounded_and_last_seen_advances_in_steps() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Student, Some(PASSWORD)).await;
    let (first, now) = (hub.sign_in("ann", PASSWORD).await.unwrap(), hub.identity().clock.now());
    let list = &hub.identity().sign_in_list;
    let step = jiff::SignedDuration::from_mins(10);
    let seen = |at| {
        list.record_seen(&first.caller, at);
        list.of(&user("ann"))[0].last_seen
    };
    assert_eq!(seen(now), now);
    assert_eq!(seen(now + step), now + step);
    assert_eq!(seen(now), now + step, "it never goes back");
    for n in 0..PER_USER_MAX {
        let other = Caller { token_id: uuid::Uuid::from_u128(n as u128), ..first.caller.clone() };
        list.add(&other, &Device::default(), "192.0.2.1".to_owned(), now);
    }
    assert_eq!(list.of(&user("ann")).len(), PER_USER_MAX);
    assert!(hub.identity().verify(&first.token).is_ok(), "a sign-in that is not listed stays valid");
}

/// Sets up a second factor for ann. Returns the recovery codes, and the code for each time.
async fn with_factor(hub: &Hub) -> (Vec<String>, impl Fn(i64) -> String + use<>) {
    hub.put("ann", Role::Admin, Some(PASSWORD)).await;
    let account = hub.store.as_ref().unwrap().account(&user("ann")).await.unwrap().unwrap();
    let begin =
        async |password: &str| hub.identity().begin_own_factor(&account, Some(password.into()), HOME).await.unwrap();
    let new = begin(PASSWORD).await.unwrap();
    let secret = Secret::try_from_base32(&new.secret).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let clock = hub.identity().clock.clone();
    let code = move |later_s: i64| totp.generate((clock.now().as_second() + later_s) as u64).to_string();
    assert_eq!(hub.identity().confirm_factor(&user("ann"), "000").await, Err(FactorError::Wrong));
    assert!(sign_in_with(hub, None).await.is_ok(), "before the confirmation no code is needed");
    let recovery = hub.identity().confirm_factor(&user("ann"), &code(0)).await.unwrap();
    (recovery, code)
}

#[actix_web::test]
async fn the_setup_of_a_second_factor_needs_the_password() {
    let hub = Hub::start().await;
    hub.put("ann", Role::Admin, Some(PASSWORD)).await;
    let account = hub.store.as_ref().unwrap().account(&user("ann")).await.unwrap().unwrap();
    let begin = async |password: Option<&str>| {
        hub.identity().begin_own_factor(&account, password.map(SecretString::from), HOME).await
    };
    assert_eq!(begin(None).await.unwrap().unwrap_err(), FactorError::Wrong);
    assert!(begin(Some(PASSWORD)).await.unwrap().is_ok());
    for _ in 0..3 {
        assert_eq!(begin(Some("wrong")).await.unwrap().unwrap_err(), FactorError::Wrong);
    }
    let limited = begin(Some("wrong")).await;
    assert!(matches!(limited, Err(SignInError::RateLimited { .. })), "guesses count: {limited:?}");
}

#[actix_web::test]
async fn a_second_factor_needs_a_code_of_a_new_time_step() {
    let mut hub = Hub::start().await;
    let (_, code) = with_factor(&hub).await;
    assert_eq!(sign_in_with(&hub, None).await.unwrap_err(), SignInError::CodeRequired);
    // The code that confirmed the second factor was used.
    assert_eq!(sign_in_with(&hub, Some(&code(0))).await.unwrap_err(), SignInError::WrongCode);
    assert!(sign_in_with(&hub, Some(&code(30))).await.is_ok(), "one step of skew");
    hub.restart().await;
    assert_eq!(sign_in_with(&hub, Some(&code(30))).await.unwrap_err(), SignInError::WrongCode, "a replay");
    hub.advance_ms(120_000);
    let spaced = format!("{} {}", &code(-30)[..3], &code(-30)[3..]);
    assert!(sign_in_with(&hub, Some(&spaced)).await.is_ok(), "one step of skew");
    assert_eq!(sign_in_with(&hub, Some(&code(60))).await.unwrap_err(), SignInError::WrongCode);
    assert_eq!(hub.sign_in("ann", "wrong").await.unwrap_err(), SignInError::BadCredentials);
}

#[actix_web::test]
async fn wrong_codes_count_as_failed_sign_ins_and_missing_ones_do_not() {
    let hub = Hub::start().await;
    let (_, code) = with_factor(&hub).await;
    for _ in 0..5 {
        assert_eq!(sign_in_with(&hub, None).await.unwrap_err(), SignInError::CodeRequired);
    }
    for _ in 0..3 {
        assert_eq!(sign_in_with(&hub, Some("000 000")).await.unwrap_err(), SignInError::WrongCode);
    }
    let limited = sign_in_with(&hub, Some(&code(30))).await;
    assert!(matches!(limited, Err(SignInError::RateLimited { .. })), "{limited:?}");
}

#[actix_web::test]
async fn a_recovery_code_replaces_a_code_once() {
    let hub = Hub::start().await;
    let (recovery, _) = with_factor(&hub).await;
    assert_eq!(recovery.len(), crate::identity::second_factor::RECOVERY_CODES);
    let typed = recovery[0].to_uppercase().replace('-', " ");
    assert!(sign_in_with(&hub, Some(&typed)).await.is_ok());
    assert_eq!(sign_in_with(&hub, Some(&recovery[0])).await.unwrap_err(), SignInError::WrongCode);
    assert!(sign_in_with(&hub, Some(&recovery[1])).await.is_ok());
}

#[actix_web::test]
async fn second_factors_are_removed_with_a_proof_a_reset_or_the_account() {
    let hub = Hub::start().await;
    let (recovery, _) = with_factor(&hub).await;
    let identity = hub.identity();
    let own = sign_in_with(&hub, Some(&recovery[0])).await.unwrap();
    let account = identity.own_account(&own.caller).await.unwrap().unwrap();
    let remove = async |proof: Proof| identity.remove_own_factor(&account, &proof, HOME).await.unwrap();
    let again = identity.begin_own_factor(&account, Some(PASSWORD.into()), HOME).await.unwrap();
    assert_eq!(again.unwrap_err(), FactorError::Exists);
    assert_eq!(remove(Proof::Password("wrong".into())).await, Err(FactorError::Wrong));
    assert_eq!(remove(Proof::Code("000000".to_owned())).await, Err(FactorError::Wrong));
    assert_eq!(sign_in_with(&hub, None).await.unwrap_err(), SignInError::CodeRequired);
    assert_eq!(remove(Proof::Code(recovery[1].clone())).await, Ok(()));
    assert_eq!(remove(Proof::Password(PASSWORD.into())).await, Err(FactorError::Absent));
    assert!(sign_in_with(&hub, None).await.is_ok());

    let _ = with_factor(&hub).await;
    assert!(identity.reset_factor(&user("ann")).await.unwrap() && !identity.reset_factor(&user("ann")).await.unwrap());
    assert!(sign_in_with(&hub, None).await.is_ok());

    hub.put("bob", Role::Admin, Some(PASSWORD)).await;
    let _ = with_factor(&hub).await;
    assert_eq!(identity.remove_account(&user("ann")).await.unwrap(), Removal::Removed);
    hub.put("ann", Role::Student, Some(PASSWORD)).await;
    assert!(sign_in_with(&hub, None).await.is_ok(), "a new account does not inherit the second factor");
}
