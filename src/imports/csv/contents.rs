//! Decides what a column is from its cells, where its name has several meanings: `Start` may be a time or a date,
//! `Capacity` may be that of the room, `Location` may be a campus.

use crate::domain::ids::TermId;
use crate::imports::csv::columns::{Column, Header, normalized};
use crate::imports::csv::dates::{self, DayOrder};
use crate::imports::csv::source::RecordSource;
use crate::imports::csv::text::{self, Seats};
use crate::imports::csv::times::{self, Clock};
use crate::imports::csv::{combined, component, course, days};
use crate::imports::schedule::ScheduleError;

/// The number of rows that are examined. The first rows of a file may all be classes without set times.
pub(super) const ROWS_MAX: usize = 5_000;
/// The minimum share of a column's known cells that have a form, in percent.
const MOST_PERCENT: usize = 80;
/// The year of day 0 in databases. In spreadsheets, day 0 is in the year before.
const DAY_ZERO_YEAR: i16 = 1900;
/// The fields whose columns are examined, because their names have several meanings.
const EXAMINED: [Column; 19] = [
    Column::Subject,
    Column::Waitlisted,
    Column::Section,
    Column::Status,
    Column::Component,
    Column::Term,
    Column::Capacity,
    Column::Enrolled,
    Column::Available,
    Column::Time,
    Column::StartTime,
    Column::EndTime,
    Column::DateRange,
    Column::Start,
    Column::End,
    Column::Date,
    Column::Location,
    Column::Building,
    Column::Room,
];
/// A name that is `Waitlisted` in one system and `Workload` in another.
const WAITLIST_NAME: &str = "wl";
/// Words in the names of columns that may have two numbers: those of the taken or free seats, and of all seats.
const SEAT_WORDS: [&str; 6] = ["seat", "avail", "open", "enrol", "cap", "regist"];
/// The name of the column of the courses that stand in headings above their sections.
pub(super) const HEADINGS: &str = "(course in headings)";
/// A name that is the course in one system and the number of the class in another.
const CLASS_NAME: &str = "class";

/// The forms of a column's cells.
#[derive(Debug, Default, Clone, Copy)]
struct Forms {
    known: usize,
    times: usize,
    time_ranges: usize,
    dates: usize,
    date_ranges: usize,
    terms: usize,
    counts: usize,
    /// Zeros, which are not among the known cells.
    zeros: usize,
    /// Negative numbers and words for no free seats.
    no_free_seats: usize,
    fractions: usize,
    meetings: usize,
    days: usize,
    sections: usize,
    courses: usize,
    components: usize,
    remaining_seats: usize,
}

impl Forms {
    fn add(&mut self, cell: &str) {
        self.zeros += usize::from(cell == "0");
        if text::is_unknown(cell) || text::is_unscheduled_phrase(cell) || cell == "0" {
            return;
        }
        let tally = |count: &mut usize, is_form: bool| *count += usize::from(is_form);
        tally(&mut self.known, true);
        // A time of a database has the date of day 0, such as `1900-01-01 09:00`.
        let is_date =
            |order| dates::single(cell, order).is_ok_and(|date| date.is_none_or(|date| date.year() > DAY_ZERO_YEAR));
        let is_dates = |order| dates::range(cell, order).is_ok() || dates::lacks_year(cell);
        let is_date = is_date(DayOrder::MonthFirst) || is_date(DayOrder::DayFirst);
        tally(&mut self.dates, is_date);
        tally(&mut self.date_ranges, !is_date && (is_dates(DayOrder::MonthFirst) || is_dates(DayOrder::DayFirst)));
        tally(&mut self.times, !is_date && times::single(cell).is_ok());
        tally(&mut self.time_ranges, times::range(cell, Clock::AsWritten).is_ok());
        tally(&mut self.terms, TermId::parse(cell).is_ok());
        let is_count = text::count(cell).is_ok();
        tally(&mut self.counts, is_count);
        tally(&mut self.no_free_seats, !is_count && text::free_seats(cell).is_some_and(|free| free <= 0));
        tally(&mut self.fractions, matches!(text::seats(cell), Ok(Some(Seats { first: Some(_), .. }))));
        tally(&mut self.components, component::known(cell).is_some());
        let is_candidate =
            cell.contains(|c: char| c.is_ascii_digit()) && cell.contains(|c: char| c.is_ascii_alphabetic());
        let course = if is_candidate { course::split_with_letters(cell).ok() } else { None };
        tally(&mut self.sections, course.as_ref().is_some_and(|course| course.section.is_some()));
        tally(&mut self.courses, course.is_some_and(|course| course::is_course(&course.name)));
        tally(&mut self.remaining_seats, text::remaining_seats(cell).is_some());
        tally(&mut self.days, days::is_readable(cell));
        tally(&mut self.meetings, combined::is_readable(cell));
    }

