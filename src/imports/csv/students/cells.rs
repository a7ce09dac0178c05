//! Reads the cells of a row about a student.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::domain::section::Credits;
use crate::domain::student::{
    CompletedCourse, GRADE_CHARS_MAX, HOLD_TEXT_CHARS_MAX, HeldAction, Hold, NAME_CHARS_MAX, is_web_address,
};
use crate::imports::finding_kind::FindingKind;

/// The characters between the items of a list in a cell.
const SEPARATORS: [char; 4] = [';', ',', '|', '\n'];
/// How files write a time without a zone.
const TIME_FORMATS: [&str; 8] = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
];

/// Removes white space at the ends of a text, and replaces each other run of it with one space.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads text of at most `chars_max` characters without control characters; `None` if it is blank.
pub(super) fn text(cell: &str, chars_max: usize) -> Result<Option<Box<str>>, FindingKind> {
    let text = one_line(cell);
    if text.chars().any(char::is_control) {
        return Err(FindingKind::FactControlCharacter);
    }
    if text.chars().count() > chars_max {
        return Err(FindingKind::FactTooLong { max: chars_max });
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

/// Reads a name, such as that of a program.
pub(super) fn name(cell: &str) -> Result<Option<Box<str>>, FindingKind> {
    text(cell, NAME_CHARS_MAX)
}

/// Reads the items of a list, each once without regard to case.
pub(super) fn names(cell: &str) -> Result<Vec<Box<str>>, FindingKind> {
    let mut all: Vec<Box<str>> = Vec::new();
    for item in cell.split(SEPARATORS) {
        if let Some(one) = name(item)?
            && !all.iter().any(|known| known.eq_ignore_ascii_case(&one))
        {
            all.push(one);
        }
    }
    Ok(all)
}

/// Reads a number of credits.
pub(super) fn credits(cell: &str) -> Result<Option<Credits>, FindingKind> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(None);
    }
    Credits::parse(cell).map(Some).ok_or(FindingKind::FactCredits)
}

/// Reads a time: with a zone (RFC 3339), or in the college's zone.
pub(super) fn time(cell: &str, zone: &TimeZone) -> Result<Option<Timestamp>, FindingKind> {
    let cell = one_line(cell);
    if cell.is_empty() {
        return Ok(None);
    }
    let local = || {
        let written = TIME_FORMATS.iter().find_map(|format| DateTime::strptime(format, &cell).ok())?;
        zone.to_timestamp(written).ok()
    };
    let whole = |at: Timestamp| Timestamp::from_millisecond(at.as_millisecond()).ok();
    let at = cell.parse::<Timestamp>().ok().or_else(local).and_then(whole);
    at.map(Some).ok_or(FindingKind::FactTime)
}

/// Reads the courses of a cell: `MATH 151: B+; ENGL 101 (A); ART 1`. `term` is the row's term, for all of them, and
/// `grade` the row's grade, for those without one in the cell.
pub(super) fn courses(cell: &str, grade: &str, term: &str) -> Result<Vec<CompletedCourse>, FindingKind> {
    let (row_grade, term) = (text(grade, GRADE_CHARS_MAX)?, name(term)?);
    let mut all = Vec::new();
    for item in cell.split(SEPARATORS) {
        let item = one_line(item);
        let (course, grade) = match item.strip_suffix(')').and_then(|item| item.rsplit_once('(')) {
            Some((course, grade)) => (course, grade),
            None => item.split_once([':', '=']).unwrap_or((&item, "")),
        };
        if let Some(course) = name(course)? {
            let grade = text(grade, GRADE_CHARS_MAX)?.or_else(|| row_grade.clone());
            all.push(CompletedCourse { course, grade, term: term.clone() });
        }
    }
    Ok(all)
}

/// The cells of a row that describe a hold.
pub(super) struct HoldCells<'c> {
    pub(super) id: &'c str,
    pub(super) text: &'c str,
    pub(super) office: &'c str,
    pub(super) url: &'c str,
    pub(super) blocks: &'c str,
}

