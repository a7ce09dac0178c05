//! Parses the CRN of a row in every form in which spreadsheets write it, or forms one from course and section.

use std::borrow::Cow;

use crate::domain::ids::{Crn, SectionId};
use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::Severity;

use crate::imports::csv::columns::Column;
use crate::imports::csv::course::Course;
use crate::imports::csv::row::{Cells, course_and_section};
use crate::imports::csv::text;

/// The maximum exponent with which a spreadsheet may have written a CRN. The CRN has one digit more.
const EXPONENT_MAX: usize = 15;

/// The CRN of a row.
pub(super) struct RowCrn {
    pub(super) crn: Crn,
    /// Whether it was formed because the cell is blank, although the file has a column of CRNs.
    pub(super) is_formed: bool,
}

/// Parses the CRN, or forms one from course and section if the file or the row has none.
pub(super) fn read(cells: &mut Cells<'_>) -> Option<RowCrn> {
    let has_column = cells.header().has(Column::Crn);
    // A section without a CRN in a file of CRNs is new: the registrar's system has not numbered it.
    let is_new = text::is_unknown(cells.get(Column::Crn)) && !text::is_unknown(cells.get(Column::Section));
    if !has_column || is_new {
        let Course { name: course, section, .. } = course_and_section(cells);
        let Some(section) = section.filter(|_| !course.is_empty()) else {
            if !cells.has_errors() {
                cells.add_finding(Severity::Error, Some(Column::Section), &FindingKind::SectionMissing);
            }
            return None;
        };
        // `AB 101` and `001` become `AB101.001`.
        let formed = Crn::from_written(&format!("{}.{section}", course.replace(' ', ""))).ok()?;
        return Some(RowCrn { crn: formed.0, is_formed: has_column });
    }
    let crn = cells.read(Column::Crn, |cell| match cell {
        _ if text::is_unknown(cell) => Err(FindingKind::CrnMissing),
        _ => written(cell).map(|(crn, _)| Some(crn)),
    });
    crn.map(|crn| RowCrn { crn, is_formed: false })
}

/// Converts a CRN as a file writes it. Also returns what was written, if it differs.
pub(super) fn written(cell: &str) -> Result<(Crn, Option<Box<str>>), FindingKind> {
    let number = unrounded(cell).ok_or_else(|| FindingKind::CrnRounded { cell: cell.to_owned() })?;
    Crn::from_written(&number).map_err(|_| FindingKind::CrnForm)
}

/// Removes what spreadsheets add to a number: `30,001` and `3.0001E+04` are 30001. Returns `None` for a number with an
/// exponent that lacks digits, such as `3.0E+04`.
fn unrounded(cell: &str) -> Option<Cow<'_, str>> {
    let groups: Vec<&str> = cell.split(',').collect();
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_grouped = groups.len() > 1
        && groups.iter().all(|group| is_digits(group))
        && groups[0].len() <= 3
        && groups[1..].iter().all(|group| group.len() == 3);
    if is_grouped {
        return Some(Cow::Owned(groups.concat()));
    }
    let upper = cell.to_ascii_uppercase();
    let parts = upper.split_once("E+").and_then(|(number, exponent)| Some((number, exponent.parse::<usize>().ok()?)));
    let Some((number, exponent)) = parts.filter(|(_, exponent)| *exponent <= EXPONENT_MAX) else {
        return Some(Cow::Borrowed(cell));
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if !is_digits(whole) || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Cow::Borrowed(cell));
    }
    // With fewer digits than the exponent, the rest was rounded.
    (decimals.len() == exponent).then(|| Cow::Owned(format!("{whole}{decimals}")))
}

/// Returns the identifier in the file, if it is not the CRN that [`read`] returns.
pub(super) fn original(cells: &Cells<'_>) -> Option<String> {
    written(cells.get(Column::Crn)).ok().and_then(|(_, original)| original).map(Into::into)
}

/// Parses the CRNs of linked sections, which are written like the row's own CRN: `AB 101-01` is one CRN.
pub(super) fn linked(cell: &str, own: &str) -> Result<Vec<String>, FindingKind> {
    let separators: Vec<char> = [',', ';', '|', '/', ' '].into_iter().filter(|c| !own.contains(*c)).collect();
    let mut linked = Vec::new();
    for item in text::list(cell, &separators)? {
        // The term of a full id is ignored: links stay within a term.
        let id = SectionId::parse(item).ok().filter(|_| !own.contains('-'));
        let crn = id.map_or_else(|| Crn::from_written(item).map(|(crn, _)| crn), |id| Ok(id.crn));
        linked.push(crn.map_err(|_| FindingKind::NotCrn { item: item.to_owned() })?.to_string());
    }
    Ok(linked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_spreadsheets_are_crns_unless_digits_are_lost() {
        for (cell, expected) in [
            ("30001", Some("30001")),
            ("30,001", Some("30001")),
            ("1,030,001", Some("1030001")),
            ("30001.0", Some("30001")),
            ("3.0001E+04", Some("30001")),
            ("3.0001e+4", Some("30001")),
            ("3.0E+04", None),
            ("3E+04", None),
            ("AB1E+2", Some("AB1E.2")),
            ("00076", Some("00076")),
            ("30,01", Some("30.01")),
        ] {
            let found = written(cell).ok().map(|(crn, _)| crn.to_string());
            assert_eq!(found.as_deref(), expected, "{cell}");
        }
    }
}
