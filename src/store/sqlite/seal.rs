//! The seal of a file at rest: a checksum of all its bytes, after the last page. Backups have one, and so does a store
//! that a hub has closed. It also covers bytes that SQLite does not use and therefore does not check.
//!
//! SQLite reads as many pages as the header of a database says, so it ignores the seal. Opening a store to write
//! removes it; so does SQLite itself when it writes its log back into the file.

use std::fs::{File, Metadata};
use std::hash::Hasher;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use siphasher::sip128::{Hasher128, SipHasher13};

/// The first bytes of a seal. The checksum follows, 16 bytes in little-endian order.
const MARK: &[u8; 16] = b"EduHub seal v1\n\0";
/// Length of a seal.
const SEAL_LEN: u64 = 32;
/// The smallest page of SQLite. A seal is shorter, and the length of every database is a multiple of this.
const PAGE_SIZE_MIN: u64 = 512;

/// The first bytes of an SQLite database.
const DATABASE_START: &[u8; 16] = b"SQLite format 3\0";

/// The state of a file according to its seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SealState {
    /// There is no seal, or one that a crash cut off.
    Absent,
    /// All bytes are as they were when the file was sealed.
    Intact,
    /// Bytes have changed.
    Broken,
}

/// Appends a seal to a database that no process is writing, and syncs the file.
pub(super) fn put(path: &Path) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let len = database_len(&file)?;
    // The seal must not be on the disk before what it covers.
    file.sync_all()?;
    let checksum = checksum(&file, len)?;
    file.seek(SeekFrom::Start(len))?;
    file.write_all(&[&MARK[..], &checksum.to_le_bytes()[..]].concat())?;
    file.sync_all()
}

/// Compares a file with its seal. A hub may be starting with this file at the same time.
pub(super) fn check(path: &Path) -> io::Result<SealState> {
    SealedFile::open(path)?.check()
}

/// A file whose seal is checked, with its state at the beginning.
struct SealedFile {
    file: File,
    before: Metadata,
}

impl SealedFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self { before: file.metadata()?, file })
    }

    fn check(&self) -> io::Result<SealState> {
        let found = match self.compare() {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => SealState::Broken,
            found => found?,
        };
        // A hub that starts removes the seal and then writes to the file, which is not damage.
        let is_changing = found == SealState::Broken && self.has_changed()?;
        Ok(if is_changing { SealState::Absent } else { found })
    }

    fn has_changed(&self) -> io::Result<bool> {
        let after = self.file.metadata()?;
        Ok(after.len() != self.before.len() || after.modified()? != self.before.modified()?)
    }

    fn compare(&self) -> io::Result<SealState> {
        let len = without_seal(self.before.len());
        if self.before.len() != len + SEAL_LEN {
            return Ok(SealState::Absent);
        }
        let mut seal = [0; SEAL_LEN as usize];
        self.file.read_exact_at(&mut seal, len)?;
        let (mark, stored) = seal.split_at(MARK.len());
        if seal == [0; SEAL_LEN as usize] {
            return Ok(SealState::Absent);
        }
        let is_intact = mark == MARK && stored == checksum(&self.file, len)?.to_le_bytes();
        Ok(if is_intact { SealState::Intact } else { SealState::Broken })
    }
}

/// Removes the seal, durably, before the file is written to. Leaves a file that is not a database as it is.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let len = database_len(&file)?;
    let mut start = [0; DATABASE_START.len()];
    let is_database = len > 0 && file.read_exact_at(&mut start, 0).map(|()| &start == DATABASE_START)?;
    if is_database && file.metadata()?.len() == len + SEAL_LEN {
        file.set_len(len)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Returns the length of a file without its seal.
fn database_len(file: &File) -> io::Result<u64> {
    Ok(without_seal(file.metadata()?.len()))
}

fn without_seal(len: u64) -> u64 {
    len - len % PAGE_SIZE_MIN
}

/// Returns the checksum of the first `len` bytes.
fn checksum(file: &File, len: u64) -> io::Result<u128> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = BufReader::with_capacity(1 << 16, file).take(len);
    let mut hash = SipHasher13::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = bytes.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finish128().as_u128());
        }
        hash.write(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 4 * 4096;

    fn sealed() -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut content = vec![7; LEN];
        content[..DATABASE_START.len()].copy_from_slice(DATABASE_START);
        file.write_all(&content).unwrap();
        put(file.path()).unwrap();
        assert_eq!(check(file.path()).unwrap(), SealState::Intact);
        file
    }

    fn change_a_page(path: &Path) {
        File::options().write(true).open(path).unwrap().write_all_at(&[8; 4096], 4096).unwrap();
    }

    #[test]
    fn a_changed_page_breaks_the_seal() {
        let file = sealed();
        change_a_page(file.path());
        assert_eq!(check(file.path()).unwrap(), SealState::Broken);
    }

    #[test]
    fn a_hub_that_starts_during_the_check_does_not_break_the_seal() {
        type Start = fn(&Path);
        let starts: [(&str, Start); 3] = [
            ("it removes the seal", |path| remove(path).unwrap()),
            ("it writes a page", |path| {
                remove(path).unwrap();
                change_a_page(path);
            }),
            ("its store becomes shorter", |path| {
                File::options().write(true).open(path).unwrap().set_len(4096).unwrap();
            }),
        ];
        for (what, start) in starts {
            let file = sealed();
            let opened = SealedFile::open(file.path()).unwrap();
            start(file.path());
            assert_eq!(opened.check().unwrap(), SealState::Absent, "{what}");
        }
    }
}
