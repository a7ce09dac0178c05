//! Who signed in by Plone: what the hub keeps of them on the server, and never shows.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::ids::UserName;
use crate::domain::role::Role;

use crate::store::StoreFuture;

/// Somebody who signed in by Plone.
#[derive(Debug, Clone)]
pub struct Member {
    /// The user name: Plone's id of the user.
    pub username: UserName,
    /// The name that was typed at the last good sign-in: Plone may know somebody by another name than the id.
    pub login: UserName,
    /// The name that people read.
    pub name: String,
    /// The role in the hub.
    pub role: Role,
    /// Plone's token of the newest sign-in; none after a sign-out, or once it has expired.
    pub token: Option<SecretString>,
    /// The hash (argon2id, a PHC string) of the password of the last good sign-in; none while it is not known.
    pub password_hash: Option<SecretString>,
    /// When Plone last accepted a password.
    pub signed_in_at: Timestamp,
}

/// Keeps members.
pub trait MemberStore: Send + Sync {
    /// The member of this name.
    fn member(&self, username: &UserName) -> StoreFuture<Option<Member>>;
    /// The member who signs in with this: by the name that was typed last, or by the user name.
    fn member_by_login(&self, login: &UserName) -> StoreFuture<Option<Member>>;
    /// Puts a member, new or not.
    fn put_member(&self, member: Member) -> StoreFuture<()>;
    /// Keeps the hash of the password of the sign-in at this time, unless there was another one since.
    fn put_hash(&self, username: &UserName, signed_in_at: Timestamp, hash: SecretString) -> StoreFuture<()>;
    /// Forgets the hash of the password.
    fn forget_hash(&self, username: &UserName) -> StoreFuture<()>;
    /// Forgets Plone's token.
    fn forget_token(&self, username: &UserName) -> StoreFuture<()>;
    /// The member has another role in Plone; sign-ins up to `ended` are dead.
    fn change_role(&self, username: &UserName, role: Role, ended: Timestamp) -> StoreFuture<()>;
    /// Forgets a member, who is gone in Plone; sign-ins up to `ended` are dead.
    fn remove_member(&self, username: &UserName, ended: Timestamp) -> StoreFuture<()>;
    /// Whose sign-ins up to which time are dead.
    fn ended_sign_ins(&self) -> StoreFuture<Vec<(UserName, Timestamp)>>;
}
