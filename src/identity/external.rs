//! Sign-ins by single sign-on: another party has identified the user, so that the hub checks no password. This module
//! decides whose username it is, issues the hub's token, and ends sign-ins when the provider asks for it.

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;
use uuid::Uuid;

use crate::bus::Event;
use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::identity::sign_in_list::Device;
use crate::identity::{Caller, Identity, Source};
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;
use crate::store::provider_sign_ins::{ProviderSignIn, ProviderUser, SelectedSignIn, SignInSelector};

/// A user whom a provider has identified.
#[derive(Debug, Clone)]
pub struct ExternalIdentity {
    /// The provider.
    pub source: Source,
    /// The provider's permanent id of the person.
    pub subject: String,
    /// The session at the provider, if it names one.
    pub sid: Option<String>,
    /// Username that the provider states. A person who is already known keeps the first one.
    pub username: UserName,
    /// Display name.
    pub name: String,
    /// Rights in the hub.
    pub rights: Rights,
    /// The ID token, if there is one.
    pub id_token: Option<SecretString>,
    /// Sources whose users this provider takes over.
    pub takes_over: Arc<[String]>,
}

/// A completed sign-in by a provider.
#[derive(Debug, Clone)]
pub struct ExternalSignIn {
    /// The hub's token.
    pub token: String,
    /// The identity that the token grants.
    pub caller: Caller,
}

/// Why a user whom a provider has identified is not signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// The username belongs to someone else.
    #[error("the username {username} belongs to {owner}")]
    NameTaken {
        /// The username.
        username: UserName,
        /// Its owner.
        owner: NameOwner,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Failed,
}

/// The owner of a username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameOwner {
    /// A local account.
    LocalAccount,
    /// A user of another provider or of Plone.
    OtherSource(String),
    /// Another person at the same provider.
    OtherPerson,
}

impl std::fmt::Display for NameOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LocalAccount => f.write_str("a local account"),
            Self::OtherSource(source) => write!(f, "a user of {source}"),
            Self::OtherPerson => f.write_str("another person at this provider"),
        }
    }
}

impl Identity {
    /// Signs in a user whom a provider has identified.
    ///
    /// # Errors
    /// When the username belongs to someone else, or the store does not respond.
    pub async fn sign_in_external(&self, identity: ExternalIdentity) -> Result<ExternalSignIn, ExternalError> {
        let source = identity.source.to_string();
        let known = self.provider_sign_ins.provider_user_by_subject(&source, &identity.subject).await?;
        let username = known.as_ref().map_or(&identity.username, |known| &known.username).clone();
        let _no_change = self.accounts_lock.read().await;
        self.claim_name(&username, &source, &identity).await?;
        if known.is_some_and(|known| known.rights != identity.rights) {
            // Otherwise an open sign-in would keep the former rights.
            let subject = Some(identity.subject.clone());
            self.end_selected(SignInSelector { source: source.clone(), subject, sid: None }).await?;
        }
        let ExternalIdentity { subject, sid, name, rights, id_token, .. } = identity;
        let minted =
            self.mint_token(identity.source, &username, &name, rights.clone()).map_err(|_| ExternalError::Failed)?;
        let user = ProviderUser { username: username.clone(), source, subject, name, rights };
        let (token, expires_at) = (minted.caller.token_id, minted.caller.expires_at);
        if !self.provider_sign_ins.put_sign_in(user, ProviderSignIn { token, sid, id_token, expires_at }).await? {
            return Err(ExternalError::NameTaken { username, owner: NameOwner::OtherPerson });
        }
        Ok(ExternalSignIn { token: minted.token, caller: minted.caller })
    }

    /// Adds a sign-in by a provider to the list of the user's sign-ins.
    pub fn list_sign_in(&self, caller: &Caller, device: &Device, from: IpAddr) {
        self.sign_in_list.add(caller, device, from.to_canonical().to_string(), self.clock.now());
    }

