//! Reads the files of a OneRoster bundle row by row, with bounds on their unpacked size.

use std::fs::File;
use std::io::{self, BufReader, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::imports::finding_kind::FindingKind;
use crate::imports::spreadsheet::Tick;
use crate::imports::spreadsheet::stop::Stop;
use crate::text::csv_text::unescape_cell;

use crate::imports::csv::guard::{RecordGuard, RecordLines};
use crate::imports::csv::source::unreadable;

/// The maximum size of a file that is read row by row, in bytes: four times the largest upload, as for workbooks.
pub(super) const UNPACKED_MAX: u64 = 256 * 1024 * 1024;
/// The maximum size of a file that is held in memory, in bytes: 100,000 courses of 300 bytes.
pub(super) const LOOKUP_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// The number of rows between two checks of whether the import was cancelled.
const TICK_INTERVAL_ROWS: u64 = 500;
/// The beginning of the names of columns that the binding does not define.
pub(super) const EXTENSION_PREFIX: &str = "metadata.";
/// What some programs write before the first column.
const BYTE_ORDER_MARK: char = '\u{feff}';

pub(super) type Archive = ZipArchive<BufReader<File>>;

/// Opens a bundle.
pub(super) fn open(file: &File) -> Result<Archive, Stop> {
    ZipArchive::new(BufReader::new(file.try_clone()?)).map_err(|_| damaged())
}

/// Returns whether a ZIP archive has one of these files.
pub(super) fn has_file(file: &File, names: &[&str]) -> io::Result<bool> {
    let archive = ZipArchive::new(BufReader::new(file.try_clone()?));
    Ok(archive.is_ok_and(|archive| names.iter().any(|name| archive.index_for_name(name).is_some())))
}

/// Refuses a version of OneRoster that the hub does not read.
pub(super) fn check_version(version: &str) -> Result<(), Stop> {
    if ["1.1", "1.2"].contains(&version) {
        return Ok(());
    }
    Err(refused(FindingKind::RosterVersion { version: version.chars().take(20).collect() }))
}

/// A row of a file of the bundle.
pub(super) struct Row<'r> {
    pub(super) header: &'r csv::StringRecord,
    record: &'r csv::StringRecord,
    /// The line in the file.
    pub(super) line: u64,
}

impl<'r> Row<'r> {
    /// Returns the numbers of cells and of columns, if they differ.
    pub(super) fn wrong_width(&self) -> Option<(usize, usize)> {
        let (cells, header) = (self.record.len(), self.header.len());
        (cells != header).then_some((cells, header))
    }

    /// Returns the trimmed cell in a column; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &'r str {
        let at = self.header.iter().position(|column| column.eq_ignore_ascii_case(name)).or_else(|| {
            // Version 1.1.
            let before = if name == "termSourcedIds" { "termSourcedId" } else { return None };
            self.header.iter().position(|column| column.eq_ignore_ascii_case(before))
        });
        unescape_cell(at.and_then(|at| self.record.get(at)).unwrap_or_default().trim())
    }
}

/// A reader of at most a number of bytes, which fails if there are more.
struct Bounded<R> {
    source: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(buffer)?;
        self.left = self.left.checked_sub(got as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(got)
    }
}

/// Opens a file of at most `limit` bytes.
fn records<'a>(
    archive: &'a mut Archive,
    name: &str,
    limit: u64,
    lines: &RecordLines,
) -> Result<csv::Reader<impl Read + 'a>, Stop> {
    let entry = archive.by_name(name).map_err(|error| match error {
        ZipError::FileNotFound => refused(FindingKind::RosterNoFile { file: name.to_owned() }),
        _ => damaged(),
    })?;
    let guard = RecordGuard::new(Bounded { source: entry, left: limit }, b',', 1, lines.clone());
    Ok(csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(guard))
}

/// Reads the next record, which is the header.
fn read_header(records: &mut csv::Reader<impl Read>) -> csv::Result<csv::StringRecord> {
    let mut header = csv::StringRecord::new();
    records.read_record(&mut header)?;
    Ok(header.iter().map(|column| column.trim_start_matches(BYTE_ORDER_MARK).trim()).collect())
}

/// Returns the header of a file; empty if the file is.
pub(super) fn header(archive: &mut Archive, name: &str, limit: u64) -> Result<csv::StringRecord, Stop> {
    let mut records = records(archive, name, limit, &RecordLines::default())?;
    read_header(&mut records).map_err(|error| reading_failed(name, limit, error))
}

/// Visits the rows below the header of a file of at most `limit` bytes.
pub(super) fn each_row(
    archive: &mut Archive,
    name: &str,
    limit: u64,
    tick: &mut Tick<'_>,
    f: &mut dyn FnMut(&Row<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let lines = RecordLines::default();
    let failed = |error: csv::Error| reading_failed(name, limit, error);
    let mut records = records(archive, name, limit, &lines)?;
    let header = read_header(&mut records).map_err(failed)?;
    lines.take();
    let (mut record, mut rows) = (csv::StringRecord::new(), 0_u64);
    while records.read_record(&mut record).map_err(failed)? {
        let line = lines.take();
        rows += 1;
        if rows.is_multiple_of(TICK_INTERVAL_ROWS) {
            tick()?;
        }
        if record.iter().any(|cell| !cell.trim().is_empty()) {
            f(&Row { header: &header, record: &record, line })?;
        }
    }
    Ok(())
}

fn reading_failed(name: &str, limit: u64, error: csv::Error) -> Stop {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            refused(FindingKind::RosterNotUtf8 { file: name.to_owned(), line })
        }
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            refused(FindingKind::RosterTooLarge { file: name.to_owned(), mib: limit >> 20 })
        }
        _ => match unreadable(error) {
            Ok(found) => {
                let what = Box::new(found.into());
                refused(FindingKind::RosterUnreadable { file: name.to_owned(), line: found.line, what })
            }
            Err(_) => damaged(),
        },
    }
}

pub(super) const fn refused(kind: FindingKind) -> Stop {
    Stop::Refused(0, kind)
}

fn damaged() -> Stop {
    refused(FindingKind::ArchiveDamaged)
}
