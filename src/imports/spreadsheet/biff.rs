//! Checks the records of an `.xls` workbook (MS-XLS) before calamine reads them: calamine holds all cells of
//! all sheets in memory, and a few records can declare millions of cells or copy one long text into each.

use crate::imports::finding_parts::ExceededBound;
use crate::imports::spreadsheet::kind::Foreign;
use crate::imports::spreadsheet::stop::Stop;
use crate::imports::spreadsheet::{MEMORY_CELLS_MAX, MEMORY_TEXT_MAX, Tick};

/// The maximum number of records that are read, over all sheets. A sheet has at most 65,536 rows and 256 columns.
const RECORDS_MAX: u64 = 20_000_000;
/// The maximum number of rows of a sheet in this format.
const ROWS_MAX: u32 = 65_536;
/// The maximum number of columns of a sheet in this format.
const COLUMNS_MAX: u16 = 256;
/// The maximum size of all formulas, in bytes. calamine converts them to text of up to 50 times their size.
const FORMULA_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The number of records between two checks of whether the import was cancelled.
const TICK_INTERVAL_RECORDS: u64 = 100_000;

// Types of records (MS-XLS 2.3).
const FORMULA: u16 = 0x0006;
const EOF: u16 = 0x000A;
const CONTINUE: u16 = 0x003C;
const FILE_PASS: u16 = 0x002F;
const BOUND_SHEET: u16 = 0x0085;
const MUL_RK: u16 = 0x00BD;
const SHARED_STRINGS: u16 = 0x00FC;
const LABEL_SHARED: u16 = 0x00FD;
const DIMENSIONS: u16 = 0x0200;
/// The text that the formula in the previous record returns.
const STRING: u16 = 0x0207;
const BEGIN: u16 = 0x0809;
/// Types of records that are one cell.
const CELLS: [u16; 7] = [FORMULA, LABEL_SHARED, 0x00D6, 0x0203, 0x0204, 0x0205, 0x027E];

/// A record.
struct Record<'b> {
    kind: u16,
    data: &'b [u8],
}

impl Record<'_> {
    fn u16_at(&self, at: usize) -> u16 {
        self.data.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
    }

    fn u32_at(&self, at: usize) -> u32 {
        self.data.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
    }
}

/// The records of a stream.
struct Records<'b>(&'b [u8]);

impl<'b> Iterator for Records<'b> {
    type Item = Record<'b>;

    fn next(&mut self) -> Option<Record<'b>> {
        let (head, rest) = self.0.split_at_checked(4)?;
        let (kind, len) = (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
        let (data, rest) = rest.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(Record { kind, data })
    }
}

/// The counts of a workbook so far.
#[derive(Debug, Default)]
struct Total {
    records: u64,
    cells: u64,
    text: u64,
    formulas: u64,
}

/// Checks the stream of a workbook.
pub(super) fn check(stream: &[u8], tick: &mut Tick<'_>) -> Result<(), Stop> {
    let (mut positions, mut strings, mut is_shared) = (Vec::new(), Vec::new(), false);
    let mut total = Total::default();
    for record in Records(stream) {
        total.count(tick)?;
        match record.kind {
            FILE_PASS if record.u16_at(0) != 0 => return Err(Stop::foreign(Foreign::Password)),
            BOUND_SHEET => positions.push(record.u32_at(0)),
            SHARED_STRINGS => strings = vec![record.data],
            CONTINUE if is_shared => strings.push(record.data),
            EOF => break,
            _ => {}
        }
        is_shared = record.kind == SHARED_STRINGS || (is_shared && record.kind == CONTINUE);
    }
    let lengths = string_lengths(&strings);
    for position in positions {
        let sheet = usize::try_from(position).ok().and_then(|position| stream.get(position..));
        total.sheet(sheet.ok_or_else(Stop::damaged)?, &lengths, tick)?;
    }
    Ok(())
}

impl Total {
    fn count(&mut self, tick: &mut Tick<'_>) -> Result<(), Stop> {
        self.records += 1;
        if self.records.is_multiple_of(TICK_INTERVAL_RECORDS) {
            tick()?;
        }
        if self.records > RECORDS_MAX { Err(Stop::damaged()) } else { Ok(()) }
    }

