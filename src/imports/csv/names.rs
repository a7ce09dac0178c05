//! The columns that the importer knows, and the names under which colleges' systems export them (Banner, PeopleSoft,
//! Colleague, Workday, Jenzabar, CourseLeaf, UniTime). Names are compared by their letters and digits, without case.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use crate::imports::csv::aliases::{aliases, without_prefix};

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
    /// Free seats. Together with `Enrolled`, they add up to the capacity.
    Available,
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
    Restrictions,
    RepeatLimit,
    Program,
    Date,
    Duration,
    Description,
    Status,
    Building,
    Room,
    FirstName,
    LastName,
    CrossListed,
    CrossListedCapacity,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
    /// A column that is not imported although its name is known.
    Ignored,
}

/// Every column with its names, the preferred one first, in the order of [`Column`].
pub(super) const COLUMNS: [(Column, &[&str]); 49] = [
    (Column::Term, &["term", "semester", "term code", "academic term", "academic period", "strm"]),
    (
        Column::Crn,
        &[
            "crn",
            "course reference number",
            "class nbr",
            "class number",
            "class no",
            "class id",
            "call number",
            "synonym",
        ],
    ),
    (Column::Subject, &["subject", "subj", "subject code", "subject area", "prefix", "discipline"]),
    (
        Column::Number,
        &[
            "number",
            "course number",
            "course no",
            "catalog number",
            "catalog nbr",
            "catalog no",
            "crse",
            "crse no",
            "course num",
        ],
    ),
    (Column::Course, &["course", "catalog_id", "course code", "course id"]),
    (
        Column::Section,
        &["section", "sec", "sect", "section number", "section no", "section nbr", "sec no", "class section"],
    ),
    (
        Column::Title,
        &["title", "desc", "course title", "class title", "section title", "long title", "short title", "descr"],
    ),
    (
        Column::Credits,
        &[
            "credits",
            "units",
            "credit",
            "credit hours",
            "credit hrs",
            "cr hrs",
            "cred",
            "crd",
            "min units",
            "min credits",
        ],
    ),
    (
        Column::Instructor,
        &["instructor", "instructors", "primary_instructor", "instructor name", "instructor s", "teacher", "professor"],
    ),
    (
        Column::Capacity,
        &[
            "capacity",
            "cap",
            "seats_cap",
            "max enrollment",
            "maximum enrollment",
            "max enrl",
            "max enroll",
            "enrollment capacity",
            "enrollment maximum",
            "enrl cap",
            "enrl max",
            "enroll cap",
            "section capacity",
            "section cap",
            "class capacity",
            "max seats",
            "total seats",
            "enrollment limit",
            "max students",
            "max size",
            "cap enrl",
        ],
    ),
    (
        Column::Enrolled,
        &[
            "enrolled",
            "act",
            "seats_act",
            "enrollment",
            "actual enrollment",
            "current enrollment",
            "total enrollment",
            "enrl tot",
            "tot enrl",
            "students enrolled",
            "enrolled students",
            "actual",
        ],
    ),
    (
        Column::WaitlistCapacity,
        &[
            "waitlist_capacity",
            "wait_cap",
            "waitlist cap",
            "wl cap",
            "waitlist max",
            "max waitlist",
            "waitlist maximum",
        ],
    ),
    (
        Column::Waitlisted,
        &["waitlisted", "wait_act", "waitlist", "wait list", "wl act", "waitlist actual", "wait tot", "waitlist total"],
    ),
    (Column::Available, &["seats_available", "rem"]),
    (Column::Days, &["days", "day", "meeting days", "meet days", "mtg days", "class days", "day s", "weekdays"]),
    (
        Column::Time,
        &[
            "time",
            "times",
            "meeting time",
            "meeting times",
            "class time",
            "day time",
            "days time",
            "days times",
            "day and time",
            "days and times",
            "days and time",
            "meeting pattern",
            "meeting patterns",
            "meetings",
            "meeting",
            "schedule",
        ],
    ),
    (
        Column::StartTime,
        &["start_time", "begin time", "time start", "mtg start", "meeting start", "beg time", "from time", "starttime"],
    ),
    (Column::EndTime, &["end_time", "time end", "mtg end", "meeting end", "to time", "stop time", "finish time"]),
    (
        Column::DateRange,
        &["date_range", "dates", "meeting dates", "start end date", "start date end date", "class dates"],
    ),
    (Column::Start, &["start", "start date", "begin date", "first date", "section start date", "class start date"]),
    (Column::End, &["end", "end date", "stop date", "last date", "section end date", "class end date"]),
    (Column::Location, &["location", "where", "facility", "facility id", "bldg room", "building room", "classroom"]),
    (
        Column::Component,
        &[
            "component",
            "schedule_type",
            "instruction type",
            "class type",
            "activity",
            "activity type",
            "ssr component",
            "course component",
            "instructional format",
            "section type",
            "schd type",
        ],
    ),
    (
        Column::Method,
        &[
            "method",
            "instruction mode",
            "instructional method",
            "instruction method",
            "delivery",
            "delivery method",
            "delivery mode",
            "modality",
            "mode",
        ],
    ),
    (Column::Campus, &["campus", "campus code", "campus name"]),
    (Column::Linked, &["linked"]),
    (Column::Prerequisites, &["prerequisites"]),
    (Column::Reserved, &["reserved"]),
    (Column::Restrictions, &["restrictions"]),
    (Column::RepeatLimit, &["repeat_limit"]),
    (Column::Program, &["program"]),
    (Column::Date, &["date"]),
    (Column::Duration, &["duration"]),
    (Column::Description, &["description"]),
    (Column::Status, &["status", "section status", "class status", "course status", "class stat", "sec status"]),
    (Column::Building, &["building", "bldg", "bldg code", "building code", "building name"]),
    (Column::Room, &["room", "room number", "room no", "rm", "room code"]),
    (Column::FirstName, &["first_name", "instructor first name", "instructor first"]),
    (Column::LastName, &["last_name", "instructor last name", "instructor last"]),
    (
        Column::CrossListed,
        &["cross_listed", "cross listings", "cross listing", "cross list", "crosslist", "xlist", "combined section"],
    ),
    (
        Column::CrossListedCapacity,
        &["cross_listed_capacity", "cross list maximum", "cross list capacity", "xlist cap", "xlist max"],
    ),
    (Column::Monday, &["monday"]),
    (Column::Tuesday, &["tuesday"]),
    (Column::Wednesday, &["wednesday"]),
    (Column::Thursday, &["thursday"]),
    (Column::Friday, &["friday"]),
    (Column::Saturday, &["saturday"]),
    (Column::Sunday, &["sunday"]),
    (Column::Ignored, &["ignore"]),
];

