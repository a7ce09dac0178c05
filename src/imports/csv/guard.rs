//! A reader between a file and the CSV parser: it counts physical lines, records the line at which each record starts,
//! and limits the size of a record, so that an unclosed quote cannot fill memory. Quotes are interpreted as in RFC 4180
//! and by the `csv` crate: only a quote that is the first character of a cell opens a quoted cell.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

use memchr::memchr3;

use crate::imports::finding_kind::FindingKind;

/// The maximum size of a record, in bytes. Real records have a few thousand.
pub(super) const RECORD_BYTES_MAX: u64 = 256 * 1024;

/// Why the rest of a file cannot be read: the start of the next record is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The line at which the record, or the unclosed quoted cell, starts.
    pub(super) line: u64,
    /// Whether reading stopped in a quoted cell.
    pub(super) in_quotes: bool,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FindingKind::from(*self).fmt(f)
    }
}

impl From<Unreadable> for FindingKind {
    fn from(Unreadable { in_quotes, .. }: Unreadable) -> Self {
        if in_quotes { Self::OpenQuote } else { Self::RowTooLong { kib: RECORD_BYTES_MAX / 1024 } }
    }
}

impl std::error::Error for Unreadable {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    CellStart,
    Cell,
    Quoted,
    QuoteInQuoted,
}

/// Line numbers of the records that the parser has not returned yet. Bounded by the number of records in one read.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordLines(Rc<RefCell<VecDeque<u64>>>);

impl RecordLines {
    /// Adds the line number of a record.
    pub(super) fn push(&self, line: u64) {
        self.0.borrow_mut().push_back(line);
    }

    /// Removes and returns the line number of the next record; 0 if there is none.
    pub(super) fn take(&self) -> u64 {
        self.0.borrow_mut().pop_front().unwrap_or(0)
    }
}

/// The reader that the CSV parser reads from.
pub(super) struct RecordGuard<R> {
    source: R,
    delimiter: u8,
    starts: RecordLines,
    at: State,
    line: u64,
    after_cr: bool,
    quote_line: u64,
    record_line: u64,
    record_bytes: u64,
}

impl<R: Read> RecordGuard<R> {
    /// Creates a guard; `line` is the line number of the first byte of `source`.
    pub(super) fn new(source: R, delimiter: u8, line: u64, starts: RecordLines) -> Self {
        Self {
            source,
            delimiter,
            starts,
            at: State::RecordStart,
            line,
            after_cr: false,
            quote_line: 0,
            record_line: 0,
            record_bytes: 0,
        }
    }

    /// Updates the state with the next byte.
    fn advance(&mut self, byte: u8) {
        let ends_line = byte == b'\r' || (byte == b'\n' && !self.after_cr);
        let ends_cell = byte == self.delimiter;
        let newline = byte == b'\r' || byte == b'\n';
        if self.at == State::RecordStart && !newline {
            self.starts.0.borrow_mut().push_back(self.line);
            (self.record_line, self.record_bytes) = (self.line, 0);
            self.at = State::CellStart;
        }
        self.record_bytes += 1;
        self.at = match self.at {
            State::RecordStart => State::RecordStart,
            State::Quoted if byte == b'"' => State::QuoteInQuoted,
            State::Quoted => State::Quoted,
            State::QuoteInQuoted if byte == b'"' => State::Quoted,
            State::CellStart if byte == b'"' => {
                self.quote_line = self.line;
                State::Quoted
            }
            _ if newline => State::RecordStart,
            _ if ends_cell => State::CellStart,
            _ => State::Cell,
        };
        self.line += u64::from(ends_line);
        self.after_cr = byte == b'\r';
    }

    /// Returns how many of the next bytes do not change the state: those of a cell up to the next delimiter, quotation
    /// mark or line break. They are most of a file.
    fn skippable(&self, bytes: &[u8]) -> usize {
        let next = match self.at {
            State::Cell => memchr3(self.delimiter, b'\r', b'\n', bytes),
            State::Quoted => memchr3(b'"', b'\r', b'\n', bytes),
            State::RecordStart | State::CellStart | State::QuoteInQuoted => Some(0),
        };
        next.unwrap_or(bytes.len())
    }

