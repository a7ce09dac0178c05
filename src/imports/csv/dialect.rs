//! Comma, semicolon or tab: found from the header, whose names are known.

use crate::imports::csv::columns::{Extra, Header};

/// How much of a file is looked at for its header.
pub(super) const HEAD_BYTES: usize = 64 * 1024;

/// How a file separates its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// The byte between cells.
    pub(super) delimiter: u8,
    /// Whether Excel's `sep=;` comes first, which is no row.
    pub(super) sep_line: bool,
}

/// Looks at the beginning of a file. The separator that shows the most known names is the one; of several, the one that
/// separates the most; and a comma where nothing tells.
pub(super) fn sniff(head: &[u8], extra: &Extra) -> Dialect {
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
        let mut record = csv::ByteRecord::new();
        if !reader.read_byte_record(&mut record).unwrap_or(false) {
            continue;
        }
        let names: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
        let known = Header::read(names.iter().map(AsRef::as_ref), extra, &[]).map_or(0, |(h, _)| h.known());
        if (known, names.len()) > (best.0, best.1) {
            best = (known, names.len(), delimiter);
        }
    }
    Dialect { delimiter: best.2, sep_line: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_one_that_shows_known_names() {
        let table: [(&str, u8, bool); 7] = [
            ("crn,course,cap\n1,2,3", b',', false),
            ("crn;course;cap\n1;2,5;3", b';', false),
            ("crn\tcourse\tcap", b'\t', false),
            ("\r\n\r\ncrn;\"course, or so\";cap", b';', false),
            ("sep=;\r\ncrn;course", b';', true),
            ("crn", b',', false),
            ("", b',', false),
        ];
        for (text, delimiter, sep_line) in table {
            assert_eq!(sniff(text.as_bytes(), &Extra::new()), Dialect { delimiter, sep_line }, "{text:?}");
        }
    }
}