/// The columns for single weekdays, Monday first.
const WEEKDAYS: [Column; 7] = [
    Column::Monday,
    Column::Tuesday,
    Column::Wednesday,
    Column::Thursday,
    Column::Friday,
    Column::Saturday,
    Column::Sunday,
];

/// Names that have one of these meanings in one system and another in the next. Each is used only if the file has no
/// better column.
pub(super) const WEAK_NAMES: [(&str, Column); 16] = [
    ("sln", Column::Crn),
    ("catalog", Column::Number),
    ("num", Column::Number),
    ("dept", Column::Subject),
    ("department", Column::Subject),
    ("section name", Column::Course),
    ("course name", Column::Course),
    ("class", Column::Course),
    ("course name", Column::Title),
    ("name", Column::Title),
    ("name", Column::Instructor),
    ("faculty", Column::Instructor),
    ("max", Column::Capacity),
    ("limit", Column::Capacity),
    ("type", Column::Component),
    ("hours", Column::Credits),
];

/// The columns that describe a meeting, of which a file may have several groups: `days1`, `time1`, `days2`, `time2`.
pub(super) const MEETING_COLUMNS: [Column; 10] = [
    Column::Days,
    Column::Time,
    Column::StartTime,
    Column::EndTime,
    Column::DateRange,
    Column::Start,
    Column::End,
    Column::Location,
    Column::Building,
    Column::Room,
];

/// Names of columns that each stand for one weekday, Monday first.
const DAY_NAMES: [&[&str]; 7] = [
    &["monday", "mon", "mo", "m"],
    &["tuesday", "tue", "tues", "tu", "t"],
    &["wednesday", "wed", "we", "w"],
    &["thursday", "thu", "thur", "thurs", "th", "r"],
    &["friday", "fri", "fr", "f"],
    &["saturday", "sat", "sa", "s"],
    &["sunday", "sun", "su", "u"],
];

