//! Port for sign-ins by providers that check no password in the hub, such as OpenID Connect. ID tokens never leave the
//! hub, except to their provider.

use jiff::Timestamp;
use secrecy::SecretString;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::rights::Rights;

use crate::store::StoreFuture;

/// A person at a provider, to whom a username belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderUser {
    /// Username in the hub.
    pub username: UserName,
    /// Source of the last sign-in, such as `oidc:keycloak`.
    pub source: String,
    /// The name that the provider gives itself. With `subject` it identifies the person, whatever the provider is
    /// called in the settings.
    pub issuer: String,
    /// The provider's permanent id of the person.
    pub subject: String,
    /// Display name at the last sign-in.
    pub name: String,
    /// Rights at the last sign-in.
    pub rights: Rights,
    /// Identifies the settings that determined the rights; `None` if an earlier version stored the person.
    pub mapping: Option<String>,
}

/// A sign-in whose token has not expired.
#[derive(Debug, Clone)]
pub struct ProviderSignIn {
    /// Id of the hub's token.
    pub token: Uuid,
    /// The session at the provider, if it names one.
    pub sid: Option<String>,
    /// The ID token, which names the person when the hub sends the browser to the provider's sign-out.
    pub id_token: Option<SecretString>,
    /// When the hub's token expires.
    pub expires_at: Timestamp,
}

/// The sign-ins of a provider that end together. If neither `subject` nor `sid` is given, there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInSelector {
    /// The name that the provider gives itself.
    pub issuer: String,
    /// Only sign-ins of this person.
    pub subject: Option<String>,
    /// Only sign-ins of this session at the provider.
    pub sid: Option<String>,
}

/// A sign-in that a [`SignInSelector`] selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedSignIn {
    /// Username in the hub.
    pub username: UserName,
    /// Id of the hub's token.
    pub token: Uuid,
    /// When the hub's token expires.
    pub expires_at: Timestamp,
}

/// A sign-in that has not expired, and what decides at the start of the hub whether it stays valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSignIn {
    /// The sign-in.
    pub sign_in: SelectedSignIn,
    /// Source of the sign-in.
    pub source: String,
    /// The name that the provider gave itself.
    pub issuer: String,
    /// [`ProviderUser::rights`] of its user.
    pub rights: Rights,
    /// [`ProviderUser::mapping`] of its user.
    pub mapping: Option<String>,
}

/// A function that returns the replacement of the stored ID token of the sign-in with this token; `None` to remove the
/// ID token.
pub type ReplaceIdToken = Box<dyn Fn(Uuid, &SecretString) -> Option<SecretString> + Send>;

/// Store of the users of providers and their sign-ins.
pub trait ProviderSignInStore: Send + Sync {
    /// Returns the person to whom a username belongs.
    fn provider_user(&self, username: &UserName) -> StoreFuture<Option<ProviderUser>>;
    /// Returns the person with this subject at an issuer.
    fn provider_user_by_subject(&self, issuer: &str, subject: &str) -> StoreFuture<Option<ProviderUser>>;
    /// Stores a sign-in and its user. Returns false, and stores nothing, when the username belongs to another person or
    /// the person has another username.
    fn put_sign_in(&self, user: ProviderUser, sign_in: ProviderSignIn) -> StoreFuture<bool>;
    /// Returns the selected sign-ins that have not expired by `now`.
    fn sign_ins(&self, selector: SignInSelector, now: Timestamp) -> StoreFuture<Vec<SelectedSignIn>>;
    /// Removes sign-ins, and returns the ID token of one of them, if there is one.
    fn remove_sign_ins(&self, tokens: Vec<Uuid>) -> StoreFuture<Option<SecretString>>;
    /// Releases the username of a person, so that it can belong to another one. Removes the person's links to the
    /// schedule.
    fn remove_provider_user(&self, username: &UserName) -> StoreFuture<()>;
    /// Sets the issuer of the users and sign-ins of a source for which an earlier version stored no issuer. A user
    /// whose subject another user of the issuer has stays as it is, so that the username stays taken.
    fn adopt_issuer(&self, source: &str, issuer: &str) -> StoreFuture<()>;
    /// Returns all sign-ins that have not expired by `now`.
    fn open_sign_ins(&self, now: Timestamp) -> StoreFuture<Vec<OpenSignIn>>;
    /// Replaces the ID token of each sign-in that has one, all in one commit.
    fn replace_id_tokens(&self, replace: ReplaceIdToken) -> StoreFuture<()>;
    /// Deletes the sign-ins that have expired by `now`.
    fn delete_expired_sign_ins(&self, now: Timestamp) -> StoreFuture<()>;
}
