//! Recognizes the columns of a file. Besides the importer's names, a header may use those of `[import.columns]` and those
//! that the upload maps.

use std::collections::BTreeMap;

use crate::imports::csv::aliases::WEAK_ALIASES;
use crate::imports::csv::contents::HEADINGS;
use crate::imports::csv::derived::{self, Derived};
use crate::imports::csv::export;
pub(super) use crate::imports::csv::meeting_columns::MeetingColumns;
use crate::imports::csv::meeting_columns::numbered_groups;
pub(super) use crate::imports::csv::names::{Column, normalized};
use crate::imports::csv::names::{MEETING_COLUMNS, WEAK_NAMES, weekday};
use crate::imports::finding_kind::FindingKind;

/// The minimum number of columns for single weekdays: fewer may have another meaning, such as `M` or `S`.
const WEEKDAY_COLUMNS_MIN: usize = 3;
/// Columns whose cells form the location together.
const LOCATION_PARTS: [Column; 3] = [Column::Location, Column::Building, Column::Room];

/// Additional column names, normalized.
pub(super) type ExtraNames = BTreeMap<String, Column>;

/// The header of one file.
///
/// An index below the number of names refers to a cell of a record; any other index refers to a derived cell; see
/// [`Header::derived_cells`].
#[derive(Debug)]
pub(super) struct Header {
    names: Vec<String>,
    at: BTreeMap<Column, usize>,
    derived: Vec<Derived>,
    meetings: Vec<MeetingColumns>,
    /// The columns for single weekdays, each with its weekday, 0 for Monday.
    weekdays: Vec<(u8, usize)>,
    /// The column of ids, if the file has the columns of an exported schedule.
    exported_id: Option<usize>,
}

/// Recognition of a header in progress.
struct Recognition {
    names: Vec<String>,
    normalized: Vec<String>,
    at: BTreeMap<Column, usize>,
    derived: Vec<Derived>,
    /// Which columns have a meaning.
    used: Vec<bool>,
    /// The columns that are mapped to single weekdays.
    weekdays: Vec<(u8, usize)>,
}

/// Returns the indexes of the columns that a map names: by a name, `#4` for the fourth column, or several with `+`.
pub(super) fn resolve(name: &str, normalized_names: &[String]) -> Option<Vec<usize>> {
    let one = |name: &str| {
        let by_name = normalized_names.iter().position(|n| !n.is_empty() && *n == normalized(name));
        let number = name.trim().strip_prefix('#').and_then(|number| number.parse::<usize>().ok());
        let by_number = number.and_then(|n| n.checked_sub(1)).filter(|index| *index < normalized_names.len());
        // `Section #` is a name; `#4` is a number.
        by_number.or(by_name)
    };
    one(name).map(|index| vec![index]).or_else(|| name.split('+').map(one).collect())
}

impl Recognition {
    /// Returns the index of the cell to which a mapped name refers, and marks its columns as used.
    fn find(&mut self, name: &str) -> Option<usize> {
        let parts = resolve(name, &self.normalized)?;
        parts.iter().for_each(|index| self.used[*index] = true);
        Some(if let [only] = parts[..] { only } else { self.join(parts) })
    }

    /// Gives a column a meaning.
    fn assign(&mut self, column: Column, index: usize) {
        match column.weekday() {
            Some(day) => self.weekdays.push((day, index)),
            None if column == Column::Ignored => {}
            None => _ = self.at.insert(column, index),
        }
        if let Some(used) = self.used.get_mut(index) {
            *used = true;
        }
    }

    fn join(&mut self, parts: Vec<usize>) -> usize {
        self.derive(Derived::Joined(parts))
    }

    /// Adds a derived cell, and returns its index.
    fn derive(&mut self, derived: Derived) -> usize {
        self.derived.push(derived);
        self.names.len() + self.derived.len() - 1
    }

