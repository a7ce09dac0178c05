//! Port of the sign-in providers: sources of identities that check a user name and a password.
//!
//! The service asks its providers in order; the first one that has a user of the name decides. A new way to sign in
//! implements [`SignInProvider`] and is added to the list that [`Identity::start`](crate::identity::Identity::start)
//! takes.
//!
//! A provider only answers questions. What follows from an answer is the same for every provider and belongs to
//! identity: tokens, limits on guessing, the end of sign-ins after a change, and sign-ins during an outage. In
//! particular, the hash of the password that a provider accepted last is kept by identity: it is computed on identity's
//! hashing threads, and the rules by which it is used and forgotten must exist once, not in each provider. A provider
//! says only whether it is out of order ([`ProviderError::is_outage`]).
//!
//! There is no sign-out in this port: a sign-out ends the hub's token and discards the provider's. Plone does not end
//! its tokens at a sign-out, so asking it would change nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::ids::UserName;
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

    /// Checks a password. Returns none when the provider has no user of this name, so that the next provider decides.
    ///
    /// # Errors
    /// Why the user is not signed in: [`SignInError::BadCredentials`], [`SignInError::Locked`],
    /// [`SignInError::NotAdmitted`], or that the provider did not answer.
    fn verify<'a>(
        &'a self,
        login: &'a UserName,
        password: &'a SecretString,
    ) -> BoxFuture<'a, Result<Option<Verified>, SignInError>>;

    /// Returns what the provider knows about a user now.
    ///
    /// # Errors
    /// When it does not answer.
    fn profile<'a>(&'a self, user: &'a UserName) -> BoxFuture<'a, Result<Profile, ProviderError>>;

    /// Returns how users of this provider are followed after their sign-in; none when each change ends the tokens that
    /// it concerns at once, as a change of a local account does.
    fn member_rules(&self) -> Option<MemberRules> {
        None
    }

    /// Reads a token of this provider that was stored; none when it is not one.
    fn read_token(&self, _stored: SecretString) -> Option<ProviderToken> {
        None
    }

    /// Called after a sign-in whose profile this provider has just returned.
    fn signed_in(&self, _user: &UserName, _role: Role, _token: &ProviderToken) {}

    /// Called when the earlier sign-ins of a user have ended: the user is gone, has another role, or the name now
    /// belongs to an earlier provider.
    fn sign_ins_ended(&self, _user: &UserName) {}
}

/// How users of a provider are followed after their sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRules {
    /// Time within which a change at the provider takes effect.
    pub recheck: Duration,
    /// Days after an accepted sign-in for which the same password is accepted during an outage; 0 is never.
    pub offline_login_days: u32,
}

/// A user whose password a provider accepted.
#[derive(Debug)]
pub struct Verified {
    /// The user name: the provider's id of the user, which may differ from the name that was typed.
    pub user: UserName,
    /// What the provider knows about the user. The password is right even when this could not be read.
    pub profile: Result<Profile, ProviderError>,
    /// The provider's own token for this user, when it issues tokens.
    pub token: Option<ProviderToken>,
}

/// What a provider knows about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A user with a role in the hub.
    Known(KnownUser),
    /// A user without a role in the hub.
    NoRole,
    /// There is no such user.
    Unknown,
}

/// A user with a role in the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownUser {
    /// Display name.
    pub name: String,
    /// Role in the hub.
    pub role: Role,
    /// Version of the credential, for providers that know it.
    pub credential: Option<CredentialVersion>,
}

/// A value that differs whenever the credential of a user differs. It may be derived from the credential, so it is not
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialVersion(Arc<str>);

impl CredentialVersion {
    /// Wraps a value.
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

/// A token of a provider: its holder is that user there.
#[derive(Debug, Clone)]
pub struct ProviderToken {
    /// The token.
    pub secret: Arc<SecretString>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Why a provider did not answer. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Too many sign-ins wait for the provider, which answers others.
    #[error("too many sign-ins wait for the provider")]
    Busy,
    /// Too many sign-ins wait for the provider, and it answered none of them for as long as a sign-in waits.
    #[error("sign-ins wait for a provider that answers none")]
    Hanging,
    /// The provider cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The provider failed at this question; it may answer others.
    #[error("{0}")]
    Failed(String),
    /// The provider does not answer such questions of the hub: its setup is wrong.
    #[error("{0}")]
    Refused(String),
    /// The store, where the provider keeps its users, cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProviderError {
    /// Returns true when the provider is out of order, so that the last accepted password may stand in for its answer.
    /// A busy provider is not: it answers others.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Hanging | Self::Unreachable(_) | Self::Failed(_) => true,
            Self::Busy | Self::Refused(_) | Self::Store(_) => false,
        }
    }

    /// Returns true when the provider would not answer about any other user either.
    #[must_use]
    pub const fn concerns_everyone(&self) -> bool {
        match self {
            Self::Busy | Self::Hanging | Self::Unreachable(_) => true,
            Self::Failed(_) | Self::Refused(_) | Self::Store(_) => false,
        }
    }
}
