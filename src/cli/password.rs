//! Reads a new password from a prompt or from standard input. Passwords are never arguments: other users of the machine
//! can read those.

use std::io::{BufRead, IsTerminal, Read};

use secrecy::SecretString;

use crate::identity::password_rules;

use crate::cli::Failure;

/// The maximum number of bytes read from standard input: more than a password can have, so that a longer one is refused
/// and not cut off.
const INPUT_MAX: u64 = 4_096;

/// Reads a new password: from a terminal by a prompt, twice and without echo; otherwise the first line of standard
/// input. Returns its normal form.
pub(super) fn new_password(user: &str, college: &str) -> Result<SecretString, Failure> {
    let unreadable = |error| Failure::failed(format!("the password cannot be read: {error}"));
    let stdin = std::io::stdin();
    let password = if stdin.is_terminal() {
        let first = rpassword::prompt_password(format!("New password for {user}: ")).map_err(unreadable)?;
        let second = rpassword::prompt_password("Repeat the password: ").map_err(unreadable)?;
        if first != second {
            return Err(Failure::failed("the passwords do not match; nothing was changed"));
        }
        first
    } else {
        let mut line = String::new();
        stdin.lock().take(INPUT_MAX).read_line(&mut line).map_err(unreadable)?;
        line.trim_end_matches(['\n', '\r']).to_owned()
    };
    password_rules::accept(&password.into(), &[user, college]).map_err(Failure::usage)
}
