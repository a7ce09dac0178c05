//! Writes sections as a schedule file, and reads the rows of such a file so that importing it again changes nothing.
//!
//! A section has one row for each of its meetings, at least one, with its fields in each row. The rows are recognized
//! by their column `id`. Their texts are read as written, while those of other files are interpreted: a title `TBA`
//! of a section stays, and no component is inferred. Staff may have edited the file with a spreadsheet, so times,
//! dates and numbers are read in every form, and a row without an `id` is read like that of any other file.

use jiff::civil::{Date, Time};

use crate::domain::ids::{Crn, SectionId};
use crate::domain::meeting::{Days, END_OF_DAY, Meeting, hour_minute_text};
use crate::domain::section::{Section, SectionState, SectionStatus};
use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::CountField;
use crate::imports::schedule::Severity;
use crate::text::csv_text::{escape_cell, unescape_cell};

use crate::imports::csv::columns::Column;
use crate::imports::csv::meetings::Format;
use crate::imports::csv::row::{Cells, MeetingRow, Row, component, count, stated};
use crate::imports::csv::spanish_days::DayLetters;
use crate::imports::csv::{conditions, dates, days, instructors, text, times};

/// The columns of the file, in order. The import finds the section by `id`, and ignores `open` and `withdrawn`.
pub(super) const COLUMNS: [&str; 33] = [
    "id",
    "term",
    "crn",
    "course",
    "subject",
    "number",
    "component",
    "section",
    "title",
    "credits",
    "instructor",
    "method",
    "campus",
    "days",
    "start_time",
    "end_time",
    "start",
    "end",
    "location",
    "capacity",
    "enrolled",
    "open",
    "waitlist_capacity",
    "waitlisted",
    "status",
    "linked",
    "prerequisites",
    "reserved",
    "withdrawn",
    "cross_listed",
    "cross_listed_capacity",
    "restrictions",
    "repeat_limit",
];
/// Letters of the weekdays, Monday first.
const DAY_LETTERS: [char; 7] = ['M', 'T', 'W', 'R', 'F', 'S', 'U'];
/// The separator of lists in a cell.
const LIST_SEPARATOR: &str = "; ";

/// Returns the line with the names of the columns.
///
/// # Errors
/// None: writing to memory cannot fail.
pub fn header() -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(COLUMNS)?;
    out.into_inner().map_err(|error| error.into_error().into())
}

/// Returns the rows of sections. A cell that a spreadsheet would interpret as a formula begins with `'`.
///
/// # Errors
/// None: writing to memory cannot fail.
pub fn rows<'s>(sections: impl Iterator<Item = &'s SectionState>) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let no_meeting = Meeting::default();
    for state in sections {
        let meetings = if state.section.meetings.is_empty() {
            std::slice::from_ref(&no_meeting)
        } else {
            state.section.meetings.as_slice()
        };
        for meeting in meetings {
            out.write_record(cells(state, meeting).iter().map(|cell| escape_cell(cell).into_owned()))?;
        }
    }
    out.into_inner().map_err(|error| error.into_error().into())
}

/// Returns weekdays by their letters, such as `MWF`.
pub(super) fn day_letters(days: Days) -> String {
    let marked = DAY_LETTERS.iter().enumerate().filter(|(day, _)| days.bits() & 1 << day != 0);
    let marked: String = marked.map(|(_, letter)| *letter).collect();
    // `TU` is read as Tuesday.
    marked.replace("TU", "T U")
}

