//! Chooses the sheet of a workbook that contains the schedule, and copies its rows to a temporary file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::ExceededBound;
use crate::imports::spreadsheet::Tick;
use crate::imports::spreadsheet::book::Book;
use crate::imports::spreadsheet::kind::Kind;
use crate::imports::spreadsheet::stop::Stop;

/// The maximum number of sheets that are searched and listed.
const SHEETS_MAX: usize = 100;
/// The maximum number of sheets that a message lists.
const LISTED_SHEETS_MAX: usize = 10;
/// The maximum size of the text of a sheet, in bytes: four times the largest upload.
const TEXT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The maximum size of the text of the rows that are searched for the header of a sheet, in bytes. Real ones have a few
/// thousand. A header below them does not count when the sheet is chosen, but is found if staff name the sheet.
const FIRST_ROWS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The number of rows between two checks of whether the import was cancelled.
const TICK_INTERVAL_ROWS: u64 = 500;
/// The maximum number of cells to which shorter rows are padded with blank cells. Real sheets have up to 120 columns.
const WIDTH_MAX: usize = 300;
/// The minimum number of known columns of a schedule.
const COLUMNS_MIN: usize = 2;

/// The first rows of a sheet, each with its number.
pub(in crate::imports) type FirstRows = [(u64, csv::StringRecord)];

/// How to choose the sheet.
pub(in crate::imports) struct Choice<'c> {
    /// The name of the sheet, if staff chose it.
    pub(in crate::imports) sheet: Option<&'c str>,
    /// The number of rows that are searched for the header.
    pub(in crate::imports) rows: usize,
    /// Returns the number of known columns in the header among the first rows.
    pub(in crate::imports) score: &'c dyn Fn(&FirstRows) -> usize,
}

/// The rows of a sheet in a temporary file.
pub(in crate::imports) struct SheetCopy {
    /// The name of the sheet.
    pub(in crate::imports) name: String,
    /// The names of all sheets.
    pub(in crate::imports) sheets: Vec<String>,
    /// The names of other sheets that may contain a schedule, too.
    pub(in crate::imports) others: Vec<String>,
    /// The number of cells of each row: that of the longest one, up to [`WIDTH_MAX`].
    pub(in crate::imports) width: usize,
    /// Records of CSV, each with the number of the row in its first cell.
    file: File,
    /// The size of the temporary file, in bytes.
    pub(in crate::imports) bytes: u64,
    /// Warnings about what is not imported.
    pub(in crate::imports) notes: Vec<FindingKind>,
}

impl SheetCopy {
    /// Creates the copy of a table that is not the sheet of a workbook. `file` has its records, and `width` is the number
    /// of their cells without the number of the row.
    pub(in crate::imports) fn of_table(
        name: &str,
        width: usize,
        file: File,
        notes: Vec<FindingKind>,
    ) -> std::io::Result<Self> {
        let (name, bytes) = (name.to_owned(), file.metadata()?.len());
        Ok(Self { name, sheets: Vec::new(), others: Vec::new(), width: width.min(WIDTH_MAX), file, bytes, notes })
    }

    /// Returns a reader of the records from the start. Ends an earlier reading.
    pub(in crate::imports) fn open(&self) -> std::io::Result<Box<dyn Read>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(BufReader::new(file)))
    }
}

