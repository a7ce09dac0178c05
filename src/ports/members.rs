//! Who signed in by Plone: what the hub keeps of them on the server, and never shows.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::ids::UserName;
use crate::domain::role::Role;

use super::StoreFuture;

/// Somebody who signed in by Plone.
#[derive(Debug, Clone)]
pub struct Member {
    /// The user name.
    pub username: UserName,
    /// The name that people read.
    pub name: String,
    /// The role in the hub.
    pub role: Role,
    /// Plone's token of the newest sign-in; none after a sign-out, or once it has expired.
    pub token: Option<SecretString>,
    /// The hash (argon2id, a PHC string) of the password of the last good sign-in.
    pub password_hash: String,
    /// When Plone last accepted that password.
    pub signed_in_at: Timestamp,
    /// When Plone was last asked whether this person is still there.
    pub checked_at: Timestamp,
}

/// Keeps members.
pub trait MemberStore: Send + Sync {
    /// The member of this name.
    fn member(&self, username: &UserName) -> StoreFuture<Option<Member>>;
    /// Puts a member, new or not.
    fn put_member(&self, member: Member) -> StoreFuture<()>;
    /// Forgets a member: gone in Plone.
    fn remove_member(&self, username: &UserName) -> StoreFuture<()>;
}
