//! Encrypts the ID tokens of sign-ins in the store. An ID token contains personal data, and some providers accept it
//! as a hint of who is signed in, so a copy of the store must not disclose it. The encrypted text is bound to the
//! sign-in's own token.

use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use secrecy::SecretString;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::identity::sealing::TextSeal;
use crate::store::provider_sign_ins::{
    OpenSignIn, ProviderSignIn, ProviderSignInStore, ProviderUser, ReplaceIdToken, SelectedSignIn, SignInSelector,
};
use crate::store::{StoreError, StoreFuture};

/// Purpose of the key, so that no other key derived from the secret equals it.
const PURPOSE: &[u8] = b"ID tokens of providers in the store, version 1";

/// A store of sign-ins by providers that encrypts their ID tokens.
pub(super) struct SealedIdTokens {
    store: Arc<dyn ProviderSignInStore>,
    keys: Arc<TextSeal>,
}

impl SealedIdTokens {
    /// Derives the keys and encrypts the stored ID tokens with the key of the current secret.
    ///
    /// # Errors
    /// When the store cannot be written, or the cryptographic library fails.
    pub(super) async fn start(
        store: Arc<dyn ProviderSignInStore>,
        secret: &SecretString,
        previous: Option<&SecretString>,
    ) -> Result<Arc<Self>, StoreError> {
        let keys = Arc::new(TextSeal::new(secret, previous, PURPOSE)?);
        let renewal = keys.clone();
        store.replace_id_tokens(Box::new(move |token, stored| renewal.renewed(&token.to_string(), stored))).await?;
        Ok(Arc::new(Self { store, keys }))
    }
}

impl ProviderSignInStore for SealedIdTokens {
    fn provider_user(&self, username: &UserName) -> StoreFuture<Option<ProviderUser>> {
        self.store.provider_user(username)
    }

    fn provider_user_by_subject(&self, issuer: &str, subject: &str) -> StoreFuture<Option<ProviderUser>> {
        self.store.provider_user_by_subject(issuer, subject)
    }

    fn put_sign_in(&self, user: ProviderUser, mut sign_in: ProviderSignIn) -> StoreFuture<bool> {
        let id_token = sign_in.id_token.take();
        // Without an ID token, the provider may ask at a sign-out who is signing out.
        sign_in.id_token = id_token.and_then(|text| self.keys.seal(&sign_in.token.to_string(), &text));
        self.store.put_sign_in(user, sign_in)
    }

    fn sign_ins(&self, selector: SignInSelector, now: Timestamp) -> StoreFuture<Vec<SelectedSignIn>> {
        self.store.sign_ins(selector, now)
    }

    fn remove_sign_ins(&self, tokens: Vec<Uuid>) -> StoreFuture<Option<SecretString>> {
        let (removal, keys) = (self.store.remove_sign_ins(tokens.clone()), self.keys.clone());
        async move {
            let stored = removal.await?;
            Ok(stored.and_then(|stored| tokens.iter().find_map(|token| keys.open(&token.to_string(), &stored))))
        }
        .boxed()
    }

    fn remove_provider_user(&self, username: &UserName) -> StoreFuture<()> {
        self.store.remove_provider_user(username)
    }

    fn adopt_issuer(&self, source: &str, issuer: &str) -> StoreFuture<()> {
        self.store.adopt_issuer(source, issuer)
    }

    fn open_sign_ins(&self, now: Timestamp) -> StoreFuture<Vec<OpenSignIn>> {
        self.store.open_sign_ins(now)
    }

    fn replace_id_tokens(&self, replace: ReplaceIdToken) -> StoreFuture<()> {
        self.store.replace_id_tokens(replace)
    }

    fn delete_expired_sign_ins(&self, now: Timestamp) -> StoreFuture<()> {
        self.store.delete_expired_sign_ins(now)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::domain::role::Role;
    use crate::store::sqlite::{SqliteOptions, SqliteStore};

    const ID_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.an.id-token";

    fn store() -> (tempfile::TempDir, Arc<dyn ProviderSignInStore>) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions { path: folder.path().join("hub.db"), outbox: None }).unwrap();
        (folder, Arc::new(store))
    }

    async fn sealed(store: &Arc<dyn ProviderSignInStore>, secret: &str, before: Option<&str>) -> Arc<SealedIdTokens> {
        let before = before.map(SecretString::from);
        SealedIdTokens::start(store.clone(), &SecretString::from(secret), before.as_ref()).await.unwrap()
    }

    async fn put(store: &dyn ProviderSignInStore, token: u128) {
        let user = ProviderUser {
            username: UserName::parse("ann").unwrap(),
            source: "oidc:a".to_owned(),
            issuer: "https://a.example".to_owned(),
            subject: "1".to_owned(),
            name: "Ann".to_owned(),
            rights: Role::Student.into(),
            mapping: None,
        };
        let (token, id_token) = (Uuid::from_u128(token), Some(SecretString::from(ID_TOKEN)));
        let sign_in = ProviderSignIn { token, sid: None, id_token, expires_at: Timestamp::MAX };
        assert!(store.put_sign_in(user, sign_in).await.unwrap());
    }

    async fn removed(store: &dyn ProviderSignInStore, token: u128) -> Option<String> {
        let id_token = store.remove_sign_ins(vec![Uuid::from_u128(token)]).await.unwrap();
        id_token.map(|text| text.expose_secret().to_owned())
    }

    #[actix_web::test]
    async fn the_store_contains_no_unencrypted_id_token() {
        let (_folder, store) = store();
        // Stored unencrypted, as by an earlier version.
        put(&*store, 1).await;
        put(&*store, 2).await;
        let tokens = sealed(&store, "one", None).await;
        put(&*tokens, 3).await;
        put(&*tokens, 4).await;
        for token in [1, 3] {
            let stored = removed(&*store, token).await.expect("an ID token");
            assert!(stored.starts_with("1.") && !stored.contains("eyJhbGciOi"), "{token}: {stored}");
        }
        let tokens = sealed(&store, "two", Some("one")).await;
        for token in [2, 4] {
            assert_eq!(removed(&*tokens, token).await.as_deref(), Some(ID_TOKEN), "after a change of the secret");
        }
        put(&*tokens, 5).await;
        let lost = sealed(&store, "three", None).await;
        assert_eq!(removed(&*lost, 5).await, None, "it cannot be decrypted");
    }
}
