//! Tests of the search for damage in a log.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;

const PAGE_SIZE: usize = 4096;
const FRAME_LEN: usize = FRAME_HEADER_LEN + PAGE_SIZE;

/// Returns a log of the creation of a table and `commits` commits of one row each: its path, its content, and the bytes
/// at which its commits end.
fn log(folder: &Path, commits: usize) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let store = folder.join("store.db");
    let connection = Connection::open(&store).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)").unwrap();
    for number in 0..commits {
        connection.execute("INSERT INTO t VALUES (?1)", [number]).unwrap();
    }
    let path = folder.join("store.db-wal");
    let bytes = fs::read(&path).unwrap();
    let frames = bytes[HEADER_LEN..].chunks_exact(FRAME_LEN).enumerate();
    let ends = frames.filter(|(_, frame)| number(frame, 4) != 0);
    let ends = ends.map(|(index, _)| HEADER_LEN + (index + 1) * FRAME_LEN).collect();
    (path, bytes, ends)
}

#[test]
fn a_changed_byte_before_the_last_commit_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes, ends) = log(folder.path(), 6);
    assert_eq!(find_damage(&path).unwrap(), None);
    // Every byte of the headers, and some of each page.
    let is_checked = |byte: &usize| *byte < HEADER_LEN || (byte - HEADER_LEN) % FRAME_LEN % 499 < FRAME_HEADER_LEN;
    for byte in (0..ends[ends.len() - 2]).filter(is_checked) {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 1;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged");
        fs::write(&path, damaged).unwrap();
        assert!(find_damage(&path).unwrap().is_some(), "byte {byte}");
    }
}

#[test]
fn a_cut_or_torn_last_commit_is_not_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes, ends) = log(folder.path(), 6);
    let last = ends[ends.len() - 2];
    for kept in [0, 10, HEADER_LEN, HEADER_LEN + 5, last, last + 1, bytes.len() - 1] {
        fs::write(&path, &bytes[..kept]).unwrap();
        assert_eq!(find_damage(&path).unwrap(), None, "{kept} bytes");
    }
    for sector in (last / 512 + 1)..bytes.len() / 512 {
        let mut torn = bytes.clone();
        torn[sector * 512..(sector + 1) * 512].fill(0);
        fs::write(&path, torn).unwrap();
        assert_eq!(find_damage(&path).unwrap(), None, "sector {sector}");
    }
    assert_eq!(find_damage(&folder.path().join("no-log")).unwrap(), None);
}

#[test]
fn frames_of_an_earlier_log_after_a_torn_commit_are_not_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, earlier, _) = log(folder.path(), 12);
    let later_folder = tempfile::tempdir().unwrap();
    let (_, later, ends) = log(later_folder.path(), 4);
    // The log started again over the earlier one, and the power failed while its last commit was written.
    let last = ends[ends.len() - 2];
    for kept in [last, last + 512, later.len()] {
        let mixed = [&later[..kept], &earlier[kept..]].concat();
        fs::write(&path, mixed).unwrap();
        assert_eq!(find_damage(&path).unwrap(), None, "{kept} bytes of the later log");
    }
}
