//! The note of a store's last commit, in a file beside it: `NAME.last-commit`.
//!
//! The writer records each commit once it is on the disk. The note itself is not synced, so after a power failure it
//! can be older than the store, but never newer. A store that is older than its note has lost commits, for example
//! because its log was cut off or removed.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::private_files;
use crate::store::sqlite::content::Position;
use crate::store::sqlite::files::{named, remove_if_present, sync_folder_of};

fn path_of(store: &Path) -> PathBuf {
    named(store, ".last-commit")
}

/// The writer of the note.
pub(super) struct LastCommit {
    file: File,
    recorded: Option<Position>,
}

impl LastCommit {
    /// Opens the note of a store that was checked, and creates one if there is none.
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        let file = private_files::options().create(true).truncate(false).write(true).open(path_of(store))?;
        Ok(Self { file, recorded: None })
    }

    /// Records a commit that is on the disk.
    pub(super) fn record(&mut self, position: Position) -> io::Result<()> {
        if self.recorded.as_ref() == Some(&position) {
            return Ok(());
        }
        self.file.write_all_at(text(&position).as_bytes(), 0)?;
        self.recorded = Some(position);
        Ok(())
    }
}

/// Removes the note, durably, because the store is going to be replaced by another one.
pub(super) fn forget(store: &Path) -> io::Result<()> {
    remove_if_present(&path_of(store))?;
    sync_folder_of(store)
}

/// Returns the recorded commit; `None` if there is no note, or it is incomplete.
pub(super) fn read(store: &Path) -> io::Result<Option<Position>> {
    match fs::read_to_string(path_of(store)) {
        Ok(found) => Ok(position(&found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns a note. All notes of a store have the same length.
fn text(position: &Position) -> String {
    let note = format!("store {} commit {:020}", position.store, position.commits);
    format!("{note} checksum {:032x}\n", checksum(&note))
}

fn position(text: &str) -> Option<Position> {
    let (note, stored) = text.trim_end().split_once(" checksum ")?;
    let (store, commits) = note.strip_prefix("store ")?.split_once(" commit ")?;
    let is_whole = u128::from_str_radix(stored, 16).ok()? == checksum(note);
    is_whole.then_some(Position { store: store.to_owned(), commits: commits.parse().ok()? })
}

fn checksum(note: &str) -> u128 {
    let mut hash = SipHasher13::new();
    hash.write(note.as_bytes());
    hash.finish128().as_u128()
}
