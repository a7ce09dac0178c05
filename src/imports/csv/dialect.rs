//! Detects a file's delimiter (comma, semicolon or tab) from the known column names in its header, which may follow some
//! lines of title.

use crate::imports::csv::columns::{ExtraNames, Header};
use crate::imports::csv::survey::HEADER_ROWS_MAX;

/// How many bytes of a file are searched for its header.
pub(super) const HEAD_BYTES: usize = 64 * 1024;

/// How a file separates its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// The byte between cells.
    pub(super) delimiter: u8,
    /// Whether the first line is Excel's `sep=;`, which is not a row.
    pub(super) sep_line: bool,
}

/// Returns the number of columns of a schedule in a header.
pub(super) fn known_columns(names: &[&str], extra: &ExtraNames) -> usize {
    Header::read(names.iter().copied(), extra, &[]).map_or(0, |(header, _)| header.known_len())
}

/// Detects the dialect from the beginning of a file. Chooses the delimiter that yields the most known columns in a header,
/// by `known`; on a tie, the most cells; on a further tie, the first of comma, semicolon and tab.
pub(super) fn sniff(head: &[u8], known: &dyn Fn(&[&str]) -> usize) -> Dialect {
    let first = head.split(|b| *b == b'\n' || *b == b'\r').find(|line| !line.is_empty()).unwrap_or_default();
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] = first
        && b",;\t".contains(delimiter)
    {
        return Dialect { delimiter: *delimiter, sep_line: true };
    }
    let mut best = (0, 0, b',');
    for delimiter in [b',', b';', b'\t'] {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(head);
        for record in reader.byte_records().take(HEADER_ROWS_MAX).map_while(Result::ok) {
            let names: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
            let known = known(&names.iter().map(AsRef::as_ref).collect::<Vec<&str>>());
            if (known, names.len()) > (best.0, best.1) {
                best = (known, names.len(), delimiter);
            }
        }
    }
    Dialect { delimiter: best.2, sep_line: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiter_is_the_one_that_yields_known_names() {
        let table: [(&str, u8, bool); 8] = [
            ("crn,course,cap\n1,2,3", b',', false),
            ("crn;course;cap\n1;2,5;3", b';', false),
            ("crn\tcourse\tcap", b'\t', false),
            ("\r\n\r\ncrn;\"course, or so\";cap", b';', false),
            ("sep=;\r\ncrn;course", b';', true),
            ("Spring 2031\nGenerated 5/5/2031, 2:12\ncrn;course;cap", b';', false),
            ("crn", b',', false),
            ("", b',', false),
        ];
        for (text, delimiter, sep_line) in table {
            let known = |names: &[&str]| known_columns(names, &ExtraNames::new());
            assert_eq!(sniff(text.as_bytes(), &known), Dialect { delimiter, sep_line }, "{text:?}");
        }
    }
}
