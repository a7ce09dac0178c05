//! The port for sign-in providers, which check usernames and passwords.
//!
//! The service calls its providers in order; the first one that has a user with the name decides. A new way to sign in
//! implements [`SignInProvider`] and is added to the list that is passed to
//! [`Identity::start`](crate::identity::Identity::start).
//!
//! A provider only checks passwords and returns profiles. Everything else is the same for all providers and belongs to
//! identity: tokens, limits on guessing, the end of sign-ins after a change, and sign-ins during an outage. In
//! particular, identity stores the hash of the password that a provider accepted last, so that the rules for its use
//! and deletion exist only once. A provider only states whether an error is an outage ([`ProviderError::is_outage`]).
//!
//! The port has no sign-out: a sign-out ends the hub's token and discards the provider's. Plone does not revoke its
//! tokens at a sign-out, so calling it would have no effect.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::domain::role::Role;
use crate::identity::Source;
use crate::identity::sign_in::SignInError;
use crate::store::StoreError;

/// A source of identities.
pub trait SignInProvider: Send + Sync {
    /// Returns the source that tokens of this provider carry.
    fn source(&self) -> Source;

    /// Returns the name of the provider in audit entries and messages, such as `Plone`.
    fn title(&self) -> &'static str;

    /// Checks a password. Returns `None` if the provider has no user with this name; the next provider then decides.
    ///
    /// # Errors
    /// [`SignInError::BadCredentials`], [`SignInError::Locked`], [`SignInError::NotAdmitted`], or
    /// [`SignInError::Provider`] when the provider does not respond.
    fn verify<'a>(
        &'a self,
        login: &'a UserName,
        password: &'a SecretString,
    ) -> BoxFuture<'a, Result<Option<Verified>, SignInError>>;

    /// Returns the current profile of a user.
    ///
    /// # Errors
    /// When the provider does not respond.
    fn profile<'a>(&'a self, user: &'a UserName) -> BoxFuture<'a, Result<Profile, ProviderError>>;

    /// Returns the rules for members of this provider. `None` if each change to a user ends the affected tokens
    /// immediately, as for local accounts.
    fn member_rules(&self) -> Option<MemberRules> {
        None
    }

    /// Parses a stored token of this provider; `None` if it is invalid.
    fn read_token(&self, _stored: SecretString) -> Option<ProviderToken> {
        None
    }

    /// Returns a token with which a user of this provider, whom single sign-on has identified, is served there without
    /// a password. Returns `None` if there is no such user, or if the provider cannot issue such tokens.
    fn token_for<'a>(&'a self, _user: &'a UserName) -> BoxFuture<'a, Option<Arc<SecretString>>> {
        Box::pin(std::future::ready(None))
    }

    /// Notifies the provider of a sign-in for which it has just returned the profile.
    fn signed_in(&self, _user: &UserName, _role: Role, _token: &ProviderToken) {}

    /// Notifies the provider that the sign-ins of a user have ended, such as because the user was deleted or has
    /// different rights, or because an earlier provider now has a user with this name.
    fn sign_ins_ended(&self, _user: &UserName) {}
}

/// Rules for the members of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRules {
    /// Time within which a change at the provider takes effect.
    pub recheck: Duration,
    /// Days after a sign-in for which the hub accepts the same password during an outage; 0 is never.
    pub offline_login_days: u32,
}

/// A user whose password a provider accepted.
#[derive(Debug)]
pub struct Verified {
    /// The username: the provider's id of the user, which may differ from the name that the user entered.
    pub user: UserName,
    /// The profile. The password is correct even if the profile could not be read.
    pub profile: Result<Profile, ProviderError>,
    /// The provider's own token for this user, if it issues tokens.
    pub token: Option<ProviderToken>,
}

/// The profile of a user at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A user with a role in the hub.
    Known(KnownUser),
    /// A user without a role in the hub.
    NoRole,
    /// The provider has no such user.
    Unknown,
}

/// A user with a role in the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownUser {
    /// Display name.
    pub name: String,
    /// Rights in the hub.
    pub rights: Rights,
    /// Version of the credential, if the provider has one.
    pub credential: Option<CredentialVersion>,
}

/// A value that changes with the credential of a user. It may be derived from the credential, so `Debug` does not print
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialVersion(Arc<str>);

impl CredentialVersion {
    /// Creates a version from a value that changes with the credential.
    #[must_use]
    pub fn new(version: &str) -> Self {
        Self(version.into())
    }
}

impl fmt::Debug for CredentialVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialVersion")
    }
}

/// A token of a provider, which authenticates its user there.
#[derive(Debug, Clone)]
pub struct ProviderToken {
    /// The token.
    pub secret: Arc<SecretString>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Why a provider could not decide. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Too many sign-ins wait for the provider, which still responds to others.
    #[error("too many sign-ins are waiting for the provider")]
    Busy,
    /// Too many sign-ins wait for the provider, and it has not responded to any within the time limit of a sign-in.
    #[error("too many sign-ins are waiting and the provider does not respond")]
    Hanging,
    /// The provider cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The provider failed for this user; it may work for others.
    #[error("{0}")]
    Failed(String),
    /// The provider refuses the hub's request, because it is misconfigured.
    #[error("{0}")]
    Refused(String),
    /// The store, which contains the users of the provider, cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProviderError {
    /// Returns true for an outage, during which the hub compares passwords with the last accepted one. A busy provider
    /// is not an outage.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Hanging | Self::Unreachable(_) | Self::Failed(_) => true,
            Self::Busy | Self::Refused(_) | Self::Store(_) => false,
        }
    }

    /// Returns true if the provider would not respond for any other user either.
    #[must_use]
    pub const fn affects_all_users(&self) -> bool {
        match self {
            Self::Busy | Self::Hanging | Self::Unreachable(_) => true,
            Self::Failed(_) | Self::Refused(_) | Self::Store(_) => false,
        }
    }
}
