//! Three-way comparison of a section: what Plone has now, what it had when it was last pulled or written, and what the
//! hub has. It compares fields by value, so it is idempotent.

use std::sync::Arc;

use crate::domain::command::SectionEdit;
use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::domain::section::{Section, SectionState};
use crate::plone::format::section::{take_field, to_fields};

/// Result of a comparison.
#[derive(Debug)]
pub(super) struct Compared {
    /// Change that the hub takes over; none when there is none.
    pub(super) edit: Option<SectionEdit>,
    /// True when Plone differs in a field that belongs to the hub, so that the section must be written again.
    pub(super) to_write: bool,
}

/// Compares a section that the hub has. `now` is what Plone has, in the hub's own form, `read` the same as a section,
/// and `last` what was last pulled or written.
///
/// A field changed in Plone only when it differs from `last`. It is not taken over while the hub differs from `last`,
/// too, since that change is on its way to Plone. Plone decides fields that were never pulled or written: a college had
/// its Plone before it had the hub.
pub(super) fn compare(now: &Fields, read: &Section, last: Option<&Fields>, hub: &SectionState) -> Compared {
    let ours = to_fields(&hub.section);
    let mut desired = (*hub.section).clone();
    // Visitors of Plone see it.
    desired.withdrawn = false;
    let mut to_write = false;
    for (field, here) in &ours {
        let Some(there) = now.get(field).filter(|there| *there != here) else { continue };
        let was = last.and_then(|last| last.get(field));
        if was != Some(there) && was.is_none_or(|was| was == here) {
            take_field(&mut desired, *field, read);
        } else {
            to_write = true;
        }
    }
    to_write |= has_other_counts(now, last, hub);
    let edit =
        (desired != *hub.section).then(|| SectionEdit { base: Some(hub.section.clone()), target: Arc::new(desired) });
    Compared { edit, to_write }
}

