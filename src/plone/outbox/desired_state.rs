//! The desired state of a section's item in Plone, and its difference from the last known state. Pure.

use jiff::Timestamp;

use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::domain::section::SectionState;
use crate::plone::format::section::{canonical, to_fields};
use crate::store::outbox::{OutboxEntry, PloneItem, RosterLine};

/// How students' names are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The roster field is left unchanged, because it is not known who can read it.
    Withheld,
    /// Names are written to the roster field.
    Written,
    /// The roster field is emptied, because visitors or plain members can read it.
    Removed,
}

/// The part of a section's definition that the hub writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefinitionScope {
    /// All fields: schedules that are imported into the hub are also written to Plone.
    Whole,
    /// Only the fields that staff can change in the hub: the capacities.
    StaffChanges,
}

/// The difference between the desired and the last known state of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Fields to write, with absolute values.
    pub fields: Fields,
    /// Fields that cannot be written because the college's type lacks them.
    pub absent: Vec<SectionField>,
}

/// Returns the desired counts and roster of a section.
#[must_use]
pub fn seat_fields(state: &SectionState, roster: &[RosterLine], names: Names) -> Fields {
    let mut fields = Fields::from([
        (SectionField::SeatsTaken, FieldValue::Number(state.taken_total().into())),
        (SectionField::Waitlisted, FieldValue::Number(state.waitlisted_total().into())),
    ]);
    let value = match names {
        Names::Withheld => return fields,
        Names::Written => FieldValue::Lines(roster.iter().map(roster_line).collect()),
        // This value empties a field of any type. A field that visitors can read may have a type that accepts no list.
        Names::Removed => FieldValue::Nothing,
    };
    fields.insert(SectionField::Roster, value);
    fields
}

/// Formats a line of a roster: `USER enrolled|offered|waitlisted SINCE`. The time is in UTC with whole seconds (RFC
/// 3339).
fn roster_line(line: &RosterLine) -> String {
    let since = Timestamp::from_second(line.since.as_second()).unwrap_or(line.since);
    format!("{} {} {since}", line.user, line.status.as_str())
}

/// Returns all desired fields of a section's item.
#[must_use]
pub fn all_fields(entry: &OutboxEntry, names: Names) -> Fields {
    let mut fields = to_fields(&entry.state.section);
    fields.extend(seat_fields(&entry.state, &entry.roster, names));
    fields
}

/// Returns the fields that must be written to an item. With `is_uncertain`, the outcome of an earlier write is unknown,
/// so counts and roster are written even if they equal the last known values.
#[must_use]
pub fn difference(
    entry: &OutboxEntry,
    item: &PloneItem,
    names: Names,
    scope: DefinitionScope,
    is_uncertain: bool,
) -> Difference {
    let mut found = Difference::default();
    let mut add = |field: SectionField, value: FieldValue, last: Option<&FieldValue>, always: bool| match last {
        None => found.absent.push(field),
        Some(last) if always || !same(last, &value) => {
            found.fields.insert(field, value);
        }
        Some(_) => {}
    };
    let defined = to_fields(&entry.state.section);
    let last = readable(&item.fields, &defined);
    for (field, value) in defined {
        if is_written(field, &item.fields, scope) {
            add(field, value, last.get(&field), false);
        }
    }
    for (field, value) in seat_fields(&entry.state, &entry.roster, names) {
        add(field, value, item.fields.get(&field), is_uncertain);
    }
    found
}

/// Returns true if two values are equal. Plone may represent an empty roster as null or as an empty list.
fn same(last: &FieldValue, value: &FieldValue) -> bool {
    let is_empty = |v: &FieldValue| match v {
        FieldValue::Nothing => true,
        FieldValue::Lines(lines) => lines.is_empty(),
        _ => false,
    };
    last == value || (is_empty(last) && is_empty(value))
}

/// Returns true if the hub writes a field of the definition to an existing item. It never writes the fields that
/// identify the section, nor a title that serves as the course because the type has no field for it.
fn is_written(field: SectionField, last: &Fields, scope: DefinitionScope) -> bool {
    match field {
        SectionField::Term | SectionField::Crn => false,
        SectionField::Capacity | SectionField::WaitlistCapacity => true,
        SectionField::Title => scope == DefinitionScope::Whole && last.contains_key(&SectionField::Course),
        _ => scope == DefinitionScope::Whole,
    }
}

