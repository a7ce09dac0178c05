//! The columns of a file with facts about students, and the names under which colleges' systems export them.

use crate::imports::csv::names::normalized;

/// A column of a file with facts about students.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum StudentColumn {
    User,
    Hold,
    Office,
    Url,
    Blocks,
    HoldId,
    CreditMin,
    CreditLimit,
    Groups,
    Program,
    Campus,
    OpensAt,
    ClosesAt,
    Completed,
    Grade,
    CompletedTerm,
    /// A column that is not imported although its name is known.
    Ignored,
}

use StudentColumn::{
    Blocks, Campus, ClosesAt, Completed, CompletedTerm, CreditLimit, CreditMin, Grade, Groups, Hold, HoldId, Ignored,
    Office, OpensAt, Program, Url, User,
};

/// Every column with its names, the preferred one first.
pub(super) const COLUMNS: [(StudentColumn, &[&str]); 17] = [
    (User, &["user", "username", "user id", "login", "net id", "student", "student id", "student username"]),
    (Hold, &["holds", "hold", "hold text", "hold reason", "hold description", "service indicator"]),
    (Office, &["office", "hold office", "hold originator", "department"]),
    (Url, &["url", "hold url", "hold link", "link"]),
    (Blocks, &["blocks", "hold blocks", "hold impact", "blocked actions"]),
    (HoldId, &["hold id", "hold code", "hold type"]),
    (CreditMin, &["credit_min", "minimum credits", "min credits", "minimum units", "min units", "minimum hours"]),
    (
        CreditLimit,
        &[
            "credit_limit",
            "maximum credits",
            "max credits",
            "maximum units",
            "max units",
            "maximum hours",
            "unit limit",
        ],
    ),
    (Groups, &["groups", "group", "student group", "student groups", "cohort", "cohorts", "attributes"]),
    (Program, &["program", "program code", "major", "academic program", "curriculum"]),
    (Campus, &["campus", "home campus", "campus code"]),
    (
        OpensAt,
        &[
            "opens_at",
            "registration opens",
            "registration time",
            "time ticket",
            "appointment",
            "enrollment appointment",
        ],
    ),
    (ClosesAt, &["closes_at", "registration closes", "appointment end"]),
    (Completed, &["completed", "completed courses", "completed course", "courses", "course", "course taken"]),
    (Grade, &["grade", "final grade", "official grade"]),
    (CompletedTerm, &["term", "completed term", "term taken", "academic period"]),
    (Ignored, &["ignore"]),
];

impl StudentColumn {
    /// Returns the preferred name.
    pub(super) fn name(self) -> &'static str {
        COLUMNS.iter().find(|(column, _)| *column == self).map_or("", |(_, names)| names[0])
    }

    /// Returns the column of a name, without regard to case, spaces and `_`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = normalized(name);
        let is_name = |names: &[&str]| names.iter().any(|known| normalized(known) == name);
        COLUMNS.iter().find(|(_, names)| is_name(names)).map(|(column, _)| *column)
    }
}

/// A map of the columns of an upload: names in the file, or `#4`, or `First+Last`, each with a column.
pub(super) type ColumnMap = Vec<(String, StudentColumn)>;

/// Checks and reads a map of columns. The error is text for the caller.
pub(super) fn parse_map(map: &[(String, String)]) -> Result<ColumnMap, String> {
    let mut found: ColumnMap = Vec::with_capacity(map.len());
    for (name, column) in map {
        let column = StudentColumn::parse(column).ok_or_else(|| format!("unknown field {column:?}"))?;
        let is_same = |other: &str| normalized(other) == normalized(name);
        if found.iter().any(|(other, of)| is_same(other) || (*of == column && column != Ignored)) {
            return Err(format!("{name:?} or {:?} appears twice", column.name()));
        }
        found.push((name.clone(), column));
    }
    Ok(found)
}

