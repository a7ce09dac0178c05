//! An open workbook, and the rows of its sheets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, Dimensions, Ods, OdsError, Range, Reader, Sheet, SheetType, SheetVisible, Xls, Xlsx, XlsxError};

use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::ExceededBound;
use crate::imports::spreadsheet::archive::{self, ArchiveKind};
use crate::imports::spreadsheet::kind::{Foreign, Kind};
use crate::imports::spreadsheet::stop::Stop;
use crate::imports::spreadsheet::{Tick, biff, cell, compound};

/// The maximum size of an `.xls` file, in bytes. It is read into memory; one with all 65,536 rows has about 20 MB.
const XLS_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// The maximum number of columns of a sheet, as in Excel.
const COLUMNS_MAX: usize = 16_384;
/// The maximum size of the text of a row, in bytes. Real rows have a few thousand.
const ROW_BYTES_MAX: usize = 256 * 1024;

/// A function that receives a row: its number, counted from 1, and its cells without trailing blank ones. It returns
/// whether to continue.
pub(super) type EachRow<'a> = dyn FnMut(u64, &[String]) -> Result<bool, Stop> + 'a;

/// An open workbook.
pub(super) enum Book {
    /// Read from the file, row by row.
    Xlsx {
        /// The workbook.
        book: Box<Xlsx<BufReader<File>>>,
        /// Whether to read merged cells.
        has_merges: bool,
    },
    /// Held in memory.
    Xls(Box<Xls<Cursor<Vec<u8>>>>),
    /// Held in memory.
    Ods(Box<Ods<BufReader<File>>>),
}

/// Runs calamine, which panics on some damaged files.
fn guarded<T>(f: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err(Stop::damaged()))
}

impl Book {
    /// Checks and opens a workbook.
    pub(super) fn open(file: &File, kind: Kind, tick: &mut Tick<'_>) -> Result<Self, Stop> {
        if kind == Kind::Compound {
            return Self::open_compound(file, tick);
        }
        let archive = guarded(|| archive::check(file, tick))?;
        let mut reader = BufReader::new(file.try_clone()?);
        reader.seek(SeekFrom::Start(0))?;
        let password = || Stop::foreign(Foreign::Password);
        guarded(|| match archive {
            ArchiveKind::Xlsx { has_merges } => match Xlsx::new(reader) {
                Ok(book) => Ok(Self::Xlsx { book: Box::new(book), has_merges }),
                Err(XlsxError::Password) => Err(password()),
                Err(_) => Err(Stop::damaged()),
            },
            ArchiveKind::Ods => match Ods::new(reader) {
                Ok(book) => Ok(Self::Ods(Box::new(book))),
                Err(OdsError::Password) => Err(password()),
                Err(_) => Err(Stop::damaged()),
            },
        })
    }

    fn open_compound(mut file: &File, tick: &mut Tick<'_>) -> Result<Self, Stop> {
        if file.metadata()?.len() > XLS_BYTES_MAX {
            return Err(Stop::too_large(ExceededBound::FileTooLarge { mib: XLS_BYTES_MAX >> 20 }));
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.take(XLS_BYTES_MAX).read_to_end(&mut bytes)?;
        biff::check(&compound::workbook(&bytes)?, tick)?;
        let open = || Xls::new(Cursor::new(bytes)).map_err(|_| Stop::damaged());
        guarded(open).map(|book| Self::Xls(Box::new(book)))
    }

    /// Returns the names of the sheets with cells, and whether each is visible.
    pub(super) fn sheets(&self) -> Vec<(String, bool)> {
        let all: &[Sheet] = match self {
            Self::Xlsx { book, .. } => book.sheets_metadata(),
            Self::Xls(book) => book.sheets_metadata(),
            Self::Ods(book) => book.sheets_metadata(),
        };
        let of_cells = all.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
        of_cells.map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible)).collect()
    }

    /// Visits the rows of a sheet that are not blank.
    pub(super) fn rows(&mut self, sheet: &str, f: &mut EachRow<'_>) -> Result<(), Stop> {
        let merges = self.merges(sheet);
        let mut rows = Rows { fill: Fill::new(&merges), row: 0, cells: Vec::new(), bytes: 0, f };
        match self {
            Self::Xlsx { book, .. } => xlsx_rows(book, sheet, &mut rows),
            Self::Xls(book) => {
                range_rows(&guarded(|| book.worksheet_range(sheet).map_err(|_| Stop::damaged()))?, &mut rows)
            }
            Self::Ods(book) => {
                range_rows(&guarded(|| book.worksheet_range(sheet).map_err(|_| Stop::damaged()))?, &mut rows)
            }
        }
    }

    /// Returns the merged cells of a sheet. Without them, the value is in the first cell only.
    fn merges(&mut self, sheet: &str) -> Vec<Dimensions> {
        let found = guarded(|| match self {
            Self::Xlsx { book, has_merges: true } => book.merge_cells_by_sheet_name(sheet).map_err(|_| Stop::damaged()),
            Self::Xls(book) => book.merge_cells_by_sheet_name(sheet).map_err(|_| Stop::damaged()),
            Self::Xlsx { .. } | Self::Ods(_) => Ok(Vec::new()),
        });
        found.unwrap_or_default()
    }
}