/// Returns the fields of an item in canonical form. An unreadable field is replaced by the desired value, so that it
/// counts as equal and is not overwritten. The pull reports it to admins.
fn readable(last: &Fields, defined: &Fields) -> Fields {
    let mut fields = last.clone();
    for _ in SectionField::ALL {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::domain::ids::{SectionId, UserName};
    use crate::domain::registration::RegistrationStatus;
    use crate::domain::section::Section;
    use crate::plone::format::section::read;

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.to_owned())
    }

    fn section() -> Section {
        read(&Fields::from([
            (SectionField::Term, text("202701")),
            (SectionField::Crn, text("10001")),
            (SectionField::Course, text("MATH 151")),
            (SectionField::Title, text("Calculus I")),
            (SectionField::Capacity, FieldValue::Number(30)),
            (SectionField::Meetings, text("MWF 09:30-10:50")),
        ]))
        .unwrap()
    }

    /// Returns an entry with two students and its item, both in the state after a write with `names`.
    fn entry(names: Names) -> (OutboxEntry, PloneItem) {
        let now = Timestamp::from_millisecond(1_800_000_000_750).unwrap();
        let state =
            SectionState { enrolled: 1, waitlisted: 1, outside_enrolled: 4, ..SectionState::new(Arc::new(section())) };
        let line = |user: &str, status| RosterLine { user: UserName::parse(user).unwrap(), status, since: now };
        let mut entry = OutboxEntry {
            section: SectionId::parse("202701-10001").unwrap(),
            version: 1,
            read_at: now,
            queued_at: now,
            attempts: 0,
            item: None,
            state,
            roster: vec![line("ana", RegistrationStatus::Enrolled), line("bob", RegistrationStatus::Waitlisted)],
        };
        let item = PloneItem {
            section: entry.section.clone(),
            uid: "u".to_owned(),
            path: "/courses/202701-10001".to_owned(),
            modified: now,
            fields: all_fields(&entry, names),
            deleted: false,
        };
        entry.item = Some(item.clone());
        (entry, item)
    }

    fn differs(entry: &OutboxEntry, item: &PloneItem, names: Names) -> Vec<&'static str> {
        let found = difference(entry, item, names, DefinitionScope::Whole, false);
        found.fields.keys().map(|field| field.as_str()).collect()
    }

    #[test]
    fn unchanged_values_are_not_written() {
        let (entry, item) = entry(Names::Written);
        assert_eq!(difference(&entry, &item, Names::Written, DefinitionScope::Whole, false), Difference::default());
    }

    #[test]
    fn counts_include_outside_seats_and_rosters_have_lines() {
        let (entry, _) = entry(Names::Written);
        let fields = seat_fields(&entry.state, &entry.roster, Names::Written);
        assert_eq!(fields[&SectionField::SeatsTaken], FieldValue::Number(5));
        assert_eq!(fields[&SectionField::Waitlisted], FieldValue::Number(1));
        let lines = ["ana enrolled 2027-01-15T08:00:00Z", "bob waitlisted 2027-01-15T08:00:00Z"];
        assert_eq!(fields[&SectionField::Roster], FieldValue::Lines(lines.map(str::to_owned).to_vec()));
    }

    #[test]
    fn names_are_withheld_written_or_removed() {
        let (entry, mut item) = entry(Names::Written);
        item.fields.insert(SectionField::Roster, FieldValue::Lines(vec!["old enrolled".to_owned()]));
        assert_eq!(differs(&entry, &item, Names::Withheld), [""; 0]);
        assert_eq!(differs(&entry, &item, Names::Written), ["roster"]);
        let found = difference(&entry, &item, Names::Removed, DefinitionScope::Whole, false);
        assert_eq!(found.fields, Fields::from([(SectionField::Roster, FieldValue::Nothing)]));
        for empty in [FieldValue::Nothing, FieldValue::Lines(vec![])] {
            item.fields.insert(SectionField::Roster, empty);
            assert_eq!(differs(&entry, &item, Names::Removed), [""; 0], "there is nothing to remove");
        }
    }

    #[test]
    fn fields_missing_in_the_type_are_reported_not_written() {
        let (entry, mut item) = entry(Names::Withheld);
        for absent in [SectionField::Waitlisted, SectionField::Instructor] {
            item.fields.remove(&absent);
        }
        item.fields.insert(SectionField::SeatsTaken, FieldValue::Nothing);
        let found = difference(&entry, &item, Names::Written, DefinitionScope::Whole, true);
        assert_eq!(found.absent, [SectionField::Instructor, SectionField::Waitlisted, SectionField::Roster]);
        assert_eq!(found.fields, Fields::from([(SectionField::SeatsTaken, FieldValue::Number(5))]));
    }

    #[test]
    fn other_spellings_and_unreadable_fields_are_not_overwritten() {
        let (entry, mut item) = entry(Names::Withheld);
        item.fields.insert(SectionField::Meetings, text("mwf 9:30-10:50"));
        assert_eq!(differs(&entry, &item, Names::Withheld), [""; 0]);
        item.fields.insert(SectionField::Meetings, text("whenever 99:99-1"));
        item.fields.insert(SectionField::Capacity, FieldValue::Number(20));
        assert_eq!(differs(&entry, &item, Names::Withheld), ["capacity"]);
    }

    #[test]
    fn fields_that_identify_a_section_are_never_written() {
        let (entry, mut item) = entry(Names::Withheld);
        item.fields.insert(SectionField::Crn, text("99999"));
        item.fields.insert(SectionField::Title, text("Calculus"));
        assert_eq!(differs(&entry, &item, Names::Withheld), ["title"]);
        item.fields.remove(&SectionField::Course);
        assert_eq!(differs(&entry, &item, Names::Withheld), [""; 0], "without a field for it, the title is the course");
    }

    #[test]
    fn without_schedules_only_capacities_are_written() {
        let (entry, mut item) = entry(Names::Withheld);
        item.fields.insert(SectionField::Instructor, text("Ada"));
        item.fields.insert(SectionField::Capacity, FieldValue::Number(20));
        let found = difference(&entry, &item, Names::Withheld, DefinitionScope::StaffChanges, false);
        assert_eq!(found.fields, Fields::from([(SectionField::Capacity, FieldValue::Number(30))]));
    }

    #[test]
    fn counts_and_roster_are_rewritten_after_an_unknown_outcome() {
        let (entry, item) = entry(Names::Written);
        let found = difference(&entry, &item, Names::Written, DefinitionScope::Whole, true);
        let fields: Vec<_> = found.fields.keys().copied().collect();
        assert_eq!(fields, [SectionField::SeatsTaken, SectionField::Waitlisted, SectionField::Roster]);
    }
}
