//! Which column of a file is which: names without regard to case, blanks and `_`; aliases; the college's own names of
//! `[import.columns]`; and the names that one upload maps.

use std::collections::BTreeMap;

/// A column that the importer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Column {
    Term,
    Crn,
    Subject,
    Number,
    Course,
    Section,
    Title,
    Credits,
    Instructor,
    Capacity,
    Enrolled,
    WaitlistCapacity,
    Waitlisted,
    Days,
    Time,
    StartTime,
    EndTime,
    DateRange,
    Start,
    End,
    Location,
    Component,
    Method,
    Campus,
    Linked,
    Prerequisites,
    Reserved,
    Program,
    Date,
    Duration,
    Description,
}

/// Every column with its names, the first of which is its own.
const COLUMNS: [(Column, &[&str]); 31] = [
    (Column::Term, &["term"]),
    (Column::Crn, &["crn"]),
    (Column::Subject, &["subject"]),
    (Column::Number, &["number"]),
    (Column::Course, &["course", "catalog_id"]),
    (Column::Section, &["section"]),
    (Column::Title, &["title", "desc"]),
    (Column::Credits, &["credits", "units"]),
    (Column::Instructor, &["instructor", "instructors", "primary_instructor"]),
    (Column::Capacity, &["capacity", "cap", "seats_cap"]),
    (Column::Enrolled, &["enrolled", "act", "seats_act"]),
    (Column::WaitlistCapacity, &["waitlist_capacity", "wait_cap"]),
    (Column::Waitlisted, &["waitlisted", "wait_act"]),
    (Column::Days, &["days"]),
    (Column::Time, &["time"]),
    (Column::StartTime, &["start_time"]),
    (Column::EndTime, &["end_time"]),
    (Column::DateRange, &["date_range"]),
    (Column::Start, &["start"]),
    (Column::End, &["end"]),
    (Column::Location, &["location", "where", "room"]),
    (Column::Component, &["component", "schedule_type"]),
    (Column::Method, &["method"]),
    (Column::Campus, &["campus"]),
    (Column::Linked, &["linked"]),
    (Column::Prerequisites, &["prerequisites"]),
    (Column::Reserved, &["reserved"]),
    (Column::Program, &["program"]),
    (Column::Date, &["date"]),
    (Column::Duration, &["duration"]),
    (Column::Description, &["description"]),
];

/// A column's name as it is compared.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && *c != '_').flat_map(char::to_lowercase).collect()
}

impl Column {
    /// The names that the importer reads for it, its own first.
    pub(super) fn names(self) -> &'static [&'static str] {
        COLUMNS[self as usize].1
    }

    /// Reads a name that the importer knows.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = plain(name);
        COLUMNS.iter().find(|(_, names)| names.iter().any(|n| plain(n) == name)).map(|(column, _)| *column)
    }
}

/// Further names and what they stand for, compared plainly.
pub(super) type Extra = BTreeMap<String, Column>;

/// The header of one file.
#[derive(Debug)]
pub(super) struct Header {
    names: Vec<String>,
    at: BTreeMap<Column, usize>,
}