fn xlsx_rows(book: &mut Xlsx<BufReader<File>>, sheet: &str, rows: &mut Rows<'_, '_>) -> Result<(), Stop> {
    let mut cells = match guarded(|| Ok(book.worksheet_cells_reader(sheet)))? {
        Ok(cells) => cells,
        Err(XlsxError::NotAWorksheet(_)) => return Ok(()),
        Err(_) => return Err(Stop::damaged()),
    };
    while let Some((found, style)) = guarded(|| cells.next_cell_with_style_id().map_err(|_| Stop::damaged()))? {
        let format = cells.styles().get(style).and_then(|style| style.number_format.as_ref());
        let text = cell::formatted(found.get_value(), format.map(|format| format.format_code.as_str()));
        let (row, column) = found.get_position();
        if !rows.cell(row, column, text)? {
            return Ok(());
        }
    }
    rows.end_row().map(drop)
}

fn range_rows(range: &Range<Data>, rows: &mut Rows<'_, '_>) -> Result<(), Stop> {
    let (first_row, first_column) = range.start().unwrap_or_default();
    for (row, cells) in (first_row..).zip(range.rows()) {
        for (column, value) in (first_column..).zip(cells).filter(|(_, value)| **value != Data::Empty) {
            if !rows.cell(row, column, cell::text(value))? {
                return Ok(());
            }
        }
    }
    rows.end_row().map(drop)
}

/// A collector of cells, in order, into rows.
struct Rows<'r, 'f> {
    fill: Fill,
    /// The number of the current row, counted from 0.
    row: u32,
    cells: Vec<String>,
    bytes: usize,
    f: &'r mut EachRow<'f>,
}

impl Rows<'_, '_> {
    /// Adds a cell. Returns whether to continue.
    fn cell(&mut self, row: u32, column: u32, text: String) -> Result<bool, Stop> {
        if row != self.row {
            if row < self.row {
                return Err(Stop::damaged());
            }
            if !self.end_row()? {
                return Ok(false);
            }
            self.row = row;
        }
        if text.is_empty() {
            return Ok(true);
        }
        let column = usize::try_from(column).ok().filter(|column| *column < COLUMNS_MAX).ok_or_else(Stop::damaged)?;
        self.bytes += text.len();
        if self.bytes > ROW_BYTES_MAX {
            let kind = FindingKind::SheetRowTooLong { kib: ROW_BYTES_MAX as u64 / 1024 };
            return Err(Stop::Refused(u64::from(row) + 1, kind));
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        self.cells[column] = text;
        Ok(true)
    }

    /// Ends the current row. Returns whether to continue.
    fn end_row(&mut self) -> Result<bool, Stop> {
        self.bytes = 0;
        if self.cells.iter().all(|cell| cell.trim().is_empty()) {
            self.cells.clear();
            return Ok(true);
        }
        self.fill.apply(self.row, &mut self.cells);
        let goes_on = (self.f)(u64::from(self.row) + 1, &self.cells)?;
        self.cells.clear();
        Ok(goes_on)
    }
}

/// The values of cells that are merged over several rows, to be repeated in each of these rows, as a person reads them.
/// Cells that are merged over several columns have their value in the first of them.
struct Fill {
    /// The first row, the last row and the column of each, in order of rows.
    merges: Vec<(u32, u32, usize)>,
    /// The number of merges that begin in the current row or above it.
    begun: usize,
    /// The last row and the value of each merge that includes the current row, by column.
    open: BTreeMap<usize, (u32, String)>,
}

impl Fill {
    fn new(merges: &[Dimensions]) -> Self {
        let high = merges.iter().filter(|merge| merge.end.0 > merge.start.0);
        let in_bounds = high.filter_map(|merge| {
            let column = usize::try_from(merge.start.1).ok().filter(|column| *column < COLUMNS_MAX)?;
            Some((merge.start.0, merge.end.0, column))
        });
        let mut merges: Vec<_> = in_bounds.collect();
        merges.sort_unstable();
        Self { merges, begun: 0, open: BTreeMap::new() }
    }

    fn apply(&mut self, row: u32, cells: &mut Vec<String>) {
        self.open.retain(|_, (last, _)| *last >= row);
        for (column, (_, value)) in &self.open {
            if cells.len() <= *column {
                cells.resize(column + 1, String::new());
            }
            if cells[*column].is_empty() {
                cells[*column].clone_from(value);
            }
        }
        while let Some((first, last, column)) = self.merges.get(self.begun).filter(|(first, ..)| *first <= row) {
            self.begun += 1;
            if let Some(value) = cells.get(*column).filter(|value| *first == row && !value.is_empty()) {
                self.open.insert(*column, (*last, value.clone()));
            }
        }
    }
}
