//! The secret that signs tokens: configured, or made once and kept beside the store, for its owner's eyes only.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

/// The fewest bytes of a secret: as many as the hash has (RFC 7518, 3.2).
pub const SECRET_LEN_MIN: usize = 32;

/// Why there is no secret, in words for whoever starts the hub.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The configured one is too short.
    #[error("[auth] secret has {0} bytes; it must have at least {SECRET_LEN_MIN}")]
    TooShort(usize),
    /// What the file holds is too short to be a secret.
    #[error("the secret in {0} is too short; remove the file to have a new one made (everyone signs in again)")]
    Damaged(PathBuf),
    /// There is no file, and none was to be made.
    #[error("there is no secret yet: neither [auth] secret nor {0}; the server makes one when it starts")]
    Absent(PathBuf),
    /// The file cannot be read or made.
    #[error("the secret {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
}

/// Where the secret of a store lies: `NAME.secret` beside it.
#[must_use]
pub fn path_beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".secret");
    PathBuf::from(name)
}

/// The configured secret, or that of the file, or a new one in the file: what the server asks for.
pub fn load_or_make(configured: Option<&SecretString>, file: &Path) -> Result<SecretString, SecretError> {
    match load(configured, file) {
        Err(SecretError::Absent(_)) => {
            make(file).map_err(|error| SecretError::Io { path: file.to_owned(), error })?;
            load(None, file)
        }
        other => other,
    }
}

/// The configured secret, or that of the file: what `eduhub token` asks for.
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
    if fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        log::warn!("{} can be read by others than its owner: chmod 600 it", file.display());
    }
    let text = text.trim();
    if text.len() < SECRET_LEN_MIN {
        return Err(SecretError::Damaged(file.to_owned()));
    }
    Ok(SecretString::from(text))
}

/// Writes a new secret. It appears whole under its name or not at all, and never over one that is there.
fn make(file: &Path) -> std::io::Result<()> {
    let random: [u8; 32] = rand::random();
    let mut text = String::with_capacity(65);
    for byte in random {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let mut draft = file.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    let linked = fs::hard_link(&draft, file);
    fs::remove_file(&draft)?;
    match linked {
        // Another process was first: its secret is the one.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = path_beside(&folder.path().join("hub.db"));
        assert!(matches!(load(None, &file), Err(SecretError::Absent(_))));
        let first = load_or_make(None, &file).unwrap();
        let again = load_or_make(None, &file).unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        assert_eq!(first.expose_secret().len(), 64);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_short_secret_is_refused_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let short = SecretString::from("short");
        assert!(matches!(load_or_make(Some(&short), &file), Err(SecretError::TooShort(5))));
        fs::write(&file, "short").unwrap();
        assert!(matches!(load_or_make(None, &file), Err(SecretError::Damaged(_))));
    }
}
