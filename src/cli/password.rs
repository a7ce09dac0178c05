//! A new password: from a prompt, twice and unseen, or from standard input; never from an argument, which every other
//! user of the machine could read.

use std::io::{BufRead, IsTerminal, Read};

use secrecy::SecretString;

use crate::identity::password::PASSWORD_CHARS;

use crate::cli::Failure;

/// The most that is read from standard input for a password, in bytes.
const INPUT_MAX: u64 = 4_096;

/// Asks for a new password.
pub(super) fn new_password(user: &str) -> Result<SecretString, Failure> {
    let unreadable = |error| Failure::failed(format!("the password cannot be read: {error}"));
    let stdin = std::io::stdin();
    let password = if stdin.is_terminal() {
        let first = rpassword::prompt_password(format!("New password of {user}: ")).map_err(unreadable)?;
        let again = rpassword::prompt_password("Once more: ").map_err(unreadable)?;
        if first != again {
            return Err(Failure::failed("the two are not the same; nothing was changed"));
        }
        first
    } else {
        let mut line = String::new();
        stdin.lock().take(INPUT_MAX).read_line(&mut line).map_err(unreadable)?;
        line.trim_end_matches(['\n', '\r']).to_owned()
    };
    if PASSWORD_CHARS.contains(&password.chars().count()) {
        Ok(password.into())
    } else {
        let (least, most) = (PASSWORD_CHARS.start(), PASSWORD_CHARS.end());
        Err(Failure::usage(format!("a password has {least} to {most} characters")))
    }
}