    /// Adds the cells of a sheet: those of the rectangle around all of them.
    fn sheet(&mut self, stream: &[u8], lengths: &[u64], tick: &mut Tick<'_>) -> Result<(), Stop> {
        let (mut depth, mut last_row, mut columns, mut cells) = (0_u32, 0, 0, 0_u64);
        for record in Records(stream) {
            self.count(tick)?;
            match record.kind {
                BEGIN => depth += 1,
                EOF if depth <= 1 => break,
                EOF => depth -= 1,
                DIMENSIONS => check_dimensions(&record)?,
                // Embedded charts have records like those of cells.
                _ if depth > 1 => {}
                MUL_RK => {
                    let count = record.data.len().saturating_sub(6) / 6;
                    let column = u64::from(record.u16_at(2)) + count as u64;
                    (last_row, columns) = (last_row.max(u64::from(record.u16_at(0)) + 1), columns.max(column));
                    cells += count as u64;
                }
                STRING => (cells, self.text) = (cells + 1, self.text + record.data.len() as u64),
                kind if CELLS.contains(&kind) => {
                    cells += 1;
                    last_row = last_row.max(u64::from(record.u16_at(0)) + 1);
                    columns = columns.max(u64::from(record.u16_at(2)) + 1);
                    let index = usize::try_from(record.u32_at(6)).unwrap_or(usize::MAX);
                    self.text += match kind {
                        LABEL_SHARED => lengths.get(index).copied().unwrap_or(CELL_TEXT_MAX),
                        _ => record.data.len() as u64,
                    };
                    if kind == FORMULA {
                        self.formulas += record.data.len() as u64;
                    }
                }
                _ => {}
            }
        }
        self.cells = self.cells.saturating_add(last_row.saturating_mul(columns.min(u64::from(COLUMNS_MAX)))).max(cells);
        if self.cells > MEMORY_CELLS_MAX {
            return Err(Stop::too_large(ExceededBound::TooManyCells { max: MEMORY_CELLS_MAX }));
        }
        if self.text > MEMORY_TEXT_MAX {
            return Err(Stop::too_large(ExceededBound::CellsTooLarge { mib: MEMORY_TEXT_MAX >> 20 }));
        }
        if self.formulas > FORMULA_BYTES_MAX {
            return Err(Stop::too_large(ExceededBound::TooManyFormulas));
        }
        Ok(())
    }
}

/// Checks the stated size of a sheet, for which calamine reserves memory.
fn check_dimensions(record: &Record<'_>) -> Result<(), Stop> {
    // Before Excel 97, numbers of rows have two bytes.
    let (rows, columns) = match record.data.len() {
        14 => (record.u32_at(4), record.u16_at(10)),
        _ => (u32::from(record.u16_at(2)), record.u16_at(6)),
    };
    if rows > ROWS_MAX || columns > COLUMNS_MAX { Err(Stop::damaged()) } else { Ok(()) }
}

/// Maximum number of bytes of UTF-8 in the text of a cell, which has up to 32,767 characters.
const CELL_TEXT_MAX: u64 = 3 * 32_767;

/// A reader of the table of shared texts, which may span several records.
struct Strings<'b> {
    parts: &'b [&'b [u8]],
    at: usize,
}

impl Strings<'_> {
    fn byte(&mut self) -> Option<u8> {
        while self.parts.first()?.len() <= self.at {
            (self.parts, self.at) = (&self.parts[1..], 0);
        }
        let byte = self.parts[0][self.at];
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        (0..bytes).try_fold(0, |number, at| Some(number | u64::from(self.byte()?) << (8 * at)))
    }

    fn skip(&mut self, mut bytes: u64) -> Option<()> {
        while bytes > 0 {
            let left = self.parts.first()?.len() - self.at;
            let step = bytes.min(left as u64);
            (self.at, bytes) = (self.at + usize::try_from(step).ok()?, bytes - step);
            if bytes > 0 {
                (self.parts, self.at) = (&self.parts[1..], 0);
            }
        }
        Some(())
    }

    /// Returns an upper bound on the length of the next text, in bytes of UTF-8 (MS-XLS 2.5.293).
    fn next_len(&mut self) -> Option<u64> {
        let mut left = self.number(2)?;
        let mut flags = self.byte()?;
        let runs = if flags & 8 > 0 { self.number(2)? } else { 0 };
        let extra = if flags & 4 > 0 { self.number(4)? } else { 0 };
        let mut len = 0;
        loop {
            let (width, utf8) = if flags & 1 > 0 { (2, 3) } else { (1, 2) };
            let here = left.min((self.parts.first()?.len() - self.at) as u64 / width);
            self.skip(here * width)?;
            (left, len) = (left - here, len + here * utf8);
            if left == 0 {
                break;
            }
            // The rest of the text is in the next record, which states its width again.
            (self.parts, self.at) = (&self.parts[1..], 0);
            flags = self.byte()?;
        }
        self.skip(4 * runs + extra)?;
        Some(len)
    }
}

/// Returns upper bounds on the lengths of the shared texts, in bytes of UTF-8.
fn string_lengths(parts: &[&[u8]]) -> Vec<u64> {
    let mut strings = Strings { parts, at: 8 };
    std::iter::from_fn(|| strings.next_len()).collect()
}
