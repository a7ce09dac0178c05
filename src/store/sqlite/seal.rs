//! The seal of a file at rest: a checksum of all its bytes, after the last page. Backups have one, and so does a store
//! that a hub has closed. It also covers bytes that SQLite does not use and therefore does not check.
//!
//! SQLite reads as many pages as the header of a database says, so it ignores the seal. Opening a store to write removes
//! it; so does SQLite itself when it writes its log back into the file.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use siphasher::sip128::{Hasher128, SipHasher13};

/// The first bytes of a seal. The checksum follows, 16 bytes in little-endian order.
const MARK: &[u8; 16] = b"EduHub seal v1\n\0";
/// Length of a seal.
const SEAL_LEN: u64 = 32;
/// The smallest page of SQLite. A seal is shorter, and no database ends between two multiples of this.
const PAGE_SIZE_MIN: u64 = 512;

/// The first bytes of an SQLite database.
const DATABASE_START: &[u8; 16] = b"SQLite format 3\0";

/// What the seal says about a file.
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

/// Compares a file with its seal.
pub(super) fn check(path: &Path) -> io::Result<SealState> {
    let file = File::open(path)?;
    let len = database_len(&file)?;
    if file.metadata()?.len() != len + SEAL_LEN {
        return Ok(SealState::Absent);
    }
    let mut seal = [0; SEAL_LEN as usize];
    file.read_exact_at(&mut seal, len)?;
    let (mark, stored) = seal.split_at(MARK.len());
    if seal == [0; SEAL_LEN as usize] {
        return Ok(SealState::Absent);
    }
    let is_intact = mark == MARK && stored == checksum(&file, len)?.to_le_bytes();
    Ok(if is_intact { SealState::Intact } else { SealState::Broken })
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

/// Returns the length of a file without a seal.
fn database_len(file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    Ok(len - len % PAGE_SIZE_MIN)
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
