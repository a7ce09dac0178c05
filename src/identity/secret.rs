//! The secret that signs tokens. It is configured, or generated once in a file next to the store that only its owner
//! can read.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::private_files;

/// Minimum length of the secret in bytes: the size of the hash output (RFC 7518, section 3.2).
pub const SECRET_LEN_MIN: usize = 32;

/// Why no secret is available. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The configured secret is too short.
    #[error("[auth] secret has {0} bytes; it must have at least {SECRET_LEN_MIN}")]
    TooShort(usize),
    /// The secret in the file is too short.
    #[error("the secret in {0} is too short; remove the file to generate a new one, which signs all users out")]
    Damaged(PathBuf),
    /// No secret is configured, and the file does not exist.
    #[error("no secret found: [auth] secret is not set and {0} does not exist; `eduhub serve` generates the file")]
    Absent(PathBuf),
    /// The file cannot be read or created.
    #[error("cannot read or create the secret {path}: {error}")]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The operating system's error.
        error: std::io::Error,
    },
}

/// Returns the path of the secret of a store: `STORE.secret`.
#[must_use]
pub fn path_beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".secret");
    PathBuf::from(name)
}

/// Returns the configured secret or the one in the file, which is generated if it does not exist. Used by the hub.
///
/// # Errors
/// When the secret is too short, or the file cannot be read or created.
pub fn load_or_generate(configured: Option<&SecretString>, file: &Path) -> Result<SecretString, SecretError> {
    private_files::restrict(file);
    match load(configured, file) {
        Err(SecretError::Absent(_)) => {
            generate(file).map_err(|error| SecretError::Io { path: file.to_owned(), error })?;
            load(None, file)
        }
        other => other,
    }
}

/// Returns the configured secret or the one in the file. Used by commands that sign tokens.
///
/// # Errors
/// When there is no secret, it is too short, or the file cannot be read.
pub fn load(configured: Option<&SecretString>, file: &Path) -> Result<SecretString, SecretError> {
    if let Some(secret) = configured {
        let len = secret.expose_secret().len();
        return if len < SECRET_LEN_MIN { Err(SecretError::TooShort(len)) } else { Ok(secret.clone()) };
    }
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => SecretError::Absent(file.to_owned()),
        _ => SecretError::Io { path: file.to_owned(), error },
    };
    let text = fs::read_to_string(file).map_err(io)?;
    if private_files::is_open_to_others(file).is_ok_and(|is_open| is_open) {
        log::warn!("{} can be read by other users; run chmod 600 on it", file.display());
    }
    let text = text.trim();
    if text.len() < SECRET_LEN_MIN {
        return Err(SecretError::Damaged(file.to_owned()));
    }
    Ok(SecretString::from(text))
}

/// Generates a secret in a file. The file is created atomically and never replaces an existing one.
fn generate(file: &Path) -> std::io::Result<()> {
    let random: [u8; 32] = rand::random();
    let mut text = String::with_capacity(65);
    for byte in random {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A temporary file is new and has the mode 0600, even in a folder in which others can create files.
    let mut draft = tempfile::Builder::new().prefix(".eduhub-secret-").tempfile_in(folder)?;
    draft.write_all(text.as_bytes())?;
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(file) {
        // Another process created the file first; its secret is used.
        Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(failed) => Err(failed.error),
        Ok(_) => File::open(folder)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_generated_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = path_beside(&folder.path().join("hub.db"));
        assert!(matches!(load(None, &file), Err(SecretError::Absent(_))));
        let first = load_or_generate(None, &file).unwrap();
        let again = load_or_generate(None, &file).unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        assert_eq!(first.expose_secret().len(), 64);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_short_secret_is_rejected_in_settings_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let short = SecretString::from("short");
        assert!(matches!(load_or_generate(Some(&short), &file), Err(SecretError::TooShort(5))));
        fs::write(&file, "short").unwrap();
        assert!(matches!(load_or_generate(None, &file), Err(SecretError::Damaged(_))));
    }
}
