//! Groups of cross-listed sections in files that name the other sections in each row, such as `Also CD 830-1`, instead of
//! a common code.

use std::collections::HashMap;

use rusqlite::params;

use crate::imports::csv::course;
use crate::imports::csv::row::Row;
use crate::imports::csv::scratch::{Scratch, unsigned};
use crate::imports::schedule::ScheduleError;

/// The maximum number of rows whose cells are searched for sections, so that a file of such rows cannot fill memory.
const ROWS_MAX: usize = 100_000;
/// The maximum number of words of a cell that are searched.
const CELL_WORDS_MAX: usize = 60;
/// The maximum number of words of a section's name: `CIV ENGR 310 Lec 1`.
const NAME_WORDS_MAX: usize = 5;

/// A row with a cell that may name other sections.
struct Listed {
    rowid: i64,
    crn: String,
    line: u64,
    /// The name of its section, `CD 830-1`.
    name: String,
    cell: String,
    has_capacity: bool,
}

/// Returns whether a row lists its partners by text rather than by a code, which has no spaces.
pub(super) fn is_text(row: &Row) -> bool {
    !row.is_exported && row.cross_listed.as_deref().is_some_and(|cell| cell.contains(char::is_whitespace))
}

/// Puts sections that name each other into one group, named after the alphabetically first of them. Visits the lines
/// of rows whose seats may not be shared: those that are in no group, name a section that is not found, or state no
/// combined capacity.
pub(super) fn name_groups(
    scratch: &Scratch,
    f: &mut dyn FnMut(u64) -> Result<(), ScheduleError>,
) -> Result<(), ScheduleError> {
    scratch.index_labels()?;
    let rows = listed(scratch)?;
    let first_of: HashMap<&str, usize> = rows.iter().enumerate().rev().map(|(i, row)| (row.crn.as_str(), i)).collect();
    let mut groups = Groups::new(rows.len());
    let mut unknown = vec![false; rows.len()];
    for (i, row) in rows.iter().enumerate() {
        groups.join(i, first_of[row.crn.as_str()]);
        let found = sections_in(&row.cell, &mut |course, section| section_crn(scratch, course, section, &first_of))?;
        unknown[i] = found.has_unknown;
        for crn in &found.crns {
            groups.join(i, first_of[crn.as_str()]);
        }
    }
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for i in 0..rows.len() {
        members.entry(groups.root(i)).or_default().push(i);
    }
    let mut update = scratch.db.prepare("UPDATE row SET body = json_set(body, '$.g', ?2) WHERE rowid = ?1")?;
    for (i, row) in rows.iter().enumerate() {
        let group = &members[&groups.root(i)];
        let is_alone = group.iter().all(|other| rows[*other].crn == row.crn);
        if !is_alone && let Some(name) = group.iter().map(|other| &rows[*other].name).min() {
            update.execute(params![row.rowid, name])?;
        }
        if is_alone || unknown[i] || !row.has_capacity {
            f(row.line)?;
        }
    }
    Ok(())
}

/// Returns the rows that list their partners by text.
fn listed(scratch: &Scratch) -> Result<Vec<Listed>, ScheduleError> {
    let mut statement = scratch.db.prepare("SELECT rowid, crn, line, body FROM row ORDER BY line, rowid")?;
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while rows.len() < ROWS_MAX
        && let Some(row) = found.next()?
    {
        let body: Row = serde_json::from_str(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?;
        if !is_text(&body) {
            continue;
        }
        rows.push(Listed {
            rowid: row.get(0)?,
            crn: row.get(1)?,
            line: unsigned(row.get(2)?),
            name: [Some(body.course), body.section].into_iter().flatten().collect::<Vec<_>>().join("-"),
            cell: body.cross_listed.unwrap_or_default(),
            has_capacity: body.cross_listed_capacity.is_some(),
        });
    }
    Ok(rows)
}

/// Returns the CRN of the only section with this course and label or, without a label, of the course's only section;
/// `None` if there is no such section, or it does not list others.
fn section_crn(
    scratch: &Scratch,
    course: &str,
    section: Option<&str>,
    listed: &HashMap<&str, usize>,
) -> Result<Option<String>, ScheduleError> {
    let sql = "SELECT DISTINCT crn FROM row WHERE json_extract(body,'$.c') = ?1 \
               AND (?2 IS NULL OR ltrim(json_extract(body,'$.s'), '0') = ltrim(?2, '0')) LIMIT 2";
    let mut statement = scratch.db.prepare_cached(sql)?;
    let found = statement.query_map(params![course, section], |row| row.get(0))?;
    let crns: Vec<String> = found.collect::<Result<_, _>>()?;
    Ok(match &crns[..] {
        [only] if listed.contains_key(only.as_str()) => Some(only.clone()),
        _ => None,
    })
}

/// A function that returns the CRN of the section with a course and a label; without a label, that of the course's only
/// section.
type Find<'f> = dyn FnMut(&str, Option<&str>) -> Result<Option<String>, ScheduleError> + 'f;

/// The sections that a cell names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    crns: Vec<String>,
    /// Whether the cell also has a number that is in no name of a found section.
    has_unknown: bool,
}

