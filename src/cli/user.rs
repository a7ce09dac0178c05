//! `user add`, `passwd`, `list`, `remove`: local accounts, in the store or through the hub that has it.

use awc::http::Method;
use clap::Subcommand;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::app::ports::{self, OpenError, Ports};
use crate::config::Config;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::password;
use crate::store::accounts::{Account, AuditEntry};
use crate::text::percent;

use crate::cli::remote::{Access, access};
use crate::cli::token::{role, user_name};
use crate::cli::{Done, Failure, say};

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Makes an account; the password is asked for, or read from standard input
    Add {
        /// The user name, without spaces
        name: String,
        /// student, staff or admin
        #[arg(long)]
        role: String,
        /// The name that people read; the user name unless told otherwise
        #[arg(long, value_name = "NAME")]
        full_name: Option<String>,
    },
    /// Changes a password, and signs the user out everywhere
    Passwd {
        /// The user name
        name: String,
    },
    /// Lists the accounts
    List,
    /// Removes an account, and signs the user out everywhere
    Remove {
        /// The user name
        name: String,
    },
}

/// `eduhub user …`
pub(super) fn run(config: &Config, command: &UserCommand) -> Done {
    match command {
        UserCommand::List => list(config),
        UserCommand::Add { name, role: role_name, full_name } => {
            let (username, role) = (user_name(name)?, role(role_name)?);
            if find(config, &username)?.is_some() {
                return Err(Failure::failed(format!("{username} has an account already; `user passwd` changes it")));
            }
            let name = full_name.clone().unwrap_or_else(|| name.clone());
            let account = Account { username, name, role, password_hash: String::new() };
            put(config, account, "user.add")
        }
        UserCommand::Passwd { name } => {
            let username = user_name(name)?;
            let account = find(config, &username)?.ok_or_else(|| nobody(&username))?;
            put(config, account, "user.change")
        }
        UserCommand::Remove { name } => remove(config, &user_name(name)?),
    }
}

fn nobody(username: &UserName) -> Failure {
    Failure::failed(format!("there is no local account {username}"))
}

/// The accounts, read beside whoever has the store. None when there is no store yet.
fn accounts(config: &Config) -> Result<Vec<Account>, Failure> {
    match ports::accounts_of(config) {
        Ok(accounts) => Ok(accounts),
        Err(OpenError::Absent(_)) => Ok(Vec::new()),
        Err(error) => Err(Failure::failed(error)),
    }
}

fn find(config: &Config, username: &UserName) -> Result<Option<Account>, Failure> {
    Ok(accounts(config)?.into_iter().find(|account| account.username == *username))
}

fn list(config: &Config) -> Done {
    for account in accounts(config)? {
        say(format_args!("{}\t{}\t{}", account.username, account.role, account.name))?;
    }
    Ok(())
}

/// The body of `PUT /api/v1/admin/users/{name}`.
#[derive(Serialize)]
struct AccountBody<'a> {
    role: Role,
    name: &'a str,
    password: &'a str,
}

/// Creates an account, or gives it a new password.
fn put(config: &Config, account: Account, action: &'static str) -> Done {
    let secret = crate::cli::password::new_password(account.username.as_str())?;
    let done = format!("{} ({}) can sign in", account.username, account.role);
    on_system(async move {
        match access(config, Role::Admin)? {
            Access::Hub(hub) => {
                let path = format!("/api/v1/admin/users/{}", percent::piece(account.username.as_str()));
                let body = AccountBody { role: account.role, name: &account.name, password: secret.expose_secret() };
                hub.send(Method::PUT, &path, &body).await
            }
            Access::Store(opened) => put_directly(&opened.ports, account, &secret, action).await,
        }
    })?;
    say(done)
}

async fn put_directly(ports: &Ports, account: Account, secret: &SecretString, action: &str) -> Done {
    let password_hash = password::hash(secret).map_err(Failure::failed)?;
    let (username, role) = (account.username.clone(), account.role);
    let account = Account { password_hash, ..account };
    ports.accounts.put_account(account, Some(Timestamp::now())).await.map_err(Failure::failed)?;
    note(ports, action, &username, format!("{role}, with a new password")).await
}

fn remove(config: &Config, username: &UserName) -> Done {
    find(config, username)?.ok_or_else(|| nobody(username))?;
    on_system(async {
        match access(config, Role::Admin)? {
            Access::Hub(hub) => {
                let path = format!("/api/v1/admin/users/{}", percent::piece(username.as_str()));
                hub.delete(&path).await
            }
            Access::Store(opened) => {
                opened.ports.accounts.remove_account(username, Timestamp::now()).await.map_err(Failure::failed)?;
                note(&opened.ports, "user.remove", username, String::new()).await
            }
        }
    })?;
    say(format_args!("{username} has no local account any more"))
}

/// A line in the audit trail: nobody signed in did this, but somebody on the machine.
async fn note(ports: &Ports, action: &str, subject: &UserName, detail: String) -> Done {
    let entry = AuditEntry {
        at: Timestamp::now(),
        user: None,
        role: None,
        ip: None,
        action: action.to_owned(),
        subject: Some(subject.to_string()),
        section: None,
        detail,
        request_id: None,
    };
    ports.audit.append(vec![entry]).await.map_err(Failure::failed)
}

/// Runs asynchronous work to its end on a system of its own.
fn on_system(work: impl Future<Output = Done>) -> Done {
    actix_rt::System::new().block_on(work)
}