/// The cells of a row that belong to each column. Several cells of one column are joined with spaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Header {
    cells: Vec<(StudentColumn, Vec<usize>)>,
}

impl Header {
    /// Recognizes the columns of a header. What the upload maps takes precedence over known names, and the first column
    /// with a name over later ones.
    pub(super) fn read(names: &[&str], map: &[(String, StudentColumn)]) -> Self {
        let mut header = Self::default();
        for (name, column) in map.iter().filter(|(_, column)| *column != Ignored) {
            if let Some(cells) = cells_of(names, name) {
                header.cells.push((*column, cells));
            }
        }
        let is_mapped =
            |at: usize| map.iter().any(|(name, _)| cells_of(names, name).is_some_and(|of| of.contains(&at)));
        for (at, name) in names.iter().enumerate().filter(|(at, _)| !is_mapped(*at)) {
            if let Some(column) = StudentColumn::parse(name).filter(|column| *column != Ignored)
                && !header.has(column)
            {
                header.cells.push((column, vec![at]));
            }
        }
        header
    }

    /// Returns the number of recognized columns.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(super) fn has(&self, column: StudentColumn) -> bool {
        self.cells.iter().any(|(of, _)| *of == column)
    }

    /// Returns the column to which a cell belongs.
    pub(super) fn column_of(&self, cell: usize) -> Option<StudentColumn> {
        self.cells.iter().find(|(_, cells)| cells.contains(&cell)).map(|(column, _)| *column)
    }

    /// Returns the text of a column in a row; empty if it is blank.
    pub(super) fn text(&self, record: &csv::StringRecord, column: StudentColumn) -> String {
        let cells = self.cells.iter().filter(|(of, _)| *of == column).flat_map(|(_, cells)| cells);
        let texts = cells.filter_map(|at| record.get(*at)).map(str::trim).filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join(" ")
    }
}

/// Returns the cells to which a name in a map refers: one by its name or number, or several that are joined by `+`.
fn cells_of(names: &[&str], name: &str) -> Option<Vec<usize>> {
    let one = |name: &str| {
        let by_name = names.iter().position(|other| normalized(other) == normalized(name));
        let number = || name.trim().strip_prefix('#')?.parse::<usize>().ok()?.checked_sub(1);
        by_name.or_else(number).filter(|at| *at < names.len())
    };
    one(name).map(|at| vec![at]).or_else(|| name.split('+').map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_meaning() {
        let names = COLUMNS.iter().flat_map(|(_, names)| names.iter().map(|name| normalized(name)));
        let mut all: Vec<String> = names.collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (column, names) in COLUMNS {
            assert!(names.iter().all(|name| StudentColumn::parse(name) == Some(column)), "{column:?}");
        }
    }

    #[test]
    fn columns_are_found_by_name_number_and_map() {
        let names = ["Login", "Last", "MAX_UNITS", "Course", "Note", "course"];
        let map = parse_map(&[
            ("Login".into(), "user".into()),
            ("#5".into(), "holds".into()),
            ("Last+Note".into(), "program".into()),
        ]);
        let header = Header::read(&names, &map.unwrap());
        let found: Vec<_> = (0..6).map(|at| header.column_of(at)).collect();
        // A cell can belong to two mapped columns; the first one names it.
        let expected = [Some(User), Some(Program), Some(CreditLimit), Some(Completed), Some(Hold), None];
        assert_eq!(found, expected);
        let record = csv::StringRecord::from(vec!["ann", "Lee", "18", "MATH 1", " late ", "x"]);
        assert_eq!(header.text(&record, Program), "Lee late");
    }

    #[test]
    fn wrong_maps_are_refused() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        for map in [
            vec![pair("a", "capacity")],
            vec![pair("a", "user"), pair("b", "user")],
            vec![pair("a", "user"), pair("A ", "grade")],
        ] {
            assert!(parse_map(&map).is_err(), "{map:?}");
        }
    }
}
