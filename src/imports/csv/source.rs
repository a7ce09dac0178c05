//! The records of a file, which can be read more than once.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use crate::imports::csv::columns::ExtraNames;
use crate::imports::csv::dialect::{self, Dialect};
use crate::imports::csv::encoding::{self, Encoding};
use crate::imports::csv::guard::{RecordGuard, RecordLines, Unreadable};
use crate::imports::schedule::ScheduleError;

pub(super) type Records = csv::Reader<RecordGuard<Box<dyn Read>>>;

/// A file from which records can be read more than once.
pub(super) struct RecordSource<'f> {
    file: &'f File,
    pub(super) encoding: Encoding,
    pub(super) dialect: Dialect,
}

impl<'f> RecordSource<'f> {
    /// Detects how a file separates its cells.
    pub(super) fn new(file: &'f File, encoding: Encoding, extra: &ExtraNames) -> Result<Self, ScheduleError> {
        let mut head = Vec::with_capacity(dialect::HEAD_BYTES);
        let text = encoding::utf8(file.try_clone()?, encoding)?;
        text.take(dialect::HEAD_BYTES as u64).read_to_end(&mut head)?;
        Ok(Self { file, encoding, dialect: dialect::sniff(&head, extra) })
    }

    /// Returns the records from the start of the file, and their line numbers. Ends an earlier reading.
    pub(super) fn open(&self) -> Result<(Records, RecordLines), ScheduleError> {
        let mut text = encoding::utf8(self.file.try_clone()?, self.encoding)?;
        let mut skipped = 0;
        if self.dialect.sep_line {
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
        let lines = RecordLines::default();
        let delimiter = self.dialect.delimiter;
        let guard = RecordGuard::new(text, delimiter, skipped + 1, lines.clone());
        let reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(guard);
        Ok((reader, lines))
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