/// Returns the cells of a row, in the order of [`COLUMNS`].
fn cells(state: &SectionState, meeting: &Meeting) -> [String; COLUMNS.len()] {
    // Names every field, so that the code does not compile until a new field is written or ignored here.
    let Section {
        id,
        original_crn: _, // In `crn_text`.
        course,
        component,
        section,
        title,
        credits,
        instructor,
        method,
        campus,
        meetings: _, // One in each row.
        capacity,
        waitlist_capacity,
        status,
        linked,
        cross_listed,
        reserved,
        restrictions,
        repeat_limit,
        prerequisites,
        withdrawn,
    } = &*state.section;
    let Meeting { days, start, end, starts_on, ends_on, location } = meeting;
    let maybe = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let time = |time: &Option<Time>| time.map(hour_minute_text).unwrap_or_default();
    let date = |date: &Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
    [
        id.to_string(),
        id.term.to_string(),
        state.section.crn_text().to_owned(),
        course.to_string(),
        state.section.subject().to_owned(),
        state.section.number().to_owned(),
        component.to_string(),
        maybe(section),
        maybe(title),
        credits.as_f64().to_string(),
        maybe(instructor),
        maybe(method),
        maybe(campus),
        day_letters(*days),
        time(start),
        time(end),
        date(starts_on),
        date(ends_on),
        maybe(location),
        capacity.to_string(),
        state.enrolled_total().to_string(),
        state.open_seats().to_string(),
        waitlist_capacity.to_string(),
        state.waitlisted_total().to_string(),
        status.as_str().to_owned(),
        linked.iter().map(|id| id.crn.as_str()).collect::<Vec<_>>().join(LIST_SEPARATOR),
        prerequisites.iter().map(ToString::to_string).collect::<Vec<_>>().join(LIST_SEPARATOR),
        conditions::reserved_text(reserved),
        if *withdrawn { "yes" } else { "" }.to_owned(),
        cross_listed.as_ref().map(|listing| listing.group.to_string()).unwrap_or_default(),
        number(cross_listed.as_ref().and_then(|listing| listing.capacity)),
        restrictions.iter().map(ToString::to_string).collect::<Vec<_>>().join(LIST_SEPARATOR),
        number(*repeat_limit),
    ]
}

/// Returns the section's id in an exported row; `None` if the row has none.
pub(super) fn id(cells: &Cells<'_>) -> Option<SectionId> {
    let index = cells.header().exported_id()?;
    SectionId::parse(unescape_cell(cells.cell(index))).ok()
}

/// Parses an exported row, except the term.
pub(super) fn read(cells: &mut Cells<'_>, crn: &Crn, format: Format) -> Row {
    let course = literal(cells, Column::Course);
    if course.is_none() {
        cells.add_finding(Severity::Error, Some(Column::Course), &FindingKind::CourseMissing);
    }
    let section = literal(cells, Column::Section);
    let title = literal(cells, Column::Title);
    let component = match literal(cells, Column::Component) {
        Some(component) => component.to_lowercase(),
        None => component(cells, section.as_deref(), title.as_deref()),
    };
    let credits = cells.read(Column::Credits, text::credits);
    if let Some((_, Some(warning))) = &credits {
        cells.add_finding(Severity::Warning, Some(Column::Credits), warning);
    }
    let instructor = literal(cells, Column::Instructor);
    Row {
        line: cells.line(),
        course: course.unwrap_or_default(),
        component,
        section,
        title,
        credits: credits.map(|(credits, _)| credits.0),
        instructors: instructor.as_deref().map(instructors::instructors).unwrap_or_default(),
        instructor,
        method: literal(cells, Column::Method),
        campus: literal(cells, Column::Campus),
        capacity: count(cells, Column::Capacity, CountField::Capacity),
        waitlist_capacity: count(cells, Column::WaitlistCapacity, CountField::WaitlistCapacity),
        enrolled: count(cells, Column::Enrolled, CountField::Enrolled),
        waitlisted: count(cells, Column::Waitlisted, CountField::Waitlisted),
        linked: cells.read(Column::Linked, linked),
        prerequisites: items(cells.get(Column::Prerequisites)).map(str::to_owned).collect(),
        status: status(cells),
        cross_listed: literal(cells, Column::CrossListed),
        cross_listed_capacity: count(cells, Column::CrossListedCapacity, CountField::CrossListedCapacity),
        reserved: cells.read(Column::Reserved, conditions::reserved),
        restrictions: cells.read(Column::Restrictions, conditions::restrictions),
        repeat_limit: cells.read(Column::RepeatLimit, conditions::repeat_limit),
        original_crn: original_crn(cells, crn),
        stated: stated(cells.header()),
        is_continuation: false,
        is_exported: true,
        meetings: meeting(cells, format).into_iter().collect(),
    }
}