    /// Checks that a username is free for this person, and takes it over where the settings say so.
    async fn claim_name(&self, username: &UserName, source: &str, by: &ExternalIdentity) -> Result<(), ExternalError> {
        let taken = |owner| Err(ExternalError::NameTaken { username: username.clone(), owner });
        if self.store.account(username).await?.is_some() {
            return taken(NameOwner::LocalAccount);
        }
        let takes_over = |other: &str| by.takes_over.iter().any(|one| one == other);
        for members in &self.members {
            if members.store.member(username).await?.is_some() {
                let other = members.provider.source().to_string();
                if !takes_over(&other) {
                    return taken(NameOwner::OtherSource(other));
                }
                members.remove(username, &format!("{source} has taken over this name")).await?;
            }
        }
        match self.provider_sign_ins.provider_user(username).await? {
            Some(owner) if owner.source != source && takes_over(&owner.source) => {
                self.release_name(username).await?;
                Ok(())
            }
            Some(owner) if owner.source != source => taken(NameOwner::OtherSource(owner.source)),
            Some(owner) if owner.subject != by.subject => taken(NameOwner::OtherPerson),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the provider of single sign-on to which a username belongs.
    pub(super) async fn external_owner(&self, username: &UserName) -> Result<Option<String>, StoreError> {
        Ok(self.provider_sign_ins.provider_user(username).await?.map(|owner| owner.source))
    }

    /// Ends the sign-ins of the person at a provider to whom a username belongs, and releases the username. Returns
    /// false if it belongs to none.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn release_name(&self, username: &UserName) -> Result<bool, StoreError> {
        let Some(owner) = self.provider_sign_ins.provider_user(username).await? else { return Ok(false) };
        let selector = SignInSelector { source: owner.source, subject: Some(owner.subject), sid: None };
        self.end_selected(selector).await?;
        self.provider_sign_ins.remove_provider_user(username).await?;
        Ok(true)
    }

    /// Ends sign-ins because their provider asks for it, and closes their live sessions. Returns their number.
    ///
    /// # Errors
    /// When the store cannot be read or written. The provider then repeats its request.
    pub async fn end_external(&self, source: &Source, ended: ExternalLogout) -> Result<usize, StoreError> {
        let ExternalLogout { subject, sid } = ended;
        let ended = self.end_selected(SignInSelector { source: source.to_string(), subject, sid }).await?;
        if let Some(first) = ended.first() {
            self.audit.append(AuditEntry {
                at: self.clock.now(),
                user: None,
                role: None,
                ip: None,
                action: "login.ended".to_owned(),
                subject: Some(first.username.as_str().to_owned()),
                section: None,
                detail: format!("signed out at {source}: {} sign-ins", ended.len()),
                request_id: None,
            });
        }
        Ok(ended.len())
    }

    async fn end_selected(&self, selector: SignInSelector) -> Result<Vec<SelectedSignIn>, StoreError> {
        let found = self.provider_sign_ins.sign_ins(selector, self.clock.now()).await?;
        for sign_in in &found {
            self.revoked.insert(sign_in.token, sign_in.expires_at);
            self.bus.publish(Event::SignedOut { user: sign_in.username.clone(), token: Some(sign_in.token) });
        }
        for sign_in in &found {
            self.store.revoke_token(sign_in.token, sign_in.expires_at).await?;
        }
        self.provider_sign_ins.remove_sign_ins(found.iter().map(|sign_in| sign_in.token).collect()).await?;
        Ok(found)
    }

    /// Forgets the sign-in of a token that is about to be revoked, and returns its ID token.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn forget_external(&self, token: Uuid) -> Result<Option<SecretString>, StoreError> {
        self.provider_sign_ins.remove_sign_ins(vec![token]).await
    }
}

/// Which sign-ins a provider ends: those of a person, of a session at the provider, or of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalLogout {
    /// The person.
    pub subject: Option<String>,
    /// The session at the provider.
    pub sid: Option<String>,
}

#[cfg(test)]
#[path = "external_tests.rs"]
mod tests;
