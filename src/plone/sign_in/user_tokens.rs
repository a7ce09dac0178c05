//! Tokens of Plone for users of single sign-on.
//!
//! A JWT plugin in Plone's user folder, which `deploy/plone-user-key.py` adds, accepts tokens that are signed with its
//! own key. The hub has this key, so it can call Plone as a user whose password it does not know. Plone's plugin does
//! not check whether the user exists, so the hub does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::domain::ids::UserName;
use crate::plone::cache::{CacheCounts, CacheLimits, ReadCache};
use crate::plone::port::Directory;

use super::PloneSignInOptions;

/// Lifetime of a token, in seconds. It covers one request, and clocks that differ by minutes.
const TOKEN_TTL_S: i64 = 300;
/// Maximum number of users whose existence in Plone is cached. Beyond it, the least recently used ones are read again.
const USERS_MAX: usize = 1_000;
/// Maximum memory of the cached values, in bytes: a truth value for each user.
const BYTES_MAX: usize = USERS_MAX * size_of::<bool>();
/// Maximum number of users that are read concurrently: half of the default pool, so that other calls are not blocked.
const READS_MAX: usize = 4;
/// Age above which a cached value is not used, as a multiple of `[plone] recheck_s`. A value that is older than
/// `recheck_s` itself is renewed when it is used.
const AGE_MAX: u32 = 2;

/// Claims of a token, as Plone's JWT plugin reads them.
#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: i64,
}

/// A signer of Plone tokens for users of single sign-on.
pub(super) struct UserTokens {
    key: EncodingKey,
    /// The hub's own user. No one gets a token as this user.
    hub_user: UserName,
    clock: Arc<dyn Clock>,
    /// Whether users exist in Plone.
    exists: ReadCache<UserName, bool>,
    age_max: Duration,
    wait: Duration,
}

impl UserTokens {
    pub(super) fn new(
        key: &SecretString,
        directory: Arc<dyn Directory>,
        options: &PloneSignInOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let fresh = options.members.recheck;
        let limits = CacheLimits { fresh, keys_max: USERS_MAX, bytes_max: BYTES_MAX, reads_max: READS_MAX };
        let exists = ReadCache::new(limits, size_of_val, move |user: UserName, _| {
            let person = directory.person(&user);
            async move { Ok(person.await?.is_some()) }.boxed()
        });
        Self {
            key: EncodingKey::from_secret(key.expose_secret().as_bytes()),
            hub_user: options.hub_user.clone(),
            clock,
            exists,
            age_max: fresh * AGE_MAX,
            wait: options.timeout,
        }
    }

    /// Returns a token for a user; `None` for the hub's own user, and if Plone has no such user or does not respond in
    /// time.
    pub(super) async fn token_for(&self, user: &UserName) -> Option<Arc<SecretString>> {
        if *user == self.hub_user || !self.exists(user).await? {
            return None;
        }
        let claims = Claims { sub: user.as_str(), exp: self.clock.now().as_second() + TOKEN_TTL_S };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key).ok()?;
        Some(Arc::new(token.into()))
    }

    /// Returns the counters of the cache.
    pub(super) fn counts(&self) -> CacheCounts {
        self.exists.counts()
    }

    async fn exists(&self, user: &UserName) -> Option<bool> {
        let reply = self.exists.get(user, self.wait).await.ok()?;
        if reply.age <= self.age_max {
            return Some(reply.value);
        }
        timeout(self.wait, self.exists.renew(user)).await.ok()?.ok().map(|reply| reply.value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture_tests::{Hub, user};
    use super::*;
    use crate::identity::provider::SignInProvider as _;
    use crate::plone::port::PloneError;
    use crate::plone::sign_in::PloneSignIn;

    const KEY: &str = "a key of at least thirty-two bytes/Plone/acl_users/eduhub_users";

    /// Returns the sign-in provider of a hub with this key.
    fn provider(hub: &Hub) -> PloneSignIn {
        let options = hub.provider.options.clone();
        PloneSignIn::new(hub.plone.clone(), options).with_user_key(&KEY.into(), hub.clock.clone())
    }

    #[actix_web::test]
    async fn users_of_plone_get_a_short_lived_token_and_others_none() {
        let hub = Hub::start().await;
        let provider = provider(&hub);
        let token = provider.token_for(&user("ann")).await.unwrap();
        let mut validation = jsonwebtoken::Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        let key = jsonwebtoken::DecodingKey::from_secret(KEY.as_bytes());
        let claims: serde_json::Value = jsonwebtoken::decode(token.expose_secret(), &key, &validation).unwrap().claims;
        let expected = serde_json::json!({"sub": "ann", "exp": hub.clock.now().as_second() + TOKEN_TTL_S});
        assert_eq!(claims, expected);
        for (name, why) in [("unknown", "Plone has no such user"), ("hub", "no one gets a token as the hub's user")] {
            assert!(provider.token_for(&user(name)).await.is_none(), "{why}");
        }
        assert!(hub.provider.token_for(&user("ann")).await.is_none(), "without a key, no one has a token");
    }

    #[actix_web::test]
    async fn without_a_response_from_plone_there_is_no_token() {
        let hub = Hub::start().await;
        let provider = provider(&hub);
        *hub.plone.person_error.lock() = Some(PloneError::Open);
        assert!(provider.token_for(&user("ann")).await.is_none());
    }

    #[actix_web::test]
    async fn a_deleted_user_gets_no_token_from_an_old_check() {
        let hub = Hub::start().await;
        let mut options = hub.provider.options.clone();
        options.members.recheck = Duration::ZERO;
        let provider = PloneSignIn::new(hub.plone.clone(), options).with_user_key(&KEY.into(), hub.clock.clone());
        assert!(provider.token_for(&user("ann")).await.is_some());
        hub.change_user("ann", |ann| ann.person = None);
        assert!(
            provider.token_for(&user("ann")).await.is_none(),
            "the check is older than permitted, so it is repeated"
        );
    }
}
