//! Checks whether a record is well formed, and whether it continues the section above, before it is parsed as a row.

use crate::domain::ids::Crn;
use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::Severity;

use crate::imports::csv::columns::{Column, Header};
use crate::imports::csv::meetings::{self, Format};
use crate::imports::csv::remarks::Remark;
use crate::imports::csv::row::{Cells, MeetingRow, Row};
use crate::imports::csv::{component, crn, instructors};

/// Returns the section of the row above with the meetings and instructors of this row, if this row continues it: it has
/// no cell that identifies another section, but may repeat the CRN. Returns `None` otherwise.
pub(super) fn continued(cells: &mut Cells<'_>, above: &(Crn, Row), format: Format) -> Option<(Crn, Row)> {
    const OWN: [Column; 5] = [Column::Course, Column::Subject, Column::Number, Column::Section, Column::Capacity];
    let (crn, row) = above;
    let own = cells.get(Column::Crn);
    let repeats_crn = !own.is_empty() && crn::written(own).is_ok_and(|(own, _)| own == *crn);
    // `Lab` in the column of the title is not a title.
    let title = cells.get(Column::Title).trim_end_matches(':');
    let has_title = !title.is_empty() && component::known(title).is_none();
    if has_title || OWN.iter().any(|column| !cells.get(*column).is_empty()) || !(own.is_empty() || repeats_crn) {
        return None;
    }
    let mut meetings = meetings::read(cells, format);
    let is_meeting = meetings.iter().any(|meeting| meeting.days != 0 || meeting.start.is_some());
    let mut names = instructors::instructors(cells.get(Column::Instructor));
    if !is_meeting && names.is_empty() && !repeats_crn && !cells.has_errors() {
        return None;
    }
    if !is_meeting {
        meetings.clear();
    }
    cells.add_row_remark(Remark::Continuation);
    // Dates and instructors that the row does not state are those of the section.
    if let Some(MeetingRow { starts_on, ends_on, .. }) = row.meetings.last() {
        let undated = meetings.iter_mut().filter(|meeting| (meeting.starts_on, meeting.ends_on) == (None, None));
        undated.for_each(|meeting| (meeting.starts_on, meeting.ends_on) = (*starts_on, *ends_on));
    }
    if names.is_empty() {
        names.clone_from(&row.instructors);
    }
    Some((crn.clone(), Row { line: cells.line(), meetings, instructors: names, is_continuation: true, ..row.clone() }))
}

/// Returns whether a cell is a CRN of digits only, as most systems assign them.
pub(super) fn is_crn(cell: &str) -> bool {
    let cell = cell.trim();
    !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit())
}

/// Checks that a record has no text beyond the cells of the header, and no control characters in the cells to import.
/// Otherwise adds an error and returns false. Missing cells at its end are blank, unless a column that each row needs
/// is among them.
pub(super) fn is_well_formed(cells: &mut Cells<'_>, record: &csv::StringRecord, header: &Header) -> bool {
    let expected = header.names().len();
    let extra = record.iter().skip(expected).any(|cell| !cell.trim().is_empty());
    let needed = [Column::Crn, Column::Course, Column::Number, Column::Capacity];
    let lacks_needed = needed.iter().filter_map(|c| header.at(*c)).any(|at| at >= record.len() && at < expected);
    if extra || lacks_needed {
        let kind = FindingKind::CellCount { cells: record.len(), header: expected };
        cells.add_finding(Severity::Error, None, &kind);
        return false;
    }
    // U+0080 to U+009F are characters of Windows-1252; see `text::decoded`.
    let control = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r');
    let is_wrong = |(at, cell): (usize, &str)| cell.contains(control) && header.field_of(at).is_some();
    if let Some(at) = record.iter().enumerate().position(is_wrong) {
        let (name, value) = (header.names().get(at), record.get(at).unwrap_or_default());
        cells.add_error_at(name, value, &FindingKind::ControlCharacter);
        return false;
    }
    true
}
