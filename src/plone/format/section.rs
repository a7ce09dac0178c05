//! A section as the fields of an item in Plone, both ways: only what the college defines. Counts and rosters are
//! written by the hub's outbox and never read from here.
//!
//! Values are compared as [`Fields`] in the one form that [`to_fields`] writes, and [`canonical`] converts any other
//! spelling to it: an editor who writes `mwf 9:30-10:50` for `MWF 09:30-10:50` has changed nothing.

use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::section::{Credits, Section, SectionStatus};

use crate::plone::format::meetings;
use crate::plone::format::text::{cut, is_unknown, one_line};

/// Longest text of a section, in characters, as for imports.
const TEXT_CHARS_MAX: usize = 1_000;
/// Longest course, in characters, as for imports.
const COURSE_CHARS_MAX: usize = 40;
/// Largest capacity of a section or its waitlist, as for imports.
const PEOPLE_MAX: u32 = 100_000;
/// Component of a section for which Plone has none.
const COMPONENT_DEFAULT: &str = "lecture";

/// An unreadable field of an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}", field = field.as_str())]
pub struct BadField {
    /// The field.
    pub field: SectionField,
    /// What is wrong and what would be right, in words for the editor of the item.
    pub message: String,
}

/// Returns every field of a section's definition as the hub writes it. A section without a title gets its course as the
/// title, which Plone requires.
#[must_use]
pub fn to_fields(section: &Section) -> Fields {
    // Every field is named, so that a new one does not compile until it is decided whether Plone has it.
    let Section {
        id,
        course,
        component,
        section,
        title,
        credits,
        instructor,
        meetings,
        capacity,
        waitlist_capacity,
        method: _,
        campus: _,
        status: _,
        linked: _,
        prerequisites: _,
        withdrawn: _,
    } = section;
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let maybe = |value: &Option<Box<str>>| value.as_deref().map_or(FieldValue::Nothing, text);
    let meetings = meetings::write(meetings);
    Fields::from([
        (SectionField::Title, text(title.as_deref().unwrap_or(course))),
        (SectionField::Term, text(id.term.as_str())),
        (SectionField::Crn, text(id.crn.as_str())),
        (SectionField::Course, text(course)),
        (SectionField::Component, text(component)),
        (SectionField::Section, maybe(section)),
        (SectionField::Credits, FieldValue::Number(credits.0.into())),
        (SectionField::Instructor, maybe(instructor)),
        (SectionField::Capacity, FieldValue::Number((*capacity).into())),
        (SectionField::WaitlistCapacity, FieldValue::Number((*waitlist_capacity).into())),
        (SectionField::Meetings, if meetings.is_empty() { FieldValue::Nothing } else { FieldValue::Text(meetings) }),
    ])
}

/// Parses a section from the fields of an item. Term, CRN and course are required; other absent or empty fields are not
/// known yet: a lecture, no credits, no seats.
///
/// # Errors
/// The first unreadable field.
pub fn read(fields: &Fields) -> Result<Section, BadField> {
    let read = Reader(fields);
    let term = read.code(SectionField::Term, |t| TermId::parse(t).ok(), "letters, digits, `.`, `_` and `-`")?;
    let crn = read.code(SectionField::Crn, |c| Crn::parse(c).ok(), "letters, digits, `.` and `_`")?;
    let course = read.course()?;
    let title = read.text(SectionField::Title)?.filter(|title| *title != course);
    Ok(Section {
        id: SectionId { term, crn },
        course,
        component: read.text(SectionField::Component)?.map_or(COMPONENT_DEFAULT.into(), |c| c.to_lowercase().into()),
        section: read.text(SectionField::Section)?,
        title,
        credits: read.credits()?,
        instructor: read.text(SectionField::Instructor)?,
        method: None,
        campus: None,
        meetings: read.meetings()?,
        capacity: read.people(SectionField::Capacity)?,
        waitlist_capacity: read.people(SectionField::WaitlistCapacity)?,
        status: SectionStatus::Open,
        linked: Vec::new(),
        prerequisites: Vec::new(),
        withdrawn: false,
    })
}

