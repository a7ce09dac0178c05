//! Files and folders that only their owner can use, whatever the umask of the process is.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The permissions of group and others.
const OTHERS: u32 = 0o077;

/// Returns options with which a new file gets the mode 0600.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Returns the permissions of a folder that only its owner can use.
#[must_use]
pub fn folder_permissions() -> Permissions {
    Permissions::from_mode(0o700)
}

/// Creates a folder and its missing parents, each with the mode 0700. An existing folder keeps its mode.
///
/// # Errors
/// When a folder cannot be created.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Returns whether anyone other than the owner has access to a file or a folder.
///
/// # Errors
/// When its metadata cannot be read.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.mode() & OTHERS != 0)
}

/// Removes the access of everyone but the owner from a file or a folder, if it exists. A symbolic link is left alone,
/// because its target may be a file of another program. Logs what was changed, and what cannot be changed.
pub fn restrict(path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else { return };
    if found.file_type().is_symlink() || found.mode() & OTHERS == 0 {
        return;
    }
    match fs::set_permissions(path, Permissions::from_mode(found.mode() & 0o7777 & !OTHERS)) {
        Ok(()) => log::warn!("{} was accessible to other users of this machine; now it is not", path.display()),
        Err(error) => log::warn!(
            "{} is accessible to other users of this machine, and its permissions cannot be changed: {error}",
            path.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn new_files_and_folders_are_private() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        create_folder(&folder).unwrap();
        create_folder(&folder).unwrap();
        options().create(true).write(true).open(folder.join("file")).unwrap();
        assert_eq!((mode(&parent.path().join("a")), mode(&folder), mode(&folder.join("file"))), (0o700, 0o700, 0o600));
    }

    #[test]
    fn existing_files_are_restricted_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, target) = (folder.path().join("file"), folder.path().join("target"));
        for path in [&file, &target] {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(is_open_to_others(&file).unwrap());
        for path in [&file, &link, &folder.path().join("missing"), folder.path()] {
            restrict(path);
        }
        assert_eq!((mode(&file), mode(&target), mode(folder.path())), (0o600, 0o644, 0o700));
        assert!(!is_open_to_others(&file).unwrap());
    }
}