/// Copies the rows of the chosen sheet of a workbook, or of the one with the schedule, to a temporary file.
pub(in crate::imports) fn copy(
    file: &File,
    kind: Kind,
    scratch: &Path,
    choice: &Choice<'_>,
    tick: &mut Tick<'_>,
) -> Result<SheetCopy, Stop> {
    let mut book = Book::open(file, kind, tick)?;
    let (name, others) = choose(&mut book, choice, tick)?;
    let sheets = book.sheets().into_iter().map(|(name, _)| name).take(SHEETS_MAX).collect();
    let mut writer =
        csv::WriterBuilder::new().flexible(true).from_writer(BufWriter::new(tempfile::tempfile_in(scratch)?));
    let (mut width, mut text, mut rows) = (0, 0, 0_u64);
    let failed = |error: csv::Error| Stop::Failed(std::io::Error::other(error).into());
    book.rows(&name, &mut |number, cells| {
        rows += 1;
        if rows.is_multiple_of(TICK_INTERVAL_ROWS) {
            tick()?;
        }
        text += cells.iter().map(|cell| cell.len() as u64 + 1).sum::<u64>();
        if text > TEXT_BYTES_MAX {
            return Err(Stop::too_large(ExceededBound::SheetTooLarge { mib: TEXT_BYTES_MAX >> 20 }));
        }
        width = width.max(cells.len());
        writer.write_field(number.to_string()).map_err(failed)?;
        writer.write_record(cells).map_err(failed)?;
        Ok(true)
    })?;
    let mut file = writer.into_inner().map_err(|error| error.into_error())?;
    file.flush()?;
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    let bytes = file.metadata()?.len();
    Ok(SheetCopy { name, sheets, others, width: width.min(WIDTH_MAX), file, bytes, notes: Vec::new() })
}

/// Returns the sheet that staff chose; otherwise the one with the most known columns, and others that may contain a
/// schedule, too. Hidden sheets count only if no visible one has at least [`COLUMNS_MIN`] known columns.
fn choose(book: &mut Book, choice: &Choice<'_>, tick: &mut Tick<'_>) -> Result<(String, Vec<String>), Stop> {
    let sheets = book.sheets();
    if let Some(wanted) = choice.sheet {
        let same = |name: &str| name.trim().to_lowercase() == wanted.trim().to_lowercase();
        let exact = sheets.iter().find(|(name, _)| name == wanted);
        return match exact.or_else(|| sheets.iter().find(|(name, _)| same(name))) {
            Some((name, _)) => Ok((name.clone(), Vec::new())),
            None => {
                let names: Vec<&str> = sheets.iter().map(|(name, _)| name.as_str()).collect();
                Err(Stop::refused(FindingKind::NoSheet { sheet: wanted.to_owned(), sheets: listed(&names) }))
            }
        };
    }
    let mut found: Vec<(usize, String)> = Vec::new();
    for visible in [true, false] {
        for (name, _) in sheets.iter().filter(|(_, is_visible)| *is_visible == visible).take(SHEETS_MAX) {
            tick()?;
            let (mut first_rows, mut text) = (Vec::new(), 0);
            book.rows(name, &mut |number, cells| {
                text += cells.iter().map(String::len).sum::<usize>();
                first_rows.push((number, csv::StringRecord::from(cells)));
                Ok(first_rows.len() < choice.rows && text < FIRST_ROWS_BYTES_MAX)
            })?;
            if !first_rows.is_empty() {
                found.push(((choice.score)(&first_rows), name.clone()));
            }
        }
        if found.iter().any(|(score, _)| *score >= COLUMNS_MIN) {
            break;
        }
    }
    let best = found.iter().map(|(score, _)| *score).max().unwrap_or(0);
    let is_similar = |score: usize| score >= COLUMNS_MIN && score * 4 >= best * 3;
    let Some(at) = found.iter().position(|(score, _)| *score == best) else {
        return Err(Stop::refused(FindingKind::WorkbookEmpty));
    };
    let (_, name) = found.remove(at);
    found.retain(|(score, _)| is_similar(*score));
    Ok((name, found.into_iter().map(|(_, name)| name).collect()))
}

/// Returns a list of names of sheets for a message.
pub(in crate::imports) fn listed(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> =
        names.iter().take(LISTED_SHEETS_MAX).map(|name| format!("\"{}\"", name.as_ref())).collect();
    let more = if names.len() > LISTED_SHEETS_MAX { " and more" } else { "" };
    quoted.join(", ") + more
}
