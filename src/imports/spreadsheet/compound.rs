//! Checks a compound file (MS-CFB), the container of `.xls` workbooks, before calamine reads it: calamine
//! follows chains of sectors without noticing that they form a cycle.

use crate::imports::finding_kind::FindingKind;
use crate::imports::spreadsheet::kind::Foreign;
use crate::imports::spreadsheet::stop::Stop;

/// The size of the header, in bytes.
const HEADER_BYTES: usize = 512;
/// The size of an entry of the directory, in bytes.
const ENTRY_BYTES: usize = 128;
/// The size of a sector of small streams, in bytes.
const MINI_SECTOR_BYTES: usize = 64;
/// Streams below this size consist of small sectors.
const MINI_STREAM_BYTES_MAX: usize = 4_096;
/// The largest number of a sector.
const SECTOR_MAX: u32 = 0xFFFF_FFF9;
/// The mark of the end of a chain.
const END_OF_CHAIN: u32 = 0xFFFF_FFFE;

/// A compound file in memory.
struct Compound<'b> {
    bytes: &'b [u8],
    sector_bytes: usize,
    /// The next sector of each sector.
    next: Vec<u32>,
}

/// An entry of the directory.
struct Entry {
    name: String,
    start: u32,
    len: usize,
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Stop> {
    let found = bytes.get(at..at + 2).and_then(|b| b.try_into().ok());
    found.map(u16::from_le_bytes).ok_or_else(Stop::damaged)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Stop> {
    let found = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    found.map(u32::from_le_bytes).ok_or_else(Stop::damaged)
}

fn usize_at(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    u32_at(bytes, at).and_then(|number| usize::try_from(number).map_err(|_| Stop::damaged()))
}

/// Checks a file, and returns the stream of its workbook.
pub(super) fn workbook(bytes: &[u8]) -> Result<Vec<u8>, Stop> {
    let sector_bytes = match u16_at(bytes, 30)? {
        9 => 512,
        12 => 4_096,
        _ => return Err(Stop::damaged()),
    };
    let mut file = Compound { bytes, sector_bytes, next: Vec::new() };
    file.next = file.table()?;
    let directory = file.chain(u32_at(bytes, 48)?, usize::MAX)?;
    let entries = directory.chunks_exact(ENTRY_BYTES).map(|bytes| entry(bytes, sector_bytes));
    let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    let find = |name: &str| entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name));
    if find("EncryptedPackage").is_some() {
        return Err(Stop::foreign(Foreign::Password));
    }
    let Some(book) = find("Workbook").or_else(|| find("Book")) else {
        return Err(match () {
            () if find("WordDocument").is_some() => Stop::foreign(Foreign::Document),
            () if find("PowerPoint Document").is_some() => Stop::foreign(Foreign::Presentation),
            () => Stop::refused(FindingKind::UnknownFile),
        });
    };
    let root = entries.first().ok_or_else(Stop::damaged)?;
    let has_minis = usize_at(bytes, 64)? > 0;
    // calamine reads these chains for each file.
    let minis = if has_minis { file.chain(root.start, root.len)? } else { Vec::new() };
    let mini_table = if has_minis { file.chain(u32_at(bytes, 60)?, usize::MAX)? } else { Vec::new() };
    if book.len >= MINI_STREAM_BYTES_MAX {
        return file.chain(book.start, book.len);
    }
    let next: Vec<u32> = (0..mini_table.len() / 4).map(|i| u32_at(&mini_table, 4 * i)).collect::<Result<_, _>>()?;
    let mini =
        |sector: usize| minis.get(sector * MINI_SECTOR_BYTES..).map(|rest| &rest[..rest.len().min(MINI_SECTOR_BYTES)]);
    follow(book.start, book.len, &next, mini)
}

fn entry(bytes: &[u8], sector_bytes: usize) -> Result<Entry, Stop> {
    let units = bytes[..64].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    // Files with small sectors may have any value in the upper half of the length.
    let upper = if sector_bytes > 512 { usize_at(bytes, 124)? } else { 0 };
    let len = usize_at(bytes, 120)? | upper << 32;
    Ok(Entry { name: String::from_utf16_lossy(&units), start: u32_at(bytes, 116)?, len })
}

impl Compound<'_> {
    /// Returns a sector. The last one may be shorter.
    fn sector(&self, number: usize) -> Option<&[u8]> {
        let start = number.checked_mul(self.sector_bytes)?.checked_add(HEADER_BYTES.max(self.sector_bytes))?;
        let rest = self.bytes.get(start..)?;
        Some(&rest[..rest.len().min(self.sector_bytes)])
    }

    /// Returns the table of next sectors.
    fn table(&self) -> Result<Vec<u32>, Stop> {
        let per_sector = self.sector_bytes / 4;
        // A table describes the sectors of the file, with room for some more.
        let sectors_max = self.bytes.len() / self.sector_bytes / per_sector * 2 + 8;
        let mut numbers: Vec<u32> = (0..109).map(|i| u32_at(self.bytes, 76 + 4 * i)).collect::<Result<_, _>>()?;
        let mut further = u32_at(self.bytes, 68)?;
        let mut followed = 0;
        while further <= SECTOR_MAX {
            followed += 1;
            let sector = usize::try_from(further).ok().and_then(|number| self.sector(number));
            let sector = sector.filter(|sector| followed <= sectors_max && sector.len() == self.sector_bytes);
            let sector = sector.ok_or_else(Stop::damaged)?;
            let last = self.sector_bytes - 4;
            for at in (0..last).step_by(4) {
                numbers.push(u32_at(sector, at)?);
            }
            further = u32_at(sector, last)?;
        }
        numbers.retain(|number| *number <= SECTOR_MAX);
        if numbers.len() > sectors_max {
            return Err(Stop::damaged());
        }
        let mut next = Vec::with_capacity(numbers.len() * per_sector);
        for number in numbers {
            let sector =
                usize::try_from(number).ok().and_then(|number| self.sector(number)).ok_or_else(Stop::damaged)?;
            for at in (0..sector.len() / 4 * 4).step_by(4) {
                next.push(u32_at(sector, at)?);
            }
        }
        Ok(next)
    }

    fn chain(&self, start: u32, len: usize) -> Result<Vec<u8>, Stop> {
        follow(start, len, &self.next, |number| self.sector(number))
    }
}

/// Returns the bytes of a chain of sectors, up to `len`.
fn follow<'b>(
    start: u32,
    len: usize,
    next: &[u32],
    sector: impl Fn(usize) -> Option<&'b [u8]>,
) -> Result<Vec<u8>, Stop> {
    let (mut bytes, mut number, mut followed) = (Vec::new(), start, 0);
    while number != END_OF_CHAIN && bytes.len() < len {
        followed += 1;
        // A chain with more sectors than the file has contains a cycle.
        if followed > next.len() {
            return Err(Stop::damaged());
        }
        let at = usize::try_from(number).map_err(|_| Stop::damaged())?;
        let part = sector(at).ok_or_else(Stop::damaged)?;
        bytes.extend_from_slice(&part[..part.len().min(len - bytes.len())]);
        number = match next.get(at) {
            Some(next) => *next,
            None if bytes.len() >= len => END_OF_CHAIN,
            None => return Err(Stop::damaged()),
        };
    }
    Ok(bytes)
}
