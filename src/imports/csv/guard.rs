//! Stands between a file and the CSV reader: counts physical lines, notes at which line each record starts, and stops a
//! record before it fills memory. Quotes as in RFC 4180, and as the `csv` crate reads them: a quote opens a cell only
//! as its first character.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

/// The longest record, in bytes: a real one has a few thousand, and an unclosed quote would swallow the whole file.
pub(super) const RECORD_BYTES_MAX: u64 = 256 * 1024;

/// Why reading stopped; it cannot go on, since nobody knows where the next record starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken {
    /// The line at which the record, or the quoted cell that never ends, starts.
    pub(super) line: u64,
    /// Whether a quote was open.
    pub(super) in_quotes: bool,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.in_quotes {
            f.write_str(
                "a cell opens with a quotation mark here that is never closed: the rest of the file cannot be read",
            )
        } else {
            write!(f, "the row is longer than {} KiB: the rest of the file is not read", RECORD_BYTES_MAX / 1024)
        }
    }
}

impl std::error::Error for Broken {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    RecordStart,
    CellStart,
    Cell,
    Quoted,
    QuoteInQuoted,
}

/// The lines at which records start: what was passed on, and not yet taken. Bounded by what one read passes on.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts(Rc<RefCell<VecDeque<u64>>>);

impl Starts {
    /// The line of the next record.
    pub(super) fn take(&self) -> u64 {
        self.0.borrow_mut().pop_front().unwrap_or(0)
    }
}

/// The reader in between.
pub(super) struct Guard<R> {
    source: R,
    delimiter: u8,
    starts: Starts,
    at: At,
    line: u64,
    after_cr: bool,
    quote_line: u64,
    record_line: u64,
    record_bytes: u64,
}

impl<R: Read> Guard<R> {
    /// `line` is that of the first byte.
    pub(super) fn new(source: R, delimiter: u8, line: u64, starts: Starts) -> Self {
        Self {
            source,
            delimiter,
            starts,
            at: At::RecordStart,
            line,
            after_cr: false,
            quote_line: 0,
            record_line: 0,
            record_bytes: 0,
        }
    }

    fn pass(&mut self, byte: u8) -> Result<(), Broken> {
        let ends_line = byte == b'\r' || (byte == b'\n' && !self.after_cr);
        let ends_cell = byte == self.delimiter;
        let newline = byte == b'\r' || byte == b'\n';
        if self.at == At::RecordStart && !newline {
            self.starts.0.borrow_mut().push_back(self.line);
            (self.record_line, self.record_bytes) = (self.line, 0);
            self.at = At::CellStart;
        }
        self.record_bytes += 1;
        self.at = match self.at {
            At::RecordStart => At::RecordStart,
            At::Quoted if byte == b'"' => At::QuoteInQuoted,
            At::Quoted => At::Quoted,
            At::QuoteInQuoted if byte == b'"' => At::Quoted,
            At::CellStart if byte == b'"' => {
                self.quote_line = self.line;
                At::Quoted
            }
            _ if newline => At::RecordStart,
            _ if ends_cell => At::CellStart,
            _ => At::Cell,
        };
        self.line += u64::from(ends_line);
        self.after_cr = byte == b'\r';
        if self.at != At::RecordStart && self.record_bytes > RECORD_BYTES_MAX {
            return Err(self.broken());
        }
        Ok(())
    }

    fn broken(&self) -> Broken {
        let in_quotes = self.at == At::Quoted;
        Broken { line: if in_quotes { self.quote_line } else { self.record_line }, in_quotes }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(out)?;
        if got == 0 && !out.is_empty() && self.at == At::Quoted {
            return Err(io::Error::other(self.broken()));
        }
        for byte in &out[..got] {
            self.pass(*byte).map_err(io::Error::other)?;
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<Vec<(u64, String)>, Broken> {
        let starts = Starts::default();
        let guard = Guard::new(text.as_bytes(), b',', 1, starts.clone());
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(guard);
        let mut out = Vec::new();
        for record in reader.byte_records() {
            match record {
                Ok(r) => out.push((starts.take(), String::from_utf8_lossy(&r[0]).into_owned())),
                Err(e) => {
                    let csv::ErrorKind::Io(e) = e.into_kind() else { panic!("not of the guard") };
                    return Err(*e.get_ref().unwrap().downcast_ref::<Broken>().unwrap());
                }
            }
        }
        Ok(out)
    }

    #[test]
    fn records_keep_their_physical_line_over_blank_lines_quotes_and_line_ends() {
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
    fn an_unclosed_quote_and_an_endless_row_stop_the_reading_where_they_start() {
        assert_eq!(lines("a,b\nc,\"d\ne,f\n"), Err(Broken { line: 2, in_quotes: true }));
        let long = format!("a\nb\n\"{}", "x\n".repeat(1_000_000));
        assert_eq!(lines(&long), Err(Broken { line: 3, in_quotes: true }), "before it fills memory");
        let long = format!("a\n{}", "x".repeat(1_000_000));
        assert_eq!(lines(&long), Err(Broken { line: 2, in_quotes: false }));
    }

    proptest::proptest! {
        #[test]
        fn as_many_records_start_as_the_csv_reader_finds(text in "[a,\"\n\r ]{0,40}") {
            let starts = Starts::default();
            let guard = Guard::new(text.as_bytes(), b',', 1, starts.clone());
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
