//! Finds the columns whose texts look like a field that no column has, so that staff can choose among them.

use std::collections::BTreeSet;

use crate::domain::import::MissingField;

use crate::imports::csv::columns::{Column, Header};
use crate::imports::csv::dates::{self, DayOrder};
use crate::imports::csv::status::LetterC;
use crate::imports::csv::times::{self, Clock};
use crate::imports::csv::{component, course, days, status, text};

/// The share of the texts of a column that must look like the field, in percent. A column may have some odd cells.
const SHARE_MIN: usize = 80;
/// The largest number that looks like a count of seats or students. Larger numbers are ids.
const SEATS_MAX: u32 = 999;
/// The largest number that looks like the credits of a section, in thousandths.
const CREDITS_MAX: u32 = 20_000;
/// The minimum length of a number that looks like an id of a section, in digits.
const CRN_DIGITS_MIN: usize = 3;
/// The minimum mean length of titles, in characters.
const TITLE_CHARS_MIN: usize = 8;
/// The maximum length of the name of a room, in characters.
const ROOM_CHARS_MAX: usize = 8;
/// Words in the names of instructional methods.
const METHOD_WORDS: [&str; 7] = ["person", "online", "hybrid", "remote", "web", "face", "distance"];
/// Words in the names of terms.
const TERM_WORDS: [&str; 8] = ["spring", "summer", "fall", "autumn", "winter", "quarter", "semester", "term"];
/// Components that are recognized. A component may be any text, so only these count.
const COMPONENTS: [&str; 8] =
    ["lecture", "lab", "discussion", "recitation", "seminar", "tutorial", "studio", "independent study"];

/// The fields that are reported if no column has them, each with the fields that can take its place.
const FIELDS: [(Column, &[Column]); 28] = [
    (Column::Term, &[]),
    (Column::Crn, &[]),
    (Column::Course, &[Column::Number]),
    (Column::Subject, &[Column::Course]),
    (Column::Number, &[Column::Course]),
    (Column::Section, &[]),
    (Column::Title, &[]),
    (Column::Credits, &[]),
    (Column::Component, &[]),
    (Column::Status, &[]),
    (Column::Instructor, &[]),
    (Column::FirstName, &[Column::Instructor]),
    (Column::LastName, &[Column::Instructor]),
    (Column::Capacity, &[]),
    (Column::Enrolled, &[]),
    (Column::WaitlistCapacity, &[]),
    (Column::Waitlisted, &[]),
    (Column::Days, &[]),
    (Column::Time, &[Column::StartTime]),
    (Column::StartTime, &[Column::Time]),
    (Column::EndTime, &[Column::Time]),
    (Column::DateRange, &[Column::Start]),
    (Column::Start, &[Column::DateRange]),
    (Column::End, &[Column::DateRange]),
    (Column::Location, &[Column::Building, Column::Room]),
    (Column::Building, &[Column::Location]),
    (Column::Room, &[Column::Location]),
    (Column::Method, &[]),
];

/// Returns each field that no column has, with the columns that could be it. `columns` has the number and the texts of
/// each column without a meaning, and of the subject's column, which may contain the course. `has_term` is whether the
/// upload has a term.
pub(super) fn missing_fields(header: &Header, has_term: bool, columns: &[(u64, Vec<&str>)]) -> Vec<MissingField> {
    // The events of the earlier EduHub importer have other fields.
    if header.is_event_header() {
        return Vec::new();
    }
    let has = |column: Column| match column {
        Column::Term => has_term || header.has(column),
        Column::Days => header.has(column) || !header.weekdays().is_empty(),
        _ => header.has(column),
    };
    let is_identified = has(Column::Crn) || (header.has_course() && has(Column::Section));
    let subject = header.at(Column::Subject).map(|index| index as u64 + 1);
    let is_free = |column: Column, at: u64| column == Column::Course || Some(at) != subject;
    let missing = FIELDS.iter().filter(|(column, others)| !has(*column) && !others.iter().any(|other| has(*other)));
    missing
        .map(|(column, _)| MissingField {
            field: column.names()[0].to_owned(),
            required: match column {
                Column::Term | Column::Capacity => true,
                Column::Course => !header.has_course(),
                Column::Crn => !is_identified,
                _ => false,
            },
            candidates: columns
                .iter()
                .filter(|(at, cells)| is_free(*column, *at) && looks_like(*column, cells))
                .map(|(at, _)| *at)
                .collect(),
        })
        .collect()
}

