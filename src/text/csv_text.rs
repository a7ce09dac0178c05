//! Escapes cells of the CSV files that the hub writes.

use std::borrow::Cow;

/// Returns a cell that a spreadsheet does not interpret as a formula: puts `'` before a cell that begins with `=`, `+`,
/// `-` or `@`, or with a tab or a carriage return, which some spreadsheets skip. See OWASP, "CSV Injection".
#[must_use]
pub fn escape_cell(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::escape_cell;

    #[test]
    fn only_cells_that_could_be_formulas_are_escaped() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(escape_cell(formula), format!("'{formula}"));
        }
        for text in ["", "MATH 151", "a=b", "'x"] {
            assert_eq!(escape_cell(text), text);
        }
    }
}