    /// Gives the numbers in a column such as `Cap/Enr` the meanings that no other column has.
    fn assign_seat_columns(&mut self, columns: Vec<(usize, Vec<Column>)>) {
        for (index, fields) in columns {
            let of = fields.len();
            for (at, field) in
                fields.into_iter().enumerate().filter(|(_, field)| !self.at.contains_key(field)).collect::<Vec<_>>()
            {
                let derived = self.derive(Derived::Part { index, at, of });
                self.at.insert(field, derived);
                self.used[index] = true;
            }
        }
    }

    /// Gives the columns with weak names the meanings that no other column has.
    fn assign_weak_names(&mut self) {
        for (name, column) in WEAK_NAMES.into_iter().chain(WEAK_ALIASES) {
            let has_course = self.at.contains_key(&Column::Subject) && self.at.contains_key(&Column::Number);
            // A column of times would only repeat the column of start times.
            let is_repetition = column == Column::Time && self.at.contains_key(&Column::StartTime);
            let is_taken = self.at.contains_key(&column) || (column == Column::Course && has_course) || is_repetition;
            let index = self.normalized.iter().position(|n| *n == normalized(name)).filter(|index| !self.used[*index]);
            if let Some(index) = index.filter(|_| !is_taken) {
                self.at.insert(column, index);
                self.used[index] = true;
            }
        }
    }

    /// Joins the instructor's first and last name, if no column has the whole name.
    fn join_names(&mut self) {
        if let (None, Some(first), Some(last)) =
            (self.at.get(&Column::Instructor), self.at.get(&Column::FirstName), self.at.get(&Column::LastName))
        {
            let joined = self.join(vec![*first, *last]);
            self.at.insert(Column::Instructor, joined);
        }
    }

    /// Returns the columns of each meeting of a row: those without a number or with the number 1, then further groups.
    fn meeting_groups(&mut self) -> Vec<MeetingColumns> {
        let mut groups = numbered_groups(&self.normalized, &mut self.used);
        let mut first = groups.remove(&1).unwrap_or_default();
        let unnumbered = MEETING_COLUMNS.iter().filter_map(|column| Some((*column, *self.at.get(column)?)));
        unnumbered.for_each(|(column, index)| first.set(column, index));
        let mut all = vec![first];
        all.extend(groups.into_values());
        for group in &mut all {
            let found: Vec<usize> = LOCATION_PARTS.iter().filter_map(|part| group.at(*part)).collect();
            // The upload may have joined the location.
            let is_joined = group.at(Column::Location).is_some_and(|index| index >= self.names.len());
            if let [only] = found[..] {
                group.set(Column::Location, only);
            } else if found.len() > 1 && !is_joined {
                let joined = self.join(found);
                group.set(Column::Location, joined);
            }
        }
        self.at.extend(all[0].all());
        all
    }

    /// Returns columns of weekdays with the days of a repeated `T` and `S` by their position in the week, which begins
    /// with `M`: the second `T` is Thursday; of two `S`, the one before `M` or after a Saturday is Sunday.
    fn by_position(&self, named: &[(u8, usize)]) -> Vec<(u8, usize)> {
        const MONDAY: u8 = 0;
        const TUESDAY: u8 = 1;
        const THURSDAY: u8 = 3;
        const SATURDAY: u8 = 5;
        const SUNDAY: u8 = 6;
        let has = |day: u8| named.iter().chain(&self.weekdays).any(|(other, _)| *other == day);
        // Of the longer names, none of Tuesday ends with `t`, and none of Saturday ends with `s`.
        let is_letter = |index: usize, letter: char| self.normalized[index].ends_with(letter);
        let letters_s = named.iter().filter(|(day, index)| *day == SATURDAY && is_letter(*index, 's')).count();
        let (has_thursday, has_sunday) = (has(THURSDAY), has(SUNDAY) || letters_s < 2);
        let mut week: Vec<u8> = Vec::new();
        let mut days = Vec::new();
        for (at, (day, index)) in named.iter().copied().enumerate() {
            let is_before_monday = || named.get(at + 1) == Some(&(MONDAY, index + 1));
            let day = match day {
                TUESDAY if !has_thursday && week.contains(&TUESDAY) && is_letter(index, 't') => THURSDAY,
                SATURDAY if has_sunday || !is_letter(index, 's') => SATURDAY,
                SATURDAY if week.contains(&SATURDAY) || is_before_monday() => SUNDAY,
                day => day,
            };
            if day == MONDAY {
                week.clear();
            }
            week.push(day);
            days.push((day, index));
        }
        days
    }

