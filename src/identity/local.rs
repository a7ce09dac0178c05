//! The sign-in provider of local accounts, which comes first.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use secrecy::SecretString;

use crate::domain::ids::UserName;
use crate::identity::Source;
use crate::identity::password::Hasher;
use crate::identity::provider::{CredentialVersion, KnownUser, Profile, ProviderError, SignInProvider, Verified};
use crate::identity::sign_in::SignInError;
use crate::store::accounts::{Account, AccountStore};

/// The hub's own accounts. A change to an account ends its tokens immediately, so its user is not rechecked.
pub(super) struct LocalAccounts {
    store: Arc<dyn AccountStore>,
    hasher: Arc<Hasher>,
}

impl LocalAccounts {
    pub(super) fn new(store: Arc<dyn AccountStore>, hasher: Arc<Hasher>) -> Self {
        Self { store, hasher }
    }
}

fn profile(account: &Account) -> Profile {
    Profile::Known(KnownUser {
        name: account.name.clone(),
        rights: account.rights.clone(),
        credential: Some(CredentialVersion::new(&account.password_hash)),
    })
}

impl SignInProvider for LocalAccounts {
    fn source(&self) -> Source {
        Source::Hub
    }

    fn title(&self) -> &'static str {
        "local account"
    }

    fn verify<'a>(
        &'a self,
        login: &'a UserName,
        password: &'a SecretString,
    ) -> BoxFuture<'a, Result<Option<Verified>, SignInError>> {
        async move {
            let Some(account) = self.store.account(login).await? else { return Ok(None) };
            if !self.hasher.matches(password, Some(&account.password_hash)).await? {
                return Err(SignInError::BadCredentials);
            }
            Ok(Some(Verified { profile: Ok(profile(&account)), user: account.username, token: None }))
        }
        .boxed()
    }

    fn profile<'a>(&'a self, user: &'a UserName) -> BoxFuture<'a, Result<Profile, ProviderError>> {
        async move { Ok(self.store.account(user).await?.map_or(Profile::Unknown, |account| profile(&account))) }.boxed()
    }
}
