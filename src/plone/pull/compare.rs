//! Three-way comparison of a section: Plone's current fields, Plone's fields when the section was last pulled or
//! written, and the hub's fields. It compares values, so it is idempotent.

use std::sync::Arc;

use crate::domain::command::SectionEdit;
use crate::domain::fields::{FieldValue, Fields, SectionField};
use crate::domain::section::{Section, SectionState};
use crate::plone::format::section::{take_field, to_fields};

/// Result of a comparison.
#[derive(Debug)]
pub(super) struct Compared {
    /// The change to apply in the hub, if any.
    pub(super) edit: Option<SectionEdit>,
    /// True if the section must be written to Plone: a field that the hub owns, or a change made in the hub, differs
    /// there.
    pub(super) to_write: bool,
}

/// Compares an item of Plone with the hub's section. `now` contains the item's fields in canonical form, `read` the
/// section that they describe, and `last` the item's fields when it was last pulled or written.
///
/// A field counts as changed in Plone only if it differs from `last`. Such a change is applied in the hub unless the
/// hub's value also differs from `last`: then the hub's change is still being written to Plone and wins. If a field was
/// never pulled or written, Plone's value wins, because the college's Plone existed before the hub.
pub(super) fn compare(now: &Fields, read: &Section, last: Option<&Fields>, hub: &SectionState) -> Compared {
    let ours = to_fields(&hub.section);
    let mut desired = (*hub.section).clone();
    // Pulls read only items that visitors of Plone can see.
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
    to_write |= has_foreign_counts(now, last, hub);
    let edit =
        (desired != *hub.section).then(|| SectionEdit { base: Some(hub.section.clone()), target: Arc::new(desired) });
    Compared { edit, to_write }
}

/// Returns true if a count or the roster in Plone is wrong, and differs from what the hub last wrote: something other
/// than the hub has changed it.
fn has_foreign_counts(now: &Fields, last: Option<&Fields>, hub: &SectionState) -> bool {
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
            None => is_empty != (hub.enrolled + hub.offered + hub.waitlisted == 0),
        }
    });
    number(SectionField::SeatsTaken, hub.taken_total())
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

    /// Returns an item of Plone with 30 seats and these changes.
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

    /// Returns the names of the fields that change in the hub, and whether the section must be written to Plone.
    fn compared(now: &Fields, last: Option<&Fields>, hub: &SectionState) -> (String, bool) {
        let compared = compare(now, &read(now).unwrap(), last, hub);
        let taken = compared.edit.map_or_else(String::new, |edit| {
            let (before, after) = (to_fields(edit.base.as_ref().unwrap()), to_fields(&edit.target));
            let changed = after.iter().filter(|(field, value)| before[field] != **value);
            let mut names: Vec<&str> = changed.map(|(field, _)| field.as_str()).collect();
            if edit.base.unwrap().withdrawn != edit.target.withdrawn {
                names.push("shown");
            }
            names.join(" ")
        });
        (taken, compared.to_write)
    }

    #[test]
    fn fields_changed_only_in_plone_are_applied_in_the_hub() {
        use SectionField::{Capacity, Instructor, Title};
        let seats = |seats| (Capacity, FieldValue::Number(seats));
        let last = item(&[]);
        let table = [
            (vec![], vec![], "", false, "nothing changed"),
            (vec![seats(40)], vec![], "capacity", false, "changed in Plone"),
            (vec![], vec![seats(40)], "", true, "changed in the hub"),
            (vec![seats(40)], vec![seats(50)], "", true, "changed in both: the hub's change wins"),
            (vec![seats(40)], vec![seats(40)], "", false, "same change in both"),
            (vec![(Title, text("Calc"))], vec![seats(40)], "title", true, "changes to different fields are merged"),
            (vec![(Instructor, text("Ann")), (Title, text("Calc"))], vec![], "title instructor", false, "two fields"),
        ];
        for (there, here, taken, to_write, why) in table {
            assert_eq!(compared(&item(&there), Some(&last), &hub(&here)), (taken.to_owned(), to_write), "{why}");
        }
    }

    #[test]
    fn plones_value_wins_if_never_pulled_or_written() {
        let here = hub(&[(SectionField::Capacity, FieldValue::Number(50))]);
        assert_eq!(compared(&item(&[]), None, &here), ("capacity".to_owned(), false));
    }

    #[test]
    fn fields_missing_in_the_type_are_ignored() {
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
    fn manual_edits_to_counts_and_rosters_are_overwritten() {
        use SectionField::{Roster, SeatsTaken};
        let lines = |lines: &[&str]| FieldValue::Lines(lines.iter().map(|line| (*line).to_owned()).collect());
        let mut here = hub(&[]);
        here.enrolled = 2;
        let roster = lines(&["ann enrolled", "bob enrolled"]);
        let written = item(&[(SeatsTaken, FieldValue::Number(2)), (Roster, roster.clone())]);
        let table = [
            (FieldValue::Number(2), roster.clone(), false, "as written"),
            (FieldValue::Number(7), roster.clone(), true, "an edited count"),
            (FieldValue::Nothing, roster, true, "an emptied count"),
            (FieldValue::Number(2), lines(&["eve enrolled"]), true, "an edited roster"),
        ];
        for (count, lines, to_write, why) in table {
            let now = item(&[(SeatsTaken, count), (Roster, lines)]);
            assert_eq!(compared(&now, Some(&written), &here).1, to_write, "{why}");
        }
        here.enrolled = 3;
        assert!(!compared(&written, Some(&written), &here).1, "the outbox already writes the third student");
        assert!(compared(&item(&[]), None, &here).1, "never written");
        assert!(!compared(&item(&[]), None, &hub(&[])).1, "an empty section has nothing to write");
    }
}
