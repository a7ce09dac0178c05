//! Encrypts what the store must not disclose, with AES-256-GCM-SIV (RFC 8452). The username is authenticated, so that a
//! value cannot be moved to another user. The key is derived from the hub's secret with HKDF-SHA256 (RFC 5869).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::ids::UserName;

/// Salt of all keys. The purpose distinguishes them.
const SALT: &[u8] = b"eduhub";

/// A key for one purpose that is derived from a secret of the hub.
pub(super) struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    /// Derives the key for a purpose.
    pub(super) fn derive(secret: &SecretString, purpose: &[u8]) -> Result<Self, Unspecified> {
        let mut bytes = [0; 32];
        let secret = Salt::new(HKDF_SHA256, SALT).extract(secret.expose_secret().as_bytes());
        secret.expand(&[purpose], &AES_256_GCM_SIV)?.fill(&mut bytes)?;
        Ok(Self(RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes)?))
    }

    /// Returns a nonce (12 bytes), the encrypted value, and its tag.
    pub(super) fn seal(&self, user: &UserName, value: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut sealed = value.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(user.as_str()), &mut sealed)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// Returns the value; `None` if it was not encrypted with this key for this user.
    pub(super) fn open(&self, user: &UserName, stored: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = stored.to_vec();
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let opened = self.0.open_in_place(Nonce::from(&*nonce), Aad::from(user.as_str()), sealed).ok()?;
        Some(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str, purpose: &[u8]) -> SealingKey {
        SealingKey::derive(&SecretString::from(secret), purpose).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_with_its_key_for_its_user_only() {
        let (ann, bob) = (UserName::parse("ann").unwrap(), UserName::parse("bob").unwrap());
        let own = key("a secret of more than thirty-two bytes", b"purpose");
        let sealed = own.seal(&ann, b"12345678901234567890").unwrap();
        assert!(!sealed.windows(8).any(|part| part == b"12345678"));
        assert_eq!(own.open(&ann, &sealed).as_deref(), Some(&b"12345678901234567890"[..]));
        assert_eq!(own.open(&bob, &sealed), None);
        assert_eq!(key("another secret of more than thirty-two bytes", b"purpose").open(&ann, &sealed), None);
        assert_eq!(key("a secret of more than thirty-two bytes", b"other").open(&ann, &sealed), None);
        assert_eq!(own.open(&ann, &sealed[..5]), None);
    }
}