/// Returns a text as it was exported; `None` for an empty cell.
fn literal(cells: &mut Cells<'_>, column: Column) -> Option<String> {
    cells.read(column, |cell| {
        let text = text::one_line(unescape_cell(cell));
        if text.chars().count() > text::TEXT_CHARS_MAX {
            return Err(FindingKind::TextTooLong { max: text::TEXT_CHARS_MAX });
        }
        Ok((!text.is_empty()).then(|| text.into_owned()))
    })
}

fn items(cell: &str) -> impl Iterator<Item = &str> {
    unescape_cell(cell).split(';').map(str::trim).filter(|item| !item.is_empty())
}

fn linked(cell: &str) -> Result<Vec<String>, FindingKind> {
    let crn = |item: &str| {
        Crn::parse(item).map(|crn| crn.to_string()).map_err(|_| FindingKind::NotCrn { item: item.to_owned() })
    };
    items(cell).map(crn).collect()
}

/// Returns the CRN as the college writes it, if it is not that of the id. A spreadsheet may have removed leading zeros.
fn original_crn(cells: &Cells<'_>, crn: &Crn) -> Option<String> {
    let cell = unescape_cell(cells.get(Column::Crn));
    let is_number = !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit());
    let lacks_zeros = is_number && crn.as_str().trim_start_matches('0') == cell.trim_start_matches('0');
    (!cell.is_empty() && cell != crn.as_str() && !lacks_zeros).then(|| text::one_line(cell).into_owned())
}

fn status(cells: &mut Cells<'_>) -> Option<SectionStatus> {
    cells.read(Column::Status, |cell| match cell {
        "" => Ok(None),
        _ => SectionStatus::parse(&cell.to_lowercase()).map(Some).ok_or(FindingKind::StatusForm),
    })
}

/// Parses the meeting of a row; `None` if nothing of it is known.
fn meeting(cells: &mut Cells<'_>, format: Format) -> Option<MeetingRow> {
    let days = cells.read(Column::Days, |cell| days::days(cell, DayLetters::English)).bits();
    let (start_cell, end_cell) = (cells.get(Column::StartTime), cells.get(Column::EndTime));
    let exact = [start_cell, end_cell].map(exact_time);
    let (start, end) = match exact {
        [Some(start), Some(end)] => (start, end),
        _ => {
            let (range, warning) = cells.read(Column::StartTime, |_| times::pair(start_cell, end_cell, format.clock));
            if let Some(warning) = warning {
                cells.add_finding(Severity::Warning, Some(Column::StartTime), &warning);
            }
            (range.start, range.end)
        }
    };
    if start.zip(end).is_some_and(|(start, end)| end <= start) {
        cells.add_finding(Severity::Error, Some(Column::EndTime), &FindingKind::EndTimeBeforeStart);
    }
    let starts_on = cells.read(Column::Start, |cell| dates::single(cell, format.order));
    let ends_on = cells.read(Column::End, |cell| dates::single(cell, format.order));
    if starts_on.zip(ends_on).is_some_and(|(first, last)| last < first) {
        cells.add_finding(Severity::Error, Some(Column::End), &FindingKind::EndDateBeforeStart);
    }
    let meeting = MeetingRow { days, start, end, starts_on, ends_on, location: literal(cells, Column::Location) };
    (meeting != MeetingRow::default()).then_some(meeting)
}

/// Parses a time as it was exported; `None` for another form, `Some(None)` for an empty cell.
fn exact_time(cell: &str) -> Option<Option<Time>> {
    match cell {
        "" => Some(None),
        "24:00" => Some(Some(END_OF_DAY)),
        _ if cell.len() == 5 => Time::strptime("%H:%M", cell).ok().map(Some),
        _ => None,
    }
}
