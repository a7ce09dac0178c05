//! `token`: mints signed access tokens for integrations and load tests. It reads the secret and needs no running hub.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::config::{Config, SESSION_TTL_S_MAX};
use crate::domain::ids::UserName;
use crate::domain::rights::{Rights, Subjects};
use crate::domain::role::Role;
use crate::identity::secret;
use crate::identity::token::Tokens;

use crate::cli::{CommandResult, Failure};

/// The maximum number of tokens per run.
const COUNT_MAX: u32 = 1_000_000;

/// Arguments of `token`.
#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// Username; need not be a known account
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// Role: student, instructor, staff or admin
    #[arg(long)]
    role: String,
    /// Limit staff to these subjects, such as MATH,STAT
    #[arg(long, value_name = "SUBJECTS", value_delimiter = ',')]
    subjects: Vec<String>,
    /// Lifetime in seconds, at most a year (default: that of a sign-in)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=u64::from(SESSION_TTL_S_MAX)))]
    ttl: Option<u64>,
    /// Mint N tokens, for NAME-00001, NAME-00002 and so on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    count: Option<u32>,
}

/// `eduhub token --subject NAME --role ROLE [--subjects SUBJECTS] [--ttl SECONDS] [--count N]`
pub(super) fn run(config: &Config, arguments: &TokenArguments) -> CommandResult {
    let rights = rights(&arguments.role, &arguments.subjects)?;
    let ttl = arguments.ttl.map_or(config.auth.session_ttl, Duration::from_secs);
    let file = secret::path_beside(config.store.files());
    let secret = secret::load(config.auth.secret.as_ref(), &file).map_err(Failure::failed)?;
    let tokens = Tokens::new(&secret);
    let subjects = match arguments.count {
        None => vec![user_name(&arguments.subject)?],
        Some(count) => {
            (1..=count).map(|n| user_name(&format!("{}-{n:05}", arguments.subject))).collect::<Result<_, _>>()?
        }
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for subject in subjects {
        let minted = tokens.mint(&subject, None, rights.clone(), ttl, Timestamp::now());
        let minted = minted.ok_or_else(|| Failure::failed("cannot sign a token"))?;
        writeln!(out, "{}", minted.token).map_err(Failure::stdout)?;
    }
    out.flush().map_err(Failure::stdout)
}

/// Parses a role.
pub(super) fn role(text: &str) -> Result<Role, Failure> {
    Role::parse(text)
        .ok_or_else(|| Failure::usage(format!("unknown role {text:?}: use student, instructor, staff or admin")))
}

/// Parses a role with the subjects to which staff are limited; none means no limit.
pub(super) fn rights(role_name: &str, subjects: &[String]) -> Result<Rights, Failure> {
    let role = role(role_name)?;
    if subjects.is_empty() {
        return Ok(role.into());
    }
    if role != Role::Staff {
        return Err(Failure::usage("only staff can be limited to subjects"));
    }
    let subjects = Subjects::parse(subjects).map_err(|error| Failure::usage(format!("the subjects {error}")))?;
    Ok(Rights::new(role, Some(subjects)))
}

/// Parses and normalizes a username.
pub(super) fn user_name(text: &str) -> Result<UserName, Failure> {
    UserName::parse(text).map_err(|_| {
        let rule = "use 1 to 120 characters, without spaces or invisible characters, and not . or ..";
        Failure::usage(format!("invalid username {text:?}: {rule}"))
    })
}