    /// Returns whether the cells are numbers of free seats, among which words such as `Full` may occur. A column of
    /// only `Open` and `Closed` has no numbers.
    fn are_free_seats(&self) -> bool {
        let numbers = self.counts + self.fractions + self.zeros;
        numbers > 0 && (numbers + self.no_free_seats) * 100 >= (self.known + self.zeros) * MOST_PERCENT
    }

    fn are_mostly(&self, form: impl FnOnce(&Self) -> usize) -> bool {
        self.known > 0 && form(self) * 100 >= self.known * MOST_PERCENT
    }
}

/// Decides the fields of columns from their cells. Returns the entries to add to the mapping of columns.
pub(super) fn decide(
    source: &RecordSource<'_>,
    header: &Header,
    records_before_rows: usize,
    map: &[(String, Column)],
) -> Result<Vec<(String, Column)>, ScheduleError> {
    let fields: Vec<Option<Column>> = header.names().iter().map(|name| Column::parse(name)).collect();
    let lacks_fields = !header.has_course() || !header.has(Column::Capacity);
    let is_examined = |index: usize| {
        if lacks_fields {
            return true;
        }
        // Weak names, such as `Open`, have no field of their own.
        [Column::Course, Column::Available].iter().any(|column| header.at(*column) == Some(index))
            || fields[index].is_some_and(|field| EXAMINED.contains(&field))
            || [WAITLIST_NAME, CLASS_NAME].contains(&&*normalized(&header.names()[index]))
    };
    let mut forms = vec![Forms::default(); fields.len()];
    let mut has_course_headings = false;
    let (mut records, _) = source.open()?;
    let mut record = csv::StringRecord::new();
    let mut at = 0;
    // An unreadable row ends the examination. The reading that follows reports it.
    while at < records_before_rows + ROWS_MAX && matches!(records.read_record(&mut record), Ok(true)) {
        at += 1;
        if at > records_before_rows {
            has_course_headings = has_course_headings || (!header.has_course() && heading_course(&record).is_some());
            let cells = record.iter().enumerate().take(fields.len()).filter(|(index, _)| is_examined(*index));
            cells.for_each(|(index, cell)| forms[index].add(cell.trim()));
        }
    }
    let mut columns = Columns { header, fields, forms, map, decided: Vec::new() };
    columns.decide_times_and_dates();
    columns.decide_between_columns();
    columns.decide_location();
    columns.decide_seats();
    columns.decide_identity();
    let mut decided = columns.decided;
    if has_course_headings && !decided.iter().any(|(_, field)| *field == Column::Course) {
        decided.push((HEADINGS.to_owned(), Column::Course));
    }
    Ok(decided)
}

/// Returns the course of a heading: a row whose only cell names a course, above the rows of its sections.
pub(super) fn heading_course(record: &csv::StringRecord) -> Option<&str> {
    let mut cells = record.iter().map(str::trim).filter(|cell| !cell.is_empty());
    let text = cells.next().filter(|_| cells.next().is_none())?;
    let course = course::split(text).ok()?;
    (course.section.is_none() && course::is_course(&course.name)).then_some(text)
}

