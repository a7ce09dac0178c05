//! Finds damage in a store's write-ahead log, before SQLite reads it.
//!
//! SQLite treats the first frame with a wrong checksum as the end of the log, because a power failure leaves such a
//! frame there, and drops all later commits without a message. But each commit is on the disk before the next one
//! begins. So when a frame was written after a commit that is at or after the wrong frame, that commit was whole: the
//! log is damaged, not cut off by a power failure. The format is that of
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

/// Length of the header of a log.
const HEADER_LEN: usize = 32;
/// Length of the header of a frame, which a page follows.
const FRAME_HEADER_LEN: usize = 24;
/// The first number of a log; if its lowest bit is set, the checksums read the log as big-endian numbers.
const MAGIC: u32 = 0x377f_0682;
/// Valid page sizes, in bytes.
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 512..=65_536;

/// Damage of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogDamage {
    /// The salts of the log, which change when it starts again.
    salts: [u8; 8],
    /// The byte at which the damaged part begins.
    pub(super) offset: usize,
}

/// A checksum of two numbers, which runs through all frames.
type Checksum = (u32, u32);

/// Returns where a log is damaged. A hub may be writing to it.
pub(super) fn find_damage(log: &Path) -> io::Result<Option<LogDamage>> {
    let Some(damage) = scan(log)? else { return Ok(None) };
    // A hub may have been writing the frame while it was read. If so, the frame is whole now, or the log has started
    // again.
    Ok(scan(log)?.filter(|again| *again == damage))
}

fn scan(log: &Path) -> io::Result<Option<LogDamage>> {
    let mut file = match File::open(log) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER_LEN];
    if !read_whole(&mut file, &mut header)? {
        return Ok(None);
    }
    let Some(mut frames) = Frames::of(&header) else {
        // The header is synced before the first frame is written, so a log with frames has a whole header.
        let mut first = [0; FRAME_HEADER_LEN];
        let has_frames = read_whole(&mut file, &mut first)? && first != [0; FRAME_HEADER_LEN];
        return Ok(has_frames.then_some(LogDamage { salts: [0; 8], offset: 0 }));
    };
    let mut frame = vec![0; FRAME_HEADER_LEN + frames.page_size];
    let mut offset = HEADER_LEN;
    while read_whole(&mut file, &mut frame)? {
        if let Some(damaged_from) = frames.next(&frame, offset) {
            return Ok(Some(LogDamage { salts: frames.salts, offset: damaged_from }));
        }
        offset += frame.len();
    }
    Ok(None)
}

/// Fills `buffer`; returns false at the end of the file.
fn read_whole(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A checksum that the next frame can continue.
#[derive(Debug, Clone, Copy)]
struct Before {
    checksum: Checksum,
    /// Whether the frame with this checksum ends a commit.
    is_commit: bool,
}

/// The frames of a log, as they are read one after the other.
struct Frames {
    page_size: usize,
    salts: [u8; 8],
    is_big_endian: bool,
    /// After a correct frame: its checksum. After a wrong one: the stored checksum, and the one computed from the
    /// frame, in case the stored one is damaged.
    before: Vec<Before>,
    /// The byte at which the first wrong frame begins.
    wrong: Option<usize>,
    /// Whether a commit at or after the first wrong frame was whole, because a later frame continues it.
    has_commit: bool,
}

impl Frames {
    /// Reads the header of a log; `None` if it is incomplete or wrong.
    fn of(header: &[u8; HEADER_LEN]) -> Option<Self> {
        let magic = number(header, 0);
        let is_big_endian = magic & 1 == 1;
        let page_size = number(header, 8) as usize;
        let checksum = checksum((0, 0), &header[..24], is_big_endian);
        let is_whole = magic & !1 == MAGIC
            && PAGE_SIZES.contains(&page_size)
            && page_size.is_power_of_two()
            && checksum == (number(header, 24), number(header, 28));
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        let before = vec![Before { checksum, is_commit: false }];
        is_whole.then_some(Self { page_size, salts, is_big_endian, before, wrong: None, has_commit: false })
    }

    /// Reads the frame at `offset`. If it proves that the log before it is damaged, returns where the damage begins.
    fn next(&mut self, frame: &[u8], offset: usize) -> Option<usize> {
        let stored = (number(frame, 16), number(frame, 20));
        let is_commit = number(frame, 4) != 0;
        let is_of_this_log = number(frame, 0) != 0 && frame[8..16] == self.salts;
        let computed: Vec<Checksum> = self.before.iter().map(|before| self.checksum_of(frame, before)).collect();
        let before = self.before.iter().zip(&computed);
        let continued: Vec<bool> = before
            .filter(|(_, checksum)| is_of_this_log && **checksum == stored)
            .map(|(before, _)| before.is_commit)
            .collect();
        match (self.wrong, continued.is_empty()) {
            (Some(wrong), false) => {
                self.has_commit |= continued.contains(&true);
                if self.has_commit {
                    return Some(wrong);
                }
            }
            (None, true) => self.wrong = Some(offset),
            _ => {}
        }
        self.before = vec![Before { checksum: stored, is_commit: is_commit && is_of_this_log }];
        if continued.is_empty() {
            // After a second wrong frame, a computed checksum proves nothing.
            self.before.extend(computed.first().map(|&checksum| Before { checksum, is_commit }));
        }
        None
    }

    fn checksum_of(&self, frame: &[u8], before: &Before) -> Checksum {
        let of_header = checksum(before.checksum, &frame[..8], self.is_big_endian);
        checksum(of_header, &frame[FRAME_HEADER_LEN..], self.is_big_endian)
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Continues a checksum with `bytes`, whose length is a multiple of 8.
fn checksum(before: Checksum, bytes: &[u8], is_big_endian: bool) -> Checksum {
    bytes.chunks_exact(8).fold(before, |(mut one, mut two), chunk| {
        let (mut first, mut second) = (number(chunk, 0), number(chunk, 4));
        if !is_big_endian {
            (first, second) = (first.swap_bytes(), second.swap_bytes());
        }
        one = one.wrapping_add(first).wrapping_add(two);
        two = two.wrapping_add(second).wrapping_add(one);
        (one, two)
    })
}

#[cfg(test)]
#[path = "log_scan_tests.rs"]
mod tests;
