use super::*;
use crate::domain::role::Role;
use crate::store::accounts::{Account, AccountStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

#[test]
fn codes_are_those_of_rfc_6238() {
    // Appendix B, SHA-1, the last six of eight digits.
    let shared = b"12345678901234567890";
    let totp = Builder::new().with_secret(Secret::new(shared.to_vec().into_boxed_slice())).build().unwrap();
    for (time, code) in
        [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
    {
        assert_eq!(totp.generate(time).to_string(), code);
        assert_eq!(totp.check(code, time), Some(time / 30));
    }
}

#[test]
fn recovery_codes_are_random_and_hashed_without_hyphens_and_case() {
    let (first, second) = (recovery_code(), recovery_code());
    assert_ne!(first, second);
    assert_eq!((first.len(), digits(&first).len()), (RECOVERY_CHARS + 3, RECOVERY_CHARS));
    assert_eq!(recovery_hash(&first), recovery_hash(&first.to_uppercase().replace('-', " ")));
    assert_ne!(recovery_hash(&first), recovery_hash(&second));
}

#[tokio::test]
async fn second_factors_outlive_the_previous_secret_once_they_are_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { path: folder.path().join("hub.db"), outbox: None };
    let store = Arc::new(SqliteStore::open(options).unwrap());
    let ann = UserName::parse("ann").unwrap();
    let account = Account {
        username: ann.clone(),
        name: "Ann".to_owned(),
        rights: Role::Staff.into(),
        password_hash: "hash".to_owned(),
    };
    store.put_account(account, None).await.unwrap();
    let old = secret("a secret of more than thirty-two bytes");
    let new = secret("another secret of more than thirty-two bytes");
    let sealed = SealingKey::derive(&old, PURPOSE).unwrap().seal("ann", b"12345678901234567890").unwrap();
    let factor = SecondFactor { username: ann.clone(), secret: sealed, last_step: 0, since: Timestamp::UNIX_EPOCH };
    assert!(store.add_second_factor(factor, Vec::new()).await.unwrap());

    let during = SecondFactors::new(store.clone(), &new, Some(&old), "").unwrap();
    during.renew().await.unwrap();

    let stored = store.second_factor(&ann).await.unwrap().unwrap().secret;
    let opened = SealingKey::derive(&new, PURPOSE).unwrap().open("ann", &stored);
    assert_eq!(opened.as_deref(), Some(&b"12345678901234567890"[..]));
}