/// Returns the same fields in the form in which the hub would write them. Fields that only the hub writes stay
/// unchanged.
///
/// # Errors
/// The first unreadable field.
pub fn canonical(fields: &Fields) -> Result<Fields, BadField> {
    let written = to_fields(&read(fields)?);
    Ok(fields.iter().map(|(field, value)| (*field, written.get(field).unwrap_or(value).clone())).collect())
}

/// Copies one field from another section. Term and CRN identify a section, and counts and rosters are no part of its
/// definition: these are not copied.
pub fn take_field(section: &mut Section, field: SectionField, from: &Section) {
    match field {
        SectionField::Title => section.title.clone_from(&from.title),
        SectionField::Course => section.course.clone_from(&from.course),
        SectionField::Component => section.component.clone_from(&from.component),
        SectionField::Section => section.section.clone_from(&from.section),
        SectionField::Credits => section.credits = from.credits,
        SectionField::Instructor => section.instructor.clone_from(&from.instructor),
        SectionField::Capacity => section.capacity = from.capacity,
        SectionField::WaitlistCapacity => section.waitlist_capacity = from.waitlist_capacity,
        SectionField::Meetings => section.meetings.clone_from(&from.meetings),
        SectionField::Term | SectionField::Crn => {}
        SectionField::SeatsTaken | SectionField::Waitlisted | SectionField::Roster => {}
    }
}

struct Reader<'f>(&'f Fields);

impl Reader<'_> {
    /// Returns the field as text on one line, whatever kind the college's type uses.
    fn raw(&self, field: SectionField) -> String {
        match self.0.get(&field) {
            None | Some(FieldValue::Nothing) => String::new(),
            Some(FieldValue::Number(number)) => number.to_string(),
            Some(FieldValue::Text(text)) => one_line(text),
            Some(FieldValue::Lines(lines)) => one_line(&lines.join(" ")),
        }
    }

    fn text(&self, field: SectionField) -> Result<Option<Box<str>>, BadField> {
        let text = self.raw(field);
        if is_unknown(&text) {
            return Ok(None);
        }
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(bad(field, format!("the text is longer than {TEXT_CHARS_MAX} characters")));
        }
        Ok(Some(text.into()))
    }

    fn code<T>(&self, field: SectionField, parse: fn(&str) -> Option<T>, of: &str) -> Result<T, BadField> {
        let text = self.raw(field);
        if text.is_empty() {
            return Err(bad(field, "it is missing"));
        }
        parse(&text).ok_or_else(|| bad(field, format!("{:?} is not up to 24 {of}", cut(&text))))
    }

    fn course(&self) -> Result<Box<str>, BadField> {
        // A type without a field for the course names it in the title.
        let field = if self.0.contains_key(&SectionField::Course) { SectionField::Course } else { SectionField::Title };
        let course = self.raw(field);
        if is_unknown(&course) {
            return Err(bad(SectionField::Course, "it is missing"));
        }
        if course.chars().count() > COURSE_CHARS_MAX {
            return Err(bad(
                SectionField::Course,
                format!("a course's name has at most {COURSE_CHARS_MAX} characters"),
            ));
        }
        Ok(course.into())
    }

    fn credits(&self) -> Result<Credits, BadField> {
        let field = SectionField::Credits;
        let credits = match self.0.get(&field) {
            Some(FieldValue::Number(thousandths)) => {
                u32::try_from(*thousandths).ok().map(Credits).filter(|credits| *credits <= Credits::MAX)
            }
            _ => {
                let text = self.raw(field);
                if is_unknown(&text) { Some(Credits(0)) } else { Credits::parse(&text) }
            }
        };
        credits.ok_or_else(|| bad(field, "credits are a number such as 3 or 1.5, from 0 to 1,000"))
    }

    fn people(&self, field: SectionField) -> Result<u32, BadField> {
        let text = self.raw(field);
        if is_unknown(&text) {
            return Ok(0);
        }
        text.parse()
            .ok()
            .filter(|number| *number <= PEOPLE_MAX)
            .ok_or_else(|| bad(field, format!("{:?} is not a whole number from 0 to {PEOPLE_MAX}", cut(&text))))
    }

    fn meetings(&self) -> Result<Vec<crate::domain::meeting::Meeting>, BadField> {
        let text = match self.0.get(&SectionField::Meetings) {
            None | Some(FieldValue::Nothing) => return Ok(Vec::new()),
            Some(FieldValue::Text(text)) => text.clone(),
            Some(FieldValue::Lines(lines)) => lines.join("\n"),
            Some(FieldValue::Number(number)) => number.to_string(),
        };
        meetings::read(&text).map_err(|message| bad(SectionField::Meetings, message))
    }
}

