//! Encrypts the providers' tokens of members in the store. A provider's token lets its bearer act as the member in the
//! provider's system, such as Plone, so a copy of the store must not disclose it.

use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::identity::sealing::TextSeal;
use crate::store::members::{Member, MemberStore};
use crate::store::{StoreError, StoreFuture};

/// Purpose of the key, so that no other key derived from the secret equals it.
const PURPOSE: &[u8] = b"tokens of providers in the store, version 1";

/// A store of members that encrypts their tokens.
pub(super) struct SealedTokens {
    store: Arc<dyn MemberStore>,
    keys: Arc<TextSeal>,
}

impl SealedTokens {
    /// Derives the keys and encrypts the stored tokens with the key of the current secret.
    ///
    /// # Errors
    /// When the store cannot be written, or the cryptographic library fails.
    pub(super) async fn start(
        store: Arc<dyn MemberStore>,
        secret: &SecretString,
        previous: Option<&SecretString>,
    ) -> Result<Arc<Self>, StoreError> {
        let keys = Arc::new(TextSeal::new(secret, previous, PURPOSE)?);
        let renewal = keys.clone();
        store.replace_tokens(Box::new(move |user, stored| renewal.renewed(user.as_str(), stored))).await?;
        Ok(Arc::new(Self { store, keys }))
    }
}

/// Replaces a member's encrypted token with the decrypted one, or with none if it cannot be decrypted.
fn opened(keys: &TextSeal, member: Option<Member>) -> Option<Member> {
    let mut member = member?;
    member.token = member.token.and_then(|stored| keys.open(member.username.as_str(), &stored));
    Some(member)
}

impl MemberStore for SealedTokens {
    fn member(&self, username: &UserName) -> StoreFuture<Option<Member>> {
        let (read, keys) = (self.store.member(username), self.keys.clone());
        async move { Ok(opened(&keys, read.await?)) }.boxed()
    }

    fn member_by_login(&self, login: &UserName) -> StoreFuture<Option<Member>> {
        let (read, keys) = (self.store.member_by_login(login), self.keys.clone());
        async move { Ok(opened(&keys, read.await?)) }.boxed()
    }

    fn put_member(&self, mut member: Member) -> StoreFuture<()> {
        let token = member.token.take();
        // Without a token, the member acts as a visitor in Plone.
        member.token = token.and_then(|token| self.keys.seal(member.username.as_str(), &token));
        self.store.put_member(member)
    }

    fn put_hash(&self, username: &UserName, signed_in_at: Timestamp, hash: SecretString) -> StoreFuture<()> {
        self.store.put_hash(username, signed_in_at, hash)
    }

    fn remove_hash(&self, username: &UserName) -> StoreFuture<()> {
        self.store.remove_hash(username)
    }

    fn remove_token(&self, username: &UserName) -> StoreFuture<()> {
        self.store.remove_token(username)
    }

    fn replace_tokens(&self, replace: crate::store::members::ReplaceToken) -> StoreFuture<()> {
        self.store.replace_tokens(replace)
    }

    fn change_rights(&self, username: &UserName, rights: Rights, ended: Timestamp) -> StoreFuture<()> {
        self.store.change_rights(username, rights, ended)
    }

    fn remove_member(&self, username: &UserName, ended: Timestamp) -> StoreFuture<()> {
        self.store.remove_member(username, ended)
    }

    fn ended_sign_ins(&self) -> StoreFuture<Vec<(UserName, Timestamp)>> {
        self.store.ended_sign_ins()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::store::sqlite::{SqliteOptions, SqliteStore};

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.a.token-of-plone";

    fn store() -> (tempfile::TempDir, Arc<dyn MemberStore>) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions { path: folder.path().join("hub.db"), outbox: None }).unwrap();
        (folder, Arc::new(store))
    }

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn member(user: &str, token: &str) -> Member {
        Member {
            username: name(user),
            login: name(user),
            name: user.to_owned(),
            rights: crate::domain::role::Role::Student.into(),
            token: Some(SecretString::from(token)),
            password_hash: None,
            signed_in_at: Timestamp::UNIX_EPOCH,
        }
    }

    async fn sealed(store: &Arc<dyn MemberStore>, secret: &str, previous: Option<&str>) -> Arc<SealedTokens> {
        let previous = previous.map(SecretString::from);
        SealedTokens::start(store.clone(), &SecretString::from(secret), previous.as_ref()).await.unwrap()
    }

    async fn token(store: &dyn MemberStore, user: &str) -> Option<String> {
        let member = store.member(&name(user)).await.unwrap().expect("the member is stored");
        let by_login = store.member_by_login(&name(user)).await.unwrap().expect("the member is stored");
        let text = |member: Member| member.token.map(|token| token.expose_secret().to_owned());
        let found = text(member);
        assert_eq!(found, text(by_login));
        found
    }

    #[actix_web::test]
    async fn the_store_contains_no_unencrypted_token() {
        let (_folder, store) = store();
        // Two tokens are stored unencrypted, as by an earlier version.
        for user in ["ann", "bob"] {
            store.put_member(member(user, TOKEN)).await.unwrap();
        }
        let tokens = sealed(&store, "one", None).await;
        tokens.put_member(member("bob", TOKEN)).await.unwrap();
        let mut stored = Vec::new();
        for user in ["ann", "bob"] {
            assert_eq!(token(&*tokens, user).await.as_deref(), Some(TOKEN));
            stored.push(token(&*store, user).await.expect("a stored token"));
        }
        assert!(stored.iter().all(|text| text.starts_with("1.") && !text.contains("eyJhbGciOi")), "{stored:?}");
        assert_ne!(stored[0], stored[1], "each has its own nonce");
    }

    #[actix_web::test]
    async fn tokens_survive_a_change_of_the_secret() {
        let (_folder, store) = store();
        sealed(&store, "one", None).await.put_member(member("ann", TOKEN)).await.unwrap();
        assert_eq!(token(&*sealed(&store, "two", Some("one")).await, "ann").await.as_deref(), Some(TOKEN));
        let after = token(&*store, "ann").await;
        assert_eq!(token(&*sealed(&store, "two", None).await, "ann").await.as_deref(), Some(TOKEN));
        assert_eq!(token(&*store, "ann").await, after, "a token of the current key stays as it is");
    }

    #[actix_web::test]
    async fn a_token_that_cannot_be_decrypted_is_absent() {
        let (_folder, store) = store();
        let tokens = sealed(&store, "one", None).await;
        tokens.put_member(member("ann", TOKEN)).await.unwrap();
        let of_ann = token(&*store, "ann").await.expect("a stored token");
        for other in [of_ann.as_str(), "1.AAAA", "1.not base64", "1."] {
            store.put_member(member("bob", other)).await.unwrap();
            assert_eq!(token(&*tokens, "bob").await, None, "{other}");
        }
        let tokens = sealed(&store, "two", Some("three")).await;
        assert_eq!(token(&*tokens, "ann").await, None);
        assert_eq!(token(&*store, "ann").await, None, "it is removed from the store");
    }
}
