//! Who can sign in to the demonstration college. The password is printed at each start, so its hash may stand here too:
//! making it anew would take a tenth of a second of every start.

use crate::domain::ids::{BadName, UserName};
use crate::domain::role::Role;
use crate::store::accounts::Account;
use crate::store::seed::SeedAccount;

/// The password of every demonstration account.
const PASSWORD: &str = "eduhub-demo";
/// Its hash (argon2id, a PHC string), made once.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$56jqVUvnJmbTYu4gGqovnA$maBjyZBD6tZD23NSOUQk9Iu4Y4ta/rApMaKb6Iwt/Yc";

/// User names, the names that people read, and roles.
const ACCOUNTS: [(&str, &str, Role); 4] = [
    ("student", "Sam Student", Role::Student),
    ("student2", "Robin Student", Role::Student),
    ("staff", "Kim Staff", Role::Staff),
    ("admin", "Alex Admin", Role::Admin),
];

/// An account that whoever starts the demonstration is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoAccount {
    /// The name that signs in.
    pub username: UserName,
    /// The password, for everybody to know.
    pub password: &'static str,
    /// What it may do.
    pub role: Role,
}

/// The accounts, for an empty store.
pub(super) fn seeds() -> Result<Vec<SeedAccount>, BadName> {
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

/// Those of the store's accounts that are still as the demonstration made them.
pub(super) fn still_known(stored: &[Account]) -> Vec<DemoAccount> {
    let known = |(username, _, role): &(&str, &str, Role)| {
        let account = stored.iter().find(|a| a.username.as_str() == *username && a.role == *role)?;
        (account.password_hash == PASSWORD_HASH).then(|| DemoAccount {
            username: account.username.clone(),
            password: PASSWORD,
            role: *role,
        })
    };
    ACCOUNTS.iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;

    #[test]
    fn the_printed_password_opens_the_accounts() {
        let hash = PasswordHash::new(PASSWORD_HASH).unwrap();
        argon2::Argon2::default().verify_password(PASSWORD.as_bytes(), &hash).unwrap();
    }
}
