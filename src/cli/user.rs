//! `user add`, `passwd`, `list`, `remove`, `reset-totp`: manages local accounts, in the store or through the hub that
//! holds it.

use awc::http::Method;
use clap::Subcommand;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::app::ports::{self, Ports};
use crate::config::Config;
use crate::domain::audit_detail::{AuditDetail, Detail};
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::accounts::is_last_admin;
use crate::identity::password;
use crate::store::accounts::{Account, AuditEntry};
use crate::text::percent;

use crate::cli::remote::{Access, access};
use crate::cli::token::{rights, user_name};
use crate::cli::{CommandResult, Failure, print_line};

/// Subcommands of `user`.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add an account; the password is prompted for or read from standard input
    Add {
        /// Username, without spaces
        name: String,
        /// Role: student, instructor, staff or admin
        #[arg(long)]
        role: String,
        /// Limit staff to these subjects, such as MATH,STAT
        #[arg(long, value_name = "SUBJECTS", value_delimiter = ',')]
        subjects: Vec<String>,
        /// Display name (default: the username)
        #[arg(long, value_name = "NAME")]
        full_name: Option<String>,
    },
    /// Change a password and sign the user out everywhere
    Passwd {
        /// Username
        name: String,
    },
    /// List all accounts
    List,
    /// Remove the second factor of a user who has lost the device and the recovery codes
    ResetTotp {
        /// Username
        name: String,
    },
    /// Remove an account and sign the user out everywhere
    Remove {
        /// Username
        name: String,
    },
}

/// `eduhub user …`
pub(super) fn run(config: &Config, command: &UserCommand) -> CommandResult {
    match command {
        UserCommand::List => list(config),
        UserCommand::Add { name, role: role_name, subjects, full_name } => {
            let (username, rights) = (user_name(name)?, rights(role_name, subjects)?);
            if find(config, name)?.is_some() {
                return Err(Failure::failed(format!(
                    "{username} already has an account; change its password with `eduhub user passwd`"
                )));
            }
            let name = full_name.clone().unwrap_or_else(|| name.clone());
            let account = Account { username, name, rights, password_hash: String::new() };
            save_with_new_password(config, account, "user.add")
        }
        UserCommand::Passwd { name } => {
            let account = find(config, name)?.ok_or_else(|| no_account(name))?;
            save_with_new_password(config, account, "user.change")
        }
        UserCommand::ResetTotp { name } => reset_factor(config, name),
        UserCommand::Remove { name } => remove(config, name),
    }
}

fn no_account(name: &str) -> Failure {
    Failure::failed(format!("{name} has no local account"))
}

/// Reads the accounts, even while a hub runs. Returns none if there is no store yet.
fn accounts(config: &Config) -> Result<Vec<Account>, Failure> {
    match ports::accounts_of(config) {
        Ok(accounts) => Ok(accounts),
        Err(error) if error.is_absent() => Ok(Vec::new()),
        Err(error) => Err(Failure::failed(error)),
    }
}

/// Returns the account with this name, or one whose name an earlier version stored in another spelling.
fn find(config: &Config, name: &str) -> Result<Option<Account>, Failure> {
    let mut accounts = accounts(config)?;
    let normal = UserName::parse(name);
    let has_name = |account: &Account| account.username.as_str() == name;
    let has_spelling = |account: &Account| normal.is_ok() && UserName::parse(account.username.as_str()) == normal;
    let at = accounts.iter().position(has_name).or_else(|| accounts.iter().position(has_spelling));
    Ok(at.map(|at| accounts.swap_remove(at)))
}

fn list(config: &Config) -> CommandResult {
    for account in accounts(config)? {
        print_line(format_args!("{}\t{}\t{}", account.username, account.rights, account.name))?;
    }
    Ok(())
}

/// The body of `PUT /api/v1/admin/users/{name}`.
#[derive(Serialize)]
struct AccountBody<'a> {
    role: Role,
    /// Absent if there is no limit: an empty list would end the limit of an account that is not staff at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    subjects: Option<Vec<&'a str>>,
    name: &'a str,
    password: &'a str,
}

/// Reads a new password, and creates or updates the account with it.
fn save_with_new_password(config: &Config, account: Account, action: &'static str) -> CommandResult {
    let secret = crate::cli::password::new_password(account.username.as_str(), &config.college.name)?;
    let done = format!("{} ({}) can sign in", account.username, account.rights);
    block_on(async move {
        match access(config, Role::Admin)? {
            Access::Hub(hub) => {
                let path = format!("/api/v1/admin/users/{}", percent::encode_segment(account.username.as_str()));
                let body = AccountBody {
                    role: account.rights.role(),
                    subjects: account.rights.subjects().map(|limit| limit.iter().collect()),
                    name: &account.name,
                    password: secret.expose_secret(),
                };
                hub.send(Method::PUT, &path, &body).await
            }
            Access::Store(opened) => save_directly(&opened.ports, account, &secret, action).await,
        }
    })?;
    print_line(done)
}

async fn save_directly(ports: &Ports, account: Account, secret: &SecretString, action: &str) -> CommandResult {
    let password_hash = password::hash(secret).map_err(Failure::failed)?;
    let (username, rights) = (account.username.clone(), account.rights.clone());
    let account = Account { password_hash, ..account };
    ports.accounts.put_account(account, Some(Timestamp::now())).await.map_err(Failure::failed)?;
    audit(ports, action, &username, AuditDetail::of_account(&rights, true).into()).await
}

fn remove(config: &Config, name: &str) -> CommandResult {
    let username = &find(config, name)?.ok_or_else(|| no_account(name))?.username;
    block_on(async {
        match access(config, Role::Admin)? {
            Access::Hub(hub) => {
                let path = format!("/api/v1/admin/users/{}", percent::encode_segment(username.as_str()));
                hub.delete(&path).await
            }
            Access::Store(opened) => {
                let accounts = opened.ports.accounts.accounts().await.map_err(Failure::failed)?;
                if is_last_admin(&accounts, username) {
                    let why = format!("{username} is the last local administrator: create another one first");
                    return Err(Failure::failed(why));
                }
                opened.ports.accounts.remove_account(username, Timestamp::now()).await.map_err(Failure::failed)?;
                audit(&opened.ports, "user.remove", username, Detail::default()).await
            }
        }
    })?;
    print_line(format_args!("removed the local account {username}"))
}

fn reset_factor(config: &Config, name: &str) -> CommandResult {
    let username = &find(config, name)?.ok_or_else(|| no_account(name))?.username;
    block_on(async {
        match access(config, Role::Admin)? {
            Access::Hub(hub) => {
                let path = format!("/api/v1/admin/users/{}/totp", percent::encode_segment(username.as_str()));
                hub.delete(&path).await
            }
            Access::Store(opened) => {
                if !opened.ports.accounts.remove_second_factor(username).await.map_err(Failure::failed)? {
                    return Err(Failure::failed(format!("{username} has no second factor")));
                }
                audit(&opened.ports, "totp.reset", username, Detail::default()).await
            }
        }
    })?;
    print_line(format_args!("{username} can sign in without a code"))
}

/// Adds an audit entry without a user: the command was run on the machine, not by a signed-in user.
async fn audit(ports: &Ports, action: &str, subject: &UserName, detail: Detail) -> CommandResult {
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

/// Runs a future to completion on a new actix system.
fn block_on(work: impl Future<Output = CommandResult>) -> CommandResult {
    actix_rt::System::new().block_on(work)
}