fn bad(field: SectionField, message: impl Into<String>) -> BadField {
    BadField { field, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(of: &[(SectionField, &str)]) -> Fields {
        of.iter().map(|(field, text)| (*field, FieldValue::Text((*text).to_owned()))).collect()
    }

    fn least() -> Fields {
        fields(&[(SectionField::Term, "202701"), (SectionField::Crn, "10001"), (SectionField::Course, "MATH 151")])
    }

    #[test]
    fn absent_fields_have_defaults() {
        let section = read(&least()).unwrap();
        assert_eq!((&*section.component, section.credits, section.capacity), ("lecture", Credits(0), 0));
        assert_eq!((section.title, section.instructor, section.meetings.len()), (None, None, 0));
    }

    #[test]
    fn fields_are_read_in_whatever_kind_the_type_uses() {
        let mut item = least();
        item.insert(SectionField::Crn, FieldValue::Number(10001));
        item.insert(SectionField::Capacity, FieldValue::Text(" 25 ".into()));
        item.insert(SectionField::Credits, FieldValue::Text("1.5".into()));
        item.insert(SectionField::Component, FieldValue::Text("LAB".into()));
        item.insert(SectionField::Meetings, FieldValue::Lines(vec!["mw 9:30-10:50 Lab 2".into(), String::new()]));
        let section = read(&item).unwrap();
        assert_eq!((section.id.to_string(), section.capacity), ("202701-10001".to_owned(), 25));
        assert_eq!((section.credits, &*section.component, section.meetings.len()), (Credits(1500), "lab", 1));
        let written = canonical(&item).unwrap();
        assert_eq!(written[&SectionField::Meetings], FieldValue::Text("MW 09:30-10:50 Lab 2".into()));
        assert_eq!(written[&SectionField::Capacity], FieldValue::Number(25));
        assert!(!written.contains_key(&SectionField::Title), "a field that the type lacks stays absent");
    }

    #[test]
    fn an_unreadable_field_is_reported_by_its_name() {
        let table = [
            (SectionField::Crn, ""),
            (SectionField::Crn, "1 2"),
            (SectionField::Term, "Fall 2026"),
            (SectionField::Course, " "),
            (SectionField::Course, "a course with a name that is much too long to be one"),
            (SectionField::Capacity, "-1"),
            (SectionField::Capacity, "100001"),
            (SectionField::WaitlistCapacity, "many"),
            (SectionField::Credits, "three"),
            (SectionField::Meetings, "MWF 25:00-26:00 Room"),
        ];
        for (field, text) in table {
            let mut item = least();
            item.insert(field, FieldValue::Text(text.into()));
            assert_eq!(read(&item).map_err(|bad| bad.field), Err(field), "{field:?} {text:?}");
        }
        let mut item = least();
        item.insert(SectionField::Credits, FieldValue::Number(-1));
        assert_eq!(read(&item).unwrap_err().field, SectionField::Credits);
    }

    #[test]
    fn a_section_without_a_title_gets_its_course_as_title() {
        let section = read(&least()).unwrap();
        let written = to_fields(&section);
        assert_eq!(written[&SectionField::Title], FieldValue::Text("MATH 151".into()));
        assert_eq!(read(&written), Ok(section));
    }

    #[test]
    fn fields_that_only_the_hub_writes_stay_unchanged() {
        let mut item = least();
        item.insert(SectionField::SeatsTaken, FieldValue::Nothing);
        item.insert(SectionField::Roster, FieldValue::Lines(vec!["ann enrolled".into()]));
        assert_eq!(canonical(&item).unwrap(), item);
    }
}