/// Finds the sections that a cell names, such as `Also CD 830-1 and EF 12-2`. Text in parentheses, such as the CRN after
/// a name, is ignored.
fn sections_in(cell: &str, find: &mut Find<'_>) -> Result<Found, ScheduleError> {
    let text = outside_parentheses(cell);
    let words = text.split_whitespace().map(|word| word.trim_end_matches('.'));
    let words: Vec<&str> = words.take(CELL_WORDS_MAX).collect();
    let mut found = Found::default();
    let mut rest = &words[..];
    while let [word, after @ ..] = rest {
        rest = after;
        let mut is_name = false;
        // The longest name counts: `CD 830 Lec 1` is not `CD 830`.
        for len in (1..=NAME_WORDS_MAX.min(after.len() + 1)).rev() {
            let name = [&[*word], &after[..len - 1]].concat().join(" ");
            if let Some(crn) = section_named(&name, find)? {
                found.crns.push(crn);
                rest = &after[len - 1..];
                is_name = true;
                break;
            }
        }
        found.has_unknown |= !is_name && word.contains(|c: char| c.is_ascii_digit());
    }
    Ok(found)
}

/// Returns the CRN of the section with a name: `CD 830-1`, or `CD 830` if the course has one section.
fn section_named(name: &str, find: &mut Find<'_>) -> Result<Option<String>, ScheduleError> {
    if let Ok(whole) = course::split(name)
        && let Some(crn) = find(&whole.name, whole.section.as_deref())?
    {
        return Ok(Some(crn));
    }
    // In a cell of a course, `CIV ENGR 12-2` may be a course. Here, what follows the course is its section.
    let Some((head, label)) = name.rsplit_once([' ', '-', '*', '_', '.']) else { return Ok(None) };
    match course::split(head) {
        Ok(course::Course { name, section: None, .. }) => find(&name, Some(label)),
        _ => Ok(None),
    }
}

/// Returns a cell without the text in parentheses, and with spaces instead of the signs between names.
fn outside_parentheses(cell: &str) -> String {
    let mut depth = 0_u32;
    let mut text = String::with_capacity(cell.len());
    for c in cell.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            ',' | ';' | '&' | '|' | ':' | '+' => text.push(' '),
            _ => text.push(c),
        }
    }
    text
}

/// Disjoint sets of rows: for each row, an earlier row of its set, or the row itself if it is the first.
struct Groups(Vec<usize>);

impl Groups {
    /// Creates `len` sets of one row each.
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    /// Returns the first row of the set to which a row belongs.
    fn root(&mut self, mut row: usize) -> usize {
        while self.0[row] != row {
            self.0[row] = self.0[self.0[row]];
            row = self.0[row];
        }
        row
    }

    /// Merges the sets of two rows.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_name_sections_of_the_file() {
        let cases: [(&str, &[&str], bool); 12] = [
            ("Also CD 830-1", &["30002"], false),
            ("See AB 430-1", &["30001"], false),
            ("Cross-listed with CD 830-001 and CIV ENGR 12-2.", &["30002", "30003"], false),
            ("CD 830-1 (30002), CIV ENGR 12 2", &["30002", "30003"], false),
            ("CD 830 Lec 1", &["30002"], false),
            ("Also CIV ENGR 12", &["30003"], false),
            ("CD830-1;AB430-1", &["30002", "30001"], false),
            ("Also CD 830-1, XY 5-1", &["30002"], true),
            ("Also CD 830-7", &[], true),
            ("See XY 5-1 (30002)", &[], true),
            ("Meets with the seminar", &[], false),
            ("", &[], false),
        ];
        for (cell, crns, has_unknown) in cases {
            let found = sections_in(cell, &mut |course, section| {
                let section = section.map(|label| label.trim_start_matches("Lec ").trim_start_matches('0'));
                Ok(match (course, section) {
                    ("AB 430", Some("1")) => Some("30001".to_owned()),
                    ("CD 830", Some("1")) => Some("30002".to_owned()),
                    ("CIV ENGR 12", Some("2") | None) => Some("30003".to_owned()),
                    _ => None,
                })
            });
            let expected = Found { crns: crns.iter().map(|&crn| crn.to_owned()).collect(), has_unknown };
            assert_eq!(found.unwrap(), expected, "{cell}");
        }
    }

    #[test]
    fn groups_join_rows_that_are_not_adjacent() {
        let mut groups = Groups::new(5);
        groups.join(3, 1);
        groups.join(4, 3);
        groups.join(0, 0);
        let roots: Vec<usize> = (0..5).map(|row| groups.root(row)).collect();
        assert_eq!(roots, [0, 1, 2, 1, 1]);
    }
}
