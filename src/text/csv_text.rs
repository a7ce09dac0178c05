//! Escapes cells of the CSV files that the hub writes.

use std::borrow::Cow;

/// Returns a cell that a spreadsheet does not interpret as a formula: puts `'` before a cell that begins with `=`, `+`,
/// `-` or `@`, including the full-width characters that input methods write. These characters count even after others
/// that a spreadsheet may skip, such as spaces. Also puts `'` before a cell that begins with a control character, such
/// as a tab, a line end or NUL. See OWASP, "CSV Injection". A cell that already has `'` before such a character gets
/// one more, so that [`unescape_cell`] returns every cell as it was.
#[must_use]
pub fn escape_cell(cell: &str) -> Cow<'_, str> {
    if is_formula(cell.trim_start_matches('\'')) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// Returns the cell that [`escape_cell`] escaped.
#[must_use]
pub fn unescape_cell(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest.trim_start_matches('\''))).unwrap_or(cell)
}

/// Returns whether a spreadsheet may interpret a cell as a formula.
fn is_formula(cell: &str) -> bool {
    let visible = cell.trim_start_matches(is_skipped);
    // Text after spaces alone is common and harmless; control characters at the start of a cell are neither.
    let is_control = cell.starts_with(|c: char| c.is_control());
    is_control || visible.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// Returns whether a program may skip this character at the start of a cell: spaces, control characters, and the byte
/// order mark.
fn is_skipped(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::{escape_cell, unescape_cell};

    #[test]
    fn only_cells_that_could_be_formulas_are_escaped() {
        for formula in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\0=1",
            "\r\n@x",
            "\tx",
            "\nx",
            "\0x",
            " =1",
            "\u{a0}=1",
            "\u{feff}=1",
            "＝1+1",
            "＋1",
            "－1",
            "＠SUM(A1)",
            "\n＝1",
        ] {
            assert_eq!(escape_cell(formula), format!("'{formula}"), "{formula:?}");
        }
        for text in ["", " ", "MATH 151", "a=b", "'x", " x", "１", "Ａ＝"] {
            assert_eq!(escape_cell(text), text, "{text:?}");
        }
        for cell in ["=1", "'=1", "''-", "'Tis", "''x", "", "'", " =1", "MATH 151"] {
            assert_eq!(unescape_cell(&escape_cell(cell)), cell, "{cell:?}");
        }
    }
}
