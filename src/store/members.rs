//! Port for members: users who signed in through Plone. Their tokens are sent only to Plone, and password hashes never
//! leave the hub.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::ids::UserName;
use crate::domain::rights::Rights;

use crate::store::StoreFuture;

/// A user who signed in through Plone, which the fields call the provider.
#[derive(Debug, Clone)]
pub struct Member {
    /// Username: the provider's id of the user.
    pub username: UserName,
    /// Name that the user typed at the last successful sign-in. A provider may accept names other than the id.
    pub login: UserName,
    /// Display name.
    pub name: String,
    /// Rights in the hub.
    pub rights: Rights,
    /// The provider's token of the newest sign-in; `None` after a sign-out, or once it has expired.
    pub token: Option<SecretString>,
    /// Hash of the last accepted password (argon2id, a PHC string); `None` while it is not known.
    pub password_hash: Option<SecretString>,
    /// When the provider last accepted a password.
    pub signed_in_at: Timestamp,
}

/// A function that returns the replacement for a user's stored token; `None` to remove the token.
pub type ReplaceToken = Box<dyn Fn(&UserName, &SecretString) -> Option<SecretString> + Send>;

/// Store of members.
pub trait MemberStore: Send + Sync {
    /// Returns the member with this username.
    fn member(&self, username: &UserName) -> StoreFuture<Option<Member>>;
    /// Returns the member who signs in with this name: the member who typed it last, otherwise the member with this
    /// username.
    fn member_by_login(&self, login: &UserName) -> StoreFuture<Option<Member>>;
    /// Inserts or replaces a member.
    fn put_member(&self, member: Member) -> StoreFuture<()>;
    /// Stores the hash of the password of the sign-in at this time, unless there was a later sign-in.
    fn put_hash(&self, username: &UserName, signed_in_at: Timestamp, hash: SecretString) -> StoreFuture<()>;
    /// Removes the hash of the password.
    fn remove_hash(&self, username: &UserName) -> StoreFuture<()>;
    /// Removes the provider's token.
    fn remove_token(&self, username: &UserName) -> StoreFuture<()>;
    /// Replaces the token of each member who has one, all in one commit.
    fn replace_tokens(&self, replace: ReplaceToken) -> StoreFuture<()>;
    /// Changes the rights of a member and ends the sign-ins up to `ended`.
    fn change_rights(&self, username: &UserName, rights: Rights, ended: Timestamp) -> StoreFuture<()>;
    /// Removes a member and the member's links to the schedule, and ends the sign-ins up to `ended`.
    fn remove_member(&self, username: &UserName, ended: Timestamp) -> StoreFuture<()>;
    /// Returns the users whose sign-ins have ended, each with the time up to which they have.
    fn ended_sign_ins(&self) -> StoreFuture<Vec<(UserName, Timestamp)>>;
}
