//! Recognizes the columns of a file. Names are compared without case, white space and `_`. Besides the importer's
//! names, a header may use those of `[import.columns]` and those that the upload maps.

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

/// Every column with its names, the preferred one first, in the order of [`Column`].
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

/// Normalizes a column name for comparison.
pub(super) fn normalized(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && *c != '_').flat_map(char::to_lowercase).collect()
}

impl Column {
    /// Returns the names of the column, the preferred one first.
    pub(super) fn names(self) -> &'static [&'static str] {
        COLUMNS[self as usize].1
    }

    /// Returns the column of a built-in name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = normalized(name);
        COLUMNS.iter().find(|(_, names)| names.iter().any(|n| normalized(n) == name)).map(|(column, _)| *column)
    }
}

/// Additional column names, normalized.
pub(super) type ExtraNames = BTreeMap<String, Column>;

/// The header of one file.
#[derive(Debug)]
pub(super) struct Header {
    names: Vec<String>,
    at: BTreeMap<Column, usize>,
}

impl Header {
    /// Recognizes the columns, and returns warnings about duplicates, which are ignored. A name that the upload maps
    /// takes precedence over a built-in name, a built-in name over one of `extra`, and the first of two columns over
    /// the second.
    ///
    /// # Errors
    /// When `map` contains a name that the header does not have.
    pub(super) fn read<'n>(
        names: impl IntoIterator<Item = &'n str>,
        extra: &ExtraNames,
        map: &[(String, Column)],
    ) -> Result<(Self, Vec<String>), String> {
        let names: Vec<String> = names.into_iter().map(|n| n.trim().to_owned()).collect();
        let normalized_names: Vec<String> = names.iter().map(|n| normalized(n)).collect();
        let mut at = BTreeMap::new();
        let mut mapped = vec![false; names.len()];
        for (name, column) in map {
            let found = normalized_names
                .iter()
                .position(|n| *n == normalized(name))
                .ok_or_else(|| format!("The map contains {name:?}, but the file has no such column"))?;
            at.insert(*column, found);
            mapped[found] = true;
        }
        let mut warnings = Vec::new();
        let built_in = normalized_names.iter().map(|n| Column::parse(n));
        let configured = normalized_names.iter().map(|n| extra.get(n).copied());
        for (index, column) in built_in.enumerate().chain(configured.enumerate()) {
            let Some(column) = column.filter(|_| !mapped[index]) else { continue };
            match at.get(&column) {
                None => {
                    at.insert(column, index);
                }
                Some(first) if *first != index && !map.iter().any(|(_, c)| *c == column) => warnings.push(format!(
                    "Columns {:?} and {:?} have the same meaning: the second is ignored",
                    names[*first], names[index]
                )),
                Some(_) => {}
            }
        }
        Ok((Self { names, at }, warnings))
    }

    /// Returns the index of a column.
    pub(super) fn at(&self, column: Column) -> Option<usize> {
        self.at.get(&column).copied()
    }

    /// Returns whether the file has a column.
    pub(super) fn has(&self, column: Column) -> bool {
        self.at.contains_key(&column)
    }

    /// Returns a column's name as written in the file.
    pub(super) fn name(&self, column: Column) -> Option<&str> {
        self.at(column).map(|i| self.names[i].as_str())
    }

    /// Returns all names as written in the file.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the number of recognized columns.
    pub(super) fn known_len(&self) -> usize {
        self.at.len()
    }

    /// Returns whether the header is that of the earlier EduHub importer, whose rows are events.
    pub(super) fn is_event_header(&self) -> bool {
        self.has(Column::Program) && self.has(Column::Date) && self.has(Column::Time) && !self.has(Column::Crn)
    }

    /// Returns an error message for each column that a schedule of sections needs and the header does not have.
    pub(super) fn missing_columns(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.has(Column::Crn) {
            missing.push("The file has no column `crn`".to_owned());
        }
        let in_two = self.has(Column::Subject) && self.has(Column::Number);
        if !self.has(Column::Course) && !in_two {
            missing.push("The file has no column `course` (or `catalog_id`, or `subject` and `number`)".to_owned());
        }
        if !self.has(Column::Capacity) {
            missing.push(format!(
                "The file has no capacity column: name one {}, or map a column with ?map=seats:capacity",
                quoted(Column::Capacity.names())
            ));
        }
        missing
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str, extra: &ExtraNames, map: &[(String, Column)]) -> (Header, Vec<String>) {
        Header::read(names.split(','), extra, map).unwrap()
    }

    #[test]
    fn columns_are_listed_in_order_of_the_enum() {
        for (index, (column, _)) in COLUMNS.iter().enumerate() {
            assert_eq!(*column as usize, index, "{column:?}");
        }
    }

    #[test]
    fn names_ignore_case_white_space_and_underscores() {
        let (header, warnings) =
            header(" Seats Cap,CRN,Catalog_ID,waitCap,schedule type,nonsense", &ExtraNames::new(), &[]);
        assert_eq!(header.at(Column::Capacity), Some(0));
        assert_eq!(header.at(Column::Crn), Some(1));
        assert_eq!(header.at(Column::Course), Some(2));
        assert_eq!(header.at(Column::WaitlistCapacity), Some(3));
        assert_eq!(header.at(Column::Component), Some(4));
        assert_eq!((header.known_len(), warnings.len()), (5, 0));
        assert_eq!(header.missing_columns(), Vec::<String>::new());
    }

    #[test]
    fn mapped_names_precede_built_in_and_extra_names() {
        let extra = ExtraNames::from([(normalized("Max Enrl"), Column::Capacity)]);
        let (extra_name, _) = header("crn,course,max_enrl", &extra, &[]);
        assert_eq!(extra_name.at(Column::Capacity), Some(2));
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
    fn missing_capacity_error_lists_accepted_names() {
        let (header, _) = header("course,CRN,seats", &ExtraNames::new(), &[]);
        let missing = header.missing_columns();
        assert_eq!(missing.len(), 1);
        for word in ["`capacity`", "`cap`", "`seats_cap`", "?map=seats:capacity"] {
            assert!(missing[0].contains(word), "{}", missing[0]);
        }
    }

    #[test]
    fn event_header_of_the_earlier_importer_is_recognized() {
        assert!(
            header("program,date,time,instructor,room,duration,description", &ExtraNames::new(), &[])
                .0
                .is_event_header()
        );
        assert!(!header("crn,program,date,time", &ExtraNames::new(), &[]).0.is_event_header());
    }
}
