//! Device cookies, as OWASP describes them ("Slow Down Online Guessing Attacks with Device Cookies"): a browser that
//! has signed in to an account proves it at its next sign-in. Its failed attempts are counted apart from everyone
//! else's, so that guesses of a stranger do not keep the user out.
//!
//! The cookie grants nothing else. It is bound to the account, each sign-in replaces it, and the failed attempts with
//! each cookie are bounded ([`crate::identity::attempts`]).

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use secrecy::{ExposeSecret, SecretString};

/// Name of the cookie.
pub const DEVICE_COOKIE: &str = "eduhub_device";
/// Lifetime of the cookie: half a year, so that it lasts from one registration to the next.
pub const DEVICE_LIFETIME: Duration = Duration::from_secs(180 * 24 * 3_600);
/// Longest value that is accepted, in bytes. The hub's own have 71.
const VALUE_LEN_MAX: usize = 128;

/// A device that has signed in. Each sign-in creates one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceId(u64);

#[cfg(test)]
impl DeviceId {
    pub(super) const fn of(number: u64) -> Self {
        Self(number)
    }
}

/// A signer and verifier of device cookies, with HMAC-SHA-256 and the hub's secret.
pub(super) struct Devices {
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl Devices {
    /// Creates a signer with the secret that signs tokens.
    pub(super) fn new(secret: &SecretString) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        Self { signing: EncodingKey::from_secret(bytes), verifying: DecodingKey::from_secret(bytes) }
    }

    /// Returns the value of a new cookie for `account`; `None` if it cannot be signed, which valid input never causes.
    pub(super) fn issue(&self, account: &str, now: Timestamp) -> Option<String> {
        let expires_s = now.as_second() + i64::try_from(DEVICE_LIFETIME.as_secs()).ok()?;
        let device = DeviceId(rand::random());
        let signature = crypto::sign(&message(account, device, expires_s), &self.signing, Algorithm::HS256).ok()?;
        Some(format!("{:016x}.{expires_s}.{signature}", device.0))
    }

    /// Returns the device whose cookie has this value, if it has signed in to `account`.
    pub(super) fn verify(&self, value: &str, account: &str, now: Timestamp) -> Option<DeviceId> {
        let mut parts = value.split('.');
        let (Some(id), Some(expires_s), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let (device, expires_s) = (DeviceId(u64::from_str_radix(id, 16).ok()?), expires_s.parse::<i64>().ok()?);
        if value.len() > VALUE_LEN_MAX || expires_s <= now.as_second() {
            return None;
        }
        let message = message(account, device, expires_s);
        let is_valid = crypto::verify(signature, &message, &self.verifying, Algorithm::HS256).unwrap_or(false);
        is_valid.then_some(device)
    }
}

/// Returns what is signed. It begins with a word that no token begins with, so that neither passes for the other.
fn message(account: &str, DeviceId(id): DeviceId, expires_s: i64) -> Vec<u8> {
    format!("eduhub device\n{id:016x}\n{expires_s}\n{account}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_device_is_known_to_its_account_until_it_expires() {
        let devices = Devices::new(&SecretString::from("a secret of more than thirty-two bytes"));
        let (ann, again) = (devices.issue("ann", at(1_000)).unwrap(), devices.issue("ann", at(1_000)).unwrap());
        let device = devices.verify(&ann, "ann", at(1_000)).unwrap();
        assert_ne!(devices.verify(&again, "ann", at(1_000)), Some(device), "each sign-in creates a device");
        let end = 1_000 + DEVICE_LIFETIME.as_secs() as i64;
        assert_eq!(devices.verify(&ann, "ann", at(end - 1)), Some(device));
        assert_eq!(devices.verify(&ann, "ann", at(end)), None, "expired");
        assert_eq!(devices.verify(&ann, "bob", at(1_000)), None, "another account");
        let other = Devices::new(&SecretString::from("another secret of more than thirty-two bytes"));
        assert_eq!(other.verify(&ann, "ann", at(1_000)), None, "another secret");
    }

    #[test]
    fn changed_values_are_not_devices() {
        let devices = Devices::new(&SecretString::from("a secret of more than thirty-two bytes"));
        let value = devices.issue("ann", at(1_000)).unwrap();
        let [id, expires, signature] = value.split('.').collect::<Vec<_>>().try_into().unwrap();
        let longer = expires.parse::<i64>().unwrap() + 1;
        for changed in [
            format!("{:016x}.{expires}.{signature}", u64::from_str_radix(id, 16).unwrap() ^ 1),
            format!("{id}.{longer}.{signature}"),
            format!("{id}.{expires}."),
            format!("{id}.{expires}"),
            format!("{id}.{expires}.{signature}.x"),
            String::new(),
            "x".repeat(1_000),
        ] {
            assert_eq!(devices.verify(&changed, "ann", at(1_000)), None, "{changed}");
        }
    }
}
