//! Cells of CSV that the hub writes.

use std::borrow::Cow;

/// A cell that no spreadsheet takes for a formula: `'` goes before one that begins with `=`, `+`, `-` or `@` (or with a
/// tab or a carriage return, which some skip). See OWASP, "CSV Injection".
#[must_use]
pub fn safe_cell(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::safe_cell;

    #[test]
    fn what_a_spreadsheet_would_run_is_told_apart_from_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(safe_cell(formula), format!("'{formula}"));
        }
        for text in ["", "MATH 151", "a=b", "'x"] {
            assert_eq!(safe_cell(text), text);
        }
    }
}
