use super::*;

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
fn a_sealed_secret_opens_with_its_key_for_its_user_only() {
    let (ann, bob) = (UserName::parse("ann").unwrap(), UserName::parse("bob").unwrap());
    let key = Key::derive(&secret("a secret of more than thirty-two bytes")).unwrap();
    let sealed = key.seal(&ann, b"12345678901234567890").unwrap();
    assert!(!sealed.windows(8).any(|part| part == b"12345678"));
    assert_eq!(key.open(&ann, &sealed).as_deref(), Some(&b"12345678901234567890"[..]));
    assert_eq!(key.open(&bob, &sealed), None);
    assert_eq!(Key::derive(&secret("another secret of more than thirty-two bytes")).unwrap().open(&ann, &sealed), None);
    assert_eq!(key.open(&ann, &sealed[..5]), None);
}

#[test]
fn recovery_codes_are_random_and_hashed_without_hyphens_and_case() {
    let (first, second) = (recovery_code(), recovery_code());
    assert_ne!(first, second);
    assert_eq!((first.len(), digits(&first).len()), (RECOVERY_CHARS + 3, RECOVERY_CHARS));
    assert_eq!(recovery_hash(&first), recovery_hash(&first.to_uppercase().replace('-', " ")));
    assert_ne!(recovery_hash(&first), recovery_hash(&second));
}