/// Reads the hold of a row; `None` if there is none.
pub(super) fn hold(cells: &HoldCells<'_>) -> Result<Option<Hold>, FindingKind> {
    let Some(reason) = text(cells.text, HOLD_TEXT_CHARS_MAX)? else {
        return Ok(None);
    };
    let office = name(cells.office)?.ok_or(FindingKind::HoldOffice)?;
    let url = text(cells.url, HOLD_TEXT_CHARS_MAX)?;
    if url.as_deref().is_some_and(|url| !is_web_address(url)) {
        return Err(FindingKind::HoldAddress);
    }
    // A hold without an id gets one from its texts, so that the same hold in the next file has the same id.
    let id = match name(cells.id)? {
        Some(id) => id,
        None => format!("{office}: {reason}").chars().take(NAME_CHARS_MAX).collect::<String>().into(),
    };
    Ok(Some(Hold { id, text: reason, office, url, blocks: blocks(cells.blocks)? }))
}

/// Reads what a hold blocks: `register`, `drop`, `both` or `none`. A blank cell is `register`.
fn blocks(cell: &str) -> Result<Vec<HeldAction>, FindingKind> {
    let cell = cell.trim().to_lowercase();
    if cell.is_empty() {
        return Ok(vec![HeldAction::Register]);
    }
    let mut all = Vec::new();
    for item in cell.split(SEPARATORS).flat_map(str::split_whitespace) {
        match item {
            "none" | "nothing" => {}
            "both" | "all" => all.extend([HeldAction::Register, HeldAction::Drop]),
            item => all.push(HeldAction::parse(item).ok_or(FindingKind::HoldBlocks)?),
        }
    }
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courses_are_read_from_lists_and_rows() {
        let read = |cell: &str, grade: &str| -> Vec<String> {
            let courses = courses(cell, grade, "Fall 2025").unwrap();
            courses.iter().map(|one| format!("{}/{}", one.course, one.grade.as_deref().unwrap_or("-"))).collect()
        };
        let table: [(&str, &str, &[&str]); 6] = [
            ("MATH 151", "B+", &["MATH 151/B+"]),
            ("MATH 151: B+; ENGL  101 (A) ; ART 1", "", &["MATH 151/B+", "ENGL 101/A", "ART 1/-"]),
            ("MATH 151,ENGL 101", "", &["MATH 151/-", "ENGL 101/-"]),
            ("MATH 151=P|ART 1\nLAW 1", "", &["MATH 151/P", "ART 1/-", "LAW 1/-"]),
            ("", "", &[]),
            (" ; ", "", &[]),
        ];
        for (cell, grade, expected) in table {
            assert_eq!(read(cell, grade), expected, "{cell:?}");
        }
        assert!(courses("MATH 151: a very long grade", "", "").is_err());
    }

    #[test]
    fn times_are_read_in_the_colleges_zone() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let table = [
            ("2026-04-12T08:00:00-04:00", Some("2026-04-12T12:00:00Z")),
            ("2026-04-12 08:00", Some("2026-04-12T12:00:00Z")),
            ("04/12/2026 8:00 AM", Some("2026-04-12T12:00:00Z")),
            ("04/12/2026 20:30", Some("2026-04-13T00:30:00Z")),
            ("", None),
        ];
        for (cell, expected) in table {
            assert_eq!(time(cell, &zone).unwrap().map(|at| at.to_string()).as_deref(), expected, "{cell}");
        }
        assert!(time("tomorrow", &zone).is_err());
    }

    #[test]
    fn holds_have_an_office_and_an_id() {
        let cells = |text, office, url, blocks| HoldCells { id: "", text, office, url, blocks };
        let read =
            hold(&cells("A book is missing", "Library", "https://l.example.edu", "register; drop")).unwrap().unwrap();
        assert_eq!((&*read.id, read.blocks.len()), ("Library: A book is missing", 2));
        assert_eq!(hold(&cells(" ", "Library", "", "")).unwrap(), None);
        for wrong in [
            cells("Fee", "", "", ""),
            cells("Fee", "Bursar", "javascript:x", ""),
            cells("Fee", "Bursar", "", "graduation"),
        ] {
            assert!(hold(&wrong).is_err(), "{}", wrong.blocks);
        }
        assert_eq!(hold(&cells("Fee", "Bursar", "", "none")).unwrap().unwrap().blocks, []);
    }
}