impl Header {
    /// Finds the columns. A name that this upload maps counts before every other, a known name before the college's
    /// own, the first of two before the second. What is passed over comes back as warnings.
    pub(super) fn read<'n>(
        names: impl IntoIterator<Item = &'n str>,
        extra: &Extra,
        map: &[(String, Column)],
    ) -> Result<(Self, Vec<String>), String> {
        let names: Vec<String> = names.into_iter().map(|n| n.trim().to_owned()).collect();
        let plain_names: Vec<String> = names.iter().map(|n| plain(n)).collect();
        let mut at = BTreeMap::new();
        let mut mapped = vec![false; names.len()];
        for (name, column) in map {
            let found = plain_names
                .iter()
                .position(|n| *n == plain(name))
                .ok_or_else(|| format!("the map names {name:?}, but the file's header has no such column"))?;
            at.insert(*column, found);
            mapped[found] = true;
        }
        let mut warnings = Vec::new();
        let known = plain_names.iter().map(|n| Column::parse(n));
        let own = plain_names.iter().map(|n| extra.get(n).copied());
        for (index, column) in known.enumerate().chain(own.enumerate()) {
            let Some(column) = column.filter(|_| !mapped[index]) else { continue };
            match at.get(&column) {
                None => {
                    at.insert(column, index);
                }
                Some(first) if *first != index && !map.iter().any(|(_, c)| *c == column) => warnings.push(format!(
                    "the columns {:?} and {:?} mean the same; the first of them is read",
                    names[*first], names[index]
                )),
                Some(_) => {}
            }
        }
        Ok((Self { names, at }, warnings))
    }

    /// Where a column is.
    pub(super) fn at(&self, column: Column) -> Option<usize> {
        self.at.get(&column).copied()
    }

    /// Whether the file has a column.
    pub(super) fn has(&self, column: Column) -> bool {
        self.at.contains_key(&column)
    }

    /// A column's name as the file writes it.
    pub(super) fn name(&self, column: Column) -> Option<&str> {
        self.at(column).map(|i| self.names[i].as_str())
    }

    /// The names as the file writes them.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// How many known columns were found.
    pub(super) fn known(&self) -> usize {
        self.at.len()
    }

    /// Whether these are the columns of the older EduHub importer, whose rows are events.
    pub(super) fn is_of_events(&self) -> bool {
        self.has(Column::Program) && self.has(Column::Date) && self.has(Column::Time) && !self.has(Column::Crn)
    }

    /// What is missing for a schedule of sections, in words, one sentence each.
    pub(super) fn missing_for_sections(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.has(Column::Crn) {
            missing.push("the file has no column `crn`, which numbers its sections".to_owned());
        }
        let in_two = self.has(Column::Subject) && self.has(Column::Number);
        if !self.has(Column::Course) && !in_two {
            missing.push("the file has no column `course` (or `catalog_id`, or `subject` and `number`)".to_owned());
        }
        if !self.has(Column::Capacity) {
            missing.push(format!(
                "the file has no column of capacities: {} would do, and so would another column that the upload maps, \
                 such as ?map=seats:capacity",
                quoted(Column::Capacity.names())
            ));
        }
        missing
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str, extra: &Extra, map: &[(String, Column)]) -> (Header, Vec<String>) {
        Header::read(names.split(','), extra, map).unwrap()
    }

    #[test]
    fn each_column_stands_where_its_number_says() {
        for (index, (column, _)) in COLUMNS.iter().enumerate() {
            assert_eq!(*column as usize, index, "{column:?}");
        }
    }

    #[test]
    fn names_are_read_without_case_blanks_and_underscores() {
        let (header, warnings) = header(" Seats Cap,CRN,Catalog_ID,waitCap,schedule type,nonsense", &Extra::new(), &[]);
        assert_eq!(header.at(Column::Capacity), Some(0));
        assert_eq!(header.at(Column::Crn), Some(1));
        assert_eq!(header.at(Column::Course), Some(2));
        assert_eq!(header.at(Column::WaitlistCapacity), Some(3));
        assert_eq!(header.at(Column::Component), Some(4));
        assert_eq!((header.known(), warnings.len()), (5, 0));
        assert_eq!(header.missing_for_sections(), Vec::<String>::new());
    }

    #[test]
    fn a_map_counts_before_known_names_and_those_before_the_colleges_own() {
        let extra = Extra::from([(plain("Max Enrl"), Column::Capacity)]);
        let (own, _) = header("crn,course,max_enrl", &extra, &[]);
        assert_eq!(own.at(Column::Capacity), Some(2));
        let (known, warnings) = header("max_enrl,cap", &extra, &[]);
        assert_eq!((known.at(Column::Capacity), warnings.len()), (Some(1), 1));
        let (mapped, warnings) = header("capacity,seats,section", &extra, &[("Seats".into(), Column::Capacity)]);
        assert_eq!((mapped.at(Column::Capacity), warnings.len()), (Some(1), 0));
        let (moved, _) = header("course,title", &extra, &[("course".into(), Column::Title)]);
        assert_eq!((moved.at(Column::Title), moved.at(Column::Course)), (Some(0), None));
        let unknown = Header::read(["crn"], &extra, &[("seats".into(), Column::Capacity)]);
        assert!(unknown.unwrap_err().contains("seats"));
    }

    #[test]
    fn a_file_without_capacity_is_told_which_names_would_do() {
        let (header, _) = header("course,CRN,seats", &Extra::new(), &[]);
        let missing = header.missing_for_sections();
        assert_eq!(missing.len(), 1);
        for word in ["`capacity`", "`cap`", "`seats_cap`", "?map=seats:capacity"] {
            assert!(missing[0].contains(word), "{}", missing[0]);
        }
    }

    #[test]
    fn the_older_importers_columns_are_known() {
        assert!(header("program,date,time,instructor,room,duration,description", &Extra::new(), &[]).0.is_of_events());
        assert!(!header("crn,program,date,time", &Extra::new(), &[]).0.is_of_events());
    }
}
