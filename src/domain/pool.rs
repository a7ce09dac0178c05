//! Cross-listed sections: sections of several courses that are one class and share one pool of seats.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{Crn, SectionId};
use crate::domain::section::SectionState;

/// Maximum number of sections in a pool. A registration in one of them changes the open seats of all, so a larger group,
/// such as a file in which every section has the same group, is not a pool.
pub const POOL_SECTIONS_MAX: usize = 50;

/// The group of cross-listed sections to which a section belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossListing {
    /// The college's name of the group. Case does not matter.
    pub group: Box<str>,
    /// The seats of all sections of the group together; `None` if they are not limited beyond each section's capacity.
    /// If the sections of a group state different numbers, the smallest counts.
    pub capacity: Option<u32>,
}

/// The shared seats of a group of cross-listed sections, as of the counts of its sections. It is computed and not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The college's name of the group, as its first section states it.
    pub group: Box<str>,
    /// The sections of the group, in order of CRN.
    pub sections: Vec<SectionId>,
    /// The seats of all sections together.
    pub capacity: u32,
    /// The seats that are neither taken nor reserved for people who wait outside the hub.
    pub free: u32,
    /// The free seats of the sections that are reserved for groups of students; possibly more than [`Self::free`].
    pub held: u32,
    /// The seats that new students can take in all sections together.
    pub open: u32,
}

impl Pool {
    /// Computes the pool of sections, which are in order of CRN; `None` if there are none, or more than
    /// [`POOL_SECTIONS_MAX`]. Cancelled sections take no seats.
    #[must_use]
    pub fn of(members: &[&SectionState]) -> Option<Arc<Self>> {
        let first = members.first().and_then(|state| state.section.cross_listed.as_ref())?;
        if members.len() > POOL_SECTIONS_MAX {
            return None;
        }
        let taught = || members.iter().filter(|state| !state.is_cancelled());
        let sum = |of: fn(&SectionState) -> u32| taught().map(|state| of(state)).fold(0, u32::saturating_add);
        let stated = members.iter().filter_map(|state| state.section.cross_listed.as_ref()?.capacity).min();
        let capacity = stated.unwrap_or_else(|| sum(|state| state.section.capacity));
        let taken = sum(|state| state.taken_total().saturating_add(state.outside_waitlisted));
        let free = capacity.saturating_sub(taken);
        let held = sum(SectionState::held_seats);
        let open = taught().filter(|state| state.accepts_new_students());
        let open = open.map(|state| state.own_seats().saturating_sub(state.held_seats())).fold(0, u32::saturating_add);
        Some(Arc::new(Self {
            group: first.group.clone(),
            sections: members.iter().map(|state| state.section.id.clone()).collect(),
            capacity,
            free,
            held,
            open: open.min(free.saturating_sub(held)),
        }))
    }
}

/// Returns the key by which the sections of a group are found: its name in lower case.
#[must_use]
pub fn group_key(group: &str) -> Box<str> {
    group.to_ascii_lowercase().into()
}

/// Returns the key of the pool to which a section belongs.
#[must_use]
pub fn pool_key(state: &SectionState) -> Option<Box<str>> {
    state.section.cross_listed.as_ref().map(|listing| group_key(&listing.group))
}

/// The sections of each pool.
#[derive(Debug, Clone, Default)]
pub struct PoolIndex {
    pools: HashMap<Box<str>, BTreeSet<Crn>>,
}

/// The sections of a pool that does not exist.
static NO_SECTIONS: BTreeSet<Crn> = BTreeSet::new();

impl PoolIndex {
    /// Returns the sections of a pool, in order.
    #[must_use]
    pub fn sections(&self, key: &str) -> &BTreeSet<Crn> {
        self.pools.get(key).unwrap_or(&NO_SECTIONS)
    }

    /// Moves a section from one pool to another. `None` stands for no pool.
    pub fn change(&mut self, crn: &Crn, from: Option<&str>, to: Option<&str>) {
        if let Some(sections) = from.and_then(|from| self.pools.get_mut(from)) {
            sections.remove(crn);
        }
        if let Some(to) = to {
            self.pools.entry(to.into()).or_default().insert(crn.clone());
        }
    }
}