    /// Returns the columns for single weekdays: those that are mapped, and those with such names.
    fn weekday_columns(&mut self) -> Vec<(u8, usize)> {
        let mut days = std::mem::take(&mut self.weekdays);
        let unused = |index: &usize| !self.used[*index];
        let named: Vec<(u8, usize)> = (0..self.names.len())
            .filter(unused)
            .filter_map(|index| Some((weekday(&self.normalized[index])?, index)))
            .collect();
        let named: Vec<(u8, usize)> = self
            .by_position(&named)
            .into_iter()
            .filter(|(day, _)| days.iter().all(|(mapped, _)| mapped != day))
            .collect();
        if days.len() + named.len() >= WEEKDAY_COLUMNS_MIN {
            named.iter().for_each(|(_, index)| self.used[*index] = true);
            days.extend(named);
        }
        days.sort_unstable();
        days
    }
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
    ) -> Result<(Self, Vec<FindingKind>), FindingKind> {
        let names: Vec<String> =
            names.into_iter().map(|n| n.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let normalized_names: Vec<String> = names.iter().map(|n| normalized(n)).collect();
        let used = vec![false; names.len()];
        let (at, derived, weekdays) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut found = Recognition { names, normalized: normalized_names, at, derived, used, weekdays };
        for (name, column) in map {
            let index = found.find(name).ok_or_else(|| FindingKind::NoMappedColumn { name: name.clone() })?;
            found.assign(*column, index);
        }
        let mut warnings = Vec::new();
        // Names of weekdays have a meaning only together.
        let is_field = |column: &Column| column.weekday().is_none() && *column != Column::Ignored;
        let built_in: Vec<_> = found.normalized.iter().map(|n| Column::parse(n).filter(is_field)).collect();
        let configured: Vec<_> = found.normalized.iter().map(|n| extra.get(n).copied()).collect();
        let mapped = found.used.clone();
        let is_free = |index: &usize| !mapped[*index] && configured[*index].is_none();
        let seats: Vec<(usize, Vec<Column>)> = (0..found.names.len())
            .filter(is_free)
            .filter_map(|index| Some((index, derived::seat_columns(&found.names[index])?)))
            .collect();
        for (index, column) in built_in.into_iter().enumerate().chain(configured.into_iter().enumerate()) {
            let is_seats = seats.iter().any(|(at, _)| *at == index);
            let Some(column) = column.filter(|_| !mapped[index] && !is_seats) else { continue };
            match found.at.get(&column) {
                None => found.assign(column, index),
                Some(first) if *first != index && !map.iter().any(|(_, c)| *c == column) => {
                    warnings.push(FindingKind::SameMeaning {
                        first: found.names[*first].clone(),
                        second: found.names[index].clone(),
                    });
                }
                Some(_) => {}
            }
        }
        found.assign_seat_columns(seats);
        found.assign_weak_names();
        found.join_names();
        let meetings = found.meeting_groups();
        let weekdays = found.weekday_columns();
        let Recognition { names, at, derived, .. } = found;
        let exported_id = exported_id(&names, &at);
        Ok((Self { names, at, derived, meetings, weekdays, exported_id }, warnings))
    }

    /// Returns the index of the column of ids, if the file has the columns of an exported schedule.
    pub(super) fn exported_id(&self) -> Option<usize> {
        self.exported_id
    }

    /// Returns the index of a column.
    pub(super) fn at(&self, column: Column) -> Option<usize> {
        self.at.get(&column).copied()
    }

    /// Returns the index of the cell with the course that the last heading names, if the file has such headings.
    pub(super) fn of_headings(&self) -> Option<usize> {
        self.names.len().checked_sub(1).filter(|last| self.names[*last] == HEADINGS)
    }

    /// Returns the column that a cell is imported as; `None` if it is ignored.
    pub(super) fn field_of(&self, index: usize) -> Option<Column> {
        let is_source = |at: usize| match at.checked_sub(self.names.len()) {
            None => at == index,
            Some(derived) => self.derived[derived].has_source(index),
        };
        let own = || self.at.iter().map(|(column, index)| (*column, *index));
        let all = || own().chain(self.meetings.iter().flat_map(MeetingColumns::all));
        // `Bldg` is the building, although the location is made of it.
        let field = all().find(|(_, at)| *at == index).or_else(|| all().find(|(_, at)| is_source(*at)));
        let field = field.map(|(column, _)| column);
        let day = || self.weekdays.iter().find(|(_, at)| *at == index).map(|(day, _)| Column::of_weekday(*day));
        field.or_else(day)
    }

    /// Returns whether the file has a column.
    pub(super) fn has(&self, column: Column) -> bool {
        self.at.contains_key(&column)
    }

    /// Returns a column's name as written in the file; the names of joined columns with `+`.
    pub(super) fn name_at(&self, index: usize) -> String {
        match index.checked_sub(self.names.len()) {
            None => self.names[index].clone(),
            Some(derived) => self.derived[derived].name(&self.names),
        }
    }

    /// Returns a column's name as written in the file.
    pub(super) fn name(&self, column: Column) -> Option<String> {
        self.at(column).map(|index| self.name_at(index))
    }

    /// Returns all names as written in the file.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the columns of each meeting of a row. The first group may be empty.
    pub(super) fn meeting_groups(&self) -> &[MeetingColumns] {
        &self.meetings
    }

    /// Returns the columns for single weekdays, each with its weekday, 0 for Monday.
    pub(super) fn weekdays(&self) -> &[(u8, usize)] {
        &self.weekdays
    }

    /// Returns the text of each derived cell of a record.
    pub(super) fn derived_cells(&self, record: &csv::StringRecord) -> Vec<String> {
        self.derived.iter().map(|derived| derived.text(record)).collect()
    }

    /// Returns the number of recognized columns.
    pub(super) fn known_len(&self) -> usize {
        self.at.len()
    }

    /// Returns whether a record repeats the header.
    pub(super) fn is_repeated_by(&self, record: &csv::StringRecord) -> bool {
        let is_same = |column: &usize| match self.names.get(*column) {
            Some(name) => record.get(*column).is_some_and(|cell| normalized(cell) == normalized(name)),
            None => true,
        };
        self.at.values().all(is_same)
    }

    /// Returns whether the header is that of the earlier EduHub importer, whose rows are events.
    pub(super) fn is_event_header(&self) -> bool {
        self.has(Column::Program) && self.has(Column::Date) && self.has(Column::Time) && !self.has(Column::Crn)
    }

    /// Returns whether the file names courses.
    pub(super) fn has_course(&self) -> bool {
        self.has(Column::Course) || (self.has(Column::Subject) && self.has(Column::Number))
    }

    /// Returns an error for each column that a schedule of sections needs and the header does not have.
    pub(super) fn missing_columns(&self) -> Vec<FindingKind> {
        let mut missing = Vec::new();
        let without_crn = !self.has(Column::Crn);
        if without_crn && !(self.has_course() && self.has(Column::Section)) {
            missing.push(FindingKind::NoSectionColumns);
        }
        if !self.has_course() {
            missing.push(FindingKind::NoCourseColumn);
        }
        let is_sum = self.has(Column::Enrolled) && self.has(Column::Available);
        if !self.has(Column::Capacity) && !is_sum {
            missing.push(FindingKind::NoCapacityColumn { names: quoted(&Column::Capacity.names()[..3]) });
        }
        missing
    }
}

