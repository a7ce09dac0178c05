//! The accounts of the demonstration college. Their password is public, so its hash is in the code too: hashing it
//! would add 0.1 s to each start.

use crate::domain::ids::{InvalidId, UserName};
use crate::domain::role::Role;
use crate::store::accounts::Account;
use crate::store::seed::SeedAccount;

/// The password of every demonstration account.
const PASSWORD: &str = "eduhub-demo";
/// The hash of [`PASSWORD`] (argon2id, in PHC string format).
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$56jqVUvnJmbTYu4gGqovnA$maBjyZBD6tZD23NSOUQk9Iu4Y4ta/rApMaKb6Iwt/Yc";

/// Usernames, display names and roles.
const ACCOUNTS: [(&str, &str, Role); 4] = [
    ("student", "Sam Student", Role::Student),
    ("student2", "Robin Student", Role::Student),
    ("staff", "Kim Staff", Role::Staff),
    ("admin", "Alex Admin", Role::Admin),
];

/// A demonstration account whose username and password are printed at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoAccount {
    /// The username.
    pub username: UserName,
    /// The public password.
    pub password: &'static str,
    /// The role.
    pub role: Role,
}

/// Returns the accounts to create in an empty store.
pub(super) fn seed_accounts() -> Result<Vec<SeedAccount>, InvalidId> {
    let seed = |(username, name, role): &(&str, &str, Role)| {
        Ok(SeedAccount {
            username: UserName::parse(username)?,
            name: (*name).to_owned(),
            role: *role,
            password_hash: PASSWORD_HASH.to_owned(),
        })
    };
    ACCOUNTS.iter().map(seed).collect()
}

/// Returns the demonstration accounts in `stored` that still have their role and their public password.
pub(super) fn unchanged(stored: &[Account]) -> Vec<DemoAccount> {
    let unchanged = |(username, _, role): &(&str, &str, Role)| {
        let account = stored.iter().find(|a| a.username.as_str() == *username && a.rights == (*role).into())?;
        (account.password_hash == PASSWORD_HASH).then(|| DemoAccount {
            username: account.username.clone(),
            password: PASSWORD,
            role: *role,
        })
    };
    ACCOUNTS.iter().filter_map(unchanged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;

    #[test]
    fn the_password_matches_its_hash() {
        let hash = PasswordHash::new(PASSWORD_HASH).unwrap();
        argon2::Argon2::default().verify_password(PASSWORD.as_bytes(), &hash).unwrap();
    }
}