/// Returns whether the texts of a column look like a field. Those that mean "not known yet" do not count.
fn looks_like(column: Column, cells: &[&str]) -> bool {
    let cells: Vec<&str> = cells.iter().copied().filter(|cell| !text::is_unknown(cell)).collect();
    let cells = &cells[..];
    if cells.is_empty() {
        return false;
    }
    let alike = cells.iter().filter(|cell| is_alike(column, cell)).count();
    if alike * 100 < cells.len() * SHARE_MIN {
        return false;
    }
    let different = cells.iter().collect::<BTreeSet<_>>().len();
    let mean = cells.iter().map(|cell| cell.chars().count()).sum::<usize>() / cells.len();
    match column {
        Column::Crn => different == cells.len(),
        Column::Title => {
            mean >= TITLE_CHARS_MIN && !looks_like(Column::Course, cells) && !looks_like(Column::Time, cells)
        }
        Column::Subject => !looks_like(Column::Days, cells) && !looks_like(Column::Component, cells),
        Column::Capacity | Column::Available | Column::Enrolled | Column::WaitlistCapacity | Column::Waitlisted => {
            // `001` is a label.
            !cells.iter().any(|cell| cell.len() > 1 && cell.starts_with('0'))
        }
        _ => true,
    }
}

/// Returns whether one text looks like a field.
fn is_alike(column: Column, cell: &str) -> bool {
    let lower = cell.to_lowercase();
    let has_digit = cell.contains(|c: char| c.is_ascii_digit());
    let is_digits = cell.bytes().all(|b| b.is_ascii_digit());
    let is_seats = || matches!(text::count(cell), Ok(Some(count)) if count <= SEATS_MAX);
    let is_time = |cell: &str| matches!(times::single(cell), Ok(Some(_)));
    let is_date = |cell: &str| matches!(dates::single(cell, DayOrder::MonthFirst), Ok(Some(_)));
    let is_name = || !has_digit && cell.contains(char::is_alphabetic) && !cell.contains(['@', '/', ':']);
    match column {
        Column::Term => {
            let is_year = is_digits && cell.len() >= 4 && cell.starts_with("20");
            is_year || (has_digit && TERM_WORDS.iter().any(|word| lower.contains(word)))
        }
        Column::Crn => is_digits && cell.len() >= CRN_DIGITS_MIN,
        Column::Course => {
            let begins = cell.chars().take_while(char::is_ascii_alphabetic).count();
            let is_split = course::split(cell).is_ok_and(|course| course::is_course(&course.name));
            begins >= 2 && has_digit && is_split && !is_date(cell)
        }
        Column::Subject => {
            (2..=12).contains(&cell.len()) && cell.bytes().all(|b| b.is_ascii_uppercase() || b == b' ' || b == b'&')
        }
        Column::Number => {
            let digits = cell.chars().filter(char::is_ascii_digit).count();
            (2..=4).contains(&digits) && cell.len() <= 6 && cell.chars().all(|c| c.is_ascii_alphanumeric())
        }
        Column::Section => cell.len() <= 4 && has_digit && cell.chars().all(|c| c.is_ascii_alphanumeric()),
        Column::Title => cell.contains(char::is_alphabetic) && !lower.contains('@') && !is_date(cell),
        Column::Credits => {
            let is_short = cell.len() <= 16;
            is_short && matches!(text::credits(cell), Ok(Some((credits, _))) if credits.0 <= CREDITS_MAX)
        }
        Column::Component => {
            component::parse(cell).ok().flatten().is_some_and(|name| COMPONENTS.contains(&name.as_str()))
        }
        Column::Status => cell.len() > 1 && matches!(status::parse(cell, LetterC::Unknown), Ok(Some(_))),
        Column::Instructor => is_name() && (cell.contains(", ") || (2..=4).contains(&cell.split(' ').count())),
        Column::FirstName | Column::LastName => is_name() && cell.split(' ').count() <= 2 && lower != cell,
        Column::Capacity | Column::Available | Column::Enrolled | Column::WaitlistCapacity | Column::Waitlisted => {
            is_seats()
        }
        Column::Days => cell != "0" && days::is_readable(cell),
        Column::Time => {
            let is_range =
                |part: &str| matches!(times::range(part, Clock::AsWritten), Ok((range, _)) if range.start.is_some());
            cell.split([';', '|', '\n']).any(|part| {
                is_range(part.trim()) || part.trim().split_once(' ').is_some_and(|(_, time)| is_range(time))
            })
        }
        // Three digits alone are a room or a number.
        Column::StartTime | Column::EndTime => is_time(cell) && (cell.contains(':') || !is_digits || cell.len() == 4),
        Column::DateRange => matches!(dates::range(cell, DayOrder::MonthFirst), Ok((Some(a), Some(b))) if a != b),
        Column::Start | Column::End => is_date(cell) && !is_digits,
        Column::Location => {
            has_digit && cell.contains(' ') && cell.contains(char::is_alphabetic) && !cell.contains(':')
        }
        Column::Building => is_name(),
        Column::Room => has_digit && cell.len() <= ROOM_CHARS_MAX && !cell.contains([':', '/']),
        Column::Method => METHOD_WORDS.iter().any(|word| lower.contains(word)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::imports::csv::columns::ExtraNames;

    #[test]
    fn columns_are_recognized_by_their_texts() {
        use Column::{
            Capacity, Component, Course, Credits, Crn, DateRange, Days, EndTime, Instructor, Location, Method, Number,
            Room, Section, Start, StartTime, Status, Subject, Term, Time, Title,
        };
        // The texts of a column, fields that it could be, and fields that it could not be.
        let table: [(&str, &[Column], &[Column]); 20] = [
            ("30001|30002|30003", &[Crn], &[Capacity, Section, Course, Time, Number]),
            ("30001|30001", &[], &[Crn]),
            ("AB 101|AB 102|CIV ENGR 310", &[Course], &[Crn, Number, Title, Days, Room]),
            ("ACC*101*01|ACC*102*01", &[Course], &[Crn, Days]),
            ("MATH|PHYS|CIV ENGR", &[Subject], &[Days, Course, Crn]),
            ("MW|TR|MWF", &[Days], &[Subject, Course, Time]),
            ("Mon, Wed|TBA|Tue|Fri|Mon", &[Days], &[Subject]),
            ("20|25|1,200|30|30", &[Capacity], &[Crn, Time, StartTime]),
            ("001|002|003", &[Section, Crn], &[Capacity]),
            ("3|4|1.5|3.0 TO 6.0", &[Credits], &[Crn, Days, Time]),
            ("9:00am-9:50am|TBA|10:00 AM - 10:50 AM|1:00-2:00pm|8:00-9:00", &[Time], &[StartTime, Capacity, Course]),
            ("MW 9am-9:50am|F 8:30am-10:20am", &[Time], &[StartTime, Days]),
            ("09:00|13:30|10:15", &[StartTime, EndTime], &[Time, Capacity, Start]),
            ("0900|1330|1015", &[StartTime, EndTime], &[Time, Capacity]),
            ("2031-01-20|2031-01-21", &[Start], &[DateRange, Crn, Time, StartTime]),
            ("01/20/2031 - 05/15/2031", &[DateRange], &[Start, Course]),
            ("Roe, Jane|Lee Ann|O'Neil, Sam", &[Instructor], &[Course, Location, Days]),
            ("Elm 105|North 12|Quay House 7", &[Location], &[Instructor, Room, Days]),
            ("Open Water Ecology|Harbour Law|Tide Tables", &[Title], &[Course, Days, Time, Location]),
            ("Spring 2031|Spring 2031", &[Term], &[Crn, Capacity]),
        ];
        for (texts, expected, others) in table {
            let cells: Vec<&str> = texts.split('|').collect();
            for column in expected {
                assert!(looks_like(*column, &cells), "{texts} could be {column:?}");
            }
            for column in others {
                assert!(!looks_like(*column, &cells), "{texts} could not be {column:?}");
            }
        }
        assert!(looks_like(Component, &["LEC", "LAB", "Lecture"]) && !looks_like(Component, &["Sam", "Ann"]));
        assert!(looks_like(Status, &["Active", "Cancelled"]) && !looks_like(Status, &["A", "B"]));
        assert!(looks_like(Method, &["In Person", "Online"]) && !looks_like(Method, &["Elm"]));
        assert!(!looks_like(Capacity, &[]), "a blank column looks like no field");
    }

    fn missing(names: &str, has_term: bool, columns: &[(u64, &str)]) -> Vec<String> {
        let (header, _) = Header::read(names.split(','), &ExtraNames::new(), &[]).unwrap();
        let columns: Vec<(u64, Vec<&str>)> =
            columns.iter().map(|(at, texts)| (*at, texts.split('|').collect())).collect();
        let all = missing_fields(&header, has_term, &columns);
        let shown = all.iter().filter(|missing| missing.required || !missing.candidates.is_empty());
        shown.map(|m| format!("{}{}{:?}", m.field, if m.required { "!" } else { "" }, m.candidates)).collect()
    }

    #[test]
    fn missing_fields_list_the_columns_that_could_contain_them() {
        assert_eq!(
            missing("crn,course,section,Places", true, &[(4, "20|25|30")]),
            ["capacity![4]", "enrolled[4]", "waitlist_capacity[4]", "waitlisted[4]", "room[4]"]
        );
        assert_eq!(
            missing("Kurs,section,capacity", true, &[(1, "ACC*101|ACC*102|ACC*103")]),
            ["crn![]", "course![1]", "room[1]"]
        );
        // The subject's column may have the course.
        assert_eq!(
            missing("Materia,section,capacity", true, &[(1, "MAT 101|MAT 102|MAT 103|MAT 104|Cálculo")]),
            ["crn![]", "course![1]"]
        );
        assert_eq!(missing("course,section,capacity", false, &[]), ["term![]"]);
        assert_eq!(
            missing("subject,number,section,capacity,Wann", true, &[(5, "MW 9:00-9:50|TR 9:00-9:50")]),
            ["time[5]"]
        );
        assert_eq!(missing("program,date,time,instructor,room", true, &[(1, "AB 101")]), [""; 0]);
        assert_eq!(missing("course,section,capacity,start_time,end_time,M,T,W", true, &[]), [""; 0]);
    }
}