struct Columns<'h> {
    header: &'h Header,
    /// The field of each column, by its name or as decided.
    fields: Vec<Option<Column>>,
    forms: Vec<Forms>,
    map: &'h [(String, Column)],
    decided: Vec<(String, Column)>,
}

impl Columns<'_> {
    /// Gives a column a field, unless the upload maps the field or the column.
    fn set(&mut self, index: usize, field: Column) {
        let name = &self.header.names()[index];
        let is_mapped = |(mapped, column): &(String, Column)| {
            *column == field || normalized(mapped) == normalized(name) || *mapped == format!("#{}", index + 1)
        };
        if !self.map.iter().any(is_mapped) && !self.decided.iter().any(is_mapped) {
            self.decided.push((format!("#{}", index + 1), field));
            self.fields[index] = Some(field);
        }
    }

    /// Returns the columns that have a field.
    fn of(&self, field: Column) -> Vec<usize> {
        (0..self.fields.len()).filter(|index| self.fields[*index] == Some(field)).collect()
    }

    fn has(&self, field: Column) -> bool {
        self.fields.contains(&Some(field)) || self.header.has(field)
    }

    fn decide_times_and_dates(&mut self) {
        for index in 0..self.fields.len() {
            let forms = self.forms[index];
            let has_end_time = self.has(Column::EndTime);
            let field = match self.fields[index] {
                Some(Column::Start) if forms.are_mostly(|f| f.times) => Column::StartTime,
                Some(Column::End) if forms.are_mostly(|f| f.times) => Column::EndTime,
                Some(Column::StartTime) if forms.are_mostly(|f| f.dates) => Column::Start,
                Some(Column::EndTime) if forms.are_mostly(|f| f.dates) => Column::End,
                Some(Column::StartTime) if !has_end_time && forms.are_mostly(|f| f.time_ranges) => Column::Time,
                Some(Column::DateRange) if forms.are_mostly(|f| f.time_ranges) => Column::Time,
                Some(Column::Time) if forms.are_mostly(|f| f.date_ranges) => Column::DateRange,
                Some(Column::Time) if forms.are_mostly(|f| f.days) => Column::Days,
                Some(Column::Time) if has_end_time && forms.are_mostly(|f| f.times) => Column::StartTime,
                Some(Column::Date | Column::Start) if forms.are_mostly(|f| f.date_ranges) => Column::DateRange,
                _ => continue,
            };
            if !self.header.is_event_header() {
                self.set(index, field);
            }
        }
    }

    /// Of several columns with names of one field, chooses the one whose cells or name fit best, otherwise the first.
    fn decide_between_columns(&mut self) {
        let fields = [Column::Term, Column::Component, Column::Capacity, Column::Time, Column::Start, Column::End];
        for field in fields {
            let columns = self.of(field);
            let [first, ..] = columns[..] else { continue };
            let best = columns.iter().copied().max_by_key(|index| (self.fit(field, *index), usize::MAX - index));
            if let Some(best) = best.filter(|best| *best != first) {
                self.set(best, field);
            }
        }
    }

    fn fit(&self, field: Column, index: usize) -> usize {
        let forms = &self.forms[index];
        let name = normalized(&self.header.names()[index]);
        let is_fit = match field {
            Column::Term => forms.are_mostly(|f| f.terms),
            Column::Component => forms.are_mostly(|f| f.components),
            // `Capacity` beside a room may be that of the room.
            Column::Capacity => !["capacity", "cap", "max"].contains(&name.as_str()) && forms.known > 0,
            Column::Time => forms.are_mostly(|f| f.meetings.max(f.time_ranges)),
            // The dates of the meeting, not of the section.
            _ => ["csm", "meeting", "mtg", "ssrmeet"].iter().any(|start| name.starts_with(start)) && forms.known > 0,
        };
        usize::from(is_fit)
    }

    /// Decides which columns have the CRN, the course and the section. Without a column of CRNs, `Class` is that column
    /// if its values are numbers. Without columns of CRNs and of sections, the column of courses may also contain the
    /// sections. Without a column of subjects, `Number` has whole courses.
    fn decide_identity(&mut self) {
        let is_crn = |index: &usize| {
            let forms = &self.forms[*index];
            normalized(&self.header.names()[*index]) == CLASS_NAME && forms.known > 0 && forms.counts == forms.known
        };
        let class = (0..self.fields.len()).find(is_crn).filter(|_| !self.has(Column::Crn));
        if let Some(index) = class {
            self.set(index, Column::Crn);
        }
        self.find_course();
        let course = self.decided_or_named(Column::Course);
        let has_section = course.is_some_and(|index| self.forms[index].are_mostly(|f| f.sections));
        if let Some(index) = course.filter(|_| has_section && !self.has(Column::Crn) && !self.has(Column::Section)) {
            let name = format!("#{}", index + 1);
            self.decided.extend([(name.clone(), Column::Course), (name, Column::Section)]);
        }
        let number = self.of(Column::Number).first().copied();
        if let Some(index) = number.filter(|_| !self.has(Column::Subject) && !self.has_course()) {
            self.set(index, Column::Course);
        }
    }

    /// Returns the column that has a field, as decided or by its name.
    fn decided_or_named(&self, field: Column) -> Option<usize> {
        let decided = (0..self.fields.len()).find(|index| {
            let is_it = |(name, column): &(String, Column)| *column == field && *name == format!("#{}", index + 1);
            self.decided.iter().any(is_it)
        });
        decided.or_else(|| self.header.at(field).filter(|index| *index < self.fields.len()))
    }

    /// Returns whether the file names courses. A `Class` that is the CRN does not.
    fn has_course(&self) -> bool {
        let course = self.header.at(Column::Course);
        let is_crn = course.is_some_and(|index| self.fields.get(index) == Some(&Some(Column::Crn)));
        self.header.has_course() && !is_crn
    }

    /// If no column contains the course, chooses the section's column if its cells are whole names such as
    /// `ACCT-201-01`, otherwise the subject's if all its cells are, otherwise the title's, which may be called `Name`.
    fn find_course(&mut self) {
        if self.map.iter().any(|(_, field)| *field == Column::Course) {
            return;
        }
        if self.has_course() {
            self.find_course_in_subject();
            return;
        }
        let is_whole = |index: &usize| self.forms[*index].are_mostly(|f| f.courses);
        let section = self.header.at(Column::Section).filter(|index| *index < self.forms.len()).filter(is_whole);
        if let Some(index) = section {
            let name = format!("#{}", index + 1);
            self.decided.extend([(name.clone(), Column::Course), (name, Column::Section)]);
            return;
        }
        let title = self.header.at(Column::Title).filter(|index| *index < self.forms.len()).filter(is_whole);
        if let Some(index) = self.subject_of_whole_courses().or(title) {
            self.set(index, Column::Course);
        }
    }

    /// Returns the subject's column if all its cells are whole courses, such as `MAT 101` in `Materia`.
    fn subject_of_whole_courses(&self) -> Option<usize> {
        let are_all_whole = |index: &usize| {
            let forms = &self.forms[*index];
            forms.known > 0 && forms.courses == forms.known
        };
        let subject = self.header.at(Column::Subject).filter(|index| *index < self.forms.len());
        subject.filter(|_| !self.header.has(Column::Number)).filter(are_all_whole)
    }

    /// If the subject's column has whole courses, and the course's column has words instead, takes the course from the
    /// first column and the title from the second.
    fn find_course_in_subject(&mut self) {
        let course = self.header.at(Column::Course).filter(|index| *index < self.forms.len());
        let Some((subject, course)) = self.subject_of_whole_courses().zip(course) else { return };
        let forms = self.forms[course];
        if forms.known > 0 && forms.courses == 0 && forms.counts == 0 {
            self.set(subject, Column::Course);
            let title = if self.has(Column::Title) { Column::Ignored } else { Column::Title };
            self.set(course, title);
        }
    }

    /// Decides what `Location` is: beside building and room, or a facility, it is the campus.
    fn decide_location(&mut self) {
        let is_plain =
            |index: &usize| ["location", "seclocation"].contains(&&*normalized(&self.header.names()[*index]));
        let Some(plain) = self.of(Column::Location).into_iter().find(is_plain) else { return };
        let other = self.of(Column::Location).into_iter().find(|index| *index != plain);
        let name = match (other, self.of(Column::Building)[..].first(), self.of(Column::Room).first()) {
            (Some(facility), _, _) => format!("#{}", facility + 1),
            (None, Some(building), Some(room)) => format!("#{}+#{}", building + 1, room + 1),
            _ => return,
        };
        if self.map.iter().any(|(_, field)| [Column::Location, Column::Building, Column::Room].contains(field)) {
            return;
        }
        self.decided.push((name, Column::Location));
        if !self.has(Column::Campus) {
            self.set(plain, Column::Campus);
        }
    }

    /// If no column is named as the capacity, takes it from cells such as `10/30` or `10 of 30 seats remain`; without
    /// such a column, it is the sum of enrolled and free seats. Ignores columns of seats that have no numbers.
    fn decide_seats(&mut self) {
        if !self.has(Column::Capacity) {
            let known = [Column::Enrolled, Column::Available].into_iter().flat_map(|field| self.of(field));
            let is_seats = |index: &usize| {
                let name = normalized(&self.header.names()[*index]);
                self.header.field_of(*index).is_none() && SEAT_WORDS.iter().any(|word| name.contains(word))
            };
            let mut likely = known.chain((0..self.fields.len()).filter(is_seats));
            let fractions = likely.find(|index| self.forms[*index].are_mostly(|f| f.fractions));
            let is_remaining = |index: &usize| self.forms[*index].are_mostly(|f| f.remaining_seats);
            if let Some(index) = fractions.filter(|index| !is_remaining(index)) {
                self.set(index, Column::Capacity);
            } else if let Some(index) = (0..self.fields.len()).find(is_remaining) {
                // The column may have the status, too.
                self.decided.push((format!("#{}", index + 1), Column::Capacity));
                if self.header.at(Column::Status) == Some(index) {
                    self.decided.push((format!("#{}", index + 1), Column::Status));
                }
            }
        }
        // `Open` with `Yes` and `No` has no number from which a capacity follows.
        let free = self.header.at(Column::Available).filter(|index| *index < self.fields.len());
        let free = free.filter(|index| !self.forms[*index].are_free_seats());
        if let Some(index) = free {
            self.decided.push((format!("#{}", index + 1), Column::Ignored));
        }
        // `Waitlist` with `Yes` and `No` has no number.
        let marks = self.of(Column::Waitlisted).into_iter().find(|index| {
            let forms = &self.forms[*index];
            forms.known > 0 && forms.counts + forms.fractions + forms.zeros == 0
        });
        if let Some(index) = marks.filter(|index| self.header.at(Column::Waitlisted) == Some(*index)) {
            self.set(index, Column::Ignored);
        }
        let is_waitlist = |index: &usize| {
            let forms = &self.forms[*index];
            normalized(&self.header.names()[*index]) == WAITLIST_NAME && forms.known == forms.counts && forms.known > 0
        };
        let waitlist = (0..self.fields.len()).find(is_waitlist).filter(|_| !self.has(Column::Waitlisted));
        if let Some(index) = waitlist {
            self.set(index, Column::Waitlisted);
        }
    }
}