/// Returns the index of the column `id`, if all columns of an exported schedule are present and have their meaning.
fn exported_id(names: &[String], at: &BTreeMap<Column, usize>) -> Option<usize> {
    let position = |name: &&str| names.iter().position(|n| n == name);
    let has_meaning = |name: &&str| {
        let own = Column::parse(name).map(|column| at.get(&column).copied());
        position(name).is_some_and(|index| own.is_none_or(|own| own == Some(index)))
    };
    export::COLUMNS.iter().all(has_meaning).then(|| position(&"id")).flatten()
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str, extra: &ExtraNames, map: &[(String, Column)]) -> (Header, Vec<FindingKind>) {
        Header::read(names.split(','), extra, map).unwrap()
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
        assert_eq!(header.missing_columns(), []);
    }

    #[test]
    fn mapped_names_take_precedence_over_built_in_and_extra_names() {
        let extra = ExtraNames::from([(normalized("Room Limit"), Column::Capacity)]);
        let (extra_name, _) = header("crn,course,room_limit", &extra, &[]);
        assert_eq!(extra_name.at(Column::Capacity), Some(2));
        let (known, warnings) = header("room_limit,cap", &extra, &[]);
        assert_eq!((known.at(Column::Capacity), warnings.len()), (Some(1), 1));
        let (mapped, warnings) = header("capacity,seats,section", &extra, &[("Seats".into(), Column::Capacity)]);
        assert_eq!((mapped.at(Column::Capacity), warnings.len()), (Some(1), 0));
        let (moved, _) = header("course,title", &extra, &[("course".into(), Column::Title)]);
        assert_eq!((moved.at(Column::Title), moved.at(Column::Course)), (Some(0), None));
        let numbered = [("#2".into(), Column::Capacity), ("Bldg+Hall".into(), Column::Location)];
        let (numbered, _) = header("crn,places,Bldg,Hall", &extra, &numbered);
        assert_eq!(numbered.at(Column::Capacity), Some(1));
        let record = csv::StringRecord::from(vec!["1", "20", "Elm", "105"]);
        assert_eq!(numbered.derived_cells(&record), ["Elm 105"]);
        let unknown = Header::read(["crn"], &extra, &[("seats".into(), Column::Capacity)]);
        assert!(unknown.unwrap_err().to_string().contains("seats"));
    }

    #[test]
    fn repeated_letters_of_weekdays_have_their_day_by_position() {
        for (names, days) in [
            ("crn,M,T,W,T,F", &[0, 1, 2, 3, 4][..]),
            ("crn,S,M,T,W,T,F,S", &[6, 0, 1, 2, 3, 4, 5]),
            ("crn,M,T,W,T,F,S,S", &[0, 1, 2, 3, 4, 5, 6]),
            ("crn,M,T,W,R,F,S,U", &[0, 1, 2, 3, 4, 5, 6]),
            ("crn,M,T,W,Th,F,S,Su", &[0, 1, 2, 3, 4, 5, 6]),
            ("crn,S,M,T,W,R,F", &[5, 0, 1, 2, 3, 4]),
            ("crn,M,T,W,T,F,M,T,W,T,F", &[0, 1, 2, 3, 4, 0, 1, 2, 3, 4]),
            ("crn,M,T,W,R,F,M,T,W,R,F", &[0, 1, 2, 3, 4, 0, 1, 2, 3, 4]),
        ] {
            let (header, _) = header(names, &ExtraNames::new(), &[]);
            let mut found = header.weekdays().to_vec();
            found.sort_unstable_by_key(|(_, index)| *index);
            assert_eq!(found.iter().map(|(day, _)| *day).collect::<Vec<_>>(), days, "{names}");
        }
    }

    #[test]
    fn missing_capacity_error_lists_accepted_names() {
        let (header, _) = header("course,CRN,seats", &ExtraNames::new(), &[]);
        let missing = header.missing_columns();
        assert_eq!(missing.len(), 1);
        for word in ["`capacity`", "`cap`", "`seats_cap`", "seats:capacity"] {
            assert!(missing[0].to_string().contains(word), "{}", missing[0]);
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
