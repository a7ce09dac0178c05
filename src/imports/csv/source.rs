//! The records of a file or a sheet, which can be read more than once.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use crate::imports::csv::dialect::{self, Dialect};
use crate::imports::csv::encoding::{self, Encoding};
use crate::imports::csv::guard::{RecordGuard, RecordLines, Unreadable};
use crate::imports::schedule::ScheduleError;
use crate::imports::spreadsheet::sheet::SheetCopy;

/// A reader of the records of a file or a sheet.
pub(super) struct Records {
    reader: csv::Reader<Box<dyn Read>>,
    sheet: Option<SheetRows>,
}

/// How the records of the copy of a sheet are read: the first cell is the number of the row.
struct SheetRows {
    raw: csv::StringRecord,
    lines: RecordLines,
    width: usize,
    /// The sizes of the workbook and of the copy, in bytes.
    sizes: (u64, u64),
}

impl Records {
    /// Reads the next record; returns false at the end.
    pub(super) fn read_record(&mut self, record: &mut csv::StringRecord) -> csv::Result<bool> {
        let Some(sheet) = &mut self.sheet else {
            let has_record = self.reader.read_record(record)?;
            if has_record && record.iter().any(is_quoted_formula) {
                *record = record.iter().map(without_formula).collect();
            }
            return Ok(has_record);
        };
        if !self.reader.read_record(&mut sheet.raw)? {
            return Ok(false);
        }
        record.clear();
        sheet.lines.push(sheet.raw.get(0).and_then(|number| number.parse().ok()).unwrap_or(0));
        sheet.raw.iter().skip(1).for_each(|cell| record.push_field(cell));
        // A sheet is a rectangle: blank cells at the end of a row are not missing.
        for _ in record.len()..sheet.width {
            record.push_field("");
        }
        Ok(true)
    }

    /// Returns how many bytes of the file were read. For a sheet, returns the share of the workbook that corresponds to
    /// the rows that were read.
    pub(super) fn bytes(&self) -> u64 {
        let read = self.reader.position().byte();
        match &self.sheet {
            Some(SheetRows { sizes: (whole, copy), .. }) => whole.saturating_mul(read) / (*copy).max(1),
            None => read,
        }
    }
}

/// Returns whether a cell is a formula whose value is a text, such as `="00076"`, with which systems keep the zeros of a
/// number.
fn is_quoted_formula(cell: &str) -> bool {
    cell.starts_with("=\"")
}

/// Returns the text of a formula such as `="00076"`, or the cell.
fn without_formula(cell: &str) -> &str {
    let inner = cell.trim_end().strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    inner.filter(|inner| !inner.contains('"')).unwrap_or(cell)
}

/// A file or a sheet from which records can be read more than once.
pub(super) struct RecordSource<'f> {
    file: &'f File,
    origin: Origin<'f>,
}

/// Where the records of a source are.
enum Origin<'f> {
    /// In the text of the file.
    Text(Encoding, Dialect),
    /// In the copy of a sheet.
    Sheet(&'f SheetCopy),
}

impl<'f> RecordSource<'f> {
    /// Creates a source of the rows of a sheet; `file` is its workbook.
    pub(super) const fn of_sheet(file: &'f File, sheet: &'f SheetCopy) -> Self {
        Self { file, origin: Origin::Sheet(sheet) }
    }

    /// Returns the sheet, if the file is a workbook.
    pub(super) const fn sheet(&self) -> Option<&SheetCopy> {
        match self.origin {
            Origin::Sheet(sheet) => Some(sheet),
            Origin::Text(..) => None,
        }
    }

    /// Returns the character between cells and the name of the encoding, if the file is text.
    pub(super) fn text(&self) -> Option<(char, &'static str)> {
        match self.origin {
            Origin::Text(encoding, dialect) => Some((char::from(dialect.delimiter), encoding.name())),
            Origin::Sheet(_) => None,
        }
    }

    /// Creates a source of the records of a text file, and detects how it separates its cells. `known` returns the
    /// number of known columns in a header.
    pub(super) fn new(
        file: &'f File,
        encoding: Encoding,
        known: &dyn Fn(&[&str]) -> usize,
    ) -> Result<Self, ScheduleError> {
        let mut head = Vec::with_capacity(dialect::HEAD_BYTES);
        let text = encoding::utf8(file.try_clone()?, encoding)?;
        text.take(dialect::HEAD_BYTES as u64).read_to_end(&mut head)?;
        Ok(Self { file, origin: Origin::Text(encoding, dialect::sniff(&head, known)) })
    }

    /// Returns the records from the start of the file, and their line numbers. Ends an earlier reading.
    pub(super) fn open(&self) -> Result<(Records, RecordLines), ScheduleError> {
        let lines = RecordLines::default();
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true);
        let (encoding, dialect) = match self.origin {
            Origin::Text(encoding, dialect) => (encoding, dialect),
            Origin::Sheet(sheet) => {
                let rows = SheetRows {
                    raw: csv::StringRecord::new(),
                    lines: lines.clone(),
                    width: sheet.width,
                    sizes: (self.file.metadata()?.len(), sheet.bytes),
                };
                return Ok((Records { reader: builder.from_reader(sheet.open()?), sheet: Some(rows) }, lines));
            }
        };
        let mut text = encoding::utf8(self.file.try_clone()?, encoding)?;
        let mut skipped = 0;
        if dialect.sep_line {
            let mut lines = BufReader::new(text);
            let mut line = Vec::new();
            while !line.starts_with(b"sep=") && !line.starts_with(b"SEP=") && !line.starts_with(b"Sep=") {
                line.clear();
                skipped += 1;
                if lines.read_until(b'\n', &mut line)? == 0 {
                    break;
                }
            }
            text = Box::new(lines);
        }
        let guard = RecordGuard::new(text, dialect.delimiter, skipped + 1, lines.clone());
        let reader = builder.delimiter(dialect.delimiter).from_reader(Box::new(guard) as Box<dyn Read>);
        Ok((Records { reader, sheet: None }, lines))
    }
}

/// Returns the guard's error. Any other error is not caused by the contents of the file.
pub(super) fn unreadable(error: csv::Error) -> Result<Unreadable, ScheduleError> {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => match e.get_ref().and_then(|e| e.downcast_ref::<Unreadable>()) {
            Some(broken) => Ok(*broken),
            None => Err(e.into()),
        },
        other => Err(ScheduleError::Scratch(format!("{other:?}"))),
    }
}