/// Returns true when a field that only the hub writes differs from what was last written, and from what it should be.
fn has_other_counts(now: &Fields, last: Option<&Fields>, hub: &SectionState) -> bool {
    let was = |field| last.and_then(|last| last.get(&field));
    let number = |field, should_be: u32| {
        now.get(&field).is_some_and(|there| {
            let is = if *there == FieldValue::Nothing { &FieldValue::Number(0) } else { there };
            *is != FieldValue::Number(should_be.into()) && was(field) != Some(there)
        })
    };
    let roster = now.get(&SectionField::Roster).is_some_and(|there| {
        let is_empty = matches!(there, FieldValue::Nothing) || *there == FieldValue::Lines(Vec::new());
        match was(SectionField::Roster) {
            Some(was) => was != there,
            None => is_empty != (hub.enrolled + hub.waitlisted == 0),
        }
    });
    number(SectionField::SeatsTaken, hub.enrolled_total())
        || number(SectionField::Waitlisted, hub.waitlisted_total())
        || roster
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::SectionId;
    use crate::plone::format::section::{canonical, read};

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.to_owned())
    }

    /// An item of Plone with 30 seats and these changes.
    fn item(changes: &[(SectionField, FieldValue)]) -> Fields {
        let mut fields = Fields::from([
            (SectionField::Title, text("Calculus")),
            (SectionField::Term, text("202701")),
            (SectionField::Crn, text("10001")),
            (SectionField::Course, text("MATH 151")),
            (SectionField::Capacity, FieldValue::Number(30)),
            (SectionField::Instructor, FieldValue::Nothing),
            (SectionField::SeatsTaken, FieldValue::Nothing),
            (SectionField::Roster, FieldValue::Lines(Vec::new())),
        ]);
        fields.extend(changes.iter().cloned());
        canonical(&fields).unwrap()
    }

    fn hub(changes: &[(SectionField, FieldValue)]) -> SectionState {
        let section = read(&item(changes)).unwrap();
        assert_eq!(section.id, SectionId::parse("202701-10001").unwrap());
        SectionState::new(Arc::new(section))
    }

    /// Returns the names of the fields that are taken over, and whether the section must be written.
    fn compared(now: &Fields, last: Option<&Fields>, hub: &SectionState) -> (String, bool) {
        let compared = compare(now, &read(now).unwrap(), last, hub);
        let taken = compared.edit.map_or_else(String::new, |edit| {
            let (seen, wanted) = (to_fields(edit.base.as_ref().unwrap()), to_fields(&edit.target));
            let changed = wanted.iter().filter(|(field, value)| seen[field] != **value);
            let mut names: Vec<&str> = changed.map(|(field, _)| field.as_str()).collect();
            if edit.base.unwrap().withdrawn != edit.target.withdrawn {
                names.push("shown");
            }
            names.join(" ")
        });
        (taken, compared.to_write)
    }

    #[test]
    fn a_field_is_taken_over_only_when_it_changed_in_plone_alone() {
        use SectionField::{Capacity, Instructor, Title};
        let seats = |seats| (Capacity, FieldValue::Number(seats));
        let last = item(&[]);
        let table = [
            (vec![], vec![], "", false, "nothing changed"),
            (vec![seats(40)], vec![], "capacity", false, "changed in Plone"),
            (vec![], vec![seats(40)], "", true, "changed in the hub: its write is on its way"),
            (vec![seats(40)], vec![seats(50)], "", true, "changed in both: the hub's is on its way"),
            (vec![seats(40)], vec![seats(40)], "", false, "changed in both alike"),
            (vec![(Title, text("Calc"))], vec![seats(40)], "title", true, "different fields: both are kept"),
            (vec![(Instructor, text("Ann")), (Title, text("Calc"))], vec![], "title instructor", false, "several"),
        ];
        for (there, here, taken, to_write, why) in table {
            assert_eq!(compared(&item(&there), Some(&last), &hub(&here)), (taken.to_owned(), to_write), "{why}");
        }
    }

    #[test]
    fn plone_decides_what_was_never_pulled_or_written() {
        let here = hub(&[(SectionField::Capacity, FieldValue::Number(50))]);
        assert_eq!(compared(&item(&[]), None, &here), ("capacity".to_owned(), false));
    }

    #[test]
    fn fields_that_the_type_lacks_are_ignored() {
        let (mut now, mut last) = (item(&[]), item(&[]));
        now.remove(&SectionField::Capacity);
        last.remove(&SectionField::Capacity);
        let here = hub(&[(SectionField::Capacity, FieldValue::Number(50))]);
        assert_eq!(compared(&now, Some(&last), &here), (String::new(), false));
    }

    #[test]
    fn a_withdrawn_section_returns_when_plone_shows_it_again() {
        let mut here = hub(&[]);
        Arc::make_mut(&mut here.section).withdrawn = true;
        assert_eq!(compared(&item(&[]), Some(&item(&[])), &here), ("shown".to_owned(), false));
    }

    #[test]
    fn manual_changes_of_counts_and_rosters_are_overwritten() {
        use SectionField::{Roster, SeatsTaken};
        let lines = |lines: &[&str]| FieldValue::Lines(lines.iter().map(|line| (*line).to_owned()).collect());
        let mut here = hub(&[]);
        here.enrolled = 2;
        let roster = lines(&["ann enrolled", "bob enrolled"]);
        let written = item(&[(SeatsTaken, FieldValue::Number(2)), (Roster, roster.clone())]);
        let table = [
            (FieldValue::Number(2), roster.clone(), false, "as written"),
            (FieldValue::Number(7), roster.clone(), true, "a count by hand"),
            (FieldValue::Nothing, roster, true, "a count that was emptied"),
            (FieldValue::Number(2), lines(&["eve enrolled"]), true, "a roster by hand"),
        ];
        for (count, lines, to_write, why) in table {
            let now = item(&[(SeatsTaken, count), (Roster, lines)]);
            assert_eq!(compared(&now, Some(&written), &here).1, to_write, "{why}");
        }
        here.enrolled = 3;
        assert!(!compared(&written, Some(&written), &here).1, "the third is on its way already");
        assert!(compared(&item(&[]), None, &here).1, "never written");
        assert!(!compared(&item(&[]), None, &hub(&[])).1, "an empty section has nothing to write");
    }
}
