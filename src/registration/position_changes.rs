//! Finds the waitlist positions that a commit changed, so that the students can be notified.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::bus::PositionChange;
use crate::domain::ids::UserName;
use crate::domain::published::PublishedSection;
use crate::registration::readmodel::Row;

/// Returns the new positions of students who were on the waitlist before and have another position now.
pub(super) fn position_changes(before: Option<&Row>, after: &PublishedSection, at: Timestamp) -> Vec<PositionChange> {
    let Some(before) = before else { return Vec::new() };
    let (old, new) = (&before.waitlist, &after.waitlist);
    let (old_outside, new_outside) = (before.state.outside_waitlisted, after.state.outside_waitlisted);
    // Most commits do not change a waitlist. This check needs no map.
    if old_outside == new_outside && old.iter().map(|e| &e.student).eq(new.iter().map(|e| &e.student)) {
        return Vec::new();
    }
    let position = |outside: u32, index: usize| outside.saturating_add(u32::try_from(index + 1).unwrap_or(u32::MAX));
    let old_positions: HashMap<&UserName, u32> =
        old.iter().enumerate().map(|(index, entry)| (&entry.student, position(old_outside, index))).collect();
    new.iter()
        .enumerate()
        .map(|(index, entry)| (entry, position(new_outside, index)))
        .filter(|(entry, position)| old_positions.get(&entry.student).is_some_and(|old| old != position))
        .map(|(entry, position)| PositionChange {
            student: entry.student.clone(),
            crn: after.state.section.id.crn.clone(),
            position,
            at,
        })
        .collect()
}
