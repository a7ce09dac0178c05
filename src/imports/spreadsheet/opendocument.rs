//! Checks the cells of an OpenDocument workbook before calamine reads them: a cell or a row can state that it is repeated
//! a million times, and calamine holds all cells of all sheets in memory.

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::imports::finding_parts::ExceededBound;
use crate::imports::spreadsheet::archive::attribute;
use crate::imports::spreadsheet::stop::Stop;
use crate::imports::spreadsheet::{MEMORY_CELLS_MAX, MEMORY_TEXT_MAX, Tick};

/// The maximum number of columns, as in calamine.
const COLUMNS_MAX: u64 = 16_384;
/// The number of XML events between two checks of whether the import was cancelled.
const TICK_INTERVAL_TAGS: u64 = 100_000;

/// The cells of a sheet so far.
#[derive(Debug, Default)]
struct Sheet {
    rows: u64,
    /// The last row with content.
    last_row: u64,
    columns: u64,
    row: Row,
}

/// The cells of the current row so far.
#[derive(Debug, Default)]
struct Row {
    repeated: u64,
    cells: u64,
    filled: u64,
    text: u64,
    /// How many times the current cell is repeated, and the length of its text.
    cell: (u64, u64),
    has_value: bool,
}

impl Row {
    /// Ends a cell: its text counts once for each repetition.
    fn end_cell(&mut self) {
        let (repeated, text) = std::mem::take(&mut self.cell);
        self.cells = (self.cells + repeated).min(COLUMNS_MAX);
        if self.has_value || text > 0 {
            self.filled = self.cells;
            self.text = self.text.saturating_add(text.saturating_mul(repeated));
        }
        self.has_value = false;
    }
}

/// The memory that a workbook needs.
#[derive(Debug, Default)]
struct Total {
    cells: u64,
    text: u64,
}

impl Total {
    fn check(&self) -> Result<(), Stop> {
        if self.cells > MEMORY_CELLS_MAX {
            return Err(Stop::too_large(ExceededBound::TooManyCells { max: MEMORY_CELLS_MAX }));
        }
        if self.text > MEMORY_TEXT_MAX {
            return Err(Stop::too_large(ExceededBound::CellsTooLarge { mib: MEMORY_TEXT_MAX >> 20 }));
        }
        Ok(())
    }
}

/// Checks the part `content.xml` of a workbook.
pub(super) fn check(part: impl BufRead, tick: &mut Tick<'_>) -> Result<(), Stop> {
    let (mut xml, mut buffer) = (Reader::from_reader(part), Vec::new());
    let (mut sheet, mut total, mut tags) = (Sheet::default(), Total::default(), 0_u64);
    loop {
        buffer.clear();
        tags += 1;
        if tags.is_multiple_of(TICK_INTERVAL_TAGS) {
            tick()?;
        }
        match xml.read_event_into(&mut buffer).map_err(|_| Stop::damaged())? {
            Event::Start(tag) => sheet.start(&tag)?,
            Event::Empty(tag) => {
                sheet.start(&tag)?;
                sheet.end(tag.name().as_ref(), &mut total)?;
            }
            Event::End(tag) => sheet.end(tag.name().as_ref(), &mut total)?,
            Event::Text(text) => sheet.row.cell.1 += text.len() as u64,
            Event::GeneralRef(_) => sheet.row.cell.1 += 4,
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

impl Sheet {
    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Stop> {
        let number = |name: &str| match attribute(tag, name) {
            Some(value) => value.trim().parse::<u64>().map_err(|_| Stop::damaged()),
            None => Ok(1),
        };
        match tag.name().as_ref() {
            "table:table" => *self = Self::default(),
            "table:table-row" => {
                self.row = Row { repeated: number("table:number-rows-repeated")?, ..Row::default() };
            }
            "table:table-cell" | "table:covered-table-cell" => {
                self.row.cell = (number("table:number-columns-repeated")?, 0);
                // The value of an attribute is copied like text.
                let values = ["office:value", "office:string-value", "office:date-value", "office:time-value"];
                let others = ["office:boolean-value", "table:formula"];
                for value in values.iter().chain(&others).filter_map(|name| attribute(tag, name)) {
                    self.row.has_value = true;
                    self.row.cell.1 += value.len() as u64;
                }
            }
            "text:s" => self.row.cell.1 = self.row.cell.1.saturating_add(number("text:c")?),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str, total: &mut Total) -> Result<(), Stop> {
        match name {
            "table:table-cell" | "table:covered-table-cell" => self.row.end_cell(),
            "table:table-row" => {
                let row = std::mem::take(&mut self.row);
                self.rows = self.rows.saturating_add(row.repeated);
                total.text = total.text.saturating_add(row.text.saturating_mul(row.repeated));
                if row.filled > 0 {
                    self.last_row = self.rows;
                    self.columns = self.columns.max(row.filled);
                }
                let cells = self.last_row.saturating_mul(self.columns);
                Total { cells: total.cells.saturating_add(cells), text: total.text }.check()?;
            }
            "table:table" => {
                total.cells = total.cells.saturating_add(self.last_row.saturating_mul(self.columns));
                *self = Self::default();
                total.check()?;
            }
            _ => {}
        }
        Ok(())
    }
}
