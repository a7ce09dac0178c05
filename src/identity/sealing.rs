//! Encrypts what the store must not disclose, with AES-256-GCM-SIV (RFC 8452). The owner, such as a username, is
//! authenticated, so that a value cannot be moved to another owner. The key is derived from the hub's secret with
//! HKDF-SHA256 (RFC 5869).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::store::StoreError;

/// Salt of all keys. The purpose distinguishes them.
const SALT: &[u8] = b"eduhub";
/// Start of an encrypted text: the version of its format. The base64 of what [`SealingKey::seal`] returns follows.
const VERSION: &str = "1.";

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
    pub(super) fn seal(&self, owner: &str, value: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut sealed = value.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(owner), &mut sealed)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// Returns the value; `None` if it was not encrypted with this key for this owner.
    pub(super) fn open(&self, owner: &str, stored: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = stored.to_vec();
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let opened = self.0.open_in_place(Nonce::from(&*nonce), Aad::from(owner), sealed).ok()?;
        Some(opened.to_vec())
    }
}

/// The keys for one purpose: that of the current secret encrypts texts, that of the previous secret only reads them.
pub(super) struct TextSeal {
    current: SealingKey,
    previous: Option<SealingKey>,
}

impl TextSeal {
    /// Derives the keys for a purpose.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub(super) fn new(
        secret: &SecretString,
        previous: Option<&SecretString>,
        purpose: &[u8],
    ) -> Result<Self, StoreError> {
        let failed = |_| StoreError::Unavailable("the key of the stored tokens could not be derived".to_owned());
        let derive = |secret| SealingKey::derive(secret, purpose).map_err(failed);
        Ok(Self { current: derive(secret)?, previous: previous.map(derive).transpose()? })
    }

    /// Encrypts a text for the store; `None` if that fails, which never happens for a text as long as a token.
    pub(super) fn seal(&self, owner: &str, text: &SecretString) -> Option<SecretString> {
        let bytes = self.current.seal(owner, text.expose_secret().as_bytes()).ok()?;
        Some(SecretString::from(format!("{VERSION}{}", STANDARD_NO_PAD.encode(bytes))))
    }

    /// Returns a stored text; `None` if it was not encrypted with the current key for this owner.
    pub(super) fn open(&self, owner: &str, stored: &SecretString) -> Option<SecretString> {
        open_with(&self.current, owner, stored)
    }

    /// Returns what replaces a stored text at the start: the same text, encrypted with the current key. Texts that an
    /// earlier version stored unencrypted are encrypted. A text that cannot be decrypted is removed.
    pub(super) fn renewed(&self, owner: &str, stored: &SecretString) -> Option<SecretString> {
        if self.open(owner, stored).is_some() {
            return Some(stored.clone());
        }
        let text = match stored.expose_secret().starts_with(VERSION) {
            true => open_with(self.previous.as_ref()?, owner, stored)?,
            false => stored.clone(),
        };
        self.seal(owner, &text)
    }
}

fn open_with(key: &SealingKey, owner: &str, stored: &SecretString) -> Option<SecretString> {
    let encoded = stored.expose_secret().strip_prefix(VERSION)?;
    let text = key.open(owner, &STANDARD_NO_PAD.decode(encoded).ok()?)?;
    Some(SecretString::from(String::from_utf8(text).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str, purpose: &[u8]) -> SealingKey {
        SealingKey::derive(&SecretString::from(secret), purpose).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_with_its_key_for_its_owner_only() {
        let own = key("a secret of more than thirty-two bytes", b"purpose");
        let sealed = own.seal("ann", b"12345678901234567890").unwrap();
        assert!(!sealed.windows(8).any(|part| part == b"12345678"));
        assert_eq!(own.open("ann", &sealed).as_deref(), Some(&b"12345678901234567890"[..]));
        assert_eq!(own.open("bob", &sealed), None);
        assert_eq!(key("another secret of more than thirty-two bytes", b"purpose").open("ann", &sealed), None);
        assert_eq!(key("a secret of more than thirty-two bytes", b"other").open("ann", &sealed), None);
        assert_eq!(own.open("ann", &sealed[..5]), None);
    }
}