    fn unreadable(&self) -> Unreadable {
        let in_quotes = self.at == State::Quoted;
        Unreadable { line: if in_quotes { self.quote_line } else { self.record_line }, in_quotes }
    }
}

impl<R: Read> Read for RecordGuard<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(out)?;
        if got == 0 && !out.is_empty() && self.at == State::Quoted {
            return Err(io::Error::other(self.unreadable()));
        }
        let mut at = 0;
        while at < got {
            let skipped = self.skippable(&out[at..got]);
            if skipped > 0 {
                self.record_bytes += skipped as u64;
                self.after_cr = false;
                at += skipped;
            }
            if at < got {
                self.advance(out[at]);
                at += 1;
            }
            if self.at != State::RecordStart && self.record_bytes > RECORD_BYTES_MAX {
                return Err(io::Error::other(self.unreadable()));
            }
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<Vec<(u64, String)>, Unreadable> {
        let starts = RecordLines::default();
        let guard = RecordGuard::new(text.as_bytes(), b',', 1, starts.clone());
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(guard);
        let mut out = Vec::new();
        for record in reader.byte_records() {
            match record {
                Ok(r) => out.push((starts.take(), String::from_utf8_lossy(&r[0]).into_owned())),
                Err(e) => {
                    let csv::ErrorKind::Io(e) = e.into_kind() else { panic!("the error is not from the guard") };
                    return Err(*e.get_ref().unwrap().downcast_ref::<Unreadable>().unwrap());
                }
            }
        }
        Ok(out)
    }

    #[test]
    fn records_have_their_physical_line_numbers() {
        let table = [
            ("a\nb\n", vec![(1, "a"), (2, "b")]),
            ("a\r\n\r\n\r\nb", vec![(1, "a"), (4, "b")]),
            ("\n\na\rb\rc", vec![(3, "a"), (4, "b"), (5, "c")]),
            ("\"a\nA\",x\nb", vec![(1, "a\nA"), (3, "b")]),
            ("\"a\r\n\"\"A\",x\r\nb", vec![(1, "a\r\n\"A"), (3, "b")]),
            ("5\" pipe,x\nb", vec![(1, "5\" pipe"), (2, "b")]),
            ("\"a\"b,x\nb", vec![(1, "ab"), (2, "b")]),
            (" \"a,x\nb", vec![(1, " \"a"), (2, "b")]),
            ("", vec![]),
        ];
        for (text, expected) in table {
            let expected: Vec<_> = expected.into_iter().map(|(l, t)| (l, t.to_owned())).collect();
            assert_eq!(lines(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn unclosed_quotes_and_oversized_rows_are_errors() {
        assert_eq!(lines("a,b\nc,\"d\ne,f\n"), Err(Unreadable { line: 2, in_quotes: true }));
        let long = format!("a\nb\n\"{}", "x\n".repeat(1_000_000));
        assert_eq!(lines(&long), Err(Unreadable { line: 3, in_quotes: true }), "an unclosed quote before a long text");
        let long = format!("a\n{}", "x".repeat(1_000_000));
        assert_eq!(lines(&long), Err(Unreadable { line: 2, in_quotes: false }));
    }

    proptest::proptest! {
        #[test]
        fn every_parsed_record_has_a_line_number(text in "[a,\"\n\r ]{0,40}") {
            let starts = RecordLines::default();
            let guard = RecordGuard::new(text.as_bytes(), b',', 1, starts.clone());
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(guard);
            let mut last = 0;
            let mut whole = true;
            for record in reader.byte_records() {
                if record.is_err() {
                    whole = false;
                    break;
                }
                let line = starts.take();
                proptest::prop_assert!(line > last || text.contains('"') && line >= last);
                last = line;
            }
            proptest::prop_assert!(!whole || starts.0.borrow().is_empty());
        }
    }
}
