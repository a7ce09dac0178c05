//! What a section is to be in Plone, and what of it differs from what Plone had when it was last seen. Pure.

use jiff::Timestamp;

use crate::domain::plone::{FieldValue, Fields, PloneField};
use crate::domain::section::SectionState;
use crate::ports::outbox::{OutboxEntry, PloneItem, RosterLine};
use crate::protocol::plone_section::{canonical, to_fields};

/// What becomes of students' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Nobody knows yet who could read them: the field is left as it is.
    Withheld,
    /// They are written.
    Written,
    /// Somebody could read them: the field is emptied.
    Removed,
}

/// How much of a section's definition the hub writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    /// All of it: schedules that are imported into the hub belong into Plone, too.
    Whole,
    /// What staff change in the hub.
    StaffsOnly,
}

/// What is to be written to an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Absolute values.
    pub fields: Fields,
    /// Fields that the college's type does not have.
    pub absent: Vec<PloneField>,
}

/// The numbers of people in a section, and who they are.
#[must_use]
pub fn people(state: &SectionState, roster: &[RosterLine], names: Names) -> Fields {
    let mut fields = Fields::from([
        (PloneField::SeatsTaken, FieldValue::Number(state.enrolled_total().into())),
        (PloneField::Waitlisted, FieldValue::Number(state.waitlisted_total().into())),
    ]);
    let lines = match names {
        Names::Withheld => return fields,
        Names::Written => roster.iter().map(roster_line).collect(),
        Names::Removed => Vec::new(),
    };
    fields.insert(PloneField::Roster, FieldValue::Lines(lines));
    fields
}

/// `USER enrolled|waitlisted SINCE`, the time in whole seconds of UTC (RFC 3339).
fn roster_line(line: &RosterLine) -> String {
    let since = Timestamp::from_second(line.since.as_second()).unwrap_or(line.since);
    format!("{} {} {since}", line.user, line.standing.as_str())
}

/// A new section's fields, all of them.
#[must_use]
pub fn whole(entry: &OutboxEntry, names: Names) -> Fields {
    let mut fields = to_fields(&entry.state.section);
    fields.extend(people(&entry.state, &entry.roster, names));
    fields
}

/// What is to be written to an item so that it says what the hub has. With `in_doubt` it is not known what became of an
/// earlier write: then the hub's own fields are written whatever the item said last.
#[must_use]
pub fn difference(
    entry: &OutboxEntry,
    item: &PloneItem,
    names: Names,
    definition: Definition,
    in_doubt: bool,
) -> Difference {
    let mut found = Difference::default();
    let mut add = |field: PloneField, value: FieldValue, last: Option<&FieldValue>, anyway: bool| match last {
        None => found.absent.push(field),
        Some(last) if anyway || !same(last, &value) => {
            found.fields.insert(field, value);
        }
        Some(_) => {}
    };
    let defined = to_fields(&entry.state.section);
    let last = readable(&item.fields, &defined);
    for (field, value) in defined {
        if is_written(field, &item.fields, definition) {
            add(field, value, last.get(&field), false);
        }
    }
    for (field, value) in people(&entry.state, &entry.roster, names) {
        add(field, value, item.fields.get(&field), in_doubt);
    }
    found
}

/// An empty roster is one without lines, however Plone says so.
fn same(last: &FieldValue, value: &FieldValue) -> bool {
    let is_empty = |v: &FieldValue| match v {
        FieldValue::Nothing => true,
        FieldValue::Lines(lines) => lines.is_empty(),
        _ => false,
    };
    last == value || (is_empty(last) && is_empty(value))
}

/// Whether the hub writes a field of the definition to an item that is there. Never which section it is; and where a
/// type has no field for the course, the title names it, and is the college's.
fn is_written(field: PloneField, last: &Fields, definition: Definition) -> bool {
    match field {
        PloneField::Term | PloneField::Crn => false,
        PloneField::Capacity | PloneField::WaitlistCapacity => true,
        PloneField::Title => definition == Definition::Whole && last.contains_key(&PloneField::Course),
        _ => definition == Definition::Whole,
    }
}

/// The fields of an item in the form in which the hub writes them. What cannot be read there is taken for equal: whoever
/// edits it in Plone is told by the pull, and it is not written over.
fn readable(last: &Fields, defined: &Fields) -> Fields {
    let mut fields = last.clone();
    for _ in PloneField::ALL {
        match canonical(&fields) {
            Ok(canonical) => return canonical,
            Err(bad) => {
                let Some(ours) = defined.get(&bad.field) else { break };
                fields.insert(bad.field, ours.clone());
            }
        }
    }
    fields
}
