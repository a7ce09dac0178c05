//! Conversion between a section's definition and the fields of an item in Plone. Counts and rosters are not part of the
//! definition: the hub's outbox writes them.
//!
//! Values are compared as [`Fields`] in the canonical form that [`to_fields`] writes. [`canonical`] converts other
//! spellings to it, so that replacing `MWF 09:30-10:50` with `mwf 9:30-10:50` in Plone does not count as a change.

use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::section::{Credits, Section, SectionStatus};

use crate::plone::format::meetings;
use crate::plone::format::text::{cut, is_unknown, one_line};
use crate::plone::problem::FieldProblem;

/// Maximum length of a text field in characters, as for imports.
const TEXT_CHARS_MAX: usize = 1_000;
/// Maximum length of a course in characters, as for imports.
const COURSE_CHARS_MAX: usize = 40;
/// Maximum capacity of a section and of its waitlist, as for imports.
const PEOPLE_MAX: u32 = 100_000;
/// Component of a section without a component in Plone.
const COMPONENT_DEFAULT: &str = "lecture";

/// An unreadable field of an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}", field = field.as_str())]
pub struct BadField {
    /// The field.
    pub field: SectionField,
    /// What is wrong and what is expected, for the editor of the item.
    pub problem: FieldProblem,
}

/// Returns all fields of a section's definition in canonical form. A section without a title gets its course as the
/// title, because Plone requires one.
#[must_use]
pub fn to_fields(section: &Section) -> Fields {
    let crn = section.crn_text();
    // All fields are listed, so that adding a field to `Section` requires a decision here.
    let Section {
        id,
        original_crn: _, // In `crn_text`.
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
        cross_listed: _,
        reserved: _,
        restrictions: _,
        repeat_limit: _,
        prerequisites: _,
        withdrawn: _,
    } = section;
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let maybe = |value: &Option<Box<str>>| value.as_deref().map_or(FieldValue::Nothing, text);
    let meetings = meetings::write(meetings);
    Fields::from([
        (SectionField::Title, text(title.as_deref().unwrap_or(course))),
        (SectionField::Term, text(id.term.as_str())),
        (SectionField::Crn, text(crn)),
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

/// Parses a section from the fields of an item. Term, CRN and course are required. Other absent or empty fields get
/// defaults, such as the component `lecture`, 0 credits and a capacity of 0.
///
/// # Errors
/// The first unreadable field.
pub fn read(fields: &Fields) -> Result<Section, BadField> {
    let read = Reader(fields);
    let term = read.term()?;
    let (crn, original_crn) = read.crn()?;
    let course = read.course()?;
    let title = read.text(SectionField::Title)?.filter(|title| *title != course);
    Ok(Section {
        id: SectionId { term, crn },
        original_crn,
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
        cross_listed: None,
        reserved: Vec::new(),
        restrictions: Vec::new(),
        repeat_limit: None,
        withdrawn: false,
    })
}

/// Converts fields to the canonical form. Counts and rosters are returned unchanged.
///
/// # Errors
/// The first unreadable field.
pub fn canonical(fields: &Fields) -> Result<Fields, BadField> {
    let written = to_fields(&read(fields)?);
    Ok(fields.iter().map(|(field, value)| (*field, written.get(field).unwrap_or(value).clone())).collect())
}

/// Copies one field from another section. Does nothing for the term, which identifies the section, and for counts and
/// rosters, which are not part of its definition.
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
        // Another spelling of the CRN of the same section.
        SectionField::Crn => section.original_crn.clone_from(&from.original_crn),
        SectionField::Term => {}
        SectionField::SeatsTaken | SectionField::Waitlisted | SectionField::Roster => {}
    }
}

struct Reader<'f>(&'f Fields);

