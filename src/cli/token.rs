//! `token`: signed access tokens for integrations and load tests. Needs the secret, and no running hub.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::config::Config;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::secret;
use crate::identity::token::Tokens;

use crate::cli::{Done, Failure};

/// The most tokens of one run.
const COUNT_MAX: u32 = 1_000_000;

/// What `token` is told.
#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// The user name; it need not be a known account
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// student, staff or admin
    #[arg(long)]
    role: String,
    /// How long they live; as long as a sign-in unless told otherwise
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// So many, for NAME-00001, NAME-00002 and so on
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    count: Option<u32>,
}

/// `eduhub token --subject NAME --role ROLE [--ttl SECONDS] [--count N]`
pub(super) fn run(config: &Config, arguments: &TokenArguments) -> Done {
    let role = role(&arguments.role)?;
    let ttl = arguments.ttl.map_or(config.auth.session_ttl, Duration::from_secs);
    if ttl.is_zero() {
        return Err(Failure::usage("--ttl must be at least 1"));
    }
    let file = secret::path_beside(&config.store.path);
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
        let minted = tokens.mint(&subject, None, role, ttl, Timestamp::now());
        let minted = minted.ok_or_else(|| Failure::failed("a token could not be signed"))?;
        writeln!(out, "{}", minted.token).map_err(Failure::unwritten)?;
    }
    out.flush().map_err(Failure::unwritten)
}

/// Reads a role.
pub(super) fn role(text: &str) -> Result<Role, Failure> {
    Role::parse(text).ok_or_else(|| Failure::usage(format!("{text:?} is not a role: student, staff or admin")))
}

/// Reads a user name.
pub(super) fn user_name(text: &str) -> Result<UserName, Failure> {
    UserName::parse(text)
        .map_err(|_| Failure::usage(format!("{text:?} is not a user name: 1 to 120 bytes, without spaces")))
}
