//! Tests of how a store keeps sign-ins, the ends of tokens, and second factors.

use eduhub::domain::role::Role;
use eduhub::store::accounts::{Account, AccountStore, EndedTokens};
use eduhub::store::sign_ins::{SecondFactor, SecondFactorStore, SignInStore, StoredSignIn};
use uuid::Uuid;

use super::fixture::{StoreFixture, block_on};
use crate::college::{minute, user};

fn sign_in(id: u128, name: &str, since: i64) -> StoredSignIn {
    StoredSignIn {
        id: Uuid::from_u128(id),
        user: user(name),
        device: "a browser".to_owned(),
        address: "192.0.2.1".to_owned(),
        since: minute(since),
        last_seen: minute(since),
        expires_at: minute(since + 100),
    }
}

fn account(name: &str, hash: &str) -> Account {
    Account { username: user(name), name: name.to_owned(), rights: Role::Staff.into(), password_hash: hash.to_owned() }
}

fn factor(name: &str, step: u64) -> SecondFactor {
    SecondFactor { username: user(name), secret: vec![0, 1, 255], last_step: step, since: minute(1) }
}

pub(crate) fn sign_ins_are_read_back_and_expire<F: StoreFixture>() {
    let fixture = F::create();
    let (first, second, third) = (sign_in(1, "ann", 1), sign_in(2, "ann", 2), sign_in(3, "bob", 3));
    let store = fixture.open();
    block_on(store.record_sign_ins(vec![second.clone(), third.clone(), first.clone()])).unwrap();
    let all = |store: &F::Store, now| block_on(store.sign_ins(minute(now))).unwrap();
    assert_eq!(all(&store, 4), [first.clone(), second.clone(), third.clone()]);
    let seen = |at| StoredSignIn { last_seen: minute(at), device: "another".to_owned(), ..second.clone() };
    block_on(store.record_sign_ins(vec![seen(9), seen(5)])).unwrap();
    block_on(store.delete_sign_in(third.id)).unwrap();
    let second = StoredSignIn { last_seen: minute(9), ..second };
    drop(store);
    let store = fixture.open();
    assert_eq!(all(&store, 4), [first, second.clone()]);
    assert_eq!(all(&store, 101).len(), 1, "one has expired");
    block_on(store.delete_expired_sign_ins(minute(101))).unwrap();
    assert_eq!(all(&store, 4), [second]);
}

pub(crate) fn a_password_change_keeps_one_token_until_a_later_end<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let token = Uuid::from_u128(7);
    let ended = |up_to, spared| EndedTokens { user: user("ann"), up_to: minute(up_to), spared };
    block_on(store.put_account(account("ann", "first"), None)).unwrap();
    let change = |new: &str, old: &str, at| {
        block_on(store.change_password(account("ann", new), old.to_owned(), minute(at), token)).unwrap()
    };
    assert!(!change("second", "another", 1), "the account has a different hash");
    assert_eq!(block_on(store.ended_tokens()).unwrap(), []);
    assert!(change("second", "first", 2));
    assert_eq!(block_on(store.account(&user("ann"))).unwrap().unwrap().password_hash, "second");
    assert_eq!(block_on(store.ended_tokens()).unwrap(), [ended(2, Some(token))]);
    block_on(store.revoke_tokens(&user("ann"), minute(1))).unwrap();
    assert_eq!(block_on(store.ended_tokens()).unwrap(), [ended(2, Some(token))], "an earlier end changes nothing");
    block_on(store.revoke_tokens(&user("ann"), minute(3))).unwrap();
    assert_eq!(block_on(store.ended_tokens()).unwrap(), [ended(3, None)]);
}

pub(crate) fn steps_and_recovery_codes_are_used_once<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let (ann, codes) = (user("ann"), vec![[1; 32], [2; 32]]);
    assert!(!block_on(store.add_second_factor(factor("ann", 5), codes.clone())).unwrap(), "there is no account");
    block_on(store.put_account(account("ann", "hash"), None)).unwrap();
    assert!(block_on(store.add_second_factor(factor("ann", 5), codes.clone())).unwrap());
    assert!(!block_on(store.add_second_factor(factor("ann", 9), codes)).unwrap(), "the account has one");
    let step = |step| block_on(store.use_step(&ann, step)).unwrap();
    assert_eq!([step(5), step(7), step(7), step(6), step(8)], [false, true, false, false, true]);
    let code = |byte| block_on(store.use_recovery_code(&ann, [byte; 32])).unwrap();
    assert_eq!([code(1), code(1), code(3)], [true, false, false]);
    drop(store);
    let store = fixture.open();
    assert_eq!(block_on(store.second_factor(&ann)).unwrap(), Some(factor("ann", 8)));
    let renewed = SecondFactor { secret: vec![9; 9], ..factor("ann", 8) };
    for old in [vec![7; 7], factor("ann", 8).secret] {
        block_on(store.replace_secret(&ann, old, renewed.secret.clone())).unwrap();
    }
    assert_eq!(block_on(store.second_factors()).unwrap(), std::slice::from_ref(&renewed));
    block_on(store.replace_secret(&ann, factor("ann", 8).secret, vec![1])).unwrap();
    assert_eq!(block_on(store.second_factor(&ann)).unwrap(), Some(renewed), "another secret is not replaced");
    assert!(block_on(store.remove_second_factor(&ann)).unwrap());
    assert!(!block_on(store.remove_second_factor(&ann)).unwrap());
    assert!(!block_on(store.use_recovery_code(&ann, [2; 32])).unwrap(), "the codes are removed with it");
    assert!(block_on(store.add_second_factor(factor("ann", 1), vec![[4; 32]])).unwrap());
    block_on(store.remove_account(&ann, minute(1))).unwrap();
    assert_eq!(block_on(store.second_factor(&ann)).unwrap(), None);
    assert!(!block_on(store.use_recovery_code(&ann, [4; 32])).unwrap());
}
