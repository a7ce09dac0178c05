//! Finds the effects of an applied import on students: sections with more students than seats, and overlapping classes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::domain::ids::Crn;
use crate::domain::import::{Affected, OverCapacity, Overlaps};
use crate::domain::registration::Registration;
use crate::domain::section::{Section, SectionStatus};
use crate::imports::task::LIST_LEN_MAX;
use crate::registration::readmodel::TermModel;

/// The existing sections of a term that an import changes in a way that may affect their students.
#[derive(Debug, Default)]
pub(super) struct ChangedSections {
    /// Sections with a different capacity or number of enrolled students, and reopened ones.
    pub(super) seats: HashSet<Crn>,
    /// Sections with different meetings, and reopened ones.
    pub(super) meetings: HashSet<Crn>,
}

/// Returns the students and sections that an applied import affected.
pub(super) fn affected(term: &TermModel, changed: &ChangedSections) -> Affected {
    let snapshot = term.snapshot();
    let over_capacity: Vec<OverCapacity> = snapshot
        .rows_in_order()
        .filter(|row| changed.seats.contains(&row.state.section.id.crn))
        .filter(|row| row.state.taken_total() > row.state.section.capacity)
        .map(|row| OverCapacity {
            section: row.state.section.id.clone(),
            enrolled: row.state.taken_total(),
            capacity: row.state.section.capacity,
        })
        .collect();
    let mut students: BTreeMap<Crn, u64> = BTreeMap::new();
    if !changed.meetings.is_empty() {
        term.each_student(|registrations| {
            let taught: Vec<_> = registrations
                .iter()
                .filter(|registration| registration.is_registered())
                .filter_map(|registration| Some((registration, &snapshot.row(&registration.crn)?.state.section)))
                .filter(|(_, section)| section.status != SectionStatus::Cancelled)
                .collect();
            for (own, section) in taught.iter().filter(|(_, section)| changed.meetings.contains(&section.id.crn)) {
                // A student may wait for one of two sections that overlap, to take it instead of the other.
                let is_instead = |other: &Registration| own.replaces(&other.crn) || other.replaces(&own.crn);
                let overlaps = |(registration, other): &(&Registration, &Arc<Section>)| {
                    other.id != section.id && section.overlaps(other) && !is_instead(registration)
                };
                if taught.iter().any(overlaps) {
                    *students.entry(section.id.crn.clone()).or_default() += 1;
                }
            }
        });
    }
    let id = |crn: &Crn| snapshot.row(crn).map(|row| row.state.section.id.clone());
    let overlaps: Vec<Overlaps> = students
        .iter()
        .filter_map(|(crn, students)| Some(Overlaps { section: id(crn)?, students: *students }))
        .collect();
    Affected {
        over_capacity_total: over_capacity.len() as u64,
        overlaps_total: overlaps.len() as u64,
        over_capacity: over_capacity.into_iter().take(LIST_LEN_MAX).collect(),
        overlaps: overlaps.into_iter().take(LIST_LEN_MAX).collect(),
    }
}