/// Normalizes a column name for comparison. `#` is `number`, except before a word.
pub(super) fn normalized(name: &str) -> String {
    let name = match name.trim().strip_prefix('#') {
        Some(rest) if rest.contains(char::is_alphabetic) => Cow::Borrowed(rest),
        _ => Cow::Owned(name.replace('#', "number")),
    };
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the weekday, 0 for Monday, of a normalized name of a column for one weekday.
pub(super) fn weekday(normalized_name: &str) -> Option<u8> {
    let is_name = |name: &str, names: &[&str]| {
        names.contains(&name) || name.strip_suffix("day").is_some_and(|short| short == names[1])
    };
    let find = |name: &str| DAY_NAMES.iter().position(|names| is_name(name, names));
    // `MONDAY_CDE` of Jenzabar, `Mon Ind` of others.
    let without_suffix =
        |name| ["cde", "code", "ind", "flag"].iter().find_map(|suffix| str::strip_suffix(name, suffix));
    let at = find(normalized_name)
        .or_else(|| find(without_prefix(normalized_name)?))
        .or_else(|| find(without_suffix(normalized_name)?))?;
    u8::try_from(at).ok()
}

/// Splits the number from a normalized name of a meeting column, such as `days2` or `meeting2days`.
pub(super) fn numbered(normalized_name: &str) -> Option<(Column, usize)> {
    let (base, number) = match ["meeting", "mtg"].iter().find_map(|start| normalized_name.strip_prefix(start)) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => (&rest[1..], &rest[..1]),
        _ => {
            let digit = normalized_name.len().checked_sub(1).filter(|at| normalized_name.is_char_boundary(*at))?;
            normalized_name.split_at(digit)
        }
    };
    let number = number.parse().ok().filter(|n| (1..=9).contains(n))?;
    let column = Column::parse(base).filter(|column| MEETING_COLUMNS.contains(column))?;
    Some((column, number))
}

impl Column {
    /// Returns the names of the column, the preferred one first.
    pub(super) fn names(self) -> &'static [&'static str] {
        COLUMNS[self as usize].1
    }

    /// Returns the column of a weekday, 0 for Monday.
    pub(super) fn of_weekday(day: u8) -> Self {
        WEEKDAYS[usize::from(day % 7)]
    }

    /// Returns the weekday, 0 for Monday, of a column for a single weekday.
    pub(super) fn weekday(self) -> Option<u8> {
        let day = WEEKDAYS.iter().position(|column| *column == self)?;
        u8::try_from(day).ok()
    }

    /// Returns the column of a built-in name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        static BY_NAME: LazyLock<HashMap<String, Column>> = LazyLock::new(|| {
            let names = |(column, names): &(Column, &[&str])| {
                names.iter().map(|n| (normalized(n), *column)).collect::<Vec<_>>()
            };
            let aliases = aliases().map(|(name, column)| (normalized(name), column));
            aliases.chain(COLUMNS.iter().flat_map(names)).collect()
        });
        let name = normalized(name);
        // `Sec Start Times`: a name in the plural is that of the same column. `Places` are seats.
        let find = |name: &str| {
            let whole = || BY_NAME.get(name).copied();
            let is_same = |column: &Column| *column != Column::Location;
            whole().or_else(|| BY_NAME.get(name.strip_suffix('s')?).copied().filter(is_same))
        };
        find(&name).or_else(|| find(without_prefix(&name)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_listed_in_order_of_the_enum() {
        for (index, (column, _)) in COLUMNS.iter().enumerate() {
            assert_eq!(*column as usize, index, "{column:?}");
        }
    }

    #[test]
    fn each_name_has_one_meaning() {
        let mut seen = std::collections::BTreeMap::new();
        for (column, names) in COLUMNS {
            for name in names {
                let before = seen.insert(normalized(name), column);
                assert!(before.is_none_or(|other| other == column), "{name:?}: {before:?} and {column:?}");
            }
        }
    }

    #[test]
    fn numbers_of_meeting_columns_are_split_off() {
        let table = [
            ("days1", Some((Column::Days, 1))),
            ("time2", Some((Column::Time, 2))),
            ("starttime3", Some((Column::StartTime, 3))),
            ("meeting2days", Some((Column::Days, 2))),
            ("title2", None),
            ("days", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(numbered(name), expected, "{name}");
        }
    }
}