impl Reader<'_> {
    /// Returns a field as one line of text, for any type that the field has in Plone.
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
            return Err(bad(field, FieldProblem::TooLong { max: TEXT_CHARS_MAX }));
        }
        Ok(Some(text.into()))
    }

    fn term(&self) -> Result<TermId, BadField> {
        let text = self.raw(SectionField::Term);
        if text.is_empty() {
            return Err(bad(SectionField::Term, FieldProblem::Empty));
        }
        TermId::parse(&text).map_err(|_| bad(SectionField::Term, FieldProblem::TermForm { text: cut(&text) }))
    }

    fn crn(&self) -> Result<(Crn, Option<Box<str>>), BadField> {
        let text = self.raw(SectionField::Crn);
        if text.is_empty() {
            return Err(bad(SectionField::Crn, FieldProblem::Empty));
        }
        Crn::from_written(&text).map_err(|_| bad(SectionField::Crn, FieldProblem::CrnForm { text: cut(&text) }))
    }

    fn course(&self) -> Result<Box<str>, BadField> {
        // If the type has no field for the course, the title is the course.
        let field = if self.0.contains_key(&SectionField::Course) { SectionField::Course } else { SectionField::Title };
        let course = self.raw(field);
        if is_unknown(&course) {
            return Err(bad(SectionField::Course, FieldProblem::Empty));
        }
        if course.chars().count() > COURSE_CHARS_MAX {
            return Err(bad(SectionField::Course, FieldProblem::TooLong { max: COURSE_CHARS_MAX }));
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
        credits.ok_or_else(|| bad(field, FieldProblem::CreditsForm))
    }

    fn people(&self, field: SectionField) -> Result<u32, BadField> {
        let text = self.raw(field);
        if is_unknown(&text) {
            return Ok(0);
        }
        text.parse()
            .ok()
            .filter(|number| *number <= PEOPLE_MAX)
            .ok_or_else(|| bad(field, FieldProblem::NumberForm { text: cut(&text), max: PEOPLE_MAX }))
    }

    fn meetings(&self) -> Result<Vec<crate::domain::meeting::Meeting>, BadField> {
        let text = match self.0.get(&SectionField::Meetings) {
            None | Some(FieldValue::Nothing) => return Ok(Vec::new()),
            Some(FieldValue::Text(text)) => text.clone(),
            Some(FieldValue::Lines(lines)) => lines.join("\n"),
            Some(FieldValue::Number(number)) => number.to_string(),
        };
        meetings::read(&text).map_err(|problem| bad(SectionField::Meetings, problem))
    }
}

const fn bad(field: SectionField, problem: FieldProblem) -> BadField {
    BadField { field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(of: &[(SectionField, &str)]) -> Fields {
        of.iter().map(|(field, text)| (*field, FieldValue::Text((*text).to_owned()))).collect()
    }

    /// Returns the required fields.
    fn required_fields() -> Fields {
        fields(&[(SectionField::Term, "202701"), (SectionField::Crn, "10001"), (SectionField::Course, "MATH 151")])
    }

    #[test]
    fn absent_fields_have_defaults() {
        let section = read(&required_fields()).unwrap();
        assert_eq!((&*section.component, section.credits, section.capacity), ("lecture", Credits(0), 0));
        assert_eq!((section.title, section.instructor, section.meetings.len()), (None, None, 0));
    }

    #[test]
    fn fields_of_other_types_are_converted() {
        let mut item = required_fields();
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
        assert!(!written.contains_key(&SectionField::Title), "absent fields stay absent");
    }

    #[test]
    fn a_crn_is_written_to_plone_as_the_college_writes_it() {
        let mut item = required_fields();
        item.insert(SectionField::Crn, FieldValue::Text("AB 101-01".into()));
        let section = read(&item).unwrap();
        assert_eq!((section.id.crn.as_str(), section.crn_text()), ("AB.101.01", "AB 101-01"));
        assert_eq!(to_fields(&section)[&SectionField::Crn], item[&SectionField::Crn]);
        let mut other = Section { original_crn: None, ..section.clone() };
        take_field(&mut other, SectionField::Crn, &section);
        assert_eq!(other, section);
    }

    #[test]
    fn unreadable_fields_are_reported_by_name() {
        let table = [
            (SectionField::Crn, ""),
            (SectionField::Crn, "***"),
            (SectionField::Term, "Fall 2026"),
            (SectionField::Course, " "),
            (SectionField::Course, "a course that is longer than forty characters"),
            (SectionField::Capacity, "-1"),
            (SectionField::Capacity, "100001"),
            (SectionField::WaitlistCapacity, "many"),
            (SectionField::Credits, "three"),
            (SectionField::Meetings, "MWF 25:00-26:00 Room"),
        ];
        for (field, text) in table {
            let mut item = required_fields();
            item.insert(field, FieldValue::Text(text.into()));
            assert_eq!(read(&item).map_err(|bad| bad.field), Err(field), "{field:?} {text:?}");
        }
        let mut item = required_fields();
        item.insert(SectionField::Credits, FieldValue::Number(-1));
        assert_eq!(read(&item).unwrap_err().field, SectionField::Credits);
    }

    #[test]
    fn a_section_without_a_title_gets_its_course_as_title() {
        let section = read(&required_fields()).unwrap();
        let written = to_fields(&section);
        assert_eq!(written[&SectionField::Title], FieldValue::Text("MATH 151".into()));
        assert_eq!(read(&written), Ok(section));
    }

    #[test]
    fn counts_and_rosters_stay_unchanged() {
        let mut item = required_fields();
        item.insert(SectionField::SeatsTaken, FieldValue::Nothing);
        item.insert(SectionField::Roster, FieldValue::Lines(vec!["ann enrolled".into()]));
        assert_eq!(canonical(&item).unwrap(), item);
    }
}
